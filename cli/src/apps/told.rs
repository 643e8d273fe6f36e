//! What a node tells of its distributed applications: the terms, read (dist_ac.md 0).
//!
//! What is not as it should be is left out, but for an answer of `dist_ac` as a whole and an `Id`, which are kept as
//! text: they are what an operator looks for.

use crabnode::{Atom, Term};
use dist_ac::engine::appl::{AppId, Nodes, RestartTime};

/// What was asked of one node, and what came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) node: Atom,
    /// The error is why there is no connection, or no answer at all.
    pub(crate) told: Result<Told, String>,
}

/// What a node that was reached has told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// `OTP 27`, `crabnode 0.1.0`.
    pub(crate) software: Option<String>,
    /// `nodes()`: visible ones.
    pub(crate) connected: Vec<Atom>,
    /// `application:which_applications()`; nothing if the application controller has not answered.
    pub(crate) running: Option<Vec<Atom>>,
    /// What the application controller is about to start.
    pub(crate) starting: Vec<Atom>,
    /// `kernel distributed`.
    pub(crate) configured: Vec<Appl>,
    pub(crate) dist_ac: DistAc,
}

/// What the `dist_ac` of a node has told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DistAc {
    /// There is none.
    Missing,
    /// The node waits for others before it starts anything (dist_ac.md 3).
    Boots,
    /// It has not answered in time: it sits in a selective receive (dist_ac.md 0, "blocked").
    Silent {
        /// The function that it waits in, where the node says so.
        waits_in: Option<String>,
    },
    /// An answer that is no `state` record.
    Odd(String),
    /// `dist_ac:info()`.
    State(Box<State>),
}

/// The `state` record of a `dist_ac`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) appls: Vec<Appl>,
    /// Weights of others that came before they were wanted: application, weight, node.
    pub(crate) tmp_locals: Vec<(Atom, i64, Atom)>,
    /// Who is said to run what has not been started here: node, application.
    pub(crate) remote_started: Vec<(Atom, Atom)>,
    pub(crate) known: Vec<Atom>,
    pub(crate) started: Vec<Atom>,
    /// Own weights that were told and still count.
    pub(crate) tmp_weights: Vec<(Atom, i64)>,
}

/// The `appl` record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Appl {
    pub(crate) name: Atom,
    pub(crate) id: Id,
    pub(crate) restart_time: RestartTime,
    pub(crate) nodes: Nodes,
    /// Permissions; nothing is `undefined`, "not loaded there".
    pub(crate) run: Vec<(Atom, Option<bool>)>,
}

/// The `Id` of an `appl` record; the text of one that is none of those that are known.
pub(crate) type Id = Result<AppId, String>;

impl DistAc {
    /// The answer to `info`.
    pub(crate) fn from_info(info: &Term) -> Self {
        match State::from_term(info) {
            Some(state) => Self::State(Box::new(state)),
            None => {
                tracing::warn!(%info, "this is no state of dist_ac");
                Self::Odd(info.to_string().chars().take(ODD_CHARACTERS_MAX).collect())
            }
        }
    }

    /// What the process that has not answered is in, as `erlang:process_info(Pid, current_function)` tells it.
    pub(crate) fn from_current_function(info: Option<&Term>) -> Self {
        let function = info.and_then(Term::as_tuple).and_then(|pair| match pair {
            [_, function] => match function.as_tuple() {
                Some([Term::Atom(module), Term::Atom(function), arity]) => Some((module, function, arity)),
                _ => None,
            },
            _ => None,
        });
        match function {
            // Waits for `go`, or for those that it has introduced itself to: nothing of it runs yet.
            Some((_, function, _)) if *function == "handle_cast" || *function == "wait_dacs" => Self::Boots,
            function => Self::Silent {
                waits_in: function.map(|(module, function, arity)| {
                    format!("{}:{}/{arity}", module.as_str(), function.as_str())
                }),
            },
        }
    }

    pub(crate) fn state(&self) -> Option<&State> {
        match self {
            Self::State(state) => Some(state),
            Self::Missing | Self::Boots | Self::Silent { .. } | Self::Odd(_) => None,
        }
    }
}

/// The longest text of an answer that is not understood: a line.
const ODD_CHARACTERS_MAX: usize = 200;

impl State {
    fn from_term(info: &Term) -> Option<Self> {
        let [tag, appls, locals, remote, known, started, weights, ..] = info.as_tuple()? else { return None };
        if !tag.is_atom("state") {
            return None;
        }
        let each = |list: &Term| list.as_list().map(<[Term]>::to_vec).unwrap_or_default();
        let local = |entry: &Term| match entry.as_tuple()? {
            [Term::Atom(app), weight, Term::Atom(node)] => {
                Some((app.clone(), weight.as_int()?, node.clone()))
            }
            _ => None,
        };
        let remote_one = |entry: &Term| match entry.as_tuple()? {
            [Term::Atom(node), Term::Atom(app)] => Some((node.clone(), app.clone())),
            _ => None,
        };
        let weight = |entry: &Term| match entry.as_tuple()? {
            [Term::Atom(app), weight] => Some((app.clone(), weight.as_int()?)),
            _ => None,
        };
        Some(Self {
            appls: appls.as_list()?.iter().filter_map(Appl::from_term).collect(),
            tmp_locals: each(locals).iter().filter_map(local).collect(),
            remote_started: each(remote).iter().filter_map(remote_one).collect(),
            known: atoms(known),
            started: atoms(started),
            tmp_weights: each(weights).iter().filter_map(weight).collect(),
        })
    }

    pub(crate) fn appl(&self, app: &Atom) -> Option<&Appl> {
        self.appls.iter().find(|appl| appl.name == *app)
    }
}

impl Appl {
    fn from_term(term: &Term) -> Option<Self> {
        let [tag, Term::Atom(name), id, time, nodes, run] = term.as_tuple()? else { return None };
        if !tag.is_atom("appl") {
            return None;
        }
        let permission = |entry: &Term| match entry.as_tuple()? {
            [Term::Atom(node), permission] => Some((node.clone(), permission.as_bool())),
            _ => None,
        };
        Some(Self {
            name: name.clone(),
            id: AppId::from_term(id).ok_or_else(|| id.to_string()),
            restart_time: RestartTime::from_term(time)?,
            nodes: Nodes::from_term(nodes)?,
            run: run.as_list().unwrap_or_default().iter().filter_map(permission).collect(),
        })
    }

    /// `{App, Nodes}` or `{App, Time, Nodes}` of `kernel distributed`.
    fn from_configuration(entry: &Term) -> Option<Self> {
        let (name, time, nodes) = match entry.as_tuple()? {
            [Term::Atom(name), nodes] => (name, RestartTime::Millis(0), nodes),
            [Term::Atom(name), time, nodes] => (name, RestartTime::from_term(time)?, nodes),
            _ => return None,
        };
        let nodes = Nodes::from_term(nodes)?;
        Some(Self { name: name.clone(), id: Ok(AppId::Undefined), restart_time: time, nodes, run: vec![] })
    }
}

/// `application:get_env(kernel, distributed)`.
pub(crate) fn configured(answer: &Term) -> Vec<Appl> {
    match answer.as_tuple() {
        Some([ok, Term::List(entries)]) if ok.is_atom("ok") => {
            entries.iter().filter_map(Appl::from_configuration).collect()
        }
        _ => Vec::new(),
    }
}

/// The names in `application:which_applications()`, and in a list of `application:info()`.
pub(crate) fn names(list: &Term) -> Option<Vec<Atom>> {
    let name = |entry: &Term| entry.as_tuple()?.first()?.as_atom().cloned();
    Some(list.as_list()?.iter().filter_map(name).collect())
}

/// What `application:info()` says under a key.
pub(crate) fn listed(info: &Term, key: &str) -> Vec<Term> {
    let value = |entry: &Term| match entry.as_tuple() {
        Some([name, Term::List(list)]) if name.is_atom(key) => Some(list.to_vec()),
        _ => None,
    };
    info.as_list().unwrap_or_default().iter().find_map(value).unwrap_or_default()
}

/// A list of atoms.
pub(crate) fn atoms(list: &Term) -> Vec<Atom> {
    list.as_list().unwrap_or_default().iter().filter_map(|term| term.as_atom().cloned()).collect()
}

/// `erlang:system_info(system_version)` in short.
pub(crate) fn software(version: &Term) -> Option<String> {
    let text = version.as_text()?;
    let line = text.lines().next()?.trim();
    match line.strip_prefix("Erlang/") {
        Some(beam) => Some(beam.split_whitespace().take(2).collect::<Vec<_>>().join(" ")),
        None => Some(line.to_owned()),
    }
}
