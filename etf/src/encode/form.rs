//! How the two forms of a term differ, for the compiler to see through.

use std::cell::RefCell;

use crate::{Atom, LocalKey, MinorVersion};

/// What is written otherwise here than there.
pub(super) trait Form: Copy {
    /// Whether ports get the older tag where it has room for their number.
    const OLD_PORTS: bool = false;
    /// Whether nothing below is asked: all is as OTP 26 and later write it.
    const MODERN: bool = true;

    /// Whether atoms that Latin-1 has are written in it.
    fn latin1_atoms(self) -> bool {
        false
    }

    /// The number of the atom among those of the message's header, to be written in its place.
    fn cached(self, _atom: &Atom) -> Option<u8> {
        None
    }

    /// Whether floats are written as text.
    fn text_floats(self) -> bool {
        false
    }

    /// Whether this is the node whose name and incarnation are left out.
    fn is_local(self, _node: &Atom, _creation: u32) -> bool {
        false
    }
}

/// A stored term.
#[derive(Clone, Copy)]
pub(super) struct Stored;

impl Form for Stored {}

/// A term of a distribution message.
#[derive(Clone, Copy)]
pub(super) struct Bare;

impl Form for Bare {
    const OLD_PORTS: bool = true;
}

/// A term of a distribution message that has a header with atoms.
pub(super) struct Cached<'a, A>(pub(super) &'a RefCell<&'a mut A>);

impl<A> Clone for Cached<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Cached<'_, A> {}

impl<A: AtomTable> Form for Cached<'_, A> {
    const OLD_PORTS: bool = true;
    const MODERN: bool = false;

    fn cached(self, atom: &Atom) -> Option<u8> {
        self.0.borrow_mut().number(atom)
    }
}

/// The atoms of a message's distribution header (wire.md 4.3), to which its terms refer by number.
pub trait AtomTable {
    /// The atom's number, under which the header will have it; nothing if the term has to spell it out.
    fn number(&mut self, atom: &Atom) -> Option<u8>;
}

/// A stored term that [`EncodeOptions`](crate::EncodeOptions) say how to write.
#[derive(Clone, Copy)]
pub(super) struct Custom<'a> {
    pub(super) minor_version: MinorVersion,
    pub(super) local: Option<&'a LocalKey>,
}

impl Form for Custom<'_> {
    const MODERN: bool = false;

    fn latin1_atoms(self) -> bool {
        match self.minor_version {
            MinorVersion::V0 | MinorVersion::V1 => true,
            MinorVersion::V2 => false,
        }
    }

    fn text_floats(self) -> bool {
        match self.minor_version {
            MinorVersion::V0 => true,
            MinorVersion::V1 | MinorVersion::V2 => false,
        }
    }

    fn is_local(self, node: &Atom, creation: u32) -> bool {
        self.local.is_some_and(|key| key.is_of(node, creation))
    }
}
