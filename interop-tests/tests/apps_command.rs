//! `crabnode apps`, `takeover` and `permit` on running clusters, with and without a member of ours.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, clock::wait_for, crabnode_binary};
use serde_json::Value;

mod peer_support;
use peer_support::{each_release, says};

mod pty_support;
use pty_support::Terminal;

/// Longer than anything here takes, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(40);

const A: &str = "a@localhost";
const B: &str = "b@localhost";

/// `app1` moves after 300 ms, and `app2` never.
const CONFIG: &str = "[{kernel, [{distributed, [{app1, 300, [a@localhost, b@localhost]},
                                                {app2, infinity, [b@localhost, a@localhost]}]},
                                 {sync_nodes_optional, [a@localhost, b@localhost]},
                                 {sync_nodes_timeout, 30000}]}].";

/// Two stock nodes, which know each other, and have loaded both applications.
struct Stock {
    a: ErlNode,
    b: ErlNode,
    cluster: Cluster,
}

impl Stock {
    fn start(otp: &Otp) -> Self {
        let cluster = Cluster::new(otp);
        let spec = NodeSpec { config: Some(cluster.write("two.config", CONFIG)), ..NodeSpec::default() };
        let [mut a, mut b] = ["a", "b"].map(|name| cluster.spawn_erl(otp, name, &spec));
        for node in [&mut a, &mut b] {
            node.wait_until_booted(LIMIT).unwrap_or_else(|error| panic!("{error}"));
            says(node, "{ct_app:load(app1), ct_app:load(app2)}", "{ok,ok}");
        }
        let introduced = "lists:sort(dist_ac:get_known_nodes())";
        for node in [&mut a, &mut b] {
            node.eval_until(introduced, "[a@localhost,b@localhost]", LIMIT);
        }
        Self { a, b, cluster }
    }
}

/// What the command prints to stdout, what to stderr, and its status.
fn run(cluster: &Cluster, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(crabnode_binary());
    command.args(arguments).args(["--cookie", cluster.cookie()]);
    cluster.set_environment(&mut command);
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// What `crabnode apps --json` says.
fn apps(cluster: &Cluster, nodes: &[&str]) -> Value {
    // A busy machine is no conflict.
    let limit: &[&str] = if nodes.contains(&"--timeout") { &[] } else { &["--timeout", "20"] };
    let (out, err, status) = run(cluster, &[&["apps", "--json"], nodes, limit].concat());
    assert_eq!(status, Some(0), "{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// Asks until it says that.
#[track_caller]
fn apps_say(cluster: &Cluster, nodes: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = wait_for(LIMIT, || {
        last = apps(cluster, nodes);
        wanted(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("after {LIMIT:?} still {last:#}"))
}

fn app<'a>(said: &'a Value, name: &str) -> &'a Value {
    let mut all = said["applications"].as_array().into_iter().flatten();
    all.find(|app| app["application"] == name).unwrap_or(&Value::Null)
}

fn runs_on(said: &Value, name: &str, nodes: &[&str]) -> bool {
    app(said, name)["runs_on"] == Value::from(nodes.to_vec())
}

/// The kinds of conflicts, each once.
fn conflicts(said: &Value) -> Vec<&str> {
    let mut kinds: Vec<&str> =
        said["conflicts"].as_array().into_iter().flatten().filter_map(|one| one["kind"].as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn a_cluster_of_stock_nodes_alone() {
    each_release(|otp| {
        let Stock { mut a, mut b, cluster } = Stock::start(otp);
        // The other node is found.
        let said = apps(&cluster, &[A]);
        assert_eq!(conflicts(&said), Vec::<&str>::new(), "{said:#}");
        assert_eq!(said["nodes"][1]["node"], B, "{said:#}");
        assert_eq!(said["nodes"][1]["software"], format!("OTP {}", otp.number()));
        assert_eq!(app(&said, "app2")["restart_time"], "infinity");
        assert_eq!(app(&said, "app1")["priority"], Value::from(vec![A, B]));

        // The dist_ac of b waits for a, which goes before it and has not started anything (L6).
        b.eval("spawn(fun() -> application:start(app1) end)");
        apps_say_with_limit(&cluster, |said| {
            let waits_in = said["nodes"][1]["detail"].as_str();
            conflicts(said).contains(&"silent")
                && waits_in.is_some_and(|function| function.starts_with("dist_ac:"))
        });
        a.eval("ok = application:start(app1)");
        b.eval("ok = application:start(app2)");
        a.eval("ok = application:start(app2)");
        let said =
            apps_say(&cluster, &[B], |said| runs_on(said, "app1", &[A]) && runs_on(said, "app2", &[B]));
        assert_eq!(app(&said, "app1")["stands_by"], Value::from(vec![B]), "{said:#}");
        assert_eq!(conflicts(&said), Vec::<&str>::new(), "{said:#}");

        moves(&cluster);
        splits(&cluster, &mut a, &mut b);
    });
}

/// With a short limit for each node, for one of them does not answer.
#[track_caller]
fn apps_say_with_limit(cluster: &Cluster, wanted: impl Fn(&Value) -> bool) -> Value {
    apps_say(cluster, &[A, "--timeout", "2"], wanted)
}

/// `app1` runs on a, `app2` on b.
fn moves(cluster: &Cluster) {
    let does = |arguments: &[&str], wanted: &str| {
        let (out, err, status) = run(cluster, arguments);
        assert_eq!((out.trim_end(), status), (wanted, Some(0)), "{arguments:?}: {err}");
    };
    let refused = |arguments: &[&str], wanted: &str| {
        let (out, err, status) = run(cluster, arguments);
        assert_eq!((out.as_str(), status), ("", Some(1)), "{arguments:?}: {err}");
        assert!(err.contains(wanted), "{arguments:?}: {err}");
    };
    does(&["takeover", "app1", B], "app1 runs on b@localhost");
    apps_say(cluster, &[A], |said| runs_on(said, "app1", &[B]));
    refused(&["takeover", "app1", B], "runs on b@localhost already");
    does(&["takeover", "app1", A, "--restart-type", "temporary"], "app1 runs on a@localhost");
    apps_say(cluster, &[A], |said| runs_on(said, "app1", &[A]));

    does(&["permit", "app1", A, "false"], "a@localhost may not run app1");
    let said = apps_say(cluster, &[A], |said| runs_on(said, "app1", &[B]));
    assert_eq!(app(&said, "app1")["members"][0]["permitted"], false, "{said:#}");
    does(&["permit", "app1", A, "true"], "a@localhost may run app1");
    apps_say(cluster, &[A], |said| runs_on(said, "app1", &[A]));

    refused(&["permit", "app3", A, "true"], "app3 is not loaded on a@localhost");
    refused(&["takeover", "app3", A], "runs on no other node");
    refused(&["takeover", "app1", "c@localhost"], "c@localhost is not running");
    assert_eq!(run(cluster, &["takeover", "app1", A, "--restart-type", "often"]).2, Some(2));
    assert_eq!(run(cluster, &["permit", "app1", A, "maybe"]).2, Some(2));
}

/// Neither lets the other in: a split. Then it is over, and stock nodes leave two copies (L1).
fn splits(cluster: &Cluster, a: &mut ErlNode, b: &mut ErlNode) {
    a.eval("erlang:set_cookie('b@localhost', other), erlang:disconnect_node('b@localhost')");
    let both = [A, B];
    let said = apps_say(cluster, &both, |said| conflicts(said) == ["not_connected", "two_copies"]);
    assert!(runs_on(&said, "app1", &both), "{said:#}");
    // The runner of app2 is gone for a, which never takes its place.
    let timers = &app(&said, "app2")["timers"];
    assert_eq!(timers[0]["node"], A, "{said:#}");
    assert_eq!(timers[0]["died"], B, "{said:#}");

    says(
        a,
        &format!("erlang:set_cookie('b@localhost', '{}'), net_adm:ping('b@localhost')", cluster.cookie()),
        "pong",
    );
    let said = apps_say(cluster, &[A], |said| conflicts(said) == ["not_introduced", "two_copies"]);
    assert!(runs_on(&said, "app1", &both), "{said:#}");
    let (out, _, status) = run(cluster, &["apps", A, "--check", "--timeout", "20"]);
    assert_eq!(status, Some(3), "{out}");
    assert!(out.contains("conflict: app1 runs on a@localhost and b@localhost"), "{out}");

    // A node that is gone is a row, where it is named.
    b.kill9();
    let said = apps(cluster, &both);
    assert_eq!(said["nodes"][1]["reached"], false, "{said:#}");
    a.kill9();
    let (out, err, status) = run(cluster, &["apps", A]);
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("not reached") && err.contains("no node has answered"), "{out} {err}");
}

#[test]
fn a_member_of_ours() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let config = "[{kernel, [{distributed, [{m8ball, 300, [a@localhost, b@localhost]}]},
                                 {sync_nodes_optional, [a@localhost, b@localhost]},
                                 {sync_nodes_timeout, 30000}]}].";
        let config = cluster.write("m8ball.config", config);
        let started =
            NodeSpec { args: vec!["--start".into()], config: Some(config.clone()), ..NodeSpec::default() };
        let mut ours = cluster.spawn_example("m8ball", "b", &started);
        let mut stock =
            cluster.spawn_erl(otp, "a", &NodeSpec { config: Some(config), ..NodeSpec::default() });
        ours.wait_until_ready(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        stock.wait_until_booted(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        stock.eval("ok = application:start(m8ball)");
        for node in [A, B] {
            let said = apps_say(&cluster, &[node], |said| {
                runs_on(said, "m8ball", &[A]) && app(said, "m8ball")["stands_by"] == Value::from(vec![B])
            });
            let mut nodes = said["nodes"].as_array().into_iter().flatten();
            let of_ours = nodes.find(|one| one["node"] == B).map(|one| one["software"].to_string());
            assert!(of_ours.is_some_and(|software| software.contains("crabnode")), "{said:#}");
        }
        for (node, other) in [(B, A), (A, B)] {
            let (out, err, status) = run(&cluster, &["takeover", "m8ball", node]);
            assert_eq!((out, status), (format!("m8ball runs on {node}\n"), Some(0)), "{err}");
            apps_say(&cluster, &[other], |said| runs_on(said, "m8ball", &[node]));
        }
        let (out, err, status) = run(&cluster, &["permit", "m8ball", A, "false"]);
        assert_eq!((out.as_str(), status), ("a@localhost may not run m8ball\n", Some(0)), "{err}");
        apps_say(&cluster, &[A], |said| runs_on(said, "m8ball", &[B]));
        let (_, err, status) = run(&cluster, &["permit", "m8ball", B, "true"]);
        assert_eq!(status, Some(0), "{err}");
    });
}

#[test]
fn it_is_watched_at_a_terminal() {
    let otp = Otp::newest();
    let Stock { mut a, mut b, cluster } = Stock::start(&otp);
    a.eval("ok = application:start(app1)");
    b.eval("ok = application:start(app1)");
    // Behind it, what the terminal does with keys: as it was before.
    let watch = format!(
        "'{}' apps --watch --interval 0.1 a@localhost --cookie {}; echo left with $?; stty -a | tr ' ' '\\n'",
        crabnode_binary().display(),
        cluster.cookie()
    );
    for (leave, from, to) in [("q", A, B), ("\u{3}", B, A)] {
        let mut command = Command::new("sh");
        command.args(["-c", &watch]);
        cluster.set_environment(&mut command);
        let mut terminal = Terminal::start(command);
        terminal.sees("APPLICATION");
        terminal.sees(&format!("stands by for {from}"));
        terminal.sees("q leaves");
        let (_, err, status) = run(&cluster, &["takeover", "app1", to]);
        assert_eq!(status, Some(0), "{err}");
        terminal.sees(&format!("stands by for {to}"));
        terminal.types(leave);
        terminal.sees("left with 0");
        terminal.sees("\nicanon");
        terminal.sees("\necho");
        assert_eq!(terminal.ends(), Some(0));
    }

    // In a pipe it prints what has changed, until it is told to end.
    let mut command = Command::new(crabnode_binary());
    command.args(["apps", "--watch", "--json", "--interval", "0.1", A, "--cookie", cluster.cookie()]);
    cluster.set_environment(&mut command);
    let mut watching = interop_tests::Process::start("crabnode apps", &mut command);
    let seen = |watching: &interop_tests::Process, node: &str| {
        watching.lines().iter().any(|line| {
            let said: Value = serde_json::from_str(line).expect("each line is an object");
            runs_on(&said, "app1", &[node])
        })
    };
    assert!(wait_for(LIMIT, || seen(&watching, A).then_some(())).is_some(), "{}", watching.output());
    run(&cluster, &["takeover", "app1", B]);
    assert!(wait_for(LIMIT, || seen(&watching, B).then_some(())).is_some(), "{}", watching.output());
    watching.signal("TERM");
    assert!(watching.wait_for_exit(LIMIT).is_ok_and(|status| status.success()));
}
