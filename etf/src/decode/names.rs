//! Atoms and the names of nodes, of which a message has the same ones again and again.

use std::sync::Arc;

use crate::{
    Atom, Binary, DecodeErrorReason, DecodeLimits, Term,
    decode::{
        Asked,
        reader::{AtomText, Reader, Result, error},
        short::{SHORT_MAX, Short, short},
    },
    tag,
};

/// Atoms and nodes that were read lately.
pub(super) struct Names<'a> {
    asked: Asked<'a>,
    /// How many atoms were spelled out, less those taken from `recent`.
    spelled: usize,
    spelled_max: usize,
    /// Whether there may be as many atoms as terms, so that the exact number does not matter.
    is_uncounted: bool,
    /// The nodes that identifiers had last, to be shared by the next ones.
    nodes: [Option<Arc<Atom>>; 2],
    /// Short atoms, each in the place that its text says. A copy is cheaper than checking the text again.
    recent: Option<[Recent; RECENT]>,
}

#[derive(Clone)]
struct Recent {
    key: Short,
    atom: Atom,
}

/// A power of two, and more than the keys of most structs.
const RECENT: usize = 16;
/// Filling the places pays only where there are more atoms than a usual message has.
const SPELLED_BEFORE_RECENT: usize = 12;

impl<'a> Names<'a> {
    pub(super) fn new(limits: &DecodeLimits, asked: Asked<'a>) -> Self {
        let (spelled_max, is_uncounted) = (limits.atoms_max, limits.atoms_max >= limits.elements_max);
        Self { asked, spelled: 0, spelled_max, is_uncounted, nodes: [const { None }; 2], recent: None }
    }

    /// Reads a term without sub-terms, if it is one that comes often and not at the very end of the input, where it
    /// would have to be checked for length more than once. Says whether it was.
    // Not in a build without optimisation, where every level of a term would take its stack.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn leaf(&self, rest: &mut &[u8], put: impl FnOnce(Term)) -> bool {
        let after = match rest.first_chunk() {
            Some(&[tag::SMALL_INTEGER, int, _, _, _]) => {
                put(Term::Int(i64::from(int)));
                2
            }
            Some(&[tag::INTEGER, a, b, c, d]) => {
                put(Term::Int(i64::from(i32::from_be_bytes([a, b, c, d]))));
                5
            }
            Some(&[tag::SMALL_ATOM_UTF8, len, _, _, _]) => {
                let Some(atom) = self.recent_atom(rest, len) else { return false };
                put(Term::Atom(atom.clone()));
                2 + usize::from(len)
            }
            Some(&[tag::BINARY, 0, 0, 0, len]) => {
                let len = usize::from(len);
                let Some(words) = short(&rest[5..], len) else { return false };
                if len > Binary::INLINE_MAX {
                    return false;
                }
                put(Term::Binary(Binary::from_short(words, len)));
                5 + len
            }
            _ => return false,
        };
        *rest = &rest[after..];
        true
    }

    /// The atom at hand with its tag and a text of so many bytes of UTF-8, if it was read lately.
    #[inline]
    fn recent_atom(&self, with_tag: &[u8], len: u8) -> Option<&Atom> {
        let recent = self.recent.as_ref()?;
        let key = key_of(with_tag, len)?;
        let place = &recent[place_of(key)];
        let is_same = place.key[0] == key[0]
            && (len <= LEN_IN_WORD || place.key[1] == key[1] && place.key[2] == key[2]);
        is_same.then_some(&place.atom)
    }

    /// What follows an atom's tag.
    #[inline(never)]
    pub(super) fn atom_of(&mut self, reader: &mut Reader<'_>, offset: usize, tag: u8) -> Result<Atom> {
        let with_tag = reader.from(offset);
        let text = reader.atom_of(offset, tag)?;
        if let AtomText::Cached(atom) = text {
            return Ok(atom.clone());
        }
        self.spelled += 1;
        if self.spelled > self.spelled_max {
            return Err(error(offset, DecodeErrorReason::TooManyAtoms { max: self.spelled_max }));
        }
        let atom = text.to_atom();
        if let Some(known) = self.asked.known
            && !known.atoms.contains(&atom)
        {
            return Err(error(offset, DecodeErrorReason::UnknownAtom { atom }));
        }
        if self.spelled > SPELLED_BEFORE_RECENT
            && self.is_uncounted
            && tag == tag::SMALL_ATOM_UTF8
            && let Ok(len) = u8::try_from(atom.len())
            && let Some(key) = key_of(with_tag, len)
        {
            #[expect(clippy::unnecessary_lazy_evaluations, reason = "it is made once, and is not small")]
            let recent = self.recent.get_or_insert_with(|| {
                [const { Recent { key: NO_KEY, atom: Atom::from_static("") } }; RECENT]
            });
            recent[place_of(key)] = Recent { key, atom: atom.clone() };
        }
        Ok(atom)
    }

    /// An atom where nothing else may stand.
    pub(super) fn atom(&mut self, reader: &mut Reader<'_>) -> Result<Atom> {
        let offset = reader.at();
        let tag = reader.u8()?;
        self.atom_of(reader, offset, tag)
    }

    /// A node's name. It is shared with the identifiers before, so a term full of pids allocates their
    /// node's name once.
    pub(super) fn node(&mut self, reader: &mut Reader<'_>) -> Result<Arc<Atom>> {
        let (start, offset) = (reader.rest, reader.at());
        let tag = reader.u8()?;
        if tag == tag::NIL
            && let Some(key) = self.asked.local
        {
            return Ok(Arc::clone(key.node().0));
        }
        // The usual forms are compared in place.
        let text = match tag {
            tag::SMALL_ATOM_UTF8 => {
                let len = usize::from(reader.u8()?);
                reader.take(len)?
            }
            tag::ATOM_CACHE_REF => reader.cached_atom(offset)?.as_bytes(),
            _ => &[],
        };
        if !text.is_empty() {
            for i in 0..self.nodes.len() {
                if let Some(node) = &self.nodes[i]
                    && node.as_bytes() == text
                {
                    let node = Arc::clone(node);
                    self.nodes[..=i].rotate_right(1);
                    return Ok(node);
                }
            }
        }
        reader.rest = start;
        let node = Arc::new(self.atom(reader)?);
        self.nodes.rotate_right(1);
        self.nodes[0] = Some(Arc::clone(&node));
        Ok(node)
    }

    /// The incarnation of a node that [`Self::node`] gave: for the own node, which a local term leaves out, another
    /// than was read.
    pub(super) fn creation(&self, node: &Arc<Atom>, read: u32) -> u32 {
        match self.asked.local {
            Some(key) if Arc::ptr_eq(node, key.node().0) => key.node().1,
            _ => read,
        }
    }

    /// Refuses a function that is not known, if only known ones are asked for.
    pub(super) fn check_export(
        &self,
        offset: usize,
        module: &Atom,
        function: &Atom,
        arity: u8,
    ) -> Result<()> {
        let Some(known) = self.asked.known else { return Ok(()) };
        let (module, function) = (module.clone(), function.clone());
        let export = (module, function, arity);
        if known.exports.contains(&export) {
            return Ok(());
        }
        let (module, function, arity) = export;
        Err(error(offset, DecodeErrorReason::UnknownFunction { module, function, arity }))
    }
}

/// Texts up to this length fit one word together with their tag and length.
const LEN_IN_WORD: u8 = 6;

/// What tells a short atom from all others: its tag, length and text if they fit one word, else its text and
/// length.
#[inline]
fn key_of(with_tag: &[u8], len: u8) -> Option<Short> {
    if len <= LEN_IN_WORD {
        let word = u64::from_le_bytes(*with_tag.first_chunk()?);
        let unused = u64::BITS - 8 * (2 + u32::from(len));
        return Some([word << unused, 0, 0]);
    }
    let [a, b, c] = short(with_tag.get(2..)?, usize::from(len))?;
    Some([a, b, c | u64::from(len) << 56])
}

/// No text has this key: it would have no tag, and be longer than [`SHORT_MAX`].
const NO_KEY: Short = [0, 0, (SHORT_MAX as u64 + 1) << 56];

#[inline]
fn place_of([a, b, c]: Short) -> usize {
    // Multiplying by an odd number carries every bit up; the upper ones choose.
    let hash = (a ^ b ^ c).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    #[expect(clippy::cast_possible_truncation, reason = "4 bits are left")]
    let place = (hash >> (u64::BITS - RECENT.ilog2())) as usize;
    place
}
