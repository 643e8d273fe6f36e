//! `cargo xtask bench services`: processes, and the services of a node.
//!
//! Ours are `bench/src/bin/services`, the BEAM's `bench/rivals/beam_services.erl`.

use std::{path::PathBuf, process::Command, time::Duration};

use clap::Args;

use crate::{
    Failure,
    bench::{
        bars::{self, Bar},
        lab::{
            Epmd,
            Kind::{Beam, Rust, RustThreads},
            Lab, resident_bytes,
        },
        program, rivals,
        works::{Ratio, Rounds, Work, begin, measure, measure_alone, median, print, ratios, sorted},
    },
};

/// What `cargo xtask bench services` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The OTP release to compare with, which must be on this host. Without it, 27, or the newest there is.
    #[arg(long, value_name = "RELEASE")]
    otp: Option<u32>,
    /// Only works whose name has this in it, such as `call`; and of the bars, only those on them.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How many rounds there are, of which the median counts; three times as many for calls.
    #[arg(long, value_name = "COUNT", default_value = "5")]
    rounds: usize,
    /// How long each round takes, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value = "400")]
    round_millis: u64,
}

/// Works by pairs of nodes.
const PAIRS: &[Work] = &[
    Work {
        name: "gen-call",
        method: "call",
        pairs: &[(Beam, Beam), (Beam, Rust), (Rust, Beam), (Rust, Rust)],
        bytes: 0,
        is_bimodal: true,
    },
    // Sixteen callers: the time of each call is that between two answers of all.
    Work {
        name: "erpc",
        method: "erpc16",
        pairs: &[(Beam, Beam), (Beam, Rust)],
        bytes: 0,
        is_bimodal: false,
    },
];

/// What a work by one pair takes at most of another's time.
const RATIOS: &[Ratio] = &[
    ("gen-call", (Beam, Rust), (Beam, Beam), 0.6),
    ("gen-call", (Rust, Beam), (Beam, Beam), 0.6),
    ("erpc", (Beam, Rust), (Beam, Beam), 1.0 / 1.5),
];

/// A work that is no matter of two nodes: its name, and what does it and prints what it found.
type Other = (&'static str, fn(&mut Lab, Effort) -> Result<Vec<Bar>, Failure>);

const OTHERS: &[Other] = &[
    ("spawn", spawn),
    ("idle-process", idle_process),
    ("local-call", local_call),
    ("register", register),
    ("join", join),
];

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    round: Duration,
}

/// Runs `cargo xtask bench services`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let is_wanted = |name: &str| name.contains(&arguments.only);
    let pairs: Vec<&Work> = PAIRS.iter().filter(|work| is_wanted(work.name)).collect();
    let others: Vec<&Other> = OTHERS.iter().filter(|(name, _)| is_wanted(name)).collect();
    if pairs.is_empty() && others.is_empty() {
        return Err(Failure::Missing(format!("no work has `{}` in its name", arguments.only)));
    }
    eprintln!("bench: building");
    let dir = rivals::work_dir("services")?;
    let otp = rivals::otp(arguments.otp)?;
    otp.compile(&rivals::source("beam_services.erl"), &dir)?;
    println!("machine: {}", program::machine());
    println!("rival: OTP {}", otp.release);
    let epmd = Epmd::start(&mut Command::new(otp.epmd()?))?;
    let rust = rivals::build_rust()?.join("bench-services");
    let mut lab = Lab { otp, dir, rust, beam: "beam_services", ei: PathBuf::new(), epmd, started: 0 };
    let effort = Effort {
        rounds: arguments.rounds.max(1),
        round: Duration::from_millis(arguments.round_millis.max(1)),
    };
    let mut bars = Vec::new();
    for (name, measure) in others {
        begin(name);
        bars.extend(measure(&mut lab, effort)?);
    }
    for work in pairs {
        begin(work.name);
        let rounds = effort.rounds * if work.is_bimodal { 3 } else { 1 };
        let all = measure(&mut lab, work, rounds, effort.round)?;
        print(work, rounds, &all);
        bars.extend(ratios(work, &all, RATIOS));
    }
    bars::print(&bars)
}

fn bar(name: &str, value: f64, limit: f64) -> Bar {
    Bar { name: name.into(), value, limit, is_floor: false }
}

/// Processes that end at once, a thousand at a time; and one after the other, each watched to its end.
fn spawn(lab: &mut Lab, effort: Effort) -> Result<Vec<Bar>, Failure> {
    let kinds = [Rust, RustThreads, Beam];
    let each = measure_alone(lab, "spawn", "spawn", &kinds, effort.rounds, effort.round)?;
    measure_alone(lab, "spawn-monitor", "spawn-monitor", &kinds, effort.rounds, effort.round)?;
    Ok(vec![bar("spawn-rust-ns", each[0].round(), 1000.0)])
}

/// How many processes there are at once.
const IDLE: u64 = 1_000_000;

/// Processes that wait for a message: the resident memory that each takes.
fn idle_process(lab: &mut Lab, _: Effort) -> Result<Vec<Bar>, Failure> {
    println!("idle-process: {IDLE} processes that wait for a message");
    println!("{:24} {:>16}", "", "resident each");
    let mut bars = Vec::new();
    for kind in [Rust, Beam] {
        let mut alone = lab.alone(kind)?;
        let before = resident_bytes(&alone.program)?;
        let there = alone.program.ask("idle", "-", IDLE)?;
        if there < IDLE {
            return Err(Failure::Check(format!("{} has {there} processes of {IDLE}", kind.name())));
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = (resident_bytes(&alone.program)? - before) as f64 / IDLE as f64;
        println!("{:24} {:>16}", kind.name(), format!("{each:.0} bytes"));
        if kind == Rust {
            bars.push(bar("idle-process-bytes", each.round(), 1024.0));
        }
    }
    Ok(bars)
}

/// `gen_server:call` to a server of the same node.
fn local_call(lab: &mut Lab, effort: Effort) -> Result<Vec<Bar>, Failure> {
    let kinds = [Rust, RustThreads, Beam];
    let each = measure_alone(lab, "local-call", "call", &kinds, effort.rounds * 3, effort.round)?;
    Ok(vec![bar("local-call-rust/beam", each[0] / each[2], 0.7)])
}

/// How many nodes a cluster has in which names are registered.
const CLUSTER: usize = 5;

/// How many names are registered in a round, one after the other.
const NAMES: u64 = 200;

/// `global:register_name` in a cluster of five, all of ours or all of the BEAM.
fn register(lab: &mut Lab, effort: Effort) -> Result<Vec<Bar>, Failure> {
    println!("register: global:register_name in a cluster of {CLUSTER}; medians of {} rounds", effort.rounds);
    println!("{:24} {:>12} {:>26}", "", "each", "spread");
    let mut medians = Vec::new();
    for kind in [Rust, Beam] {
        let mut nodes = (0..CLUSTER).map(|_| lab.visible(kind)).collect::<Result<Vec<_>, _>>()?;
        let first = nodes[0].1.clone();
        for (program, _) in &mut nodes[1..] {
            program.ask("connect", &first, 1)?;
        }
        for (program, name) in &mut nodes {
            let mut tries = 0;
            while program.ask("nodes", "-", 1)? + 1 < CLUSTER as u64 {
                tries += 1;
                if tries > 1000 {
                    return Err(Failure::Check(format!("{name} does not see the cluster")));
                }
                pause();
            }
            program.ask("sync", "-", 1)?;
        }
        let mut rounds = Rounds::new();
        for _ in 0..effort.rounds {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            rounds.push(nodes[0].0.ask("register", "-", NAMES)? as f64 / NAMES as f64);
        }
        let rounds = sorted(rounds);
        let (each, first, last) = (median(&rounds), rounds[0], rounds[rounds.len() - 1]);
        println!(
            "{:24} {:>12} {:>26}",
            kind.name(),
            format!("{each:.0} ns"),
            format!("{first:.0} to {last:.0} ns")
        );
        medians.push(each);
    }
    Ok(vec![bar("register-rust/beam", medians[0] / medians[1], 1.0)])
}

#[expect(clippy::disallowed_methods, reason = "nothing else is done meanwhile")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// One more node joins clusters of so many, all in one process.
const JOINS: [u64; 2] = [10, 50];

/// How long a node takes to join a cluster: until it and each other have each other in `nodes()` and in `global`.
fn join(lab: &mut Lab, effort: Effort) -> Result<Vec<Bar>, Failure> {
    println!("join: one more node joins a cluster of ours; medians of {} rounds", effort.rounds);
    println!("{:24} {:>12} {:>26}", "", "time", "spread");
    let mut times = Vec::new();
    for count in JOINS {
        let mut rounds = Rounds::new();
        for round in 0..effort.rounds {
            let mut cluster = lab.cluster()?;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            rounds.push(cluster.ask("join", &format!("j{count}r{round}x"), count)? as f64 / 1e6);
        }
        let rounds = sorted(rounds);
        let (time, first, last) = (median(&rounds), rounds[0], rounds[rounds.len() - 1]);
        println!(
            "{:24} {:>12} {:>26}",
            format!("of {count}"),
            format!("{time:.0} ms"),
            format!("{first:.0} to {last:.0} ms")
        );
        times.push(time);
    }
    println!("from {} to {}: {:.1} times as long", JOINS[0], JOINS[1], times[1] / times[0]);
    Ok(vec![bar("join-50-ms", times[1].round(), 2000.0)])
}
