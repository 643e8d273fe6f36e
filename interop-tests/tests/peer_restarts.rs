//! A Rust member of a cluster of two stock nodes and two peers goes and comes twenty times, with every release: all
//! see all again, `global` holds no lock, and nobody who lives is taken for a partition.

use std::time::Duration;

use interop_tests::{Cluster, ErlNode, Otp, clock::now};

mod peer_support;
use peer_support::{SOON, each_release, says};

const RESTARTS: usize = 20;

/// Merging takes a few seconds where several nodes want the lock at once: the lockers wait at random.
const WHOLE: Duration = Duration::from_secs(20);

const ALL: &str = "[e@localhost,f@localhost,r@localhost,s@localhost]";

/// Everybody sees everybody, by what they say themselves.
fn is_whole(asked: &mut ErlNode) {
    let nodes = "[lists:sort(rpc:call(N, erlang, nodes, [[this, visible]])) || N <- [e@localhost, f@localhost, r@localhost, s@localhost]]";
    asked.eval_until(nodes, &format!("[{ALL},{ALL},{ALL},{ALL}]"), WHOLE);
}

#[test]
fn twenty_restarts_of_a_peer_leave_the_cluster_whole() {
    each_release(|otp| {
        // On a busy machine the peer that stays may hear of a death from others long before it notices itself.
        let said_nothing = (0..3).any(|_| warnings_of_the_peer_that_stays(otp) == 0);
        assert!(
            said_nothing,
            "OTP {}: in each of three runs it took one that died for a partition",
            otp.number()
        );
    });
}

/// Restarts the other peer twenty times. How often the one that stays took it for a partition when it had died.
fn warnings_of_the_peer_that_stays(otp: &Otp) -> usize {
    let cluster = Cluster::new(otp);
    let mut erls = [cluster.erl(otp, "e"), cluster.erl(otp, "f")];
    let stays = cluster.peer("s");
    let mut comes = cluster.peer("r");
    says(
        &mut erls[0],
        "[net_adm:ping(N) || N <- [f@localhost, s@localhost, r@localhost]]",
        "[pong,pong,pong]",
    );
    is_whole(&mut erls[0]);
    says(&mut erls[0], "global:register_name(lasting, self())", "yes");
    let mut logs = Vec::new();
    for round in 0..RESTARTS {
        let what = format!("OTP {}, round {round}", otp.number());
        // Killed, killed while others still think it lives, or told to go.
        match round % 4 {
            0 | 1 => {
                comes.kill9();
            }
            2 => {
                comes.kill9();
                erls[1].eval_until("lists:member(r@localhost, nodes())", "false", SOON);
            }
            _ => {
                comes.process().signal("TERM");
                let status =
                    comes.process().wait_for_exit(SOON).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(status.code(), Some(0), "{what}: {}", comes.output());
            }
        }
        logs.push(comes.output());
        comes = cluster.peer("r");
        // Found by one and by the other, and by the peer that stayed.
        let find = match round % 3 {
            0 => "net_adm:ping(r@localhost)",
            1 => "rpc:call(s@localhost, net_adm, ping, [r@localhost])",
            _ => "rpc:call(r@localhost, net_adm, ping, [s@localhost])",
        };
        erls[round % 2].eval_until(find, "pong", SOON);
        // Now and then it goes again before it is a member.
        if round % 5 == 4 {
            continue;
        }
        is_whole(&mut erls[round % 2]);
        for erl in &mut erls {
            let started = now();
            let locked = erl.try_eval("global:set_lock({x, self()})", WHOLE);
            assert_eq!(locked.as_deref(), Ok("true"), "{what}");
            assert_eq!(erl.try_eval("global:del_lock({x, self()})", WHOLE).as_deref(), Ok("true"), "{what}");
            assert!(started.elapsed() < WHOLE, "{what}: {:?}", started.elapsed());
            assert_eq!(erl.try_eval("global:sync()", WHOLE).as_deref(), Ok("ok"), "{what}");
        }
        let synced = "[rpc:call(N, global, sync, []) || N <- [s@localhost, r@localhost]]";
        assert_eq!(erls[0].try_eval(synced, WHOLE * 2).as_deref(), Ok("[ok,ok]"), "{what}");
        let name = "element(2, process_info(rpc:call(N, global, whereis_name, [lasting]), status)) =/= none";
        says(&mut erls[0], &format!("[begin {name} end || N <- [s@localhost, r@localhost]]"), "[true,true]");
        let names = format!(
            "global:register_name({{round, {round}}}, rpc:call(r@localhost, erlang, whereis, [echo]))"
        );
        says(&mut erls[1], &names, "yes");
    }
    is_whole(&mut erls[1]);
    // Names of those that are gone are gone too.
    for node in ["e", "f", "r", "s"] {
        let last = format!("[lasting,{{round,{}}}]", RESTARTS - 2);
        let names = format!("lists:sort(rpc:call({node}@localhost, global, registered_names, []))");
        erls[0].eval_until(&names, if (RESTARTS - 1) % 5 == 4 { "[lasting]" } else { &last }, WHOLE);
    }
    logs.push(comes.output());
    // Nobody has left out one that lives.
    for line in logs.iter().flat_map(|log| log.lines()) {
        assert!(!line.contains("overlapping partitions"), "OTP {}: {line}", otp.number());
    }
    let of_stays = stays.output().lines().filter(|line| line.contains("overlapping partitions")).count();
    logs.extend([stays.output(), erls[0].output(), erls[1].output()]);
    let mut warnings = 0;
    for line in logs.iter().flat_map(|log| log.lines()) {
        // Of a node that dies a stock node may hear from another stock node before it notices: clusters of stock
        // nodes alone say so in every other round. But nobody may take one that lives for lost.
        if line.contains("overlapping partitions") {
            assert!(line.contains("node r@localhost in order"), "OTP {}: {line}", otp.number());
            warnings += 1;
        }
        // That both connect at once is no news.
        assert!(!line.contains("Nok"), "OTP {}: {line}", otp.number());
        for word in ["panicked", "CRASH", "crash", "terminat", "ERROR"] {
            assert!(!line.contains(word), "OTP {}: {word}: {line}", otp.number());
        }
    }
    eprintln!(
        "OTP {}: two stock nodes warned {} times of the one that died, and a peer {of_stays} times",
        otp.number(),
        warnings - of_stays
    );
    // Still at the end of all that, nobody holds `global`.
    says(
        &mut erls[0],
        "[rpc:call(N, global, sync, []) || N <- [e@localhost, f@localhost, r@localhost, s@localhost]]",
        "[ok,ok,ok,ok]",
    );
    says(
        &mut erls[0],
        "{global:set_lock({global, self()}, [node() | nodes()], 3), global:del_lock({global, self()})}",
        "{true,true}",
    );
    of_stays
}
