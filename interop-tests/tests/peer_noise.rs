//! Noise that knows the protocol, and strangers who say nothing: the peer stays up, its services serve, its other
//! link is not disturbed, its memory comes back.
//!
//! Every random choice comes from a seed, which a failure names. `NOISE_SEED` sets it.

use std::{
    collections::hash_map::RandomState,
    env, fs,
    hash::{BuildHasher, Hasher},
    io::{Read, Write},
    net::TcpStream,
    num::NonZeroU64,
    time::Duration,
};

use dist::{
    Mfa, MonitorOptions, MonitorTarget, Signal, SignalTarget, SpawnOptions, SpawnReplyFlags, SpawnRequest,
};
use etf::{Atom, Pid, Reference, Term, tuple};
use handshake::DistFlags;
use interop_tests::{Cluster, ErlNode, Otp, RustNode, clock::wait_for};

mod peer_support;
use peer_support::{SOON, says};
mod wire_support;
use wire_support::{Wire, connect, finish};

const TIMES: usize = 500;
const BYTES: usize = 10_000;

/// What may stay: allocators keep some of what they once had.
const MEMORY_MORE_MAX: u64 = 16 << 20;

/// A peer whose process is the EPMD of the cluster too, and an `erl` that is connected with it and was told to
/// report any loss.
struct Bystander {
    erl: ErlNode,
    peer: RustNode,
    cluster: Cluster,
    services: String,
}

impl Bystander {
    fn start() -> Self {
        let otp = Otp::newest();
        let cluster = Cluster::without_epmd();
        let peer = cluster.peer("r");
        let mut erl = cluster.erl(&otp, "e");
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        says(&mut erl, "global:sync()", "ok");
        let services =
            erl.eval("S = fun() -> lists:sort(rpc:call(r@localhost, erlang, registered, [])) end, S()");
        erl.eval(
            "process_flag(trap_exit, true), net_kernel:monitor_nodes(true, [{node_type, all}]),
             spawn_link(r@localhost, timer, sleep, [infinity])",
        );
        Self { erl, peer, cluster, services }
    }

    /// Runs the noise twice, a little and in full, and looks at what is left afterwards.
    fn survives(&mut self, noise: &mut Noise, mut make: impl FnMut(&Self, &mut Noise, usize)) {
        make(self, noise, TIMES / 10);
        let before = resident(self.peer.process().id());
        make(self, noise, TIMES);
        let seed = noise.seed;
        assert_eq!(self.peer.process().status(), None, "NOISE_SEED={seed}: {}", self.peer.output());
        assert!(!self.peer.output().contains("panicked"), "NOISE_SEED={seed}: {}", self.peer.output());
        // Of the `erl`'s own: of hidden strangers it never hears.
        says(&mut self.erl, "ct_peer:flush(200)", "[]");
        assert_eq!(self.erl.eval("S()"), self.services, "NOISE_SEED={seed}");
        says(&mut self.erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
        says(&mut self.erl, "rpc:block_call(r@localhost, erlang, node, [])", "r@localhost");
        says(&mut self.erl, "net_adm:ping(r@localhost)", "pong");
        self.erl.eval_until("rpc:call(r@localhost, erlang, nodes, [connected])", "[e@localhost]", SOON);
        says(&mut self.erl, "global:sync()", "ok");
        says(&mut self.erl, "global:set_lock({x, self()}), global:del_lock({x, self()})", "true");
        says(
            &mut self.erl,
            "global:register_name(n, self()), rpc:call(r@localhost, global, whereis_name, [n]) =:= self()",
            "true",
        );
        says(&mut self.erl, "global:unregister_name(n)", "ok");
        let port = self.peer.port();
        says(
            &mut self.erl,
            &format!(
                "{{ok, Names}} = erl_epmd:names(), lists:keymember(\"e\", 1, Names) andalso lists:member({{\"r\", {port}}}, Names)"
            ),
            "true",
        );
        let limit = before + MEMORY_MORE_MAX;
        let mut after = 0;
        let returned = wait_for(SOON, || {
            after = resident(self.peer.process().id());
            (after < limit).then_some(())
        });
        assert!(returned.is_some(), "NOISE_SEED={seed}: {before} bytes before, {after} after");
        eprintln!("memory: {} KiB before, {} KiB after", before >> 10, after >> 10);
    }
}

#[test]
fn noise_to_the_port_and_to_the_epmd_of_one_process() {
    let mut bystander = Bystander::start();
    bystander.survives(&mut Noise::new(), |bystander, noise, times| {
        for _ in 0..times {
            for port in [bystander.peer.port(), bystander.cluster.epmd_port()] {
                let mut stream = connect(port);
                let _ = stream.write_all(&noise.bytes(BYTES));
                finish(stream);
            }
        }
    });
}

#[test]
fn frames_of_noise_behind_a_handshake() {
    let mut bystander = Bystander::start();
    bystander.survives(&mut Noise::new(), |bystander, noise, times| {
        for time in 0..times {
            let mut stranger = Stranger::connect(bystander, noise.below(2) == 0);
            let mut bytes = Vec::new();
            if time % 2 == 0 {
                // As they come: the first four are a length, up to 4 GiB.
                bytes = noise.bytes(BYTES);
            }
            while bytes.len() < BYTES {
                let length = noise.below(400);
                bytes.extend(u32::try_from(length).expect("below 400").to_be_bytes());
                bytes.extend(noise.bytes(length));
            }
            let _ = stranger.wire.stream.write_all(&bytes);
            finish(stranger.wire.stream);
        }
    });
}

/// Correct signals of every kind, of which some bytes are changed, a length is wrong, or the end is cut off.
#[test]
fn signals_with_wrong_bytes() {
    let mut bystander = Bystander::start();
    bystander.survives(&mut Noise::new(), |bystander, noise, times| {
        for _ in 0..times {
            let mut stranger = Stranger::connect(bystander, noise.below(2) == 0);
            let mut bytes = Vec::new();
            while bytes.len() < BYTES {
                let mut frame = stranger.wire.encode(&stranger.signal(noise));
                match noise.below(8) {
                    // Past the length: what is wrong is inside a frame.
                    0 | 1 => {
                        for _ in 0..=noise.below(3) {
                            let at = 4 + noise.below(frame.len() - 4);
                            frame[at] ^= 1 << noise.below(8);
                        }
                    }
                    2 => frame[3] = frame[3].wrapping_add(1),
                    3 => frame.truncate(frame.len() - noise.below(frame.len() - 4)),
                    // As it is: strangers who know the cookie may speak too.
                    _ => {}
                }
                bytes.extend(frame);
            }
            let _ = stranger.wire.stream.write_all(&bytes);
            finish(stranger.wire.stream);
        }
    });
}

/// Correct signals to the services of the node, with requests that begin as those they know and go on as they like.
#[test]
fn requests_that_make_no_sense() {
    let mut bystander = Bystander::start();
    bystander.survives(&mut Noise::new(), |bystander, noise, times| {
        for _ in 0..times {
            let mut stranger = Stranger::connect(bystander, noise.below(2) == 0);
            let mut bytes = Vec::new();
            while bytes.len() < BYTES {
                let request = stranger.request(noise);
                let to = Atom::from_static(noise.one_of(&SERVICES));
                let signal = Signal::RegSend {
                    from: stranger.pid(noise),
                    to,
                    message: request,
                    token: None,
                    priority: false,
                };
                bytes.extend(stranger.wire.encode(&signal));
            }
            let _ = stranger.wire.stream.write_all(&bytes);
            finish(stranger.wire.stream);
        }
    });
}

/// More connections than may be in their handshake at once, of which nobody says a word: the link beside them goes on,
/// and once they are dropped others are let in.
#[test]
fn strangers_who_say_nothing() {
    let mut bystander = Bystander::start();
    let silent: Vec<TcpStream> = (0..400).map(|_| connect(bystander.peer.port())).collect();
    says(&mut bystander.erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
    says(&mut bystander.erl, "net_adm:ping(r@localhost)", "pong");
    // Their time is up after seven seconds, and that of those who waited for their places after seven more.
    let mut another = bystander.cluster.erl(&Otp::newest(), "f");
    another.eval_until("net_adm:ping(r@localhost)", "pong", Duration::from_secs(20));
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has the option");
        assert_eq!(stream.read(&mut [0; 16]).ok(), Some(0), "closed without a word");
    }
    says(&mut bystander.erl, "ct_peer:flush(100) -- [{nodeup, f@localhost, [{node_type, visible}]}]", "[]");
}

// --- Strangers --------------------------------------------------------------------------------------------------

/// A node that knows the cookie, and has words of its own.
struct Stranger {
    wire: Wire,
}

impl Stranger {
    fn connect(bystander: &Bystander, visible: bool) -> Self {
        let flags = if visible { DistFlags::OFFERED } else { wire_support::HIDDEN };
        let (peer, port) = (bystander.peer.node(), bystander.peer.port());
        Self { wire: Wire::connect(&bystander.cluster, peer, port, flags) }
    }

    /// A process of ours.
    fn pid(&self, noise: &mut Noise) -> Pid {
        Pid::new(self.wire.node.clone(), noise.small(), 0, self.wire.creation)
    }

    /// A process of the peer that was never there: those that are could be told to end, as by any node.
    fn dead(&self, noise: &mut Noise) -> Pid {
        let creation = self.wire.established.peer_creation.0 ^ u32::from(noise.below(2) == 0);
        Pid::new(self.wire.peer.clone(), 1_000_000 + noise.small(), 0, creation)
    }

    fn reference(&self, noise: &mut Noise) -> Reference {
        let words = [noise.small(), noise.small(), noise.small()];
        Reference::new(self.wire.node.clone(), self.wire.creation, &words[..=noise.below(3)])
            .expect("up to five words")
    }

    /// A signal of any kind.
    fn signal(&self, noise: &mut Noise) -> Signal {
        let (from, to, token) = (self.pid(noise), self.dead(noise), None);
        let name = Atom::from_static(noise.one_of(&SERVICES));
        let reference = self.reference(noise);
        let target = if noise.below(2) == 0 {
            MonitorTarget::Pid(to.clone())
        } else {
            MonitorTarget::Name(name.clone())
        };
        let message = self.term(noise, 3);
        match noise.below(14) {
            0 => Signal::Send { from: Some(from), to, message, token, priority: noise.below(2) == 0 },
            1 => Signal::RegSend { from, to: name, message, token, priority: noise.below(2) == 0 },
            2 => Signal::AliasSend { from, to: reference, message, token, priority: false },
            3 => Signal::Link { from, to },
            4 => Signal::Unlink { id: NonZeroU64::new(noise.next() | 1), from, to },
            5 => Signal::UnlinkAck { id: NonZeroU64::MIN, from, to },
            6 => Signal::Exit { from, to, reason: message, token },
            7 => Signal::Exit2 { from, to: SignalTarget::Pid(to), reason: message, token, priority: false },
            8 => Signal::Monitor { from, to: target, reference },
            9 => Signal::Demonitor { from, to: target, reference },
            10 => {
                let from = MonitorTarget::Pid(from);
                Signal::MonitorExit { from, sender: None, to, reference, reason: message }
            }
            11 => {
                let mfa = Mfa { module: Atom::from_static("erlang"), function: name, arity: 1 };
                let options = SpawnOptions {
                    link: noise.below(2) == 0,
                    monitor: (noise.below(2) == 0).then(MonitorOptions::default),
                    unknown: if noise.below(4) == 0 { vec![message.clone()] } else { Vec::new() },
                    ..SpawnOptions::default()
                };
                let group_leader = from.clone();
                let request = SpawnRequest {
                    request_id: reference,
                    from,
                    group_leader,
                    mfa,
                    options: Ok(options),
                    token,
                };
                Signal::SpawnRequest { request: Box::new(request), args: Term::list(vec![message]) }
            }
            12 => {
                let flags = SpawnReplyFlags::LINK.with(SpawnReplyFlags::MONITOR);
                Signal::SpawnReply { request_id: reference, to, flags, result: Ok(from), token }
            }
            _ => Signal::GroupLeader { leader: from, member: to },
        }
    }

    /// What begins as a request that some service knows.
    fn request(&self, noise: &mut Noise) -> Term {
        let verb = Term::atom(noise.one_of(&VERBS));
        let mut request = vec![verb];
        for _ in 0..noise.below(7) {
            request.push(self.term(noise, 3));
        }
        let request = if request.len() == 1 { request.remove(0) } else { Term::tuple(request) };
        let from = self.pid(noise);
        match noise.below(4) {
            0 => tuple!(atom "$gen_cast", request),
            1 => {
                let tag: Term = self.reference(noise).into();
                let alias = Term::list_with_tail(vec![Term::atom("alias")], tag.clone());
                tuple!(atom "$gen_call", tuple!(from, if noise.below(2) == 0 { tag } else { alias }), request)
            }
            2 => tuple!(from, request),
            _ => request,
        }
    }

    /// A term of what the services' requests are made of.
    fn term(&self, noise: &mut Noise, depth: usize) -> Term {
        let below = if depth == 0 { 9 } else { 13 };
        match noise.below(below) {
            0 => Term::atom(noise.one_of(&VERBS)),
            1 => Term::atom(noise.one_of(&[
                "true",
                "false",
                "undefined",
                "global",
                "locker",
                "no_longer_a_pid",
                "vsn",
            ])),
            2 => self.wire.node.clone().into(),
            3 => self.pid(noise).into(),
            4 => self.dead(noise).into(),
            5 => self.reference(noise).into(),
            6 => Term::from(u64::from(noise.small())),
            7 => Term::Int(-1),
            8 => Term::binary("noise"),
            9 => Term::export("global", "random_exit_name", 3),
            10 => Term::List((0..noise.below(4)).map(|_| self.term(noise, depth - 1)).collect()),
            11 => Term::list_with_tail(vec![self.term(noise, depth - 1)], self.term(noise, depth - 1)),
            _ => Term::Tuple((0..noise.below(6)).map(|_| self.term(noise, depth - 1)).collect()),
        }
    }
}

const SERVICES: [&str; 8] =
    ["global_name_server", "net_kernel", "rex", "echo", "echo_server", "sink", "source", "no_such_name"];

/// Of every service. None ends a process or a link, as any node that knows the cookie may.
const VERBS: [&str; 36] = [
    "init_connect",
    "init_connect_ack",
    "cancel_connect",
    "lock_set",
    "exchange",
    "resolved",
    "new_nodes",
    "in_sync",
    "async_del_name",
    "async_del_lock",
    "set_lock",
    "del_lock",
    "register",
    "register_ext",
    "unregister",
    "get_known",
    "get_synced",
    "get_protocol_version",
    "get_names_ext",
    "info",
    "whereis",
    "is_auth",
    "ticktime",
    "call",
    "cast",
    "block_call",
    "features_request",
    "sbcast",
    "send",
    "get_state",
    "system",
    "get_status",
    "sync",
    "EXIT",
    "DOWN",
    "blast",
];

// --- Small things ---------------------------------------------------------------------------------------------

/// Bytes of memory that a process holds.
fn resident(process: u32) -> u64 {
    let text =
        fs::read_to_string(format!("/proc/{process}/statm")).expect("Linux tells of a process that runs");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}

/// xorshift64*.
struct Noise {
    seed: u64,
    state: u64,
}

impl Noise {
    fn new() -> Self {
        let seed = match env::var("NOISE_SEED") {
            Ok(seed) => seed.parse().expect("NOISE_SEED is a number"),
            Err(_) => RandomState::new().build_hasher().finish() | 1,
        };
        eprintln!("NOISE_SEED={seed}");
        Self { seed, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % limit.max(1)
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.below(1000)).expect("below 1000")
    }

    fn one_of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}
