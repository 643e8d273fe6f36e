//! Global locks on the resource `dist_ac`. A process holds each, so that it is free again if that ends.

use crabnode::{
    Context,
    global::{LockId, Retries, del_lock, set_lock},
};
use etf::{Atom, Pid, Term};
use tokio::sync::{mpsc, oneshot};

use super::driver::Event;
use crate::engine::{Lock, wire::DIST_AC};

/// Takes a lock, says so, and gives it back when it is released.
pub(super) async fn hold(
    mut context: Context,
    lock: Lock,
    dist_ac: Pid,
    nodes: Vec<Atom>,
    retry: bool,
    events: mpsc::Sender<Event>,
    released: oneshot::Receiver<()>,
) {
    let requester = match lock {
        Lock::Call(_) => context.pid().into(),
        Lock::Start => dist_ac.into(),
        Lock::SyncDacs => Term::atom("sync_dacs"),
    };
    let id = LockId { resource: Term::atom(DIST_AC), requester };
    let retries = if retry { Retries::Infinity } else { Retries::Times(0) };
    let granted = set_lock(&mut context, id.clone(), Some(nodes.clone()), retries).await;
    if events.send(Event::Locked { lock, granted }).await.is_err() || !granted {
        return;
    }
    // An error says the same: the driver is gone, or has no use for it.
    let _ = released.await;
    del_lock(&mut context, id, Some(nodes)).await;
}
