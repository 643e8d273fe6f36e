//! No member of ours is ever blocked, whatever its peers are.

use crate::{
    life::{Life, Stock},
    sim::{name, stock::Wait},
};

/// Calls of `dist_ac` are answered at once, in the middle of everything.
pub fn answers_at_once(life: &Life) -> Result<(), String> {
    match life.deaf.first() {
        Some((node, at)) => Err(format!("node {node} did not answer at {at}")),
        None => Ok(()),
    }
}

/// A stock node that waits for the weight of one of ours gets it, once quiet: all else waits behind that (dist_ac.md 6, L8).
pub fn weights_come(life: &Life) -> Result<(), String> {
    let stock = life.sim.alive().into_iter().filter(|node| !life.is_ours(*node));
    for (node, stock) in stock.map(|node| (node, life.sim.stock(node))) {
        if matches!(stock.waits_for(), Wait::Weight(..))
            && let Some((app, awaited)) = stock.awaited()
            && life.sim.alive().into_iter().any(|other| life.is_ours(other) && name(other) == *awaited)
        {
            return Err(format!("{} waits for the weight of {awaited} for {app}", name(node)));
        }
    }
    Ok(())
}

/// With a healer in the cluster no stock node is blocked for ever.
pub fn stock_serves(life: &Life) -> Result<(), String> {
    if !life.kind.healed || life.is_up_to_a_person() {
        return Ok(());
    }
    match life.sim.alive().into_iter().find(|node| life.is_blocked(*node)) {
        Some(node) => Err(format!("{} is blocked: {:?}", name(node), life.sim.stock(node).waits_for())),
        None => Ok(()),
    }
}

/// Callers of start, stop, takeover and permit at our nodes have their answer, once quiet.
///
/// Not with stock nodes: a start may wait for one that was elected and is blocked, and the lock of takeover and
/// permit is refused by one that holds it for ever, in a decision or in `permit` (dist_ac.md 1.3).
pub fn callers_are_answered(life: &Life) -> Result<(), String> {
    if life.kind.stock != Stock::None {
        return Ok(());
    }
    match life.sim.unanswered().first() {
        Some(call) => Err(format!("node {}: the call {} at {} has no answer", call.node, call.what, call.at)),
        None => Ok(()),
    }
}
