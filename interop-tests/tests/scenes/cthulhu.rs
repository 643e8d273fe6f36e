//! Calls from distant dungeons: `cthulhu` commands its minions, of which two are ours.

use interop_tests::{Cluster, Otp};

use crate::{
    peer_support::{SOON, each_release, says},
    rpc_support::start_node,
};

#[test]
fn cthulhu() {
    each_release(play);
}

fn play(otp: &Otp) {
    let cluster = Cluster::new(otp);
    let mut cthulhu = cluster.erl(otp, "cthulhu");
    let _minion1 = cluster.erl(otp, "minion1");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (minion2, minion3) = runtime.block_on(async {
        (start_node(&cluster, "minion2@localhost").await, start_node(&cluster, "minion3@localhost").await)
    });
    cthulhu.eval("Minions = [minion1@localhost, minion2@localhost, minion3@localhost], [net_adm:ping(M) || M <- Minions]");
    let all = "[minion1@localhost,minion2@localhost,minion3@localhost]";
    cthulhu.eval_until("lists:sort(nodes())", all, SOON);

    // A call; and one that comes later.
    says(&mut cthulhu, "rpc:call(minion2@localhost, ct_rpc, value, [fhtagn])", "fhtagn");
    says(
        &mut cthulhu,
        "Promise = rpc:async_call(minion3@localhost, erlang, node, []), rpc:yield(Promise)",
        "minion3@localhost",
    );
    // One who sleeps too long is not waited for.
    says(
        &mut cthulhu,
        "MaxTime = rpc:async_call(minion2@localhost, timer, sleep, [30000]), rpc:nb_yield(MaxTime, 50)",
        "timeout",
    );
    says(&mut cthulhu, "rpc:call(minion3@localhost, timer, sleep, [30000], 50)", "{badrpc,timeout}");
    says(&mut cthulhu, "rpc:call(rlyeh@localhost, erlang, node, [])", "{badrpc,nodedown}");
    // An order nobody answers to.
    says(&mut cthulhu, "rpc:cast(minion2@localhost, ct_rpc, tells, [self(), ia])", "true");
    says(&mut cthulhu, "receive {told, Who, ia} -> Who after 15000 -> nobody end", "minion2@localhost");
    // All of them at once.
    says(&mut cthulhu, "rpc:multicall(Minions, erlang, is_alive, [])", "{[true,true,true],[]}");
    says(
        &mut cthulhu,
        "rpc:multicall(Minions ++ [rlyeh@localhost], erlang, node, [])",
        &format!("{{{all},[rlyeh@localhost]}}"),
    );
    // With cthulhu itself.
    says(
        &mut cthulhu,
        "{Alive, []} = rpc:multicall(erlang, node, []), lists:sort(Alive)",
        "[cthulhu@localhost,minion1@localhost,minion2@localhost,minion3@localhost]",
    );
    says(&mut cthulhu, "rpc:eval_everywhere(Minions, ct_rpc, tells, [self(), awake])", "abcast");
    says(
        &mut cthulhu,
        "[receive {told, M, awake} -> M after 15000 -> asleep end || M <- lists:sort(Minions)]",
        all,
    );
    // A minion commands the others, and they answer it.
    says(
        &mut cthulhu,
        "rpc:call(minion2@localhost, rpc, multicall, [Minions, erlang, node, []])",
        &format!("{{{all},[]}}"),
    );
    says(
        &mut cthulhu,
        "rpc:call(minion3@localhost, rpc, eval_everywhere, [Minions, ct_rpc, tells, [self(), again]])",
        "abcast",
    );
    says(
        &mut cthulhu,
        "[receive {told, M, again} -> M after 15000 -> asleep end || M <- lists:sort(Minions)]",
        all,
    );
    // One is gone, and the rest serve on.
    runtime.block_on(minion3.stop());
    cthulhu.eval_until("lists:sort(nodes())", "[minion1@localhost,minion2@localhost]", SOON);
    says(
        &mut cthulhu,
        "rpc:multicall(Minions, erlang, node, [])",
        "{[minion1@localhost,minion2@localhost],[minion3@localhost]}",
    );
    says(&mut cthulhu, "ct_peer:flush(100)", "[]");
    runtime.block_on(minion2.stop());
}
