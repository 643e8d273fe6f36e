//! The demo: some nodes, each BEAM or Rust, and an application that moves between them as they die and come back.
//!
//! `cargo xtask demo` builds all that this needs and starts it. It exits with 0 only if every step was seen.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the demo draws its timeline on stdout")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use interop_tests::{Cluster, Otp};

mod application;
mod config;
mod controller;
mod member;
mod stage;
mod stories;
mod timeline;

use application::Application;
use config::Config;
use controller::Controller;
use member::{Kind, Member};
use stage::{Pace, Stage};
use timeline::Timeline;

/// The times are those of the configs.
const AS_CONFIGURED: Pace = Pace {
    // Within the 30 s that a node waits for those its config names.
    step_limit: Duration::from_secs(25),
    watch: Duration::from_secs(2),
    sync: None,
    sync_in_vain: None,
};

/// For tests: what is waited for by the clock is short, and what is waited for until it comes may take long on a busy
/// machine.
const QUICK: Pace = Pace {
    step_limit: Duration::from_secs(90),
    watch: Duration::from_millis(500),
    sync: Some(Duration::from_secs(120)),
    sync_in_vain: Some(Duration::from_secs(4)),
};

/// From the death of a node to the start on the next one, for tests.
const QUICK_RESTART: Duration = Duration::from_secs(1);

/// The same where the node is to be back before.
const LONG_RESTART: Duration = Duration::from_secs(8);

#[derive(Parser)]
#[command(name = "demo", about = "An application that moves between BEAM and Rust nodes")]
struct Arguments {
    /// The application.
    #[arg(long, value_enum, default_value = "m8ball")]
    app: Application,
    /// What each of its nodes is, as in beam,rust,beam; one after the other if not given.
    #[arg(long, value_delimiter = ',')]
    nodes: Option<Vec<Kind>>,
    /// The OTP release of the BEAM nodes; the newest on this host that the application runs on if not given.
    #[arg(long)]
    otp: Option<u32>,
    /// The folder of the kernel configs.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../config"))]
    config: PathBuf,
    /// With short times instead of those of the configs.
    #[arg(long)]
    quick: bool,
    /// Instead of the application's story: its owner dies and is back within the restart time, which is 8 s.
    #[arg(long)]
    returns: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (application, names) = (arguments.app, arguments.app.members());
    let kinds = arguments.nodes.clone().unwrap_or_else(|| application.default_kinds());
    if kinds.len() != names.len() {
        eprintln!(
            "demo: {} has the nodes {}: --nodes says what each is",
            application.name(),
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    let otp = arguments.otp.map(Otp::release);
    let otp = kinds.contains(&Kind::Beam).then(|| otp.unwrap_or_else(|| application.otp()));
    let described: Vec<_> = kinds.iter().map(|kind| kind.describe(otp.as_ref())).collect();
    println!("{} on {}: {}\n", application.name(), names.join(", "), described.join(", "));

    let timeline = Timeline::new(names, &kinds);
    let result = run(&arguments, &kinds, otp.as_ref(), &timeline);
    timeline.close();
    match result {
        Ok(summary) => {
            println!("\nevery step was seen: {summary}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("\nFAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    arguments: &Arguments,
    kinds: &[Kind],
    otp: Option<&Otp>,
    timeline: &Timeline,
) -> Result<String, String> {
    // BEAM nodes find each other as they always do. Rust nodes alone need nothing of Erlang, EPMD included.
    let cluster = otp.map_or_else(Cluster::without_epmd, Cluster::new);
    let application = arguments.app;
    let configs = configs(arguments)?;
    let restart_time = configs[0].restart_time()?;
    let members = configs.into_iter().zip(application.members()).zip(kinds);
    let members =
        members.map(|((config, name), kind)| Member::new(name, *kind, application, config, otp.cloned()));
    let mut stage = Stage {
        cluster: &cluster,
        timeline,
        application,
        controller: Controller::start(&cluster)?,
        members: members.collect(),
        restart_time,
        pace: if arguments.quick { QUICK } else { AS_CONFIGURED },
    };
    let result = stories::tell(&mut stage, arguments.returns);
    if result.is_err() {
        eprintln!("{}", stage.last_words());
    }
    result
}

fn configs(arguments: &Arguments) -> Result<Vec<Config>, String> {
    let folder: &Path = &arguments.config.join(arguments.app.config_folder());
    let read = |name: &&str| Config::read(&folder.join(format!("{name}.config")));
    let restart = match (arguments.returns, arguments.quick) {
        (true, _) => Some(LONG_RESTART),
        (false, true) => Some(QUICK_RESTART),
        (false, false) => None,
    };
    arguments.app.members().iter().map(|name| Ok(read(name)?.with_times(restart, None))).collect()
}
