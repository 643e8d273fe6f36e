//! A cluster and its members, of either kind.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use interop_tests::{
    Cluster, ErlNode, NodeSpec, Otp, RustNode,
    clock::{now, pause, wait_for},
};

use crate::asker::Asker;

/// How long what is not measured may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Beam,
    Rust,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Beam => "BEAM",
            Self::Rust => "Rust",
        }
    }
}

/// A cluster, and who asks its members.
pub(crate) struct Lab {
    pub(crate) asker: Asker,
    pub(crate) cluster: Cluster,
    otp: Otp,
}

/// A member that was started. It ends, by SIGKILL, with this value.
pub(crate) enum Member {
    Beam(ErlNode),
    Rust(RustNode),
}

/// What the members of a cluster are configured with.
pub(crate) struct Config {
    /// `kernel distributed`.
    pub(crate) distributed: String,
    pub(crate) nodes: &'static [&'static str],
    /// How long a node waits for the others when it boots.
    pub(crate) wait: Duration,
    /// More of the file, with a comma before each part.
    pub(crate) more: &'static str,
}

impl Config {
    fn text(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|name| format!("{name}@localhost")).collect();
        format!(
            "[{{kernel, [{{distributed, {}}}, {{sync_nodes_optional, [{}]}}, {{sync_nodes_timeout, {}}},
               {{prevent_overlapping_partitions, false}}]}}{}].",
            self.distributed,
            nodes.join(", "),
            self.wait.as_millis(),
            self.more
        )
    }
}

impl Lab {
    pub(crate) fn new(otp: &Otp) -> Result<Self, String> {
        let cluster = Cluster::new(otp);
        Ok(Self { asker: Asker::start(&cluster)?, cluster, otp: otp.clone() })
    }

    /// Starts a member, with these applications as part of its boot, and does not wait.
    pub(crate) fn start(&self, kind: Kind, name: &str, config: &Config, apps: &[String]) -> Member {
        let file: PathBuf = self.cluster.write(&format!("{name}.config"), &config.text());
        let mut spec = NodeSpec { config: Some(file), ..NodeSpec::default() };
        match kind {
            Kind::Beam => {
                // In a process of its own: boot goes on, as it does with a boot script.
                let start = format!(
                    "[ct_app:load(list_to_atom(\"app\" ++ integer_to_list(N))) || N <- lists:seq(1, 8)],
                     spawn(fun() -> [application:start(A) || A <- [{}]] end)",
                    apps.join(", ")
                );
                spec.args = vec!["-eval".into(), start];
                Member::Beam(self.cluster.spawn_erl(&self.otp, name, &spec))
            }
            Kind::Rust => {
                if !apps.is_empty() {
                    spec.args = vec!["--start".into(), apps.join(",")];
                }
                let mut command = Command::new(std::env::current_exe().unwrap_or_default());
                command.arg("node");
                Member::Rust(self.cluster.spawn_program(command, name, &spec))
            }
        }
    }

    /// Waits until a member has booted, the wait for others included.
    pub(crate) fn booted(&self, name: &str, member: &mut Member) -> Result<(), String> {
        match member {
            Member::Beam(erl) => erl.wait_until_booted(PATIENCE),
            Member::Rust(ours) => {
                ours.wait_until_ready(PATIENCE)?;
                let booted = || self.asker.runs(name).iter().any(|app| app == "kernel").then_some(());
                wait_for(PATIENCE, booted).ok_or_else(|| ours.process().say("has not booted"))
            }
        }
    }

    /// Whether an application runs on a node.
    pub(crate) fn runs(&self, name: &str, app: &str) -> bool {
        self.asker.runs(name).iter().any(|running| running == app)
    }

    /// Waits until that is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
        wait_for(PATIENCE, || is_so().then_some(())).ok_or_else(|| format!("after {PATIENCE:?} not: {what}"))
    }

    /// Waits until all of them know each other's `dist_ac`.
    pub(crate) fn until_introduced(&self, names: &[&str]) -> Result<(), String> {
        let unknown = || {
            let pairs = names.iter().flat_map(|name| names.iter().map(move |other| (*name, *other)));
            pairs.filter(|(name, other)| !self.asker.knows(name, other)).collect::<Vec<_>>()
        };
        self.until("all know each other", || unknown().is_empty())
            .map_err(|error| format!("{error}; who does not know whom: {:?}", unknown()))
    }
}

impl Member {
    /// SIGKILL. When it was sent.
    pub(crate) fn kill9(&mut self) -> Instant {
        match self {
            Self::Beam(erl) => erl.kill9(),
            Self::Rust(ours) => ours.kill9(),
        }
    }

    /// The process of the system.
    pub(crate) fn id(&mut self) -> u32 {
        match self {
            Self::Beam(erl) => erl.process().id(),
            Self::Rust(ours) => ours.process().id(),
        }
    }

    /// All that it printed.
    pub(crate) fn output(&self) -> String {
        match self {
            Self::Beam(erl) => erl.output(),
            Self::Rust(ours) => ours.output(),
        }
    }
}

/// How long it takes from then on until something is so, in milliseconds; nothing if that is longer than the limit. Asked
/// every millisecond.
pub(crate) fn time_until(start: Instant, limit: Duration, is_so: impl Fn() -> bool) -> Option<f64> {
    loop {
        let so = is_so();
        let took = now() - start;
        if so {
            return Some(took.as_secs_f64() * 1e3);
        }
        if took > limit {
            return None;
        }
        pause(Duration::from_millis(1));
    }
}
