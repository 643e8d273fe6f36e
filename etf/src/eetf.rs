//! Conversions to and from the terms of the `eetf` crate (feature `eetf`).
//!
//! Both directions can fail, because each crate can hold what the other cannot: that one atoms of any length,
//! floats that are not finite, closures as before OTP 23; this one native records. Otherwise nothing is lost: a term
//! that goes there and back is equal. Lists of bytes become its `ByteList`, as its own decoder gives them.
//!
//! Converting takes stack for each level of a term, as dropping a term of that crate does.

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
}

impl TryFrom<eetf::Term> for Term {
    type Error = EetfError;

    fn try_from(term: eetf::Term) -> Result<Self, EetfError> {
        Ok(match term {
            eetf::Term::Atom(atom) => Self::Atom(from_atom(&atom)?),
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
            eetf::Term::InternalFun(fun) => from_closure(*fun)?,
            eetf::Term::Binary(binary) => Self::binary(binary.bytes),
            eetf::Term::BitBinary(bits) => from_bits(bits)?,
            eetf::Term::ByteList(list) => Self::List(list.bytes.into_iter().map(Self::from).collect()),
            eetf::Term::List(list) => Self::list(from_all(list.elements)?),
            eetf::Term::ImproperList(list) => {
                Self::list_with_tail(from_all(list.elements)?, Self::try_from(*list.last)?)
            }
            eetf::Term::Tuple(tuple) => Self::tuple(from_all(tuple.elements)?),
            eetf::Term::Map(map) => {
                let entries = map.map.into_iter().map(|(k, v)| Ok((Self::try_from(k)?, Self::try_from(v)?)));
                Self::Map(entries.collect::<Result<Map, EetfError>>()?)
            }
        })
    }
}

fn from_all(terms: Vec<eetf::Term>) -> Result<Vec<Term>, EetfError> {
    terms.into_iter().map(Term::try_from).collect()
}

fn from_atom(atom: &eetf::Atom) -> Result<Atom, EetfError> {
    Ok(Atom::try_new(&atom.name)?)
}

fn from_pid(pid: &eetf::Pid) -> Result<Pid, EetfError> {
    Ok(Pid::new(from_atom(&pid.node)?, pid.id, pid.serial, pid.creation))
}

fn from_closure(fun: InternalFun) -> Result<Term, EetfError> {
    let InternalFun::New { module, arity, pid, free_vars, index, uniq, old_index, old_uniq } = fun else {
        return Err(EetfError::OldFun);
    };
    let (module, creator, free) = (from_atom(&module)?, from_pid(&pid)?, from_all(free_vars)?);
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

impl TryFrom<&Term> for eetf::Term {
    type Error = EetfError;

    fn try_from(term: &Term) -> Result<Self, EetfError> {
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
            Term::Fun(fun) => match &**fun {
                Fun::Export { module, function, arity } => {
                    let (module, function) = (to_atom(module), to_atom(function));
                    eetf::ExternalFun { module, function, arity: *arity }.into()
                }
                Fun::Closure(closure) => to_closure(closure)?,
            },
            Term::Port(port) => {
                eetf::Port { node: to_atom(port.node()), id: port.id, creation: port.creation }.into()
            }
            Term::Pid(pid) => to_pid(pid).into(),
            Term::Tuple(elements) => eetf::Tuple { elements: to_all(elements)? }.into(),
            Term::Record(_) => return Err(EetfError::Record),
            Term::Map(map) => {
                let entries = map.iter().map(|(k, v)| Ok((Self::try_from(k)?, Self::try_from(v)?)));
                eetf::Map { map: entries.collect::<Result<_, EetfError>>()? }.into()
            }
            Term::List(elements) => to_list(elements)?,
            Term::ImproperList(list) => to_improper_list(list)?,
            Term::Binary(binary) => eetf::Binary { bytes: binary.to_vec() }.into(),
            Term::BitString(bits) => {
                let mut bytes = bits.as_slice().to_vec();
                if let Some(last) = bytes.last_mut() {
                    *last >>= 8 - bits.last_bits();
                }
                eetf::BitBinary { bytes, tail_bits_size: bits.last_bits() }.into()
            }
        })
    }
}

fn to_all(terms: &[Term]) -> Result<Vec<eetf::Term>, EetfError> {
    terms.iter().map(eetf::Term::try_from).collect()
}

fn to_atom(atom: &Atom) -> eetf::Atom {
    eetf::Atom { name: atom.as_str().to_owned() }
}

fn to_pid(pid: &Pid) -> eetf::Pid {
    eetf::Pid { node: to_atom(pid.node()), id: pid.id, serial: pid.serial, creation: pid.creation }
}

fn to_closure(closure: &Closure) -> Result<eetf::Term, EetfError> {
    let (module, pid, free_vars) =
        (to_atom(&closure.module), to_pid(&closure.creator), to_all(&closure.free)?);
    let Closure { arity, uniq, index, old_index, old_uniq, .. } = *closure;
    Ok(InternalFun::New { module, arity, pid, free_vars, index, uniq, old_index, old_uniq }.into())
}

/// Longer ones it would write with a length cut to 16 bits.
const BYTE_LIST_MAX: usize = 65_535;

fn to_list(elements: &[Term]) -> Result<eetf::Term, EetfError> {
    let byte = |term: &Term| term.as_int().as_ref().and_then(ToPrimitive::to_u8);
    if !elements.is_empty()
        && elements.len() <= BYTE_LIST_MAX
        && let Some(bytes) = elements.iter().map(byte).collect::<Option<Vec<u8>>>()
    {
        return Ok(eetf::ByteList { bytes }.into());
    }
    Ok(eetf::List { elements: to_all(elements)? }.into())
}

fn to_improper_list(list: &ImproperList) -> Result<eetf::Term, EetfError> {
    let last = Box::new(eetf::Term::try_from(list.tail())?);
    Ok(eetf::ImproperList { elements: to_all(list.head())?, last }.into())
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
}
