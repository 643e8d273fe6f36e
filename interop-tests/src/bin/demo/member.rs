//! One of the three nodes, of either kind.

use std::{path::PathBuf, time::Instant};

use clap::ValueEnum;
use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, RustNode};

use crate::controller::Controller;

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

/// One of the three nodes. It is started, killed and started again.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    kind: Kind,
    application: String,
    config: PathBuf,
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
        application: &str,
        config: PathBuf,
        otp: Option<Otp>,
    ) -> Self {
        Self { name, kind, application: application.to_owned(), config, otp, started: None }
    }

    /// `a@localhost`.
    pub(crate) fn node(&self) -> String {
        format!("{}@localhost", self.name)
    }

    /// Starts it, with the application as part of boot or not, and does not wait.
    pub(crate) fn start(&mut self, cluster: &Cluster, with_application: bool) {
        let mut spec = NodeSpec { config: Some(self.config.clone()), ..NodeSpec::default() };
        self.started = Some(match (self.kind, &self.otp) {
            (Kind::Beam, Some(otp)) => {
                if with_application {
                    // In a process of its own: boot goes on, as it does with a boot script, and says that it is done.
                    let start = format!("spawn(fun() -> application:start({}) end)", self.application);
                    spec.args = vec!["-eval".into(), start];
                }
                Started::Beam(cluster.spawn_erl(otp, self.name, &spec))
            }
            _ => {
                if with_application {
                    spec.args = vec!["--start".into()];
                }
                Started::Rust(cluster.spawn_example(&self.application, self.name, &spec))
            }
        });
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
