//! The engine's surroundings: three processes, the clock, and the rest of the node.
//!
//! The name server's process drives the engine. What arrives for the locker and the registrar is handed on to it,
//! and it calls and sends in their name, for a lock belongs to the pid that asked for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use etf::{Atom, Reference, Term, tuple};
use tokio::sync::{mpsc, oneshot};

use super::{
    api::{
        Address, Answer, CallResult, Config, Error, Input, Output, QuestionId, Request, RequestId,
        ResolveResult, Role,
    },
    engine::Engine,
    resolve_it,
};
use crate::{
    Context, Dest, Exception, Message, Monitor, NodeEvent, PendingCall, SpawnOptions, clock, erpc,
    node::Inner, sys,
};

/// How many things may wait for the engine that it has asked for itself, or that local callers ask. A local caller
/// waits when there are more.
const QUEUE_MAX: usize = 1024;

/// The engine, which everyone may look into and only the name server's process drives.
pub(super) struct Shared {
    engine: Mutex<Engine>,
    events: mpsc::Sender<Event>,
}

/// What comes to the name server's process by another way than its mailbox.
pub(super) enum Event {
    Request(Request, oneshot::Sender<Result<Answer, Error>>),
    /// A message to the locker or the registrar.
    For(Role, Message),
    /// An answer to something the engine wanted.
    Answered(Input),
}

impl Shared {
    pub(super) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn request(&self, request: Request) -> Result<Answer, Error> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.events.send(Event::Request(request, sender)).await;
        // No answer comes when the node stops; nothing is registered any more then.
        receiver.await.unwrap_or(Ok(Answer::No))
    }

    pub(super) fn prepare_shutdown(&self) {
        let _ = self.engine().handle(clock::now(), Input::PrepareShutdown);
    }
}

/// Starts the three processes.
pub(super) fn start(inner: &Arc<Inner>) -> Arc<Shared> {
    let (events, receiver) = mpsc::channel(QUEUE_MAX);
    let process = |name: Option<&'static str>| {
        let initial_call = (Atom::from_static("global"), Atom::from_static("init"), 1);
        let options = SpawnOptions {
            name: name.map(Atom::from_static),
            initial_call: Some(initial_call),
            ..SpawnOptions::default()
        };
        inner.new_process(options).expect("nothing has been registered yet")
    };
    let name_server = process(Some("global_name_server"));
    let (locker, registrar) = (process(None), process(None));
    #[expect(clippy::cast_possible_wrap, reason = "any number is as good")]
    let creation_ext = clock::random_u64() as i64 >> 1;
    let config = Config {
        creation_ext,
        seed: clock::random_u64(),
        prevent_overlapping_partitions: inner.config.prevent_overlapping_partitions,
        ..Config::new(
            inner.node_atom().clone(),
            name_server.pid.clone(),
            locker.pid.clone(),
            registrar.pid.clone(),
        )
    };
    let shared = Arc::new(Shared { engine: Mutex::new(Engine::new(config)), events: events.clone() });
    // Before anyone can connect: no nodeup may be missed.
    inner.monitor_nodes(&name_server.pid, true);
    let mut roles = Vec::new();
    for (role, process) in [(Role::Locker, locker), (Role::Registrar, registrar)] {
        roles.push((role, Context::new(Arc::clone(inner), Arc::clone(&process))));
        let events = events.clone();
        inner.run_process(process, move |context| hand_on(context, role, events));
    }
    let server_shared = Arc::clone(&shared);
    inner.run_process(name_server, move |context| async move {
        context.trap_exit(true);
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
        };
        server.run(receiver).await;
    });
    shared
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
            Message::Node(NodeEvent::Up { node, visible: true }) => self.input(Input::NodeUp { node }),
            Message::Node(NodeEvent::Down { node, visible: true, .. }) => {
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
                    Address::NameServer(node) => Dest::NameAt(Atom::from_static("global_name_server"), node),
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
                    let dest = Dest::NameAt(Atom::from_static("global_name_server"), node.clone());
                    let pending = self.role(from).send_request(dest, request.clone());
                    self.calls.insert(pending.reference().clone(), (id, node, pending));
                }
            }
            Output::Reply { to, tag, term } => self.context.reply(tuple!(to, tag), term),
            Output::Monitor { id, pid } => {
                let monitor = self.context.monitor(pid);
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
            Output::Warn(warning) => tracing::warn!(node = self.context.node().name().as_str(), "{warning}"),
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

/// What a failed function is to a caller that catches everything.
pub(super) fn caught(exception: Exception) -> Term {
    match exception {
        Exception::Throw(term) => term,
        Exception::Exit(reason) => tuple!(atom "EXIT", reason),
        Exception::Error { reason, stack } => tuple!(atom "EXIT", tuple!(reason, stack)),
    }
}
