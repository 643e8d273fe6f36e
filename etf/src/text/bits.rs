//! The segments of `<<...>>`.

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::{BitString, Float, Term, text::TextErrorReason};

/// The longest binary that is read, in bits: 16 MiB, so that `<<0:99999999999>>` in a file does not take the machine.
const BITS_MAX: usize = 16 << 23;

/// The value before `:` and `/`.
pub(super) enum Value {
    Integer(BigInt),
    Float(Float),
    String(String),
}

/// What `/` says.
#[derive(Default)]
pub(super) struct Kind {
    name: Option<KindName>,
    little: bool,
    unit: Option<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum KindName {
    Integer,
    Float,
    Utf8,
    Utf16,
    Utf32,
}

impl Kind {
    /// Takes one word of the list after `/`; false if there is no such word or it contradicts another.
    ///
    /// `binary` and `bits` are known but fit no value that a term can have there.
    pub(super) fn set(&mut self, word: &str) -> bool {
        let name = match word {
            "integer" => KindName::Integer,
            "float" => KindName::Float,
            "utf8" => KindName::Utf8,
            "utf16" => KindName::Utf16,
            "utf32" => KindName::Utf32,
            "little" => {
                self.little = true;
                return true;
            }
            "big" | "signed" | "unsigned" => return true,
            // That of this machine, as the BEAM has it.
            "native" => {
                self.little = cfg!(target_endian = "little");
                return true;
            }
            _ => return false,
        };
        self.name.replace(name).is_none()
    }

    pub(super) fn set_unit(&mut self, unit: usize) -> bool {
        (1..=256).contains(&unit) && self.unit.replace(unit).is_none()
    }
}

/// A bit string under construction.
#[derive(Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

type Result<T> = std::result::Result<T, TextErrorReason>;

impl Bits {
    /// Appends a segment.
    pub(super) fn add(&mut self, value: &Value, size: Option<usize>, kind: &Kind) -> Result<()> {
        let default = if matches!(value, Value::Float(_)) { KindName::Float } else { KindName::Integer };
        let name = kind.name.unwrap_or(default);
        match value {
            Value::Integer(int) => self.add_number(int, size, name, kind),
            Value::Float(float) if name == KindName::Float => self.add_float(float.get(), size, kind),
            Value::Float(_) => Err(TextErrorReason::Segment),
            // Sizes and types of a string are those of each of its characters.
            Value::String(text) => {
                text.chars().try_for_each(|c| self.add_number(&BigInt::from(u32::from(c)), size, name, kind))
            }
        }
    }

    fn add_number(&mut self, int: &BigInt, size: Option<usize>, name: KindName, kind: &Kind) -> Result<()> {
        if matches!(name, KindName::Integer | KindName::Float) {
            if name == KindName::Float {
                return self.add_float(int.to_f64().ok_or(TextErrorReason::Segment)?, size, kind);
            }
            let bits = size.unwrap_or(8).saturating_mul(kind.unit.unwrap_or(1));
            return self.add_integer(int, bits, kind.little);
        }
        let c = int.to_u32().and_then(char::from_u32).ok_or(TextErrorReason::Segment)?;
        if size.is_some() || kind.unit.is_some() {
            return Err(TextErrorReason::Segment);
        }
        let code = u32::from(c);
        let byte_pair = |unit: u16| if kind.little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        match name {
            KindName::Utf16 => {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|&unit| self.add_bytes(&byte_pair(unit)))
            }
            KindName::Utf32 if kind.little => self.add_bytes(&code.to_le_bytes()),
            KindName::Utf32 => self.add_bytes(&code.to_be_bytes()),
            _ => self.add_bytes(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    fn add_float(&mut self, value: f64, size: Option<usize>, kind: &Kind) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "a float of 32 bits is asked for")]
        let single = value as f32;
        let mut bytes = match size.unwrap_or(64).saturating_mul(kind.unit.unwrap_or(1)) {
            64 => value.to_be_bytes().to_vec(),
            32 if single.is_finite() => single.to_be_bytes().to_vec(),
            _ => return Err(TextErrorReason::Segment),
        };
        if kind.little {
            bytes.reverse();
        }
        self.add_bytes(&bytes)
    }

    /// Appends the lowest bits of an integer in two's complement.
    fn add_integer(&mut self, int: &BigInt, bits: usize, little: bool) -> Result<()> {
        if bits > BITS_MAX {
            return Err(TextErrorReason::TooManyBits { max: BITS_MAX });
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
        if self.len + count > BITS_MAX {
            return Err(TextErrorReason::TooManyBits { max: BITS_MAX });
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
