//! Applications on running nodes: several in this process, on an EPMD of their own.

use std::{
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use crabnode::{
    Context, Message, Node, NodeConfig, SpawnOptions, Term,
    io::{self, Sink},
};
use crabnode_dist_ac::{
    Application, Applications, Builder, RestartType, Spec, Start, StartType, Started, SysConfig,
};
use etf::Atom;

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// What the applications of one test do, in order, over all nodes.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().expect("nothing panics while it writes").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("nothing panics while it writes").clone()
    }

    async fn wait_for(&self, line: &str) {
        let seen = async {
            while !self.lines().iter().any(|seen| seen == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, seen).await.unwrap_or_else(|_| panic!("no {line} in {:?}", self.lines()));
    }
}

struct Noted(Diary);

fn alive(context: &Context) -> String {
    let name = context.node().name().as_str();
    name.split('@').next().unwrap_or(name).to_owned()
}

impl Application for Noted {
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        let node = alive(context);
        match start.args.as_atom().map(Atom::as_str) {
            Some("fail") => return Err(Term::atom("failed")),
            Some("panic") => panic!("as it was asked to"),
            Some("print") => {
                io::put_chars(context, "the master").await.expect("somebody prints it");
                let child = |mut child: Context| async move {
                    io::put_chars(&mut child, "its child").await.expect("somebody prints it");
                    std::future::pending::<()>().await;
                };
                context.spawn(child);
            }
            _ => {}
        }
        self.0.write(format!("{node} start {}", start.start_type.to_term()));
        let options = SpawnOptions { name: Some("noted".into()), ..SpawnOptions::default() };
        let body = |mut top: Context| async move {
            // A process of the application that nobody is linked with: the master kills it.
            let forgotten = SpawnOptions { name: Some("forgotten".into()), ..SpawnOptions::default() };
            let child = top.spawn_link(forgotten, |_| std::future::pending::<()>()).expect("a free name");
            top.unlink(&child);
            loop {
                match top.receive().await {
                    Message::Term(reason) => return reason,
                    _ => continue,
                }
            }
        };
        let pid = context.spawn_link(options, body).map_err(|_| Term::atom("name_taken"))?;
        Ok(Started { pid, state: Term::atom("state") })
    }

    async fn start_phase(&self, context: &mut Context, phase: Atom, start: Start) -> Result<(), Term> {
        self.0.write(format!("{} {phase} {}", alive(context), start.start_type.to_term()));
        Ok(())
    }

    async fn prep_stop(&self, context: &mut Context, state: Term) -> Term {
        self.0.write(format!("{} prep_stop {state}", alive(context)));
        Term::atom("prepared")
    }

    async fn stop(&self, context: &mut Context, state: Term) {
        self.0.write(format!("{} stop {state}", alive(context)));
    }
}

fn spec(arg: &str, phases: &str) -> Spec {
    let text =
        format!("{{application, noted, [{{mod, {{noted, {arg}}}}}, {{applications, [kernel]}}{phases}]}}.");
    Spec::from_term(&etf::text::parse_term(&text).expect("a term")).expect("a specification")
}

/// Its whole group is killed; that an application has stopped is told before.
async fn all_are_killed(at: &Applications) {
    let killed = async {
        while at.node().registered().contains(&"forgotten".into()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, killed).await.expect("the whole group is killed");
}

/// A port that nobody has.
fn free_port() -> u16 {
    // Below those that the system hands out: one of these may be somebody's by the time the EPMD listens.
    let random = RandomState::new();
    let mut ports =
        (0..1000_u16).map(|nth| 10_240 + u16::try_from(random.hash_one(nth) % 20_000).expect("less"));
    let free = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("a free port")
}

struct Cluster {
    epmd_port: u16,
    diary: Diary,
    /// Has the EPMD in it, and outlives the others.
    _first: Node,
}

impl Cluster {
    async fn new() -> Self {
        let epmd_port = free_port();
        let mut config = config("epmd@localhost", epmd_port);
        config.hidden = true;
        let first = Node::start(config).await.expect("a node");
        Self { epmd_port, diary: Diary::default(), _first: first }
    }

    async fn node(&self, name: &str, kernel: &str, spec: Spec) -> Applications {
        let terms = etf::text::parse_term(&format!("[{{kernel, [{kernel}]}}].")).expect("terms");
        let config_terms = SysConfig::from_terms(terms.as_list().expect("a list")).expect("a configuration");
        let mut config = config(&format!("{name}@localhost"), self.epmd_port);
        let printed = self.diary.clone();
        config.output = Sink::function(move |text| printed.write(format!("printed: {text}")));
        let node = Node::start(config).await.expect("a node");
        let builder = Builder::new(config_terms).expect("a kernel configuration");
        builder.application(spec, Noted(self.diary.clone())).start(&node).expect("free names")
    }
}

fn config(name: &str, epmd_port: u16) -> NodeConfig {
    let mut config = NodeConfig::new(name);
    config.cookie = Some("secret".into());
    config.epmd_port = Some(epmd_port);
    config
}

/// Two nodes that wait for each other.
fn pair(other: &str) -> String {
    format!(
        "{{distributed, [{{noted, 300, [a@localhost, b@localhost]}}]}}, {{sync_nodes_timeout, 20000}}, \
         {{sync_nodes_mandatory, [{other}@localhost]}}"
    )
}

async fn boot(one: &Applications, other: &Applications) {
    let (one, other) = tokio::join!(one.boot(), other.boot());
    one.and(other).expect("both boot");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_moves_by_death_and_by_takeover() {
    let cluster = Cluster::new().await;
    let phases = ", {start_phases, [{init, []}, {go, []}]}";
    let a = cluster.node("a", &pair("b"), spec("[]", phases)).await;
    let b = cluster.node("b", &pair("a"), spec("[]", phases)).await;
    boot(&a, &b).await;
    let (one, other) =
        tokio::join!(a.start("noted", RestartType::Temporary), b.start("noted", RestartType::Temporary));
    assert_eq!((one, other), (Ok(()), Ok(())));
    assert_eq!(cluster.diary.lines(), ["a start normal", "a init normal", "a go normal"]);

    b.takeover("noted", RestartType::Temporary).await.expect("it takes over");
    cluster.diary.wait_for("a stop prepared").await;
    assert_eq!(
        cluster.diary.lines()[3..],
        [
            "b start {takeover,a@localhost}",
            "b init {takeover,a@localhost}",
            "b go {takeover,a@localhost}",
            "a prep_stop state",
            "a stop prepared"
        ],
        "the old copy stops after the last phase of the new one"
    );
    all_are_killed(&a).await;
    assert_eq!(b.running(), ["noted", "stdlib", "kernel"]);

    b.shutdown().await;
    b.node().stop().await;
    cluster.diary.wait_for("a go {failover,b@localhost}").await;
    a.node().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_move_is_an_event_with_its_reason() {
    let cluster = Cluster::new().await;
    let phases = ", {start_phases, [{go, []}]}";
    let a = cluster.node("a", &pair("b"), spec("[]", phases)).await;
    let b = cluster.node("b", &pair("a"), spec("[]", phases)).await;
    let mut events = b.events();
    boot(&a, &b).await;
    let (one, other) =
        tokio::join!(a.start("noted", RestartType::Temporary), b.start("noted", RestartType::Temporary));
    assert_eq!((one, other), (Ok(()), Ok(())));
    b.takeover("noted", RestartType::Temporary).await.expect("it takes over");
    b.permit("noted", false).await.expect("a takes over");
    cluster.diary.wait_for("b stop prepared").await;
    b.permit("noted", true).await.expect("b stands by");
    a.shutdown().await;
    a.node().stop().await;
    cluster.diary.wait_for("b go {failover,a@localhost}").await;

    let told = async {
        let mut lines = Vec::new();
        while lines
            .last()
            .is_none_or(|last| last != "noted at b@localhost: runs, since a@localhost went down")
        {
            lines.push(events.next().await.expect("b is there").to_string());
        }
        lines
    };
    let mut lines = tokio::time::timeout(LIMIT, told).await.expect("it runs at b");
    // A node may say twice that it runs there.
    lines.dedup();
    let expected = [
        "stands by for a@localhost, as a@localhost said",
        "starts as {takeover,a@localhost}, as was asked",
        "runs, as was asked",
        "not permitted, as was asked",
        "stands by for a@localhost, as a@localhost said",
        "stopped, as a@localhost said",
        "permitted, as was asked",
        "stands by for a@localhost, as a@localhost said",
        "a failover in 300 ms, since a@localhost went down",
        "starts as {failover,a@localhost}, since a@localhost went down",
        "runs, since a@localhost went down",
    ];
    assert_eq!(lines, expected.map(|line| format!("noted at b@localhost: {line}")));
    b.shutdown().await;
    b.node().stop().await;
    drop((a, b));
    assert_eq!(events.missed(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_ends_by_itself() {
    let cluster = Cluster::new().await;
    let a = cluster.node("a", "", spec("[]", "")).await;
    a.boot().await.expect("nobody is waited for");
    a.start("noted", RestartType::Temporary).await.expect("it starts");
    let end = |reason: &'static str| {
        let node = a.node().clone();
        async move {
            node.run(async move |context: Context| context.send("noted", Term::atom(reason)).await).await
        }
    };
    end("crash").await;
    cluster.diary.wait_for("a stop prepared").await;
    let gone = async {
        while a.running().contains(&"noted".into()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("it does not run any more");
    all_are_killed(&a).await;
    a.start("noted", RestartType::Permanent).await.expect("it may be started again");
    end("crash").await;
    let reason = tokio::time::timeout(LIMIT, a.halted()).await.expect("a permanent one ends the node");
    assert_eq!(reason.to_string(), "{application_terminated,noted,crash}");
    a.node().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_prints_goes_where_the_node_prints() {
    let cluster = Cluster::new().await;
    let a = cluster.node("a", "", spec("print", "")).await;
    a.boot().await.expect("nobody is waited for");
    let before = a.node().processes().len();
    a.start("noted", RestartType::Temporary).await.expect("it starts");
    cluster.diary.wait_for("printed: the master").await;
    cluster.diary.wait_for("printed: its child").await;
    a.stop("noted").await.expect("it runs");
    let gone = async {
        while a.node().processes().len() > before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("nothing of it is left");
    a.node().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_that_fail() {
    let cluster = Cluster::new().await;
    for (arg, says) in [("fail", "{failed,{noted,start,[normal,fail]}}"), ("panic", "{{panic,")] {
        let a = cluster.node(arg, "", spec(arg, "")).await;
        a.boot().await.expect("nobody is waited for");
        let reason = a.start("noted", RestartType::Temporary).await.expect_err("it fails");
        assert!(reason.to_string().starts_with(says), "{reason}");
        assert_eq!(a.running(), ["stdlib", "kernel"]);
        a.node().stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_waits_for_its_mandatory_ones_and_no_longer() {
    let cluster = Cluster::new().await;
    let kernel = "{sync_nodes_mandatory, [nobody@localhost]}, {sync_nodes_timeout, 200}";
    let a = cluster.node("a", kernel, spec("[]", "")).await;
    assert_eq!(a.running(), [] as [Atom; 0], "kernel has not started");
    let error = a.boot().await.expect_err("nobody is there");
    assert!(error.to_string().contains("{mandatory_nodes_down,[nobody@localhost]}"), "{error}");
    a.node().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment() {
    let cluster = Cluster::new().await;
    let a = cluster.node("a", "", spec("[]", ", {env, [{key, 1}]}")).await;
    a.boot().await.expect("nobody is waited for");
    assert_eq!(a.env("noted", "key"), None, "not loaded");
    a.load("noted").await.expect("it is there");
    assert_eq!(a.env("noted", "key"), Some(1.into()));
    a.set_env("noted", "key", 2.into()).await;
    assert_eq!(a.env("noted", "key"), Some(2.into()));
    assert_eq!(StartType::Normal.to_term(), Term::atom("normal"));
    a.node().stop().await;
}
