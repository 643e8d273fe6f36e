//! What ends a connection at a stock node ends it with us, and nothing else does, but where it is written down here.

use std::io::{ErrorKind, Read};

use dist::{Inbound, Limits, OPS, OpRow};
use etf::{Atom, BigInt, Float, Pid, Reference, Term, tuple};
use interop_tests::Cluster;

use crate::{
    damage::{places, right},
    options::SERVICES,
    peer_support::each_release,
    wire_support::{PLAIN, Wire, framed},
};

/// What is said in place of what should be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Nothing,
    /// So many elements.
    Elements(usize),
    /// Another term at a place, counted from the one behind the operation.
    At(usize, Specimen),
}

/// Terms of every type.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Specimen {
    SendersPid,
    ReceiversPid,
    /// Of a former life of the receiver.
    OldPid,
    ThirdPid,
    SendersRef,
    ReceiversRef,
    ThirdRef,
    Atom,
    MinusOne,
    Zero,
    Seven,
    TwoTo27,
    MaxU64,
    TwoTo64,
    Float,
    Nil,
    Binary,
    Mfa,
    MfaOfAtoms,
    MfaWithoutArity,
}

use Specimen::*;

const SPECIMENS: [Specimen; 20] = [
    SendersPid,
    ReceiversPid,
    OldPid,
    ThirdPid,
    SendersRef,
    ReceiversRef,
    ThirdRef,
    Specimen::Atom,
    MinusOne,
    Zero,
    Seven,
    TwoTo27,
    MaxU64,
    TwoTo64,
    Specimen::Float,
    Nil,
    Binary,
    Mfa,
    MfaOfAtoms,
    MfaWithoutArity,
];

impl Specimen {
    fn term(self, wire: &Wire) -> Term {
        let creation = wire.established.peer_creation.0;
        let third = || Atom::from("third@localhost");
        let reference =
            |node, creation| Term::from(Reference::new(node, creation, &[9, 9, 9]).expect("three words"));
        match self {
            SendersPid => wire.pid(5).into(),
            ReceiversPid => wire.their_pid(32_000, creation).into(),
            OldPid => wire.their_pid(32_000, creation + 1).into(),
            ThirdPid => Pid::new(third(), 5, 0, 1).into(),
            SendersRef => wire.reference(5).into(),
            ReceiversRef => reference(wire.peer.clone(), creation),
            ThirdRef => reference(third(), 1),
            Self::Atom => Term::atom("nobody"),
            MinusOne => Term::from(-1),
            Zero => 0.into(),
            Seven => 7.into(),
            TwoTo27 => (1_i64 << 27).into(),
            MaxU64 => u64::MAX.into(),
            TwoTo64 => Term::from(BigInt::from(1u8) << 64u32),
            Self::Float => Float::new(1.0).expect("finite").into(),
            Nil => Term::NIL,
            Binary => Term::binary("x"),
            Mfa => tuple!(atom "no_module", atom "f", 0),
            MfaOfAtoms => tuple!(atom "no_module", atom "f", atom "x"),
            MfaWithoutArity => tuple!(atom "no_module", atom "f"),
        }
    }

    fn is_pid(self) -> bool {
        matches!(self, SendersPid | ReceiversPid | OldPid | ThirdPid)
    }
}

/// Whether a release has the operation. To another it is an unknown one, which ends the connection; we have all.
fn has(release: u32, op: u8) -> bool {
    match op {
        4 => release < 26,
        33..=36 => release >= 25,
        37 => release >= 28,
        _ => true,
    }
}

/// What we refuse, and stock nodes take without a use for it.
fn is_refused_by_us_alone(op: u8, change: Change) -> bool {
    match (op, change) {
        // Who sends, of which they make nothing, and whom to link to, which they answer by an exit of the same.
        (22 | 23 | 33 | 34, Change::At(0, what)) | (1, Change::At(1, what)) => !what.is_pid(),
        // What is not the sender's to speak of: the processes of a third node, or ours of a former life.
        (21 | 28, Change::At(0, what)) | (31 | 32, Change::At(3, what)) | (29 | 30, Change::At(1, what)) => {
            matches!(what, ThirdPid | OldPid)
        }
        (29 | 30, Change::At(0, what)) => what == ThirdRef,
        // No unlink has this id.
        (36, Change::At(0, what)) => what == Zero,
        _ => false,
    }
}

/// What stock nodes refuse and we drop: it is for a process of our former life, and the peer may not know yet.
fn is_refused_by_them_alone(op: u8, change: Change) -> bool {
    matches!((op, change), (3 | 4 | 13 | 24 | 25, Change::At(1, OldPid)) | (35 | 36, Change::At(2, OldPid)))
}

/// An `exit/2` that says to be from a process of the receiver: stock nodes of all releases end by it, all of them. It
/// ends the connection with us, and they are not told.
fn ends_stock_nodes(op: u8, change: Change) -> bool {
    matches!((op, change), (8 | 18 | 26 | 27, Change::At(0, ReceiversPid)))
}

/// Where the token is. Stock nodes also end by some that are none.
fn token_at(op: u8) -> Option<usize> {
    match op {
        12 | 13 | 18 | 23 | 25 | 27 | 34 => Some(2),
        16 => Some(3),
        32 => Some(4),
        30 => Some(5),
        _ => None,
    }
}

fn changes(op: u8) -> Vec<Change> {
    let places = places(op).len();
    let elements = (1..places + 4).map(Change::Elements);
    let at = (0..places).filter(|at| token_at(op) != Some(*at));
    let specimens = at.flat_map(|at| SPECIMENS.map(|specimen| Change::At(at, specimen)));
    [Change::Nothing].into_iter().chain(elements).chain(specimens).collect()
}

fn changed(wire: &Wire, op: u8, change: Change) -> Term {
    let mut tuple = vec![Term::from(i64::from(op))];
    tuple.extend(places(op).iter().enumerate().map(|(at, kind)| right(wire, op, at, *kind)));
    if let Some(at) = token_at(op) {
        tuple[at + 1] = tuple!(1, 17, 1, wire.pid(5), 0);
    }
    match change {
        Change::Nothing => {}
        Change::Elements(count) => tuple.resize(count, Term::atom("more")),
        Change::At(at, specimen) => tuple[at + 1] = specimen.term(wire),
    }
    Term::tuple(tuple)
}

#[test]
fn item_61_what_ends_a_connection_is_what_ends_it_at_a_stock_node() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        erl.eval(SERVICES);
        let port =
            erl.eval("element(2, erl_epmd:port_please(\"e\", \"localhost\"))").parse().expect("a port");
        let (nil, mut wrong) = (Term::NIL, Vec::new());
        let (mut kept, mut ended) = (0, 0);
        for OpRow { op, payload, .. } in OPS {
            let number = op.number();
            for change in changes(number) {
                let mut wire = Wire::connect(&cluster, erl.node(), port, PLAIN);
                let control = changed(&wire, number, change);
                let payload = payload.then_some(&nil);
                let ours = is_taken(&wire, &control, payload);
                if ends_stock_nodes(number, change) {
                    assert!(!ours, "{op} {change:?}");
                    continue;
                }
                wire.send_control(&control, payload);
                let theirs = stays(&mut wire);
                let expected = if !has(otp.number(), number) {
                    !theirs
                } else if is_refused_by_them_alone(number, change) {
                    ours && !theirs
                } else if is_refused_by_us_alone(number, change) {
                    theirs && !ours
                } else {
                    ours == theirs
                };
                if !expected {
                    wrong.push(format!("{op} {change:?}: ours {ours}, theirs {theirs}"));
                }
                *(if theirs { &mut kept } else { &mut ended }) += 1;
            }
        }
        assert!(wrong.is_empty(), "OTP {}: {wrong:#?}", otp.number());
        assert!(kept > 400 && ended > 1000, "{kept} and {ended}");
    });
}

/// Whether our end of this connection would go on.
fn is_taken(wire: &Wire, control: &Term, payload: Option<&Term>) -> bool {
    let (own, peer, flags) = (wire.peer.clone(), wire.node.clone(), wire.established.flags);
    let mut inbound = Inbound::new(own, peer, flags, Limits::default());
    let mut body = vec![112];
    body.extend(etf::encode(control));
    body.extend(payload.map(etf::encode).unwrap_or_default());
    inbound.handle(&framed(&body));
    inbound.poll_output().is_ok()
}

/// Whether the node still answers. What it says besides may make no sense: some of it is what it was told.
fn stays(wire: &mut Wire) -> bool {
    const WORD: &[u8] = b"still_there";
    let from = wire.pid(1);
    wire.send_to("echo", &from, tuple!(&from, atom "still_there"));
    let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match wire.stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => came.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("{} neither answers nor closes: {error}", wire.peer),
        }
        if came.windows(WORD.len()).any(|bytes| bytes == WORD) {
            return true;
        }
    }
}
