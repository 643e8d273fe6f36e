//! A. Joining (items 1 to 6).

use std::{process::Command, time::Duration};

use interop_tests::{
    Cluster, NodeSpec, Process,
    clock::{now, pause},
    example_binary,
};

use crate::dist_ac_support::{LIMIT, Members, node};

pub(crate) fn item_01_ours_boots_into_a_running_cluster(members: &mut Members) {
    members.kill("r");
    members.start_app("i01", &["s", "t"]);
    members.runs_only_at("i01", &["s"]);
    // They come to know it, each once.
    members.boot("r");
    assert_eq!(members.remote_started("r", "i01"), ["s"]);
    members.start_app("i01", &["r"]);
    members.settles("i01", "s", &["r", "t"]);
}

pub(crate) fn item_02_a_stock_node_boots_into_a_cluster_with_ours(members: &mut Members) {
    members.kill("t");
    members.start_app("i02", &["r", "s"]);
    members.runs_only_at("i02", &["r"]);
    members.boot("t");
    assert_eq!(members.remote_started("t", "i02"), ["r"]);
    members.start_app("i02", &["t"]);
    members.settles("i02", "r", &["s", "t"]);
}

/// What a stock `dist_ac` hears from now on goes to the mailbox of the evaluator.
pub(crate) fn trace(members: &mut Members, stock: &str) {
    let erl = members.erls.get_mut(stock).expect("a stock node");
    erl.eval("ct_peer:flush(), erlang:trace(whereis(dist_ac), true, ['receive'])");
}

/// How many messages with this tag and, at this place, this node it has heard by the time it has heard nothing for 300 ms,
/// or `limit` has passed.
pub(crate) fn heard(members: &mut Members, stock: &str, tag: &str, place: usize, from: &str) -> usize {
    let erl = members.erls.get_mut(stock).expect("a stock node");
    let list = format!(
        "length([x || {{trace, _, 'receive', M}} <- ct_peer:flush(300), is_tuple(M), tuple_size(M) >= {place}, \
         element(1, M) =:= {tag}, element({place}, M) =:= '{from}@localhost'])"
    );
    let count = erl.eval(&list).parse().expect("a number");
    erl.eval("erlang:trace(whereis(dist_ac), false, ['receive'])");
    count
}

pub(crate) fn item_03_ours_and_a_stock_node_boot_together(members: &mut Members) {
    for name in ["r", "t"] {
        members.kill(name);
    }
    trace(members, "s");
    // Introduced means: each knows each, once.
    members.boot_all(&["t"], &["r"]);
    let count = heard(members, "s", "dist_ac_new_node", 3, "r");
    assert!((1..=2).contains(&count), "s was introduced to r {count} times");
    trace(members, "t");
    assert_eq!(heard(members, "t", "dist_ac_new_node", 3, "r"), 0, "it is over");
    members.are_introduced();
}

pub(crate) fn item_04_a_node_of_ours_without_dist_ac_is_no_candidate(members: &mut Members) {
    members.start_plain("p");
    for other in ["s", "t", "r"] {
        let answer = members.call(other, "net_kernel", "connect_node", vec![node("p")]);
        assert!(answer.is_atom("true"), "{other}: {answer}");
    }
    members.start_app("i04", &["s", "r"]);
    members.settles("i04", "s", &["r"]);
    members.are_introduced();
}

pub(crate) fn item_05_a_hidden_one_is_never_introduced(members: &mut Members) {
    let config = members.config("h", &["s".into(), "r".into()]);
    let applications = members.start_ours("h", config, |config| config.hidden = true);
    members.runtime.block_on(applications.boot()).expect("nobody is mandatory");
    for other in ["s", "t", "r"] {
        let answer = members.call("h", "net_kernel", "connect_node", vec![node(other)]);
        assert!(answer.is_atom("true"), "{other}: {answer}");
    }
    // Longer than an introduction takes.
    pause(Duration::from_millis(300));
    for other in ["s", "t", "r"] {
        assert_eq!(members.known(other), ["r", "s", "t"]);
    }
    assert_eq!(members.known("h"), ["h"]);
    // It is not the first in the list: the news of a load goes to all of it, and who has it loaded answers and counts as
    // a candidate from then on, with or without an introduction.
    members.start_app("i05", &["s", "r"]);
    members.settles("i05", "s", &["r"]);
}

pub(crate) fn item_06_nodes_that_are_waited_for(members: &mut Members) {
    // A mandatory one that does not come is the end of both, with the same words.
    let cluster = Cluster::without_epmd();
    let config = "[{kernel, [{sync_nodes_mandatory, [nobody@localhost]}, {sync_nodes_timeout, 200}]}].\n";
    let config = cluster.write("waits.config", config);
    let spec = NodeSpec { config: Some(config.clone()), ..NodeSpec::default() };
    let mut stock = members.cluster.spawn_erl(&members.otp, "w", &spec);
    let status = stock.process().wait_for_exit(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(status.code(), Some(1), "{}", stock.output());
    let mut command = Command::new(example_binary("m8ball"));
    command.args(["--sname", "o@localhost", "--cookie", "c", "--config"]).arg(config);
    cluster.set_environment(&mut command);
    let mut ours = Process::start("m8ball", &mut command);
    let status = ours.wait_for_exit(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(status.code(), Some(1), "{}", ours.output());
    let slogan = |output: String| {
        let line = output.lines().find_map(|line| line.split_once("Kernel pid terminated ("));
        // OTP 27 and later quote the reason.
        line.map(|(_, reason)| reason.replace(['"', '\\'], "")).unwrap_or(output)
    };
    let (ours, stock) = (slogan(ours.output()), slogan(stock.output()));
    // OTP 23 prints 200 characters of it.
    assert!(ours.starts_with(&stock) && stock.contains("[nobody@localhost]"), "{ours}\n{stock}");

    // Optional ones are waited for until the time is over, but no longer than they need.
    let boots = |members: &mut Members, name: &str, more: &str| {
        let config = members.config_with(name, more);
        let applications = members.start_ours(name, config, |_| {});
        let began = now();
        let boot = async { tokio::time::timeout(LIMIT, applications.boot()).await };
        members.runtime.block_on(boot).expect("no limit is reached").expect("nobody is mandatory");
        let took = began.elapsed();
        let known = members.known(name);
        members.kill(name);
        (took, known)
    };
    let all = "{sync_nodes_optional, [s@localhost, t@localhost, nobody@localhost]}";
    let (took, _) = boots(members, "w1", &format!("{all}, {{sync_nodes_timeout, 300}}"));
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let all = "{sync_nodes_optional, [s@localhost]}, {sync_nodes_mandatory, [t@localhost, w2@localhost]}";
    let (took, _) = boots(members, "w2", &format!("{all}, {{sync_nodes_timeout, 300000}}"));
    assert!(took < LIMIT, "{took:?}");
    // Without a timeout nobody is waited for, nor asked.
    let (_, known) = boots(members, "w3", "{sync_nodes_mandatory, [nobody@localhost]}");
    assert_eq!(known, ["w3"]);
}
