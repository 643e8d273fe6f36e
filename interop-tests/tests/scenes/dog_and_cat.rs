//! `dog` and `cat`: names, messages, links, monitors, and what is seen as one of them halts.

use crabnode::{Context, Message, Monitored, NodeEvent, Term, tuple};
use interop_tests::{Cluster, ErlNode, Otp};

use crate::{
    ours::{Ours, flush},
    peer_support::{SOON, each_release, says},
};

/// The dog answers `{From, What}` with `{woof, What}`, as its twin in Erlang does.
async fn dog(mut context: Context) {
    context.register("dog").expect("nobody has the name");
    while let Message::Term(message) = context.receive().await {
        if let Some([Term::Pid(from), what]) = message.as_tuple() {
            context.send(from, tuple!(atom "woof", what.clone())).await;
        }
    }
}

/// So many messages have come for the cat, and it is a moment later.
fn comes(cat: &mut ErlNode, count: usize) {
    cat.eval_until(
        &format!("element(2, process_info(whereis(cat), message_queue_len)) >= {count}"),
        "true",
        SOON,
    );
    cat.eval("timer:sleep(100)");
}

const DOG: &str = "spawn(fun() -> register(dog, self()),
    (fun Loop() -> receive {From, What} -> From ! {woof, What}, Loop() end end)() end)";

/// What the cat does, and what it sees: the same whoever the dog is.
fn cat_sees(cat: &mut ErlNode, stop: impl FnOnce(&mut ErlNode)) -> Vec<Vec<String>> {
    let mut seen = Vec::new();
    cat.eval("register(cat, self())");
    cat.eval_until("net_adm:ping(dog@localhost)", "pong", SOON);
    says(cat, "nodes()", "[dog@localhost]");
    cat.eval_until("is_pid(rpc:call(dog@localhost, erlang, whereis, [dog]))", "true", SOON);
    cat.eval("{dog, dog@localhost} ! {self(), \"sit\"}, {dog, dog@localhost} ! {self(), 'roll over'}");
    // A call to the same node comes behind both, and its answer behind theirs.
    cat.eval("D = rpc:call(dog@localhost, erlang, whereis, [dog]), D ! {self(), last}");
    cat.eval("receive {woof, last} -> ok after 15000 -> error(silent) end");
    seen.push(flush(cat));
    // A name that nobody has, a monitor that is taken back, a link that is.
    cat.eval(
        "process_flag(trap_exit, true), monitor(process, {nobody, dog@localhost}),
         demonitor(monitor(process, D)), link(D), unlink(D)",
    );
    comes(cat, 1);
    seen.push(flush(cat));
    // All that there is to hear of the end of a node.
    cat.eval("link(D), monitor(process, D), monitor(process, {dog, dog@localhost})");
    cat.eval("monitor_node(dog@localhost, true), monitor_node(dog@localhost, true)");
    cat.eval("pong = net_adm:ping(dog@localhost)");
    stop(cat);
    cat.eval_until("nodes()", "[]", SOON);
    comes(cat, 5);
    let mut last = flush(cat);
    // The two monitors fire in an order that is nobody's.
    last[1..3].sort();
    seen.push(last);
    // And of one that is not there. Which of the two is told first depends on whether one attempt to connect has failed
    // before the other begins.
    cat.eval("monitor_node(dog@localhost, true), link(D), {dog, dog@localhost} ! nobody_hears");
    comes(cat, 2);
    let mut last = flush(cat);
    last.sort();
    seen.push(last);
    seen
}

#[test]
fn dog_and_cat() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let stock = seen_of_a_stock_dog(&cluster, otp);
        let (mut cat, ours) = (cluster.erl(otp, "cat"), Ours::start(&cluster, "dog"));
        ours.node.spawn(dog);
        let seen = cat_sees(&mut cat, |cat| {
            cat.eval("rpc:cast(dog@localhost, erlang, halt, [])");
            ours.runtime.block_on(async {
                assert_eq!(ours.node.stop_requested().await, 0);
                ours.node.stop().await;
            });
        });
        assert_eq!(seen, stock);
        assert_eq!(seen[0], ["Shell got {woof,\"sit\"}", "Shell got {woof,'roll over'}"]);
        let lost = [
            "Shell got {'EXIT',<>,noconnection}",
            "Shell got {'DOWN',#Ref<>,process,<>,noconnection}",
            "Shell got {'DOWN',#Ref<>,process,{dog,dog@localhost},noconnection}",
            "Shell got {nodedown,dog@localhost}",
            "Shell got {nodedown,dog@localhost}",
        ];
        let mut wanted = lost.to_vec();
        wanted[1..3].sort_unstable();
        assert_eq!(seen[2], wanted);
    });
}

fn seen_of_a_stock_dog(cluster: &Cluster, otp: &Otp) -> Vec<Vec<String>> {
    let (mut cat, mut dog) = (cluster.erl(otp, "cat"), cluster.erl(otp, "dog"));
    dog.eval(DOG);
    cat_sees(&mut cat, |cat| {
        cat.eval("rpc:cast(dog@localhost, erlang, halt, [])");
    })
}

/// The other way round: the cat is stock and halts, and the dog hears of it what a dog of the BEAM would.
#[test]
fn dog_and_cat_and_the_cat_halts() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut cat, ours) = (cluster.erl(otp, "cat"), Ours::start(&cluster, "dog"));
        cat.eval(
            "register(cat, self()), register(kitten, spawn(fun() -> receive {From, purr} -> From ! purrs end, timer:sleep(infinity) end))",
        );
        let (kitten, first) = ours.run(async |mut context: Context| {
            context.send(("cat", "cat@localhost"), tuple!(atom "hello", atom "from", context.pid())).await;
            context.send(("kitten", "cat@localhost"), tuple!(context.pid(), atom "purr")).await;
            let first = context.receive().await;
            let kitten = crabnode::erpc::call(
                &mut context,
                "cat@localhost",
                "erlang",
                "whereis",
                vec![Term::atom("kitten")],
                None,
            )
            .await;
            (kitten, first)
        });
        assert_eq!(first, Message::Term(Term::atom("purrs")));
        assert_eq!(flush(&mut cat), ["Shell got {hello,from,<>}"]);
        let Ok(Term::Pid(kitten)) = kitten else { panic!("{kitten:?}") };
        let (ready, is_ready) = std::sync::mpsc::channel();
        let node = ours.node.clone();
        let hears = async move |mut context: Context| {
            context.trap_exit(true);
            context.link(&kitten);
            let by_pid = context.monitor(&kitten);
            let by_name = context.monitor(("kitten", "cat@localhost"));
            context.monitor_node("cat@localhost", true);
            assert!(context.node().ping("cat@localhost").await.is_some());
            ready.send(()).expect("the test listens");
            let mut heard = Vec::new();
            while heard.len() < 4 {
                heard.push(context.receive_timeout(SOON).await.expect("all four come"));
            }
            heard[1..3].sort_by_key(|message| {
                matches!(message, Message::Down { reference, .. } if *reference == by_name.reference)
            });
            let noconnection = || Term::atom("noconnection");
            let name = Monitored::Name("kitten".into(), "cat@localhost".into());
            assert_eq!(heard[0], Message::Exit { from: kitten.clone(), reason: noconnection() });
            let down = |reference, item| Message::Down { reference, item, reason: noconnection() };
            assert_eq!(heard[1], down(by_pid.reference, Monitored::Pid(kitten)));
            assert_eq!(heard[2], down(by_name.reference, name));
            assert!(
                matches!(&heard[3], Message::Node(NodeEvent::Down { node, .. }) if node == "cat@localhost")
            );
        };
        let hears = ours.runtime.spawn(async move { node.run(hears).await });
        is_ready.recv_timeout(SOON).expect("the dog watches");
        // It does not come back from that.
        let _ = cat.try_eval("halt()", std::time::Duration::from_secs(2));
        let heard = ours.runtime.block_on(hears).expect("it does not panic");
        heard.expect("the dog has heard all");
    });
}
