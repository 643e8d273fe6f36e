//! Two nodes report at the same moment that they run an application: which M6 the other one had read.
//!
//! An M6 stops the copy of whoever gets it, and is answered by nothing. Where two cross, both copies stop, and a stock
//! node that was blocked meanwhile even goes on believing in its own. So a stock node is asked for something after
//! each M6; as it serves one message after the other, its answer says that it has read the M6. What it reports before that
//! it decided without knowing of the copy here: that copy goes on, and says so once more.
//!
//! What it reports after that may be a takeover, which is obeyed. It may also be the end of a start of its own that lay
//! behind the M6, of a copy that is stopping already: `phantom.rs` sees to that.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use etf::Atom;

use super::{AppId, Engine, Event, Message, Output};

/// A node that takes longer was blocked. What it has read since may have its own start behind it, so that this answer
/// does not count.
const PROMPT: Duration = Duration::from_secs(1);

/// The applications of which a stock node was told that they run here, and may not have read it.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread {
    /// Those before the question that it has not answered; nothing where none is under way.
    asked: Option<(Instant, BTreeSet<Atom>)>,
    /// Those after it.
    since: BTreeSet<Atom>,
    /// Those that the node had started as well.
    crossed: BTreeSet<Atom>,
}

impl Unread {
    fn contains(&self, app: &Atom) -> bool {
        self.since.contains(app) || self.asked.as_ref().is_some_and(|(_, apps)| apps.contains(app))
    }
}

impl Engine {
    /// An M6 of this node went there. Of our own kind those are asked that are to give way.
    pub(super) fn told_running(&mut self, node: &Atom, app: Atom) {
        let yields = self.find(&app).is_some_and(|at| self.apps[at].yielding.contains(node));
        if let Some(peer) = self.peers.get_mut(node).filter(|peer| !peer.is_ours() || yields) {
            peer.unread.since.insert(app);
        }
    }

    /// After each event. One question at a time: a node that is blocked answers none.
    pub(super) fn ask_readers(&mut self, now: Instant) {
        for (node, peer) in &mut self.peers {
            let unread = &mut peer.unread;
            if unread.asked.is_none() && !unread.since.is_empty() {
                unread.asked = Some((now, std::mem::take(&mut unread.since)));
                self.outputs.push_back(Output::AskRead { node: node.clone() });
            }
        }
    }

    /// The node has read what it was sent before it was asked.
    pub(super) fn on_has_read(&mut self, now: Instant, node: &Atom) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        let ours = peer.is_ours();
        let unread = &mut peer.unread;
        if let Some((asked, names)) = unread.asked.take() {
            if asked + PROMPT < now {
                return unread.since.extend(names);
            }
            let names: Vec<Atom> =
                names.into_iter().filter(|name| ours && !unread.since.contains(name)).collect();
            for app in self.apps.iter_mut().filter(|app| names.contains(&app.name)) {
                // From now on what it says comes from one that knows of this copy.
                app.yielding.remove(node);
            }
        }
        if unread.since.is_empty() {
            // Others may have heard of the copy that stopped behind what they heard of this one.
            for app in std::mem::take(&mut unread.crossed) {
                self.tell_others(&app, node);
            }
        }
    }

    fn tell_others(&mut self, app: &Atom, loser: &Atom) {
        if self.id(app) != Some(&AppId::Local) {
            return;
        }
        let message = Message::AppStarted { node: self.me.clone(), app: app.clone(), result: Ok(()) };
        for node in self.known.clone() {
            if node != self.me && node != *loser {
                self.send(&node, message.clone());
            }
        }
    }

    /// Whether a node that says that it runs an application had not read that it runs here.
    pub(super) fn crosses(&self, at: usize, node: &Atom) -> bool {
        let app = &self.apps[at].name;
        self.peers.get(node).is_some_and(|peer| peer.unread.contains(app))
    }

    /// Its copy stops for the M6 that it is about to read; and if it started that copy behind it, for the next one.
    pub(super) fn stay(&mut self, now: Instant, at: usize, node: Atom) {
        let (me, app) = (self.me.clone(), self.apps[at].name.clone());
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.unread.crossed.insert(app.clone());
        }
        self.broadcast(&Message::AppStarted { node: me.clone(), app: app.clone(), result: Ok(()) });
        self.event(Event::ConflictResolved { app, winner: me, loser: node });
        self.end_round(at);
        self.evaluate(now, at);
    }
}
