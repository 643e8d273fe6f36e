//! One of the nodes, of either kind.

use std::{
    process::ExitStatus,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use interop_tests::{Cluster, Elixir, ErlNode, NodeSpec, Otp, Process, RustNode};

use crate::{application::Application, config::Config, controller::Controller};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// An `erl`.
    Beam,
    /// A program of ours.
    Rust,
}

impl Kind {
    /// `beam` or `rust`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Beam => "beam",
            Self::Rust => "rust",
        }
    }

    /// With the release of a BEAM node.
    pub(crate) fn describe(self, otp: Option<&Otp>) -> String {
        match (self, otp) {
            (Self::Beam, Some(otp)) => format!("beam (OTP {})", otp.number()),
            _ => self.name().to_owned(),
        }
    }
}

/// One of the nodes. It is started, killed and started again.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    application: Application,
    config: Config,
    otp: Option<Otp>,
    started: Option<Started>,
}

enum Started {
    Beam(ErlNode),
    Rust(RustNode),
}

impl Member {
    pub(crate) fn new(
        name: &'static str,
        kind: Kind,
        application: Application,
        config: Config,
        otp: Option<Otp>,
    ) -> Self {
        Self { name, kind, application, config, otp, started: None }
    }

    /// `a@localhost`.
    pub(crate) fn node(&self) -> String {
        format!("{}@localhost", self.name)
    }

    /// Starts it, with the application as part of boot or not, and does not wait. With `sync` it waits so long for the
    /// other nodes, whatever its config says.
    pub(crate) fn start(&mut self, cluster: &Cluster, with_application: bool, sync: Option<Duration>) {
        let config = self.config.clone().with_times(None, sync).write(cluster, self.name);
        let mut spec = NodeSpec { config: Some(config), ..NodeSpec::default() };
        self.started = Some(match (self.kind, &self.otp) {
            (Kind::Beam, Some(otp)) => {
                spec.args = self.erl_args(otp, with_application);
                Started::Beam(cluster.spawn_erl(otp, self.name, &spec))
            }
            _ => {
                if with_application {
                    spec.args = vec!["--start".into()];
                }
                Started::Rust(cluster.spawn_example(self.application.name(), self.name, &spec))
            }
        });
    }

    fn erl_args(&self, otp: &Otp, with_application: bool) -> Vec<String> {
        let mut args = Vec::new();
        if self.application == Application::Chucky {
            // What the command `elixir` does too.
            for folder in Elixir::locate().code_path(otp, "chucky") {
                args.extend(["-pa".into(), folder.display().to_string()]);
            }
            args.extend(["-eval".into(), "{ok, _} = application:ensure_all_started(elixir)".into()]);
        }
        if with_application {
            // In a process of its own: boot goes on, as it does with a boot script, and says that it is done.
            let start = format!("spawn(fun() -> application:start({}) end)", self.application.name());
            args.extend(["-eval".into(), start]);
        }
        args
    }

    /// SIGKILL. Returns when it was sent.
    pub(crate) fn kill9(&mut self) -> Option<Instant> {
        let at = match self.started.as_mut()? {
            Started::Beam(node) => node.kill9(),
            Started::Rust(node) => node.kill9(),
        };
        self.started = None;
        Some(at)
    }

    /// Waits for its end, which others have asked for.
    pub(crate) fn wait_for_exit(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let name = self.name;
        self.process().ok_or_else(|| format!("{name} was not started"))?.wait_for_exit(limit)
    }

    fn process(&mut self) -> Option<&mut Process> {
        Some(match self.started.as_mut()? {
            Started::Beam(node) => node.process(),
            Started::Rust(node) => node.process(),
        })
    }

    /// Whether it has synchronised with the nodes that its config names and let its applications start.
    pub(crate) fn is_unlocked(&mut self, controller: &Controller) -> Result<bool, String> {
        let node = self.node();
        match self.started.as_mut() {
            None => Ok(false),
            Some(Started::Beam(erl)) => erl.has_booted(),
            Some(Started::Rust(program)) => {
                if program.process().status().is_some() {
                    return Err(program.process().say("has ended"));
                }
                // It accepts connections from the start, and runs its first application once it is unlocked.
                let running = controller.which_applications(&node).unwrap_or_default();
                Ok(running.iter().any(|name| name == "kernel"))
            }
        }
    }

    /// What it printed, if it is started.
    pub(crate) fn output(&self) -> String {
        match &self.started {
            None => String::new(),
            Some(Started::Beam(node)) => node.output(),
            Some(Started::Rust(node)) => node.output(),
        }
    }
}
