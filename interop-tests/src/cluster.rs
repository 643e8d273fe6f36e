//! What nodes of one test share and nobody else: EPMD, cookie, home folder.

use std::{
    collections::hash_map::RandomState,
    env, fs,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{EpmdProcess, ErlNode, Otp, RustNode, TestPorts, example_binary, rust_node::crabnode_binary};

/// What nodes of one test share.
pub struct Cluster {
    epmd: Epmd,
    cookie: String,
    /// Removed with this value.
    home: TempDir,
}

/// Where nodes look for one.
enum Epmd {
    Runs(EpmdProcess),
    None(TestPorts),
}

/// How a node is started, beside what the cluster says. `Default` is a visible node without a config.
#[derive(Clone, Debug, Default)]
pub struct NodeSpec {
    /// Another cookie than the cluster's.
    pub cookie: Option<String>,
    /// Not visible to others, as `erl -hidden`.
    pub hidden: bool,
    /// No node, for `erl`: the test makes it one by `net_kernel:start`.
    pub undistributed: bool,
    /// The `sys.config`.
    pub config: Option<PathBuf>,
    /// More arguments, as the program takes them.
    pub args: Vec<String>,
    /// The network namespace that it runs in, as `ip netns` calls it, if not in the test's.
    pub namespace: Option<String>,
}

impl NodeSpec {
    /// A node with these further arguments.
    pub fn args<const N: usize>(args: [&str; N]) -> Self {
        Self { args: args.map(str::to_owned).to_vec(), ..Self::default() }
    }

    /// A hidden node.
    pub fn hidden() -> Self {
        Self { hidden: true, ..Self::default() }
    }
}

impl Cluster {
    /// With the `epmd` of this release.
    pub fn new(otp: &Otp) -> Self {
        Self::with_epmd(EpmdProcess::stock(otp))
    }

    /// With this EPMD.
    pub fn with_epmd(epmd: EpmdProcess) -> Self {
        Self { epmd: Epmd::Runs(epmd), cookie: cookie(), home: home() }
    }

    /// With a private port that no EPMD answers on yet: the first node starts one.
    pub fn without_epmd() -> Self {
        Self { epmd: Epmd::None(TestPorts::new(1)), cookie: cookie(), home: home() }
    }

    /// The EPMD, unless the cluster was made without.
    pub fn epmd(&mut self) -> Option<&mut EpmdProcess> {
        match &mut self.epmd {
            Epmd::Runs(epmd) => Some(epmd),
            Epmd::None(_) => None,
        }
    }

    /// The port of the EPMD.
    pub fn epmd_port(&self) -> u16 {
        match &self.epmd {
            Epmd::Runs(epmd) => epmd.port(),
            Epmd::None(port) => port.first(),
        }
    }

    /// The cookie of all nodes that are not given another.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// The folder the nodes take for `~`: empty, and removed with this value.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file into the home folder, such as a `sys.config`, and returns its path.
    ///
    /// # Panics
    /// Where that fails.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Starts `NAME@localhost` on this OTP release and waits until it has booted.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn erl(&self, otp: &Otp, name: &str) -> ErlNode {
        self.erl_with(otp, name, &NodeSpec::default())
    }

    /// The same, with more said about the start.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn erl_with(&self, otp: &Otp, name: &str, spec: &NodeSpec) -> ErlNode {
        let mut node = self.spawn_erl(otp, name, spec);
        // 120 s: a start takes under 1 s, on a machine that compiles something else far more.
        node.wait_until_booted(Duration::from_secs(120)).unwrap_or_else(|error| panic!("{error}"));
        node
    }

    /// The same without waiting: for a node that is meant to wait for others, or to fail.
    pub fn spawn_erl(&self, otp: &Otp, name: &str, spec: &NodeSpec) -> ErlNode {
        let node = full_name(name);
        let mut command = otp.command();
        let kind = if has_long_host(&node) { "-name" } else { "-sname" };
        if !spec.undistributed {
            command.args([kind, &node]);
        }
        command.args(["-setcookie", spec.cookie.as_ref().unwrap_or(&self.cookie)]);
        command.env("ERL_CRASH_DUMP", "/dev/null").arg("-pa").arg(otp.ebin());
        if spec.hidden {
            command.arg("-hidden");
        }
        if let Some(config) = &spec.config {
            command.arg("-config").arg(config.with_extension(""));
        }
        command.args(&spec.args);
        self.set_environment(&mut command);
        ErlNode::spawn(node, within(spec.namespace.as_deref(), command))
    }

    /// Starts `crabnode peer` as `NAME@localhost` and waits until it accepts connections.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn peer(&self, name: &str) -> RustNode {
        self.peer_with(name, &NodeSpec::default())
    }

    /// The same, with more said about the start.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn peer_with(&self, name: &str, spec: &NodeSpec) -> RustNode {
        let mut node = self.spawn_peer(name, spec);
        node.wait_until_ready(Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}"));
        node
    }

    /// The same without waiting.
    pub fn spawn_peer(&self, name: &str, spec: &NodeSpec) -> RustNode {
        let mut command = Command::new(crabnode_binary());
        command.arg("peer");
        self.spawn_program(command, name, spec)
    }

    /// Starts one of the example applications of `dist_ac`, such as `m8ball`, without waiting.
    pub fn spawn_example(&self, application: &str, name: &str, spec: &NodeSpec) -> RustNode {
        self.spawn_program(Command::new(example_binary(application)), name, spec)
    }

    /// Starts another program that takes the flags of a node as `NAME@localhost`, without waiting.
    pub fn spawn_program(&self, mut command: Command, name: &str, spec: &NodeSpec) -> RustNode {
        let node = full_name(name);
        let kind = if has_long_host(&node) { "--name" } else { "--sname" };
        command.args([kind, &node, "--cookie", spec.cookie.as_ref().unwrap_or(&self.cookie)]);
        command.args(["--epmd-port", &self.epmd_port().to_string()]);
        if spec.hidden {
            command.arg("--hidden");
        }
        if let Some(config) = &spec.config {
            command.arg("--config").arg(config);
        }
        command.args(&spec.args);
        self.set_environment(&mut command);
        RustNode::spawn(node, within(spec.namespace.as_deref(), command))
    }

    /// What a program needs to be part of this cluster: its EPMD, its home folder, and nothing of the user's.
    pub fn set_environment(&self, command: &mut Command) {
        command
            .env("HOME", self.home())
            .env("ERL_EPMD_PORT", self.epmd_port().to_string())
            .current_dir(self.home());
        command.env_remove("XDG_CONFIG_HOME").env_remove("RUST_BACKTRACE");
    }
}

/// `NAME@localhost`, unless the name has a host.
fn full_name(name: &str) -> String {
    if name.contains('@') { name.to_owned() } else { format!("{name}@localhost") }
}

/// Whether the node uses long names: its host has a dot, or is an address of IPv6.
fn has_long_host(node: &str) -> bool {
    node.split_once('@').is_some_and(|(_, host)| host.contains(['.', ':']))
}

/// A new secret: while it runs, a node executes whatever those with the cookie send.
fn cookie() -> String {
    // The standard library's one source of randomness.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// A new empty folder.
fn home() -> TempDir {
    temporary("crabnode-test-")
}

/// A new empty folder whose name begins so.
pub(crate) fn temporary(prefix: &str) -> TempDir {
    let base = env::temp_dir();
    let made =
        fs::create_dir_all(&base).and_then(|()| tempfile::Builder::new().prefix(prefix).tempdir_in(&base));
    made.unwrap_or_else(|error| panic!("{}: {error}", base.display()))
}

/// The same command in a network namespace, as `ip netns exec`; the process is the program itself.
pub fn within(namespace: Option<&str>, command: Command) -> Command {
    let Some(namespace) = namespace else { return command };
    let mut entering = Command::new("nsenter");
    entering.arg(format!("--net=/run/netns/{namespace}")).arg("--");
    entering.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => entering.env(name, value),
            None => entering.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        entering.current_dir(dir);
    }
    entering
}
