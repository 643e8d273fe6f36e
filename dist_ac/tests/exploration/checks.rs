//! What holds once nothing happens by itself any more, whatever happened before (`tests/invariants` asks the same of
//! random lives). What holds always is checked at each step, in `cluster.rs`; that everything has an end, in `search.rs`.

use crate::{
    cluster::{Cluster, Context},
    node::{Master, NODES},
    tables::{Blocked, Facts, Knows},
};

pub fn once_quiet(cluster: &Cluster, context: &Context) -> Result<(), String> {
    let alive: Vec<usize> = cluster.alive().collect();
    let part_of = |node: usize| -> Vec<usize> {
        let linked = |other: &usize| *other == node || !cluster.is_cut(node, *other);
        alive.iter().copied().filter(linked).collect()
    };
    for node in &alive {
        let part = part_of(*node);
        // Where only one of three links is lost, two nodes cannot know of each other whether they live.
        if part.first() == Some(node) && part.iter().all(|other| part_of(*other) == part) {
            check_part(cluster, context, &part)?;
        }
    }
    Ok(())
}

/// Nodes that are all connected to each other, and to nobody else.
fn check_part(cluster: &Cluster, context: &Context, part: &[usize]) -> Result<(), String> {
    let facts = |node: usize| cluster.facts(context, node);
    let with = |able: &dyn Fn(Facts) -> bool| -> Vec<usize> {
        part.iter().copied().filter(|node| able(facts(*node))).collect()
    };
    let mut running = with(&|facts| facts.master == Master::Up);
    let stock = part.iter().find_map(|node| facts(*node).stock);
    let is_blocked = matches!(stock, Some(Blocked::Yes | Blocked::Weight(_)));
    if is_blocked {
        // What is left to be done there is its own affair, and what waits for that.
        running.retain(|node| facts(*node).stock.is_none());
    }
    if running.len() > 1 {
        return Err(format!("it runs at {}", names(&running)));
    }
    if let Some(Blocked::Weight(node)) = stock
        && part.contains(&node)
    {
        return Err(format!("the stock node waits for the weight of {}", NODES[node]));
    }
    if is_blocked {
        return Ok(());
    }
    let permitted = with(&|facts| facts.permitted);
    // Who waits for one that was never told to start it waits rightly.
    let started = part.iter().all(|node| facts(*node).started);
    if running.is_empty() && started && !permitted.is_empty() && !cluster.past.stopped {
        return Err(format!("it runs nowhere, and may at {}", names(&permitted)));
    }
    let ours = |node: &usize| facts(*node).stock.is_none();
    for node in part.iter().copied().filter(|node| facts(*node).started && ours(node)) {
        let right = match running[..] {
            [runner] if runner == node => facts(node).knows == Knows::RunsHere,
            [runner] => facts(node).knows == Knows::RunsAt(runner) || !facts(node).permitted,
            _ => facts(node).knows == Knows::Other,
        };
        if !right {
            let what = format!("{:?}", facts(node).knows);
            return Err(format!("{} believes {what}; it runs at {}", NODES[node], names(&running)));
        }
    }
    if stock.is_some() {
        // It decides on what it knew before, and may keep those waiting who do not go before it (dist_ac.md 6, L6).
        return Ok(());
    }
    check_callers(cluster, context, part, !running.is_empty() || (started && !cluster.past.stopped))?;
    let past = cluster.past;
    let anywhere = past.lost_link || past.moved || past.crossed || past.stopped;
    if let ([runner], true, false) = (&running[..], started, anywhere) {
        let rank = |node: &usize| context.config.list.rank(&etf::Atom::from(NODES[*node]));
        let best = permitted.iter().map(rank).min();
        if best != Some(rank(runner)) {
            return Err(format!("it runs at {}, and that is not the best place", NODES[*runner]));
        }
    }
    Ok(())
}

/// Nobody of ours keeps a caller waiting; but a start is not over before it is clear where it runs.
fn check_callers(cluster: &Cluster, context: &Context, part: &[usize], clear: bool) -> Result<(), String> {
    for node in part {
        let facts = cluster.facts(context, *node);
        let (start, other) = facts.callers;
        if other || (start && clear) {
            return Err(format!("a caller at {} has no answer", NODES[*node]));
        }
    }
    Ok(())
}

fn names(nodes: &[usize]) -> String {
    format!("{:?}", nodes.iter().map(|node| NODES[*node]).collect::<Vec<_>>())
}
