//! The links and monitors of one process, as a value (wire.md 5.1, 5.2).
//!
//! Methods say what must be sent or done as a result; the caller does it. The same table serves local and
//! remote partners: the protocol between two processes is the same wherever they live.

use std::num::NonZeroU64;

use etf::{Atom, Pid, Reference, Term};
use tokio::sync::oneshot;

use super::{AliasOptions, Monitored, table::Table};

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Active,
    /// We unlinked and wait for the acknowledgement of this id. Until then an exit of the other is dropped.
    Unlinking(NonZeroU64),
}

/// Who monitors this process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Watcher {
    pub(crate) pid: Pid,
    /// The name by which it asked: its `DOWN` must carry the name and not the pid (wire.md 5, op 21).
    pub(crate) by_name: Option<Atom>,
}

/// What an exit signal does to the process that gets it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExitEffect {
    /// Nothing.
    Ignored,
    /// It becomes a message.
    Message { from: Pid, reason: Term, is_urgent: bool },
    /// The process ends for this reason.
    Dies(Term),
}

/// A request to another node to start a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpawnRequested {
    pub(crate) node: Atom,
    /// Whether a process that was started is worth a message; as to one that was not there is one in any case.
    pub(crate) is_told: bool,
}

/// See the module. One that has nothing takes no memory of its own: there may be a million.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    pub(crate) trap_exit: bool,
    /// It is in the table of names.
    pub(crate) has_name: bool,
    /// It hears of nodes that come and go.
    pub(crate) is_subscriber: bool,
    links: Table<Pid, Link>,
    /// What it watches, and its aliases.
    own: Table<Reference, Own>,
    watchers: Table<Reference, Watcher>,
    /// The nodes that it may have something to do with: never too few, once each.
    concerns: Table<Atom, ()>,
    rare: Option<Box<Rare>>,
}

/// What a reference of the process itself stands for: a monitor, an alias, or both, as that of a call.
#[derive(Debug, Default)]
struct Own {
    item: Option<Monitored>,
    alias: Option<AliasOptions>,
}

/// What few processes have.
#[derive(Debug, Default)]
struct Rare {
    /// Spawn requests without an answer yet.
    requests: Table<Reference, SpawnRequested>,
    /// Links whose exit is a priority message.
    urgent_links: Table<Pid, ()>,
    /// Monitors whose `DOWN` is one.
    urgent_monitors: Table<Reference, ()>,
    /// How often the end of the connection to a node is to be told.
    node_monitors: Table<Atom, usize>,
    /// Handles that wait for the exit reason.
    handles: Vec<oneshot::Sender<Term>>,
}

impl Signals {
    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// `link/1`. Whether a LINK must be sent.
    pub(crate) fn link(&mut self, to: &Pid) -> bool {
        self.links.insert(to.clone(), Link::Active) != Some(Link::Active)
    }

    /// Whether the exit of a link is a priority message: what was said last counts.
    pub(crate) fn set_urgent_link(&mut self, to: &Pid, is_urgent: bool) {
        if is_urgent {
            self.rare().urgent_links.insert(to.clone(), ());
        } else {
            self.take_urgent_link(to);
        }
    }

    fn take_urgent_link(&mut self, to: &Pid) -> bool {
        self.rare.as_mut().is_some_and(|rare| rare.urgent_links.remove(to).is_some())
    }

    /// `unlink/1`, with an id that no unacknowledged unlink of this process has. Whether an UNLINK_ID must be
    /// sent.
    pub(crate) fn unlink(&mut self, to: &Pid, id: NonZeroU64) -> bool {
        match self.links.get_mut(to) {
            Some(link @ Link::Active) => {
                *link = Link::Unlinking(id);
                self.take_urgent_link(to);
                true
            }
            _ => false,
        }
    }

    /// LINK came. An entry that exists stays as it is, even an inactive one.
    pub(crate) fn linked_by(&mut self, from: &Pid) {
        if self.links.get(from).is_none() {
            self.links.insert(from.clone(), Link::Active);
        }
    }

    /// UNLINK_ID came; the caller acknowledges it in any case. Or the process itself unlinks from one of its own node,
    /// where both ends go at once.
    pub(crate) fn unlinked_by(&mut self, from: &Pid) {
        if self.links.get(from) == Some(&Link::Active) {
            self.links.remove(from);
            self.take_urgent_link(from);
        }
    }

    /// UNLINK_ID_ACK came.
    pub(crate) fn unlink_acked(&mut self, from: &Pid, id: NonZeroU64) {
        if self.links.get(from) == Some(&Link::Unlinking(id)) {
            self.links.remove(from);
        }
    }

    /// EXIT came over a link: `reason` counts only if the link is active.
    pub(crate) fn exited_by_link(&mut self, from: &Pid, reason: Term) -> ExitEffect {
        if self.links.get(from) != Some(&Link::Active) {
            return ExitEffect::Ignored;
        }
        self.links.remove(from);
        let is_urgent = self.take_urgent_link(from);
        self.exit_effect(from, reason, is_urgent)
    }

    /// EXIT2 came: someone called `exit/2`, perhaps this process, whose pid is `own`. It is urgent if it came with
    /// priority by an alias that allows it.
    pub(crate) fn exited_by(&self, from: &Pid, own: &Pid, reason: Term, is_urgent: bool) -> ExitEffect {
        if reason.is_atom("kill") {
            return ExitEffect::Dies(Term::atom("killed"));
        }
        // What `normal` does not do to others it does to oneself.
        if from == own && !self.trap_exit {
            return ExitEffect::Dies(reason);
        }
        self.exit_effect(from, reason, is_urgent)
    }

    fn exit_effect(&self, from: &Pid, reason: Term, is_urgent: bool) -> ExitEffect {
        if self.trap_exit {
            ExitEffect::Message { from: from.clone(), reason, is_urgent }
        } else if reason.is_atom("normal") {
            ExitEffect::Ignored
        } else {
            ExitEffect::Dies(reason)
        }
    }

    /// `monitor/2`.
    pub(crate) fn watch(&mut self, reference: Reference, item: Monitored) {
        match self.own.get_mut(&reference) {
            Some(own) => own.item = Some(item),
            None => _ = self.own.insert(reference, Own { item: Some(item), alias: None }),
        }
    }

    /// The `DOWN` of a monitor is a priority message.
    pub(crate) fn set_urgent_monitor(&mut self, reference: &Reference) {
        self.rare().urgent_monitors.insert(reference.clone(), ());
    }

    /// `demonitor/1`. What was watched, if it still was.
    pub(crate) fn unwatch(&mut self, reference: &Reference) -> Option<Monitored> {
        self.fire(reference).map(|(item, _)| item)
    }

    /// The end of what is watched: what it was, if it still was watched, and whether its `DOWN` is urgent.
    pub(crate) fn fire(&mut self, reference: &Reference) -> Option<(Monitored, bool)> {
        let rare = self.rare.as_mut();
        let is_urgent = rare.is_some_and(|rare| rare.urgent_monitors.remove(reference).is_some());
        let own = self.own.get_mut(reference)?;
        let item = if own.alias.is_some() { own.item.take() } else { self.own.remove(reference)?.item };
        item.map(|item| (item, is_urgent))
    }

    /// MONITOR_P came.
    pub(crate) fn watched_by(&mut self, reference: Reference, watcher: Watcher) {
        self.watchers.insert(reference, watcher);
    }

    /// DEMONITOR_P came.
    pub(crate) fn unwatched_by(&mut self, reference: &Reference) {
        self.watchers.remove(reference);
    }

    /// `monitor_node(Node, Flag)`: each that is set fires once, and one is taken back at a time.
    pub(crate) fn monitor_node(&mut self, node: &Atom, flag: bool) {
        let monitors = &mut self.rare().node_monitors;
        match (monitors.get_mut(node), flag) {
            (Some(count), true) => *count += 1,
            (Some(count), false) if *count > 1 => *count -= 1,
            (Some(_), false) => _ = monitors.remove(node),
            (None, true) => _ = monitors.insert(node.clone(), 1),
            (None, false) => {}
        }
    }

    /// How many monitors of a node there were, of which there are none any more.
    pub(crate) fn fire_node(&mut self, node: &Atom) -> usize {
        self.rare.as_mut().and_then(|rare| rare.node_monitors.remove(node)).unwrap_or_default()
    }

    /// `alias/1`.
    pub(crate) fn alias(&mut self, alias: Reference, options: AliasOptions) {
        match self.own.get_mut(&alias) {
            Some(own) => own.alias = Some(options),
            None => _ = self.own.insert(alias, Own { item: None, alias: Some(options) }),
        }
    }

    /// `unalias/1`: whether it was one.
    pub(crate) fn unalias(&mut self, alias: &Reference) -> bool {
        let Some(own) = self.own.get_mut(alias) else { return false };
        let was_one = own.alias.take().is_some();
        if own.item.is_none() {
            self.own.remove(alias);
        }
        was_one
    }

    /// What an alias is for, if it is one.
    pub(crate) fn aliased(&self, alias: &Reference) -> Option<AliasOptions> {
        self.own.get(alias)?.alias
    }

    /// A call begins: a monitor and an alias in one.
    pub(crate) fn begin_call(&mut self, reference: Reference, item: Monitored) {
        self.own.insert(reference, Own { item: Some(item), alias: Some(AliasOptions::default()) });
    }

    /// It is over. What was watched, if it still was.
    pub(crate) fn end_call(&mut self, reference: &Reference) -> Option<Monitored> {
        if let Some(rare) = &mut self.rare {
            rare.urgent_monitors.remove(reference);
        }
        self.own.remove(reference)?.item
    }

    /// A process was asked for at a node.
    pub(crate) fn spawn_requested(&mut self, reference: Reference, request: SpawnRequested) {
        self.rare().requests.insert(reference, request);
    }

    /// An answer to that came, or nobody waits for one any more. The request, if it was still open.
    pub(crate) fn spawn_answered(&mut self, reference: &Reference) -> Option<SpawnRequested> {
        self.rare.as_mut().and_then(|rare| rare.requests.remove(reference))
    }

    /// The process is about to have something to do with a node. Whether it had nothing before.
    pub(crate) fn concern(&mut self, node: &Atom) -> bool {
        let is_new = self.concerns.get(node).is_none();
        if is_new {
            self.concerns.insert(node.clone(), ());
        }
        is_new
    }

    /// Somebody wants the exit reason.
    pub(crate) fn tell(&mut self, handle: oneshot::Sender<Term>) {
        self.rare().handles.push(handle);
    }

    /// The link to a node is lost: what the process must be told. The links are still there, and go when the
    /// exit of each is delivered.
    pub(crate) fn node_down(&mut self, node: &Atom) -> NodeDown {
        self.concerns.remove(node);
        self.watchers.retain(|_, watcher| watcher.pid.node() != node);
        // An unlink that nobody will acknowledge any more is over, without an exit.
        self.links.retain(|pid, link| *link == Link::Active || pid.node() != node);
        let links = self.links.iter().map(|(pid, _)| pid).filter(|pid| pid.node() == node).cloned().collect();
        let is_there = |own: &Own| own.item.as_ref().is_some_and(|item| item.node() == node);
        let there: Vec<Reference> = self
            .own
            .iter()
            .filter(|(_, own)| is_there(own))
            .map(|(reference, _)| reference.clone())
            .collect();
        let monitors = there.into_iter().filter_map(|reference| {
            let (item, is_urgent) = self.fire(&reference)?;
            Some((is_urgent, reference, item))
        });
        let monitors = monitors.collect();
        let requests = self.rare.as_mut().map(|rare| rare.requests.extract(|_, asked| asked.node == *node));
        NodeDown {
            links,
            monitors,
            requests: requests.unwrap_or_default().into_iter().map(|(reference, _)| reference).collect(),
            node_monitors: self.fire_node(node),
        }
    }

    /// The process ends: everyone who must hear of it, and what it watched itself.
    pub(crate) fn end(self) -> End {
        let Self { mut links, mut own, mut watchers, mut concerns, .. } = self;
        let links = links.take().into_iter().filter(|(_, link)| *link == Link::Active).map(|(pid, _)| pid);
        End {
            links: links.collect(),
            watchers: watchers.take(),
            watching: own.take().into_iter().filter_map(|(own, is)| Some((own, is.item?))).collect(),
            handles: self.rare.map_or_else(Vec::new, |rare| rare.handles),
            has_name: self.has_name,
            is_subscriber: self.is_subscriber,
            concerns: concerns.take().into_iter().map(|(node, ())| node).collect(),
        }
    }

    /// The pids that the process is linked with.
    pub(crate) fn linked(&self) -> impl Iterator<Item = &Pid> {
        self.links.iter().filter(|(_, link)| **link == Link::Active).map(|(pid, _)| pid)
    }

    /// What it monitors.
    pub(crate) fn monitors(&self) -> impl Iterator<Item = &Monitored> {
        self.own.iter().filter_map(|(_, own)| own.item.as_ref())
    }

    /// Who monitors it.
    pub(crate) fn monitored_by(&self) -> impl Iterator<Item = &Pid> {
        self.watchers.iter().map(|(_, watcher)| &watcher.pid)
    }
}

/// What a lost node means to a process, in the order in which it is told.
#[derive(Debug, PartialEq)]
pub(crate) struct NodeDown {
    pub(crate) links: Vec<Pid>,
    /// Whether the `DOWN` is urgent, its reference, and what was watched.
    pub(crate) monitors: Vec<(bool, Reference, Monitored)>,
    pub(crate) requests: Vec<Reference>,
    /// How often it is told last that the node is down.
    pub(crate) node_monitors: usize,
}

/// Who hears of a process's end, in the order in which they are told (wire.md 5.2), and where it is known.
pub(crate) struct End {
    pub(crate) links: Vec<Pid>,
    pub(crate) watchers: Vec<(Reference, Watcher)>,
    pub(crate) watching: Vec<(Reference, Monitored)>,
    pub(crate) handles: Vec<oneshot::Sender<Term>>,
    pub(crate) has_name: bool,
    pub(crate) is_subscriber: bool,
    pub(crate) concerns: Vec<Atom>,
}

impl Monitored {
    /// The node on which the monitored process lives or would live.
    #[must_use]
    pub fn node(&self) -> &Atom {
        match self {
            Self::Pid(pid) => pid.node(),
            Self::Name(_, node) => node,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(id: u32) -> Pid {
        Pid::new(Atom::from("a@h"), id, 0, 1)
    }

    fn id(n: u64) -> NonZeroU64 {
        NonZeroU64::new(n).expect("not zero")
    }

    #[test]
    fn a_second_link_or_unlink_is_silent() {
        let mut signals = Signals::default();
        assert!(signals.link(&pid(1)));
        assert!(!signals.link(&pid(1)));
        assert!(signals.unlink(&pid(1), id(1)));
        assert!(!signals.unlink(&pid(1), id(2)));
    }

    #[test]
    fn an_exit_is_dropped_while_an_unlink_waits_for_its_ack() {
        let mut signals = Signals { trap_exit: true, ..Signals::default() };
        signals.link(&pid(1));
        signals.unlink(&pid(1), id(1));
        assert_eq!(signals.exited_by_link(&pid(1), Term::atom("boom")), ExitEffect::Ignored);
        // An acknowledgement of another id changes nothing, so a link made anew meanwhile survives it.
        assert!(signals.link(&pid(1)));
        signals.unlink_acked(&pid(1), id(1));
        assert!(matches!(signals.exited_by_link(&pid(1), Term::atom("boom")), ExitEffect::Message { .. }));
    }

    #[test]
    fn a_link_request_does_not_revive_an_inactive_link() {
        let mut signals = Signals { trap_exit: true, ..Signals::default() };
        signals.link(&pid(1));
        signals.unlink(&pid(1), id(1));
        signals.linked_by(&pid(1));
        assert_eq!(signals.exited_by_link(&pid(1), Term::atom("boom")), ExitEffect::Ignored);
    }

    #[test]
    fn exits_do_what_erlang_says() {
        let mut plain = Signals::default();
        plain.linked_by(&pid(1));
        assert_eq!(plain.exited_by_link(&pid(1), Term::atom("normal")), ExitEffect::Ignored);
        plain.linked_by(&pid(1));
        // Over a link `kill` is a reason like any other; by `exit/2` it cannot be trapped.
        assert_eq!(plain.exited_by_link(&pid(1), Term::atom("kill")), ExitEffect::Dies(Term::atom("kill")));
        let trapping = Signals { trap_exit: true, ..Signals::default() };
        let (own, normal) = (pid(2), || Term::atom("normal"));
        let killed = ExitEffect::Dies(Term::atom("killed"));
        assert_eq!(trapping.exited_by(&pid(1), &own, Term::atom("kill"), false), killed);
        assert!(matches!(trapping.exited_by(&pid(1), &own, normal(), false), ExitEffect::Message { .. }));
        assert!(matches!(trapping.exited_by(&own, &own, normal(), false), ExitEffect::Message { .. }));
        assert_eq!(plain.exited_by(&pid(1), &own, normal(), false), ExitEffect::Ignored);
        assert_eq!(plain.exited_by(&own, &own, normal(), false), ExitEffect::Dies(normal()));
    }

    #[test]
    fn a_lost_node_fires_its_links_and_monitors_and_no_others() {
        let mut signals = Signals::default();
        let there = Pid::new(Atom::from("b@h"), 1, 0, 1);
        let unlinked = Pid::new(Atom::from("b@h"), 2, 0, 1);
        signals.link(&pid(1));
        signals.link(&there);
        signals.link(&unlinked);
        signals.unlink(&unlinked, id(1));
        let reference = Reference::new(Atom::from("a@h"), 1, &[1]).expect("one word");
        let item = Monitored::Name(Atom::from("x"), Atom::from("b@h"));
        signals.watch(reference.clone(), item.clone());
        let request = Reference::new(Atom::from("a@h"), 1, &[2]).expect("one word");
        signals.spawn_requested(request.clone(), SpawnRequested { node: "b@h".into(), is_told: true });
        let node = Atom::from("b@h");
        signals.monitor_node(&node, true);
        signals.monitor_node(&node, true);
        signals.monitor_node(&node, false);
        let down = signals.node_down(&node);
        assert_eq!(down.links, std::slice::from_ref(&there));
        assert_eq!(down.monitors, [(false, reference, item)]);
        assert_eq!(down.requests, [request]);
        assert_eq!(down.node_monitors, 1);
        // The link still fires when the caller delivers the exit, and then it is gone.
        assert_eq!(
            signals.exited_by_link(&there, Term::atom("noconnection")),
            ExitEffect::Dies(Term::atom("noconnection"))
        );
        let nothing = NodeDown { links: vec![], monitors: vec![], requests: vec![], node_monitors: 0 };
        assert_eq!(signals.node_down(&node), nothing);
        assert_eq!(signals.linked().collect::<Vec<_>>(), [&pid(1)]);
    }
}
