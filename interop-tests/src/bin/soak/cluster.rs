//! The nodes, what they do meanwhile, and what must hold in the end.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use crabnode::{Node, NodeConfig};
use interop_tests::{
    Cluster, ErlNode, Otp,
    clock::{now, pause, wait_for},
};
use tokio::{runtime::Runtime, sync::watch};

use crate::{
    measure::{Memory, open_files, processor_time},
    server::{self, Record},
    visitor::{NAME, Visitor},
    worker::work,
};

const RUST: [&str; 2] = ["rust1@localhost", "rust2@localhost"];

/// How much more memory there may be at the end than after a quarter of the time: a tenth, and what an allocator may
/// keep of the longest messages.
const GROWTH_PERCENT: u64 = 10;
const GROWTH_BYTES: u64 = 4 << 20;

/// Memory is the most that was seen in this time: it swings with the long messages.
const WINDOW: Duration = Duration::from_secs(30);

/// How long things may take to come to rest when the traffic is over, or has not begun.
const REST: Duration = Duration::from_secs(20);

/// For so long nothing changes once what the start has left over is gone.
const STILL: Duration = Duration::from_secs(3);

/// By so many rounds each worker has had one with the longest message, or nearly so: from then on memory is compared.
const FIRST_ROUNDS: u64 = 41;

pub(crate) struct Soak {
    nodes: Vec<Node>,
    runtime: Runtime,
    erls: Vec<ErlNode>,
    record: Arc<Record>,
    visitor: Visitor,
    stop: watch::Sender<bool>,
    cluster: Cluster,
    /// The releases and the kinds, to say.
    members: String,
}

/// What must be the same before and after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Held {
    files: usize,
    tasks: usize,
    processes: usize,
    queued_bytes: u64,
}

impl Soak {
    /// Starts all nodes and connects each with each.
    pub(crate) fn start(releases: &[Otp], visit: Duration) -> Self {
        let newest = releases.last().expect("one release at least");
        let cluster = Cluster::new(newest);
        let mut erls: Vec<ErlNode> =
            releases.iter().map(|otp| cluster.erl(otp, &format!("otp{}", otp.number()))).collect();
        let runtime = Runtime::new().expect("a runtime");
        let (record, visitor) = (Arc::new(Record::default()), format!("{NAME}@localhost"));
        let nodes = RUST.map(|name| {
            runtime.block_on(async {
                let config = NodeConfig {
                    cookie: Some(cluster.cookie().to_owned()),
                    epmd_port: Some(cluster.epmd_port()),
                    start_epmd: false,
                    ..NodeConfig::new(name)
                };
                let node = Node::start(config).await.expect("our node starts");
                server::start(&node, &visitor, Arc::clone(&record)).await;
                node
            })
        });
        for erl in &mut erls {
            erl.eval(&format!(
                "ct_soak:start('{visitor}'), [pong = net_adm:ping(N) || N <- {}]",
                list(&RUST)
            ));
        }
        runtime.block_on(nodes[0].connect(RUST[1])).expect("ours connect");
        let others = erls.len() + RUST.len() - 1;
        for erl in &mut erls {
            erl.eval_until("length(nodes())", &others.to_string(), REST);
            erl.eval("global:sync()");
        }
        let numbers: Vec<String> = releases.iter().map(|otp| otp.number().to_string()).collect();
        Self {
            nodes: nodes.to_vec(),
            runtime,
            erls,
            record,
            visitor: Visitor::new(releases, visit),
            stop: watch::Sender::new(false),
            cluster,
            members: format!("OTP {} and {} Rust nodes", numbers.join(", "), RUST.len()),
        }
    }

    /// Lets them work for so long. The figures, or what went wrong.
    pub(crate) fn run(mut self, time: Duration) -> Result<String, Vec<String>> {
        let (before, processes_before) = self.at_rest();
        let workers = self.start_workers();
        let in_full_swing = || (self.record.rounds.load(Relaxed) >= FIRST_ROUNDS * workers).then_some(());
        if wait_for(10 * REST, in_full_swing).is_none() {
            let rounds = self.record.rounds.load(Relaxed);
            self.record.fault(format!("{workers} workers have come no further than {rounds} rounds"));
        }
        let (began, processor_began, memory) = (now(), processor_time(), Memory::watch());
        while now() - began < time {
            pause(Duration::from_secs(1));
            let others = self.erls.len() + RUST.len();
            if let Err(fault) = self.visitor.go_on(&self.cluster, &list(&RUST), others) {
                self.record.fault(fault);
            }
            let faults = self.record.faults();
            if !faults.is_empty() {
                return Err(self.explained(faults));
            }
        }
        let (took, processor) = (now() - began, processor_time() - processor_began);
        let (mut quarter, mut end) = (0, 0);
        for (at, resident) in memory.end() {
            let passed = at - began;
            // The node that comes and goes is there or not in both windows alike.
            if passed < time / 4 && passed + WINDOW >= time / 4 {
                quarter = quarter.max(resident);
            }
            if passed + WINDOW >= time {
                end = end.max(resident);
            }
        }
        if let Err(fault) = self.visitor.leave() {
            self.record.fault(fault);
        }
        self.stop_workers(before);
        let beam_messages = self.check_beams(&processes_before);
        let mut after = self.held();
        wait_for(REST, || {
            after = self.held();
            (after == before).then_some(())
        });
        if before != after {
            self.record.fault(format!("not as before: {before:?}, now {after:?}"));
        }
        let limit = quarter + quarter * GROWTH_PERCENT / 100 + GROWTH_BYTES;
        if end > limit {
            self.record.fault(format!(
                "memory grows: {} after a quarter of the time, {} at the end",
                mebibytes(quarter),
                mebibytes(end)
            ));
        }
        let faults = self.record.faults();
        if !faults.is_empty() {
            return Err(self.explained(faults));
        }
        Ok(format!(
            "{:.0} min, {}: {} messages in order to Rust and {beam_messages} to BEAM nodes, {} rounds of calls, rpc, \
             spawns, links, monitors and names, {} visits of one more node; no fault; memory {} after a quarter, {} at \
             the end (may be {GROWTH_PERCENT} % + {} more); files {}, tasks {}, processes {} before and after; {:.0} % \
             of one core",
            took.as_secs_f64() / 60.0,
            self.members,
            self.record.messages.load(Relaxed),
            self.record.rounds.load(Relaxed),
            self.visitor.visits,
            mebibytes(quarter),
            mebibytes(end),
            mebibytes(GROWTH_BYTES),
            after.files,
            after.tasks,
            after.processes,
            100.0 * processor.as_secs_f64() / took.as_secs_f64(),
        ))
    }

    /// With what the BEAMs say to it.
    fn explained(&mut self, mut faults: Vec<String>) -> Vec<String> {
        for erl in &mut self.erls {
            let found = erl.eval("element(1, ct_soak:report())");
            faults.push(format!("{}: {found}; it printed:\n{}", erl.node(), erl.output()));
        }
        faults
    }

    /// What there is, and how many processes each BEAM has, once that stays as it is.
    fn at_rest(&mut self) -> (Held, Vec<String>) {
        let mut last = (self.held(), self.beam("length(processes())"));
        let (began, mut since) = (now(), now());
        while now() - since < STILL && now() - began < REST {
            pause(Duration::from_millis(200));
            let seen = (self.held(), self.beam("length(processes())"));
            if seen != last {
                (last, since) = (seen, now());
            }
        }
        last
    }

    /// How many there are of ours.
    fn start_workers(&mut self) -> u64 {
        let mut workers = 0;
        for node in &self.nodes {
            let others = RUST.iter().copied().filter(|name| *name != node.name().as_str());
            for peer in self.erls.iter().map(ErlNode::node).chain(others) {
                let (peer, record, stop) = (peer.to_owned(), Arc::clone(&self.record), self.stop.subscribe());
                node.spawn(|context| work(context, peer, record, stop));
                workers += 1;
            }
        }
        for erl in &mut self.erls {
            erl.eval(&format!("ct_soak:work({})", list(&RUST)));
        }
        workers
    }

    /// Tells all to stop and waits until all is at rest.
    fn stop_workers(&mut self, before: Held) {
        self.stop.send_replace(true);
        for erl in &mut self.erls {
            erl.eval("ct_soak:stop()");
        }
        // Whether it has come to rest is asked by the caller.
        let _ = wait_for(REST, || (self.held() == before).then_some(()));
    }

    /// How many messages the BEAMs were sent. What they found wrong, or have left, goes on record.
    fn check_beams(&mut self, processes_before: &[String]) -> u64 {
        let mut messages = 0;
        for (erl, before) in self.erls.iter_mut().zip(processes_before) {
            let faults = erl.eval("element(1, ct_soak:report())");
            if faults != "[]" {
                self.record.fault(format!("{}: {faults}", erl.node()));
            }
            let (mut channels, mut processes) = (String::new(), String::new());
            let at_rest = wait_for(REST, || {
                channels = erl.eval("element(3, ct_soak:report())");
                processes = erl.eval("length(processes())");
                (channels == "0" && processes == *before).then_some(())
            });
            if at_rest.is_none() {
                let node = erl.node();
                self.record.fault(format!(
                    "{node}: {channels} channels are left, {processes} processes, {before} before"
                ));
            }
            messages += erl.eval("element(2, ct_soak:report())").parse::<u64>().unwrap_or_default();
        }
        messages
    }

    fn beam(&mut self, expressions: &str) -> Vec<String> {
        self.erls.iter_mut().map(|erl| erl.eval(expressions)).collect()
    }

    fn held(&self) -> Held {
        Held {
            files: open_files(),
            tasks: self.runtime.metrics().num_alive_tasks(),
            processes: self.nodes.iter().map(|node| node.processes().len()).sum(),
            queued_bytes: self.nodes.iter().flat_map(Node::links).map(|link| link.queued_bytes).sum(),
        }
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        for node in &self.nodes {
            self.runtime.block_on(node.stop());
        }
    }
}

/// As Erlang reads it.
fn list(nodes: &[&str]) -> String {
    format!("[{}]", nodes.join(", "))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
