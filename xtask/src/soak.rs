//! `cargo xtask soak`: builds what the soak needs, makes its OTP releases available, and runs it.

use std::process::Command;

use clap::Args;

use crate::{
    Failure, otp,
    process::{cargo, run as run_command, target_dir},
};

/// What `cargo xtask soak` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How long, in minutes.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// The OTP releases of the BEAM nodes; made available if they are not.
    #[arg(long, value_delimiter = ',', default_value = "25,27,29")]
    otp: Vec<u32>,
}

/// Runs `cargo xtask soak`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    for release in &arguments.otp {
        otp::make_available(*release)?;
    }
    eprintln!("soak: building");
    let build = ["build", "--release", "-p", "interop-tests", "-p", "crabnode-cli", "--bin", "soak"];
    run_command(cargo().args(build).args(["--bin", "crabnode"]))?;
    let releases: Vec<String> = arguments.otp.iter().map(u32::to_string).collect();
    let mut soak = Command::new(target_dir().join("release/soak"));
    soak.args(["--minutes", &arguments.minutes.to_string(), "--otp", &releases.join(",")]);
    run_command(&mut soak)
}
