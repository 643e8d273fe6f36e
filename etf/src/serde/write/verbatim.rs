//! What our own types give to our own format: bytes that are a term already, and text that is an atom.

use serde::ser::{Error as _, Impossible, Serialize, Serializer};

use super::{Error, Result, Writer};

/// Takes one string or bytes, for what the name of a newtype says.
pub(super) struct Verbatim<'a, 'o> {
    pub(super) writer: &'a mut Writer<'o>,
    pub(super) writes: Writes,
}

/// What the bytes are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Writes {
    /// A term in the external format, without a leading 131.
    Term,
    Atom,
    Binary,
}

impl Verbatim<'_, '_> {
    fn other<T>(&self) -> Result<T> {
        Err(Error::custom("a newtype with the name of one of this crate's types, and other content"))
    }
}

macro_rules! others {
    ($($method:ident($($argument:ty),*) $(-> $of:ty)?;)*) => {$(
        fn $method(self $(, _: $argument)*) -> Result<others!(@ $($of)?)> {
            self.other()
        }
    )*};
    (@) => { () };
    (@ $of:ty) => { $of };
}

type No = Impossible<(), Error>;

impl Serializer for Verbatim<'_, '_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    /// So that bytes come, whatever the options say.
    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        match self.writes {
            Writes::Atom => self.writer.atom(value),
            Writes::Binary | Writes::Term => self.other(),
        }
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        match self.writes {
            Writes::Term => {
                self.writer.out.extend_from_slice(value);
                Ok(())
            }
            Writes::Binary => self.writer.binary(value),
            Writes::Atom => self.other(),
        }
    }

    others! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<()> {
        self.other()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<()> {
        self.other()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        self.other()
    }
}
