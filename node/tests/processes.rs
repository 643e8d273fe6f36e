//! What processes of a program do to each other, and how they end.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crabnode::{
    AliasOptions, Atom, Context, Dest, Message, Monitored, NodeEvent, Pid, SpawnOptions, Term, erpc,
    let_term, term, tuple,
};
use support::{epmd_port, eventually, node, run};
use tokio::sync::oneshot;

const SOON: Duration = Duration::from_secs(5);

async fn down(context: &mut Context) -> Term {
    match context.receive_timeout(SOON).await {
        Some(Message::Down { reason, .. }) => reason,
        other => panic!("no DOWN, but {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_leader_is_that_of_the_parent_until_it_is_given_another() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let user = a.whereis("user").expect("each node has one");
    let sleeper = b.spawn(|_| std::future::pending::<()>());
    let there = b.clone();
    run(&a, move |mut context| async move {
        assert_eq!(context.group_leader(), user, "of one without a parent");
        let own = context.pid().clone();
        context.set_group_leader(&own, &own);
        assert_eq!(context.group_leader(), own);
        let (parent, node) = (own.clone(), there.name().clone());
        context.spawn(move |mut context| async move {
            let away = erpc::call(&mut context, &node, "erlang", "group_leader", vec![], None).await;
            let here = context.group_leader();
            context.send(&parent, tuple!(here, away.expect("it is served"))).await;
        });
        let inherited = context.receive().await;
        assert_eq!(inherited, Message::Term(tuple!(own.clone(), own.clone())));
        // Another's, and one of another node.
        let idle = context.spawn(|_| std::future::pending::<()>());
        context.set_group_leader(&user, &idle);
        let leader = |pid: &Pid| context.node().process_info(pid).expect("it lives").group_leader;
        assert_eq!(leader(&idle), user);
        context.set_group_leader(&own, &sleeper);
        let info = || there.process_info(&sleeper).expect("it lives").group_leader;
        eventually("the other node has it", || info() == own).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_of_a_node_fires_once_for_each_time_it_was_set() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    run(&a, move |mut context| async move {
        let name = b.name().clone();
        context.trap_exit(true);
        for flag in [true, true, true, false] {
            context.monitor_node(name.clone(), flag);
        }
        // Nobody monitors itself.
        context.monitor_node(context.node().name().clone(), true);
        let sleeper = b.spawn(|_| std::future::pending::<()>());
        context.node().connect(&name).await.expect("connects");
        context.link(&sleeper);
        context.monitor(&sleeper);
        // So that both are known there.
        assert!(context.node().ping(&name).await.is_some());
        b.stop().await;
        let told: Vec<Message> = [context.receive().await, context.receive().await].into();
        assert!(matches!(told[..], [Message::Exit { .. }, Message::Down { .. }]), "{told:?}");
        for _ in 0..2 {
            let message = context.receive_timeout(SOON).await.expect("it is down");
            assert!(
                matches!(&message, Message::Node(NodeEvent::Down { node, .. }) if *node == name),
                "{message:?}"
            );
        }
        // One that cannot be reached, and one that cannot be.
        for node in [name.as_str(), "no_node"] {
            context.monitor_node(node, true);
            let message = context.receive_timeout(SOON).await.map(Message::into_term);
            assert_eq!(message, Some(tuple!(atom "nodedown", Term::Atom(node.into()))));
        }
        assert_eq!(context.receive_timeout(Duration::from_millis(50)).await, None);
    })
    .await;
}

#[tokio::test]
async fn timers_send_when_they_are_due_unless_they_are_cancelled() {
    let a = node("a", epmd_port()).await;
    run(&a, |mut context| async move {
        context.register("timed").expect("nobody has the name");
        let ms = Duration::from_millis;
        let own = context.pid().clone();
        let late = context.send_after(ms(60_000), &own, 1);
        let left = context.read_timer(&late).expect("it runs");
        assert!(left <= ms(60_000) && left > ms(50_000), "{left:?}");
        // Somebody else may cancel it.
        let other = own.clone();
        context.spawn(move |context| async move {
            let left = context.cancel_timer(&late).map(|left| left > ms(50_000));
            let again = context.cancel_timer(&late);
            context.send(&other, tuple!(atom "left", left == Some(true), again.is_none())).await;
        });
        assert_eq!(context.receive().await, Message::Term(term!({left, true, true})));
        context.send_after(ms(40), "timed", 3);
        let started = context.start_timer(ms(20), &own, 2);
        assert_eq!(context.receive().await, Message::Term(tuple!(atom "timeout", &started, 2)));
        assert_eq!(context.cancel_timer(&started), None, "it was sent");
        assert_eq!(context.receive().await, Message::Term(3.into()));
        assert_eq!(context.receive_timeout(ms(50)).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_exit_with_a_stack() {
    let a = node("a", epmd_port()).await;
    let line = std::panic::Location::caller();
    async fn careless(_: Context) {
        tokio::task::yield_now().await;
        panic!("number {}", 7);
    }
    run(&a, move |mut context| async move {
        let (pid, _) = context.spawn_monitor(SpawnOptions::default(), careless).expect("no name");
        let reason = down(&mut context).await;
        let_term!(
            {{panic, (text)}, [{_, (function), 1, [{file, (file)}, {line, (number)}]}]} = &reason,
            else { panic!("{reason}") }
        );
        assert_eq!(*text, Term::binary("number 7"));
        assert_eq!(*function, Term::atom("careless"), "of {pid:?}");
        assert!(file.to_string().contains("processes.rs"), "{file}");
        assert_eq!(number.as_u64(), Some(u64::from(line.line()) + 3));
        // Before there is a future.
        let body = |_| -> std::future::Ready<()> { panic!("at once") };
        context.spawn_monitor(SpawnOptions::default(), body).expect("no name");
        assert!(down(&mut context).await.to_string().starts_with("{{panic,<<\"at once\">>},[{"));
    })
    .await;
}

/// Panics as it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_panics_nobody_is_lost() {
    let a = node("a", epmd_port()).await;
    run(&a, |mut context| async move {
        // What is thrown panics as it is dropped.
        let thrown = |_| async {
            if true {
                std::panic::panic_any(Grenade);
            }
        };
        context.spawn_monitor(SpawnOptions::default(), thrown).expect("no name");
        assert!(down(&mut context).await.to_string().contains("without a text"));
        // The body returned, and panics as it goes.
        let returns = |_| {
            let grenade = Grenade;
            async move {
                let _kept = &grenade;
            }
        };
        context.spawn_monitor(SpawnOptions::default(), returns).expect("no name");
        assert!(down(&mut context).await.to_string().contains("on purpose"));
        // An exit signal drops it.
        let waits = |_| async {
            let _grenade = Grenade;
            std::future::pending::<()>().await;
        };
        let (pid, _) = context.spawn_monitor(SpawnOptions::default(), waits).expect("no name");
        tokio::time::sleep(Duration::from_millis(10)).await;
        context.exit(&pid, Term::atom("boom"));
        assert_eq!(down(&mut context).await, Term::atom("boom"));
        assert!(!context.node().processes().contains(&pid));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_that_link_and_unlink_each_other_at_once_agree() {
    let a = node("a", epmd_port()).await;
    for round in 0..200 {
        // Each links and unlinks so often, and at last does what it is told to, at the same moment as the other.
        let done = Arc::new(AtomicUsize::new(0));
        let body = |last: u8| {
            let done = Arc::clone(&done);
            move |mut context: Context| async move {
                let Message::Term(Term::Pid(other)) = context.receive().await else { panic!("a pid") };
                for _ in 0..20 {
                    context.link(&other);
                    context.unlink(&other);
                }
                if last == 1 {
                    context.link(&other);
                }
                done.fetch_add(1, Ordering::SeqCst);
                let _ = context.receive().await;
            }
        };
        let (one, two) = (a.spawn(body(round % 2)), a.spawn(body(1)));
        run(&a, {
            let (one, two) = (one.clone(), two.clone());
            move |context| async move {
                context.send(&one, &two).await;
                context.send(&two, &one).await;
            }
        })
        .await;
        eventually("both are done", || done.load(Ordering::SeqCst) == 2).await;
        let info = |pid: &Pid| a.process_info(pid).expect("it lives");
        let linked = [(&one, &two), (&two, &one)].map(|(own, other)| info(own).links.contains(other));
        assert_eq!(linked[0], linked[1], "in round {round}");
        a.exit(&one, Term::atom("boom"));
        let is_gone = || !a.is_process_alive(&two);
        if linked[1] {
            eventually("the other goes too", is_gone).await;
        } else {
            assert!(!is_gone());
            a.exit(&two, Term::atom("kill"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_hears_of_the_end_of_what_it_has_started() {
    let a = node("a", epmd_port()).await;
    let mut returns = a.spawn_handle(SpawnOptions::default(), |_| async { tuple!(atom "the", 1) }).unwrap();
    assert_eq!(returns.ended().await, tuple!(atom "the", 1));
    let mut killed = a.spawn_handle(SpawnOptions::default(), |_| std::future::pending::<()>()).unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(20), killed.ended()).await;
    assert!(waiting.is_err(), "it lives");
    assert!(a.is_process_alive(killed.pid()));
    killed.exit(Term::atom("boom"));
    assert_eq!(killed.ended().await, Term::atom("boom"));
    assert!(!a.is_process_alive(killed.pid()));
}

#[tokio::test]
async fn names_are_given_to_others_and_taken_away() {
    let a = node("a", epmd_port()).await;
    let idle = || a.spawn(|_| std::future::pending::<()>());
    let (one, two) = (idle(), idle());
    a.register("one", &one).expect("nobody has it");
    for (name, pid) in [("one", &two), ("another", &one), ("undefined", &two)] {
        assert!(a.register(name, pid).is_err(), "{name}");
    }
    assert_eq!(a.whereis("one").as_ref(), Some(&one));
    assert_eq!(a.process_info(&one).expect("it lives").registered_name, Some("one".into()));
    assert!(a.unregister("one") && !a.unregister("one"));
    a.register("two", &one).expect("it has none any more");
    a.exit(&one, Term::atom("kill"));
    eventually("the name goes with it", || a.whereis("two").is_none()).await;
    assert!(a.register("two", &one).is_err(), "it is gone");
}

#[tokio::test]
async fn what_is_known_of_a_process() {
    let a = node("a", epmd_port()).await;
    run(&a, |mut context| async move {
        let own = context.pid().clone();
        let idle = context.spawn_link(SpawnOptions::default(), |_| std::future::pending::<()>()).unwrap();
        context.monitor(&idle);
        context.monitor("nobody");
        context.send(&own, 1).await;
        let info = context.node().process_info(&own).expect("it lives");
        assert_eq!(
            (info.links.as_slice(), info.monitors.as_slice()),
            (&[idle.clone()][..], &[Monitored::Pid(idle.clone())][..])
        );
        assert_eq!((info.message_queue_len, info.trap_exit), (2, false), "a DOWN and a message");
        let seen = context.node().process_info(&idle).expect("it lives");
        assert_eq!(seen.monitored_by, std::slice::from_ref(&own));
        assert!(seen.memory_bytes > 100 && seen.memory_bytes < 2000, "{}", seen.memory_bytes);
        let node = context.node().name().clone();
        let items = ["links", "registered_name", "message_queue_len"].map(Term::atom).to_vec();
        let args = vec![Term::Pid(idle.clone()), Term::list(items)];
        let answer = erpc::call(&mut context, &node, "erlang", "process_info", args, None).await;
        let wanted = Term::list(vec![
            tuple!(atom "links", Term::list(vec![own.into()])),
            tuple!(atom "registered_name", Term::NIL),
            tuple!(atom "message_queue_len", 0),
        ]);
        assert_eq!(answer, Ok(wanted));
        for (item, wanted) in [("registered_name", Some(Term::NIL)), ("no_such", None)] {
            let args = vec![Term::Pid(idle.clone()), Term::atom(item)];
            let answer = erpc::call(&mut context, &node, "erlang", "process_info", args, None).await;
            assert_eq!(answer.ok(), wanted);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_stops_ends_its_processes_and_none_hears_of_another() {
    let a = node("a", epmd_port()).await;
    let (alive, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    /// Counts those that live.
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let (live, hear) = (Arc::clone(&alive), Arc::clone(&heard));
    run(&a, |context| async move {
        let mut last = context.pid().clone();
        for _ in 0..2000 {
            let (live, hear, other) = (Arc::clone(&live), Arc::clone(&hear), last.clone());
            last = context.spawn(move |mut context| async move {
                live.fetch_add(1, Ordering::SeqCst);
                let _counted = Counted(live);
                context.trap_exit(true);
                context.link(&other);
                while let Message::Exit { reason, .. } = context.receive().await {
                    // The first is linked with who ends as a matter of course.
                    hear.fetch_add(
                        usize::from(!reason.is_atom("normal") && !reason.is_atom("noproc")),
                        Ordering::SeqCst,
                    );
                }
            });
        }
    })
    .await;
    eventually("all are there", || alive.load(Ordering::SeqCst) == 2000).await;
    a.stop().await;
    assert_eq!((alive.load(Ordering::SeqCst), heard.load(Ordering::SeqCst)), (0, 0));
    assert!(a.processes().is_empty());
    // One that is started now does not run.
    let late = a.spawn(move |_| async move {
        alive.fetch_add(1, Ordering::SeqCst);
    });
    eventually("it ends", || !a.is_process_alive(&late)).await;
}

/// A message that is lent goes the way of one that is given, in one order with it: before there is a connection, with atoms
/// that are new to the peer, and to every kind of destination.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_lent_arrives_as_one_that_is_given_does() {
    const COUNT: usize = 200;
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    for there in [&a, &b] {
        let (tell, told) = oneshot::channel();
        let pid = there.spawn(move |mut context| async move {
            context.register("lent").expect("the name is free");
            let alias = context.alias(AliasOptions { priority: false, reply: false });
            tell.send(alias).expect("it is waited for");
            let mut received = Vec::new();
            while received.len() < 8 * COUNT {
                received.push(context.receive().await.into_term());
            }
            let pairs = received.chunks(2).map(|pair| (pair[0] == pair[1]).then(|| pair[0].clone()));
            let numbers: Vec<Option<Term>> = pairs.collect();
            let wanted: Vec<Option<Term>> =
                (0..4 * COUNT).map(|number| Some(message(number % COUNT))).collect();
            assert_eq!(numbers, wanted);
        });
        let dests = [
            Dest::Pid(pid.clone()),
            Dest::NameAt("lent".into(), there.name().clone()),
            Dest::Alias(told.await.expect("it lives")),
            Dest::Pid(pid.clone()),
        ];
        let reason = run(&a, async move |mut context| {
            context.monitor(&pid);
            for dest in dests {
                for number in 0..COUNT {
                    context.send_ref(&dest, &message(number)).await;
                    context.send(dest.clone(), message(number)).await;
                }
            }
            down(&mut context).await
        });
        assert_eq!(reason.await, Term::atom("normal"));
    }
}

fn message(number: usize) -> Term {
    tuple!(
        Atom::from(format!("lent_{number}").as_str()),
        Term::from(u32::try_from(number).expect("small")),
        Term::binary(vec![7; 3])
    )
}
