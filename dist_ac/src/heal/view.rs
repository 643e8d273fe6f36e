//! What a node says of itself: `dist_ac:info()` and `application:info()`. Both are records and lists that no manual
//! describes, the same in OTP 23 to 29; what is not as expected is left out, and a node that says nothing useful is
//! left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etf::{Atom, Term, text::parse_term};

use crate::engine::appl::{AppId, Appl, Nodes, RestartTime};

/// The state of a `dist_ac` (dist_ac.md 0).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DistAc {
    pub(super) apps: BTreeMap<Atom, App>,
    pub(super) known: Vec<Atom>,
    pub(super) started: BTreeSet<Atom>,
    /// Of which it has heard that they run at another node, before they were started here (`remote_started`).
    pub(super) heard: BTreeSet<Atom>,
}

/// One of its applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct App {
    pub(super) id: AppId,
    pub(super) nodes: Nodes,
    /// The record as it came: what an introduction repeats.
    pub(super) record: Appl,
}

/// The state of an application controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Controller {
    pub(super) running: BTreeMap<Atom, Place>,
    /// Starts under way, and those that wait for the decision of `dist_ac`.
    pub(super) starting: BTreeSet<Atom>,
    /// With the restart type.
    pub(super) started: BTreeMap<Atom, Term>,
}

/// Where an application controller believes it to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    At(Atom),
    Nowhere,
}

/// In what a `dist_ac` is blocked that decides about an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) awaits: Awaited,
    /// It decides for a caller of `permit`, who holds the lock meanwhile that every start needs.
    pub(super) locks: bool,
    /// Atoms among its variables: the application and the node that it waits for are there. None of one that waits for the
    /// lock of its first introductions.
    pub(super) names: BTreeSet<Atom>,
    /// What it knew when it began to decide.
    pub(super) state: Option<DistAc>,
}

/// What `dist_ac:info()` gave of each application: its `Id`, and whether it was decided about since it was started there.
/// And whom that node knows.
pub(crate) fn ids_and_known(info: &Term) -> (BTreeMap<Atom, (AppId, bool)>, Vec<Atom>) {
    let DistAc { apps, started, known, .. } = DistAc::from_term(info).unwrap_or_default();
    let told = |(name, app): (Atom, App)| {
        let is_started = started.contains(&name);
        (name, (app.id, is_started))
    };
    (apps.into_iter().map(told).collect(), known)
}

/// What `dist_ac:info()` gave of each application, as an introduction would have it.
pub(crate) fn records(info: &Term) -> Vec<Appl> {
    DistAc::from_term(info).unwrap_or_default().apps.into_values().map(|app| app.record).collect()
}

impl DistAc {
    /// The record `state`, or nothing if it is none.
    pub(super) fn from_term(term: &Term) -> Option<Self> {
        let [tag, Term::List(appls), _locals, remote, known, started, ..] = term.as_tuple()? else {
            return None;
        };
        tag.is_atom("state").then_some(())?;
        let heard = |entry: &Term| entry.as_tuple()?.get(1)?.as_atom().cloned();
        Some(Self {
            apps: appls.iter().filter_map(App::from_term).collect(),
            known: atoms(known)?,
            started: atoms(started)?.into_iter().collect(),
            heard: remote.as_list()?.iter().filter_map(heard).collect(),
        })
    }

    /// Applications that run there.
    pub(super) fn local(&self) -> usize {
        self.apps.values().filter(|app| app.id == AppId::Local).count()
    }
}

impl App {
    fn from_term(term: &Term) -> Option<(Atom, Self)> {
        let record = Appl::from_term(term)?;
        let id = AppId::from_term(&record.id)?;
        let nodes = Nodes::from_term(&record.nodes)?;
        Some((record.name.clone(), Self { id, nodes, record }))
    }

    /// For how long a failover that goes well may be pending: no time where it never comes.
    pub(super) fn pending(&self) -> Duration {
        let time = RestartTime::from_term(&self.record.restart_time).and_then(RestartTime::as_duration);
        time.filter(|_| matches!(self.id, AppId::Failover(_))).unwrap_or_default()
    }

    /// Whether a node may run it, as far as this one knows.
    pub(super) fn permits(&self, node: &Atom) -> bool {
        self.record.run.iter().any(|(name, permission)| name == node && *permission == Some(true))
    }
}

impl Controller {
    /// The answer of `application:info()`.
    pub(super) fn from_term(term: &Term) -> Option<Self> {
        let entries = |key: &str| {
            term.as_list()?.iter().find_map(|entry| match entry.as_tuple()? {
                [name, list] if name.is_atom(key) => list.as_list(),
                _ => None,
            })
        };
        let name = |entry: &Term| entry.as_tuple()?.first()?.as_atom().cloned();
        let running = entries("running")?.iter().filter_map(|entry| match entry.as_tuple()? {
            [app, place] => Some((app.as_atom()?.clone(), Place::from_term(place))),
            _ => None,
        });
        let started = entries("started")?.iter().filter_map(|entry| match entry.as_tuple()? {
            [app, restart_type] => Some((app.as_atom()?.clone(), restart_type.clone())),
            _ => None,
        });
        Some(Self {
            running: running.collect(),
            starting: entries("starting")?.iter().filter_map(name).collect(),
            started: started.collect(),
        })
    }
}

impl Place {
    fn from_term(term: &Term) -> Self {
        match term {
            Term::Pid(_) => Self::Here,
            Term::Tuple(_) => match term.as_tuple() {
                Some([tag, Term::Atom(node)]) if tag.is_atom("distributed") => Self::At(node.clone()),
                _ => Self::Nowhere,
            },
            // An application without processes of its own.
            term if term.is_atom("undefined") => Self::Here,
            _ => Self::Nowhere,
        }
    }
}

impl Waiting {
    /// The answer of `process_info(Pid, backtrace)`: a text whose first line names the function, and whose next ones, up
    /// to the return address, have its variables. Their order is the compiler's affair; those that count here are atoms.
    pub(super) fn from_backtrace(term: &Term) -> Option<Self> {
        let text = match term.as_tuple()? {
            [tag, text] if tag.is_atom("backtrace") => {
                String::from_utf8_lossy(text.as_binary()?).into_owned()
            }
            _ => return None,
        };
        let mut lines = text.lines();
        let top = lines.next()?;
        let function = top.split_once("(dist_ac:").and_then(|(_, rest)| rest.split('/').next());
        let awaits = match function {
            Some("collect_answers") => Awaited::Weight,
            Some("wait_dist_start") => Awaited::Start,
            Some("wait_dist_start2") => Awaited::Anybody,
            // Deeper down: the lock is the affair of other modules.
            _ if text.contains("(dist_ac:sync_dacs/") => Awaited::Peers,
            _ => return None,
        };
        let locks = text.contains("(gen_server:try_handle_call/");
        let mut waiting = Self { awaits, locks, names: BTreeSet::new(), state: None };
        if awaits == Awaited::Peers && function != Some("wait_dacs") {
            return Some(waiting);
        }
        for line in lines {
            let Some((_, value)) = line.split_once(char::is_whitespace) else { continue };
            let value = value.trim_start();
            if value.starts_with("Return addr") {
                break;
            } else if value.starts_with("{state,") {
                // One that holds pids has callers who wait, and is not needed.
                waiting.state = parse_term(value).ok().and_then(|state| DistAc::from_term(&state));
            } else if value.starts_with(|first: char| first == '\'' || first.is_ascii_lowercase())
                && let Ok(Term::Atom(name)) = parse_term(value)
            {
                waiting.names.insert(name);
            }
        }
        Some(waiting)
    }
}

/// For what a blocked `dist_ac` waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The news of a start, of any node.
    Anybody,
    /// The lock or the answers of its first introductions: it boots, and has decided nothing yet.
    Peers,
    /// The news of a start.
    Start,
    /// A weight.
    Weight,
}

/// A list of atoms.
pub(super) fn atoms(term: &Term) -> Option<Vec<Atom>> {
    term.as_list()?.iter().map(|one| one.as_atom().cloned()).collect()
}
