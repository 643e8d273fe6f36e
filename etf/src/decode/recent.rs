//! Short atoms in a table, so that an atom which was read before is copied and not checked again.
//!
//! The table starts with atoms that the protocols of Erlang itself use, since a usual message has few others.

use std::mem;

use crate::{
    Atom,
    decode::short::{SHORT_MAX, Short, short},
    tag,
};

/// Short atoms, each in the place that its text says, or in the one next to it.
#[derive(Clone)]
pub(super) struct Recent([Place; PLACES]);

#[derive(Clone)]
struct Place {
    key: Short,
    atom: Atom,
}

/// A power of two, and more than the keys of most structs.
const PLACES: usize = 64;

/// A table without atoms.
pub(super) static EMPTY: Recent = Recent::with(&[]);
/// A table with the atoms that come most often.
pub(super) static COMMON: Recent = Recent::with(&COMMON_ATOMS);

/// Of three for the same two places one is left out.
const COMMON_ATOMS: [&str; 36] = [
    "ok",
    "error",
    "true",
    "false",
    "undefined",
    "nil",
    "alias",
    "$gen_call",
    "$gen_cast",
    "normal",
    "shutdown",
    "noproc",
    "noconnection",
    "timeout",
    "infinity",
    "EXIT",
    "DOWN",
    "process",
    "reply",
    "call",
    "cast",
    "rex",
    "badrpc",
    "spawn_reply",
    "erlang",
    "erpc",
    "rpc",
    "kernel",
    "io_request",
    "io_reply",
    "put_chars",
    "unicode",
    "is_auth",
    "yes",
    "killed",
    "__struct__",
];

impl Recent {
    const fn with(atoms: &[&'static str]) -> Self {
        let mut places = [const { Place { key: NO_KEY, atom: Atom::from_static("") } }; PLACES];
        let mut next = 0;
        while next < atoms.len() {
            let atom = atoms[next];
            let key = key_of_text(atom.as_bytes());
            let mut at = place_of(key);
            if places[at].key[0] != NO_KEY[0] {
                at = next_to(at);
            }
            let place = &mut places[at];
            if place.key[0] == NO_KEY[0] {
                // Forgotten, as nothing is dropped at compile time, and a static text has nothing to drop.
                mem::forget(mem::replace(place, Place { key, atom: Atom::from_static(atom) }));
            }
            next += 1;
        }
        Self(places)
    }

    /// The atom at hand with its tag and a text of so many bytes of UTF-8, if it is in the table.
    #[inline(always)]
    pub(super) fn get(&self, with_tag: &[u8], len: u8) -> Option<&Atom> {
        let key = key_of(with_tag, len)?;
        let at = place_of(key);
        let is_here = |place: &Place| {
            place.key[0] == key[0] && (len <= LEN_IN_WORD || place.key[1] == key[1] && place.key[2] == key[2])
        };
        let place = &self.0[at];
        if is_here(place) {
            return Some(&place.atom);
        }
        let place = &self.0[next_to(at)];
        is_here(place).then_some(&place.atom)
    }

    /// Puts an atom into the table that was read from there. The one in its place moves to the next, so that two can be
    /// kept that come by turns.
    pub(super) fn insert(&mut self, with_tag: &[u8], atom: &Atom) {
        if let Ok(len) = u8::try_from(atom.len())
            && let Some(key) = key_of(with_tag, len)
        {
            let at = place_of(key);
            let before = mem::replace(&mut self.0[at], Place { key, atom: atom.clone() });
            self.0[next_to(at)] = before;
        }
    }
}

/// Where an atom may be as well.
const fn next_to(place: usize) -> usize {
    place ^ 1
}

/// What tells a short atom from all others: its tag, length and text if they fit one word, else its text and
/// length.
#[inline(always)]
fn key_of(with_tag: &[u8], len: u8) -> Option<Short> {
    if len <= LEN_IN_WORD {
        let word = u64::from_le_bytes(*with_tag.first_chunk()?);
        let unused = u64::BITS - 8 * (2 + u32::from(len));
        return Some([word << unused, 0, 0]);
    }
    let [a, b, c] = short(with_tag.get(2..)?, usize::from(len))?;
    Some([a, b, c | u64::from(len) << 56])
}

/// The same of a text of at most [`SHORT_MAX`] bytes.
const fn key_of_text(text: &[u8]) -> Short {
    let len = text.len();
    let mut key = [0; 3];
    let mut at = 0;
    while at < len {
        key[at / 8] |= (text[at] as u64) << (8 * (at % 8));
        at += 1;
    }
    if len <= LEN_IN_WORD as usize {
        let with_tag = key[0] << 16 | (len as u64) << 8 | tag::SMALL_ATOM_UTF8 as u64;
        return [with_tag << (64 - 8 * (2 + len)), 0, 0];
    }
    key[2] |= (len as u64) << 56;
    key
}

/// Texts up to this length fit one word together with their tag and length.
const LEN_IN_WORD: u8 = 6;

/// No text has this key: it would have no tag, and be longer than [`SHORT_MAX`].
const NO_KEY: Short = [0, 0, (SHORT_MAX as u64 + 1) << 56];

#[inline(always)]
const fn place_of([a, b, c]: Short) -> usize {
    // Multiplying by an odd number carries every bit up; the upper ones choose.
    let hash = (a ^ b ^ c).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    #[expect(clippy::cast_possible_truncation, reason = "6 bits are left")]
    let place = (hash >> (u64::BITS - PLACES.ilog2())) as usize;
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_tag(text: &str) -> Vec<u8> {
        let mut bytes = vec![tag::SMALL_ATOM_UTF8, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(&[0xee; 32]);
        bytes
    }

    fn get(table: &Recent, text: &str) -> Option<Atom> {
        table.get(&with_tag(text), u8::try_from(text.len()).unwrap()).cloned()
    }

    #[test]
    fn common_atoms_are_found() {
        let lost: Vec<_> = COMMON_ATOMS.iter().filter(|text| get(&COMMON, text).is_none()).collect();
        assert!(lost.len() <= 8, "in one place with others: {lost:?}");
        for text in ["ok", "error", "true", "false", "undefined", "nil", "alias", "$gen_call", "timeout"] {
            assert_eq!(get(&COMMON, text).as_deref(), Some(text));
        }
    }

    #[test]
    fn only_the_very_same_text_is_found() {
        for text in ["", "o", "okk", "oj", "error\0", "timeou", "$gen_cal", "undefined1"] {
            assert_eq!(get(&COMMON, text), None, "{text}");
        }
        assert_eq!(get(&EMPTY, ""), None);
    }

    #[test]
    fn what_was_put_in_is_found() {
        let mut table = EMPTY.clone();
        for text in ["", "a", "seven_7", "a_text_of_23_characters", "häß"] {
            table.insert(&with_tag(text), &Atom::from(text));
            assert_eq!(get(&table, text).as_deref(), Some(text));
        }
        let long = "a_text_of_24_characters_";
        table.insert(&with_tag(long), &Atom::from(long));
        assert_eq!(get(&table, long), None);
    }
}
