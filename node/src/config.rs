//! How a node is set up.

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use epmd::EpmdClient;
use etf::DecodeLimits;
use handshake::{Cookie, CookieBook, HandshakeConfig};

use crate::{
    Discovery, Functions, StartError,
    carrier::{Carrier, IpFamily, Tcp},
    cookie_file,
    io::Sink,
};

/// What `erl` takes as flags and kernel parameters. [`NodeConfig::new`] gives what `erl -sname` would do.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// `N` or `N@H`. Without a host, this machine's is used: up to its first dot with short names.
    ///
    /// `undefined` as `N` is no name: the node asks [`NodeConfig::name_from`] for one. Others cannot connect to such
    /// a node, and it is hidden.
    pub name: String,
    /// The node that gives this one its name, where that is `undefined`: the first that it connects to, at its
    /// start. The name holds as long as that connection: with it the node loses all others, and
    /// [`Node::stop_requested`](crate::Node::stop_requested) says 1.
    pub name_from: Option<String>,
    /// Whether node names are short (`-sname`) or long (`-name`). All nodes of a cluster must agree.
    pub names: Names,
    /// The secret that all nodes of a cluster share. Without one it is read from `~/.erlang.cookie`, which is
    /// made if it is missing.
    pub cookie: Option<String>,
    /// `-setcookie NODE COOKIE`: cookies for single nodes, whichever side connects; of two for one node the last.
    /// [`Node::set_cookie`](crate::Node::set_cookie) does it later.
    pub cookies: Vec<(String, String)>,
    /// `net_kernel:allow(Nodes)`: which nodes may connect, and be connected to; everybody who has the cookie where there
    /// is none. Each is a node's name (`a@h`), a host (`h`) or a name on any host (`a@`).
    /// [`Node::allow`](crate::Node::allow) adds some later.
    pub allow: Vec<String>,
    /// `-hidden`: the node is in nobody's `nodes()`, and no part of `global`.
    pub hidden: bool,
    /// `inet_dist_listen_min` and `inet_dist_listen_max`: the first free port of the range is used. Without
    /// one the system chooses.
    pub listen_ports: Option<RangeInclusive<u16>>,
    /// `inet_dist_use_interface`: the address to listen at; all by default.
    pub listen_address: IpAddr,
    /// `-proto_dist`: what the bytes between nodes go over; the same on all nodes of a cluster. Default TCP.
    pub carrier: Arc<dyn Carrier>,
    /// `-dist_listen`: whether others can connect to this node. Default true. One that does not listen is hidden,
    /// no EPMD knows it, and its creation is random.
    pub dist_listen: bool,
    /// How nodes are found: by EPMD, or without one. Default EPMD.
    pub discovery: Discovery,
    /// The port of every EPMD, here and on other hosts; else `ERL_EPMD_PORT`, else 4369.
    pub epmd_port: Option<u16>,
    /// Whether to start an EPMD inside this process where none answers on this host (`-start_epmd`).
    pub start_epmd: bool,
    /// Where the output of `user` goes, the group leader of all processes that are given no other. Default stdout.
    pub output: Sink,
    /// `net_ticktime`: a peer that has been silent this long is gone. Default 60 s; the same on all nodes.
    /// [`Node::set_net_ticktime`](crate::Node::set_net_ticktime) changes it later.
    pub net_ticktime: Duration,
    /// `net_tickintensity`: ticks per `net_ticktime`, 4 to 1000. Default 4.
    pub net_tickintensity: u32,
    /// `net_setuptime`: how long one stage of a handshake may take. Default 7 s.
    pub net_setuptime: Duration,
    /// `prevent_overlapping_partitions`: default true, as in OTP 25 and later.
    pub prevent_overlapping_partitions: bool,
    /// `start_pg`: whether the default scope of [`pg`](crate::pg) starts with the node. Default false.
    pub start_pg: bool,
    /// `connect_all`: whether all nodes of a cluster connect with each other. Default true. Without it this node shares
    /// no names with others: it takes no part in `global`'s merges, and connects only to whom it is told to.
    pub connect_all: bool,
    /// `global_groups`: default none. The nodes of a group have names of their own in `global`, which a node in a group
    /// shares with those alone that are in its group and have the same groups.
    pub global_groups: Vec<GlobalGroup>,
    /// How many bytes may wait for one peer before senders do, as `+zdbbl`. Default 1 MiB. What one write to the
    /// socket has taken is not counted. Raise it where many senders share a link that is long and fast.
    pub busy_bytes: usize,
    /// How long a connection goes on asking for the next message before its thread may sleep. Default 50 µs; zero is
    /// never; [`NodeConfig::BUSY_POLL_MAX`] at most.
    ///
    /// To wake a sleeping thread takes longer than a message, on many virtual machines several times as long: what
    /// the BEAM's schedulers do by `+sbwt` cuts a round trip to half or less there. It is done where messages follow
    /// each other within four times this time, by one connection of a node at a time, and rests for 64 messages
    /// after 8 waits in vain. Where it pays it takes the time of a core while messages come and go: 1 ms is for an
    /// answer that takes its time, zero for who pays by the processor's second.
    pub busy_poll: Duration,
    /// How many bytes may wait for one peer at all before it is given up. Default 256 MiB: a peer that reads
    /// nothing must not take the memory of this node. A single longer message is taken where nothing else waits.
    pub out_bytes_max: usize,
    /// The largest frame that is accepted. Default 128 MiB; memory is taken as bytes arrive, not before.
    pub frame_bytes_max: usize,
    /// How many bytes of a peer's messages may wait for their missing fragments, in which a BEAM sends what is
    /// longer than 64 KiB. Default 512 MiB, which is the longest message; memory is taken as bytes arrive.
    pub fragments_bytes_max: usize,
    /// How many fragments a peer's message may have. Default 2^20: those of a BEAM have 64 KiB each, so none that is
    /// within `fragments_bytes_max` has more than 8,192. A message announced in more ends its connection.
    pub fragment_count_max: u64,
    /// How long a peer's message may wait for its next fragment before the connection is closed, as for any broken
    /// rule, with a line in the log that names the message. Default 240 s, four times the default ticktime: what
    /// is later than that never comes. At least 1 s; [`Duration::MAX`] is for ever. A long message over a slow line
    /// is not at risk, since each fragment starts the time anew.
    pub fragment_age_max: Duration,
    /// What one term from a peer may cost: its depth, its elements and atoms, its largest integer. A peer whose
    /// term goes past one of these loses its connection, as with a term that is malformed.
    ///
    /// Default: that of [`DecodeLimits`], where each limit has its reason. `bytes_max` there is at work only
    /// below [`NodeConfig::frame_bytes_max`], and nothing on a connection is compressed. Lower `atoms_max` where
    /// this node passes terms on to a BEAM node, whose atoms are never freed, and `depth_max` where
    /// code of your own walks terms by recursion.
    pub decode: DecodeLimits,
    /// How many messages may wait in one mailbox before its process is ended. Default 1,048,576, which is
    /// minutes of a peer's fastest sending: a process that far behind never catches up.
    pub mailbox_messages_max: usize,
    /// The functions that others may call here, and whether the built-in set is among them. The node takes a copy, to
    /// which [`Node::functions`](crate::Node::functions) adds; what stands here is served from the first connection on.
    pub functions: Functions,
    /// How many connections may be in their handshake at once. Default 256: strangers get no more of us.
    pub half_open_max: usize,
}

/// One of [`NodeConfig::global_groups`]. Its nodes are as visible to others as [`NodeConfig::hidden`] says: OTP's hidden
/// groups, whose nodes are hidden from those of other groups, are not supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalGroup {
    /// The group's name.
    pub name: String,
    /// All its nodes, as full names. No node can be in two groups.
    pub nodes: Vec<String>,
}

/// Short or long node names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `-sname`: the host has no dot.
    Short,
    /// `-name`: the host has one, or is an address.
    Long,
}

impl NodeConfig {
    /// The longest [`NodeConfig::busy_poll`], 100 ms: a node that is idle lets its core sleep.
    pub const BUSY_POLL_MAX: Duration = Duration::from_millis(100);

    /// A visible node with short names and OTP's defaults.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            name_from: None,
            names: Names::Short,
            cookie: None,
            cookies: Vec::new(),
            allow: Vec::new(),
            hidden: false,
            listen_ports: None,
            listen_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            carrier: Arc::new(Tcp::default()),
            dist_listen: true,
            discovery: Discovery::Epmd,
            epmd_port: None,
            start_epmd: true,
            output: Sink::stdout(),
            net_ticktime: Duration::from_secs(60),
            net_tickintensity: 4,
            net_setuptime: Duration::from_secs(7),
            prevent_overlapping_partitions: true,
            start_pg: false,
            connect_all: true,
            global_groups: Vec::new(),
            busy_bytes: 1 << 20,
            busy_poll: Duration::from_micros(50),
            out_bytes_max: 256 << 20,
            frame_bytes_max: 128 << 20,
            fragments_bytes_max: 512 << 20,
            fragment_count_max: dist::Limits::default().fragment_count_max,
            fragment_age_max: Duration::from_secs(240),
            decode: DecodeLimits::default(),
            mailbox_messages_max: 1 << 20,
            functions: Functions::new(),
            half_open_max: 256,
        }
    }

    /// What some settings mean for others.
    pub(crate) fn settled(mut self) -> Self {
        self.dist_listen &= !self.is_nameless();
        self.hidden |= !self.dist_listen;
        if let Discovery::Port(port) = self.discovery {
            self.listen_ports = Some(port.get()..=port.get());
        }
        self
    }

    /// Whether another node is to give this one its name.
    pub(crate) fn is_nameless(&self) -> bool {
        self.name.split('@').next() == Some("undefined")
    }

    /// Every cookie that is given, else that of the user.
    pub(crate) fn cookie_book(&self) -> Result<CookieBook, StartError> {
        let cookie = |text: &str| {
            Cookie::new(text).map_err(|error| StartError::BadCookie { reason: error.to_string() })
        };
        let mut book = CookieBook::new(match &self.cookie {
            Some(text) => cookie(text)?,
            None => cookie_file::read_or_make()?,
        });
        for (node, text) in &self.cookies {
            let name = node.parse().map_err(|error: handshake::NodeNameError| StartError::BadCookie {
                reason: error.to_string(),
            })?;
            book.set(name, cookie(text)?);
        }
        Ok(book)
    }

    pub(crate) fn handshake_config(&self) -> HandshakeConfig {
        HandshakeConfig {
            setup_time: self.net_setuptime,
            prefix: self.carrier.length_prefix(),
            ..HandshakeConfig::default()
        }
    }

    /// The full node name, with this machine's host where the name has none.
    pub(crate) fn full_name(&self) -> Result<handshake::NodeName, StartError> {
        let bad = |reason: String| StartError::BadName { name: self.name.clone(), reason };
        let full = match self.name.split_once('@') {
            Some(_) => self.name.clone(),
            None => format!("{}@{}", self.name, self.own_host()?),
        };
        let name: handshake::NodeName =
            full.parse().map_err(|error: handshake::NodeNameError| bad(error.to_string()))?;
        let dotted = name.host().contains('.') || name.host().parse::<IpAddr>().is_ok();
        match (self.names, dotted) {
            (Names::Short, true) => Err(bad("with short names the host must not contain a dot".into())),
            (Names::Long, false) => {
                Err(bad("with long names the host must contain a dot or be an address".into()))
            }
            _ => Ok(name),
        }
    }

    fn own_host(&self) -> Result<String, StartError> {
        let host = gethostname::gethostname().into_string().map_err(|_| StartError::NoHost)?;
        match self.names {
            Names::Short => Ok(host.split('.').next().unwrap_or_default().to_owned()),
            Names::Long => Ok(host),
        }
    }

    /// How EPMDs are asked: over the addresses that the nodes use.
    pub(crate) fn epmd_client(&self, port: u16) -> EpmdClient {
        let ipv6 = self.carrier.tcp().is_some_and(|tcp| tcp.family == IpFamily::V6);
        EpmdClient { ipv6, ..EpmdClient::new(port) }
    }

    /// The port of every EPMD.
    pub(crate) fn epmd_port(&self) -> Result<u16, StartError> {
        match self.epmd_port {
            Some(port) => Ok(port),
            None => Ok(epmd::port_from_env(std::env::var("ERL_EPMD_PORT").ok().as_deref())?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(name: &str, names: Names) -> Result<String, String> {
        let config = NodeConfig { names, ..NodeConfig::new(name) };
        config.full_name().map(|name| name.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn short_and_long_hosts_do_not_mix() {
        assert_eq!(full("a@h", Names::Short), Ok("a@h".into()));
        assert_eq!(full("a@h.example", Names::Long), Ok("a@h.example".into()));
        assert_eq!(full("a@127.0.0.1", Names::Long), Ok("a@127.0.0.1".into()));
        assert!(full("a@h.example", Names::Short).unwrap_err().contains("must not contain a dot"));
        assert!(full("a@h", Names::Long).unwrap_err().contains("must contain a dot"));
        assert!(full("a@b@c", Names::Short).is_err());
        assert!(full("a b@c", Names::Short).is_err());
        let own = full("a", Names::Short).expect("this machine has a name");
        assert!(own.starts_with("a@") && !own.contains('.'));
    }
}
