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

/// A copy, since its start was ordered.
struct Copy {
    up: bool,
    /// Another one came up to take over from it.
    taken_over: bool,
}

/// Always, if no link was lost: nothing is started afresh while it is up elsewhere. A takeover is: there the old copy
/// goes down after the new one is up. How long that takes it tells nobody (dist_ac.md 4), and the new one may die before,
/// with a restart time that is shorter: so a copy that is stopping after a takeover is not counted.
pub fn always(life: &Life) -> Result<(), String> {
    if life.kind.links || life.kind.stock != Stock::None {
        return Ok(());
    }
    let mut copies: BTreeMap<(usize, usize), Copy> = BTreeMap::new();
    for (number, change) in life.sim.history.iter().enumerate() {
        let here = (change.app, change.node);
        // A stop takes no longer than that, so one that ends by then was ordered before.
        let latest = change.at + life.sim.world.start_max;
        let stops = |app: usize, node: usize| {
            let later = life.sim.history[number..].iter().take_while(|later| later.at <= latest);
            later.into_iter().any(|later| (later.app, later.node, &later.step) == (app, node, &Step::Down))
        };
        match &change.step {
            Step::Starts(start_type) => {
                let other = copies.iter().find(|((app, node), copy)| {
                    let other = *app == change.app && *node != change.node && copy.up;
                    other && !(copy.taken_over && stops(*app, *node))
                });
                if let (Some(((app, node), _)), StartType::Normal | StartType::Failover(_)) =
                    (other, start_type)
                {
                    return Err(format!(
                        "{}: app{app} starts at {} and is up at {node}",
                        change.at, change.node
                    ));
                }
                copies.insert(here, Copy { up: false, taken_over: false });
            }
            Step::Up => {
                for ((app, node), copy) in &mut copies {
                    if (*app, *node) == here {
                        copy.up = true;
                    } else {
                        copy.taken_over |= *app == change.app && copy.up;
                    }
                }
            }
            Step::Down => {
                copies.remove(&here);
            }
        }
    }
    Ok(())
}
