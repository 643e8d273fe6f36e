//! `io_lib:format/2`.

use std::iter;

use num_bigint::BigInt;

use crate::{
    Term,
    text::{
        Strings, Style,
        chardata::{Encoding, to_text},
        depth,
        number::{fixed, general, in_base, scientific},
    },
};

/// A format and its arguments do not fit together; Erlang raises `badarg`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The format ends within a control sequence, or has one that there is not.
    #[error("no such control sequence: {0}")]
    Control(String),
    /// There is no argument for a control sequence.
    #[error("there are too few arguments")]
    TooFew,
    /// There are arguments that no control sequence takes.
    #[error("there are {0} arguments too many")]
    TooMany(usize),
    /// An argument is none that its control sequence takes.
    #[error("~{control} does not take {argument}")]
    Argument {
        /// The control sequence's character.
        control: char,
        /// The argument.
        argument: Term,
    },
    /// A field is wider than [`FIELD_COLUMNS_MAX`].
    #[error("a field of {0} columns; the limit is {FIELD_COLUMNS_MAX}")]
    TooWide(usize),
}

/// How wide a field may be, in columns: a format comes from other nodes, and a short one must not take the memory.
pub const FIELD_COLUMNS_MAX: usize = 1 << 20;

/// The columns of a line, where a format does not say how many.
const LINE: usize = 80;

type Result<T> = std::result::Result<T, FormatError>;

/// The text that `io_lib:format(Format, Args)` gives, with the printable characters of `+pc unicode`.
///
/// `~P` writes all on one line. A map is in the order of its keys, whatever function `~K` is given.
///
/// ```
/// use crabnode_etf::{Term, text::format, tuple};
///
/// let term = tuple!(atom "ok", Term::charlist("text"), Term::binary("text"));
/// let text = format("~p ~w ~5..0b ~ts~n", &[term, Term::charlist("w"), 42.into(), Term::binary("å")]);
/// assert_eq!(text.as_deref(), Ok("{ok,\"text\",<<\"text\">>} [119] 00042 å\n"));
/// ```
pub fn format(format: &str, args: &[Term]) -> Result<String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut rest = format;
    while let Some((plain, control)) = rest.split_once('~') {
        out.push_str(plain);
        let (directive, after) = Directive::parse(control, &mut args)?;
        directive.write(&mut args, &mut out)?;
        rest = after;
    }
    out.push_str(rest);
    match args.len() {
        0 => Ok(out),
        left => Err(FormatError::TooMany(left)),
    }
}

type Args<'a> = std::slice::Iter<'a, Term>;

/// `~F.P.PadModC`.
struct Directive {
    width: Option<usize>,
    is_left: bool,
    precision: Option<usize>,
    pad: char,
    /// `t`.
    unicode: bool,
    /// `l`.
    no_strings: bool,
    control: char,
}

impl Directive {
    /// What stands behind a `~`, and the rest.
    fn parse<'a>(text: &'a str, args: &mut Args<'_>) -> Result<(Self, &'a str)> {
        let (width, rest) = number(text, args)?;
        let (precision, rest) = match rest.strip_prefix('.') {
            Some(rest) => number(rest, args)?,
            None => (None, rest),
        };
        let (pad, mut rest) = match rest.strip_prefix('.') {
            Some(rest) if rest.starts_with('*') => {
                let pad = next(args)?.as_int().and_then(|c| char::from_u32(u32::try_from(c).ok()?));
                (pad.ok_or(FormatError::TooFew)?, &rest[1..])
            }
            Some(rest) => {
                let pad = rest.chars().next().ok_or_else(|| FormatError::Control(text.to_owned()))?;
                (pad, &rest[pad.len_utf8()..])
            }
            None => (' ', rest),
        };
        let mut directive = Self {
            is_left: width.is_some_and(|width| width < 0),
            width: width.map(|width| width.unsigned_abs()),
            precision: precision.and_then(|precision| usize::try_from(precision).ok()),
            pad,
            unicode: false,
            no_strings: false,
            control: ' ',
        };
        for width in [directive.width, directive.precision].into_iter().flatten() {
            if width > FIELD_COLUMNS_MAX {
                return Err(FormatError::TooWide(width));
            }
        }
        loop {
            let c = rest.chars().next().ok_or_else(|| FormatError::Control(text.to_owned()))?;
            rest = &rest[c.len_utf8()..];
            match c {
                't' => directive.unicode = true,
                'l' => directive.no_strings = true,
                'k' => {}
                'K' => {
                    next(args)?;
                }
                control => {
                    directive.control = control;
                    return Ok((directive, rest));
                }
            }
        }
    }

    fn write(&self, args: &mut Args<'_>, out: &mut String) -> Result<()> {
        match self.control {
            '~' => self.repeat('~', out),
            'n' => self.repeat('\n', out),
            'i' => {
                next(args)?;
            }
            'c' => {
                let argument = next(args)?;
                let code = argument.as_int().and_then(|code| u32::try_from(code).ok());
                let code = code.map(|code| if self.unicode { code } else { code & 0xff });
                let c = code.and_then(char::from_u32).ok_or_else(|| self.refuse(argument))?;
                let count = self.precision.or(self.width).unwrap_or(1);
                let text: String = iter::repeat_n(c, count).collect();
                self.pad(&text, count, self.width.unwrap_or(count), out);
            }
            's' => {
                let argument = next(args)?;
                let text = self.text_of(argument).ok_or_else(|| self.refuse(argument))?;
                self.write_string(&text, out);
            }
            'w' => {
                let style = Style { unicode: self.unicode, ..Style::WRITE };
                self.write_term(&next(args)?.to_text(style), out);
            }
            'p' => {
                let (term, style) = (next(args)?, self.style());
                let column = self.precision.unwrap_or_else(|| column_behind(out));
                out.push_str(&term.to_lines(style, self.width.unwrap_or(LINE), column));
            }
            'W' | 'P' => {
                let (term, levels) = (next(args)?, next(args)?);
                let Some(levels) = levels.as_int() else { return Err(self.refuse(levels)) };
                let style = match self.control {
                    'P' => self.style(),
                    _ => Style { unicode: self.unicode, ..Style::WRITE },
                };
                self.write_term(&depth::to_text(term, style, levels), out);
            }
            'f' | 'e' | 'g' => {
                let argument = next(args)?;
                let Term::Float(float) = argument else { return Err(self.refuse(argument)) };
                let (value, precision) = (float.get(), self.precision.unwrap_or(6));
                let text = match self.control {
                    'f' if precision >= 1 => fixed(value, precision),
                    'e' if precision >= 2 => scientific(value, precision),
                    'g' if precision >= 1 => general(value, precision),
                    _ => return Err(self.refuse(argument)),
                };
                self.pad_or_stars(&text, None, out);
            }
            'b' | 'B' | '+' | '#' | 'x' | 'X' => self.write_integer(args, out)?,
            control => return Err(FormatError::Control(control.to_string())),
        }
        Ok(())
    }

    /// The precision is the base.
    fn write_integer(&self, args: &mut Args<'_>, out: &mut String) -> Result<()> {
        let argument = next(args)?;
        let int = match argument {
            Term::Int(int) => BigInt::from(*int),
            Term::BigInt(big) => big.as_bigint().clone(),
            _ => return Err(self.refuse(argument)),
        };
        let base = self.precision.unwrap_or(10);
        let Some(base) = u32::try_from(base).ok().filter(|base| (2..=36).contains(base)) else {
            return Err(self.refuse(argument));
        };
        let prefix = match self.control {
            '+' | '#' => format!("{base}#"),
            'x' | 'X' => {
                let prefix = next(args)?;
                let text = match prefix {
                    Term::Atom(atom) => Some(atom.as_str().to_owned()),
                    prefix => to_text(prefix, Encoding::Latin1),
                };
                text.ok_or_else(|| self.refuse(prefix))?
            }
            _ => String::new(),
        };
        let is_upper = matches!(self.control, 'B' | '#' | 'X');
        self.pad_or_stars(&in_base(&int, base, &prefix, is_upper), None, out);
        Ok(())
    }

    fn refuse(&self, argument: &Term) -> FormatError {
        FormatError::Argument { control: self.control, argument: argument.clone() }
    }

    fn style(&self) -> Style {
        let strings = match (self.no_strings, self.unicode) {
            (true, _) => Strings::No,
            (false, true) => Strings::Unicode,
            (false, false) => Strings::Latin1,
        };
        Style { strings, unicode: self.unicode }
    }

    /// An atom's text, or chardata.
    fn text_of(&self, argument: &Term) -> Option<String> {
        let encoding = if self.unicode { Encoding::Unicode } else { Encoding::Latin1 };
        match argument {
            Term::Atom(atom) if self.unicode || atom.chars().all(|c| c <= '\u{ff}') => {
                Some(atom.as_str().to_owned())
            }
            Term::Atom(_) => None,
            argument => to_text(argument, encoding),
        }
    }

    fn repeat(&self, c: char, out: &mut String) {
        out.extend(iter::repeat_n(c, self.width.unwrap_or(1)));
    }

    /// Text of so many columns in a field of so many.
    fn pad(&self, text: &str, columns: usize, width: usize, out: &mut String) {
        let padding = iter::repeat_n(self.pad, width.saturating_sub(columns));
        if self.is_left {
            out.push_str(text);
            out.extend(padding);
        } else {
            out.extend(padding);
            out.push_str(text);
        }
    }

    /// `~s`: a string is cut where it is too long.
    fn write_string(&self, text: &str, out: &mut String) {
        let columns = text.chars().count();
        let Some(precision) = self.precision else {
            let width = self.width.unwrap_or(columns);
            return self.pad(&cut(text, width), columns.min(width), width, out);
        };
        // Within the precision a string is at the left.
        let precision = precision.min(self.width.unwrap_or(precision));
        let mut field = cut(text, precision);
        field.extend(iter::repeat_n(self.pad, precision.saturating_sub(columns)));
        self.pad(&field, precision, self.width.unwrap_or(precision), out);
    }

    fn write_term(&self, text: &str, out: &mut String) {
        self.pad_or_stars(text, self.precision, out);
    }

    /// What is too long for its field becomes stars.
    fn pad_or_stars(&self, text: &str, precision: Option<usize>, out: &mut String) {
        let columns = text.chars().count();
        let (width, room) = match (self.width, precision) {
            (None, None) => return out.push_str(text),
            (None, Some(precision)) => (precision, precision),
            (Some(width), precision) => (width, precision.map_or(width, |precision| precision.min(width))),
        };
        if columns > room {
            let stars = "*".repeat(room);
            return self.pad(&stars, room, width, out);
        }
        self.pad(text, columns, width, out);
    }
}

fn next<'a>(args: &mut Args<'a>) -> Result<&'a Term> {
    args.next().ok_or(FormatError::TooFew)
}

/// A number, or `*` for one that is an argument.
fn number<'a>(text: &'a str, args: &mut Args<'_>) -> Result<(Option<isize>, &'a str)> {
    if let Some(rest) = text.strip_prefix('*') {
        let argument = next(args)?;
        let number = argument.as_int().and_then(|int| isize::try_from(int).ok());
        let refuse = || FormatError::Argument { control: '*', argument: argument.clone() };
        return Ok((Some(number.ok_or_else(refuse)?), rest));
    }
    let sign = usize::from(text.starts_with('-'));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(sign + digits);
    if digits == 0 {
        return Ok((None, text));
    }
    Ok((Some(number.parse().map_err(|_| FormatError::TooWide(usize::MAX))?), rest))
}

/// The column, from 1, in which text goes on.
fn column_behind(out: &str) -> usize {
    let line = out.rsplit('\n').next().unwrap_or_default();
    let columns = line.chars().fold(0, |column, c| if c == '\t' { (column / 8 + 1) * 8 } else { column + 1 });
    columns + 1
}

/// The first so many characters.
fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}

#[cfg(test)]
mod tests;
