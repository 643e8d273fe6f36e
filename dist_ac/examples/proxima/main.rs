//! A keeper of keys and values as a distributed application that loses none of them when it moves: in a takeover the
//! new owner asks the old one, and for the case that the old one dies everything is in a file besides.
//!
//! ```text
//! cargo run -p crabnode-dist-ac --example proxima -- --sname b@localhost --config config/proxima/b --start
//! ```
//!
//! | call of `{global, proxima}`, or of `proxima` on its node | answer |
//! |---|---|
//! | `{put, Key, Value}` | `ok` |
//! | `get_state` | a map of all |
//!
//! The environment's `handover_limit` says for how many milliseconds the old owner is asked; if it is silent the new one
//! does not start, and the old one runs on. `state_file` names the file, as one that all nodes can read and write;
//! without it nothing outlives the node. Nodes that have lost sight of each other would both write it: what is kept elsewhere in earnest is kept by
//! something that lets only one of them, such as a database.
#![forbid(unsafe_code)]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crabnode::{
    Context, Map, Term,
    gen_server::{self, GenServer, Reply, ServerName},
    match_term, term,
};
use crabnode_dist_ac::{
    Application, Applications, Start, StartType, Started,
    handover::{self, Handover, Inherited},
};
use etf::Atom;

#[path = "../common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run(include_str!("proxima.app"), Proxima)
}

struct Proxima;

impl Application for Proxima {
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        let args = Args { applications: start.applications.clone(), has_gone: Arc::default() };
        common::supervise::<Server>(context, &start, ServerName::Local("proxima".into()), args).await
    }

    async fn start_phase(&self, context: &mut Context, phase: Atom, start: Start) -> Result<(), Term> {
        let start_type = start.start_type.to_term();
        common::say(&format!("proxima: phase {phase} {start_type} on {}", context.node().name()));
        if phase != "go" {
            return Ok(());
        }
        let reply = context.call("proxima", term!({go, (start_type)}), None).await;
        match_term!(&reply.map_err(|error| error.into_reason())?,
            {error, (reason)} => Err(reason.clone()),
            _ => Ok(()),
        )
    }

    async fn stop(&self, context: &mut Context, _state: Term) {
        common::say(&format!("proxima: stopped on {}", context.node().name()));
    }
}

#[derive(Clone)]
struct Args {
    applications: Applications,
    /// The last start phase is over: a server that starts now follows one of this node that has crashed.
    has_gone: Arc<AtomicBool>,
}

struct Server {
    args: Args,
    state: Map,
}

impl GenServer for Server {
    type Args = Args;

    async fn init(context: &mut Context, args: Args) -> Result<Self, Term> {
        let mut server = Self { args, state: Map::new() };
        if server.args.has_gone.load(Ordering::Acquire) {
            server.go(context, &StartType::Normal).await?;
        }
        Ok(server)
    }

    async fn handle_call(&mut self, context: &mut Context, request: Term, from: &gen_server::From) -> Reply {
        Reply::Reply(match_term!(&request,
            get_state => self.state.clone().into(),
            {put, (key), (value)} => {
                if handover::pass_on(context, &term!(proxima), &request, from).await {
                    return Reply::NoReply;
                }
                let mut state = self.state.clone();
                state.insert(key.clone(), value.clone());
                self.replace(state)
            }
            {go, (start_type)} => match StartType::from_term(start_type) {
                None => term!({error, {bad_start_type, (start_type.clone())}}),
                Some(start_type) => match self.go(context, &start_type).await {
                    Ok(()) => term!(ok),
                    Err(reason) => term!({error, (reason)}),
                },
            },
            _ => term!({error, unknown_request}),
        ))
    }
}

impl Server {
    /// The last start phase. Who calls by the global name waits from here on until the state is there.
    async fn go(&mut self, context: &mut Context, start_type: &StartType) -> Result<(), Term> {
        let limit = self.args.applications.env("proxima", "handover_limit").and_then(|limit| limit.as_u64());
        let handover = Handover::from_local("proxima", term!(get_state)).global(term!(proxima));
        let handover = handover.limit(limit.map_or(handover::LIMIT, Duration::from_millis));
        match handover.take(context, start_type).await.map_err(|silent| silent.into_reason())? {
            Inherited::State(Term::Map(state)) => self.state = state,
            Inherited::State(other) => return Err(term!({bad_state, (other)})),
            Inherited::Nothing | Inherited::Lost => {
                self.state = self.read().map_err(|error| reason(&error))?
            }
        }
        self.args.has_gone.store(true, Ordering::Release);
        Ok(())
    }

    /// What is answered is in the file.
    fn replace(&mut self, state: Map) -> Term {
        match self.write(&state) {
            Ok(()) => {
                self.state = state;
                term!(ok)
            }
            Err(error) => term!({error, (reason(&error))}),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        self.args.applications.env("proxima", "state_file")?.as_text().map(PathBuf::from)
    }

    fn read(&self) -> io::Result<Map> {
        let Some(file) = self.file() else { return Ok(Map::new()) };
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
            bytes => bytes?,
        };
        match etf::text::consult_bytes(&bytes).as_deref() {
            Ok([Term::Map(state)]) => Ok(state.clone()),
            _ => Err(io::Error::other("no map")),
        }
    }

    /// Whoever reads it finds it as it was before or as it is now.
    fn write(&self, state: &Map) -> io::Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let new = next_to(&file);
        fs::write(&new, format!("{}.\n", Term::from(state.clone())))?;
        fs::rename(new, file)
    }
}

fn next_to(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn reason(error: &io::Error) -> Term {
    term!({state_file, (Term::binary(error.to_string().as_str()))})
}
