//! Terms from tokens.
//!
//! What is open is kept on a stack, so nesting takes heap and not stack.

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::{
    Atom, Float, Fun, Map, Term,
    text::{
        TextError, TextErrorReason,
        bits::{Bits, Kind, Value, all_bits_max},
        lex::{Token, next_token},
    },
};

/// How deep tuples, lists and maps may lie in each other in a text. They take heap and not stack, but for some hundred
/// times the memory that their brackets take.
pub const DEPTH_MAX: usize = 100_000;

/// The terms of a text, each ended by a `.`, as `file:consult/1` reads them.
pub fn consult(text: &str) -> Result<Vec<Term>, TextError> {
    let mut parser = Parser::new(text)?;
    let mut terms = Vec::new();
    while parser.token != Token::End {
        terms.push(parser.term()?);
        if parser.token != Token::Dot {
            return Err(parser.unexpected("'.'"));
        }
        parser.advance()?;
    }
    Ok(terms)
}

/// The one term of a text; a `.` after it may be there or not.
pub fn parse_term(text: &str) -> Result<Term, TextError> {
    let mut parser = Parser::new(text)?;
    let term = parser.term()?;
    if parser.token == Token::Dot {
        parser.advance()?;
    }
    match parser.token {
        Token::End => Ok(term),
        _ => Err(parser.unexpected("the end of the text")),
    }
}

/// How deep binaries and parentheses may lie in a binary. Nobody writes more than two, and these take stack.
const BINARY_DEPTH_MAX: usize = 64;

type Result<T, E = TextError> = std::result::Result<T, E>;

struct Parser<'a> {
    text: &'a str,
    /// What comes after `token`.
    rest: &'a str,
    token: Token,
    /// Where `token` starts.
    start: usize,
    /// How many bits binaries may still have.
    bits_left: usize,
}

/// What is begun and not ended.
enum Open {
    Tuple(Vec<Term>),
    List(Vec<Term>),
    /// A list after its `|`.
    ListTail(Vec<Term>),
    Map(Vec<(Term, Term)>),
    /// A term in parentheses, which mean nothing.
    Parentheses,
    /// A map after a key and its `=>`.
    MapValue(Vec<(Term, Term)>, Term),
}

/// What a term starts with.
enum Begun {
    Whole(Term),
    Open(Open),
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let mut parser =
            Self { text, rest: text, token: Token::End, start: 0, bits_left: all_bits_max(text) };
        parser.advance()?;
        Ok(parser)
    }

    fn term(&mut self) -> Result<Term> {
        let mut stack: Vec<Open> = Vec::new();
        loop {
            let start = self.start;
            let mut term = match self.begin()? {
                Begun::Open(open) => {
                    if stack.len() >= DEPTH_MAX {
                        return Err(self.error(start, TextErrorReason::TooDeep { max: DEPTH_MAX }));
                    }
                    stack.push(open);
                    continue;
                }
                Begun::Whole(term) => term,
            };
            loop {
                let Some(open) = stack.pop() else { return Ok(term) };
                match self.add(open, term)? {
                    Begun::Whole(whole) => term = whole,
                    Begun::Open(open) => {
                        stack.push(open);
                        break;
                    }
                }
            }
        }
    }

    /// Reads the start of a term: all of it, or its opening bracket.
    fn begin(&mut self) -> Result<Begun> {
        let term = match std::mem::replace(&mut self.token, Token::End) {
            Token::Atom(atom) => Term::Atom(atom),
            Token::Integer(int) => int,
            Token::Float(float) => Term::Float(float),
            Token::Binary(binary) => binary,
            Token::String(text) => return Ok(Begun::Whole(Term::charlist(&self.strings(text)?))),
            Token::Punctuation(sign @ ("-" | "+")) => return Ok(Begun::Whole(self.signed(sign == "-")?)),
            Token::Punctuation("{") => return self.open("}", Open::Tuple(vec![]), || Term::tuple([])),
            Token::Punctuation("[") => return self.open("]", Open::List(vec![]), || Term::NIL),
            Token::Punctuation("#") => {
                self.advance()?;
                self.expect_here("{", "'{' of a map")?;
                return self.open("}", Open::Map(vec![]), || Term::Map(Map::new()));
            }
            Token::Punctuation("(") => {
                self.advance()?;
                return Ok(Begun::Open(Open::Parentheses));
            }
            Token::Punctuation("<<") => return Ok(Begun::Whole(self.binary(0)?)),
            Token::Word("fun") => return Ok(Begun::Whole(self.fun()?)),
            other => {
                self.token = other;
                return Err(self.unexpected("a term"));
            }
        };
        self.advance()?;
        Ok(Begun::Whole(term))
    }

    /// Behind an opening bracket: whole if the closing one comes at once.
    fn open(&mut self, close: &'static str, open: Open, empty: impl FnOnce() -> Term) -> Result<Begun> {
        self.advance()?;
        if self.token == Token::Punctuation(close) {
            self.advance()?;
            return Ok(Begun::Whole(empty()));
        }
        Ok(Begun::Open(open))
    }

    /// Adds a term to what is open around it, and reads the sign that follows.
    fn add(&mut self, open: Open, term: Term) -> Result<Begun> {
        Ok(match open {
            Open::Tuple(mut elements) => {
                elements.push(term);
                match self.separator("',' or '}'", &[",", "}"])? {
                    "," => Begun::Open(Open::Tuple(elements)),
                    _ => Begun::Whole(Term::tuple(elements)),
                }
            }
            Open::List(mut elements) => {
                elements.push(term);
                match self.separator("',', '|' or ']'", &[",", "|", "]"])? {
                    "," => Begun::Open(Open::List(elements)),
                    "|" => Begun::Open(Open::ListTail(elements)),
                    _ => Begun::Whole(Term::list(elements)),
                }
            }
            Open::ListTail(elements) => {
                self.separator("']'", &["]"])?;
                Begun::Whole(Term::list_with_tail(elements, term))
            }
            Open::Parentheses => {
                self.separator("')'", &[")"])?;
                Begun::Whole(term)
            }
            Open::Map(entries) => {
                self.separator("'=>'", &["=>"])?;
                Begun::Open(Open::MapValue(entries, term))
            }
            Open::MapValue(mut entries, key) => {
                entries.push((key, term));
                match self.separator("',' or '}'", &[",", "}"])? {
                    "," => Begun::Open(Open::Map(entries)),
                    _ => Begun::Whole(Term::Map(entries.into_iter().collect())),
                }
            }
        })
    }

    /// A sign before a number, or before a character, which is a number too. It may be in parentheses.
    fn signed(&mut self, negative: bool) -> Result<Term> {
        self.advance()?;
        let parentheses = self.opening_parentheses()?;
        let term = match &self.token {
            Token::Integer(int) if negative => Term::from(-big(int)),
            Token::Integer(int) => int.clone(),
            Token::Float(float) if negative => Float::new(-float.get()).expect("still finite").into(),
            Token::Float(float) => (*float).into(),
            _ => return Err(self.unexpected("a number")),
        };
        self.advance()?;
        self.closing_parentheses(parentheses)?;
        Ok(term)
    }

    /// Reads as many as there are.
    fn opening_parentheses(&mut self) -> Result<usize> {
        let mut count = 0;
        while self.token == Token::Punctuation("(") {
            self.advance()?;
            count += 1;
        }
        Ok(count)
    }

    fn closing_parentheses(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.separator("')'", &[")"])?;
        }
        Ok(())
    }

    /// String literals that follow each other are one.
    fn strings(&mut self, mut text: String) -> Result<String> {
        self.advance()?;
        while let Token::String(more) = &self.token {
            text.push_str(more);
            self.advance()?;
        }
        Ok(text)
    }

    /// `fun Module:Function/Arity`.
    fn fun(&mut self) -> Result<Term> {
        self.advance()?;
        let module = self.atom("the module of an external fun")?;
        self.separator("':'", &[":"])?;
        let function = self.atom("the function of an external fun")?;
        self.separator("'/'", &["/"])?;
        let Token::Integer(arity) = &self.token else { return Err(self.unexpected("an arity")) };
        let arity = arity.as_int().and_then(|arity| u8::try_from(arity).ok());
        let arity = arity.ok_or_else(|| self.error(self.start, TextErrorReason::Arity))?;
        self.advance()?;
        Ok(Fun::Export { module, function, arity }.into())
    }

    fn atom(&mut self, expected: &'static str) -> Result<Atom> {
        let Token::Atom(atom) = &self.token else { return Err(self.unexpected(expected)) };
        let atom = atom.clone();
        self.advance()?;
        Ok(atom)
    }

    /// `<<Value:Size/Type-Type, ...>>`, which is so deep in other binaries and parentheses.
    fn binary(&mut self, depth: usize) -> Result<Term> {
        if depth > BINARY_DEPTH_MAX {
            return Err(self.error(self.start, TextErrorReason::TooDeep { max: BINARY_DEPTH_MAX }));
        }
        self.advance()?;
        let mut bits = Bits::within(self.bits_left);
        if self.token == Token::Punctuation(">>") {
            self.advance()?;
            return Ok(bits.into_term());
        }
        loop {
            let start = self.start;
            let value = self.segment_value(depth)?;
            let mut size = None;
            if self.token == Token::Punctuation(":") {
                self.advance()?;
                let parentheses = self.opening_parentheses()?;
                size = Some(self.size("a size")?);
                self.closing_parentheses(parentheses)?;
            }
            let mut kind = Kind::default();
            if self.token == Token::Punctuation("/") {
                self.segment_kind(&mut kind)?;
            }
            bits.add(&value, size, &kind).map_err(|reason| self.error(start, reason))?;
            if self.separator("',' or '>>'", &[",", ">>"])? == ">>" {
                // Those of a binary in a binary count twice, which is what they take.
                self.bits_left = self.bits_left.saturating_sub(bits.len());
                return Ok(bits.into_term());
            }
        }
    }

    fn segment_value(&mut self, depth: usize) -> Result<Value> {
        match &self.token {
            Token::String(text) => {
                let text = text.clone();
                Ok(Value::String(self.strings(text)?))
            }
            Token::Binary(binary) => {
                let binary = binary.clone();
                self.advance()?;
                Ok(Value::Bits(binary))
            }
            Token::Punctuation("<<") => Ok(Value::Bits(self.binary(depth + 1)?)),
            Token::Punctuation("(") if depth >= BINARY_DEPTH_MAX => {
                Err(self.error(self.start, TextErrorReason::TooDeep { max: BINARY_DEPTH_MAX }))
            }
            Token::Punctuation("(") => {
                self.advance()?;
                let value = self.segment_value(depth + 1)?;
                self.separator("')'", &[")"])?;
                Ok(value)
            }
            Token::Integer(_) | Token::Float(_) | Token::Punctuation("-" | "+") => match self.begin()? {
                Begun::Whole(Term::Float(float)) => Ok(Value::Float(float)),
                Begun::Whole(int) => Ok(Value::Integer(big(&int))),
                Begun::Open(_) => unreachable!("a number has no bracket"),
            },
            _ => Err(self.unexpected("a number, string or binary")),
        }
    }

    fn segment_kind(&mut self, kind: &mut Kind) -> Result<()> {
        loop {
            self.advance()?;
            let start = self.start;
            let word = self.atom("a type of a binary segment")?;
            let known = match word.as_str() {
                "unit" => {
                    self.separator("':'", &[":"])?;
                    kind.set_unit(self.size("a unit")?)
                }
                word => kind.set(word),
            };
            if !known {
                return Err(self.error(start, TextErrorReason::Segment));
            }
            if self.token != Token::Punctuation("-") {
                return Ok(());
            }
        }
    }

    fn size(&mut self, expected: &'static str) -> Result<usize> {
        let Token::Integer(size) = &self.token else { return Err(self.unexpected(expected)) };
        let size = big(size).to_usize().unwrap_or(usize::MAX);
        self.advance()?;
        Ok(size)
    }

    /// Reads one of a few signs.
    fn separator(&mut self, expected: &'static str, signs: &[&'static str]) -> Result<&'static str> {
        match self.token {
            Token::Punctuation(sign) if signs.contains(&sign) => {
                self.advance()?;
                Ok(sign)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn expect_here(&self, sign: &'static str, expected: &'static str) -> Result<()> {
        if self.token == Token::Punctuation(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn advance(&mut self) -> Result<()> {
        match next_token(self.rest) {
            Ok((rest, (start, token))) => {
                self.start = self.text.len() - start.len();
                self.rest = rest;
                self.token = token;
                Ok(())
            }
            Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
                let reason = fault.reason.expect("where no token fits, the character is at fault");
                Err(self.error(self.text.len() - fault.rest.len(), reason))
            }
            Err(nom::Err::Incomplete(_)) => unreachable!("the lexer has all of the text"),
        }
    }

    fn unexpected(&self, expected: &'static str) -> TextError {
        /// How much of the text to show.
        const CHARS_MAX: usize = 20;
        let found = match &self.token {
            Token::End => "the end of the text".to_owned(),
            _ => {
                let token = &self.text[self.start..self.text.len() - self.rest.len()];
                match token.char_indices().nth(CHARS_MAX) {
                    Some((end, _)) => format!("{}...", &token[..end]),
                    None => token.to_owned(),
                }
            }
        };
        self.error(self.start, TextErrorReason::Unexpected { expected, found })
    }

    fn error(&self, offset: usize, reason: TextErrorReason) -> TextError {
        TextError::at(self.text, offset, reason)
    }
}

fn big(int: &Term) -> BigInt {
    match int {
        Term::BigInt(big) => big.as_bigint().clone(),
        other => BigInt::from(other.as_int().unwrap_or_default()),
    }
}
