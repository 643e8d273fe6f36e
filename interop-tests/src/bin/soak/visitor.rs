//! The node that comes and goes: a BEAM of one release after the other, or one of ours; it leaves, or is killed.

use std::time::{Duration, Instant};

use interop_tests::{
    Cluster, ErlNode, NodeSpec, Otp, RustNode,
    clock::{now, pause},
};

/// Its name, always the same: each is the next incarnation of the one before.
pub(crate) const NAME: &str = "visitor";

/// How long a start or an end may take.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Visitor {
    releases: Vec<Otp>,
    now: Option<Present>,
    next_at: Instant,
    /// How long each is there. Half as long none is.
    stay: Duration,
    /// How many came.
    pub(crate) visits: usize,
}

enum Present {
    Beam(ErlNode),
    Rust(RustNode),
}

impl Visitor {
    pub(crate) fn new(releases: &[Otp], stay: Duration) -> Self {
        Self { releases: releases.to_vec(), now: None, next_at: now() + stay / 5, stay, visits: 0 }
    }

    /// Starts or ends it if it is time.
    pub(crate) fn go_on(&mut self, cluster: &Cluster, peers: &str, others: usize) -> Result<(), String> {
        if now() < self.next_at {
            return Ok(());
        }
        if self.now.is_some() {
            self.leave()?;
            self.next_at = now() + self.stay / 2;
            return Ok(());
        }
        let kind = self.visits % (self.releases.len() + 1);
        self.now = Some(match self.releases.get(kind) {
            Some(otp) => {
                let mut erl = cluster.erl(otp, NAME);
                erl.eval(&format!("[pong = net_adm:ping(P) || P <- {peers}], ct_soak:start(node())"));
                erl.eval_until("length(nodes())", &others.to_string(), LIMIT);
                erl.eval(&format!("global:sync(), ct_soak:work({peers})"));
                Present::Beam(erl)
            }
            None => Present::Rust(cluster.peer_with(NAME, &NodeSpec::args(["--connect", "rust1@localhost"]))),
        });
        self.visits += 1;
        self.next_at = now() + self.stay;
        Ok(())
    }

    /// Ends it: every other one is killed.
    pub(crate) fn leave(&mut self) -> Result<(), String> {
        let is_killed = self.visits.is_multiple_of(2);
        let process = match self.now.as_mut() {
            None => return Ok(()),
            Some(Present::Beam(erl)) => {
                let faults = erl.eval("element(1, ct_soak:report())");
                if faults != "[]" {
                    return Err(format!("{}: {faults}", erl.node()));
                }
                if !is_killed {
                    erl.eval("init:stop()");
                }
                erl.process()
            }
            Some(Present::Rust(peer)) => {
                if !is_killed {
                    peer.process().signal("TERM");
                }
                peer.process()
            }
        };
        if is_killed {
            process.kill9();
        } else {
            process.wait_for_exit(LIMIT)?;
        }
        self.now = None;
        // Whoever hears of it last has heard.
        pause(Duration::from_secs(1));
        Ok(())
    }
}
