//! Terms to Rust values: what each type takes, over either input.

use std::borrow::Cow;

use serde::de::{self, DeserializeSeed, Deserializer, Error as _, Expected, Unexpected, Visitor};

use crate::{
    decode::short::utf8,
    serde::{
        bytes_input::BytesInput,
        error::{Error, ErrorReason, Segment},
        options::Options,
        terms::{ATOM, TERM},
        token::{Input, Result, Token},
    },
};

mod access;
use access::{ListAccess, MapAccess, PropertyAccess, TupleAccess};
mod variant;
use variant::{Tag, Tagged};

/// A term that is read into a Rust value.
pub(super) struct Reader<'o, I> {
    pub(super) input: I,
    options: &'o Options,
    nesting_left: usize,
}

impl<'de, 'o, I: Input<'de>> Reader<'o, I> {
    pub(super) fn new(input: I, options: &'o Options) -> Self {
        Self { input, options, nesting_left: options.nesting_max }
    }

    /// Reads the value, and says where what is wrong with it is.
    pub(super) fn read<T: de::Deserialize<'de>>(&mut self) -> Result<T> {
        T::deserialize(&mut *self).map_err(|error| error.at(self.input.offset()))
    }

    #[inline]
    fn enter(&mut self) -> Result<()> {
        match self.nesting_left.checked_sub(1) {
            Some(left) => {
                self.nesting_left = left;
                Ok(())
            }
            None => Err(self.too_nested()),
        }
    }

    #[inline]
    fn leave(&mut self) {
        self.nesting_left += 1;
    }

    /// Reads from bytes that stand for a term which the input has in a shorter form.
    fn aside<T: DeserializeSeed<'de>>(&self, bytes: &[u8], seed: T) -> Result<T::Value> {
        let input = BytesInput::copying(bytes, 0, &self.options.limits);
        seed.deserialize(&mut Reader { input, options: self.options, nesting_left: self.nesting_left })
    }

    /// An error in what was read last, if it does not know better.
    #[cold]
    #[inline(never)]
    fn here(&self, error: Error) -> Error {
        error.at(self.input.offset())
    }

    #[cold]
    #[inline(never)]
    fn in_element(&self, error: Error, index: usize) -> Error {
        self.here(error).inside(Segment::Index(index))
    }

    #[cold]
    #[inline(never)]
    fn in_value(&self, error: Error, key: I::Mark) -> Error {
        self.here(error).inside(self.input.segment(key))
    }

    #[cold]
    fn too_nested(&self) -> Error {
        Error::new(ErrorReason::Nesting { max: self.options.nesting_max }).at(self.input.offset())
    }

    #[cold]
    #[inline(never)]
    fn wrong<T>(&self, token: &Token<'de>, expected: &dyn Expected) -> Result<T> {
        Err(Error::shape(expected, token.describe()).at(self.input.offset()))
    }

    fn tuple<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value> {
        let start = self.input.offset();
        self.enter()?;
        let mut access = TupleAccess::new(self, len);
        let value = visitor.visit_seq(&mut access).map_err(|error| error.at(start))?;
        access.finish()?;
        self.leave();
        Ok(value)
    }

    fn list<V: Visitor<'de>>(&mut self, token: Token<'de>, visitor: V) -> Result<V::Value> {
        let start = self.input.offset();
        self.enter()?;
        let mut access = ListAccess::new(self, token);
        let value = visitor.visit_seq(&mut access).map_err(|error| error.at(start))?;
        access.finish()?;
        self.leave();
        Ok(value)
    }

    fn map<V: Visitor<'de>>(&mut self, len: usize, fields: Fields<'_>, visitor: V) -> Result<V::Value> {
        let start = self.input.offset();
        self.enter()?;
        let mut access = MapAccess::new(self, len, fields);
        let value = visitor.visit_map(&mut access).map_err(|error| error.at(start))?;
        access.finish()?;
        self.leave();
        Ok(value)
    }

    fn properties<V: Visitor<'de>>(&mut self, token: &Token<'de>, visitor: V) -> Result<V::Value> {
        let start = self.input.offset();
        self.enter()?;
        let mut access = PropertyAccess::new(self, token);
        let value = visitor.visit_map(&mut access).map_err(|error| error.at(start))?;
        access.finish()?;
        self.leave();
        Ok(value)
    }

    /// A map or a list of properties.
    fn keyed<V: Visitor<'de>>(
        &mut self,
        token: Token<'de>,
        fields: Fields<'_>,
        visitor: V,
    ) -> Result<V::Value> {
        match token {
            Token::Map(len) => self.map(len, fields, visitor),
            Token::List(_) | Token::Nil => self.properties(&token, visitor),
            token => self.wrong(&token, &visitor),
        }
    }

    /// Text from a binary, a charlist or an atom.
    fn text(&mut self, token: Token<'de>, expected: &dyn Expected) -> Result<Cow<'de, str>> {
        match token {
            Token::Binary(Cow::Borrowed(bytes)) => match utf8(bytes) {
                Some(text) => Ok(Cow::Borrowed(text)),
                None => self.wrong(&Token::Binary(Cow::Borrowed(bytes)), expected),
            },
            Token::Binary(Cow::Owned(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(error) => self.wrong(&Token::Binary(Cow::Owned(error.into_bytes())), expected),
            },
            Token::Bytes(Cow::Borrowed(bytes)) if bytes.is_ascii() => {
                Ok(Cow::Borrowed(std::str::from_utf8(bytes).expect("ASCII is UTF-8")))
            }
            Token::Bytes(bytes) => Ok(bytes.iter().map(|&byte| char::from(byte)).collect()),
            Token::Nil => Ok(Cow::Borrowed("")),
            Token::List(len) => {
                let mut text = String::with_capacity(len.min(self.input.elements_left()));
                self.integers(len, expected, |int| {
                    let c = u32::try_from(int).ok().and_then(char::from_u32)?;
                    text.push(c);
                    Some(())
                })?;
                Ok(text.into())
            }
            // An atom is text too, but not one of those that say that there is none.
            Token::Atom(text) if !ABSENT.contains(&&*text) => Ok(text),
            token => self.wrong(&token, expected),
        }
    }

    fn bytes(&mut self, token: Token<'de>, expected: &dyn Expected) -> Result<Cow<'de, [u8]>> {
        match token {
            Token::Binary(bytes) | Token::Bytes(bytes) => Ok(bytes),
            Token::Nil => Ok(Cow::Borrowed(&[])),
            Token::List(len) => {
                let mut bytes = Vec::with_capacity(len.min(self.input.elements_left()));
                self.integers(len, expected, |int| {
                    bytes.push(u8::try_from(int).ok()?);
                    Some(())
                })?;
                Ok(bytes.into())
            }
            token => self.wrong(&token, expected),
        }
    }

    /// The elements of a list that must be integers, to its end.
    fn integers(
        &mut self,
        mut left: usize,
        expected: &dyn Expected,
        mut add: impl FnMut(i64) -> Option<()>,
    ) -> Result<()> {
        loop {
            match self.input.next()? {
                Token::Int(int) if left > 0 => {
                    if add(int).is_none() {
                        return self.wrong(&Token::Int(int), expected);
                    }
                    left -= 1;
                }
                Token::Nil if left == 0 => return Ok(()),
                Token::List(more) if left == 0 => left = more,
                Token::Bytes(bytes) if left == 0 => {
                    for &byte in &*bytes {
                        if add(i64::from(byte)).is_none() {
                            return self.wrong(&Token::Int(i64::from(byte)), expected);
                        }
                    }
                    return Ok(());
                }
                token => return self.wrong(&token, expected),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn any_integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let token = self.input.next()?;
        self.integer(&token, visitor)
    }

    #[cold]
    #[inline(never)]
    fn any_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let token = self.input.next()?;
        let text = self.text(token, &visitor)?;
        visit_text(text, visitor)
    }

    #[cold]
    #[inline(never)]
    fn any_identifier<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.input.next()? {
            Token::Atom(text) => visit_text(text, visitor),
            Token::Int(int) => match u64::try_from(int) {
                Ok(int) => visitor.visit_u64(int),
                Err(_) => self.wrong(&Token::Int(int), &visitor),
            },
            token => {
                let text = self.text(token, &visitor)?;
                visit_text(text, visitor)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn any_tuple<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value> {
        match self.input.next()? {
            Token::Tuple(arity) if arity == len => self.tuple(arity, visitor),
            token @ (Token::List(_) | Token::Nil | Token::Bytes(_) | Token::Binary(_)) => {
                self.list(token, visitor)
            }
            token => self.wrong(&token, &visitor),
        }
    }

    #[cold]
    #[inline(never)]
    fn any_variant<V: Visitor<'de>>(&mut self, name: &'static str, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let (tag, left) = match self.input.next()? {
            Token::Tuple(arity @ 1..) => (self.input.next()?, Some(arity - 1)),
            token => (token, None),
        };
        let tag = match tag {
            // Numbers are no tags, and a list is one only as text.
            Token::Tuple(_) | Token::Map(_) | Token::Nil => return self.wrong(&tag, &visitor),
            tag => Tag::new(name, self.text(tag, &visitor)?),
        };
        let value = visitor.visit_enum(Tagged::new(&mut *self, tag, left))?;
        self.leave();
        Ok(value)
    }

    #[inline]
    fn integer<V: Visitor<'de>>(&self, token: &Token<'de>, visitor: V) -> Result<V::Value> {
        match *token {
            Token::Int(int) => match u64::try_from(int) {
                Ok(int) => visitor.visit_u64(int),
                Err(_) => visitor.visit_i64(int),
            },
            Token::Wide(int) => match u64::try_from(int) {
                Ok(int) => visitor.visit_u64(int),
                Err(_) => visitor.visit_i128(int),
            },
            Token::WideUnsigned(int) => visitor.visit_u128(int),
            _ => self.wrong(token, &visitor),
        }
    }

    #[inline]
    fn number<V: Visitor<'de>>(&self, token: &Token<'de>, visitor: V) -> Result<V::Value> {
        match *token {
            Token::Float(float) => visitor.visit_f64(float),
            _ => self.integer(token, visitor),
        }
    }
}

/// The atoms that say that something is not there.
const ABSENT: [&str; 2] = ["nil", "undefined"];

/// What is known of the keys of a map.
pub(super) struct Fields<'a> {
    /// The module that `__struct__` must name, where it names one.
    module: Option<Cow<'a, str>>,
    /// Whether the type itself has a field `__struct__`.
    has_module: bool,
}

impl Fields<'_> {
    const ANY: Self = Self { module: None, has_module: false };
}

pub(super) fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn visit_bytes<'de, V: Visitor<'de>>(bytes: Cow<'de, [u8]>, visitor: V) -> Result<V::Value> {
    match bytes {
        Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
        Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            if let Some(int) = self.input.small_int() {
                return match u64::try_from(int) {
                    Ok(int) => visitor.visit_u64(int),
                    Err(_) => visitor.visit_i64(int),
                };
            }
            self.any_integer(visitor)
        }
    )*};
}

impl<'de, I: Input<'de>> Deserializer<'de> for &mut Reader<'_, I> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        self.options.human_readable
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.input.next()? {
            token @ (Token::Int(_) | Token::Wide(_) | Token::WideUnsigned(_) | Token::Float(_)) => {
                self.number(&token, visitor)
            }
            Token::Atom(text) => match &*text {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                "nil" | "undefined" => visitor.visit_unit(),
                _ => visit_text(text, visitor),
            },
            Token::Binary(Cow::Borrowed(bytes)) => match utf8(bytes) {
                Some(text) => visitor.visit_borrowed_str(text),
                None => visitor.visit_borrowed_bytes(bytes),
            },
            Token::Binary(Cow::Owned(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => visitor.visit_string(text),
                Err(error) => visitor.visit_byte_buf(error.into_bytes()),
            },
            Token::Tuple(arity) => self.tuple(arity, visitor),
            token @ (Token::List(_) | Token::Bytes(_) | Token::Nil) => self.list(token, visitor),
            // Who does not know what it is may tell by its `__struct__`.
            Token::Map(len) => self.map(len, Fields { module: None, has_module: true }, visitor),
            token @ Token::Other(_) => self.wrong(&token, &visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        for value in [true, false] {
            if self.input.is_atom(&[if value { "true" } else { "false" }]) {
                self.input.skip()?;
                return visitor.visit_bool(value);
            }
        }
        let token = self.input.next()?;
        self.wrong(&token, &visitor)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    /// One past the range of 32 bits would be an infinity, which has no term.
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.input.next()? {
            Token::Float(float) if float.abs() > f64::from(f32::MAX) => {
                Err(Error::invalid_value(Unexpected::Float(float), &"a float of 32 bits"))
            }
            token => self.number(&token, visitor),
        }
    }

    /// An integer is a float too: what is written as `1` may well be meant as `1.0`.
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let token = self.input.next()?;
        self.number(&token, visitor)
    }

    /// A code point, or text of one character.
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.input.next()? {
            Token::Int(int) => match u32::try_from(int).ok().and_then(char::from_u32) {
                Some(c) => visitor.visit_char(c),
                None => Err(Error::invalid_value(Unexpected::Signed(int), &visitor)),
            },
            token => {
                let text = self.text(token, &visitor)?;
                visit_text(text, visitor)
            }
        }
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.input.short_binary() {
            return visitor.visit_borrowed_str(text);
        }
        if let Some(text) = self.input.short_atom() {
            return match ABSENT.contains(&text) {
                false => visitor.visit_borrowed_str(text),
                true => self.wrong(&Token::Atom(Cow::Borrowed(text)), &visitor),
            };
        }
        self.any_text(visitor)
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let token = self.input.next()?;
        let bytes = self.bytes(token, &visitor)?;
        visit_bytes(bytes, visitor)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let may_be_absent = self.input.is_atom_starting(3, b'n') || self.input.is_atom_starting(9, b'u');
        if may_be_absent && self.input.is_atom(&ABSENT) {
            self.input.skip()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    /// `ok`, which is what Erlang returns where there is nothing to say; or what stands for nothing.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.input.next()? {
            Token::Atom(text) if text == "ok" || ABSENT.contains(&&*text) => visitor.visit_unit(),
            Token::Nil | Token::Tuple(0) => visitor.visit_unit(),
            token => self.wrong(&token, &visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if self.input.is_atom(&[name]) {
            self.input.skip()?;
            return visitor.visit_unit();
        }
        let token = self.input.next()?;
        self.wrong(&token, &visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match name {
            TERM => visit_bytes(self.input.raw()?, visitor),
            ATOM => match self.input.next()? {
                Token::Atom(text) => visit_text(text, visitor),
                token => self.wrong(&token, &visitor),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    /// A list, a tuple, or a binary as its bytes.
    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.input.next()? {
            token @ (Token::List(_) | Token::Nil | Token::Bytes(_) | Token::Binary(_)) => {
                self.list(token, visitor)
            }
            Token::Tuple(arity) => self.tuple(arity, visitor),
            token => self.wrong(&token, &visitor),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        if self.input.small_tuple_of(len) {
            return self.tuple(len, visitor);
        }
        self.any_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let token = self.input.next()?;
        self.keyed(token, Fields::ANY, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.input.next()? {
            // Of a record, the name comes first.
            Token::Tuple(arity) if arity == fields.len() + 1 && self.input.is_atom(&[name]) => {
                self.input.skip()?;
                self.tuple(arity - 1, visitor)
            }
            token => {
                let module = self.options.module_of(name);
                self.keyed(token, Fields { module, has_module: fields.contains(&STRUCT) }, visitor)
            }
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        // A bare atom is the usual thing.
        if let Some(text) = self.input.short_atom() {
            return visitor.visit_enum(Tagged::new(self, Tag::new(name, Cow::Borrowed(text)), None));
        }
        self.any_variant(name, visitor)
    }

    #[inline(always)]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.input.short_atom() {
            return visitor.visit_borrowed_str(text);
        }
        self.any_identifier(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.input.skip()?;
        visitor.visit_unit()
    }
}

/// The key by which Elixir knows a struct.
pub(super) const STRUCT: &str = "__struct__";
