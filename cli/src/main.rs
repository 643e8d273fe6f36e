//! `crabnode`: a test peer, an EPMD, and a hand on a running cluster.
#![forbid(unsafe_code)]

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use dist_ac::flags::fail;

mod epmd_server;
mod names;
mod peer;
mod ping;

/// A node of an Erlang or Elixir cluster, in Rust.
#[derive(Parser)]
#[command(name = "crabnode", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Be a node for others to test against
    Peer(peer::Flags),
    /// Be the EPMD of this host
    Epmd(epmd_server::Flags),
    /// List the nodes that a host's EPMD knows
    Names(names::Flags),
    /// Ask whether a node lives: prints pong (exit 0) or pang (exit 1)
    Ping(ping::Flags),
}

fn main() -> ExitCode {
    // Status 2 and a usage text for what clap cannot read.
    let program = Program::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(async {
        match program.command {
            Command::Peer(flags) => peer::run(flags).await,
            Command::Epmd(flags) => epmd_server::run(flags).await,
            Command::Names(flags) => names::run(flags).await,
            Command::Ping(flags) => ping::run(flags).await,
        }
    })
}

/// Writes a line to stdout; whoever closed it wants no more.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
