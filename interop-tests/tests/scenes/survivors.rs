//! `survivors`: two groups that know nothing of each other meet by two of them, and then everyone knows everyone.

use interop_tests::{Cluster, ErlNode};

use crate::peer_support::{SOON, each_release, says};

#[test]
fn survivors() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut a, mut b) = (cluster.erl(otp, "a"), cluster.erl(otp, "b"));
        let (_r, _s) = (cluster.peer("r"), cluster.peer("s"));
        let all = ["a@localhost", "b@localhost", "r@localhost", "s@localhost"];
        let others = |own: &str| {
            let others: Vec<&str> = all.iter().filter(|node| **node != own).copied().collect();
            format!("[{}]", others.join(","))
        };
        let each_sees = |erl: &mut ErlNode, all: &[&str], others: &dyn Fn(&str) -> String| {
            for node in all {
                let nodes = format!("lists:sort(rpc:call({node}, erlang, nodes, []))");
                erl.eval_until(&nodes, &others(node), SOON);
            }
        };
        // One group of a BEAM and a node of ours, and one more, each with a name.
        says(&mut a, "net_adm:ping(r@localhost)", "pong");
        says(&mut b, "net_adm:ping(s@localhost)", "pong");
        says(
            &mut a,
            "ok = global:sync(), global:register_name(first, rpc:call(r@localhost, erlang, whereis, [echo]))",
            "yes",
        );
        says(
            &mut b,
            "ok = global:sync(), global:register_name(second, rpc:call(s@localhost, erlang, whereis, [echo]))",
            "yes",
        );
        says(&mut a, "nodes()", "[r@localhost]");
        says(&mut b, "nodes()", "[s@localhost]");
        // They meet by the two that are ours.
        says(&mut a, "rpc:call(r@localhost, net_adm, ping, [s@localhost])", "pong");
        each_sees(&mut a, &all, &others);
        for node in all {
            let names = format!("lists:sort(rpc:call({node}, global, registered_names, []))");
            b.eval_until(&names, "[first,second]", SOON);
        }
        // One more joins by one of them.
        let mut c = cluster.erl(otp, "c");
        says(&mut c, "net_adm:ping(s@localhost)", "pong");
        c.eval_until("lists:sort(nodes())", &format!("[{}]", all.join(",")), SOON);
        c.eval_until("lists:sort(global:registered_names())", "[first,second]", SOON);
        says(
            &mut c,
            "global:send(first, {self(), x}), receive M -> M after 15000 -> nothing end",
            "{echo,x}",
        );
    });
}
