//! `set_lock`, `del_lock` and `trans` as a process runs them itself, for the lock is its own
//! (cluster-services.md 1.8).
//!
//! ```text
//!            ┌────────────── time ──────────────┐
//!            ▼                                  │
//!  start ─ Probing ─ free ─► Acquiring ─ no ─► Sleeping      (as often as the retries allow)
//!            │                   │
//!            │ held, no retry    └─ yes ─► set_lock: done
//!            ▼                             trans: Running ─ ran ─► Deleting ─► done
//!           done
//! ```
//!
//! A process that stops half-way needs to clean nothing up: all who gave it a lock monitor it.

use std::{collections::VecDeque, time::Instant};

use etf::{Atom, Term};

use super::{
    acquire::{Gather, SetLockOnNodes, Step},
    api::{CallResult, QuestionId},
    backoff::Rng,
    wire::{Call, LockId},
};

/// How often to try again when a lock is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    /// So many times; 0 is one try.
    Times(u32),
    /// For ever.
    Infinity,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The answer to [`Output::Probe`]: what [`Engine::allows`](super::engine::Engine::allows) says.
    Probed {
        /// Whether this node would give the lock.
        allowed: bool,
    },
    /// One node's answer to an [`Output::MultiCall`].
    CallReply {
        /// The number of the call.
        id: QuestionId,
        /// The node that answered, or is down.
        node: Atom,
        /// Its answer.
        result: CallResult,
    },
    /// The answer to [`Output::Run`]: the function has returned, or failed.
    Ran,
    /// The time of [`Client::poll_timeout`] has come.
    Timer,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask this node's own table first.
    Probe(LockId),
    /// Call `global_name_server` on each of these nodes, this one among them if it is named, as the process that is
    /// to hold the lock; connect to those that are not. Each is answered by one [`Input::CallReply`].
    MultiCall {
        /// The number.
        id: QuestionId,
        /// The nodes, each once.
        nodes: Vec<Atom>,
        /// The request.
        request: Term,
    },
    /// The lock is held: run the function of the transaction.
    Run,
    /// All is done.
    Done(Outcome),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// `set_lock`: `true`. `del_lock`: always. `trans`: the function ran, and the lock is free again.
    Done,
    /// `set_lock`: `false`. `trans`: `aborted`.
    NotLocked,
}

#[derive(Debug)]
enum State {
    Probing,
    Acquiring(SetLockOnNodes),
    Sleeping(Instant),
    Running,
    Deleting,
    Done,
}

/// One `set_lock`, `del_lock` or `trans`.
#[derive(Debug)]
pub struct Client {
    id: LockId,
    nodes: Vec<Atom>,
    own: Atom,
    retries: Retries,
    /// Whether a function runs under the lock.
    trans: bool,
    times: u32,
    rng: Rng,
    state: State,
    call: Option<Gather>,
    calls: QuestionId,
    out: VecDeque<Output>,
}

impl Client {
    /// `global:set_lock/3`. `own` is this node; `seed` makes the random waits.
    #[must_use]
    pub fn set_lock(id: LockId, nodes: Vec<Atom>, retries: Retries, own: Atom, seed: u64) -> Self {
        let mut client = Self::new(id, nodes, retries, own, seed);
        client.attempt();
        client
    }

    /// `global:trans/4`.
    #[must_use]
    pub fn trans(id: LockId, nodes: Vec<Atom>, retries: Retries, own: Atom, seed: u64) -> Self {
        let mut client = Self::new(id, nodes, retries, own, seed);
        client.trans = true;
        client.attempt();
        client
    }

    /// `global:del_lock/2`.
    #[must_use]
    pub fn del_lock(id: LockId, nodes: Vec<Atom>) -> Self {
        let mut client = Self::new(id, nodes, Retries::Times(0), Atom::from_static(""), 0);
        client.delete();
        client
    }

    fn new(id: LockId, mut nodes: Vec<Atom>, retries: Retries, own: Atom, seed: u64) -> Self {
        nodes.sort();
        nodes.dedup();
        Self {
            id,
            nodes,
            own,
            retries,
            trans: false,
            times: 1,
            rng: Rng::new(seed),
            state: State::Probing,
            call: None,
            calls: 0,
            out: VecDeque::new(),
        }
    }

    /// Takes an event in. One that does not fit is ignored.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match (input, &mut self.state) {
            (Input::Probed { allowed }, State::Probing) => {
                let (lock, step) =
                    SetLockOnNodes::start(self.id.clone(), self.nodes.clone(), &self.own, allowed);
                self.state = State::Acquiring(lock);
                self.step(now, step);
            }
            (Input::CallReply { id, node, result }, _) => {
                let Some(call) = self.call.as_mut().filter(|call| call.id == id) else { return };
                let reply = match result {
                    CallResult::Reply(term) => Some(term),
                    CallResult::Down => None,
                };
                call.answer(&node, reply);
                self.go_on(now);
            }
            (Input::Ran, State::Running) => {
                self.delete();
            }
            (Input::Timer, State::Sleeping(until)) if *until <= now => self.attempt(),
            (Input::Probed { .. } | Input::Ran | Input::Timer, _) => {}
        }
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to hand in [`Input::Timer`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if let State::Sleeping(until) = self.state { Some(until) } else { None }
    }

    fn go_on(&mut self, now: Instant) {
        let Some(call) = self.call.take_if(|call| call.is_done()) else { return };
        match &mut self.state {
            State::Acquiring(lock) => {
                let step = lock.replies(call.into_replies());
                self.step(now, step);
            }
            State::Deleting => self.done(Outcome::Done),
            State::Probing | State::Sleeping(_) | State::Running | State::Done => {}
        }
    }

    fn attempt(&mut self) {
        self.state = State::Probing;
        self.out.push_back(Output::Probe(self.id.clone()));
    }

    fn step(&mut self, now: Instant, step: Step) {
        match step {
            Step::Call(nodes, call) => self.multi_call(nodes, &call),
            Step::Locked { .. } if self.trans => {
                self.state = State::Running;
                self.out.push_back(Output::Run);
            }
            Step::Locked { .. } => self.done(Outcome::Done),
            Step::Refused => {
                match &mut self.retries {
                    Retries::Times(0) => return self.done(Outcome::NotLocked),
                    Retries::Times(left) => *left -= 1,
                    Retries::Infinity => {}
                }
                self.state = State::Sleeping(now + self.rng.backoff(self.times));
                self.times = self.times.saturating_add(1);
            }
        }
    }

    fn delete(&mut self) {
        if self.nodes.is_empty() {
            return self.done(Outcome::Done);
        }
        self.state = State::Deleting;
        self.multi_call(self.nodes.clone(), &Call::DelLock(self.id.clone()));
    }

    fn multi_call(&mut self, nodes: Vec<Atom>, call: &Call) {
        self.calls += 1;
        self.call = Some(Gather::new(self.calls, nodes.clone()));
        self.out.push_back(Output::MultiCall { id: self.calls, nodes, request: call.to_term() });
    }

    fn done(&mut self, outcome: Outcome) {
        self.state = State::Done;
        self.out.push_back(Output::Done(outcome));
    }
}

#[cfg(test)]
#[path = "tests/client.rs"]
mod tests;
