//! A node of ours inside the test, with the functions of `ct_rpc.erl`, beside an `erl` that has them too.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::Duration;

use crabnode::{Args, Context, Exception, Functions, Names, Node, NodeConfig, Term, tuple};
use interop_tests::{Cluster, ErlNode, Otp};
use tokio::runtime::Runtime;

use crate::peer_support::says;

/// An `erl`, `a@localhost`, and a node in this process, `r@localhost`, connected. In the `erl`, `A` and `R` are the
/// nodes, and `Differ` says of calls which of them have another outcome at `R` than at `A` itself.
pub(crate) struct Duo {
    pub(crate) erl: ErlNode,
    pub(crate) node: Node,
    pub(crate) cluster: Cluster,
    pub(crate) runtime: Runtime,
}

impl Duo {
    pub(crate) fn start(otp: &Otp) -> Self {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "a");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let node = runtime.block_on(start_node(&cluster, "r@localhost"));
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        // With a time, so that a BEAM does not take the short way for a call to itself.
        erl.eval(
            "A = a@localhost, R = r@localhost, Out = fun ct_rpc:out/1,
             Differ = fun(Calls) ->
                 [{Call, Here, There} ||
                     {M, F, Args} = Call <- Calls, By <- [rpc, erpc],
                     Here <- [Out(fun() -> By:call(A, M, F, Args, 30000) end)],
                     There <- [Out(fun() -> By:call(R, M, F, Args, 30000) end)],
                     Here =/= There]
             end, ok",
        );
        Self { erl, node, cluster, runtime }
    }

    /// The value of the expressions is this one, as Erlang prints it.
    pub(crate) fn says(&mut self, expressions: &str, wanted: &str) {
        says(&mut self.erl, expressions, wanted);
    }

    /// Runs a body as a process of our node.
    pub(crate) fn run<T, F, Fut>(&self, body: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.runtime.block_on(self.node.run(body)).expect("the process runs to its end")
    }
}

impl Drop for Duo {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

pub(crate) async fn start_node(cluster: &Cluster, name: &str) -> Node {
    let config = NodeConfig {
        names: Names::Short,
        cookie: Some(cluster.cookie().to_owned()),
        epmd_port: Some(cluster.epmd_port()),
        start_epmd: false,
        ..NodeConfig::new(name)
    };
    insert_all(&config.functions);
    Node::start(config).await.expect("the node starts")
}

/// The functions of `ct_rpc.erl`.
fn insert_all(functions: &Functions) {
    functions.insert("ct_rpc", "value", 1, async |_: Context, args: Args| Ok(first(args)));
    functions
        .insert("ct_rpc", "throws", 1, async |_: Context, args: Args| Err(Exception::Throw(first(args))));
    functions.insert("ct_rpc", "exits", 1, async |_: Context, args: Args| Err(Exception::Exit(first(args))));
    functions
        .insert("ct_rpc", "errors", 1, async |_: Context, args: Args| Err(Exception::error(first(args))));
    functions.insert("ct_rpc", "badarith", 1, async |_: Context, _: Args| {
        Err(Exception::error(Term::atom("badarith")))
    });
    functions.insert("ct_rpc", "dies", 0, async |context: Context, _: Args| {
        context.exit(context.pid(), Term::atom("kill"));
        std::future::pending().await
    });
    functions.insert("ct_rpc", "dies", 1, async |context: Context, args: Args| {
        context.exit(context.pid(), first(args));
        std::future::pending().await
    });
    functions.insert("ct_rpc", "sleeps", 1, async |_: Context, args: Args| {
        tokio::time::sleep(milliseconds(&args[0])?).await;
        Ok(Term::atom("slept"))
    });
    functions.insert("ct_rpc", "sleeps", 2, async |_: Context, mut args: Args| {
        tokio::time::sleep(milliseconds(&args[0])?).await;
        Ok(args.swap_remove(1))
    });
    functions.insert("ct_rpc", "holds", 2, async |mut context: Context, mut args: Args| {
        let to = args[0].as_pid().ok_or_else(Exception::badarg)?;
        context.send(to, tuple!(atom "here", args[1].clone(), context.pid())).await;
        context.receive_where(|message| message.as_term().is_some_and(|term| term.is_atom("go"))).await;
        Ok(args.swap_remove(1))
    });
    functions.insert("ct_rpc", "tells", 2, async |context: Context, args: Args| {
        let to = args[0].as_pid().ok_or_else(Exception::badarg)?;
        context.send(to, tuple!(atom "told", context.node().name(), args[1].clone())).await;
        Ok(Term::atom("ok"))
    });
    functions
        .insert("ct_rpc", "leader", 0, async |context: Context, _: Args| Ok(context.group_leader().into()));
}

fn milliseconds(term: &Term) -> Result<Duration, Exception> {
    term.as_u64().map(Duration::from_millis).ok_or_else(Exception::badarg)
}

fn first(mut args: Args) -> Term {
    args.swap_remove(0)
}
