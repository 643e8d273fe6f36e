//! One node of the cluster as a value: its `dist_ac`, its application controller, and the application itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    rc::Rc,
    time::{Duration, Instant},
};

use crabnode_dist_ac::{
    application::{
        RestartType, StartType,
        controller::{self, Controller, Loadable},
        spec::{Spec, StartSpec},
    },
    engine::{
        self, Engine, Request,
        appl::{AppId, Distribution, Nodes, RestartTime},
        wire::Message,
    },
    exchange::CallId,
};
use etf::{Atom, Term};

use crate::{dist_ac::Member, stock::Stock};

pub const NODES: [&str; 3] = ["a", "b", "c"];

/// On its way along a link.
#[derive(Debug, Clone)]
pub enum Parcel {
    NodeUp,
    NodeDown,
    Message(Message),
    Ask(Wanted),
    Known(Vec<Atom>),
    Info(Term),
    Read,
    Running(Vec<Atom>),
}

/// What an engine wants of another `dist_ac`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Known,
    Read,
    Info,
    /// Of its application controller, which is not blocked with it.
    Running,
}

/// What happens at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// This parcel comes from that node.
    Parcel(usize, u32),
    /// Its startup synchronisation is over.
    Go,
    MasterStarted,
    MasterFailed,
    MasterStopped,
    /// A timer is due.
    Timeout,
    /// So many milliseconds go by.
    Wait(u32),
    /// `application:load`.
    Load,
    /// `application:load`, if nobody has, and `application:start`.
    Start,
    Stop,
    Takeover,
    Permit(bool),
    /// The application dies by itself.
    Crash,
}

impl Event {
    /// As a number. Waits are of some minutes at most, and parcels fewer than that.
    pub fn code(self) -> u32 {
        let (kind, number) = match self {
            Self::Parcel(from, parcel) => (u32::try_from(from).expect("a node"), parcel),
            Self::Wait(millis) => (3, millis),
            Self::Go => (4, 0),
            Self::MasterStarted => (4, 1),
            Self::MasterFailed => (4, 2),
            Self::MasterStopped => (4, 3),
            Self::Timeout => (4, 4),
            Self::Start => (4, 5),
            Self::Stop => (4, 6),
            Self::Takeover => (4, 7),
            Self::Permit(permission) => (4, 8 + u32::from(permission)),
            Self::Crash => (4, 10),
            Self::Load => (4, 11),
        };
        assert!(number < 1 << 28);
        kind << 28 | number
    }
}

/// The application at one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Master {
    Down,
    Starting,
    Up,
    Stopping,
}

/// How the nodes of a cluster are configured.
#[derive(Debug, Clone)]
pub struct Config {
    pub list: Nodes,
    pub restart_ms: u64,
    /// Which node is a stock node.
    pub stock: Option<usize>,
}

/// What a node does about something.
#[derive(Debug, Default)]
pub struct Outcome {
    pub sends: Vec<(usize, Parcel)>,
    /// The application is started as if it ran nowhere.
    pub starts_afresh: bool,
    /// The node halts.
    pub halts: bool,
}

#[derive(Debug, Clone)]
pub struct Node {
    me: usize,
    dist_ac: Member,
    /// Most events do not concern it.
    controller: Rc<Controller>,
    pub master: Master,
    /// It is ready to start applications.
    pub go: bool,
    /// The application was started here, and not stopped since.
    pub started: bool,
    /// Calls that have no answer yet.
    open: BTreeSet<u64>,
    now: Instant,
}

/// Numbers of calls, by what is called: the smallest that is free is taken, so that equal states are equal.
const LOAD: u64 = 0;
const START: u64 = 10;
const STOP: u64 = 20;
const TAKEOVER: u64 = 30;
const PERMIT: u64 = 40;
const FORBID: u64 = 50;
/// Calls of peers: that of each in its place, by what it wants.
const PEERS: u64 = 100;

impl Node {
    pub fn new(me: usize, config: &Config, now: Instant) -> Self {
        let restart_time = RestartTime::Millis(config.restart_ms);
        let distributed = vec![Distribution { app: app(), restart_time, nodes: config.list.clone() }];
        let mut spec = Spec::new(app());
        spec.start = Some(StartSpec { module: Atom::from("mod"), args: Term::NIL });
        let name = Atom::from(NODES[me]);
        let dist_ac = if config.stock == Some(me) {
            Member::Stock(Box::new(Stock::new(name.clone(), distributed)))
        } else {
            Member::Ours(Box::new(Engine::new(name.clone(), distributed, &BTreeMap::new())))
        };
        Self {
            me,
            dist_ac,
            controller: Rc::new(Controller::new(name, vec![spec], Vec::new())),
            master: Master::Down,
            go: false,
            started: false,
            open: BTreeSet::new(),
            now,
        }
    }

    /// Everything that it will ever depend on, as a text: times as they are from now on.
    pub fn key(&self) -> String {
        let mut text = String::with_capacity(8192);
        let Self { me, dist_ac, controller, master, go, started, open, now } = self;
        write!(text, "{me} {master:?} {go} {started} {open:?} {dist_ac:?} {controller:?}").unwrap();
        relative(&text, *now)
    }

    pub fn id(&self) -> AppId {
        self.dist_ac.id(&app()).cloned().unwrap_or_default()
    }

    pub fn is_permitted(&self) -> bool {
        self.dist_ac.permission(&app()) == Some(true)
    }

    /// A stock node, and what it is.
    pub fn stock(&self) -> Option<&Stock> {
        self.dist_ac.stock()
    }

    /// Whether somebody waits who called this node, for the start of the application or for something else.
    pub fn callers(&self) -> (bool, bool) {
        let (mut starts, mut others) = (false, false);
        for call in self.open.iter().filter(|call| **call < PEERS) {
            *(if (START..STOP).contains(call) { &mut starts } else { &mut others }) = true;
        }
        (starts, others)
    }

    /// When its next timer is due, in milliseconds from now.
    pub fn due(&self) -> Option<u32> {
        let at = self.dist_ac.poll_timeout()?;
        u32::try_from(at.saturating_duration_since(self.now).as_millis()).ok()
    }

    pub fn handle(&mut self, event: Event, parcel: Option<&Parcel>) -> Outcome {
        let mut outcome = Outcome::default();
        match event {
            Event::Parcel(from, _) => {
                self.deliver(from, parcel.expect("with its contents"), &mut outcome);
            }
            Event::Go => {
                self.go = true;
                self.dist_ac(engine::Input::Go);
                self.drain(&mut outcome);
                self.controller(controller::Input::Booted);
            }
            Event::MasterStarted => {
                self.master = Master::Up;
                self.controller(controller::Input::Started { app: app(), result: Ok(None) });
            }
            Event::MasterFailed => {
                self.master = Master::Down;
                let result = Err(Term::atom("failed"));
                self.controller(controller::Input::Started { app: app(), result });
            }
            Event::MasterStopped => {
                self.master = Master::Down;
                self.controller(controller::Input::Stopped { app: app() });
            }
            Event::Timeout => self.dist_ac(engine::Input::Timeout),
            Event::Wait(millis) => self.now += Duration::from_millis(millis.into()),
            Event::Load => self.call(LOAD, controller::Request::Load(Loadable::Name(app()))),
            Event::Start => {
                self.started = true;
                self.call(LOAD, controller::Request::Load(Loadable::Name(app())));
                self.drain(&mut outcome);
                let restart_type = Term::atom("temporary");
                self.call(START, controller::Request::Start { app: app(), restart_type });
            }
            Event::Stop => {
                self.started = false;
                self.call(STOP, controller::Request::Stop(app()));
            }
            Event::Takeover => {
                let call = CallId(self.open(TAKEOVER));
                let restart_type = RestartType::Temporary;
                let request = Request::Takeover { app: app(), restart_type, locked: false };
                self.dist_ac(engine::Input::Call { call, request });
            }
            Event::Permit(permission) => {
                let request = controller::Request::Permit { app: app(), permission };
                self.call(if permission { PERMIT } else { FORBID }, request);
            }
            Event::Crash => {
                self.master = Master::Down;
                self.controller(controller::Input::Exited { app: app(), reason: Term::atom("crashed") });
            }
        }
        self.drain(&mut outcome);
        outcome
    }

    fn deliver(&mut self, from: usize, parcel: &Parcel, outcome: &mut Outcome) {
        let node = Atom::from(NODES[from]);
        match parcel.clone() {
            Parcel::NodeUp => self.dist_ac(engine::Input::NodeUp { node, hidden: false }),
            Parcel::NodeDown => {
                let of_it = |call: &u64| *call >= PEERS && usize::try_from(call % 10).unwrap() == from;
                self.open.retain(|call| !of_it(call));
                self.dist_ac(engine::Input::NodeDown { node });
            }
            Parcel::Message(message) => self.dist_ac(engine::Input::Message(message)),
            Parcel::Ask(Wanted::Running) => {
                let running = self.controller.shutdown_order();
                outcome.sends.push((from, Parcel::Running(running)));
            }
            Parcel::Ask(wanted) => {
                let call = PEERS + wanted as u64 * 10 + from as u64;
                self.open.insert(call);
                let request = if wanted == Wanted::Info { Request::Info } else { Request::KnownNodes };
                self.dist_ac(engine::Input::Call { call: CallId(call), request });
            }
            Parcel::Known(nodes) => self.dist_ac(engine::Input::Known { node, nodes: Some(nodes) }),
            Parcel::Info(info) => self.dist_ac(engine::Input::Info { node, info }),
            Parcel::Read => self.dist_ac(engine::Input::HasRead { node }),
            Parcel::Running(apps) => self.dist_ac(engine::Input::Running { node, apps: Some(apps) }),
        }
    }

    fn dist_ac(&mut self, input: engine::Input) {
        self.dist_ac.handle(self.now, input);
    }

    fn controller(&mut self, input: controller::Input) {
        Rc::make_mut(&mut self.controller).handle(input);
    }

    fn call(&mut self, kind: u64, request: controller::Request) {
        let call = CallId(self.open(kind));
        self.controller(controller::Input::Call { call, request });
    }

    fn open(&mut self, kind: u64) -> u64 {
        let call = (kind..).find(|call| !self.open.contains(call)).expect("there is no end of numbers");
        self.open.insert(call);
        call
    }

    fn drain(&mut self, outcome: &mut Outcome) {
        loop {
            let controller = Rc::make_mut(&mut self.controller).poll_output();
            if let Some(output) = controller {
                self.controller_output(output, outcome);
                continue;
            }
            match self.dist_ac.poll_output() {
                Some(output) => self.dist_ac_output(output, outcome),
                None => return,
            }
        }
    }

    fn controller_output(&mut self, output: controller::Output, outcome: &mut Outcome) {
        match output {
            controller::Output::DistAc(notice) => self.dist_ac(engine::Input::Controller(notice)),
            controller::Output::StartMaster { start_type, .. } => {
                self.master = Master::Starting;
                outcome.starts_afresh |= !matches!(start_type, StartType::Takeover(_));
            }
            controller::Output::StopMaster { .. } => self.master = Master::Stopping,
            controller::Output::Halt { .. } => outcome.halts = true,
            controller::Output::Reply { call, reply } => self.controller_reply(call.0, &reply),
            controller::Output::Report(_) => {}
        }
    }

    fn controller_reply(&mut self, call: u64, reply: &Term) {
        let first = reply.as_tuple().map_or(reply, |fields| &fields[0]);
        if (PERMIT..PEERS).contains(&call) && first.is_atom("distributed_application") {
            let only_loaded = reply.as_tuple().is_some();
            let permission = call < FORBID;
            let request = Request::Permit { app: app(), permission, only_loaded, locked: false };
            return self.dist_ac(engine::Input::Call { call: CallId(call), request });
        }
        if (START..STOP).contains(&call) && first.is_atom("error") && self.master == Master::Down {
            let standing_by = matches!(self.id(), AppId::Distributed(_));
            self.started &= standing_by;
        }
        self.open.remove(&call);
    }

    fn dist_ac_output(&mut self, output: engine::Output, outcome: &mut Outcome) {
        let mut send = |node: &Atom, parcel| outcome.sends.push((index(node), parcel));
        match output {
            engine::Output::Controller(message) => self.controller(controller::Input::DistAc(message)),
            engine::Output::Lock { lock, .. } => {
                self.dist_ac(engine::Input::Locked { lock, granted: true });
            }
            engine::Output::AskInfo { node } => send(&node, Parcel::Ask(Wanted::Info)),
            engine::Output::AskRead { node } => send(&node, Parcel::Ask(Wanted::Read)),
            engine::Output::AskRunning { node } => send(&node, Parcel::Ask(Wanted::Running)),
            engine::Output::Probe { node } => send(&node, Parcel::Ask(Wanted::Known)),
            engine::Output::Send { node, message } => send(&node, Parcel::Message(message)),
            engine::Output::Reply { call: CallId(call), reply } => {
                if self.open.remove(&call) && call >= PEERS {
                    let to = usize::try_from(call % 10).unwrap();
                    outcome.sends.push((to, answer(call, &reply)));
                }
            }
            engine::Output::Event(_) | engine::Output::TookControl | engine::Output::Unlock { .. } => {}
        }
    }
}

/// The answer to a call of a peer.
fn answer(call: u64, reply: &Term) -> Parcel {
    match (call - PEERS) / 10 {
        0 => Parcel::Known(
            reply.as_list().unwrap().iter().map(|node| node.as_atom().unwrap().clone()).collect(),
        ),
        1 => Parcel::Read,
        // What nobody reads is left out, so that equal answers are equal.
        _ => {
            let fields = reply.as_tuple().unwrap().iter().enumerate();
            let read = |at: usize| matches!(at, 0 | 1 | 4 | 5);
            let kept = fields.map(|(at, field)| if read(at) { field.clone() } else { Term::NIL });
            Parcel::Info(Term::Tuple(kept.collect()))
        }
    }
}

/// A text with its instants counted from that one. One that is so long ago that no rule of `dist_ac` cares is just that.
fn relative(text: &str, now: Instant) -> String {
    const BEFORE: &str = "Instant { tv_sec: ";
    let (now, _) = nanos(&format!("{now:?}")[BEFORE.len()..]);
    let mut pieces = text.split(BEFORE);
    let mut result = String::with_capacity(text.len());
    result.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (at, length) = nanos(piece);
        match (at - now) / 1_000_000 {
            millis if millis <= -remembered(&result) => result.push_str("long ago"),
            millis => write!(result, "{millis}").unwrap(),
        }
        result.push_str(&piece[length..]);
    }
    result
}

/// For how many milliseconds `dist_ac` cares for the instant that comes next, by the field that it is in: the constants of
/// the engine whose names end in `LIFE`, `PATIENCE` and `WINDOW`.
fn remembered(before: &str) -> i128 {
    let field = before.rsplit_once(": ").map_or("", |(before, _)| before);
    let field = field.rsplit(|end: char| !(end.is_alphanumeric() || end == '_')).next();
    match field {
        Some("answers") => 1_000,
        Some("asked" | "heard" | "told") => 5_000,
        Some("elected_at" | "sent" | "since") => 10_000,
        // A weight counts for a minute.
        _ => 61_000,
    }
}

/// The instant that a text begins with, and how long that text is.
fn nanos(text: &str) -> (i128, usize) {
    const BETWEEN: &str = ", tv_nsec: ";
    let seconds = text.find(BETWEEN).expect("an instant");
    let end = text.find(" }").expect("the end of an instant");
    let nanos: i128 = text[seconds + BETWEEN.len()..end].parse().expect("nanoseconds");
    (text[..seconds].parse::<i128>().expect("seconds") * 1_000_000_000 + nanos, end + 2)
}

pub fn index(node: &Atom) -> usize {
    NODES.iter().position(|name| node.as_str() == *name).expect("a node of the cluster")
}

pub fn app() -> Atom {
    Atom::from("app")
}
