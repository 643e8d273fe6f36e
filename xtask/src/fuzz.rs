//! `cargo xtask fuzz`: the fuzz targets under `fuzz/`, by cargo-fuzz and a nightly compiler.
//!
//! What a run finds goes into a corpus in the build folder, from which the next run goes on. The corpus of the tree
//! is read and never written: what is worth keeping is copied there by hand.

use std::{fs, process::Command};

use clap::Args;

use crate::{
    Failure,
    process::{cargo, is_installed, root, run as run_command, target_dir},
};

/// The targets, in the order they run, and whose corpora each starts from.
const TARGETS: [(&str, &[&str]); 9] = [
    ("decode", &["decode"]),
    ("cursor", &["decode"]),
    ("serde", &["serde", "decode"]),
    ("text", &["text"]),
    (PIECES, &["pieces"]),
    ("epmd", &["epmd"]),
    ("handshake", &["handshake"]),
    ("connection", &["connection"]),
    ("operations", &["operations"]),
];

/// The target for the one module with `unsafe`.
const PIECES: &str = "pieces";

/// The longest input, in bytes: enough for every path, and short ones are tried faster.
const INPUT_BYTES_MAX: u32 = 4096;

/// The most memory a target may take, in MiB; a corpus of some ten thousand inputs takes a part of it.
const MEMORY_MIB_MAX: u32 = 2048;

/// How long one input may take, in seconds. The usual ones take microseconds.
const INPUT_SECS_MAX: u32 = 10;

/// What `cargo xtask fuzz` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The target to run; all of them, one after the other, if none is given.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Runs `cargo xtask fuzz`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let targets: Vec<_> = match &arguments.target {
        None => TARGETS.to_vec(),
        Some(name) => {
            let known = TARGETS.into_iter().find(|(target, _)| target == name);
            let names = TARGETS.map(|(target, _)| target).join(", ");
            vec![known.ok_or_else(|| Failure::Missing(format!("no target `{name}`; there are {names}")))?]
        }
    };
    let nightly = nightly().arg("--version").output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        let hint = "fuzzing needs a nightly compiler: run `rustup toolchain install nightly`";
        return Err(Failure::Missing(hint.to_owned()));
    }
    if !["c++", "g++", "clang++"].into_iter().any(is_installed) {
        let hint = "fuzzing needs a C++ compiler: install g++ or clang++";
        return Err(Failure::Missing(hint.to_owned()));
    }
    if !is_installed("cargo-fuzz") {
        println!("fuzz: installing cargo-fuzz");
        run_command(cargo().args(["install", "--quiet", "--locked", "cargo-fuzz"]))?;
    }
    for (target, corpora) in targets {
        println!("fuzz: {target}, {} s", arguments.seconds);
        run_target(target, corpora, arguments.seconds)?;
    }
    println!("fuzz: all well");
    Ok(())
}

fn run_target(target: &str, corpora: &[&str], seconds: u32) -> Result<(), Failure> {
    let build = target_dir().join("fuzz");
    let found = build.join("corpus").join(target);
    fs::create_dir_all(&found).map_err(Failure::file(&found))?;
    let kept = root().join("fuzz/corpus");
    let mut command = nightly();
    // Where there is no `unsafe`, no sanitizer: without one it is twice as fast.
    let sanitizer = if target == PIECES { "address" } else { "none" };
    command
        .args(["fuzz", "run", "--sanitizer", sanitizer, "--target-dir"])
        .arg(&build)
        .arg(target)
        .arg(&found);
    command.args(corpora.iter().map(|corpus| kept.join(corpus)));
    command.arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-timeout={INPUT_SECS_MAX}"),
        "-print_final_stats=1".to_owned(),
    ]);
    run_command(&mut command)
}

/// rustup's cargo, which knows `+nightly`; the one that started us is that of one toolchain.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").current_dir(root());
    command
}
