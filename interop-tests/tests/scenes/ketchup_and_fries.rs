//! `ketchup` and `fries`: names of other nodes, and processes that one starts on the other.

use crabnode::{Context, Exception, Message, SpawnOptions, Term, erpc, erpc::RemoteSpawnOptions, tuple};
use interop_tests::{Cluster, Otp};

use crate::{
    ours::{Ours, flush},
    peer_support::{SOON, each_release, says},
};

/// Our `fries`: what is registered as `shell` keeps what it gets, and `fries:hello/1` can be spawned.
fn fries(cluster: &Cluster) -> Ours {
    let ours = Ours::start(cluster, "fries");
    ours.node.functions().insert("fries", "hello", 1, async |context: Context, args: Vec<Term>| {
        let Some(to) = args[0].as_pid() else { return Err(Exception::badarg()) };
        let (node, leader) = (context.node().name().clone(), context.group_leader());
        context.send(to, tuple!(atom "hello", atom "from", node, leader)).await;
        Ok(Term::atom("ok"))
    });
    ours
}

#[test]
fn ketchup_and_fries() {
    each_release(|otp: &Otp| {
        let cluster = Cluster::new(otp);
        let (mut ketchup, fries) = (cluster.erl(otp, "ketchup"), fries(&cluster));
        // From ours to a name there, before the nodes know each other; and its answer to a name here.
        ketchup.eval("register(shell, self())");
        let shell = SpawnOptions { name: Some("shell".into()), ..SpawnOptions::default() };
        let (heard, hears) = std::sync::mpsc::channel();
        let shell = fries.node.spawn_with(shell, |mut context: Context| async move {
            let dest = ("shell", "ketchup@localhost");
            context.send(dest, tuple!(atom "hello", atom "from", context.pid())).await;
            while let Message::Term(message) = context.receive().await {
                heard.send(message).expect("the test listens");
            }
        });
        let shell = shell.expect("nobody has the name");
        ketchup.eval_until("nodes()", "[fries@localhost]", SOON);
        ketchup.eval("{shell, fries@localhost} ! {hey, there}");
        let message = hears.recv_timeout(SOON).expect("it comes");
        assert_eq!(message, tuple!(atom "hey", atom "there"));
        ketchup.eval_until("element(2, process_info(whereis(shell), message_queue_len))", "1", SOON);
        assert_eq!(flush(&mut ketchup), ["Shell got {hello,from,<>}"]);
        // To the pid that came.
        says(
            &mut ketchup,
            "S = rpc:call(fries@localhost, erlang, whereis, [shell]), S ! again, node(S)",
            "fries@localhost",
        );
        assert_eq!(hears.recv_timeout(SOON), Ok(Term::atom("again")));

        // A process that the BEAM starts on ours has the BEAM's group leader, as with spawn/4 between BEAMs.
        says(
            &mut ketchup,
            "P = spawn(fries@localhost, fries, hello, [self()]), GL = group_leader(),
             receive {hello, from, fries@localhost, GL} -> node(P) after 15000 -> silent end",
            "fries@localhost",
        );
        // So what it prints is printed there.
        ketchup.eval("spawn(fries@localhost, io, format, [\"~s from ~p~n\", [\"salt\", fries@localhost]])");
        let printed = ketchup.process().wait_for_line(SOON, "print what fries says", |line| {
            (line == "salt from fries@localhost").then_some(())
        });
        assert_eq!(printed, Ok(()));
        // What it does not find is an ordinary end.
        says(
            &mut ketchup,
            "{P, M} = spawn_monitor(fries@localhost, fries, no_such, [x]),
             receive {'DOWN', M, process, P, Why} -> Why after 15000 -> silent end",
            "{undef,[{fries,no_such,[x],[]}]}",
        );
        // And one that ours starts on the BEAM has ours.
        ketchup.eval(
            "register(answers, spawn(fun Loop() -> receive {P, To} -> To ! {leader, process_info(P, group_leader)}, Loop() end end))",
        );
        let leader = fries.run(async move |mut context: Context| {
            context.set_group_leader(&shell, context.pid());
            let node = "ketchup@localhost";
            let options = RemoteSpawnOptions { link: false, monitor: true };
            let args = vec![Term::atom("infinity")];
            let request = context.spawn_request(node, "timer", "sleep", args, options);
            let Message::SpawnReply { reference, result: Ok(pid) } = context.receive().await else {
                panic!("no process")
            };
            assert_eq!((reference, pid.node().as_str()), (request.clone(), node));
            context.send(("answers", node), tuple!(&pid, context.pid())).await;
            let leader = context.receive().await;
            assert_eq!(leader, Message::Term(tuple!(atom "leader", tuple!(atom "group_leader", &shell))));
            context.exit(&pid, Term::atom("enough"));
            let Message::Down { reference, reason, .. } = context.receive().await else { panic!("no DOWN") };
            assert_eq!((reference, reason), (request, Term::atom("enough")));
            erpc::call(&mut context, node, "erlang", "node", vec![], None).await
        });
        assert_eq!(leader, Ok(Term::atom("ketchup@localhost")));
    });
}
