//! `crabnode names`: what `epmd -names` prints.

use std::process::ExitCode;

use clap::Args;
use dist_ac::flags::fail;
use epmd::EpmdClient;

use crate::say;

#[derive(Args)]
pub(crate) struct Flags {
    /// The host to ask
    #[arg(default_value = "localhost")]
    host: String,
    /// EPMD's port; otherwise ERL_EPMD_PORT, otherwise 4369
    #[arg(long, value_name = "PORT")]
    epmd_port: Option<String>,
}

pub(crate) async fn run(flags: Flags) -> ExitCode {
    let port = flags.epmd_port.or_else(|| std::env::var("ERL_EPMD_PORT").ok());
    let port = match epmd::port_from_env(port.as_deref()) {
        Ok(port) => port,
        Err(error) => return fail(&error),
    };
    match EpmdClient::new(port).names(&flags.host).await {
        Ok(names) => {
            say(&format!("epmd: up and running on port {port} with data:"));
            for (name, port) in names {
                say(&format!("name {name} at port {port}"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}
