//! What a reader reads from: a term as a flat row of tokens, whether it lies there as bytes or as a [`Term`].

use std::borrow::Cow;

use crate::{
    Term,
    serde::error::{Error, Segment, cut},
};

/// A term up to its first sub-term, which are the tokens that follow.
pub(super) enum Token<'de> {
    Int(i64),
    /// An integer that fits 128 bits.
    Wide(i128),
    /// A positive integer that fits 128 bits without a sign alone.
    WideUnsigned(u128),
    Float(f64),
    Atom(Cow<'de, str>),
    Binary(Cow<'de, [u8]>),
    /// A tuple of so many elements.
    Tuple(usize),
    /// A list of so many elements and then a tail, which is [`Token::Nil`] in a proper one.
    List(usize),
    /// A whole list of bytes.
    Bytes(Cow<'de, [u8]>),
    Nil,
    /// A map of so many keys, each with its value after it.
    Map(usize),
    /// What has no form in serde's model of data. Nothing more may be read then.
    Other(&'static str),
}

impl Token<'_> {
    /// For messages: what there was instead of what was wanted.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Int(int) => format!("the integer {int}"),
            Self::Wide(int) => format!("the integer {int}"),
            Self::WideUnsigned(int) => format!("the integer {int}"),
            Self::Float(float) => format!("the float {float}"),
            Self::Atom(text) => format!("the atom {}", cut(text)),
            Self::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => format!("the binary {:?}", cut(text)),
                Err(_) => format!("a binary of {} bytes", bytes.len()),
            },
            Self::Tuple(arity) => format!("a tuple of {arity}"),
            Self::List(len) => format!("a list of {len} elements"),
            Self::Bytes(bytes) => format!("a list of {} elements", bytes.len()),
            Self::Nil => "an empty list".into(),
            Self::Map(len) => format!("a map of {len} keys"),
            Self::Other(what) => (*what).into(),
        }
    }
}

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// Where tokens come from.
pub(super) trait Input<'de> {
    /// A place in the input.
    type Mark: Copy;
    /// A whole term of the input, to know it again.
    type Key: Ord;

    /// The next token.
    fn next(&mut self) -> Result<Token<'de>>;

    /// Passes over the next term, whatever it holds.
    fn skip(&mut self) -> Result<()>;

    /// The next term as bytes of the external format, without a leading 131.
    fn raw(&mut self) -> Result<Cow<'de, [u8]>>;

    /// Whether the next term is one of these atoms.
    fn is_atom(&self, texts: &[&str]) -> bool;

    /// The place of what comes next.
    fn mark(&self) -> Self::Mark;

    /// Whether the next term is an atom of so many bytes, with this one first: worth a closer look.
    fn is_atom_starting(&self, len: u8, first: u8) -> bool;

    /// The next term if it is an integer of 32 bits and easily had; as all of these, else nothing is read.
    #[inline(always)]
    fn small_int(&mut self) -> Option<i64> {
        None
    }

    /// The next term if it is a binary of UTF-8 that can be lent.
    #[inline(always)]
    fn short_binary(&mut self) -> Option<&'de str> {
        None
    }

    /// The next term if it is an atom whose text can be lent.
    #[inline(always)]
    fn short_atom(&mut self) -> Option<&'de str> {
        None
    }

    /// Whether a tuple of so many elements comes next, up to its first element.
    #[inline(always)]
    fn small_tuple_of(&mut self, _arity: usize) -> bool {
        false
    }

    /// Whether the next term is an atom.
    fn is_any_atom(&self) -> bool;

    /// What comes next, without reading it.
    fn key(&self) -> Result<Self::Key>;

    /// The term at a place, as a step of the way to an error in its value.
    fn segment(&self, mark: Self::Mark) -> Segment;

    /// Where the last token started.
    fn offset(&self) -> Option<usize>;

    /// The most elements that can still come: how much is worth making room for.
    fn elements_left(&self) -> usize;
}

/// The key of a map as a step of the way to an error.
pub(super) fn segment_of(key: &Term) -> Segment {
    match (key.as_atom(), key.as_text()) {
        (Some(atom), _) => Segment::Field(cut(atom).into_owned()),
        (_, Some(text)) if !text.is_empty() => Segment::Field(cut(&text).into_owned()),
        _ => Segment::Key(cut(&key.to_string()).into_owned()),
    }
}
