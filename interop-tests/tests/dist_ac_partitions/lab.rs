//! A cluster of three nodes, each in a network of its own, and what they are asked.

#![expect(clippy::print_stdout, reason = "how long it took is worth to see")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use interop_tests::{
    Cluster, ErlNode, NodeSpec, Otp, RustNode,
    clock::{now, wait_for},
    crabnode_binary, within,
};

use crate::{
    network::{Network, address},
    story::Mix,
};

/// Longer than anything takes, on a machine that does ten other things.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// After how long a silent node is gone. Longer than anybody of the many who run here may have to wait for their turn.
pub(crate) const TICKTIME: Duration = Duration::from_secs(12);

/// As many ticks in that time: with more of them the time is kept better, where the release knows the parameter.
const TICKINTENSITY: u64 = 12;

/// From the death of the owner to the failover.
pub(crate) const RESTART_TIME: Duration = Duration::from_secs(3);

/// Stock nodes that have not heard of a name by then will not: `global` of ours sees to it before.
const NAMES_LIMIT: Duration = Duration::from_secs(30);

const APP: &str = "m8ball";

enum Member {
    Stock(ErlNode),
    Ours(RustNode),
}

pub(crate) struct Lab {
    // Ended first.
    members: Vec<Member>,
    cluster: Cluster,
    pub(crate) network: Network,
    began: Instant,
    title: String,
    story: Vec<String>,
}

impl Lab {
    /// All booted, and `m8ball` started on each.
    pub(crate) fn start(otp: &Otp, mix: &Mix, title: &str) -> Self {
        // Its only use: what EPMDs there are, the nodes have started, one in each namespace.
        let cluster = Cluster::without_epmd();
        let network = Network::new(title, mix.stock.len());
        let config = cluster.write("sys.config", &config(mix));
        let members = (0..mix.stock.len()).map(|nth| {
            let spec = NodeSpec {
                config: Some(config.clone()),
                namespace: Some(network.namespace(nth)),
                ..NodeSpec::default()
            };
            if mix.stock[nth] {
                return Member::Stock(cluster.spawn_erl(otp, &node(nth), &spec));
            }
            let spec = NodeSpec { args: vec!["--start".to_owned()], ..spec };
            Member::Ours(cluster.spawn_example(APP, &node(nth), &spec))
        });
        let members = members.collect();
        let (title, story) = (title.to_owned(), Vec::new());
        let mut lab = Self { members, cluster, network, began: now(), title, story };
        for member in &mut lab.members {
            match member {
                Member::Ours(node) => node.wait_until_ready(LIMIT).map(|_| ()),
                Member::Stock(node) => node.wait_until_booted(LIMIT),
            }
            .unwrap_or_else(|error| panic!("{error}"));
            if let Member::Stock(node) = member {
                node.eval(&format!("spawn(fun() -> ok = application:start({APP}) end)"));
            }
        }
        lab.tell("booted");
        lab
    }

    /// Says it with the time, and keeps it for the report.
    pub(crate) fn tell(&mut self, what: &str) {
        let line = format!("{} {:.1} s: {what}", self.title, self.began.elapsed().as_secs_f32());
        println!("{line}");
        self.story.push(line);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) -> Instant {
        match &mut self.members[node] {
            Member::Stock(node) => node.kill9(),
            Member::Ours(node) => node.kill9(),
        }
    }

    pub(crate) fn is_alive(&mut self, node: usize) -> bool {
        let process = match &mut self.members[node] {
            Member::Stock(node) => node.process(),
            Member::Ours(node) => node.process(),
        };
        process.status().is_none()
    }

    /// The result of a function of that node, as Erlang prints it; or what went wrong.
    pub(crate) fn ask(&mut self, node: usize, module: &str, function: &str, arguments: &str) -> String {
        match &mut self.members[node] {
            Member::Stock(erl) => {
                let call = format!("{module}:{function}({arguments})");
                erl.try_eval(&call, LIMIT).unwrap_or_else(|error| error)
            }
            Member::Ours(ours) => {
                let mut command = Command::new(crabnode_binary());
                command.args(["call", ours.node(), module, function, &format!("[{arguments}]")]);
                command.args(["--cookie", self.cluster.cookie(), "--timeout", "30"]);
                self.cluster.set_environment(&mut command);
                let namespace = self.network.namespace(node);
                let output = within(Some(&namespace), command).output().expect("crabnode can be started");
                let text = [output.stdout, output.stderr].concat();
                String::from_utf8_lossy(&text).trim().to_owned()
            }
        }
    }

    /// Who is alive and runs it.
    pub(crate) fn runs_at(&mut self) -> Vec<usize> {
        let runs = format!("{{{APP},");
        self.select(|lab, nth| lab.ask(nth, "application", "which_applications", "").contains(&runs))
    }

    fn select(&mut self, is: impl Fn(&mut Self, usize) -> bool) -> Vec<usize> {
        (0..self.members.len()).filter(|&nth| self.is_alive(nth) && is(self, nth)).collect()
    }

    /// Whether a node says that it is connected with another.
    pub(crate) fn is_linked(&mut self, one: usize, other: usize) -> bool {
        self.ask(one, "erlang", "nodes", "").contains(&node(other))
    }

    /// Whether those who are alive are connected, each with all others.
    pub(crate) fn is_whole(&mut self) -> bool {
        let alive = self.select(|_, _| true);
        alive.iter().all(|&one| alive.iter().all(|&other| one == other || self.is_linked(one, other)))
    }

    /// The stock nodes that do not reach it by its global name.
    fn unanswered(&mut self) -> Vec<usize> {
        self.select(|lab, nth| {
            let question = "{global, m8ball_server}, question";
            matches!(lab.members[nth], Member::Stock(_))
                && !lab.ask(nth, "gen_server", "call", question).starts_with("<<")
        })
    }

    /// Waits until exactly these run it.
    #[track_caller]
    pub(crate) fn comes_to_run_at(&mut self, nodes: &[usize]) {
        let mut last = Vec::new();
        let there = wait_for(LIMIT, || {
            last = self.runs_at();
            (last == nodes).then_some(())
        });
        if there.is_none() {
            self.fail(&format!("{APP} runs at {last:?} and not at {nodes:?}"));
        }
    }

    /// Does what an operator does, and waits until that and all else is over: for so long all are connected, one of these
    /// runs it, and all reach it. Who that is.
    ///
    /// Who connects nodes has to look whether they stay so: where one notices later than the others that it had lost
    /// somebody, stock `global` parts them again, as it prevents partitions that overlap.
    #[track_caller]
    pub(crate) fn settles(&mut self, owners: &[usize], for_so_long: Duration) -> usize {
        let (began, mut since, mut known) = (now(), None, now());
        let mut wrong = String::new();
        let settled = wait_for(2 * LIMIT, || {
            let runs = self.runs_at();
            wrong = if !self.is_whole() {
                self.connect();
                known = now();
                "not all are connected".to_owned()
            } else if runs.len() != 1 || !owners.contains(&runs[0]) {
                format!("{APP} runs at {runs:?} and not at one of {owners:?}")
            } else if let nodes = self.unanswered()
                && !nodes.is_empty()
            {
                if known.elapsed() > NAMES_LIMIT {
                    self.part(nodes[0]);
                }
                format!("{APP} does not answer {nodes:?}")
            } else {
                let (owner, since) = since.get_or_insert_with(|| (runs[0], now()));
                if *owner == runs[0] {
                    return (since.elapsed() >= for_so_long).then_some(runs[0]);
                }
                "its owner changes".to_owned()
            };
            since = None;
            None
        });
        let Some(owner) = settled else { self.fail(&wrong) };
        let millis = since.map_or(0, |(_, since)| (since - began).as_millis());
        self.tell(&format!("one copy, at {}, and all connected, after {millis} ms", node(owner)));
        owner
    }

    /// Has it run there.
    #[track_caller]
    pub(crate) fn moves_to(&mut self, owner: usize) {
        self.ask(owner, "application", "takeover", &format!("{APP}, temporary"));
        self.settles(&[owner], Duration::ZERO);
    }

    fn connect(&mut self) {
        let alive = self.select(|_, _| true);
        for &one in &alive {
            for &other in alive.iter().filter(|&&other| other < one) {
                self.ask(one, "net_kernel", "connect_node", &format!("'{}'", node(other)));
            }
        }
    }

    /// Where links break while partitions merge, stock `global` now and then leaves names that some have not heard of.
    /// This is what OTP's manual has for it.
    fn part(&mut self, nth: usize) {
        self.tell(&format!("{} does not hear of names, and is disconnected", node(nth)));
        self.ask(nth, "global", "disconnect", "");
    }

    /// How often it was started, anywhere.
    pub(crate) fn starts(&self) -> usize {
        let outputs = self.members.iter().map(|member| match member {
            Member::Stock(node) => node.output(),
            Member::Ours(node) => node.output(),
        });
        outputs.map(|output| output.matches("m8ball: start ").count()).sum()
    }

    /// Fails, with all that is known.
    #[track_caller]
    pub(crate) fn fail(&mut self, why: &str) -> ! {
        let mut report = format!("{}\n{why}\n", self.story.join("\n"));
        for nth in 0..self.members.len() {
            let alive = self.is_alive(nth);
            report += &format!("--- {} alive: {alive}\n", node(nth));
            if alive {
                report += &format!("nodes: {}\n", self.ask(nth, "erlang", "nodes", ""));
            }
            let output = match &self.members[nth] {
                Member::Stock(node) => node.output(),
                Member::Ours(node) => node.output(),
            };
            report += &format!("printed:\n{output}\n");
            if alive {
                report +=
                    &format!("dist_ac: {}\n", self.ask(nth, "gen_server", "call", "dist_ac, info, 2000"));
            }
        }
        panic!("{report}");
    }
}

/// The name of a node.
pub(crate) fn node(nth: usize) -> String {
    format!("{}@{}", ["a", "b", "c"][nth], address(nth))
}

fn config(mix: &Mix) -> String {
    let nodes: Vec<_> = (0..mix.stock.len()).map(|nth| format!("'{}'", node(nth))).collect();
    let (nodes, heal, restart_time) = (nodes.join(", "), mix.heal, RESTART_TIME.as_millis());
    let ticktime = TICKTIME.as_secs();
    format!(
        "[{{kernel, [{{distributed, [{{{APP}, {restart_time}, [{nodes}]}}]}}, {{sync_nodes_optional, [{nodes}]}}, \
         {{sync_nodes_timeout, 30000}}, {{net_ticktime, {ticktime}}}, {{net_tickintensity, {TICKINTENSITY}}}]}}, \
         {{crabnode, [{heal}]}}]."
    )
}
