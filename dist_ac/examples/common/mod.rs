//! What every example application does as a program: flags, signals, the start and the end of its node; and what all
//! of them are: a server under a supervisor.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser};
use crabnode::{
    Context, Node, NodeConfig, Term,
    gen_server::{self, GenServer, ServerName},
    supervisor::{self, ChildSpec, SupervisorSpec},
};
use crabnode_dist_ac::{
    Application, Applications, Builder, RestartType, Spec, Start, Started,
    flags::{NodeFlags, fail},
    startup,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A node of an Erlang cluster that can run this application.
#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args)]
struct Flags {
    #[command(flatten)]
    node: NodeFlags,
    /// Start the application as part of the boot
    #[arg(long)]
    start: bool,
}

/// Runs the program of an application, whose `.app` file this is.
pub fn run(app_file: &str, application: impl Application) -> ExitCode {
    // Status 2 and a usage text for what clap cannot read.
    let Program { flags } = Program::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let spec = etf::text::parse_term(app_file).map_err(|error| error.to_string());
    let spec = spec.and_then(|term| Spec::from_term(&term).map_err(|reason| reason.to_string()));
    let spec = match spec {
        Ok(spec) => spec,
        Err(error) => return fail(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(serve(flags, spec, application))
}

async fn serve(flags: Flags, spec: Spec, application: impl Application) -> ExitCode {
    let app = spec.name.clone();
    let (mut end, builder, config) = match prepare(&flags) {
        Ok(prepared) => prepared,
        Err(status) => return status,
    };
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    let applications = match builder.application(spec, application).start(&node) {
        Ok(applications) => applications,
        Err(error) => return fail(&error),
    };
    say(&format!("ready {} {}", node.name().as_str(), node.port()));
    let start = flags.start.then_some(&app);
    let status = tokio::select! {
        status = live(&applications, &flags.node.connect, start) => status,
        status = node.stop_requested() => ExitCode::from(status),
        () = end.wait() => ExitCode::SUCCESS,
    };
    applications.shutdown().await;
    node.stop().await;
    status
}

fn prepare(flags: &Flags) -> Result<(End, Builder, NodeConfig), ExitCode> {
    let end = End::new().map_err(|error| fail(&error))?;
    let (node, builder) = flags.node.configure()?;
    Ok((end, builder, node))
}

/// Connects, boots, starts the application if asked to, and returns when the node has to go down.
async fn live(applications: &Applications, connect: &[String], start: Option<&etf::Atom>) -> ExitCode {
    for peer in connect {
        if let Err(error) = applications.node().connect(peer).await {
            tracing::warn!(%error, "not connected");
        }
    }
    if let Err(error) = applications.boot().await {
        return fail(&error);
    }
    if let Some(app) = start
        && let Err(reason) = applications.start(app, RestartType::Temporary).await
    {
        tracing::error!(%app, %reason, "not started");
    }
    let reason = applications.halted().await;
    fail(&startup::terminated(&reason))
}

/// Writes a line to stdout; whoever closed it wants no more.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Starts an application's top process: a supervisor of one server, both without a name in `global`.
///
/// With one the start would fail during a takeover, when the name is still that of the copy on the node taken over,
/// which stops only after this one has started. The server takes it later, by `handover`.
pub async fn supervise<S>(
    context: &mut Context,
    start: &Start,
    name: ServerName,
    args: S::Args,
) -> Result<Started, Term>
where
    S: GenServer,
    S::Args: Clone + Sync,
{
    say(&format!("{}: start {} on {}", start.app, start.start_type.to_term(), context.node().name()));
    let server = ChildSpec::worker("server", move |context| {
        let (name, args) = (name.clone(), args.clone());
        Box::pin(gen_server::start_link::<S>(context, name, args))
    });
    let mut spec = SupervisorSpec::one_for_one(vec![server]);
    spec.period = Duration::from_secs(10);
    supervisor::start_link(context, ServerName::None, spec).await.map(Started::new)
}

/// A number below `count`, which is above 0.
#[allow(dead_code, reason = "not every application rolls dice")]
pub fn random(count: usize) -> usize {
    // The standard library's one source of randomness.
    let random = RandomState::new().build_hasher().finish();
    usize::try_from(random % count as u64).unwrap_or(0)
}

/// SIGTERM and SIGINT.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
