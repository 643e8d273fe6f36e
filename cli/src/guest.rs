//! A node that is there for one command: hidden, at no port, unknown to every EPMD, and named after its process.

use std::process::ExitCode;

use crabnode::{Names, NodeConfig};
use dist_ac::flags::{NodeFlags, fail};

/// The node to ask, with the host of `erl -sname` where it has none, and the configuration of the one that asks.
pub(crate) fn config(kind: &str, node: &str, own: &NodeFlags) -> Result<(String, NodeConfig), ExitCode> {
    let node = if node.contains('@') { node.to_owned() } else { format!("{node}@{}", short_host()) };
    let mut base = NodeConfig::new(format!("{kind}_{}", std::process::id()));
    base.dist_listen = false;
    if let Some((_, host)) = node.split_once('@') {
        if host.contains('.') || host.parse::<std::net::IpAddr>().is_ok() {
            base.names = Names::Long;
            base.name.push_str("@127.0.0.1");
        } else {
            base.name.push_str("@localhost");
        }
    }
    let mut own = own.clone();
    // Who gives the options of TLS means TLS.
    if own.proto_dist.is_none() && (own.ssl_dist_optfile.is_some() || !own.ssl_dist_opt.is_empty()) {
        own.proto_dist = Some("inet_tls".to_owned());
    }
    let config = own.apply(base).map_err(|error| fail(&error))?;
    Ok((node, config))
}

/// This machine's name up to its first dot.
fn short_host() -> String {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    host.split('.').next().unwrap_or_default().to_owned()
}
