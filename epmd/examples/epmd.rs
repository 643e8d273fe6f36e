//! A bare EPMD: `cargo run -p crabnode-epmd --example epmd -- [PORT] [relaxed]`.

use std::error::Error;

use crabnode_epmd::{EpmdServer, ServerConfig, port_from_env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = port_from_env(arguments.first().map(String::as_str))?;
    let relaxed = arguments.iter().any(|argument| argument == "relaxed");
    let server = EpmdServer::bind(ServerConfig { port, relaxed, ..ServerConfig::default() })?;
    eprintln!("epmd listens on port {}", server.local_port());
    server.run().await;
    Ok(())
}
