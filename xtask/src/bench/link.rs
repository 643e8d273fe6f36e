//! `cargo xtask bench link`: connections between nodes.
//!
//! Nodes on loopback, each a process of its own: those of `bench/src/bin/link`, the BEAM's of
//! `bench/rivals/beam_link.erl`, and a C node of `ei`. They find each other by the BEAM's own EPMD.

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use clap::Args;

use crate::{
    Failure,
    bench::{
        bars::{self, Bar},
        program::{self, Program},
        rivals::{self, Otp},
    },
};

/// What `cargo xtask bench link` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The OTP release to compare with, which must be on this host. Without it, 27, or the newest there is.
    #[arg(long, value_name = "RELEASE")]
    otp: Option<u32>,
    /// Only works whose name has this in it, such as `echo` or `bin`; and of the bars, only those on them.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How many rounds there are, of which the median counts; three times as many for round trips.
    #[arg(long, value_name = "COUNT", default_value = "5")]
    rounds: usize,
    /// How long each round takes, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value = "400")]
    round_millis: u64,
}

/// What a process is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Beam,
    Rust,
    Ei,
    Tcp,
}

use Kind::{Beam, Ei, Rust, Tcp};

/// Who does something, and to whom.
type Pairing = (Kind, Kind);

/// A work: what is done, by whom and to whom, in the order in which they take turns.
struct Work {
    name: &'static str,
    method: &'static str,
    pairs: &'static [Pairing],
    /// How many bytes are moved each time, if that is what it is about.
    bytes: u64,
    /// Whether how the threads were placed matters, so that each round has fresh processes and there are more.
    is_bimodal: bool,
}

const WORKS: &[Work] = &[
    Work {
        name: "echo",
        method: "echo",
        pairs: &[(Beam, Beam), (Rust, Beam), (Beam, Rust), (Rust, Rust), (Tcp, Tcp)],
        bytes: 0,
        is_bimodal: true,
    },
    Work {
        name: "rpc",
        method: "rpc",
        pairs: &[(Beam, Beam), (Rust, Beam), (Ei, Beam)],
        bytes: 0,
        is_bimodal: true,
    },
    Work {
        name: "small",
        method: "small",
        pairs: &[(Beam, Beam), (Rust, Rust), (Rust, Beam), (Beam, Rust), (Ei, Beam)],
        bytes: 0,
        is_bimodal: false,
    },
    Work {
        name: "bin64k",
        method: "bin64k",
        pairs: &[(Beam, Beam), (Rust, Rust), (Tcp, Tcp)],
        bytes: 64 << 10,
        is_bimodal: false,
    },
    Work {
        name: "bin1m",
        method: "bin1m",
        pairs: &[(Beam, Beam), (Rust, Rust), (Tcp, Tcp)],
        bytes: 1 << 20,
        is_bimodal: false,
    },
    Work {
        name: "connect",
        method: "connect",
        pairs: &[(Beam, Beam), (Rust, Beam), (Rust, Rust)],
        bytes: 0,
        is_bimodal: false,
    },
];

/// A work by one pair takes at most so much of the time of another's.
const RATIOS: &[(&str, Pairing, Pairing, f64)] = &[
    ("echo", (Rust, Beam), (Beam, Beam), 0.9),
    ("echo", (Rust, Rust), (Tcp, Tcp), 1.3),
    ("rpc", (Rust, Beam), (Beam, Beam), 0.5),
    ("rpc", (Rust, Beam), (Ei, Beam), 1.0),
    ("small", (Rust, Rust), (Beam, Beam), 1.0 / 5.0),
    ("small", (Rust, Beam), (Ei, Beam), 1.0),
    ("small", (Beam, Rust), (Beam, Beam), 1.0 / 1.3),
    ("bin64k", (Rust, Rust), (Beam, Beam), 1.0 / 1.2),
    ("bin64k", (Rust, Rust), (Tcp, Tcp), 1.0 / 0.8),
    ("bin1m", (Rust, Rust), (Beam, Beam), 1.0 / 1.2),
    ("bin1m", (Rust, Rust), (Tcp, Tcp), 1.0 / 0.8),
    ("connect", (Rust, Beam), (Beam, Beam), 0.5),
];

/// Runs `cargo xtask bench link`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let works: Vec<&Work> = WORKS.iter().filter(|work| work.name.contains(&arguments.only)).collect();
    if works.is_empty() {
        return Err(Failure::Missing(format!("no work has `{}` in its name", arguments.only)));
    }
    eprintln!("bench: building");
    let dir = rivals::work_dir("link")?;
    let otp = rivals::otp(arguments.otp)?;
    otp.compile(&rivals::source("beam_link.erl"), &dir)?;
    let (release, ei) = (otp.release, dir.join("ei_link"));
    let epmd = Epmd::start(&otp)?;
    let ei_version = rivals::build_with_ei(&rivals::source("ei_link.c"), &ei, rivals::otp(arguments.otp)?)?;
    let rust = rivals::build_rust()?.join("bench-link");
    println!("machine: {}", program::machine());
    println!("rivals: OTP {release}; {ei_version}");
    let mut lab = Lab { otp, dir, rust, ei, epmd, started: 0 };
    let round = Duration::from_millis(arguments.round_millis.max(1));
    let mut bars = Vec::new();
    for work in works {
        let rounds = arguments.rounds.max(1) * if work.is_bimodal { 3 } else { 1 };
        let all = measure(&mut lab, work, rounds, round)?;
        print(work, rounds, &all);
        bars.extend(bars_of(work, &all));
    }
    bars::print(&bars)
}

/// Nanoseconds for doing it once, of each round, sorted.
type Rounds = Vec<f64>;

fn measure(lab: &mut Lab, work: &Work, rounds: usize, round: Duration) -> Result<Vec<Rounds>, Failure> {
    eprintln!("bench: {}", work.name);
    let mut all = vec![Rounds::new(); work.pairs.len()];
    let mut pairs: Vec<Option<Pair>> = work.pairs.iter().map(|_| None).collect();
    for _ in 0..rounds {
        for (at, &(from, to)) in work.pairs.iter().enumerate() {
            if work.is_bimodal {
                pairs[at] = None;
            }
            let pair = match &mut pairs[at] {
                Some(pair) => pair,
                none => none.insert(lab.pair(from, to)?),
            };
            all[at].push(pair.round(work.method, round)?);
        }
    }
    for rounds in &mut all {
        rounds.sort_by(f64::total_cmp);
    }
    Ok(all)
}

/// Two processes, of which the first measures.
struct Pair {
    from: Program,
    _to: Program,
    target: String,
    /// How often it is done in a round, once that is known.
    count: Option<u64>,
}

impl Pair {
    fn round(&mut self, method: &str, round: Duration) -> Result<f64, Failure> {
        let mut count = self.count.unwrap_or(1);
        loop {
            let took = self.from.measure(method, &self.target, count)?;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let each = took.as_nanos() as f64 / count as f64;
            // A round that is a little short is one too.
            if took >= round * 4 / 5 {
                self.count = Some(count);
                return Ok(each);
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count that fits seconds"
            )]
            let wanted = (1.1 * round.as_nanos() as f64 / each.max(1.0)) as u64;
            count = wanted.clamp(count + 1, count * 10);
        }
    }
}

/// What processes are started with.
struct Lab {
    otp: Otp,
    dir: PathBuf,
    rust: PathBuf,
    ei: PathBuf,
    epmd: Epmd,
    started: usize,
}

impl Lab {
    fn pair(&mut self, from: Kind, to: Kind) -> Result<Pair, Failure> {
        let (to, target) = self.start(to)?;
        let (from, _) = self.start(from)?;
        Ok(Pair { from, _to: to, target, count: None })
    }

    /// A process, and what others call it.
    fn start(&mut self, kind: Kind) -> Result<(Program, String), Failure> {
        self.started += 1;
        let name = format!("b{}", self.started);
        let node = format!("{name}@localhost");
        let (title, mut command) = match kind {
            Beam => {
                let mut erl = self.otp.node(&node);
                erl.arg("-pa").arg(&self.dir).args(["-run", "beam_link", "main"]);
                ("the BEAM", erl)
            }
            Rust => {
                let mut rust = Command::new(&self.rust);
                rust.args(["node", &node]);
                ("bench-link node", rust)
            }
            Ei => {
                let mut ei = Command::new(&self.ei);
                ei.arg(&name);
                ("ei_link", ei)
            }
            Tcp => {
                let mut tcp = Command::new(&self.rust);
                tcp.arg("tcp");
                ("bench-link tcp", tcp)
            }
        };
        command.env("ERL_EPMD_PORT", self.epmd.port.to_string());
        let program = Program::start_anywhere(title, &mut command)?;
        let target = match kind {
            Tcp => program.fact("port")?.to_string(),
            Beam | Rust | Ei => node,
        };
        Ok((program, target))
    }
}

/// An EPMD on a port of its own. It ends when this is dropped.
struct Epmd {
    child: Child,
    port: u16,
}

impl Epmd {
    fn start(otp: &Otp) -> Result<Self, Failure> {
        let program = otp.epmd()?;
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = port.map_err(|error| Failure::Check(format!("no free port: {error}")))?.port();
        let mut command = Command::new(&program);
        command.args(["-port", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(|source| Failure::Start { program: program.to_string_lossy().into_owned(), source })?;
        let epmd = Self { child, port };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(epmd);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing else is done meanwhile, and five seconds at most"
            )]
            thread::sleep(Duration::from_millis(10));
        }
        Err(Failure::Check("epmd does not answer".into()))
    }
}

impl Drop for Epmd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Beam => "BEAM",
        Rust => "Rust",
        Ei => "ei",
        Tcp => "bare TCP",
    }
}

fn median(rounds: &[f64]) -> f64 {
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(work: &Work, rounds: usize, all: &[Rounds]) {
    println!("\n{}: medians of {rounds} rounds, and from the fastest to the slowest", work.name);
    println!("{:24} {:>12} {:>26} {:>12}", "", "each", "spread", if work.bytes > 0 { "MB/s" } else { "1/s" });
    for ((from, to), rounds) in work.pairs.iter().zip(all) {
        let each = median(rounds);
        let spread = match &rounds[..] {
            [first, .., last] => format!("{first:.0} to {last:.0} ns"),
            _ => String::new(),
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = if work.bytes > 0 { work.bytes as f64 * 1e3 / each } else { 1e9 / each };
        let pair = format!("{} to {}", name(*from), name(*to));
        println!("{pair:24} {:>12} {spread:>26} {rate:>12.0}", format!("{each:.0} ns"));
    }
}

fn bars_of(work: &Work, all: &[Rounds]) -> Vec<Bar> {
    let of = |pair: Pairing| work.pairs.iter().position(|known| *known == pair).map(|at| median(&all[at]));
    let pair_name =
        |(from, to): Pairing| format!("{}-{}", name(from), name(to)).replace(' ', "-").to_lowercase();
    let ratios =
        RATIOS.iter().filter(|(name, ..)| *name == work.name).filter_map(|&(name, ours, rival, limit)| {
            let value = of(ours)? / of(rival)?;
            let name = format!("{name}-{}/{}", pair_name(ours), pair_name(rival));
            Some(Bar { name, value, limit, is_floor: false })
        });
    let mut bars: Vec<Bar> = ratios.collect();
    if work.name == "small"
        && let Some(each) = of((Rust, Rust))
    {
        bars.push(Bar {
            name: "small-rust-rust-per-second".into(),
            value: 1e9 / each,
            limit: 3e6,
            is_floor: true,
        });
    }
    bars
}
