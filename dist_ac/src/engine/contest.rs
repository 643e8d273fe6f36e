//! Who really runs an application, where there is a doubt.
//!
//! Two nodes say shortly after each other that they run it: mostly the second one took over from the first. But the two
//! speak on links of their own: where they met each other as two copies, and one gave way, what the loser had said may
//! arrive behind what the winner said, and nobody says anything more. Or each of two copies gives way to the other; or
//! one hears of another that is to give way to it, and does not know whether that one will. So whoever stands by, or
//! goes on, asks them when that is over; and where nobody runs it, it is decided again. Not before they were asked twice: while
//! it moves, the one may name the other before it starts, and the other the one when that has gone through.
//!
//! A stock node that has forgotten us does not tell us when it stops what it runs. So whoever stands by for one asks it now and
//! then.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etf::Atom;

use super::{Engine, appl::AppId};

/// The wait after the last one: copies that meet have settled it by then.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// A stock node is asked once in so long whether it still runs what we stand by for.
const CHECKED_EVERY: Duration = Duration::from_secs(60);

/// Who is said to run it, and what they say of it themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Contest {
    /// When they are asked; nothing where they were.
    due: Option<Instant>,
    answers: BTreeMap<Atom, Answer>,
    /// They were asked before, and nobody ran it.
    nobody: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// It comes with the one to that question, or a later one; nothing where it is not asked yet.
    Awaited(Option<u64>),
    Said(AppId),
}

impl Engine {
    /// A node says that it runs it; another one may have said so shortly before.
    pub(super) fn contest(&mut self, now: Instant, at: usize, node: &Atom) {
        if self.heard_from_another(now, at, node)
            && let Some((other, _)) = self.apps[at].heard.clone()
        {
            self.contest_between(now, at, &[node, &other]);
        } else if let Some(contest) = &mut self.apps[at].contest {
            if contest.due.is_none() {
                // What it said when it was asked is over.
                contest.answers.remove(node);
            } else {
                // It may be what it said before it gave way.
                contest.answers.insert(node.clone(), Answer::Awaited(None));
            }
        }
    }

    /// They are asked, and those whom that was to be asked before, when it is over.
    pub(super) fn contest_between(&mut self, now: Instant, at: usize, nodes: &[&Atom]) {
        let contest = self.apps[at].contest.get_or_insert_default();
        (contest.due, contest.nobody) = (Some(now + SETTLED_AFTER), false);
        contest.answers.extend(nodes.iter().map(|node| ((*node).clone(), Answer::Awaited(None))));
    }

    /// It is asked at once.
    pub(super) fn doubt(&mut self, now: Instant, at: usize, node: &Atom) {
        self.contest_between(now, at, &[node]);
        self.ask_contestants(now, at);
    }

    /// After everything that happens: for whom is stood by?
    pub(super) fn watch_beliefs(&mut self, now: Instant) {
        for app in &mut self.apps {
            let stock = |node: &&Atom| self.peers.get(*node).is_some_and(|peer| !peer.is_ours());
            let believed =
                if let AppId::Distributed(node) = &app.id { Some(node).filter(stock) } else { None };
            if app.checked.as_ref().map(|(node, _)| node) != believed {
                app.checked = believed.map(|node| (node.clone(), now + CHECKED_EVERY));
            }
        }
    }

    pub(super) fn check_belief(&mut self, now: Instant, at: usize) {
        let Some((node, due)) = &mut self.apps[at].checked else { return };
        *due = now + CHECKED_EVERY;
        let node = node.clone();
        // One that has not answered since the last time does not know itself what it does not run any more.
        if self.is_blocked(now, &node) {
            self.suspect(now, at, &node);
        }
        self.doubt(now, at, &node);
    }

    /// It is over by now.
    pub(super) fn ask_contestants(&mut self, now: Instant, at: usize) {
        let Some(mut contest) = self.apps[at].contest.take() else { return };
        contest.due = None;
        contest.answers.retain(|node, _| self.peers.contains_key(node));
        for (node, answer) in &mut contest.answers {
            *answer = Answer::Awaited(self.ask_info(now, node.clone()));
        }
        self.apps[at].contest = Some(contest);
    }

    /// What one of them says, in the answer to that question.
    pub(super) fn on_contest_answer(
        &mut self,
        now: Instant,
        at: usize,
        node: &Atom,
        question: u64,
        id: &AppId,
    ) {
        let Some(contest) = &mut self.apps[at].contest else { return };
        let Some(answer) = contest.answers.get_mut(node) else { return };
        if !matches!(answer, Answer::Awaited(Some(number)) if *number <= question) {
            return;
        }
        *answer = Answer::Said(id.clone());
        // There is somebody else to ask.
        if let AppId::Distributed(by) = id
            && *by != self.me
            && self.peers.contains_key(by)
            && !contest.answers.contains_key(by)
        {
            contest.answers.insert(by.clone(), Answer::Awaited(None));
            let number = self.ask_info(now, by.clone());
            if let Some(contest) = &mut self.apps[at].contest {
                contest.answers.insert(by.clone(), Answer::Awaited(number));
            }
        }
        self.settle_contest(now, at);
    }

    /// It has said nothing of this application.
    pub(super) fn no_contestant(&mut self, now: Instant, at: usize, node: &Atom) {
        let Some(contest) = &mut self.apps[at].contest else { return };
        if contest.answers.remove(node).is_some() {
            self.settle_contest(now, at);
        }
    }

    /// It is gone, and says nothing any more: the others decide it, where they have been asked.
    pub(super) fn lose_contestant(&mut self, now: Instant, at: usize, node: &Atom) {
        let Some(contest) = &mut self.apps[at].contest else { return };
        contest.answers.remove(node);
        if contest.due.is_none() {
            self.settle_contest(now, at);
        }
    }

    /// Once all of them have said it.
    fn settle_contest(&mut self, now: Instant, at: usize) {
        let open = |answer: &Answer| matches!(answer, Answer::Awaited(_));
        let settled = |contest: &mut Contest| !contest.answers.values().any(open);
        let Some(contest) = self.apps[at].contest.take_if(settled) else { return };
        let said = |node: &Atom| match contest.answers.get(node) {
            Some(Answer::Said(id)) => Some(id.clone()),
            _ => None,
        };
        let runners: Vec<&Atom> =
            contest.answers.keys().filter(|node| said(node) == Some(AppId::Local)).collect();
        let app = &self.apps[at];
        if app.own_start.is_some() {
            return; // Its end is told to everybody.
        }
        if app.id == AppId::Local {
            for runner in runners {
                self.meet_copy(now, at, runner);
            }
            return;
        }
        let idle = app.id == AppId::Undefined && app.decision.is_none();
        match (runners.as_slice(), self.runner(at)) {
            ([runner], Some(believed)) if believed != **runner && said(&believed).is_some() => {
                self.on_started_there(now, at, runner);
            }
            ([runner], None) if idle => self.on_started_there(now, at, runner),
            ([], Some(believed)) if said(&believed).is_some_and(|id| !starts(&id)) => {
                if contest.nobody {
                    return self.drop_belief(now, at, &believed);
                }
                let due = Some(now + SETTLED_AFTER);
                self.apps[at].contest = Some(Contest { due, nobody: true, answers: contest.answers });
            }
            // More than one: they have not met yet, and the loser will say so.
            _ => {}
        }
    }

    /// It runs there too, and that node knows of the copy here. Where it has not read yet that it is to give way, what it said
    /// may be from before that.
    fn meet_copy(&mut self, now: Instant, at: usize, node: &Atom) {
        if self.crosses(at, node) {
            return;
        }
        self.apps[at].yielding.remove(node);
        if self.is_ours(node) {
            // It says since when, and both decide by that.
            self.send_status(node, false);
        } else {
            self.learn_started(now, at, node, None);
        }
    }
}

fn starts(id: &AppId) -> bool {
    matches!(id, AppId::RunWaiting | AppId::Takeover)
}

impl super::App {
    /// When those are to be asked who said that they run it.
    pub(super) fn contest_due(&self) -> Option<Instant> {
        self.contest.as_ref()?.due
    }

    /// When the stock node is to be asked that runs it.
    pub(super) fn check_due(&self) -> Option<Instant> {
        self.checked.as_ref().map(|(_, due)| *due)
    }
}
