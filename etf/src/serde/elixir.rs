//! Elixir's structs for dates and times, ranges and sets.
//!
//! Each is written as Elixir's own struct, with its `__struct__` and `calendar`, and read from it; another module or
//! another calendar than `Calendar.ISO` is an error. The ranges of the fields are those of Elixir and not checked.
//!
//! ```
//! use crabnode_etf::serde::{elixir::{Date, DateTime}, from_term, to_term};
//! use std::time::{Duration, SystemTime};
//!
//! let term = to_term(&Date { year: 2024, month: 2, day: 29 })?;
//! assert_eq!(
//!     term.to_string(),
//!     "#{'__struct__' => 'Elixir.Date',calendar => 'Elixir.Calendar.ISO',day => 29,month => 2,year => 2024}"
//! );
//! assert_eq!(from_term::<Date>(&term)?, Date { year: 2024, month: 2, day: 29 });
//!
//! let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let date_time = DateTime::from(time);
//! assert_eq!(date_time.to_string(), "2023-11-14T22:13:20.000000Z");
//! assert_eq!(date_time.to_system_time(), Some(time));
//! # Ok::<(), crabnode_etf::serde::Error>(())
//! ```
//!
//! Erlang's own date and time, `{{Year, Month, Day}, {Hour, Minute, Second}}`, is the tuple
//! `((i32, u8, u8), (u8, u8, u8))` and needs no type.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{
    de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor},
    ser::{Serialize, SerializeStruct, Serializer},
};

use crate::Atom;

/// `#[serde(with = "crabnode_etf::serde::elixir::map_set")]`: a set, or whatever has elements, as a `MapSet`, in the
/// form of Elixir 1.15 and later, which older ones take as well; read from that of any.
///
/// ```
/// use crabnode_etf::serde::{from_term, to_term};
/// use std::collections::BTreeSet;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Post {
///     #[serde(with = "crabnode_etf::serde::elixir::map_set")]
///     tags: BTreeSet<u8>,
/// }
///
/// let term = to_term(&Post { tags: BTreeSet::from([1, 2]) })?;
/// assert_eq!(term.to_string(), "#{tags => #{'__struct__' => 'Elixir.MapSet',map => #{1 => [],2 => []}}}");
/// assert_eq!(from_term::<Post>(&term)?.tags, BTreeSet::from([1, 2]));
/// # Ok::<(), crabnode_etf::serde::Error>(())
/// ```
pub mod map_set;

/// A struct of Elixir: its module, fields that always hold the same atom, and the others.
macro_rules! elixir_struct {
    (
        $(#[$doc:meta])*
        $name:ident is $module:literal with { $($fixed:ident: $atom:literal)? } and
        { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($fixed),)? $(stringify!($field)),*];
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut fields = serializer.serialize_struct($module, Self::FIELDS.len())?;
                $(fields.serialize_field(stringify!($fixed), &Atom::from_static($atom))?;)?
                $(fields.serialize_field(stringify!($field), &self.$field)?;)*
                fields.end()
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a struct of ", $module))
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        $(let mut $field = None;)*
                        while let Some(name) = map.next_key_seed(Known($name::FIELDS))? {
                            match name {
                                $(Some(name) if name == stringify!($fixed) => {
                                    let found = map.next_value::<Atom>()?;
                                    if found != $atom {
                                        return Err(de::Error::invalid_value(
                                            de::Unexpected::Other(&found),
                                            &$atom,
                                        ));
                                    }
                                })?
                                $(Some(name) if name == stringify!($field) => {
                                    $field = Some(map.next_value()?);
                                })*
                                _ => {
                                    map.next_value::<de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok($name {
                            $($field: $field.ok_or_else(|| de::Error::missing_field(stringify!($field)))?,)*
                        })
                    }
                }

                deserializer.deserialize_struct($module, Self::FIELDS, Fields)
            }
        }
    };
}

elixir_struct! {
    /// `Date`.
    Date is "Elixir.Date" with { calendar: "Elixir.Calendar.ISO" } and {
        /// The year, which may be negative.
        year: i32,
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
    }
}

elixir_struct! {
    /// `Time`: of a day.
    Time is "Elixir.Time" with { calendar: "Elixir.Calendar.ISO" } and {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// Microseconds of the second, and how many of their six digits are meant.
        microsecond: (u32, u8),
    }
}

elixir_struct! {
    /// `NaiveDateTime`: a date and a time of no particular place.
    NaiveDateTime is "Elixir.NaiveDateTime" with { calendar: "Elixir.Calendar.ISO" } and {
        /// The year, which may be negative.
        year: i32,
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// Microseconds of the second, and how many of their six digits are meant.
        microsecond: (u32, u8),
    }
}

elixir_struct! {
    /// `DateTime`: a point in time, as the clocks of a place show it.
    DateTime is "Elixir.DateTime" with { calendar: "Elixir.Calendar.ISO" } and {
        /// The year, which may be negative.
        year: i32,
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// Microseconds of the second, and how many of their six digits are meant.
        microsecond: (u32, u8),
        /// The place, as `Etc/UTC` or `Europe/Warsaw`.
        time_zone: String,
        /// What the place calls its time, as `UTC` or `CET`.
        zone_abbr: String,
        /// How far the place's standard time is ahead of UTC, in seconds.
        utc_offset: i32,
        /// How far its present time is ahead of its standard time, in seconds.
        std_offset: i32,
    }
}

elixir_struct! {
    /// `Range`: `first..last//step`.
    Range is "Elixir.Range" with {} and {
        /// The first.
        first: i64,
        /// The last, if a step gets there.
        last: i64,
        /// From one to the next; not 0.
        step: i64,
    }
}

/// The name of a field if it is one of these.
struct Known(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Known {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Known {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|&name| name == text))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time(f, [self.hour, self.minute, self.second], self.microsecond)
    }
}

impl fmt::Display for NaiveDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}T", self.year, self.month, self.day)?;
        write_time(f, [self.hour, self.minute, self.second], self.microsecond)
    }
}

/// As ISO 8601 has it.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}T", self.year, self.month, self.day)?;
        write_time(f, [self.hour, self.minute, self.second], self.microsecond)?;
        let minutes = (i64::from(self.utc_offset) + i64::from(self.std_offset)) / 60;
        if minutes == 0 {
            return f.write_str("Z");
        }
        let sign = if minutes < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

fn write_time(
    f: &mut fmt::Formatter<'_>,
    [hour, minute, second]: [u8; 3],
    fraction: (u32, u8),
) -> fmt::Result {
    write!(f, "{hour:02}:{minute:02}:{second:02}")?;
    let (microseconds, digits) = fraction;
    let text = format!("{microseconds:06}");
    match text.get(..usize::from(digits)) {
        Some("") | None => Ok(()),
        Some(digits) => write!(f, ".{digits}"),
    }
}

/// In UTC, to the microsecond.
impl From<SystemTime> for DateTime {
    fn from(time: SystemTime) -> Self {
        let (seconds, microseconds) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_micros()),
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_micros() {
                    0 => (-seconds, 0),
                    microseconds => (-seconds - 1, 1_000_000 - microseconds),
                }
            }
        };
        let (year, month, day) = date_of(seconds.div_euclid(DAY_SECS));
        let second_of_day = seconds.rem_euclid(DAY_SECS);
        let part = |value: i64| u8::try_from(value).expect("hours, minutes and seconds are below 60");
        Self {
            year,
            month,
            day,
            hour: part(second_of_day / 3600),
            minute: part(second_of_day / 60 % 60),
            second: part(second_of_day % 60),
            microsecond: (microseconds, 6),
            time_zone: "Etc/UTC".into(),
            zone_abbr: "UTC".into(),
            utc_offset: 0,
            std_offset: 0,
        }
    }
}

impl DateTime {
    /// The point in time; nothing for one that this system cannot tell, or for fields out of their ranges.
    #[must_use]
    pub fn to_system_time(&self) -> Option<SystemTime> {
        let in_range = (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
            && self.microsecond.0 < 1_000_000;
        if !in_range {
            return None;
        }
        let days = days_to(self.year, self.month, self.day);
        let clock = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days * DAY_SECS + clock - i64::from(self.utc_offset) - i64::from(self.std_offset);
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let whole = match seconds {
            0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
            _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
        };
        whole?.checked_add(Duration::from_micros(self.microsecond.0.into()))
    }
}

const DAY_SECS: i64 = 86_400;
/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// Days from the 1st of March of year 0 to the 1st of January 1970.
const EPOCH_DAYS: i64 = 719_468;

/// The date that is so many days after the 1st of January 1970. Years count from March, so that the day that comes
/// and goes is their last.
fn date_of(days: i64) -> (i32, u8, u8) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u8::try_from(value).expect("a month or day is below 32");
    // Further off than any clock shows.
    let year = i32::try_from(year).unwrap_or(if year < 0 { i32::MIN } else { i32::MAX });
    (year, small(month), small(day))
}

/// The other way round.
fn days_to(year: i32, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}
