//! The tokens of Erlang terms.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_while, take_while_m_n, take_while1},
    character::complete::{anychar, char, one_of, satisfy},
    combinator::{not, opt, peek, recognize, value},
    error::{ErrorKind, ParseError},
    multi::many0_count,
    sequence::{delimited, pair, preceded, terminated},
};
use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::{
    Atom, Float, Term,
    text::{
        RESERVED, TextErrorReason,
        print::{is_atom_start, is_name_char},
    },
};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// An atom, quoted or not.
    Atom(Atom),
    /// A reserved word, none of which may stand in a term but `fun`.
    Word(&'static str),
    /// An integer or character.
    Integer(Term),
    Float(Float),
    /// One string literal.
    String(String),
    /// A string literal that stands for a binary.
    Binary(Term),
    /// Brackets, commas and the like.
    Punctuation(&'static str),
    /// The `.` that ends a term.
    Dot,
    End,
}

/// Why there is no token, and what was left of the text there.
#[derive(Debug)]
pub(super) struct Fault<'a> {
    pub(super) rest: &'a str,
    /// Nothing if this alternative just does not apply.
    pub(super) reason: Option<TextErrorReason>,
}

impl<'a> ParseError<&'a str> for Fault<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        Self { rest, reason: None }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Lexed<'a, T> = IResult<&'a str, T, Fault<'a>>;

/// The token that comes first after white space and comments, and what was left of the text where it starts.
pub(super) fn next_token(text: &str) -> Lexed<'_, (&str, Token)> {
    let (start, _) = skip_blank(text)?;
    if start.is_empty() {
        return Ok((start, (start, Token::End)));
    }
    let (rest, token) = alt((number, name, character, quoted_atom, string, sigil, no_term, punctuation, dot))
        .parse(start)
        .map_err(|e| e.map(|fault| or_bad_character(start, fault)))?;
    Ok((rest, (start, token)))
}

fn skip_blank(text: &str) -> Lexed<'_, usize> {
    let white_space = take_while1(|c| matches!(c, '\0'..=' ' | '\u{80}'..='\u{a0}'));
    many0_count(alt((white_space, recognize(pair(char('%'), take_while(|c| c != '\n')))))).parse(text)
}

/// When no token fits, the character is at fault.
fn or_bad_character<'a>(start: &'a str, fault: Fault<'a>) -> Fault<'a> {
    let Some(char) = start.chars().next().filter(|_| fault.reason.is_none()) else { return fault };
    Fault { rest: start, reason: Some(TextErrorReason::Character { char }) }
}

/// An error that no other alternative can mend.
fn fail<T>(rest: &str, reason: TextErrorReason) -> Lexed<'_, T> {
    Err(nom::Err::Failure(Fault { rest, reason: Some(reason) }))
}

fn number(text: &str) -> Lexed<'_, Token> {
    let (rest, whole) = digits(text, 10)?;
    if let Ok((rest, _)) = char::<_, Fault<'_>>('#').parse(rest) {
        return based_integer(text, rest, &whole);
    }
    let fraction = preceded(char('.'), |rest| digits(rest, 10));
    let (rest, fraction) = opt(fraction).parse(rest)?;
    let Some(fraction) = fraction else {
        let value = BigInt::parse_bytes(whole.as_bytes(), 10).expect("decimal digits are an integer");
        return Ok((rest, Token::Integer(value.into())));
    };
    let (rest, has_exponent) = opt(one_of("eE")).parse(rest)?;
    let mut literal = format!("{whole}.{fraction}");
    let mut end = rest;
    if has_exponent.is_some() {
        let (rest, sign) = opt(one_of("+-")).parse(rest)?;
        let Ok((rest, exponent)) = digits(rest, 10) else { return fail(text, TextErrorReason::Float) };
        literal.push('e');
        literal.extend(sign);
        literal.push_str(&exponent);
        end = rest;
    }
    match literal.parse().ok().and_then(Float::new) {
        Some(float) => Ok((end, Token::Float(float))),
        None => fail(text, TextErrorReason::Float),
    }
}

fn based_integer<'a>(start: &'a str, rest: &'a str, base: &str) -> Lexed<'a, Token> {
    let base = match base.parse() {
        Ok(base @ 2..=36) => base,
        _ => return fail(start, TextErrorReason::Integer),
    };
    let Ok((rest, whole)) = digits(rest, base) else { return fail(start, TextErrorReason::Integer) };
    let (rest, fraction) = opt(preceded(char('.'), |rest| digits(rest, base))).parse(rest)?;
    let Some(fraction) = fraction else { return Ok((rest, Token::Integer(big(&whole, base).into()))) };

    let (mut rest, mut exponent) = (rest, String::from("0"));
    if let Some(after) = rest.strip_prefix("#e").or_else(|| rest.strip_prefix("#E")) {
        let (after, sign) = opt(one_of("+-")).parse(after)?;
        let Ok((after, digits)) = digits(after, 10) else { return fail(start, TextErrorReason::Float) };
        exponent = sign.into_iter().chain(digits.chars()).collect();
        rest = after;
    }
    let float = match base {
        10 => format!("{whole}.{fraction}e{exponent}").parse().ok(),
        _ => based_float(base, whole, &fraction, &exponent),
    };
    match float.and_then(Float::new) {
        Some(float) => Ok((rest, Token::Float(float))),
        None => fail(start, TextErrorReason::Float),
    }
}

/// By way of a float as OTP does it, and so not always the nearest: what is read should not depend on who reads.
fn based_float(base: u32, mut digits: String, fraction: &str, exponent: &str) -> Option<f64> {
    let fraction = match fraction.trim_end_matches('0') {
        "" => "0",
        fraction => fraction,
    };
    digits.push_str(fraction);
    let exponent: i32 = exponent.parse().ok()?;
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    Some(big(&digits, base).to_f64()? * f64::from(base).powf(f64::from(exponent)))
}

fn big(digits: &str, base: u32) -> BigInt {
    BigInt::parse_bytes(digits.as_bytes(), base).expect("the digits are of this base")
}

/// Digits with single `_` between them, which are left out.
fn digits(text: &str, base: u32) -> Lexed<'_, String> {
    let digit = |c: char| c.is_digit(base);
    let (rest, all) = recognize((
        satisfy(digit),
        many0_count(preceded(opt(terminated(char('_'), peek(satisfy(digit)))), satisfy(digit))),
    ))
    .parse(text)?;
    Ok((rest, all.replace('_', "")))
}

/// An unquoted atom or a word. A variable is neither.
fn name(text: &str) -> Lexed<'_, Token> {
    let (rest, name) = recognize(pair(satisfy(is_atom_start), take_while(is_name_char))).parse(text)?;
    match RESERVED.binary_search(&name).map(|at| RESERVED[at]) {
        // Words of OTP 27, atoms before.
        Err(_) | Ok("else" | "maybe") => Ok((rest, Token::Atom(atom(text, name)?))),
        Ok(word) => Ok((rest, Token::Word(word))),
    }
}

fn atom<'a>(start: &'a str, name: &str) -> Result<Atom, nom::Err<Fault<'a>>> {
    Atom::try_new(name).map_err(|error| {
        let reason = Some(TextErrorReason::AtomTooLong { chars: error.chars });
        nom::Err::Failure(Fault { rest: start, reason })
    })
}

fn character(text: &str) -> Lexed<'_, Token> {
    let (rest, _) = char('$').parse(text)?;
    let (rest, c) = match escape(rest) {
        Err(nom::Err::Error(_)) => match anychar::<_, Fault<'_>>.parse(rest) {
            Ok(found) => found,
            Err(_) => return fail(text, TextErrorReason::Unterminated { what: "a character" }),
        },
        escaped => escaped?,
    };
    Ok((rest, Token::Integer(u32::from(c).into())))
}

fn quoted_atom(text: &str) -> Lexed<'_, Token> {
    let (rest, _) = char('\'').parse(text)?;
    let (rest, name) = quoted(text, rest, '\'', "a quoted atom")?;
    Ok((rest, Token::Atom(atom(text, &name)?)))
}

fn string(text: &str) -> Lexed<'_, Token> {
    let (rest, _) = char('"').parse(text)?;
    let (rest, content) = match triple_quoted(text) {
        Err(nom::Err::Error(_)) => quoted(text, rest, '"', "a string")?,
        found => found?,
    };
    Ok((rest, Token::String(content)))
}

/// A string of OTP 27 with `~` and what it is before it: a list (`s`) or a UTF-8 binary (`b`, or nothing), in capitals
/// with every `\` as it stands. Nothing means `B` before three quotes.
fn sigil(text: &str) -> Lexed<'_, Token> {
    let (rest, _) = char('~').parse(text)?;
    let (start, kind) = opt(one_of("bBsS")).parse(rest)?;
    let (rest, content) = match triple_quoted(start) {
        Err(nom::Err::Error(_)) => {
            let (rest, open) = one_of("\"'`/|#([{<").parse(start)?;
            let close = match open {
                '(' => ')',
                '[' => ']',
                '{' => '}',
                '<' => '>',
                same => same,
            };
            match kind {
                Some('B' | 'S') => verbatim(text, rest, close)?,
                _ => quoted(text, rest, close, "a string")?,
            }
        }
        found => {
            let (after, content) = found?;
            match kind {
                Some('b' | 's') => (after, unescaped(text, &content)?),
                _ => (after, content),
            }
        }
    };
    let token = match kind {
        Some('s' | 'S') => Token::String(content),
        _ => Token::Binary(Term::binary(content.as_str())),
    };
    Ok((rest, token))
}

fn verbatim<'a>(start: &'a str, rest: &'a str, close: char) -> Lexed<'a, String> {
    match rest.split_once(close) {
        Some((content, rest)) => Ok((rest, content.to_owned())),
        None => fail(start, TextErrorReason::Unterminated { what: "a string" }),
    }
}

fn quoted<'a>(start: &'a str, mut rest: &'a str, quote: char, what: &'static str) -> Lexed<'a, String> {
    let mut content = String::new();
    loop {
        let (after, plain) = take_while(|c| c != quote && c != '\\').parse(rest)?;
        content.push_str(plain);
        if let Some(rest) = after.strip_prefix(quote) {
            return Ok((rest, content));
        }
        if after.is_empty() || after == "\\" {
            return fail(start, TextErrorReason::Unterminated { what });
        }
        let (after, c) = escape(after)?;
        content.push(c);
        rest = after;
    }
}

/// With what each `\` stands for. The content is a copy, so an error is at the start of the literal.
fn unescaped<'a>(start: &'a str, content: &str) -> Result<String, nom::Err<Fault<'a>>> {
    let mut result = String::new();
    let mut rest = content;
    while let Some((plain, _)) = rest.split_once('\\') {
        result.push_str(plain);
        let Ok((after, c)) = escape(&rest[plain.len()..]) else {
            return Err(nom::Err::Failure(Fault { rest: start, reason: Some(TextErrorReason::Escape) }));
        };
        result.push(c);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// A `\` and what it stands for.
fn escape(text: &str) -> Lexed<'_, char> {
    let (rest, _) = char('\\').parse(text)?;
    let octal = |rest| {
        let (rest, digits) = take_while_m_n(1, 3, |c: char| c.is_digit(8)).parse(rest)?;
        Ok((rest, u32::from_str_radix(digits, 8).ok()))
    };
    let hex_digit = |c: char| c.is_ascii_hexdigit();
    let hex = |digits| u32::from_str_radix(digits, 16).ok();
    let long_hex = delimited(tag("x{"), take_while1(hex_digit), char('}')).map(hex);
    let short_hex = preceded(char('x'), take_while_m_n(2, 2, hex_digit)).map(hex);
    // `^?` is DEL since OTP 27.
    let control = preceded(char('^'), anychar).map(|c| Some(if c == '?' { 127 } else { u32::from(c) & 31 }));
    let other = preceded(not(one_of("x^")), anychar).map(|c| Some(u32::from(named_escape(c))));
    let parsed: Lexed<'_, Option<u32>> = alt((octal, long_hex, short_hex, control, other)).parse(rest);
    match parsed {
        Ok((rest, Some(code))) => match char::from_u32(code) {
            Some(c) if !matches!(c, '\u{fffe}' | '\u{ffff}') => Ok((rest, c)),
            _ => fail(text, TextErrorReason::Escape),
        },
        _ => fail(text, TextErrorReason::Escape),
    }
}

/// Any other character stands for itself.
fn named_escape(c: char) -> char {
    match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{0b}',
        'b' => '\u{08}',
        'f' => '\u{0c}',
        'e' => '\u{1b}',
        's' => ' ',
        'd' => '\u{7f}',
        c => c,
    }
}

/// A string of OTP 27 between lines of three quotes or more: verbatim, without the line breaks at its ends and without
/// the indentation of its last line.
fn triple_quoted(start: &str) -> Lexed<'_, String> {
    let (rest, quotes) = recognize(pair(tag("\"\"\""), take_while(|c| c == '"'))).parse(start)?;
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\u{0b}' | '\u{0c}');
    let (body, _) = pair(take_while(blank), char('\n')).parse(rest)?;

    let mut lines = Vec::new();
    let mut rest = body;
    let (after, indentation) = loop {
        let line = rest.split('\n').next().unwrap_or_default();
        let text = line.trim_start_matches(blank);
        if let Some(after) = text.strip_prefix(quotes) {
            break (&rest[line.len() - after.len()..], &line[..line.len() - text.len()]);
        }
        lines.push((rest, line));
        if line.len() == rest.len() {
            return fail(start, TextErrorReason::Unterminated { what: "a triple-quoted string" });
        }
        rest = &rest[line.len() + 1..];
    };
    let mut content = Vec::new();
    for (at, line) in lines {
        match line.strip_prefix(indentation) {
            Some(line) => content.push(line),
            None if line.trim_matches(blank).is_empty() => content.push(""),
            None => return fail(at, TextErrorReason::Indentation),
        }
    }
    let mut content = content.join("\n");
    if content.ends_with('\r') {
        content.pop();
    }
    Ok((after, content))
}

/// What looks like a term and is none: a variable, and how pids and the like are shown.
fn no_term(text: &str) -> Lexed<'_, Token> {
    let starts_variable = |c: char| c == '_' || (is_name_char(c) && c.is_uppercase());
    let variable = recognize(pair(satisfy(starts_variable), take_while(is_name_char)));
    let shown = alt((tag("#Ref<"), tag("#Port<"), tag("#Fun<"), recognize(pair(char('<'), shown_node))));
    let variable = value(TextErrorReason::Variable, variable);
    let (_, reason) = alt((variable, value(TextErrorReason::Identity, shown))).parse(text)?;
    fail(text, reason)
}

/// What a pid starts with: a number, or the name of a node.
fn shown_node(text: &str) -> Lexed<'_, char> {
    satisfy(|c| is_name_char(c) || c == '\'').parse(text)
}

fn punctuation(text: &str) -> Lexed<'_, Token> {
    // The longer first.
    const ALL: [&str; 16] =
        ["<<", ">>", "=>", "{", "}", "[", "]", "(", ")", ",", "|", "#", ":", "/", "-", "+"];
    match ALL.into_iter().find(|all| text.starts_with(all)) {
        Some(found) => value(Token::Punctuation(found), tag(found)).parse(text),
        None => Err(nom::Err::Error(Fault { rest: text, reason: None })),
    }
}

/// A `.` ends a term only before white space, a comment or the end; otherwise it is no token at all.
fn dot(text: &str) -> Lexed<'_, Token> {
    let (rest, _) = char('.').parse(text)?;
    match rest.chars().next() {
        None | Some('\0'..=' ' | '\u{80}'..='\u{a0}' | '%') => Ok((rest, Token::Dot)),
        Some(_) => Err(nom::Err::Error(Fault { rest: text, reason: None })),
    }
}
