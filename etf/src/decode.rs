//! Bytes of the external term format to terms (wire.md 8).
//!
//! Sub-terms are written straight into the memory of what holds them, which is allocated once, as large as its
//! header says. So that no header can lie, the decoder counts what is still owed: every sub-term that an open tuple,
//! list or map still waits for takes at least one byte of input, and a header that promises more than is left is
//! refused before anything is allocated for it. That makes memory a fixed multiple of the input, see
//! [`DecodeLimits`].
//!
//! The outer levels take stack; what lies deeper is read by [`deep`](Decoding::deep), with a stack in the heap.

use std::{mem, sync::Arc};

use bytes::Bytes;

use crate::{
    Atom, Binary, BitString, Closure, DecodeLimits, Elements, Fun, ImproperList, LocalKey, Map, Pid, Port,
    Record, Reference, Term,
    slab::{FILLER, PIECE_TERMS_MAX, Slab},
    tag,
};

mod decoder;
pub use decoder::Decoder;
mod error;
pub use error::{DecodeError, DecodeErrorReason};
mod inflate;
pub(crate) use inflate::inflate;
mod input;
pub use input::Input;
mod names;
use names::{NameMemory, Names};
mod options;
pub use options::{DecodeOptions, Known};
pub(crate) mod reader;
use reader::{Reader, Result, error};
mod recent;
pub(crate) mod short;

/// Decodes a stored term, as `erlang:term_to_binary/1` makes it: 131 first, compressed or not, and nothing after.
///
/// Binaries longer than [`Binary::INLINE_MAX`] are slices of `input` and keep it alive.
///
/// [`DecodeOptions`] has what `binary_to_term/2` can be told.
pub fn decode(input: &Bytes, limits: &DecodeLimits) -> Result<Term, DecodeError> {
    no_trailing(input, decode_prefix(input, limits)?)
}

/// Decodes the stored term that `input` starts with, and says how many bytes of `input` it took.
pub fn decode_prefix(input: &Bytes, limits: &DecodeLimits) -> Result<(Term, usize), DecodeError> {
    stored_prefix(input, limits, Asked::default(), &mut Memory::of_one_term())
}

/// What was asked for besides the usual.
#[derive(Clone, Copy, Default)]
struct Asked<'a> {
    known: Option<&'a Known>,
    local: Option<&'a LocalKey>,
}

fn no_trailing(input: &Bytes, (term, used): (Term, usize)) -> Result<Term, DecodeError> {
    match input.len() - used {
        0 => Ok(term),
        bytes => Err(DecodeError::new(used, DecodeErrorReason::TrailingBytes { bytes })),
    }
}

fn stored_prefix(
    input: &Bytes,
    limits: &DecodeLimits,
    asked: Asked<'_>,
    memory: &mut Memory,
) -> Result<(Term, usize), DecodeError> {
    check_bytes(input.len(), limits)?;
    match input.first() {
        Some(&tag::VERSION) => {}
        Some(&found) => return Err(DecodeError::new(0, DecodeErrorReason::NoVersion { found })),
        None => return Err(DecodeError::new(0, DecodeErrorReason::Truncated { needed: 1, left: 0 })),
    }
    if input.get(1) != Some(&tag::COMPRESSED) {
        return local_or_not(input, 1, limits, asked, memory);
    }
    let (inflated, used) = inflate(input, 2, limits)?;
    let inflated = Bytes::from(inflated);
    let (term, end) = local_or_not(&inflated, 0, limits, asked, memory).map_err(DecodeError::in_inflated)?;
    match inflated.len() - end {
        0 => Ok((term, used)),
        bytes => Err(DecodeError::new(end, DecodeErrorReason::TrailingBytes { bytes }).in_inflated()),
    }
}

/// A term that may be a local one.
fn local_or_not(
    input: &Bytes,
    at: usize,
    limits: &DecodeLimits,
    asked: Asked<'_>,
    memory: &mut Memory,
) -> Result<(Term, usize), DecodeError> {
    if let Some(key) = asked.local
        && input.get(at) == Some(&tag::LOCAL)
    {
        let left = &input[at + 1..];
        let Some(hash) = left.first_chunk::<4>() else {
            let reason = DecodeErrorReason::Truncated { needed: 4, left: left.len() };
            return Err(DecodeError::new(at + 1, reason));
        };
        let start = at + 1 + hash.len();
        let (term, end) = Decoding::new(input.into(), start, None, limits, asked, memory).run()?;
        if key.hash(&input[start..end]) != *hash {
            return Err(DecodeError::new(at, DecodeErrorReason::ForeignLocalTerm));
        }
        return Ok((term, end));
    }
    Decoding::new(input.into(), at, None, limits, Asked { local: None, ..asked }, memory).run()
}

/// Decodes one term of a distribution message, which starts at `at`, and says where it ends.
///
/// In there (wire.md 4.2) no term has a 131 of its own, none is compressed, and `atoms` are what the message's
/// header said that the atom cache references stand for; empty if there was no header.
pub fn decode_bare(
    input: &Bytes,
    at: usize,
    atoms: &[Atom],
    limits: &DecodeLimits,
) -> Result<(Term, usize), DecodeError> {
    bare(input.into(), at, atoms, limits, &mut Memory::of_one_term())
}

fn bare(
    input: Input<'_>,
    at: usize,
    atoms: &[Atom],
    limits: &DecodeLimits,
    memory: &mut Memory,
) -> Result<(Term, usize), DecodeError> {
    check_bytes(input.bytes().len(), limits)?;
    if at > input.bytes().len() {
        return Err(DecodeError::new(
            input.bytes().len(),
            DecodeErrorReason::Truncated { needed: 1, left: 0 },
        ));
    }
    Decoding::new(input, at, Some(atoms), limits, Asked::default(), memory).run()
}

fn bare_tuple(
    input: Input<'_>,
    at: usize,
    atoms: &[Atom],
    limits: &DecodeLimits,
    memory: &mut Memory,
    elements: &mut Vec<Term>,
) -> Result<Option<usize>, DecodeError> {
    if input.bytes().get(at) != Some(&tag::SMALL_TUPLE) || limits.depth_max == 0 {
        // A large tuple, or none.
        let (term, end) = bare(input, at, atoms, limits, memory)?;
        let Term::Tuple(tuple) = term else { return Ok(None) };
        elements.extend(tuple);
        return Ok(Some(end));
    }
    check_bytes(input.bytes().len(), limits)?;
    Decoding::new(input, at, Some(atoms), limits, Asked::default(), memory).run_tuple(elements).map(Some)
}

fn check_bytes(bytes: usize, limits: &DecodeLimits) -> Result<(), DecodeError> {
    // Binaries are kept as 32-bit ranges of the input.
    let max = limits.bytes_max.min(u32::MAX as usize);
    if bytes > max {
        return Err(DecodeError::new(0, DecodeErrorReason::TooManyBytes { bytes, max }));
    }
    Ok(())
}

/// What is kept from term to term.
struct Memory {
    names: NameMemory,
    slab: Slab,
}

impl Memory {
    const fn of_one_term() -> Self {
        Self { names: NameMemory::of_one_term(), slab: Slab::new() }
    }

    /// For the terms of one sender.
    const fn of_many_terms() -> Self {
        Self { names: NameMemory::of_many_terms(), slab: Slab::for_many() }
    }
}

struct Decoding<'a> {
    reader: Reader<'a>,
    source: Input<'a>,
    /// The same, to share with binaries; made when the first one needs it.
    shared: Option<Arc<Bytes>>,
    limits: &'a DecodeLimits,
    /// How many more terms may be begun or promised.
    elements_left: usize,
    /// With so many levels left, or fewer, no more are read by recursion.
    deep_levels: usize,
    names: Names<'a>,
    slab: &'a mut Slab,
}

impl<'a> Decoding<'a> {
    fn new(
        source: Input<'a>,
        at: usize,
        atoms: Option<&'a [Atom]>,
        limits: &'a DecodeLimits,
        asked: Asked<'a>,
        memory: &'a mut Memory,
    ) -> Self {
        let Memory { names, slab } = memory;
        let (reader, names) = (Reader::new(source.bytes(), at, atoms), Names::new(limits, asked, names));
        let deep_levels = limits.depth_max.saturating_sub(RECURSION_LEVELS);
        let elements_left = limits.elements_max;
        Self { reader, source, shared: None, limits, elements_left, deep_levels, names, slab }
    }

    fn run(mut self) -> Result<(Term, usize), DecodeError> {
        let mut term = [FILLER];
        let levels = self.limits.depth_max;
        self.promise(self.reader.at(), 1, 0, 1)
            .and_then(|()| self.fill(&mut term, 0, levels))
            .map_err(|error| *error)?;
        let [term] = term;
        Ok((term, self.reader.at()))
    }

    /// The same for a small tuple, whose elements are put into a buffer.
    fn run_tuple(mut self, elements: &mut Vec<Term>) -> Result<usize, DecodeError> {
        let levels = self.limits.depth_max;
        let mut read = |this: &mut Self| {
            let offset = this.reader.at();
            this.promise(offset, 1, 0, levels)?;
            let &[_, arity] = this.reader.array()?;
            this.promise(offset, usize::from(arity), 0, levels)?;
            let start = elements.len();
            elements.extend((0..arity).map(|_| FILLER));
            this.fill(&mut elements[start..], 0, levels - 1)
        };
        read(&mut self).map_err(|error| *error)?;
        Ok(self.reader.at())
    }

    /// Reads as many terms as there are slots. After them `owed` more are promised, and what they hold may be
    /// `levels` deep.
    fn fill(&mut self, slots: &mut [Term], owed: usize, levels: usize) -> Result<()> {
        // Kept at hand, and written back before anything else reads.
        let mut rest = self.reader.rest;
        let mut slots = slots.iter_mut();
        while let Some(slot) = slots.next() {
            if self.names.leaf(&mut rest, |term| put(slot, term)) {
                continue;
            }
            self.reader.rest = rest;
            let owed = owed + slots.len();
            let read = match rest.first() {
                Some(&tag) if levels <= self.deep_levels && has_sub_terms(tag) => {
                    self.deep(slot, owed, levels)
                }
                Some(&tag::SMALL_TUPLE) => self.small_tuple(slot, owed, levels),
                Some(&tag::LARGE_TUPLE) => self.large_tuple(slot, owed, levels),
                Some(&tag::LIST) => self.list(slot, owed, levels),
                Some(&tag::MAP) => self.map(slot, owed, levels),
                Some(&tag::NEW_FUN) => self.closure(slot, owed, levels),
                Some(&tag::RECORD) => self.record(slot, owed, levels),
                _ => self.other(slot),
            };
            read?;
            rest = self.reader.rest;
        }
        self.reader.rest = rest;
        Ok(())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn small_tuple(&mut self, slot: &mut Term, owed: usize, levels: usize) -> Result<()> {
        let (mut elements, left) = self.open_small_tuple(owed, levels)?;
        if left > 0 {
            let start = elements.len() - left;
            self.fill(&mut elements[start..], owed, levels - 1)?;
        }
        put(slot, Term::Tuple(elements));
        Ok(())
    }

    /// Slots for the elements, and how many are left to fill. Elements without sub-terms are read here, which most
    /// tuples have alone.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn open_small_tuple(&mut self, owed: usize, levels: usize) -> Result<(Elements, usize)> {
        let offset = self.reader.at();
        let &[_, arity] = self.reader.array()?;
        let arity = usize::from(arity);
        self.promise(offset, arity, owed, levels)?;
        let mut elements = self.fillers(arity);
        let mut rest = self.reader.rest;
        let mut leaves = elements.iter_mut();
        let is_flat = leaves.all(|slot| self.names.leaf(&mut rest, |term| put(slot, term)));
        let left = leaves.len() + usize::from(!is_flat);
        self.reader.rest = rest;
        if is_flat {
            // Such terms are short, and kept in place.
            elements.set_plain();
        }
        Ok((elements, left))
    }

    // What is done before and after sub-terms are read is not done here, where it would take stack for each level.

    fn large_tuple(&mut self, slot: &mut Term, owed: usize, levels: usize) -> Result<()> {
        let mut elements = self.open(owed, levels)?;
        self.fill(&mut elements, owed, levels.saturating_sub(1))?;
        put(slot, Term::Tuple(elements));
        Ok(())
    }

    fn map(&mut self, slot: &mut Term, owed: usize, levels: usize) -> Result<()> {
        let offset = self.reader.at();
        let mut flat = self.open(owed, levels)?;
        self.fill(&mut flat, owed, levels.saturating_sub(1))?;
        close_map(slot, offset, flat)
    }

    /// A list in a list's tail is the same list going on, which does not count as depth: a BEAM may well send a
    /// long list cell by cell.
    fn list(&mut self, slot: &mut Term, owed: usize, levels: usize) -> Result<()> {
        let mut elements = self.open(owed, levels)?;
        let mut start = 0;
        loop {
            self.fill(&mut elements[start..], owed + 1, levels - 1)?;
            start = elements.len();
            match self.next_in_tail() {
                tag::LIST => self.open_more(&mut elements, owed, levels)?,
                tag::NIL => {
                    put(slot, Term::List(elements));
                    return Ok(());
                }
                _ => break,
            }
        }
        elements.add_fillers(self.slab, 1);
        self.fill(&mut elements[start..], owed, levels - 1)?;
        close_improper_list(slot, elements);
        Ok(())
    }

    /// The tag in a list's tail, of which `[]` is read with that; 0, which is none, at the end of the input.
    fn next_in_tail(&mut self) -> u8 {
        match self.reader.rest.split_first() {
            Some((&tag::NIL, rest)) => {
                self.reader.rest = rest;
                tag::NIL
            }
            Some((&tag, _)) => tag,
            None => 0,
        }
    }

    /// The size that leads is not looked at: OTP 23 writes it wrong (wire.md 8, tag 112).
    fn closure(&mut self, slot: &mut Term, owed: usize, levels: usize) -> Result<()> {
        let (closure, mut free) = self.open_closure(owed, levels)?;
        self.fill(&mut free, owed, levels.saturating_sub(1))?;
        close_closure(slot, *closure, free);
        Ok(())
    }

    fn record(&mut self, slot: &mut Term, owed: usize, levels: usize) -> Result<()> {
        let (record, mut values) = self.open_record(owed, levels)?;
        self.fill(&mut values, owed, levels.saturating_sub(1))?;
        close_record(slot, record, values);
        Ok(())
    }

    /// Reads a term with sub-terms, and all that lies in it, without taking stack for each level.
    #[inline(never)]
    fn deep(&mut self, slot: &mut Term, owed: usize, levels: usize) -> Result<()> {
        let mut outer: Vec<Open> = Vec::new();
        let mut open = self.begin(owed, levels)?;
        loop {
            if let Some(next) = open.elements.get_mut(open.next as usize) {
                let reader = &mut self.reader;
                if reader.rest.first().is_some_and(|&tag| has_sub_terms(tag)) {
                    let owed = open.owed + open.still_owed();
                    let levels = levels.saturating_sub(1 + outer.len());
                    let inner = self.begin(owed as usize, levels)?;
                    outer.push(mem::replace(&mut open, inner));
                    continue;
                }
                if !self.names.leaf(&mut reader.rest, |term| put(next, term)) {
                    self.other(next)?;
                }
                open.next += 1;
                continue;
            }
            if matches!(open.kind, Kind::List) {
                match self.next_in_tail() {
                    tag::NIL => {}
                    tag::LIST => {
                        let levels = levels.saturating_sub(outer.len());
                        self.open_more(&mut open.elements, open.owed as usize, levels)?;
                        continue;
                    }
                    _ => {
                        open.elements.add_fillers(self.slab, 1);
                        open.kind = Kind::ImproperList;
                        continue;
                    }
                }
            }
            let mut term = FILLER;
            close(&mut term, open)?;
            match outer.pop() {
                Some(outer) => open = outer,
                None => {
                    put(slot, term);
                    return Ok(());
                }
            }
            put(&mut open.elements[open.next as usize], term);
            open.next += 1;
        }
    }

    fn begin(&mut self, owed: usize, levels: usize) -> Result<Open> {
        let offset = self.reader.at();
        let (kind, elements) = match self.reader.rest.first() {
            Some(&tag::SMALL_TUPLE) => {
                let &[_, arity] = self.reader.array()?;
                self.promise(offset, usize::from(arity), owed, levels)?;
                (Kind::Tuple, self.fillers(usize::from(arity)))
            }
            Some(&tag::LIST) => (Kind::List, self.open(owed, levels)?),
            Some(&tag::MAP) => {
                let offset = u32::try_from(offset).expect("terms are decoded from at most 4 GiB");
                (Kind::Map { offset }, self.open(owed, levels)?)
            }
            Some(&tag::NEW_FUN) => {
                let (closure, free) = self.open_closure(owed, levels)?;
                (Kind::Closure(closure), free)
            }
            Some(&tag::RECORD) => {
                let (record, values) = self.open_record(owed, levels)?;
                (Kind::Record(record), values)
            }
            _ => (Kind::Tuple, self.open(owed, levels)?),
        };
        let owed = u32::try_from(owed).expect("no more is owed than there are bytes, at most 4 GiB");
        Ok(Open { kind, elements, next: 0, owed })
    }

    /// Slots for the sub-terms of a large tuple, a map or a list.
    fn open(&mut self, owed: usize, levels: usize) -> Result<Elements> {
        let offset = self.reader.at();
        let (tag, count) = (self.reader.u8()?, self.reader.u32()?);
        if tag == tag::LARGE_TUPLE && count > TUPLE_ARITY_MAX {
            return Err(error(offset, DecodeErrorReason::TupleArity { arity: count }));
        }
        let slots = if tag == tag::MAP { 2 * count as usize } else { count as usize };
        // A list has a tail as well.
        self.promise(offset, slots + usize::from(tag == tag::LIST), owed, levels)?;
        Ok(self.fillers(slots))
    }

    #[inline]
    fn fillers(&mut self, count: usize) -> Elements {
        // Each term to come takes a byte or more.
        Elements::fillers(self.slab, count, self.reader.rest.len())
    }

    /// More slots for a list that goes on in its tail.
    fn open_more(&mut self, elements: &mut Elements, owed: usize, levels: usize) -> Result<()> {
        let offset = self.reader.at();
        self.reader.u8()?;
        let more = self.reader.u32()? as usize;
        self.promise(offset, more + 1, owed, levels)?;
        elements.add_fillers(self.slab, more);
        Ok(())
    }

    /// The closure, and slots for its values.
    fn open_closure(&mut self, owed: usize, levels: usize) -> Result<(Box<Closure>, Elements)> {
        let reader = &mut self.reader;
        reader.array::<5>()?;
        let arity = reader.u8()?;
        let uniq = *reader.array::<16>()?;
        let index = reader.u32()?;
        let free_at = reader.at();
        let free = reader.u32()?;
        if free > FREE_VARIABLES_MAX {
            return Err(error(free_at, DecodeErrorReason::FreeVariables { free }));
        }
        let module = self.names.atom(reader)?;
        let old_index = reader.int()?;
        let old_uniq = reader.int()?;
        let offset = reader.at();
        let tag = reader.u8()?;
        let creator = self.pid_of(offset, tag)?;
        let free = free as usize;
        self.promise(free_at, free, owed, levels)?;
        let closure =
            Closure { arity, uniq, index, module, old_index, old_uniq, creator, free: Elements::new() };
        Ok((Box::new(closure), self.fillers(free)))
    }

    /// The record, and slots for its values.
    fn open_record(&mut self, owed: usize, levels: usize) -> Result<(Box<Record>, Elements)> {
        let offset = self.reader.at();
        self.reader.u8()?;
        let len = self.reader.u32()? as usize;
        // Each field is an atom of two bytes or more and a value.
        self.reader.check_left(offset, owed + 3 * len)?;
        let flags = self.reader.u8()?;
        let module = self.names.atom(&mut self.reader)?;
        let name = self.names.atom(&mut self.reader)?;
        let mut names = Vec::with_capacity(len);
        for _ in 0..len {
            names.push(self.names.atom(&mut self.reader)?);
        }
        self.promise(offset, len, owed, levels)?;
        let record = Record { flags, module, name, names, values: Elements::new() };
        Ok((Box::new(record), self.fillers(len)))
    }

    /// Checks that so many more terms can still come and may.
    #[inline]
    fn promise(&mut self, offset: usize, terms: usize, owed: usize, levels: usize) -> Result<()> {
        // No overflow: what is owed already is at most the input's length.
        self.reader.check_left(offset, owed + terms)?;
        if levels == 0 && terms > 0 {
            return Err(error(offset, DecodeErrorReason::TooDeep { max: self.limits.depth_max }));
        }
        self.count(offset, terms)
    }

    #[inline]
    fn count(&mut self, offset: usize, terms: usize) -> Result<()> {
        match self.elements_left.checked_sub(terms) {
            Some(left) => self.elements_left = left,
            None => {
                let max = self.limits.elements_max;
                return Err(error(offset, DecodeErrorReason::TooManyElements { max }));
            }
        }
        Ok(())
    }

    /// A term without sub-terms.
    #[inline(never)]
    fn other(&mut self, slot: &mut Term) -> Result<()> {
        let reader = &mut self.reader;
        let offset = reader.at();
        let term = match reader.u8()? {
            tag::SMALL_INTEGER => Term::Int(i64::from(reader.u8()?)),
            tag::INTEGER => Term::Int(i64::from(reader.u32()?.cast_signed())),
            tag::NIL => Term::NIL,
            tag::BINARY => {
                let len = reader.u32()? as usize;
                Term::Binary(self.binary(len)?)
            }
            tag::FLOAT => Term::Float(reader.float_text(offset)?),
            tag::NEW_FLOAT => Term::Float(reader.float(offset)?),
            tag @ (tag::ATOM
            | tag::SMALL_ATOM
            | tag::ATOM_UTF8
            | tag::SMALL_ATOM_UTF8
            | tag::ATOM_CACHE_REF) => Term::Atom(self.names.atom_of(reader, offset, tag)?),
            tag @ (tag::NEW_PID | tag::PID) => Term::Pid(self.pid_of(offset, tag)?),
            tag @ (tag::V4_PORT | tag::NEW_PORT | tag::PORT) => {
                let parts = reader.port_of(tag, |reader| self.names.node(reader))?;
                let creation = self.names.creation(&parts.node, parts.creation);
                Term::Port(Port::new(parts.node, parts.id, creation))
            }
            tag @ (tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE) => {
                let parts = reader.reference_of(offset, tag, |reader| self.names.node(reader))?;
                let creation = self.names.creation(&parts.node, parts.creation);
                let reference = Reference::new(parts.node, creation, &parts.words[..parts.len]);
                Term::Reference(reference.expect("one to five words"))
            }
            tag::STRING => {
                let len = usize::from(reader.u16()?);
                let bytes = reader.take(len)?;
                let left = reader.rest.len();
                self.count(offset, len)?;
                let ints = bytes.iter().map(|&byte| Term::Int(i64::from(byte)));
                let mut elements: Elements = if len <= PIECE_TERMS_MAX {
                    let mut elements = Elements::fillers(self.slab, len, left);
                    elements.iter_mut().zip(ints).for_each(|(slot, int)| put(slot, int));
                    elements
                } else {
                    ints.collect()
                };
                elements.set_plain();
                Term::List(elements)
            }
            tag::BIT_BINARY => self.bit_binary(offset)?,
            tag @ (tag::SMALL_BIG | tag::LARGE_BIG) => {
                let len =
                    if tag == tag::SMALL_BIG { usize::from(reader.u8()?) } else { reader.u32()? as usize };
                reader.big(offset, len, self.limits.bigint_bytes_max)?
            }
            tag::EXPORT => Term::Fun(Box::new(self.export()?)),
            tag::LOCAL => return Err(error(offset, DecodeErrorReason::LocalTerm)),
            tag::OLD_FUN => return Err(error(offset, DecodeErrorReason::OldFun)),
            tag::VERSION => return Err(error(offset, DecodeErrorReason::VersionInside)),
            tag::COMPRESSED => return Err(error(offset, DecodeErrorReason::CompressedInside)),
            tag if tag::INTERNAL.contains(&tag) => {
                return Err(error(offset, DecodeErrorReason::InternalTag { tag }));
            }
            tag => return Err(error(offset, DecodeErrorReason::UnknownTag { tag })),
        };
        put(slot, term);
        Ok(())
    }

    /// After the tag.
    fn export(&mut self) -> Result<Fun> {
        let start = self.reader.at() - 1;
        let module = self.names.atom(&mut self.reader)?;
        let function = self.names.atom(&mut self.reader)?;
        let offset = self.reader.at();
        let arity = self.reader.int()?;
        let arity =
            u8::try_from(arity).map_err(|_| error(offset, DecodeErrorReason::ExportArity { arity }))?;
        self.names.check_export(start, &module, &function, arity)?;
        Ok(Fun::Export { module, function, arity })
    }

    fn pid_of(&mut self, offset: usize, tag: u8) -> Result<Pid> {
        let parts = self.reader.pid_of(offset, tag, |reader| self.names.node(reader))?;
        let creation = self.names.creation(&parts.node, parts.creation);
        Ok(Pid::new(parts.node, parts.id, parts.serial, creation))
    }

    fn binary(&mut self, len: usize) -> Result<Binary> {
        let start = self.reader.at();
        let bytes = self.reader.take(len)?;
        if len <= Binary::INLINE_MAX {
            return Ok(Binary::copy_from_slice(bytes));
        }
        let shared = self.shared.get_or_insert_with(|| Arc::new(self.source.to_shared()));
        Ok(Binary::slice_of(shared, start..start + len))
    }

    fn bit_binary(&mut self, offset: usize) -> Result<Term> {
        let len = self.reader.u32()? as usize;
        let last_bits = self.reader.u8()?;
        match (len, last_bits) {
            // Only OTP 25 and before read an empty one (wire.md 8, tag 77).
            (0, 0) => Ok(Term::Binary(Binary::copy_from_slice(&[]))),
            (1.., 8) => Ok(Term::Binary(self.binary(len)?)),
            (1.., 1..=7) => {
                let bits = BitString::new(self.reader.take(len)?, last_bits);
                Ok(bits.expect("there is a byte, and 1 to 7 bits of it").into())
            }
            _ => Err(error(offset, DecodeErrorReason::BitCount { bytes: len, last_bits })),
        }
    }
}

fn close_map(slot: &mut Term, offset: usize, flat: Elements) -> Result<()> {
    let map = Map::try_from_flat(flat).ok_or_else(|| error(offset, DecodeErrorReason::DuplicateKey))?;
    put(slot, Term::Map(map));
    Ok(())
}

/// The last of these is the tail.
fn close_improper_list(slot: &mut Term, mut elements: Elements) {
    if let [_, .., tail] = &elements[..]
        && !matches!(tail, Term::List(_) | Term::ImproperList(_))
    {
        put(slot, Term::ImproperList(ImproperList::from_elements(elements)));
        return;
    }
    let tail = elements.pop().expect("there is a tail");
    put(slot, Term::list_with_tail(elements.into_vec(), tail));
}

fn close_closure(slot: &mut Term, closure: Closure, free: Elements) {
    put(slot, Fun::Closure(Closure { free, ..closure }).into());
}

fn close_record(slot: &mut Term, mut record: Box<Record>, values: Elements) {
    record.values = values;
    put(slot, Term::Record(record));
}

/// A term that is begun and not ended.
struct Open {
    kind: Kind,
    elements: Elements,
    /// The first of the elements that is not read yet.
    next: u32,
    /// How many terms are promised after this one.
    owed: u32,
}

enum Kind {
    Tuple,
    List,
    /// The last element is the tail.
    ImproperList,
    Map {
        offset: u32,
    },
    Closure(Box<Closure>),
    Record(Box<Record>),
}

impl Open {
    /// How many terms are promised in it after the next one, a list's tail included.
    #[expect(clippy::cast_possible_truncation, reason = "it is no more than there are bytes, at most 4 GiB")]
    fn still_owed(&self) -> u32 {
        self.elements.len() as u32 - self.next - 1 + u32::from(matches!(self.kind, Kind::List))
    }
}

fn close(slot: &mut Term, open: Open) -> Result<()> {
    let elements = open.elements;
    match open.kind {
        Kind::Tuple => put(slot, Term::Tuple(elements)),
        Kind::List => put(slot, Term::List(elements)),
        Kind::ImproperList => close_improper_list(slot, elements),
        Kind::Map { offset } => close_map(slot, offset as usize, elements)?,
        Kind::Closure(closure) => close_closure(slot, *closure, elements),
        Kind::Record(record) => close_record(slot, record, elements),
    }
    Ok(())
}

fn has_sub_terms(tag: u8) -> bool {
    matches!(tag, tag::SMALL_TUPLE | tag::LARGE_TUPLE | tag::LIST | tag::MAP | tag::NEW_FUN | tag::RECORD)
}

/// How many levels are read by recursion, which is faster. They take some 100 KiB of stack in an unoptimised build.
const RECURSION_LEVELS: usize = 64;

/// Puts a term into a slot that has a filler, which needs no dropping.
#[inline]
fn put(slot: &mut Term, term: Term) {
    mem::forget(mem::replace(slot, term));
}

/// The largest tuple that any BEAM makes or takes.
pub(crate) const TUPLE_ARITY_MAX: u32 = (1 << 24) - 1;
/// The BEAM takes no closure over more.
pub(crate) const FREE_VARIABLES_MAX: u32 = 255;

#[cfg(test)]
mod tests;
