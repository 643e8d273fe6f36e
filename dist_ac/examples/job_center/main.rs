//! A job center as a distributed application: who has work adds it, who wants work is given the oldest, and what a
//! worker has not done when it dies is given to the next.
//!
//! ```text
//! cargo run -p crabnode-dist-ac --example job_center -- --sname jc2@localhost --config config/job_center/jc2 --start
//! ```
//!
//! | call of `{global, job_center_serv}` | answer |
//! |---|---|
//! | `{add_job, Job}` | the job's number |
//! | `work_wanted` | `{Number, Job}`, or `no` |
//! | `{job_done, Number}` | `ok`, or `{error, not_found}` |
//! | `statistics` | `#{waiting => N, in_progress => N, done => N}` |
//! | `hand_over` | all of it, for the next owner |
//!
//! The jobs are in the memory of one node. In a takeover the next owner gets them, those in work too; the death of the
//! node is the end of them.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, VecDeque},
    process::ExitCode,
};

use crabnode::{
    Context, Message, Monitor, Pid, Term,
    gen_server::{self, GenServer, Next, Reply, ServerName},
    match_term, term,
};
use crabnode_dist_ac::{
    Application, Start, StartType, Started,
    handover::{Handover, IfSilent, Inherited},
};

#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run(include_str!("job_center.app"), JobCenter)
}

struct JobCenter;

impl Application for JobCenter {
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        let start_type = start.start_type.clone();
        common::supervise::<Server>(context, &start, ServerName::None, start_type).await
    }

    async fn stop(&self, context: &mut Context, _state: Term) {
        common::say(&format!("job_center: stopped on {}", context.node().name()));
    }
}

#[derive(Default)]
struct Server {
    last: u64,
    waiting: VecDeque<(u64, Term)>,
    in_progress: BTreeMap<u64, Work>,
    done: u64,
}

struct Work {
    job: Term,
    worker: Pid,
    monitor: Monitor,
}

impl GenServer for Server {
    type Args = StartType;

    async fn init(context: &mut Context, start_type: StartType) -> Result<Self, Term> {
        let handover = Handover::from_global(Term::atom("job_center_serv"), Term::atom("hand_over"));
        // A queue that cannot be had is not worth more than a running job center.
        let inherited = handover.if_silent(IfSilent::StartWithout).take(context, &start_type).await;
        match inherited.map_err(|silent| silent.into_reason())? {
            Inherited::State(state) => Self::from_state(context, &state),
            Inherited::Nothing | Inherited::Lost => Ok(Self::default()),
        }
    }

    async fn handle_call(&mut self, context: &mut Context, request: Term, from: &gen_server::From) -> Reply {
        Reply::Reply(match_term!(&request,
            {add_job, (job)} => {
                self.last += 1;
                self.waiting.push_back((self.last, job.clone()));
                self.last.into()
            }
            work_wanted => match self.waiting.pop_front() {
                None => term!(no),
                Some((number, job)) => {
                    self.give(context, number, job.clone(), from.pid().clone());
                    term!({(number), (job)})
                }
            },
            {job_done, (number: u64)} => match self.in_progress.remove(&number) {
                None => term!({error, not_found}),
                Some(work) => {
                    context.demonitor(&work.monitor);
                    self.done += 1;
                    term!(ok)
                }
            },
            statistics => term!(#{
                waiting => (self.waiting.len()), in_progress => (self.in_progress.len()), done => (self.done)
            }),
            hand_over => self.to_state(),
            _ => term!({error, unknown_request}),
        ))
    }

    async fn handle_info(&mut self, _: &mut Context, message: Message) -> Next {
        if let Message::Down { reference, .. } = message {
            let mut given = self.in_progress.iter();
            let number =
                given.find(|(_, work)| work.monitor.reference == reference).map(|(number, _)| *number);
            if let Some((number, work)) = number.and_then(|number| self.in_progress.remove_entry(&number)) {
                // It has waited longest.
                self.waiting.push_front((number, work.job));
            }
        }
        Next::Continue
    }
}

impl Server {
    fn give(&mut self, context: &Context, number: u64, job: Term, worker: Pid) {
        let monitor = context.monitor(&worker);
        self.in_progress.insert(number, Work { job, worker, monitor });
    }

    /// `{Last, Done, [{Number, Job}], [{Number, Job, Worker}]}`.
    fn to_state(&self) -> Term {
        let waiting: Vec<_> =
            self.waiting.iter().map(|(number, job)| term!({(*number), (job.clone())})).collect();
        let given = self.in_progress.iter();
        let given: Vec<_> =
            given.map(|(number, work)| term!({(*number), (work.job.clone()), (&work.worker)})).collect();
        term!({(self.last), (self.done), (waiting), (given)})
    }

    fn from_state(context: &Context, state: &Term) -> Result<Self, Term> {
        let bad = || term!({bad_state, (state.clone())});
        match_term!(state,
            {(last: u64), (done: u64), (waiting: &[Term]), (given: &[Term])} => {
                let mut server = Self { last, done, ..Self::default() };
                for entry in waiting {
                    match_term!(entry,
                        {(number: u64), (job)} => server.waiting.push_back((number, job.clone())),
                        _ => return Err(bad()),
                    );
                }
                for entry in given {
                    match_term!(entry,
                        {(number: u64), (job), (worker: &Pid)} => {
                            server.give(context, number, job.clone(), worker.clone());
                        }
                        _ => return Err(bad()),
                    );
                }
                Ok(server)
            }
            _ => Err(bad()),
        )
    }
}
