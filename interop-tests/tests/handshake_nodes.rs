//! The handshake between whole nodes (wire.md 12, items 15, 20 to 22 and 26 to 29): a stock `erl` of every release and
//! `crabnode peer`. What single bytes do is in `handshake.rs`, simultaneous connects are in
//! `handshake_simultaneous.rs`, cookie files (item 22) in `peer_starts.rs`.

use std::process::Command;

use interop_tests::{Cluster, NodeSpec, Otp, Process, crabnode_binary};

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

#[test]
fn item_15_a_ping_of_erl_is_answered_twice_and_the_node_is_listed() {
    each_release(|otp| {
        let mut pair = Pair::start(otp);
        pair.says("net_adm:ping(R)", "pong");
        pair.says("net_adm:ping(R)", "pong");
        pair.says("{nodes(), nodes(hidden), nodes(connected)}", "{[r@localhost],[],[r@localhost]}");
        pair.says("rpc:call(R, erlang, nodes, [])", "[e@localhost]");
        pair.says("rpc:call(R, net_adm, ping, [node()])", "pong");
        let names = format!(
            "lists:sort(element(2, net_adm:names(localhost))) =:= [{{\"e\", P}} || {{\"e\", P}} <- element(2, net_adm:names(localhost))] ++ [{{\"r\", {}}}]",
            pair.peer.port()
        );
        pair.says(&names, "true");
    });
}

#[test]
fn item_15_crabnode_ping_says_pong_or_pang() {
    each_release(|otp| {
        let pair = Pair::start(otp);
        let ping = |node: &str, cookie: &str| {
            let mut command = std::process::Command::new(interop_tests::crabnode_binary());
            command.args(["ping", node, "--cookie", cookie]);
            command.args(["--epmd-port", &pair.cluster.epmd_port().to_string()]);
            let mut process = Process::start("crabnode ping", &mut command);
            let status = process.wait_for_exit(SOON * 2).expect("it ends");
            (status.code(), process.lines())
        };
        for node in ["e@localhost", "r@localhost"] {
            assert_eq!(ping(node, pair.cluster.cookie()), (Some(0), vec!["pong".into()]));
        }
        for (node, cookie, word) in
            [("nobody@localhost", pair.cluster.cookie(), "not running"), ("e@localhost", "other", "cookie")]
        {
            let (status, lines) = ping(node, cookie);
            assert_eq!(status, Some(1), "{lines:?}");
            assert!(lines.contains(&"pang".to_owned()), "{lines:?}");
            assert!(lines.iter().any(|line| line.contains(word)), "{lines:?}");
        }
    });
}

/// Both sides say so, whichever of them connects.
#[test]
fn item_21_a_wrong_cookie_is_said_by_both_sides() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        let other = NodeSpec { cookie: Some("another".into()), ..NodeSpec::default() };
        let connect = NodeSpec { args: vec!["--connect".into(), "e@localhost".into()], ..other };
        let mut peer = cluster.peer_with("r", &connect);
        let about = |line: &str, words: &[&str]| {
            words.iter().all(|word| line.contains(word)).then(|| line.to_owned())
        };
        let said = |process: &mut Process, words: &[&str]| {
            process
                .wait_for_line(SOON, "say it", |line| about(line, words))
                .unwrap_or_else(|error| panic!("{error}"))
        };
        // By the handshake, and then by who wanted the connection.
        said(peer.process(), &["not connected", "e@localhost", "cookie"]);
        said(erl.process(), &["r@localhost"]);
        assert!(erl.output().contains("Invalid challenge"), "{}", erl.output());
        // Once: what was refused is not tried again on and on.
        let lines = peer.output().lines().count();
        assert!(lines <= 3, "the line `ready` and what was wrong: {}", peer.output());

        // The other way about.
        let before = peer.output().lines().count();
        says(&mut erl, "net_adm:ping(r@localhost)", "pang");
        let line = peer
            .process()
            .wait_for_line(SOON, "say it", |line| about(line, &["e@localhost", "cookie", "refused"]));
        line.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(peer.output().lines().count(), before + 1, "{}", peer.output());
        // It goes on, for those who know its cookie.
        let mut friend =
            cluster.erl_with(otp, "f", &NodeSpec { cookie: Some("another".into()), ..NodeSpec::default() });
        says(&mut friend, "net_adm:ping(r@localhost)", "pong");
    });
}

/// A cookie for one peer alone, set at the BEAM: the same for both directions of the handshake.
#[test]
fn item_21_a_cookie_for_this_peer_alone() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        let _peer =
            cluster.peer_with("r", &NodeSpec { cookie: Some("another".into()), ..NodeSpec::default() });
        says(&mut erl, "erlang:set_cookie(r@localhost, another)", "true");
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
    });
}

/// `erl -sname undefined`, which later releases have: the node that is connected to first gives the name.
#[test]
fn item_26_an_erl_without_a_name_gets_one() {
    each_release(|otp| {
        if otp.number() < 25 {
            return;
        }
        let cluster = Cluster::new(otp);
        let mut peer = cluster.peer("r");
        let mut erl = cluster.erl(otp, "undefined@localhost");
        says(&mut erl, "node()", "nonode@nohost");
        says(&mut erl, "net_kernel:connect_node(r@localhost)", "true");
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        says(
            &mut erl,
            "[Name, \"localhost\"] = string:lexemes(atom_to_list(node()), \"@\"), length(Name) > 5",
            "true",
        );
        says(&mut erl, "{nodes(), nodes(hidden)}", "{[],[r@localhost]}");
        says(&mut erl, "rpc:call(r@localhost, erlang, nodes, [hidden]) =:= [node()]", "true");
        says(&mut erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
        says(
            &mut erl,
            "{echo, r@localhost} ! {self(), self()}, receive {echo, P} -> P =:= self() end",
            "true",
        );
        peer.kill9();
        erl.eval_until("node()", "nonode@nohost", SOON);
    });
}

#[test]
fn item_27_nodes_with_long_names() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e@127.0.0.1");
        let _peer = cluster.peer("r@127.0.0.1");
        says(&mut erl, "net_adm:ping('r@127.0.0.1')", "pong");
        says(&mut erl, "nodes()", "['r@127.0.0.1']");
        says(&mut erl, "rpc:call('r@127.0.0.1', erlang, node, [])", "'r@127.0.0.1'");
        says(&mut erl, "gen_server:call({echo_server, 'r@127.0.0.1'}, x)", "{echo,x}");
        says(&mut erl, "rpc:call('r@127.0.0.1', net_adm, ping, ['s@localhost'])", "pang");
    });
}

#[test]
fn item_28_a_hidden_peer_and_a_hidden_erl_are_in_nobodys_nodes() {
    each_release(|otp| {
        let mut pair = Pair::start_with(otp, &NodeSpec::default(), &NodeSpec::hidden());
        let mut hidden = pair.cluster.erl_with(otp, "h", &NodeSpec::hidden());
        let _visible = pair.cluster.peer("v");
        pair.says("net_adm:ping(R)", "pong");
        pair.says("{nodes(), nodes(hidden)}", "{[],[r@localhost]}");
        pair.says("rpc:call(R, erlang, nodes, [])", "[]");
        pair.says("rpc:call(R, erlang, nodes, [hidden])", "[e@localhost]");
        pair.says("gen_server:call({echo_server, R}, x)", "{echo,x}");
        says(&mut hidden, "net_adm:ping(v@localhost)", "pong");
        says(&mut hidden, "{nodes(), nodes(hidden)}", "{[],[v@localhost]}");
        says(&mut hidden, "rpc:call(v@localhost, erlang, nodes, [])", "[]");
        says(&mut hidden, "rpc:call(v@localhost, erlang, nodes, [hidden])", "[h@localhost]");
        says(&mut hidden, "gen_server:call({echo_server, v@localhost}, x)", "{echo,x}");
    });
}

/// One that comes back under its name is another: its old pids are dead, and its name finds the new one.
#[test]
fn item_29_a_peer_that_was_started_again_is_another() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval("Old = rpc:call(R, erlang, whereis, [echo])");
        for round in 0..3 {
            // By turns it goes with and without a goodbye, and our node learns of it late.
            if round % 2 == 0 {
                pair.peer.kill9();
            } else {
                pair.peer.process().signal("TERM");
                let status = pair.peer.process().wait_for_exit(SOON).expect("it ends");
                assert_eq!(status.code(), Some(0), "{}", pair.peer.output());
            }
            pair.peer = pair.cluster.peer("r");
            pair.erl.eval_until("net_adm:ping(R)", "pong", SOON);
            pair.says("Old =:= rpc:call(R, erlang, whereis, [echo])", "false");
            pair.says("rpc:call(R, erlang, is_process_alive, [Old])", "false");
            pair.says(
                "M = monitor(process, Old), receive {'DOWN', M, process, Old, Why} -> Why after 15000 -> nothing end",
                "noproc",
            );
            pair.says(
                "Old ! {self(), x}, {echo, R} ! {self(), y}, receive M -> M after 15000 -> nothing end",
                "{echo,y}",
            );
        }
    });
}

/// `-erl_epmd_port`: nobody says which version the other has, for which OTP 23 uses the old name with a complement.
#[test]
fn item_20_a_node_that_does_not_ask_epmd() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let peer = cluster.peer("r");
        let port = peer.port().to_string();
        let mut erl =
            cluster.erl_with(otp, "e", &NodeSpec::args(["-dist_listen", "false", "-erl_epmd_port", &port]));
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        says(&mut erl, "gen_server:call({echo_server, r@localhost}, x)", "{echo,x}");
        says(&mut erl, "rpc:call(r@localhost, erlang, nodes, [hidden]) =:= [node()]", "true");
    });
}

/// `-setcookie NODE COOKIE`, which later releases have, and ours beside it; whichever side connects.
#[test]
fn item_21_cookies_for_single_nodes_by_flags() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let for_r = NodeSpec::args(["-setcookie", "r@localhost", "another"]);
        let mut erl =
            cluster.erl_with(otp, "e", &if otp.number() < 25 { NodeSpec::default() } else { for_r });
        if otp.number() < 25 {
            says(&mut erl, "erlang:set_cookie(r@localhost, another)", "true");
        }
        let ours = NodeSpec {
            cookie: Some("third".into()),
            ..NodeSpec::args(["--setcookie", "e@localhost", "another"])
        };
        let peer = cluster.peer_with("r", &ours);
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
        drop(peer);
        let mut ours = ours;
        ours.args.extend(["--connect".into(), "e@localhost".into()]);
        let _peer = cluster.peer_with("r", &ours);
        erl.eval_until("nodes()", "[r@localhost]", SOON);
        // Whom it is not for has another.
        let mut friend =
            cluster.erl_with(otp, "f", &NodeSpec { cookie: Some("another".into()), ..NodeSpec::default() });
        says(&mut friend, "net_adm:ping(r@localhost)", "pang");
    });
}

/// `crabnode peer --sname undefined`: a BEAM gives the name, as later releases can.
#[test]
fn item_26_a_peer_without_a_name_gets_one() {
    each_release(|otp| {
        if otp.number() < 25 {
            return;
        }
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        let mut other = cluster.erl(otp, "f");
        let args = [
            "peer",
            "--sname",
            "undefined@localhost",
            "--connect",
            "e@localhost",
            "--connect",
            "f@localhost",
        ];
        let mut peer = nameless(&cluster, &args);
        let name = peer.wait_for_line(SOON, "accept connections", |line| {
            Some(line.strip_prefix("ready ")?.strip_suffix(" 0")?.to_owned())
        });
        let name = name.unwrap_or_else(|error| panic!("{error}"));
        let (alive, host) = name.split_once('@').expect("a node name");
        assert!(host == "localhost" && alive.len() > 5 && alive != "undefined", "{name}");
        erl.eval_until("[atom_to_list(N) || N <- nodes(hidden)]", &format!("[\"{name}\"]"), SOON);
        other.eval_until("length(nodes(hidden))", "1", SOON);
        for beam in [&mut erl, &mut other] {
            says(beam, "nodes() -- [e@localhost, f@localhost]", "[]");
            says(beam, &format!("gen_server:call({{echo_server, '{name}'}}, x)"), "{echo,x}");
            says(beam, &format!("rpc:call('{name}', erlang, node, [])"), &quoted(&name));
            says(beam, &format!("rpc:call('{name}', erlang, nodes, [hidden])"), "[e@localhost,f@localhost]");
            let echo =
                format!("{{echo, '{name}'}} ! {{self(), self()}}, receive {{echo, P}} -> P =:= self() end");
            says(beam, &echo, "true");
        }
        says(&mut erl, &format!("P = rpc:call('{name}', erlang, whereis, [echo]), node(P)"), &quoted(&name));
        // It is in nobody's list of names.
        says(
            &mut erl,
            "[N || {N, _} <- element(2, net_adm:names(localhost)), N =/= \"e\", N =/= \"f\"]",
            "[]",
        );
        // The name goes with the node that gave it, and takes the other connections along.
        erl.kill9();
        let ended = peer.wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(ended.code(), Some(1), "{}", peer.output());
        assert!(peer.output().contains("the name with it"), "{}", peer.output());
        other.eval_until("nodes(hidden)", "[]", SOON);
    });
}

#[test]
fn item_26_a_peer_gets_its_name_of_another_peer() {
    let cluster = Cluster::new(&Otp::newest());
    let mut namer = cluster.peer("r");
    let mut peer =
        nameless(&cluster, &["peer", "--sname", "undefined@localhost", "--connect", "r@localhost"]);
    let ready = peer.wait_for_line(SOON, "accept connections", |line| {
        Some(line.strip_prefix("ready ")?.strip_suffix("@localhost 0")?.to_owned())
    });
    assert_ne!(ready.as_deref(), Ok("undefined"));
    // One that leaves takes the name along, as one that is lost.
    namer.process().signal("TERM");
    let ended = peer.wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ended.code(), Some(1), "{}", peer.output());
}

/// One that has nobody to ask, that asks in vain, or with another cookie.
#[test]
fn item_26_a_peer_that_gets_no_name() {
    let cluster = Cluster::new(&Otp::newest());
    let erl = cluster.erl(&Otp::newest(), "e");
    let undefined = ["peer", "--sname", "undefined@localhost"];
    for (more, word) in [
        (&[][..], "nobody to ask"),
        (&["--connect", "nobody@localhost"], "nobody@localhost"),
        (&["--connect", "e@localhost", "--setcookie", "e@localhost", "wrong"], "cookie"),
        (&["--connect", "e@127.0.0.1"], "long name"),
    ] {
        let mut peer = nameless(&cluster, &[&undefined[..], more].concat());
        let ended = peer.wait_for_exit(SOON * 2).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(ended.code(), Some(1), "{}", peer.output());
        assert!(peer.lines().len() == 1 && peer.output().contains(word), "{word}: {}", peer.output());
    }
    drop(erl);
}

fn nameless(cluster: &Cluster, args: &[&str]) -> Process {
    let mut command = Command::new(crabnode_binary());
    command.args(args).args(["--cookie", cluster.cookie()]);
    command.args(["--epmd-port", &cluster.epmd_port().to_string()]).env("HOME", cluster.home());
    Process::start(format!("crabnode {args:?}"), &mut command)
}

/// An atom as Erlang prints it that may begin with a digit or a capital.
fn quoted(atom: &str) -> String {
    let is_plain = atom.starts_with(|c: char| c.is_ascii_lowercase()) && !atom.contains('-');
    if is_plain { atom.to_owned() } else { format!("'{atom}'") }
}

/// `net_kernel:allow`, on either side: who is not among the nodes is told `not_allowed`, and is not dialled.
#[test]
fn nodes_that_are_not_allowed_stay_out() {
    each_release(|otp| {
        let peer = NodeSpec::args(["--allow", "e@localhost"]);
        let mut pair = Pair::start_with(otp, &NodeSpec::default(), &peer);
        let mut other = pair.cluster.erl(otp, "f");
        pair.says("net_adm:ping(R)", "pong");
        says(&mut other, "net_adm:ping(r@localhost)", "pang");
        pair.says("rpc:call(R, net_adm, ping, [f@localhost])", "pang");
        pair.says("rpc:call(R, net_kernel, allowed, [])", "{ok,[e@localhost]}");
        pair.says("rpc:call(R, net_kernel, allow, [[\"f@localhost\"]])", "error");
        pair.says("rpc:call(R, net_kernel, allow, [['f@']])", "ok");
        says(&mut other, "net_adm:ping(r@localhost)", "pong");
        let refused = |line: &str| (line.contains("refused") && line.contains("f@localhost")).then_some(());
        pair.peer.process().wait_for_line(SOON, "say who was refused", refused).expect("it does");

        says(&mut other, "net_kernel:allow([e@localhost])", "ok");
        let mut stranger = pair.cluster.peer_with("s", &NodeSpec::args(["--connect", "f@localhost"]));
        let told = |line: &str| (line.contains("not connected") && line.contains("not allow")).then_some(());
        stranger.process().wait_for_line(SOON, "say why", told).expect("it does");
    });
}
