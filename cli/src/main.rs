//! `crabnode`: a test peer, an EPMD, and a hand on a running cluster.
#![forbid(unsafe_code)]

use std::{
    io::{IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use dist_ac::flags::fail;
use tokio::runtime::Builder;

mod apps;
mod call;
mod epmd_server;
mod guest;
mod json;
mod moves;
mod names;
mod peer;
mod ping;
mod shell;

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
    /// Be the EPMD of this host, with the options of stock epmd
    #[command(disable_help_flag = true)]
    Epmd {
        /// Options; -help lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        arguments: Vec<String>,
    },
    /// List the nodes that a host's EPMD knows
    Names(names::Flags),
    /// Ask whether a node lives: prints pong (exit 0) or pang (exit 1)
    Ping(ping::Flags),
    /// Call a function of a node and print what it gives, as erl_call -a
    Call(call::CallFlags),
    /// Evaluate Erlang expressions on a node and print the value, as erl_call -e
    Eval(call::EvalFlags),
    /// Halt a node, as erl_call -q
    Stop(call::StopFlags),
    /// Run an Erlang shell on a node, as erl -remsh
    Shell(shell::Flags),
    /// Show which distributed application runs where, who stands by, and what is wrong
    Apps(apps::Flags),
    /// Move a distributed application to a node, as application:takeover/2 there
    Takeover(moves::TakeoverFlags),
    /// Say whether a node may run an application, as application:permit/2 there
    Permit(moves::PermitFlags),
}

fn main() -> ExitCode {
    match command() {
        Command::Peer(flags) => run("warn", Builder::new_multi_thread(), peer::run(flags)),
        Command::Epmd { arguments } => match epmd_server::options(arguments) {
            // One thread that waits for sockets and answers: between two, each lookup would be handed over.
            Ok(options) => run(options.log_level(), Builder::new_current_thread(), epmd_server::run(options)),
            Err(status) => status,
        },
        Command::Names(flags) => run("warn", Builder::new_current_thread(), names::run(flags)),
        Command::Ping(flags) => run("warn", Builder::new_multi_thread(), ping::run(flags)),
        Command::Call(flags) => run("warn", Builder::new_current_thread(), call::call(flags)),
        Command::Eval(flags) => run("warn", Builder::new_current_thread(), call::eval(flags)),
        Command::Stop(flags) => run("warn", Builder::new_current_thread(), call::stop(flags)),
        Command::Shell(flags) => run("warn", Builder::new_current_thread(), shell::run(flags)),
        Command::Apps(flags) => run("error", Builder::new_current_thread(), apps::run(flags)),
        Command::Takeover(flags) => run("warn", Builder::new_current_thread(), moves::takeover(flags)),
        Command::Permit(flags) => run("warn", Builder::new_current_thread(), moves::permit(flags)),
    }
}

/// What is asked. Called by the name of `epmd`, as by a link in its place, the program is that.
fn command() -> Command {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    if name.is_some_and(|name| Path::new(&name).file_stem().is_some_and(|stem| stem == "epmd")) {
        let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
        return Command::Epmd { arguments };
    }
    // Status 2 and a usage text for what clap cannot read.
    Program::parse().command
}

fn run(log_level: &str, mut runtime: Builder, program: impl Future<Output = ExitCode>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(log_level));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(program),
        Err(error) => fail(&error),
    }
}

/// Writes a line to stdout; whoever closed it wants no more.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
