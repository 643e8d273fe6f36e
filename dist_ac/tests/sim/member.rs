//! A node of the simulated cluster: its `dist_ac` and its application controller.

use std::collections::{BTreeMap, BTreeSet};

use crabnode_dist_ac::{
    application::controller::Controller,
    engine::{Engine, Event},
    heal::Healer,
};
use etf::Term;

use super::{dist_ac::Member, healing, stock::Stock, world::App, world::World, world::name};

pub struct Node {
    pub member: Member,
    /// Ours at stock nodes too: what a peer can see of OTP's is the same.
    pub controller: Controller,
    /// Of a node of ours.
    pub(super) healer: Option<Healer>,
    /// Which of the node's lives this is.
    pub(super) life: u64,
    /// Connected nodes, with the number of the connection, as this node sees it.
    pub(super) links: BTreeMap<usize, u64>,
    /// Applications that run here, or are on their way up or down.
    pub masters: BTreeSet<usize>,
    pub halted: Option<Term>,
    /// Calls that were answered.
    pub replies: BTreeMap<u64, Term>,
    pub events: Vec<Event>,
}

impl Node {
    pub(super) fn new(world: &World, node: usize, life: u64) -> Self {
        let specs = world.apps.iter().map(App::spec).collect();
        Self {
            member: member(world, node),
            controller: Controller::new(name(node), specs, Vec::new()),
            healer: (!world.is_stock(node))
                .then(|| Healer::new(name(node), healing::config(world.heal(node)))),
            life,
            links: BTreeMap::new(),
            masters: BTreeSet::new(),
            halted: None,
            replies: BTreeMap::new(),
            events: Vec::new(),
        }
    }
}

fn member(world: &World, node: usize) -> Member {
    let distributed = world.apps.iter().map(App::distribution).collect();
    if world.is_stock(node) {
        Member::Stock(Box::new(Stock::new(name(node), distributed)))
    } else {
        let heal = healing::config(world.heal(node));
        Member::Ours(Box::new(Engine::new(name(node), distributed, &BTreeMap::new()).with_heal(heal)))
    }
}
