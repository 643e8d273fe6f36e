//! A member of ours: a node that can run applications with nothing in them.

use std::{io::Write, process::ExitCode};

use clap::Args;
use crabnode::{Context, Node, NodeConfig, SpawnOptions, Term};
use dist_ac::{
    Application, Applications, Builder, RestartType, Spec, Start, Started, SysConfig,
    flags::{NodeFlags, fail},
};
use tokio::runtime::Runtime;

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    node: NodeFlags,
    /// Start these applications as part of the boot, one after the other.
    #[arg(long, value_delimiter = ',')]
    start: Vec<String>,
}

/// How many applications there are: as many as any work has.
const APPS: usize = 8;

struct Empty;

impl Application for Empty {
    async fn start(&self, context: &mut Context, _: Start) -> Result<Started, Term> {
        let body = |mut context: Context| async move {
            context.receive().await;
        };
        context
            .spawn_link(SpawnOptions::default(), body)
            .map(Started::new)
            .map_err(|_| Term::atom("name_taken"))
    }
}

pub(crate) fn run(flags: Flags) -> ExitCode {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(serve(flags)),
        Err(error) => fail(&error),
    }
}

async fn serve(flags: Flags) -> ExitCode {
    let (node, applications) = match start(&flags).await {
        Ok(started) => started,
        Err(error) => return fail(&error),
    };
    let mut out = std::io::stdout();
    // Whoever closed it wants no more.
    let _ = writeln!(out, "ready {} {}", node.name().as_str(), node.port()).and_then(|()| out.flush());
    if let Err(error) = applications.boot().await {
        return fail(&error);
    }
    for app in &flags.start {
        if let Err(reason) = applications.start(app, RestartType::Temporary).await {
            return fail(&format!("{app}: {reason}"));
        }
    }
    let status = node.stop_requested().await;
    applications.shutdown().await;
    node.stop().await;
    ExitCode::from(status)
}

async fn start(flags: &Flags) -> Result<(Node, Applications), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let config = match &flags.node.config {
        Some(file) => SysConfig::read(file).map_err(|error| text(&error))?,
        None => SysConfig::default(),
    };
    let own = config.apply(NodeConfig::new("")).map_err(|error| text(&error))?;
    let own = flags.node.apply(own).map_err(|error| text(&error))?;
    let node = Node::start(own).await.map_err(|error| text(&error))?;
    let mut builder = Builder::new(config).map_err(|error| text(&error))?;
    for nth in 1..=APPS {
        let spec = format!("{{application, app{nth}, [{{mod, {{app{nth}, []}}}}]}}");
        let spec = etf::text::parse_term(&spec).map_err(|error| text(&error))?;
        builder = builder.application(Spec::from_term(&spec).map_err(|reason| text(&reason))?, Empty);
    }
    let applications = builder.start(&node).map_err(|error| text(&error))?;
    Ok((node, applications))
}
