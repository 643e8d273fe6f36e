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
    /// What each of the application's nodes is: `beam` or `rust`. By default one after the other.
    #[arg(long, value_name = "KIND,KIND,…")]
    nodes: Option<String>,
    /// The application that moves between them.
    #[arg(long, default_value = "m8ball", value_parser = ["m8ball", "job_center", "proxima", "chucky"])]
    app: String,
    /// The OTP release of the BEAM nodes; made available if it is not. Without it, the newest on this host.
    #[arg(long, value_name = "RELEASE")]
    otp: Option<u32>,
}

/// Runs `cargo xtask demo`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let nodes_count = match arguments.app.as_str() {
        "job_center" => 4,
        "proxima" => 2,
        _ => 3,
    };
    let kinds = |kinds: &[&'static str]| {
        kinds.iter().cycle().take(nodes_count).copied().collect::<Vec<_>>().join(",")
    };
    let mut nodes = arguments.nodes.clone().unwrap_or_else(|| kinds(&["beam", "rust"]));
    let mut release = None;
    if nodes.contains("beam") {
        match available(arguments) {
            Ok(found) => release = Some(found),
            // Asked for by number: anything else would not be what was asked.
            Err(failure) if arguments.otp.is_some() => return Err(failure),
            Err(failure) => {
                println!("no Erlang here, so the nodes are Rust alone, on the embedded EPMD ({failure})\n");
                nodes = kinds(&["rust"]);
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

/// The release of the BEAM nodes, and Elixir where they need it.
fn available(arguments: &Arguments) -> Result<u32, Failure> {
    let is_elixir = arguments.app == "chucky";
    let newest = || Ok(otp::locate::all().map_err(Failure::Missing)?.last().map(|(release, _)| *release));
    let release = match arguments.otp {
        Some(release) => release,
        None if is_elixir => otp::OTP_OF_ELIXIR,
        None => newest()?.unwrap_or(otp::IF_NONE),
    };
    otp::make_available(release)?;
    if is_elixir {
        otp::make_elixir_available()?;
    }
    Ok(release)
}
