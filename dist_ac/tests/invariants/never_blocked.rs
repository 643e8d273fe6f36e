//! No member of ours is ever blocked, whatever its peers are.

use crate::life::{Life, Stock};

/// Calls of `dist_ac` are answered at once, in the middle of everything.
pub fn answers_at_once(life: &Life) -> Result<(), String> {
    match life.deaf.first() {
        Some((node, at)) => Err(format!("node {node} did not answer at {at}")),
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
