//! A node that has no name of its own, and what it does to get one: it asks the first node it connects to (wire.md 2.6).

use std::sync::Arc;

use handshake::{CookieBook, DistFlags, Established, GivenName, Initiator, NodeName, Verdict};
use tokio::time::timeout;

use crate::{
    NodeConfig, StartError,
    carrier::Stream,
    clock, discovery,
    net::{self, Attempt},
    node::Inner,
};

/// The connection over which a node got its name. The name holds as long as that does.
pub(crate) struct Naming {
    pub(crate) given: GivenName,
    pub(crate) stream: Stream,
    pub(crate) established: Established,
}

/// Connects to the node that gives names, and gets one on the host of `own`.
pub(crate) async fn ask(
    config: &NodeConfig,
    own: &NodeName,
    epmd_port: u16,
    cookies: &CookieBook,
) -> Result<Naming, StartError> {
    let node = config.name_from.clone().ok_or(StartError::NobodyToName)?;
    let failed = |reason: String| StartError::Nameless { node: node.clone(), reason };
    let peer: NodeName = node.parse().map_err(|error: handshake::NodeNameError| failed(error.to_string()))?;
    if peer.is_long() != own.is_long() {
        return Err(failed("one of the two has a long name, the other a short one".into()));
    }
    let found = discovery::find(config, epmd_port, &peer).await.map_err(|error| failed(error.to_string()))?;
    let connected = timeout(config.net_setuptime, found.connect(&*config.carrier, &peer)).await;
    let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let mut stream = connected.map_err(|error| failed(error.to_string()))?;
    let machine = Initiator::new_nameless(
        clock::now(),
        own.host(),
        DistFlags::OFFERED,
        peer.clone(),
        cookies.cookie_for(&peer).clone(),
        clock::random_u32(),
        config.handshake_config(),
    );
    let established = net::initiate(&mut stream, machine, &Attempt::new(), &mut Nobody).await;
    let mut established = established.map_err(|error| failed(error.to_string()))?;
    let given = established.given.take().expect("a handshake without a name ends with one, or as an error");
    Ok(Naming { given, stream, established })
}

/// A node that is not there yet knows of no other connection, and has given no challenge.
struct Nobody;

impl net::Arbiter for Nobody {
    fn verdict(&mut self, _: &NodeName) -> Verdict {
        Verdict::NotAllowed
    }

    fn name_for(&mut self, _: &str) -> Verdict {
        Verdict::NotAllowed
    }

    fn is_current(&mut self) -> bool {
        false
    }

    async fn close_old(&mut self) {}

    fn is_own_challenge(&mut self, _: u32) -> bool {
        false
    }
}

impl Inner {
    /// Takes over the connection that the name came by. When that ends the node has no name any more.
    pub(crate) fn keep_name(self: &Arc<Self>, stream: Stream, established: Established) {
        let peer = established.peer.clone();
        let Some((id, attempt)) = self.new_dial(&peer) else { return };
        // Before anyone has a handle on the node, so that whoever has one finds it connected.
        let route = self.connection_up(id, &established);
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            inner.run_connection_of(route, stream, id, attempt, established).await;
            inner.name_lost(&peer);
        });
    }
}
