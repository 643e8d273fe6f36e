//! The registrar: registers and unregisters names on all members, one request at a time
//! (cluster-services.md 1.8, `trans_all_known`).
//!
//! ```text
//!  Idle ─ request ─► Boss ─ true ─► All ─ true, and no new member ─┬─► CheckAlive ─┐
//!                     │ false        │ else                        └───────────────┴─► Working
//!                     ▼              ▼                                                    │ done
//!                  Sleeping ◄── Undoing                     Idle ◄─ answer ─ Releasing ◄──┘
//!                     └─ time ─► Boss                                  (boss last)
//! ```

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use etf::{Atom, Term};

use super::{
    Engine,
    acquire::{Replies, SetLockOnNodes, Step, boss, split_boss},
    api::{Answer, Error, Output, QuestionId, RequestId, Role, Warning},
    engine::ReplyTo,
    wire::{Call, LockId, Name},
};

/// The most requests that wait for the registrar. Each takes a few round trips through the cluster, so so many wait
/// for minutes already.
const QUEUE_MAX: usize = 65_536;

/// What is done under the lock.
#[derive(Debug)]
pub(super) enum Op {
    /// `again`: in place of an old process, without checks.
    Register {
        name: Name,
        again: bool,
    },
    RegisterExternal {
        name: Name,
    },
    Unregister {
        name: Term,
    },
}

#[derive(Debug)]
struct Job {
    reply_to: ReplyTo,
    op: Op,
    /// How often the lock was not to be had.
    times: u32,
}

#[derive(Debug, Default)]
pub(super) struct Registrar {
    queue: VecDeque<Job>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Sleeping {
        job: Job,
        until: Instant,
    },
    /// Locking the boss.
    Boss {
        job: Job,
        known: BTreeSet<Atom>,
        lock: SetLockOnNodes,
    },
    /// Locking the rest.
    All {
        job: Job,
        known: BTreeSet<Atom>,
        taken: Vec<Atom>,
        lock: SetLockOnNodes,
    },
    /// Giving the locks back before another try.
    Undoing {
        job: Job,
    },
    /// The name is taken; does its process live?
    CheckAlive {
        job: Job,
        id: QuestionId,
        taken: Vec<Atom>,
    },
    /// The members change the name.
    Working {
        job: Job,
        taken: Vec<Atom>,
        answer: Answer,
    },
    Releasing {
        job: Job,
        boss: Option<Atom>,
        answer: Answer,
    },
}

impl Registrar {
    pub(super) fn wake(&self) -> Option<Instant> {
        if let State::Sleeping { until, .. } = &self.state { Some(*until) } else { None }
    }
}

impl Engine {
    pub(super) fn registrar_enqueue(&mut self, id: RequestId, op: Op) -> Result<(), Error> {
        if self.registrar.queue.len() >= QUEUE_MAX {
            return Err(Error::TooManyRequests { max: QUEUE_MAX });
        }
        self.registrar.queue.push_back(Job { reply_to: ReplyTo::Request(id), op, times: 0 });
        Ok(())
    }

    /// Starts a request, or tries again; false if there is nothing to start.
    pub(super) fn registrar_next(&mut self, now: Instant) -> bool {
        match std::mem::take(&mut self.registrar.state) {
            State::Idle => match self.registrar.queue.pop_front() {
                Some(job) => self.lock_boss(now, job),
                None => return false,
            },
            State::Sleeping { job, until } if until <= now => self.lock_boss(now, job),
            waiting => {
                self.registrar.state = waiting;
                return false;
            }
        }
        true
    }

    pub(super) fn registrar_replies(&mut self, now: Instant, replies: Replies) {
        match std::mem::take(&mut self.registrar.state) {
            State::Boss { job, known, mut lock } => {
                let step = lock.replies(replies);
                self.boss_step(now, job, known, lock, step);
            }
            State::All { job, known, taken, mut lock } => {
                let step = lock.replies(replies);
                self.all_step(now, job, known, taken, lock, step);
            }
            State::Undoing { job } => self.sleep(now, job),
            // Who did not answer is gone, and will learn the names when it comes back.
            State::Working { job, taken, answer } => self.release(job, taken, answer),
            State::Releasing { job, boss: Some(boss), answer } => {
                self.registrar.state = State::Releasing { job, boss: None, answer };
                self.call_as(Role::Registrar, vec![boss], &Call::DelLock(self.registrar_lock()));
            }
            State::Releasing { job, boss: None, answer } => self.answer(&job.reply_to, answer),
            idle @ (State::Idle | State::Sleeping { .. } | State::CheckAlive { .. }) => {
                debug_assert!(false, "replies without a call");
                self.registrar.state = idle;
            }
        }
    }

    pub(super) fn registrar_alive(&mut self, id: QuestionId, alive: bool) {
        match std::mem::take(&mut self.registrar.state) {
            State::CheckAlive { job, id: asked, taken } if asked == id => {
                if alive {
                    self.release(job, taken, Answer::No);
                } else {
                    self.vacant(job, taken);
                }
            }
            other => self.registrar.state = other,
        }
    }

    fn registrar_lock(&self) -> LockId {
        LockId::global(Term::from(&self.config.registrar))
    }

    fn lock_boss(&mut self, now: Instant, job: Job) {
        let known: BTreeSet<Atom> = self.known.keys().cloned().collect();
        let nodes = self.self_and(&known);
        let first = boss(&nodes).cloned().into_iter().collect();
        let (lock, step) = SetLockOnNodes::start(self.registrar_lock(), first, &self.config.node, true);
        self.boss_step(now, job, known, lock, step);
    }

    fn boss_step(&mut self, now: Instant, job: Job, known: BTreeSet<Atom>, lock: SetLockOnNodes, step: Step) {
        match step {
            Step::Call(nodes, call) => {
                self.registrar.state = State::Boss { job, known, lock };
                self.call_as(Role::Registrar, nodes, &call);
            }
            Step::Locked { taken } => {
                let id = self.registrar_lock();
                let allows = self.locks.allows(&id);
                let (lock, step) =
                    SetLockOnNodes::start(id, self.self_and(&known), &self.config.node, allows);
                self.all_step(now, job, known, taken, lock, step);
            }
            Step::Refused => self.sleep(now, job),
        }
    }

    fn all_step(
        &mut self,
        now: Instant,
        job: Job,
        known: BTreeSet<Atom>,
        taken: Vec<Atom>,
        lock: SetLockOnNodes,
        step: Step,
    ) {
        match step {
            Step::Call(nodes, call) => {
                self.registrar.state = State::All { job, known, taken, lock };
                self.call_as(Role::Registrar, nodes, &call);
            }
            Step::Locked { taken }
                if self.known.keys().all(|node| known.contains(node) && !self.is_missing(node, &taken)) =>
            {
                self.under_lock(job, taken);
            }
            // A member came in meanwhile, or is just being connected to: it does not hold our lock.
            Step::Locked { taken } => self.undo(now, job, taken),
            Step::Refused => self.undo(now, job, taken),
        }
    }

    /// Whether a member that is not locked is there, or may come to be: it would not hear of the name. OTP takes it for
    /// gone.
    fn is_missing(&self, node: &Atom, taken: &[Atom]) -> bool {
        !taken.contains(node) && (self.up.contains(node) || self.connecting.contains_key(node))
    }

    fn undo(&mut self, now: Instant, job: Job, taken: Vec<Atom>) {
        if taken.is_empty() {
            self.sleep(now, job);
        } else {
            self.registrar.state = State::Undoing { job };
            self.call_as(Role::Registrar, taken, &Call::DelLock(self.registrar_lock()));
        }
    }

    fn sleep(&mut self, now: Instant, mut job: Job) {
        let until = now + self.rng.backoff(job.times);
        job.times = job.times.saturating_add(1);
        self.registrar.state = State::Sleeping { job, until };
    }

    /// The lock is held everywhere: may the request go on?
    fn under_lock(&mut self, job: Job, taken: Vec<Atom>) {
        let name = match &job.op {
            Op::Register { name, again: false } | Op::RegisterExternal { name } => name,
            Op::Register { again: true, .. } | Op::Unregister { .. } => return self.work(job, taken),
        };
        let Some(entry) = self.names.get(&name.name) else { return self.vacant(job, taken) };
        if entry.name.pid.node() != &self.config.node {
            return self.release(job, taken, Answer::No);
        }
        // A process that just died here must not keep its successor from the name.
        let pid = entry.name.pid.clone();
        let id = self.next_question();
        self.out.push_back(Output::CheckAlive { id, pid });
        self.registrar.state = State::CheckAlive { job, id, taken };
    }

    /// Nobody has the name: may this process have it besides its own?
    fn vacant(&mut self, job: Job, taken: Vec<Atom>) {
        if let Op::Register { name, .. } = &job.op
            && !self.config.multi_name_allow
        {
            let has = self.names.of_pid(&name.pid);
            if !has.is_empty() {
                let names = std::iter::once(&name.name).chain(has).cloned().collect();
                let pid = name.pid.clone();
                self.warn(Warning::SeveralNames { pid, names });
                return self.release(job, taken, Answer::No);
            }
        }
        self.work(job, taken);
    }

    /// Those that are locked change the name. OTP tells all members; but one that could not be locked and can be told
    /// now is on a new connection, and has our names after the next merge.
    fn work(&mut self, job: Job, taken: Vec<Atom>) {
        let (call, answer) = match &job.op {
            Op::Register { name, .. } => (Call::Register(name.clone()), Answer::Yes),
            Op::RegisterExternal { name } => {
                let reg_node = self.config.node.clone();
                (Call::RegisterExt { name: name.clone(), reg_node }, Answer::Yes)
            }
            Op::Unregister { name } => (Call::Unregister(name.clone()), Answer::Ok),
        };
        self.registrar.state = State::Working { job, taken: taken.clone(), answer };
        self.call_as(Role::Registrar, taken, &call);
    }

    fn release(&mut self, job: Job, taken: Vec<Atom>, answer: Answer) {
        let (others, boss) = split_boss(taken);
        let (now, then) = if others.is_empty() { (boss.into_iter().collect(), None) } else { (others, boss) };
        self.registrar.state = State::Releasing { job, boss: then, answer };
        self.call_as(Role::Registrar, now, &Call::DelLock(self.registrar_lock()));
    }

    fn self_and(&self, known: &BTreeSet<Atom>) -> Vec<Atom> {
        known.iter().chain([&self.config.node]).cloned().collect()
    }
}
