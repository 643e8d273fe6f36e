use std::{future::Future, pin::pin, task};

use etf::{Pid, Term};

use super::*;
use crate::{
    net::{BusyEvent, BusyEvents},
    peers::Peers,
};

const FLAGS: DistFlags = DistFlags::OFFERED;

fn route(bytes_max: usize) -> Arc<Route> {
    route_and_events(bytes_max).0
}

fn route_and_events(bytes_max: usize) -> (Arc<Route>, BusyEvents) {
    let busy = BusySender::new();
    let events = busy.subscribe();
    (Route::new("b@h".into(), RouteLimits { busy_bytes: 1000, bytes_max }, busy), events)
}

fn id() -> ConnectionId {
    Peers::new("a@h".parse().expect("a node name")).connection_id()
}

fn facts() -> Facts {
    Facts { node: "b@h".into(), creation: 7, visible: true, up_since: std::time::UNIX_EPOCH }
}

fn pid(number: u32) -> Pid {
    Pid::new(Atom::from("a@h"), number, 0, 1)
}

fn message(bytes: usize) -> Signal {
    message_of(&pid(1), bytes)
}

fn message_of(from: &Pid, bytes: usize) -> Signal {
    let to = Pid::new(Atom::from("b@h"), 1, 0, 1);
    let message = Term::binary(vec![0; bytes]);
    Signal::Send { from: Some(from.clone()), to, message, token: None, priority: false }
}

/// What one look at the future gives. Its waker does nothing: the test looks again by itself.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> task::Poll<F::Output> {
    future.poll(&mut task::Context::from_waker(task::Waker::noop()))
}

fn take(route: &Route) -> usize {
    let mut out = Segments::new();
    route.take(&mut out);
    out.len()
}

#[test]
fn what_waits_for_a_connection_is_limited_in_bytes() {
    let route = route(10_000);
    assert_eq!(route.push(&message(6000)), Pushed::Queued);
    assert_eq!(route.push(&message(6000)), Pushed::Lost);
    assert_eq!(route.try_send(&message(1)), None, "above `busy_bytes` who can wait does");
    assert_eq!(route.push(&message(3000)), Pushed::Queued, "a smaller one still fits");
    assert_eq!(route.up(id(), FLAGS, facts()), []);
    let mut out = Segments::new();
    assert_eq!(route.take(&mut out), Some(Taken { messages: 2, fragments: 0 }));
    assert!((9000..10_000).contains(&out.len()), "{}", out.len());
    assert_eq!(route.take(&mut out), None);
}

#[test]
fn a_queue_above_its_limit_is_given_up_at_once() {
    let route = route(10_000);
    assert_eq!(route.up(id(), FLAGS, facts()), []);
    assert_eq!(route.push(&message(500)), Pushed::Queued);
    assert_eq!(route.push(&message(1000)), Pushed::Queued);
    assert_eq!(route.push(&message(10_000)), Pushed::Lost);
    assert!(route.is_overrun());
    assert_eq!(route.push(&message(1)), Pushed::Lost);
    assert_eq!(route.take(&mut Segments::new()), None, "nothing of it is kept");
}

#[test]
fn one_message_may_be_longer_than_all_that_may_wait() {
    let route = route(10_000);
    route.up(id(), FLAGS, facts());
    assert_eq!(route.push(&message(50_000)), Pushed::Queued, "nothing else waits");
    let (long, short) = (message(20_000), message_of(&pid(2), 1));
    let (mut first, mut second) = (pin!(route.send(&long)), pin!(route.send(&short)));
    assert!(poll(first.as_mut()).is_pending(), "the next one has to wait");
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(route.push(&message(5000)), Pushed::Queued, "what cannot wait has the room it always has");
    assert!((55_000..56_000).contains(&take(&route)));
    assert_eq!(poll(first.as_mut()), task::Poll::Ready(Pushed::Queued));
    assert!((20_000..21_000).contains(&take(&route)));
    assert_eq!(poll(second.as_mut()), task::Poll::Ready(Pushed::Queued));
    // The limit is the old one again.
    assert_eq!(route.push(&message(9000)), Pushed::Queued);
    assert!(!route.is_overrun());
    assert_eq!(route.push(&message(2000)), Pushed::Lost);
    assert!(route.is_overrun());
}

#[test]
fn the_first_message_for_a_connection_to_come_may_be_longer_too() {
    let route = route(10_000);
    assert_eq!(route.push(&message(50_000)), Pushed::Queued);
    assert_eq!(route.push(&message(1)), Pushed::Lost);
    assert_eq!(route.try_send(&message(1)), None);
    assert_eq!(route.up(id(), FLAGS, facts()), []);
    assert_eq!(route.push(&message(1)), Pushed::Queued);
    assert!(take(&route) > 50_000);
}

#[test]
fn what_the_peer_cannot_be_sent_comes_back_from_the_wait() {
    let unlink = |creation| {
        let (from, to) = (pid(1), Pid::new(Atom::from("b@h"), 1, 0, creation));
        Signal::Unlink { id: std::num::NonZeroU64::new(1), from, to }
    };
    let route = route(10_000);
    let (now, before) = (unlink(facts().creation), unlink(facts().creation - 1));
    for signal in [&now, &before] {
        assert_eq!(route.push(signal), Pushed::Queued);
    }
    let unsent = route.up(id(), FLAGS.without(DistFlags::UNLINK_ID), facts());
    let withheld = Pushed::Withheld(Withheld::Incarnation);
    assert_eq!(unsent, [(now, Pushed::Queued), (before, withheld)], "nobody will acknowledge either");
}

#[test]
fn a_send_waits_before_it_queues_and_is_undone_by_dropping_it() {
    let route = route(100_000);
    route.up(id(), FLAGS, facts());
    let signal = message(2000);
    assert_eq!(poll(pin!(route.send(&signal))), task::Poll::Ready(Pushed::Queued), "past it by its length");
    {
        let mut waiting = pin!(route.send(&signal));
        assert_eq!(poll(waiting.as_mut()), task::Poll::Pending);
        assert_eq!(route.try_send(&signal), None);
    }
    let first = take(&route);
    assert!((2000..2200).contains(&first), "one message and no more: {first}");
    assert_eq!(take(&route), 0, "what was dropped is not sent later");
    assert_eq!(route.try_send(&signal), Some(Pushed::Queued));
}

#[test]
fn of_those_who_wait_one_finds_the_room_and_the_first_comes_first() {
    let route = route(100_000);
    route.up(id(), FLAGS, facts());
    route.push(&message(2000));
    let (long, short) = (message_of(&pid(2), 3000), message_of(&pid(3), 50));
    let (mut first, mut second) = (pin!(route.send(&long)), pin!(route.send(&short)));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    take(&route);
    assert!(poll(first.as_mut()).is_ready());
    assert!(poll(second.as_mut()).is_pending(), "the first has taken the room");
    assert!((3000..3200).contains(&take(&route)));
    assert!(poll(second.as_mut()).is_ready());
}

#[test]
fn who_waits_for_a_message_of_its_own_keeps_nobody() {
    let route = route(100 << 20);
    route.up(id(), FLAGS, facts());
    route.push(&message(Outbound::WHOLE_BYTES_MAX + 1));
    let (own, other) = (message(1), message_of(&pid(2), 1));
    let mut waiting = pin!(route.send(&own));
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(route.try_send(&other), Some(Pushed::Queued));
    // The header and the first fragments leave it waiting; the last one frees it.
    let mut takes = 0;
    while poll(waiting.as_mut()).is_pending() {
        assert!(take(&route) > 0, "it waits for nothing");
        takes += 1;
    }
    assert_eq!(takes, Outbound::WHOLE_BYTES_MAX / Outbound::FRAGMENT_BYTES + 1);
}

#[test]
fn many_long_messages_are_limited_too_before_the_connection_is_given_up() {
    let route = route(16 << 20);
    route.up(id(), FLAGS, facts());
    for sender in 1..=3 {
        assert_eq!(route.try_send(&message_of(&pid(sender), 3 << 20)), Some(Pushed::Queued), "{sender}");
        // What is ready goes out, the rest of each is to follow.
        take(&route);
    }
    assert_eq!(route.try_send(&message_of(&pid(5), 3 << 20)), None);
}

#[test]
fn a_connection_that_ends_lets_its_senders_go() {
    let route = route(100_000);
    route.up(id(), FLAGS, facts());
    route.push(&message(2000));
    let signal = message(1);
    let mut waiting = pin!(route.send(&signal));
    assert!(poll(waiting.as_mut()).is_pending());
    route.close(ConnectError::Stopped);
    assert_eq!(poll(waiting.as_mut()), task::Poll::Ready(Pushed::Lost));
}

#[tokio::test]
async fn busy_is_told_once_until_there_is_room() {
    let (route, mut events) = route_and_events(100_000);
    route.up(id(), FLAGS, facts());
    route.push(&message(2000));
    for _ in 0..3 {
        assert_eq!(route.try_send(&message(1)), None);
    }
    take(&route);
    let node = Atom::from("b@h");
    assert_eq!(events.next().await, Some(BusyEvent::Busy { node: node.clone(), sender: pid(1) }));
    let free = events.next().await;
    assert!(matches!(&free, Some(BusyEvent::Free { node: n, sends: 3, .. }) if *n == node), "{free:?}");
    take(&route);
    // Whoever does not read loses the oldest and is told.
    for _ in 0..200 {
        route.push(&message(2000));
        assert_eq!(route.try_send(&message(1)), None);
        take(&route);
    }
    let missed = events.next().await;
    assert_eq!(missed, Some(BusyEvent::Missed { events: 400 - 256 }));
}

#[test]
fn the_numbers_are_those_of_the_queue() {
    let route = route(16 << 20);
    route.push(&message(100));
    assert_eq!(route.info(), None, "it is not up");
    route.up(id(), FLAGS, facts());
    route.push(&message(Outbound::WHOLE_BYTES_MAX + 1));
    let info = route.info().expect("it is up");
    assert_eq!((info.creation, info.visible, info.up_since), (7, true, std::time::UNIX_EPOCH));
    let queued = usize::try_from(info.queued_bytes).expect("it is in memory");
    let expected = Outbound::WHOLE_BYTES_MAX + 100;
    assert!((expected..expected + 400).contains(&queued), "{queued}");
    assert_eq!(route.try_send(&message(1)), None, "behind its own");
    assert_eq!(route.info().expect("it is up").busy_sends, 0, "which is not the budget");
    let mut last = None;
    let mut out = Segments::new();
    while let Some(taken) = route.take(&mut out) {
        last = Some(taken);
        out.clear();
    }
    let fragments = (Outbound::WHOLE_BYTES_MAX / Outbound::FRAGMENT_BYTES + 2) as u64;
    assert_eq!(last, Some(Taken { messages: 2, fragments }));
    assert_eq!(route.info().expect("it is up").queued_bytes, 0);
}

#[test]
fn a_send_that_waits_is_counted_once() {
    let route = route(100_000);
    route.up(id(), FLAGS, facts());
    route.push(&message(2000));
    let signal = message(1);
    let mut waiting = pin!(route.send(&signal));
    for _ in 0..3 {
        assert!(poll(waiting.as_mut()).is_pending());
        // There was room for a moment, and another has it.
        take(&route);
        route.push(&message(2000));
    }
    assert_eq!(route.info().expect("it is up").busy_sends, 1);
}
