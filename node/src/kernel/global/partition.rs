//! The loss of nodes, and how overlapping partitions are prevented (cluster-services.md 1.9).
//!
//! ```text
//!  A loses B:    A ── lost_connection(A, B) ──► all members
//!  C hears it:   C ── the same ──► all members but A;   C ── remove_connection(C) ──► B;   C forgets B
//!  B hears C:    B closes its connection to C and forgets C
//! ```
//!
//! So when one link of {A, B, C} breaks, all three end up alone: nobody can tell a broken link from a dead node.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etf::{Atom, Term};

use super::{
    Engine,
    api::{Output, Removal, Warning},
    wire::{Info, LostConnection, VSN_NODE_VERSIONS},
};

/// How long a `lost_connection` is remembered, so that its copies on other ways are known as such.
const LOST_KEPT: Duration = Duration::from_secs(60 * 60);

/// The most losses remembered: those of a cluster of 128 nodes that falls apart completely, some 4 MB. Past it the
/// oldest go; a copy of one that comes after that is handled once more, which does no harm.
const LOST_MAX: usize = 16_384;

/// The losses that we have heard of: who lost whom.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<(Atom, Atom), Heard>);

#[derive(Debug)]
struct Heard {
    x_creation: Term,
    op_id: i64,
    at: Instant,
}

impl Lost {
    /// Whether it is news; then it is remembered.
    fn is_news(&mut self, now: Instant, lost: &LostConnection) -> bool {
        let key = (lost.node.clone(), lost.lost.clone());
        if let Some(heard) = self.0.get(&key)
            && heard.x_creation == lost.x_creation
            && lost.op_id <= heard.op_id
            && now.duration_since(heard.at) < LOST_KEPT
        {
            return false;
        }
        if self.0.len() >= LOST_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, heard| now.duration_since(heard.at) < LOST_KEPT);
            if self.0.len() >= LOST_MAX
                && let Some(oldest) = self.0.iter().min_by_key(|(_, heard)| heard.at).map(|(k, _)| k.clone())
            {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(key, Heard { x_creation: lost.x_creation.clone(), op_id: lost.op_id, at: now });
        true
    }
}

impl Engine {
    pub(super) fn node_down(&mut self, node: &Atom) {
        self.up.remove(node);
        self.drop_processes_of(node);
        if self.removing.remove(node) {
            self.forget(node);
        } else {
            self.lose(node);
        }
        self.wake_syncs(node);
        self.wake_disconnects(node);
    }

    /// A node is gone, or cannot be reached: the other members are told.
    pub(super) fn lose(&mut self, node: &Atom) {
        if self.prevents_overlapping() {
            let lost = LostConnection {
                node: self.config.node.clone(),
                x_creation: self.x_creation().into(),
                op_id: self.next_unique(),
                lost: node.clone(),
            };
            self.multicast(node, &Info::LostConnection(lost));
        }
        self.forget(node);
        self.wake_syncs(node);
    }

    pub(super) fn lost_connection(&mut self, now: Instant, lost: LostConnection) {
        let own = &self.config.node;
        // Nobody sends our own losses back to us.
        if !self.prevents_overlapping() || &lost.node == own || !self.lost.is_news(now, &lost) {
            return;
        }
        // Normally he whom the connection was lost to. If that is us, the loser will see to the rest.
        let remove = if &lost.lost == own { lost.node.clone() } else { lost.lost.clone() };
        self.multicast(&lost.node.clone(), &Info::LostConnection(lost));
        if !self.known.contains_key(&remove) && !self.pending.contains_key(&remove) {
            return;
        }
        let done = if self.node_vsn(&remove) < VSN_NODE_VERSIONS {
            self.out.push_back(Output::Disconnect { node: remove.clone() });
            Removal::DisconnectedOld
        } else {
            let own = self.config.node.clone();
            self.send_info(&remove, &Info::RemoveConnection { node: own });
            Removal::Requested
        };
        self.remove(&remove, done);
    }

    pub(super) fn remove_connection(&mut self, node: &Atom) {
        if self.known.contains_key(node) || self.pending.contains_key(node) {
            // Left open, the connection would keep two nodes together that have forgotten each other.
            self.out.push_back(Output::Disconnect { node: node.clone() });
            self.remove(node, Removal::Disconnected);
        }
    }

    /// Leaves a node out; its connection will go down without a word to others.
    fn remove(&mut self, node: &Atom, done: Removal) {
        if self.up.contains(node) {
            self.removing.insert(node.clone());
        }
        // OTP waits for its connection to go. In that time the names could be told to a third node, and stay there.
        self.drop_processes_of(node);
        self.forget(node);
        self.wake_syncs(node);
        let own = self.config.node.clone();
        self.warn(Warning::Overlapping { own, node: node.clone(), done });
    }

    /// To all members, and those that become members, but one.
    fn multicast(&mut self, except: &Atom, info: &Info) {
        let to: Vec<Atom> = self
            .known
            .iter()
            .chain(&self.pending)
            .filter(|(node, vsn)| *node != except && **vsn >= VSN_NODE_VERSIONS)
            .map(|(node, _)| node.clone())
            .collect();
        for node in to {
            self.send_info(&node, info);
        }
    }

    fn prevents_overlapping(&self) -> bool {
        self.config.connect_all && self.config.prevent_overlapping_partitions
    }

    fn x_creation(&self) -> i64 {
        self.config.creation_ext.wrapping_add(i64::from(self.config.name_server.creation))
    }
}
