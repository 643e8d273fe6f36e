//! `cargo xtask bench etf`: the codec of terms.
//!
//! The payloads are made by the BEAM (`bench/rivals/beam_etf.erl` says what they are). All decode the same bytes; to
//! encode, each starts from what it has decoded.

use std::{process::Command, time::Duration};

use clap::Args;

use crate::{
    Failure,
    bench::{
        bars::{self, Bar},
        measure::{self, Effort, Entry},
        program::{self, Program},
        rivals,
        table::{self, Row},
    },
    process::output,
};

/// What `cargo xtask bench etf` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The OTP release to compare with, which must be on this host. Without it, 27, or the newest there is.
    #[arg(long, value_name = "RELEASE")]
    otp: Option<u32>,
    /// Only works whose name has this in it, such as `decode` or `encode-call`; and of the bars, only those on them.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How many rounds there are, of which the median counts.
    #[arg(long, value_name = "COUNT", default_value = "5")]
    rounds: usize,
    /// How long each program does each work in a round, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value = "400")]
    round_millis: u64,
}

const PAYLOADS: [&str; 6] = ["list", "map", "bin", "deep", "structs", "call"];

/// Which program does it, the method as that knows it, and how the table calls it. Ours come first.
const DECODE: &[(usize, &str, &str)] = &[
    (RUST, "decode.term", "crabnode-etf, Term"),
    (RUST, "decode.decoder", "crabnode-etf, Term by a Decoder that goes on"),
    (RUST, "decode.cursor", "crabnode-etf, cursor into values"),
    (RUST, "decode.cursor-any", "crabnode-etf, cursor walk"),
    (RUST, "decode.serde", "crabnode-etf, serde"),
    (BEAM, "decode.beam", "BEAM, binary_to_term"),
    (EI, "decode.walk", "ei, cursor walk"),
    (EI, "decode.typed", "ei, cursor walk into C structs"),
    (EI, "decode.skip", "ei, ei_skip_term"),
    (RUST, "decode.eetf", "eetf"),
    (RUST, "decode.erltf", "erltf"),
    (RUST, "decode.erltf-borrowed", "erltf, decode_borrowed"),
];
const ENCODE: &[(usize, &str, &str)] = &[
    (RUST, "encode.term", "crabnode-etf, Term"),
    (RUST, "encode.segments", "crabnode-etf, Term into segments"),
    (RUST, "encode.serde", "crabnode-etf, serde"),
    (BEAM, "encode.beam", "BEAM, term_to_binary"),
    (EI, "encode.x", "ei, ei_x_encode"),
    (RUST, "encode.eetf", "eetf"),
    (RUST, "encode.erltf", "erltf"),
];

/// Indices of the programs.
const BEAM: usize = 0;
const RUST: usize = 1;
const EI: usize = 2;

/// Ours, on a payload, must take at most so much of a rival's time.
const RATIOS: &[(&str, &str, &str, f64)] = &[
    ("decode.term", "list", "decode.beam", 0.5),
    ("decode.term", "list", "decode.eetf", 0.25),
    ("decode.term", "map", "decode.beam", 0.45),
    ("decode.term", "map", "decode.eetf", 0.4),
    ("decode.cursor", "list", "decode.walk", 0.8),
    ("decode.cursor", "map", "decode.walk", 0.8),
    ("decode.serde", "list", "decode.walk", 0.8),
    ("decode.serde", "map", "decode.walk", 0.8),
    ("encode.term", "list", "encode.beam", 0.4),
    ("encode.term", "list", "encode.eetf", 0.8),
    ("encode.term", "map", "encode.beam", 0.4),
    ("encode.term", "map", "encode.eetf", 0.8),
    // As a connection decodes it.
    ("decode.decoder", "call", "decode.beam", 0.5),
    ("decode.decoder", "call", "decode.eetf", 0.5),
    ("decode.decoder", "call", "decode.erltf", 0.5),
    // `ei` builds no tree, so against it stands what builds none either.
    ("decode.cursor", "call", "decode.walk", 0.5),
    ("encode.term", "call", "encode.beam", 0.5),
    ("encode.term", "call", "encode.x", 0.5),
    ("encode.term", "call", "encode.eetf", 0.5),
    ("encode.term", "call", "encode.erltf", 0.5),
];

/// Ours, on a payload, must take at most so many nanoseconds.
const NANOSECONDS: &[(&str, &str, f64)] =
    &[("decode.term", "bin", 1_000.0), ("encode.segments", "bin", 1_000.0)];

/// One payload, one direction.
struct Work {
    payload: &'static str,
    direction: &'static str,
    entries: Vec<Entry>,
    names: Vec<&'static str>,
}

/// Runs `cargo xtask bench etf`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut works = works(&arguments.only);
    if works.is_empty() {
        return Err(Failure::Missing(format!("no work has `{}` in its name", arguments.only)));
    }
    let effort = Effort {
        rounds: arguments.rounds.max(1),
        round: Duration::from_millis(arguments.round_millis.max(1)),
        warm_up: Duration::from_millis(arguments.round_millis.max(1) * 3 / 4),
    };

    eprintln!("bench: building");
    let dir = rivals::work_dir("etf")?;
    let otp = rivals::otp(arguments.otp)?;
    otp.compile(&rivals::source("beam_etf.erl"), &dir)?;
    let (release, ei) = (otp.release, dir.join("ei_etf"));
    let mut beam = otp.erl();
    beam.arg("-pa").arg(&dir).args(["-run", "beam_etf", "main"]).arg(&dir);
    let ei_version = rivals::build_with_ei(&rivals::source("ei_etf.c"), &ei, otp)?;
    let rust = rivals::build_rust()?;

    let core = program::core();
    println!("machine: {}; all on core {core}", program::machine());
    println!("compilers: {}; {}", rivals::version("rustc")?, rivals::version("cc")?);
    let (eetf, erltf) = (rivals::crate_version("eetf")?, rivals::crate_version("erltf")?);
    println!("rivals: OTP {release}; {ei_version}; eetf {eetf}; erltf {erltf}");
    println!("medians of {} rounds of {} ms", effort.rounds, effort.round.as_millis());

    // The BEAM first, which writes the payloads for the others.
    let mut programs = vec![Program::start("the BEAM", &beam, core)?];
    programs.push(Program::start("bench-etf", Command::new(rust.join("bench-etf")).arg(&dir), core)?);
    programs.push(Program::start("ei_etf", Command::new(ei).arg(&dir), core)?);

    // All of them before anything is measured: an allocator is faster once it has seen what comes, which in a node
    // that runs for days it has.
    eprintln!("bench: warming up");
    for work in &mut works {
        measure::warm_up(&mut programs, work.payload, &mut work.entries, effort)?;
    }
    for work in &mut works {
        measure::rounds(&mut programs, work.payload, &mut work.entries, effort)?;
        print(work, &programs[RUST])?;
    }

    let mut bars = timed(&works);
    bars.extend(counted(
        &programs[RUST],
        &output(Command::new(rust.join("bench-etf-allocations")).arg(&dir))?,
    )?);
    bars::print(&bars)
}

fn works(only: &str) -> Vec<Work> {
    let directions = [("decode", DECODE), ("encode", ENCODE)];
    let all = directions.into_iter().flat_map(|(direction, methods)| {
        PAYLOADS.into_iter().map(move |payload| Work {
            payload,
            direction,
            entries: methods.iter().map(|(program, method, _)| Entry::new(method, *program)).collect(),
            names: methods.iter().map(|(_, _, name)| *name).collect(),
        })
    });
    all.filter(|work| format!("{}-{}", work.direction, work.payload).contains(only)).collect()
}

fn print(work: &Work, ours: &Program) -> Result<(), Failure> {
    let rows: Vec<Row> = work
        .entries
        .iter()
        .zip(&work.names)
        .map(|(entry, &name)| Row { name, nanoseconds: entry.median() })
        .collect();
    let bytes = ours.fact(&format!("bytes-of-{}", work.payload))?;
    let terms = ours.fact(&format!("terms-of-{}", work.payload))?;
    table::print(&format!("{} {}", work.direction, work.payload), bytes, terms, &rows);
    Ok(())
}

/// The bars on times, of the works that were measured.
fn timed(works: &[Work]) -> Vec<Bar> {
    let median = |method: &str, payload: &str| {
        let work = works.iter().filter(|work| work.payload == payload);
        work.flat_map(|work| &work.entries).find(|entry| entry.method == method).map(Entry::median)
    };
    let dashed = |method: &str| method.replace('.', "-");
    let ratios = RATIOS.iter().filter_map(|&(method, payload, rival, limit)| {
        let (_, rival_name) = rival.split_once('.')?;
        let rival_name = if matches!(rival_name, "walk" | "x") { "ei" } else { rival_name };
        let name = format!("{}-{payload}/{rival_name}", dashed(method));
        Some(Bar { name, value: median(method, payload)? / median(rival, payload)?, limit, is_floor: false })
    });
    let nanoseconds = NANOSECONDS.iter().filter_map(|&(method, payload, limit)| {
        let name = format!("{}-{payload}-nanoseconds", dashed(method));
        Some(Bar { name, value: median(method, payload)?, limit, is_floor: false })
    });
    ratios.chain(nanoseconds).collect()
}

/// The bars on what can be counted.
fn counted(ours: &Program, allocations: &str) -> Result<Vec<Bar>, Failure> {
    let allocations = |name: &str| {
        let mut lines = allocations.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(known, _)| *known == name).and_then(|(_, value)| value.parse().ok());
        found.ok_or_else(|| Failure::Check(format!("bench-etf-allocations did not say its number `{name}`")))
    };
    let bar = |name: &str, value: u64, limit: u64| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (value, limit) = (value as f64, limit as f64);
        Bar { name: name.into(), value, limit, is_floor: false }
    };
    Ok(vec![
        bar("decode-term-bin-bytes-copied", ours.fact("copied-by-decode")?, 0),
        bar("encode-segments-bin-bytes-copied", ours.fact("copied-by-encode")?, 0),
        bar("size-of-term", ours.fact("size-of-term")?, 32),
        bar("allocations-list", allocations("list")?, allocations("tuples-and-lists")?),
        bar("allocations-of-small-integers", allocations("integers")?, 0),
        bar("allocations-of-atoms", allocations("atoms")?, 0),
        bar("allocations-of-pids", allocations("pids")?, 0),
    ])
}
