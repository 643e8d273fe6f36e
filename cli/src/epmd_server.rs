//! `crabnode epmd`: the EPMD of a host.

use std::{net::IpAddr, process::ExitCode, time::Duration};

use clap::Args;
use dist_ac::flags::fail;
use epmd::{EpmdServer, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::say;

#[derive(Args)]
pub(crate) struct Flags {
    /// The port to serve at; otherwise ERL_EPMD_PORT, otherwise 4369
    #[arg(long, visible_alias = "epmd-port", value_name = "PORT")]
    port: Option<String>,
    /// Addresses to listen at, beside loopback; all by default
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', env = "ERL_EPMD_ADDRESS")]
    address: Vec<IpAddr>,
    /// Let clients on this host unregister nodes, and end the server while nodes are registered
    #[arg(long)]
    relaxed_command_check: bool,
    /// How long a client may take to ask
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    packet_timeout: u64,
}

pub(crate) async fn run(flags: Flags) -> ExitCode {
    let port = flags.port.or_else(|| std::env::var("ERL_EPMD_PORT").ok());
    let port = match epmd::port_from_env(port.as_deref()) {
        Ok(port) => port,
        Err(error) => return fail(&error),
    };
    let config = ServerConfig {
        port,
        addresses: flags.address,
        relaxed: flags.relaxed_command_check || std::env::var_os("ERL_EPMD_RELAXED_COMMAND_CHECK").is_some(),
        packet_timeout: Duration::from_secs(flags.packet_timeout),
        ..ServerConfig::default()
    };
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return fail(&error),
        };
    let server = match EpmdServer::bind(config) {
        Ok(server) => server,
        Err(error) => return fail(&error),
    };
    say(&format!("epmd: up and running on port {port}"));
    tokio::select! {
        () = server.run() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    ExitCode::SUCCESS
}
