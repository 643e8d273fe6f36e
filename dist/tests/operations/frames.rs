//! Frames put together by hand after wire.md 4, so that the crate's own writer is not its own judge.

use bytes::BytesMut;
use crabnode_dist::{Inbound, InboundError, Limits, Received, Signal};
use etf::{Atom, AtomTable, Term};
use handshake::DistFlags;

pub(crate) const OWN: Atom = Atom::from_static("own@host");
pub(crate) const PEER: Atom = Atom::from_static("peer@host");

/// The forms a message may have (wire.md 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `112 131 Control 131 Payload`
    Plain,
    /// `131 68`, a header without atoms.
    Header,
    /// `131 68`, a header with every atom of the message.
    Atoms,
}

pub(crate) const FORMS: [Form; 3] = [Form::Plain, Form::Header, Form::Atoms];

impl Form {
    /// What was agreed where this form is used.
    pub(crate) fn flags(self) -> DistFlags {
        match self {
            Self::Plain => {
                DistFlags::OFFERED.without(DistFlags::DIST_HDR_ATOM_CACHE).without(DistFlags::FRAGMENTS)
            }
            Self::Header | Self::Atoms => DistFlags::OFFERED,
        }
    }

    /// The body of a message.
    pub(crate) fn body(self, control: &Term, payload: Option<&Term>) -> Vec<u8> {
        let Parts { head, control, payload } = self.parts(control, payload);
        let start: &[u8] = if self == Self::Plain { &[112] } else { &[131, 68] };
        [start, &head, &control, &payload].concat()
    }

    /// What a body has behind its first bytes.
    pub(crate) fn parts(self, control: &Term, payload: Option<&Term>) -> Parts {
        if self == Self::Plain {
            let payload = payload.map(etf::encode).unwrap_or_default().to_vec();
            return Parts { head: Vec::new(), control: etf::encode(control).to_vec(), payload };
        }
        let mut atoms = Atoms(Vec::new());
        let mut bare = |term: &Term| {
            let mut out = BytesMut::new();
            match self {
                Self::Atoms => etf::try_encode_cached_into(term, &mut atoms, &mut out),
                Self::Plain | Self::Header => etf::try_encode_into(term, &mut out),
            }
            .expect("a short term");
            out.to_vec()
        };
        let (control, payload) = (bare(control), payload.map(&mut bare).unwrap_or_default());
        Parts { head: atoms.header(), control, payload }
    }
}

/// The parts of a body.
pub(crate) struct Parts {
    /// The header, from its number of atoms on.
    pub(crate) head: Vec<u8>,
    pub(crate) control: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// The atoms of a message, each a new one for the cache. Slot 7 + 256 * segment.
struct Atoms(Vec<Atom>);

impl AtomTable for Atoms {
    fn number(&mut self, atom: &Atom) -> Option<u8> {
        let at = self.0.iter().position(|known| known == atom).unwrap_or_else(|| {
            self.0.push(atom.clone());
            self.0.len() - 1
        });
        u8::try_from(at).ok()
    }
}

impl Atoms {
    fn header(&self) -> Vec<u8> {
        let count = self.0.len();
        let mut header = vec![u8::try_from(count).expect("few atoms")];
        if count == 0 {
            return header;
        }
        let mut flags = vec![0; count / 2 + 1];
        for at in 0..count {
            flags[at / 2] |= (8 | (at % 8)) << (4 * (at % 2));
        }
        // Long atoms: their lengths have two bytes.
        flags[count / 2] |= 1 << (4 * (count % 2));
        header.extend(flags.iter().map(|flag| u8::try_from(*flag).expect("two nibbles")));
        for (at, atom) in self.0.iter().enumerate() {
            header.push(u8::try_from(at).expect("few atoms"));
            header.extend(u16::try_from(atom.as_str().len()).expect("255 characters").to_be_bytes());
            header.extend(atom.as_str().as_bytes());
        }
        header
    }
}

/// A first fragment.
pub(crate) fn first(sequence: u64, count: u64, rest: &[&[u8]]) -> Vec<u8> {
    [&[131, 69], &sequence.to_be_bytes()[..], &count.to_be_bytes(), &rest.concat()].concat()
}

/// A further fragment.
pub(crate) fn rest(sequence: u64, number: u64, payload: &[u8]) -> Vec<u8> {
    [&[131, 70], &sequence.to_be_bytes()[..], &number.to_be_bytes(), payload].concat()
}

/// A body with its length in front.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).expect("a short body").to_be_bytes(), body].concat()
}

pub(crate) fn inbound(flags: DistFlags) -> Inbound {
    Inbound::new(OWN, PEER, flags, Limits::default())
}

/// What a connection makes of these bodies: its signals, and the error if one ended it.
pub(crate) fn read(flags: DistFlags, bodies: &[Vec<u8>]) -> (Vec<Signal>, Option<InboundError>) {
    let mut inbound = inbound(flags);
    for body in bodies {
        inbound.handle(&framed(body));
    }
    let mut signals = Vec::new();
    loop {
        match inbound.poll_output() {
            Ok(Some(Received::Signal(signal))) => signals.push(signal),
            Ok(Some(Received::Tick)) => {}
            Ok(None) => return (signals, None),
            Err(error) => {
                assert_eq!(inbound.poll_output(), Err(error.clone()), "an error stays");
                return (signals, Some(error));
            }
        }
    }
}
