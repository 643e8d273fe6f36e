//! The engine's surroundings: three processes, the clock, and the rest of the node.
//!
//! The name server's process drives the engine. What arrives for the locker and the registrar is handed on to it,
//! and it calls and sends in their name, for a lock belongs to the pid that asked for it.
//!
//! A BEAM whose `global_name_server` ends goes down. Ours can end by a full mailbox or because somebody kills it, and
//! `keeper.rs` starts all three anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use etf::{Atom, Pid, Reference, Term, tuple};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    api::{
        Address, Answer, CallResult, Config, Error, Input, Output, QuestionId, Request, RequestId,
        ResolveResult, Role,
    },
    engine::Engine,
    keeper,
    log::Log,
    resolve_it,
};
use crate::{
    Context, Dest, Exception, Message, Monitor, NodeEvent, PendingCall, SpawnOptions, clock, erpc,
    kernel::global_group::Groups, node::Inner, process::Process, sys,
};

/// How many things may wait for the engine that it has asked for itself, or that local callers ask. A local caller
/// waits when there are more.
const QUEUE_MAX: usize = 1024;

/// What the name server is registered as.
pub(super) const NAME: &str = "global_name_server";

/// The engine, which everyone may look into and only the name server's process drives.
pub(super) struct Shared {
    node: Weak<Inner>,
    engine: Mutex<Engine>,
    /// To the present name server.
    events: Mutex<mpsc::Sender<Event>>,
}

/// What comes to the name server's process by another way than its mailbox.
pub(super) enum Event {
    Request(Request, oneshot::Sender<Result<Answer, Error>>),
    /// A message to the locker or the registrar.
    For(Role, Message),
    /// An answer to something the engine wanted.
    Answered(Input),
    /// Whether a node is of our global group: asked when its connection of this number came up.
    GroupChecked {
        node: Atom,
        connection: u64,
        agreed: bool,
    },
    /// A node says that it is of our global group, and we agree.
    GroupUp(Atom),
}

impl Shared {
    pub(super) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False for a process of this node that has ended.
    pub(super) fn may_live(&self, pid: &Pid) -> bool {
        let Some(node) = self.node.upgrade() else { return false };
        pid.node() != node.node_atom() || node.registry.get(pid).is_some()
    }

    pub(super) fn events(&self) -> mpsc::Sender<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn request(&self, request: Request) -> Result<Answer, Error> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.events().send(Event::Request(request, sender)).await;
        // No answer comes when the node stops; nothing is registered any more then.
        receiver.await.unwrap_or(Ok(Answer::No))
    }

    pub(super) fn prepare_shutdown(&self) {
        let _ = self.engine().handle(clock::now(), Input::PrepareShutdown);
    }
}

/// The three processes of a name server, which stand and fall together.
pub(super) struct Trio {
    processes: [Arc<Process>; 3],
    /// Told when one of them has ended.
    pub(super) ended: Arc<Notify>,
}

impl Trio {
    /// Ends those that still run.
    pub(super) fn end(&self) {
        for process in &self.processes {
            process.kill(Term::atom("shutdown"));
        }
    }
}

/// Starts the three processes, and whoever starts them anew.
pub(super) fn start(inner: &Arc<Inner>) -> Arc<Shared> {
    let launched = launch(inner, |engine, events| {
        let (engine, events) = (Mutex::new(engine), Mutex::new(events));
        Arc::new(Shared { node: Arc::downgrade(inner), engine, events })
    });
    let (shared, trio) = launched.expect("nothing has been registered yet");
    inner.tasks.spawn(keeper::keep(Arc::clone(inner), Arc::clone(&shared), trio));
    shared
}

/// Starts them anew, with the names of this node's processes. Nothing while somebody has the name of the name server.
pub(super) fn restart(inner: &Arc<Inner>, shared: &Arc<Shared>) -> Option<Trio> {
    let launched = launch(inner, |mut engine, events| {
        let mut old = shared.engine();
        engine.adopt(&old);
        *old = engine;
        *shared.events.lock().unwrap_or_else(PoisonError::into_inner) = events;
        drop(old);
        Arc::clone(shared)
    });
    launched.map(|(_, trio)| trio)
}

/// Makes the three processes and an engine for them, and runs them once `place` has put it where it belongs.
fn launch(
    inner: &Arc<Inner>,
    place: impl FnOnce(Engine, mpsc::Sender<Event>) -> Arc<Shared>,
) -> Option<(Arc<Shared>, Trio)> {
    let (events, receiver) = mpsc::channel(QUEUE_MAX);
    let process = |name: Option<&'static str>| {
        let initial_call = (Atom::from_static("global"), Atom::from_static("init"), 1);
        let options = SpawnOptions {
            name: name.map(Atom::from_static),
            initial_call: Some(initial_call),
            ..SpawnOptions::default()
        };
        inner.new_process(options)
    };
    let name_server = process(Some(NAME)).ok()?;
    let unnamed = || process(None).expect("a process without a name has none that is taken");
    let (locker, registrar) = (unnamed(), unnamed());
    #[expect(clippy::cast_possible_wrap, reason = "any number is as good")]
    let creation_ext = clock::random_u64() as i64 >> 1;
    let config = Config {
        creation_ext,
        seed: clock::random_u64(),
        connect_all: inner.config.connect_all,
        grouped: inner.groups.is_some(),
        prevent_overlapping_partitions: inner.config.prevent_overlapping_partitions,
        ..Config::new(
            inner.node_atom().clone(),
            name_server.pid.clone(),
            locker.pid.clone(),
            registrar.pid.clone(),
        )
    };
    let shared = place(Engine::new(config), events.clone());
    let ended = Arc::new(Notify::new());
    // Before anyone can connect: no nodeup may be missed.
    inner.monitor_nodes(&name_server.pid, true);
    let processes = [&name_server, &locker, &registrar].map(Arc::clone);
    let mut roles = Vec::new();
    for (role, process) in [(Role::Locker, locker), (Role::Registrar, registrar)] {
        roles.push((role, Context::new(Arc::clone(inner), Arc::clone(&process))));
        let (events, told) = (events.clone(), Told(Arc::clone(&ended)));
        inner.run_process(process, move |context| async move {
            let _told = told;
            hand_on(context, role, events).await;
        });
    }
    let (server_shared, told) = (Arc::clone(&shared), Told(Arc::clone(&ended)));
    inner.run_process(name_server, move |context| async move {
        let _told = told;
        context.trap_exit(true);
        let groups = context.inner().groups.clone();
        let server = Server {
            shared: server_shared,
            context,
            roles,
            events,
            calls: HashMap::new(),
            monitors: HashMap::new(),
            monitor_ids: HashMap::new(),
            requests: HashMap::new(),
            request_ids: 0,
            groups,
            unchecked: HashMap::new(),
            connections: 0,
            log: Log::default(),
        };
        server.run(receiver).await;
    });
    Some((shared, Trio { processes, ended }))
}

/// Tells of the end of a process by being dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn hand_on(mut context: Context, role: Role, events: mpsc::Sender<Event>) {
    loop {
        let message = context.receive().await;
        if events.send(Event::For(role, message)).await.is_err() {
            return;
        }
    }
}

struct Server {
    shared: Arc<Shared>,
    context: Context,
    /// The locker's and the registrar's own contexts, to call and send in their name.
    roles: Vec<(Role, Context)>,
    events: mpsc::Sender<Event>,
    calls: HashMap<Reference, (QuestionId, Atom, PendingCall)>,
    monitors: HashMap<Reference, QuestionId>,
    monitor_ids: HashMap<QuestionId, Monitor>,
    requests: HashMap<RequestId, oneshot::Sender<Result<Answer, Error>>>,
    request_ids: RequestId,
    /// The global groups of this node, if it is in one.
    groups: Option<Arc<Groups>>,
    /// Nodes that are up and not of our group, as far as we know, with the numbers of their connections.
    unchecked: HashMap<Atom, u64>,
    connections: u64,
    log: Log,
}

impl Server {
    async fn run(mut self, mut receiver: mpsc::Receiver<Event>) {
        loop {
            self.carry_out();
            let deadline = self.shared.engine().poll_timeout();
            tokio::select! {
                message = self.context.receive() => self.message(Role::NameServer, message),
                event = receiver.recv() => match event {
                    Some(event) => self.event(event),
                    None => return,
                },
                () = sleep_until(deadline) => self.input(Input::Timer),
            }
        }
    }

    fn input(&self, input: Input) {
        let result = self.shared.engine().handle(clock::now(), input);
        if let Err(error) = result {
            tracing::error!(%error, "global refused what it had asked for");
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::For(role, message) => self.message(role, message),
            Event::Answered(input) => self.input(input),
            Event::GroupChecked { node, connection, agreed } => {
                if self.unchecked.get(&node) != Some(&connection) {
                    return;
                }
                if agreed {
                    self.unchecked.remove(&node);
                    self.input(Input::NodeUp { node });
                } else {
                    tracing::warn!(%node, "global_group: a node of our group has other global_groups");
                }
            }
            Event::GroupUp(node) => {
                if self.unchecked.remove(&node).is_some() {
                    self.input(Input::NodeUp { node });
                }
            }
            Event::Request(request, answer) => {
                self.request_ids += 1;
                let id = self.request_ids;
                let result = self.shared.engine().handle(clock::now(), Input::Request { id, request });
                match result {
                    Ok(()) => {
                        self.requests.insert(id, answer);
                    }
                    // The caller may be gone.
                    Err(error) => drop(answer.send(Err(error))),
                }
            }
        }
    }

    fn message(&mut self, role: Role, message: Message) {
        match message {
            Message::Node(NodeEvent::Up { node, visible: true }) => self.node_up(node),
            Message::Node(NodeEvent::Down { node, visible: true, .. }) => {
                self.unchecked.remove(&node);
                self.input(Input::NodeDown { node });
            }
            Message::Down { reference, .. } => {
                if let Some((id, node, _)) = self.calls.remove(&reference) {
                    self.input(Input::CallReply { id, node, result: CallResult::Down });
                } else if let Some(id) = self.monitors.remove(&reference) {
                    self.monitor_ids.remove(&id);
                    self.input(Input::Down { id });
                }
            }
            Message::Term(term) => self.term(role, term),
            // A hidden node's connection is no affair of global's; exits of links are heard as monitors too.
            Message::Node(_) | Message::Exit { .. } | Message::SpawnReply { .. } => {}
        }
    }

    /// In a global group only its own nodes count, and only those that have the same groups
    /// (cluster-services.md 2.8).
    fn node_up(&mut self, node: Atom) {
        let Some(groups) = self.groups.clone() else { return self.input(Input::NodeUp { node }) };
        self.connections += 1;
        let connection = self.connections;
        self.unchecked.insert(node.clone(), connection);
        // Others stay connected, and are of no account.
        if !groups.is_own(&node) {
            return;
        }
        let events = self.events.clone();
        self.context.spawn(async move |mut context: Context| {
            let agreed = groups.agrees(&mut context, &node).await;
            let _ = events.send(Event::GroupChecked { node, connection, agreed }).await;
        });
    }

    fn term(&mut self, role: Role, term: Term) {
        if let Some([tag, answer]) = term.as_tuple()
            && let Some(reference) = alias_of(tag)
            && let Some((id, node, pending)) = self.calls.remove(reference)
        {
            let answer = answer.clone();
            drop(pending);
            return self.input(Input::CallReply { id, node, result: CallResult::Reply(answer) });
        }
        match role {
            Role::Locker => self.input(Input::LockerMessage(term)),
            Role::Registrar => self.input(Input::RegistrarMessage(term)),
            Role::NameServer if sys::answer_for_service(&self.context, "global_name_server", &term) => {}
            Role::NameServer => match term.as_tuple() {
                Some([tag, cast]) if tag.is_atom("$gen_cast") => self.input(Input::Cast(cast.clone())),
                Some([tag, from, request]) if tag.is_atom("$gen_call") => {
                    let Some([Term::Pid(pid), tag]) = from.as_tuple() else { return };
                    let (from, tag) = (pid.clone(), tag.clone());
                    self.input(Input::Call { from, tag, request: request.clone() });
                }
                _ => self.input(Input::Info(term)),
            },
        }
    }

    fn role(&self, role: Role) -> &Context {
        self.roles.iter().find(|(r, _)| *r == role).map_or(&self.context, |(_, context)| context)
    }

    /// Does what the engine wants, until it wants nothing more.
    fn carry_out(&mut self) {
        loop {
            let output = self.shared.engine().poll_output();
            let Some(output) = output else { return };
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send { from, to, connect, term } => {
                let dest = match to {
                    Address::NameServer(node) => Dest::NameAt(Atom::from_static(NAME), node),
                    Address::Pid(pid) => Dest::Pid(pid),
                };
                if connect {
                    self.role(from).send_now(dest, term);
                } else {
                    self.role(from).send_noconnect(dest, term);
                }
            }
            Output::MultiCall { from, id, nodes, connect, request } => {
                for node in nodes {
                    if !connect && !self.context.inner().is_connected(&node) {
                        self.input(Input::CallReply { id, node, result: CallResult::Down });
                        continue;
                    }
                    let dest = Dest::NameAt(Atom::from_static(NAME), node.clone());
                    let (role, request) = (self.role(from), request.clone());
                    let pending = if connect {
                        role.send_request(dest, request)
                    } else {
                        role.send_request_noconnect(dest, request)
                    };
                    self.calls.insert(pending.reference().clone(), (id, node, pending));
                }
            }
            Output::Reply { to, tag, term } => self.context.reply_noconnect(tuple!(to, tag), term),
            Output::Monitor { id, pid } => {
                // What it asked for may be read when its node has been disconnected already.
                let monitor = self.context.monitor_noconnect(pid);
                self.monitors.insert(monitor.reference.clone(), id);
                self.monitor_ids.insert(id, monitor);
            }
            Output::Demonitor { id, pid: _ } => {
                if let Some(monitor) = self.monitor_ids.remove(&id) {
                    self.monitors.remove(&monitor.reference);
                    self.context.demonitor(&monitor);
                }
            }
            Output::Link(pid) => self.context.link(&pid),
            Output::Unlink(pid) => self.context.unlink(&pid),
            Output::Kill(pid) => self.context.exit(&pid, Term::atom("kill")),
            Output::Connect { node } => self.connect(node),
            Output::Disconnect { node } => {
                self.context.node().disconnect(&node);
            }
            Output::RunResolver { id, node, method, name, pid1, pid2 } => {
                self.resolve(id, node, vec![method, name, pid1.into(), pid2.into()]);
            }
            Output::CheckAlive { id, pid } => {
                let alive = self.context.node().is_process_alive(&pid);
                self.input(Input::Alive { id, alive });
            }
            Output::Answer { id, answer } => {
                if let Some(waiting) = self.requests.remove(&id) {
                    // Whoever asked may have stopped waiting.
                    let _ = waiting.send(Ok(answer));
                }
            }
            Output::Warn(warning) => self.log.warn(clock::now(), self.context.node().name(), &warning),
        }
    }

    fn connect(&self, node: Atom) {
        let (this, events) = (self.context.node().clone(), self.events.clone());
        self.context.inner().tasks.spawn(async move {
            let ok = this.connect(&node).await.is_ok();
            let _ = events.send(Event::Answered(Input::ConnectResult { node, ok })).await;
        });
    }

    fn resolve(&self, id: QuestionId, node: Atom, args: Vec<Term>) {
        let events = self.events.clone();
        self.context.spawn(async move |mut context: Context| {
            let result = if node == *context.node().name() {
                resolve_it::run(&mut context, &args).await
            } else {
                match erpc::call(&mut context, &node, "global", "resolve_it", args, None).await {
                    Ok(value) => Ok(value),
                    Err(error) => Err(error.into_badrpc()),
                }
            };
            let result = match result {
                // As `rpc:call`, by which OTP asks: a function that fails says nothing.
                Ok(value) if is_exit(&value) => ResolveResult::BadRpc(value),
                Ok(value) => ResolveResult::Value(value),
                Err(failure) => match failure.as_tuple() {
                    Some([tag, reason]) if tag.is_atom("badrpc") => ResolveResult::BadRpc(reason.clone()),
                    _ => ResolveResult::Value(failure),
                },
            };
            let _ = events.send(Event::Answered(Input::ResolveResult { id, result })).await;
        });
    }
}

/// The alias in the tag of a call of ours.
fn alias_of(tag: &Term) -> Option<&Reference> {
    match tag {
        Term::ImproperList(list) => list.tail().as_reference(),
        Term::Reference(reference) => Some(reference),
        _ => None,
    }
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn is_exit(value: &Term) -> bool {
    matches!(value.as_tuple(), Some([tag, _]) if tag.is_atom("EXIT"))
}

/// What a failed function is to a caller that catches everything.
pub(super) fn caught(exception: Exception) -> Term {
    match exception {
        Exception::Throw(term) => term,
        Exception::Exit(reason) => tuple!(atom "EXIT", reason),
        Exception::Error { reason, stack } => tuple!(atom "EXIT", tuple!(reason, stack)),
    }
}
