//! `cargo xtask`: the workspace's own commands, each with everything it needs set up.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool talks on stdout")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod demo;
mod failure;
mod fuzz;
mod golden;
mod licences;
mod otp;
mod process;
mod soak;
mod test;
mod verify;

use failure::Failure;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The workspace's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Benchmarks against the rivals, and the bars that are held against them.
    Bench(bench::Arguments),
    /// Three nodes, BEAM or Rust, and an application that moves between them as they die and come back.
    Demo(demo::Arguments),
    /// The fuzz targets, for a time each; needs a nightly compiler and a C++ compiler.
    Fuzz(fuzz::Arguments),
    /// The golden bytes of `interop-tests/golden`, written anew by every OTP release.
    Golden(golden::Arguments),
    /// Makes an OTP release available for the tests and prints the command that starts its `erl`.
    Otp(otp::Arguments),
    /// Mixed traffic between BEAM and Rust nodes for a long time, and what must hold after it.
    Soak(soak::Arguments),
    /// All tests of the workspace, against every OTP release that is available.
    Test(test::Arguments),
    /// Formatting, lints, documentation and licences; writes nothing.
    Verify,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Golden(arguments) => golden::run(&arguments),
        Command::Otp(arguments) => otp::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Verify => verify::run_all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cargo xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
