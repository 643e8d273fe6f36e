//! A node of the simulated cluster: a `dist_ac`, ours or the model of OTP's, and its application controller.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crabnode_dist_ac::{
    application::controller::Controller,
    engine::{Engine, Event, Input, Output, appl::AppId},
    heal::Healer,
};
use etf::{Atom, Term};

use super::{healing, stock::Stock, world::App, world::World, world::name};

/// Whose `dist_ac` it is. Both take the same inputs and give the same outputs.
#[derive(Debug)]
pub enum Member {
    Ours(Box<Engine>),
    Stock(Box<Stock>),
}

impl Member {
    pub fn new(world: &World, node: usize) -> Self {
        let distributed = world.apps.iter().map(App::distribution).collect();
        if world.is_stock(node) {
            Self::Stock(Box::new(Stock::new(name(node), distributed)))
        } else {
            Self::Ours(Box::new(
                Engine::new(name(node), distributed, &BTreeMap::new())
                    .with_heal(healing::config(world.heal(node))),
            ))
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        match self {
            Self::Ours(engine) => {
                let text = format!("{input:?}");
                engine.handle(now, input).unwrap_or_else(|error| panic!("{error} on {text}"));
            }
            Self::Stock(stock) => stock.handle(now, input),
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::Ours(engine) => engine.poll_output(),
            Self::Stock(stock) => stock.poll_output(),
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Ours(engine) => engine.poll_timeout(),
            Self::Stock(stock) => stock.poll_timeout(),
        }
    }

    pub fn id(&self, app: &Atom) -> Option<&AppId> {
        match self {
            Self::Ours(engine) => engine.id(app),
            Self::Stock(stock) => stock.id(app),
        }
    }

    pub fn permission(&self, app: &Atom) -> Option<bool> {
        match self {
            Self::Ours(engine) => engine.permission(app),
            Self::Stock(stock) => stock.permission(app),
        }
    }

    /// The model itself, of a node that is stock.
    pub fn stock(&self) -> Option<&Stock> {
        match self {
            Self::Ours(_) => None,
            Self::Stock(stock) => Some(stock),
        }
    }

    pub fn stock_mut(&mut self) -> Option<&mut Stock> {
        match self {
            Self::Ours(_) => None,
            Self::Stock(stock) => Some(stock),
        }
    }
}

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
            member: Member::new(world, node),
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
