//! What is open while a term is decoded.

use crate::{
    Closure, Fun, Map, Record, Term,
    decode::{DecodeError, DecodeErrorReason},
};

/// A term that waits for sub-terms.
pub(super) enum Frame {
    Tuple {
        elements: Vec<Term>,
        left: usize,
    },
    /// With none left it waits for the tail.
    List {
        elements: Vec<Term>,
        left: usize,
    },
    Map {
        flat: Vec<Term>,
        left: usize,
        offset: usize,
    },
    Record {
        record: Box<Record>,
        next: usize,
    },
    Closure {
        closure: Box<Closure>,
        left: usize,
    },
}

impl Frame {
    pub(super) fn map(offset: usize, len: usize) -> Self {
        Self::Map { flat: Vec::with_capacity(2 * len), left: 2 * len, offset }
    }

    /// Adds the next sub-term, and gives the whole term if that was the last.
    pub(super) fn add(&mut self, term: Term) -> Result<Option<Term>, DecodeError> {
        Ok(match self {
            Self::Tuple { elements, left } => {
                elements.push(term);
                *left -= 1;
                (*left == 0).then(|| Term::Tuple(std::mem::take(elements)))
            }
            Self::List { elements, left: 0 } => Some(Term::list_with_tail(std::mem::take(elements), term)),
            Self::List { elements, left } => {
                elements.push(term);
                *left -= 1;
                None
            }
            Self::Map { flat, left, offset } => {
                flat.push(term);
                *left -= 1;
                if *left > 0 {
                    return Ok(None);
                }
                let map = Map::try_from_flat(std::mem::take(flat));
                Some(Term::Map(map.ok_or(DecodeError::new(*offset, DecodeErrorReason::DuplicateKey))?))
            }
            Self::Record { record, next } => {
                record.fields[*next].1 = term;
                *next += 1;
                if *next < record.fields.len() {
                    return Ok(None);
                }
                let module = record.module.clone();
                let name = record.name.clone();
                let fields = std::mem::take(&mut record.fields);
                Some(Term::Record(Box::new(Record { flags: record.flags, module, name, fields })))
            }
            Self::Closure { closure, left } => {
                closure.free.push(term);
                *left -= 1;
                (*left == 0).then(|| {
                    let free = std::mem::take(&mut closure.free);
                    Fun::Closure(closure.with_free(free)).into()
                })
            }
        })
    }
}
