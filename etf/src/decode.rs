//! Bytes of the external term format to terms (wire.md 8).
//!
//! The decoder keeps its own stack, so deep input takes heap and not stack, and it counts what is still owed:
//! every sub-term that an open tuple, list or map still waits for takes at least one byte of input, so a header
//! that promises more than is left is refused before anything is allocated for it. That makes memory a fixed
//! multiple of the input, see [`DecodeLimits`].

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::{BigInt, Sign};

use crate::{
    Atom, Binary, BitString, Closure, DecodeLimits, Float, Fun, Map, Pid, Port, Record, Reference, Term, tag,
};

mod error;
pub use error::{DecodeError, DecodeErrorReason};
mod frame;
use frame::Frame;
mod inflate;
pub(crate) use inflate::inflate;

/// Decodes a stored term, as `erlang:term_to_binary/1` makes it: 131 first, compressed or not, and nothing after.
///
/// Binaries longer than [`Binary::INLINE_MAX`] are slices of `input` and keep it alive.
pub fn decode(input: &Bytes, limits: &DecodeLimits) -> Result<Term, DecodeError> {
    let (term, used) = decode_prefix(input, limits)?;
    match input.len() - used {
        0 => Ok(term),
        bytes => Err(DecodeError::new(used, DecodeErrorReason::TrailingBytes { bytes })),
    }
}

/// Decodes the stored term that `input` starts with, and says how many bytes of `input` it took.
pub fn decode_prefix(input: &Bytes, limits: &DecodeLimits) -> Result<(Term, usize), DecodeError> {
    check_bytes(input.len(), limits)?;
    match input.first() {
        Some(&tag::VERSION) => {}
        Some(&found) => return Err(DecodeError::new(0, DecodeErrorReason::NoVersion { found })),
        None => return Err(DecodeError::new(0, DecodeErrorReason::Truncated { needed: 1, left: 0 })),
    }
    if input.get(1) != Some(&tag::COMPRESSED) {
        return Decoder::new(input, 1, None, limits).run();
    }
    let (inflated, used) = inflate(input, 2, limits)?;
    let inflated = Bytes::from(inflated);
    let (term, end) = Decoder::new(&inflated, 0, None, limits).run().map_err(DecodeError::in_inflated)?;
    match inflated.len() - end {
        0 => Ok((term, used)),
        bytes => Err(DecodeError::new(end, DecodeErrorReason::TrailingBytes { bytes }).in_inflated()),
    }
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
    check_bytes(input.len(), limits)?;
    if at > input.len() {
        return Err(DecodeError::new(input.len(), DecodeErrorReason::Truncated { needed: 1, left: 0 }));
    }
    Decoder::new(input, at, Some(atoms), limits).run()
}

fn check_bytes(bytes: usize, limits: &DecodeLimits) -> Result<(), DecodeError> {
    // Binaries are kept as 32-bit ranges of the input.
    let max = limits.bytes_max.min(u32::MAX as usize);
    if bytes > max {
        return Err(DecodeError::new(0, DecodeErrorReason::TooManyBytes { bytes, max }));
    }
    Ok(())
}

type Result<T, E = DecodeError> = std::result::Result<T, E>;

struct Decoder<'a> {
    source: &'a Bytes,
    /// The same, to share with binaries; made when the first one needs it.
    shared: Option<Arc<Bytes>>,
    at: usize,
    /// What the distribution header says, or nothing in a stored term.
    atoms: Option<&'a [Atom]>,
    limits: &'a DecodeLimits,
    /// How many terms were begun or promised.
    elements: usize,
    /// How many atoms were spelled out.
    atoms_spelled: usize,
    /// How many terms are promised and not begun; each takes at least a byte.
    owed: usize,
    /// The node names that identifiers had last, to be shared by the next ones.
    nodes: [Option<Arc<Atom>>; 2],
}

/// What reading a tag gives.
enum Step {
    /// A whole term.
    Whole(Term),
    /// A term that waits for sub-terms.
    Open(Frame),
    /// The tail of the innermost list turned out to be more of the list.
    MoreOfList,
}

impl<'a> Decoder<'a> {
    fn new(source: &'a Bytes, at: usize, atoms: Option<&'a [Atom]>, limits: &'a DecodeLimits) -> Self {
        let nodes = [const { None }; 2];
        Self { source, shared: None, at, atoms, limits, elements: 0, atoms_spelled: 0, owed: 0, nodes }
    }

    fn run(mut self) -> Result<(Term, usize)> {
        let mut stack: Vec<Frame> = Vec::new();
        self.owe(self.at, 1)?;
        loop {
            let offset = self.at;
            let mut term = match self.step(stack.last_mut())? {
                Step::Whole(term) => term,
                Step::Open(_) if stack.len() >= self.limits.depth_max => {
                    let max = self.limits.depth_max;
                    return Err(DecodeError::new(offset, DecodeErrorReason::TooDeep { max }));
                }
                Step::Open(frame) => {
                    stack.push(frame);
                    continue;
                }
                Step::MoreOfList => continue,
            };
            loop {
                let Some(frame) = stack.last_mut() else { return Ok((term, self.at)) };
                let Some(whole) = frame.add(term)? else { break };
                term = whole;
                stack.pop();
            }
        }
    }

    /// Reads a tag and what follows it up to the first sub-term.
    fn step(&mut self, innermost: Option<&mut Frame>) -> Result<Step> {
        let offset = self.at;
        self.owed -= 1;
        let tag = self.u8()?;
        let term = match tag {
            tag::SMALL_INTEGER => Term::Int(i64::from(self.u8()?)),
            tag::INTEGER => Term::Int(i64::from(self.u32()?.cast_signed())),
            tag::FLOAT => Term::Float(self.float_text(offset)?),
            tag::NEW_FLOAT => {
                let value = f64::from_bits(self.u64()?);
                Term::Float(Float::new(value).ok_or(error(offset, DecodeErrorReason::FloatNotFinite))?)
            }
            tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 | tag::ATOM_CACHE_REF => {
                Term::Atom(self.atom_of(offset, tag)?)
            }
            tag::NEW_PID | tag::PID => Term::Pid(self.pid_of(offset, tag)?),
            tag::V4_PORT | tag::NEW_PORT | tag::PORT => Term::Port(self.port_of(tag)?),
            tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE => {
                Term::Reference(self.reference_of(offset, tag)?)
            }
            tag::SMALL_TUPLE | tag::LARGE_TUPLE => {
                let arity = if tag == tag::SMALL_TUPLE { u32::from(self.u8()?) } else { self.u32()? };
                if arity > TUPLE_ARITY_MAX {
                    return Err(error(offset, DecodeErrorReason::TupleArity { arity }));
                }
                return self.open_tuple(offset, arity as usize);
            }
            tag::NIL => Term::NIL,
            tag::STRING => {
                let len = usize::from(self.u16()?);
                let bytes = self.take(len)?;
                self.count(offset, len)?;
                Term::List(bytes.iter().map(|&byte| Term::Int(i64::from(byte))).collect())
            }
            tag::LIST => return self.open_list(offset, innermost),
            tag::BINARY => {
                let len = self.u32()? as usize;
                Term::Binary(self.binary(len)?)
            }
            tag::BIT_BINARY => self.bit_binary(offset)?,
            tag::SMALL_BIG | tag::LARGE_BIG => {
                let len = if tag == tag::SMALL_BIG { usize::from(self.u8()?) } else { self.u32()? as usize };
                self.big(offset, len)?
            }
            tag::MAP => {
                let len = self.u32()? as usize;
                self.owe(offset, len.saturating_mul(2))?;
                if len > 0 {
                    return Ok(Step::Open(Frame::map(offset, len)));
                }
                Term::Map(Map::new())
            }
            tag::NEW_FUN => return self.open_fun(),
            tag::EXPORT => Term::Fun(Box::new(self.export()?)),
            tag::RECORD => return self.open_record(offset),
            tag::LOCAL => return Err(error(offset, DecodeErrorReason::LocalTerm)),
            tag::OLD_FUN => return Err(error(offset, DecodeErrorReason::OldFun)),
            tag::VERSION => return Err(error(offset, DecodeErrorReason::VersionInside)),
            tag::COMPRESSED => return Err(error(offset, DecodeErrorReason::CompressedInside)),
            tag if tag::INTERNAL.contains(&tag) => {
                return Err(error(offset, DecodeErrorReason::InternalTag { tag }));
            }
            tag => return Err(error(offset, DecodeErrorReason::UnknownTag { tag })),
        };
        Ok(Step::Whole(term))
    }

    fn open_tuple(&mut self, offset: usize, arity: usize) -> Result<Step> {
        self.owe(offset, arity)?;
        Ok(match arity {
            0 => Step::Whole(Term::Tuple(Vec::new())),
            _ => Step::Open(Frame::Tuple { elements: Vec::with_capacity(arity), left: arity }),
        })
    }

    fn open_list(&mut self, offset: usize, innermost: Option<&mut Frame>) -> Result<Step> {
        let len = self.u32()? as usize;
        self.owe(offset, len.saturating_add(1))?;
        // A list in a list's tail is the same list going on, which must not count as depth: a BEAM may well
        // send a long list cell by cell.
        if let Some(Frame::List { elements, left: left @ 0 }) = innermost {
            elements.reserve(len);
            *left = len;
            return Ok(Step::MoreOfList);
        }
        Ok(Step::Open(Frame::List { elements: Vec::with_capacity(len), left: len }))
    }

    /// The size that leads is not looked at: OTP 23 writes it wrong (wire.md 8, tag 112).
    fn open_fun(&mut self) -> Result<Step> {
        self.u32()?;
        let arity = self.u8()?;
        let uniq = *self.array::<16>()?;
        let index = self.u32()?;
        let free_at = self.at;
        let free = self.u32()?;
        if free > FREE_VARIABLES_MAX {
            return Err(error(free_at, DecodeErrorReason::FreeVariables { free }));
        }
        let module = self.atom()?;
        let old_index = self.int()?;
        let old_uniq = self.int()?;
        let creator = self.pid()?;
        let left = free as usize;
        self.owe(free_at, left)?;
        let free = Vec::with_capacity(left);
        let closure = Closure { arity, uniq, index, module, old_index, old_uniq, creator, free };
        Ok(match left {
            0 => Step::Whole(Fun::Closure(closure).into()),
            _ => Step::Open(Frame::Closure { closure: Box::new(closure), left }),
        })
    }

    fn export(&mut self) -> Result<Fun> {
        let module = self.atom()?;
        let function = self.atom()?;
        let offset = self.at;
        let arity = self.int()?;
        let arity =
            u8::try_from(arity).map_err(|_| error(offset, DecodeErrorReason::ExportArity { arity }))?;
        Ok(Fun::Export { module, function, arity })
    }

    fn open_record(&mut self, offset: usize) -> Result<Step> {
        let len = self.u32()? as usize;
        // Each field is an atom of two bytes or more and a value.
        self.check_left(offset, self.owed.saturating_add(len.saturating_mul(3)))?;
        let flags = self.u8()?;
        let module = self.atom()?;
        let name = self.atom()?;
        let mut fields = Vec::with_capacity(len);
        for _ in 0..len {
            fields.push((self.atom()?, Term::NIL));
        }
        self.owe(offset, len)?;
        let record = Box::new(Record { flags, module, name, fields });
        Ok(match len {
            0 => Step::Whole(Term::Record(record)),
            _ => Step::Open(Frame::Record { record, next: 0 }),
        })
    }

    fn float_text(&mut self, offset: usize) -> Result<Float> {
        let bytes = self.take(31)?;
        let bad = || error(offset, DecodeErrorReason::FloatText);
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| bad())?;
        // What `sys_chars_to_double` takes; Rust's own grammar is wider ("inf", "1", ".5").
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').ok_or_else(bad)?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = |text| str::strip_prefix(text, ['+', '-']).unwrap_or(text);
        if !(digits(unsigned(whole)) && digits(fraction) && digits(unsigned(exponent))) {
            return Err(bad());
        }
        Float::new(text.parse().map_err(|_| bad())?).ok_or(error(offset, DecodeErrorReason::FloatNotFinite))
    }

    fn binary(&mut self, len: usize) -> Result<Binary> {
        let start = self.at;
        let bytes = self.take(len)?;
        if len <= Binary::INLINE_MAX {
            return Ok(Binary::copy_from_slice(bytes));
        }
        let shared = self.shared.get_or_insert_with(|| Arc::new(self.source.clone()));
        Ok(Binary::slice_of(shared, start..start + len))
    }

    fn bit_binary(&mut self, offset: usize) -> Result<Term> {
        let len = self.u32()? as usize;
        let last_bits = self.u8()?;
        match (len, last_bits) {
            // Only OTP 25 and before read an empty one (wire.md 8, tag 77).
            (0, 0) => Ok(Term::Binary(Binary::copy_from_slice(&[]))),
            (1.., 8) => Ok(Term::Binary(self.binary(len)?)),
            (1.., 1..=7) => {
                let bits = BitString::new(self.take(len)?, last_bits);
                Ok(bits.expect("there is a byte, and 1 to 7 bits of it").into())
            }
            _ => Err(error(offset, DecodeErrorReason::BitCount { bytes: len, last_bits })),
        }
    }

    fn big(&mut self, offset: usize, len: usize) -> Result<Term> {
        let max = self.limits.bigint_bytes_max;
        if len > max {
            return Err(error(offset, DecodeErrorReason::IntegerTooLarge { bytes: len, max }));
        }
        let sign = if self.u8()? == 0 { Sign::Plus } else { Sign::Minus };
        let magnitude = self.take(len)?;
        if magnitude.iter().skip(8).any(|&byte| byte != 0) {
            return Ok(BigInt::from_bytes_le(sign, magnitude).into());
        }
        let mut low = [0; 8];
        low[..len.min(8)].copy_from_slice(&magnitude[..len.min(8)]);
        let low = i128::from(u64::from_le_bytes(low));
        let value = if sign == Sign::Minus { -low } else { low };
        Ok(i64::try_from(value).map_or_else(|_| BigInt::from(value).into(), Term::Int))
    }

    /// An integer where the format has one of at most 32 bits as a term.
    fn int(&mut self) -> Result<i32> {
        let offset = self.at;
        match self.u8()? {
            tag::SMALL_INTEGER => Ok(i32::from(self.u8()?)),
            tag::INTEGER => Ok(self.u32()?.cast_signed()),
            tag => Err(error(offset, DecodeErrorReason::NotAnInteger { tag })),
        }
    }

    /// An atom where nothing else may stand.
    fn atom(&mut self) -> Result<Atom> {
        let offset = self.at;
        let tag = self.u8()?;
        self.atom_of(offset, tag)
    }

    fn atom_of(&mut self, offset: usize, tag: u8) -> Result<Atom> {
        let len = match tag {
            tag::ATOM | tag::ATOM_UTF8 => usize::from(self.u16()?),
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => usize::from(self.u8()?),
            tag::ATOM_CACHE_REF => return self.cached_atom(offset).cloned(),
            tag => return Err(error(offset, DecodeErrorReason::NotAnAtom { tag })),
        };
        let bytes = self.take(len)?;
        self.atoms_spelled += 1;
        if self.atoms_spelled > self.limits.atoms_max {
            let max = self.limits.atoms_max;
            return Err(error(offset, DecodeErrorReason::TooManyAtoms { max }));
        }
        let atom = match (tag, std::str::from_utf8(bytes)) {
            (tag::ATOM | tag::SMALL_ATOM, text) => match text {
                Ok(ascii) if ascii.is_ascii() => Atom::try_new(ascii),
                _ => Atom::try_new(bytes.iter().map(|&byte| char::from(byte)).collect::<String>()),
            },
            (_, Ok(text)) => Atom::try_new(text),
            (_, Err(_)) => return Err(error(offset, DecodeErrorReason::AtomNotUtf8)),
        };
        atom.map_err(|e| error(offset, DecodeErrorReason::AtomTooLong { chars: e.chars }))
    }

    fn cached_atom(&mut self, offset: usize) -> Result<&'a Atom> {
        let index = self.u8()?;
        let atoms = self.atoms.ok_or(error(offset, DecodeErrorReason::AtomCacheRefInStored))?;
        atoms
            .get(usize::from(index))
            .ok_or(error(offset, DecodeErrorReason::AtomCacheRef { index, atoms: atoms.len() }))
    }

    /// A node's name. It is shared with the identifiers before, so a term full of pids allocates their
    /// node's name once.
    fn node(&mut self) -> Result<Arc<Atom>> {
        let start = self.at;
        let tag = self.u8()?;
        // The usual forms are compared in place.
        let text = match tag {
            tag::SMALL_ATOM_UTF8 => {
                let len = usize::from(self.u8()?);
                self.take(len)?
            }
            tag::ATOM_CACHE_REF => self.cached_atom(start)?.as_bytes(),
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
        self.at = start;
        let node = Arc::new(self.atom()?);
        self.nodes.rotate_right(1);
        self.nodes[0] = Some(Arc::clone(&node));
        Ok(node)
    }

    fn pid(&mut self) -> Result<Pid> {
        let offset = self.at;
        let tag = self.u8()?;
        self.pid_of(offset, tag)
    }

    fn pid_of(&mut self, offset: usize, tag: u8) -> Result<Pid> {
        if !matches!(tag, tag::NEW_PID | tag::PID) {
            return Err(error(offset, DecodeErrorReason::NotAPid { tag }));
        }
        let node = self.node()?;
        let id = self.u32()?;
        let serial = self.u32()?;
        let creation = if tag == tag::NEW_PID { self.u32()? } else { self.old_creation()? };
        Ok(Pid::new(node, id, serial, creation))
    }

    fn port_of(&mut self, tag: u8) -> Result<Port> {
        let node = self.node()?;
        let id = if tag == tag::V4_PORT { self.u64()? } else { u64::from(self.u32()?) };
        let creation = if tag == tag::PORT { self.old_creation()? } else { self.u32()? };
        Ok(Port::new(node, id, creation))
    }

    fn reference_of(&mut self, offset: usize, tag: u8) -> Result<Reference> {
        let len = if tag == tag::REFERENCE { 1 } else { usize::from(self.u16()?) };
        let max = if tag == tag::NEWER_REFERENCE { Reference::WORDS_MAX } else { OLD_REFERENCE_WORDS_MAX };
        if !(1..=max).contains(&len) {
            return Err(error(offset, DecodeErrorReason::ReferenceWords { words: len, max }));
        }
        let node = self.node()?;
        let mut words = [0; Reference::WORDS_MAX];
        let creation = match tag {
            tag::NEWER_REFERENCE => self.u32()?,
            tag::NEW_REFERENCE => self.old_creation()?,
            _ => 0,
        };
        let words_at = self.at;
        for word in &mut words[..len] {
            *word = self.u32()?;
        }
        if tag != tag::NEWER_REFERENCE && words[0] >= OLD_REFERENCE_WORD_END {
            return Err(error(words_at, DecodeErrorReason::ReferenceWord { word: words[0] }));
        }
        let creation = if tag == tag::REFERENCE { self.old_creation()? } else { creation };
        Ok(Reference::new(node, creation, &words[..len]).expect("one to five words"))
    }

    /// A creation of the tags from before OTP 23, which had two bits for it.
    fn old_creation(&mut self) -> Result<u32> {
        let offset = self.at;
        match self.u8()? {
            creation @ 0..=3 => Ok(u32::from(creation)),
            creation => Err(error(offset, DecodeErrorReason::OldCreation { creation })),
        }
    }

    /// Promises `terms` more terms, if that many can still come and may.
    fn owe(&mut self, offset: usize, terms: usize) -> Result<()> {
        self.owed = self.owed.saturating_add(terms);
        self.check_left(offset, self.owed)?;
        self.count(offset, terms)
    }

    fn count(&mut self, offset: usize, terms: usize) -> Result<()> {
        self.elements = self.elements.saturating_add(terms);
        let max = self.limits.elements_max;
        if self.elements > max {
            return Err(error(offset, DecodeErrorReason::TooManyElements { max }));
        }
        Ok(())
    }

    fn check_left(&self, offset: usize, needed: usize) -> Result<()> {
        let left = self.source.len() - self.at;
        if needed > left {
            return Err(error(offset, DecodeErrorReason::Truncated { needed, left }));
        }
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        self.check_left(self.at, len)?;
        let source: &'a [u8] = self.source;
        let bytes = &source[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let source: &'a [u8] = self.source;
        match source[self.at..].first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(bytes)
            }
            None => {
                let left = source.len() - self.at;
                Err(error(self.at, DecodeErrorReason::Truncated { needed: N, left }))
            }
        }
    }

    fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().copied().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().copied().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().copied().map(u64::from_be_bytes)
    }
}

fn error(offset: usize, reason: DecodeErrorReason) -> DecodeError {
    DecodeError::new(offset, reason)
}

/// The largest tuple that any BEAM makes or takes.
const TUPLE_ARITY_MAX: u32 = (1 << 24) - 1;
/// The BEAM takes no closure over more.
const FREE_VARIABLES_MAX: u32 = 255;
/// The tags 114 and 101 are from before references could be longer (wire.md 8).
const OLD_REFERENCE_WORDS_MAX: usize = 5;
/// In their first word 18 bits count.
const OLD_REFERENCE_WORD_END: u32 = 1 << 18;

#[cfg(test)]
mod tests;
