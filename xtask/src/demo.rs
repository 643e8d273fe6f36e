//! `cargo xtask demo`: builds what the demo needs, finds or downloads an OTP release, and runs it.

use std::process::Command;

use clap::Args;

use crate::{
    Failure, otp,
    process::{cargo, run as run_command, target_dir},
};

/// What `cargo xtask demo` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What a, b and c are: `beam` or `rust` each.
    #[arg(long, value_name = "KIND,KIND,KIND", default_value = "beam,rust,beam")]
    nodes: String,
    /// The application that moves between them.
    #[arg(long, default_value = "m8ball")]
    app: String,
    /// The OTP release of the BEAM nodes; made available if it is not. Without it, the newest on this host.
    #[arg(long, value_name = "RELEASE")]
    otp: Option<u32>,
}

/// Runs `cargo xtask demo`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut nodes = arguments.nodes.clone();
    let mut release = None;
    if nodes.contains("beam") {
        match available(arguments.otp) {
            Ok(found) => release = Some(found),
            // Asked for by number: anything else would not be what was asked.
            Err(failure) if arguments.otp.is_some() => return Err(failure),
            Err(failure) => {
                println!("no Erlang here, so the nodes are Rust alone, on the embedded EPMD ({failure})\n");
                nodes = "rust,rust,rust".into();
            }
        }
    }
    eprintln!("demo: building");
    run_command(cargo().args(["build", "--release", "-p", "interop-tests", "--bin", "demo"]))?;
    if nodes.contains("rust") {
        let build = ["build", "--release", "-p", "crabnode-dist-ac", "--example", &arguments.app];
        run_command(cargo().args(build))?;
    }
    let mut demo = Command::new(target_dir().join("release/demo"));
    demo.args(["--nodes", &nodes, "--app", &arguments.app]);
    if let Some(release) = release {
        demo.args(["--otp", &release.to_string()]);
    }
    run_command(&mut demo)
}

fn available(asked: Option<u32>) -> Result<u32, Failure> {
    let newest = || Ok(otp::locate::all().map_err(Failure::Missing)?.last().map(|(release, _)| *release));
    let release = match asked {
        Some(release) => release,
        None => newest()?.unwrap_or(otp::IF_NONE),
    };
    otp::make_available(release)?;
    Ok(release)
}
