//! The node's registration with the EPMD of its host, or its going without one (wire.md 1.3, 1.4).

use std::{sync::Arc, time::Duration};

use epmd::{EpmdClient, EpmdError, EpmdServer, Lease, LeaseEvent, Registration, ServerConfig};
use handshake::NodeName;

use crate::{Discovery, NodeConfig, StartError, clock::Tasks, node::Inner};

/// A registration that holds, and what it takes to make it again.
pub(crate) struct Registered {
    client: EpmdClient,
    registration: Registration,
    lease: Lease,
}

/// Registers with the EPMD of this host, if others are to find the node by it; starting one if none answers.
pub(crate) async fn register(
    config: &NodeConfig,
    name: &NodeName,
    epmd_port: u16,
    port: u16,
    tasks: &Tasks,
) -> Result<Option<Registered>, StartError> {
    let client = config.epmd_client(epmd_port);
    let registration = Registration { name: name.alive().to_owned(), port, hidden: config.hidden };
    let lease = match &config.discovery {
        _ if !config.dist_listen || !config.carrier.uses_epmd() => None,
        Discovery::Own(_) => None,
        // Nobody needs it to know the node, but `epmd -names` may as well show it.
        Discovery::Port(_) => match client.register(&registration).await {
            Ok(lease) => Some(lease),
            Err(error) => {
                tracing::info!(%error, epmd_port, "not registered with EPMD, which is not needed");
                None
            }
        },
        Discovery::Epmd => Some(register_or_start(config, name, &client, &registration, tasks).await?),
    };
    Ok(lease.map(|lease| Registered { client, registration, lease }))
}

async fn register_or_start(
    config: &NodeConfig,
    name: &NodeName,
    client: &EpmdClient,
    registration: &Registration,
    tasks: &Tasks,
) -> Result<Lease, StartError> {
    let port = client.port;
    let failed = |error: EpmdError| match error {
        EpmdError::NameTaken { .. } => StartError::NameTaken { name: name.to_string(), epmd_port: port },
        error => StartError::Epmd { port, reason: error.to_string() },
    };
    let mut attempts = 0;
    loop {
        match client.register(registration).await {
            Ok(lease) => return Ok(lease),
            Err(EpmdError::Broken { .. } | EpmdError::Closed { .. }) if attempts < REGISTER_ATTEMPTS => {
                tokio::time::sleep(REGISTER_PAUSE).await;
            }
            Err(error) if error.is_unreachable() && config.start_epmd && attempts < REGISTER_ATTEMPTS => {
                // Ours listens then; or another node's has come first, which is as good.
                start_epmd(port, tasks);
            }
            Err(error) => return Err(failed(error)),
        }
        attempts += 1;
    }
}

/// How often a node tries to register as it starts: an EPMD that is just ending, with the node it ran in, may
/// still take a connection and drop it.
const REGISTER_ATTEMPTS: u32 = 5;

/// How long it waits after such a drop.
const REGISTER_PAUSE: Duration = Duration::from_millis(50);

/// Starts an EPMD in this process, unless another has the port by now.
fn start_epmd(port: u16, tasks: &Tasks) {
    match EpmdServer::bind(ServerConfig { port, ..ServerConfig::default() }) {
        Ok(server) => {
            tracing::info!(port, "no EPMD answered: one runs in this process now");
            tasks.spawn(async move {
                server.run().await;
            });
        }
        Err(error) => tracing::debug!(%error, port, "no EPMD could be started here"),
    }
}

/// After how many failed attempts to register again, half a second apart, a node starts an EPMD of its own: a
/// daemon that is being restarted goes first, and the node is registered again within two seconds all the same.
const OTHERS_GO_FIRST: u32 = 2;

impl Registered {
    /// Which life of the node EPMD has counted.
    pub(crate) fn creation(&self) -> u32 {
        self.lease.creation()
    }

    /// Holds the registration, and registers again whenever it is lost. The creation stays what it is.
    pub(crate) async fn keep(self, inner: Arc<Inner>) {
        let Self { client, registration, lease } = self;
        // Where no EPMD is needed, none is started.
        let may_start = inner.config.start_epmd && matches!(inner.config.discovery, Discovery::Epmd);
        let (port, mut failures) = (client.port, 0);
        epmd::keep(client, registration, lease, |event| match event {
            // A node that stops may take the EPMD along that it is registered with.
            LeaseEvent::Lost if inner.is_stopping() => {}
            LeaseEvent::Lost => tracing::warn!(port, "EPMD has lost our registration"),
            LeaseEvent::Registered { .. } => {
                failures = 0;
                tracing::info!(port, "registered with EPMD again");
            }
            LeaseEvent::Failed(error) => {
                failures += 1;
                tracing::debug!(%error, failures, "cannot register again yet");
                if may_start && error.is_unreachable() && failures >= OTHERS_GO_FIRST {
                    start_epmd(port, &inner.tasks);
                }
            }
        })
        .await;
    }
}
