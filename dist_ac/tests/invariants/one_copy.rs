//! At most one copy of an application.

use std::collections::BTreeMap;

use crabnode_dist_ac::application::StartType;

use crate::{
    life::{Life, Stock},
    sim::Step,
};

/// Once quiet: at most one copy. All links are whole then.
///
/// With several stock nodes: at most one copy at our nodes. What stock nodes do to each other is their own: a late M7
/// makes a running copy forgotten (dist_ac.md 6, L17), an M6 error stops one (L4), one that waits for anybody misses
/// a death (L11).
pub fn once_quiet(life: &Life) -> Result<(), String> {
    for app in life.apps() {
        let mut running = life.sim.running(app);
        if life.is_up_to_stock() {
            running.retain(|node| life.is_ours(*node));
        }
        if running.len() > 1 {
            return Err(format!("app{app} runs at {running:?}"));
        }
    }
    Ok(())
}

/// Always, if no link was lost: nothing is started afresh while it is up elsewhere. A takeover is: there the old copy
/// goes down after the new one is up.
pub fn always(life: &Life) -> Result<(), String> {
    if life.kind.links || life.kind.stock != Stock::None {
        return Ok(());
    }
    let mut up: BTreeMap<(usize, usize), bool> = BTreeMap::new();
    for change in &life.sim.history {
        let here = (change.app, change.node);
        match &change.step {
            Step::Starts(StartType::Normal | StartType::Failover(_)) => {
                let other =
                    up.iter().find(|((app, node), up)| *app == change.app && *node != change.node && **up);
                if let Some(((app, node), _)) = other {
                    return Err(format!(
                        "{}: app{app} starts at {} and is up at {node}",
                        change.at, change.node
                    ));
                }
                up.insert(here, false);
            }
            Step::Starts(StartType::Takeover(_)) => {
                up.insert(here, false);
            }
            Step::Up => {
                up.insert(here, true);
            }
            Step::Down => {
                up.remove(&here);
            }
        }
    }
    Ok(())
}
