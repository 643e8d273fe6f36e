//! What a cluster does with its distributed applications, made of what its nodes told.

use crabnode::Atom;
use dist_ac::engine::appl::{AppId, Nodes, RestartTime};

use super::{
    faults::{self, Fault},
    told::{Appl, Asked, DistAc, Told},
};

/// The whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// In the order in which they were asked.
    pub(crate) nodes: Vec<Asked>,
    /// By name.
    pub(crate) apps: Vec<App>,
    pub(crate) faults: Vec<Fault>,
}

/// A distributed application.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct App {
    pub(crate) name: Atom,
    pub(crate) restart_time: RestartTime,
    pub(crate) nodes: Nodes,
    /// Each node of the priority list, best first; then those that run it and are not in the list.
    pub(crate) members: Vec<Member>,
}

/// What a node is to an application.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) node: Atom,
    /// Its place in the priority list, from 1; nodes of one tuple share it. Nothing: it is not in the list.
    pub(crate) place: Option<usize>,
    pub(crate) role: Role,
    /// Whether it may run it, as it says itself, or else as others say.
    pub(crate) permitted: Option<bool>,
    /// The weight that it has told and that still counts (dist_ac.md 1.1, M5).
    pub(crate) weight: Option<i64>,
}

/// What a node does with an application.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Role {
    Runs,
    Starts,
    /// `application:takeover/2` is under way there.
    TakesOver,
    /// While it runs there.
    StandsBy(Atom),
    /// That node has died with it; the timer runs, or the nodes are choosing.
    FailsOver(Atom),
    /// Started there, and nobody is known to run it.
    Waits,
    NotStarted,
    NotLoaded,
    NoDistAc,
    Boots,
    /// Its `dist_ac` does not answer.
    Silent,
    /// Nothing is known of it: not reached, or no node said that it is connected.
    Absent,
    /// Its `dist_ac` says what is not understood.
    Odd(String),
}

impl Role {
    /// One word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Starts => "starts",
            Self::TakesOver => "takes_over",
            Self::StandsBy(_) => "stands_by",
            Self::FailsOver(_) => "fails_over",
            Self::Waits => "waits",
            Self::NotStarted => "not_started",
            Self::NotLoaded => "not_loaded",
            Self::NoDistAc => "no_dist_ac",
            Self::Boots => "boots",
            Self::Silent => "silent",
            Self::Absent => "absent",
            Self::Odd(_) => "unknown",
        }
    }

    /// Whom it is about beside the node itself.
    pub(crate) fn of(&self) -> Option<&Atom> {
        match self {
            Self::StandsBy(node) | Self::FailsOver(node) => Some(node),
            _ => None,
        }
    }

    /// Whether it is moving: what nodes say of the application then need not agree.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self, Self::Starts | Self::TakesOver | Self::FailsOver(_))
    }
}

impl View {
    pub(crate) fn new(nodes: Vec<Asked>) -> Self {
        let mut all: Vec<&Appl> = nodes.iter().flat_map(appls).collect();
        all.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        all.dedup_by(|later, first| later.name == first.name);
        let apps: Vec<App> = all.into_iter().map(|appl| App::new(appl, &nodes)).collect();
        let faults = faults::find(&nodes, &apps);
        Self { nodes, apps, faults }
    }

    /// The same with only those faults that an earlier view had too: the others are moves that were seen half done.
    pub(crate) fn confirmed_by(mut self, earlier: &[Fault]) -> Self {
        self.faults.retain(|fault| earlier.contains(fault));
        self
    }

    /// Whether any node has answered.
    pub(crate) fn is_anyone_there(&self) -> bool {
        self.nodes.iter().any(|asked| asked.told.is_ok())
    }
}

/// The applications that a node tells of: those under the control of its `dist_ac`, or else those it is configured with.
pub(super) fn appls(asked: &Asked) -> impl Iterator<Item = &Appl> {
    let list = match &asked.told {
        Ok(Told { dist_ac: DistAc::State(state), .. }) => state.appls.as_slice(),
        Ok(Told { dist_ac: DistAc::Missing, .. }) | Err(_) => &[],
        Ok(told) => told.configured.as_slice(),
    };
    // One without nodes is a local application.
    list.iter().filter(|appl| !appl.nodes.is_empty())
}

impl App {
    fn new(appl: &Appl, nodes: &[Asked]) -> Self {
        let app = &appl.name;
        let mut members: Vec<Member> = Vec::new();
        for node in appl.nodes.flat() {
            let place = appl.nodes.rank(&node) + 1;
            members.push(Member::new(app, node, Some(place), nodes));
        }
        for asked in nodes {
            let is_new = !appl.nodes.contains(&asked.node);
            if is_new && role(app, asked) == Role::Runs {
                members.push(Member::new(app, asked.node.clone(), None, nodes));
            }
        }
        let (name, restart_time) = (app.clone(), appl.restart_time);
        Self { name, restart_time, nodes: appl.nodes.clone(), members }
    }

    /// Where it runs.
    pub(crate) fn runs_on(&self) -> Vec<&Atom> {
        self.with_role(|role| *role == Role::Runs)
    }

    pub(crate) fn with_role(&self, wanted: impl Fn(&Role) -> bool) -> Vec<&Atom> {
        self.members.iter().filter(|member| wanted(&member.role)).map(|member| &member.node).collect()
    }

    pub(crate) fn member(&self, node: &Atom) -> Option<&Member> {
        self.members.iter().find(|member| member.node == *node)
    }
}

impl Member {
    fn new(app: &Atom, node: Atom, place: Option<usize>, nodes: &[Asked]) -> Self {
        let own = nodes.iter().find(|asked| asked.node == node);
        let role = own.map_or(Role::Absent, |asked| role(app, asked));
        let said_by = |asked: &Asked| {
            let appl = asked.told.as_ref().ok()?.dist_ac.state()?.appl(app)?;
            appl.run.iter().find(|(of, _)| *of == node)?.1
        };
        let permitted = own.and_then(said_by).or_else(|| nodes.iter().find_map(said_by));
        let weight = own.and_then(|asked| {
            let state = asked.told.as_ref().ok()?.dist_ac.state()?;
            state.tmp_weights.iter().find(|(of, _)| of == app).map(|(_, weight)| *weight)
        });
        let heard = |asked: &Asked| {
            let state = asked.told.as_ref().ok()?.dist_ac.state()?;
            let is_of = |(of, _, by): &&(Atom, i64, Atom)| of == app && *by == node;
            state.tmp_locals.iter().find(is_of).map(|(_, weight, _)| *weight)
        };
        let weight = weight.or_else(|| nodes.iter().find_map(heard));
        Self { node, place, role, permitted, weight }
    }
}

fn role(app: &Atom, asked: &Asked) -> Role {
    let Ok(told) = &asked.told else { return Role::Absent };
    // The application controller knows what runs, also where dist_ac says nothing.
    if told.running.as_ref().is_some_and(|running| running.contains(app)) {
        return Role::Runs;
    }
    let state = match &told.dist_ac {
        DistAc::State(state) => state,
        DistAc::Missing => return Role::NoDistAc,
        DistAc::Boots => return Role::Boots,
        DistAc::Silent { .. } => return Role::Silent,
        DistAc::Odd(text) => return Role::Odd(text.clone()),
    };
    let Some(appl) = state.appl(app) else { return Role::NotLoaded };
    match &appl.id {
        Ok(AppId::Takeover) => Role::TakesOver,
        _ if told.starting.contains(app) => Role::Starts,
        Ok(AppId::RunWaiting) => Role::Starts,
        // Started, or stopped, between the two answers.
        Ok(AppId::Local) => Role::Starts,
        Ok(AppId::Distributed(node)) => Role::StandsBy(node.clone()),
        Ok(AppId::Failover(node)) => Role::FailsOver(node.clone()),
        Err(text) => Role::Odd(text.clone()),
        Ok(AppId::Undefined) => {
            let own = appl.run.iter().find(|(node, _)| *node == asked.node);
            match own.and_then(|(_, permission)| *permission) {
                None => Role::NotLoaded,
                Some(_) if state.started.contains(app) => Role::Waits,
                Some(_) => Role::NotStarted,
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
