//! `cargo xtask test`: all tests of the workspace, with everything they need set up.

use std::{path::PathBuf, time::Instant};

use clap::Args;

use crate::{
    Failure, otp,
    process::{cargo, run as run_command, target_dir},
};

/// What `cargo xtask test` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Test against this OTP release alone; made available if it is not. May be given more than once.
    #[arg(long, value_name = "RELEASE")]
    otp: Vec<u32>,
    /// What goes to `cargo test`, as in `cargo xtask test -- -p crabnode-etf`.
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// Runs `cargo xtask test`.
#[expect(clippy::disallowed_methods, reason = "says how long the tests took")]
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let started = Instant::now();
    let releases = releases(&arguments.otp)?;
    let numbers = releases.iter().map(|(number, _)| number.to_string()).collect::<Vec<_>>().join(",");
    println!("test: against OTP {numbers}");
    println!("test: building the programs under test");
    run_command(cargo().args(["build", "-p", "crabnode-cli", "--bins"]))?;
    run_command(cargo().args(["build", "-p", "crabnode-dist-ac", "--examples"]))?;

    let elixir = elixir(&arguments.cargo)?;

    println!("test: running");
    let mut test = cargo();
    test.arg("test");
    if arguments.cargo.is_empty() {
        test.arg("--workspace");
    }
    test.args(&arguments.cargo).env("CRABNODE_BIN", target_dir().join("debug/crabnode"));
    // The harness tests against these and no others.
    test.env("CRABNODE_OTP", &numbers);
    for (number, erl) in &releases {
        test.env(format!("CRABNODE_ERL_{number}"), erl);
    }
    if let Some((root, erl)) = elixir {
        test.env("CRABNODE_ELIXIR", root).env(format!("CRABNODE_ERL_{}", otp::OTP_OF_ELIXIR), erl);
    }
    run_command(&mut test)?;
    println!("test: all well after {} s, against OTP {numbers}", started.elapsed().as_secs());
    Ok(())
}

/// Elixir and the `erl` that it runs on, where the tests are run that need them: whatever releases are tested, one of the
/// applications is written in it.
fn elixir(cargo: &[String]) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
    let needs_it = |argument: &String| argument == "interop-tests" || argument == "--workspace";
    if !cargo.is_empty() && !cargo.iter().any(needs_it) {
        return Ok(None);
    }
    Ok(Some((otp::make_elixir_available()?, otp::make_available(otp::OTP_OF_ELIXIR)?)))
}

/// The releases to test against: those asked for, else all that are here, else one that is made available.
fn releases(asked: &[u32]) -> Result<Vec<(u32, PathBuf)>, Failure> {
    if !asked.is_empty() {
        return asked.iter().map(|&number| Ok((number, otp::make_available(number)?))).collect();
    }
    let found = otp::locate::all().map_err(Failure::Missing)?;
    if !found.is_empty() {
        return Ok(found);
    }
    Ok(vec![(otp::IF_NONE, otp::make_available(otp::IF_NONE)?)])
}
