//! Networks of namespaces, by `ip`.
//!
//! Each node's namespace has one interface. Its other end is a port of a switch, which is a namespace too, with two bridges.
//! A cut moves a port from one bridge to the other: every interface stays up, and nobody is told.

use std::{
    env,
    io::Write,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

/// Set in the program that runs in its own namespaces.
const INSIDE: &str = "CRABNODE_TEST_NAMESPACES";

/// The bridges.
const PARTS: [&str; 2] = ["part1", "part2"];

/// All that is needed, in the order in which it is needed.
const TRIAL: &str = "mount -t tmpfs tmpfs /run && ip netns add trial && ip -n trial link add bridge type bridge && \
                     ip link add one netns trial type veth peer name two netns trial && \
                     nsenter --net=/run/netns/trial true";

/// Begins this program anew in its own network, mount and process namespaces, unless it is there. All of them are gone with
/// it, and so is every process in them, be it killed.
///
/// # Errors
/// Says what is missing.
pub(crate) fn enter() -> Result<(), String> {
    if env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let mut unshare = unshare()?;
    let program = env::current_exe().map_err(|error| error.to_string())?;
    // The shell is the first process of the namespace, for which signals mean nothing: the test must not be that.
    unshare.args(["sh", "-c", "mount -t tmpfs tmpfs /run && \"$0\" \"$@\"; exit $?"]).arg(program);
    let error = unshare.args(env::args_os().skip(1)).env(INSIDE, "1").exec();
    Err(format!("unshare: {error}"))
}

/// The command that makes namespaces for another: as root, or where that is not so as a user who may.
fn unshare() -> Result<Command, String> {
    let mut said = Vec::new();
    for user in [&[][..], &["--user", "--map-root-user"]] {
        let command = || {
            let mut command = Command::new("unshare");
            command.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]).args(user);
            command
        };
        match command().args(["sh", "-c", TRIAL]).stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => return Ok(command()),
            Ok(output) => said.push(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
            Err(error) => said.push(error.to_string()),
        }
    }
    Err(format!(
        "no network namespaces here: install iproute2 and util-linux (`ip`, `unshare`, `nsenter`) and run the test as \
         root, or let users make namespaces (`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` on Ubuntu, a \
         container with --privileged); as root: {}; as a user: {}",
        said[0], said[1]
    ))
}

/// So many nodes, each in its own namespace, and a switch. It is gone with this value.
pub(crate) struct Network {
    name: String,
    nodes: usize,
}

impl Network {
    /// Whole.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub(crate) fn new(name: &str, nodes: usize) -> Self {
        let network = Self { name: name.to_owned(), nodes };
        let switch = network.switch();
        let mut made = vec![format!("netns add {switch}")];
        made.extend((0..nodes).map(|nth| format!("netns add {}", network.namespace(nth))));
        ip(&[], &made);
        let mut links = Vec::new();
        for nth in 0..nodes {
            let namespace = network.namespace(nth);
            links.push(format!(
                "link add eth0 netns {namespace} type veth peer name port{nth} netns {switch}"
            ));
        }
        ip(&[], &links);
        let mut bridges = Vec::new();
        for part in PARTS {
            bridges.push(format!("link add {part} type bridge"));
            bridges.push(format!("link set {part} up"));
        }
        bridges.extend((0..nodes).map(|nth| format!("link set port{nth} up")));
        ip(&["-n", &switch], &bridges);
        for nth in 0..nodes {
            let up = [
                "link set lo up".to_owned(),
                format!("addr add {}/24 dev eth0", address(nth)),
                "link set eth0 up".to_owned(),
            ];
            ip(&["-n", &network.namespace(nth)], &up);
        }
        network.heal();
        network
    }

    /// The namespace of a node.
    pub(crate) fn namespace(&self, node: usize) -> String {
        format!("{}-{node}", self.name)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    /// One node on its own, the others together.
    pub(crate) fn isolate(&self, node: usize) {
        self.ports(|nth| if nth == node { PARTS[1] } else { PARTS[0] });
    }

    /// All together.
    pub(crate) fn heal(&self) {
        self.ports(|_| PARTS[0]);
    }

    fn ports(&self, part: impl Fn(usize) -> &'static str) {
        let moves: Vec<_> =
            (0..self.nodes).map(|nth| format!("link set port{nth} master {}", part(nth))).collect();
        ip(&["-n", &self.switch()], &moves);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let namespaces = (0..self.nodes).map(|nth| self.namespace(nth)).chain([self.switch()]);
        for namespace in namespaces {
            // Gone with the program at the latest.
            let _ = Command::new("ip").args(["netns", "del", &namespace]).output();
        }
    }
}

/// The address of a node.
pub(crate) fn address(node: usize) -> String {
    format!("10.77.0.{}", node + 1)
}

/// Commands of `ip`, all in one.
fn ip(options: &[&str], commands: &[String]) {
    let mut ip = Command::new("ip");
    ip.args(options).args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = ip.spawn().expect("ip is there: the program has tried it");
    let written = child.stdin.take().expect("a pipe").write_all((commands.join("\n") + "\n").as_bytes());
    let output = child.wait_with_output().expect("ip ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(written.is_ok() && output.status.success(), "ip {options:?}: {commands:?}: {said}");
}
