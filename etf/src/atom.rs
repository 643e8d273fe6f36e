//! Atoms.

use std::{borrow::Borrow, fmt, ops::Deref};

use smol_str::SmolStr;

/// An Erlang atom: at most 255 characters (1,020 bytes) of UTF-8.
///
/// Texts up to 23 bytes are stored inline, so decoding and cloning the usual atom allocates nothing;
/// a longer one is shared by reference count. There is no global atom table and nothing is leaked.
///
/// The order is Erlang's: by code point.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Atom(SmolStr);

/// An atom of more than [`Atom::CHARS_MAX`] characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an atom of {chars} characters; the limit is {max}", max = Atom::CHARS_MAX)]
pub struct AtomTooLong {
    /// How many characters the text has.
    pub chars: usize,
}

impl Atom {
    /// The longest atom, in characters (wire.md 8, tag 118).
    pub const CHARS_MAX: usize = 255;

    /// An atom of a text in the program itself.
    ///
    /// # Panics
    /// At compile time in a `const`, at run time otherwise, when the text has more than 255 bytes.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.len() <= Self::CHARS_MAX, "an atom has at most 255 characters");
        Self(SmolStr::new_static(text))
    }

    /// An atom of any text.
    pub fn try_new(text: impl AsRef<str>) -> Result<Self, AtomTooLong> {
        let text = text.as_ref();
        if text.len() > Self::CHARS_MAX {
            let chars = text.chars().count();
            if chars > Self::CHARS_MAX {
                return Err(AtomTooLong { chars });
            }
        }
        Ok(Self(SmolStr::new(text)))
    }

    /// An atom of a text that was checked to have at most [`Self::CHARS_MAX`] characters.
    pub(crate) fn from_checked(text: &str) -> Self {
        debug_assert!(text.chars().count() <= Self::CHARS_MAX, "it was checked");
        // `new` would look again at whether it is short.
        Self(if text.len() <= INLINE_MAX { SmolStr::new_inline(text) } else { SmolStr::new(text) })
    }

    /// The atom's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The longest text that is stored inline, in bytes.
const INLINE_MAX: usize = 23;

/// Cuts nothing and checks: for texts known to be short.
///
/// # Panics
/// When the text has more than 255 characters; use [`Atom::try_new`] for text that comes from elsewhere.
impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self::try_new(text).expect("an atom has at most 255 characters")
    }
}

impl Deref for Atom {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Atom {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Atom {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Atom {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Atom {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
