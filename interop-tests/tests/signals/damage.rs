//! What is no signal: it ends the connection it came on, cleanly, and nothing else.

use std::fs;

use dist::OPS;
use etf::{Term, tuple};
use handshake::DistFlags;
use interop_tests::{Cluster, ErlNode, Otp, RustNode};

use crate::{
    peer_support::says,
    wire_support::{HIDDEN, PLAIN, Wire, bare, framed},
};

/// A peer, and an `erl` connected with it that would hear of any loss.
struct Beside {
    erl: ErlNode,
    peer: RustNode,
    cluster: Cluster,
}

impl Beside {
    fn start() -> Self {
        let otp = Otp::newest();
        let cluster = Cluster::new(&otp);
        let (mut erl, peer) = (cluster.erl(&otp, "e"), cluster.peer("r"));
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        erl.eval(
            "process_flag(trap_exit, true), net_kernel:monitor_nodes(true, [{node_type, all}]),
             spawn_link(r@localhost, timer, sleep, [infinity])",
        );
        Self { erl, peer, cluster }
    }

    fn wire(&self, flags: DistFlags) -> Wire {
        Wire::connect(&self.cluster, "r@localhost", self.peer.port(), flags)
    }

    /// The bytes of these bodies, on a connection of their own, end it.
    fn refuses(&self, what: &str, flags: DistFlags, bodies: &[Vec<u8>]) {
        let mut wire = self.wire(flags);
        assert!(wire.is_open(), "before {what}");
        bodies.iter().for_each(|body| wire.send_body(body));
        assert!(wire.is_closed(), "the peer keeps the connection: {what}");
    }

    /// Nothing of it has reached the peer's other link, its processes, or its log as a panic.
    fn stays_well(mut self) {
        assert_eq!(self.peer.process().status(), None, "{}", self.peer.output());
        assert!(!self.peer.output().contains("panicked"), "{}", self.peer.output());
        says(&mut self.erl, "ct_peer:flush(100)", "[]");
        says(&mut self.erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
        says(
            &mut self.erl,
            "{echo, r@localhost} ! {self(), x}, receive M -> M after 15000 -> late end",
            "{echo,x}",
        );
        self.erl.eval_until(
            "rpc:call(r@localhost, erlang, nodes, [connected])",
            "[e@localhost]",
            crate::peer_support::SOON,
        );
    }
}

/// A fragment with this number; the first has a header without atoms and a control message.
fn fragment(kind: u8, sequence: u64, number: u64, rest: &[u8]) -> Vec<u8> {
    let mut body = vec![131, kind];
    body.extend(sequence.to_be_bytes());
    body.extend(number.to_be_bytes());
    body.extend(rest);
    body
}

#[test]
fn item_60_bad_fragments_end_their_connection_alone() {
    let beside = Beside::start();
    let from = etf::Pid::new(etf::Atom::from("someone@localhost"), 1, 0, 1);
    let mut first = vec![0];
    first.extend(bare(&tuple!(6, &from, atom "", atom "nobody")));
    let start = |sequence, number| fragment(69, sequence, number, &first);
    let rest = |sequence, number| fragment(70, sequence, number, b"x");
    let cases: &[(&str, Vec<Vec<u8>>)] = &[
        ("no fragment is the first of none", vec![start(1, 0)]),
        ("sequence 0 of many", vec![start(0, 2)]),
        ("one that nobody began", vec![rest(1, 1)]),
        ("one that is over", vec![start(1, 2), fragment(70, 1, 1, &bare(&Term::atom("x"))), rest(1, 1)]),
        ("begun twice", vec![start(1, 3), start(1, 3)]),
        ("a number left out", vec![start(1, 4), rest(1, 2)]),
        ("the same again", vec![start(1, 4), rest(1, 3), rest(1, 3)]),
        ("upwards", vec![start(1, 4), rest(1, 5)]),
        ("number 0", vec![start(1, 2), rest(1, 0)]),
        ("more than there can be", vec![start(1, u64::MAX)]),
        ("no room for the numbers", vec![vec![131, 69, 0, 0, 0, 0, 0, 0, 0, 1]]),
        ("a fragment cut in its numbers", vec![start(1, 2), vec![131, 70, 0, 0]]),
        ("no header", vec![fragment(69, 1, 2, &[])]),
        ("a header cut off", vec![fragment(69, 1, 2, &[3, 0])]),
        ("no control message", vec![fragment(69, 1, 2, &[0])]),
        ("a control message cut off", vec![fragment(69, 1, 2, &first[..first.len() - 3])]),
        ("an atom that is not in the header", vec![fragment(69, 1, 2, &[0, 104, 1, 82, 0])]),
        ("what comes together is no term", vec![start(1, 3), rest(1, 2), rest(1, 1)]),
        ("another kind of body", vec![vec![131, 71, 0]]),
        ("compressed", vec![vec![131, 80, 0, 0, 0, 10]]),
        ("of the form without headers", vec![vec![112, 131, 104, 1, 97, 1]]),
        ("a version inside", vec![[vec![131, 68, 0, 131], bare(&tuple!(1))].concat()]),
    ];
    for (what, bodies) in cases {
        beside.refuses(what, HIDDEN, bodies);
    }
    // Without the flag any fragment is one too many.
    let unasked = HIDDEN.without(DistFlags::FRAGMENTS);
    beside.refuses("not agreed on", unasked, &[start(1, 2)]);
    beside.refuses("not agreed on, and complete", unasked, &[start(1, 1)]);
    beside.refuses("not agreed on, nor headers", PLAIN, &[start(1, 1)]);
    beside.stays_well();
}

/// What may stand at a place of a control tuple.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    Pid,
    PidOrAtom,
    Atom,
    PidOrName,
    Ref,
    Id,
    Flags,
    Mfa,
    Any,
}

/// The places of each operation behind its number, by hand from wire.md 5.
pub(crate) fn places(op: u8) -> &'static [Kind] {
    use Kind::*;
    match op {
        1 | 4 | 7 | 22 | 24 | 26 => &[Pid, Pid],
        2 => &[Any, Pid],
        3 | 8 => &[Pid, Pid, Any],
        6 => &[Pid, Any, Atom],
        12 => &[Any, Pid, Any],
        13 | 18 => &[Pid, Pid, Any, Any],
        16 => &[Pid, Any, Atom, Any],
        19 | 20 => &[Pid, PidOrName, Ref],
        21 => &[PidOrName, Pid, Ref, Any],
        23 | 25 | 27 => &[Pid, Pid, Any],
        28 => &[PidOrName, Pid, Ref],
        29 => &[Ref, Pid, Pid, Mfa, Any],
        30 => &[Ref, Pid, Pid, Mfa, Any, Any],
        31 => &[Ref, Pid, Flags, PidOrAtom],
        32 => &[Ref, Pid, Flags, PidOrAtom, Any],
        33 => &[Pid, Ref],
        34 => &[Pid, Ref, Any],
        35 | 36 => &[Id, Pid, Pid],
        37 => &[Flags, Pid, Pid],
        _ => panic!("operation {op} has no row here"),
    }
}

/// Every operation with an element too few and too many, and with another type at each of its places.
#[test]
fn item_61_bad_structures_end_their_connection_alone() {
    let beside = Beside::start();
    let numbers = (0..=40).chain([127, 128, 255, 256]).map(Term::from);
    for number in numbers.filter(|n| OPS.iter().all(|row| *n != Term::from(i64::from(row.op.number())))) {
        refused(&beside, "no such operation", &tuple!(number, atom "", atom ""));
    }
    for term in
        [Term::NIL, Term::Int(2), tuple!(), tuple!(atom "x", 1, 2), tuple!(-1, 2, 3), tuple!(atom "", 2, 3)]
    {
        refused(&beside, "no operation at all", &term);
    }
    for row in OPS {
        let op = row.op.number();
        let mut wire = beside.wire(PLAIN);
        let good: Vec<Term> = [Term::from(i64::from(op))]
            .into_iter()
            .chain(places(op).iter().enumerate().map(|(at, kind)| right(&wire, op, at, *kind)))
            .collect();
        // So that what follows is refused for the one thing that is wrong with it.
        wire.send_control(&Term::tuple(good.clone()), row.payload.then_some(&Term::NIL));
        assert!(wire.is_open(), "{} as it should be is refused: {good:?}", row.op);
        let few = good[..good.len() - 1].to_vec();
        refused(&beside, "one too few", &Term::tuple(few));
        // Of 37 later releases may say more.
        if op != 37 {
            let many: Vec<Term> = good.iter().cloned().chain([Term::NIL]).collect();
            refused(&beside, "one too many", &Term::tuple(many));
        }
        if row.payload {
            let mut wire = beside.wire(PLAIN);
            wire.send_control(&Term::tuple(good.clone()), None);
            assert!(wire.is_closed(), "{} without its payload", row.op);
        }
        for (at, kind) in places(op).iter().enumerate() {
            for wrong in wrong(*kind) {
                let mut bad = good.clone();
                bad[at + 1] = wrong;
                refused(&beside, "another type", &Term::tuple(bad));
            }
        }
    }
    // Contradictions of their own.
    let pid = || Term::from(etf::Pid::new(etf::Atom::from("x@localhost"), 1, 0, 1));
    for flags in [-1, 4 | 8, 2] {
        refused(&beside, "flags that contradict each other", &tuple!(37, flags, pid(), pid()));
    }
    beside.stays_well();
}

fn refused(beside: &Beside, what: &str, control: &Term) {
    let mut wire = beside.wire(PLAIN);
    wire.send_control(control, Some(&Term::NIL));
    assert!(wire.is_closed(), "the peer keeps the connection: {what}: {control}");
}

/// A good value: from the stranger to a process of the peer that is not there.
pub(crate) fn right(wire: &Wire, op: u8, at: usize, kind: Kind) -> Term {
    let to_peer = match op {
        1 | 3 | 4 | 8 | 13 | 18 | 19 | 20 | 22..=27 | 37 => at >= 1,
        21 | 28 | 31 | 32 => at == 1,
        35 | 36 => at == 2,
        2 | 12 | 7 => true,
        _ => false,
    };
    let pid = if to_peer { wire.their_pid(32_000, wire.established.peer_creation.0) } else { wire.pid(5) };
    match kind {
        Kind::Pid | Kind::PidOrName => pid.into(),
        Kind::PidOrAtom | Kind::Atom => Term::atom("nobody"),
        // What is answered was asked by the peer.
        Kind::Ref if matches!(op, 31 | 32) => {
            let creation = wire.established.peer_creation.0;
            Term::from(etf::Reference::new(wire.peer.clone(), creation, &[9, 9, 9]).expect("three words"))
        }
        Kind::Ref => Term::from(&wire.reference(5)),
        Kind::Id => Term::Int(7),
        Kind::Flags => Term::Int(0),
        Kind::Mfa => tuple!(atom "no_module", atom "f", 1),
        Kind::Any => Term::NIL,
    }
}

/// What may not be there.
fn wrong(kind: Kind) -> Vec<Term> {
    let reference =
        || Term::from(etf::Reference::new(etf::Atom::from("x@localhost"), 1, &[1]).expect("a word"));
    let pid = || Term::from(etf::Pid::new(etf::Atom::from("x@localhost"), 1, 0, 1));
    match kind {
        Kind::Pid => vec![Term::atom("x"), Term::Int(1), reference()],
        Kind::Atom => vec![Term::Int(1), pid(), Term::NIL],
        Kind::PidOrAtom | Kind::PidOrName => vec![Term::Int(1), reference()],
        Kind::Ref => vec![Term::Int(1), pid()],
        Kind::Id => vec![Term::Int(0), Term::Int(-1), Term::atom("x")],
        Kind::Flags => vec![Term::Int(-1), Term::atom("x"), pid()],
        Kind::Mfa => vec![
            Term::NIL,
            tuple!(atom "m", atom "f"),
            tuple!(1, atom "f", 0),
            tuple!(atom "m", 1, 0),
            tuple!(atom "m", atom "f", atom "a"),
        ],
        Kind::Any => vec![],
    }
}

/// Payloads that are no terms, whoever they are for; what came before has arrived, and who comes again under the same
/// name is not held to account for it.
#[test]
fn item_62_bad_payloads_end_their_connection_alone() {
    let mut beside = Beside::start();
    beside.erl.eval("register(here, self())");
    let control = |wire: &Wire, op: u8| {
        let tuple: Vec<Term> = [Term::from(i64::from(op))]
            .into_iter()
            .chain(places(op).iter().enumerate().map(|(at, kind)| right(wire, op, at, *kind)))
            .collect();
        bare(&Term::tuple(tuple))
    };
    let bad: &[(&str, &[u8])] = &[
        ("an unknown tag", &[104, 1, 0]),
        ("cut off", &[104, 3, 97, 1]),
        ("longer than there is", &[109, 0xff, 0xff, 0xff, 0xff, 1]),
        ("an atom of the wrong bytes", &[119, 2, 0xff, 0xff]),
        ("an atom that is not in the header", &[82, 4]),
        ("a pid of a number", &[88, 97, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a map with a key twice", &[116, 0, 0, 0, 2, 97, 1, 97, 1, 97, 1, 97, 2]),
        ("a list without an end", &[108, 0, 0, 0, 2, 97, 1]),
    ];
    for row in OPS.iter().filter(|row| row.payload) {
        let op = row.op.number();
        for (what, payload) in bad {
            let mut wire = beside.wire(HIDDEN);
            assert!(wire.is_open());
            let body = [vec![131, 68, 0], control(&wire, op), payload.to_vec()].concat();
            wire.send_body(&body);
            assert!(wire.is_closed(), "the peer keeps the connection: {} with {what}", row.op);
        }
    }
    // What follows a whole term is of no account, as with a stock node.
    let mut wire = beside.wire(HIDDEN);
    let body = [vec![131, 68, 0], control(&wire, 22), vec![106, 1, 2, 3]].concat();
    wire.send_body(&body);
    assert!(wire.is_open());
    // The same name again at once: what was before the bad payload has arrived, and the new link holds.
    for creation in 1..=5 {
        let (cluster, port) = (&beside.cluster, beside.peer.port());
        let mut wire = Wire::connect_as(cluster, "again@localhost", creation, "r@localhost", port, HIDDEN);
        let from = wire.pid(1);
        wire.send_to("echo", &from, tuple!(&from, i64::from(creation)));
        let bad = [vec![131, 68, 0], bare(&tuple!(6, &from, atom "", atom "echo")), vec![0]].concat();
        assert_eq!(wire.recv_message(&from), tuple!(atom "echo", i64::from(creation)));
        wire.send_body(&bad);
        assert!(wire.is_closed());
    }
    let (cluster, port) = (&beside.cluster, beside.peer.port());
    let mut last = Wire::connect_as(cluster, "again@localhost", 9, "r@localhost", port, HIDDEN);
    assert!(last.is_open());
    drop((last, wire));
    beside.stays_well();
}

/// What is declared is not allocated, neither frames nor fragments; what is above the limits ends the connection.
#[test]
fn item_63_what_is_too_large_is_refused_before_it_is_there() {
    let mut beside = Beside::start();
    let before = resident(beside.peer.process().id());
    for length in [u32::MAX, 0x7fff_ffff, 0x7fff_fffc, (128 << 20) + 1] {
        let mut wire = beside.wire(HIDDEN);
        assert!(wire.is_open());
        wire.send_bytes(&length.to_be_bytes());
        assert!(wire.is_closed(), "the peer waits for {length} bytes");
    }
    // As long as may be, fifty at once: memory is taken as bytes come, of which these send few.
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut wire = beside.wire(HIDDEN);
        let mut frame = (127_u32 << 20).to_be_bytes().to_vec();
        frame.extend([131, 68, 0]);
        wire.send_bytes(&frame);
        waiting.push(wire);
    }
    // And messages of as many fragments as may be, of which one comes.
    for count in [1 << 20, 1 << 40, u64::MAX] {
        let mut wire = beside.wire(HIDDEN);
        let from = wire.pid(1);
        let mut first = vec![0];
        first.extend(bare(&tuple!(6, &from, atom "", atom "nobody")));
        wire.send_bytes(&framed(&fragment(69, 1, count, &first)));
        if count > 1 << 32 {
            assert!(wire.is_closed(), "the peer waits for {count} fragments");
        }
        waiting.push(wire);
    }
    says(&mut beside.erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
    let after = resident(beside.peer.process().id());
    assert!(after < before + (32 << 20), "{before} bytes before, {after} while they wait");
    drop(waiting);
    beside.stays_well();
}

/// Bytes of memory that a process holds.
fn resident(process: u32) -> u64 {
    let text =
        fs::read_to_string(format!("/proc/{process}/statm")).expect("Linux tells of a process that runs");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
