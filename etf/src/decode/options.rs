//! What `binary_to_term/2` can be told.

use std::collections::HashSet;

use bytes::Bytes;

use crate::{
    Atom, DecodeError, DecodeLimits, LocalKey, Term,
    decode::{Asked, Memory, no_trailing, stored_prefix},
};

/// How a stored term is read: the options of `erlang:binary_to_term/2`, and the limits.
///
/// The default reads as [`decode`](crate::decode()) does with the default limits. For `used` there is
/// [`Self::decode_prefix`].
///
/// ```
/// use crabnode_etf::{Atom, DecodeOptions, Known, encode, term};
///
/// let known = Known { atoms: ["ok", "error"].map(Atom::from).into(), ..Default::default() };
/// let options = DecodeOptions { safe: Some(known), ..Default::default() };
/// assert!(options.decode(&encode(&term!({ok, 1})).into()).is_ok());
/// let error = options.decode(&encode(&term!({ok, what})).into()).unwrap_err();
/// assert_eq!(error.to_string(), "at byte 7: the atom 'what' is not known");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// How much a term may ask of us.
    pub limits: DecodeLimits,
    /// Refuses a term that has names which are not among these (`safe`).
    pub safe: Option<Known>,
    /// What local terms are read by; without it they are refused.
    pub local: Option<LocalKey>,
}

/// Names that a term may have.
///
/// A BEAM with `safe` takes those that it has itself, because it never frees an atom. There is no table of atoms here
/// to fill, so it is for the caller to say which are known: to protect a BEAM that the term is passed on to, or code
/// that gives atoms a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The atoms, among them names of nodes, modules and fields.
    pub atoms: HashSet<Atom>,
    /// The functions that an external fun may be, as module, name and arity. Their atoms must be known too.
    pub exports: HashSet<(Atom, Atom, u8)>,
}

impl DecodeOptions {
    /// Decodes a stored term, as [`decode`](crate::decode()) does.
    pub fn decode(&self, input: &Bytes) -> Result<Term, DecodeError> {
        no_trailing(input, self.decode_prefix(input)?)
    }

    /// Decodes the stored term that `input` starts with, and says how many bytes of `input` it took.
    pub fn decode_prefix(&self, input: &Bytes) -> Result<(Term, usize), DecodeError> {
        let asked = Asked { known: self.safe.as_ref(), local: self.local.as_ref() };
        stored_prefix(input, &self.limits, asked, &mut Memory::of_one_term())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DecodeErrorReason, EncodeOptions, Map, Pid, Port, Reference, decode, decode_bare, encode, tuple,
    };

    fn key(node: &str, creation: u32) -> LocalKey {
        LocalKey::new([7; 16], Atom::from(node), creation)
    }

    fn ids(node: &str, creation: u32) -> Term {
        let node = Atom::from(node);
        let pid = Pid::new(node.clone(), 1, 2, creation);
        let port = Port::new(node.clone(), 1 << 40, creation);
        let references = [&[1, 2, 3][..], &[1, 2, 3, 4, 5]]
            .map(|words| Reference::new(node.clone(), creation, words).unwrap().into());
        let map: Map = [(pid.clone().into(), port.into())].into_iter().collect();
        tuple!(pid, map, Vec::from(references))
    }

    #[test]
    fn local_terms_are_read_by_who_wrote_them() {
        let others = tuple!(ids("other@b", 5), ids("a@b", 4), ids("a@b", 0), ids("a@c", 0));
        let term = tuple!(ids("a@b", 5), others.clone());
        for compressed in [0, 6] {
            let options = EncodeOptions { local: Some(key("a@b", 5)), compressed, ..Default::default() };
            let bytes = Bytes::from(options.encode(&term));
            assert_eq!(bytes[1] == 80, compressed > 0);
            let read = |key| DecodeOptions { local: Some(key), ..Default::default() }.decode(&bytes);
            assert_eq!(read(key("a@b", 5)), Ok(term.clone()));
            // The own node got another name since.
            assert_eq!(read(key("new@b", 6)), Ok(tuple!(ids("new@b", 6), others.clone())));
            let reason = |result: Result<Term, DecodeError>| result.unwrap_err().reason;
            let foreign = LocalKey::new([8; 16], Atom::from("a@b"), 5);
            assert_eq!(reason(read(foreign)), DecodeErrorReason::ForeignLocalTerm);
            assert_eq!(reason(decode(&bytes, &DecodeLimits::default())), DecodeErrorReason::LocalTerm);
        }
    }

    /// As OTP 27 wrote it.
    #[test]
    fn local_terms_of_a_beam_are_foreign() {
        let bytes: &[u8] =
            &[131, 121, 1, 237, 196, 134, 104, 2, 88, 106, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 119, 1, 97];
        let options = DecodeOptions { local: Some(key("a@b", 5)), ..Default::default() };
        let error = options.decode(&Bytes::from_static(bytes)).unwrap_err();
        assert_eq!((error.offset, error.reason), (1, DecodeErrorReason::ForeignLocalTerm));
    }

    /// Cut or changed anywhere, it is an error.
    #[test]
    fn damaged_local_terms_are_errors() {
        let options = EncodeOptions { local: Some(key("a@b", 5)), ..Default::default() };
        let bytes = options.encode(&ids("a@b", 5));
        let options = DecodeOptions { local: Some(key("a@b", 5)), ..Default::default() };
        for at in 0..bytes.len() {
            assert!(options.decode(&Bytes::copy_from_slice(&bytes[..at])).is_err(), "{at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(options.decode(&changed.into()).is_err(), "{at}");
        }
    }

    /// Only a whole stored term is local, and only in one is the own node left out.
    #[test]
    fn nothing_else_is_local() {
        let local = EncodeOptions { local: Some(key("a@b", 5)), ..Default::default() }.encode(&ids("a@b", 5));
        let options = DecodeOptions { local: Some(key("a@b", 5)), ..Default::default() };
        let reason = |bytes: Vec<u8>| options.decode(&bytes.into()).unwrap_err().reason;
        assert_eq!(reason([&[131, 104, 1], &local[1..]].concat()), DecodeErrorReason::LocalTerm);
        assert_eq!(reason([&[131], &local[6..]].concat()), DecodeErrorReason::NotAnAtom { tag: 106 });
        let message = decode_bare(&Bytes::from(local), 1, &[], &DecodeLimits::default());
        assert_eq!(message.unwrap_err().reason, DecodeErrorReason::LocalTerm);
    }

    #[test]
    fn safe_refuses_unknown_names() {
        let atoms = ["ok", "lists", "map", "a@b"].map(Atom::from).into();
        let exports = [("lists".into(), "map".into(), 2)].into();
        let options = DecodeOptions { safe: Some(Known { atoms, exports }), ..Default::default() };
        let read = |term: &Term| options.decode(&encode(term).into()).map_err(|error| error.reason);
        for term in [
            tuple!(atom "ok", Term::export("lists", "map", 2), 1, Term::binary("text")),
            ids("a@b", 5),
            // Those that were read before are not looked up again.
            vec![Term::atom("ok"); 100].into(),
        ] {
            assert_eq!(read(&term).as_ref(), Ok(&term));
        }
        let unknown = |atom: &'static str| Err(DecodeErrorReason::UnknownAtom { atom: atom.into() });
        assert_eq!(read(&tuple!(atom "ok", atom "error")), unknown("error"));
        assert_eq!(read(&ids("a@c", 5)), unknown("a@c"));
        assert_eq!(read(&Term::export("os", "cmd", 1)), unknown("os"));
        let (module, function, arity) = ("lists".into(), "map".into(), 3);
        let error = DecodeErrorReason::UnknownFunction { module, function, arity };
        assert_eq!(read(&Term::export("lists", "map", 3)), Err(error));
    }
}
