//! A node is waited for and says nothing. One of our own kind is asked again; a stock node may stand by for this very node
//! (dist_ac.md 6, L9).
//!
//! In L9 a stock node keeps an old belief that this node runs the application. Its weight then never comes, where ours
//! came before its timer was over; or it comes as the answer of one that stands by, and wins, and no start follows. It
//! waits for the death of a copy that is none. On the wire that looks like a node that takes its time, so it is asked: the
//! `Id` in its `dist_ac:info()` tells the two apart. A node that stands by for us is left out of the decision, and our M6
//! makes its belief true.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use etf::{Atom, Term};

use super::{
    Engine, Event, Output,
    appl::AppId,
    start::{Decision, Waiting},
};
use crate::heal;

/// How long it may take before it is asked for the first time: most starts are over by then. Each time the wait doubles.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// How often is asked in a row: a belief is there from the beginning, or does not come any more.
const ASKED_MAX: u32 = 5;

/// What a decision keeps of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Inquiry {
    /// Who is waited for.
    awaited: Vec<Atom>,
    /// When they are asked, if they are, and how often they were.
    due: Option<Instant>,
    times: u32,
    /// Nodes that stand by for this one.
    believers: BTreeSet<Atom>,
}

impl Inquiry {
    /// When to look again.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a node waits for the death of a copy here, and so will not start it.
    pub(super) fn stands_by_for_us(&self, node: &Atom) -> bool {
        self.believers.contains(node)
    }
}

impl Engine {
    /// The answer of a node that was asked.
    pub(super) fn on_info(&mut self, now: Instant, node: &Atom, info: &Term) {
        for at in 0..self.apps.len() {
            // Where it is not waited for, its answer may be older than what was said since.
            if !self.awaited(at).contains(node) {
                continue;
            }
            let app = self.apps[at].name.clone();
            if heal::id_in(info, &app) != Some(AppId::Distributed(self.me.clone())) {
                continue;
            }
            if let Some(Decision { inquiry, .. }) = &mut self.apps[at].decision {
                inquiry.believers.insert(node.clone());
            }
            self.event(Event::BeliefDropped { app, node: node.clone() });
            self.evaluate(now, at);
        }
    }

    /// After each look at a decision.
    pub(super) fn inquire(&mut self, now: Instant, at: usize) {
        let awaited = self.awaited(at);
        let Some(Decision { inquiry, .. }) = &mut self.apps[at].decision else { return };
        if inquiry.awaited != awaited {
            let due = (!awaited.is_empty()).then_some(now + ASK_AFTER);
            (inquiry.awaited, inquiry.due, inquiry.times) = (awaited, due, 0);
        } else if inquiry.due.is_some_and(|due| due <= now) {
            inquiry.times += 1;
            let more = inquiry.times < ASKED_MAX;
            inquiry.due = more.then_some(now + ASK_AFTER * (1 << inquiry.times));
            for node in awaited {
                self.ask_again(now, at, node);
            }
        }
    }

    /// One of our own kind says by itself what it believes, where it has heard the question. It may have taken it for
    /// the echo of an answer.
    fn ask_again(&mut self, now: Instant, at: usize, node: Atom) {
        match self.apps[at].decision.as_ref().map(|decision| &decision.waiting) {
            _ if !self.is_ours(&node) => self.outputs.push_back(Output::AskInfo { node }),
            Some(Waiting::Weights) => self.ask_weight(now, at, &node),
            _ => self.send_status(&node, false),
        }
    }

    /// Nodes without whom a decision does not go on.
    fn awaited(&self, at: usize) -> Vec<Atom> {
        let app = &self.apps[at];
        let awaited = match app.decision.as_ref().map(|decision| &decision.waiting) {
            Some(Waiting::Node(node)) => vec![node.clone()],
            Some(Waiting::Weights) => app.ballots.silent(),
            Some(Waiting::Any | Waiting::Introductions | Waiting::Starter(_)) | None => Vec::new(),
        };
        awaited.into_iter().filter(|node| self.peers.contains_key(node)).collect()
    }
}
