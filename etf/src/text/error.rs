//! Why a text is no term.

use crate::Atom;

/// A text that is no term, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct TextError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong there.
    pub reason: TextErrorReason,
}

impl TextError {
    pub(super) fn at(text: &str, offset: usize, reason: TextErrorReason) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason,
        }
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextErrorReason {
    /// Something else stands where the grammar wants one of a few things.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What could stand there.
        expected: &'static str,
        /// What does, cut to its first characters.
        found: String,
    },
    /// A string, quoted atom or the like has no end; the place is its start.
    #[error("{what} without an end")]
    Unterminated {
        /// What it is.
        what: &'static str,
    },
    /// No token starts with this character, or it may not stand in a string.
    #[error("character {char:?} has no place here")]
    Character {
        /// The character.
        char: char,
    },
    /// A variable, which stands for no term here.
    #[error("a variable, which is no term")]
    Variable,
    /// A pid, port, reference or closure as Erlang shows it. That does not say all that there is to it, so it does
    /// not read back, here nor in Erlang.
    #[error("a pid, port, reference or closure as it is shown, which cannot be read back")]
    Identity,
    /// A `\` in a string, quoted atom or character is followed by what is no escape.
    #[error("no such escape")]
    Escape,
    /// The base of an integer is not 2 to 36, or a digit is too large for it.
    #[error("a malformed integer")]
    Integer,
    /// A float is malformed or too large.
    #[error("a malformed float, or one that is too large")]
    Float,
    /// An atom of more characters than any may have.
    #[error("an atom of {chars} characters; the limit is {max}", max = Atom::CHARS_MAX)]
    AtomTooLong {
        /// How many it has.
        chars: usize,
    },
    /// A line of a triple-quoted string is indented less than its end.
    #[error("a line of a triple-quoted string is indented less than its end")]
    Indentation,
    /// A segment of a binary with a value, size and type that do not go together.
    #[error("a binary segment whose value, size and type do not go together")]
    Segment,
    /// A binary of more bits than this reads, or than are left to the binaries of a text together.
    #[error("a binary of more than {max} bits")]
    TooManyBits {
        /// The limit.
        max: usize,
    },
    /// The arity of an external fun is not 0 to 255.
    #[error("an external fun has an arity of 0 to 255")]
    Arity,
    /// Nested deeper than [`super::DEPTH_MAX`], or a binary in binaries deeper than anyone writes.
    #[error("nested deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// The bytes are not in the encoding that the file declares, or UTF-8 if it declares none.
    #[error("not UTF-8; a file in Latin-1 says so in its first line: %% coding: latin-1")]
    NotUtf8,
}
