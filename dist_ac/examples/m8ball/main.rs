//! A magic 8-ball as a distributed application: it runs on one node at a time, of Rust or of Erlang, and whoever asks
//! need not know which.
//!
//! ```text
//! cargo run -p crabnode-dist-ac --example m8ball -- --sname b@localhost --config config/b --start
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;

use crabnode::{
    Context, Term,
    gen_server::{self, GenServer, Reply, ServerName},
};
use crabnode_dist_ac::{Application, Applications, Start, Started, handover};

#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run(include_str!("m8ball.app"), M8ball)
}

struct M8ball;

impl Application for M8ball {
    // normal, {failover, Node} and {takeover, Node} start the same: there is no state to bring along.
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        let applications = start.applications.clone();
        let started = common::supervise::<Server>(context, &start, ServerName::None, applications).await?;
        // The server has waited for the names of the others.
        handover::give_name(context, &Term::atom("m8ball_sup"), &started.pid).await;
        Ok(started)
    }

    async fn stop(&self, context: &mut Context, _state: Term) {
        common::say(&format!("m8ball: stopped on {}", context.node().name()));
    }
}

/// Answers `question` with one of the answers in the application's environment, and ends on `stop`.
struct Server {
    applications: Applications,
}

impl GenServer for Server {
    type Args = Applications;

    async fn init(context: &mut Context, applications: Applications) -> Result<Self, Term> {
        handover::take_name(context, &Term::atom("m8ball_server")).await;
        Ok(Self { applications })
    }

    async fn handle_call(&mut self, _: &mut Context, request: Term, _from: &gen_server::From) -> Reply {
        match request.as_atom().map(etf::Atom::as_str) {
            // Read anew each time: application:set_env/3 takes effect on the next question.
            Some("question") => match self.applications.env("m8ball", "answers").as_ref().and_then(pick) {
                Some(answer) => Reply::Reply(answer),
                None => Reply::Stop(Term::atom("no_answers")),
            },
            Some("stop") => Reply::StopReply(Term::atom("normal"), Term::atom("ok")),
            _ => Reply::NoReply,
        }
    }
}

fn pick(answers: &Term) -> Option<Term> {
    let answers = answers.as_tuple().or_else(|| answers.as_list())?;
    answers.get(common::random(answers.len().max(1))).cloned()
}
