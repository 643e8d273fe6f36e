//! What the tests of `crabnode peer` share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{thread, time::Duration};

use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, RustNode};

/// How long something may take that takes milliseconds, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Runs a test against every release at once. Which of them failed is said by the name of the thread.
pub(crate) fn each_release(test: impl Fn(&Otp) + Sync) {
    let releases = Otp::available();
    let failed: Vec<u32> = thread::scope(|scope| {
        let running: Vec<_> = releases
            .iter()
            .map(|otp| {
                let thread = thread::Builder::new().name(format!("OTP {}", otp.number()));
                let running = thread.spawn_scoped(scope, || test(otp)).expect("a thread can be started");
                (otp.number(), running)
            })
            .collect();
        // The panic itself has said what is wrong.
        running.into_iter().filter_map(|(number, running)| running.join().err().map(|_| number)).collect()
    });
    assert!(failed.is_empty(), "failed with OTP {failed:?}");
}

/// An `erl`, `e@localhost`, and a peer, `r@localhost`, that are not connected yet. In the `erl`, `R` is the peer.
pub(crate) struct Pair {
    pub(crate) erl: ErlNode,
    pub(crate) peer: RustNode,
    pub(crate) cluster: Cluster,
}

impl Pair {
    pub(crate) fn start(otp: &Otp) -> Self {
        Self::start_with(otp, &NodeSpec::default(), &NodeSpec::default())
    }

    pub(crate) fn start_with(otp: &Otp, erl: &NodeSpec, peer: &NodeSpec) -> Self {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl_with(otp, "e", erl);
        let peer = cluster.peer_with("r", peer);
        erl.eval("R = r@localhost");
        Self { erl, peer, cluster }
    }

    /// Starts both and connects them by a ping.
    pub(crate) fn connected(otp: &Otp) -> Self {
        let mut pair = Self::start(otp);
        pair.says("net_adm:ping(R)", "pong");
        pair
    }

    /// The value of the expressions is this one, as Erlang prints it.
    pub(crate) fn says(&mut self, expressions: &str, wanted: &str) {
        says(&mut self.erl, expressions, wanted);
    }
}

/// The value of the expressions is this one, as Erlang prints it. Variables they bind are gone afterwards.
pub(crate) fn says(erl: &mut ErlNode, expressions: &str, wanted: &str) {
    let value = erl.eval(&format!("(fun() -> {expressions} end)()"));
    assert_eq!(value, wanted, "{} was asked {expressions}", erl.node());
}
