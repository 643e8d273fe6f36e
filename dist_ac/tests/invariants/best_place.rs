//! The node that comes first in the priority list owns the application, and everybody knows who owns it.

use crabnode_dist_ac::engine::appl::AppId;

use crate::{life::Life, sim::name};

/// Where nothing was moved by hand: it runs at the best place among the living.
///
/// With a stock node: at the best one of ours, or at the stock node. That one decides on what it knew before it was
/// blocked, or before it met us, and takes the application from a better place by an M6 that no peer can tell from that
/// of `application:takeover/2`; and where its M6 crosses ours its copy stops, whatever its place.
pub fn owns_it(life: &Life) -> Result<(), String> {
    // After a lost link the copy that goes on is where it goes on; and a start everywhere may begin anywhere.
    if life.kind.moves || life.kind.links || life.kind.stops || life.is_up_to_stock() {
        return Ok(());
    }
    for app in life.apps() {
        let nodes = life.sim.world.apps[app].nodes();
        let rank = |node: usize| nodes.rank(&name(node));
        let ours = |node: &usize| life.is_ours(*node);
        let best = life.candidates(app).into_iter().filter(ours).map(rank).min();
        // Where the stock node goes before all of ours, or is the equal of the best, it may be the one that is elected by
        // whoever is started later, and need not ever act: then it stays where it runs (dist_ac.md 2.2, 6: L22).
        let stock = life.candidates(app).into_iter().filter(|node| !ours(node)).map(rank).min();
        if stock.is_some() && stock <= best {
            continue;
        }
        let at = life.sim.running(app).first().copied().filter(ours).map(rank);
        if at.is_some() && at != best {
            return Err(format!("app{app} runs at a place of rank {at:?}, and could at {best:?}"));
        }
    }
    Ok(())
}

/// Every node of ours that may run it knows where it runs.
pub fn is_known(life: &Life) -> Result<(), String> {
    if life.is_up_to_stock() || life.is_up_to_a_person() {
        return Ok(());
    }
    for app in life.apps() {
        let [runner] = life.sim.running(app)[..] else { continue };
        for node in life.candidates(app).into_iter().filter(|node| life.kind.healed || life.is_ours(*node)) {
            let expected = if node == runner { AppId::Local } else { AppId::Distributed(name(runner)) };
            if life.is_refused(node, app) {
                continue;
            }
            let id = life.sim.id(node, app);
            if id != expected {
                return Err(format!(
                    "{} believes {id:?} of app{app}, which runs at {}",
                    name(node),
                    name(runner)
                ));
            }
        }
    }
    Ok(())
}
