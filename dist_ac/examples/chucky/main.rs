//! Facts about Chuck Norris as a distributed application, whose twin is written in Elixir: each side finds the other's
//! server by its name in `global`, which is what Elixir calls `{:global, Chucky.Server}`.
//!
//! ```text
//! cargo run -p crabnode-dist-ac --example chucky -- --sname b@localhost --config config/chucky/b --start
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;

use crabnode::{
    Context, Term,
    gen_server::{self, GenServer, Reply, ServerName},
};
use crabnode_dist_ac::{Application, Start, Started, handover};

#[path = "../common/mod.rs"]
mod common;

/// One a line.
const FACTS: &str = include_str!("facts.txt");

fn main() -> ExitCode {
    common::run(include_str!("chucky.app"), Chucky)
}

struct Chucky;

impl Application for Chucky {
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        common::supervise::<Server>(context, &start, ServerName::None, ()).await
    }

    async fn stop(&self, context: &mut Context, _state: Term) {
        common::say(&format!("chucky: stopped on {}", context.node().name()));
    }
}

/// Answers `fact` with one of the facts.
struct Server;

impl GenServer for Server {
    type Args = ();

    async fn init(context: &mut Context, (): ()) -> Result<Self, Term> {
        handover::take_name(context, &Term::atom("Elixir.Chucky.Server")).await;
        Ok(Self)
    }

    async fn handle_call(&mut self, _: &mut Context, request: Term, _from: &gen_server::From) -> Reply {
        if request.is_atom("fact") {
            let nth = common::random(FACTS.lines().count());
            Reply::Reply(Term::binary(FACTS.lines().nth(nth).unwrap_or_default()))
        } else {
            Reply::NoReply
        }
    }
}
