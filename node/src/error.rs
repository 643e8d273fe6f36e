//! What can go wrong, by whose fault it is.

use std::{io, path::PathBuf};

use etf::Atom;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name cannot be a node's.
    #[error("the node name {name:?} cannot be used: {reason}")]
    BadName {
        /// The name as it was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This machine's own name is needed and is no text.
    #[error("this machine has no usable host name: give the host in the node's name, as in name@host")]
    NoHost,
    /// A node with the name `undefined` needs one that gives it a name.
    #[error("the node has no name and nobody to ask for one: give the node that it is to connect to first")]
    NobodyToName,
    /// The node that was asked for a name did not give one.
    #[error("{node} has given no name: {reason}")]
    Nameless {
        /// The node that was asked.
        node: String,
        /// What came of it.
        reason: String,
    },
    /// Another node of this host has the name.
    #[error(
        "the name {name} is in use by another node on this host (EPMD at port {epmd_port} has it registered)"
    )]
    NameTaken {
        /// The node's name.
        name: String,
        /// Where it is registered.
        epmd_port: u16,
    },
    /// No port to listen at.
    #[error("cannot listen at {address} on a port of {ports}: {source}")]
    Listen {
        /// The address.
        address: std::net::IpAddr,
        /// The ports that were tried.
        ports: String,
        /// The last error.
        source: io::Error,
    },
    /// A carrier without ports cannot listen.
    #[error("{name} cannot listen: {source}")]
    Carrier {
        /// The node's name.
        name: String,
        /// What the carrier says.
        source: io::Error,
    },
    /// EPMD could not be asked, nor started here.
    #[error("no EPMD at port {port} of this host: {reason}")]
    Epmd {
        /// Its port.
        port: u16,
        /// What was tried and failed.
        reason: String,
    },
    /// The cookie cannot be used.
    #[error("the cookie file {path}: {reason}", path = path.display())]
    CookieFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A cookie that was given cannot be used.
    #[error("the cookie that was given cannot be used: {reason}")]
    BadCookie {
        /// What is wrong with it.
        reason: String,
    },
    /// The node is in two of the `global_groups`.
    #[error("global_groups: {node} is in {one} and in {other}")]
    GlobalGroups {
        /// The node.
        node: String,
        /// A group.
        one: String,
        /// Another.
        other: String,
    },
    /// `net_ticktime` or `net_tickintensity` is out of its range.
    #[error(transparent)]
    Tick(#[from] dist::TickConfigError),
    /// `ERL_EPMD_PORT` is no port.
    #[error("ERL_EPMD_PORT: {0}")]
    EpmdPort(#[from] epmd::BadPort),
    /// `net_setuptime` is out of its range.
    #[error("net_setuptime is {} s: it must be more than 0 and at most 120", .0.as_secs_f64())]
    SetupTime(std::time::Duration),
    /// `fragment_age_max` is out of its range.
    #[error("fragment_age_max is {} s: it must be at least 1", .0.as_secs_f64())]
    FragmentAge(std::time::Duration),
}

/// Why there is no connection to a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name is no node's name.
    #[error("{name:?} is no node name: {reason}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A node does not connect to itself.
    #[error("that is this node itself")]
    Itself,
    /// Short and long names do not mix.
    #[error("{node}: this node uses {own} names, and that is none", node = node.as_str())]
    OtherNames {
        /// The node.
        node: Atom,
        /// What this node uses: short or long.
        own: &'static str,
    },
    /// It is not among the nodes that may be connected to.
    #[error("{node} is not allowed here (NodeConfig::allow)", node = node.as_str())]
    NotAllowed {
        /// The node.
        node: Atom,
    },
    /// The peer's host could not be found or asked.
    #[error("{node}: cannot ask the EPMD of host {host} at port {port}: {reason}", node = node.as_str())]
    Epmd {
        /// The node.
        node: Atom,
        /// Its host.
        host: String,
        /// The port that was asked.
        port: u16,
        /// What went wrong.
        reason: String,
    },
    /// The peer's EPMD does not know it.
    #[error("{node} is not running: the EPMD of its host does not know it", node = node.as_str())]
    NotRegistered {
        /// The node.
        node: Atom,
    },
    /// The function that says where nodes are does not know it.
    #[error("{node} is not running: nothing is known of it", node = node.as_str())]
    Unknown {
        /// The node.
        node: Atom,
    },
    /// The function that says where nodes are failed.
    #[error("{node}: cannot find out where it is: {reason}", node = node.as_str())]
    Resolver {
        /// The node.
        node: Atom,
        /// What it said.
        reason: String,
    },
    /// Nobody answers at its port.
    #[error("{node}: cannot connect to port {port}: {reason}", node = node.as_str())]
    Tcp {
        /// The node.
        node: Atom,
        /// The port that EPMD gave.
        port: u16,
        /// What went wrong.
        reason: String,
    },
    /// The carrier does not reach it.
    #[error("{node}: cannot connect: {reason}", node = node.as_str())]
    Carrier {
        /// The node.
        node: Atom,
        /// What went wrong.
        reason: String,
    },
    /// The two did not agree.
    #[error("no connection to {node}: {reason}", node = node.as_str())]
    Handshake {
        /// The node.
        node: Atom,
        /// Whose fault it was, and what to do.
        reason: String,
    },
    /// The peer said that its own attempt was on its way, and it never came.
    #[error("{node} said that it was connecting itself, and did not within {seconds} s", node = node.as_str())]
    NeverCame {
        /// The node.
        node: Atom,
        /// How long we waited.
        seconds: u64,
    },
    /// This node is stopping.
    #[error("this node is stopping")]
    Stopped,
}

/// Why the nodes of a host are not known: [`Node::names`](crate::Node::names).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the EPMD of {host} at port {port}: {reason}")]
pub struct NamesError {
    /// The host.
    pub host: String,
    /// The port of its EPMD.
    pub port: u16,
    /// Whether the host has no address; else no EPMD answers there.
    pub is_unknown_host: bool,
    /// What went wrong.
    pub reason: String,
}
