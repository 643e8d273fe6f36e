//! What the machines say to each other, told as events: the reason of a start is in the order, and its end in another
//! message, which does not name it.

use std::collections::BTreeMap;

use etf::Atom;

use super::{Event, What, Why};
use crate::{
    application::{StartType, controller::Report},
    engine,
    exchange::{Change, FromController, StartReply, ToController},
    heal::{Act, Fault, Repair},
};

/// Listens to the machines of one node.
#[derive(Debug)]
pub(crate) struct Recorder {
    me: Atom,
    /// Why the last order about an application was given. There is one for each that is under control.
    orders: BTreeMap<Atom, Why>,
    /// Faults for which members decide anew who starts it.
    rescues: BTreeMap<Atom, Fault>,
}

impl Recorder {
    pub(crate) fn new(me: Atom) -> Self {
        Self { me, orders: BTreeMap::new(), rescues: BTreeMap::new() }
    }

    /// What `dist_ac` told the application controller.
    pub(crate) fn on_order(&mut self, order: &ToController) -> Option<Event> {
        let normal = What::Starts(StartType::Normal);
        let takeover = |from: &Atom| What::Starts(StartType::Takeover(from.clone()));
        let stands_by =
            |runner: &Atom| (What::StandsBy { runner: runner.clone() }, Why::NodeSaid(runner.clone()));
        let (app, (what, why)) = match order {
            ToController::ControlApplication { .. } | ToController::LoadReply { .. } => return None,
            ToController::StartReply { app, reply } => match reply {
                StartReply::Error(reason) => (app, (What::DecisionFailed, Why::Exited(reason.clone()))),
                StartReply::NotStarted => return None,
                StartReply::Started(runner) => (app, stands_by(runner)),
                StartReply::StartIt => (app, (normal, Why::Called)),
                StartReply::Takeover(from) => (app, (takeover(from), Why::Called)),
            },
            ToController::Change { app, change } => match change {
                Change::Failover(dead) => {
                    let what = What::Starts(StartType::Failover(dead.clone()));
                    (app, (what, self.rescued(app).unwrap_or(Why::NodeDown(dead.clone()))))
                }
                // What stopped is told when it has.
                Change::NotRunning | Change::StopIt => {
                    self.orders.insert(app.clone(), Why::Permissions);
                    return None;
                }
                Change::Started(runner) => (app, stands_by(runner)),
                Change::StartIt => (app, (normal, self.rescued(app).unwrap_or(Why::Permissions))),
                Change::Takeover { from, restart_type: Some(_) } => (app, (takeover(from), Why::Called)),
                Change::Takeover { from, restart_type: None } => (app, (takeover(from), Why::Permissions)),
            },
        };
        self.orders.insert(app.clone(), why.clone());
        Some(self.here(app, what, why))
    }

    /// What the application controller told `dist_ac`.
    pub(crate) fn on_notice(&mut self, notice: &FromController) -> Option<Event> {
        let FromController::Run { app, result } = notice else { return None };
        let why = self.orders.remove(app).unwrap_or(Why::Called);
        Some(match result {
            Ok(()) => {
                self.rescues.remove(app);
                self.here(app, What::Runs, why)
            }
            Err(reason) => self.here(app, What::StartFailed, Why::Exited(reason.clone())),
        })
    }

    /// What the application controller logs.
    pub(crate) fn on_report(&mut self, report: &Report) -> Option<Event> {
        match report {
            Report::Exited { app, reason, .. } if reason.is_atom("stopped") => {
                let why = self.orders.remove(app).unwrap_or(Why::Called);
                Some(self.here(app, What::Stopped, why))
            }
            Report::Exited { app, reason, .. } => {
                self.orders.remove(app);
                Some(self.here(app, What::Stopped, Why::Exited(reason.clone())))
            }
            Report::Started { .. } => None,
        }
    }

    /// What `dist_ac` and the healer report. What is of use in a log alone is left out.
    pub(crate) fn on_engine(&mut self, event: &engine::Event) -> Option<Event> {
        use engine::Event as E;
        Some(match event {
            E::BeliefDropped { app, node } => {
                Event::new(app, node, What::RunsNot, Why::Fault(Fault::Orphan), true)
            }
            E::ConflictLeft { app, winner, loser } => self.conflict(app, winner, loser, false),
            E::ConflictResolved { app, winner, loser } => self.conflict(app, winner, loser, true),
            E::DecisionFailed { app, reason } => {
                self.here(app, What::DecisionFailed, Why::Exited(reason.clone()))
            }
            E::DistributionMismatch { app, node } => {
                self.here(app, What::Mismatch, Why::PriorityList(node.clone()))
            }
            E::FailedTakeoverIgnored { app, node, reason } => {
                Event::new(app, node, What::StartFailed, Why::Exited(reason.clone()), true)
            }
            E::FailoverPending { app, node, restart_time } => {
                let what = What::FailoverPending { after: restart_time.as_duration() };
                self.here(app, what, Why::NodeDown(node.clone()))
            }
            E::PermissionChanged { app, node, permission } => {
                let why = if *node == self.me { Why::Called } else { Why::NodeSaid(node.clone()) };
                Event::new(app, node, What::Permission(*permission), why, true)
            }
            E::Repair(repair) => self.repair(repair),
            E::Ignored { .. } | E::Introduced { .. } | E::Moved { .. } | E::NoDistAc { .. } => return None,
        })
    }

    fn repair(&mut self, Repair { fault, act, dry_run }: &Repair) -> Event {
        let (app, node) = match act {
            Act::Introduce { one, .. } => (None, one),
            Act::GoOn { app, node, .. }
            | Act::Restart { app, node, .. }
            | Act::StandBy { app, node, .. }
            | Act::Stop { app, node, .. }
            | Act::TakeOver { app, node }
            | Act::Weigh { app, node, .. } => (Some(app), node),
            Act::Start { app, .. } => {
                if !dry_run {
                    self.rescues.insert(app.clone(), *fault);
                }
                (Some(app), &self.me)
            }
        };
        let (app, node) = (app.cloned(), node.clone());
        Event { app, node, what: What::Heal(act.clone()), why: Why::Fault(*fault), done: !dry_run }
    }

    fn conflict(&self, app: &Atom, winner: &Atom, loser: &Atom, done: bool) -> Event {
        let what = What::Conflict { winner: winner.clone(), loser: loser.clone() };
        Event::new(app, loser, what, Why::Fault(Fault::Copies), done)
    }

    fn rescued(&self, app: &Atom) -> Option<Why> {
        self.rescues.get(app).copied().map(Why::Fault)
    }

    fn here(&self, app: &Atom, what: What, why: Why) -> Event {
        Event::new(app, &self.me, what, why, true)
    }
}

impl Event {
    fn new(app: &Atom, node: &Atom, what: What, why: Why, done: bool) -> Self {
        Self { app: Some(app.clone()), node: node.clone(), what, why, done }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etf::Term;

    use super::*;
    use crate::{application::RestartType, engine::appl::RestartTime};

    fn atom(text: &str) -> Atom {
        Atom::from(text)
    }

    fn run(result: Result<(), Term>) -> FromController {
        FromController::Run { app: atom("app1"), result }
    }

    fn exited(reason: &'static str) -> Report {
        let reason = Term::atom(reason);
        Report::Exited { app: atom("app1"), reason, restart_type: RestartType::Temporary }
    }

    fn order(change: Change) -> ToController {
        ToController::Change { app: atom("app1"), change }
    }

    fn lines(events: impl IntoIterator<Item = Option<Event>>) -> Vec<String> {
        events.into_iter().flatten().map(|event| event.to_string()).collect()
    }

    #[test]
    fn a_failover_and_the_takeover_after_it() {
        let mut b = Recorder::new(atom("b"));
        let (app, node, restart_time) = (atom("app1"), atom("a"), RestartTime::Millis(1000));
        let told = [
            b.on_engine(&engine::Event::FailoverPending {
                app: app.clone(),
                node: node.clone(),
                restart_time,
            }),
            b.on_order(&order(Change::Failover(node.clone()))),
            b.on_notice(&run(Ok(()))),
            b.on_engine(&engine::Event::PermissionChanged { app, node: node.clone(), permission: true }),
            b.on_order(&order(Change::Started(node))),
            b.on_report(&exited("stopped")),
        ];
        assert_eq!(
            lines(told),
            [
                "app1 at b: a failover in 1000 ms, since a went down",
                "app1 at b: starts as {failover,a}, since a went down",
                "app1 at b: runs, since a went down",
                "app1 at a: permitted, as a said",
                "app1 at b: stands by for a, as a said",
                "app1 at b: stopped, as a said",
            ]
        );
    }

    #[test]
    fn a_failover_that_fails_is_tried_again() {
        let mut b = Recorder::new(atom("b"));
        let after = Some(Duration::from_secs(1));
        let act = Act::Start { app: atom("app1"), after };
        let repair = Repair { fault: Fault::FailedStart, act, dry_run: false };
        let told = [
            b.on_order(&order(Change::Failover(atom("a")))),
            b.on_notice(&run(Err(Term::atom("broken")))),
            b.on_engine(&engine::Event::Repair(repair)),
            b.on_order(&order(Change::StartIt)),
            b.on_notice(&run(Ok(()))),
            b.on_report(&exited("killed")),
            b.on_order(&order(Change::StartIt)),
        ];
        assert_eq!(
            lines(told),
            [
                "app1 at b: starts as {failover,a}, since a went down",
                "app1 at b: start failed, with broken",
                "app1 at b: members decide in 1000 ms who starts it, since a start failed, and it runs nowhere (L4, L19)",
                "app1 at b: starts as normal, since a start failed, and it runs nowhere (L4, L19)",
                "app1 at b: runs, since a start failed, and it runs nowhere (L4, L19)",
                "app1 at b: stopped, with killed",
                "app1 at b: starts as normal, since permissions changed",
            ]
        );
    }

    #[test]
    fn what_is_seen_and_not_done() {
        let mut b = Recorder::new(atom("b"));
        let (app, winner, loser) = (atom("app1"), atom("a"), atom("b"));
        let act = Act::Stop { app: app.clone(), node: atom("c"), winner: atom("a") };
        let told = [
            b.on_engine(&engine::Event::ConflictLeft { app: app.clone(), winner, loser }),
            b.on_engine(&engine::Event::Repair(Repair { fault: Fault::Copies, act, dry_run: true })),
            b.on_engine(&engine::Event::DistributionMismatch { app, node: atom("d") }),
        ];
        assert_eq!(
            lines(told),
            [
                "app1 at b: of two copies that of a stays, not that of b, since it runs more than once (L1, L3) \
                 (not done, only seen)",
                "app1 at c: told to stop, it goes on at a, since it runs more than once (L1, L3) (not done, only seen)",
                "app1 at b: not shared, since d has another priority list (L15)",
            ]
        );
    }
}
