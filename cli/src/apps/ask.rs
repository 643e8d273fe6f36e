//! Asking the nodes of a cluster, as one that nobody sees.
//!
//! Every question has its limit of time, and all are asked at once, so a node takes no longer than that limit. The one
//! that a blocked `dist_ac` keeps in its queue is not asked again while it has not answered: who watches a cluster that
//! hangs must not fill its mailboxes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crabnode::{Atom, CallError, Dest, Node, Term, erpc};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    told::{self, Asked, DistAc, Told},
    view::View,
};

/// How many nodes are asked: more than any cluster has that is connected to all of its members.
const NODES_MAX: usize = 1024;

/// How long one is waited for that was silent before.
const SILENT_BEFORE: Duration = Duration::from_millis(200);

type Info = oneshot::Receiver<Result<Term, CallError>>;

/// Asks the same cluster again and again.
pub(crate) struct Asker {
    node: Node,
    /// In the order in which they are shown: first those that were named.
    known: Vec<Atom>,
    limit: Duration,
    /// Questions that a `dist_ac` has not answered yet.
    open: BTreeMap<Atom, Info>,
}

impl Asker {
    pub(crate) fn new(node: Node, named: Vec<Atom>, limit: Duration) -> Self {
        Self { node, known: named, limit, open: BTreeMap::new() }
    }

    /// Asks those that are known, and those that they know, and so on. A node that was seen once is asked each time: one
    /// that is gone is something to show.
    ///
    /// Dropping the future forgets what was asked in this round.
    pub(crate) async fn ask(&mut self) -> View {
        let mut all: Vec<Asked> = Vec::new();
        let mut next = 0;
        while next < self.known.len() {
            let (sender, mut answers) = mpsc::unbounded_channel();
            for peer in &self.known[next..] {
                let (node, peer, sender) = (self.node.clone(), peer.clone(), sender.clone());
                let (limit, open) = (self.limit, self.open.remove(&peer));
                self.node.spawn(move |_| async move {
                    let answer = ask_one(&node, &peer, limit, open).await;
                    // Whoever asked may have left.
                    let _ = sender.send(answer);
                });
            }
            drop(sender);
            let mut round = BTreeMap::new();
            while let Some((asked, open)) = answers.recv().await {
                if let Some(open) = open {
                    self.open.insert(asked.node.clone(), open);
                }
                round.insert(asked.node.clone(), asked);
            }
            let asked = self.known[next..].iter().filter_map(|node| round.remove(node)).collect::<Vec<_>>();
            next = self.known.len();
            let seen: BTreeSet<Atom> = asked
                .iter()
                .flat_map(|asked| asked.told.iter())
                .flat_map(|told| &told.connected)
                .cloned()
                .collect();
            for node in seen {
                if !self.known.contains(&node) && self.known.len() < NODES_MAX {
                    self.known.push(node);
                }
            }
            all.extend(asked);
        }
        View::new(all)
    }
}

/// Asks one node, and gives back what its `dist_ac` has not answered.
async fn ask_one(node: &Node, peer: &Atom, limit: Duration, open: Option<Info>) -> (Asked, Option<Info>) {
    let asked = |told| Asked { node: peer.clone(), told };
    match timeout(limit, node.connect(peer.as_str())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return (asked(Err(error.to_string())), None),
        Err(_) => return (asked(Err(format!("no connection within {} s", limit.as_secs_f64()))), None),
    }
    let call = |module, function, args| call(node, peer, module, function, args, limit);
    let (version, connected, running, controller, configured, (dist_ac, open)) = tokio::join!(
        call("erlang", "system_info", vec![Term::atom("system_version")]),
        call("erlang", "nodes", vec![]),
        call("application", "which_applications", vec![]),
        call("application", "info", vec![]),
        call("application", "get_env", vec![Term::atom("kernel"), Term::atom("distributed")]),
        info(node, peer, limit, open),
    );
    let Some(connected) = connected else {
        return (
            asked(Err(format!("it is connected, and does not answer within {} s", limit.as_secs_f64()))),
            open,
        );
    };
    let dist_ac = match dist_ac {
        Some(dist_ac) => dist_ac,
        None => DistAc::from_current_function(waits_in(node, peer, limit).await.as_ref()),
    };
    let starting = controller.map(|info| told::listed(&info, "starting")).unwrap_or_default();
    let told = Told {
        software: version.as_ref().and_then(told::software),
        connected: told::atoms(&connected),
        running: running.as_ref().and_then(told::names),
        starting: told::names(&Term::list(starting)).unwrap_or_default(),
        configured: configured.as_ref().map(told::configured).unwrap_or_default(),
        dist_ac,
    };
    (asked(Ok(told)), open)
}

/// `dist_ac:info()`. Nothing, and the question, if there was no answer in time.
async fn info(
    node: &Node,
    peer: &Atom,
    limit: Duration,
    open: Option<Info>,
) -> (Option<DistAc>, Option<Info>) {
    let limit = if open.is_some() { SILENT_BEFORE } else { limit };
    let mut open = open.unwrap_or_else(|| {
        let (sender, info) = oneshot::channel();
        let dest = Dest::NameAt("dist_ac".into(), peer.clone());
        node.spawn(move |mut context| async move {
            // Whoever wanted to know may be gone.
            let _ = sender.send(context.call(dest, Term::atom("info"), None).await);
        });
        info
    });
    match timeout(limit, &mut open).await {
        Err(_) => (None, Some(open)),
        Ok(Ok(Ok(info))) => (Some(DistAc::from_info(&info)), None),
        Ok(Ok(Err(CallError::NoProc))) => (Some(DistAc::Missing), None),
        // It ended meanwhile, and with it as a rule the node.
        Ok(Ok(Err(_)) | Err(_)) => (None, None),
    }
}

/// `erlang:process_info(whereis(dist_ac), current_function)`.
async fn waits_in(node: &Node, peer: &Atom, limit: Duration) -> Option<Term> {
    let pid = call(node, peer, "erlang", "whereis", vec![Term::atom("dist_ac")], limit).await?;
    call(node, peer, "erlang", "process_info", vec![pid, Term::atom("current_function")], limit).await
}

/// What a function of the node gives; nothing if that is an exception, or does not come in time.
async fn call(
    node: &Node,
    peer: &Atom,
    module: &'static str,
    function: &'static str,
    args: Vec<Term>,
    limit: Duration,
) -> Option<Term> {
    let asked = peer.clone();
    let answer = node.run(async move |mut context| {
        erpc::call(&mut context, asked.as_str(), module, function, args, Some(limit)).await
    });
    match answer.await? {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::info!(%peer, module, function, %error, "not told");
            None
        }
    }
}
