//! The process of a scope, and the scopes of a node.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use etf::{Atom, Map, Pid, Reference, Term, tuple};
use tokio::sync::{mpsc, oneshot};

use super::{
    engine::{Answer, Engine, Input, MonitorId, Output, Request},
    handle::PgError,
    wire::{Change, Groups, parse_changes, pid_list, pids},
};
use crate::{Context, Dest, Message, Monitor, NodeEvent, SpawnOptions, clock, node::Inner};

/// How many requests of this node's programs may wait for the scope's process. Who has one more waits.
const REQUESTS_MAX: usize = 1024;

/// A default scope that ends is started anew, but not this often within [`RESTARTS_WITHIN`]: what ends it so often is
/// not cured by that. OTP's supervisor of it has the same numbers.
const RESTARTS_MAX: usize = 4;
const RESTARTS_WITHIN: Duration = Duration::from_secs(3600);

/// The scopes of a node, by name.
#[derive(Default)]
pub(crate) struct Scopes(Mutex<HashMap<Atom, Arc<Shared>>>);

impl Scopes {
    fn lock(&self) -> MutexGuard<'_, HashMap<Atom, Arc<Shared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Shared>> {
        self.lock().get(name).cloned()
    }
}

/// A scope: everyone may look into it, and only its process drives it.
pub(super) struct Shared {
    pub(super) name: Atom,
    pub(super) pid: Pid,
    engine: RwLock<Engine>,
    requests: mpsc::Sender<(Request, oneshot::Sender<Answer>)>,
}

impl Shared {
    /// What is known now; nothing once the scope has ended.
    pub(super) fn engine(&self) -> Option<RwLockReadGuard<'_, Engine>> {
        let runs = !self.requests.is_closed();
        runs.then(|| self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn engine_mut(&self) -> RwLockWriteGuard<'_, Engine> {
        self.engine.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn request(&self, request: Request) -> Result<Answer, PgError> {
        let (sender, receiver) = oneshot::channel();
        let stopped = || PgError::Stopped { scope: self.name.clone() };
        self.requests.send((request, sender)).await.map_err(|_| stopped())?;
        receiver.await.map_err(|_| stopped())
    }
}

/// Takes the scope out of the node's table when its process ends, however it does.
struct Listed {
    inner: Arc<Inner>,
    shared: Arc<Shared>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut scopes = self.inner.pg.lock();
        if scopes.get(&self.shared.name).is_some_and(|shared| Arc::ptr_eq(shared, &self.shared)) {
            scopes.remove(&self.shared.name);
        }
    }
}

/// Starts a scope.
pub(super) fn start(inner: &Arc<Inner>, name: &Atom) -> Result<Arc<Shared>, PgError> {
    let options = SpawnOptions {
        name: Some(name.clone()),
        initial_call: Some((Atom::from_static("pg"), Atom::from_static("init"), 1)),
        ..SpawnOptions::default()
    };
    let process = inner.new_process(options).map_err(|_| match inner.registry.whereis(name) {
        Some(pid) => PgError::AlreadyStarted { scope: name.clone(), pid },
        None => PgError::BadName { scope: name.clone() },
    })?;
    let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
    let engine = RwLock::new(Engine::new(process.pid.clone()));
    let shared = Arc::new(Shared { name: name.clone(), pid: process.pid.clone(), engine, requests });
    inner.pg.lock().insert(name.clone(), Arc::clone(&shared));
    // First, so that no node that comes is missed; one that is told of twice is asked twice, which does no harm.
    inner.monitor_nodes(&process.pid, true);
    let listed = Listed { inner: Arc::clone(inner), shared: Arc::clone(&shared) };
    inner.run_process(process, move |context| async move {
        let nodes = context.node().nodes();
        let server = Server { listed, context, monitors: HashMap::new(), ids: HashMap::new() };
        server.run(receiver, nodes).await
    });
    Ok(shared)
}

/// Starts a scope, and starts it anew when it ends.
pub(super) fn keep(inner: &Arc<Inner>, name: &'static str) {
    let name = Atom::from_static(name);
    let first = start(inner, &name).expect("nothing else has taken the name yet");
    let process = inner.new_process(SpawnOptions::default()).expect("it is given no name");
    let body_inner = Arc::clone(inner);
    inner.run_process(process, move |mut context| async move {
        let (mut pid, mut restarts) = (first.pid.clone(), VecDeque::new());
        loop {
            let monitor = context.monitor(&pid);
            let down = context.receive_match(|message| match message {
                Message::Down { reference, reason, .. } if *reference == monitor.reference => {
                    Some(reason.clone())
                }
                _ => None,
            });
            let reason = down.await;
            let now: Instant = clock::now();
            restarts.retain(|at| now.duration_since(*at) < RESTARTS_WITHIN);
            if restarts.len() == RESTARTS_MAX {
                tracing::error!(scope = name.as_str(), %reason, "the scope of pg ends too often: it stays ended");
                return;
            }
            restarts.push_back(now);
            tracing::warn!(scope = name.as_str(), %reason, "the scope of pg has ended: it is started anew");
            match start(&body_inner, &name) {
                Ok(shared) => pid = shared.pid.clone(),
                // Whoever has the name now is the scope, or keeps it from being one until it ends.
                Err(PgError::AlreadyStarted { pid: other, .. }) => pid = other,
                Err(_) => return,
            }
        }
    });
}

struct Server {
    listed: Listed,
    context: Context,
    monitors: HashMap<Reference, MonitorId>,
    ids: HashMap<MonitorId, Monitor>,
}

impl Server {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<(Request, oneshot::Sender<Answer>)>,
        nodes: Vec<Atom>,
    ) -> Term {
        self.input(Input::Started { nodes });
        loop {
            self.carry_out();
            tokio::select! {
                message = self.context.receive() => {
                    if let Some((from, reason)) = terminates(&message) {
                        self.context.reply(from, Term::atom("ok"));
                        return reason.clone();
                    }
                    self.message(message);
                }
                request = requests.recv() => match request {
                    Some((request, answer)) => {
                        let given = self.request(request);
                        // What it makes us say goes out before the one who asked goes on. That one may be gone.
                        self.carry_out();
                        let _ = answer.send(given);
                    }
                    None => return Term::atom("normal"),
                },
            }
        }
    }

    fn input(&self, input: Input) {
        self.listed.shared.engine_mut().handle(input);
    }

    fn request(&self, request: Request) -> Answer {
        self.listed.shared.engine_mut().request(request)
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Node(NodeEvent::Up { node, visible: true, .. }) => self.input(Input::NodeUp { node }),
            Message::Down { reference, .. } => {
                if let Some(id) = self.monitors.remove(&reference) {
                    self.ids.remove(&id);
                    self.input(Input::Down(id));
                }
            }
            Message::Term(term) => match term.as_tuple() {
                Some([tag, cast]) if tag.is_atom("$gen_cast") => self.input(Input::Cast(cast.clone())),
                Some([tag, from, request]) if tag.is_atom("$gen_call") => self.call(from, request),
                _ => self.input(Input::Message(term)),
            },
            // Hidden nodes are no affair of pg's, and a node that is lost is told by the monitor of its scope.
            Message::Node(_) | Message::Exit { .. } | Message::SpawnReply { .. } => {}
        }
    }

    /// What OTP's functions ask the process of their own node, in the words of one release or another.
    fn call(&self, from: &Term, request: &Term) {
        let answer = match parse_call(request, from, self.context.make_ref()) {
            Some((request, words)) => words.say(self.request(request)),
            None => {
                tracing::debug!(%request, "a scope of pg does not know this call");
                tuple!(atom "error", atom "badarg")
            }
        };
        self.context.reply(from, answer);
    }

    fn carry_out(&mut self) {
        loop {
            let output = self.listed.shared.engine_mut().poll_output();
            match output {
                None => return,
                Some(Output::Discover { node, term }) => {
                    let scope = Dest::NameAt(self.listed.shared.name.clone(), node);
                    self.context.send_noconnect(scope, term);
                }
                Some(Output::Send { to, term }) => {
                    self.context.send_noconnect(to, term);
                }
                Some(Output::Monitor { id, pid }) => {
                    let monitor = self.context.monitor(pid);
                    self.monitors.insert(monitor.reference.clone(), id);
                    self.ids.insert(id, monitor);
                }
                Some(Output::Demonitor(id)) => {
                    if let Some(monitor) = self.ids.remove(&id) {
                        self.monitors.remove(&monitor.reference);
                        self.context.demonitor(&monitor);
                    }
                }
            }
        }
    }
}

/// Who asks by `gen_server:stop`, and why.
fn terminates(message: &Message) -> Option<(&Term, &Term)> {
    match message.as_term()?.as_tuple()? {
        [tag, from, request] if tag.is_atom("system") => match request.as_tuple()? {
            [verb, reason] if verb.is_atom("terminate") => Some((from, reason)),
            _ => None,
        },
        _ => None,
    }
}

/// How the answer to a gen call is said.
#[derive(Clone, Copy)]
enum Words {
    Joined,
    Left,
    OfScope,
    OfGroup,
    Demonitored,
}

fn parse_call(request: &Term, from: &Term, reference: Reference) -> Option<(Request, Words)> {
    let subscribe = |group: Option<Term>| {
        let pid = from.as_tuple()?.first()?.as_pid()?.clone();
        let words = if group.is_some() { Words::OfGroup } else { Words::OfScope };
        Some((Request::Subscribe { reference, pid, group }, words))
    };
    if request.is_atom("monitor") {
        return subscribe(None);
    }
    let change =
        |group: &Term, join, leave| Request::Update(vec![Change { group: group.clone(), join, leave }]);
    let (verb, args) = request.as_tuple()?.split_first()?;
    match (verb.as_atom()?.as_str(), args) {
        ("join_local", [group, who]) => Some((change(group, pids(who)?, Vec::new()), Words::Joined)),
        ("leave_local", [group, who]) => Some((change(group, Vec::new(), pids(who)?), Words::Left)),
        ("update", [changes]) => Some((Request::Update(parse_changes(changes)?), Words::Joined)),
        ("monitor", [group]) => subscribe(Some(group.clone())),
        ("subscribe", [what]) if what.is_atom("scope") => subscribe(None),
        ("subscribe", [what]) => match what.as_tuple()? {
            [tag, group] if tag.is_atom("group") => subscribe(Some(group.clone())),
            _ => None,
        },
        ("demonitor" | "unsubscribe", [Term::Reference(reference)]) => {
            Some((Request::Unsubscribe(reference.clone()), Words::Demonitored))
        }
        _ => None,
    }
}

impl Words {
    fn say(self, answer: Answer) -> Term {
        match (self, answer) {
            (Self::Joined, Answer::Updated { .. }) | (Self::Left, Answer::Updated { left: true }) => {
                Term::atom("ok")
            }
            (_, Answer::Updated { .. }) => Term::atom("not_joined"),
            (Self::OfGroup, Answer::Subscribed { reference, now }) => {
                let pids = now.into_iter().flat_map(|(_, pids)| pids);
                tuple!(reference, pid_list(pids))
            }
            (_, Answer::Subscribed { reference, now }) => tuple!(reference, map_of(now)),
            (_, Answer::Unsubscribed(true)) => Term::atom("ok"),
            (_, Answer::Unsubscribed(false)) => false.into(),
            (_, Answer::NoLocal(pid)) => tuple!(atom "error", tuple!(atom "nolocal", pid)),
            (_, Answer::Full) => tuple!(atom "error", atom "system_limit"),
        }
    }
}

/// `#{Group => [Pid]}`.
pub(super) fn map_of(groups: Groups) -> Term {
    let mut map = Map::new();
    for (group, pids) in groups {
        map.insert(group, pid_list(pids));
    }
    Term::Map(map)
}
