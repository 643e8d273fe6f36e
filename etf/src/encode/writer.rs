//! The writer: a term and a place in a buffer.

use std::slice;

use num_bigint::Sign;

use crate::{
    Atom, Binary, Closure, Fun, Pid, Port, Record, Reference, Term,
    encode::{
        EncodeBuffer, EncodeError, buffer,
        form::Form,
        stack::{OpenClosure, Stack},
    },
    tag,
};

/// Writes one term after what a buffer has.
///
/// Where the next byte goes is passed from call to call, so that it stays in a register: every byte waits for it.
pub(super) struct Writer<'b, B, F> {
    out: &'b mut B,
    form: F,
    /// How long the buffer was, and how many binaries it shared.
    start: (usize, u64),
    /// By how much the buffer was made longer than needed.
    grown: usize,
    /// The first part of the term that no BEAM takes.
    error: Option<EncodeError>,
}

/// The most bytes that are filled in before they are needed.
const GROWN_MAX: usize = 16 << 10;

/// Room for any term that is written at once; a reference of five words is the longest.
const ROOM: usize = 64;
type Room = [u8; ROOM];

/// What comes after the elements of a list.
static LIST_END: [Term; 1] = [Term::NIL];

impl<'b, B: EncodeBuffer, F: Form> Writer<'b, B, F> {
    pub(super) fn new(out: &'b mut B, form: F) -> Self {
        let start = (out.bytes_mut().len(), out.shared().0);
        Self { out, form, start, grown: buffer::FIRST.len(), error: None }
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

    fn write_all(&mut self, before: &[u8], term: &Term) -> usize {
        let start = self.start.0;
        self.out.grow_first();
        let at = self.put(start, before);
        self.run(at, term)
    }

    /// Writes a term, and says where it ends.
    ///
    /// Without recursion: a term may be as deep as memory allows, and a call for each tuple would take as long as
    /// writing it.
    #[inline(always)]
    fn run<'t>(&mut self, at: usize, term: &'t Term) -> usize {
        // What is written now, and the levels after that.
        let mut terms = slice::from_ref(term).iter();
        let mut stack: Stack<'t> = Stack::new();
        // What is left of the buffer, and where it ends.
        let (mut tail, mut end) = self.tail(at);
        loop {
            let Some(term) = terms.as_slice().first() else {
                if let Some(closure) = stack.pop_closure() {
                    let at = end - tail.len();
                    self.close_closure(&closure, at);
                    (tail, end) = self.tail(at);
                }
                match stack.pop() {
                    Some(after) => terms = after,
                    None => return end - tail.len(),
                }
                continue;
            };
            let Some(room) = tail.first_chunk_mut::<ROOM>() else {
                let at = end - tail.len();
                self.grow(at + ROOM);
                (tail, end) = self.tail(at);
                continue;
            };
            terms.next();
            let len = match term {
                Term::Int(int) => put_int(*int, room),
                Term::Atom(atom) if F::MODERN && atom.len() <= SHORT_MAX => put_short_atom(atom, room, 0),
                Term::Binary(binary) => match put_inline(binary, room) {
                    Some(len) => len,
                    None => {
                        put_len(tag::BINARY, binary.len(), room);
                        let at = end - tail.len() + 5;
                        let at = self.put_binary(at, binary);
                        (tail, end) = self.tail(at);
                        continue;
                    }
                },
                Term::Tuple(elements) => {
                    let mut inner = elements.iter();
                    if let Ok(arity) = u8::try_from(elements.len()) {
                        room[..2].copy_from_slice(&[tag::SMALL_TUPLE, arity]);
                        // Most tuples have nothing else in them.
                        tail = leaves::<F>(&mut tail[2..], &mut inner);
                    } else {
                        let at = end - tail.len();
                        let at = self.put_large_tuple_head(at, elements.len());
                        (tail, end) = self.tail(at);
                    }
                    if inner.len() > 0 {
                        stack.push_some(terms);
                        terms = inner;
                    }
                    continue;
                }
                Term::Map(map) => {
                    stack.push_some(terms);
                    terms = map.as_flat().iter();
                    put_len(tag::MAP, map.len(), room)
                }
                Term::ImproperList(list) => {
                    stack.push_some(terms);
                    terms = list.as_flat().iter();
                    put_len(tag::LIST, list.head().len(), room)
                }
                Term::List(elements) => match elements.first() {
                    None => {
                        room[0] = tag::NIL;
                        1
                    }
                    Some(first) => {
                        // Most lists are seen to be no strings by their first element.
                        if byte(first).is_some() {
                            let at = end - tail.len();
                            let string = self.put_string(at, elements);
                            (tail, end) = self.tail(string.unwrap_or(at));
                            if string.is_some() {
                                continue;
                            }
                        }
                        stack.push_some(terms);
                        stack.push(LIST_END.iter());
                        terms = elements.iter();
                        put_len(tag::LIST, elements.len(), tail.first_chunk_mut().expect("there was room"))
                    }
                },
                Term::Pid(pid) if F::MODERN && pid.node().len() <= SHORT_MAX => put_short_pid(pid, room),
                Term::Reference(reference) if F::MODERN && reference.node().len() <= SHORT_MAX => {
                    put_short_reference(reference, room)
                }
                Term::Float(float) if F::MODERN => {
                    room[0] = tag::NEW_FLOAT;
                    room[1..9].copy_from_slice(&float.get().to_be_bytes());
                    9
                }
                Term::Record(record) => {
                    stack.push_some(terms);
                    terms = record.values.iter();
                    let at = end - tail.len();
                    let at = self.put_record_head(at, record);
                    (tail, end) = self.tail(at);
                    continue;
                }
                Term::Fun(fun) => {
                    let at = end - tail.len();
                    let at = match &**fun {
                        Fun::Closure(closure) => {
                            stack.push_closure(terms, at + 1, self.out.shared().1);
                            terms = closure.free.iter();
                            self.put_closure_head(at, closure)
                        }
                        Fun::Export { module, function, arity } => {
                            self.put_export(at, module, function, *arity)
                        }
                    };
                    (tail, end) = self.tail(at);
                    continue;
                }
                other => {
                    let at = end - tail.len();
                    let at = self.put_other(at, other);
                    (tail, end) = self.tail(at);
                    continue;
                }
            };
            tail = &mut tail[len..];
        }
    }

    /// The buffer from here on, and how long it is in all.
    #[inline(always)]
    fn tail(&mut self, at: usize) -> (&mut [u8], usize) {
        let buf = self.out.bytes_mut();
        let end = buf.len();
        (&mut buf[at..], end)
    }

    /// Writes a term without sub-terms that is not written in place.
    #[inline(never)]
    fn put_other(&mut self, mut at: usize, term: &Term) -> usize {
        match term {
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
            Term::Int(_) | Term::Fun(_) | Term::Tuple(_) | Term::Record(_) => {
                unreachable!("written in place")
            }
            Term::Map(_) | Term::List(_) | Term::ImproperList(_) => unreachable!("written in place"),
        }
    }

    fn put_export(&mut self, mut at: usize, module: &Atom, function: &Atom, arity: u8) -> usize {
        at = self.put(at, &[tag::EXPORT]);
        at = self.put_atom(at, module);
        at = self.put_atom(at, function);
        self.put(at, &[tag::SMALL_INTEGER, arity])
    }

    #[cold]
    fn put_large_tuple_head(&mut self, at: usize, arity: usize) -> usize {
        if arity > EncodeError::TUPLE_ARITY_MAX {
            self.error.get_or_insert(EncodeError::TupleArity { arity });
        }
        self.put_len(at, tag::LARGE_TUPLE, arity)
    }

    #[inline(never)]
    fn put_record_head(&mut self, mut at: usize, record: &Record) -> usize {
        at = self.put_len(at, tag::RECORD, record.names.len());
        at = self.put(at, &[record.flags]);
        at = self.put_atom(at, &record.module);
        at = self.put_atom(at, &record.name);
        for name in &record.names {
            at = self.put_atom(at, name);
        }
        at
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

    /// Writes a list as a string if all its elements are bytes.
    #[inline(never)]
    fn put_string(&mut self, at: usize, elements: &[Term]) -> Option<usize> {
        let [a, b] = u16::try_from(elements.len()).ok()?.to_be_bytes();
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
        if let Some(number) = self.form.cached(atom) {
            return self.put(at, &[tag::ATOM_CACHE_REF, number]);
        }
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

    /// Writes a closure up to its first value, with zeros for its size.
    #[inline(never)]
    fn put_closure_head(&mut self, mut at: usize, closure: &Closure) -> usize {
        let free = closure.free.len();
        if free > EncodeError::FREE_VARIABLES_MAX {
            self.error.get_or_insert(EncodeError::FreeVariables { free });
        }
        at = self.put(at, &[tag::NEW_FUN, 0, 0, 0, 0, closure.arity]);
        at = self.put(at, &closure.uniq);
        at = self.put(at, [closure.index, len_u32(free)].map(u32::to_be_bytes).as_flattened());
        at = self.put_atom(at, &closure.module);
        for int in [closure.old_index, closure.old_uniq] {
            at += put_int(i64::from(int), self.room(at));
        }
        self.put_pid(at, &closure.creator)
    }

    /// Fills in how long the closure is, itself included. Past 4 GiB it cannot be sent anyhow.
    #[cold]
    fn close_closure(&mut self, closure: &OpenClosure, end: usize) {
        let shared = self.out.shared().1 - closure.shared_bytes;
        let size = u32::try_from((end - closure.size_at) as u64 + shared).unwrap_or(u32::MAX);
        self.out.bytes_mut()[closure.size_at..][..4].copy_from_slice(&size.to_be_bytes());
    }

    #[inline(never)]
    fn put_binary(&mut self, at: usize, binary: &Binary) -> usize {
        if B::SHARES && binary.len() >= super::Segments::SHARED_BYTES_MIN {
            self.out.share(at, binary.to_bytes());
            return at;
        }
        let end = at + binary.len();
        match self.out.bytes_mut().get_mut(at..end) {
            Some(place) => place.copy_from_slice(binary),
            // Copied where nothing was filled in before.
            None => self.out.put(at, binary),
        }
        end
    }

    #[inline(always)]
    fn put_len(&mut self, at: usize, tag: u8, len: usize) -> usize {
        let [a, b, c, d] = len_u32(len).to_be_bytes();
        self.room(at)[..5].copy_from_slice(&[tag, a, b, c, d]);
        at + 5
    }

    /// Writes bytes as they are.
    #[inline]
    fn put(&mut self, at: usize, bytes: &[u8]) -> usize {
        self.take(at, bytes.len()).copy_from_slice(bytes);
        at + bytes.len()
    }

    /// Room for the next part of a term.
    fn room(&mut self, at: usize) -> &mut Room {
        if self.out.bytes_mut().len() < at + ROOM {
            self.grow(at + ROOM);
        }
        self.out.bytes_mut()[at..].first_chunk_mut().expect("it was made long enough")
    }

    /// The next so many bytes.
    #[inline]
    fn take(&mut self, at: usize, len: usize) -> &mut [u8] {
        let end = at + len;
        if self.out.bytes_mut().len() < end {
            self.grow(end);
        }
        &mut self.out.bytes_mut()[at..end]
    }

    /// Makes the buffer so long, and then longer by twice as much as the last time, up to a limit: filling takes time
    /// too, so it should not be much more than is used.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) {
        self.grown = (2 * self.grown).min(GROWN_MAX);
        self.out.grow(len + self.grown);
    }
}

/// Writes the head of what has a length, and says how many bytes it took.
#[inline(always)]
fn put_len(tag: u8, len: usize, room: &mut Room) -> usize {
    let [a, b, c, d] = len_u32(len).to_be_bytes();
    room[..5].copy_from_slice(&[tag, a, b, c, d]);
    5
}

/// Writes terms as long as they are of the kinds that come often, without sub-terms, and there is room.
#[inline(always)]
fn leaves<'b, F: Form>(mut tail: &'b mut [u8], terms: &mut slice::Iter<'_, Term>) -> &'b mut [u8] {
    while let (Some(term), Some(room)) = (terms.as_slice().first(), tail.first_chunk_mut()) {
        let len = match term {
            Term::Int(int) => put_int(*int, room),
            Term::Atom(atom) if F::MODERN && atom.len() <= SHORT_MAX => put_short_atom(atom, room, 0),
            Term::Binary(binary) => match put_inline(binary, room) {
                Some(len) => len,
                None => break,
            },
            _ => break,
        };
        tail = &mut tail[len..];
        terms.next();
    }
    tail
}

/// Writes a binary that is stored inline and says how many bytes it took.
#[inline(always)]
fn put_inline(binary: &Binary, room: &mut Room) -> Option<usize> {
    let (bytes, len) = binary.as_inline()?;
    room[..5].copy_from_slice(&[tag::BINARY, 0, 0, 0, len]);
    room[5..5 + Binary::INLINE_MAX].copy_from_slice(bytes);
    Some(5 + usize::from(len))
}

/// The byte that a list's element is in a string. A negative integer is none.
#[inline]
fn byte(term: &Term) -> Option<u8> {
    term.as_int().and_then(|int| u8::try_from(int).ok())
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
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
            room[..16].copy_from_slice(first);
            room[len - 16..len].copy_from_slice(last);
        } else {
            room[..8].copy_from_slice(first);
            room[len - 8..len].copy_from_slice(last);
        }
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
