//! Tokens from a [`Term`].

use std::{borrow::Cow, slice};

use num_traits::ToPrimitive;

use crate::{
    Atom, Fun, Term, encode,
    serde::{
        error::Segment,
        token::{Input, Result, Token, segment_of},
    },
};

/// A term as it is read. What is still to come of each term that is open is kept on a stack.
pub(super) struct TreeInput<'de> {
    stack: Vec<Rest<'de>>,
}

enum Rest<'de> {
    Terms(slice::Iter<'de, Term>),
    /// The tail of an improper list.
    Tail(&'de Term),
    /// The end of a proper list.
    Nil,
}

impl<'de> TreeInput<'de> {
    pub(super) fn new(term: &'de Term) -> Self {
        Self { stack: vec![Rest::Terms(slice::from_ref(term).iter())] }
    }

    /// What comes next, or nothing for the end of a list.
    fn peek(&self) -> Option<&'de Term> {
        for rest in self.stack.iter().rev() {
            match rest {
                Rest::Terms(terms) => match terms.as_slice() {
                    [] => {}
                    [first, ..] => return Some(first),
                },
                Rest::Tail(tail) => return Some(tail),
                Rest::Nil => return None,
            }
        }
        None
    }

    /// The next term if it lies beside the one before and is what is looked for.
    #[inline(always)]
    fn take_if<T>(&mut self, take: impl FnOnce(&'de Term) -> Option<T>) -> Option<T> {
        let Some(Rest::Terms(terms)) = self.stack.last_mut() else { return None };
        let taken = take(terms.as_slice().first()?)?;
        terms.next();
        Some(taken)
    }

    fn take(&mut self) -> Option<&'de Term> {
        while let Some(rest) = self.stack.last_mut() {
            match rest {
                Rest::Terms(terms) => {
                    if let Some(term) = terms.next() {
                        return Some(term);
                    }
                }
                Rest::Tail(tail) => {
                    let tail = *tail;
                    self.stack.pop();
                    return Some(tail);
                }
                Rest::Nil => {
                    self.stack.pop();
                    return None;
                }
            }
            self.stack.pop();
        }
        None
    }
}

impl<'de> Input<'de> for TreeInput<'de> {
    type Mark = Option<&'de Term>;
    type Key = Option<&'de Term>;

    fn next(&mut self) -> Result<Token<'de>> {
        let Some(term) = self.take() else { return Ok(Token::Nil) };
        Ok(match term {
            Term::Int(int) => Token::Int(*int),
            Term::BigInt(big) => match (big.as_bigint().to_i128(), big.as_bigint().to_u128()) {
                (Some(int), _) => Token::Wide(int),
                (None, Some(int)) => Token::WideUnsigned(int),
                (None, None) => Token::Other("an integer of more than 128 bits"),
            },
            Term::Float(float) => Token::Float(float.get()),
            Term::Atom(atom) => Token::Atom(Cow::Borrowed(atom.as_str())),
            Term::Binary(binary) => Token::Binary(Cow::Borrowed(binary.as_slice())),
            Term::Tuple(elements) => {
                self.stack.push(Rest::Terms(elements.iter()));
                Token::Tuple(elements.len())
            }
            Term::List(elements) if elements.is_empty() => Token::Nil,
            Term::List(elements) => {
                self.stack.push(Rest::Nil);
                self.stack.push(Rest::Terms(elements.iter()));
                Token::List(elements.len())
            }
            Term::ImproperList(list) => {
                self.stack.push(Rest::Tail(list.tail()));
                self.stack.push(Rest::Terms(list.head().iter()));
                Token::List(list.head().len())
            }
            Term::Map(map) => {
                self.stack.push(Rest::Terms(map.as_flat().iter()));
                Token::Map(map.len())
            }
            Term::BitString(_) => Token::Other("a bit string"),
            Term::Pid(_) => Token::Other("a pid"),
            Term::Port(_) => Token::Other("a port"),
            Term::Reference(_) => Token::Other("a reference"),
            Term::Fun(fun) => match &**fun {
                Fun::Export { .. } | Fun::Closure(_) => Token::Other("a fun"),
            },
            Term::Record(_) => Token::Other("a native record"),
        })
    }

    fn skip(&mut self) -> Result<()> {
        self.take();
        Ok(())
    }

    fn raw(&mut self) -> Result<Cow<'de, [u8]>> {
        let stored = match self.take() {
            Some(term) => encode(term),
            None => encode(&Term::NIL),
        };
        Ok(Cow::Owned(stored[1..].to_vec()))
    }

    fn is_atom(&self, texts: &[&str]) -> bool {
        let atom = self.peek().and_then(Term::as_atom);
        atom.is_some_and(|atom| texts.contains(&atom.as_str()))
    }

    fn mark(&self) -> Option<&'de Term> {
        self.peek()
    }

    fn is_atom_starting(&self, len: u8, first: u8) -> bool {
        let atom = self.peek().and_then(Term::as_atom);
        atom.is_some_and(|atom| atom.len() == usize::from(len) && atom.as_bytes()[0] == first)
    }

    #[inline(always)]
    fn small_int(&mut self) -> Option<i64> {
        self.take_if(Term::as_int)
    }

    #[inline(always)]
    fn short_binary(&mut self) -> Option<&'de str> {
        self.take_if(|term| term.as_binary()?.as_utf8())
    }

    #[inline(always)]
    fn short_atom(&mut self) -> Option<&'de str> {
        self.take_if(|term| term.as_atom().map(Atom::as_str))
    }

    #[inline(always)]
    fn small_tuple_of(&mut self, arity: usize) -> bool {
        let elements = self.take_if(|term| term.as_tuple().filter(|elements| elements.len() == arity));
        let Some(elements) = elements else { return false };
        self.stack.push(Rest::Terms(elements.iter()));
        true
    }

    fn is_any_atom(&self) -> bool {
        self.peek().is_some_and(|term| term.as_atom().is_some())
    }

    fn key(&self) -> Result<Option<&'de Term>> {
        Ok(self.peek())
    }

    fn segment(&self, mark: Option<&'de Term>) -> Segment {
        mark.map_or(Segment::Key("[]".into()), segment_of)
    }

    fn offset(&self) -> Option<usize> {
        None
    }

    /// They are all there, so room for them is no more than there already is.
    fn elements_left(&self) -> usize {
        usize::MAX
    }
}
