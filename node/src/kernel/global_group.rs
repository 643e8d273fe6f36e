//! `global_group`: clusters of nodes that share their names with each other only (cluster-services.md 2.8).
//!
//! The configuration is all there is to it. Two nodes of a group ask each other for the group's nodes when they connect;
//! `global` hears that the other is up where the answer is its own. Others stay connected, whatever OTP's documentation
//! says of it, and share no names. A node without groups answers that its group has no nodes.

use std::collections::BTreeSet;

use etf::{Atom, Pid, Term, tuple};

use super::{erpc, functions::Builtin};
use crate::{Args, Context, Dest, GlobalGroup, Message, StartError};

/// From this version on the answer to a check goes to the process that asks.
const VSN_ASKED_BY_PID: i64 = 3;

/// The groups of the cluster, as a node of one of them sees them.
#[derive(Debug)]
pub(crate) struct Groups {
    name: Atom,
    /// The group's nodes, this one too.
    own: BTreeSet<Atom>,
    others: Vec<(Atom, Vec<Atom>)>,
}

impl Groups {
    /// Nothing for a node that is in no group.
    pub(crate) fn new(groups: &[GlobalGroup], node: &str) -> Result<Option<Self>, StartError> {
        let atoms = |names: &[String]| names.iter().map(|name| Atom::from(name.as_str())).collect::<Vec<_>>();
        let (own, others): (Vec<_>, Vec<_>) =
            groups.iter().partition(|group| group.nodes.iter().any(|member| member == node));
        match own.as_slice() {
            [] => Ok(None),
            [own] => Ok(Some(Self {
                name: own.name.as_str().into(),
                own: atoms(&own.nodes).into_iter().collect(),
                others: others.iter().map(|g| (g.name.as_str().into(), atoms(&g.nodes))).collect(),
            })),
            [one, other, ..] => Err(StartError::GlobalGroups {
                node: node.into(),
                one: one.name.clone(),
                other: other.name.clone(),
            }),
        }
    }

    pub(crate) fn is_own(&self, node: &Atom) -> bool {
        self.own.contains(node)
    }

    /// Asks a node of the group whether it has the same group.
    pub(crate) async fn agrees(&self, context: &mut Context, node: &Atom) -> bool {
        match erpc::call(context, node, "global_group", "get_own_nodes", vec![], None).await {
            Ok(answer) => self.is_same(&answer),
            Err(_) => false,
        }
    }

    fn is_same(&self, nodes: &Term) -> bool {
        let nodes = nodes.as_list().map(|nodes| nodes.iter().map(Term::as_atom).collect::<Option<Vec<_>>>());
        nodes.flatten().is_some_and(|nodes| {
            nodes.len() == self.own.len() && nodes.into_iter().all(|node| self.own.contains(node))
        })
    }

    fn nodes(&self) -> Term {
        Term::List(self.own.iter().map(Term::from).collect())
    }

    fn other_names(&self) -> Term {
        Term::List(self.others.iter().map(|(name, _)| Term::from(name)).collect())
    }
}

/// What others call of it over rpc.
pub(super) fn insert_all(functions: Builtin<'_>) {
    functions
        .insert_needed("global_group", "get_own_nodes", 0, async |c: Context, _: Args| Ok(own_nodes(&c)));
    functions.insert("global_group", "own_nodes", 0, async |c: Context, _: Args| Ok(all_nodes(&c)));
    functions.insert("global_group", "global_groups", 0, async |c: Context, _: Args| Ok(global_groups(&c)));
    functions.insert("global_group", "info", 0, async |c: Context, _: Args| Ok(info(&c)));
}

/// The process `global_group`.
pub(super) async fn run(mut context: Context) {
    loop {
        let Message::Term(message) = context.receive().await else { continue };
        match message.as_tuple() {
            Some([tag, from, request]) if tag.is_atom("$gen_call") => {
                let answer = call(&context, request);
                context.reply(from, answer);
            }
            Some([tag, message]) if tag.is_atom("$gen_cast") => cast(&context, message).await,
            _ => {}
        }
    }
}

fn call(context: &Context, request: &Term) -> Term {
    let global = || context.node().global();
    match request.as_atom().map(Atom::as_str) {
        Some("global_groups") => return global_groups(context),
        Some("own_nodes") => return all_nodes(context),
        Some("info") => return info(context),
        _ => {}
    }
    match request.as_tuple() {
        Some([what, _node, _kind, nodes]) if what.is_atom("ng_add_check") => {
            let agreed = context.inner().groups.as_ref().is_some_and(|groups| groups.is_same(nodes));
            Term::atom(if agreed { "agreed" } else { "not_agreed" })
        }
        Some([what, name]) if what.is_atom("whereis_name") => {
            global().whereis(name).map_or(Term::atom("undefined"), Term::Pid)
        }
        Some([what, at]) if what.is_atom("registered_names") && is_here(context, at) => {
            Term::list(global().registered_names())
        }
        // As OTP says to what it does not know. To search other groups is for those who ask, not for us.
        _ => tuple!(atom "illegal_message", request.clone()),
    }
}

/// Whether `{node, Node}` or `{group, Group}` is ours.
fn is_here(context: &Context, at: &Term) -> bool {
    match at.as_tuple() {
        Some([kind, Term::Atom(node)]) if kind.is_atom("node") => node == context.node().name(),
        Some([kind, Term::Atom(group)]) if kind.is_atom("group") => {
            context.inner().groups.as_ref().is_some_and(|groups| groups.name == *group)
        }
        _ => false,
    }
}

async fn cast(context: &Context, message: &Term) {
    match message.as_tuple() {
        Some([what, Term::Pid(pid)]) if what.is_atom("registered_names") => {
            let names = Term::list(context.node().global().registered_names());
            answer(context, pid, tuple!(atom "registered_names_res", names));
        }
        Some([what, Term::Pid(pid), name]) if what.is_atom("find_name") => {
            let found = context.node().global().whereis(name).map_or(Term::atom("undefined"), Term::Pid);
            answer(context, pid, tuple!(atom "find_name_res", found));
        }
        Some([what, Term::Int(vsn), Term::Atom(node), from, _sync, name, kind @ .., nodes])
            if what.is_atom("conf_check") =>
        {
            let normal = match kind {
                [] => true,
                [kind] => kind.is_atom("normal"),
                _ => return,
            };
            conf_check(context, *vsn, node, from, normal.then_some((name, nodes))).await;
        }
        _ => {}
    }
}

fn answer(context: &Context, to: &Pid, term: Term) {
    context.send_noconnect(to, term);
}

/// Another node has been told to check the groups, and does it with each of its own.
async fn conf_check(context: &Context, vsn: i64, node: &Atom, from: &Term, group: Option<(&Term, &Term)>) {
    let to = match from.as_tuple() {
        Some([Term::Pid(pid), _]) if vsn >= VSN_ASKED_BY_PID => Dest::Pid(pid.clone()),
        _ if vsn >= VSN_ASKED_BY_PID => return,
        _ => Dest::NameAt(Atom::from_static("global_group_check"), node.clone()),
    };
    let same = context.inner().groups.as_ref().zip(group).is_some_and(|(groups, (name, nodes))| {
        groups.is_own(node) && name.is_atom(groups.name.as_str()) && groups.is_same(nodes)
    });
    let result = if same { "config_ok" } else { "config_error" };
    let own = context.node().name();
    let said = context.send_noconnect(to, tuple!(Term::atom(result), vsn, from.clone(), own));
    if same && said {
        context.node().global().group_up(node.clone()).await;
    } else if !same {
        tracing::warn!(%node, "global_group: a node with other global_groups takes us for one of its own");
    }
}

/// The group's nodes; none without groups.
fn own_nodes(context: &Context) -> Term {
    context.inner().groups.as_ref().map_or(Term::NIL, |groups| groups.nodes())
}

/// The group's nodes; without groups, all that are connected.
fn all_nodes(context: &Context) -> Term {
    match &context.inner().groups {
        Some(groups) => groups.nodes(),
        None => {
            let nodes = context.node().nodes();
            Term::List(std::iter::once(context.node().name()).chain(&nodes).map(Term::from).collect())
        }
    }
}

fn global_groups(context: &Context) -> Term {
    match &context.inner().groups {
        Some(groups) => tuple!(&groups.name, groups.other_names()),
        None => Term::atom("undefined"),
    }
}

/// What `global_group:info/0` says. The nodes that agree are those that `global` shares names with.
fn info(context: &Context) -> Term {
    let groups = context.inner().groups.as_deref();
    let known = context.node().global().known();
    let up: BTreeSet<Atom> = context.node().nodes().into_iter().collect();
    let own = context.node().name();
    let members = || groups.into_iter().flat_map(|groups| &groups.own).filter(|node| *node != own);
    let list = |nodes: Vec<&Atom>| Term::List(nodes.into_iter().map(Term::from).collect());
    let others = groups.into_iter().flat_map(|groups| &groups.others);
    let others = others.map(|(name, nodes)| tuple!(name, nodes.iter().map(Term::from).collect::<Vec<_>>()));
    let entry = |key: &'static str, value: Term| tuple!(Term::atom(key), value);
    Term::list(vec![
        entry("state", Term::atom(if groups.is_some() { "synced" } else { "no_conf" })),
        entry("own_group_name", groups.map_or(Term::NIL, |groups| Term::from(&groups.name))),
        entry("own_group_nodes", own_nodes(context)),
        entry("synced_nodes", list(members().filter(|node| known.contains(node)).collect())),
        entry(
            "sync_error",
            list(members().filter(|node| up.contains(*node) && !known.contains(node)).collect()),
        ),
        entry("no_contact", list(members().filter(|node| !up.contains(*node)).collect())),
        entry("other_groups", Term::List(others.collect())),
        entry("monitoring", Term::NIL),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, nodes: &[&str]) -> GlobalGroup {
        GlobalGroup { name: name.into(), nodes: nodes.iter().map(|node| (*node).into()).collect() }
    }

    #[test]
    fn a_node_is_in_one_group_or_none() {
        let groups = [group("one", &["b@h", "a@h"]), group("two", &["c@h"])];
        let own = Groups::new(&groups, "a@h").expect("one group").expect("a group");
        assert_eq!((own.name.as_str(), own.others.len()), ("one", 1));
        assert!(Groups::new(&groups, "x@h").expect("no group").is_none());
        let twice = [group("one", &["a@h"]), group("two", &["a@h"])];
        assert!(matches!(Groups::new(&twice, "a@h"), Err(StartError::GlobalGroups { .. })));
    }

    #[test]
    fn groups_are_the_same_in_any_order_of_their_nodes() {
        let own = Groups::new(&[group("one", &["a@h", "b@h"])], "a@h").expect("one").expect("a group");
        let list = |nodes: &[&'static str]| Term::List(nodes.iter().map(|node| Term::atom(node)).collect());
        assert!(own.is_same(&list(&["b@h", "a@h"])));
        for other in [list(&["a@h"]), list(&["a@h", "b@h", "c@h"]), list(&["a@h", "c@h"]), Term::Int(1)] {
            assert!(!own.is_same(&other), "{other}");
        }
    }
}
