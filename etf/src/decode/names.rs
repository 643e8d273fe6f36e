//! Atoms and the names of nodes, of which a message has the same ones again and again.

use std::sync::Arc;

use crate::{
    Atom, Binary, DecodeErrorReason, DecodeLimits, Term,
    decode::{
        Asked,
        reader::{AtomText, Reader, Result, error},
        recent::{COMMON, EMPTY, Recent},
        short::short,
    },
    tag,
};

/// Atoms and nodes that were read lately, of one term or of many.
pub(super) struct NameMemory {
    /// The nodes that identifiers had last, to be shared by the next ones.
    nodes: [Option<Arc<Atom>>; 2],
    /// Atoms that come often and those read lately; nothing before one is kept.
    recent: Option<Box<Recent>>,
    /// After how many atoms more are kept.
    atoms_before: usize,
}

impl NameMemory {
    /// Keeping atoms pays only where there are more of them than a usual message has.
    pub(super) const fn of_one_term() -> Self {
        Self { nodes: [const { None }; 2], recent: None, atoms_before: 12 }
    }

    /// For the terms of one sender.
    pub(super) const fn of_many_terms() -> Self {
        Self { nodes: [const { None }; 2], recent: None, atoms_before: 0 }
    }
}

/// The names in one term.
pub(super) struct Names<'a> {
    asked: Asked<'a>,
    /// How many atoms were spelled out, less those taken from `recent`.
    spelled: usize,
    spelled_max: usize,
    /// Whether there may be as many atoms as terms, so that the exact number does not matter.
    is_uncounted: bool,
    /// Atoms that come often, or none where each that is read must be looked at.
    common: &'static Recent,
    memory: &'a mut NameMemory,
}

impl<'a> Names<'a> {
    pub(super) fn new(limits: &DecodeLimits, asked: Asked<'a>, memory: &'a mut NameMemory) -> Self {
        let (spelled_max, is_uncounted) = (limits.atoms_max, limits.atoms_max >= limits.elements_max);
        let common = if is_uncounted && asked.known.is_none() { &COMMON } else { &EMPTY };
        if !is_uncounted {
            // They were counted in another term.
            memory.nodes = [const { None }; 2];
        }
        Self { asked, spelled: 0, spelled_max, is_uncounted, common, memory }
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
    #[inline(always)]
    fn recent_atom(&self, with_tag: &[u8], len: u8) -> Option<&Atom> {
        self.memory.recent.as_deref().unwrap_or(self.common).get(with_tag, len)
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
        if self.spelled > self.memory.atoms_before && self.is_uncounted && tag == tag::SMALL_ATOM_UTF8 {
            self.keep(with_tag, &atom);
        }
        Ok(atom)
    }

    // Apart, as a new table takes 3 KB of stack before it is in the heap.
    #[inline(never)]
    fn keep(&mut self, with_tag: &[u8], atom: &Atom) {
        let recent = self.memory.recent.get_or_insert_with(|| Box::new(self.common.clone()));
        recent.insert(with_tag, atom);
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
            let nodes = &mut self.memory.nodes;
            for i in 0..nodes.len() {
                if let Some(node) = &nodes[i]
                    && node.as_bytes() == text
                {
                    let node = Arc::clone(node);
                    if i > 0 {
                        nodes[..=i].rotate_right(1);
                    }
                    return Ok(node);
                }
            }
        }
        reader.rest = start;
        let node = Arc::new(self.atom(reader)?);
        self.memory.nodes.rotate_right(1);
        self.memory.nodes[0] = Some(Arc::clone(&node));
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
