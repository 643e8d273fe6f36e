//! `cargo xtask bench link`: connections between nodes.
//!
//! Nodes on loopback, each a process of its own: those of `bench/src/bin/link`, the BEAM's of
//! `bench/rivals/beam_link.erl`, and a C node of `ei`. They find each other by the BEAM's own EPMD.

use std::{process::Command, time::Duration};

use clap::Args;

use crate::{
    Failure,
    bench::{
        bars::{self, Bar},
        lab::{
            Epmd,
            Kind::{Bare, Beam, BeamTls, Ei, Rust, RustBusy, RustThreads, RustTls, Tcp, TcpThreads},
            Lab, Pairing,
        },
        program, rivals,
        works::{self, Ratio, Rounds, Work, begin, measure, median, print},
    },
    process::output,
};

mod beside;
mod busy;
mod idle;
mod lookups;
mod system_calls;

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

const WORKS: &[Work] = &[
    Work {
        name: "echo",
        method: "echo",
        pairs: &[
            (Beam, Beam),
            (Rust, Beam),
            (Beam, Rust),
            (RustBusy, Beam),
            (Beam, RustBusy),
            (Rust, Rust),
            (Tcp, Tcp),
            (RustThreads, RustThreads),
            (TcpThreads, TcpThreads),
        ],
        bytes: 0,
        is_bimodal: true,
    },
    Work {
        name: "rpc",
        method: "rpc",
        pairs: &[(Beam, Beam), (Rust, Beam), (RustBusy, Beam), (Ei, Beam)],
        bytes: 0,
        is_bimodal: true,
    },
    Work {
        name: "small",
        method: "small",
        pairs: &[
            (Beam, Beam),
            (Rust, Rust),
            (RustThreads, RustThreads),
            (Rust, Beam),
            (Bare, Beam),
            (Ei, Beam),
            (Beam, Rust),
            (Beam, Bare),
        ],
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
        name: "tls64k",
        method: "bin64k",
        pairs: &[(BeamTls, BeamTls), (RustTls, RustTls), (RustTls, BeamTls), (BeamTls, RustTls)],
        bytes: 64 << 10,
        is_bimodal: false,
    },
    Work {
        name: "connect",
        method: "connect",
        pairs: &[(Beam, Beam), (Rust, Beam), (Bare, Beam), (Rust, Rust)],
        bytes: 0,
        // Some round trips.
        is_bimodal: true,
    },
];

/// A work that is no matter of pairs alone: its name, and what does it in so many rounds and prints what it found.
type Other = (&'static str, fn(&mut Lab, usize) -> Result<Vec<Bar>, Failure>);

const OTHERS: &[Other] = &[
    ("beside", beside::measure),
    ("idle", idle::measure),
    ("epmd", lookups::measure),
    ("system-calls", busy::measure),
];

/// A work by one pair takes at most so much of the time of another's.
const RATIOS: &[Ratio] = &[
    ("echo", (Rust, Beam), (Beam, Beam), 0.9),
    ("echo", (Beam, Rust), (Beam, Beam), 0.9),
    ("echo", (RustBusy, Beam), (Beam, Beam), 0.7),
    ("echo", (Beam, RustBusy), (Beam, Beam), 0.7),
    ("echo", (Rust, Rust), (Tcp, Tcp), 1.3),
    ("rpc", (Rust, Beam), (Beam, Beam), 0.5),
    ("rpc", (Rust, Beam), (Ei, Beam), 1.0),
    ("small", (Rust, Rust), (Beam, Beam), 1.0 / 5.0),
    ("small", (Rust, Beam), (Ei, Beam), 1.0),
    ("small", (Rust, Beam), (Bare, Beam), 1.0 / 0.95),
    ("bin64k", (Rust, Rust), (Beam, Beam), 1.0 / 1.2),
    ("bin64k", (Rust, Rust), (Tcp, Tcp), 1.0 / 0.8),
    ("bin1m", (Rust, Rust), (Beam, Beam), 1.0 / 1.2),
    ("bin1m", (Rust, Rust), (Tcp, Tcp), 1.0 / 0.8),
    ("tls64k", (RustTls, RustTls), (BeamTls, BeamTls), 1.0 / 1.5),
    ("connect", (Rust, Beam), (Beam, Beam), 0.5),
];

/// Runs `cargo xtask bench link`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let is_wanted = |name: &str| name.contains(&arguments.only);
    let works: Vec<&Work> = WORKS.iter().filter(|work| is_wanted(work.name)).collect();
    let others: Vec<&Other> = OTHERS.iter().filter(|(name, _)| is_wanted(name)).collect();
    if works.is_empty() && others.is_empty() {
        return Err(Failure::Missing(format!("no work has `{}` in its name", arguments.only)));
    }
    eprintln!("bench: building");
    let dir = rivals::work_dir("link")?;
    let otp = rivals::otp(arguments.otp)?;
    otp.compile(&rivals::source("beam_link.erl"), &dir)?;
    let (release, ei) = (otp.release, dir.join("ei_link"));
    let epmd = Epmd::start(&mut Command::new(otp.epmd()?))?;
    let ei_version = rivals::build_with_ei(&rivals::source("ei_link.c"), &ei, rivals::otp(arguments.otp)?)?;
    let rust = rivals::build_rust()?.join("bench-link");
    println!("machine: {}", program::machine());
    println!("rivals: OTP {release}; {ei_version}");
    output(Command::new(&rust).arg("certificates").arg(&dir))?;
    let mut lab = Lab { otp, dir, rust, beam: "beam_link", ei, epmd, started: 0 };
    let round = Duration::from_millis(arguments.round_millis.max(1));
    let mut bars = Vec::new();
    for work in works {
        begin(work.name);
        let rounds = arguments.rounds.max(1) * if work.is_bimodal { 3 } else { 1 };
        let all = measure(&mut lab, work, rounds, round)?;
        print(work, rounds, &all);
        bars.extend(bars_of(work, &all));
    }
    for (name, measure) in others {
        begin(name);
        bars.extend(measure(&mut lab, arguments.rounds.max(1))?);
    }
    bars::print(&bars)
}

fn bars_of(work: &Work, all: &[Rounds]) -> Vec<Bar> {
    let of = |pair: Pairing| work.pairs.iter().position(|known| *known == pair).map(|at| median(&all[at]));
    let mut bars = works::ratios(work, all, RATIOS);
    if work.name == "small"
        && let (Some(ours), Some(beam), Some(bare)) = (of((Beam, Rust)), of((Beam, Beam)), of((Beam, Bare)))
    {
        // Where nobody could be faster, the sender is the limit.
        let (rival, value, limit) = match ours / beam <= 1.0 / 1.3 {
            true => ("beam-beam", ours / beam, 1.0 / 1.3),
            false => ("beam-bare-link", ours / bare, 1.05),
        };
        bars.push(Bar { name: format!("small-beam-rust/{rival}"), value, limit, is_floor: false });
    }
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
