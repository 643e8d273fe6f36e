//! The machine: who leads, when to look at whom, what was asked and answered. What is wrong is found in `diagnosis.rs`.
//!
//! The leader looks at every node in rounds. A round asks each stock node for `dist_ac:info()`, `application:info()` and
//! `nodes()`, and each member of ours for the first alone, or the first two where a stock node may wait for it. An
//! application controller and `nodes()` answer whatever `dist_ac` does; a `dist_ac` that does not is blocked. Its
//! question stays where it is: one for each node, however long that takes, or a node that waits for an hour would find
//! thousands of them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use etf::{Atom, Term};

use super::{
    Act, Fault, Heal, HealConfig, Repair,
    diagnosis::{Finding, Treatment},
    view::{self, Controller, DistAc, Waiting},
};
use crate::engine::{Event, appl::Nodes, wire::Message};

/// From one round to the next where all is well: so long may the return of a link go unnoticed.
const PERIOD: Duration = Duration::from_secs(1);

/// The same while something is wrong or on the move.
const PERIOD_URGENT: Duration = Duration::from_millis(200);

/// The same for so long as two may be waiting for each other: each application they fail over may take a round.
const PERIOD_BLOCKED: Duration = Duration::from_millis(60);

/// A node that is blocked for longer was not freed by what it was told.
const BLOCKED_SHORT: Duration = Duration::from_secs(10);

/// A node that is blocked for so long is not urgent any more: it may wait for a person.
const URGENT_FOR: Duration = Duration::from_secs(60);

/// A `dist_ac` that has not answered after so long is blocked.
const BLOCKED_AFTER: Duration = Duration::from_millis(300);

/// How long to wait for the answer of a `dist_ac`, blocked or not; then it is asked again.
const DIST_AC_LIMIT: Duration = Duration::from_secs(60);

/// How long to wait for the other answers. A node that does not give them is left alone in this round.
const RPC_LIMIT: Duration = Duration::from_secs(1);

/// A node without `dist_ac` is asked again after so long.
const NO_DIST_AC_FOR: Duration = Duration::from_secs(10);

/// The first wait between two acts that are the same. It doubles each time: an act that does not help is not to become
/// a storm.
const REPEAT_MIN: Duration = Duration::from_secs(1);

/// The first wait after an introduction: a second one before the first was read would be one too many (L12).
const INTRODUCE_AGAIN: Duration = Duration::from_secs(10);

/// The first wait after a takeover or a restart was asked for: it takes a lock and a start.
const TAKE_OVER_AGAIN: Duration = Duration::from_secs(10);

/// The first wait after a weight was told: a second one would be answered (L13).
const WEIGH_AGAIN: Duration = Duration::from_secs(30);

/// The first wait after a node was told to go on without another: a second time is for another wait.
const GO_ON_AGAIN: Duration = Duration::from_secs(30);

/// In what a node is blocked is asked after so long.
const WAITING_AFTER: Duration = Duration::from_secs(2);

/// The longest of these waits. An act that was not needed for twice as long starts afresh.
const REPEAT_MAX: Duration = Duration::from_secs(60);

/// Acts in one round. More than that at once is a cluster in a state that nobody foresaw.
const ACTS_MAX: usize = 64;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The answer to [`Output::Ask`].
    Answered {
        /// Who was asked.
        node: Atom,
        /// What.
        question: Question,
        /// What came of it.
        answer: Answer,
    },
    /// A member of ours says how much it heals, in its [`Message::Status`].
    Member {
        /// Which.
        node: Atom,
        /// Its level.
        heal: Heal,
    },
    /// The connection to a node is gone.
    NodeDown {
        /// Which.
        node: Atom,
    },
    /// A node is connected.
    NodeUp {
        /// Which.
        node: Atom,
        /// Hidden nodes are no peers.
        hidden: bool,
    },
    /// [`Healer::poll_timeout`] has come.
    Timeout,
}

/// What a node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// `application:info()`, by rpc.
    Controller,
    /// The gen call `info` of its `dist_ac`. To the own node as well.
    DistAc,
    /// `erlang:nodes()`, by rpc.
    Nodes,
    /// `erlang:process_info(whereis(dist_ac), backtrace)`, by rpc: in what it is blocked, and for whom.
    Waiting,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing in time, or an error.
    None,
    /// There is no `dist_ac`.
    NoProcess,
    /// What it said.
    Term(Term),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask a node; answered by [`Input::Answered`] within the limit, or by nothing if the node goes down.
    Ask {
        /// Whom.
        node: Atom,
        /// What.
        question: Question,
        /// How long to wait.
        limit: Duration,
    },
    /// Something to log or to show.
    Event(Event),
    /// Send `{nodedown, Down}` to the name `dist_ac` at a node.
    NodeDown {
        /// Where.
        node: Atom,
        /// Who is to be taken for dead.
        down: Atom,
    },
    /// `application:stop(App)` and then `application:start(App, RestartType)` at a node, by rpc; what they answer is not
    /// waited for.
    Restart {
        /// Where.
        node: Atom,
        /// The application.
        app: Atom,
        /// `permanent`, `transient` or `temporary`.
        restart_type: Term,
    },
    /// Send to the name `dist_ac` at a node.
    Send {
        /// Where.
        node: Atom,
        /// What; it speaks for other nodes.
        message: Message,
    },
    /// `application:takeover(App, RestartType)` at a node, by rpc; what it answers is not waited for.
    TakeOver {
        /// Where.
        node: Atom,
        /// The application.
        app: Atom,
        /// `permanent`, `transient` or `temporary`.
        restart_type: Term,
    },
}

/// A connected node, or this one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What it heals, if it is of ours.
    pub(super) ours: Option<Heal>,
    pub(super) dist_ac: Attention,
    pub(super) controller: Option<Controller>,
    pub(super) nodes: Option<Vec<Atom>>,
    /// Its `dist_ac` is blocked in this.
    pub(super) waiting: Option<Waiting>,
    /// Unanswered questions, and since when.
    asked: BTreeMap<Question, Instant>,
    /// It has no `dist_ac`; it is asked again then.
    again_at: Option<Instant>,
}

impl Seen {
    /// Its `dist_ac` has been blocked for so long that it is asked in what.
    fn hangs(&self, now: Instant) -> bool {
        matches!(self.dist_ac, Attention::Blocked(since) if since + WAITING_AFTER <= now)
    }
}

/// How its `dist_ac` is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Attention {
    /// It answered in this round.
    Answered(DistAc),
    /// It has not answered, since then.
    Blocked(Instant),
    /// It is not there, or was not asked yet.
    #[default]
    Unknown,
}

/// When an act was done last, and how often.
#[derive(Debug)]
struct Done {
    at: Instant,
    times: u32,
    /// What it mended was gone afterwards. If it comes again that is another time.
    helped: bool,
}

/// The machine. Members that do not lead ask nothing and do nothing.
#[derive(Debug)]
pub struct Healer {
    pub(super) me: Atom,
    pub(super) config: HealConfig,
    pub(super) nodes: BTreeMap<Atom, Seen>,
    /// The priority lists, as some node has told.
    pub(super) lists: BTreeMap<Atom, Nodes>,
    /// Since when an application was seen to run at a node.
    pub(super) since: BTreeMap<(Atom, Atom), Instant>,
    /// What was found in the last round, and since when.
    findings: BTreeMap<(Act, Fault), Instant>,
    done: BTreeMap<Act, Done>,
    round: Option<Instant>,
    next_round: Option<Instant>,
    /// Something happened in the middle of a round.
    soon: bool,
    outputs: VecDeque<Output>,
}

impl Healer {
    /// The healer of the node `me`. It does nothing unless its level is [`Heal::Cluster`].
    #[must_use]
    pub fn new(me: Atom, config: HealConfig) -> Self {
        let own = Seen { ours: Some(config.level), ..Seen::default() };
        Self {
            nodes: BTreeMap::from([(me.clone(), own)]),
            me,
            config,
            lists: BTreeMap::new(),
            since: BTreeMap::new(),
            findings: BTreeMap::new(),
            done: BTreeMap::new(),
            round: None,
            next_round: None,
            soon: false,
            outputs: VecDeque::new(),
        }
    }

    /// Takes what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.config.level != Heal::Cluster {
            return;
        }
        match input {
            Input::Answered { node, question, answer } => self.on_answer(now, &node, question, answer),
            Input::Member { node, heal } => {
                if let Some(seen) = self.nodes.get_mut(&node) {
                    seen.ours = Some(heal);
                }
                self.check_leader(now);
            }
            Input::NodeDown { node } => {
                self.nodes.remove(&node);
                self.since.retain(|(_, at), _| *at != node);
                // What was done is undone by that, and is no act that did not help.
                self.done.retain(|act, _| !act.concerns(&node));
                self.check_leader(now);
                self.hurry(now);
            }
            Input::NodeUp { node, hidden } => {
                if !hidden && node != self.me {
                    self.nodes.insert(node, Seen::default());
                }
                self.check_leader(now);
                self.hurry(now);
            }
            Input::Timeout => {}
        }
        self.go_on(now);
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Timeout`] if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.round {
            Some(began) => Some(began + self.patience()),
            None => self.next_round,
        }
    }

    /// Whether this node heals for all that it is connected to.
    #[must_use]
    pub fn leads(&self) -> bool {
        let willing = |(_, seen): &(&Atom, &Seen)| seen.ours == Some(Heal::Cluster);
        self.nodes.iter().find(willing).is_some_and(|(node, _)| *node == self.me)
    }

    /// The leader begins its rounds, and whoever leads no more forgets what it saw.
    fn check_leader(&mut self, now: Instant) {
        if !self.leads() {
            (self.round, self.next_round) = (None, None);
            self.findings.clear();
            self.done.clear();
            self.since.clear();
            for seen in self.nodes.values_mut() {
                *seen = Seen { ours: seen.ours, ..Seen::default() };
            }
        } else if self.next_round.is_none() && self.round.is_none() {
            self.next_round = Some(now);
        }
    }

    /// The next round is soon.
    fn hurry(&mut self, now: Instant) {
        self.soon = self.round.is_some();
        if let Some(at) = &mut self.next_round {
            *at = (*at).min(now + PERIOD_URGENT);
        }
    }

    fn go_on(&mut self, now: Instant) {
        if self.round.is_none() && self.next_round.is_some_and(|at| at <= now) {
            self.begin_round(now);
        }
        if let Some(began) = self.round.filter(|began| self.is_complete(now, *began)) {
            self.end_round(now, began);
        }
    }

    fn begin_round(&mut self, now: Instant) {
        (self.round, self.next_round) = (Some(now), None);
        let somebody_hangs = self.nodes.values().any(|seen| seen.hangs(now));
        for (node, seen) in &mut self.nodes {
            (seen.controller, seen.nodes, seen.waiting) = (None, None, None);
            if let Attention::Answered(_) = seen.dist_ac {
                seen.dist_ac = Attention::Unknown;
            }
            if seen.again_at.take_if(|at| *at <= now).is_none() && seen.again_at.is_some() {
                continue;
            }
            let questions: &[Question] = match seen.ours {
                // It may be waited for.
                Some(_) if somebody_hangs => &[Question::DistAc, Question::Controller],
                Some(_) => &[Question::DistAc],
                None if seen.hangs(now) => {
                    &[Question::DistAc, Question::Controller, Question::Nodes, Question::Waiting]
                }
                None => &[Question::DistAc, Question::Controller, Question::Nodes],
            };
            for question in questions {
                let limit = if *question == Question::DistAc { DIST_AC_LIMIT } else { RPC_LIMIT };
                if !seen.asked.contains_key(question) {
                    seen.asked.insert(*question, now);
                    self.outputs.push_back(Output::Ask { node: node.clone(), question: *question, limit });
                }
            }
        }
    }

    /// Until when a round waits: for `dist_ac` a short time, and for the others until their limit.
    fn patience(&self) -> Duration {
        let rpc = |seen: &Seen| seen.asked.keys().any(|question| *question != Question::DistAc);
        if self.nodes.values().any(rpc) { RPC_LIMIT } else { BLOCKED_AFTER }
    }

    fn is_complete(&self, now: Instant, began: Instant) -> bool {
        let waits = |seen: &Seen| {
            // One that was blocked before is not waited for again.
            let blocked = matches!(seen.dist_ac, Attention::Blocked(_));
            seen.asked.keys().any(|question| *question != Question::DistAc || !blocked)
        };
        !self.nodes.values().any(waits) || began + self.patience() <= now
    }

    fn on_answer(&mut self, now: Instant, node: &Atom, question: Question, answer: Answer) {
        // Of a connection before this one.
        let Some(seen) = self.nodes.get_mut(node) else { return };
        if seen.asked.remove(&question).is_none() {
            return;
        }
        match (question, answer) {
            (Question::DistAc, Answer::Term(term)) => {
                seen.dist_ac = DistAc::from_term(&term).map_or(Attention::Unknown, Attention::Answered);
            }
            (Question::DistAc, Answer::NoProcess) => {
                seen.dist_ac = Attention::Unknown;
                seen.again_at = Some(now + NO_DIST_AC_FOR);
            }
            // Still blocked; the next round asks again.
            (Question::DistAc, Answer::None) => {}
            (Question::Controller, Answer::Term(term)) => seen.controller = Controller::from_term(&term),
            (Question::Nodes, Answer::Term(term)) => seen.nodes = view::atoms(&term),
            (Question::Waiting, Answer::Term(term)) => seen.waiting = Waiting::from_backtrace(&term),
            (
                Question::Controller | Question::Nodes | Question::Waiting,
                Answer::None | Answer::NoProcess,
            ) => {}
        }
    }

    fn end_round(&mut self, now: Instant, began: Instant) {
        self.round = None;
        for seen in self.nodes.values_mut() {
            let since = seen.asked.get(&Question::DistAc).copied();
            match (&seen.dist_ac, since) {
                (Attention::Unknown, Some(since)) => seen.dist_ac = Attention::Blocked(since),
                (Attention::Blocked(_), None) => seen.dist_ac = Attention::Unknown,
                _ => {}
            }
        }
        self.remember(now);
        let findings = self.findings(now);
        let mut next: BTreeMap<(Act, Fault), Instant> = BTreeMap::new();
        let mut acts = 0;
        for finding in &findings {
            let key = (finding.act.clone(), finding.fault);
            let since = self.findings.get(&key).copied().unwrap_or(now);
            next.insert(key, since);
            // What is on its way would look the same: only what lasts is mended.
            if now < since + finding.lasts || acts >= ACTS_MAX || !self.is_due(now, &finding.act) {
                continue;
            }
            acts += 1;
            self.act(finding);
        }
        for (act, done) in &mut self.done {
            done.helped |= !next.keys().any(|(found, _)| found == act);
        }
        self.findings = next;
        self.done.retain(|_, done| now < done.at + 2 * REPEAT_MAX);
        let urgent = !findings.is_empty() || self.is_moving(now) || std::mem::take(&mut self.soon);
        self.next_round = Some(match urgent {
            true if self.is_blocked(now) => now + PERIOD_BLOCKED,
            true => now + PERIOD_URGENT,
            false => (began + PERIOD).max(now),
        });
    }

    /// Whether an act may be done, now or again; if so, it counts as done.
    fn is_due(&mut self, now: Instant, act: &Act) -> bool {
        let done = self.done.entry(act.clone()).or_insert(Done { at: now, times: 0, helped: false });
        let least = match act {
            Act::Introduce { .. } => INTRODUCE_AGAIN,
            Act::Restart { .. } | Act::TakeOver { .. } => TAKE_OVER_AGAIN,
            Act::Weigh { .. } => WEIGH_AGAIN,
            Act::GoOn { .. } => GO_ON_AGAIN,
            Act::StandBy { .. } | Act::Start { .. } | Act::Stop { .. } => REPEAT_MIN,
        };
        let wait = least.saturating_mul(1 << done.times.saturating_sub(1).min(6)).min(REPEAT_MAX);
        let wait = if done.helped { REPEAT_MIN } else { wait };
        if done.times > 0 && now < done.at + wait {
            return false;
        }
        let times = if done.helped { 0 } else { done.times };
        *done = Done { at: now, times: times.saturating_add(1), helped: false };
        true
    }

    fn act(&mut self, finding: &Finding) {
        let dry_run = self.config.dry_run;
        let repair = Repair { fault: finding.fault, act: finding.act.clone(), dry_run };
        self.outputs.push_back(Output::Event(Event::Repair(repair)));
        if dry_run {
            return;
        }
        for treatment in &finding.treatments {
            self.outputs.push_back(match treatment.clone() {
                Treatment::NodeDown { node, down } => Output::NodeDown { node, down },
                Treatment::Restart { node, app, restart_type } => Output::Restart { node, app, restart_type },
                Treatment::Send { node, message } => Output::Send { node, message },
                Treatment::TakeOver { node, app, restart_type } => {
                    Output::TakeOver { node, app, restart_type }
                }
            });
        }
    }

    /// Whether a node is blocked, and was not for long.
    fn is_blocked(&self, now: Instant) -> bool {
        let blocked = |seen: &Seen| match seen.dist_ac {
            Attention::Blocked(since) => now < since + BLOCKED_SHORT,
            Attention::Answered(_) | Attention::Unknown => false,
        };
        self.nodes.values().any(blocked)
    }

    /// Whether something goes on that soon looks different.
    fn is_moving(&self, now: Instant) -> bool {
        self.nodes.values().any(|seen| match &seen.dist_ac {
            Attention::Answered(dist_ac) => dist_ac.is_moving(),
            Attention::Blocked(since) => now < *since + URGENT_FOR,
            Attention::Unknown => false,
        })
    }
}
