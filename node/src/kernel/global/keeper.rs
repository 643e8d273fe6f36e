//! What happens where one of the three processes of `global` ends: by a full mailbox, or because somebody kills it.
//!
//! On the BEAM the node goes down with it. Here all three start anew, with the names of this node's own processes. What
//! was agreed with others is lost, so the connections are cut, all in one breath, and made again: for the others this
//! is a node that went and came back. Its locks are free, and whoever waits for an answer hears that there is none.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use etf::Term;

use super::service::{NAME, Shared, Trio, restart};
use crate::{clock, node::Inner};

/// The pause before a new start. It doubles up to [`PAUSE_MAX`]: whoever floods us again and again must not keep all
/// others busy with a node that comes and goes.
const PAUSE: Duration = Duration::from_millis(100);

/// A cluster can do with one more meeting in ten seconds.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long to wait for the name: an end takes far less.
const NAME_FREE: Duration = Duration::from_millis(10);

/// After so long without an end the next pause is short again.
const CALM: Duration = Duration::from_secs(60);

/// Runs as long as the node.
pub(super) async fn keep(inner: Arc<Inner>, shared: Arc<Shared>, mut trio: Trio) {
    let mut pause = PAUSE;
    loop {
        let since = clock::now();
        trio.ended.notified().await;
        trio.end();
        if inner.is_stopping() {
            return;
        }
        if clock::now().duration_since(since) >= CALM {
            pause = PAUSE;
        }
        tracing::error!(
            node = inner.node_atom().as_str(),
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "global: a process of the name server has ended; all connections are made anew"
        );
        let nodes = inner.hang_up_visible();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        trio = loop {
            if let Some(trio) = restart(&inner, &shared) {
                break trio;
            }
            // The old one is still ending, or somebody has taken its name, who has no use for it.
            if let Some(other) = inner.registry.whereis(NAME).and_then(|pid| inner.registry.get(&pid)) {
                other.kill(Term::atom("killed"));
            }
            tokio::time::sleep(NAME_FREE).await;
        };
        // Those that came back while there was no name server have not met the new one.
        let nodes: BTreeSet<_> = nodes.into_iter().chain(inner.hang_up_visible()).collect();
        for node in nodes {
            let inner = Arc::clone(&inner);
            inner.clone().tasks.spawn(async move {
                let node = node.as_str().to_owned();
                if let Err(error) = crate::Node::from_inner(inner).connect(&node).await {
                    tracing::warn!(%error, "global: not connected again");
                }
            });
        }
    }
}
