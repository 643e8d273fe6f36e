//! `crabnode peer`: a node with processes for others to test against. With a `sys.config` it boots as `erl -config` does:
//! it waits for the nodes that are named there, and is a member of `dist_ac` that has none of the applications itself.

use std::process::ExitCode;

use clap::Args;
use crabnode::{
    Context, Dest, Message, Node, Pid, SpawnOptions, Term,
    gen_server::{self, GenServer, Next, Reply, ServerName},
    tuple,
};
use dist_ac::{
    Applications,
    flags::{NodeFlags, fail},
    startup,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::say;

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    node: NodeFlags,
}

pub(crate) async fn run(flags: Flags) -> ExitCode {
    let (config, builder) = match flags.node.configure() {
        // Without a configuration it is a bare node.
        Ok((config, builder)) => (config, flags.node.config.is_some().then_some(builder)),
        Err(status) => return status,
    };
    if let Some(bad) = flags.node.connect.iter().find(|node| !is_node_name(node)) {
        return fail(&format!("--connect {bad}: a node is NAME@HOST"));
    }
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return fail(&error),
        };
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    if let Err(reason) = start_processes(&node).await {
        return fail(&reason);
    }
    let applications = match builder.map(|builder| builder.start(&node)).transpose() {
        Ok(applications) => applications,
        Err(error) => return fail(&error),
    };
    say(&format!("ready {} {}", node.name().as_str(), node.port()));
    // Beside the rest: a host that does not answer must not hold up a stop.
    let connect = async {
        for peer in &flags.node.connect {
            if let Err(error) = node.connect(peer).await {
                tracing::warn!(%error, "not connected");
            }
        }
        std::future::pending().await
    };
    let status = tokio::select! {
        status = node.stop_requested() => ExitCode::from(status),
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        status = boot(applications.as_ref()) => status,
        never = connect => never,
    };
    if let Some(applications) = applications {
        applications.shutdown().await;
    }
    node.stop().await;
    status
}

/// Boots, and returns when the node has to go down.
async fn boot(applications: Option<&Applications>) -> ExitCode {
    let Some(applications) = applications else { return std::future::pending().await };
    match applications.boot().await {
        Ok(()) => fail(&startup::terminated(&applications.halted().await)),
        Err(error) => fail(&error),
    }
}

fn is_node_name(name: &str) -> bool {
    name.split_once('@')
        .is_some_and(|(alive, host)| !alive.is_empty() && !host.is_empty() && !host.contains('@'))
}

async fn start_processes(node: &Node) -> Result<(), Term> {
    gen_server::start::<EchoServer>(node, ServerName::Local("echo_server".into()), ()).await?;
    for (name, body) in [("echo", Kind::Echo), ("sink", Kind::Sink), ("source", Kind::Source)] {
        let options = SpawnOptions { name: Some(name.into()), ..SpawnOptions::default() };
        node.spawn_with(options, move |context| serve(context, body))
            .map_err(|error| Term::binary(error.to_string().as_str()))?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Echo,
    Sink,
    Source,
}

/// Serves until it is told `{From, die, Reason}`.
async fn serve(mut context: Context, kind: Kind) -> Term {
    let mut received = 0_u64;
    loop {
        let message = context.receive().await;
        if let Some(reason) = dies(&message) {
            return reason;
        }
        let Message::Term(term) = message else { continue };
        match (kind, term.as_tuple()) {
            (Kind::Echo, Some([Term::Pid(from), term])) => {
                context.send(from, tuple!(atom "echo", term.clone())).await;
            }
            (Kind::Sink, Some([Term::Pid(from), sync])) if sync.is_atom("sync") => {
                context.send(from, tuple!(atom "sink", received)).await;
                received = 0;
            }
            (Kind::Sink, _) => received += 1,
            (Kind::Source, Some([Term::Pid(from), request])) => blast(&context, from, request).await,
            (Kind::Echo | Kind::Source, _) => {}
        }
    }
}

/// `{blast, Dest, N, Term}`.
async fn blast(context: &Context, from: &Pid, request: &Term) {
    let Some([verb, dest, n, term]) = request.as_tuple() else { return };
    let dest = match dest {
        Term::Pid(pid) => Dest::Pid(pid.clone()),
        dest => match dest.as_tuple() {
            Some([Term::Atom(name), Term::Atom(node)]) => Dest::NameAt(name.clone(), node.clone()),
            _ => return,
        },
    };
    let Some(n) = n.as_u64().filter(|_| verb.is_atom("blast")) else { return };
    for _ in 0..n {
        context.send(dest.clone(), term.clone()).await;
    }
    context.send(from, tuple!(atom "blast_done", n)).await;
}

/// The reason of `{From, die, Reason}`.
fn dies(message: &Message) -> Option<Term> {
    match message.as_term()?.as_tuple()? {
        [Term::Pid(_), verb, reason] if verb.is_atom("die") => Some(reason.clone()),
        _ => None,
    }
}

struct EchoServer;

impl GenServer for EchoServer {
    type Args = ();

    async fn init(_: &mut Context, (): ()) -> Result<Self, Term> {
        Ok(Self)
    }

    async fn handle_call(&mut self, _: &mut Context, request: Term, _: &gen_server::From) -> Reply {
        Reply::Reply(tuple!(atom "echo", request))
    }

    async fn handle_info(&mut self, _: &mut Context, message: Message) -> Next {
        dies(&message).map_or(Next::Continue, Next::Stop)
    }
}
