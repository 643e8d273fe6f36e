//! The segments of `<<...>>`.

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::{BitString, Float, Term, text::TextErrorReason};

/// The longest binary that is read, in bits: 16 MiB, so that `<<0:99999999999>>` in a file does not take the machine.
const BITS_MAX: usize = 16 << 23;

/// How many bits the binaries of a text may have together: [`BITS_MAX`], and for each byte of the text what the widest
/// way of writing a byte, a character as UTF-32, makes of it. So a text of plain binaries is read however long it is,
/// and one of many `<<0:99999999>>` takes no more than one of them.
pub(super) fn all_bits_max(text: &str) -> usize {
    text.len().saturating_mul(32).saturating_add(BITS_MAX)
}

/// The value before `:` and `/`.
pub(super) enum Value {
    Integer(BigInt),
    Float(Float),
    String(String),
    /// A binary or bit string.
    Bits(Term),
}

/// What `/` says.
#[derive(Default)]
pub(super) struct Kind {
    name: Option<KindName>,
    little: Option<bool>,
    signed: Option<bool>,
    unit: Option<usize>,
    /// What the unit of [`KindName::Bits`] is where none is given.
    bits_default: Option<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum KindName {
    /// A binary as the value, counted in bits; with a unit of 8, `binary`.
    Bits,
    Integer,
    Float,
    Utf8,
    Utf16,
    Utf32,
}

impl Kind {
    /// Takes one word of the list after `/`; false if there is no such word or it contradicts another.
    pub(super) fn set(&mut self, word: &str) -> bool {
        match word {
            "binary" | "bytes" => set(&mut self.name, KindName::Bits) && set(&mut self.bits_default, 8),
            "bits" | "bitstring" => set(&mut self.name, KindName::Bits) && set(&mut self.bits_default, 1),
            "integer" => set(&mut self.name, KindName::Integer),
            "float" => set(&mut self.name, KindName::Float),
            "utf8" => set(&mut self.name, KindName::Utf8),
            "utf16" => set(&mut self.name, KindName::Utf16),
            "utf32" => set(&mut self.name, KindName::Utf32),
            "big" => set(&mut self.little, false),
            "little" => set(&mut self.little, true),
            // That of this machine, as the BEAM has it.
            "native" => set(&mut self.little, cfg!(target_endian = "little")),
            "signed" => set(&mut self.signed, true),
            "unsigned" => set(&mut self.signed, false),
            _ => false,
        }
    }

    pub(super) fn set_unit(&mut self, unit: usize) -> bool {
        (1..=256).contains(&unit) && set(&mut self.unit, unit)
    }

    fn is_little(&self) -> bool {
        self.little == Some(true)
    }

    /// How many bits an integer or float takes. A unit needs a size.
    fn bits(&self, size: Option<usize>, default: usize) -> Result<usize> {
        match (size, self.unit) {
            (Some(size), unit) => Ok(size.saturating_mul(unit.unwrap_or(1))),
            (None, None) => Ok(default),
            (None, Some(_)) => Err(TextErrorReason::Segment),
        }
    }
}

/// Sets what is not set, or is set to the same.
fn set<T: PartialEq + Copy>(place: &mut Option<T>, value: T) -> bool {
    *place.get_or_insert(value) == value
}

/// A bit string under construction.
pub(super) struct Bits {
    bytes: Vec<u8>,
    len: usize,
    max: usize,
}

type Result<T> = std::result::Result<T, TextErrorReason>;

impl Bits {
    /// None yet, and no more than are left.
    pub(super) fn within(left: usize) -> Self {
        Self { bytes: Vec::new(), len: 0, max: left.min(BITS_MAX) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a segment.
    pub(super) fn add(&mut self, value: &Value, size: Option<usize>, kind: &Kind) -> Result<()> {
        // A float is no exception: without `/float` it is a mistake.
        let name = kind.name.unwrap_or(KindName::Integer);
        match value {
            Value::Integer(int) => self.add_number(int, size, name, kind),
            Value::Float(float) if name == KindName::Float => self.add_float(float.get(), size, kind),
            Value::Float(_) => Err(TextErrorReason::Segment),
            Value::Bits(bits) if name == KindName::Bits => self.add_term(bits, size, kind),
            Value::Bits(_) => Err(TextErrorReason::Segment),
            // Sizes and types of a string are those of each of its characters.
            Value::String(text) => {
                text.chars().try_for_each(|c| self.add_number(&BigInt::from(u32::from(c)), size, name, kind))
            }
        }
    }

    fn add_number(&mut self, int: &BigInt, size: Option<usize>, name: KindName, kind: &Kind) -> Result<()> {
        match name {
            KindName::Integer => return self.add_integer(int, kind.bits(size, 8)?, kind.is_little()),
            KindName::Float => {
                return self.add_float(int.to_f64().ok_or(TextErrorReason::Segment)?, size, kind);
            }
            KindName::Bits => return Err(TextErrorReason::Segment),
            KindName::Utf8 | KindName::Utf16 | KindName::Utf32 => {}
        }
        let c = int.to_u32().and_then(char::from_u32).ok_or(TextErrorReason::Segment)?;
        if size.is_some() || kind.unit.is_some() {
            return Err(TextErrorReason::Segment);
        }
        let code = u32::from(c);
        let byte_pair = |unit: u16| if kind.is_little() { unit.to_le_bytes() } else { unit.to_be_bytes() };
        match name {
            KindName::Utf16 => {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|&unit| self.add_bytes(&byte_pair(unit)))
            }
            KindName::Utf32 if kind.is_little() => self.add_bytes(&code.to_le_bytes()),
            KindName::Utf32 => self.add_bytes(&code.to_be_bytes()),
            _ => self.add_bytes(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// Appends a binary or its first bits.
    fn add_term(&mut self, term: &Term, size: Option<usize>, kind: &Kind) -> Result<()> {
        let (bytes, all) = match term {
            Term::Binary(binary) => (binary.as_slice(), binary.len() * 8),
            Term::BitString(bits) => {
                let bytes = bits.as_slice();
                (bytes, (bytes.len() - 1) * 8 + usize::from(bits.last_bits()))
            }
            _ => return Err(TextErrorReason::Segment),
        };
        let unit = kind.unit.or(kind.bits_default).unwrap_or(1);
        let bits = match size {
            Some(size) => size.saturating_mul(unit),
            None if all % unit == 0 => all,
            None => return Err(TextErrorReason::Segment),
        };
        if bits > all {
            return Err(TextErrorReason::Segment);
        }
        let (whole, odd) = (bits / 8, bits % 8);
        self.add_bytes(&bytes[..whole])?;
        if odd > 0 { self.add_bits(bytes[whole], odd) } else { Ok(()) }
    }

    /// As OTP has it, a float that is too large for fewer bits becomes the infinity of those.
    fn add_float(&mut self, value: f64, size: Option<usize>, kind: &Kind) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "a float of 32 bits is asked for")]
        let mut bytes = match kind.bits(size, 64)? {
            64 => value.to_be_bytes().to_vec(),
            32 => (value as f32).to_be_bytes().to_vec(),
            16 => half(value).to_be_bytes().to_vec(),
            _ => return Err(TextErrorReason::Segment),
        };
        if kind.is_little() {
            bytes.reverse();
        }
        self.add_bytes(&bytes)
    }

    /// Appends the lowest bits of an integer in two's complement.
    fn add_integer(&mut self, int: &BigInt, bits: usize, little: bool) -> Result<()> {
        if bits > self.max {
            return Err(TextErrorReason::TooManyBits { max: self.max });
        }
        let fill = if int.sign() == num_bigint::Sign::Minus { 0xff } else { 0 };
        let mut bytes = int.to_signed_bytes_le();
        bytes.resize(bits.div_ceil(8), fill);
        // In little-endian order the odd bits come last, in big-endian order first.
        let odd = bits % 8;
        let top = if odd > 0 { bytes.pop() } else { None };
        if little {
            self.add_bytes(&bytes)?;
        }
        if let Some(top) = top {
            self.add_bits(top << (8 - odd), odd)?;
        }
        if !little {
            bytes.reverse();
            self.add_bytes(&bytes)?;
        }
        Ok(())
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        bytes.iter().try_for_each(|&byte| self.add_bits(byte, 8))
    }

    /// Appends the upper bits of a byte.
    fn add_bits(&mut self, byte: u8, count: usize) -> Result<()> {
        if self.len + count > self.max {
            return Err(TextErrorReason::TooManyBits { max: self.max });
        }
        let byte = byte & 0xff_u8.checked_shl(8 - u32::try_from(count).unwrap_or(8)).unwrap_or(0);
        let used = self.len % 8;
        match self.bytes.last_mut() {
            Some(last) if used > 0 => {
                *last |= byte >> used;
                if used + count > 8 {
                    self.bytes.push(byte << (8 - used));
                }
            }
            _ => self.bytes.push(byte),
        }
        self.len += count;
        Ok(())
    }

    pub(super) fn into_term(self) -> Term {
        #[expect(clippy::cast_possible_truncation, reason = "less than 8")]
        let last_bits = (self.len % 8) as u8;
        match BitString::new(&self.bytes, last_bits) {
            Some(bits) => bits.into(),
            None => Term::binary(self.bytes),
        }
    }
}

/// The nearest float of 16 bits: a sign, 5 bits of exponent, 10 of fraction; of two that are as near the even one.
fn half(value: f64) -> u16 {
    const FRACTION_BITS: i32 = 10;
    const BIAS: i32 = 15;
    const INFINITY: u16 = 0x7c00;
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let value = value.abs();
    // The exponent, but not below that of the smallest ones, which have all the same.
    let biased = i32::try_from(value.to_bits() >> 52).expect("11 bits without a sign") - 1023 + BIAS;
    let biased = biased.max(1);
    if biased >= 31 {
        return sign | INFINITY;
    }
    // How often the last bit goes into it: below 2^11 and exact, since only the exponent changes.
    let units = value * 2_f64.powi(FRACTION_BITS + BIAS - biased);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^11")]
    let units = units.round_ties_even() as u16;
    // The leading 1 of `units` adds one to the exponent, and so does what rounding carries.
    let exponent = u16::try_from(biased - 1).expect("0 to 29");
    sign | ((exponent << FRACTION_BITS) + units)
}
