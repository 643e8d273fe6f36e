//! Lists, tuples, maps and structs as they are written: what is not known at first is filled in at the end.

use std::ops::Range;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Error, ErrorReason, Names, Result, STRUCT, Segment, Writer, len_u32, tag};

/// A list. One of bytes alone becomes what Erlang calls a string, as `term_to_binary` does.
pub(crate) struct List<'a, 'o> {
    writer: &'a mut Writer<'o>,
    start: usize,
    len: usize,
    only_bytes: bool,
}

impl<'a, 'o> List<'a, 'o> {
    pub(super) fn new(writer: &'a mut Writer<'o>) -> Self {
        let start = writer.out.len();
        writer.out.extend_from_slice(&[tag::LIST, 0, 0, 0, 0]);
        Self { writer, start, len: 0, only_bytes: true }
    }
}

impl SerializeSeq for List<'_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let before = self.writer.out.len();
        value.serialize(&mut *self.writer).map_err(|error| error.inside(Segment::Index(self.len)))?;
        self.len += 1;
        let written = &self.writer.out[before..];
        self.only_bytes &= written.len() == 2 && written[0] == tag::SMALL_INTEGER;
        Ok(())
    }

    fn end(self) -> Result<()> {
        let Self { writer, start, len, only_bytes } = self;
        let body = start + HEADER;
        if len == 0 {
            writer.out.truncate(start);
            writer.out.push(tag::NIL);
            return Ok(());
        }
        if only_bytes && let Ok(len) = u16::try_from(len) {
            writer.out[start] = tag::STRING;
            writer.out[start + 1..start + 3].copy_from_slice(&len.to_be_bytes());
            for i in 0..usize::from(len) {
                writer.out[start + 3 + i] = writer.out[body + 2 * i + 1];
            }
            writer.out.truncate(start + 3 + usize::from(len));
            return Ok(());
        }
        writer.out[start + 1..body].copy_from_slice(&len_u32(len)?.to_be_bytes());
        writer.out.push(tag::NIL);
        Ok(())
    }
}

/// A tuple of a known number of elements.
pub(crate) struct Tuple<'a, 'o> {
    writer: &'a mut Writer<'o>,
    announced: usize,
    found: usize,
}

impl<'a, 'o> Tuple<'a, 'o> {
    pub(super) fn new(writer: &'a mut Writer<'o>, announced: usize) -> Self {
        Self { writer, announced, found: 0 }
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.writer).map_err(|error| error.inside(Segment::Index(self.found)))?;
        self.found += 1;
        Ok(())
    }

    #[inline]
    fn finish(self) -> Result<()> {
        let Self { announced, found, .. } = self;
        if announced == found { Ok(()) } else { Err(Error::new(ErrorReason::Length { announced, found })) }
    }
}

macro_rules! tuple_traits {
    ($($of:ident $method:ident)*) => {$(
        impl $of for Tuple<'_, '_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<()> {
                self.finish()
            }
        }
    )*};
}
tuple_traits!(SerializeTuple serialize_element SerializeTupleStruct serialize_field SerializeTupleVariant serialize_field);

/// A map of whatever keys.
pub(crate) struct Map<'a, 'o> {
    writer: &'a mut Writer<'o>,
    start: usize,
    keys: Vec<Range<usize>>,
}

impl<'a, 'o> Map<'a, 'o> {
    pub(super) fn new(writer: &'a mut Writer<'o>) -> Self {
        let start = writer.out.len();
        writer.out.extend_from_slice(&[tag::MAP, 0, 0, 0, 0]);
        Self { writer, start, keys: Vec::new() }
    }
}

impl SerializeMap for Map<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let start = self.writer.out.len();
        if self.writer.options.map_keys == Names::Atom {
            self.writer.atom_at = start;
        }
        key.serialize(&mut *self.writer)?;
        self.keys.push(start..self.writer.out.len());
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.writer).map_err(|error| {
            let key = self.keys.last().map_or(&[][..], |key| &self.writer.out[key.clone()]);
            error.inside(segment(key))
        })
    }

    fn end(self) -> Result<()> {
        let Self { writer, start, keys } = self;
        let len = len_u32(keys.len())?;
        writer.out[start + 1..start + HEADER].copy_from_slice(&len.to_be_bytes());
        if has_twice(writer.out, keys) { Err(Error::new(ErrorReason::DuplicateKey)) } else { Ok(()) }
    }
}

/// The key at the end of the bytes as a step of the way to an error.
#[cold]
fn segment(key: &[u8]) -> Segment {
    let stored = [&[tag::VERSION], key].concat();
    match crate::decode(&stored.into(), &crate::DecodeLimits::default()) {
        Ok(term) => crate::serde::token::segment_of(&term),
        Err(_) => Segment::Key("?".into()),
    }
}

/// Whether two of the keys are the same bytes.
fn has_twice(out: &[u8], mut keys: Vec<Range<usize>>) -> bool {
    /// As many are compared sooner than they are hashed.
    const FEW_MAX: usize = 8;
    if keys.len() <= FEW_MAX {
        let mut keys = keys.into_iter();
        return std::iter::from_fn(|| keys.next().map(|key| (key, keys.clone())))
            .any(|(key, mut rest)| rest.any(|other| out[other] == out[key.clone()]));
    }
    // Keys that come in order need no look at their neighbours' neighbours.
    if keys.is_sorted_by(|a, b| out[a.clone()] < out[b.clone()]) {
        return false;
    }
    let mut hashed: Vec<(u64, Range<usize>)> =
        keys.drain(..).map(|key| (hash(&out[key.clone()]), key)).collect();
    hashed.sort_unstable_by_key(|(hash, _)| *hash);
    // Few have the same hash, unless someone is at pains: then they are sorted as well.
    hashed.chunk_by_mut(|(a, _), (b, _)| a == b).any(|same| {
        same.sort_unstable_by(|(_, a), (_, b)| out[a.clone()].cmp(&out[b.clone()]));
        same.windows(2).any(|pair| out[pair[0].1.clone()] == out[pair[1].1.clone()])
    })
}

/// A number that is seldom that of another key.
fn hash(key: &[u8]) -> u64 {
    /// Odd, and its bits look random.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = key.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let start = (key.len() as u64).wrapping_mul(FACTOR);
    words
        .iter()
        .chain([&last])
        .fold(start, |hash, word| (hash.rotate_left(29) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR))
}

/// The fields of a struct.
pub(crate) struct Fields<'a, 'o> {
    writer: &'a mut Writer<'o>,
    start: usize,
    len: usize,
    of: FieldsOf,
    has_module: bool,
}

/// What fields are put into.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum FieldsOf {
    Map,
    Record,
}

impl<'a, 'o> Fields<'a, 'o> {
    pub(super) fn new(writer: &'a mut Writer<'o>, of: FieldsOf) -> Self {
        let start = writer.out.len();
        match of {
            FieldsOf::Map => writer.out.extend_from_slice(&[tag::MAP, 0, 0, 0, 0]),
            FieldsOf::Record => writer.out.extend_from_slice(&[tag::SMALL_TUPLE, 0]),
        }
        Self { writer, start, len: 0, of, has_module: false }
    }

    /// Elixir's name of the struct.
    pub(super) fn module(&mut self, module: &str) -> Result<()> {
        self.writer.atom(STRUCT)?;
        self.writer.atom(module)?;
        self.has_module = true;
        self.len += 1;
        Ok(())
    }

    /// The name that leads a record.
    pub(super) fn record_name(mut self, name: &str) -> Result<Self> {
        self.writer.atom(name)?;
        self.len += 1;
        Ok(self)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        if self.of == FieldsOf::Map {
            if name == STRUCT {
                if self.has_module {
                    return Err(Error::new(ErrorReason::DuplicateKey));
                }
                // A module, as in an enum with `#[serde(tag = "__struct__")]`.
                self.writer.atom(STRUCT)?;
                self.writer.atom_at = self.writer.out.len();
            } else {
                self.writer.name(name)?;
            }
        }
        value.serialize(&mut *self.writer).map_err(|error| error.inside(Segment::Field(name.into())))?;
        self.len += 1;
        Ok(())
    }

    /// A record has all its places, whatever is in them.
    fn skip(&mut self) -> Result<()> {
        if self.of == FieldsOf::Record {
            self.writer.absent()?;
            self.len += 1;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let Self { writer, start, len, of, .. } = self;
        match of {
            FieldsOf::Map => {
                writer.out[start + 1..start + HEADER].copy_from_slice(&len_u32(len)?.to_be_bytes());
            }
            FieldsOf::Record => {
                let max = usize::from(u8::MAX);
                writer.out[start + 1] =
                    u8::try_from(len).map_err(|_| Error::new(ErrorReason::TooLong { len, max }))?;
            }
        }
        Ok(())
    }
}

macro_rules! fields_traits {
    ($($of:ident)*) => {$(
        impl $of for Fields<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.field(name, value)
            }

            fn skip_field(&mut self, _: &'static str) -> Result<()> {
                self.skip()
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        }
    )*};
}
fields_traits!(SerializeStruct SerializeStructVariant);

/// The bytes of a tag and a length of 32 bits.
const HEADER: usize = 5;
