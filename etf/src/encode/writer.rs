//! The writer: a term and a place in a buffer.

use std::slice;

use num_bigint::Sign;

use crate::{
    Atom, Binary, Closure, Fun, Pid, Port, Reference, Term,
    encode::{EncodeBuffer, EncodeError, form::Form},
    tag,
};

/// Writes one term after what a buffer has.
///
/// Where the next byte goes is passed from call to call, in a register, because every byte waits for it.
pub(super) struct Writer<'b, B, F> {
    out: &'b mut B,
    form: F,
    /// How long the buffer was, and how many binaries it shared.
    start: (usize, u64),
    /// The first part of the term that no BEAM takes.
    error: Option<EncodeError>,
}

/// What is left to write of a term of which the beginning is written.
enum Rest<'t> {
    Nothing,
    Terms(slice::Iter<'t, Term>),
    List(slice::Iter<'t, Term>),
    Closure { free: slice::Iter<'t, Term>, size_at: usize, shared_bytes: u64 },
}

/// How many levels are written by recursion, which is faster than a stack of our own and allocates none. Most terms
/// are not deeper.
const RECURSION_MAX: u32 = 32;

/// Room for any term that is written at once; a reference of five words is the longest.
const ROOM: usize = 64;
type Room = [u8; ROOM];

impl<'b, B: EncodeBuffer, F: Form> Writer<'b, B, F> {
    pub(super) fn new(out: &'b mut B, form: F) -> Self {
        let start = (out.bytes_mut().len(), out.shared().0);
        Self { out, form, start, error: None }
    }

    /// Writes some bytes and the term.
    pub(super) fn write(mut self, before: &[u8], term: &Term) -> Result<(), EncodeError> {
        let end = self.write_all(before, term);
        self.out.cut(end);
        self.error.map_or(Ok(()), Err)
    }

    /// The same, but if there is an error nothing is left of what was written.
    pub(super) fn write_or_rewind(mut self, before: &[u8], term: &Term) -> Result<(), EncodeError> {
        let end = self.write_all(before, term);
        match self.error {
            None => {
                self.out.cut(end);
                Ok(())
            }
            Some(error) => {
                self.out.cut(self.start.0);
                self.out.unshare(self.start.1);
                Err(error)
            }
        }
    }

    #[inline(always)]
    fn write_all(&mut self, before: &[u8], term: &Term) -> usize {
        let start = self.start.0;
        self.out.grow_first();
        let at = self.put(start, before);
        self.terms(at, slice::from_ref(term), RECURSION_MAX)
    }

    /// Writes terms, and says where they end.
    fn terms(&mut self, mut at: usize, terms: &[Term], levels: u32) -> usize {
        for term in terms {
            let room = self.room(at);
            at += match term {
                Term::Int(int) => put_int(*int, room),
                Term::Atom(atom) if F::MODERN && atom.len() <= SHORT_MAX => put_short_atom(atom, room, 0),
                Term::Binary(binary) => match binary.as_inline() {
                    Some((bytes, len)) => {
                        room[..5].copy_from_slice(&[tag::BINARY, 0, 0, 0, len]);
                        room[5..5 + Binary::INLINE_MAX].copy_from_slice(bytes);
                        5 + usize::from(len)
                    }
                    None => {
                        at = self.put_len(at, tag::BINARY, binary.len());
                        at = self.put_binary(at, binary);
                        continue;
                    }
                },
                Term::Float(float) if F::MODERN => {
                    room[0] = tag::NEW_FLOAT;
                    room[1..9].copy_from_slice(&float.get().to_be_bytes());
                    9
                }
                Term::Pid(pid) if F::MODERN && pid.node().len() <= SHORT_MAX => put_short_pid(pid, room),
                Term::Reference(reference) if F::MODERN && reference.node().len() <= SHORT_MAX => {
                    put_short_reference(reference, room)
                }
                Term::Tuple(elements) if levels > 0 => {
                    at = self.open_tuple(at, elements.len());
                    at = self.terms(at, elements, levels - 1);
                    continue;
                }
                Term::List(elements) if elements.is_empty() => {
                    room[0] = tag::NIL;
                    1
                }
                Term::List(elements) if levels > 0 => {
                    at = match self.put_string(at, elements) {
                        Some(end) => end,
                        None => {
                            at = self.put_len(at, tag::LIST, elements.len());
                            at = self.terms(at, elements, levels - 1);
                            self.put(at, &[tag::NIL])
                        }
                    };
                    continue;
                }
                Term::ImproperList(list) if levels > 0 => {
                    at = self.put_len(at, tag::LIST, list.head().len());
                    at = self.terms(at, list.as_flat(), levels - 1);
                    continue;
                }
                Term::Map(map) if levels > 0 => {
                    at = self.put_len(at, tag::MAP, map.len());
                    at = self.terms(at, map.as_flat(), levels - 1);
                    continue;
                }
                _ => {
                    at = self.deep(at, term);
                    continue;
                }
            };
        }
        at
    }

    /// Writes any term, without recursion.
    #[cold]
    #[inline(never)]
    fn deep<'t>(&mut self, at: usize, term: &'t Term) -> usize {
        let (mut at, rest) = self.open(at, term);
        let mut stack: Vec<Rest<'t>> = match rest {
            Rest::Nothing => return at,
            rest => vec![rest],
        };
        while let Some(rest) = stack.last_mut() {
            let next = match rest {
                Rest::Nothing => None,
                Rest::Terms(terms) | Rest::List(terms) | Rest::Closure { free: terms, .. } => terms.next(),
            };
            if let Some(term) = next {
                let (end, rest) = self.open(at, term);
                at = end;
                if !matches!(rest, Rest::Nothing) {
                    stack.push(rest);
                }
                continue;
            }
            match stack.pop() {
                Some(Rest::List(_)) => at = self.put(at, &[tag::NIL]),
                Some(Rest::Closure { size_at, shared_bytes, .. }) => {
                    self.close_closure(size_at, shared_bytes, at);
                }
                Some(Rest::Nothing | Rest::Terms(_)) | None => {}
            }
        }
        at
    }

    /// Writes a term up to its first sub-term.
    fn open<'t>(&mut self, mut at: usize, term: &'t Term) -> (usize, Rest<'t>) {
        let end = match term {
            Term::Tuple(elements) => {
                return (self.open_tuple(at, elements.len()), Rest::Terms(elements.iter()));
            }
            Term::Map(map) => {
                return (self.put_len(at, tag::MAP, map.len()), Rest::Terms(map.as_flat().iter()));
            }
            Term::List(elements) if elements.is_empty() => self.put(at, &[tag::NIL]),
            Term::List(elements) => {
                if let Some(end) = self.put_string(at, elements) {
                    return (end, Rest::Nothing);
                }
                return (self.put_len(at, tag::LIST, elements.len()), Rest::List(elements.iter()));
            }
            Term::ImproperList(list) => {
                at = self.put_len(at, tag::LIST, list.head().len());
                return (at, Rest::Terms(list.as_flat().iter()));
            }
            Term::Record(record) => {
                at = self.put_len(at, tag::RECORD, record.names.len());
                at = self.put(at, &[record.flags]);
                at = self.put_atom(at, &record.module);
                at = self.put_atom(at, &record.name);
                for name in &record.names {
                    at = self.put_atom(at, name);
                }
                return (at, Rest::Terms(record.values.iter()));
            }
            Term::Fun(fun) => match &**fun {
                Fun::Closure(closure) => return self.open_closure(at, closure),
                Fun::Export { module, function, arity } => {
                    at = self.put(at, &[tag::EXPORT]);
                    at = self.put_atom(at, module);
                    at = self.put_atom(at, function);
                    self.put(at, &[tag::SMALL_INTEGER, *arity])
                }
            },
            Term::Int(int) => at + put_int(*int, self.room(at)),
            Term::BigInt(big) => {
                let (sign, magnitude) = big.as_bigint().to_bytes_le();
                self.put_big(at, sign == Sign::Minus, &magnitude)
            }
            Term::Float(float) if self.form.text_floats() => {
                at = self.put(at, &[tag::FLOAT]);
                self.put(at, &float_text(float.get()))
            }
            Term::Float(float) => {
                at = self.put(at, &[tag::NEW_FLOAT]);
                self.put(at, &float.get().to_be_bytes())
            }
            Term::Atom(atom) => self.put_atom(at, atom),
            Term::Pid(pid) => self.put_pid(at, pid),
            Term::Port(port) => self.put_port(at, port),
            Term::Reference(reference) => self.put_reference(at, reference),
            Term::Binary(binary) => {
                at = self.put_len(at, tag::BINARY, binary.len());
                self.put_binary(at, binary)
            }
            Term::BitString(bits) => {
                at = self.put_len(at, tag::BIT_BINARY, bits.as_slice().len());
                at = self.put(at, &[bits.last_bits()]);
                self.put_binary(at, bits.as_binary())
            }
        };
        (end, Rest::Nothing)
    }

    #[inline(always)]
    fn open_tuple(&mut self, at: usize, arity: usize) -> usize {
        match u8::try_from(arity) {
            Ok(arity) => {
                self.room(at)[..2].copy_from_slice(&[tag::SMALL_TUPLE, arity]);
                at + 2
            }
            Err(_) => {
                if arity > EncodeError::TUPLE_ARITY_MAX {
                    self.error.get_or_insert(EncodeError::TupleArity { arity });
                }
                self.put_len(at, tag::LARGE_TUPLE, arity)
            }
        }
    }

    fn put_big(&mut self, mut at: usize, negative: bool, magnitude: &[u8]) -> usize {
        at = match u8::try_from(magnitude.len()) {
            Ok(len) => self.put(at, &[tag::SMALL_BIG, len]),
            Err(_) => self.put_len(at, tag::LARGE_BIG, magnitude.len()),
        };
        if magnitude.len() > EncodeError::INTEGER_BYTES_MAX {
            self.error.get_or_insert(EncodeError::IntegerTooLarge { bytes: magnitude.len() });
        }
        at = self.put(at, &[u8::from(negative)]);
        self.put(at, magnitude)
    }

    /// Writes a list as a string if all its elements are bytes. A negative integer is no byte.
    fn put_string(&mut self, at: usize, elements: &[Term]) -> Option<usize> {
        let byte = |term: &Term| term.as_int().and_then(|int| u8::try_from(int).ok());
        let len = u16::try_from(elements.len()).ok()?;
        // Most lists are none by their first element, and need not make room. Nor is an empty one.
        byte(elements.first()?)?;
        let [a, b] = len.to_be_bytes();
        let start = self.put(at, &[tag::STRING, a, b]);
        for (place, element) in self.take(start, elements.len()).iter_mut().zip(elements) {
            *place = byte(element)?;
        }
        Some(start + elements.len())
    }

    fn put_atom(&mut self, at: usize, atom: &Atom) -> usize {
        if F::MODERN && atom.len() <= SHORT_MAX {
            at + put_short_atom(atom, self.room(at), 0)
        } else {
            self.put_long_atom(at, atom)
        }
    }

    fn put_long_atom(&mut self, mut at: usize, atom: &Atom) -> usize {
        if self.form.latin1_atoms()
            && let Some(text) = latin1(atom)
        {
            let [a, b] = u16::try_from(text.len()).expect("an atom has at most 255 characters").to_be_bytes();
            at = self.put(at, &[tag::ATOM, a, b]);
            return self.put(at, &text);
        }
        at = match u8::try_from(atom.len()) {
            Ok(len) => self.put(at, &[tag::SMALL_ATOM_UTF8, len]),
            Err(_) => {
                let len = u16::try_from(atom.len()).expect("an atom has at most 1,020 bytes");
                let [a, b] = len.to_be_bytes();
                self.put(at, &[tag::ATOM_UTF8, a, b])
            }
        };
        self.put(at, atom.as_bytes())
    }

    /// Writes a node's name, and gives its incarnation for afterwards.
    fn put_node(&mut self, at: usize, node: &Atom, creation: u32) -> (usize, [u8; 4]) {
        if self.form.is_local(node, creation) {
            return (self.put(at, &[tag::NIL]), [0; 4]);
        }
        (self.put_atom(at, node), creation.to_be_bytes())
    }

    fn put_pid(&mut self, mut at: usize, pid: &Pid) -> usize {
        at = self.put(at, &[tag::NEW_PID]);
        let (at, creation) = self.put_node(at, pid.node(), pid.creation);
        let [id, serial] = [pid.id, pid.serial].map(u32::to_be_bytes);
        self.put(at, [id, serial, creation].as_flattened())
    }

    fn put_port(&mut self, mut at: usize, port: &Port) -> usize {
        let old_id = u32::try_from(port.id).ok().filter(|&id| F::OLD_PORTS && id < OLD_PORT_END);
        at = self.put(at, &[if old_id.is_some() { tag::NEW_PORT } else { tag::V4_PORT }]);
        let (mut at, creation) = self.put_node(at, port.node(), port.creation);
        at = match old_id {
            Some(id) => self.put(at, &id.to_be_bytes()),
            None => self.put(at, &port.id.to_be_bytes()),
        };
        self.put(at, &creation)
    }

    fn put_reference(&mut self, mut at: usize, reference: &Reference) -> usize {
        let words = reference.words();
        let count = u8::try_from(words.len()).expect("a reference has at most five words");
        at = self.put(at, &[tag::NEWER_REFERENCE, 0, count]);
        let (mut at, creation) = self.put_node(at, reference.node(), reference.creation());
        at = self.put(at, &creation);
        for word in words {
            at = self.put(at, &word.to_be_bytes());
        }
        at
    }

    fn open_closure<'t>(&mut self, mut at: usize, closure: &'t Closure) -> (usize, Rest<'t>) {
        at = self.put(at, &[tag::NEW_FUN]);
        let (size_at, shared_bytes) = (at, self.out.shared().1);
        at = self.put(at, &[0, 0, 0, 0, closure.arity]);
        at = self.put(at, &closure.uniq);
        let free = closure.free.len();
        if free > EncodeError::FREE_VARIABLES_MAX {
            self.error.get_or_insert(EncodeError::FreeVariables { free });
        }
        at = self.put(at, [closure.index, len_u32(free)].map(u32::to_be_bytes).as_flattened());
        at = self.put_atom(at, &closure.module);
        for int in [closure.old_index, closure.old_uniq] {
            at += put_int(i64::from(int), self.room(at));
        }
        at = self.put_pid(at, &closure.creator);
        (at, Rest::Closure { free: closure.free.iter(), size_at, shared_bytes })
    }

    /// Fills in how long the closure is, itself included. Past 4 GiB it cannot be sent anyhow.
    fn close_closure(&mut self, size_at: usize, shared_bytes: u64, end: usize) {
        let shared = self.out.shared().1 - shared_bytes;
        let size = u32::try_from((end - size_at) as u64 + shared).unwrap_or(u32::MAX);
        self.out.bytes_mut()[size_at..size_at + 4].copy_from_slice(&size.to_be_bytes());
    }

    #[inline(never)]
    fn put_binary(&mut self, at: usize, binary: &Binary) -> usize {
        if B::SHARES && binary.len() >= super::Segments::SHARED_BYTES_MIN {
            self.out.share(at, binary.to_bytes());
            return at;
        }
        self.out.put(at, binary);
        at + binary.len()
    }

    #[inline(always)]
    fn put_len(&mut self, at: usize, tag: u8, len: usize) -> usize {
        let [a, b, c, d] = len_u32(len).to_be_bytes();
        self.room(at)[..5].copy_from_slice(&[tag, a, b, c, d]);
        at + 5
    }

    /// Writes bytes as they are.
    #[inline(always)]
    fn put(&mut self, at: usize, bytes: &[u8]) -> usize {
        self.take(at, bytes.len()).copy_from_slice(bytes);
        at + bytes.len()
    }

    /// Room for the next term or a part of it.
    #[inline(always)]
    fn room(&mut self, at: usize) -> &mut Room {
        if self.out.bytes_mut().len() < at + ROOM {
            self.grow(at + ROOM);
        }
        self.out.bytes_mut()[at..].first_chunk_mut().expect("it was made long enough")
    }

    /// The next so many bytes.
    #[inline(always)]
    fn take(&mut self, at: usize, len: usize) -> &mut [u8] {
        let end = at + len;
        if self.out.bytes_mut().len() < end {
            self.grow(end);
        }
        &mut self.out.bytes_mut()[at..end]
    }

    /// Makes the buffer so long, and then as much longer as was written up to now: filling takes time too, so it
    /// should not be much more than is used.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) {
        self.out.grow(len + (len - self.start.0));
    }
}

/// Writes an integer and says how many bytes it took.
#[inline(always)]
fn put_int(int: i64, room: &mut Room) -> usize {
    if let Ok(small) = u8::try_from(int) {
        room[..2].copy_from_slice(&[tag::SMALL_INTEGER, small]);
        2
    } else if let Ok(int) = i32::try_from(int) {
        room[0] = tag::INTEGER;
        room[1..5].copy_from_slice(&int.to_be_bytes());
        5
    } else {
        let magnitude = int.unsigned_abs();
        #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
        let len = (u64::BITS - magnitude.leading_zeros()).div_ceil(8) as u8;
        room[..3].copy_from_slice(&[tag::SMALL_BIG, len, u8::from(int < 0)]);
        room[3..11].copy_from_slice(&magnitude.to_le_bytes());
        3 + usize::from(len)
    }
}

/// The longest atom that [`put_short_atom`] writes, in bytes.
const SHORT_MAX: usize = 32;

/// Writes an atom of at most [`SHORT_MAX`] bytes and says where it ends.
#[inline(always)]
fn put_short_atom(atom: &Atom, room: &mut Room, at: usize) -> usize {
    let text = atom.as_bytes();
    let len = text.len();
    #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
    room[at..at + 2].copy_from_slice(&[tag::SMALL_ATOM_UTF8, len as u8]);
    let room = &mut room[at + 2..];
    // By two copies of fixed length that overlap: a call for so few bytes takes longer.
    if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        room[..16].copy_from_slice(first);
        room[len - 16..len].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        room[..8].copy_from_slice(first);
        room[len - 8..len].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        room[..4].copy_from_slice(first);
        room[len - 4..len].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (text.first_chunk::<2>(), text.last_chunk::<2>()) {
        room[..2].copy_from_slice(first);
        room[len - 2..len].copy_from_slice(last);
    } else if let [only] = text {
        room[0] = *only;
    }
    at + 2 + len
}

#[inline(always)]
fn put_short_pid(pid: &Pid, room: &mut Room) -> usize {
    room[0] = tag::NEW_PID;
    let at = put_short_atom(pid.node(), room, 1);
    let words = [pid.id, pid.serial, pid.creation].map(u32::to_be_bytes);
    room[at..at + 12].copy_from_slice(words.as_flattened());
    at + 12
}

#[inline(always)]
fn put_short_reference(reference: &Reference, room: &mut Room) -> usize {
    let count = reference.words().len();
    #[expect(clippy::cast_possible_truncation, reason = "at most five")]
    room[..3].copy_from_slice(&[tag::NEWER_REFERENCE, 0, count as u8]);
    let at = put_short_atom(reference.node(), room, 3);
    room[at..at + 4].copy_from_slice(&reference.creation().to_be_bytes());
    let words = reference.all_words().map(u32::to_be_bytes);
    room[at + 4..at + 24].copy_from_slice(words.as_flattened());
    at + 4 + 4 * count
}

/// The text in Latin-1, which has the first 256 code points.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// `%.20e`, filled up with zeros.
fn float_text(value: f64) -> [u8; 31] {
    let text = format!("{value:.20e}");
    let (mantissa, exponent) = text.split_once('e').expect("it has an exponent");
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    let text = format!("{mantissa}e{sign}{digits:0>2}");
    let mut out = [0; 31];
    out[..text.len()].copy_from_slice(text.as_bytes());
    out
}

/// Nodes without V4_NC number ports with 28 bits.
const OLD_PORT_END: u32 = 1 << 28;

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("2^32 elements would have taken 128 GiB")
}
