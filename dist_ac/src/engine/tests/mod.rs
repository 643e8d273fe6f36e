use super::*;
use crate::{application::RestartType, exchange::FromController};

mod doubt;
mod healing;
mod inquiry;
mod permission;
mod rules;
mod table;
mod traces;

/// One engine, its clock, and what it wants done as lines to compare.
struct Rig {
    engine: Engine,
    now: Instant,
}

fn atom(text: &str) -> Atom {
    Atom::from(text)
}

/// `[a, {b, c}]` as an Erlang term.
fn nodes(text: &str) -> Nodes {
    Nodes::from_term(&etf::text::parse_term(text).expect("a term")).expect("a priority list")
}

fn distribution(app: &str, millis: u64, list: &str) -> Distribution {
    Distribution { app: atom(app), restart_time: RestartTime::Millis(millis), nodes: nodes(list) }
}

impl Rig {
    /// A node that has just been created, with some applications.
    fn new(me: &str, distributed: Vec<Distribution>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the test counts from some instant")]
        let now = Instant::now();
        let mut rig = Self { engine: Engine::new(atom(me), distributed, &BTreeMap::new()), now };
        rig.controller(FromController::RunningApplications(2));
        rig
    }

    /// A node that is up, with `app1` of 1,000 ms on this list, and stock peers that it has met.
    fn up(me: &str, list: &str, peers: &[&str]) -> Self {
        let mut rig = Self::new(me, vec![distribution("app1", 1000, list)]);
        rig.input(Input::Go);
        for peer in peers {
            rig.meet(peer, "[{appl,app1,undefined,1000,LIST,[{PEER,true}]}]", list, "[]");
        }
        rig.take();
        rig
    }

    /// The same with `app1` and `app2`.
    fn up_with_two(me: &str, lists: [&str; 2], peers: &[&str]) -> Self {
        let apps = ["app1", "app2"].into_iter().zip(lists);
        let mut rig = Self::new(me, apps.map(|(app, list)| distribution(app, 1000, list)).collect());
        rig.input(Input::Go);
        for peer in peers {
            let record = |app: &str| format!("{{appl,{app},undefined,1000,LIST,[{{PEER,true}}]}}");
            rig.meet(peer, &format!("[{},{}]", record("app1"), record("app2")), "[]", "[]");
        }
        rig.take();
        rig
    }

    /// Introduces itself to a stock node that is up, with what that answers.
    fn meet(&mut self, peer: &str, appls: &str, list: &str, started: &str) {
        self.node_up(peer);
        self.input(Input::Known { node: atom(peer), nodes: Some(vec![atom(peer)]) });
        self.input(Input::Locked { lock: Lock::SyncDacs, granted: true });
        let appls = appls.replace("LIST", list).replace("PEER", peer);
        self.message(&format!("{{dist_ac_new_node,1,{peer},{appls},{started}}}"));
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(self.now, input).expect("an input that fits");
    }

    fn controller(&mut self, notice: FromController) {
        self.input(Input::Controller(notice));
    }

    fn node_up(&mut self, node: &str) {
        self.input(Input::NodeUp { node: atom(node), hidden: false });
    }

    fn node_down(&mut self, node: &str) {
        self.input(Input::NodeDown { node: atom(node) });
    }

    /// A message of a peer, as a term.
    fn message(&mut self, text: &str) {
        let term = etf::text::parse_term(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let message = Message::from_term(&term).unwrap_or_else(|error| panic!("{text}: {error}"));
        self.input(Input::Message(message));
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.input(Input::Timeout);
    }

    /// `application:start`, with the lock granted.
    fn start(&mut self, app: &str) {
        self.controller(FromController::StartRequest { app: atom(app) });
        self.input(Input::Locked { lock: Lock::Start, granted: true });
    }

    fn run(&mut self, app: &str) {
        self.controller(FromController::Run { app: atom(app), result: Ok(()) });
    }

    fn run_error(&mut self, app: &str) {
        self.controller(FromController::Run { app: atom(app), result: Err(Term::atom("failed")) });
    }

    /// A call that holds its lock already.
    fn call(&mut self, number: u64, request: Request) {
        self.input(Input::Call { call: CallId(number), request });
    }

    fn takeover(&mut self, number: u64) {
        let restart_type = RestartType::Permanent;
        self.call(number, Request::Takeover { app: atom("app1"), restart_type, locked: true });
    }

    fn permit(&mut self, number: u64, permission: bool) {
        let app = atom("app1");
        self.call(number, Request::Permit { app, permission, only_loaded: false, locked: true });
    }

    /// What is to be done, a line each: `b {term}` is sent to b. Locks and events are left out.
    ///
    /// Peers have read then what they were sent.
    fn take(&mut self) -> Vec<String> {
        let (mut lines, mut readers) = (Vec::new(), Vec::new());
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::AskRead { node } => readers.push(node),
                Output::Controller(message) => lines.push(format!("AC {}", in_short(&message))),
                Output::Reply { call, reply } => lines.push(format!("call {} {reply}", call.0)),
                Output::Send { message: Message::Status { .. }, .. } => {}
                Output::Send { node, message } => lines.push(format!("{node} {}", message.to_term())),
                Output::AskInfo { node } => lines.push(format!("{node} info")),
                Output::Probe { node } => lines.push(format!("{node} get_known_nodes")),
                Output::AskRunning { .. }
                | Output::Event(_)
                | Output::Lock { .. }
                | Output::TookControl
                | Output::Unlock { .. } => {}
            }
        }
        while let Some(node) = readers.pop() {
            self.input(Input::HasRead { node });
            self.engine.outputs.retain(|output| match output {
                Output::AskRead { node } => {
                    readers.push(node.clone());
                    false
                }
                _ => true,
            });
        }
        lines
    }

    /// The `dist_ac:info()` of a node: this `Id` of app1.
    fn says(&mut self, node: &str, id: &str) {
        self.says_knowing(node, id, "[a,b,c]");
    }

    /// The same of a node that knows these.
    fn says_knowing(&mut self, node: &str, id: &str, known: &str) {
        let info = format!(
            "{{state,[{{appl,app1,{id},1000,[a,{{b,c}}],[{{c,true}},{{b,true}}]}}],[],[],{known},[app1],[],[],[],[],[]}}"
        );
        let info = etf::text::parse_term(&info).expect("a term");
        self.input(Input::Info { node: atom(node), info });
    }

    /// A node answers what it was asked: it may run `app1`, which was not started there.
    fn says_not_started(&mut self, node: &str, list: &str) {
        let info = format!(
            "{{state,[{{appl,app1,undefined,1000,{list},[{{{node},true}}]}}],[],[],[],[],[],[],[],[],[]}}"
        );
        let info = etf::text::parse_term(&info).expect("a term");
        self.input(Input::Info { node: atom(node), info });
    }

    fn events(&mut self) -> Vec<Event> {
        let outputs = std::iter::from_fn(|| self.engine.poll_output());
        outputs
            .filter_map(|output| if let Output::Event(event) = output { Some(event) } else { None })
            .collect()
    }

    fn id(&self) -> String {
        self.engine.id(&atom("app1")).expect("app1 is configured").to_term().to_string()
    }
}

/// As the message would be in Erlang, without its tag and the application.
fn in_short(message: &ToController) -> String {
    match message {
        ToController::Change { change, .. } => match change {
            Change::Failover(node) => format!("change {{failover,{node},undefined}}"),
            Change::NotRunning => "change not_running".into(),
            Change::Started(node) => format!("change {{started,{node}}}"),
            Change::StartIt => "change start_it".into(),
            Change::StopIt => "change stop_it".into(),
            Change::Takeover { from, restart_type } => {
                let restart_type = restart_type.map_or(Term::atom("undefined"), RestartType::to_term);
                format!("change {{takeover,{from},{restart_type}}}")
            }
        },
        ToController::ControlApplication { app } => format!("control {app}"),
        ToController::LoadReply { result, .. } => format!("load {}", wire::result_to_term(result)),
        ToController::StartReply { reply, .. } => match reply {
            StartReply::Error(reason) => format!("start {{error,{reason}}}"),
            StartReply::NotStarted => "start not_started".into(),
            StartReply::Started(node) => format!("start {{started,{node}}}"),
            StartReply::StartIt => "start start_it".into(),
            StartReply::Takeover(node) => format!("start {{takeover,{node}}}"),
        },
    }
}

fn standby(me: &str, list: &str, peers: &[&str], runner: &str) -> Rig {
    let mut rig = Rig::up(me, list, peers);
    rig.message(&format!("{{dist_ac_app_started,{runner},app1,ok}}"));
    rig.start("app1");
    rig.take();
    rig
}

fn runner(me: &str, list: &str, peers: &[&str]) -> Rig {
    let mut rig = Rig::up(me, list, peers);
    rig.engine.weight = 2;
    rig.start("app1");
    rig.run("app1");
    rig.take();
    rig
}
