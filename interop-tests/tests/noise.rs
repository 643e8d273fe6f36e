//! Strangers who send anything at all: the process stays up, its links are not disturbed, its memory comes back.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use interop_tests::{Cluster, EpmdProcess, Otp, clock::wait_for};

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
