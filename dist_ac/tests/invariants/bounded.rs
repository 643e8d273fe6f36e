//! Messages have an end, and a bound.

use crate::{life::Life, sim::name};

/// Once quiet, our nodes say nothing.
pub fn silence(life: &Life) -> Result<(), String> {
    for node in (0..life.sim.world.nodes).filter(|node| life.is_ours(*node)) {
        let sent = life.sim.sent[node] - life.sent_before[node];
        if sent > 0 {
            return Err(format!("{} sends {sent} messages although nothing happens", name(node)));
        }
    }
    Ok(())
}

/// Each thing that happens costs each node of ours at most so many messages for each peer and application.
const MESSAGES_MAX: u64 = 12;

pub fn few(life: &Life) -> Result<(), String> {
    let world = &life.sim.world;
    let limit = MESSAGES_MAX * world.nodes as u64 * world.apps.len() as u64 * life.events;
    for node in (0..world.nodes).filter(|node| life.is_ours(*node)) {
        let sent = life.sim.sent[node];
        if sent > limit {
            return Err(format!("{} sends {sent} messages, more than {limit}", name(node)));
        }
    }
    Ok(())
}
