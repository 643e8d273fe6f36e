//! I/O and shells between stock nodes of every release and ours: items 46 to 48 of cluster-services 4.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::Duration,
};

use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, clock::wait_for, crabnode_binary};

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

mod pty_support;
use pty_support::Terminal;

/// Waits until a program has printed something.
fn prints(what: &str, output: impl Fn() -> String) {
    let printed = wait_for(SOON, || output().contains(what).then_some(()));
    assert!(printed.is_some(), "{what:?} is not in {:?}", output());
}

/// In the `erl`, `Led(Leader, Fun)` is what the fun gives in a process with that group leader, and `U` the peer's `user`.
fn led(otp: &Otp) -> Pair {
    let mut pair = Pair::connected(otp);
    pair.erl.eval(
        "Led = fun(Leader, Fun) ->
             Self = self(), Ref = make_ref(),
             spawn(fun() -> group_leader(Leader, self()), Self ! {Ref, catch Fun()} end),
             receive {Ref, Value} -> Value after 15000 -> late end
         end,
         U = rpc:call(R, erlang, whereis, [user])",
    );
    pair
}

#[test]
fn item_46_output_appears_where_the_group_leader_is() {
    each_release(|otp| {
        let mut pair = led(otp);
        // A process of the BEAM whose group leader is ours.
        pair.says("Led(U, fun() -> io:format(\"beam ~p ~ts~n\", [\"process\", [229, 1078]]) end)", "ok");
        prints("beam \"process\" åж", || pair.peer.output());
        pair.says("io:request(U, {put_chars, latin1, <<\"latin1 \", 229, 10>>})", "ok");
        prints("latin1 å", || pair.peer.output());
        // A function of the BEAM that a process of ours calls.
        pair.says(
            "Led(U, fun() -> rpc:call(R, rpc, call, [node(), io, format, [\"~p~n\", [from_r]]]) end)",
            "ok",
        );
        prints("from_r", || pair.peer.output());
        pair.says(
            "Led(U, fun() -> rpc:call(R, erpc, call, [node(), io, put_chars, [\"by erpc\\n\"]]) end)",
            "ok",
        );
        prints("by erpc", || pair.peer.output());
        // A function that only the client's node has.
        pair.says("io:request(U, {put_chars, unicode, string, uppercase, [\"upper\\n\"]})", "ok");
        prints("UPPER", || pair.peer.output());
        // A process of ours, called or spawned from the BEAM.
        pair.says("rpc:call(R, io, format, [\"called ~w~n\", [[1]]])", "ok");
        prints("called [1]", || pair.erl.output());
        pair.says("is_pid(spawn(R, io, put_chars, [\"spawned\\n\"]))", "true");
        prints("spawned", || pair.erl.output());
        assert!(!pair.peer.output().contains("called") && !pair.erl.output().contains("beam"));
        // An error of a process of the BEAM is logged where its group leader is.
        pair.says("Led(U, fun() -> spawn(fun() -> error(crash_for_r) end), ok end)", "ok");
        prints("crash_for_r", || pair.peer.output());
    });
}

/// What is asked of both leaders: each is answered as `user` of a stock node answers.
const REQUESTS: &[&str] = &[
    "{put_chars, unicode, [[], <<>>]}",
    "{put_chars, unicode, [x]}",
    "{put_chars, latin1, [300]}",
    "{put_chars, unicode, io_lib, format, [\"\", []]}",
    "{put_chars, unicode, io_lib, format, [\"~p\", []]}",
    "{put_chars, unicode, lists, nonsense, []}",
    "{requests, [{put_chars, unicode, \"\"}, {put_chars, unicode, [x]}, getopts]}",
    "{requests, []}",
    "{setopts, [{encoding, unicode}]}",
    "nonsense",
    "{nonsense, 1}",
];

#[test]
fn item_46_a_group_leader_answers_as_a_stock_one() {
    each_release(|otp| {
        let mut pair = led(otp);
        pair.erl.eval(
            "Ask = fun(To, Request) ->
                 Monitor = monitor(process, To), To ! {io_request, self(), Monitor, Request},
                 receive {io_reply, Monitor, {error, _}} -> demonitor(Monitor, [flush]), error;
                         {io_reply, Monitor, Reply} -> demonitor(Monitor, [flush]), Reply;
                         {'DOWN', Monitor, process, _, _} -> {error, terminated}
                 after 15000 -> late end
             end",
        );
        for request in REQUESTS {
            let asked = format!("case Ask(whereis(user), {request}) of [_|_] -> options; Other -> Other end");
            let stock = pair.erl.eval(&format!("(fun() -> {asked} end)()"));
            // Of an error each release says something else.
            pair.says(&format!("case Ask(U, {request}) of [_|_] -> options; Other -> Other end"), &stock);
        }
        // Nobody types anything.
        for request in ["{get_line, unicode, ''}", "{get_chars, unicode, '', 3}", "{get_line, ''}"] {
            pair.says(&format!("Ask(U, {request})"), "eof");
        }
        pair.says("io:read(U, '')", "eof");
        pair.says("io:fread(U, \"> \", \"~d\")", "eof");
        // It is no terminal, and says so.
        pair.says("{io:columns(U), io:rows(U)}", "{{error,enotsup},{error,enotsup}}");
        pair.says("lists:sort([K || {K, _} <- io:getopts(U)])", "[binary,echo,encoding,expand_fun]");
        pair.says("U ! garbage, U ! {io_request, a, b, c}, io:put_chars(U, \"\")", "ok");
        // Its end is an answer, too; and that of a leader of the BEAM for a process of ours.
        pair.says("exit(U, kill), io:request(U, {put_chars, unicode, \"x\"})", "{error,terminated}");
        pair.says(
            "G = spawn(fun() -> receive {io_request, _, _, _} -> exit(bye) end end),
             {badrpc, {'EXIT', {Why, _}}} = Led(G, fun() -> rpc:call(R, io, format, [\"x\"]) end), Why",
            "terminated",
        );
    });
}

/// Formats and their arguments, whose text must be that of each release.
const FORMATS: &[&str] = &[
    r#"{"~w ~p ~s ~n~~", ["ab", "ab", "ab"]}"#,
    r#"{"~p ~p ~w", [<<"ab">>, <<255, 1>>, <<"ab">>]}"#,
    r#"{"~tp ~tw ~ts", ["\345", '\345', "\345"]}"#,
    r#"{"[~10s][~-10s][~3s][~10.3s][~-10.3.*s]", [abcd, "abcd", "abcd", "abcd", $x, "abcd"]}"#,
    r#"{"[~10w][~-10w][~2w][~10p]", [abc, abc, abc, abc]}"#,
    r#"{"~c~3c~*c", [$a, $b, 2, $c]}"#,
    r#"{"~f ~.2f ~10.3f ~e ~.3e ~g ~g ~g ~g", [1.5, 2.675, 3.14159, 1.0, 12345.678, 0.05, 0.5, 123.456, 1.0e10]}"#,
    r#"{"~b ~B ~.16b ~.16B ~.16# ~.16+ ~8..0b", [-7, 7, 255, 255, 255, -255, 42]}"#,
    r#"{"~.16x ~.10X", [-31, "0x", 5, "a"]}"#,
    r#"{"~W ~W ~W ~P", [[a,b,c,d], 3, {a,b,c}, 2, #{a => 1}, 1, {a,[b,[c]]}, 9]}"#,
    r#"{"~W ~W ~W", [#{1 => a, 2 => b, 3 => c}, 3, [{a,b},{c,d}|e], 4, [1,2,3], 20]}"#,
    r#"{"~p~n", [lists:seq(1, 60)]}"#,
    r#"{"abc ~p def ~p", [lists:seq(1, 40), {tag, [lists:seq(1, 20), lists:seq(1, 20), "text", <<"binary">>]}]}"#,
    r#"{"~60p", [[{list_to_atom("key_" ++ integer_to_list(N)), N * 1000} || N <- lists:seq(1, 12)]]}"#,
    r#"{"~p", [[{"some text that is rather long", <<"and a binary that is long">>, [1.0, 2.5, -0.0]}, {a, {b, {c, d}}}]]}"#,
    r#"{"~lp ~0p", ["ab", lists:seq(1, 60)]}"#,
    r#"{"~i~p", [a, fun lists:map/2]}"#,
];

#[test]
fn item_46_formats_are_those_of_each_release() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        for format in FORMATS {
            let with = |function: &str| format!("(fun({{F, A}}) -> {function} end)({format})");
            let stock = pair.erl.eval(&with("lists:flatten(io_lib:format(F, A))"));
            let ours = pair.erl.eval(&with("rpc:call(R, io_lib, format, [F, A])"));
            assert_eq!(ours, stock, "{format}");
        }
    });
}

/// A `crabnode` of the cluster.
fn crabnode(cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = Command::new(crabnode_binary());
    command.args(arguments).args(["--cookie", cluster.cookie()]);
    cluster.set_environment(&mut command);
    command
}

/// What it prints, given this on stdin.
fn piped(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it can be started");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// An `erl`, `e@localhost`, and its cluster.
fn alone(otp: &Otp) -> (ErlNode, Cluster) {
    let cluster = Cluster::new(otp);
    (cluster.erl(otp, "e"), cluster)
}

#[test]
fn item_47_a_shell_on_a_stock_node_by_a_pipe() {
    each_release(|otp| {
        let (mut erl, cluster) = alone(otp);
        let input = "X = [1,\n  2].\nfoo(.\n1/0.\nio:format(\"out ~ts~n\", [[1078]]).\nio:get_line(\"line> \").\n\
                     typed\nlength(X). node().\nio:get_line(\"\").\n";
        let output = piped(crabnode(&cluster, &["shell", "e@localhost"]), input);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let mut rest = text.as_str();
        for part in [
            "Eshell V",
            "(e@localhost)1> ",
            "[1,2]\n",
            "syntax error before",
            "> ",
            "** exception error",
            "out ж\nok\n",
            "line> ",
            "\"typed\\n\"\n",
            "2\n",
            "e@localhost\n",
            "eof\n",
        ] {
            let Some((_, after)) = rest.split_once(part) else {
                panic!("{part:?} is not in {rest:?} of {text}")
            };
            rest = after;
        }
        // The node goes on, without the shell, and has never seen us.
        says(&mut erl, "nodes(known) -- [node()] =/= nodes()", "true");
        says(&mut erl, "nodes()", "[]");
    });
}

#[test]
fn item_47_a_shell_on_a_stock_node_at_a_terminal() {
    each_release(|otp| {
        let (mut erl, cluster) = alone(otp);
        let mut terminal = Terminal::start(crabnode(&cluster, &["shell", "e@localhost"]));
        terminal.sees("(e@localhost)1> ");
        terminal.types("X = [1,\r");
        terminal.sees(".. ");
        terminal.types("2].\r");
        terminal.sees("[1,2]\r\n");
        terminal.types("foo(.\r");
        terminal.sees("syntax error before");
        terminal.types("lists:rever");
        // The node has two seconds to say what may follow; a busy one is asked again.
        let added = (0..5).any(|_| {
            terminal.types("\t");
            terminal.is_seen_within(Duration::from_secs(4), "se(")
        });
        assert!(added, "nothing is added to lists:rever");
        terminal.types("X).\r");
        terminal.sees("[2,1]\r\n");
        terminal.types("error(oops).\r");
        terminal.sees("** exception error: oops");
        terminal.types("io:format(\"some~s\", [thing]), io:get_line(\"> \").\r");
        terminal.sees("something> ");
        terminal.types("hello\r");
        terminal.sees("\"hello\\n\"\r\n");
        // An expression that is thought better of.
        terminal.types("[1,\r");
        terminal.sees(".. ");
        terminal.types("\u{3}");
        terminal.sees("> ");
        // What runs is interrupted.
        terminal.types("begin io:format(\"sleeps~n\"), timer:sleep(infinity) end.\r");
        terminal.sees("sleeps\r\n");
        terminal.types("\u{3}");
        terminal.sees("** exception exit: killed");
        // The history: the line before the last but one.
        terminal.types("{a, node()}.\r");
        terminal.sees("{a,e@localhost}\r\n");
        terminal.sees("> ");
        terminal.types("\u{1b}[A");
        terminal.sees("{a, node()}.");
        terminal.types("\r");
        terminal.sees("{a,e@localhost}\r\n");
        // Before there is a prompt this key is the terminal's own affair, and gets lost.
        terminal.sees("> ");
        terminal.types("\u{4}");
        assert_eq!(terminal.ends(), Some(0));
        says(&mut erl, "nodes()", "[]");
        // Those that are about to end have no leader any more.
        erl.eval_until(
            "[P || P <- processes(), {group_leader, G} <- [process_info(P, group_leader)], node(G) =/= node()]",
            "[]",
            SOON,
        );
        let history = cluster.home().join(".local/state/crabnode/shell_history");
        let history = std::fs::read_to_string(history).expect("it is kept");
        assert!(history.contains("lists:reverse(X)."), "{history}");
    });
}

/// The arguments of an `erl` that is a shell on the peer.
fn remsh(otp: &Otp, cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = Command::new(otp.erl());
    command.args(["-setcookie", cluster.cookie()]).args(arguments);
    cluster.set_environment(&mut command);
    command
}

/// What the shell on ours does, whoever came how.
fn uses(terminal: &mut Terminal, number: u32) {
    terminal.sees(&format!("(r@localhost){number}> "));
    terminal.types("node().\r");
    terminal.sees("r@localhost\r\n");
    terminal.types("names().\r");
    terminal.sees("net_kernel");
    terminal.sees("ok\r\n");
    // What a tab finds is of little matter: the session goes on.
    terminal.types("hel\t");
    terminal.types("\r().\r");
    terminal.sees("> ");
    terminal.types("nonsense().\r");
    terminal.sees("undefined function erlang:nonsense/0");
    terminal.types("{a,\r[\"b\"]}.\r");
    terminal.sees("{a,[\"b\"]}\r\n");
    terminal.types("X = 1.\r");
    terminal.sees("* line 1, column 1: a variable");
}

#[test]
fn item_48_a_remote_shell_of_a_stock_node_on_ours() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut peer = cluster.peer("r");
        let named = ["-sname", "s@localhost", "-hidden", "-remsh", "r@localhost"];
        let nameless = ["-remsh", "r@localhost"];
        // Older releases need a name.
        let ways = if otp.number() >= 25 { vec![&named[..], &nameless[..]] } else { vec![&named[..]] };
        for arguments in ways {
            let mut terminal = Terminal::start(remsh(otp, &cluster, arguments));
            uses(&mut terminal, 1);
            terminal.types("exit().\r");
            // It is the user's terminal that goes on, as after any shell.
            terminal.sees("Shell process terminated");
            terminal.types("\u{7}");
            terminal.sees(" --> ");
            terminal.types("q\r");
            terminal.ends();
            let status = peer.process().status();
            assert!(status.is_none(), "{}", peer.output());
        }
    });
}

#[test]
fn item_48_a_shell_on_ours_by_job_control() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut peer = cluster.peer("r");
        let mut terminal = Terminal::start(remsh(otp, &cluster, &["-sname", "s@localhost"]));
        terminal.sees("(s@localhost)1> ");
        terminal.types("\u{7}");
        terminal.sees(" --> ");
        terminal.types("r 'r@localhost'\r");
        terminal.sees(" --> ");
        terminal.types("c\r");
        uses(&mut terminal, 1);
        // What runs is interrupted by job control.
        terminal.types("timer:sleep(infinity).\r");
        terminal.sees("infinity).\r\n");
        terminal.types("\u{7}");
        terminal.sees(" --> ");
        terminal.types("i\r");
        terminal.sees(" --> ");
        terminal.types("c\r");
        terminal.sees("** interrupted **");
        terminal.types("stop().\r");
        let status = peer.process().wait_for_exit(SOON).expect("it stops");
        assert_eq!(status.code(), Some(0));
        terminal.types("\u{7}");
        terminal.sees(" --> ");
        terminal.types("q\r");
        terminal.ends();
    });
}

/// `crabnode shell` to a node of ours, which has the same shell for it.
#[test]
fn a_shell_of_ours_on_ours() {
    let cluster = Cluster::new(&Otp::newest());
    let _peer = cluster.peer_with("r", &NodeSpec::default());
    let output = piped(crabnode(&cluster, &["shell", "r@localhost"]), "node().\nlists:foo(1).\n");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("(r@localhost)1> r@localhost\n"), "{text}");
    assert!(text.contains("** exception error: undefined function lists:foo/1"), "{text}");
}
