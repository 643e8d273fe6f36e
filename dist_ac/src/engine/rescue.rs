//! It runs nowhere, and stock nodes let it be: it stopped just before its node went down (L5), or the start that was to
//! bring it back failed (L4, L19). Members of ours that may run it decide among themselves; a stock node takes what
//! comes of it like any other start (dist_ac.md 6).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use etf::Atom;

use super::{Engine, Event, appl::AppId};
use crate::heal::{Act, Fault, Heal, Repair};

/// An application that stopped is taken for one that died with its node if that goes down within this time. A
/// permanent application takes its node with it, and the node needs a moment to go.
const STOPPED_LIFE: Duration = Duration::from_secs(5);

/// The wait after the first failed start. It doubles with each.
const RETRY_MIN: Duration = Duration::from_secs(1);

/// The longest wait.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A decision that is not over after so long begins again with everybody, whoever failed before: members may have
/// missed failures of one another, and then wait for each other.
const DECISION_PATIENCE: Duration = Duration::from_secs(10);

/// What goes on instead of a failover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rescue {
    /// Failed starts so far.
    failures: u32,
    /// Who could not start it. They come again when there is nobody else.
    failed: BTreeSet<Atom>,
}

impl Engine {
    /// After a nodedown. Whether that node ran the application until shortly before.
    pub(super) fn stopped_with(&mut self, now: Instant, at: usize, node: &Atom) -> bool {
        let app = &mut self.apps[at];
        let Some((_, since)) = app.stopped.take_if(|(runner, _)| runner == node) else { return false };
        let idle = app.id == AppId::Undefined && app.own_start.is_none() && app.decision.is_none();
        now < since + STOPPED_LIFE && idle && app.started && app.permits(&self.me)
    }

    /// The failover of an application that stopped with its node.
    pub(super) fn rescue_stopped(&mut self, now: Instant, at: usize, node: &Atom) {
        let after = self.apps[at].restart_time.as_duration();
        if self.report_rescue(at, Fault::StoppedWithNode, after) {
            self.apps[at].rescue = Some(Rescue::default());
            self.lose_runner(now, at, node);
        }
    }

    /// A start failed, here or there, and nobody runs it: another try after a while. Says whether there is one.
    pub(super) fn retry(&mut self, now: Instant, at: usize, node: &Atom) -> bool {
        if !self.apps[at].started || !self.apps[at].permits(&self.me) {
            return false;
        }
        let failures = self.apps[at].rescue.as_ref().map_or(0, |rescue| rescue.failures);
        let wait = RETRY_MIN.saturating_mul(1 << failures.min(6)).min(RETRY_MAX);
        let act = self.report_rescue(at, Fault::FailedStart, Some(wait));
        if act {
            let app = &mut self.apps[at];
            let rescue = app.rescue.get_or_insert_default();
            rescue.failures = rescue.failures.saturating_add(1);
            rescue.failed.insert(node.clone());
            app.failover_at = Some(now + wait);
        }
        act
    }

    /// The time of a rescue has come, or its decision takes too long. Says whether there is something to decide.
    pub(super) fn begin_rescue(&mut self, now: Instant, at: usize) -> bool {
        let candidates = self.rescuers(at);
        let app = &mut self.apps[at];
        let Some(rescue) = &mut app.rescue else { return false };
        if app.decision.is_some() || candidates.is_empty() {
            rescue.failed.clear();
        }
        app.failover_at = Some(now + DECISION_PATIENCE);
        true
    }

    /// Who takes part where members of ours decide alone; all others for a node that rescues nothing.
    pub(super) fn takes_part(&self, at: usize, node: &Atom) -> bool {
        match &self.apps[at].rescue {
            Some(rescue) => (*node == self.me || self.is_ours(node)) && !rescue.failed.contains(node),
            None => true,
        }
    }

    fn rescuers(&self, at: usize) -> Vec<Atom> {
        let app = &self.apps[at];
        let able = |node: &Atom| app.permits(node) && self.takes_part(at, node);
        app.nodes.flat().into_iter().filter(able).collect()
    }

    /// Says what is done; and whether it is.
    fn report_rescue(&mut self, at: usize, fault: Fault, after: Option<Duration>) -> bool {
        if self.heal.level == Heal::Off {
            return false;
        }
        let (app, dry_run) = (self.apps[at].name.clone(), self.heal.dry_run);
        self.event(Event::Repair(Repair { fault, act: Act::Start { app, after }, dry_run }));
        !dry_run
    }
}
