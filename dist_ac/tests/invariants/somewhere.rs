//! An application that was started, and may run at a node that lives, runs somewhere.

use crate::life::Life;

/// Once quiet.
///
/// Not where stock nodes hang: two of them that wait for each other start nothing (dist_ac.md 6, L7 to L9), and one
/// that stands by for a node that failed to start it says nothing (L10). With a healer: not what a person has to start at a stock
/// node, and not what has failed wherever it was started.
pub fn check(life: &Life) -> Result<(), String> {
    if life.is_up_to_stock() || life.is_up_to_a_person() {
        return Ok(());
    }
    for app in life.apps().filter(|app| !life.awaits_a_start(*app) && !life.has_failed(*app)) {
        // Two calls of permit at the same time are answered in any order, so the last one may be `false`.
        let candidates = life.candidates(app);
        if !candidates.is_empty() && life.sim.running(app).is_empty() {
            return Err(format!("app{app} runs nowhere; it may run at {candidates:?}"));
        }
    }
    Ok(())
}
