//! A node is waited for and says nothing. One of our own kind is asked again; a stock node may stand by for this very node
//! (dist_ac.md 6, L9), or be blocked (L6 to L8).
//!
//! In L9 a stock node keeps an old belief that this node runs the application. Its weight then never comes, where ours
//! came before its timer was over; or it comes as the answer of one that stands by, and wins, and no start follows. It
//! waits for the death of a copy that is none. On the wire that looks like a node that takes its time, so it is asked: the
//! `Id` in its `dist_ac:info()` tells the two apart. A node that stands by for us is left out of the decision, and our M6
//! makes its belief true. One that stands by for a third node makes us ask that one: it runs it, and there is nothing to
//! decide; or it does not, and whoever stands by for it is left out. So is who stands by for a node that is gone, as neither
//! of us knows it; and, where it ran before, who was never told to start it.
//!
//! A stock node that answers nothing at all is blocked in a decision of its own, which may be for another application. It
//! is left out after a while, also if it was starting this one: what it starts later meets our copy like any other start.

use std::{
    collections::{BTreeMap, BTreeSet},
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

/// A stock node that still serves so long after the time of its failover had come has tried it, or is about to.
const FAILOVER_TAKES: Duration = Duration::from_secs(5);

/// How often is asked in a row: a belief is there from the beginning, or does not come any more. Half a minute in all.
const ASKED_MAX: u32 = 4;

/// After that a stock node is asked once in so long: it may have been blocked since, or be free again.
const ASK_STOCK_AGAIN: Duration = Duration::from_secs(60);

/// A stock node that has not answered for so long is blocked, and nobody waits for it.
const BLOCKED_AFTER: Duration = Duration::from_secs(25);

/// One that has not answered for so long cannot be asked whether it runs what others say runs there.
const MUTE_AFTER: Duration = Duration::from_secs(10);

/// Questions of one kind to a node, one at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Questions {
    /// How many there were in a row.
    count: u64,
    /// The last one is not answered.
    open: bool,
    /// And is to be asked once more then, as something has changed since.
    again: bool,
}

impl Questions {
    /// The number of the one whose answer is not older than this, and whether it is to be asked now.
    pub(super) fn ask(&mut self) -> (u64, bool) {
        if self.open {
            self.again = true;
            return (self.count + 1, false);
        }
        self.open = true;
        self.count += 1;
        (self.count, true)
    }

    /// The number of the one that is answered, and whether it is to be asked again. If not, nobody waits for an answer any
    /// more, and the numbers begin afresh: a node in the same place as before is the same.
    pub(super) fn answered(&mut self) -> (u64, bool) {
        self.open = false;
        let again = std::mem::take(&mut self.again);
        let count = self.count;
        if !again {
            self.count = 0;
        }
        (count, again)
    }
}

/// What a decision keeps of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Inquiry {
    /// Who is waited for.
    awaited: Vec<Atom>,
    /// When they are asked, if they are, and how often they were.
    due: Option<Instant>,
    times: u32,
    /// Who of them stands by for a third node, which is asked in turn.
    standing_by: BTreeMap<Atom, Atom>,
    /// Which stock nodes among them are about to start it, as they say since then.
    failing_over: BTreeMap<Atom, Instant>,
    /// Who of them will not start it.
    left_out: BTreeSet<Atom>,
}

impl Inquiry {
    /// When to look again.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a node waits for the death of a copy that is none, and so will not start it.
    pub(super) fn leaves_out(&self, node: &Atom) -> bool {
        self.left_out.contains(node)
    }

    /// It believes in a copy of its own that is none.
    pub(super) fn leave_out(&mut self, node: &Atom) {
        self.left_out.insert(node.clone());
    }
}

impl Engine {
    /// Asks for the `dist_ac:info()` of a node, one question at a time; gives the number of the one whose answer is not
    /// older than this.
    pub(super) fn ask_info(&mut self, now: Instant, node: Atom) -> Option<u64> {
        let peer = self.peers.get_mut(&node)?;
        peer.asked_since.get_or_insert(now);
        let (number, ask) = peer.questions.ask();
        if ask {
            self.outputs.push_back(Output::AskInfo { node });
        }
        Some(number)
    }

    /// A node says something.
    pub(super) fn hears_of(&mut self, node: &Atom) {
        if let Some(peer) = self.peers.get_mut(node) {
            peer.asked_since = None;
        }
    }

    fn is_silent(&self, now: Instant, node: &Atom, since: Duration) -> bool {
        let asked = self.peers.get(node).filter(|peer| !peer.is_ours()).and_then(|peer| peer.asked_since);
        asked.is_some_and(|asked| asked + since <= now)
    }

    /// Whether nobody waits for a node.
    pub(super) fn is_blocked(&self, now: Instant, node: &Atom) -> bool {
        self.is_silent(now, node, BLOCKED_AFTER)
    }

    /// The answer of a node that was asked.
    pub(super) fn on_info(&mut self, now: Instant, node: &Atom, info: &Term) {
        self.hears_of(node);
        self.serves(node);
        let Some(peer) = self.peers.get_mut(node) else { return };
        let (question, again) = peer.questions.answered();
        if again {
            self.ask_info(now, node.clone());
        }
        let (ids, known) = heal::ids_and_known(info);
        let new = self.peers.get_mut(node).is_some_and(|peer| std::mem::take(&mut peer.knows_us_from_before));
        if new {
            let running = ids.iter().filter(|(_, (id, _))| *id == AppId::Local).map(|(app, _)| app.clone());
            self.on_old_acquaintance(now, node, &heal::records(info), running.collect());
        }
        for at in 0..self.apps.len() {
            let Some((id, started)) = ids.get(&self.apps[at].name) else {
                self.no_contestant(now, at, node);
                continue;
            };
            self.on_contest_answer(now, at, node, question, id);
            // It was told of a copy when it had lost that node already, so that it never hears of its end.
            let is_gone = |by: &Atom| !self.peers.contains_key(by) && !known.contains(by);
            let is_stale = matches!(id, AppId::Distributed(by) if *by != self.me && is_gone(by));
            self.on_inquiry_answer(now, at, node, id.clone(), *started, is_stale);
        }
    }

    fn on_inquiry_answer(
        &mut self,
        now: Instant,
        at: usize,
        node: &Atom,
        id: AppId,
        started: bool,
        is_stale: bool,
    ) {
        let is_stock = !self.is_ours(node);
        // Where it is not waited for, its answer may be older than what was said since.
        let is_awaited = self.awaited(at).contains(node);
        let mute = match &id {
            AppId::Distributed(by) => self.is_silent(now, by, MUTE_AFTER),
            _ => false,
        };
        let restart_time = self.apps[at].restart_time.as_duration().unwrap_or_default();
        let (runs, rescues) = (self.runner(at).is_some(), self.apps[at].rescue.is_some());
        let super::App { decision: Some(Decision { inquiry, reply, .. }), starters, .. } = &mut self.apps[at]
        else {
            return;
        };
        let (before, reply) = (inquiry.left_out.clone(), *reply);
        let asked_often = inquiry.times == ASKED_MAX;
        let since = match id {
            AppId::Failover(_) => *inquiry.failing_over.entry(node.clone()).or_insert(now),
            _ => inquiry.failing_over.remove(node).unwrap_or(now),
        };
        match id {
            // It did not run it, and may do so by now: its application controller knows.
            AppId::Local if before.contains(node) => return self.suspect(now, at, node),
            AppId::Local => {
                self.suspect(now, at, node);
                self.started_elsewhere(now, at, node);
                return self.ask_forgotten_weights(now, at, node);
            }
            AppId::RunWaiting | AppId::Takeover => return,
            // There is nobody else to ask.
            AppId::Distributed(by) if mute => return self.started_elsewhere(now, at, &by),
            AppId::Distributed(by) if is_awaited && (by == self.me || (is_stale && is_stock)) => {
                inquiry.left_out.insert(node.clone());
            }
            // It was stopped where it ran: a stock node decides no more before it is stopped and started here as well. Nor does
            // one of ours, but it may be about to try again.
            AppId::Undefined if is_awaited && started && (is_stock || asked_often) => {
                inquiry.left_out.insert(node.clone());
            }
            // It was not started there at all. What ran does not stay down for that, nor where it is. One of ours may just have
            // been stopped while it started, and begins nothing again after a failed start.
            AppId::Undefined if is_awaited && (!reply || runs) && (is_stock || rescues) && asked_often => {
                inquiry.left_out.insert(node.clone());
            }
            // Its failover came to nothing, and it tries nothing again (L19).
            AppId::Failover(_) if is_awaited && is_stock && since + restart_time + FAILOVER_TAKES <= now => {
                inquiry.left_out.insert(node.clone());
            }
            AppId::Distributed(by) if is_awaited => {
                // It was starting it when it was met, and is not any more. One of ours says that by itself.
                if is_stock {
                    starters.remove(node);
                }
                inquiry.standing_by.insert(node.clone(), by.clone());
                self.ask_info(now, by);
            }
            _ => {}
        }
        self.leave_out_standbys(now, at, node, &before);
    }

    /// A node does not run it, and was asked because others stand by for it. Those `before` were left out already.
    fn leave_out_standbys(&mut self, now: Instant, at: usize, node: &Atom, before: &BTreeSet<Atom>) {
        let Some(Decision { inquiry, .. }) = &mut self.apps[at].decision else { return };
        let Inquiry { standing_by, left_out, .. } = inquiry;
        left_out.extend(standing_by.iter().filter(|(_, by)| *by == node).map(|(other, _)| other.clone()));
        standing_by.retain(|_, by| by != node);
        let new: Vec<Atom> = left_out.difference(before).cloned().collect();
        for node in new {
            let app = self.apps[at].name.clone();
            self.event(Event::BeliefDropped { app, node });
        }
        self.evaluate(now, at);
    }

    /// It runs at a node, and that one or others that stand by for it have not said their weight: it is not yet clear who goes
    /// before whom. They had our question while it was not known who runs it, kept it for a round of their own, and there is
    /// none (dist_ac.md 2.3). Now they answer it.
    fn ask_forgotten_weights(&mut self, now: Instant, at: usize, runner: &Atom) {
        let Some(Decision { inquiry, waiting: Waiting::Weights, .. }) = &self.apps[at].decision else {
            return;
        };
        let stands_by = |node: &Atom| node == runner || inquiry.standing_by.get(node) == Some(runner);
        let silent: Vec<Atom> = self.awaited(at).into_iter().filter(stands_by).collect();
        for node in silent {
            self.ask_weight(now, at, &node);
        }
    }

    /// It does not run there, though its `dist_ac` says so.
    pub(super) fn stays_left_out(&mut self, now: Instant, at: usize, node: &Atom) {
        let Some(Decision { inquiry, .. }) = &self.apps[at].decision else { return };
        let before = inquiry.left_out.clone();
        self.leave_out_standbys(now, at, node, &before);
    }

    /// It is known to run there.
    pub(super) fn take_back(&mut self, now: Instant, at: usize, node: &Atom) {
        if let Some(Decision { inquiry, .. }) = &mut self.apps[at].decision
            && inquiry.left_out.remove(node)
        {
            self.started_elsewhere(now, at, node);
        }
    }

    /// Whether a decision goes on without it.
    pub(super) fn is_left_out(&self, at: usize, node: &Atom) -> bool {
        self.apps[at].decision.as_ref().is_some_and(|decision| decision.inquiry.leaves_out(node))
    }

    /// After each look at a decision.
    pub(super) fn inquire(&mut self, now: Instant, at: usize) {
        let awaited = self.awaited(at);
        let stock: Vec<Atom> = awaited.iter().filter(|node| !self.is_ours(node)).cloned().collect();
        let Some(Decision { inquiry, .. }) = &mut self.apps[at].decision else { return };
        let goes_on = awaited.iter().any(|node| inquiry.awaited.contains(node));
        let new = awaited.iter().any(|node| !inquiry.awaited.contains(node));
        inquiry.awaited = awaited.clone();
        if awaited.is_empty() {
            inquiry.due = None;
        } else if !goes_on || (new && inquiry.due.is_none()) {
            (inquiry.due, inquiry.times) = (Some(now + ASK_AFTER), 0);
        } else if inquiry.due.is_some_and(|due| due <= now) && !stock.is_empty() && inquiry.times == ASKED_MAX
        {
            inquiry.due = Some(now + ASK_STOCK_AGAIN);
            for node in stock {
                self.ask_info(now, node);
            }
        } else if inquiry.due.is_some_and(|due| due <= now) {
            let last = inquiry.times == ASKED_MAX;
            inquiry.times += 1;
            inquiry.due = (!last).then_some(now + ASK_AFTER * (1 << inquiry.times));
            if !last {
                self.ask_again(now, at, awaited);
            }
        }
    }

    /// One of our own kind says by itself what runs there, where it has heard the question. It may have taken it for the
    /// echo of an answer.
    fn ask_again(&mut self, now: Instant, at: usize, awaited: Vec<Atom>) {
        let Some(decision) = &self.apps[at].decision else { return };
        let weights = decision.waiting == Waiting::Weights;
        // In the end others are asked as well: who runs it may be blocked.
        let asked = if decision.inquiry.times == ASKED_MAX { self.others(at) } else { awaited.clone() };
        for node in awaited.into_iter().filter(|node| self.is_ours(node)).collect::<Vec<_>>() {
            if weights {
                self.ask_weight(now, at, &node);
            } else {
                self.send_status(&node, false);
            }
        }
        for node in asked {
            self.ask_info(now, node);
        }
    }

    /// Nodes by whom a decision goes on.
    fn awaited(&self, at: usize) -> Vec<Atom> {
        let awaited = match self.apps[at].decision.as_ref().map(|decision| &decision.waiting) {
            Some(Waiting::Node(node)) => vec![node.clone()],
            Some(Waiting::Weights) => self.apps[at].ballots.silent(),
            Some(Waiting::Any) => self.others(at),
            Some(Waiting::Starter(node)) => vec![node.clone()],
            Some(Waiting::Introductions) | None => Vec::new(),
        };
        awaited.into_iter().filter(|node| self.peers.contains_key(node)).collect()
    }

    /// Other nodes that may run it.
    fn others(&self, at: usize) -> Vec<Atom> {
        let app = &self.apps[at];
        app.nodes.flat().into_iter().filter(|node| *node != self.me && app.permits(node)).collect()
    }
}
