//! Who is to start an application: start requests, weights, the decision (dist_ac.md 2.2, 2.4).
//!
//! A stock node decides in one go, and where it has to wait it waits with everything. Here a [`Decision`] stays with
//! its application, and every event that could change it makes [`Engine::evaluate`] walk the priority list again
//! from the start. The walk itself has no memory; what was asked and answered is kept in [`Ballots`].

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etf::{Atom, Term, tuple};

use super::{
    AppId, CallId, Engine, Event, FOREIGN_APPS_MAX, INTRODUCTION_PATIENCE, Lock, Message, Output, OwnStart,
    appl::Tier, inquiry::Inquiry,
};
use crate::exchange::{Change, StartReply};

/// A refused start request is repeated after so long, as in a stock node.
const START_LOCK_RETRY: Duration = Duration::from_millis(100);

/// A start request that is refused its lock for so long begins without it. A stock node gives the lock of a caller of `permit`
/// back when its decision is over, which may wait for this very start (dist_ac.md 1.3).
const START_LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// The weight of a node that is asked although it may not run the application: it loses against everybody, and the
/// asker, who may be blocked, goes on.
pub(super) const UNWILLING: i64 = 1_000_000;

/// Without a pause of so long a node gets at most `2 * tuples + 2` answers about an application. A stock node asks
/// once for each tuple in a decision; two that merely answer each other's answers would go on for ever
/// (dist_ac.md 6, L13).
const ANSWER_WINDOW: Duration = Duration::from_secs(1);

/// A weight from a node that got none from us for so long is a question, and no echo of ours.
const ECHO_WINDOW: Duration = Duration::from_secs(10);

/// A weight that is older is asked for again.
const WEIGHT_LIFE: Duration = Duration::from_secs(60);

/// An application about which it is not yet clear who starts it.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    /// A local start request, whose caller the application controller answers; else our own initiative.
    pub(super) reply: bool,
    /// Callers of `permit(true)` that wait for it.
    pub(super) callers: Vec<CallId>,
    since: Instant,
    /// That all connected nodes have it loaded is asked once, at the beginning.
    checked: bool,
    pub(super) waiting: Waiting,
    pub(super) inquiry: Inquiry,
}

/// What a decision waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Anybody's M6: this node is not in the running.
    Any,
    /// The introductions of connected candidates, and the answers of those of ours to the news of the load.
    Introductions,
    /// This node's M6: it is to start it.
    Node(Atom),
    /// This node's M6: it is starting it already, and after that this node takes over.
    Starter(Atom),
    /// The weights of the other candidates.
    Weights,
}

/// The weights of one application.
#[derive(Debug, Clone, Default)]
pub(super) struct Ballots {
    /// The own weight since it was first told; the same until a start result is seen (dist_ac.md 2.4, rule 2).
    own: Option<i64>,
    /// When this node last found itself elected.
    elected_at: Option<Instant>,
    peers: BTreeMap<Atom, Ballot>,
}

#[derive(Debug, Clone, Default)]
struct Ballot {
    weight: Option<(i64, Instant)>,
    /// We sent our weight and have had none since: the next one is the answer.
    asked: bool,
    /// It asked, and has had no answer.
    owed: bool,
    /// When we last sent it our weight.
    sent: Option<Instant>,
    /// Answers to questions that came without a pause, and the last of those questions.
    answers: (usize, Option<Instant>),
    /// Since when it is to be known whether a question too many was one, or an answer that came late: a stock node that waits
    /// for the answer says nothing else.
    ignored: Option<Instant>,
    /// It was answered all the same, once in a round: one that waits for a start here answers each answer.
    indulged: bool,
}

/// What a walk along the priority list ends with.
enum Verdict {
    Already(Atom),
    Any,
    Elect(Atom),
    NoPermission,
    Weights,
}

impl Engine {
    /// `ac_start_application_req`: the decision needs the own lock first.
    pub(super) fn request_start(&mut self, app: Atom) {
        if !self.start_lock.requests.contains(&app) {
            self.start_lock.requests.push(app);
        }
        if self.start_lock.again_at.is_none() {
            self.ask_start_lock();
        }
    }

    /// Somebody wants it started who was told that it is, and nobody runs it any more: it was stopped where it ran, and nowhere
    /// else. A stock node does nothing, and neither does who waits for it (dist_ac.md 6, L22).
    pub(super) fn start_again(&mut self, now: Instant, at: usize) {
        let app = &self.apps[at];
        let stopped = app.id == AppId::Undefined && app.started && app.own_start.is_none();
        if stopped && self.heal.acts() {
            self.begin(now, at, false, None);
        }
    }

    pub(super) fn ask_start_lock(&mut self) {
        if self.start_lock.requests.is_empty() || self.start_lock.asked {
            return;
        }
        self.start_lock.asked = true;
        self.outputs.push_back(Output::Lock {
            lock: Lock::Start,
            nodes: vec![self.me.clone()],
            retry: false,
        });
    }

    /// A stock node holds the lock as long as it decides, which may be for ever; here it only keeps the decision's
    /// first step out of another node's introduction, takeover or permit. It is given back on this node alone:
    /// nobody else ever had it.
    pub(super) fn on_start_lock(&mut self, now: Instant, granted: bool) {
        self.start_lock.asked = false;
        let refused_since = *self.start_lock.refused_since.get_or_insert(now);
        if !granted && now < refused_since + START_LOCK_PATIENCE {
            self.start_lock.again_at = Some(now + START_LOCK_RETRY);
            return;
        }
        self.start_lock.refused_since = None;
        for app in std::mem::take(&mut self.start_lock.requests) {
            if let Some(at) = self.find(&app) {
                self.begin(now, at, true, None);
            }
        }
        if granted {
            self.outputs.push_back(Output::Unlock { lock: Lock::Start });
        }
    }

    /// Begins a decision, or joins the one under way.
    pub(super) fn begin(&mut self, now: Instant, at: usize, reply: bool, caller: Option<CallId>) {
        let app = &mut self.apps[at];
        if app.id == AppId::Local {
            if let Some(call) = caller {
                self.reply(call, Term::atom("ok"));
            }
            return;
        }
        if let Some(own) = &mut app.own_start {
            // It is being started here already; that result answers everybody. But the application controller drops an
            // order that comes when it has a start request open, and starts it when that is answered.
            if reply && !std::mem::replace(&mut own.reply, true) {
                let reply = own.previous.clone().map_or(StartReply::StartIt, StartReply::Takeover);
                self.start_reply(at, reply);
            } else if let Some(call) = caller {
                app.waiting_run.push(call);
                self.release_call(call);
            }
            return;
        }
        if reply {
            // Somebody wants it now, and everybody may take part.
            app.rescue = None;
        }
        let decision = app.decision.get_or_insert_with(|| Decision {
            reply,
            callers: Vec::new(),
            since: now,
            checked: false,
            waiting: Waiting::Any,
            inquiry: Inquiry::default(),
        });
        decision.reply |= reply;
        decision.callers.extend(caller);
        self.evaluate(now, at);
    }

    pub(super) fn evaluate_all(&mut self, now: Instant) {
        for at in 0..self.apps.len() {
            self.evaluate(now, at);
        }
    }

    /// Looks again at an open decision.
    pub(super) fn evaluate(&mut self, now: Instant, at: usize) {
        let met = self.has_met_candidates(at) && self.knows_of_load(at);
        let not_loaded = self.not_loaded(at);
        let Some(decision) = &mut self.apps[at].decision else { return };
        let patient = decision.reply || !decision.callers.is_empty();
        if patient && !met && now < decision.since + INTRODUCTION_PATIENCE {
            decision.waiting = Waiting::Introductions;
            return;
        }
        let rescue = self.apps[at].rescue.is_some();
        let Some(decision) = &mut self.apps[at].decision else { return };
        if !std::mem::replace(&mut decision.checked, true) && !not_loaded.is_empty() && !rescue {
            let name = self.apps[at].name.clone();
            let nodes: Vec<Term> = not_loaded.iter().map(Term::from).collect();
            return self.decision_failed(at, tuple!(atom "app_not_loaded", name, nodes));
        }
        let verdict = self.walk(now, at);
        let waiting = match (verdict, self.runner(at)) {
            (Verdict::Already(node), _) => return self.decided_elsewhere(at, &node),
            (Verdict::Elect(node), _) if node == self.me => match self.starter(now, at) {
                Some(starter) => Waiting::Starter(starter),
                None => return self.elected(now, at),
            },
            (Verdict::NoPermission, _) => return self.nobody_may(at),
            // It is for another node to move it, or for none, and it runs: there is nothing to wait for. A stock
            // node waits for the elected one, which need not ever move it (dist_ac.md 6, L22); and decides again when that
            // one goes down.
            (Verdict::Elect(node), Some(runner)) => {
                self.decided_elsewhere(at, &runner);
                return self.apps[at].deferred_to = Some(node);
            }
            (Verdict::Any, Some(runner)) => return self.decided_elsewhere(at, &runner),
            (Verdict::Elect(node), None) => Waiting::Node(node),
            (Verdict::Any, None) => Waiting::Any,
            (Verdict::Weights, _) => Waiting::Weights,
        };
        let Some(decision) = &mut self.apps[at].decision else { return };
        let changed = std::mem::replace(&mut decision.waiting, waiting.clone()) != waiting;
        if let Waiting::Node(node) = waiting
            && changed
            && self.is_ours(&node)
        {
            // It may run there already: its M6 may have been forgotten for a later one of a node that is dead now.
            self.send_status(&node, false);
        }
        self.inquire(now, at);
    }

    /// Who is known to run it elsewhere.
    pub(super) fn runner(&self, at: usize) -> Option<Atom> {
        let app = &self.apps[at];
        match (&app.id, self.remote_started.get(&app.name)) {
            (_, Some(node)) | (AppId::Distributed(node), None) => Some(node.clone()),
            _ => None,
        }
    }

    /// An open decision is not needed any more.
    pub(super) fn drop_decision(&mut self, at: usize) {
        if let Some(decision) = self.apps[at].decision.take() {
            // Whoever was asked for it may ask for the next one before we do, and is to have an answer.
            self.apps[at].ballots.end_round();
            if decision.reply {
                self.start_reply(at, StartReply::NotStarted);
            }
            self.reply_all(decision.callers, &Term::atom("ok"));
        }
    }

    /// The decision: it runs there.
    pub(super) fn decided_elsewhere(&mut self, at: usize, node: &Atom) {
        let reply = self.end_decision(at);
        if reply {
            self.start_reply(at, StartReply::Started(node.clone()));
        } else {
            self.change(at, Change::Started(node.clone()));
        }
        self.set_id(at, AppId::Distributed(node.clone()));
    }

    /// The decision cannot be made. The application does not count as started by it, so that what runs elsewhere is
    /// still remembered for the next request.
    pub(super) fn decision_failed(&mut self, at: usize, reason: Term) {
        let Some(decision) = self.apps[at].decision.take() else { return };
        self.apps[at].ballots.reset();
        if decision.reply {
            self.start_reply(at, StartReply::Error(reason.clone()));
        } else if decision.callers.is_empty() {
            let app = self.apps[at].name.clone();
            self.event(Event::DecisionFailed { app, reason: reason.clone() });
        }
        self.reply_all(decision.callers, &tuple!(atom "error", reason));
    }

    /// M5.
    pub(super) fn on_weight(&mut self, now: Instant, app: Atom, weight: i64, node: Atom) {
        let Some(at) = self.find(&app) else {
            if self.early_weights.len() < FOREIGN_APPS_MAX {
                self.early_weights.insert((app, node), weight);
            }
            return;
        };
        if node == self.me || !self.apps[at].nodes.contains(&node) || !self.peers.contains_key(&node) {
            return self.ignore(Message::Weight { app, weight, node }, "no candidate");
        }
        self.hears_of(&node);
        let ballot = self.apps[at].ballots.peers.entry(node.clone()).or_default();
        ballot.weight = Some((weight, now));
        // Crossing questions look the same as answers, and are worth the same. A weight of 0 says that the node
        // has elected itself, which is no question.
        let question = !std::mem::replace(&mut ballot.asked, false) && weight != 0;
        let echo = ballot.sent.is_some_and(|sent| now < sent + ECHO_WINDOW);
        let late = ballot.sent.is_some_and(|sent| sent + ANSWER_WINDOW <= now);
        if question {
            ballot.owed = true;
            self.answer_weight(now, at, &node);
            // Who asks may have missed, behind a lost link, that it runs here, and would wait for our start.
            if self.apps[at].id == AppId::Local && !self.apps[at].unannounced && self.is_ours(&node) {
                self.send_status(&node, true);
            }
            if !echo {
                self.drop_belief(now, at, &node);
            }
        } else if weight != 0 && self.is_buried(&app, &node) {
            self.answer_weight(now, at, &node);
        } else if weight != 0 && late {
            // It may have forgotten our question, which came before it decided, and not be answering it.
            self.indulge(now, at, &node);
        }
        self.evaluate(now, at);
    }

    /// Whether a stock node that decides now may not find the weight that it had from us before. It looks for the
    /// newest one of a node, and where that is for another application it waits for one more, also where it runs elsewhere.
    fn is_buried(&self, app: &Atom, node: &Atom) -> bool {
        let newest = self.peers.get(node).and_then(|peer| peer.newest_weight.as_ref());
        !self.is_ours(node) && newest != Some(app)
    }

    /// Who asks for weights does not run the application, whatever we were told before (dist_ac.md 6, L9).
    pub(super) fn drop_belief(&mut self, now: Instant, at: usize, node: &Atom) {
        let app = self.apps[at].name.clone();
        let remote = self.remote_started.get(&app) == Some(node);
        let distributed = self.apps[at].id == AppId::Distributed(node.clone());
        if remote {
            self.remote_started.remove(&app);
        }
        if distributed {
            self.set_id(at, AppId::Undefined);
        }
        self.apps[at].heard.take_if(|(heard, _)| heard == node);
        if remote || distributed {
            self.event(Event::BeliefDropped { app, node: node.clone() });
        }
        if distributed && self.apps[at].started {
            self.begin(now, at, false, None);
        }
    }

    fn answer_weight(&mut self, now: Instant, at: usize, node: &Atom) {
        let allowed = 2 * self.apps[at].nodes.tuples() + 2;
        let weight = self.own_weight(now, at);
        let Some(ballot) = self.apps[at].ballots.peers.get_mut(node) else { return };
        let (count, last) = &mut ballot.answers;
        if last.is_none_or(|last| last + ANSWER_WINDOW <= now) {
            *count = 0;
        }
        *last = Some(now);
        ballot.owed = false;
        if *count < allowed {
            *count += 1;
            ballot.sent = Some(now);
            self.send_weight(at, node, weight);
        } else {
            let message = Message::Weight { app: self.apps[at].name.clone(), weight, node: node.clone() };
            self.ignore(message, "asked too often");
            self.indulge(now, at, node);
        }
    }

    /// What a stock node says may have been a question: it is answered, if that node says nothing else.
    fn indulge(&mut self, now: Instant, at: usize, node: &Atom) {
        let is_ours = self.is_ours(node);
        let Some(ballot) = self.apps[at].ballots.peers.get_mut(node).filter(|_| !is_ours) else { return };
        if !std::mem::replace(&mut ballot.indulged, true) {
            ballot.ignored = Some(now);
            self.ask_info(now, node.clone());
        }
    }

    /// A node serves, and so waits for no weight.
    pub(super) fn serves(&mut self, node: &Atom) {
        for app in &mut self.apps {
            if let Some(ballot) = app.ballots.peers.get_mut(node) {
                // It may be that it waits for the next one.
                ballot.indulged &= ballot.ignored.take().is_none();
            }
        }
    }

    /// Nodes that were asked have said nothing: their questions were meant.
    pub(super) fn answer_ignored(&mut self, now: Instant, at: usize) {
        let ballots = self.apps[at].ballots.peers.iter_mut();
        let due = |ballot: &mut Ballot| {
            ballot
                .ignored
                .take_if(|ignored| *ignored + ANSWER_WINDOW <= now)
                .inspect(|_| ballot.sent = Some(now))
        };
        let nodes: Vec<Atom> =
            ballots.filter_map(|(node, ballot)| due(ballot).map(|_| node.clone())).collect();
        for node in nodes {
            let weight = self.own_weight(now, at);
            self.send_weight(at, &node, weight);
        }
    }

    /// Who is starting it elsewhere, as far as that can be known: one that says nothing any more may have failed.
    fn starter(&self, now: Instant, at: usize) -> Option<Atom> {
        let starts = |node: &&Atom| !self.is_blocked(now, node) && !self.is_left_out(at, node);
        self.apps[at].starters.iter().find(starts).cloned()
    }

    /// The walk along the priority list (dist_ac.md 2.2, steps 2 to 4). Sends what weights it needs to send.
    fn walk(&mut self, now: Instant, at: usize) -> Verdict {
        let app = &self.apps[at];
        let absent =
            |node: &Atom| app.decision.as_ref().is_some_and(|decision| decision.inquiry.leaves_out(node));
        let runner = self.runner(at);
        let blocked = |node: &Atom| runner.as_ref() != Some(node) && self.is_blocked(now, node);
        let able = |node: &Atom| app.permits(node) && self.takes_part(at, node);
        let candidate = |node: &Atom| able(node) && !absent(node) && !blocked(node);
        let candidates: Vec<Atom> = app.nodes.flat().into_iter().filter(candidate).collect();
        let running = self.remote_started.get(&app.name).cloned();
        if !candidates.contains(&self.me) {
            return match running {
                Some(node) => Verdict::Already(node),
                None if candidates.is_empty() && app.rescue.is_none() => Verdict::NoPermission,
                None => Verdict::Any,
            };
        }
        let standby_for = match &app.id {
            AppId::Distributed(node) => Some(node.clone()),
            _ => None,
        };
        for tier in app.nodes.tiers().to_vec() {
            match tier {
                Tier::One(node) => {
                    if !candidates.contains(&node) {
                        continue;
                    }
                    let already = standby_for.as_ref() == Some(&node) || running.as_ref() == Some(&node);
                    return if already { Verdict::Already(node) } else { Verdict::Elect(node) };
                }
                Tier::Any(members) => {
                    // Where it runs inside the tuple it stays. What we were told before our start goes first.
                    let runner = running.as_ref().or(standby_for.as_ref());
                    if let Some(node) =
                        runner.filter(|node| members.contains(node) && candidates.contains(node))
                    {
                        return Verdict::Already(node.clone());
                    }
                    let Some(weights) = self.collect(now, at, &candidates) else { return Verdict::Weights };
                    let alive = |node: &Atom| members.contains(node) && self.known.contains(node);
                    if let Some((_, node)) = weights.into_iter().find(|(_, node)| alive(node)) {
                        return Verdict::Elect(node);
                    }
                }
            }
        }
        Verdict::Any
    }

    /// A round of weights among all candidates, not only those of one tuple: sends the own weight where it is needed,
    /// and gives all of them in the order of election, or nothing as long as one is missing.
    fn collect(&mut self, now: Instant, at: usize, candidates: &[Atom]) -> Option<Vec<(i64, Atom)>> {
        let own = self.own_weight(now, at);
        let mut all = vec![(own, self.me.clone())];
        let (mut complete, mut ask) = (true, Vec::new());
        for node in candidates.iter().filter(|node| **node != self.me) {
            let ballot = self.apps[at].ballots.peers.entry(node.clone()).or_default();
            if ballot.weight.is_some_and(|(_, since)| since + WEIGHT_LIFE <= now) {
                ballot.weight = None;
            }
            let unknown = ballot.weight.is_none();
            if (unknown && !ballot.asked) || ballot.owed {
                ballot.asked = unknown;
                ballot.owed = false;
                ballot.sent = Some(now);
                ask.push(node.clone());
            }
            match ballot.weight {
                Some((weight, _)) => all.push((weight, node.clone())),
                None => complete = false,
            }
        }
        for node in ask {
            self.send_weight(at, &node, own);
        }
        all.sort();
        complete.then_some(all)
    }

    /// Asks once more for a weight that has not come.
    pub(super) fn ask_weight(&mut self, now: Instant, at: usize, node: &Atom) {
        let own = self.own_weight(now, at);
        if let Some(ballot) = self.apps[at].ballots.peers.get_mut(node) {
            ballot.sent = Some(now);
            self.send_weight(at, node, own);
        }
    }

    fn elected(&mut self, now: Instant, at: usize) {
        let Some(decision) = &mut self.apps[at].decision else { return };
        let callers = std::mem::take(&mut decision.callers);
        let remote = self.remote_started.get(&self.apps[at].name).cloned();
        let reply = self.end_decision(at);
        let id = self.apps[at].id.clone();
        let failover = if let AppId::Failover(node) = &id { Some(node.clone()) } else { None };
        let previous = if reply {
            let from = remote.or(match id {
                AppId::Distributed(node) => Some(node),
                _ => None,
            });
            self.start_reply(at, from.clone().map_or(StartReply::StartIt, StartReply::Takeover));
            from
        } else {
            match id {
                AppId::Failover(node) => {
                    self.change(at, Change::Failover(node));
                    None
                }
                AppId::Distributed(from) => {
                    self.change(at, Change::Takeover { from: from.clone(), restart_type: None });
                    Some(from)
                }
                _ => {
                    self.change(at, Change::StartIt);
                    remote
                }
            }
        };
        let app = &mut self.apps[at];
        let takes_over = previous.is_some();
        app.own_start = Some(OwnStart { reply, previous, failover });
        app.ballots.elected_at = Some(now);
        // Callers wait for the result, but without the lock: others may start it meanwhile.
        app.waiting_run.extend(&callers);
        for call in callers {
            self.release_call(call);
        }
        self.set_id(at, AppId::RunWaiting);
        if takes_over {
            self.tell_takeover();
        }
    }

    fn nobody_may(&mut self, at: usize) {
        if self.end_decision(at) {
            self.start_reply(at, StartReply::NotStarted);
        } else {
            self.change(at, Change::StopIt);
        }
        self.set_id(at, AppId::Undefined);
    }

    /// What every decision ends with (dist_ac.md 2.2, step 5). Says whether it was a local start request.
    fn end_decision(&mut self, at: usize) -> bool {
        let name = self.apps[at].name.clone();
        self.remote_started.remove(&name);
        let app = &mut self.apps[at];
        app.started = true;
        app.failover_at = None;
        app.ballots.end_round();
        let Some(decision) = app.decision.take() else { return false };
        self.reply_all(decision.callers, &Term::atom("ok"));
        decision.reply
    }

    /// Connected nodes, hidden ones too, that have said they have not loaded it.
    fn not_loaded(&self, at: usize) -> Vec<Atom> {
        let undefined = self.apps[at].run.iter().filter(|(_, permission)| permission.is_none());
        let undefined: Vec<Atom> = undefined.map(|(node, _)| node.clone()).collect();
        if undefined.iter().any(|node| self.peers.contains_key(node)) { undefined } else { Vec::new() }
    }

    /// The weight to tell: the one told before, or the number of running applications.
    ///
    /// A stock node asks anew for every tuple of which nobody lives, and may do so when we have started already: what it
    /// is told then must still make it elect us, or it starts a second copy.
    fn own_weight(&mut self, now: Instant, at: usize) -> i64 {
        let app = &mut self.apps[at];
        let just = |at: Option<Instant>| at.is_some_and(|at| now < at + ECHO_WINDOW);
        if app.id == AppId::RunWaiting || (app.id == AppId::Local && just(app.ballots.elected_at)) {
            0
        } else if !app.permits(&self.me) {
            UNWILLING
        } else {
            // 0 would say that it starts here. A question may come before the application controller has said anything.
            *app.ballots.own.get_or_insert(self.weight.max(1))
        }
    }

    fn send_weight(&mut self, at: usize, node: &Atom, weight: i64) {
        let app = self.apps[at].name.clone();
        if let Some(peer) = self.peers.get_mut(node) {
            peer.newest_weight = Some(app.clone());
        }
        self.send(node, Message::Weight { app, weight, node: self.me.clone() });
    }
}

impl super::App {
    /// When a node that was asked whether it waits for a weight has not answered.
    pub(super) fn ignored_due(&self) -> Option<Instant> {
        self.ballots
            .peers
            .values()
            .filter_map(|ballot| ballot.ignored)
            .min()
            .map(|ignored| ignored + ANSWER_WINDOW)
    }

    /// When to look at the decision again: the wait for introductions is over, or somebody is to be asked.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        let decision = self.decision.as_ref()?;
        match decision.waiting {
            Waiting::Introductions => Some(decision.since + INTRODUCTION_PATIENCE),
            Waiting::Any | Waiting::Node(_) | Waiting::Starter(_) | Waiting::Weights => {
                decision.inquiry.timeout()
            }
        }
    }
}

impl Ballots {
    /// A question that came before the application was loaded.
    pub(super) fn adopt(&mut self, now: Instant, node: Atom, weight: i64) {
        let ballot = self.peers.entry(node).or_default();
        ballot.weight = Some((weight, now));
        ballot.owed = true;
    }

    /// Who was asked and has not answered.
    pub(super) fn silent(&self) -> Vec<Atom> {
        let silent = self.peers.iter().filter(|(_, ballot)| ballot.asked && ballot.weight.is_none());
        silent.map(|(node, _)| node.clone()).collect()
    }

    /// The weights that peers have told.
    pub(super) fn weights(&self) -> impl Iterator<Item = (&Atom, i64)> {
        self.peers.iter().filter_map(|(node, ballot)| Some((node, ballot.weight?.0)))
    }

    /// The own weight, if it was told.
    pub(super) fn own(&self) -> Option<i64> {
        self.own
    }

    /// The node is gone, with its questions.
    pub(super) fn forget(&mut self, node: &Atom) {
        self.peers.remove(node);
    }

    /// A start result was seen: the next round begins afresh.
    pub(super) fn reset(&mut self) {
        self.own = None;
        self.end_round();
    }

    fn end_round(&mut self) {
        for ballot in self.peers.values_mut() {
            ballot.weight = None;
            ballot.asked = false;
            ballot.indulged = false;
        }
    }
}
