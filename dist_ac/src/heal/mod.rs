//! Healing: what stock nodes leave broken, and what is done about it (dist_ac.md 6).
//!
//! `{crabnode, [{heal, off | self | cluster}, {heal_dry_run, true | false}]}` in `sys.config` says how far it goes. With
//! `self`, the [`Engine`](crate::engine::Engine) resolves every conflict that this node is part of; with `cluster`, a
//! [`Healer`] beside it also looks at stock nodes, and tells them by their own messages what they missed.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the configuration, the rule for conflicts, what is reported |
//! | `healer.rs` | who leads, when to look, what was asked and answered |
//! | `view.rs` | what a stock node says of itself |
//! | `diagnosis.rs` | what is wrong, and what mends it |
//! | `diagnosis/copies.rs` | several copies, all of which but one stop |
//! | `diagnosis/waits.rs` | for what blocked nodes wait, and what gets them out of it |

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use etf::Atom;

mod diagnosis;
mod healer;
mod view;
pub(crate) use view::{ids_and_known, records};

pub use healer::{Answer, Healer, Input, Output, Question};

#[cfg(test)]
mod tests;

/// How much is mended: `{crabnode, [{heal, off | self | cluster}]}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Heal {
    /// Nothing: a conflict is only reported. Peers of ours still mend what concerns them.
    Off,
    /// Every conflict that this node is part of.
    #[default]
    Own,
    /// Stock nodes as well. One member of those that are willing does it for all: the one with the smallest name.
    Cluster,
}

impl Heal {
    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Own => "self",
            Self::Cluster => "cluster",
        }
    }

    /// The level of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Off, Self::Own, Self::Cluster].into_iter().find(|level| level.as_str() == word)
    }
}

/// How to heal.
#[derive(Debug, Clone, Default)]
pub struct HealConfig {
    /// How much is mended. Default: [`Heal::Own`].
    pub level: Heal,
    /// Says what it would do, and does not do it. Default: no.
    pub dry_run: bool,
    /// Who goes on where an application runs twice; nothing is the rule of [`Conflict`].
    pub winner: Option<WinnerRule>,
    /// What the time of day was at some instant. Without it, nobody learns how long an application has run here.
    pub clock: Option<(Instant, SystemTime)>,
}

impl HealConfig {
    /// Whether something is mended here, and not only reported.
    pub(crate) fn acts(&self) -> bool {
        self.level != Heal::Off && !self.dry_run
    }

    /// Who goes on.
    pub(crate) fn winner(&self, conflict: &Conflict) -> Atom {
        let chosen = self.winner.as_ref().and_then(|rule| (rule.0)(conflict));
        let chosen = chosen.filter(|node| conflict.copies.iter().any(|copy| copy.node == *node));
        chosen.unwrap_or_else(|| conflict.copies[0].node.clone())
    }

    /// The time of day at an instant.
    pub(crate) fn time_of_day(&self, now: Instant) -> Option<SystemTime> {
        let (instant, time) = self.clock?;
        match now.checked_duration_since(instant) {
            Some(later) => time.checked_add(later),
            None => time.checked_sub(instant.saturating_duration_since(now)),
        }
    }
}

/// A user's rule for conflicts.
#[derive(Clone)]
pub struct WinnerRule(Arc<Rule>);

type Rule = dyn Fn(&Conflict) -> Option<Atom> + Send + Sync;

impl WinnerRule {
    /// Each member asks for itself, so the rule has to give the same answer everywhere. Nothing, or a node without a
    /// copy, leaves the choice to the default.
    pub fn new(rule: impl Fn(&Conflict) -> Option<Atom> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }
}

impl fmt::Debug for WinnerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WinnerRule")
    }
}

/// An application runs more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The application.
    pub app: Atom,
    /// Its copies, at least two, in the order of the default rule: who may run it, the place in the priority list, who
    /// has run it longest as far as that is known, the name. By default the first goes on.
    pub copies: Vec<Copy>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where it runs.
    pub node: Atom,
    /// Whether it may run there.
    pub permitted: bool,
    /// The place of the node in the priority list, 0 for the best; nodes in a tuple share theirs.
    pub rank: usize,
    /// Since when. Known of members of ours, by their clocks; stock nodes do not say.
    pub since: Option<SystemTime>,
}

impl Conflict {
    /// Puts the copies into order. It is a total one, which does not depend on who asks: three members that compare
    /// two copies each must not all give way.
    pub(crate) fn new(app: Atom, mut copies: Vec<Copy>) -> Self {
        copies.sort_by(|one, other| one.key().cmp(&other.key()));
        Self { app, copies }
    }
}

impl Copy {
    fn key(&self) -> (bool, usize, bool, Option<SystemTime>, &Atom) {
        (!self.permitted, self.rank, self.since.is_none(), self.since, &self.node)
    }
}

/// An act of healing, done or, in a dry run, only reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// What is wrong.
    pub fault: Fault,
    /// What is done.
    pub act: Act,
    /// It is only reported.
    pub dry_run: bool,
}

/// What is wrong, by the numbers of dist_ac.md 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// L1: two nodes that are connected do not know each other.
    Strangers,
    /// L1, L3: it runs more than once.
    Copies,
    /// L2: the runner is back before its restart time is over, and is still taken for dead.
    Flap,
    /// L5: it stopped just before its node went down.
    StoppedWithNode,
    /// L7: nodes wait for each other, each for the start or the weight of another, and none of them can go on.
    Deadlock,
    /// L8: a node waits for news that the other, which waits for it in turn, cannot send.
    Wedged,
    /// L9, L11: a node stands by for one that does not run it, and nobody does.
    Orphan,
    /// L17: a node stands by for nobody, or for the wrong one, although it runs.
    Belief,
    /// L4, L19: a failed start left it running nowhere.
    FailedStart,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strangers => "connected nodes do not know each other (L1)",
            Self::Copies => "it runs more than once (L1, L3)",
            Self::Flap => "its node is back in time, and is taken for dead (L2)",
            Self::StoppedWithNode => "it stopped just before its node went down (L5)",
            Self::Deadlock => "nodes wait for each other, and nobody runs it (L7)",
            Self::Wedged => "two nodes wait for each other (L8)",
            Self::Orphan => "a node stands by for one that does not run it (L9, L11)",
            Self::Belief => "a node does not know who runs it (L17)",
            Self::FailedStart => "a start failed, and it runs nowhere (L4, L19)",
        })
    }
}

/// What is done about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Both are told of each other, as if they had just booted (M1).
    Introduce {
        /// One.
        one: Atom,
        /// The other.
        other: Atom,
    },
    /// A node that waits for another goes on without it: it hears that the other is down, which it takes for true in this
    /// one decision alone.
    GoOn {
        /// The application.
        app: Atom,
        /// Who waits.
        node: Atom,
        /// For whom.
        without: Atom,
    },
    /// A copy of which its own `dist_ac` takes no news is stopped, and started again, to stand by for the winner.
    Restart {
        /// The application.
        app: Atom,
        /// Where it stops.
        node: Atom,
        /// Where it goes on.
        winner: Atom,
    },
    /// A copy stops, and its node stands by for the winner (M6).
    Stop {
        /// The application.
        app: Atom,
        /// Where it stops.
        node: Atom,
        /// Where it goes on.
        winner: Atom,
    },
    /// A node is told who runs it, and stands by (M6).
    StandBy {
        /// The application.
        app: Atom,
        /// Who is told.
        node: Atom,
        /// Who runs it.
        runner: Atom,
    },
    /// A node that waits for a weight which does not come gets one: that of the runner says that the runner is elected,
    /// that of another that it is not (M5).
    Weigh {
        /// The application.
        app: Atom,
        /// Who waits.
        node: Atom,
        /// For whose weight.
        other: Atom,
    },
    /// A node takes it over from where it was believed to run.
    TakeOver {
        /// The application.
        app: Atom,
        /// Where it starts.
        node: Atom,
    },
    /// Members of ours decide, after this wait, who of them starts it.
    Start {
        /// The application.
        app: Atom,
        /// The wait; nothing where the restart time is infinite.
        after: Option<Duration>,
    },
}

impl Act {
    /// Whether it is something between this node and another, or done there.
    fn concerns(&self, node: &Atom) -> bool {
        match self {
            Self::Introduce { one, other } => node == one || node == other,
            Self::Restart { node: at, winner: other, .. }
            | Self::Stop { node: at, winner: other, .. }
            | Self::StandBy { node: at, runner: other, .. }
            | Self::GoOn { node: at, without: other, .. }
            | Self::Weigh { node: at, other, .. } => node == at || node == other,
            Self::TakeOver { node: at, .. } => node == at,
            Self::Start { .. } => false,
        }
    }
}
