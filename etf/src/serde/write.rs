//! Rust values to bytes of the external term format.

use serde::ser::{Serialize, Serializer};

use crate::{
    Atom,
    serde::{
        error::{Error, ErrorReason, Segment},
        options::{Absent, Names, Options, Strings, Structs},
        read::STRUCT,
        terms::{ATOM, BINARY, TERM},
        token::Result,
    },
    tag,
};

mod compound;
use compound::{Fields, FieldsOf, List, Map, Tuple};
mod verbatim;
use verbatim::{Verbatim, Writes};

/// Where a value is written to.
pub(super) struct Writer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    options: &'o Options,
    /// Where the last `()` begins: a variant that holds just that is a bare atom.
    unit_at: usize,
    /// Where a key that is an atom if it is text begins.
    atom_at: usize,
}

impl<'o> Writer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>, options: &'o Options) -> Self {
        Self { out, options, unit_at: usize::MAX, atom_at: usize::MAX }
    }

    fn atom(&mut self, text: &str) -> Result<()> {
        let len = text.len();
        match u8::try_from(len) {
            Ok(len) => self.out.extend_from_slice(&[tag::SMALL_ATOM_UTF8, len]),
            Err(_) => {
                let chars = text.chars().count();
                if chars > Atom::CHARS_MAX {
                    return Err(Error::new(ErrorReason::AtomTooLong { chars }));
                }
                self.out.push(tag::ATOM_UTF8);
                let len = u16::try_from(len).expect("255 characters take at most 1,020 bytes");
                self.out.extend_from_slice(&len.to_be_bytes());
            }
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn absent(&mut self) -> Result<()> {
        self.atom(match self.options.none {
            Absent::Nil => "nil",
            Absent::Undefined => "undefined",
        })
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.header(tag::BINARY, bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn charlist(&mut self, text: &str) -> Result<()> {
        let mut list = self.serialize_seq(None)?;
        for c in text.chars() {
            serde::ser::SerializeSeq::serialize_element(&mut list, &u32::from(c))?;
        }
        serde::ser::SerializeSeq::end(list)
    }

    /// The name of a field.
    fn name(&mut self, name: &str) -> Result<()> {
        match self.options.keys {
            Names::Atom => self.atom(name),
            Names::Binary => self.binary(name.as_bytes()),
        }
    }

    fn header(&mut self, tag: u8, len: usize) -> Result<()> {
        self.out.push(tag);
        self.out.extend_from_slice(&len_u32(len)?.to_be_bytes());
        Ok(())
    }

    fn tuple_header(&mut self, arity: usize) -> Result<()> {
        match u8::try_from(arity) {
            Ok(arity) => {
                self.out.extend_from_slice(&[tag::SMALL_TUPLE, arity]);
                Ok(())
            }
            Err(_) if arity > TUPLE_ARITY_MAX => {
                Err(Error::new(ErrorReason::TooLong { len: arity, max: TUPLE_ARITY_MAX }))
            }
            Err(_) => self.header(tag::LARGE_TUPLE, arity),
        }
    }

    fn magnitude(&mut self, negative: bool, magnitude: u128) {
        let bytes = magnitude.to_le_bytes();
        let len = bytes.len() - magnitude.leading_zeros() as usize / 8;
        #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
        self.out.extend_from_slice(&[tag::SMALL_BIG, len as u8, u8::from(negative)]);
        self.out.extend_from_slice(&bytes[..len]);
    }

    /// A tuple that the name of a variant leads, and what is in it.
    fn variant(&mut self, enum_name: &str, variant: &str, len: usize) -> Result<()> {
        self.tuple_header(len + 1)?;
        self.variant_tag(enum_name, variant)
    }

    /// The variants of a `Result` are what Erlang has for it.
    fn variant_tag(&mut self, enum_name: &str, variant: &str) -> Result<()> {
        self.atom(match (enum_name, variant) {
            ("Result", "Ok") => "ok",
            ("Result", "Err") => "error",
            _ => variant,
        })
    }
}

impl<'a, 'o> Serializer for &'a mut Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a, 'o>;
    type SerializeTuple = Tuple<'a, 'o>;
    type SerializeTupleStruct = Tuple<'a, 'o>;
    type SerializeTupleVariant = Tuple<'a, 'o>;
    type SerializeMap = Map<'a, 'o>;
    type SerializeStruct = Fields<'a, 'o>;
    type SerializeStructVariant = Fields<'a, 'o>;

    fn is_human_readable(&self) -> bool {
        self.options.human_readable
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.atom(if value { "true" } else { "false" })
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<()> {
        if let Ok(small) = u8::try_from(value) {
            self.out.extend_from_slice(&[tag::SMALL_INTEGER, small]);
        } else if let Ok(int) = i32::try_from(value) {
            let [a, b, c, d] = int.to_be_bytes();
            self.out.extend_from_slice(&[tag::INTEGER, a, b, c, d]);
        } else {
            self.magnitude(value < 0, u128::from(value.unsigned_abs()));
        }
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        match i64::try_from(value) {
            Ok(value) => self.serialize_i64(value)?,
            Err(_) => self.magnitude(value < 0, value.unsigned_abs()),
        }
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<()> {
        self.out.extend_from_slice(&[tag::SMALL_INTEGER, value]);
        Ok(())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<()> {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<()> {
        match i64::try_from(value) {
            Ok(value) => self.serialize_i64(value),
            Err(_) => {
                self.magnitude(false, value.into());
                Ok(())
            }
        }
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        match i64::try_from(value) {
            Ok(value) => self.serialize_i64(value)?,
            Err(_) => self.magnitude(false, value),
        }
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(value.into())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<()> {
        if !value.is_finite() {
            return Err(Error::new(ErrorReason::FloatNotFinite));
        }
        self.out.push(tag::NEW_FLOAT);
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_u32(value.into())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        match self.options.strings {
            _ if self.atom_at == self.out.len() => self.atom(value),
            Strings::Binary => self.binary(value.as_bytes()),
            Strings::Charlist => self.charlist(value),
        }
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.binary(value)
    }

    fn serialize_none(self) -> Result<()> {
        self.absent()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.unit_at = self.out.len();
        self.atom("ok")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<()> {
        self.atom(name)
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.variant_tag(name, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        let writes = match name {
            TERM => Writes::Term,
            ATOM => Writes::Atom,
            BINARY => Writes::Binary,
            _ => return value.serialize(self),
        };
        value.serialize(Verbatim { writer: self, writes })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        let start = self.out.len();
        self.variant(name, variant, 1)?;
        let value_at = self.out.len();
        value.serialize(&mut *self)?;
        if self.unit_at == value_at {
            // `Ok(())` is `ok`.
            self.out.truncate(start);
            self.variant_tag(name, variant)?;
        }
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a, 'o>> {
        Ok(List::new(self))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Tuple<'a, 'o>> {
        self.tuple_header(len)?;
        Ok(Tuple::new(self, len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Tuple<'a, 'o>> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Tuple<'a, 'o>> {
        self.variant(name, variant, len)?;
        Ok(Tuple::new(self, len))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map<'a, 'o>> {
        Ok(Map::new(self))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'a, 'o>> {
        match (self.options.module_of(name), self.options.structs) {
            (Some(module), _) => {
                let mut fields = Fields::new(self, FieldsOf::Map);
                fields.module(&module)?;
                Ok(fields)
            }
            (None, Structs::Map) => Ok(Fields::new(self, FieldsOf::Map)),
            (None, Structs::Record) => {
                let fields = Fields::new(self, FieldsOf::Record);
                fields.record_name(name)
            }
        }
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'a, 'o>> {
        self.variant(name, variant, 1)?;
        Ok(Fields::new(self, FieldsOf::Map))
    }
}

fn len_u32(len: usize) -> Result<u32> {
    let max = u32::MAX as usize;
    u32::try_from(len).map_err(|_| Error::new(ErrorReason::TooLong { len, max }))
}

/// The largest tuple that any BEAM makes or takes.
const TUPLE_ARITY_MAX: usize = (1 << 24) - 1;
