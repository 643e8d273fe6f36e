//! Whole stories in a simulated cluster, to the millisecond.

#[allow(dead_code)]
mod sim;

use crabnode_dist_ac::engine::appl::AppId;
use sim::{App, Change, Op, Sim, Step, World, name};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn cluster(seed: u64, restart_time: u64, tiers: &[&[usize]]) -> Sim {
    let nodes = tiers.iter().map(|tier| tier.len()).sum();
    Sim::new(seed, World::new(nodes, vec![App::new("m8ball", restart_time, tiers)]))
}

fn boot(sim: &mut Sim, at: u64, node: usize) {
    sim.at(at, Op::Boot { node, go_after: 50 });
    sim.at(at + 100, Op::Start { node, app: 0 });
}

/// When the application began to start at a node after that time.
fn start_after(sim: &Sim, node: usize, after: u64) -> Option<u64> {
    let starts = |change: &&Change| {
        change.at >= after && change.node == node && matches!(change.step, Step::Starts(_))
    };
    sim.history.iter().find(starts).map(|change| change.at)
}

/// LYSE's m8ball: `[{m8ball, 5000, [a, {b, c}]}]`.
#[test]
fn m8ball() {
    for seed in 0..50 {
        let mut sim = cluster(seed, 5000, &[&[A], &[B, C]]);
        for node in [A, B, C] {
            boot(&mut sim, 0, node);
        }
        sim.run_until(2_000);
        assert_eq!(sim.running(0), [A], "seed {seed}");

        sim.at(2_000, Op::Kill { node: A });
        sim.run_until(10_000);
        assert_eq!(sim.running(0), [B], "equal weights: the smaller name");
        let waited = start_after(&sim, B, 2_000).expect("b starts it") - 2_000;
        assert!((5_000..=5_030).contains(&waited), "seed {seed}: {waited} ms");

        sim.at(10_000, Op::Kill { node: B });
        sim.run_until(18_000);
        assert_eq!(sim.running(0), [C]);
        let waited = start_after(&sim, C, 10_000).expect("c starts it") - 10_000;
        assert!((5_000..=5_030).contains(&waited), "seed {seed}: {waited} ms");

        boot(&mut sim, 18_000, A);
        boot(&mut sim, 18_000, B);
        sim.run_until(20_000);
        assert_eq!(sim.running(0), [A], "seed {seed}: taken over");
        assert_eq!(sim.id(B, 0), AppId::Distributed(name(A)));
        assert_eq!(sim.id(C, 0), AppId::Distributed(name(A)));
    }
}

/// `[{jc, 1000, [jc1, {jc2, jc3}, jc4]}]`: the order in which they die is the order in which they run it.
#[test]
fn job_center() {
    let mut sim = cluster(1, 1000, &[&[0], &[1, 2], &[3]]);
    for node in 0..4 {
        boot(&mut sim, 0, node);
    }
    for (node, at) in [(0, 2_000), (1, 4_000), (2, 6_000)] {
        sim.at(at, Op::Kill { node });
        sim.run_until(at + 1_500);
        assert_eq!(sim.running(0), [node + 1]);
    }
    boot(&mut sim, 8_000, 0);
    sim.run_until(9_000);
    assert_eq!(sim.running(0), [0], "jc1 is back: taken over from jc4");
    boot(&mut sim, 9_000, 1);
    sim.run_until(10_000);
    assert_eq!(sim.running(0), [0], "jc2 is back: standby");
    sim.at(10_000, Op::Kill { node: 0 });
    boot(&mut sim, 10_200, 0);
    sim.run_until(12_000);
    assert_eq!(sim.running(0), [0], "back within its restart time: it goes on there");
}

/// An application that stops by itself is started by nobody (dist_ac.md 4).
#[test]
fn a_crash_moves_nothing() {
    let mut sim = cluster(1, 1000, &[&[A], &[B]]);
    for node in [A, B] {
        boot(&mut sim, 0, node);
    }
    sim.at(2_000, Op::Crash { node: A, app: 0 });
    sim.run_until(6_000);
    assert!(sim.running(0).is_empty());
    assert_eq!(sim.id(B, 0), AppId::Undefined);
}

/// a is back, but only one of its two links: one node sees both others, and they do not see each other. Nothing moves to
/// and fro meanwhile, and there is one copy when they do.
#[test]
fn one_link_of_two_is_back() {
    let lists: [&[&[usize]]; 3] = [&[&[A], &[B], &[C]], &[&[A], &[B, C]], &[&[A, B, C]]];
    for (list, middle, seed) in lists
        .iter()
        .flat_map(|list| [B, C].into_iter().flat_map(move |node| (0..20).map(move |seed| (list, node, seed))))
    {
        let mut sim = cluster(seed, 1000, list);
        for node in [A, B, C] {
            boot(&mut sim, 0, node);
        }
        for other in [B, C] {
            sim.at(2_000, Op::Cut { one: other, other: A });
        }
        sim.at(10_000, Op::Heal { one: middle, other: A });
        sim.run_until(20_000);
        let changes = sim.history.len();
        sim.run_until(120_000);
        assert_eq!(sim.history.len(), changes, "{list:?}, {middle} in the middle, seed {seed}");
        for other in [B, C] {
            sim.at(120_000, Op::Heal { one: other, other: A });
        }
        sim.run_until(130_000);
        assert_eq!(sim.running(0), [A], "{list:?}, {middle} in the middle, seed {seed}");
    }
}
