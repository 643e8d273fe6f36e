//! A node in this process with the server and the supervisors of `ct_gen`, in Rust.

use std::time::Duration;

use crabnode::{
    Args, Atom, Context, Exception, Message, Names, Node, NodeConfig, Term,
    gen_server::{self, GenServer, Next, Reply, ServerName},
    supervisor::{self, ChildSpec, Strategy, SupervisorSpec},
    tuple,
};
use interop_tests::{Cluster, ErlNode, Otp};
use tokio::runtime::Runtime;

use crate::peer_support::says;

/// Two stock nodes, `e@localhost`, which asks, and `b@localhost`, and a node in this process, `r@localhost`. The last two
/// have the server `twin`.
pub(crate) struct Trio {
    pub(crate) erl: ErlNode,
    _stock: ErlNode,
    pub(crate) node: Node,
    pub(crate) runtime: Runtime,
    _cluster: Cluster,
}

impl Trio {
    pub(crate) fn start(otp: &Otp) -> Self {
        let cluster = Cluster::new(otp);
        let (mut erl, stock) = (cluster.erl(otp, "e"), cluster.erl(otp, "b"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let config = NodeConfig {
            names: Names::Short,
            cookie: Some(cluster.cookie().to_owned()),
            epmd_port: Some(cluster.epmd_port()),
            start_epmd: false,
            ..NodeConfig::new("r@localhost")
        };
        let node = runtime.block_on(Node::start(config)).expect("the node starts");
        serve(&node);
        for peer in ["r@localhost", "b@localhost"] {
            says(&mut erl, &format!("net_adm:ping({peer})"), "pong");
            says(&mut erl, &format!("element(1, rpc:call({peer}, ct_gen, start, [twin]))"), "ok");
        }
        // Pids and references as they are in every node, and nothing of the name of either.
        erl.eval(
            "Norm = fun F(T) when is_pid(T) -> {pid, node(T) =:= node()};
                        F(T) when is_reference(T) -> ref;
                        F(T) when is_tuple(T) -> list_to_tuple(F(tuple_to_list(T)));
                        F([H | T]) -> [F(H) | F(T)];
                        F(T) when is_map(T) -> maps:map(fun(_, V) -> F(V) end, T);
                        F(r@localhost) -> n; F(b@localhost) -> n;
                        F(T) -> T end,
             Try = fun(Do) -> try Do() of V -> V catch C:E -> {C, E} end end, ok",
        );
        Self { erl, _stock: stock, node, runtime, _cluster: cluster }
    }

    /// A stock node and ours say the same to these expressions, in which `N` is the node that is asked; as Erlang prints
    /// it, without what differs between any two nodes.
    pub(crate) fn same(&mut self, expressions: &str) -> String {
        let [ours, stock] = ["r@localhost", "b@localhost"].map(|node| {
            self.erl.eval(&format!("(fun(N) -> Norm(Try(fun() -> {expressions} end)) end)({node})"))
        });
        assert_eq!(ours, stock, "{expressions}: first what ours says, then what stock says");
        ours
    }

    /// The same, and it is this.
    pub(crate) fn both_say(&mut self, expressions: &str, wanted: &str) {
        assert_eq!(self.same(expressions), wanted, "{expressions}");
    }

    /// Runs a body as a process of our node.
    pub(crate) fn run<T, F, Fut>(&self, body: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let running = async { tokio::time::timeout(Duration::from_secs(120), self.node.run(body)).await };
        self.runtime.block_on(running).expect("done in two minutes").expect("the process was not ended")
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

/// The functions of `ct_gen` that start something.
fn serve(node: &Node) {
    let functions = node.functions();
    functions.insert("ct_gen", "start", 1, async |context: Context, args: Args| {
        let pid = gen_server::start::<Twin>(context.node(), name(&args[0])?, ()).await;
        if let Ok(pid) = &pid {
            context.set_group_leader(&context.group_leader(), pid);
        }
        Ok(started(pid))
    });
    functions.insert("ct_gen", "start_link", 1, async |mut context: Context, args: Args| {
        Ok(started(gen_server::start_link::<Twin>(&mut context, name(&args[0])?, ()).await))
    });
    functions.insert("ct_gen", "start_sup", 2, async |mut context: Context, args: Args| {
        let spec = match args[1].as_atom().map(Atom::as_str) {
            Some("simple_one_for_one") => {
                let child = ChildSpec::dynamic(|context, args| {
                    Box::pin(async move {
                        let name = args[0].as_atom().cloned().ok_or_else(|| Term::atom("badarg"))?;
                        gen_server::start_link::<Twin>(context, ServerName::Local(name), ()).await
                    })
                });
                SupervisorSpec::simple_one_for_one(child.modules(Some(vec!["ct_gen".into()])))
            }
            Some(strategy) => {
                let strategy = match strategy {
                    "one_for_one" => Strategy::OneForOne,
                    "one_for_all" => Strategy::OneForAll,
                    _ => Strategy::RestForOne,
                };
                // However slow the machine, the period is longer than a test.
                let period = Duration::from_secs(3600);
                SupervisorSpec { strategy, intensity: 3, period, ..SupervisorSpec::one_for_one(vec![]) }
            }
            None => return Err(Exception::badarg()),
        };
        let pid = supervisor::start_link(&mut context, name(&args[0])?, spec).await;
        if let Ok(pid) = &pid {
            context.unlink(pid);
        }
        Ok(started(pid))
    });
}

fn name(term: &Term) -> Result<ServerName, Exception> {
    term.as_atom().map(|name| ServerName::Local(name.clone())).ok_or_else(Exception::badarg)
}

fn started(result: Result<crabnode::Pid, Term>) -> Term {
    match result {
        Ok(pid) => tuple!(atom "ok", pid),
        Err(reason) => tuple!(atom "error", reason),
    }
}

/// `ct_gen` as a server.
struct Twin {
    /// What came by casts and messages. The state that it shows has the last first, as that of `ct_gen`.
    kept: Vec<Term>,
}

impl GenServer for Twin {
    type Args = ();

    async fn init(_: &mut Context, (): ()) -> Result<Self, Term> {
        Ok(Self { kept: Vec::new() })
    }

    async fn handle_call(&mut self, context: &mut Context, request: Term, from: &gen_server::From) -> Reply {
        let word = |term: &Term| term.as_atom().map(|atom| atom.as_str().to_owned());
        let millis = |term: &Term| Duration::from_millis(term.as_u64().unwrap_or_default());
        match (word(&request).as_deref(), request.as_tuple()) {
            (Some("kept"), _) => Reply::Reply(std::mem::take(&mut self.kept).into()),
            (_, Some([verb, term])) => match word(verb).as_deref() {
                Some("echo") => Reply::Reply(request.clone()),
                Some("continue") => {
                    Reply::NoReplyThen(Next::HandleContinue(tuple!(Term::from(from), term.clone())))
                }
                Some("timeout") => {
                    self.kept.push(tuple!(atom "waits", Term::from(from)));
                    Reply::NoReplyThen(Next::Timeout(millis(term)))
                }
                Some("die") => Reply::Stop(term.clone()),
                _ => Reply::NoReply,
            },
            (_, Some([verb, time, term])) => match word(verb).as_deref() {
                Some("later") => {
                    let (from, time, term) = (from.clone(), millis(time), term.clone());
                    // Another process answers in its place.
                    context.spawn(move |context| async move {
                        tokio::time::sleep(time).await;
                        context.reply(from, term);
                    });
                    Reply::NoReply
                }
                Some("stop") => Reply::StopReply(time.clone(), term.clone()),
                _ => Reply::NoReply,
            },
            _ => Reply::NoReply,
        }
    }

    async fn handle_cast(&mut self, _: &mut Context, message: Term) -> Next {
        self.kept.push(tuple!(atom "cast", message));
        Next::Continue
    }

    async fn handle_info(&mut self, context: &mut Context, message: Message) -> Next {
        let message = message.into_term();
        if message.is_atom("timeout")
            && let Some(Term::Tuple(waits)) =
                self.kept.pop_if(|kept| kept.as_tuple().is_some_and(|t| t[0].is_atom("waits")))
        {
            context.reply(&waits[1], Term::atom("timed_out"));
        } else {
            self.kept.push(tuple!(atom "info", message));
        }
        Next::Continue
    }

    async fn handle_continue(&mut self, context: &mut Context, what: Term) -> Next {
        if let Some([from, term]) = what.as_tuple() {
            context.reply(from, tuple!(atom "continued", term.clone()));
        }
        Next::Continue
    }

    fn get_state(&self) -> Term {
        self.kept.iter().rev().cloned().collect::<Vec<_>>().into()
    }

    fn replace_state(&mut self, state: Term) -> Result<(), Term> {
        let Some(kept) = state.as_list() else { return Err(Term::atom("badarg")) };
        self.kept = kept.iter().rev().cloned().collect();
        Ok(())
    }
}
