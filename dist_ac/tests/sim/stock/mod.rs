//! A model of OTP's `dist_ac`, as its peers meet it (dist_ac.md 0 to 2): what it sends, when, and when it is deaf.
//!
//! The process is a mailbox and a [`Wait`]: what it waits for, with what it will go on with. In its main loop it
//! takes any mail; in the middle of a decision only the mail it waits for, and the rest stays where it is, nodedowns
//! and calls too. Nothing here is mended: the faults of dist_ac.md 6 are in it.
//!
//! It takes the same inputs and gives the same outputs as our engine. What it leaves out: loading with a different
//! list (every node has the same configuration), `permit(true)` of applications whose dependencies are missing, and
//! the round trip of the rpc before an introduction.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | mailbox, selective receive, timers |
//! | `state.rs` | what the process knows |
//! | `main_loop.rs` | mail in the main loop |
//! | `decide.rs` | who is to start an application: the places where it blocks |
//! | `callers.rs` | processes that call takeover and permit, under their locks |

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use crabnode_dist_ac::{
    engine::{
        Input, Lock, Output, Request,
        appl::{AppId, Distribution},
        wire::Message,
    },
    exchange::{CallId, Change, FromController, StartReply, ToController},
};
use etf::Atom;

mod callers;
mod decide;
mod main_loop;
mod state;

use callers::Caller;
use decide::{Decision, Round};
use state::State;

/// In the mailbox of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mail {
    Call(CallId, Request),
    Controller(FromController),
    /// The startup synchronisation is over.
    Go,
    NodeDown(Atom),
    Peer(Message),
    /// `{internal_restart_appl, App}`.
    RestartTimeOver(Atom),
}

/// What the process waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// `{go, Pid}`, right after its start.
    Go,
    /// The lock `sync_dacs`, however long that takes.
    SyncLock,
    /// The answers to its introduction, one node after the other; the first is waited for.
    Introductions(VecDeque<Atom>),
    /// Any mail.
    MainLoop,
    /// The lock on its own node for a start request.
    StartLock(Atom),
    /// The weight of one node, in a round (`collect_answers`).
    Weight(Decision, Round),
    /// The result of a start at that node (`wait_dist_start`).
    Starter(Decision, Atom),
    /// The result of a start anywhere (`wait_dist_start2`).
    Anybody(Decision),
}

/// The process, and those that call it.
#[derive(Debug, Clone)]
pub struct Stock {
    me: Atom,
    connected: BTreeSet<Atom>,
    /// What `application:which_applications()` has the length of.
    weight: i64,
    wait: Wait,
    mailbox: VecDeque<Mail>,
    /// `net_kernel:monitor_nodes(true)` was called.
    subscribed: bool,
    /// `monitor_node(Node, true)`: each brings a nodedown of its own.
    monitored: Vec<Atom>,
    state: State,
    /// The first introductions are over (`ac_tab`, `sync_dacs`).
    synced: bool,
    callers: BTreeMap<CallId, Caller>,
    /// In the order in which they were started, which is the order at equal times.
    timers: Vec<(Instant, Mail)>,
    outputs: VecDeque<Output>,
    /// The process has crashed, and its node with it.
    pub crashed: bool,
}

impl Stock {
    pub fn new(me: Atom, distributed: Vec<Distribution>) -> Self {
        Self {
            connected: BTreeSet::new(),
            weight: 0,
            wait: Wait::Go,
            mailbox: VecDeque::new(),
            subscribed: false,
            monitored: Vec::new(),
            state: State::new(&me, distributed),
            synced: false,
            callers: BTreeMap::new(),
            timers: Vec::new(),
            outputs: VecDeque::new(),
            crashed: false,
            me,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Call { call, request } => self.on_call(call, request),
            // A call of the application controller by the process, which is answered whatever the process waits for.
            Input::Controller(FromController::RunningApplications(weight)) => self.weight = weight,
            Input::Controller(notice) => self.mailbox.push_back(Mail::Controller(notice)),
            Input::Go => self.mailbox.push_back(Mail::Go),
            // It never asks anything of another node.
            Input::HasRead { .. } | Input::Info { .. } | Input::Known { .. } | Input::Running { .. } => {}
            Input::Locked { lock, granted } => self.on_locked(now, lock, granted),
            Input::Message(message) => self.mailbox.push_back(Mail::Peer(message)),
            Input::NodeDown { node } => self.on_node_down(node),
            Input::NodeUp { node, .. } => {
                self.connected.insert(node);
            }
            Input::Timeout => self.on_timeout(now),
        }
        while let Some(mail) = self.receive() {
            self.resume(now, mail);
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.iter().map(|(at, _)| *at).min()
    }

    pub fn id(&self, app: &Atom) -> Option<&AppId> {
        self.state.appl(app).map(|appl| &appl.id)
    }

    pub fn permission(&self, app: &Atom) -> Option<bool> {
        self.state.appl(app)?.permission_of(&self.me).flatten()
    }

    /// Whether it serves anything at all, now that nothing is on its way.
    pub fn is_blocked(&self) -> bool {
        self.wait != Wait::MainLoop
    }

    /// Whether it has decided about it since it was started here.
    pub fn is_started(&self, app: &Atom) -> bool {
        self.state.is_started(app)
    }

    /// For whose start or weight it waits, and of which application.
    pub fn awaited(&self) -> Option<(&Atom, &Atom)> {
        match &self.wait {
            Wait::Weight(decision, round) => Some((&decision.app, round.awaited()?)),
            Wait::Starter(decision, node) => Some((&decision.app, node)),
            _ => None,
        }
    }

    /// In what.
    pub fn waits_for(&self) -> &Wait {
        &self.wait
    }

    /// `process_info(Pid, backtrace)`, of a blocked process as far as the healer reads it.
    pub fn backtrace(&self) -> String {
        let state = self.state.info();
        let frame = |function: &str, decision: &Decision, node: &Atom| {
            let app = &decision.app;
            let below = if decision.is_call() { "try_handle_call/4" } else { "try_dispatch/4" };
            format!(
                "Program counter: 0x1 (dist_ac:{function} + 8)\ny(0)     []\ny(1)     '{node}'\ny(2)     {state}\n\
                 y(3)     {app}\n\n0x2 Return addr 0x3 (dist_ac:start_appl/3 + 8)\ny(0)     '{}'\n\n\
                 0x4 Return addr 0x5 (gen_server:{below} + 8)\n",
                self.me
            )
        };
        match &self.wait {
            Wait::Weight(decision, round) => match round.awaited() {
                Some(node) => frame("collect_answers/4", decision, node),
                None => String::new(),
            },
            Wait::Starter(decision, node) => frame("wait_dist_start/7", decision, node),
            Wait::Anybody(decision) => frame("wait_dist_start2/6", decision, &self.me),
            Wait::Introductions(nodes) => {
                let node = nodes.front().map_or(String::new(), |node| format!("y(0)     '{node}'\n"));
                format!(
                    "Program counter: 0x1 (dist_ac:wait_dacs/4 + 8)\n{node}\n0x2 Return addr 0x3 (dist_ac:sync_dacs/1 + 8)\n"
                )
            }
            Wait::SyncLock => {
                "Program counter: 0x1 (global:random_sleep/1 + 8)\n\n0x2 Return addr 0x3 (dist_ac:sync_dacs/1 + 8)\n"
                    .into()
            }
            _ => "Program counter: 0x1 (gen_server:loop/7 + 8)\n".into(),
        }
    }

    /// `{nodedown, Node}`, whoever says so.
    pub fn believe_down(&mut self, now: Instant, node: Atom) {
        self.mailbox.push_back(Mail::NodeDown(node));
        self.handle(now, Input::Timeout);
    }

    pub fn known(&self) -> &[Atom] {
        &self.state.known
    }

    /// The next mail that it waits for, in the order of the mailbox.
    fn receive(&mut self) -> Option<Mail> {
        let at = self.mailbox.iter().position(|mail| self.wait.wants(mail))?;
        self.mailbox.remove(at)
    }

    fn resume(&mut self, now: Instant, mail: Mail) {
        match std::mem::replace(&mut self.wait, Wait::MainLoop) {
            Wait::MainLoop => self.on_mail(now, mail),
            Wait::Go => self.take_control(),
            Wait::Introductions(nodes) => self.on_introduction(nodes, mail),
            Wait::Weight(decision, round) => self.on_weight_collected(decision, round, mail),
            Wait::Starter(decision, node) => self.on_start_there(decision, node, mail),
            Wait::Anybody(decision) => self.on_start_anywhere(decision, mail),
            wait @ (Wait::SyncLock | Wait::StartLock(_)) => self.wait = wait,
        }
    }

    fn on_locked(&mut self, now: Instant, lock: Lock, granted: bool) {
        match lock {
            Lock::Call(call) => self.on_call_locked(call),
            Lock::SyncDacs => self.introduce(),
            Lock::Start => {
                let Wait::StartLock(app) = std::mem::replace(&mut self.wait, Wait::MainLoop) else { return };
                self.on_start_lock(now, app, granted);
            }
        }
    }

    fn on_node_down(&mut self, node: Atom) {
        self.connected.remove(&node);
        let monitors = self.monitored.iter().filter(|monitored| **monitored == node).count();
        self.monitored.retain(|monitored| *monitored != node);
        for _ in 0..monitors + usize::from(self.subscribed) {
            self.mailbox.push_back(Mail::NodeDown(node.clone()));
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        let mut due: Vec<(Instant, Mail)> = self.timers.extract_if(.., |(at, _)| *at <= now).collect();
        due.sort_by_key(|(at, _)| *at);
        self.mailbox.extend(due.into_iter().map(|(_, mail)| mail));
    }

    /// `monitor_node(Node, true)`; a node that is not there is down at once.
    fn monitor(&mut self, node: &Atom) {
        if self.connected.contains(node) {
            self.monitored.push(node.clone());
        } else {
            self.mailbox.push_back(Mail::NodeDown(node.clone()));
        }
    }

    /// `monitor_node(Node, false)`.
    fn demonitor(&mut self, node: &Atom) {
        if let Some(at) = self.monitored.iter().position(|monitored| monitored == node) {
            self.monitored.remove(at);
        }
    }

    fn send(&mut self, node: &Atom, message: Message) {
        self.outputs.push_back(Output::Send { node: node.clone(), message });
    }

    fn send_all(&mut self, nodes: &[Atom], message: &Message) {
        for node in nodes.iter().filter(|node| **node != self.me).cloned().collect::<Vec<_>>() {
            self.send(&node, message.clone());
        }
    }

    fn tell(&mut self, message: ToController) {
        self.outputs.push_back(Output::Controller(message));
    }

    fn change(&mut self, app: &Atom, change: Change) {
        self.tell(ToController::Change { app: app.clone(), change });
    }

    fn start_reply(&mut self, app: &Atom, reply: StartReply) {
        self.tell(ToController::StartReply { app: app.clone(), reply });
    }
}

impl Wait {
    fn wants(&self, mail: &Mail) -> bool {
        match (self, mail) {
            (Self::MainLoop, _) | (Self::Go, Mail::Go) => true,
            (
                Self::Introductions(nodes),
                Mail::Peer(Message::NewNode { node, .. }) | Mail::NodeDown(node),
            ) => nodes.front() == Some(node),
            (Self::Weight(decision, round), Mail::Peer(Message::Weight { app, node, .. })) => {
                *app == decision.app && round.awaited() == Some(node)
            }
            (Self::Weight(_, round), Mail::NodeDown(node)) => round.awaited() == Some(node),
            (
                Self::Starter(decision, starter),
                Mail::Peer(Message::AppStarted { node, app, .. } | Message::Weight { app, node, .. }),
            ) => *app == decision.app && node == starter,
            (Self::Starter(_, starter), Mail::NodeDown(node)) => node == starter,
            (Self::Anybody(decision), Mail::Peer(Message::AppStarted { app, .. })) => *app == decision.app,
            (Self::Anybody(_), Mail::NodeDown(_)) => true,
            _ => false,
        }
    }
}
