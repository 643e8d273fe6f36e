//! The messages between distributed application controllers, M1 to M7 (dist_ac.md 1.1).
//!
//! They go to the name `dist_ac` at the node, with nothing acknowledged and nobody authenticated; so every field is
//! checked here, and a malformed message is an error that its reader logs, never a panic.
//!
//! One message is our own: an introduction has no place for what runs or starts at a node that was up before, and a
//! stock node drops one that says it (dist_ac.md 2.5, step 4). Between nodes of our kind [`Message::Status`] says it;
//! a stock `dist_ac` ignores any message that it does not know.

use etf::{Atom, Term, tuple};

use super::appl::{Appl, Nodes, run_to_term};
use crate::heal::Heal;

/// The registered name of the process.
pub const DIST_AC: &str = "dist_ac";

/// The version in M1; no release looks at it.
pub const VERSION: i64 = 1;

/// What one `dist_ac` says to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// M1, `{dist_ac_new_node, Version, Node, Appls, Started}`: an introduction, or the answer to one.
    NewNode {
        /// [`VERSION`].
        version: i64,
        /// Who introduces itself.
        node: Atom,
        /// Its applications.
        appls: Vec<Appl>,
        /// What runs there, each `{Node, App}`. Always empty in an introduction.
        started: Vec<(Atom, Atom)>,
    },
    /// M2, `{dist_ac_app_loaded, Node, App, Nodes, Perm, HeKnowsMe}`.
    AppLoaded {
        /// Who loaded it.
        node: Atom,
        /// The application.
        app: Atom,
        /// Its priority list there.
        nodes: Nodes,
        /// Its permission there.
        permission: bool,
        /// Whether the receiver had announced its own load to the sender before.
        he_knows_me: bool,
    },
    /// M3, `{dist_ac_app_unloaded, Node, App}`.
    AppUnloaded {
        /// Who unloaded it.
        node: Atom,
        /// The application.
        app: Atom,
    },
    /// M4, `{dist_ac_new_permission, Node, App, Perm, IsRunningAtSender}`.
    NewPermission {
        /// Whose permission changed.
        node: Atom,
        /// The application.
        app: Atom,
        /// The new permission.
        permission: bool,
        /// Whether it runs at the sender.
        is_running: bool,
    },
    /// M5, `{dist_ac_weight, App, Weight, Node}`: a question and an answer at once.
    Weight {
        /// The application that is decided about.
        app: Atom,
        /// How many applications run at `node`; 0 says that it has elected itself.
        weight: i64,
        /// Whose weight it is.
        node: Atom,
    },
    /// M6, `{dist_ac_app_started, Node, App, Res}`.
    AppStarted {
        /// Where it was started.
        node: Atom,
        /// The application.
        app: Atom,
        /// `ok`, or the reason of `{error, Reason}`.
        result: Result<(), Term>,
    },
    /// M7, `{dist_ac_app_stopped, App}`; it does not say where.
    AppStopped {
        /// The application.
        app: Atom,
    },
    /// `{crabnode_dist_ac, Node, Met, Running, Starting, Heal}`: ours. Sent before each M1, and again when the sender
    /// has met the receiver.
    Status {
        /// Whose.
        node: Atom,
        /// Whether the sender counts the receiver among the nodes it knows.
        met: bool,
        /// The applications that run there, each `{App, Since}`: in milliseconds since 1970, or `undefined`.
        running: Vec<(Atom, Option<u64>)>,
        /// Those that it has elected itself to start, and that do not run yet.
        starting: Vec<Atom>,
        /// How much it heals.
        heal: Heal,
    },
}

/// Why a message is none of M1 to M7.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field is of the wrong type.
    #[error("malformed {tag}")]
    Malformed {
        /// The message's first element.
        tag: Atom,
    },
    /// The first element is none that we know.
    #[error("not a message of dist_ac")]
    Unknown,
}

impl Message {
    /// The message of a term.
    pub fn from_term(term: &Term) -> Result<Self, WireError> {
        let Some([Term::Atom(tag), fields @ ..]) = term.as_tuple() else { return Err(WireError::Unknown) };
        let parse = match tag.as_str() {
            "dist_ac_new_node" => new_node,
            "dist_ac_app_loaded" => app_loaded,
            "dist_ac_app_unloaded" => app_unloaded,
            "dist_ac_new_permission" => new_permission,
            "dist_ac_weight" => weight,
            "dist_ac_app_started" => app_started,
            "dist_ac_app_stopped" => app_stopped,
            "crabnode_dist_ac" => status,
            _ => return Err(WireError::Unknown),
        };
        parse(fields).ok_or_else(|| WireError::Malformed { tag: tag.clone() })
    }

    /// The message as a term.
    #[must_use]
    pub fn to_term(&self) -> Term {
        match self {
            Self::NewNode { version, node, appls, started } => {
                let appls: Vec<Term> = appls.iter().map(Appl::to_term).collect();
                let started: Vec<Term> = started.iter().map(|(node, app)| tuple!(node, app)).collect();
                tuple!(atom "dist_ac_new_node", *version, node, appls, started)
            }
            Self::AppLoaded { node, app, nodes, permission, he_knows_me } => {
                tuple!(atom "dist_ac_app_loaded", node, app, nodes.to_term(), *permission, *he_knows_me)
            }
            Self::AppUnloaded { node, app } => tuple!(atom "dist_ac_app_unloaded", node, app),
            Self::NewPermission { node, app, permission, is_running } => {
                tuple!(atom "dist_ac_new_permission", node, app, *permission, *is_running)
            }
            Self::Weight { app, weight, node } => tuple!(atom "dist_ac_weight", app, *weight, node),
            Self::AppStarted { node, app, result } => {
                tuple!(atom "dist_ac_app_started", node, app, result_to_term(result))
            }
            Self::AppStopped { app } => tuple!(atom "dist_ac_app_stopped", app),
            Self::Status { node, met, running, starting, heal } => {
                let since = |since: &Option<u64>| since.map_or(Term::atom("undefined"), Term::from);
                let running: Vec<Term> = running.iter().map(|(app, at)| tuple!(app, since(at))).collect();
                let starting: Vec<Term> = starting.iter().map(Term::from).collect();
                tuple!(atom "crabnode_dist_ac", node, *met, running, starting, Term::atom(heal.as_str()))
            }
        }
    }
}

/// `ok` or `{error, Reason}`.
pub(crate) fn result_to_term(result: &Result<(), Term>) -> Term {
    match result {
        Ok(()) => Term::atom("ok"),
        Err(reason) => tuple!(atom "error", reason.clone()),
    }
}

fn new_node(fields: &[Term]) -> Option<Message> {
    let [Term::Int(version), Term::Atom(node), Term::List(records), Term::List(started)] = fields else {
        return None;
    };
    let pair = |term: &Term| match term.as_tuple()? {
        [Term::Atom(node), Term::Atom(app)] => Some((node.clone(), app.clone())),
        _ => None,
    };
    let started = started.iter().map(pair).collect::<Option<_>>()?;
    // A record that makes no sense is stepped over: an introduction that is not answered blocks a stock peer for
    // good, and the other applications have nothing to do with it.
    let appls = records.iter().filter_map(Appl::from_term).collect();
    Some(Message::NewNode { version: *version, node: node.clone(), appls, started })
}

fn app_loaded(fields: &[Term]) -> Option<Message> {
    let [Term::Atom(node), Term::Atom(app), nodes, permission, he_knows_me] = fields else { return None };
    Some(Message::AppLoaded {
        node: node.clone(),
        app: app.clone(),
        nodes: Nodes::from_term(nodes)?,
        permission: permission.as_bool()?,
        he_knows_me: he_knows_me.as_bool()?,
    })
}

fn app_unloaded(fields: &[Term]) -> Option<Message> {
    let [Term::Atom(node), Term::Atom(app)] = fields else { return None };
    Some(Message::AppUnloaded { node: node.clone(), app: app.clone() })
}

fn new_permission(fields: &[Term]) -> Option<Message> {
    let [Term::Atom(node), Term::Atom(app), permission, is_running] = fields else { return None };
    Some(Message::NewPermission {
        node: node.clone(),
        app: app.clone(),
        permission: permission.as_bool()?,
        is_running: is_running.as_bool()?,
    })
}

fn weight(fields: &[Term]) -> Option<Message> {
    let [Term::Atom(app), Term::Int(weight), Term::Atom(node)] = fields else { return None };
    Some(Message::Weight { app: app.clone(), weight: *weight, node: node.clone() })
}

fn app_started(fields: &[Term]) -> Option<Message> {
    let [Term::Atom(node), Term::Atom(app), result] = fields else { return None };
    let result = match result {
        ok if ok.is_atom("ok") => Ok(()),
        other => match other.as_tuple()? {
            [error, reason] if error.is_atom("error") => Err(reason.clone()),
            _ => return None,
        },
    };
    Some(Message::AppStarted { node: node.clone(), app: app.clone(), result })
}

fn app_stopped(fields: &[Term]) -> Option<Message> {
    let [Term::Atom(app)] = fields else { return None };
    Some(Message::AppStopped { app: app.clone() })
}

fn status(fields: &[Term]) -> Option<Message> {
    let [Term::Atom(node), met, running, starting, Term::Atom(heal)] = fields else { return None };
    let names = |list: &Term| list.as_list()?.iter().map(|app| app.as_atom().cloned()).collect::<Option<_>>();
    let copy = |term: &Term| match term.as_tuple()? {
        [Term::Atom(app), since] if since.is_atom("undefined") => Some((app.clone(), None)),
        [Term::Atom(app), since] => Some((app.clone(), Some(since.as_u64()?))),
        _ => None,
    };
    Some(Message::Status {
        node: node.clone(),
        met: met.as_bool()?,
        running: running.as_list()?.iter().map(copy).collect::<Option<_>>()?,
        starting: names(starting)?,
        heal: Heal::from_word(heal.as_str())?,
    })
}

impl Appl {
    pub(super) fn to_term(&self) -> Term {
        let (id, nodes) = (self.id.clone(), self.nodes.clone());
        tuple!(atom "appl", &self.name, id, self.restart_time.clone(), nodes, run_to_term(&self.run))
    }

    pub(crate) fn from_term(term: &Term) -> Option<Self> {
        let [tag, Term::Atom(name), id, restart_time, nodes, Term::List(run)] = term.as_tuple()? else {
            return None;
        };
        let entry = |term: &Term| match term.as_tuple()? {
            [Term::Atom(node), permission] if permission.is_atom("undefined") => Some((node.clone(), None)),
            [Term::Atom(node), permission] => Some((node.clone(), Some(permission.as_bool()?))),
            _ => None,
        };
        tag.is_atom("appl").then_some(())?;
        Some(Self {
            name: name.clone(),
            id: id.clone(),
            restart_time: restart_time.clone(),
            nodes: nodes.clone(),
            run: run.iter().map(entry).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(text: &str) -> Atom {
        Atom::from(text)
    }

    fn all() -> Vec<Message> {
        let (a, b, app) = (atom("a@h"), atom("b@h"), atom("app1"));
        let nodes = Nodes::from_term(&Term::list(vec![Term::from(&a), tuple!(&b, atom "c@h")])).unwrap();
        let appl = Appl {
            name: app.clone(),
            id: Term::atom("local"),
            restart_time: 1000.into(),
            nodes: nodes.to_term(),
            run: vec![(a.clone(), Some(true)), (b.clone(), None)],
        };
        let new_node = |started: Vec<_>| Message::NewNode {
            version: VERSION,
            node: a.clone(),
            appls: vec![appl.clone()],
            started,
        };
        vec![
            new_node(vec![]),
            new_node(vec![(a.clone(), app.clone())]),
            Message::Status {
                node: a.clone(),
                met: true,
                running: vec![(app.clone(), None), (atom("app3"), Some(1_700_000_000_000))],
                starting: vec![atom("app2")],
                heal: Heal::Cluster,
            },
            Message::AppLoaded {
                node: a.clone(),
                app: app.clone(),
                nodes,
                permission: true,
                he_knows_me: false,
            },
            Message::AppUnloaded { node: a.clone(), app: app.clone() },
            Message::NewPermission { node: a.clone(), app: app.clone(), permission: false, is_running: true },
            Message::Weight { app: app.clone(), weight: 3, node: b.clone() },
            Message::AppStarted { node: a.clone(), app: app.clone(), result: Ok(()) },
            Message::AppStarted { node: a, app: app.clone(), result: Err(Term::atom("bad")) },
            Message::AppStopped { app },
        ]
    }

    #[test]
    fn every_message_survives_its_own_round_trip() {
        for message in all() {
            assert_eq!(Message::from_term(&message.to_term()), Ok(message));
        }
    }

    #[test]
    fn a_wrong_type_in_any_field_is_malformed() {
        for message in all() {
            let Term::Tuple(fields) = message.to_term() else { panic!("a tuple") };
            for at in 1..fields.len() {
                let mut wrong = fields.clone();
                wrong[at] = Term::binary(bytes("x"));
                let error = Message::from_term(&Term::Tuple(wrong)).unwrap_err();
                assert!(matches!(error, WireError::Malformed { .. }), "field {at} of {message:?}");
            }
            let mut short = fields.clone();
            short.pop();
            assert!(Message::from_term(&Term::Tuple(short)).is_err());
        }
        assert_eq!(Message::from_term(&tuple!(atom "dist_ac_new")), Err(WireError::Unknown));
        assert_eq!(Message::from_term(&Term::atom("x")), Err(WireError::Unknown));
    }

    fn bytes(text: &'static str) -> etf::Binary {
        etf::Binary::from(text.as_bytes().to_vec())
    }

    #[test]
    fn a_record_that_makes_no_sense_is_stepped_over() {
        let good = Appl {
            name: atom("app1"),
            id: Term::atom("undefined"),
            restart_time: 0.into(),
            nodes: Term::NIL,
            run: vec![],
        };
        let term = tuple!(
            atom "dist_ac_new_node", 1, atom "a@h",
            vec![Term::atom("junk"), good.to_term(), tuple!(atom "appl", 1)],
            Term::NIL
        );
        let Ok(Message::NewNode { appls, .. }) = Message::from_term(&term) else { panic!("an introduction") };
        assert_eq!(appls, vec![good]);
    }
}
