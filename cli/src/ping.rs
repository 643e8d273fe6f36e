//! `crabnode ping NODE`: whether a node lives and lets us in.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use crabnode::{Dest, Names, Node, NodeConfig, Term, tuple};
use dist_ac::flags::{NodeFlags, fail};

use crate::say;

#[derive(Args)]
pub(crate) struct Flags {
    /// NAME@HOST of the node to ask
    node: String,
    #[command(flatten)]
    own: NodeFlags,
}

/// How long the node may take to answer: as long as one stage of a handshake may.
const ANSWER: Duration = Duration::from_secs(7);

pub(crate) async fn run(flags: Flags) -> ExitCode {
    // Nobody needs to know a node that only asks: it is hidden, and its name is its process's own.
    let mut base = NodeConfig::new(format!("ping_{}", std::process::id()));
    base.hidden = true;
    if let Some((_, host)) = flags.node.split_once('@') {
        if host.contains('.') || host.parse::<std::net::IpAddr>().is_ok() {
            base.names = Names::Long;
            base.name.push_str("@127.0.0.1");
        } else {
            base.name.push_str("@localhost");
        }
    }
    let config = match flags.own.apply(base) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    let status = match node.connect(&flags.node).await {
        Err(error) => {
            say("pang");
            fail(&error)
        }
        Ok(()) if is_auth(&node, flags.node.clone()).await => {
            say("pong");
            ExitCode::SUCCESS
        }
        Ok(()) => {
            say("pang");
            fail(&format!("{} is connected and does not answer", flags.node))
        }
    };
    node.stop().await;
    status
}

async fn is_auth(node: &Node, peer: String) -> bool {
    let asked = node.run(|mut context| async move {
        let request = tuple!(atom "is_auth", context.node().name());
        let dest = Dest::NameAt("net_kernel".into(), peer.as_str().into());
        context.call(dest, request, Some(ANSWER)).await
    });
    asked.await.is_some_and(|answer| answer == Ok(Term::atom("yes")))
}
