//! What `dist_ac` does and sees, for programs: every act with its reason.
//!
//! [`Applications::events`](crate::Applications::events) is a subscription. What is mended of the faults of stock nodes is
//! among it (dist_ac.md 6), and so is all that stock OTP does without a word: failovers, takeovers, permissions.

use std::{fmt, time::Duration};

use etf::{Atom, Term};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{
    application::StartType,
    heal::{Act, Fault},
};

mod recorder;
pub(crate) use recorder::Recorder;

/// How many events are kept for a subscriber that does not read them. The death of a node is some three events for each
/// application that it ran. When there are more the oldest go: what is the case now matters more.
pub const EVENTS_MAX: usize = 1024;

/// Something that happened to a distributed application, or was done about one, as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The application; nothing where it is about nodes alone.
    pub app: Option<Atom>,
    /// Where it happens.
    pub node: Atom,
    /// What happens.
    pub what: What,
    /// The reason.
    pub why: Why,
    /// Whether it is really done. Not in a dry run, and a conflict is only seen with
    /// [`Heal::Off`](crate::heal::Heal::Off).
    pub done: bool,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// Two copies have met, and one gives way.
    Conflict {
        /// Where it goes on.
        winner: Atom,
        /// Where it stops.
        loser: Atom,
    },
    /// A decision about who runs it could not be made.
    DecisionFailed,
    /// Its runner is dead, and after this wait the others decide; nothing is an infinite restart time.
    FailoverPending {
        /// The wait.
        after: Option<Duration>,
    },
    /// Something is mended. A start that is tried again is [`Act::Start`] for [`Fault::FailedStart`].
    Heal(Act),
    /// The priority lists of this node and of another differ, and the application is not shared with it (L15).
    Mismatch,
    /// The node may run it from now on, or may not.
    Permission(bool),
    /// It runs there: the start is over, its phases too.
    Runs,
    /// It is not believed any more to run there.
    RunsNot,
    /// The node stands by for the one that runs it.
    StandsBy {
        /// Who runs it.
        runner: Atom,
    },
    /// The start has failed.
    StartFailed,
    /// It is being started: normally, as a failover or as a takeover.
    Starts(StartType),
    /// It has stopped there.
    Stopped,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Somebody called a function of `application` at this node: start, stop, takeover, permit.
    Called,
    /// So it ended by itself, or that is the error.
    Exited(Term),
    /// One of the faults of dist_ac.md 6.
    Fault(Fault),
    /// A node went down.
    NodeDown(Atom),
    /// A node said so.
    NodeSaid(Atom),
    /// Permissions have changed.
    Permissions,
    /// It was given another priority list there.
    PriorityList(Atom),
}

/// A subscription to what happens from now on; see [`Applications::events`](crate::Applications::events).
///
/// It holds the newest [`EVENTS_MAX`] events for its owner. One that reads too slowly loses the oldest, keeps nobody
/// waiting, and finds in [`Events::missed`] how many it lost.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    missed: u64,
}

/// Where events are published. The subscriptions end with it.
#[derive(Debug)]
pub(crate) struct Publisher(broadcast::Sender<Event>);

/// Where one subscribes, as long as there is a publisher.
#[derive(Debug)]
pub(crate) struct Subscriptions(broadcast::WeakSender<Event>);

impl Events {
    /// The next event, in the order in which they happened; nothing when the node is no more. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(events)) => self.missed += events,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many events were lost so far because they were not read in time. It grows when [`Events::next`] gives one that
    /// is not the next.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl Publisher {
    pub(crate) fn new() -> (Self, Subscriptions) {
        let sender = broadcast::Sender::new(EVENTS_MAX);
        let weak = sender.downgrade();
        (Self(sender), Subscriptions(weak))
    }

    pub(crate) fn publish(&self, event: Event) {
        // An error means that nobody listens.
        let _ = self.0.send(event);
    }
}

impl Subscriptions {
    pub(crate) fn subscribe(&self) -> Events {
        // One of a publisher that is gone gives nothing.
        let receiver = self.0.upgrade().map_or_else(|| broadcast::channel(1).1, |sender| sender.subscribe());
        Events { receiver, missed: 0 }
    }
}

/// One line for people: `m8ball at b@h: starts as {failover,'a@h'}, since a@h went down`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, node, what, why, done } = self;
        if let Some(app) = app {
            write!(f, "{app} at ")?;
        }
        write!(f, "{node}: {what}, {why}")?;
        if *done { Ok(()) } else { f.write_str(" (not done, only seen)") }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { winner, loser } => {
                write!(f, "of two copies that of {winner} stays, not that of {loser}")
            }
            Self::DecisionFailed => f.write_str("nobody can be chosen"),
            Self::FailoverPending { after: Some(after) } => {
                write!(f, "a failover in {} ms", after.as_millis())
            }
            Self::FailoverPending { after: None } => f.write_str("no failover, its restart time is infinite"),
            Self::Heal(Act::Introduce { one, other }) => {
                write!(f, "introduces {one} and {other} to each other")
            }
            Self::Heal(Act::Start { after: Some(after), .. }) => {
                write!(f, "members decide in {} ms who starts it", after.as_millis())
            }
            Self::Heal(Act::Start { after: None, .. }) => {
                f.write_str("its restart time is infinite, nobody starts it")
            }
            Self::Heal(Act::Restart { winner, .. }) => {
                write!(f, "stopped and started again, it goes on at {winner}")
            }
            Self::Heal(Act::StandBy { runner, .. }) => write!(f, "told to stand by for {runner}"),
            Self::Heal(Act::Stop { winner, .. }) => write!(f, "told to stop, it goes on at {winner}"),
            Self::Heal(Act::TakeOver { .. }) => f.write_str("told to take over"),
            Self::Heal(Act::Weigh { other, .. }) => write!(f, "told the weight of {other}"),
            Self::Heal(Act::GoOn { without, .. }) => write!(f, "told to go on without {without}"),
            Self::Mismatch => f.write_str("not shared"),
            Self::Permission(true) => f.write_str("permitted"),
            Self::Permission(false) => f.write_str("not permitted"),
            Self::Runs => f.write_str("runs"),
            Self::RunsNot => f.write_str("is not believed to run"),
            Self::StandsBy { runner } => write!(f, "stands by for {runner}"),
            Self::StartFailed => f.write_str("start failed"),
            Self::Starts(start_type) => write!(f, "starts as {}", start_type.to_term()),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called => f.write_str("as was asked"),
            Self::Exited(reason) => write!(f, "with {reason}"),
            Self::Fault(fault) => write!(f, "since {fault}"),
            Self::NodeDown(node) => write!(f, "since {node} went down"),
            Self::NodeSaid(node) => write!(f, "as {node} said"),
            Self::Permissions => f.write_str("since permissions changed"),
            Self::PriorityList(node) => write!(f, "since {node} has another priority list (L15)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nth(nth: usize) -> Event {
        let app = Some(format!("app{nth}").as_str().into());
        Event { app, node: "a".into(), what: What::Runs, why: Why::Called, done: true }
    }

    #[tokio::test]
    async fn a_slow_subscriber_loses_the_oldest_and_counts_them() {
        let (publisher, subscriptions) = Publisher::new();
        let (mut slow, mut quick) = (subscriptions.subscribe(), subscriptions.subscribe());
        for number in 0..EVENTS_MAX + 7 {
            publisher.publish(nth(number));
            assert_eq!(quick.next().await, Some(nth(number)));
        }
        assert_eq!(slow.next().await, Some(nth(7)));
        assert_eq!((slow.missed(), quick.missed()), (7, 0));
        drop(publisher);
        for number in 8..EVENTS_MAX + 7 {
            assert_eq!(slow.next().await, Some(nth(number)));
        }
        assert_eq!((slow.next().await, quick.next().await), (None, None));
        assert_eq!(subscriptions.subscribe().next().await, None, "there is nothing to subscribe to any more");
    }
}
