//! The process that drives both machines. It is `dist_ac`: what peers send comes into its mailbox.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crabnode::{CallError, Context, Dest, Message, NodeEvent};
use etf::{Atom, Pid, Reference, Term, tuple};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Applications, functions, healing, locks};
use crate::{
    application::{
        StartType,
        controller::{self, Report},
        master::{self, Job, Programs},
    },
    engine::{
        self, Engine, Lock,
        wire::{DIST_AC, Message as PeerMessage, WireError},
    },
    events::{self, Publisher, Recorder},
    exchange::CallId,
    heal::{self, Healer},
};

/// All applications together have so long to stop when the node goes down; the node has 5 s.
const SHUTDOWN_TIME: Duration = Duration::from_millis(3500);

/// So many messages are read before what came behind them: more than a peer sends in one go. Under a flood that has its turn.
const MESSAGES_BEFORE_MAX: usize = 1024;

/// What other processes of the node want from the driver.
pub(super) enum Event {
    /// The startup synchronisation is over; answered when the configured applications are under control.
    Boot(oneshot::Sender<()>),
    CallController(controller::Request, Caller),
    CallDistAc(engine::Request, Caller),
    /// A node has read what it was sent.
    HasRead {
        node: Atom,
    },
    /// What a node has said to the healer.
    Healer(heal::Input),
    /// The `dist_ac:info()` of a node.
    Info {
        node: Atom,
        info: Term,
    },
    Known {
        node: Atom,
        nodes: Option<Vec<Atom>>,
    },
    Locked {
        lock: Lock,
        granted: bool,
    },
    /// What runs at a node.
    Running {
        node: Atom,
        apps: Option<Vec<Atom>>,
    },
    /// A master has ended. Comes by this way so that it is behind its `MasterStarted`.
    MasterDown {
        reference: Reference,
        reason: Term,
    },
    MasterStarted {
        app: Atom,
        pid: Pid,
        result: Result<(), Term>,
    },
    Shutdown(oneshot::Sender<()>),
}

impl Event {
    /// Whether what came before is in the mailbox, and is to be read first. A node's answer, or a lock that it gives, says how
    /// things stand behind all that it had sent, but comes by another process; and a stock `dist_ac` has all of it in one
    /// mailbox.
    fn is_behind_messages(&self) -> bool {
        match self {
            Self::HasRead { .. }
            | Self::Info { .. }
            | Self::Running { .. }
            | Self::Locked { .. }
            | Self::CallDistAc(..)
            | Self::CallController(..) => true,
            Self::Boot(_)
            | Self::Healer(_)
            | Self::Known { .. }
            | Self::MasterDown { .. }
            | Self::MasterStarted { .. }
            | Self::Shutdown(_) => false,
        }
    }
}

/// Who waits for the answer to a call.
pub(super) enum Caller {
    /// The `From` of a gen call.
    Gen(Term),
    Local(oneshot::Sender<Term>),
}

struct Master {
    pid: Pid,
    reference: Reference,
    stop: watch::Sender<bool>,
    started: bool,
    stopping: bool,
}

pub(super) struct Driver {
    applications: Applications,
    engine: Engine,
    healer: Healer,
    recorder: Recorder,
    publisher: Publisher,
    programs: Arc<Programs>,
    events: mpsc::Receiver<Event>,
    callers: BTreeMap<CallId, Caller>,
    next_call: u64,
    masters: BTreeMap<Atom, Master>,
    locks: BTreeMap<Lock, oneshot::Sender<()>>,
    nodes: BTreeSet<Atom>,
    booting: Option<oneshot::Sender<()>>,
}

/// The time that tokio's timers use.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day.
pub(super) fn time_of_day() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "the driver's clock, read once")]
    SystemTime::now()
}

/// Sleeps until then; for ever if there is no then.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Driver {
    pub(super) fn new(
        applications: Applications,
        engine: Engine,
        healer: Healer,
        publisher: Publisher,
        programs: Arc<Programs>,
        events: mpsc::Receiver<Event>,
    ) -> Self {
        Self {
            recorder: Recorder::new(applications.node().name().clone()),
            applications,
            engine,
            healer,
            publisher,
            programs,
            events,
            callers: BTreeMap::new(),
            next_call: 0,
            masters: BTreeMap::new(),
            locks: BTreeMap::new(),
            nodes: BTreeSet::new(),
            booting: None,
        }
    }

    pub(super) async fn run(mut self, mut context: Context) {
        context.trap_exit(true);
        context.monitor_nodes(true);
        let (visible, hidden) = (context.node().nodes(), context.node().nodes_hidden());
        for (nodes, hidden) in [(visible, false), (hidden, true)] {
            for node in nodes {
                self.node_up(node, hidden);
            }
        }
        loop {
            self.drain(&context);
            tokio::select! {
                message = context.receive() => self.on_message(message),
                Some(event) = self.events.recv() => {
                    if event.is_behind_messages() {
                        self.read_messages(&mut context).await;
                    }
                    if let Some(done) = self.on_event(event) {
                        self.shutdown(&mut context).await;
                        // Whoever asked for it may be gone.
                        let _ = done.send(());
                    }
                }
                () = sleep_until(self.engine.poll_timeout()) => self.engine_input(engine::Input::Timeout),
                () = sleep_until(self.healer.poll_timeout()) => self.healer.handle(now(), heal::Input::Timeout),
            }
        }
    }

    /// What has come by now, up to a limit.
    async fn read_messages(&mut self, context: &mut Context) {
        for _ in 0..MESSAGES_BEFORE_MAX {
            let Some(message) = context.receive_where_timeout(Some(Duration::ZERO), |_| true).await else {
                return;
            };
            self.on_message(message);
            self.drain(context);
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Term(term) => self.on_term(&term),
            Message::Down { reference, reason, .. } => {
                // Behind what the master itself has sent. A full channel is drained by this very process, so it
                // must not wait here; then the order is lost, and nothing else.
                let sender = self.applications.0.events.clone();
                if let Err(error) = sender.try_send(Event::MasterDown { reference, reason }) {
                    let (mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event)) =
                        error;
                    self.on_event(event);
                }
            }
            Message::Node(NodeEvent::Up { node, visible }) => self.node_up(node, !visible),
            Message::Node(NodeEvent::Down { node, .. }) => {
                if self.nodes.remove(&node) {
                    self.healer.handle(now(), heal::Input::NodeDown { node: node.clone() });
                    self.engine_input(engine::Input::NodeDown { node });
                }
            }
            Message::Exit { .. } | Message::SpawnReply { .. } => {}
        }
    }

    fn on_term(&mut self, term: &Term) {
        match term.as_tuple() {
            Some([tag, from, request]) if tag.is_atom("$gen_call") => {
                let permission = |app: &Atom| self.permission(app);
                match functions::dist_ac_request(request, permission) {
                    Some(request) => self.call_dist_ac(request, Caller::Gen(from.clone())),
                    None => tracing::warn!(%request, "an unknown call of dist_ac"),
                }
            }
            _ => match PeerMessage::from_term(term) {
                Ok(message) => {
                    if let PeerMessage::Status { node, heal, .. } = &message {
                        let (node, heal) = (node.clone(), *heal);
                        self.healer.handle(now(), heal::Input::Member { node, heal });
                    }
                    self.engine_input(engine::Input::Message(message));
                }
                Err(error @ WireError::Malformed { .. }) => tracing::warn!(%error, %term, "ignored"),
                Err(WireError::Unknown) => tracing::debug!(%term, "no message of dist_ac"),
            },
        }
    }

    /// Gives back whom to tell when the applications have been shut down.
    fn on_event(&mut self, event: Event) -> Option<oneshot::Sender<()>> {
        match event {
            Event::Boot(done) => {
                if self.applications.0.dist_ac {
                    self.booting = Some(done);
                    self.engine_input(engine::Input::Go);
                } else {
                    let _ = done.send(());
                }
                self.controller_input(controller::Input::Booted);
            }
            Event::CallController(request, caller) => {
                let call = self.new_call(caller);
                self.controller_input(controller::Input::Call { call, request });
            }
            Event::CallDistAc(request, caller) => self.call_dist_ac(request, caller),
            Event::Healer(input) => self.healer.handle(now(), input),
            Event::HasRead { node } => self.engine_input(engine::Input::HasRead { node }),
            Event::Info { node, info } => self.engine_input(engine::Input::Info { node, info }),
            Event::Running { node, apps } => self.engine_input(engine::Input::Running { node, apps }),
            Event::Known { node, nodes } => self.engine_input(engine::Input::Known { node, nodes }),
            Event::Locked { lock, granted } => {
                if !granted {
                    self.locks.remove(&lock);
                }
                self.engine_input(engine::Input::Locked { lock, granted });
            }
            Event::MasterDown { reference, reason } => self.on_master_down(&reference, reason),
            Event::MasterStarted { app, pid, result } => self.on_master_started(app, pid, result),
            Event::Shutdown(done) => return Some(done),
        }
        None
    }

    fn node_up(&mut self, node: Atom, hidden: bool) {
        if self.nodes.insert(node.clone()) {
            self.healer.handle(now(), heal::Input::NodeUp { node: node.clone(), hidden });
            self.engine_input(engine::Input::NodeUp { node, hidden });
        }
    }

    fn new_call(&mut self, caller: Caller) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.callers.insert(call, caller);
        call
    }

    fn call_dist_ac(&mut self, request: engine::Request, caller: Caller) {
        let call = self.new_call(caller);
        self.engine_input(engine::Input::Call { call, request });
    }

    /// What `kernel permissions` says of an application now.
    fn permission(&self, app: &Atom) -> bool {
        let forbidden = tuple!(app, false);
        let controller = self.applications.controller();
        let permissions = controller.env().value("kernel", &Term::atom("permissions"));
        !permissions.and_then(Term::as_list).is_some_and(|list| list.contains(&forbidden))
    }

    fn engine_input(&mut self, input: engine::Input) {
        if let Err(error) = self.engine.handle(now(), input) {
            tracing::error!(%error, "a fault of this program");
        }
    }

    fn controller_input(&mut self, input: controller::Input) {
        self.applications.controller().handle(input);
    }

    /// Does what the machines want done.
    fn drain(&mut self, context: &Context) {
        loop {
            // Taken out first, so that the controller is not locked meanwhile.
            let output = self.applications.controller().poll_output();
            if let Some(output) = output {
                self.controller_output(context, output);
            } else if let Some(output) = self.engine.poll_output() {
                self.engine_output(context, output);
            } else if let Some(output) = self.healer.poll_output() {
                self.healer_output(context, output);
            } else {
                return;
            }
        }
    }

    fn controller_output(&mut self, context: &Context, output: controller::Output) {
        match output {
            controller::Output::DistAc(notice) => {
                let event = self.recorder.on_notice(&notice);
                self.publish(event);
                self.engine_input(engine::Input::Controller(notice));
            }
            controller::Output::Halt { reason } => {
                tracing::error!(%reason, "the node has to go down");
                self.applications.0.halted.send_if_modified(|halted| {
                    let first = halted.is_none();
                    halted.get_or_insert(reason);
                    first
                });
            }
            controller::Output::Reply { call, reply } => self.reply(context, call, reply),
            controller::Output::Report(report) => self.report(&report),
            controller::Output::StartMaster { app, start_type } => {
                self.start_master(context, app, start_type)
            }
            controller::Output::StopMaster { app } => self.stop_master(app),
        }
    }

    fn engine_output(&mut self, context: &Context, output: engine::Output) {
        match output {
            engine::Output::AskInfo { node } => {
                let events = self.applications.0.events.clone();
                context.spawn(move |asker| inquire(asker, node, events));
            }
            engine::Output::Controller(message) => {
                let event = self.recorder.on_order(&message);
                self.publish(event);
                self.controller_input(controller::Input::DistAc(message));
            }
            engine::Output::Event(event) => self.note(&event),
            engine::Output::Lock { lock, nodes, retry } => {
                let (release, released) = oneshot::channel();
                self.locks.insert(lock, release);
                let events = self.applications.0.events.clone();
                let own = context.pid().clone();
                context.spawn(move |holder| locks::hold(holder, lock, own, nodes, retry, events, released));
            }
            engine::Output::AskRead { node } => {
                let events = self.applications.0.events.clone();
                context.spawn(move |asker| ask_read(asker, node, events));
            }
            engine::Output::AskRunning { node } => {
                let events = self.applications.0.events.clone();
                context.spawn(move |asker| ask_running(asker, node, events));
            }
            engine::Output::Probe { node } => {
                let events = self.applications.0.events.clone();
                context.spawn(move |asker| probe(asker, node, events));
            }
            engine::Output::Reply { call, reply } => self.reply(context, call, reply),
            engine::Output::Send { node, message } => {
                context.send_now(Dest::NameAt(Atom::from_static(DIST_AC), node), message.to_term());
            }
            engine::Output::TookControl => {
                if let Some(booting) = self.booting.take() {
                    let _ = booting.send(());
                }
            }
            engine::Output::Unlock { lock } => {
                if let Some(release) = self.locks.remove(&lock) {
                    let _ = release.send(());
                }
            }
        }
    }

    fn healer_output(&mut self, context: &Context, output: heal::Output) {
        match output {
            heal::Output::Ask { node, question, limit } => {
                let events = self.applications.0.events.clone();
                context.spawn(move |asker| healing::ask(asker, node, question, limit, events));
            }
            heal::Output::Event(event) => self.note(&event),
            heal::Output::NodeDown { node, down } => {
                context
                    .send_now(Dest::NameAt(Atom::from_static(DIST_AC), node), tuple!(atom "nodedown", down));
            }
            heal::Output::Restart { node, app, restart_type } => {
                context.spawn(move |caller| healing::restart(caller, node, app, restart_type));
            }
            heal::Output::Send { node, message } => {
                context.send_now(Dest::NameAt(Atom::from_static(DIST_AC), node), message.to_term());
            }
            heal::Output::TakeOver { node, app, restart_type } => {
                context.spawn(move |caller| healing::take_over(caller, node, app, restart_type));
            }
        }
    }

    /// Of a distributed application also to those who listen.
    fn report(&mut self, report: &Report) {
        let app = match report {
            Report::Exited { app, reason, restart_type } => {
                tracing::info!(%app, exited = %reason, ?restart_type, "application");
                app
            }
            Report::Started { app, node } => {
                tracing::info!(%app, started_at = %node, "application");
                app
            }
        };
        if self.engine.id(app).is_some() {
            let event = self.recorder.on_report(report);
            self.publish(event);
        }
    }

    fn note(&mut self, event: &engine::Event) {
        log(event);
        let event = self.recorder.on_engine(event);
        self.publish(event);
    }

    fn publish(&self, event: Option<events::Event>) {
        if let Some(event) = event {
            self.publisher.publish(event);
        }
    }

    fn reply(&mut self, context: &Context, call: CallId, reply: Term) {
        match self.callers.remove(&call) {
            Some(Caller::Gen(from)) => context.reply(&from, reply),
            Some(Caller::Local(sender)) => {
                // The caller may have been ended meanwhile.
                let _ = sender.send(reply);
            }
            None => {}
        }
    }

    fn start_master(&mut self, context: &Context, app: Atom, start_type: StartType) {
        let controller = self.applications.controller();
        let Some(spec) = controller.spec(&app).cloned() else {
            drop(controller);
            let result = Err(tuple!(atom "not_loaded", &app));
            return self.controller_input(controller::Input::Started { app, result });
        };
        let steps = master::steps(&spec, &|name| controller.spec(name).cloned());
        drop(controller);
        let (stop, stopped) = watch::channel(false);
        let job = Job {
            spec,
            steps,
            start_type,
            programs: Arc::clone(&self.programs),
            applications: self.applications.clone(),
            stop: stopped,
        };
        let (events, name) = (self.applications.0.events.clone(), app.clone());
        let pid = context.node().spawn(move |master| async move {
            let pid = master.pid().clone();
            let started = async move |result| {
                let _ = events.send(Event::MasterStarted { app: name, pid, result }).await;
            };
            master::run(master, job, started).await
        });
        let reference = context.monitor(&pid).reference;
        let master = Master { pid, reference, stop, started: false, stopping: false };
        self.masters.insert(app, master);
    }

    fn stop_master(&mut self, app: Atom) {
        match self.masters.get_mut(&app) {
            Some(master) => {
                master.stopping = true;
                master.stop.send_replace(true);
            }
            None => self.controller_input(controller::Input::Stopped { app }),
        }
    }

    fn on_master_started(&mut self, app: Atom, pid: Pid, result: Result<(), Term>) {
        let Some(master) = self.masters.get_mut(&app).filter(|master| master.pid == pid) else { return };
        let result = match result {
            Ok(()) => {
                master.started = true;
                Ok(Some(pid))
            }
            Err(reason) => {
                self.masters.remove(&app);
                Err(reason)
            }
        };
        self.controller_input(controller::Input::Started { app, result });
    }

    fn on_master_down(&mut self, reference: &Reference, reason: Term) {
        let found = self.masters.iter().find(|(_, master)| master.reference == *reference);
        let Some(app) = found.map(|(app, _)| app.clone()) else { return };
        let Some(master) = self.masters.remove(&app) else { return };
        let input = match master {
            Master { stopping: true, .. } => controller::Input::Stopped { app },
            Master { started: true, .. } => controller::Input::Exited { app, reason },
            Master { .. } => controller::Input::Started { app, result: Err(reason) },
        };
        self.controller_input(input);
    }

    /// Stops the applications one after the other; nobody is told, so the machines do not take part.
    async fn shutdown(&mut self, context: &mut Context) {
        let deadline = now() + SHUTDOWN_TIME;
        let order = self.applications.controller().shutdown_order();
        for app in order {
            let Some(master) = self.masters.remove(&app) else { continue };
            master.stop.send_replace(true);
            let mut down = |message: &Message| match message {
                Message::Down { reference, .. } if *reference == master.reference => Some(()),
                _ => None,
            };
            let left = deadline.saturating_duration_since(now());
            if context.receive_match_timeout(Some(left), &mut down).await.is_none() {
                tracing::warn!(%app, "does not stop in time, and is killed");
                context.exit(&master.pid, Term::atom("kill"));
                context.receive_match(&mut down).await;
            }
        }
    }
}

/// Asks a node's `dist_ac` for its state. One that is blocked answers when it goes on.
async fn inquire(mut context: Context, node: Atom, events: mpsc::Sender<Event>) {
    let dest = Dest::NameAt(Atom::from_static(DIST_AC), node.clone());
    let info = match context.call(dest, Term::atom("info"), None).await {
        Ok(info) => info,
        Err(CallError::NoProc) => Term::atom("undefined"),
        // It goes down, and there will be a nodedown.
        Err(CallError::Exit { .. } | CallError::NoConnection { .. } | CallError::Timeout) => return,
    };
    let _ = events.send(Event::Info { node, info }).await;
}

/// Asks a node's `dist_ac` for the nodes that it knows.
async fn probe(mut context: Context, node: Atom, events: mpsc::Sender<Event>) {
    let dest = Dest::NameAt(Atom::from_static(DIST_AC), node.clone());
    let nodes = match context.call(dest, Term::atom("get_known_nodes"), None).await {
        Ok(answer) => {
            let nodes = answer.as_list().unwrap_or_default();
            Some(nodes.iter().filter_map(|node| node.as_atom().cloned()).collect())
        }
        Err(CallError::NoProc) => None,
        // It goes down, and there will be a nodedown.
        Err(CallError::Exit { .. } | CallError::NoConnection { .. } | CallError::Timeout) => return,
    };
    let _ = events.send(Event::Known { node, nodes }).await;
}

/// Asks a node's `dist_ac` for something small: what counts is that it answers.
async fn ask_read(mut context: Context, node: Atom, events: mpsc::Sender<Event>) {
    let dest = Dest::NameAt(Atom::from_static(DIST_AC), node.clone());
    // Any other end means that there is nobody to cross with, or a nodedown to come.
    if let Ok(_) | Err(CallError::NoProc) = context.call(dest, Term::atom("get_known_nodes"), None).await {
        let _ = events.send(Event::HasRead { node }).await;
    }
}

/// How long an application controller may take to say what runs: it is slow while it stops something.
const RUNNING_LIMIT: Duration = Duration::from_secs(30);

/// Asks a node's application controller what runs there.
async fn ask_running(mut context: Context, node: Atom, events: mpsc::Sender<Event>) {
    let dest = Dest::NameAt(Atom::from_static("application_controller"), node.clone());
    let name = |app: &Term| app.as_tuple()?.first()?.as_atom().cloned();
    let apps = match context.call(dest, Term::atom("which_applications"), Some(RUNNING_LIMIT)).await {
        Ok(answer) => answer.as_list().and_then(|apps| apps.iter().map(name).collect()),
        Err(CallError::NoProc | CallError::Timeout) => None,
        // It goes down, and there will be a nodedown.
        Err(CallError::Exit { .. } | CallError::NoConnection { .. }) => return,
    };
    let _ = events.send(Event::Running { node, apps }).await;
}

fn log(event: &engine::Event) {
    use engine::Event as E;
    match event {
        E::DecisionFailed { .. }
        | E::DistributionMismatch { .. }
        | E::ConflictLeft { .. }
        | E::ConflictResolved { .. }
        | E::BeliefDropped { .. }
        | E::FailedTakeoverIgnored { .. } => tracing::warn!(?event, "dist_ac"),
        E::Repair(repair) => {
            tracing::warn!(fault = %repair.fault, act = ?repair.act, dry_run = repair.dry_run, "heal");
        }
        E::FailoverPending { .. } | E::Moved { .. } | E::PermissionChanged { .. } => {
            tracing::info!(?event, "dist_ac")
        }
        E::Ignored { .. } | E::Introduced { .. } | E::NoDistAc { .. } => tracing::debug!(?event, "dist_ac"),
    }
}
