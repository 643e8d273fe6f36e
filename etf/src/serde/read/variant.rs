//! Enums: an atom, or a tuple that an atom leads.

use std::borrow::Cow;

use serde::de::{
    self, DeserializeSeed, Visitor,
    value::{CowStrDeserializer, UnitDeserializer},
};

use crate::serde::{
    error::Error,
    read::{Fields, Reader},
    token::{Input, Result},
};

/// Which variant it is.
pub(super) struct Tag<'de>(Cow<'de, str>);

impl<'de> Tag<'de> {
    /// What the term says, in Rust's word: `ok` and `error` are those of a `Result`.
    pub(super) fn new(enum_name: &str, text: Cow<'de, str>) -> Self {
        Self(match (enum_name, &*text) {
            ("Result", "ok") => "Ok".into(),
            ("Result", "error") => "Err".into(),
            _ => text,
        })
    }
}

/// A variant and what is in it.
pub(super) struct Tagged<'a, 'de, 'o, I> {
    reader: &'a mut Reader<'o, I>,
    tag: Tag<'de>,
    /// How many elements follow in the tuple, or nothing if there is none.
    left: Option<usize>,
}

impl<'a, 'de, 'o, I: Input<'de>> Tagged<'a, 'de, 'o, I> {
    pub(super) fn new(reader: &'a mut Reader<'o, I>, tag: Tag<'de>, left: Option<usize>) -> Self {
        Self { reader, tag, left }
    }
}

impl<'a, 'de, 'o, I: Input<'de>> de::EnumAccess<'de> for Tagged<'a, 'de, 'o, I> {
    type Error = Error;
    type Variant = Content<'a, 'o, I>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant)> {
        let content = Content { reader: self.reader, left: self.left };
        match seed.deserialize(CowStrDeserializer::<Error>::new(self.tag.0)) {
            Ok(value) => Ok((value, content)),
            Err(error) => Err(error.at(content.reader.input.offset())),
        }
    }
}

/// What is in a variant.
pub(super) struct Content<'a, 'o, I> {
    reader: &'a mut Reader<'o, I>,
    left: Option<usize>,
}

impl<'de, I: Input<'de>> Content<'_, '_, I> {
    /// A tuple that holds more or fewer than the variant takes.
    #[cold]
    fn wrong<T>(&self, expected: &str) -> Result<T> {
        let found = match self.left {
            None => "the bare tag".to_owned(),
            Some(left) => format!("a tuple with {left} elements after its tag"),
        };
        Err(Error::expected(expected, found).at(self.reader.input.offset()))
    }
}

impl<'de, I: Input<'de>> de::VariantAccess<'de> for Content<'_, '_, I> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        match self.left {
            None | Some(0) => Ok(()),
            Some(_) => self.wrong("a variant that holds nothing: the bare tag"),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        match self.left {
            Some(1) => seed.deserialize(self.reader),
            // `ok` is `Ok(())`.
            None => {
                let nothing = seed.deserialize(UnitDeserializer::<Error>::new());
                nothing.or_else(|_| self.wrong("a pair: the tag and its value"))
            }
            Some(_) => self.wrong("a pair: the tag and its value"),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        match self.left {
            Some(left) if left == len => self.reader.tuple(left, visitor),
            _ => self.wrong(&format!("a tuple with {len} elements after its tag")),
        }
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        match self.left {
            Some(1) => {
                let token = self.reader.input.next()?;
                self.reader.keyed(token, Fields::ANY, visitor)
            }
            _ => self.wrong("a pair: the tag and its fields"),
        }
    }
}
