//! Clusters whose members have `dist_ac`, stock nodes and nodes of ours, and how all are asked in one way.
//!
//! Nodes of ours run in this process; killing one closes its connections at once, as the death of its program does.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

use crabnode::{
    Atom, Context, Dest, Node, NodeConfig, Term,
    erpc::{self, ErpcError},
    etf::text::parse_term,
    gen_server::{self, ServerName},
    tuple,
};
use dist_ac::{Applications, Builder, SysConfig};
use interop_tests::{
    Cluster, ErlNode, NodeSpec, Otp,
    clock::{now, wait_for},
};
use tokio::{runtime::Runtime, task::JoinHandle};

mod diary;
use diary::CtDiary;
pub(crate) use diary::Diary;

/// Longer than anything takes, on a machine that does ten other things.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A term from its text.
pub(crate) fn t(text: &str) -> Term {
    parse_term(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `NAME@localhost` as a term.
pub(crate) fn node(name: &str) -> Term {
    Term::Atom(full(name))
}

/// An atom as a term.
pub(crate) fn atom(name: &str) -> Term {
    Term::Atom(Atom::from(name))
}

/// A term's text without the hosts of its nodes.
pub(crate) fn short(term: &Term) -> String {
    term.to_string().replace("@localhost", "")
}

fn full(name: &str) -> Atom {
    Atom::from(format!("{name}@localhost").as_str())
}

/// The same term with `s` as `s@localhost`.
pub(crate) fn with_hosts(term: &Term) -> Term {
    match term {
        Term::Atom(name) => node(name.as_str()),
        Term::List(list) => Term::List(list.iter().map(with_hosts).collect()),
        Term::Tuple(tuple) => Term::tuple(tuple.iter().map(with_hosts).collect::<Vec<_>>()),
        other => other.clone(),
    }
}

/// An application with an `.app` file, and an entry of `kernel distributed` unless it has no nodes.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) name: String,
    /// Milliseconds, or `infinity`.
    pub(crate) restart_time: &'static str,
    /// As `[s,{r,t}]`.
    pub(crate) nodes: String,
    /// What its `.app` file says beside the rest, as `{start_phases, [{go, i12}]}`.
    pub(crate) more: String,
    /// Whether it is one of `ct_diary`; else its `.app` file is where its code is.
    ours: bool,
}

impl App {
    pub(crate) fn new(name: &str, restart_time: &'static str, nodes: &str) -> Self {
        Self { name: name.to_owned(), restart_time, nodes: nodes.to_owned(), more: String::new(), ours: true }
    }

    /// That has an `.app` file and a callback module elsewhere.
    pub(crate) fn foreign(mut self) -> Self {
        self.ours = false;
        self
    }

    /// With the start phases `init` and `go`.
    pub(crate) fn with_phases(mut self) -> Self {
        self.more = format!("{{start_phases, [{{init, {0}}}, {{go, {0}}}]}}", self.name);
        self
    }

    /// With more keys in the `.app` file, those given before the others.
    pub(crate) fn with(mut self, more: &str) -> Self {
        self.more = more.to_owned();
        self
    }

    fn file(&self) -> String {
        let Self { name, more, .. } = self;
        let comma = if more.is_empty() { "" } else { "," };
        let callback =
            if more.contains("{mod,") { String::new() } else { format!(", {{mod, {{ct_diary, {name}}}}}") };
        format!(
            "%% Of a test.\n{{application, {name},\n [{more}{comma} {{description, \"Of a test\"}}, {{vsn, \"1\"}}, \
             {{modules, [ct_diary]}},\n  {{applications, [kernel, stdlib]}}{callback}]}}.\n"
        )
    }

    fn distributed(&self) -> Option<String> {
        (!self.nodes.is_empty())
            .then(|| format!("{{{}, {}, {}}}", self.name, self.restart_time, with_hosts(&t(&self.nodes))))
    }
}

/// A node of ours.
pub(crate) struct Ours {
    pub(crate) node: Node,
    /// None for one without `dist_ac`.
    pub(crate) applications: Option<Applications>,
}

/// A call that is under way.
pub(crate) struct Pending {
    what: String,
    task: JoinHandle<Option<Result<Term, ErpcError>>>,
}

impl Pending {
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

/// Nodes, each `NAME@localhost`, and a hidden one, `diary`, that asks them.
pub(crate) struct Members {
    pub(crate) diary: Diary,
    pub(crate) erls: BTreeMap<String, ErlNode>,
    pub(crate) ours: BTreeMap<String, Ours>,
    /// Those that [`Members::whole`] brings back, and whether they are stock.
    lasting: Vec<(String, bool)>,
    asker: Node,
    pub(crate) runtime: Runtime,
    apps: Vec<App>,
    kernel: String,
    pub(crate) otp: Otp,
    pub(crate) cluster: Cluster,
}

impl Members {
    /// One cluster of these, with these applications, and with what else `kernel` says.
    pub(crate) fn start(otp: &Otp, stock: &[&str], ours: &[&str], apps: Vec<App>, kernel: &str) -> Self {
        let cluster = Cluster::new(otp);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut config = node_config(&cluster, NodeConfig::new(diary::NODE));
        config.hidden = true;
        let asker = runtime.block_on(Node::start(config)).expect("a hidden node");
        let diary = Diary::default();
        let name = ServerName::Local("diary".into());
        runtime.block_on(gen_server::start::<Diary>(&asker, name, diary.clone())).expect("the name is free");
        let folder = cluster.home().join("apps");
        fs::create_dir(&folder).expect("the folder is ours");
        for app in apps.iter().filter(|app| app.ours) {
            fs::write(folder.join(format!("{}.app", app.name)), app.file()).expect("the folder is ours");
        }
        let lasting = stock
            .iter()
            .map(|name| ((*name).to_owned(), true))
            .chain(ours.iter().map(|name| ((*name).to_owned(), false)))
            .collect();
        let mut members = Self {
            diary,
            erls: BTreeMap::new(),
            ours: BTreeMap::new(),
            lasting,
            asker,
            runtime,
            apps,
            kernel: kernel.to_owned(),
            otp: Otp::release(otp.number()),
            cluster,
        };
        members.whole();
        members
    }

    /// The cluster as it was at first: all there, all introduced, nobody else, nothing started.
    pub(crate) fn whole(&mut self) {
        let lasts = |name: &str, lasting: &[(String, bool)]| lasting.iter().any(|(last, _)| last == name);
        for erl in self.erls.values_mut() {
            assert!(erl.process().status().is_none(), "{}", erl.process().say("has ended"));
        }
        // Before any is killed: a stock node that fails over waits for a higher one that will not start it again.
        self.stop_everything();
        for name in self.alive() {
            if !lasts(&name, &self.lasting) {
                self.kill(&name);
            }
        }
        let missing: Vec<_> = self.lasting.iter().filter(|(name, _)| !self.is_alive(name)).cloned().collect();
        let stock: Vec<&str> = missing.iter().filter(|(_, stock)| *stock).map(|(n, _)| n.as_str()).collect();
        let ours: Vec<&str> = missing.iter().filter(|(_, stock)| !*stock).map(|(n, _)| n.as_str()).collect();
        self.boot_all(&stock, &ours);
        self.are_introduced();
    }

    /// Starts stock nodes and nodes of ours together, and waits until they are introduced to all others.
    pub(crate) fn boot_all(&mut self, stock: &[&str], ours: &[&str]) {
        if stock.is_empty() && ours.is_empty() {
            return;
        }
        let folder = self.cluster.home().join("apps").display().to_string();
        let mut all = self.alive();
        all.extend(stock.iter().chain(ours).map(|name| (*name).to_owned()));
        for name in stock {
            let spec = NodeSpec {
                config: Some(self.config(name, &all)),
                args: vec!["-pa".into(), folder.clone()],
                ..NodeSpec::default()
            };
            let erl = self.cluster.spawn_erl(&self.otp, name, &spec);
            self.erls.insert((*name).to_owned(), erl);
        }
        let boots: Vec<_> = ours
            .iter()
            .map(|name| {
                let config = self.config(name, &all);
                let applications = self.start_ours(name, config, |_| {});
                self.runtime.spawn(async move { applications.boot().await })
            })
            .collect();
        for boot in boots {
            let booted = self.runtime.block_on(async { tokio::time::timeout(LIMIT, boot).await });
            booted.expect("no limit is reached").expect("no panic").expect("nobody is mandatory");
        }
        for name in stock {
            let erl = self.erls.get_mut(*name).expect("just started");
            erl.wait_until_booted(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        }
        self.are_introduced();
    }

    /// Starts one of ours or, where the name is of a stock node that is to last, a stock one.
    pub(crate) fn boot(&mut self, name: &str) {
        if self.lasting.iter().any(|(last, stock)| last == name && *stock) {
            self.boot_all(&[name], &[]);
        } else {
            self.boot_all(&[], &[name]);
        }
    }

    /// A node of ours with applications that has not booted yet.
    pub(crate) fn start_ours(
        &mut self,
        name: &str,
        config: PathBuf,
        set: impl FnOnce(&mut NodeConfig),
    ) -> Applications {
        let config = SysConfig::read(config).expect("the file was just written");
        let base = config.apply(NodeConfig::new(full(name).as_str())).expect("a good configuration");
        let mut base = node_config(&self.cluster, base);
        set(&mut base);
        let node = self.runtime.block_on(Node::start(base)).expect("our node starts");
        let builder = Builder::new(config).expect("a good configuration");
        let builder = builder.path(self.cluster.home().join("apps")).module("ct_diary", CtDiary);
        let _guard = self.runtime.enter();
        let applications = builder.start(&node).expect("free names");
        let ours = Ours { node, applications: Some(applications.clone()) };
        self.ours.insert(name.to_owned(), ours);
        applications
    }

    /// A node of ours without `dist_ac`.
    pub(crate) fn start_plain(&mut self, name: &str) {
        let config = node_config(&self.cluster, NodeConfig::new(full(name).as_str()));
        let node = self.runtime.block_on(Node::start(config)).expect("our node starts");
        self.ours.insert(name.to_owned(), Ours { node, applications: None });
    }

    /// The `sys.config` of a node that waits for these others.
    pub(crate) fn config(&self, name: &str, others: &[String]) -> PathBuf {
        let optional: Vec<Term> = others.iter().map(|name| node(name)).collect();
        let optional = Term::list(optional);
        self.config_with(name, &format!("{{sync_nodes_optional, {optional}}}, {{sync_nodes_timeout, 30000}}"))
    }

    /// The `sys.config` of a node with these parameters beside those of all.
    pub(crate) fn config_with(&self, name: &str, more: &str) -> PathBuf {
        let distributed: Vec<String> = self.apps.iter().filter_map(App::distributed).collect();
        let comma = if self.kernel.is_empty() { "" } else { "," };
        let text = format!(
            "[{{kernel, [{more}, {}{comma} {{distributed, [{}]}}]}}].\n",
            self.kernel,
            distributed.join(",\n  ")
        );
        self.cluster.write(&format!("{name}.config"), &text)
    }

    pub(crate) fn is_alive(&self, name: &str) -> bool {
        self.erls.contains_key(name) || self.ours.contains_key(name)
    }

    /// All names, in their order.
    pub(crate) fn alive(&self) -> Vec<String> {
        let mut names: Vec<String> = self.erls.keys().chain(self.ours.keys()).cloned().collect();
        names.sort();
        names
    }

    /// Those with `dist_ac` that others see.
    fn peers(&self) -> Vec<String> {
        let ours =
            self.ours.iter().filter(|(_, ours)| ours.applications.is_some() && !ours.node.config().hidden);
        let mut names: Vec<String> = self.erls.keys().chain(ours.map(|(name, _)| name)).cloned().collect();
        names.sort();
        names
    }

    /// SIGKILL, and what is like it for a node of ours. The value says when.
    pub(crate) fn kill(&mut self, name: &str) -> Instant {
        let at = now();
        if let Some(mut erl) = self.erls.remove(name) {
            erl.kill9();
        } else {
            let ours = self.ours.remove(name).expect("a node that lives");
            self.runtime.block_on(ours.node.stop());
        }
        at
    }

    /// A stock node has ended by itself.
    pub(crate) fn has_ended(&mut self, name: &str) -> String {
        let mut erl = self.erls.remove(name).expect("a stock node");
        erl.process().wait_for_exit(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        erl.output()
    }

    // --- Calls ----------------------------------------------------------------------------------------------------

    /// What a process of the asker gets done.
    pub(crate) fn run<T: Send + 'static, Fut: Future<Output = T> + Send + 'static>(
        &self,
        body: impl FnOnce(Context) -> Fut + Send + 'static,
    ) -> T {
        let work = async { tokio::time::timeout(LIMIT * 2, self.asker.run(body)).await };
        self.runtime.block_on(work).expect("no limit is reached").expect("it returns")
    }

    /// `rpc:call`, begun.
    pub(crate) fn begin(
        &self,
        node: &str,
        module: &'static str,
        function: &'static str,
        args: Vec<Term>,
    ) -> Pending {
        let what = format!("{module}:{function} {} at {node}", short(&Term::list(args.clone())));
        let (at, asker) = (full(node), self.asker.clone());
        let task = self.runtime.spawn(async move {
            asker
                .run(async move |mut context| {
                    erpc::call(&mut context, &at, module, function, args, Some(LIMIT)).await
                })
                .await
        });
        Pending { what, task }
    }

    /// The answer to what was begun.
    #[track_caller]
    pub(crate) fn end(&self, pending: Pending) -> Term {
        let Pending { what, task } = pending;
        let answer = self.runtime.block_on(task).expect("no panic").expect("the asker lives");
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    #[track_caller]
    pub(crate) fn call(
        &self,
        node: &str,
        module: &'static str,
        function: &'static str,
        args: Vec<Term>,
    ) -> Term {
        self.end(self.begin(node, module, function, args))
    }

    /// A call that may raise: its value, or what it raised.
    pub(crate) fn outcome(
        &self,
        node: &str,
        module: &'static str,
        function: &'static str,
        args: Vec<Term>,
    ) -> Result<Term, String> {
        let Pending { task, .. } = self.begin(node, module, function, args);
        let answer = self.runtime.block_on(task).expect("no panic").expect("the asker lives");
        answer.map_err(|error| error.to_string())
    }

    /// `gen_server:call` of a registered process.
    #[track_caller]
    pub(crate) fn ask(&self, node: &str, server: &'static str, request: Term) -> Term {
        let dest = Dest::NameAt(Atom::from_static(server), full(node));
        let shown = request.clone();
        let answer = self.run(async move |mut context| context.call(dest, request, Some(LIMIT)).await);
        answer.unwrap_or_else(|error| panic!("{server} at {node}, {shown}: {error:?}"))
    }

    /// Sends to a registered process.
    pub(crate) fn send(&self, node: &str, name: &str, message: Term) {
        let dest = Dest::NameAt(Atom::from(name), full(node));
        self.run(async move |context| context.send(dest, message).await);
    }

    /// `application:start(App)`, begun.
    pub(crate) fn begin_start(&self, node: &str, app: &str) -> Pending {
        self.begin(node, "application", "start", vec![atom(app)])
    }

    /// `application:start(App)` on all these at once, and each says `ok`.
    #[track_caller]
    pub(crate) fn start_app(&self, app: &str, nodes: &[&str]) {
        let starts: Vec<_> = nodes.iter().map(|node| self.begin_start(node, app)).collect();
        for (start, node) in starts.into_iter().zip(nodes) {
            assert_eq!(short(&self.end(start)), "ok", "application:start({app}) at {node}");
        }
    }

    /// `application:stop(App)` everywhere.
    #[track_caller]
    pub(crate) fn stop_app(&self, app: &str) {
        for node in self.peers() {
            self.call(&node, "application", "stop", vec![atom(app)]);
        }
        self.runs_only_at(app, &[]);
    }

    /// `application:stop(App)` there, which says `ok`.
    #[track_caller]
    pub(crate) fn stop_app_at(&self, app: &str, node: &str) {
        assert_eq!(self.application(node, "stop", vec![atom(app)]), "ok", "{app}, {node}");
    }

    #[track_caller]
    pub(crate) fn application(&self, node: &str, function: &'static str, args: Vec<Term>) -> String {
        short(&self.call(node, "application", function, args))
    }

    /// `application:permit`, which says `ok`.
    #[track_caller]
    pub(crate) fn permit(&self, node: &str, app: &str, permission: bool) {
        assert_eq!(
            self.application(node, "permit", vec![atom(app), permission.into()]),
            "ok",
            "{app}, {node}"
        );
    }

    /// `application:takeover`, which says `ok`.
    #[track_caller]
    pub(crate) fn takeover(&self, node: &str, app: &str) {
        let args = vec![atom(app), atom("temporary")];
        assert_eq!(self.application(node, "takeover", args), "ok", "{app} by {node}");
    }

    /// The start of the application fails there from now on.
    pub(crate) fn make_fail(&self, node: &str, app: &str) {
        self.call(node, "application", "load", vec![atom(app)]);
        self.call(node, "application", "set_env", vec![atom(app), atom("fail"), atom("boom")]);
    }

    /// Nothing runs but what a node needs.
    fn stop_everything(&self) {
        for node in self.peers() {
            let info = self.call(&node, "application", "info", vec![]);
            for entry in field(&info, "started") {
                let [app, _] = entry.as_tuple().expect("a pair") else { panic!("{entry}") };
                if !app.is_atom("kernel") && !app.is_atom("stdlib") {
                    self.call(&node, "application", "stop", vec![app.clone()]);
                }
            }
        }
    }

    // --- What they say --------------------------------------------------------------------------------------------

    /// Where it runs now, by what each says.
    pub(crate) fn runs_at(&self, app: &str) -> Vec<String> {
        let runs = |node: &String| {
            let all = self.call(node, "application", "which_applications", vec![]);
            let all = all.as_list().expect("a list");
            all.iter().any(|one| one.as_tuple().and_then(<[Term]>::first) == Some(&atom(app)))
        };
        self.peers().into_iter().filter(runs).collect()
    }

    /// It comes to run on these and nowhere else.
    #[track_caller]
    pub(crate) fn runs_only_at(&self, app: &str, nodes: &[&str]) {
        let mut last = Vec::new();
        let there = wait_for(LIMIT, || {
            last = self.runs_at(app);
            (last == nodes).then_some(())
        });
        assert!(there.is_some(), "{app} runs at {last:?}, not {nodes:?}; {:?}", self.diary.of(app));
    }

    /// It comes to run there alone, and these others come to know it.
    #[track_caller]
    pub(crate) fn settles(&self, app: &str, node: &str, others: &[&str]) {
        self.runs_only_at(app, &[node]);
        self.comes_to_id(node, app, "local");
        for other in others {
            self.comes_to_id(other, app, &format!("{{distributed,{node}}}"));
        }
    }

    #[track_caller]
    pub(crate) fn comes_to_id(&self, node: &str, app: &str, wanted: &str) {
        let mut last = String::new();
        let there = wait_for(LIMIT, || {
            last = self.id(node, app);
            (last == wanted).then_some(())
        });
        assert!(there.is_some(), "{app} is {last} at {node}, not {wanted}; {:?}", self.diary.of(app));
    }

    /// What its `dist_ac` calls the application: `local`, `{distributed,s}`, ….
    #[track_caller]
    pub(crate) fn id(&self, node: &str, app: &str) -> String {
        short(&self.record(node, app)[2])
    }

    /// A start of the application has come as far there as to wait for another node.
    #[track_caller]
    pub(crate) fn waits(&self, node: &str, app: &str) {
        let waits = || {
            let info = self.call(node, "application", "info", vec![]);
            let starting = field(&info, "starting");
            let asked =
                starting.iter().any(|one| one.as_tuple().and_then(<[Term]>::first) == Some(&atom(app)));
            // A stock one is blocked then, in a receive of its own.
            let blocked = !self.erls.contains_key(node) || {
                let pid = self.call(node, "erlang", "whereis", vec![atom("dist_ac")]);
                let at = self.call(node, "erlang", "process_info", vec![pid, atom("current_function")]);
                short(&at).starts_with("{current_function,{dist_ac,")
            };
            (asked && blocked).then_some(())
        };
        assert!(wait_for(LIMIT, waits).is_some(), "{node} does not wait for {app}");
    }

    /// What its `dist_ac` has for the permission of another, as `true`, or nothing.
    #[track_caller]
    pub(crate) fn permission(&self, node: &str, app: &str, of: &str) -> Option<String> {
        let record = self.record(node, app);
        let run = record[5].as_list().expect("a list");
        run.iter().find_map(|entry| match entry.as_tuple()? {
            [name, permission] if short(name) == of => Some(short(permission)),
            _ => None,
        })
    }

    /// `{appl, Name, Id, RestartTime, Nodes, Run}`.
    #[track_caller]
    fn record(&self, node: &str, app: &str) -> Vec<Term> {
        let state = self.ask(node, "dist_ac", atom("info"));
        let records = state.as_tuple().expect("a record")[1].as_list().expect("a list").to_vec();
        let found = records.iter().find(|record| record.as_tuple().is_some_and(|one| one[1] == atom(app)));
        found.unwrap_or_else(|| panic!("{node} has no {app}")).as_tuple().expect("a record").to_vec()
    }

    /// Where its `dist_ac` was told that the application runs, which was not started there.
    pub(crate) fn remote_started(&self, node: &str, app: &str) -> Vec<String> {
        let state = self.ask(node, "dist_ac", atom("info"));
        let list = state.as_tuple().expect("a record")[3].as_list().expect("a list").to_vec();
        let at = |entry: &Term| match entry.as_tuple()? {
            [node, name] if *name == atom(app) => Some(short(node)),
            _ => None,
        };
        list.iter().filter_map(at).collect()
    }

    /// Who has told its `dist_ac` of having loaded the application.
    pub(crate) fn dist_loaded(&self, node: &str, app: &str) -> Vec<String> {
        let state = self.ask(node, "dist_ac", atom("info"));
        let list = state.as_tuple().expect("a record")[7].as_list().expect("a list").to_vec();
        let of = |entry: &Term| match entry.as_tuple()?.first()?.as_tuple()? {
            [name, node] if *name == atom(app) => Some(short(node)),
            _ => None,
        };
        list.iter().filter_map(of).collect()
    }

    /// `{distributed, Node}` where the application controller says so.
    #[track_caller]
    pub(crate) fn running(&self, node: &str, app: &str) -> String {
        let info = self.call(node, "application", "info", vec![]);
        let found = field(&info, "running").into_iter().find_map(|entry| match entry.as_tuple()? {
            [name, at] if *name == atom(app) => Some(short(at)),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// The restart type with which the application is started there.
    pub(crate) fn restart_type(&self, node: &str, app: &str) -> String {
        let info = self.call(node, "application", "info", vec![]);
        let found = field(&info, "started").into_iter().find_map(|entry| match entry.as_tuple()? {
            [name, kind] if *name == atom(app) => Some(short(kind)),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// Whom its `dist_ac` knows, as often as it has them.
    #[track_caller]
    pub(crate) fn known(&self, node: &str) -> Vec<String> {
        let known = self.ask(node, "dist_ac", atom("get_known_nodes"));
        let mut known: Vec<String> = known.as_list().expect("a list").iter().map(short).collect();
        known.sort();
        known
    }

    /// All come to know all, each once.
    #[track_caller]
    pub(crate) fn are_introduced(&self) {
        let peers = self.peers();
        let mut wrong = String::new();
        let introduced = wait_for(LIMIT, || {
            for node in &peers {
                let known = self.known(node);
                if known != peers {
                    wrong = format!("{node} knows {known:?} of {peers:?}");
                    return None;
                }
            }
            Some(())
        });
        assert!(introduced.is_some(), "{wrong}");
    }

    /// The lines of the diary come to be these.
    #[track_caller]
    pub(crate) fn diary_is(&self, app: &str, lines: &[&str]) {
        let mut last = Vec::new();
        let there = wait_for(LIMIT, || {
            last = self.diary.of(app);
            (last == lines).then_some(())
        });
        assert!(there.is_some(), "{app}: {last:?} and not {lines:?}");
    }

    // --- Links ----------------------------------------------------------------------------------------------------

    /// Cuts the link of a stock node with another, so that neither can make it again.
    pub(crate) fn cut(&self, stock: &str, other: &str) {
        self.call(stock, "erlang", "set_cookie", vec![node(other), atom("another")]);
        self.disconnect(stock, other);
    }

    /// Closes the link of a stock node with another, which they may make again.
    pub(crate) fn disconnect(&self, stock: &str, other: &str) {
        self.call(stock, "erlang", "disconnect_node", vec![node(other)]);
    }

    /// Lets them connect again, and has them do it.
    pub(crate) fn heal(&self, stock: &str, other: &str) {
        self.call(stock, "erlang", "set_cookie", vec![node(other), atom(self.cluster.cookie())]);
        let connected = wait_for(LIMIT, || {
            let answer = self.call(stock, "net_kernel", "connect_node", vec![node(other)]);
            answer.is_atom("true").then_some(())
        });
        assert!(connected.is_some(), "{stock} and {other} do not connect");
    }

    /// What the nodes printed and the applications did, for a test that has failed.
    pub(crate) fn report(&mut self) -> String {
        let mut report = String::new();
        for entry in self.diary.entries().iter() {
            report += &format!("{} {}\n", entry.app, entry.line);
        }
        for (name, ours) in self.ours.iter().filter(|(_, ours)| ours.applications.is_some()) {
            let state =
                self.runtime.block_on(ours.node.run(async |mut context: Context| {
                    context.call("dist_ac", atom("info"), Some(LIMIT)).await
                }));
            if let Some(Ok(state)) = state {
                report += &format!("--- {name} knows:\n{}\n", short(&state).replace("{appl,", "\n{appl,"));
            }
        }
        for (name, erl) in &mut self.erls {
            let at = "process_info(whereis(dist_ac), [current_stacktrace, messages])";
            let at = erl.try_eval(at, LIMIT).unwrap_or_else(|error| error);
            report += &format!("--- {name}'s dist_ac is at {at}\n");
            report += &format!("--- {name} printed:\n{}\n", erl.output());
        }
        report
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for ours in self.ours.values() {
            self.runtime.block_on(ours.node.stop());
        }
        self.runtime.block_on(self.asker.stop());
    }
}

fn node_config(cluster: &Cluster, mut config: NodeConfig) -> NodeConfig {
    config.cookie = Some(cluster.cookie().to_owned());
    config.epmd_port = Some(cluster.epmd_port());
    config.start_epmd = false;
    config
}

/// The list of a key in what `application:info` says.
fn field(info: &Term, key: &str) -> Vec<Term> {
    let list = info.as_list().expect("a list");
    let found = list.iter().find_map(|entry| match entry.as_tuple()? {
        [name, value] if name.is_atom(key) => value.as_list().map(<[Term]>::to_vec),
        _ => None,
    });
    found.unwrap_or_default()
}

/// `{die, Reason}` for the top process of an application.
pub(crate) fn die(reason: &str) -> Term {
    tuple!(atom "die", atom(reason))
}
