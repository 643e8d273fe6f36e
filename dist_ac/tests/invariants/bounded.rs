//! Messages have an end, and a bound.

use crate::{
    life::{Life, Stock},
    sim::name,
};

/// A healer asks every node so often in a second while something is wrong, with so many questions each time; and a member
/// answers them.
const ASKED_IN_A_SECOND: u64 = 5 * 4;

/// A decision of ours that waits for a stock node asks each once in a minute who runs it, and then those for their weight who
/// stand by for that one; and there are three minutes in that time.
const ASKED_MEANWHILE: u64 = 3 * 2;

/// Once quiet, our nodes say nothing. Those that wait for a stock node ask it now and then, and healers ask all the time.
pub fn silence(life: &Life) -> Result<(), String> {
    let (nodes, apps) = (life.sim.world.nodes as u64, life.sim.world.apps.len() as u64);
    let limit = match life.kind.stock {
        Stock::None => 0,
        _ if life.kind.healed => ASKED_IN_A_SECOND * nodes * life.quiet_seconds,
        Stock::One | Stock::Several => ASKED_MEANWHILE * nodes * apps,
    };
    for node in (0..life.sim.world.nodes).filter(|node| life.is_ours(*node)) {
        let sent = life.sim.sent[node] - life.sent_before[node];
        if sent > limit {
            return Err(format!("{} sends {sent} messages although nothing happens", name(node)));
        }
    }
    Ok(())
}

/// Each thing that happens costs each node of ours at most so many messages for each peer and application.
const MESSAGES_MAX: u64 = 12;

pub fn few(life: &Life) -> Result<(), String> {
    let world = &life.sim.world;
    let healing = if life.kind.healed { ASKED_IN_A_SECOND * life.sim.now() / 1000 } else { 0 };
    let limit = (MESSAGES_MAX * world.apps.len() as u64 * life.events + healing) * world.nodes as u64;
    for node in (0..world.nodes).filter(|node| life.is_ours(*node)) {
        let sent = life.sim.sent[node];
        if sent > limit {
            return Err(format!("{} sends {sent} messages, more than {limit}", name(node)));
        }
    }
    Ok(())
}
