//! A stock node says that it runs an application, and does not.
//!
//! Its `dist_ac` serves one message after the other. Where an M6 of somebody else lies before the end of its own start in
//! the mailbox, it has its copy stopped for the first, and tells everybody of the second: from then on it believes in
//! a copy that is none, and so does everybody else. Its application controller knows better. So a stock node that says that
//! it runs one is asked there a second later. Once more if it does not: news of a takeover by somebody else may be on their
//! way. After that nobody stands by for it, and it is decided again without that node; unless it says so once more, and its
//! application controller as well.

use std::time::{Duration, Instant};

use etf::Atom;

use super::{Engine, Output};

/// The wait before each question.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// So often it says that it does not run it.
const DENIALS: u32 = 2;

/// A node of which it is to be known whether it runs an application.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    node: Atom,
    state: State,
    denials: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// It is asked at that time.
    Due(Instant),
    /// The answer to that question counts, or a later one.
    Asked(u64),
}

impl Engine {
    /// A node has said that it runs it.
    pub(super) fn suspect(&mut self, now: Instant, at: usize, node: &Atom) {
        if self.peers.contains_key(node) && !self.is_ours(node) {
            let state = State::Due(now + ASKED_AFTER);
            // Of one that is left out nothing is believed yet, and once is enough.
            let denials = if self.is_left_out(at, node) { DENIALS - 1 } else { 0 };
            self.apps[at].suspect = Some(Suspect { node: node.clone(), state, denials });
        }
    }

    pub(super) fn ask_suspect(&mut self, at: usize) {
        let believed = self.runner(at);
        let Some(node) = self.apps[at].suspect.as_ref().map(|suspect| suspect.node.clone()) else { return };
        let counts = believed.as_ref() == Some(&node) || self.is_left_out(at, &node);
        let (Some(suspect), Some(peer)) =
            (&mut self.apps[at].suspect, self.peers.get_mut(&node).filter(|_| counts))
        else {
            return self.apps[at].suspect = None;
        };
        let (number, ask) = peer.copies_asked.ask();
        suspect.state = State::Asked(number);
        if ask {
            self.outputs.push_back(Output::AskRunning { node });
        }
    }

    /// What runs at a node, as its application controller says; nothing where that says nothing.
    pub(super) fn on_running_there(&mut self, now: Instant, node: &Atom, running: Option<&[Atom]>) {
        let Some(peer) = self.peers.get_mut(node) else { return };
        let (question, again) = peer.copies_asked.answered();
        if again {
            peer.copies_asked.ask();
            self.outputs.push_back(Output::AskRunning { node: node.clone() });
        }
        for at in 0..self.apps.len() {
            let app = &mut self.apps[at];
            let asked = |suspect: &mut Suspect| {
                suspect.node == *node && matches!(suspect.state, State::Asked(number) if number <= question)
            };
            let Some(mut suspect) = app.suspect.take_if(asked) else { continue };
            if running.is_some_and(|running| running.contains(&app.name)) {
                self.take_back(now, at, node);
                continue;
            } else if running.is_none() {
                continue;
            }
            suspect.denials += 1;
            if suspect.denials < DENIALS {
                suspect.state = State::Due(now + ASKED_AFTER);
                app.suspect = Some(suspect);
            } else if self.runner(at).as_ref() == Some(node) {
                self.drop_belief(now, at, node);
                if let Some(decision) = &mut self.apps[at].decision {
                    decision.inquiry.leave_out(node);
                    self.evaluate(now, at);
                }
            } else {
                self.stays_left_out(now, at, node);
            }
        }
    }
}

impl super::App {
    /// When a node is to be asked whether it really runs it.
    pub(super) fn suspect_due(&self) -> Option<Instant> {
        match self.suspect.as_ref()?.state {
            State::Due(at) => Some(at),
            State::Asked(_) => None,
        }
    }
}
