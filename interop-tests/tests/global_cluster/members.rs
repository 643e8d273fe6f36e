//! The nodes of a test, stock and ours, and how they are asked: all in one way, over `erpc`.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crabnode::{
    Args, Atom, Context, Dest, Exception, Node, NodeConfig, Pid, SpawnOptions, Term,
    erpc::{self, ErpcError},
    etf::text::consult_bytes,
    global::{self, LockId, Retries},
    tuple,
};
use interop_tests::{
    Cluster, ErlNode, NodeSpec, Otp,
    clock::{pause, wait_for},
};
use tokio::runtime::Runtime;

use crate::peer_support::SOON;

/// Far longer than anything takes that does not wait for a lock.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// How long a cluster may take to become one, or to fall apart.
const SETTLED: Duration = Duration::from_secs(120);

/// A term from its text.
pub(crate) fn t(text: &str) -> Term {
    let terms = consult_bytes(format!("{text}.").as_bytes()).expect("a term");
    terms.into_iter().next().expect("one")
}

/// `NAME@localhost` as a term.
pub(crate) fn atom(name: &str) -> Term {
    Term::Atom(full(name))
}

fn full(name: &str) -> Atom {
    Atom::from(format!("{name}@localhost").as_str())
}

/// `[NAME@localhost, …]`.
pub(crate) fn atoms(names: &[&str]) -> Term {
    Term::List(names.iter().map(|name| atom(name)).collect())
}

/// Nodes, each `NAME@localhost`, and one more that is hidden and asks them.
pub(crate) struct Members {
    pub(crate) otp: Otp,
    erls: BTreeMap<String, ErlNode>,
    ours: BTreeMap<String, Node>,
    asker: Node,
    pub(crate) runtime: Runtime,
    pub(crate) cluster: Cluster,
}

impl Members {
    /// Stock nodes and nodes of ours, none connected with another.
    pub(crate) fn start(otp: &Otp, stock: &[&str], ours: &[&str]) -> Self {
        let cluster = Cluster::new(otp);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let asker = start(&runtime, &cluster, "asker", |config| config.hidden = true);
        let otp = Otp::release(otp.number());
        let mut members = Self { otp, erls: BTreeMap::new(), ours: BTreeMap::new(), asker, runtime, cluster };
        for name in stock {
            members.add_erl(name, &NodeSpec::default());
        }
        for name in ours {
            members.add_ours(name, |_| {});
        }
        members
    }

    /// The same, and they are one cluster.
    pub(crate) fn joined(otp: &Otp, stock: &[&str], ours: &[&str]) -> Self {
        let members = Self::start(otp, stock, ours);
        let all: Vec<&str> = stock.iter().chain(ours).copied().collect();
        members.join(&all);
        members
    }

    pub(crate) fn add_erl(&mut self, name: &str, spec: &NodeSpec) {
        let erl = self.cluster.erl_with(&self.otp, name, spec);
        self.erls.insert(name.to_owned(), erl);
    }

    pub(crate) fn add_ours(&mut self, name: &str, set: impl FnOnce(&mut NodeConfig)) {
        let node = start(&self.runtime, &self.cluster, name, set);
        self.ours.insert(name.to_owned(), node);
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        &self.ours[name]
    }

    pub(crate) fn asker(&self) -> &Node {
        &self.asker
    }

    /// Stops a node of ours in order, and ends a stock one by SIGKILL.
    pub(crate) fn stop(&mut self, name: &str) {
        if let Some(mut erl) = self.erls.remove(name) {
            erl.kill9();
        } else {
            let node = self.ours.remove(name).expect("a node");
            self.runtime.block_on(node.stop());
        }
    }

    /// What a process of ours gets done, within a minute.
    pub(crate) fn run<T: Send + 'static, Fut: Future<Output = T> + Send + 'static>(
        &self,
        node: &Node,
        body: impl FnOnce(Context) -> Fut + Send + 'static,
    ) -> T {
        let work = async { tokio::time::timeout(CALL_LIMIT, node.run(body)).await };
        self.runtime.block_on(work).expect("no limit is reached").expect("it returns")
    }

    pub(crate) fn try_call(
        &self,
        node: &str,
        module: &'static str,
        function: &'static str,
        args: Vec<Term>,
    ) -> Result<Term, ErpcError> {
        let at = full(node);
        self.run(&self.asker, async move |mut context| {
            erpc::call(&mut context, &at, module, function, args, Some(CALL_LIMIT)).await
        })
    }

    pub(crate) fn call(
        &self,
        node: &str,
        module: &'static str,
        function: &'static str,
        args: Vec<Term>,
    ) -> Term {
        let shown = Term::list(args.clone());
        self.try_call(node, module, function, args)
            .unwrap_or_else(|error| panic!("{module}:{function} {shown} at {node}: {error}"))
    }

    pub(crate) fn global(&self, node: &str, function: &'static str, args: Vec<Term>) -> Term {
        self.call(node, "global", function, args)
    }

    /// A process that sleeps, and keeps what it is sent.
    pub(crate) fn sleeper(&self, node: &str) -> Pid {
        self.call(node, "ct_peer", "sleeper", vec![]).as_pid().expect("a pid").clone()
    }

    /// What a sleeper was sent; nothing if it is dead.
    pub(crate) fn mailbox(&self, pid: &Pid) -> Option<Vec<Term>> {
        let messages = self.call(alive(pid), "ct_peer", "mailbox", vec![pid.into()]);
        messages.as_list().map(<[Term]>::to_vec)
    }

    pub(crate) fn is_alive(&self, pid: &Pid) -> bool {
        self.call(alive(pid), "erlang", "is_process_alive", vec![pid.into()]).is_atom("true")
    }

    pub(crate) fn kill(&self, pid: &Pid) {
        self.call(alive(pid), "erlang", "exit", vec![pid.into(), Term::atom("kill")]);
    }

    /// Whether the name was free.
    pub(crate) fn register(&self, by: &str, name: &Term, pid: &Pid) -> bool {
        let answer = self.global(by, "register_name", vec![name.clone(), pid.into()]);
        assert!(answer.is_atom("yes") || answer.is_atom("no"), "{answer}");
        answer.is_atom("yes")
    }

    pub(crate) fn whereis(&self, node: &str, name: &Term) -> Option<Pid> {
        self.global(node, "whereis_name", vec![name.clone()]).as_pid().cloned()
    }

    /// At this moment all of them have the name for this process.
    #[track_caller]
    pub(crate) fn all_have(&self, nodes: &[&str], name: &Term, pid: Option<&Pid>) {
        for node in nodes {
            assert_eq!(self.whereis(node, name).as_ref(), pid, "{name} at {node}");
        }
    }

    /// Soon they have.
    #[track_caller]
    pub(crate) fn all_get(&self, nodes: &[&str], name: &Term, pid: Option<&Pid>) {
        let has = || nodes.iter().all(|node| self.whereis(node, name).as_ref() == pid);
        if wait_for(SETTLED, || has().then_some(())).is_none() {
            self.all_have(nodes, name, pid);
        }
    }

    pub(crate) fn connect(&self, from: &str, to: &str) {
        let answer = self.call(from, "net_kernel", "connect_node", vec![atom(to)]);
        assert!(answer.is_atom("true"), "{from} to {to}: {answer}");
    }

    /// Connects them all with the first, and waits until they are one.
    #[track_caller]
    pub(crate) fn join(&self, nodes: &[&str]) {
        for node in &nodes[1..] {
            self.connect(node, nodes[0]);
        }
        self.are_one(nodes);
    }

    /// The same where links that are up may be about to be cut: they are made again until it stays so.
    #[track_caller]
    pub(crate) fn rejoin(&self, nodes: &[&str]) {
        let whole = wait_for(SETTLED, || {
            for (nth, node) in nodes.iter().enumerate() {
                for other in &nodes[..nth] {
                    self.call(node, "net_kernel", "connect_node", vec![atom(other)]);
                }
            }
            // Those that join have the time for it.
            wait_for(SOON, || nodes.iter().all(|node| self.not_with(node, nodes).is_none()).then_some(()))
        });
        if whole.is_none() {
            self.are_one(nodes);
        }
    }

    /// They come to be one cluster, and nobody else is in it.
    #[track_caller]
    pub(crate) fn are_one(&self, nodes: &[&str]) {
        let why = || nodes.iter().find_map(|node| self.not_with(node, nodes));
        if wait_for(SETTLED, || why().is_none().then_some(())).is_none()
            && let Some(why) = why()
        {
            panic!("{why}");
        }
    }

    /// Each comes to be alone.
    #[track_caller]
    pub(crate) fn are_alone(&self, nodes: &[&str]) {
        for node in nodes {
            self.are_one(&[node]);
        }
    }

    /// Soon nobody is in one partition with two that are not, of which the two whose link was cut are an example.
    ///
    /// Mostly each is alone then. But where one of the two hears of the cut from others before it has seen it, it says
    /// nothing of it itself, and the other stays with the rest.
    #[track_caller]
    pub(crate) fn do_not_overlap(&self, nodes: &[&str], one: &str, other: &str) {
        let list = |term: Term| {
            let mut list = term.as_list().map(<[Term]>::to_vec).unwrap_or_default();
            list.sort_by_key(ToString::to_string);
            list
        };
        let partition = |node: &str| {
            let nodes = list(self.call(node, "erlang", "nodes", vec![]));
            let known = list(self.ask_server(node, "get_known"));
            (nodes == known).then(|| {
                let mut all: Vec<String> =
                    nodes.iter().chain([&atom(node)]).map(ToString::to_string).collect();
                all.sort();
                all
            })
        };
        let mut quiet = 0;
        let parted = wait_for(SETTLED, || {
            let partitions: Option<Vec<_>> = nodes.iter().map(|node| partition(node)).collect();
            let apart = partitions.as_ref().is_some_and(|partitions| {
                let same = |a: &[String], b: &[String]| a == b || a.iter().all(|node| !b.contains(node));
                let ends = |at: &str| nodes.iter().position(|node| *node == at).expect("one of them");
                partitions.iter().all(|a| partitions.iter().all(|b| same(a, b)))
                    && partitions[ends(one)] != partitions[ends(other)]
            });
            quiet = if apart { quiet + 1 } else { 0 };
            pause(Duration::from_millis(100));
            (quiet >= 5).then_some(())
        });
        assert!(parted.is_some(), "{:?}", nodes.iter().map(|node| partition(node)).collect::<Vec<_>>());
    }

    fn not_with(&self, node: &str, nodes: &[&str]) -> Option<String> {
        let mut others: Vec<Term> = nodes.iter().filter(|other| **other != node).map(|n| atom(n)).collect();
        others.sort_by_key(ToString::to_string);
        for (what, list) in [
            ("is connected with", self.call(node, "erlang", "nodes", vec![])),
            ("knows", self.ask_server(node, "get_known")),
            ("is in sync with", self.ask_server(node, "get_synced")),
        ] {
            let mut list = list.as_list().map(<[Term]>::to_vec).unwrap_or_default();
            list.sort_by_key(ToString::to_string);
            if list != others {
                return Some(format!("{node} {what} {list:?} and not {others:?}"));
            }
        }
        None
    }

    pub(crate) fn ask_server(&self, node: &str, request: &'static str) -> Term {
        let server = Dest::NameAt("global_name_server".into(), full(node));
        let answer = self.run(&self.asker, async move |mut context| {
            context.call(server, Term::atom(request), Some(CALL_LIMIT)).await
        });
        answer.unwrap_or_else(|error| panic!("{request} at {node}: {error:?}"))
    }

    /// Cuts every link between them, and waits until it stays so. Their names are those of their own processes then.
    #[track_caller]
    pub(crate) fn part(&self, nodes: &[&str]) {
        let mut quiet = 0;
        let parted = wait_for(SETTLED, || {
            let mut cut = false;
            for node in nodes {
                let others = self.call(node, "erlang", "nodes", vec![]);
                for other in others.as_list().unwrap_or_default() {
                    self.call(node, "erlang", "disconnect_node", vec![other.clone()]);
                    cut = true;
                }
            }
            quiet = if cut { 0 } else { quiet + 1 };
            // A BEAM may connect once more for what its global still has to say.
            pause(Duration::from_millis(100));
            (quiet >= 4).then_some(())
        });
        assert!(parted.is_some(), "{nodes:?} do not come apart");
        self.are_alone(nodes);
    }

    /// The pids of the name servers: who has another afterwards has lost one in between.
    pub(crate) fn servers(&self, nodes: &[&str]) -> Vec<Term> {
        let name = || vec![Term::atom("global_name_server")];
        nodes.iter().map(|node| self.call(node, "erlang", "whereis", name())).collect()
    }

    /// No stock node has said that something crashed, or that it left another out, but for those that were killed.
    #[track_caller]
    pub(crate) fn nothing_is_wrong_but_for(&self, killed: &[&str]) {
        self.nothing_crashed();
        for (name, erl) in &self.erls {
            let output = erl.output();
            for line in output.lines().filter(|line| line.contains("overlapping partitions")) {
                let about_killed =
                    killed.iter().any(|node| line.contains(&format!("node {node}@localhost in order")));
                assert!(about_killed, "{name}: {line}");
            }
        }
    }

    /// No stock node has said that something crashed, or came unexpected.
    #[track_caller]
    pub(crate) fn nothing_crashed(&self) {
        for (name, erl) in &self.erls {
            let output = erl.output();
            let bad = ["CRASH", "crash", "unexpected message"];
            assert!(!bad.iter().any(|bad| output.contains(bad)), "{name}: {output}");
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for node in self.ours.values().chain([&self.asker]) {
            self.runtime.block_on(node.stop());
        }
    }
}

/// The part before the `@`.
fn alive(pid: &Pid) -> &str {
    pid.node().as_str().split('@').next().expect("a node name")
}

fn start(runtime: &Runtime, cluster: &Cluster, name: &str, set: impl FnOnce(&mut NodeConfig)) -> Node {
    let mut config = NodeConfig {
        cookie: Some(cluster.cookie().to_owned()),
        epmd_port: Some(cluster.epmd_port()),
        start_epmd: false,
        ..NodeConfig::new(format!("{name}@localhost"))
    };
    set(&mut config);
    let node = runtime.block_on(Node::start(config)).expect("our node starts");
    serve(&node);
    node
}

type Mailboxes = Arc<Mutex<HashMap<Pid, Vec<Term>>>>;

fn lock(mailboxes: &Mailboxes) -> MutexGuard<'_, HashMap<Pid, Vec<Term>>> {
    mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `ct_peer` does on a stock node.
fn serve(node: &Node) {
    let (functions, mailboxes) = (node.functions(), Mailboxes::default());
    let kept = Arc::clone(&mailboxes);
    functions.insert("ct_peer", "sleeper", 0, move |context: Context, _: Args| {
        let kept = Arc::clone(&kept);
        async move {
            let body = |mut context: Context| async move {
                loop {
                    let term = context.receive().await.into_term();
                    if term.is_atom("stop") {
                        return;
                    }
                    lock(&kept).entry(context.pid().clone()).or_default().push(term);
                }
            };
            let pid = context.node().spawn_with(SpawnOptions::default(), body).expect("it has no name");
            Ok(Term::Pid(pid))
        }
    });
    functions.insert("ct_peer", "mailbox", 1, move |context: Context, args: Args| {
        let mailboxes = Arc::clone(&mailboxes);
        async move {
            let pid = args[0].as_pid().expect("a pid");
            let messages = lock(&mailboxes).get(pid).cloned().unwrap_or_default();
            let alive = context.node().is_process_alive(pid);
            Ok(if alive { Term::list(messages) } else { Term::atom("dead") })
        }
    });
    functions.insert("ct_peer", "holder", 3, async |mut context: Context, args: Args| {
        let own = context.pid().clone();
        let holder = context.node().spawn(move |mut context: Context| async move {
            let set = global::set_lock(
                &mut context,
                lock_id(&args[0]),
                Some(nodes_of(&args[1])),
                match args[2].as_int() {
                    Some(times) => Retries::Times(u32::try_from(times).expect("not negative")),
                    None => Retries::Infinity,
                },
            );
            let set = set.await;
            context.send(&own, tuple!(context.pid(), set)).await;
            context.receive_match(|message| message.as_term()?.is_atom("stop").then_some(())).await;
        });
        let answer = context.receive_match(|message| match message.as_term()?.as_tuple()? {
            [Term::Pid(pid), set] if *pid == holder => Some(tuple!(pid, set.clone())),
            _ => None,
        });
        Ok(answer.await)
    });
    functions.insert("ct_peer", "keep_first", 3, async |_: Context, args: Args| Ok(args[1].clone()));
    functions.insert("ct_peer", "keep_second", 3, async |_: Context, args: Args| Ok(args[2].clone()));
    functions.insert("ct_peer", "fail", 3, async |_: Context, _: Args| {
        Err(Exception::Exit(Term::atom("no_idea")))
    });
    functions.insert("ct_peer", "junk", 3, async |_: Context, _: Args| Ok(t("{no, pid}")));
}

pub(crate) fn lock_id(term: &Term) -> LockId {
    let [resource, requester] = term.as_tuple().expect("a lock") else { panic!("{term} is no lock") };
    LockId { resource: resource.clone(), requester: requester.clone() }
}

fn nodes_of(term: &Term) -> Vec<Atom> {
    term.as_list().expect("a list").iter().map(|node| node.as_atom().expect("a node").clone()).collect()
}
