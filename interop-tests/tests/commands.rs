//! `crabnode call`, `eval` and `stop` with a stock node of every release: what `erl_call -a`, `-e` and `-q` do.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use interop_tests::{Cluster, ErlNode, Otp, clock::wait_for, crabnode_binary};

mod peer_support;
use peer_support::{SOON, each_release, says};

struct Nodes {
    erl: ErlNode,
    cluster: Cluster,
}

impl Nodes {
    fn start(otp: &Otp) -> Self {
        let cluster = Cluster::new(otp);
        Self { erl: cluster.erl(otp, "e"), cluster }
    }

    /// What the command prints to stdout, what to stderr, and its status.
    fn run(&self, arguments: &[&str], input: &str) -> (String, String, Option<i32>) {
        let mut command = Command::new(crabnode_binary());
        command.args(arguments);
        if !arguments.contains(&"--cookie") {
            command.args(["--cookie", self.cluster.cookie()]);
        }
        self.cluster.set_environment(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be started");
        // Who takes its expression from the arguments reads nothing.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(output.stdout), text(output.stderr), output.status.code())
    }

    /// It prints this line, and nothing else.
    #[track_caller]
    fn prints(&self, arguments: &[&str], line: &str) {
        let (out, err, status) = self.run(arguments, "");
        assert_eq!((out.trim_end_matches('\n'), err.as_str(), status), (line, "", Some(0)), "{arguments:?}");
    }
}

#[test]
fn a_function_is_called_and_its_value_printed() {
    each_release(|otp| {
        let mut nodes = Nodes::start(otp);
        let e = "e@localhost";
        nodes.prints(&["call", e, "erlang", "length", "[[a, b, c]]"], "3");
        nodes.prints(&["call", e, "erlang length [[a, b, c]]"], "3");
        nodes.prints(&["call", e, "erlang", "node"], e);
        nodes.prints(&["call", e, "lists", "seq", "[1,3]", "--json"], "[1,2,3]");
        nodes.prints(
            &["call", e, "maps", "from_list", "[[{a,<<\"b\">>},{c,{1.5,true}}]]", "--json"],
            r#"{"a":"b","c":[1.5,true]}"#,
        );
        // A failure is an answer.
        let (out, _, status) = nodes.run(&["call", e, "no_module", "f", "[1]"], "");
        assert_eq!(status, Some(0));
        assert!(out.starts_with("{badrpc,{'EXIT',{undef,[{no_module,f,[1],[]}"), "{out}");
        nodes.prints(&["call", e, "erlang", "node", "[]", "--no-result-term"], "");
        // What it prints is printed there, or here.
        nodes.prints(&["call", e, "io", "format", "[\"~p~n\",[seen_there]]"], "ok");
        let seen = wait_for(SOON, || nodes.erl.output().contains("seen_there").then_some(()));
        assert!(seen.is_some(), "{}", nodes.erl.output());
        nodes.prints(
            &["call", e, "io", "format", "[\"~p~n\",[seen_here]]", "--fetch-stdout"],
            "seen_here\nok",
        );
        assert!(!nodes.erl.output().contains("seen_here"));
        // Nobody has noticed a node.
        says(&mut nodes.erl, "nodes()", "[]");
    });
}

#[test]
fn expressions_are_evaluated() {
    each_release(|otp| {
        let nodes = Nodes::start(otp);
        nodes.prints(&["eval", "e@localhost", "X = 1, Y = 2, {X, Y, [1078]}."], "{ok,{1,2,\"ж\"}}");
        nodes.prints(&["eval", "e@localhost", "node()"], "{ok,e@localhost}");
        nodes.prints(&["eval", "--json", "e@localhost", "#{a => self() =:= x}."], r#"["ok",{"a":false}]"#);
        let (out, _, status) = nodes.run(&["eval", "e@localhost"], "A = 20,\nA + 1.\n");
        assert_eq!((out.as_str(), status), ("{ok,21}\n", Some(0)));
        let (out, _, status) = nodes.run(&["eval", "e@localhost", "1 +."], "");
        assert!(out.starts_with("{error,"), "{out}");
        assert_eq!(status, Some(0));
    });
}

#[test]
fn the_exit_statuses_are_those_of_erl_call() {
    each_release(|otp| {
        let mut nodes = Nodes::start(otp);
        let e = "e@localhost";
        for (arguments, says, wanted) in [
            // Not reached.
            (&["call", "nobody@localhost", "erlang", "node"][..], "nobody", 1),
            (&["call", e, "erlang", "node", "[]", "--cookie", "wrong"], "e@localhost", 1),
            // No list of terms.
            (&["call", e, "erlang", "node", "[a"], "line 1", 255),
            (&["call", e, "erlang", "node", "a"], "are a list", 255),
            // Gone before it answered.
            (&["call", e, "timer", "sleep", "[infinity]", "--timeout", "1"], "has not answered", 1),
            (&["call", e, "--nonsense"], "--nonsense", 2),
            (&["call"], "Usage", 2),
        ] {
            let (out, err, status) = nodes.run(arguments, "");
            assert_eq!((out.as_str(), status), ("", Some(wanted)), "{arguments:?}: {err}");
            assert!(err.contains(says), "{arguments:?}: {err}");
        }
        let (_, err, status) = nodes.run(&["call", e, "erlang", "halt", "[3]"], "");
        assert!(matches!(status, Some(255)), "{status:?} {err}");
        let status = nodes.erl.process().wait_for_exit(SOON).expect("it halts");
        assert_eq!(status.code(), Some(3));
        nodes.erl = nodes.cluster.erl(otp, "e");
        for _ in 0..2 {
            // The second time there is none to stop, which is as good.
            assert_eq!(nodes.run(&["stop", e], "").2, Some(0));
            assert_eq!(nodes.erl.process().wait_for_exit(SOON).expect("it halts").code(), Some(0));
        }
    });
}
