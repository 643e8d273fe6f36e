//! The name server's tables as calls see them: locks, names and the monitors that keep both clean
//! (cluster-services.md 1.3, 1.9).
//!
//! Every node monitors every holder of a lock and every named process itself; no message tells of a death.

use std::collections::{BTreeSet, HashMap};

use etf::{Atom, Pid, Term, tuple};

use super::{
    Engine,
    api::{Output, QuestionId, Warning},
    engine::ReplyTo,
    locks::{Authority, LOCKS_MAX, Set},
    names::Entry,
    wire::{Call, LockId, Name, NameExt, Op, VSN_OWN},
};

/// The most old-style `whereis` questions that wait for the lock; the sender of one more asks in vain.
const WHEREIS_MAX: usize = 1024;

/// One monitor a process, shared by all its locks and names.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    by_pid: HashMap<Pid, Monitor>,
    by_id: HashMap<QuestionId, Pid>,
    /// Those whose monitor has failed because we are still trying to connect to their node. They may well live.
    unreached: BTreeSet<QuestionId>,
}

#[derive(Debug)]
struct Monitor {
    id: QuestionId,
    /// How many locks and names need it.
    users: usize,
}

impl Engine {
    /// A call from a process of any node. The answer comes at once or, for two of them, later.
    pub(super) fn call(&mut self, from: Pid, tag: Term, request: Term) {
        let Some(call) = Call::parse(&request) else {
            self.out.push_back(Output::Warn(Warning::UnexpectedCall { from, request }));
            return;
        };
        let reply_to = ReplyTo::Caller { pid: from.clone(), tag: tag.clone() };
        let term = match call {
            Call::Sync(nodes) => return self.sync(reply_to, nodes),
            Call::Disconnect => return self.disconnect_all(reply_to),
            call => self.serve(&from, &call),
        };
        self.out.push_back(Output::Reply { to: from, tag, term });
    }

    /// A call of one of our own processes or of another node's.
    pub(super) fn serve(&mut self, from: &Pid, call: &Call) -> Term {
        match call {
            Call::SetLock(id) => self.set_lock(id, from).into(),
            Call::DelLock(id) => {
                self.del_lock(id, from);
                true.into()
            }
            Call::Register(name) => {
                self.insert_name(name.clone(), None, Authority::Holder(from));
                Term::atom("yes")
            }
            Call::RegisterExt { name, reg_node } => {
                self.insert_name(name.clone(), Some(reg_node.clone()), Authority::Holder(from));
                Term::atom("yes")
            }
            Call::Unregister(name) => {
                self.delete_name(name);
                Term::atom("ok")
            }
            Call::GetKnown => Term::List(self.known.keys().map(Term::from).collect()),
            Call::GetSynced => Term::List(self.synced.iter().map(Term::from).collect()),
            Call::GetProtocolVersion => VSN_OWN.into(),
            Call::GetNamesExt => Term::List(self.names.all_ext().iter().map(NameExt::to_term).collect()),
            Call::Info => self.info_term(),
            Call::HighLevelTrace | Call::Sync(_) | Call::Disconnect => Term::atom("ok"),
        }
    }

    fn set_lock(&mut self, id: &LockId, pid: &Pid) -> bool {
        match self.locks.set(id, pid) {
            Set::Refused => false,
            Set::Full => {
                self.out
                    .push_back(Output::Warn(Warning::Full { what: "the table of locks", max: LOCKS_MAX }));
                false
            }
            Set::Held => true,
            Set::Added => {
                self.monitor(pid);
                true
            }
        }
    }

    fn del_lock(&mut self, id: &LockId, pid: &Pid) {
        if self.locks.del(id, pid) {
            self.demonitor(pid);
            self.answer_whereis();
        }
    }

    /// Inserts a name in place of its old entry, then checks that whoever sent it still has the lock.
    pub(super) fn insert_name(&mut self, name: Name, reg_node: Option<Atom>, authority: Authority<'_>) {
        // Monitor first: the same process may lose its last name here and get it again.
        self.monitor(&name.pid);
        self.delete_name(&name.name);
        if reg_node.as_ref() == Some(&self.config.node) {
            self.out.push_back(Output::Link(name.pid.clone()));
        }
        let key = name.name.clone();
        self.names.insert(Entry { name, reg_node });
        if !self.locks.authorizes(authority) {
            self.delete_name(&key);
        }
    }

    pub(super) fn delete_name(&mut self, name: &Term) {
        let Some(entry) = self.names.remove(name) else { return };
        let pid = entry.name.pid;
        self.demonitor(&pid);
        let linked = entry.reg_node.as_ref() == Some(&self.config.node);
        if linked && self.names.of_pid(&pid).is_empty() && !self.locks.holds_any(&pid) {
            self.out.push_back(Output::Unlink(pid));
        }
    }

    /// Takes over the names that processes of this node have in another engine of it, which has ended.
    pub(super) fn adopt(&mut self, old: &Self) {
        for Entry { name, reg_node } in old.names.iter() {
            let own = &self.config.node;
            if name.pid.node() == own && reg_node.as_ref().is_none_or(|node| node == own) {
                self.monitor(&name.pid);
                if reg_node.is_some() {
                    self.out.push_back(Output::Link(name.pid.clone()));
                }
                self.names.insert(Entry { name: name.clone(), reg_node: reg_node.clone() });
            }
        }
    }

    /// Applies what a merge found: names of hidden nodes, other names, deletions (cluster-services.md 1.6).
    pub(super) fn apply_ops(&mut self, ops: &[Op], names_ext: &[NameExt], requester: &Term) {
        let authority = Authority::Requester(requester);
        let ext: HashMap<(&Term, &Pid), &Atom> =
            names_ext.iter().map(|ext| ((&ext.name, &ext.pid), &ext.reg_node)).collect();
        let inserts = ops.iter().filter_map(|op| match op {
            Op::Insert(name) => {
                let told = ext.get(&(&name.name, &name.pid)).copied().cloned();
                // What the peer lists are its own. A name of ours that it lets us keep stays what it is.
                let ours = || self.names.get(&name.name).filter(|entry| entry.name.pid == name.pid);
                Some((name, told.or_else(|| ours()?.reg_node.clone())))
            }
            Op::Delete(_) => None,
        });
        let (external, plain): (Vec<_>, Vec<_>) = inserts.partition(|(_, reg_node)| reg_node.is_some());
        for (name, reg_node) in external.into_iter().chain(plain) {
            self.insert_name(name.clone(), reg_node, authority);
        }
        for op in ops {
            if let Op::Delete(name) = op {
                self.delete_name(name);
            }
        }
    }

    /// A monitored process is gone, and with it its locks and names.
    pub(super) fn pid_down(&mut self, id: QuestionId) {
        let Some(pid) = self.monitors.by_id.get(&id).cloned() else { return };
        if self.connecting.contains_key(pid.node()) && !self.up.contains(pid.node()) {
            self.monitors.unreached.insert(id);
            return;
        }
        self.process_gone(id, &pid);
    }

    /// The connection that was tried is there: those whose monitor failed meanwhile are monitored again.
    pub(super) fn monitor_unreached(&mut self, node: &Atom) {
        for (old, pid) in self.unreached_of(node) {
            let id = self.next_question();
            self.monitors.by_id.remove(&old);
            self.monitors.by_id.insert(id, pid.clone());
            if let Some(monitor) = self.monitors.by_pid.get_mut(&pid) {
                monitor.id = id;
            }
            self.out.push_back(Output::Monitor { id, pid });
        }
    }

    /// There will be no connection.
    pub(super) fn forget_unreached(&mut self, node: &Atom) {
        for (id, pid) in self.unreached_of(node) {
            self.process_gone(id, &pid);
        }
    }

    fn unreached_of(&mut self, node: &Atom) -> Vec<(QuestionId, Pid)> {
        let monitors = &mut self.monitors;
        let of_node = |id: &QuestionId| monitors.by_id.get(id).filter(|pid| pid.node() == node).cloned();
        let found: Vec<_> = monitors.unreached.iter().filter_map(|id| Some((*id, of_node(id)?))).collect();
        monitors.unreached.retain(|id| found.iter().all(|(other, _)| other != id));
        found
    }

    fn process_gone(&mut self, id: QuestionId, pid: &Pid) {
        self.monitors.by_id.remove(&id);
        self.monitors.by_pid.remove(pid);
        self.locks.pid_down(pid);
        for name in self.names.of_pid(pid).to_vec() {
            self.delete_name(&name);
        }
        self.answer_whereis();
    }

    /// A node is gone or left out. When it is gone its monitors have fired already, save those on processes whose
    /// last messages were handled when a new connection was there: what they locked they do not know of any more.
    pub(super) fn drop_processes_of(&mut self, node: &Atom) {
        let mut left: Vec<(QuestionId, Pid)> = self
            .monitors
            .by_id
            .iter()
            .filter(|(_, pid)| pid.node() == node)
            .map(|(id, pid)| (*id, pid.clone()))
            .collect();
        left.sort_unstable_by_key(|(id, _)| *id);
        for (id, pid) in left {
            self.monitors.unreached.remove(&id);
            self.out.push_back(Output::Demonitor { id, pid: pid.clone() });
            self.process_gone(id, &pid);
        }
    }

    fn monitor(&mut self, pid: &Pid) {
        // Our own three processes live as long as this table.
        if self.is_own_process(pid) {
            return;
        }
        if let Some(monitor) = self.monitors.by_pid.get_mut(pid) {
            monitor.users += 1;
            return;
        }
        let id = self.next_question();
        self.monitors.by_pid.insert(pid.clone(), Monitor { id, users: 1 });
        self.monitors.by_id.insert(id, pid.clone());
        self.out.push_back(Output::Monitor { id, pid: pid.clone() });
    }

    fn demonitor(&mut self, pid: &Pid) {
        let Some(monitor) = self.monitors.by_pid.get_mut(pid) else { return };
        monitor.users -= 1;
        if monitor.users > 0 {
            return;
        }
        let id = monitor.id;
        self.monitors.by_pid.remove(pid);
        self.monitors.by_id.remove(&id);
        self.monitors.unreached.remove(&id);
        self.out.push_back(Output::Demonitor { id, pid: pid.clone() });
    }

    #[cfg(test)]
    pub(super) fn monitors_of(&self, pid: &Pid) -> Vec<QuestionId> {
        self.monitors.by_id.iter().filter(|(_, p)| *p == pid).map(|(id, _)| *id).collect()
    }

    fn is_own_process(&self, pid: &Pid) -> bool {
        let config = &self.config;
        [&config.name_server, &config.locker, &config.registrar].contains(&pid)
    }

    /// The old question for a name: it waits while names may be changing.
    pub(super) fn ask_whereis(&mut self, name: Term, from: Pid, tag: Term) {
        if self.whereis_waiting.len() >= WHEREIS_MAX {
            self.out
                .push_back(Output::Warn(Warning::Full { what: "the queue of whereis", max: WHEREIS_MAX }));
            return;
        }
        self.whereis_waiting.push((name, from, tag));
        self.answer_whereis();
    }

    fn answer_whereis(&mut self) {
        if self.whereis_waiting.is_empty() || self.locks.is_global_set() {
            return;
        }
        for (name, to, tag) in std::mem::take(&mut self.whereis_waiting) {
            let term = self.whereis(&name).map_or(Term::atom("undefined"), Term::from);
            self.out.push_back(Output::Reply { to, tag, term });
        }
    }

    /// The state as OTP's `#state{}` shows it, for those who look inside.
    pub(super) fn info_term(&self) -> Term {
        let config = &self.config;
        let mut known: Vec<(Term, Term)> =
            self.known.iter().map(|(node, vsn)| (node.into(), (*vsn).into())).collect();
        known.extend(self.pending.iter().map(|(node, vsn)| (tuple!(atom "pending", node), (*vsn).into())));
        known.extend(self.removing.iter().map(|node| (tuple!(atom "removing", node), Term::atom("yes"))));
        let resolvers = self.sessions.keys().map(Term::from).collect::<Vec<_>>();
        tuple!(
            atom "state",
            tuple!(atom "conf", config.connect_all, config.prevent_overlapping_partitions),
            known.into_iter().collect::<etf::Map>(),
            self.synced.iter().map(Term::from).collect::<Vec<_>>(),
            resolvers,
            Term::NIL,
            &config.node,
            &config.locker,
            &config.registrar,
            atom "no_trace",
            self.locks.is_global_lock_down()
        )
    }
}
