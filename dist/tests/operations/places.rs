//! What may stand at each place of each control tuple, by hand from wire.md 5 and 5.5.

use crabnode_dist::{EndsError, Kind, Op};
use etf::{Atom, BigInt, BitString, Float, Fun, Map, Pid, Port, Record, Reference, Term, tuple};

use crate::frames::{OWN, PEER};

/// A place of a control tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A pid of any node: for messages, whose foreign receivers are dropped later, and group leaders.
    Pid,
    /// A pid of the peer: it may speak for its own processes alone.
    PeerPid,
    /// A pid of this node.
    OwnPid,
    /// A name, or a pid of the peer.
    PeerPidOrName,
    /// A name, or a pid of this node.
    OwnPidOrName,
    /// A pid of the peer, or an atom that says what went wrong.
    PeerPidOrError,
    Atom,
    Ref,
    PeerRef,
    OwnRef,
    Mfa,
    UnlinkId,
    ReplyFlags,
    /// The flags of 37, none of which is set: set ones change what the other places are.
    AltactFlags,
    /// Whatever there is: reasons, tokens, options, and where old nodes have a cookie.
    Any,
}

/// What becomes of a term at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    Type(Kind),
    Ends(EndsError),
}

/// The places of an operation behind its number.
pub(crate) fn places(op: Op) -> &'static [Place] {
    use Place::*;
    match op {
        Op::Link | Op::Unlink | Op::PayloadExit | Op::PayloadExit2 => &[PeerPid, OwnPid],
        Op::PayloadExitTt | Op::PayloadExit2Tt | Op::Exit | Op::Exit2 => &[PeerPid, OwnPid, Any],
        Op::ExitTt | Op::Exit2Tt => &[PeerPid, OwnPid, Any, Any],
        Op::Send => &[Any, Pid],
        Op::SendTt => &[Any, Pid, Any],
        Op::SendSender | Op::GroupLeader => &[Pid, Pid],
        Op::SendSenderTt => &[Pid, Pid, Any],
        Op::RegSend => &[Pid, Any, Atom],
        Op::RegSendTt => &[Pid, Any, Atom, Any],
        Op::MonitorP | Op::DemonitorP => &[PeerPid, OwnPidOrName, Ref],
        Op::MonitorPExit => &[PeerPidOrName, OwnPid, Ref, Any],
        Op::PayloadMonitorPExit => &[PeerPidOrName, OwnPid, Ref],
        Op::SpawnRequest => &[PeerRef, PeerPid, Pid, Mfa, Any],
        Op::SpawnRequestTt => &[PeerRef, PeerPid, Pid, Mfa, Any, Any],
        Op::SpawnReply => &[OwnRef, OwnPid, ReplyFlags, PeerPidOrError],
        Op::SpawnReplyTt => &[OwnRef, OwnPid, ReplyFlags, PeerPidOrError, Any],
        Op::AliasSend => &[Pid, Ref],
        Op::AliasSendTt => &[Pid, Ref, Any],
        Op::UnlinkId | Op::UnlinkIdAck => &[UnlinkId, PeerPid, OwnPid],
        Op::AltactSigSend => &[AltactFlags, Pid, Pid],
    }
}

impl Place {
    /// A term that is right there.
    pub(crate) fn right(self) -> Term {
        match self {
            Self::Pid | Self::OwnPid | Self::OwnPidOrName => pid(OWN).into(),
            Self::PeerPid | Self::PeerPidOrName | Self::PeerPidOrError => pid(PEER).into(),
            Self::Atom => Term::atom("name"),
            Self::Ref | Self::PeerRef => reference(PEER).into(),
            Self::OwnRef => reference(OWN).into(),
            Self::Mfa => tuple!(atom "m", atom "f", 1),
            Self::UnlinkId => 7.into(),
            Self::ReplyFlags => 1.into(),
            Self::AltactFlags => 0.into(),
            Self::Any => Term::NIL,
        }
    }

    /// What is wrong with a term there, if anything is.
    pub(crate) fn judge(self, term: &Term) -> Result<(), Wrong> {
        let of_type = |is_so, kind| if is_so { Ok(()) } else { Err(Wrong::Type(kind)) };
        let sent_by = |node: &Atom| match *node == PEER {
            true => Ok(()),
            false => Err(Wrong::Ends(EndsError::ForeignSender { node: node.clone() })),
        };
        let sent_to = |node: &Atom| match *node == OWN {
            true => Ok(()),
            false => Err(Wrong::Ends(EndsError::ForeignReceiver { node: node.clone() })),
        };
        let two_to = |bits: u32| Term::from(BigInt::from(1u8) << bits);
        match (self, term) {
            (Self::Any, _) => Ok(()),
            (Self::Pid, _) => of_type(matches!(term, Term::Pid(_)), Kind::Pid),
            (Self::PeerPid, Term::Pid(pid)) => sent_by(pid.node()),
            (Self::OwnPid, Term::Pid(pid)) => sent_to(pid.node()),
            (Self::PeerPid | Self::OwnPid, _) => Err(Wrong::Type(Kind::Pid)),
            (Self::PeerPidOrName | Self::OwnPidOrName | Self::PeerPidOrError, Term::Atom(_)) => Ok(()),
            (Self::PeerPidOrName | Self::PeerPidOrError, Term::Pid(pid)) => sent_by(pid.node()),
            (Self::OwnPidOrName, Term::Pid(pid)) => sent_to(pid.node()),
            (Self::PeerPidOrName | Self::OwnPidOrName, _) => Err(Wrong::Type(Kind::PidOrName)),
            (Self::PeerPidOrError, _) => Err(Wrong::Type(Kind::PidOrError)),
            (Self::Atom, _) => of_type(matches!(term, Term::Atom(_)), Kind::Atom),
            (Self::Ref, _) => of_type(matches!(term, Term::Reference(_)), Kind::Reference),
            (Self::PeerRef, Term::Reference(reference)) => sent_by(reference.node()),
            (Self::OwnRef, Term::Reference(reference)) => sent_to(reference.node()),
            (Self::PeerRef | Self::OwnRef, _) => Err(Wrong::Type(Kind::Reference)),
            (Self::Mfa, _) => {
                let is_mfa = matches!(term.as_tuple(), Some([Term::Atom(_), Term::Atom(_), Term::Int(_)]));
                of_type(is_mfa, Kind::Mfa)
            }
            (Self::UnlinkId, _) => {
                let is_id = is_integer(term) && *term > Term::from(0) && *term < two_to(64);
                of_type(is_id, Kind::UnlinkId)
            }
            (Self::ReplyFlags, _) => {
                let fits = is_integer(term) && *term >= Term::from(0) && *term < two_to(27);
                of_type(fits, Kind::SpawnReplyFlags)
            }
            (Self::AltactFlags, _) => of_type(is_integer(term) && *term >= Term::from(0), Kind::Flags),
        }
    }
}

fn is_integer(term: &Term) -> bool {
    matches!(term, Term::Int(_) | Term::BigInt(_))
}

/// A control tuple as it should be.
pub(crate) fn right_tuple(op: Op) -> Vec<Term> {
    let number = Term::from(i64::from(op.number()));
    std::iter::once(number).chain(places(op).iter().map(|place| place.right())).collect()
}

pub(crate) fn pid(node: Atom) -> Pid {
    Pid::new(node, 1, 2, 3)
}

pub(crate) fn reference(node: Atom) -> Reference {
    Reference::new(node, 4, &[5, 6, 7]).expect("three words")
}

/// Terms of every type, at the edges of what places allow.
pub(crate) fn specimens() -> Vec<Term> {
    let third = Atom::from_static("third@host");
    let two_to = |bits: u32| BigInt::from(1u8) << bits;
    let mut terms: Vec<Term> = vec![
        pid(OWN).into(),
        pid(PEER).into(),
        pid(third.clone()).into(),
        reference(OWN).into(),
        reference(PEER).into(),
        reference(third).into(),
        Port::new(PEER, 1, 2).into(),
        Term::atom(""),
        Term::atom("name"),
        Float::new(1.0).expect("finite").into(),
        Term::NIL,
        Term::list(vec![pid(PEER).into()]),
        Term::list_with_tail(vec![pid(PEER).into()], Term::atom("tail")),
        Term::binary(""),
        Term::binary("peer"),
        BitString::new(b"\x80", 1).expect("one bit").into(),
        Term::Map(Map::new()),
        Term::export("m", "f", 1),
        Fun::Export { module: Atom::from_static("m"), function: Atom::from_static("f"), arity: 255 }.into(),
        Term::Record(Box::new(Record::new(0, Atom::from_static("m"), Atom::from_static("r"), []))),
        Term::tuple(vec![]),
        tuple!(pid(PEER)),
        tuple!(atom "m", atom "f"),
        tuple!(atom "m", atom "f", 0),
        tuple!(atom "m", atom "f", -1),
        tuple!(atom "m", atom "f", atom "a"),
        tuple!(atom "m", 1, 0),
        tuple!(1, atom "f", 0),
        tuple!(atom "m", atom "f", 0, 0),
    ];
    terms.extend([0, 1, 32, (1 << 27) - 1, 1 << 27, i64::MAX, -1, i64::MIN].map(Term::from));
    terms.extend([two_to(64) - 1u8, two_to(64), -two_to(64), two_to(200)].map(Term::from));
    terms
}
