//! What the process knows: the record that `dist_ac:info()` shows, as far as it matters to peers.

use crabnode_dist_ac::{
    engine::appl::{AppId, Appl as WireAppl, Distribution, Nodes, RestartTime, Run, Tier},
    exchange::CallId,
};
use etf::{Atom, Term, tuple};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) appls: Vec<Appl>,
    /// With duplicates, as it has them.
    pub(super) known: Vec<Atom>,
    pub(super) started: Vec<Atom>,
    /// `(node, app)`, newest first; several for one application are possible (dist_ac.md 6, L9).
    pub(super) remote_started: Vec<(Atom, Atom)>,
    /// Weights that came too early: `(app, weight, node)`, newest first.
    pub(super) tmp_locals: Vec<(Atom, i64, Atom)>,
    /// Weights that were promised: `(app, weight)`.
    pub(super) tmp_weights: Vec<(Atom, i64)>,
    /// Callers that wait for a start.
    pub(super) t_reqs: Vec<(Atom, CallId)>,
    /// Callers that wait for a stop.
    pub(super) s_reqs: Vec<(Atom, CallId)>,
    /// Callers of `permit(false)`, with the nodes of which one has to start it.
    pub(super) p_reqs: Vec<(CallId, Atom, Vec<Atom>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Appl {
    pub(super) name: Atom,
    pub(super) id: AppId,
    pub(super) restart_time: RestartTime,
    pub(super) nodes: Nodes,
    pub(super) run: Run,
}

impl State {
    pub(super) fn new(me: &Atom, distributed: Vec<Distribution>) -> Self {
        let appl = |Distribution { app, restart_time, nodes }| Appl {
            name: app,
            id: AppId::Undefined,
            restart_time,
            nodes,
            run: vec![(me.clone(), Some(true))],
        };
        Self {
            appls: distributed.into_iter().map(appl).collect(),
            known: Vec::new(),
            started: Vec::new(),
            remote_started: Vec::new(),
            tmp_locals: Vec::new(),
            tmp_weights: Vec::new(),
            t_reqs: Vec::new(),
            s_reqs: Vec::new(),
            p_reqs: Vec::new(),
        }
    }

    pub(super) fn appl(&self, app: &Atom) -> Option<&Appl> {
        self.appls.iter().find(|appl| appl.name == *app)
    }

    pub(super) fn appl_mut(&mut self, app: &Atom) -> Option<&mut Appl> {
        self.appls.iter_mut().find(|appl| appl.name == *app)
    }

    pub(super) fn set_id(&mut self, app: &Atom, id: AppId) {
        if let Some(appl) = self.appl_mut(app) {
            appl.id = id;
        }
    }

    pub(super) fn is_started(&self, app: &Atom) -> bool {
        self.started.contains(app)
    }

    /// Where it runs, by the newest entry.
    pub(super) fn remote_started(&self, app: &Atom) -> Option<&Atom> {
        self.remote_started.iter().find(|(_, name)| name == app).map(|(node, _)| node)
    }

    /// Only the newest entry goes.
    pub(super) fn forget_remote_started(&mut self, app: &Atom) {
        if let Some(at) = self.remote_started.iter().position(|(_, name)| name == app) {
            self.remote_started.remove(at);
        }
    }

    pub(super) fn records(&self) -> Vec<WireAppl> {
        let record = |appl: &Appl| WireAppl {
            name: appl.name.clone(),
            id: appl.id.to_term(),
            restart_time: appl.restart_time.to_term(),
            nodes: appl.nodes.to_term(),
            run: appl.run.clone(),
        };
        self.appls.iter().map(record).collect()
    }

    /// `dist_ac:info()`, as far as anybody reads it.
    pub(super) fn info(&self) -> Term {
        let appl = |record: WireAppl| {
            let run: Vec<Term> = record
                .run
                .iter()
                .map(|(node, able)| tuple!(node, able.map_or(Term::atom("undefined"), Term::from)))
                .collect();
            tuple!(atom "appl", &record.name, record.id, record.restart_time, record.nodes, run)
        };
        let appls: Vec<Term> = self.records().into_iter().map(appl).collect();
        let remote: Vec<Term> = self.remote_started.iter().map(|(node, app)| tuple!(node, app)).collect();
        let known: Vec<Term> = self.known.iter().map(Term::from).collect();
        let started: Vec<Term> = self.started.iter().map(Term::from).collect();
        let none = || Term::NIL;
        tuple!(
            atom "state", appls, none(), remote, known, started, none(), none(), none(), none(), none()
        )
    }

    /// Takes over what a peer says of its own permissions, and nothing else.
    pub(super) fn merge(&mut self, node: &Atom, his: &[WireAppl]) {
        for appl in &mut self.appls {
            let Some(his) = his.iter().find(|his| his.name == appl.name) else { continue };
            match his.run.iter().find(|(name, _)| name == node) {
                Some((_, permission)) => appl.set_permission(node, *permission),
                None => appl.run.insert(0, (node.clone(), None)),
            }
        }
    }
}

impl Appl {
    pub(super) fn permission_of(&self, node: &Atom) -> Option<Option<bool>> {
        self.run.iter().find(|(name, _)| name == node).map(|(_, permission)| *permission)
    }

    pub(super) fn permits(&self, node: &Atom) -> bool {
        self.permission_of(node) == Some(Some(true))
    }

    pub(super) fn set_permission(&mut self, node: &Atom, permission: Option<bool>) {
        match self.run.iter_mut().find(|(name, _)| name == node) {
            Some(entry) => entry.1 = permission,
            None => self.run.insert(0, (node.clone(), permission)),
        }
    }

    /// All nodes of the list, in the order in which it goes through them: the last place first.
    pub(super) fn flat_nodes(&self) -> Vec<Atom> {
        self.nodes.tiers().iter().rev().flat_map(Tier::members).cloned().collect()
    }
}
