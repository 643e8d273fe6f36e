//! Links between nodes, what travels along them, and global locks.

use crabnode_dist_ac::{
    engine::{self, Lock, Request, wire::Message},
    exchange::CallId,
    heal,
};
use etf::{Atom, Term};

use super::{
    Sim, What,
    world::{name, pair},
};

#[derive(Debug, Clone)]
pub(super) enum Parcel {
    Message(Message),
    /// A call of `get_known_nodes` or `info`.
    Probe(Wanted),
    /// Its answer.
    Known(Vec<Atom>),
    /// The same call, to know that everything before it was read.
    Read,
    /// The answer to a call of `info`.
    Info(Term),
    /// What runs at a node.
    Running(Vec<Atom>),
    /// Of a healer, by its number.
    Question(u64),
    Answer(u64, Term),
    /// A healer says that a node is down.
    NodeDown(Atom),
    /// A healer calls `application:stop/1`, and then `start/2`.
    Restart(Atom),
    /// A healer calls `application:takeover/2`.
    TakeOver(Atom),
}

/// What an engine wants of another `dist_ac`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Info,
    Known,
    Read,
    /// Of its application controller, which is not blocked with it.
    Running,
}

impl Sim {
    pub(super) fn connect(&mut self, one: usize, other: usize) {
        if self.connected.contains_key(&pair(one, other)) {
            return;
        }
        self.epochs += 1;
        let epoch = self.epochs;
        self.connected.insert(pair(one, other), epoch);
        self.along(other, one, What::NodeUp { at: one, node: other, epoch });
        self.along(one, other, What::NodeUp { at: other, node: one, epoch });
    }

    pub(super) fn disconnect(&mut self, one: usize, other: usize) {
        let Some(epoch) = self.connected.remove(&pair(one, other)) else { return };
        self.along(other, one, What::NodeDown { at: one, node: other, epoch });
        self.along(one, other, What::NodeDown { at: other, node: one, epoch });
    }

    pub(super) fn node_up(&mut self, at: usize, node: usize, epoch: u64) {
        let current = self.connected.get(&pair(at, node)) == Some(&epoch);
        let Some(state) = self.nodes[at].as_mut().filter(|_| current) else { return };
        state.links.insert(node, epoch);
        self.healer(at, heal::Input::NodeUp { node: name(node), hidden: false });
        self.handle(at, engine::Input::NodeUp { node: name(node), hidden: false });
    }

    pub(super) fn node_down(&mut self, at: usize, node: usize, epoch: u64) {
        let Some(state) = self.nodes[at].as_mut() else { return };
        if state.links.get(&node) == Some(&epoch) {
            state.links.remove(&node);
            self.note(format!("{} nodedown {}", name(at), name(node)));
            self.healer(at, heal::Input::NodeDown { node: name(node) });
            self.handle(at, engine::Input::NodeDown { node: name(node) });
        }
    }

    /// A message that no member sent arrives at a node.
    pub fn forge(&mut self, to: usize, message: Message) {
        self.note(format!("{} < forged {:?}", name(to), message.to_term()));
        self.handle(to, engine::Input::Message(message));
    }

    pub(super) fn send(&mut self, from: usize, to: usize, parcel: Parcel) {
        let Some(epoch) = self.nodes[from].as_ref().and_then(|state| state.links.get(&to)).copied() else {
            return;
        };
        self.sent[from] += 1;
        self.along(from, to, What::Deliver { to, from, epoch, parcel });
    }

    pub(super) fn deliver(&mut self, to: usize, from: usize, epoch: u64, parcel: Parcel) {
        let Some(state) = &mut self.nodes[to] else { return };
        if state.links.get(&from) != Some(&epoch) {
            return;
        }
        match parcel {
            Parcel::Message(message) => {
                self.note(format!("{} < {:?}", name(to), message.to_term()));
                // What cannot be read on the other side is not sent here either.
                let message = Message::from_term(&message.to_term()).unwrap();
                if let Message::Status { node, heal, .. } = &message {
                    let (node, heal) = (node.clone(), *heal);
                    self.healer(to, heal::Input::Member { node, heal });
                }
                self.handle(to, engine::Input::Message(message));
            }
            Parcel::Probe(Wanted::Running) => {
                let running = state.controller.shutdown_order();
                self.send(to, from, Parcel::Running(running));
            }
            Parcel::Running(apps) => {
                self.handle(to, engine::Input::Running { node: name(from), apps: Some(apps) });
            }
            Parcel::Probe(wanted) => {
                self.next_call += 1;
                let call = CallId(self.next_call);
                self.probes.insert(self.next_call, (from, to, epoch, wanted));
                let request = if wanted == Wanted::Info { Request::Info } else { Request::KnownNodes };
                self.handle(to, engine::Input::Call { call, request });
            }
            Parcel::Read => self.handle(to, engine::Input::HasRead { node: name(from) }),
            Parcel::Info(info) => self.handle(to, engine::Input::Info { node: name(from), info }),
            Parcel::Question(number) => self.question(number),
            Parcel::Answer(number, reply) => self.answered(number, heal::Answer::Term(reply)),
            Parcel::NodeDown(down) => {
                let now = self.instant();
                if let Some(stock) = self.nodes[to].as_mut().and_then(|state| state.member.stock_mut()) {
                    stock.believe_down(now, down);
                    self.drain(to);
                }
            }
            Parcel::Restart(app) => self.restart(to, &app),
            Parcel::TakeOver(app) => self.take_over(to, app),
            Parcel::Known(nodes) => {
                self.handle(to, engine::Input::Known { node: name(from), nodes: Some(nodes) });
            }
        }
    }

    /// The answer to a call of `get_known_nodes` or `info` by a peer; says whether it was one.
    pub(super) fn answer_probe(&mut self, call: u64, reply: &Term) -> bool {
        let Some((asker, asked, epoch, wanted)) = self.probes.remove(&call) else { return false };
        let link = self.nodes[asked].as_ref().and_then(|state| state.links.get(&asker));
        if link == Some(&epoch) {
            let nodes = || reply.as_list().unwrap().iter().map(|node| node.as_atom().unwrap().clone());
            let answer = match wanted {
                Wanted::Info => Parcel::Info(reply.clone()),
                Wanted::Known => Parcel::Known(nodes().collect()),
                Wanted::Read | Wanted::Running => Parcel::Read,
            };
            self.send(asked, asker, answer);
        }
        true
    }

    pub(super) fn lock(&mut self, node: usize, life: u64, lock: Lock, nodes: Vec<usize>, retry: bool) {
        if self.node(node, life).is_none() {
            return;
        }
        let mine = (node, life, lock);
        let same = |held: &(usize, u64, Lock)| *held == mine || (lock == Lock::SyncDacs && held.2 == lock);
        let alive: Vec<usize> = nodes.iter().copied().filter(|at| self.nodes[*at].is_some()).collect();
        let granted = alive.iter().all(|at| self.locks[*at].iter().all(same));
        if granted {
            for at in alive {
                self.locks[at].push(mine);
            }
        } else if retry {
            return self.later(50, 250, What::LockTry { node, life, lock, nodes, retry });
        }
        self.handle(node, engine::Input::Locked { lock, granted });
    }

    pub(super) fn unlock(&mut self, node: usize, life: u64, lock: Lock) {
        for table in &mut self.locks {
            table.retain(|held| *held != (node, life, lock));
        }
    }

    /// In order behind everything that is on its way along this link.
    fn along(&mut self, from: usize, to: usize, what: What) {
        let last = self.arrivals.get(&(from, to)).copied().unwrap_or(0);
        let at = last.max(self.now + self.rng.between(1, self.world.delay_max));
        self.arrivals.insert((from, to), at);
        self.schedule(at, what);
    }
}
