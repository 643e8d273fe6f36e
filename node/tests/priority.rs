//! Aliases and messages with priority, between processes of one node.

use std::time::Duration;

use crabnode::{AliasOptions, Context, Dest, Message, Term};

mod support;

const PRIORITY: AliasOptions = AliasOptions { priority: true, reply: false };

async fn rest(context: &mut Context) -> Vec<String> {
    let mut rest = Vec::new();
    while let Some(message) = context.receive_timeout(Duration::from_millis(20)).await {
        rest.push(match message {
            Message::Exit { reason, .. } => format!("exit {reason}"),
            Message::Down { reason, .. } => format!("down {reason}"),
            message => message.into_term().to_string(),
        });
    }
    rest
}

#[tokio::test]
async fn priority_messages_come_first_by_aliases_that_allow_them() {
    let node = support::node("a", support::epmd_port()).await;
    let received = support::run(&node, async |mut context: Context| {
        context.trap_exit(true);
        let (urgent, plain) = (context.alias(PRIORITY), context.alias(AliasOptions::default()));
        let own = context.pid().clone();
        context.send(&own, 1).await;
        context.send_priority(Dest::Alias(urgent.clone()), 2).await;
        context.send_priority(Dest::Alias(plain.clone()), 3).await;
        context.send_priority(&own, 4).await;
        context.send(Dest::Alias(urgent.clone()), 5).await;
        context.exit_alias(&urgent, Term::atom("six"), true);
        context.exit_alias(&urgent, Term::atom("seven"), false);
        // One that a selective receive has passed over waits on, behind what comes before it now.
        let four = context.receive_match(|message| (*message == Message::Term(4.into())).then_some(())).await;
        context.send_priority(Dest::Alias(urgent.clone()), 8).await;
        assert_eq!((four, context.message_queue_len()), ((), 7));
        assert!(context.unalias(&urgent) && !context.unalias(&urgent));
        context.send_priority(Dest::Alias(urgent), 9).await;
        let reply = context.alias(AliasOptions { priority: true, reply: true });
        for n in [10, 11] {
            context.send_priority(Dest::Alias(reply.clone()), n).await;
        }
        rest(&mut context).await
    });
    assert_eq!(received.await, ["2", "exit six", "8", "10", "1", "3", "5", "exit seven"]);
    node.stop().await;
}

/// While the process waits in a selective receive for one that comes later.
#[tokio::test]
async fn a_selective_receive_finds_priority_messages_that_come_meanwhile() {
    let node = support::node("a", support::epmd_port()).await;
    let received = support::run(&node, async |mut context: Context| {
        let alias = context.alias(PRIORITY);
        let own = context.pid().clone();
        context.send(&own, 1).await;
        context.spawn(move |context: Context| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            context.send_priority(Dest::Alias(alias.clone()), 2).await;
            context.send_priority(Dest::Alias(alias), 3).await;
        });
        let wanted =
            context.receive_match(|message| (*message == Message::Term(3.into())).then_some(3)).await;
        (wanted, rest(&mut context).await)
    });
    assert_eq!(received.await, (3, vec!["2".to_owned(), "1".to_owned()]));
    node.stop().await;
}

#[tokio::test]
async fn links_and_monitors_can_be_told_with_priority() {
    let node = support::node("a", support::epmd_port()).await;
    let received = support::run(&node, async |mut context: Context| {
        context.trap_exit(true);
        let own = context.pid().clone();
        let end = |reason: &'static str| {
            move |mut context: Context| async move {
                context.receive().await;
                Term::atom(reason)
            }
        };
        let (linked, again, watched, plain) = (
            context.spawn(end("linked")),
            context.spawn(end("again")),
            context.spawn(end("watched")),
            context.spawn(end("plain")),
        );
        context.link_priority(&linked);
        context.link_priority(&again);
        // The last word counts.
        context.link(&again);
        context.monitor_priority(&watched);
        context.monitor(&plain);
        context.send(&own, 1).await;
        for pid in [plain, again, watched, linked] {
            context.send(&pid, 0).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rest(&mut context).await
    });
    assert_eq!(received.await, ["down watched", "exit linked", "1", "down plain", "exit again"]);
    node.stop().await;
}
