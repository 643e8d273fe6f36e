//! Conversions to and from the terms of the `eetf` crate (feature `eetf`).
//!
//! Both directions can fail, because each crate can hold what the other cannot: that one atoms of any length,
//! floats that are not finite, closures as before OTP 23, and keys of maps that differ only in how it holds them;
//! this one native records, terms of any depth, and both `0.0` and `-0.0` in one map. Otherwise nothing is lost: a
//! term that goes there and back is equal. Lists of bytes become its `ByteList`, as its own decoder gives them.
//!
//! Converting takes stack for each level of a term, as cloning and dropping a term of that crate does. So no term
//! deeper than [`EetfError::DEPTH_MAX`] is converted.

use std::collections::HashMap;

use ::eetf::{FixInteger, InternalFun};
use num_traits::ToPrimitive;

use crate::{
    Atom, AtomTooLong, BitString, Closure, Float, Fun, ImproperList, Map, Pid, Port, Reference, Term,
};

/// A term that the other crate's type cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EetfError {
    /// An atom of more characters than Erlang allows.
    #[error(transparent)]
    AtomTooLong(#[from] AtomTooLong),
    /// A bit string of no bytes, or with a last byte of more than 8 bits.
    #[error("a bit string of {bytes} bytes with {last_bits} bits in the last")]
    BitCount {
        /// How many bytes it has.
        bytes: usize,
        /// How many bits of the last one count.
        last_bits: u8,
    },
    /// A map has keys that the other crate takes for one.
    #[error("a map with keys that are the same to the other crate")]
    DuplicateKey,
    /// A float that is infinite or not a number.
    #[error("a float that is not finite")]
    FloatNotFinite,
    /// A closure in the form from before OTP 23.
    #[error("a closure in the form from before OTP 23")]
    OldFun,
    /// A native record of OTP 29, which `eetf` does not know.
    #[error("a native record")]
    Record,
    /// A reference of no words or more than five.
    #[error("a reference of {words} words; there may be 1 to {max}", max = Reference::WORDS_MAX)]
    ReferenceWords {
        /// How many it has.
        words: usize,
    },
    /// A term nested deeper than [`Self::DEPTH_MAX`].
    #[error("nested deeper than {max}", max = Self::DEPTH_MAX)]
    TooDeep,
}

impl EetfError {
    /// How deep tuples, lists, maps and closures may lie in each other: 256.
    ///
    /// That many levels take less than half of a usual thread's stack of 2 MiB, also in a build without optimisation
    /// and also when the other crate drops the term. Data made by hand or by OTP stays below 100.
    pub const DEPTH_MAX: usize = 256;
}

impl TryFrom<eetf::Term> for Term {
    type Error = EetfError;

    fn try_from(term: eetf::Term) -> Result<Self, EetfError> {
        from_term(term, EetfError::DEPTH_MAX)
    }
}

impl TryFrom<&Term> for eetf::Term {
    type Error = EetfError;

    fn try_from(term: &Term) -> Result<Self, EetfError> {
        to_term(term, EetfError::DEPTH_MAX)
    }
}

/// A term of which the parts may be nested so deep.
// What is done for terms without parts is done elsewhere, where it takes no stack for each level.
fn from_term(term: eetf::Term, levels: usize) -> Result<Term, EetfError> {
    match term {
        eetf::Term::List(list) => Ok(Term::list(from_all(list.elements, inner(levels)?)?)),
        eetf::Term::Tuple(tuple) => Ok(Term::tuple(from_all(tuple.elements, inner(levels)?)?)),
        eetf::Term::ImproperList(list) => from_improper_list(list, inner(levels)?),
        eetf::Term::Map(map) => from_map(map, inner(levels)?),
        eetf::Term::InternalFun(fun) => from_closure(*fun, inner(levels)?),
        flat => from_flat(flat),
    }
}

#[inline(never)]
fn from_flat(term: eetf::Term) -> Result<Term, EetfError> {
    Ok(match term {
        eetf::Term::Atom(atom) => Term::Atom(from_atom(&atom)?),
        eetf::Term::FixInteger(int) => int.value.into(),
        eetf::Term::BigInteger(int) => int.value.into(),
        eetf::Term::Float(float) => Float::new(float.value).ok_or(EetfError::FloatNotFinite)?.into(),
        eetf::Term::Pid(pid) => from_pid(&pid)?.into(),
        eetf::Term::Port(port) => Port::new(from_atom(&port.node)?, port.id, port.creation).into(),
        eetf::Term::Reference(reference) => {
            let (node, words) = (from_atom(&reference.node)?, &reference.id);
            let new = Reference::new(node, reference.creation, words);
            new.ok_or(EetfError::ReferenceWords { words: words.len() })?.into()
        }
        eetf::Term::ExternalFun(fun) => {
            let (module, function) = (from_atom(&fun.module)?, from_atom(&fun.function)?);
            Fun::Export { module, function, arity: fun.arity }.into()
        }
        eetf::Term::Binary(binary) => Term::binary(binary.bytes),
        eetf::Term::BitBinary(bits) => from_bits(bits)?,
        eetf::Term::ByteList(list) => Term::list(list.bytes.into_iter().map(Term::from).collect::<Vec<_>>()),
        eetf::Term::InternalFun(_)
        | eetf::Term::List(_)
        | eetf::Term::ImproperList(_)
        | eetf::Term::Tuple(_)
        | eetf::Term::Map(_) => unreachable!("it has parts"),
    })
}

/// How deep the parts of those parts may be nested.
fn inner(levels: usize) -> Result<usize, EetfError> {
    levels.checked_sub(1).ok_or(EetfError::TooDeep)
}

fn from_all(terms: Vec<eetf::Term>, levels: usize) -> Result<Vec<Term>, EetfError> {
    let mut all = Vec::with_capacity(terms.len());
    for term in terms {
        all.push(from_term(term, levels)?);
    }
    Ok(all)
}

fn from_improper_list(list: eetf::ImproperList, levels: usize) -> Result<Term, EetfError> {
    let head = from_all(list.elements, levels)?;
    Ok(Term::list_with_tail(head, from_term(*list.last, levels)?))
}

fn from_map(map: eetf::Map, levels: usize) -> Result<Term, EetfError> {
    let len = map.map.len();
    let mut entries = Vec::with_capacity(len);
    for (key, value) in map.map {
        entries.push((from_term(key, levels)?, from_term(value, levels)?));
    }
    let map: Map = entries.into_iter().collect();
    if map.len() < len {
        return Err(EetfError::DuplicateKey);
    }
    Ok(Term::Map(map))
}

fn from_atom(atom: &eetf::Atom) -> Result<Atom, EetfError> {
    Ok(Atom::try_new(&atom.name)?)
}

fn from_pid(pid: &eetf::Pid) -> Result<Pid, EetfError> {
    Ok(Pid::new(from_atom(&pid.node)?, pid.id, pid.serial, pid.creation))
}

fn from_closure(fun: InternalFun, levels: usize) -> Result<Term, EetfError> {
    let InternalFun::New { module, arity, pid, free_vars, index, uniq, old_index, old_uniq } = fun else {
        return Err(EetfError::OldFun);
    };
    let (module, creator, free) = (from_atom(&module)?, from_pid(&pid)?, from_all(free_vars, levels)?);
    let free = free.into();
    Ok(Fun::Closure(Closure { arity, uniq, index, module, old_index, old_uniq, creator, free }).into())
}

/// There the bits of the last byte are the lower ones.
fn from_bits(bits: eetf::BitBinary) -> Result<Term, EetfError> {
    let eetf::BitBinary { mut bytes, tail_bits_size: last_bits } = bits;
    let error = EetfError::BitCount { bytes: bytes.len(), last_bits };
    match (bytes.last_mut(), last_bits) {
        (_, 8) | (None, 0) => Ok(Term::binary(bytes)),
        (Some(last), 1..=7) => {
            *last <<= 8 - last_bits;
            Ok(BitString::new(&bytes, last_bits).ok_or(error)?.into())
        }
        _ => Err(error),
    }
}

/// A term of which the parts may be nested so deep.
fn to_term(term: &Term, levels: usize) -> Result<eetf::Term, EetfError> {
    match term {
        Term::Tuple(elements) => Ok(eetf::Tuple { elements: to_all(elements, inner(levels)?)? }.into()),
        Term::List(elements) => match to_byte_list(elements) {
            Some(bytes) => Ok(bytes),
            None => Ok(eetf::List { elements: to_all(elements, inner(levels)?)? }.into()),
        },
        Term::ImproperList(list) => to_improper_list(list, inner(levels)?),
        Term::Map(map) => to_map(map, inner(levels)?),
        Term::Fun(fun) => match &**fun {
            Fun::Closure(closure) => to_closure(closure, inner(levels)?),
            Fun::Export { module, function, arity } => {
                let (module, function) = (to_atom(module), to_atom(function));
                Ok(eetf::ExternalFun { module, function, arity: *arity }.into())
            }
        },
        flat => to_flat(flat),
    }
}

#[inline(never)]
fn to_flat(term: &Term) -> Result<eetf::Term, EetfError> {
    Ok(match term {
        Term::Int(int) => match i32::try_from(*int) {
            Ok(int) => FixInteger::from(int).into(),
            Err(_) => eetf::BigInteger::from(*int).into(),
        },
        Term::BigInt(big) => eetf::BigInteger { value: big.as_bigint().clone() }.into(),
        Term::Float(float) => eetf::Float { value: float.get() }.into(),
        Term::Atom(atom) => to_atom(atom).into(),
        Term::Reference(reference) => {
            let (node, id) = (to_atom(reference.node()), reference.words().to_vec());
            eetf::Reference { node, id, creation: reference.creation() }.into()
        }
        Term::Port(port) => {
            eetf::Port { node: to_atom(port.node()), id: port.id, creation: port.creation }.into()
        }
        Term::Pid(pid) => to_pid(pid).into(),
        Term::Record(_) => return Err(EetfError::Record),
        Term::Binary(binary) => eetf::Binary { bytes: binary.to_vec() }.into(),
        Term::BitString(bits) => {
            let mut bytes = bits.as_slice().to_vec();
            if let Some(last) = bytes.last_mut() {
                *last >>= 8 - bits.last_bits();
            }
            eetf::BitBinary { bytes, tail_bits_size: bits.last_bits() }.into()
        }
        Term::Fun(_) | Term::Tuple(_) | Term::Map(_) | Term::List(_) | Term::ImproperList(_) => {
            unreachable!("it has parts")
        }
    })
}

fn to_all(terms: &[Term], levels: usize) -> Result<Vec<eetf::Term>, EetfError> {
    let mut all = Vec::with_capacity(terms.len());
    for term in terms {
        all.push(to_term(term, levels)?);
    }
    Ok(all)
}

fn to_map(map: &Map, levels: usize) -> Result<eetf::Term, EetfError> {
    let mut entries = HashMap::with_capacity(map.len());
    for (key, value) in map.iter() {
        entries.insert(to_term(key, levels)?, to_term(value, levels)?);
    }
    if entries.len() < map.len() {
        return Err(EetfError::DuplicateKey);
    }
    Ok(eetf::Map { map: entries }.into())
}

fn to_atom(atom: &Atom) -> eetf::Atom {
    eetf::Atom { name: atom.as_str().to_owned() }
}

fn to_pid(pid: &Pid) -> eetf::Pid {
    eetf::Pid { node: to_atom(pid.node()), id: pid.id, serial: pid.serial, creation: pid.creation }
}

fn to_closure(closure: &Closure, levels: usize) -> Result<eetf::Term, EetfError> {
    let (module, pid, free_vars) =
        (to_atom(&closure.module), to_pid(&closure.creator), to_all(&closure.free, levels)?);
    let Closure { arity, uniq, index, old_index, old_uniq, .. } = *closure;
    Ok(InternalFun::New { module, arity, pid, free_vars, index, uniq, old_index, old_uniq }.into())
}

/// Longer ones it would write with a length cut to 16 bits.
const BYTE_LIST_MAX: usize = 65_535;

fn to_byte_list(elements: &[Term]) -> Option<eetf::Term> {
    if elements.is_empty() || elements.len() > BYTE_LIST_MAX {
        return None;
    }
    let byte = |term: &Term| term.as_int().as_ref().and_then(ToPrimitive::to_u8);
    let bytes = elements.iter().map(byte).collect::<Option<Vec<u8>>>()?;
    Some(eetf::ByteList { bytes }.into())
}

fn to_improper_list(list: &ImproperList, levels: usize) -> Result<eetf::Term, EetfError> {
    let last = Box::new(to_term(list.tail(), levels)?);
    Ok(eetf::ImproperList { elements: to_all(list.head(), levels)?, last }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeLimits, decode, encode, text::parse_term};

    fn there_and_back(term: &Term) {
        let there = eetf::Term::try_from(term).unwrap();
        assert_eq!(Term::try_from(there).as_ref(), Ok(term));
    }

    #[test]
    fn every_kind_goes_there_and_back() {
        for text in [
            "[0, -1, 2147483648, 18446744073709551616, -0.0, 1.5, ok, 'A b', \"bytes\", [300], [], {}, {a, {b}}]",
            "[[a | b], #{1 => a, 1.0 => b}, <<>>, <<\"abc\">>, <<1, 5:3>>, fun lists:map/2]",
        ] {
            there_and_back(&parse_term(text).unwrap());
        }
        let node = Atom::from("a@b");
        let creator = Pid::new(node.clone(), 1, 2, 3);
        there_and_back(&creator.clone().into());
        there_and_back(&Port::new(node.clone(), 1 << 40, 3).into());
        there_and_back(&Reference::new(node.clone(), 3, &[1, 2, 3]).unwrap().into());
        let free = [1.into(), Term::atom("x")].into();
        let closure = Closure {
            arity: 2,
            uniq: [7; 16],
            index: 1,
            module: node,
            old_index: 3,
            old_uniq: -4,
            creator,
            free,
        };
        there_and_back(&Fun::Closure(closure).into());
    }

    /// Both crates' encoders agree on what both can hold, so one can check the other.
    #[test]
    fn bytes_agree() {
        for text in ["{ok, [1, 300, -300], \"abc\", <<1, 2, 5:3>>}", "#{a => [x | y]}", "fun a:b/3"] {
            let term = parse_term(text).unwrap();
            let mut theirs = Vec::new();
            eetf::Term::try_from(&term).unwrap().encode(&mut theirs).unwrap();
            assert_eq!(decode(&theirs.into(), &DecodeLimits::default()), Ok(term.clone()));
            let ours = eetf::Term::decode(&*encode(&term)).unwrap();
            assert_eq!(Term::try_from(ours), Ok(term));
        }
    }

    #[test]
    fn what_the_other_cannot_hold_is_an_error() {
        let long = eetf::Atom { name: "a".repeat(256) };
        assert_eq!(Term::try_from(eetf::Term::from(long)), Err(AtomTooLong { chars: 256 }.into()));
        let nan = eetf::Term::Float(eetf::Float { value: f64::NAN });
        assert_eq!(Term::try_from(nan), Err(EetfError::FloatNotFinite));
        let reference = eetf::Reference { node: "a".into(), id: vec![], creation: 0 };
        assert_eq!(Term::try_from(eetf::Term::from(reference)), Err(EetfError::ReferenceWords { words: 0 }));
        let bits = eetf::BitBinary { bytes: vec![1], tail_bits_size: 9 };
        let error = EetfError::BitCount { bytes: 1, last_bits: 9 };
        assert_eq!(Term::try_from(eetf::Term::from(bits)), Err(error));
        let record = crate::Record::new(0, "m", "r", []);
        let record = Term::Record(Box::new(record));
        assert_eq!(eetf::Term::try_from(&record), Err(EetfError::Record));
    }
    #[test]
    fn keys_that_are_one_to_the_other_are_an_error() {
        let zeros = parse_term("#{0.0 => a, -0.0 => b}").unwrap();
        assert_eq!(eetf::Term::try_from(&zeros), Err(EetfError::DuplicateKey));
        let ones = [eetf::FixInteger::from(1).into(), eetf::BigInteger::from(1).into()];
        let map = ones.map(|one: eetf::Term| (one.clone(), one)).into();
        assert_eq!(Term::try_from(eetf::Term::from(eetf::Map { map })), Err(EetfError::DuplicateKey));
    }

    /// The greatest depth fits half a usual stack, in a build without optimisation; one more level is an error.
    #[test]
    fn depth_is_limited() {
        let closure = |term| {
            let creator = Pid::new(Atom::from("a"), 0, 0, 0);
            let (uniq, module, free) = ([0; 16], Atom::from("m"), [term].into());
            let closure =
                Closure { arity: 0, uniq, index: 0, module, old_index: 0, old_uniq: 0, creator, free };
            Term::from(Fun::Closure(closure))
        };
        let wraps: [&(dyn Fn(Term) -> Term + Sync); 7] = [
            &|term| Term::tuple([term]),
            &|term| Term::list([term]),
            &|term| Term::list_with_tail(vec![term], 1.into()),
            &|term| Term::list_with_tail(vec![1.into()], Term::tuple([term])),
            &|term| Term::Map([(1.into(), term)].into_iter().collect()),
            &|term| Term::Map([(term, 1.into())].into_iter().collect()),
            &closure,
        ];
        for (i, wrap) in wraps.into_iter().enumerate() {
            let levels = if i == 3 { EetfError::DEPTH_MAX / 2 } else { EetfError::DEPTH_MAX };
            let work = || {
                let term = (0..levels).fold(Term::atom("x"), |term, _| wrap(term));
                there_and_back(&term);
                let too_deep = wrap(term);
                assert_eq!(eetf::Term::try_from(&too_deep), Err(EetfError::TooDeep));
                let theirs = eetf::Term::decode(&*encode(&too_deep)).unwrap();
                assert_eq!(Term::try_from(theirs), Err(EetfError::TooDeep));
            };
            std::thread::scope(|scope| {
                let thread = std::thread::Builder::new().stack_size(1 << 20);
                thread.spawn_scoped(scope, work).unwrap().join().unwrap();
            });
        }
    }
}
