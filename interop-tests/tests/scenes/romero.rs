//! `romero`: a node that comes to life, is put to rest, and rises again; and the time after which the dead are known.

use interop_tests::{Cluster, NodeSpec};

use crate::{
    ours::Ours,
    peer_support::{SOON, each_release, says},
};

const BIRTH: &str = "element(1, net_kernel:start([romero@localhost, shortnames]))";

#[test]
fn romero() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let spec = NodeSpec { undistributed: true, ..NodeSpec::default() };
        let mut erl = cluster.erl_with(otp, "romero", &spec);
        says(&mut erl, "{node(), is_alive()}", "{nonode@nohost,false}");
        let mut ours = Ours::start(&cluster, "r");
        // The BEAM becomes a node, and none, and one again.
        for _ in 0..2 {
            // EPMD may be a moment behind the end of its former life.
            erl.eval_until(BIRTH, "ok", SOON);
            says(&mut erl, &format!("erlang:set_cookie(node(), '{}')", cluster.cookie()), "true");
            says(&mut erl, "net_adm:ping(r@localhost)", "pong");
            says(&mut erl, "nodes()", "[r@localhost]");
            assert_eq!(ours.node.nodes(), ["romero@localhost"]);
            says(&mut erl, "rpc:call(r@localhost, erlang, nodes, [])", "[romero@localhost]");
            says(&mut erl, "net_kernel:stop()", "ok");
            // The name goes a moment after the last connection, as OTP sets it from a job of its own.
            erl.eval_until("{node(), nodes()}", "{nonode@nohost,[]}", SOON);
            let gone = interop_tests::clock::wait_for(SOON, || ours.node.nodes().is_empty().then_some(()));
            gone.expect("ours sees it go");
        }
        // Ours, by the BEAM's side.
        erl.eval_until(BIRTH, "ok", SOON);
        says(&mut erl, &format!("erlang:set_cookie(node(), '{}')", cluster.cookie()), "true");
        erl.eval("net_kernel:monitor_nodes(true)");
        for _ in 0..2 {
            says(&mut erl, "net_adm:ping(r@localhost)", "pong");
            says(&mut erl, "receive {nodeup, N} -> N after 15000 -> nothing end", "r@localhost");
            drop(ours);
            says(&mut erl, "receive {nodedown, N} -> N after 15000 -> nothing end", "r@localhost");
            says(&mut erl, "net_adm:ping(r@localhost)", "pang");
            ours = Ours::start(&cluster, "r");
        }
        // The ticktime is another, with nobody lost meanwhile.
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        says(&mut erl, "ct_peer:flush(100)", "[{nodeup,r@localhost}]");
        let ask = "{net_kernel:get_net_ticktime(), rpc:call(r@localhost, net_kernel, get_net_ticktime, [])}";
        says(&mut erl, ask, "{60,60}");
        says(&mut erl, "net_kernel:set_net_ticktime(30, 1)", "change_initiated");
        says(&mut erl, "rpc:call(r@localhost, net_kernel, set_net_ticktime, [30, 1])", "change_initiated");
        erl.eval_until(ask, "{30,30}", SOON);
        says(&mut erl, "rpc:call(r@localhost, net_kernel, set_net_ticktime, [30])", "unchanged");
        says(&mut erl, "ct_peer:flush(1500)", "[]");
        says(&mut erl, "nodes()", "[r@localhost]");
    });
}
