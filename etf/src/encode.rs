//! Terms to bytes of the external term format, as OTP 26 and later write them (wire.md 8, canonical encoding).
//!
//! Maps are written in map-key order, which is what `term_to_binary/2` with `deterministic` does.

use bytes::{BufMut, BytesMut};
use num_bigint::Sign;

use crate::{Atom, Fun, Pid, Port, Reference, Term, tag};

/// The term as `erlang:term_to_binary/1` stores it: 131 first, not compressed.
///
/// # Panics
/// As [`encode_into`].
#[must_use]
pub fn encode(term: &Term) -> Vec<u8> {
    let mut out = vec![tag::VERSION];
    write(term, false, &mut out);
    out
}

/// Appends the term without a leading 131, as it stands in a distribution message.
///
/// The bytes are those of [`encode`] but for ports with a number below 2^28. In here they get the tag that every
/// release reads: OTP 23 closes the connection on the newer one.
///
/// Every term has an encoding. What is larger than any BEAM takes (a tuple of 2^24 elements, an integer of more
/// than 524,280 bytes, a closure over more than 255 values) is written all the same, and a BEAM closes the
/// connection it comes on; such a term can only have been built here, on purpose.
///
/// # Panics
/// For a tuple, list or map of 2^32 elements, which would have taken 128 GiB of memory.
pub fn encode_into(term: &Term, out: &mut BytesMut) {
    write(term, true, out);
}

/// Where bytes go: a buffer that grows, and of which the length of a closure can be filled in afterwards.
trait Sink: BufMut + AsMut<[u8]> {}
impl<T: BufMut + AsMut<[u8]>> Sink for T {}

/// What is still to be written. A stack of these takes the place of recursion.
enum Work<'a> {
    Terms(std::slice::Iter<'a, Term>),
    Nil,
    FunEnd { size_at: usize },
}

/// `old_ports`: whether ports get the older tag where it has room for their number.
fn write<'a>(term: &'a Term, old_ports: bool, out: &mut impl Sink) {
    let mut stack: Vec<Work<'a>> = Vec::new();
    write_one(term, old_ports, out, &mut stack);
    while let Some(work) = stack.last_mut() {
        match work {
            Work::Terms(terms) => match terms.next() {
                Some(term) => write_one(term, old_ports, out, &mut stack),
                None => drop(stack.pop()),
            },
            Work::Nil => {
                out.put_u8(tag::NIL);
                stack.pop();
            }
            Work::FunEnd { size_at } => {
                let all = out.as_mut();
                let size = len_u32(all.len() - *size_at);
                all[*size_at..*size_at + 4].copy_from_slice(&size.to_be_bytes());
                stack.pop();
            }
        }
    }
}

/// Writes a term up to its first sub-term, and leaves those on the stack.
fn write_one<'a>(term: &'a Term, old_ports: bool, out: &mut impl Sink, stack: &mut Vec<Work<'a>>) {
    match term {
        Term::Int(int) => write_int(*int, out),
        Term::BigInt(big) => {
            let (sign, magnitude) = big.as_bigint().to_bytes_le();
            write_big(sign == Sign::Minus, &magnitude, out);
        }
        Term::Float(float) => {
            out.put_u8(tag::NEW_FLOAT);
            out.put_f64(float.get());
        }
        Term::Atom(atom) => write_atom(atom, out),
        Term::Reference(reference) => write_reference(reference, out),
        Term::Fun(fun) => write_fun(fun, out, stack),
        Term::Port(port) => write_port(port, old_ports, out),
        Term::Pid(pid) => write_pid(pid, out),
        Term::Tuple(elements) => {
            match u8::try_from(elements.len()) {
                Ok(arity) => out.put_slice(&[tag::SMALL_TUPLE, arity]),
                Err(_) => put_len(tag::LARGE_TUPLE, elements.len(), out),
            }
            stack.push(Work::Terms(elements.iter()));
        }
        Term::Record(record) => {
            put_len(tag::RECORD, record.names.len(), out);
            out.put_u8(record.flags);
            write_atom(&record.module, out);
            write_atom(&record.name, out);
            for name in &record.names {
                write_atom(name, out);
            }
            stack.push(Work::Terms(record.values.iter()));
        }
        Term::Map(map) => {
            put_len(tag::MAP, map.len(), out);
            stack.push(Work::Terms(map.as_flat().iter()));
        }
        Term::List(elements) if elements.is_empty() => out.put_u8(tag::NIL),
        Term::List(elements) => {
            if !write_string(elements, out) {
                put_len(tag::LIST, elements.len(), out);
                stack.push(Work::Nil);
                stack.push(Work::Terms(elements.iter()));
            }
        }
        Term::ImproperList(list) => {
            put_len(tag::LIST, list.head().len(), out);
            stack.push(Work::Terms(list.as_flat().iter()));
        }
        Term::Binary(binary) => {
            put_len(tag::BINARY, binary.len(), out);
            out.put_slice(binary);
        }
        Term::BitString(bits) => {
            put_len(tag::BIT_BINARY, bits.as_slice().len(), out);
            out.put_u8(bits.last_bits());
            out.put_slice(bits.as_slice());
        }
    }
}

fn write_int(int: i64, out: &mut impl Sink) {
    if let Ok(small) = u8::try_from(int) {
        out.put_slice(&[tag::SMALL_INTEGER, small]);
    } else if let Ok(int) = i32::try_from(int) {
        out.put_u8(tag::INTEGER);
        out.put_i32(int);
    } else {
        let magnitude = int.unsigned_abs().to_le_bytes();
        let len = magnitude.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        write_big(int < 0, &magnitude[..len], out);
    }
}

fn write_big(negative: bool, magnitude: &[u8], out: &mut impl Sink) {
    match u8::try_from(magnitude.len()) {
        Ok(len) => out.put_slice(&[tag::SMALL_BIG, len]),
        Err(_) => put_len(tag::LARGE_BIG, magnitude.len(), out),
    }
    out.put_u8(u8::from(negative));
    out.put_slice(magnitude);
}

fn write_atom(atom: &Atom, out: &mut impl Sink) {
    let text = atom.as_bytes();
    match u8::try_from(text.len()) {
        Ok(len) => out.put_slice(&[tag::SMALL_ATOM_UTF8, len]),
        Err(_) => {
            out.put_u8(tag::ATOM_UTF8);
            out.put_u16(u16::try_from(text.len()).expect("an atom has at most 1,020 bytes"));
        }
    }
    out.put_slice(text);
}

fn write_pid(pid: &Pid, out: &mut impl Sink) {
    out.put_u8(tag::NEW_PID);
    write_atom(pid.node(), out);
    out.put_u32(pid.id);
    out.put_u32(pid.serial);
    out.put_u32(pid.creation);
}

fn write_port(port: &Port, old_ports: bool, out: &mut impl Sink) {
    match u32::try_from(port.id) {
        Ok(id) if old_ports && id < OLD_PORT_END => {
            out.put_u8(tag::NEW_PORT);
            write_atom(port.node(), out);
            out.put_u32(id);
        }
        _ => {
            out.put_u8(tag::V4_PORT);
            write_atom(port.node(), out);
            out.put_u64(port.id);
        }
    }
    out.put_u32(port.creation);
}

fn write_reference(reference: &Reference, out: &mut impl Sink) {
    let words = reference.words();
    out.put_u8(tag::NEWER_REFERENCE);
    out.put_u16(u16::try_from(words.len()).expect("a reference has at most five words"));
    write_atom(reference.node(), out);
    out.put_u32(reference.creation());
    for &word in words {
        out.put_u32(word);
    }
}

fn write_fun<'a>(fun: &'a Fun, out: &mut impl Sink, stack: &mut Vec<Work<'a>>) {
    match fun {
        Fun::Export { module, function, arity } => {
            out.put_u8(tag::EXPORT);
            write_atom(module, out);
            write_atom(function, out);
            write_int(i64::from(*arity), out);
        }
        Fun::Closure(closure) => {
            out.put_u8(tag::NEW_FUN);
            stack.push(Work::FunEnd { size_at: out.as_mut().len() });
            out.put_u32(0);
            out.put_u8(closure.arity);
            out.put_slice(&closure.uniq);
            out.put_u32(closure.index);
            out.put_u32(len_u32(closure.free.len()));
            write_atom(&closure.module, out);
            write_int(i64::from(closure.old_index), out);
            write_int(i64::from(closure.old_uniq), out);
            write_pid(&closure.creator, out);
            stack.push(Work::Terms(closure.free.iter()));
        }
    }
}

/// Writes a list as a string if all its elements are bytes. A negative integer is no byte.
fn write_string(elements: &[Term], out: &mut impl Sink) -> bool {
    let Ok(len) = u16::try_from(elements.len()) else { return false };
    let byte = |term: &Term| term.as_int().and_then(|int| u8::try_from(int).ok());
    if !elements.iter().all(|element| byte(element).is_some()) {
        return false;
    }
    out.put_u8(tag::STRING);
    out.put_u16(len);
    for byte in elements.iter().filter_map(byte) {
        out.put_u8(byte);
    }
    true
}

/// Nodes without V4_NC number ports with 28 bits.
const OLD_PORT_END: u32 = 1 << 28;

fn put_len(tag: u8, len: usize, out: &mut impl Sink) {
    out.put_u8(tag);
    out.put_u32(len_u32(len));
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("2^32 elements would have taken 128 GiB")
}

#[cfg(test)]
mod tests;
