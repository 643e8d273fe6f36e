//! It runs here and there: one copy goes on (dist_ac.md 6, L1 to L3).

use std::time::{Duration, Instant, SystemTime};

use etf::Atom;

use super::{Engine, Event, Message, appl::AppId};
use crate::heal::{Act, Conflict, Copy, Fault, Heal, Repair};

/// A node that was told to give way may hear at the same time from who took over meanwhile: for so long it is told by
/// this node as well, behind what it was told before.
const TOLD_LIFE: Duration = Duration::from_secs(5);

impl Engine {
    /// A peer runs an application that was started here.
    pub(super) fn learn_started(&mut self, now: Instant, at: usize, node: &Atom, since: Option<u64>) {
        let app = &mut self.apps[at];
        if let Some(own) = &mut app.own_start {
            // It wins when it is done; until then the other copy is the one it takes over from.
            own.previous.get_or_insert_with(|| node.clone());
            return;
        }
        match app.id.clone() {
            AppId::Local if app.yielding.contains(node) => {}
            AppId::Local => self.resolve_conflict(now, at, node, since),
            AppId::Distributed(other) if other != *node => self.resolve_for_others(now, at, &other, node),
            _ => self.started_elsewhere(now, at, node),
        }
    }

    /// Whoever was told to give way hears of the newest runner last.
    pub(super) fn pass_on(&mut self, now: Instant, at: usize, runner: &Atom) {
        let Some((loser, _)) = self.apps[at].told.clone().filter(|(_, told)| now < *told + TOLD_LIFE) else {
            return;
        };
        if loser != *runner {
            let app = self.apps[at].name.clone();
            self.send(&loser, Message::AppStarted { node: runner.clone(), app, result: Ok(()) });
        }
    }

    /// The application runs here and there.
    fn resolve_conflict(&mut self, now: Instant, at: usize, node: &Atom, since: Option<u64>) {
        let (me, app) = (self.me.clone(), self.apps[at].name.clone());
        let own = self.apps[at].since;
        let since = since.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        let winner = self.winner(at, [(&me, own), (node, since)]);
        let loser = if winner == me { node.clone() } else { me.clone() };
        if !self.heal.acts() {
            return self.event(Event::ConflictLeft { app, winner, loser });
        }
        if winner == me {
            if self.is_ours(node) {
                self.apps[at].yielding.insert(node.clone());
            }
            // To everybody: others may have been told of the other copy last.
            self.broadcast(&Message::AppStarted { node: me.clone(), app: app.clone(), result: Ok(()) });
        } else {
            self.started_elsewhere(now, at, node);
            // Whoever stood by for this node now stands by for the winner; a stock node does not care who says so. One
            // of our own kind that is just met may have a copy too, a better one; it settles that with the winner.
            let message = Message::AppStarted { node: node.clone(), app: app.clone(), result: Ok(()) };
            for other in self.known.clone() {
                if other != me && other != *node && !self.is_unconfirmed(&other) {
                    self.send(&other, message.clone());
                }
            }
        }
        self.event(Event::ConflictResolved { app, winner, loser });
    }

    /// This node stands by for one, and meets another that runs it too. Members of ours see to it themselves, and two
    /// stock nodes never will (L3). A healer knows more of them, and does more.
    fn resolve_for_others(&mut self, now: Instant, at: usize, runner: &Atom, node: &Atom) {
        self.contest_between(now, at, &[runner, node]);
        let winner = self.winner(at, [(runner, None), (node, None)]);
        let loser = if winner == *node { runner.clone() } else { node.clone() };
        let stock =
            [runner, node].into_iter().all(|node| self.peers.contains_key(node) && !self.is_ours(node));
        if winner == *node {
            self.started_elsewhere(now, at, node);
        } else {
            self.doubt_runner(now, at, node);
        }
        let app = self.apps[at].name.clone();
        if !stock || self.heal.level == Heal::Cluster {
            return;
        }
        if !self.heal.acts() {
            return self.event(Event::ConflictLeft { app, winner, loser });
        }
        self.apps[at].told = Some((loser.clone(), now));
        let message = Message::AppStarted { node: winner.clone(), app: app.clone(), result: Ok(()) };
        self.send(&loser, message);
        let act = Act::Stop { app, node: loser, winner };
        self.event(Event::Repair(Repair { fault: Fault::Copies, act, dry_run: false }));
    }

    /// Who goes on, by the rule that every member has.
    fn winner(&self, at: usize, copies: [(&Atom, Option<SystemTime>); 2]) -> Atom {
        let app = &self.apps[at];
        let copies = copies.map(|(node, since)| Copy {
            node: node.clone(),
            permitted: app.permits(node),
            rank: app.nodes.rank(node),
            since: since.map(whole_millis),
        });
        self.heal.winner(&Conflict::new(app.name.clone(), copies.to_vec()))
    }

    /// Since when it runs here, as peers are told it: both sides of a conflict compare the same two numbers.
    pub(super) fn millis_since(&self, app: &Atom) -> Option<u64> {
        let since = self.apps[self.find(app)?].since?;
        u64::try_from(since.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis()).ok()
    }
}

fn whole_millis(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
