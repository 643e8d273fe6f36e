//! State on the move between nodes of ours, of which each test runs two in this process.

use std::{
    hash::{BuildHasher, RandomState},
    net::TcpListener,
    time::Duration,
};

use crabnode::{
    Context, Node, NodeConfig, Pid, Term,
    gen_server::{self, GenServer, Reply, ServerName},
    term,
};
use crabnode_dist_ac::{
    Application, Applications, Builder, RestartType, Spec, Start, StartType, Started, SysConfig,
    handover::{self, Handover, IfSilent, Inherited, Silent},
};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// For owners that do not answer.
const SHORT: Duration = Duration::from_millis(300);

/// Answers `get` with its state, `set` as well if it has the name; `sleep` is never answered, `crash` ends it.
struct Keeper(Term);

impl GenServer for Keeper {
    type Args = Term;

    async fn init(_: &mut Context, state: Term) -> Result<Self, Term> {
        Ok(Self(state))
    }

    async fn handle_call(&mut self, context: &mut Context, request: Term, from: &gen_server::From) -> Reply {
        match request.as_atom().map(|atom| atom.as_str()) {
            Some("set") if handover::pass_on(context, &term!(keeper), &request, from).await => Reply::NoReply,
            Some("get" | "set") => Reply::Reply(self.0.clone()),
            Some("crash") => Reply::Stop(term!(crashed)),
            _ => Reply::NoReply,
        }
    }
}

/// Two connected nodes, and the one that serves as their EPMD.
struct Two {
    old: Node,
    new: Node,
    _epmd: Node,
}

impl Two {
    async fn start() -> Self {
        let port = free_port();
        let mut config = config("epmd", port);
        config.hidden = true;
        let epmd = Node::start(config).await.expect("a node");
        let [old, new] = [node("old", port).await, node("new", port).await];
        new.connect("old@localhost").await.expect("it is there");
        Self { old, new, _epmd: epmd }
    }

    /// A keeper on the old node, with a local and a global name.
    async fn keeper(&self) -> Pid {
        let name = ServerName::Local("keeper".into());
        let pid = gen_server::start::<Keeper>(&self.old, name, term!(memories)).await.expect("a free name");
        let global = self.old.global();
        global.sync(vec!["new@localhost".into()]).await;
        assert!(global.re_register_name(&term!(keeper), &pid, Default::default()).await);
        pid
    }

    /// What a process of the new node gets, and who has the name while that lives.
    async fn take(
        &self,
        handover: Handover,
        start_type: StartType,
    ) -> (Result<Inherited, Silent>, Option<Pid>, Pid) {
        let global = self.new.global().clone();
        let run = self.new.run(async move |mut context: Context| {
            let inherited = handover.take(&mut context, &start_type).await;
            (inherited, global.whereis(&term!(keeper)), context.pid().clone())
        });
        tokio::time::timeout(LIMIT, run).await.expect("in time").expect("the node runs")
    }
}

fn takeover() -> StartType {
    StartType::Takeover("old@localhost".into())
}

fn state() -> Result<Inherited, Silent> {
    Ok(Inherited::State(term!(memories)))
}

#[tokio::test]
async fn the_old_owner_is_asked_in_a_takeover_and_in_nothing_else() {
    let two = Two::start().await;
    two.keeper().await;
    let local = Handover::from_local("keeper", term!(get));
    assert_eq!(two.take(local.clone(), takeover()).await.0, state());
    assert_eq!(two.take(local.clone(), StartType::Normal).await.0, Ok(Inherited::Nothing));
    let failover = StartType::Failover("old@localhost".into());
    assert_eq!(two.take(local, failover).await.0, Ok(Inherited::Lost));
}

#[tokio::test]
async fn the_name_is_taken_before_the_old_owner_is_asked() {
    let two = Two::start().await;
    two.keeper().await;
    let global = Handover::from_global(term!(keeper), term!(get));
    let (inherited, owner, own) = two.take(global.clone(), takeover()).await;
    assert_eq!((inherited, owner), (state(), Some(own)));
    // Nobody has the name now: the process that had taken it is gone.
    let (inherited, owner, own) = two.take(global, takeover()).await;
    assert_eq!((inherited, owner), (Ok(Inherited::Lost), Some(own)));
    // By the local name it can still be asked, and the global one is taken all the same.
    let both = Handover::from_local("keeper", term!(get)).global(term!(keeper));
    let (inherited, owner, own) = two.take(both, takeover()).await;
    assert_eq!((inherited, owner), (state(), Some(own)));
}

#[tokio::test]
async fn a_silent_owner_keeps_its_name_or_loses_it_as_the_rule_says() {
    let two = Two::start().await;
    let old = two.keeper().await;
    let silent = Handover::from_global(term!(keeper), term!(sleep)).limit(SHORT);
    let (inherited, owner, _) = two.take(silent.clone(), takeover()).await;
    let error = Silent { node: "old@localhost".into(), limit: SHORT };
    assert_eq!((inherited, owner), (Err(error.clone()), Some(old)));
    assert_eq!(error.into_reason(), term!({no_handover, atom "old@localhost"}));
    let (inherited, owner, own) = two.take(silent.if_silent(IfSilent::StartWithout), takeover()).await;
    assert_eq!((inherited, owner), (Ok(Inherited::Lost), Some(own)));
}

#[tokio::test]
async fn an_owner_that_is_gone_is_no_error() {
    let two = Two::start().await;
    let missing = Handover::from_local("nobody", term!(get));
    assert_eq!(two.take(missing, takeover()).await.0, Ok(Inherited::Lost));
    two.keeper().await;
    let crashing = Handover::from_local("keeper", term!(crash));
    assert_eq!(two.take(crashing.clone(), takeover()).await.0, Ok(Inherited::Lost));
    two.old.stop().await;
    assert_eq!(two.take(crashing, takeover()).await.0, Ok(Inherited::Lost));
}

#[tokio::test]
async fn who_has_lost_the_name_passes_calls_on() {
    let two = Two::start().await;
    let old = two.keeper().await;
    let new = gen_server::start::<Keeper>(&two.new, ServerName::None, term!(new)).await.expect("it starts");
    let set = async |node: &Node, to: Pid| {
        let call =
            node.run(async move |mut context: Context| context.call(to, term!(set), Some(LIMIT)).await);
        call.await.expect("the node runs").expect("somebody answers")
    };
    assert_eq!(set(&two.new, old.clone()).await, term!(memories));
    assert!(two.new.global().re_register_name(&term!(keeper), &new, Default::default()).await);
    assert_eq!(set(&two.new, old.clone()).await, term!(new), "from the new owner's node");
    assert_eq!(set(&two.old, old).await, term!(new), "from the old owner's node");
}

/// An application that is a keeper, and that does not start without what the old one knows.
struct Careful;

impl Application for Careful {
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        // Only where nobody answers.
        let limit = if start.args == term!(sleep) { SHORT } else { LIMIT };
        let handover = Handover::from_local("keeper", start.args.clone()).limit(limit);
        let state = match handover.take(context, &start.start_type).await.map_err(Silent::into_reason)? {
            Inherited::State(state) => term!({inherited, (state)}),
            Inherited::Nothing | Inherited::Lost => term!(fresh),
        };
        let name = ServerName::Local("keeper".into());
        gen_server::start_link::<Keeper>(context, name, state).await.map(Started::new)
    }
}

/// The application runs on the old node; the new one is asked to take over, with this request to the old keeper.
async fn take_over(request: &str) -> (Two, [Applications; 2], Result<(), Term>) {
    let two = Two::start().await;
    let kernel = "[{kernel, [{distributed, [{careful, 50, ['old@localhost', 'new@localhost']}]}, \
                  {sync_nodes_optional, ['old@localhost', 'new@localhost']}, {sync_nodes_timeout, 60000}]}]";
    let config = etf::text::parse_term(kernel).expect("terms");
    let spec =
        format!("{{application, careful, [{{mod, {{careful, {request}}}}}, {{applications, [kernel]}}]}}");
    let spec = Spec::from_term(&etf::text::parse_term(&spec).expect("a term")).expect("a specification");
    let all = [&two.old, &two.new].map(|node| {
        let config = SysConfig::from_terms(config.as_list().expect("a list")).expect("a configuration");
        let builder = Builder::new(config).expect("a kernel configuration");
        builder.application(spec.clone(), Careful).start(node).expect("free names")
    });
    let [old, new] = &all;
    let (one, other) = tokio::join!(old.boot(), new.boot());
    one.and(other).expect("both are there");
    let (one, other) = tokio::join!(
        old.start("careful", RestartType::Temporary),
        new.start("careful", RestartType::Temporary)
    );
    one.and(other).expect("it runs on the old node");
    let result = tokio::time::timeout(LIMIT, new.takeover("careful", RestartType::Temporary)).await;
    (two, all, result.expect("in time"))
}

/// What the keeper of the new node is asked says.
async fn known(node: &Node) -> Term {
    let asked =
        node.run(async move |mut context: Context| context.call("keeper", term!(get), Some(LIMIT)).await);
    asked.await.expect("the node runs").expect("the keeper answers")
}

#[tokio::test]
async fn an_application_takes_its_state_along() {
    let (two, [old, new], result) = take_over("get").await;
    assert_eq!(result, Ok(()));
    assert_eq!(known(&two.new).await, term!({inherited, fresh}));
    assert!(new.running().iter().any(|app| *app == "careful"));
    let stopped = async {
        while old.running().iter().any(|app| *app == "careful") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, stopped).await.expect("the old copy stops");
}

#[tokio::test]
async fn a_takeover_from_a_silent_owner_fails_and_the_old_copy_runs_on() {
    let (two, [old, new], result) = take_over("sleep").await;
    let reason = result.expect_err("nothing was handed over");
    assert!(reason.to_string().contains("{no_handover,old@localhost}"), "{reason}");
    assert!(!new.running().iter().any(|app| *app == "careful"));
    assert!(old.running().iter().any(|app| *app == "careful"));
    assert_eq!(known(&two.old).await, term!(fresh));
}

async fn node(name: &str, port: u16) -> Node {
    Node::start(config(name, port)).await.expect("a node")
}

fn config(name: &str, port: u16) -> NodeConfig {
    let mut config = NodeConfig::new(format!("{name}@localhost"));
    config.cookie = Some("secret".into());
    config.epmd_port = Some(port);
    config
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
