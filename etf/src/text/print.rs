//! Terms and atoms as text.

use std::{
    fmt::{self, Write},
    iter, slice,
};

use crate::{
    Atom, Binary, BitString, Float, Fun, Term,
    text::{RESERVED, Strings, Style, pretty},
};

/// As Erlang writes it: in quotes unless it starts with a small letter and has only letters, digits, `_` and `@`
/// (of Latin-1) and is no reserved word. [`Atom::as_str`] is the plain text.
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_atom(self, Style::UNICODE, f)
    }
}

/// As `io:format("~tp")` writes it: on one line, and with `{:#}` on several where it has more than 78 characters, as
/// far as it is less than 128 levels deep.
///
/// ```
/// let term = crabnode_etf::term!([first, {a_tag, [<<"forty characters of text in this binary">>, {second, 3}]}, last]);
/// let lines = "[first,
///  {a_tag,[<<\"forty characters of text in this binary\">>,{second,3}]},
///  last]";
/// assert_eq!(format!("{term:#}"), lines);
/// assert_eq!(term.to_string(), lines.replace("\n ", ""));
/// ```
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate()
            && let Some(lines) = pretty::lines(self, Style::UNICODE, pretty::LINE, 1)
        {
            return f.write_str(&lines);
        }
        write_line(self, Style::UNICODE, f)
    }
}

impl Term {
    /// The term on one line, as `io:format` writes it by `~tp` ([`Style::UNICODE`], which is `Display`), `~p`
    /// ([`Style::LATIN1`]) or `~w` ([`Style::WRITE`]).
    #[must_use]
    pub fn to_text(&self, style: Style) -> String {
        let mut out = String::new();
        write_line(self, style, &mut out).expect("a string takes all");
        out
    }

    /// The same on several lines where it does not fit in one of `line` columns, the first line starting at the column
    /// `column`, from 1: `~p` within a text. A term 128 or more levels deep stays on one.
    #[must_use]
    pub fn to_lines(&self, style: Style, line: usize, column: usize) -> String {
        pretty::lines(self, style, line, column.max(1)).unwrap_or_else(|| self.to_text(style))
    }
}

/// Writes a term on one line.
fn write_line(term: &Term, style: Style, f: &mut impl Write) -> fmt::Result {
    let mut stack = vec![Work::Term(term)];
    while let Some(work) = stack.pop() {
        match work {
            Work::Text(text) => f.write_str(text)?,
            Work::Term(term) => write_term(term, style, f, &mut stack)?,
            Work::Elements { mut rest, started } => {
                if let Some(element) = rest.next() {
                    f.write_str(if started { "," } else { "" })?;
                    stack.push(Work::Elements { rest, started: true });
                    stack.push(Work::Term(element));
                }
            }
            Work::Entries { mut rest, started } => {
                if let Some([key, value]) = rest.next() {
                    f.write_str(if started { "," } else { "" })?;
                    stack.push(Work::Entries { rest, started: true });
                    stack.extend([Work::Term(value), Work::Text(" => "), Work::Term(key)]);
                }
            }
            Work::Fields { mut rest, started } => {
                if let Some((name, value)) = rest.next() {
                    f.write_str(if started { "," } else { "" })?;
                    write_atom(name, style, f)?;
                    f.write_str(" = ")?;
                    stack.push(Work::Fields { rest, started: true });
                    stack.push(Work::Term(value));
                }
            }
        }
    }
    Ok(())
}

/// What is still to be written; the last comes first. This takes the place of recursion.
enum Work<'a> {
    Text(&'static str),
    Term(&'a Term),
    Elements { rest: slice::Iter<'a, Term>, started: bool },
    Entries { rest: slice::Iter<'a, [Term; 2]>, started: bool },
    Fields { rest: iter::Zip<slice::Iter<'a, Atom>, slice::Iter<'a, Term>>, started: bool },
}

/// Writes a term up to its first sub-term, and leaves the rest on the stack.
fn write_term<'a>(
    term: &'a Term,
    style: Style,
    f: &mut impl Write,
    stack: &mut Vec<Work<'a>>,
) -> fmt::Result {
    match term {
        Term::Int(int) => write!(f, "{int}"),
        Term::BigInt(big) => write!(f, "{}", big.as_bigint()),
        Term::Float(float) => write_float(*float, f),
        Term::Atom(atom) => write_atom(atom, style, f),
        Term::Reference(reference) => write!(f, "{reference:?}"),
        Term::Fun(fun) => write_fun(fun, style, f),
        Term::Port(port) => write!(f, "{port:?}"),
        Term::Pid(pid) => write!(f, "{pid:?}"),
        Term::Tuple(elements) => {
            stack.push(Work::Text("}"));
            stack.push(Work::Elements { rest: elements.iter(), started: false });
            f.write_char('{')
        }
        Term::Record(record) => {
            stack.push(Work::Text("}"));
            stack.push(Work::Fields { rest: record.names.iter().zip(&record.values), started: false });
            f.write_char('#')?;
            write_atom(&record.module, style, f)?;
            f.write_char(':')?;
            write_atom(&record.name, style, f)?;
            f.write_char('{')
        }
        Term::Map(map) => {
            stack.push(Work::Text("}"));
            stack.push(Work::Entries { rest: map.entries().iter(), started: false });
            f.write_str("#{")
        }
        Term::List(elements) => {
            if is_printable_list(elements, style) {
                return write_quoted(elements.iter().filter_map(as_char), '"', style, f);
            }
            stack.push(Work::Text("]"));
            stack.push(Work::Elements { rest: elements.iter(), started: false });
            f.write_char('[')
        }
        Term::ImproperList(list) => {
            stack.extend([Work::Text("]"), Work::Term(list.tail()), Work::Text("|")]);
            stack.push(Work::Elements { rest: list.head().iter(), started: false });
            f.write_char('[')
        }
        Term::Binary(binary) => write_binary(binary, style, f),
        Term::BitString(bits) => write_bits(bits, f),
    }
}

/// Erlang's shortest form that reads back as the same float: with an exponent where that is shorter, and from 2^53
/// on, where not every whole number is a float.
fn write_float(float: Float, f: &mut impl Write) -> fmt::Result {
    let value = float.get();
    let shortest = shortest(value.abs());
    let (mantissa, exponent) = shortest.split_once('e').expect("this form has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let digits: String = mantissa.chars().filter(|&c| c != '.').collect();
    if value.is_sign_negative() {
        f.write_char('-')?;
    }
    if value == 0.0 {
        return f.write_str("0.0");
    }
    // The value is 0.DIGITS times ten to the `point`.
    let point = exponent + 1;
    let count = i32::try_from(digits.len()).expect("at most 17 digits");
    let exponent_text = exponent.to_string();
    let exponent_chars = exponent_text.len() + 1 + if count == 1 { 2 } else { 1 };
    let fits = |zeros: i32| usize::try_from(zeros + 2).is_ok_and(|chars| chars <= exponent_chars);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if point > 0 && point < count {
        let (whole, fraction) = digits.split_at(usize::try_from(point).expect("more than 0"));
        write!(f, "{whole}.{fraction}")
    } else if point <= 0 && (point == 0 || fits(-point)) {
        write!(f, "0.{}{digits}", zeros(-point))
    } else if point > 0 && fits(point - count) && value.abs() < 9_007_199_254_740_992.0 {
        write!(f, "{digits}{}.0", zeros(point - count))
    } else {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        write!(f, "{first}.{rest}e{exponent_text}")
    }
}

/// The fewest digits that read back as the same float, and of two that are as near the even one, as Erlang has it.
fn shortest(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits = shortest.bytes().take_while(|&byte| byte != b'e').filter(u8::is_ascii_digit).count();
    // Correctly rounded to so many digits it differs only where two are as near.
    let even = format!("{value:.*e}", digits - 1);
    if even.parse() == Ok(value) { even } else { shortest }
}

/// A closure shows its number and hash as older releases count, which is what Erlang does.
fn write_fun(fun: &Fun, style: Style, f: &mut impl Write) -> fmt::Result {
    match fun {
        Fun::Export { module, function, arity } => {
            f.write_str("fun ")?;
            write_atom(module, style, f)?;
            f.write_char(':')?;
            write_atom(function, style, f)?;
            write!(f, "/{arity}")
        }
        Fun::Closure(c) => {
            f.write_str("#Fun<")?;
            write_atom(&c.module, style, f)?;
            write!(f, ".{}.{}>", c.old_index, c.old_uniq)
        }
    }
}

fn write_binary(binary: &Binary, style: Style, f: &mut impl Write) -> fmt::Result {
    let is_latin1 =
        || style.strings != Strings::No && binary.iter().all(|&byte| is_printable(char::from(byte)));
    f.write_str("<<")?;
    match binary.as_utf8().filter(|_| style.strings == Strings::Unicode) {
        _ if binary.is_empty() => {}
        Some(text) if text.chars().all(is_printable) => {
            write_quoted(text.chars(), '"', style, f)?;
            f.write_str(if text.is_ascii() { "" } else { "/utf8" })?;
        }
        None if is_latin1() => write_quoted(binary.iter().copied().map(char::from), '"', style, f)?,
        _ => write_bytes(binary, f)?,
    }
    f.write_str(">>")
}

fn write_bits(bits: &BitString, f: &mut impl Write) -> fmt::Result {
    let count = bits.last_bits();
    let (last, whole) = bits.as_slice().split_last().expect("a bit string has a byte");
    f.write_str("<<")?;
    write_bytes(whole, f)?;
    if !whole.is_empty() {
        f.write_char(',')?;
    }
    write!(f, "{}:{count}>>", last >> (8 - count))
}

fn write_bytes(bytes: &[u8], f: &mut impl Write) -> fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        write!(f, "{}{byte}", if i == 0 { "" } else { "," })?;
    }
    Ok(())
}

fn write_atom(atom: &Atom, style: Style, f: &mut impl Write) -> fmt::Result {
    if is_plain_atom(atom) { f.write_str(atom) } else { write_quoted(atom.chars(), '\'', style, f) }
}

fn write_quoted(
    text: impl Iterator<Item = char>,
    quote: char,
    style: Style,
    f: &mut impl Write,
) -> fmt::Result {
    f.write_char(quote)?;
    for c in text {
        match c {
            c if c == quote => write!(f, "\\{c}")?,
            '\\' => f.write_str("\\\\")?,
            '\u{100}'.. if !style.unicode => write!(f, "\\x{{{:X}}}", u32::from(c))?,
            ' '..='~' | '\u{a0}'.. => f.write_char(c)?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{0b}' => f.write_str("\\v")?,
            '\u{08}' => f.write_str("\\b")?,
            '\u{0c}' => f.write_str("\\f")?,
            '\u{1b}' => f.write_str("\\e")?,
            '\u{7f}' => f.write_str("\\d")?,
            c => write!(f, "\\{:03o}", u32::from(c))?,
        }
    }
    f.write_char(quote)
}

fn is_plain_atom(text: &str) -> bool {
    text.chars().next().is_some_and(is_atom_start)
        && text.chars().all(is_name_char)
        && RESERVED.binary_search(&text).is_err()
}

/// Whether an unquoted atom may start with it.
pub(super) fn is_atom_start(c: char) -> bool {
    matches!(c, 'a'..='z' | 'ß'..='ö' | 'ø'..='ÿ')
}

/// Whether an unquoted atom, or a variable, may go on with it.
pub(super) fn is_name_char(c: char) -> bool {
    is_atom_start(c) || matches!(c, 'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ' | '0'..='9' | '_' | '@')
}

/// Whether it is written as a string.
pub(super) fn is_printable_list(elements: &[Term], style: Style) -> bool {
    let is_of = |c: char| match style.strings {
        Strings::No => false,
        Strings::Latin1 => c <= '\u{ff}' && is_printable(c),
        Strings::Unicode => is_printable(c),
    };
    !elements.is_empty() && elements.iter().all(|element| as_char(element).is_some_and(is_of))
}

fn as_char(term: &Term) -> Option<char> {
    char::from_u32(u32::try_from(term.as_int()?).ok()?)
}

/// What `io_lib:printable_unicode_list/1` takes for printable.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{08}'..='\r' | '\u{1b}')
        || (c >= '\u{a0}' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}
