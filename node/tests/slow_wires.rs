//! Nodes that read slowly, in virtual time: they live, nothing is lost, and who sends to them waits.

mod support;

use std::{sync::Arc, time::Duration};

use crabnode::{BusyEvent, Context, Message, Node, NodeConfig, NodeEvent, Pid, Term, TrySendError, tuple};
use support::{config, lossy::Wire};
use tokio::{sync::mpsc, time::Instant};

const TICKTIME: Duration = Duration::from_secs(1);

/// A node that connects and one that is connected to, with the wire between them.
async fn nodes(read_per_ms: [Option<usize>; 2]) -> [Node; 2] {
    let wire = Wire::default();
    wire.slow_down(read_per_ms);
    let start = async |alive: &str| {
        let config = NodeConfig {
            carrier: Arc::new(wire.clone()),
            start_epmd: false,
            hidden: true,
            net_ticktime: TICKTIME,
            ..config(alive, 1)
        };
        Node::start(config).await.expect("the node starts")
    };
    [start("a").await, start("b").await]
}

/// A process that hands out what it receives.
fn listener(node: &Node) -> (Pid, mpsc::UnboundedReceiver<Message>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let pid = node.spawn(async move |mut context: Context| {
        context.trap_exit(true);
        context.monitor_nodes(true);
        while sender.send(context.receive().await).is_ok() {}
    });
    (pid, receiver)
}

/// A byte in a millisecond: a message takes twenty ticktimes, in which nothing is whole. And idle afterwards.
#[tokio::test(start_paused = true)]
async fn who_reads_a_byte_at_a_time_lives() {
    for slow in [[None, Some(1)], [Some(1), None], [Some(1), Some(1)]] {
        let [a, b] = nodes(slow).await;
        let ((to_a, mut at_a), (to_b, mut at_b)) = (listener(&a), listener(&b));
        a.connect(b.name()).await.expect("connects within the time for it");
        let start = Instant::now();
        let long = Term::binary(vec![7; 20_000]);
        for (node, to) in [(&a, to_b), (&b, to_a)] {
            let message = long.clone();
            node.spawn(async move |context: Context| {
                context.link(&to);
                context.send(&to, message).await;
                std::future::pending::<()>().await;
            });
        }
        for at in [&mut at_a, &mut at_b] {
            assert!(matches!(at.recv().await, Some(Message::Node(NodeEvent::Up { .. }))));
            assert_eq!(at.recv().await, Some(Message::Term(long.clone())));
        }
        assert!(start.elapsed() > 20 * TICKTIME, "{:?}", start.elapsed());
        tokio::time::sleep(20 * TICKTIME).await;
        assert!(at_a.try_recv().is_err() && at_b.try_recv().is_err(), "no nodedown, no exit");
        a.stop().await;
        b.stop().await;
    }
}

/// More is sent than may wait: the sender waits and is told so, everything comes in order, and all the while the other
/// direction is free.
#[tokio::test(start_paused = true)]
async fn who_sends_to_a_slow_reader_waits_and_loses_nothing() {
    const COUNT: i64 = 300;
    let [a, b] = nodes([None, Some(256)]).await;
    let ((to_a, mut at_a), (to_b, mut at_b)) = (listener(&a), listener(&b));
    a.connect(b.name()).await.expect("connects");
    let mut busy = a.busy_events();
    let (queued, mut is_queued) = mpsc::unbounded_channel();
    a.spawn(async move |context: Context| {
        for n in 0..COUNT {
            let message = tuple!(n, Term::binary(vec![0; 10_000]));
            // What it cannot take at once it gives back, whole.
            let refused = match context.try_send(&to_b, message.clone()) {
                Ok(()) => false,
                Err(TrySendError::Busy { message: back, .. }) => {
                    assert_eq!(back, message);
                    context.send(&to_b, back).await;
                    true
                }
                Err(error @ TrySendError::Lost { .. }) => panic!("{error}"),
            };
            queued.send((refused, Instant::now())).expect("the test listens");
        }
    });
    let start = Instant::now();
    let event = busy.next().await;
    assert!(matches!(&event, Some(BusyEvent::Busy { node, .. }) if node == b.name()), "{event:?}");
    // What goes the other way is there at once, though the wire is full in this one.
    assert!(matches!(at_a.recv().await, Some(Message::Node(NodeEvent::Up { .. }))));
    b.spawn(async move |context: Context| context.send(&to_a, Term::atom("hello")).await);
    let before = Instant::now();
    assert_eq!(at_a.recv().await, Some(Message::Term(Term::atom("hello"))));
    assert!(before.elapsed() < Duration::from_millis(10), "{:?}", before.elapsed());

    assert!(matches!(at_b.recv().await, Some(Message::Node(NodeEvent::Up { .. }))));
    for n in 0..COUNT {
        let Some(Message::Term(message)) = at_b.recv().await else { panic!("message {n} comes") };
        assert_eq!(message.as_tuple().and_then(|parts| parts[0].as_int()), Some(n));
    }
    // 3 MB at 256 bytes in a millisecond. The last could be queued when the one MiB that is being written and the one
    // that may wait were left.
    let took = start.elapsed();
    assert!((10 * TICKTIME..14 * TICKTIME).contains(&took), "{took:?}");
    let (mut refused, mut last) = (0, start);
    while let Ok((was_refused, at)) = is_queued.try_recv() {
        refused += i64::from(was_refused);
        last = at;
    }
    let waited = last - start;
    assert!((3 * TICKTIME..6 * TICKTIME).contains(&waited), "{waited:?} of {took:?}");
    assert!(refused > 0, "some were given back");
    tokio::time::sleep(10 * TICKTIME).await;
    assert!(at_a.try_recv().is_err() && at_b.try_recv().is_err(), "no nodedown");
    a.stop().await;
    b.stop().await;
}
