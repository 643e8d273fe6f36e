//! A `dist_ac` of the simulated cluster: ours, or the model of OTP's.

use std::time::Instant;

use crabnode_dist_ac::engine::{Engine, Input, Output, appl::AppId};
use etf::Atom;

use super::stock::Stock;

/// Whose `dist_ac` it is. Both take the same inputs and give the same outputs.
#[derive(Debug, Clone)]
pub enum Member {
    Ours(Box<Engine>),
    Stock(Box<Stock>),
}

impl Member {
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
