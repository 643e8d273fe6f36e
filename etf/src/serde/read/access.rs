//! The parts of tuples, lists, maps and lists of properties.

use std::{borrow::Cow, collections::BTreeSet};

use serde::de::{self, DeserializeSeed};

use crate::{
    serde::{
        error::{Error, ErrorReason, Segment},
        read::{Fields, Reader, STRUCT},
        token::{Input, Result, Token},
    },
    tag,
};

/// The elements of a tuple.
pub(super) struct TupleAccess<'a, 'o, I> {
    reader: &'a mut Reader<'o, I>,
    left: usize,
    index: usize,
}

impl<'a, 'de, 'o, I: Input<'de>> TupleAccess<'a, 'o, I> {
    pub(super) fn new(reader: &'a mut Reader<'o, I>, left: usize) -> Self {
        Self { reader, left, index: 0 }
    }

    /// Behind the last element that the type has taken there must be no more.
    #[inline]
    pub(super) fn finish(self) -> Result<()> {
        if self.left == 0 { Ok(()) } else { Err(too_many(self.index, self.index + self.left)) }
    }
}

#[cold]
fn too_many(taken: usize, found: usize) -> Error {
    Error::expected(&format!("{taken} elements"), format!("{found}"))
}

impl<'de, I: Input<'de>> de::SeqAccess<'de> for TupleAccess<'_, '_, I> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.index += 1;
        match seed.deserialize(&mut *self.reader) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.reader.in_element(error, self.index - 1)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.input.elements_left()))
    }
}

/// The elements of a list, or of what stands for one.
pub(super) struct ListAccess<'a, 'de, 'o, I> {
    reader: &'a mut Reader<'o, I>,
    rest: Rest<'de>,
    index: usize,
}

enum Rest<'de> {
    /// So many elements, and a tail.
    Terms(usize),
    /// Bytes from here on.
    Bytes(Cow<'de, [u8]>, usize),
    End,
}

impl<'a, 'de, 'o, I: Input<'de>> ListAccess<'a, 'de, 'o, I> {
    pub(super) fn new(reader: &'a mut Reader<'o, I>, token: Token<'de>) -> Self {
        let rest = match token {
            Token::List(len) => Rest::Terms(len),
            Token::Bytes(bytes) | Token::Binary(bytes) => Rest::Bytes(bytes, 0),
            _ => Rest::End,
        };
        Self { reader, rest, index: 0 }
    }

    /// Behind the last element that the type has taken there must be the end.
    #[inline]
    pub(super) fn finish(mut self) -> Result<()> {
        let left = match &self.rest {
            Rest::Terms(0) => {
                self.tail()?;
                return match self.rest {
                    Rest::End => Ok(()),
                    _ => self.finish(),
                };
            }
            Rest::Terms(left) => *left,
            Rest::Bytes(bytes, at) => bytes.len() - at,
            Rest::End => 0,
        };
        if left == 0 { Ok(()) } else { Err(too_many(self.index, self.index + left)) }
    }

    /// Reads the tail, which ends the list or goes on with it.
    fn tail(&mut self) -> Result<()> {
        self.rest = match self.reader.input.next()? {
            Token::Nil => Rest::End,
            Token::List(len) => Rest::Terms(len),
            Token::Bytes(bytes) => Rest::Bytes(bytes, 0),
            token => return self.reader.wrong(&token, &"the end of the list"),
        };
        Ok(())
    }
}

impl<'de, I: Input<'de>> de::SeqAccess<'de> for ListAccess<'_, 'de, '_, I> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        loop {
            let result = match &mut self.rest {
                Rest::Terms(0) => {
                    self.tail()?;
                    continue;
                }
                Rest::Terms(left) => {
                    *left -= 1;
                    seed.deserialize(&mut *self.reader)
                }
                Rest::Bytes(bytes, at) => {
                    let Some(&byte) = bytes.get(*at) else { return Ok(None) };
                    *at += 1;
                    self.reader.aside(&[tag::SMALL_INTEGER, byte], seed)
                }
                Rest::End => return Ok(None),
            };
            self.index += 1;
            return match result {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(self.reader.in_element(error, self.index - 1)),
            };
        }
    }

    fn size_hint(&self) -> Option<usize> {
        match &self.rest {
            Rest::Terms(left) => Some((*left).min(self.reader.input.elements_left())),
            Rest::Bytes(bytes, at) => Some(bytes.len() - at),
            Rest::End => Some(0),
        }
    }
}

/// The keys and values of a map.
pub(super) struct MapAccess<'a, 'f, 'de, 'o, I: Input<'de>> {
    reader: &'a mut Reader<'o, I>,
    left: usize,
    fields: Fields<'f>,
    /// Where the last key is.
    key: I::Mark,
}

impl<'a, 'f, 'de, 'o, I: Input<'de>> MapAccess<'a, 'f, 'de, 'o, I> {
    pub(super) fn new(reader: &'a mut Reader<'o, I>, left: usize, fields: Fields<'f>) -> Self {
        let key = reader.input.mark();
        Self { reader, left, fields, key }
    }

    #[inline]
    pub(super) fn finish(self) -> Result<()> {
        if self.left == 0 { Ok(()) } else { Err(too_many(0, self.left)) }
    }

    /// Elixir's name of a struct is no field, but it must be the right one.
    #[cold]
    fn module(&mut self) -> Result<()> {
        let input = &mut self.reader.input;
        input.skip()?;
        match &self.fields.module {
            Some(expected) if !input.is_atom(&[expected]) => {
                let (expected, found) = (expected.to_string(), input.next()?.describe());
                let error = Error::new(ErrorReason::Struct { expected, found });
                Err(self.reader.here(error))
            }
            _ => input.skip(),
        }
    }
}

impl<'de, I: Input<'de>> de::MapAccess<'de> for MapAccess<'_, '_, 'de, '_, I> {
    type Error = Error;

    #[inline(always)]
    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            self.left -= 1;
            let may_be_module = self.reader.input.is_atom_starting(10, b'_') && !self.fields.has_module;
            if !may_be_module || !self.reader.input.is_atom(&[STRUCT]) {
                break;
            }
            self.module()?;
        }
        self.key = self.reader.input.mark();
        match seed.deserialize(&mut *self.reader) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.reader.here(error)),
        }
    }

    #[inline(always)]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        match seed.deserialize(&mut *self.reader) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.reader.in_value(error, self.key)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.input.elements_left()))
    }
}

/// The keys and values of a list of properties: `{Key, Value}`, or `Key` for `{Key, true}`. Of a key that comes more
/// than once the first counts, as for `proplists:get_value/2`.
pub(super) struct PropertyAccess<'a, 'de, 'o, I: Input<'de>> {
    reader: &'a mut Reader<'o, I>,
    left: usize,
    ended: bool,
    /// Whether the value is `true` without being there.
    is_flag: bool,
    key: I::Mark,
    index: usize,
    seen: Seen<I::Key>,
}

impl<'a, 'de, 'o, I: Input<'de>> PropertyAccess<'a, 'de, 'o, I> {
    pub(super) fn new(reader: &'a mut Reader<'o, I>, token: &Token<'de>) -> Self {
        let left = if let Token::List(len) = token { *len } else { 0 };
        let (ended, key) = (matches!(token, Token::Nil), reader.input.mark());
        Self { reader, left, ended, is_flag: false, key, index: 0, seen: Seen::default() }
    }

    /// The type takes properties to their end, or fails.
    pub(super) fn finish(self) -> Result<()> {
        if self.ended { Ok(()) } else { Err(too_many(self.index, self.index + self.left)) }
    }

    /// Goes to the next property that counts, up to its key. False at the end of the list.
    fn next_property(&mut self) -> Result<bool> {
        loop {
            while self.left == 0 {
                if self.ended {
                    return Ok(false);
                }
                match self.reader.input.next()? {
                    Token::Nil => self.ended = true,
                    Token::List(len) => self.left = len,
                    token => return self.reader.wrong(&token, &"the end of the list"),
                }
            }
            self.left -= 1;
            self.index += 1;
            self.is_flag = self.reader.input.is_any_atom();
            if !self.is_flag {
                match self.reader.input.next()? {
                    Token::Tuple(2) => {}
                    token => {
                        let wrong: Result<bool> = self.reader.wrong(&token, &"a property");
                        return wrong.map_err(|error| error.inside(Segment::Index(self.index - 1)));
                    }
                }
            }
            self.key = self.reader.input.mark();
            if self.seen.insert(self.reader.input.key()?) {
                return Ok(true);
            }
            self.reader.input.skip()?;
            if !self.is_flag {
                self.reader.input.skip()?;
            }
        }
    }
}

impl<'de, I: Input<'de>> de::MapAccess<'de> for PropertyAccess<'_, 'de, '_, I> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.next_property()? {
            return Ok(None);
        }
        match seed.deserialize(&mut *self.reader) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.reader.here(error)),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        let value =
            if self.is_flag { self.reader.aside(TRUE, seed) } else { seed.deserialize(&mut *self.reader) };
        value.map_err(|error| self.reader.in_value(error, self.key))
    }
}

/// The value of a property that is only a key.
const TRUE: &[u8] = b"\x77\x04true";

/// The keys that came.
struct Seen<K> {
    few: Vec<K>,
    many: BTreeSet<K>,
}

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self { few: Vec::new(), many: BTreeSet::new() }
    }
}

impl<K: Ord> Seen<K> {
    /// As many are found sooner by looking at each than by a search.
    const FEW_MAX: usize = 16;

    /// Whether the key is new.
    fn insert(&mut self, key: K) -> bool {
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < Self::FEW_MAX {
            self.few.push(key);
            return true;
        }
        self.many.insert(key)
    }
}
