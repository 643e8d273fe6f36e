//! The way to a place in the bytes of a term.
//!
//! Decoding keeps no account of where it is, which would cost every good term. When it failed, the bytes are walked
//! again up to the place.

use std::fmt;

use crate::{
    Atom, DecodeError, DecodeLimits,
    cursor::{Cursor, Kind, inflated, skip},
    decode::reader::Reader,
    tag,
};

/// The way from a whole term to a part of it. It prints as `root[2][17].name`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TermPath {
    /// From the outside in.
    pub segments: Vec<PathSegment>,
}

/// A step on the way to a part of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathSegment {
    /// An element of a tuple or list, the first is 0.
    Index(usize),
    /// The tail of a list.
    Tail,
    /// The value of a map's key; the key as Erlang prints it, if it is short.
    Value(String),
    /// A key of a map, the first is 0.
    Key(usize),
    /// A field of a native record.
    Field(String),
    /// A value that a closure closes over, the first is 0.
    Free(usize),
}

/// The longest key that is shown, in bytes of the format.
const KEY_BYTES_MAX: usize = 64;

impl DecodeError {
    /// The way to the term that is at fault, of a term that [`decode`](crate::decode()) was given, or one of its
    /// kin for stored terms.
    #[must_use]
    pub fn path(&self, input: &[u8]) -> TermPath {
        let input = match self.inflated {
            true => match inflated(input, &DecodeLimits { bytes_max: usize::MAX, ..DecodeLimits::default() })
            {
                Ok(inflated) => inflated,
                Err(_) => return TermPath::default(),
            },
            false => input.into(),
        };
        // The 131, which is not among what was inflated.
        let start = usize::from(input.first() == Some(&tag::VERSION));
        walk(Reader::new(&input, start, None), self.offset + usize::from(self.inflated))
    }

    /// The same for a term of a distribution message, as [`decode_bare`](crate::decode_bare()) was given it.
    #[must_use]
    pub fn path_bare(&self, input: &[u8], at: usize, atoms: &[Atom]) -> TermPath {
        match input.get(at..) {
            Some(_) => walk(Reader::new(input, at, Some(atoms)), self.offset),
            None => TermPath::default(),
        }
    }
}

/// A term that the walk is in.
struct Open<'a> {
    kind: Kind,
    /// How many of its terms were begun, and how many there are.
    begun: usize,
    count: usize,
    /// In front of what came last, in a map.
    last: Cursor<'a>,
    /// The names of a record's fields.
    names: Vec<String>,
}

fn walk(mut reader: Reader<'_>, offset: usize) -> TermPath {
    let mut open: Vec<Open<'_>> = Vec::new();
    // How many of these hold the term that was begun last.
    let mut around = 0;
    while reader.at() <= offset {
        while open.last().is_some_and(|inner| inner.begun == inner.count) {
            open.pop();
        }
        let here = Cursor { reader: reader.clone() };
        if let Some(inner) = open.last_mut() {
            inner.begun += 1;
            if inner.kind != Kind::Map || inner.begun % 2 == 1 {
                inner.last = here.clone();
            }
        }
        around = open.len();
        let Ok(kind) = here.peek() else { break };
        let names = if kind == Kind::Record { names_of(here.clone()) } else { Vec::new() };
        let Ok(count) = skip::skip_one(&mut reader) else { break };
        if count > 0 {
            open.push(Open { kind, begun: 0, count, last: here, names });
        } else if open.is_empty() {
            break;
        }
    }
    // A term's end is where the next begins, but what is at fault there is what was begun before.
    open.truncate(around);
    TermPath { segments: open.iter().map(Open::segment).collect() }
}

impl Open<'_> {
    fn segment(&self) -> PathSegment {
        let index = self.begun.saturating_sub(1);
        match self.kind {
            Kind::List if self.begun == self.count => PathSegment::Tail,
            Kind::Map if self.begun % 2 == 1 => PathSegment::Key(index / 2),
            Kind::Map => PathSegment::Value(self.key()),
            Kind::Record => match self.names.get(index) {
                Some(name) => PathSegment::Field(name.clone()),
                None => PathSegment::Index(index),
            },
            Kind::Closure => PathSegment::Free(index),
            _ => PathSegment::Index(index),
        }
    }

    /// The key before the value that was begun last.
    fn key(&self) -> String {
        let mut last = self.last.clone();
        let short = last.clone().raw().is_ok_and(|bytes| bytes.len() <= KEY_BYTES_MAX);
        match last.term(&DecodeLimits::default()) {
            Ok(key) if short => key.to_string(),
            _ => format!("key {}", (self.begun - 1) / 2),
        }
    }
}

fn names_of(mut record: Cursor<'_>) -> Vec<String> {
    let mut names = Vec::new();
    let mut read = || {
        let reader = &mut record.reader;
        reader.u8()?;
        let len = reader.u32()? as usize;
        reader.check_left(0, 3 * len)?;
        reader.u8()?;
        Ok::<usize, Box<DecodeError>>(len)
    };
    let len = read().unwrap_or(0);
    for n in 0..len + 2 {
        match record.atom() {
            Ok(name) if n >= 2 => names.push(name.into_owned()),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    names
}

impl fmt::Display for TermPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("root")?;
        for segment in &self.segments {
            write!(f, "{segment}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PathSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Tail => f.write_str(".tail"),
            Self::Value(key) => write!(f, "[{key}]"),
            Self::Key(index) => write!(f, ".key[{index}]"),
            Self::Field(name) => write!(f, ".{name}"),
            Self::Free(index) => write!(f, ".free[{index}]"),
        }
    }
}
