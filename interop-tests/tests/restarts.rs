//! A Rust member of a cluster dies and comes back twenty times; the others never lose sight of each other.

use std::time::Duration;

use interop_tests::{Cluster, Otp, clock::now};

const RESTARTS: usize = 20;

#[test]
fn twenty_restarts_leave_the_cluster_whole() {
    let releases = Otp::available();
    let first = releases.iter().find(|otp| otp.number() >= 25).unwrap_or(&releases[0]).clone();
    let second = releases.last().unwrap_or(&first).clone();
    let cluster = Cluster::new(&first);
    let mut a = cluster.erl(&first, "a");
    let mut b = cluster.erl(&second, "b");
    assert_eq!(a.eval("net_adm:ping(b@localhost)"), "pong");
    let _stays = cluster.peer("stays");
    assert_eq!(a.eval("net_adm:ping(stays@localhost)"), "pong");

    for round in 1..=RESTARTS {
        let mut restarted = cluster.peer("restarted");
        let limit = Duration::from_secs(10);
        // By turns with a goodbye and without, found by one and by the other.
        let (finder, other) = if round % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        assert_eq!(finder.eval("net_adm:ping(restarted@localhost)"), "pong", "round {round}");
        for node in [finder, other] {
            let all = "lists:sort([node() | nodes()])";
            node.eval_until(all, "[a@localhost,b@localhost,restarted@localhost,stays@localhost]", limit);
            for peer in ["stays", "restarted"] {
                let theirs = format!("lists:sort(rpc:call({peer}@localhost, erlang, nodes, []))");
                let others = ["a", "b", "restarted", "stays"].map(|name| format!("{name}@localhost"));
                let others: Vec<_> =
                    others.into_iter().filter(|name| !name.starts_with(&format!("{peer}@"))).collect();
                node.eval_until(&theirs, &format!("[{}]", others.join(",")), limit);
            }
            let started = now();
            let lock = "L = {x, self()}, R = global:set_lock(L), global:del_lock(L), R";
            assert_eq!(
                node.try_eval(&format!("(fun() -> {lock} end)()"), limit).as_deref(),
                Ok("true"),
                "round {round}"
            );
            assert!(started.elapsed() < limit);
        }
        if round % 3 == 0 {
            restarted.process().signal("TERM");
            let status = restarted.process().wait_for_exit(Duration::from_secs(5)).unwrap();
            assert_eq!(status.code(), Some(0), "round {round}");
        } else {
            restarted.kill9();
        }
        a.eval_until("lists:sort(nodes())", "[b@localhost,stays@localhost]", limit);
        b.eval_until("lists:sort(nodes())", "[a@localhost,stays@localhost]", limit);
    }
    // When a node dies without a word, stock nodes among themselves warn of it too, whenever one hears from another
    // that it is gone before it has noticed itself. Of nodes that have stayed there is nothing to warn.
    for node in [&a, &b] {
        let output = node.output();
        let warnings = output.lines().filter(|line| line.contains("overlapping partitions"));
        let wrong: Vec<_> = warnings.filter(|line| !line.contains("from node restarted@localhost")).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
