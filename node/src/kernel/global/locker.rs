//! The locker: gets the lock in both partitions before they merge, without deadlock (cluster-services.md 1.5).
//!
//! Two nodes that connect each lock their own partition, under an id that both derive alike. Only one negotiation
//! is under way at a time; a `lock_set` of another peer waits for its end.
//!
//! ```text
//!             idle wait over: pick a candidate            lock_set(true) of a candidate
//!        ┌──────────────── Idle ──────────────────────────────────────┐
//!        ▼                  ▲ ▲ ▲                                     ▼
//!  Locking (initiator)      │ │ └── refused: lock_set(false) ── Locking (responder)
//!    │      └── refused ────┘ │                                       │ locked: lock_set(true),
//!    │ locked: lock_set(true) │                                       │         lock_is_set to the server
//!    ▼                        │                                       │
//!  AwaitPeer ── lock_set(true): lock_is_set to the server ──► AwaitCancel
//!    │ lock_set(false), cancel  │                                     │ cancel: send its new_nodes
//!    └──────────────► Releasing ◄─────────────────────────────────────┘
//!                 (boss last) └──► Idle
//! ```
//!
//! `Locking` has three steps: the boss of the partition (one node puts all contenders in a row), then this node and,
//! for an initiator, the peer (so that no ring of nodes each waiting for the next can form), then all others.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use etf::{Atom, Pid};

use super::{
    Engine,
    acquire::{Replies, SetLockOnNodes, Step, boss, split_boss},
    api::{Address, Output, Role, Warning},
    wire::{Call, Cast, LockId, Tag, VSN_LOCK_SET_BY_SERVER, VSN_VERIFY_CONNECT},
};

/// The most `lock_set` messages of one peer that wait. An honest peer has at most one or two under way.
const LOCK_SETS_MAX: usize = 16;

/// A peer to negotiate with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) node: Atom,
    /// His locker.
    pub(super) locker: Pid,
    /// The version that both speak.
    pub(super) vsn: u32,
    pub(super) my_tag: Tag,
    pub(super) his_tag: Tag,
}

#[derive(Debug)]
struct LockSet {
    locker: Pid,
    set: bool,
    tag: Option<Tag>,
}

#[derive(Debug, Default)]
pub(super) struct Locker {
    candidates: Vec<Candidate>,
    mailbox: VecDeque<LockSet>,
    /// When the idle wait is over; only while there are candidates.
    wake: Option<Instant>,
    /// No need to wait after a success.
    just_synced: bool,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Locking(Locking),
    /// Our partition is locked; what about the peer's?
    AwaitPeer(Held),
    /// Both are locked, until the server is done.
    AwaitCancel(Held),
    Releasing {
        id: LockId,
        boss: Option<Atom>,
    },
}

#[derive(Debug)]
struct Locking {
    with: Candidate,
    id: LockId,
    initiator: bool,
    /// The session ended meanwhile: whatever is locked is let go again.
    cancelled: bool,
    stage: Stage,
    /// Locked so far.
    taken: Vec<Atom>,
    lock: SetLockOnNodes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Boss,
    Us,
    Known,
    /// A later step was refused: what the earlier ones locked is given back.
    Undoing,
}

#[derive(Debug)]
struct Held {
    with: Candidate,
    id: LockId,
    taken: Vec<Atom>,
}

impl Locker {
    pub(super) fn wake(&self) -> Option<Instant> {
        if matches!(self.state, State::Idle) { self.wake } else { None }
    }

    fn candidate(&self, node: &Atom) -> Option<&Candidate> {
        self.candidates.iter().find(|him| &him.node == node)
    }

    /// The peer of the negotiation under way.
    fn partner(&self) -> Option<&Candidate> {
        match &self.state {
            State::Locking(locking) => Some(&locking.with),
            State::AwaitPeer(held) | State::AwaitCancel(held) => Some(&held.with),
            State::Idle | State::Releasing { .. } => None,
        }
    }
}

impl Engine {
    /// A peer whose session has begun.
    pub(super) fn locker_add(&mut self, him: Candidate) {
        self.locker.candidates.retain(|other| other.node != him.node);
        self.locker.candidates.push(him);
    }

    /// The server is done with a session, well or not. `new_nodes` are told to the old members before the lock is
    /// released: by the same sender, so that they arrive in this order.
    pub(super) fn locker_cancel(&mut self, node: &Atom, my_tag: &Tag, new_nodes: Vec<(Atom, Cast)>) {
        self.locker.candidates.retain(|him| &him.node != node || &him.my_tag != my_tag);
        let ours = |him: &Candidate| &him.node == node && &him.my_tag == my_tag;
        match &mut self.locker.state {
            State::Locking(locking) if ours(&locking.with) => locking.cancelled = true,
            State::AwaitPeer(held) if ours(&held.with) => self.locker_release(),
            State::AwaitCancel(held) if ours(&held.with) => {
                for (member, cast) in new_nodes {
                    // The member may be one that we know of, but are still connecting to.
                    let connect = self.is_coming(&member);
                    self.send_cast(Role::Locker, &member, connect, &cast);
                }
                self.locker.just_synced = true;
                self.locker_release();
            }
            State::Idle
            | State::Locking(_)
            | State::AwaitPeer(_)
            | State::AwaitCancel(_)
            | State::Releasing { .. } => {}
        }
    }

    /// A peer is gone: what it had still to say is void.
    pub(super) fn locker_forget(&mut self, node: &Atom) {
        self.locker.mailbox.retain(|message| message.locker.node() != node);
    }

    /// A peer's locker reports. With a tag it must be the current one.
    pub(super) fn lock_set(&mut self, locker: Pid, set: bool, tag: Option<Tag>) {
        let node = locker.node();
        if tag.is_some() && self.sessions.get(node).map(|session| &session.my_tag) != tag.as_ref() {
            return;
        }
        let expected = self.locker.candidate(node).is_some()
            || self.locker.partner().is_some_and(|him| &him.node == node);
        if !expected {
            if set {
                self.lock_not_there(&locker);
            }
            return;
        }
        if self.locker.mailbox.iter().filter(|m| m.locker.node() == node).count() >= LOCK_SETS_MAX {
            self.warn(Warning::Full { what: "a peer's queue of lock_set", max: LOCK_SETS_MAX });
            return;
        }
        self.locker.mailbox.push_back(LockSet { locker, set, tag });
    }

    /// Does the next thing that needs no reply of others; false if there is none.
    pub(super) fn locker_next(&mut self, now: Instant) -> bool {
        match &self.locker.state {
            State::Idle => {
                if let Some(message) = self.locker.mailbox.pop_front() {
                    self.respond(message);
                    return true;
                }
                self.idle(now)
            }
            State::AwaitPeer(held) => {
                let node = &held.with.node;
                let at = self.locker.mailbox.iter().position(|m| m.locker.node() == node);
                let Some(message) = at.and_then(|at| self.locker.mailbox.remove(at)) else { return false };
                self.peer_reports(&message);
                true
            }
            State::Locking(_) | State::AwaitCancel(_) | State::Releasing { .. } => false,
        }
    }

    pub(super) fn locker_replies(&mut self, replies: Replies) {
        match std::mem::take(&mut self.locker.state) {
            State::Locking(mut locking) if locking.stage == Stage::Undoing => {
                locking.taken.clear();
                self.refused(&locking);
            }
            State::Locking(mut locking) => {
                let step = locking.lock.replies(replies);
                self.locking_step(locking, step);
            }
            State::Releasing { id, boss: Some(boss) } => {
                let call = Call::DelLock(id.clone());
                self.locker.state = State::Releasing { id, boss: None };
                self.call_as(Role::Locker, vec![boss], &call);
            }
            State::Releasing { boss: None, .. } => self.locker.state = State::Idle,
            other @ (State::Idle | State::AwaitPeer(_) | State::AwaitCancel(_)) => {
                debug_assert!(false, "replies without a call");
                self.locker.state = other;
            }
        }
    }

    /// Waits while there are candidates, then picks one. The wait is never 0 after a failure: some other node of the
    /// partition should have its turn.
    fn idle(&mut self, now: Instant) -> bool {
        if self.locker.candidates.is_empty() {
            self.locker.wake = None;
            self.locker.just_synced = false;
            return false;
        }
        let wait = if std::mem::take(&mut self.locker.just_synced) {
            Some(Duration::ZERO)
        } else if self.locker.wake.is_none() {
            let wait_ms = idle_wait_ms(self.known.len());
            // Two that fail because of each other would fail again and again if they waited equally long.
            let jitter_ms = self.rng.below(wait_ms / 4);
            Some(Duration::from_millis(wait_ms + jitter_ms))
        } else {
            None
        };
        if let Some(wait) = wait {
            self.locker.wake = Some(now + wait);
        }
        if self.locker.wake.is_some_and(|wake| wake > now) {
            return false;
        }
        self.locker.wake = None;
        if !self.locks.is_global_set() {
            self.initiate();
        }
        true
    }

    /// Begins a negotiation with a random candidate, of the same host if there is one there.
    fn initiate(&mut self) {
        let own_host = host(&self.config.node);
        let locals = self.locker.candidates.iter().any(|him| host(&him.node) == own_host);
        let known = &self.known;
        self.locker.candidates.retain(|him| {
            let chosen_from = !locals || host(&him.node) == own_host;
            !chosen_from || !known.contains_key(&him.node)
        });
        let choice: Vec<&Candidate> =
            self.locker.candidates.iter().filter(|him| !locals || host(&him.node) == own_host).collect();
        #[expect(clippy::cast_possible_truncation, reason = "an index below a length")]
        let at = self.rng.below(choice.len() as u64) as usize;
        if let Some(him) = choice.get(at).copied().cloned() {
            self.lock_nodes_safely(him, true);
        }
    }

    /// A peer's locker wants to merge while we are idle.
    fn respond(&mut self, message: LockSet) {
        if !message.set {
            return;
        }
        match self.locker.candidate(message.locker.node()) {
            Some(him) if message.tag.as_ref().is_none_or(|tag| tag == &him.my_tag) => {
                let him = Candidate { locker: message.locker, ..him.clone() };
                self.lock_nodes_safely(him, false);
            }
            Some(_) => {}
            None => self.lock_not_there(&message.locker),
        }
    }

    fn lock_nodes_safely(&mut self, with: Candidate, initiator: bool) {
        let id = LockId::of_lockers(&self.config.locker, &with.locker);
        self.locker.wake = None;
        let boss = self.boss();
        // To lock this node first might stop one that has locked the boss already, so only look.
        let may = boss == self.config.node || self.locks.allows(&id);
        let (lock, step) = SetLockOnNodes::start(id.clone(), vec![boss], &self.config.node, true);
        let locking =
            Locking { with, id, initiator, cancelled: false, stage: Stage::Boss, taken: Vec::new(), lock };
        if may {
            self.locking_step(locking, step);
        } else {
            self.refused(&locking);
        }
    }

    fn locking_step(&mut self, mut locking: Locking, mut step: Step) {
        loop {
            match step {
                Step::Call(nodes, call) => {
                    self.locker.state = State::Locking(locking);
                    return self.call_as(Role::Locker, nodes, &call);
                }
                Step::Refused if locking.taken.is_empty() => return self.refused(&locking),
                Step::Refused => {
                    let call = Call::DelLock(locking.id.clone());
                    let nodes = locking.taken.clone();
                    locking.stage = Stage::Undoing;
                    self.locker.state = State::Locking(locking);
                    return self.call_as(Role::Locker, nodes, &call);
                }
                Step::Locked { taken } => {
                    locking.taken.extend(taken);
                    let nodes = match locking.stage {
                        Stage::Boss => {
                            locking.stage = Stage::Us;
                            let peer = locking.initiator.then(|| locking.with.node.clone());
                            std::iter::once(self.config.node.clone()).chain(peer).collect::<Vec<_>>()
                        }
                        Stage::Us => {
                            locking.stage = Stage::Known;
                            self.known.keys().cloned().collect()
                        }
                        Stage::Known | Stage::Undoing => return self.locked(locking),
                    };
                    let rest = nodes.into_iter().filter(|node| !locking.taken.contains(node)).collect();
                    let allows = self.locks.allows(&locking.id);
                    (locking.lock, step) =
                        SetLockOnNodes::start(locking.id.clone(), rest, &self.config.node, allows);
                }
            }
        }
    }

    /// Our partition is locked.
    fn locked(&mut self, locking: Locking) {
        let Locking { with, id, initiator, cancelled, taken, .. } = locking;
        let held = Held { with, id, taken };
        if cancelled {
            self.locker.state = State::AwaitPeer(held);
            return self.locker_release();
        }
        self.send_lock_set(&held.with, true);
        if initiator {
            self.locker.state = State::AwaitPeer(held);
        } else {
            self.both_locked(held);
        }
    }

    /// Our partition cannot be locked now. An initiator tries again later; who answers a peer tells it.
    fn refused(&mut self, locking: &Locking) {
        self.locker.state = State::Idle;
        if !locking.initiator && !locking.cancelled {
            self.send_lock_set(&locking.with, false);
        }
    }

    fn peer_reports(&mut self, message: &LockSet) {
        let State::AwaitPeer(held) = std::mem::take(&mut self.locker.state) else { return };
        let current = message.tag.as_ref().is_none_or(|tag| tag == &held.with.my_tag);
        match (current, message.set) {
            (true, true) => self.both_locked(held),
            (true, false) => {
                self.locker.state = State::AwaitPeer(held);
                self.locker_release();
            }
            (false, _) => self.locker.state = State::AwaitPeer(held),
        }
    }

    fn both_locked(&mut self, held: Held) {
        let (node, my_tag, requester) =
            (held.with.node.clone(), held.with.my_tag.clone(), held.id.requester.clone());
        self.locker.candidates.retain(|him| him.node != node || him.my_tag != my_tag);
        self.locker.state = State::AwaitCancel(held);
        self.lock_is_set(&node, &my_tag, requester);
    }

    fn locker_release(&mut self) {
        let (State::AwaitPeer(held) | State::AwaitCancel(held)) = std::mem::take(&mut self.locker.state)
        else {
            return;
        };
        let (others, boss) = split_boss(held.taken);
        let (now, then) = if others.is_empty() { (boss.into_iter().collect(), None) } else { (others, boss) };
        let call = Call::DelLock(held.id.clone());
        self.locker.state = State::Releasing { id: held.id, boss: then };
        self.call_as(Role::Locker, now, &call);
    }

    fn send_lock_set(&mut self, him: &Candidate, set: bool) {
        let tag = (him.vsn >= VSN_VERIFY_CONNECT).then(|| him.his_tag.clone());
        let known = self.known.keys().cloned().collect();
        let cast = Cast::LockSet { locker: self.config.locker.clone(), set, known, tag };
        let (to, term) = if him.vsn < VSN_LOCK_SET_BY_SERVER {
            (Address::Pid(him.locker.clone()), cast.to_term(him.vsn))
        } else {
            (Address::NameServer(him.node.clone()), cast.to_cast(him.vsn))
        };
        self.out.push_back(Output::Send { from: Role::Locker, to, connect: false, term });
    }

    /// The peer takes us for a candidate and we do not: his version is not known, so the oldest form it is.
    fn lock_not_there(&mut self, locker: &Pid) {
        let known = self.known.keys().cloned().collect();
        let cast = Cast::LockSet { locker: self.config.locker.clone(), set: false, known, tag: None };
        self.out.push_back(Output::Send {
            from: Role::Locker,
            to: Address::Pid(locker.clone()),
            connect: false,
            term: cast.to_term(0),
        });
    }

    fn boss(&self) -> Atom {
        let mut nodes: Vec<Atom> = self.known.keys().cloned().collect();
        nodes.push(self.config.node.clone());
        boss(&nodes).cloned().unwrap_or_else(|| self.config.node.clone())
    }
}

fn idle_wait_ms(known: usize) -> u64 {
    if known == 0 { 200 } else { (1000 + 100 * known as u64).min(3000) }
}

fn host(node: &Atom) -> &str {
    node.as_str().split_once('@').map_or("", |(_, host)| host)
}
