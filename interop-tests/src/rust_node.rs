//! A started node of ours.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{Process, otp::build_dir};

/// A started program that is a node: `crabnode peer`, or an example application. It ends, by SIGKILL, with this value.
pub struct RustNode {
    node: String,
    process: Process,
    port: Option<u16>,
}

impl RustNode {
    pub(crate) fn spawn(node: String, mut command: Command) -> Self {
        Self { process: Process::start(node.clone(), &mut command), node, port: None }
    }

    /// `a@localhost`.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The port it accepts connections on.
    ///
    /// # Panics
    /// Where [`RustNode::wait_until_ready`] has not said that it is ready.
    pub fn port(&self) -> u16 {
        self.port.expect("the node is ready: wait_until_ready()")
    }

    /// Waits up to `limit` for the line `ready NAME@HOST PORT`.
    ///
    /// # Errors
    /// Says that it did not come, and what the program printed.
    pub fn wait_until_ready(&mut self, limit: Duration) -> Result<u16, String> {
        let wanted = self.node.clone();
        let port = self.process.wait_for_line(limit, "accept connections", |line| {
            let (node, port) = line.strip_prefix("ready ")?.split_once(' ')?;
            (node == wanted).then(|| port.parse().ok()).flatten()
        })?;
        self.port = Some(port);
        Ok(port)
    }

    /// SIGKILL. Returns when it was sent.
    pub fn kill9(&mut self) -> Instant {
        self.process.kill9()
    }

    /// All that the program printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The program.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The program `crabnode`: what `CRABNODE_BIN` names, else the one cargo has built beside this test.
///
/// # Panics
/// Where it has not been built.
pub fn crabnode_binary() -> PathBuf {
    match env::var_os("CRABNODE_BIN") {
        Some(path) => built(path.into(), "crabnode-cli --bins"),
        None => built(profile_dir().join("crabnode"), "crabnode-cli --bins"),
    }
}

/// The example application of this name.
///
/// # Panics
/// Where it has not been built.
pub fn example_binary(application: &str) -> PathBuf {
    built(profile_dir().join("examples").join(application), "crabnode-dist-ac --examples")
}

fn built(path: PathBuf, package: &str) -> PathBuf {
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build -p {package}`, or the tests as `cargo xtask test`",
        path.display()
    );
    path
}

/// `target/debug`, for a test that cargo has put into `target/debug/deps`.
fn profile_dir() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let dir = program.parent().map(Path::to_path_buf).unwrap_or_else(build_dir);
    if dir.ends_with("deps") { dir.parent().map(Path::to_path_buf).unwrap_or(dir) } else { dir }
}
