//! A node of ours inside the test, whose process does what an `erl` tells it.

use crabnode::{Context, Dest, Names, Node, NodeConfig, SpawnOptions, Term, tuple};
use interop_tests::{Cluster, ErlNode, Otp};
use tokio::runtime::Runtime;

use crate::peer_support::says;

/// An `erl`, `e@localhost`, and a node in this process, `r@localhost`, connected. In the `erl`, `R` is the node, `A` a
/// process of it that does as it is told: `Tell` and `Told` are how, and `Tolds` until it has received so much.
/// `Reborn` gives the pid of another life of its node.
pub(crate) struct Duo {
    pub(crate) erl: ErlNode,
    pub(crate) node: Node,
    pub(crate) cluster: Cluster,
    pub(crate) runtime: Runtime,
}

impl Duo {
    pub(crate) fn start(otp: &Otp) -> Self {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
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
        let name = SpawnOptions { name: Some("actor".into()), ..SpawnOptions::default() };
        node.spawn_with(name, act).expect("the name is free");
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        erl.eval(
            "R = r@localhost, A = rpc:call(R, erlang, whereis, [actor]),
             Tell = fun(What) -> A ! {act, What}, ok end,
             Told = fun() -> A ! {act, {told, self()}}, receive {told, Them} -> Them after 10000 -> late end end,
             Tolds = fun Tolds(N, All) when length(All) >= N -> All;
                         Tolds(N, All) -> timer:sleep(5), Tolds(N, All ++ Told()) end,
             Reborn = fun(P) ->
                 Bytes = term_to_binary(P), Size = byte_size(Bytes) - 6,
                 <<131, 88, Rest:Size/binary, Creation:32>> = Bytes,
                 binary_to_term(<<131, 88, Rest/binary, (Creation bxor 1):32>>) end, ok",
        );
        Self { erl, node, cluster, runtime }
    }

    /// The value of the expressions is this one, as Erlang prints it.
    pub(crate) fn says(&mut self, expressions: &str, wanted: &str) {
        says(&mut self.erl, expressions, wanted);
    }
}

impl Drop for Duo {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

/// Does what it is told, and keeps what else it receives until it is asked for it. It traps exits.
pub(crate) async fn act(mut context: Context) -> Term {
    context.trap_exit(true);
    let mut kept = Vec::new();
    loop {
        let message = context.receive().await;
        let order = match message.as_term().and_then(Term::as_tuple) {
            Some([tag, order]) if tag.is_atom("act") => order.clone(),
            _ => {
                kept.push(message.into_term());
                continue;
            }
        };
        if let Some(reason) = obey(&mut context, &order, &mut kept).await {
            return reason;
        }
    }
}

/// One order; a reason if it is to end.
async fn obey(context: &mut Context, order: &Term, kept: &mut Vec<Term>) -> Option<Term> {
    let words = order.as_tuple().unwrap_or_default();
    let verb = words.first()?.as_atom()?.as_str().to_owned();
    match (verb.as_str(), &words[1..]) {
        ("send", [to, message]) => context.send(dest(to), message.clone()).await,
        ("send_each", [to, Term::List(messages)]) => {
            for message in messages {
                context.send(dest(to), message.clone()).await;
            }
        }
        ("link", [Term::Pid(pid)]) => context.link(pid),
        ("unlink", [Term::Pid(pid)]) => context.unlink(pid),
        ("exit", [Term::Pid(pid), reason]) => context.exit(pid, reason.clone()),
        ("monitor", [what]) => {
            let monitor = context.monitor(dest(what));
            kept.push(tuple!(atom "monitor", &monitor.reference));
        }
        ("spawn", [Term::Atom(node), Term::Atom(module), Term::Atom(function), Term::List(args)]) => {
            let options = crabnode::erpc::RemoteSpawnOptions { link: true, monitor: true };
            let request =
                context.spawn_request(node.clone(), module.clone(), function.clone(), args.to_vec(), options);
            kept.push(tuple!(atom "request", &request));
        }
        ("trap", [flag]) => context.trap_exit(flag.is_atom("true")),
        ("told", [Term::Pid(to)]) => {
            let told = Term::list(std::mem::take(kept));
            context.send(to, tuple!(atom "told", told)).await;
        }
        ("end", [reason]) => return Some(reason.clone()),
        _ => panic!("nobody knows what {order} is"),
    }
    None
}

fn dest(term: &Term) -> Dest {
    match (term, term.as_tuple()) {
        (Term::Pid(pid), _) => Dest::Pid(pid.clone()),
        (Term::Reference(alias), _) => Dest::Alias(alias.clone()),
        (_, Some([Term::Atom(name), Term::Atom(node)])) => Dest::NameAt(name.clone(), node.clone()),
        _ => panic!("{term} is nobody"),
    }
}
