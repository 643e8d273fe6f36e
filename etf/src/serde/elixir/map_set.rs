//! Elixir's sets.

use std::{fmt, marker::PhantomData};

use serde::{
    de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor},
    ser::{Serialize, SerializeStruct, Serializer},
};

use super::Known;

const MODULE: &str = "Elixir.MapSet";
const FIELDS: &[&str] = &["map"];

/// Writes a `MapSet`, in a format for people a list. An element twice, as a `Vec` may hold it, is an error.
pub fn serialize<'a, C: ?Sized, S: Serializer>(set: &'a C, serializer: S) -> Result<S::Ok, S::Error>
where
    &'a C: IntoIterator<Item: Serialize>,
{
    if serializer.is_human_readable() {
        return serializer.collect_seq(set);
    }
    let mut fields = serializer.serialize_struct(MODULE, FIELDS.len())?;
    fields.serialize_field("map", &Members(set))?;
    fields.end()
}

/// Reads a `MapSet`, in a format for people a list.
pub fn deserialize<'de, C, D: Deserializer<'de>>(deserializer: D) -> Result<C, D::Error>
where
    C: IntoIterator<Item: Deserialize<'de>> + FromIterator<C::Item>,
{
    let elements: Vec<C::Item> = if deserializer.is_human_readable() {
        Vec::deserialize(deserializer)?
    } else {
        deserializer.deserialize_struct(MODULE, FIELDS, Set(PhantomData))?
    };
    Ok(elements.into_iter().collect())
}

/// A map from the elements to `[]`, which is what is in the struct.
struct Members<'a, C: ?Sized>(&'a C);

impl<'a, C: ?Sized> Serialize for Members<'a, C>
where
    &'a C: IntoIterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nothing: &[()] = &[];
        serializer.collect_map(self.0.into_iter().map(|element| (element, nothing)))
    }
}

struct Set<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Set<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MapSet")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut elements = None;
        while let Some(name) = fields.next_key_seed(Known(FIELDS))? {
            if name.is_some() {
                elements = Some(fields.next_value::<Keys<T>>()?.0);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        elements.ok_or_else(|| serde::de::Error::missing_field("map"))
    }
}

/// The keys of a map.
struct Keys<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Keys<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for All<T> {
            type Value = Keys<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the map of a MapSet")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }

        deserializer.deserialize_map(All(PhantomData))
    }
}
