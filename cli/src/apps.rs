//! `crabnode apps NODE...`: which distributed application runs where, who stands by, and what is wrong.
//!
//! Asks the nodes that are named, and those that they are connected to, and says what their `dist_ac` and
//! `application_controller` tell. No node of ours needs to be among them, and none of them sees who asks.
//!
//! Exit statuses. 0: at least one node has answered. 1: none has, or an argument is wrong. 3: with `--check`, something
//! is wrong with the cluster.

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use clap::Args;
use crabnode::{Atom, Node};
use dist_ac::flags::{NodeFlags, fail};
use tokio::time::sleep;

use crate::{guest, say};

mod ask;
mod faults;
mod show;
mod told;
mod view;
mod watch;

use ask::Asker;

#[derive(Args)]
#[command(
    after_help = "Exit status: 0 if a node has answered, 1 if none has or an argument is wrong, 2 for unknown flags, \
                  and with --check 3 if there are conflicts. A node that cannot be reached is a line like others."
)]
pub(crate) struct Flags {
    /// NAME@HOST of a node of the cluster; the nodes that it is connected to are asked as well
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
    /// Print one JSON object, not tables; with --watch one a line, whenever something has changed
    #[arg(long)]
    json: bool,
    /// Go on asking, and show what changes; q or ^C leaves
    #[arg(long)]
    watch: bool,
    /// With --watch, how long to wait before asking again
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// How long each node may take to answer
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,
    /// Exit with 3 if there are conflicts
    #[arg(long, conflicts_with = "watch")]
    check: bool,
    #[command(flatten)]
    own: NodeFlags,
}

/// A fault counts if it is there a second time, so much later: what is seen of a takeover half done looks like one.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// What `--check` exits with.
const CONFLICTS: u8 = 3;

pub(crate) async fn run(flags: Flags) -> ExitCode {
    let mut named: Vec<Atom> = Vec::new();
    let mut config = None;
    for node in &flags.nodes {
        let (peer, own) = match guest::config("apps", node, &flags.own) {
            Ok(both) => both,
            Err(status) => return status,
        };
        config.get_or_insert(own);
        match Atom::try_new(&peer) {
            Ok(peer) if named.contains(&peer) => {}
            Ok(peer) => named.push(peer),
            Err(error) => return fail(&format!("{peer}: {error}")),
        }
    }
    let config = config.expect("at least one node is named");
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    let asker = Asker::new(node.clone(), named, flags.timeout);
    let status = if flags.watch {
        let form = match (flags.json, std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            (true, _) => watch::Form::Json,
            (false, true) => watch::Form::Screen,
            (false, false) => watch::Form::Tables,
        };
        watch::run(asker, flags.interval, form).await
    } else {
        once(asker, &flags).await
    };
    node.stop().await;
    status
}

async fn once(mut asker: Asker, flags: &Flags) -> ExitCode {
    let mut view = asker.ask().await;
    if !view.faults.is_empty() {
        sleep(SECOND_LOOK).await;
        let faults = std::mem::take(&mut view.faults);
        view = asker.ask().await.confirmed_by(&faults);
    }
    if flags.json {
        say(&show::to_json(&view).to_string());
    } else {
        show::lines(&view).iter().for_each(|line| say(line));
    }
    if !view.is_anyone_there() {
        return fail(&"no node has answered");
    }
    if flags.check && !view.faults.is_empty() { ExitCode::from(CONFLICTS) } else { ExitCode::SUCCESS }
}

/// A number of seconds, parts of them too.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.05..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a number of seconds from 0.05 to 3600".to_owned())
}
