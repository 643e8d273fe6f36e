//! Strangers who send anything at all: the process stays up, its links are not disturbed, its memory comes back.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use handshake::{
    Cookie, Creation, DistFlags, HandshakeConfig, Initiator, InitiatorInput, InitiatorOutput, LocalIdentity,
};
use interop_tests::{
    Cluster, EpmdProcess, Otp,
    clock::{now, wait_for},
};

const TIMES: usize = 500;
const BYTES: usize = 10_000;

/// What may stay: allocators keep some of what they once had.
const MEMORY_MORE_MAX: u64 = 16 << 20;

#[test]
fn noise_to_the_node_is_survived() {
    let otp = Otp::newest();
    let cluster = Cluster::new(&otp);
    let mut erl = cluster.erl(&otp, "a");
    let mut peer = cluster.peer("p");
    assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
    erl.eval("net_kernel:monitor_nodes(true)");
    let (port, mut noise) = (peer.port(), Noise::new());
    send(port, &mut noise, 20);
    let before = resident(peer.process().id());
    send(port, &mut noise, TIMES);
    assert_eq!(peer.process().status(), None, "{}", peer.output());
    assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
    assert_eq!(erl.eval("gen_server:call({echo_server, p@localhost}, x)"), "{echo,x}");
    assert_eq!(erl.eval("ct_peer:flush()"), "[]", "no nodedown");
    let after = resident(peer.process().id());
    assert!(after < before + MEMORY_MORE_MAX, "{before} bytes before, {after} after; seed {}", noise.seed);
}

#[test]
fn noise_behind_a_handshake_is_survived() {
    let otp = Otp::newest();
    let cluster = Cluster::new(&otp);
    let mut erl = cluster.erl(&otp, "a");
    let mut peer = cluster.peer("p");
    assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
    erl.eval("net_kernel:monitor_nodes(true)");
    let (port, mut noise) = (peer.port(), Noise::new());
    send_behind_handshake(&cluster, port, &mut noise, 20);
    let before = resident(peer.process().id());
    send_behind_handshake(&cluster, port, &mut noise, TIMES);
    assert_eq!(peer.process().status(), None, "{}", peer.output());
    assert_eq!(erl.eval("net_adm:ping(p@localhost)"), "pong");
    assert_eq!(erl.eval("gen_server:call({echo_server, p@localhost}, x)"), "{echo,x}");
    assert_eq!(erl.eval("ct_peer:flush()"), "[]", "no nodedown");
    erl.eval_until(
        "rpc:call(p@localhost, erlang, nodes, [known])",
        "[a@localhost,p@localhost]",
        Duration::from_secs(5),
    );
    let after = resident(peer.process().id());
    assert!(after < before + MEMORY_MORE_MAX, "{before} bytes before, {after} after; seed {}", noise.seed);
}

#[test]
fn noise_to_our_epmd_is_survived() {
    let otp = Otp::newest();
    let cluster = Cluster::with_epmd(EpmdProcess::crabnode());
    let mut erl = cluster.erl(&otp, "a");
    let port = cluster.epmd_port();
    let mut cluster = cluster;
    let mut noise = Noise::new();
    send(port, &mut noise, 20);
    let process = cluster.epmd().expect("made with one").process();
    let before = resident(process.id());
    send(port, &mut noise, TIMES);
    assert_eq!(process.status(), None, "{}", process.output());
    let after = resident(process.id());
    assert!(after < before + MEMORY_MORE_MAX, "{before} bytes before, {after} after; seed {}", noise.seed);
    let names = erl.eval("erl_epmd:names()");
    assert!(names.contains("\"a\""), "{names}");
}

/// Sends noise this many times: by turns pure noise, noise behind a plausible length, and noise behind the first bytes of a handshake.
fn send(port: u16, noise: &mut Noise, times: usize) {
    let heads: [&[u8]; 4] = [&[], &[0x27, 0x10], &[0, 27, b'N'], &[0, 16, 120]];
    for time in 0..times {
        // It may be slow to take us while it drops those before us; it may not be gone.
        let stream =
            wait_for(Duration::from_secs(10), || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        let mut stream =
            stream.unwrap_or_else(|| panic!("nobody listens at {port} any more; seed {}", noise.seed));
        let mut bytes = heads[time % heads.len()].to_vec();
        bytes.extend(std::iter::repeat_with(|| noise.byte()).take(BYTES));
        // It may hang up on us at any time.
        let _ = stream.write_all(&bytes);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
        let _ = stream.read(&mut [0; 64]);
    }
}

/// The same from a node that knows the cookie, hidden and visible by turns: noise as it is, in one frame, in a frame
/// that begins as those with a message do, and in many short frames.
fn send_behind_handshake(cluster: &Cluster, port: u16, noise: &mut Noise, times: usize) {
    for time in 0..times {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the peer listens");
        let flags =
            if time % 2 == 0 { DistFlags::OFFERED } else { DistFlags::OFFERED.without(DistFlags::PUBLISHED) };
        // Names come back: the one before may not have been given up yet, and then the answer is `alive`.
        let name = format!("noise{}@localhost", time % 7);
        shake_hands(&mut stream, &name, flags, cluster.cookie())
            .unwrap_or_else(|error| panic!("{time}: {error}"));
        let length = [4, 1000, 20][time % 3];
        let mut bytes = Vec::new();
        while bytes.len() < BYTES {
            let body: Vec<u8> = std::iter::repeat_with(|| noise.byte()).take(length).collect();
            match time % 4 {
                0 => bytes.extend(body),
                1 => frame(&mut bytes, &[], &body),
                // Pass through, a tuple of three, a small integer: an operation follows.
                2 => frame(&mut bytes, &[112, 131, 104, 3, 97], &body),
                _ => frame(&mut bytes, &[112, 131, 104, 4, 97, 6], &body),
            }
        }
        let _ = stream.write_all(&bytes);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
        let _ = stream.read(&mut [0; 64]);
    }
}

fn frame(bytes: &mut Vec<u8>, head: &[u8], body: &[u8]) {
    let length = u32::try_from(head.len() + body.len()).expect("a short frame");
    bytes.extend(length.to_be_bytes());
    bytes.extend(head);
    bytes.extend(body);
}

fn shake_hands(stream: &mut TcpStream, name: &str, flags: DistFlags, cookie: &str) -> Result<(), String> {
    let local = LocalIdentity { name: name.parse().expect("a node name"), creation: Creation(7), flags };
    let peer = "p@localhost".parse().expect("a node name");
    let cookie = Cookie::new(cookie).expect("a cookie");
    let mut machine = Initiator::new(now(), local, peer, cookie, 12345, HandshakeConfig::default());
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
    loop {
        while let Some(output) = machine.poll_output() {
            match output {
                InitiatorOutput::Send(bytes) => {
                    stream.write_all(&bytes).map_err(|error| error.to_string())?
                }
                InitiatorOutput::AskAlive => {
                    machine
                        .handle(now(), InitiatorInput::AliveAnswer(true))
                        .map_err(|error| error.to_string())?;
                }
                InitiatorOutput::Established(_) => return Ok(()),
            }
        }
        let mut buffer = [0; 1024];
        let input = match stream.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => InitiatorInput::Eof,
            length => InitiatorInput::Bytes(&buffer[..length]),
        };
        machine.handle(now(), input).map_err(|error| error.to_string())?;
    }
}

/// Bytes resident in memory.
fn resident(process: u32) -> u64 {
    let status =
        fs::read_to_string(format!("/proc/{process}/status")).expect("Linux tells of a process that runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number of kB") * 1024
}

/// xorshift: reproducible by its seed.
struct Noise {
    seed: u64,
    state: u64,
}

impl Noise {
    fn new() -> Self {
        let seed = RandomState::new().build_hasher().finish() | 1;
        eprintln!("seed {seed}");
        Self { seed, state: seed }
    }

    fn byte(&mut self) -> u8 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.to_be_bytes()[0]
    }
}
