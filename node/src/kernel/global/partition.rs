//! The loss of nodes, and how overlapping partitions are prevented (cluster-services.md 1.9).
//!
//! ```text
//!  A loses B:    A ── lost_connection(A, B) ──► all members
//!  C hears it:   C ── the same ──► all members but A;   C ── remove_connection(C) ──► B;   C forgets B
//!  B hears C:    B closes its connection to C and forgets C
//! ```
//!
//! So when one link of {A, B, C} breaks, all three end up alone: nobody can tell a broken link from a dead node.
//!
//! A node that dies is lost by everyone within a moment, but not in one order: who hears that another has lost it
//! before he has noticed himself takes it for a partition, and says so in his log. So here the node that another lost
//! is left out only after `Config::loss_grace`, and not at all if its connection goes, or comes anew, before. Stock
//! nodes do not wait, and now and then warn of a node that is dead. What is told to others is told at once, as by them:
//! told later, it could meet the same node started again.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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

/// How long a node that was asked to close its connection may take. It does so at once, but for one that had forgotten
/// us by itself: that one takes the request for none of its business, if it is a BEAM.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a node may be a member for one side only: the word of the third that brings it is under way, and that one
/// has locked both partitions. More than any message takes.
const STRANGER_PATIENCE: Duration = Duration::from_secs(15);

/// The losses that we have heard of: who lost whom.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<(Atom, Atom), Heard>);

/// Nodes that something is to be done about, in the order in which their time comes; each of them once.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<(Instant, Atom)>);

impl Waiting {
    pub(super) fn wake(&self) -> Option<Instant> {
        self.0.front().map(|(due, _)| *due)
    }

    /// The time must not be before that of the others.
    pub(super) fn add(&mut self, due: Instant, node: Atom) {
        self.0.push_back((due, node));
    }

    pub(super) fn due(&mut self, now: Instant) -> Option<Atom> {
        self.wake().filter(|due| *due <= now)?;
        self.0.pop_front().map(|(_, node)| node)
    }

    /// The connection to a node is gone, or is a new one: what others lost is settled.
    pub(super) fn settle(&mut self, node: &Atom) {
        self.0.retain(|(_, waiting)| waiting != node);
    }
}

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
        let was_up = self.up.remove(node);
        self.early_in_sync.remove(node);
        self.losses.settle(node);
        self.removals.settle(node);
        self.strangers.settle(node);
        self.acks.settle(node);
        self.drop_processes_of(node);
        // One that was never up for us is none that we have lost.
        if self.removing.remove(node) || !was_up {
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
        // Bounded by the number of members: each waits once.
        if self.is_member(&remove) && !self.losses.0.iter().any(|(_, node)| *node == remove) {
            self.losses.0.push_back((now + self.config.loss_grace, remove));
        }
    }

    /// Leaves out the nodes whose time has come.
    pub(super) fn losses_due(&mut self, now: Instant) {
        while let Some(node) = self.losses.due(now) {
            if self.prevents_overlapping() && self.is_member(&node) {
                self.leave_out(&node);
            }
        }
    }

    /// Leaves out those that are connected, and of which one takes the other for a member and the other does not.
    ///
    /// That happens where the member that brought the two together is gone before it has told both. On the BEAM it stays
    /// so until their connection breaks.
    pub(super) fn strangers_due(&mut self, now: Instant) {
        // Who is a member for itself: his `in_sync` came. Who is none for itself: his `init_connect` waits.
        let halves = self.synced.iter().filter(|node| !self.known.contains_key(*node));
        let halves = halves.chain(self.pre_connect.keys().filter(|node| self.known.contains_key(*node)));
        let mut halves: BTreeSet<Atom> = halves
            .filter(|node| self.up.contains(*node) && !self.removing.contains(*node))
            .cloned()
            .collect();
        // Those that wait already go on waiting; the others are settled.
        self.strangers.0.retain(|(_, node)| halves.remove(node));
        let due = now + STRANGER_PATIENCE;
        self.strangers.0.extend(halves.into_iter().map(|node| (due, node)));
        while let Some(node) = self.strangers.due(now) {
            self.leave_out(&node);
        }
    }

    /// Leaves out at once those whose time would come: we are about to tell others who our members are.
    pub(super) fn settle_losses(&mut self) {
        for (_, node) in std::mem::take(&mut self.losses.0) {
            if self.prevents_overlapping() && self.is_member(&node) {
                self.leave_out(&node);
            }
        }
    }

    fn is_member(&self, node: &Atom) -> bool {
        self.known.contains_key(node) || self.pending.contains_key(node)
    }

    fn leave_out(&mut self, node: &Atom) {
        let done = if self.node_vsn(node) < VSN_NODE_VERSIONS {
            self.out.push_back(Output::Disconnect { node: node.clone() });
            Removal::DisconnectedOld
        } else {
            let own = self.config.node.clone();
            self.send_info(node, &Info::RemoveConnection { node: own });
            Removal::Requested
        };
        self.remove(node, done);
    }

    pub(super) fn remove_connection(&mut self, node: &Atom) {
        // Left open, the connection would keep two nodes together that have forgotten each other: also where we have
        // done so already, or have just begun anew. OTP closes it for a member only.
        if self.up.contains(node) || self.is_member(node) {
            self.out.push_back(Output::Disconnect { node: node.clone() });
            self.remove(node, Removal::Disconnected);
        }
    }

    /// Closes the connections that others were asked to close and have not.
    pub(super) fn removals_due(&mut self, now: Instant) {
        for node in &self.removing {
            if self.removals.0.iter().all(|(_, waiting)| waiting != node) {
                self.removals.0.push_back((now + REMOVAL_PATIENCE, node.clone()));
            }
        }
        while let Some(node) = self.removals.due(now) {
            if self.removing.contains(&node) && self.up.contains(&node) {
                self.out.push_back(Output::Disconnect { node });
            }
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
