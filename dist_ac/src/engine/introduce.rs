//! How two nodes get to know each other: nodeup, M1 and the lock `sync_dacs` (dist_ac.md 1.1, 2.5).
//!
//! A stock node introduces itself once, at its boot, and waits for each answer. This node asks whoever comes up
//! whether it knows us already, and only then introduces itself; so it is welcome to booting and to long running
//! peers, and a stock peer never gets the second introduction that makes two of them answer each other without end
//! (dist_ac.md 6, L12).
//!
//! ```text
//!  Connected ──go── Probed ──"knows us not"── WantsLock ──sync_dacs held── Asked ──M1── Done
//!      │              │ └──"knows us"─────────────────────────────────────────────────── Done
//!      │              └──"no such process"── NoDistAc                                     ▲
//!      └──────────────────────── M1 in any of these: it introduces itself; answer M1 ─────┘
//! ```

use std::time::{Duration, Instant};

use etf::Atom;

use super::{
    Engine, Event, INTRODUCTION_PATIENCE, Lock, Message, Output, SyncLock,
    appl::{AppId, Appl},
    crossing::Unread,
    inquiry::Questions,
    wire::VERSION,
};
use crate::exchange::ToController;

/// How long to wait for the lock before introducing without it, and how long to hold it. A stock node in a blocked
/// decision refuses the lock to everybody; and one that blocks while the lock is held could keep the peer it waits
/// for from ever starting.
const SYNC_LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// For so long a start result outweighs what a third node says of itself when it is met.
const HEARD_LIFE: Duration = Duration::from_secs(5);

/// How often a peer is asked in that time whether it still runs there.
const ASKED_MAX: u32 = 5;

/// A connected node.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) hidden: bool,
    introduction: Introduction,
    /// It is of our own kind: it has sent a status.
    ours: bool,
    /// It is, and has said what runs and starts there since it met us.
    confirmed: bool,
    /// The application of the last weight that it had from us.
    pub(super) newest_weight: Option<Atom>,
    /// What it was told and may not have read.
    pub(super) unread: Unread,
    /// Since when it owes an answer, and has said nothing.
    pub(super) asked_since: Option<Instant>,
    /// It was not introduced in this life; what runs there comes with its `dist_ac:info()`.
    pub(super) knows_us_from_before: bool,
    /// Of its `dist_ac:info()`.
    pub(super) questions: Questions,
    /// Of what runs there.
    pub(super) copies_asked: Questions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Introduction {
    Asked,
    Connected,
    Done,
    NoDistAc,
    Probed,
    WantsLock,
}

impl Engine {
    pub(super) fn on_node_up(&mut self, now: Instant, node: Atom, hidden: bool) {
        if node == self.me {
            return;
        }
        let introduction = Introduction::Connected;
        let (newest_weight, unread) = (None, Unread::default());
        let (ours, confirmed, asked_since) = (false, false, None);
        let (questions, copies_asked) = (Questions::default(), Questions::default());
        let peer = Peer {
            hidden,
            introduction,
            ours,
            confirmed,
            newest_weight,
            unread,
            asked_since,
            knows_us_from_before: false,
            questions,
            copies_asked,
        };
        self.peers.insert(node.clone(), peer);
        if self.go {
            self.probe(&node);
        }
        self.evaluate_all(now);
    }

    pub(super) fn on_go(&mut self, now: Instant) {
        if std::mem::replace(&mut self.go, true) {
            return;
        }
        for app in self.apps.iter().map(|app| app.name.clone()).collect::<Vec<_>>() {
            self.tell(ToController::ControlApplication { app });
        }
        self.outputs.push_back(Output::TookControl);
        for node in self.peers.keys().cloned().collect::<Vec<_>>() {
            if self.peers[&node].introduction == Introduction::Done {
                self.show_permissions(&node);
                if let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.ours) {
                    // What starts there may have begun while this node was no candidate: it says so again.
                    peer.confirmed = false;
                    self.send_status(&node, false);
                }
            } else {
                self.probe(&node);
            }
        }
        self.sync_until = Some(now + INTRODUCTION_PATIENCE);
        self.check_first_introductions(now);
    }

    /// The answer to a probe; nothing where the node has no `dist_ac`.
    pub(super) fn on_known(&mut self, now: Instant, node: &Atom, nodes: Option<&[Atom]>) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        if peer.introduction != Introduction::Probed {
            return; // It introduced itself meanwhile.
        }
        match nodes {
            None => {
                peer.introduction = Introduction::NoDistAc;
                self.event(Event::NoDistAc { node: node.clone() });
            }
            // From before: it missed that this node was down (dist_ac.md 6, L11), and must not be introduced to it again
            // (L12). It says what runs there where it is asked.
            Some(nodes) if nodes.contains(&self.me) => {
                peer.knows_us_from_before = true;
                self.introduced(node);
                self.ask_info(now, node.clone());
            }
            Some(_) => {
                peer.introduction = Introduction::WantsLock;
                match self.sync_lock {
                    SyncLock::Free => {
                        self.sync_lock = SyncLock::Asked(now + SYNC_LOCK_PATIENCE);
                        let nodes = self.all_nodes();
                        self.outputs.push_back(Output::Lock { lock: Lock::SyncDacs, nodes, retry: true });
                    }
                    SyncLock::Asked(_) => {}
                    SyncLock::Held(_) | SyncLock::Late => self.introduce_all(),
                }
            }
        }
        self.check_first_introductions(now);
        self.evaluate_all(now);
    }

    pub(super) fn on_sync_lock(&mut self, now: Instant) {
        self.sync_lock = SyncLock::Held(now + SYNC_LOCK_PATIENCE);
        self.introduce_all();
        self.check_sync_lock();
    }

    pub(super) fn on_introduce_timeout(&mut self, now: Instant) {
        match self.sync_lock {
            SyncLock::Asked(at) if at <= now => {
                self.sync_lock = SyncLock::Late;
                self.introduce_all();
            }
            SyncLock::Held(at) if at <= now => self.release_sync_lock(),
            _ => {}
        }
        if self.sync_until.is_some_and(|at| at <= now) {
            self.sync_until = None;
            self.lock_calls();
        }
    }

    /// M1.
    pub(super) fn on_new_node(&mut self, now: Instant, node: Atom, appls: &[Appl], started: &[(Atom, Atom)]) {
        let introduction = match self.peers.get(&node) {
            Some(peer) if !peer.hidden => peer.introduction,
            _ => {
                let message = Message::NewNode {
                    version: VERSION,
                    node,
                    appls: appls.to_vec(),
                    started: started.to_vec(),
                };
                return self.ignore(message, "not connected");
            }
        };
        // As in a stock node, the answer is what this node knew before.
        let own = self.appls();
        self.merge(&node, appls);
        let there = started.iter().filter(|(at, _)| *at == node).map(|(_, app)| app.clone());
        let there: Vec<(Atom, Option<u64>)> = there.map(|app| (app, None)).collect();
        match introduction {
            // The answer, or an introduction that crossed ours: never answered, or both would go on for ever.
            Introduction::Asked => {
                self.introduced(&node);
                self.learn_running(now, &node, &there);
                self.tell_status(&node, &there);
                self.check_sync_lock();
            }
            Introduction::Done => self.learn_running(now, &node, &there),
            Introduction::Connected
            | Introduction::NoDistAc
            | Introduction::Probed
            | Introduction::WantsLock => {
                let started = self.running_here().into_iter().map(|app| (self.me.clone(), app)).collect();
                // Before its own startup synchronisation is over this node starts nothing, so nobody may wait
                // for it: it comes as no candidate, and says so by M4 when it is ready.
                let appls = if self.go { own } else { Vec::new() };
                let me = self.me.clone();
                self.send_status(&node, false);
                self.send(&node, Message::NewNode { version: VERSION, node: me, appls, started });
                self.introduced(&node);
                if self.is_ours(&node) {
                    self.send_status(&node, true);
                }
                self.learn_running(now, &node, &there);
            }
        }
        self.learn_records(now, &node, appls);
        self.check_first_introductions(now);
        self.evaluate_all(now);
    }

    /// What may run and what runs at a node that knows this one from before: it does not say so again by itself.
    pub(super) fn on_old_acquaintance(
        &mut self,
        now: Instant,
        node: &Atom,
        appls: &[Appl],
        running: Vec<Atom>,
    ) {
        self.merge(node, appls);
        let there: Vec<_> = running.into_iter().map(|app| (app, None)).collect();
        self.learn_running(now, node, &there);
        if !self.is_ours(node) {
            self.tell_status(node, &there);
        }
    }

    /// What runs and starts at a node of our own kind.
    pub(super) fn on_status(
        &mut self,
        now: Instant,
        node: &Atom,
        met: bool,
        running: &[(Atom, Option<u64>)],
        starting: &[Atom],
    ) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        peer.ours = true;
        if !met {
            // It introduces itself next; or it has done so, and is ready to start applications only now.
            if peer.introduction == Introduction::Done {
                self.send_status(node, true);
                self.drop_beliefs(now, node, running, starting);
            }
            return;
        }
        peer.confirmed = true;
        // First what runs: who waits for the end of a start there takes over from it.
        let (arriving, running_before): (Vec<_>, Vec<_>) =
            running.iter().cloned().partition(|(app, _)| starting.contains(app));
        self.learn_running(now, node, &running_before);
        self.learn_arriving(now, node, &arriving);
        for at in 0..self.apps.len() {
            let starts = starting.contains(&self.apps[at].name);
            self.set_starter(now, at, node, starts);
        }
        self.check_first_introductions(now);
        self.evaluate_all(now);
    }

    /// A peer that asks for our state may wait for this node, which stands by for it: the two have missed, behind a lost
    /// link, that the application moved on and was lost.
    fn drop_beliefs(
        &mut self,
        now: Instant,
        node: &Atom,
        running: &[(Atom, Option<u64>)],
        starting: &[Atom],
    ) {
        for at in 0..self.apps.len() {
            let name = &self.apps[at].name;
            let there = running.iter().any(|(app, _)| app == name) || starting.contains(name);
            if !there && self.apps[at].id == AppId::Distributed(node.clone()) {
                self.drop_belief(now, at, node);
            }
        }
    }

    /// To every peer of our own kind: what runs and starts here.
    pub(super) fn broadcast_status(&mut self) {
        for node in self.known.clone() {
            if self.is_ours(&node) {
                self.send_status(&node, true);
            }
        }
    }

    /// One of our own kind that is known is to say again what runs and starts there.
    pub(super) fn confirm_again(&mut self, node: &Atom) {
        let done = |peer: &&mut Peer| peer.ours && peer.introduction == Introduction::Done;
        if let Some(peer) = self.peers.get_mut(node).filter(done) {
            peer.confirmed = false;
            self.send_status(node, false);
        }
    }

    /// To every peer of our own kind but one, before the M6 of a takeover: that it runs here, and that this was a start
    /// until now. Whoever runs it as well settles it with this node; for all others the M6 will do.
    pub(super) fn broadcast_arrival(&mut self, at: usize, previous: &Atom) {
        let arrival = Some(self.apps[at].name.clone());
        for node in self.known.clone() {
            if node != *previous && self.is_ours(&node) {
                self.send_status_of(&node, true, arrival.clone());
            }
        }
    }

    /// It is of our own kind, and has not said yet what runs there.
    pub(super) fn is_unconfirmed(&self, node: &Atom) -> bool {
        self.peers.get(node).is_some_and(|peer| peer.ours && !peer.confirmed)
    }

    pub(super) fn is_ours(&self, node: &Atom) -> bool {
        self.peers.get(node).is_some_and(|peer| peer.ours)
    }

    /// Whether every connected node that may run the application has been met.
    pub(super) fn has_met_candidates(&self, at: usize) -> bool {
        let nodes = &self.apps[at].nodes;
        !self.peers.iter().any(|(node, peer)| peer.is_unresolved() && nodes.contains(node))
    }

    /// After a node went down: what waited for its answer goes on.
    pub(super) fn check_introductions(&mut self, now: Instant) {
        self.check_sync_lock();
        self.check_first_introductions(now);
    }

    fn probe(&mut self, node: &Atom) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        if !peer.hidden && peer.introduction == Introduction::Connected {
            peer.introduction = Introduction::Probed;
            self.outputs.push_back(Output::Probe { node: node.clone() });
        }
    }

    /// Sends M1 to everybody who waits for the lock.
    fn introduce_all(&mut self) {
        let mut waiting = Vec::new();
        for (node, peer) in &mut self.peers {
            if peer.introduction == Introduction::WantsLock {
                peer.introduction = Introduction::Asked;
                waiting.push(node.clone());
            }
        }
        for node in waiting {
            let (me, appls) = (self.me.clone(), self.appls());
            self.send_status(&node, false);
            self.send(&node, Message::NewNode { version: VERSION, node: me, appls, started: Vec::new() });
        }
    }

    pub(super) fn send_status(&mut self, node: &Atom, met: bool) {
        self.send_status_of(node, met, None);
    }

    fn send_status_of(&mut self, node: &Atom, met: bool, arrival: Option<Atom>) {
        let starting = self.apps.iter().filter(|app| app.own_start.is_some() || app.unannounced);
        let starting = starting.map(|app| app.name.clone()).chain(arrival).collect();
        let running =
            self.running_here().into_iter().map(|app| (app.clone(), self.millis_since(&app))).collect();
        let (me, heal) = (self.me.clone(), self.heal.level);
        self.send(node, Message::Status { node: me, met, running, starting, heal });
    }

    /// After an own introduction: what runs here. A stock node learns it by M6, one at a time.
    fn tell_status(&mut self, node: &Atom, there: &[(Atom, Option<u64>)]) {
        if self.is_ours(node) {
            return self.send_status(node, true);
        }
        for app in self.running_here() {
            // It would end a conflict that is to be left.
            if self.heal.acts() || !there.iter().any(|(name, _)| *name == app) {
                self.tell_running(node, &app);
            }
        }
    }

    /// A stock node tells by the record's `Id` alone that it is starting an application.
    fn learn_records(&mut self, now: Instant, node: &Atom, appls: &[Appl]) {
        if self.is_ours(node) {
            return;
        }
        for appl in appls {
            if let Some(at) = self.find(&appl.name) {
                let starts = appl.id.is_atom("run_waiting") || appl.id.is_atom("takeover");
                self.set_starter(now, at, node, starts);
            }
        }
    }

    fn introduced(&mut self, node: &Atom) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        peer.introduction = Introduction::Done;
        if !self.known.contains(node) {
            self.known.insert(0, node.clone());
            self.event(Event::Introduced { node: node.clone() });
        }
    }

    /// Copies a peer's own permissions: nothing else that it says of applications counts (dist_ac.md 1.1).
    fn merge(&mut self, node: &Atom, appls: &[Appl]) {
        for app in &mut self.apps {
            if let Some(his) = appls.iter().find(|his| his.name == app.name) {
                let entry = his.run.iter().find(|(name, _)| name == node);
                app.set_permission(node, entry.and_then(|(_, permission)| *permission));
            }
        }
    }

    /// A peer has said what runs there.
    fn learn_running(&mut self, now: Instant, node: &Atom, apps: &[(Atom, Option<u64>)]) {
        for (name, since) in apps {
            if let Some(at) = self.find(name) {
                self.suspect(now, at, node);
            }
            match self.find(name) {
                // What a node says of itself when it is met may be older than another node's M6 on another link.
                Some(at) if self.heard_from_another(now, at, node) => self.doubt_runner(now, at, node),
                Some(at) if self.apps[at].started => self.learn_started(now, at, node, *since),
                Some(at) => {
                    // The two may have settled it already, and this be older than that.
                    let other = self.remote_started.get(name).filter(|other| *other != node).cloned();
                    if let Some(other) = other {
                        self.contest_between(now, at, &[node, &other]);
                    }
                    self.remember_started(name, node);
                }
                None => self.remember_started(name, node),
            }
        }
    }

    /// A takeover from somebody else is done there, and its M6 is right behind: only a copy here has to be settled.
    fn learn_arriving(&mut self, now: Instant, node: &Atom, apps: &[(Atom, Option<u64>)]) {
        for (name, since) in apps {
            if let Some(at) = self.find(name)
                && (self.apps[at].id == AppId::Local || self.apps[at].own_start.is_some())
            {
                self.learn_started(now, at, node, *since);
            }
        }
    }

    /// Another node is believed to run it. It may have moved from there behind a lost link, so that one is asked.
    pub(super) fn doubt_runner(&mut self, now: Instant, at: usize, node: &Atom) {
        match self.apps[at].id.clone() {
            AppId::Distributed(other) if other != *node && self.is_ours(&other) => {
                // And if one of them gives way, a third node may still say that it runs there.
                self.contest_between(now, at, &[node, &other]);
                // Where both say again and again that it runs there, they settle it, and one says so.
                let (times, since) = self.apps[at].asked.entry(other.clone()).or_insert((0, now));
                if *since + HEARD_LIFE <= now {
                    (*times, *since) = (0, now);
                }
                if *times < ASKED_MAX {
                    *times += 1;
                    self.started_elsewhere(now, at, node);
                    self.send_status(&other, false);
                }
            }
            AppId::Failover(_) => self.started_elsewhere(now, at, node),
            _ => self.contest(now, at, node),
        }
    }

    pub(super) fn heard_from_another(&self, now: Instant, at: usize, node: &Atom) -> bool {
        let heard = self.apps[at].heard.as_ref();
        heard.is_some_and(|(other, since)| {
            other != node && now < *since + HEARD_LIFE && self.peers.contains_key(other)
        })
    }

    fn tell_running(&mut self, node: &Atom, app: &Atom) {
        let message = Message::AppStarted { node: self.me.clone(), app: app.clone(), result: Ok(()) };
        self.send(node, message);
    }

    fn running_here(&self) -> Vec<Atom> {
        let local = self.apps.iter().filter(|app| app.id == AppId::Local && !app.unannounced);
        local.map(|app| app.name.clone()).collect()
    }

    /// To a node that was answered before this one could start anything: now it is a candidate.
    fn show_permissions(&mut self, node: &Atom) {
        let own = self.apps.iter().filter_map(|app| Some((app.name.clone(), app.permission_of(&self.me)??)));
        for (app, permission) in own.collect::<Vec<_>>() {
            let me = self.me.clone();
            self.send(node, Message::NewPermission { node: me, app, permission, is_running: false });
        }
    }

    fn check_sync_lock(&mut self) {
        let busy = self
            .peers
            .values()
            .any(|peer| matches!(peer.introduction, Introduction::Asked | Introduction::WantsLock));
        if !busy && matches!(self.sync_lock, SyncLock::Held(_)) {
            self.release_sync_lock();
        }
    }

    fn release_sync_lock(&mut self) {
        self.sync_lock = SyncLock::Free;
        self.outputs.push_back(Output::Unlock { lock: Lock::SyncDacs });
    }

    fn check_first_introductions(&mut self, now: Instant) {
        let over = !self.peers.values().any(Peer::is_unresolved);
        if self.go && self.sync_until.is_some_and(|at| over || at <= now) {
            self.sync_until = None;
            self.lock_calls();
        }
    }
}

impl Peer {
    pub(super) fn is_ours(&self) -> bool {
        self.ours
    }

    fn is_unresolved(&self) -> bool {
        let met = matches!(self.introduction, Introduction::Done | Introduction::NoDistAc);
        let resolved = met && self.ours == self.confirmed;
        !self.hidden && !resolved
    }
}
