//! The numbers of a connection: on the API, and as a recorder of the crate `metrics` sees them.

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use crabnode::{Message, Node, NodeConfig, Term};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use support::{
    config, epmd_port, eventually, node, run,
    wire::{Wire, hidden},
};
use tokio::io::AsyncWriteExt;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_side_has_sent_the_other_has_received() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let before = wall();
    a.connect(b.name()).await.expect("connects");
    eventually("both know", || !b.links().is_empty()).await;
    let to =
        b.spawn(|mut context| async move { while context.receive().await != Message::Term(0.into()) {} });
    run(&a, async move |context| {
        context.send(&to, Term::binary(vec![0; 5 << 20])).await;
        for n in (0..1000).rev() {
            context.send(&to, n).await;
        }
    })
    .await;
    let same = || {
        let (Some(a_to_b), Some(b_to_a)) = (a.link(b.name()), b.link(a.name())) else { return false };
        [(&a_to_b, &b_to_a), (&b_to_a, &a_to_b)].into_iter().all(|(from, to)| {
            from.sent_messages == to.received_messages
                && from.sent_bytes == to.received_bytes
                && from.sent_fragments == to.received_fragments
                && from.queued_bytes == 0
        }) && a_to_b.sent_messages > 1000
    };
    eventually("the numbers agree", same).await;
    // `global` may say something in between.
    eventually("the list has it", || a.link(b.name()).is_some_and(|link| a.links() == [link])).await;
    let link = a.link(b.name()).expect("it is up");
    assert_eq!((&link.node, link.creation, link.visible), (b.name(), b.creation(), true));
    assert!((before..=wall()).contains(&link.up_since));
    // One with the header, then 5 MiB and the binary's own few bytes in pieces of 256 KiB.
    assert_eq!(link.sent_fragments, 1 + 20 + 1);
    assert!(link.sent_bytes > 5 << 20, "{}", link.sent_bytes);
    assert_eq!((link.last_tick_sent, link.round_trip), (None, None));

    let time = a.ping(b.name()).await.expect("it answers");
    assert!(!time.is_zero() && time < Duration::from_secs(5), "{time:?}");
    assert_eq!(a.link(b.name()).expect("it is up").round_trip, Some(time));
    assert_eq!(a.ping("nobody@localhost").await, None);
    assert_eq!(a.ping(a.name()).await, Some(Duration::ZERO));

    a.disconnect(b.name());
    eventually("it is gone", || a.links().is_empty() && b.links().is_empty()).await;
    assert_eq!(a.link(b.name()), None);
}

#[expect(clippy::disallowed_methods, reason = "a test is its own driver")]
fn wall() -> SystemTime {
    SystemTime::now()
}

/// All in one thread, which is where the recorder is.
#[test]
fn a_recorder_sees_what_the_api_says() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let config = NodeConfig { net_ticktime: Duration::from_secs(8), ..config("a", epmd_port()) };
            let node = Node::start(config).await.expect("the node starts");
            let peer = "peer@localhost";
            let mut wire = Wire::dial(node.port(), node.name(), peer, hidden()).await;
            eventually("connected", || node.link(peer).is_some()).await;
            assert_eq!(node.link(peer).and_then(|link| link.last_tick_received), None);
            wire.stream.write_all(&dist::TICK).await.expect("the node reads");
            let ticked = || node.link(peer).is_some_and(|link| link.last_tick_sent.is_some());
            eventually("a tick", ticked).await;
            let link = node.link(peer).expect("it is up");
            assert!(link.last_tick_received.is_some_and(|ago| ago < Duration::from_secs(10)), "{link:?}");
            // A snapshot takes the numbers away: the next has what happened since.
            let seen = seen(snapshotter.snapshot(), peer);
            let link = node.link(peer).expect("it is up");
            assert_eq!(seen["crabnode_links"], 1.0);
            assert_eq!(seen["crabnode_link_received_ticks_total"], 1.0);
            assert_eq!(seen["crabnode_link_received_bytes_total"], 4.0);
            assert_eq!(link.received_bytes, 4);
            assert!(seen["crabnode_link_sent_ticks_total"] >= 1.0);
            assert!(seen["crabnode_link_sent_bytes_total"] >= 4.0);
            assert_eq!(seen["crabnode_link_received_messages_total"], 0.0);
            assert_eq!(seen["crabnode_link_queued_bytes"], 0.0);
            drop(wire);
            eventually("it is gone", || node.links().is_empty()).await;
            let after = self::seen(snapshotter.snapshot(), peer);
            assert_eq!(after["crabnode_links"], -1.0, "one less than before");
            node.stop().await;
        });
    });
}

/// The numbers without a peer, and those of this one.
fn seen(snapshot: metrics_util::debugging::Snapshot, peer: &str) -> BTreeMap<String, f64> {
    let all = snapshot.into_vec().into_iter();
    all.filter(|(key, ..)| key.key().labels().all(|label| label.key() == "peer" && label.value() == peer))
        .filter_map(|(key, _, description, value)| {
            assert!(description.is_some(), "{key:?} says what it is");
            let value = match value {
                DebugValue::Counter(value) => u32::try_from(value).expect("it is small").into(),
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(_) => return None,
            };
            Some((key.key().name().to_owned(), value))
        })
        .collect()
}
