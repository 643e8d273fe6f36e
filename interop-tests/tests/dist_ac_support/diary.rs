//! What applications do, over all nodes, in one order: `ct_diary` for nodes of ours, and the process that both tell.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crabnode::{
    Atom, Context, Dest, Message, SpawnOptions, Term,
    gen_server::{self, GenServer, Next, Reply},
    tuple,
};
use dist_ac::{Application, Start, Started};
use interop_tests::clock::now;

use super::short;

/// The node that the diary is on.
pub(crate) const NODE: &str = "diary@localhost";

/// The diary may be waited for longer than anything takes.
const LIMIT: Duration = Duration::from_secs(30);

/// What happened to an application.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) app: String,
    /// The node and what happened, as `s {start,normal}`.
    pub(crate) line: String,
}

/// All of it, in the order in which it happened.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<Entry>>>);

impl Diary {
    pub(crate) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines of one application.
    pub(crate) fn of(&self, app: &str) -> Vec<String> {
        self.entries().iter().filter(|entry| entry.app == app).map(|entry| entry.line.clone()).collect()
    }

    /// When something happened last.
    pub(crate) fn when(&self, app: &str, line: &str) -> Option<Instant> {
        let entries = self.entries();
        entries.iter().rev().find(|entry| entry.app == app && entry.line == line).map(|entry| entry.at)
    }
}

/// Takes `{Node, App, What}`; who calls goes on once it is written.
impl GenServer for Diary {
    type Args = Self;

    async fn init(_: &mut Context, diary: Self) -> Result<Self, Term> {
        Ok(diary)
    }

    async fn handle_call(&mut self, _: &mut Context, request: Term, _: &gen_server::From) -> Reply {
        if let Some([node, app, what]) = request.as_tuple() {
            let line = format!("{} {}", short(node), short(what));
            self.entries().push(Entry { at: now(), app: short(app), line });
        }
        Reply::Reply(Term::atom("ok"))
    }

    async fn handle_info(&mut self, _: &mut Context, _: Message) -> Next {
        Next::Continue
    }
}

/// What `ct_diary` is on a stock node.
pub(crate) struct CtDiary;

impl Application for CtDiary {
    async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
        let name = start.args.as_atom().cloned().expect("{mod, {ct_diary, Name}}");
        if let Some(slow) = start.applications.env(&name, "slow").and_then(|time| time.as_u64()) {
            tokio::time::sleep(Duration::from_millis(slow)).await;
        }
        if let Some(reason) = start.applications.env(&name, "fail") {
            return Err(reason);
        }
        note(context, &name, tuple!(atom "start", start.start_type.to_term())).await;
        let options = SpawnOptions { name: Some(name.clone()), ..SpawnOptions::default() };
        let body = |mut top: Context| async move {
            let reason = |message: &Message| match message.as_term()?.as_tuple()? {
                [die, reason] if die.is_atom("die") => Some(reason.clone()),
                _ => None,
            };
            top.receive_match(reason).await
        };
        let pid = context.spawn_link(options, body).map_err(|_| Term::atom("name_taken"))?;
        Ok(Started { pid, state: name.into() })
    }

    async fn start_phase(&self, context: &mut Context, phase: Atom, start: Start) -> Result<(), Term> {
        let name = start.args.as_atom().cloned().expect("{Phase, Name}");
        note(context, &name, tuple!(phase, start.start_type.to_term())).await;
        Ok(())
    }

    async fn prep_stop(&self, context: &mut Context, state: Term) -> Term {
        let name = state.as_atom().cloned().expect("what start gave");
        note(context, &name, Term::atom("prep_stop")).await;
        state
    }

    async fn stop(&self, context: &mut Context, state: Term) {
        let name = state.as_atom().cloned().expect("what start gave");
        note(context, &name, Term::atom("stop")).await;
    }
}

async fn note(context: &mut Context, app: &Atom, what: Term) {
    let diary = Dest::NameAt(Atom::from_static("diary"), Atom::from_static(NODE));
    let entry = tuple!(context.node().name().clone(), app, what);
    // A node that is being stopped cannot write any more.
    let _ = context.call(diary, entry, Some(LIMIT)).await;
}
