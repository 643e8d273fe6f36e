//! How terms are written.

/// How a term is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Which lists and binaries are written as strings.
    pub strings: Strings,
    /// Whether characters past Latin-1 are written as they are; else as `\x{...}`.
    pub unicode: bool,
}

/// Which lists and binaries of characters are written as strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strings {
    /// None.
    No,
    /// Those of printable characters of Latin-1.
    Latin1,
    /// Those of printable characters.
    Unicode,
}

impl Style {
    /// `~tp` in a runtime started with `+pc unicode`.
    pub const UNICODE: Self = Self { strings: Strings::Unicode, unicode: true };
    /// `~p`.
    pub const LATIN1: Self = Self { strings: Strings::Latin1, unicode: false };
    /// `~w`.
    pub const WRITE: Self = Self { strings: Strings::No, unicode: false };
}
