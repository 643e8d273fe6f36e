//! The soak, item 86 of wire.md 12: two Rust nodes and one of each of some OTP releases in one cluster, which do to each
//! other for a long time what nodes do, while one more node comes and goes.
//!
//! `cargo xtask soak` builds all that this needs and starts it. It exits with 0 only if nothing went wrong. The Rust
//! nodes are in this process, so its memory, files and tasks are theirs.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the figures go to stdout")]

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use interop_tests::Otp;

mod cluster;
mod measure;
mod server;
mod visitor;
mod worker;

use cluster::Soak;

#[derive(Parser)]
#[command(name = "soak", about = "Mixed traffic between BEAM and Rust nodes for a long time")]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// How many seconds each node is there that comes and goes. Half as long none is.
    #[arg(long, default_value_t = 30)]
    visit: u64,
    /// The OTP releases.
    #[arg(long, value_delimiter = ',', default_value = "25,27,29")]
    otp: Vec<u32>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let releases: Vec<Otp> = arguments.otp.iter().copied().map(Otp::release).collect();
    match Soak::start(&releases, Duration::from_secs(arguments.visit))
        .run(Duration::from_secs(arguments.minutes * 60))
    {
        Ok(figures) => {
            println!("soak: {figures}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in &faults {
                println!("soak: {fault}");
            }
            println!("soak: FAILED, {} faults", faults.len());
            ExitCode::FAILURE
        }
    }
}
