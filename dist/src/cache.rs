//! The atom caches of a connection, one for each direction, and the distribution headers that fill them (wire.md 4.3).

use etf::{Atom, AtomTable, Segments};

/// How many atoms the cache of one direction holds.
const SLOTS: usize = 2048;

/// What the peer has cached. It starts empty and lives as long as the connection.
#[derive(Debug, Default)]
pub(crate) struct InCache {
    /// For each slot one more than the place of its atom, or 0. Made when the first atom comes.
    places: Option<Box<[u16; SLOTS]>>,
    /// A link sees a few dozen atoms as a rule, and 2,048 of them would take 48 KiB.
    atoms: Vec<Atom>,
    /// How often an atom was put into a slot.
    changes: u64,
}

/// A distribution header that breaks the rules; the BEAM closes the connection for each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The frame ends inside the header.
    #[error("the frame of {bytes} bytes ends inside its distribution header")]
    Truncated {
        /// How long the body is.
        bytes: usize,
    },
    /// A reference to a slot that was never filled.
    #[error("slot {slot} of the atom cache is empty")]
    EmptySlot {
        /// The slot, 0 to 2,047.
        slot: u16,
    },
    /// An atom to be cached that is none: not UTF-8, or of more than 255 characters.
    #[error("what is to be cached in slot {slot} is no atom")]
    NoAtom {
        /// The slot, 0 to 2,047.
        slot: u16,
    },
}

impl InCache {
    /// Reads the header that starts at `at`, puts the atoms that its references stand for into `atoms`, and says
    /// where it ends.
    pub(crate) fn read_header(
        &mut self,
        body: &[u8],
        at: usize,
        atoms: &mut Vec<Atom>,
    ) -> Result<usize, HeaderError> {
        let truncated = HeaderError::Truncated { bytes: body.len() };
        atoms.clear();
        let mut reader = Reader { rest: body.get(at..).unwrap_or_default() };
        let count = usize::from(reader.u8().ok_or(truncated)?);
        if count == 0 {
            return Ok(at + 1);
        }
        let flags = reader.take(count / 2 + 1).ok_or(truncated)?;
        let nibble = |k: usize| flags[k / 2] >> (4 * (k & 1)) & 0xf;
        let has_long_atoms = nibble(count) & LONG_ATOMS != 0;
        for k in 0..count {
            let index = reader.u8().ok_or(truncated)?;
            let slot = u16::from(nibble(k) & SEGMENT) << 8 | u16::from(index);
            if nibble(k) & NEW != 0 {
                let len = if has_long_atoms { reader.u16() } else { reader.u8().map(u16::from) };
                let text = reader.take(usize::from(len.ok_or(truncated)?)).ok_or(truncated)?;
                let text = std::str::from_utf8(text).map_err(|_| HeaderError::NoAtom { slot })?;
                let atom = Atom::try_new(text).map_err(|_| HeaderError::NoAtom { slot })?;
                self.set(slot, atom);
            }
            atoms.push(self.get(slot).ok_or(HeaderError::EmptySlot { slot })?.clone());
        }
        Ok(body.len() - reader.rest.len())
    }

    /// A number that changes whenever an atom is put into a slot.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    fn get(&self, slot: u16) -> Option<&Atom> {
        let place = self.places.as_ref()?[usize::from(slot)].checked_sub(1)?;
        self.atoms.get(usize::from(place))
    }

    fn set(&mut self, slot: u16, atom: Atom) {
        self.changes += 1;
        let places = self.places.get_or_insert_with(|| Box::new([0; SLOTS]));
        let place = &mut places[usize::from(slot)];
        match place.checked_sub(1) {
            Some(place) => self.atoms[usize::from(place)] = atom,
            None => {
                self.atoms.push(atom);
                *place = u16::try_from(self.atoms.len()).expect("there are 2,048 slots");
            }
        }
    }
}

/// The bit of a reference's flags that says its atom follows.
const NEW: u8 = 8;
/// The bits of its slot's segment.
const SEGMENT: u8 = 7;
/// The bit of the last flags that says atoms have a length of two bytes.
const LONG_ATOMS: u8 = 1;

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }
}

/// What we had the peer cache, and the header of the message at hand.
#[derive(Debug, Default)]
pub(crate) struct OutCache {
    /// As many as [`OUT_SLOTS`]; made when the first atom comes.
    slots: Vec<OutSlot>,
    /// Which message is at hand, of all.
    message: u64,
    /// The references of its header.
    references: Vec<OutReference>,
    /// How often a slot got another atom.
    changes: u64,
}

#[derive(Debug, Clone)]
struct OutSlot {
    atom: Atom,
    /// The last message that has it in its header, and its number there.
    message: u64,
    number: u8,
}

#[derive(Debug, Clone, Copy)]
struct OutReference {
    slot: u8,
    /// Whether the peer does not have it yet.
    is_new: bool,
}

/// How many slots we use. Which ones is the sender's choice; a link needs a few dozen, and all would take 64 KiB.
const OUT_SLOTS: usize = 256;
/// The most references in a header.
const REFERENCES_MAX: usize = 255;
/// A header of fewer atoms than this is written at once, if the peer knows them all.
const KNOWN_MAX: usize = 16;

impl OutCache {
    /// Begins a message.
    pub(crate) fn begin(&mut self) {
        self.message += 1;
        self.references.clear();
    }

    /// A number that changes whenever a slot gets another atom, or an empty one its first.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The slots of the message's atoms, in the order of their numbers.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u8> {
        self.references.iter().map(|reference| reference.slot)
    }

    /// Whether the message's atoms are those of these slots, and the peer has them all.
    pub(crate) fn refers_to(&self, slots: &[u8]) -> bool {
        self.references.len() == slots.len()
            && self.references.iter().zip(slots).all(|(known, slot)| known.slot == *slot && !known.is_new)
    }

    /// Has the message begin with the atoms of these slots, which the peer has all.
    pub(crate) fn refer(&mut self, slots: &[u8]) {
        for (number, &slot) in (0..).zip(slots) {
            let OutSlot { message, number: known, .. } = &mut self.slots[usize::from(slot)];
            (*message, *known) = (self.message, number);
            self.references.push(OutReference { slot, is_new: false });
        }
    }

    /// Writes the message's header.
    pub(crate) fn put_header(&self, out: &mut Segments) {
        let count = self.references.len();
        // Nearly every message has a few atoms that the peer knows: no flag is set, the last one included.
        if count < KNOWN_MAX && self.references.iter().all(|reference| !reference.is_new) {
            let mut header = [0; 2 * KNOWN_MAX];
            header[0] = u8::try_from(count).expect("at most 255");
            let flags = if count == 0 { 0 } else { count / 2 + 1 };
            let slots = self.slots();
            let end = 1 + flags + count;
            header[1 + flags..end].iter_mut().zip(slots).for_each(|(byte, slot)| *byte = slot);
            out.put_slice(&header[..end]);
            return;
        }
        out.put_slice(&[u8::try_from(count).expect("at most 255")]);
        // One nibble each, and one more that says that atoms are short.
        let flag = |k: usize| self.references.get(k).map_or(0, |reference| NEW * u8::from(reference.is_new));
        for k in (0..=count).step_by(2) {
            out.put_slice(&[flag(k) | flag(k + 1) << 4]);
        }
        for &OutReference { slot, is_new } in &self.references {
            let text = self.slots[usize::from(slot)].atom.as_bytes();
            match is_new {
                true => {
                    out.put_slice(&[slot, u8::try_from(text.len()).expect("longer ones are spelled out")]);
                    out.put_slice(text);
                }
                false => out.put_slice(&[slot]),
            }
        }
    }

    /// Forgets the message's new atoms, because it is not sent.
    pub(crate) fn take_back(&mut self) {
        for reference in self.references.drain(..).filter(|reference| reference.is_new) {
            self.slots[usize::from(reference.slot)] = OutSlot::EMPTY;
            self.changes += 1;
        }
    }
}

impl OutSlot {
    /// The empty atom is never cached, so no slot has it otherwise.
    const EMPTY: Self = Self { atom: Atom::from_static(""), message: 0, number: 0 };
}

impl AtomTable for OutCache {
    fn number(&mut self, atom: &Atom) -> Option<u8> {
        if atom.is_empty() || atom.len() > usize::from(u8::MAX) {
            return None;
        }
        if self.slots.is_empty() {
            self.slots = vec![OutSlot::EMPTY; OUT_SLOTS];
        }
        let slot_number = slot_of(atom);
        let slot = &mut self.slots[usize::from(slot_number)];
        let is_same = slot.atom == *atom;
        if slot.message == self.message {
            return is_same.then_some(slot.number);
        }
        if self.references.len() >= REFERENCES_MAX {
            return None;
        }
        let number = u8::try_from(self.references.len()).expect("fewer than 255");
        (slot.message, slot.number) = (self.message, number);
        if !is_same {
            slot.atom = atom.clone();
            self.changes += 1;
        }
        self.references.push(OutReference { slot: slot_number, is_new: !is_same });
        Some(number)
    }
}

/// Where an atom goes. The names of a cluster's nodes often differ in a letter, so every byte counts.
fn slot_of(atom: &Atom) -> u8 {
    let hash = atom.bytes().fold(0_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, ..] = hash.to_be_bytes();
    a ^ b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cache: &mut InCache, header: &[u8]) -> Result<(Vec<Atom>, usize), HeaderError> {
        let mut atoms = Vec::new();
        let end = cache.read_header(header, 0, &mut atoms)?;
        Ok((atoms, end))
    }

    #[test]
    fn atoms_are_remembered_by_slot() {
        let mut cache = InCache::default();
        assert_eq!(read(&mut cache, &[0, 9]), Ok((vec![], 1)));
        // Two new atoms, in slots 5 and 2,047; the third nibble says that they are short.
        let header = [2, 0xf8, 0, 5, 2, b'o', b'k', 255, 1, b'x', 7];
        let (ok, x) = (Atom::from("ok"), Atom::from("x"));
        assert_eq!(read(&mut cache, &header), Ok((vec![ok.clone(), x.clone()], 10)));
        // The other way round, from the cache.
        assert_eq!(read(&mut cache, &[2, 0x07, 0, 255, 5]), Ok((vec![x.clone(), ok], 5)));
        // Slot 5 anew, with a length of two bytes.
        let long = "é".repeat(255);
        let mut header = vec![1, 0x18, 5, 1, 0xfe];
        header.extend_from_slice(long.as_bytes());
        assert_eq!(read(&mut cache, &header), Ok((vec![Atom::from(&*long)], header.len())));
        assert_eq!(read(&mut cache, &[1, 0, 5]), Ok((vec![Atom::from(&*long)], 3)));
    }

    #[test]
    fn every_slot_can_be_filled_and_filled_again() {
        let mut cache = InCache::default();
        for round in 0..3_u8 {
            for slot in 0..2048_u16 {
                let [segment, index] = slot.to_be_bytes();
                let header = [1, 8 | segment, index, 3, b'a' + round, b'a' + segment, index & 0x7f];
                read(&mut cache, &header).unwrap();
            }
            for slot in 0..2048_u16 {
                let [segment, index] = slot.to_be_bytes();
                let (atoms, _) = read(&mut cache, &[1, segment, index]).unwrap();
                assert_eq!(atoms[0].as_bytes(), [b'a' + round, b'a' + segment, index & 0x7f]);
            }
        }
        assert_eq!(cache.atoms.len(), 2048);
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let mut cache = InCache::default();
        assert_eq!(read(&mut cache, &[1, 3, 4]), Err(HeaderError::EmptySlot { slot: 0x304 }));
        assert_eq!(read(&mut cache, &[1, 8, 4, 1, 0xff]), Err(HeaderError::NoAtom { slot: 4 }));
        let mut long = vec![1, 0x18, 5, 1, 0];
        long.extend_from_slice(&[b'a'; 256]);
        assert_eq!(read(&mut cache, &long), Err(HeaderError::NoAtom { slot: 5 }));
        let header = [3, 0x88, 8, 0, 1, b'a', 1, 1, b'b', 2, 1, b'c'];
        for end in 0..header.len() {
            let mut cache = InCache::default();
            let truncated = HeaderError::Truncated { bytes: end };
            assert_eq!(read(&mut cache, &header[..end]), Err(truncated), "{end}");
        }
        assert_eq!(read(&mut cache, &header).unwrap().0.len(), 3);
    }

    /// What one side writes, the other reads.
    #[test]
    fn headers_are_read_as_they_are_written() {
        let (mut out_cache, mut in_cache) = (OutCache::default(), InCache::default());
        let mut spelled_out = 0;
        for round in 0..50_usize {
            // More and more atoms, and then those of an earlier round again.
            let names: Vec<Atom> =
                (0..round * 9 % 400).map(|i| Atom::from(&*format!("n{}", i * (round % 7)))).collect();
            out_cache.begin();
            let numbers: Vec<Option<u8>> = names.iter().map(|atom| out_cache.number(atom)).collect();
            if round % 10 == 9 {
                out_cache.take_back();
                continue;
            }
            let mut header = Segments::new();
            out_cache.put_header(&mut header);
            let header: Vec<u8> = header.chunks().flatten().copied().collect();
            let (atoms, end) = read(&mut in_cache, &header).unwrap();
            assert_eq!(end, header.len());
            for (name, number) in names.iter().zip(numbers) {
                match number {
                    Some(number) => assert_eq!(&atoms[usize::from(number)], name),
                    None => spelled_out += 1,
                }
            }
        }
        assert!(spelled_out > 0, "slots were shared");
    }

    #[test]
    fn an_atom_is_sent_once() {
        let mut cache = OutCache::default();
        let header = |cache: &mut OutCache| {
            let mut out = Segments::new();
            cache.put_header(&mut out);
            out.chunks().flatten().copied().collect::<Vec<u8>>()
        };
        let ok = Atom::from("ok");
        cache.begin();
        assert_eq!((cache.number(&ok), cache.number(&ok)), (Some(0), Some(0)));
        assert_eq!(header(&mut cache), [1, 8, slot_of(&ok), 2, b'o', b'k']);
        cache.begin();
        assert_eq!(header(&mut cache), [0]);
        cache.begin();
        assert_eq!(cache.number(&ok), Some(0));
        assert_eq!(header(&mut cache), [1, 0, slot_of(&ok)]);
        // Too long for a length of one byte.
        assert_eq!(cache.number(&Atom::from(&*"é".repeat(200))), None);
    }
}
