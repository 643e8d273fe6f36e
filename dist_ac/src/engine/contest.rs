//! Two nodes say shortly after each other that they run an application.
//!
//! Mostly the second one took over from the first. But the two speak on links of their own: where they met each other as
//! two copies, and one gave way, what the loser had said may arrive behind what the winner said, and nobody says anything
//! more. So a node that stands by asks both, when that is over.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etf::Atom;

use super::{Engine, appl::AppId};

/// The wait after the second one: copies that meet have settled it by then.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Who said so, and what they say now.
#[derive(Debug, Clone)]
pub(super) struct Contest {
    /// When they are asked; nothing where they were.
    due: Option<Instant>,
    answers: BTreeMap<Atom, Option<bool>>,
}

impl Engine {
    /// A node says that it runs it; another one may have said so shortly before.
    pub(super) fn contest(&mut self, now: Instant, at: usize, node: &Atom) {
        if self.heard_from_another(now, at, node)
            && let Some((other, _)) = self.apps[at].heard.clone()
        {
            self.contest_between(now, at, [node, &other]);
        }
    }

    pub(super) fn contest_between(&mut self, now: Instant, at: usize, nodes: [&Atom; 2]) {
        let open = self.apps[at].contest.take().filter(|contest| contest.due.is_some());
        let mut answers = open.map(|contest| contest.answers).unwrap_or_default();
        answers.extend(nodes.map(|node| (node.clone(), None)));
        self.apps[at].contest = Some(Contest { due: Some(now + SETTLED_AFTER), answers });
    }

    /// It is over by now.
    pub(super) fn ask_contestants(&mut self, now: Instant, at: usize) {
        let believed = self.runner(at);
        let Some(contest) = self.apps[at].contest.as_mut().filter(|_| believed.is_some()) else {
            return self.apps[at].contest = None;
        };
        contest.due = None;
        contest.answers.retain(|node, _| self.peers.contains_key(node));
        for node in contest.answers.keys().cloned().collect::<Vec<_>>() {
            self.ask_info(now, node);
        }
    }

    /// What one of them says.
    pub(super) fn on_contest_answer(&mut self, now: Instant, at: usize, node: &Atom, id: &AppId) {
        let Some(contest) = &mut self.apps[at].contest else { return };
        if contest.due.is_some() {
            return;
        }
        if let Some(answer) = contest.answers.get_mut(node) {
            *answer = Some(*id == AppId::Local);
        }
        if contest.answers.values().any(Option::is_none) {
            return;
        }
        let Some(contest) = self.apps[at].contest.take() else { return };
        let run = |(node, answer): (Atom, Option<bool>)| (answer == Some(true)).then_some(node);
        let runners: Vec<Atom> = contest.answers.clone().into_iter().filter_map(run).collect();
        // Both: they have not met yet, and the loser will say so.
        let [runner] = runners.as_slice() else { return };
        if self
            .runner(at)
            .is_some_and(|believed| believed != *runner && contest.answers.contains_key(&believed))
        {
            self.on_started_there(now, at, runner);
        }
    }
}

impl super::App {
    /// When those are to be asked who said that they run it.
    pub(super) fn contest_due(&self) -> Option<Instant> {
        self.contest.as_ref()?.due
    }
}
