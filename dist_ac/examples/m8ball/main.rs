//! A magic 8-ball as a distributed application: it runs on one node at a time, of Rust or of Erlang, and whoever asks
//! need not know which.
//!
//! ```text
//! cargo run -p crabnode-dist-ac --example m8ball -- --sname b@localhost --config config/b --start
//! ```
#![forbid(unsafe_code)]

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    process::ExitCode,
    time::Duration,
};

use crabnode::{
    Context, Pid, Term,
    gen_server::{self, GenServer, Reply, ServerName},
    global::Resolver,
    supervisor::{self, ChildSpec, SupervisorSpec},
};
use crabnode_dist_ac::{Application, Applications, Start, Started};

#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run(include_str!("m8ball.app"), M8ball)
}

struct M8ball;

impl Application for M8ball {
    // normal, {failover, Node} and {takeover, Node} start the same: there is no state to bring along.
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        common::say(&format!("m8ball: start {} on {}", start.start_type.to_term(), context.node().name()));
        let applications = start.applications;
        let server = ChildSpec::worker("m8ball_server", move |context| {
            let applications = applications.clone();
            Box::pin(gen_server::start_link::<Server>(context, ServerName::None, applications))
        });
        let mut spec = SupervisorSpec::one_for_one(vec![server]);
        spec.period = Duration::from_secs(10);
        // Started without a name. With one the start would fail during a takeover, when the name is still that of
        // the supervisor on the node taken over, which stops only after this one has started.
        let pid = supervisor::start_link(context, ServerName::None, spec).await?;
        register_globally(context, "m8ball_sup", &pid).await;
        Ok(Started::new(pid))
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
        let pid = context.pid().clone();
        register_globally(context, "m8ball_server", &pid).await;
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

/// Gives a name to a process, taking it from the one who has it.
async fn register_globally(context: &Context, name: &'static str, pid: &Pid) {
    let (node, global) = (context.node(), context.node().global());
    // A node that has just booted may not have been told the names of the others: registering now would make two
    // owners, of which global kills one at random. Not waited for without end: registering is right even then.
    let _ = tokio::time::timeout(Duration::from_secs(5), global.sync(node.nodes())).await;
    global.re_register_name(&Term::atom(name), pid, Resolver::RandomExit).await;
}

fn pick(answers: &Term) -> Option<Term> {
    let answers = answers.as_tuple().or_else(|| answers.as_list())?;
    // The standard library's one source of randomness.
    let random = RandomState::new().build_hasher().finish();
    let count = u64::try_from(answers.len()).ok().filter(|count| *count > 0)?;
    answers.get(usize::try_from(random % count).ok()?).cloned()
}
