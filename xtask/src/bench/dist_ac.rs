//! `cargo xtask bench dist_ac`: failovers, splits and heals of distributed applications.
//!
//! The works are those of `interop-tests/src/bin/failover`, which starts the nodes and takes the times.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use clap::Args;

use crate::{
    Failure,
    bench::{
        bars::{self, Bar},
        program, rivals,
    },
    process::{cargo, run as run_command, target_dir},
};

/// What `cargo xtask bench dist_ac` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The OTP release of the BEAM nodes, which must be on this host. Without it, 27, or the newest there is.
    #[arg(long, value_name = "RELEASE")]
    otp: Option<u32>,
    /// Only works whose name has this in it, such as `heal`; and of the bars, only those on them.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How many kills and splits there are in each.
    #[arg(long, value_name = "COUNT", default_value = "50")]
    count: usize,
    /// How many times the sequences L8 and L9 are gone through.
    #[arg(long, value_name = "COUNT", default_value = "20")]
    sequences: usize,
    /// How many failovers there are in a row on one node.
    #[arg(long, value_name = "COUNT", default_value = "1000")]
    failovers: usize,
}

/// Runs `cargo xtask bench dist_ac`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let otp = rivals::otp(arguments.otp)?.release;
    eprintln!("bench: building");
    run_command(cargo().args(["build", "--release", "--quiet", "-p", "interop-tests", "--bin", "failover"]))?;
    println!("machine: {}", program::machine());
    println!("rival: OTP {otp}");
    let path = target_dir().join("release/failover");
    let mut command = Command::new(&path);
    command.args(["measure", "--otp", &otp.to_string(), "--only", &arguments.only]);
    let counts = [
        ("--count", arguments.count),
        ("--sequences", arguments.sequences),
        ("--failovers", arguments.failovers),
    ];
    for (flag, count) in counts {
        command.args([flag, &count.to_string()]);
    }
    let name = path.display().to_string();
    let start = |source| Failure::Start { program: name.clone(), source };
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(start)?;
    let output = child.stdout.take().expect("it was piped");
    let mut found = Vec::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        match bar(&line) {
            Some(bar) => found.push(bar),
            None => println!("{line}"),
        }
    }
    let status = child.wait().map_err(start)?;
    bars::print(&found)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Command { command: name, status: status.to_string() })
}

/// The bar of a line `found NAME VALUE LIMIT most` or `... least`.
fn bar(line: &str) -> Option<Bar> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["found", name, value, limit, kind] = words[..] else { return None };
    let (value, limit) = (value.parse().ok()?, limit.parse().ok()?);
    Some(Bar { name: name.into(), value, limit, is_floor: kind == "least" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_becomes_bars() {
        let most = bar("found heal-self-ms 10.5 2000 most").expect("a bar");
        assert_eq!(
            (most.name.as_str(), most.value, most.limit, most.is_floor),
            ("heal-self-ms", 10.5, 2000.0, false)
        );
        assert!(bar("found l8-rust-runs 20 20 least").expect("a bar").is_floor);
        // What has no figure is short.
        assert!(bar("found l8-rust-ms NaN 4000 most").expect("a bar").value.is_nan());
        assert!(bar("l8: from the death of the runner").is_none());
    }
}
