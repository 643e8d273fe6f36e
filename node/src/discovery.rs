//! Where nodes are found (wire.md 1.4): by EPMD, or without any.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    sync::Arc,
};

use handshake::NodeName;
use tokio::time::timeout;

use crate::{
    ConnectError, NodeConfig,
    carrier::{BoxFuture, Carrier, Destination, Stream},
};

/// How a node finds the others, and how they find it.
#[derive(Debug, Clone, Default)]
pub enum Discovery {
    /// By EPMD: the node registers with that of its host, and asks that of the other's host. Default.
    #[default]
    Epmd,
    /// `-erl_epmd_port`: all nodes listen at this port, this one too, and no EPMD is asked. So each has a host, or an
    /// address, for itself, as in a container. An EPMD that runs on this host is told of the node, but need not run;
    /// where none answers the creation is random.
    Port(NonZeroU16),
    /// `-epmd_module`: a function says where each node is. No EPMD is asked, nor told of this node, whose creation
    /// is random; [`Node::port`](crate::Node::port) is what the function of others has to know.
    Own(Resolver),
}

/// A function that knows where nodes are.
#[derive(Clone)]
pub struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(String) -> BoxFuture<'static, Resolved> + Send + Sync;

/// The node's address; `None` if it is known to be nowhere.
pub type Resolved = Result<Option<SocketAddr>, Box<dyn Error + Send + Sync>>;

impl Resolver {
    /// By a function that is called with `NAME@HOST` for each attempt to connect. It may take as long as
    /// [`net_setuptime`](crate::NodeConfig::net_setuptime), and is dropped then, or when the attempt is.
    ///
    /// ```
    /// use crabnode::{Discovery, Resolver};
    ///
    /// let fixed = Resolver::new(async |node: String| match node.as_str() {
    ///     "b@localhost" => Ok(Some("127.0.0.1:9100".parse()?)),
    ///     _ => Ok(None),
    /// });
    /// # let _ = Discovery::Own(fixed);
    /// ```
    pub fn new<F, Fut>(find: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Resolved> + Send + 'static,
    {
        Self(Arc::new(move |node| Box::pin(find(node))))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// Where a node listens.
pub(crate) struct Found {
    pub(crate) port: u16,
    /// None for that of its host.
    pub(crate) address: Option<IpAddr>,
    /// Whether it may be at another address of its host all the same.
    pub(crate) is_guess: bool,
}

impl Found {
    /// Connects to the node `name`.
    pub(crate) async fn connect(&self, carrier: &dyn Carrier, name: &NodeName) -> io::Result<Stream> {
        let Self { port, address, is_guess } = *self;
        match carrier.connect(Destination { name, port, address }).await {
            // The name of its host is asked for no second time unless that is needed.
            Err(_) if is_guess => carrier.connect(Destination { name, port, address: None }).await,
            connected => connected,
        }
    }
}

/// Where a node listens.
pub(crate) async fn find(
    config: &NodeConfig,
    epmd_port: u16,
    peer: &NodeName,
) -> Result<Found, ConnectError> {
    match &config.discovery {
        Discovery::Epmd => registered(config, epmd_port, peer).await,
        Discovery::Port(port) => Ok(Found { port: port.get(), address: None, is_guess: false }),
        Discovery::Own(resolver) => resolve(config, resolver, peer).await,
    }
}

async fn resolve(
    config: &NodeConfig,
    Resolver(find): &Resolver,
    peer: &NodeName,
) -> Result<Found, ConnectError> {
    let (node, limit) = (etf::Atom::from(peer.as_str()), config.net_setuptime);
    let resolved = timeout(limit, find(peer.to_string())).await;
    match resolved.unwrap_or_else(|_| Err(format!("no answer within {limit:?}").into())) {
        Ok(Some(address)) => Ok(Found { port: address.port(), address: Some(address.ip()), is_guess: false }),
        Ok(None) => Err(ConnectError::Unknown { node }),
        Err(error) => Err(ConnectError::Resolver { node, reason: error.to_string() }),
    }
}

/// Where the EPMD of its host has a node registered: at the port it says, and most likely at its own address.
async fn registered(config: &NodeConfig, port: u16, peer: &NodeName) -> Result<Found, ConnectError> {
    let node = etf::Atom::from(peer.as_str());
    let entry = config.epmd_client(port).locate(peer.host(), peer.alive()).await;
    let entry = entry.map_err(|error| ConnectError::Epmd {
        node: node.clone(),
        host: peer.host().into(),
        port,
        reason: error.to_string(),
    })?;
    let (entry, address) = entry.ok_or(ConnectError::NotRegistered { node })?;
    Ok(Found { port: entry.port, address: Some(address), is_guess: true })
}
