//! Peers that read slowly, or do not finish what they began (wire.md 6, 4.4).

mod support;

use std::time::Duration;

use crabnode::{BusyEvent, Context, Message, Node, NodeConfig, NodeEvent, Pid, Term, TrySendError};
use dist::{Signal, SignalTarget};
use support::{
    config, epmd_port, eventually, node,
    wire::{Wire, hidden},
};
use tokio::{io::AsyncWriteExt, sync::mpsc, time::timeout};

const SOON: Duration = Duration::from_secs(10);

/// A process that hands out what it receives.
fn listener(node: &Node, monitor: bool) -> (Pid, mpsc::UnboundedReceiver<Message>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let pid = node.spawn(move |mut context: Context| async move {
        context.monitor_nodes(monitor);
        ready.send(()).expect("the test waits");
        while sender.send(context.receive().await).is_ok() {}
    });
    tokio::task::block_in_place(|| is_ready.recv()).expect("the process runs");
    (pid, receiver)
}

/// A process of the peer.
fn theirs(number: u32) -> Pid {
    Pid::new(crabnode::Atom::from("peer@localhost"), number, 0, 9)
}

async fn dial(node: &Node) -> Wire {
    let wire = Wire::dial(node.port(), node.name(), "peer@localhost", hidden()).await;
    eventually("connected", || !node.nodes_hidden().is_empty()).await;
    wire
}

/// Sends numbered messages of 10,000 bytes, and tells of each that is queued.
fn sender(node: &Node, count: i64) -> mpsc::UnboundedReceiver<i64> {
    let (queued, receiver) = mpsc::unbounded_channel();
    node.spawn(move |context: Context| async move {
        for n in 0..count {
            context.send(theirs(1), crabnode::tuple!(n, Term::binary(vec![0; 10_000]))).await;
            queued.send(n).expect("the test listens");
        }
    });
    receiver
}

/// Takes what comes until nothing has come for a while, and the sender waits and is not only late. The last number.
async fn until_it_stops(node: &Node, receiver: &mut mpsc::UnboundedReceiver<i64>) -> i64 {
    let mut last = -1;
    let stops = async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            while let Ok(Some(n)) = timeout(Duration::from_millis(300), receiver.recv()).await {
                last = n;
            }
            let link = node.link("peer@localhost").expect("it is up");
            if link.busy_sends >= 1 && link.queued_bytes >= 1 << 20 {
                return;
            }
        }
    };
    timeout(SOON * 2, stops).await.expect("the sender waits");
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_makes_senders_wait_and_nothing_else() {
    const COUNT: i64 = 5000;
    let node = node("a", epmd_port()).await;
    let mut events = node.busy_events();
    let mut wire = dial(&node).await;
    let mut queued = sender(&node, COUNT);
    let stuck_at = until_it_stops(&node, &mut queued).await;
    assert!((100..COUNT - 1).contains(&stuck_at), "the sender waits: {stuck_at}");
    let busy = timeout(SOON, events.next()).await.expect("an event");
    assert!(
        matches!(&busy, Some(BusyEvent::Busy { node, .. }) if node.as_str() == "peer@localhost"),
        "{busy:?}"
    );

    // What comes in comes through.
    let (pid, mut received) = listener(&node, false);
    let hello = Signal::Send {
        from: Some(theirs(1)),
        to: pid,
        message: Term::atom("hello"),
        token: None,
        priority: false,
    };
    wire.send(&hello).await;
    let message = timeout(SOON, received.recv()).await.expect("it is read");
    assert_eq!(message, Some(Message::Term(Term::atom("hello"))));

    // What is no future never waits, and who wants to wait before it can.
    let waited = node.run(async |context| {
        context.link(&theirs(2));
        context.exit(&theirs(2), Term::atom("enough"));
        context.cast(theirs(2), Term::atom("cast"));
        timeout(Duration::from_millis(50), context.wait_for_room("peer@localhost")).await.is_err()
    });
    assert!(timeout(SOON, waited).await.expect("no wait").expect("it ran"), "there is no room");

    // Who does not want to wait gets its message back; who gives up has sent nothing.
    let given_up = node.run(async |context| {
        let refused = context.try_send(theirs(1), Term::atom("refused"));
        let dropped =
            timeout(Duration::from_millis(50), context.send(theirs(1), Term::atom("dropped"))).await;
        (refused, dropped.is_err())
    });
    let (refused, dropped) = timeout(SOON, given_up).await.expect("no wait").expect("it ran");
    let peer = "peer@localhost".into();
    assert_eq!(refused, Err(TrySendError::Busy { node: peer, message: Term::atom("refused") }));
    assert!(dropped, "the send waited");

    // The peer reads: all comes, in order, and no more than that.
    let mut others = 0;
    for wanted in 0..COUNT {
        let message = loop {
            match timeout(SOON, wire.receive()).await.expect("it comes") {
                Some(Signal::Send { to, message, .. }) if to == theirs(1) => break message,
                Some(
                    Signal::Link { to, .. }
                    | Signal::Exit2 { to: SignalTarget::Pid(to), .. }
                    | Signal::Exit { to, .. }
                    | Signal::Send { to, .. },
                ) if to == theirs(2) => others += 1,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(message.as_tuple().map(|fields| &fields[0]), Some(&wanted.into()), "{message}");
    }
    // The link, the exit, the cast, and the end of who made the link.
    assert_eq!(others, 4);
    let nothing = timeout(Duration::from_millis(100), wire.receive()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let free = timeout(SOON, events.next()).await.expect("an event");
    assert!(matches!(free, Some(BusyEvent::Free { .. })), "{free:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_connection_frees_who_waits() {
    let node = node("a", epmd_port()).await;
    let wire = dial(&node).await;
    let mut queued = sender(&node, 5000);
    let stuck_at = until_it_stops(&node, &mut queued).await;
    drop(wire);
    let next = timeout(SOON, queued.recv()).await.expect("the sender goes on");
    assert_eq!(next, Some(stuck_at + 1));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_never_completed_ends_the_connection() {
    let config = NodeConfig { fragment_age_max: Duration::from_secs(1), ..config("a", epmd_port()) };
    let node = Node::start(config).await.expect("the node starts");
    let (pid, mut received) = listener(&node, true);
    let mut wire = dial(&node).await;
    let up = timeout(SOON, received.recv()).await.expect("nodeup");
    assert!(matches!(up, Some(Message::Node(NodeEvent::Up { .. }))), "{up:?}");
    // The first of two fragments of SEND_SENDER, all of whose atoms are spelt out.
    let mut body = bytes::BytesMut::from(&[131, 69][..]);
    body.extend_from_slice(&7_u64.to_be_bytes());
    body.extend_from_slice(&2_u64.to_be_bytes());
    body.extend_from_slice(&[0]);
    crabnode::etf::encode_into(&crabnode::tuple!(22, theirs(1), pid), &mut body);
    let length = u32::try_from(body.len()).expect("it is short").to_be_bytes();
    wire.stream.write_all(&[&length, &body[..]].concat()).await.expect("the node reads");
    // Ticks do not help. One that is late finds the connection closed.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let _ = wire.stream.write_all(&dist::TICK).await;
    }
    let down = timeout(SOON, received.recv()).await.expect("nodedown");
    let Some(Message::Node(NodeEvent::Down { reason, .. })) = down else { panic!("{down:?}") };
    assert_eq!(reason, Term::atom("killed"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_would_break_every_long_message_is_refused() {
    let config = NodeConfig { fragment_age_max: Duration::ZERO, ..config("a", epmd_port()) };
    let error = Node::start(config).await.expect_err("refused");
    assert_eq!(error.to_string(), "fragment_age_max is 0 s: it must be at least 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_longer_than_all_that_may_wait_goes_through() {
    let port = epmd_port();
    let small = NodeConfig { out_bytes_max: 1 << 20, busy_bytes: 64 << 10, ..config("a", port) };
    let (a, b) = (Node::start(small).await.expect("it starts"), node("b", port).await);
    let (pid, mut received) = listener(&b, false);
    // Whole, and in fragments; the first makes the connection.
    for size in [3 << 19, 8 << 20, 3 << 19] {
        let pid = pid.clone();
        a.run(async move |context| context.send(&pid, Term::binary(vec![7; size])).await)
            .await
            .expect("it runs");
        let message = timeout(SOON, received.recv()).await.expect("it comes");
        assert!(message == Some(Message::Term(Term::binary(vec![7; size]))), "{size}");
    }
    assert_eq!(a.nodes().len(), 1);
    a.stop().await;
    b.stop().await;
}
