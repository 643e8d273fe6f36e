//! What is wrong with a cluster, as far as what its nodes tell shows it (dist_ac.md 6).

use std::{collections::BTreeSet, fmt};

use crabnode::Atom;

use super::{
    told::{Asked, DistAc, State, Told},
    view::{App, Role, appls},
};

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// An application runs more than once (L1, L2, L3).
    TwoCopies { app: Atom, nodes: Vec<Atom> },
    /// An application is started, may run, and nobody runs it or is about to (L4, L5, L9, L19).
    Nowhere { app: Atom, nodes: Vec<Atom> },
    /// A node stands by for one that does not run it (L9, L17).
    WrongBelief { app: Atom, node: Atom, believed: Atom },
    /// A node was told of several that run it (L9).
    Undecided { app: Atom, node: Atom, believed: Vec<Atom> },
    /// A `dist_ac` does not answer (L6, L7, L8).
    Silent { node: Atom, waits_in: Option<String> },
    /// Two nodes that share applications are connected, and one of their `dist_ac` does not know the other (L1, L3).
    NotIntroduced { nodes: [Atom; 2] },
    /// Two nodes that share applications are not connected.
    NotConnected { nodes: [Atom; 2] },
    /// Nodes have been given different priority lists or restart times (L15).
    ListsDiffer { app: Atom, nodes: [Atom; 2] },
    /// What a node takes for the permission of another is not what that says.
    PermissionsDiffer { app: Atom, node: Atom, of: Atom },
}

impl Fault {
    /// One word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::TwoCopies { .. } => "two_copies",
            Self::Nowhere { .. } => "nowhere",
            Self::WrongBelief { .. } => "wrong_belief",
            Self::Undecided { .. } => "undecided",
            Self::Silent { .. } => "silent",
            Self::NotIntroduced { .. } => "not_introduced",
            Self::NotConnected { .. } => "not_connected",
            Self::ListsDiffer { .. } => "lists_differ",
            Self::PermissionsDiffer { .. } => "permissions_differ",
        }
    }

    pub(crate) fn app(&self) -> Option<&Atom> {
        match self {
            Self::TwoCopies { app, .. }
            | Self::Nowhere { app, .. }
            | Self::WrongBelief { app, .. }
            | Self::Undecided { app, .. }
            | Self::ListsDiffer { app, .. }
            | Self::PermissionsDiffer { app, .. } => Some(app),
            Self::Silent { .. } | Self::NotIntroduced { .. } | Self::NotConnected { .. } => None,
        }
    }

    /// The nodes it is about.
    pub(crate) fn nodes(&self) -> Vec<&Atom> {
        match self {
            Self::TwoCopies { nodes, .. } | Self::Nowhere { nodes, .. } => nodes.iter().collect(),
            Self::WrongBelief { node, believed, .. } => vec![node, believed],
            Self::Undecided { node, believed, .. } => std::iter::once(node).chain(believed).collect(),
            Self::Silent { node, .. } => vec![node],
            Self::NotIntroduced { nodes }
            | Self::NotConnected { nodes }
            | Self::ListsDiffer { nodes, .. } => nodes.iter().collect(),
            Self::PermissionsDiffer { node, of, .. } => vec![node, of],
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |nodes: &[Atom]| nodes.iter().map(Atom::as_str).collect::<Vec<_>>().join(" and ");
        match self {
            Self::TwoCopies { app, nodes } => write!(f, "{app} runs on {}", all(nodes)),
            Self::Nowhere { app, nodes } => {
                write!(f, "{app} is started on {} and runs nowhere", all(nodes))
            }
            Self::WrongBelief { app, node, believed } => {
                write!(f, "{node} stands by for {app} on {believed}, which does not run it")
            }
            Self::Undecided { app, node, believed } => {
                write!(f, "{node} was told that {app} runs on {}", all(believed))
            }
            Self::Silent { node, waits_in: Some(function) } => {
                write!(f, "the dist_ac of {node} does not answer: it waits in {function}")
            }
            Self::Silent { node, waits_in: None } => write!(f, "the dist_ac of {node} does not answer"),
            Self::NotIntroduced { nodes: [a, b] } => {
                write!(f, "{a} and {b} are connected, and the dist_ac of {a} does not know {b}")
            }
            Self::NotConnected { nodes: [a, b] } => write!(f, "{a} and {b} are not connected"),
            Self::ListsDiffer { app, nodes: [a, b] } => {
                write!(f, "{a} and {b} have different priority lists or restart times of {app}")
            }
            Self::PermissionsDiffer { app, node, of } => {
                write!(f, "{node} does not know whether {of} may run {app}")
            }
        }
    }
}

/// All that is wrong.
pub(super) fn find(nodes: &[Asked], apps: &[App]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for app in apps {
        copies(app, nodes, &mut faults);
        beliefs(app, nodes, &mut faults);
        differences(app, nodes, &mut faults);
    }
    for (node, told) in reached(nodes) {
        if let DistAc::Silent { waits_in } = &told.dist_ac {
            faults.push(Fault::Silent { node: node.clone(), waits_in: waits_in.clone() });
        }
    }
    pairs(nodes, apps, &mut faults);
    faults
}

fn reached(nodes: &[Asked]) -> impl Iterator<Item = (&Atom, &Told)> {
    nodes.iter().filter_map(|asked| Some((&asked.node, asked.told.as_ref().ok()?)))
}

fn states(nodes: &[Asked]) -> impl Iterator<Item = (&Atom, &State)> {
    reached(nodes).filter_map(|(node, told)| Some((node, told.dist_ac.state()?)))
}

fn copies(app: &App, nodes: &[Asked], faults: &mut Vec<Fault>) {
    let name = &app.name;
    let runs_on: Vec<Atom> = app.runs_on().into_iter().cloned().collect();
    let is_moving = app.members.iter().any(|member| member.role.is_moving());
    match runs_on.len() {
        0 if !is_moving => {
            let has_started = |node: &&Atom| {
                let state = states(nodes).find(|(known, _)| known == node).map(|(_, state)| state);
                state.is_some_and(|state| state.started.contains(name))
            };
            let may = app.members.iter().filter(|member| member.permitted == Some(true));
            let started: Vec<Atom> = may.map(|member| &member.node).filter(has_started).cloned().collect();
            if !started.is_empty() {
                faults.push(Fault::Nowhere { app: name.clone(), nodes: started });
            }
        }
        0 | 1 => {}
        // During a takeover both run for a moment; then the second look sees one.
        _ => faults.push(Fault::TwoCopies { app: name.clone(), nodes: runs_on }),
    }
}

fn beliefs(app: &App, nodes: &[Asked], faults: &mut Vec<Fault>) {
    for member in &app.members {
        let Role::StandsBy(believed) = &member.role else { continue };
        let told = reached(nodes).any(|(node, _)| node == believed);
        let role = app.member(believed).map(|other| &other.role);
        let is_right = role.is_some_and(|role| *role == Role::Runs || role.is_moving());
        if told && !is_right {
            let (app, node, believed) = (app.name.clone(), member.node.clone(), believed.clone());
            faults.push(Fault::WrongBelief { app, node, believed });
        }
    }
    for (node, state) in states(nodes) {
        let of_app = state.remote_started.iter().filter(|(_, of)| *of == app.name);
        let believed: BTreeSet<&str> = of_app.map(|(at, _)| at.as_str()).collect();
        if believed.len() > 1 {
            let believed = believed.into_iter().map(Atom::from).collect();
            faults.push(Fault::Undecided { app: app.name.clone(), node: node.clone(), believed });
        }
    }
}

fn differences(app: &App, nodes: &[Asked], faults: &mut Vec<Fault>) {
    let name = &app.name;
    let mut given = nodes
        .iter()
        .flat_map(|asked| appls(asked).filter(|appl| appl.name == *name).map(|appl| (&asked.node, appl)));
    if let Some((first, appl)) = given.next() {
        let other = given
            .find(|(_, other)| !other.nodes.same_as(&appl.nodes) || other.restart_time != appl.restart_time);
        if let Some((other, _)) = other {
            let nodes = [first.clone(), other.clone()];
            faults.push(Fault::ListsDiffer { app: name.clone(), nodes });
        }
    }
    for (of, own) in states(nodes) {
        let permission = |state: &State, of: &Atom| {
            state.appl(name)?.run.iter().find(|(node, _)| node == of).map(|(_, permission)| *permission)
        };
        let Some(said) = permission(own, of) else { continue };
        for (node, state) in states(nodes).filter(|(node, _)| *node != of) {
            // One that it does not know is another fault.
            if permission(state, of).is_some_and(|believed| believed != said) {
                let (app, node, of) = (name.clone(), node.clone(), of.clone());
                faults.push(Fault::PermissionsDiffer { app, node, of });
            }
        }
    }
}

/// What is wrong between two nodes that share an application.
fn pairs(nodes: &[Asked], apps: &[App], faults: &mut Vec<Fault>) {
    let with_dist_ac = || reached(nodes).filter(|(_, told)| told.dist_ac != DistAc::Missing);
    for (a, of_a) in with_dist_ac() {
        for (b, of_b) in with_dist_ac() {
            let shared = apps.iter().any(|app| app.nodes.contains(a) && app.nodes.contains(b));
            if a == b || !shared {
                continue;
            }
            let is_connected = of_a.connected.contains(b) && of_b.connected.contains(a);
            if !is_connected && a.as_str() < b.as_str() {
                faults.push(Fault::NotConnected { nodes: [a.clone(), b.clone()] });
            }
            let is_unknown = of_a.dist_ac.state().is_some_and(|state| !state.known.contains(b));
            // One that boots introduces itself when it is done.
            if is_connected && is_unknown && of_b.dist_ac != DistAc::Boots {
                faults.push(Fault::NotIntroduced { nodes: [a.clone(), b.clone()] });
            }
        }
    }
}
