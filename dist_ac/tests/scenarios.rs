//! Whole stories in a simulated cluster, to the millisecond.

#[allow(dead_code)]
mod sim;

use crabnode_dist_ac::engine::appl::AppId;
use sim::{App, Op, Sim, World, name};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn cluster(seed: u64, restart_time: u64, tiers: &[&[usize]]) -> Sim {
    let nodes = tiers.iter().map(|tier| tier.len()).sum();
    let apps = vec![App::new("m8ball", restart_time, tiers)];
    Sim::new(seed, World { nodes, apps, delay_max: 5, start_max: 20, failing: 0 })
}

fn boot(sim: &mut Sim, at: u64, node: usize) {
    sim.at(at, Op::Boot { node, go_after: 50 });
    sim.at(at + 100, Op::Start { node, app: 0 });
}

/// When the application began to start at a node after that time.
fn start_after(sim: &Sim, node: usize, after: u64) -> Option<u64> {
    let start = sim.history.iter().find(|(at, on, _, runs)| *at >= after && *on == node && *runs);
    start.map(|(at, ..)| *at)
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

/// The sequence that wedges stock nodes (dist_ac.md 6, L9): "c runs; a and b restart; a takes over; b starts; a dies".
#[test]
fn l9() {
    for seed in 0..50 {
        let mut sim = cluster(seed, 1000, &[&[A], &[B, C]]);
        boot(&mut sim, 0, C);
        sim.at(3_000, Op::Boot { node: B, go_after: 50 });
        boot(&mut sim, 3_500, A);
        sim.at(5_000, Op::Start { node: B, app: 0 });
        sim.at(6_000, Op::Kill { node: A });
        sim.run_until(9_000);
        assert_eq!(sim.running(0), [B], "seed {seed}");
        assert_eq!(sim.id(C, 0), AppId::Distributed(name(B)));
    }
}

/// The pair that hangs for ever where both are stock nodes (dist_ac.md 6, L8): several applications with a tuple and
/// the same restart time, on one node that dies.
#[test]
fn l8() {
    for seed in 0..50 {
        let apps: Vec<App> =
            (0..8).map(|number| App::new(&format!("app{number}"), 1000, &[&[A], &[B, C]])).collect();
        let world = World { nodes: 3, apps, delay_max: 20, start_max: 100, failing: 0 };
        let mut sim = Sim::new(seed, world);
        for node in [A, B, C] {
            sim.at(0, Op::Boot { node, go_after: 50 });
            for app in 0..8 {
                sim.at(100, Op::Start { node, app });
            }
        }
        sim.at(5_000, Op::Kill { node: A });
        sim.run_until(7_000);
        for app in 0..8 {
            assert_eq!(sim.running(app).len(), 1, "seed {seed}: app{app}");
        }
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

/// A runner that fails to be taken over goes on (dist_ac.md 7, 35).
#[test]
fn a_failed_takeover_leaves_the_old_copy() {
    let mut sim = cluster(1, 1000, &[&[A], &[B]]);
    for node in [A, B] {
        boot(&mut sim, 0, node);
    }
    sim.run_until(2_000);
    sim.world.failing = 100;
    sim.at(2_000, Op::Takeover { node: B, app: 0 });
    sim.run_until(4_000);
    assert_eq!(sim.running(0), [A]);
    assert_eq!(sim.id(B, 0), AppId::Distributed(name(A)));
    sim.world.failing = 0;
    sim.at(4_000, Op::Takeover { node: B, app: 0 });
    sim.run_until(6_000);
    assert_eq!(sim.running(0), [B], "and a later one works");
}

/// Two nodes start two applications in different order (dist_ac.md 6, L7).
#[test]
fn l7() {
    let apps = vec![App::new("one", 0, &[&[A], &[B]]), App::new("two", 0, &[&[B], &[A]])];
    let mut sim = Sim::new(3, World { nodes: 2, apps, delay_max: 10, start_max: 50, failing: 0 });
    for node in [A, B] {
        sim.at(0, Op::Boot { node, go_after: 50 });
    }
    for (node, app, at) in [(A, 1, 500), (B, 0, 500), (A, 0, 700), (B, 1, 700)] {
        sim.at(at, Op::Start { node, app });
    }
    sim.run_until(2_000);
    assert_eq!((sim.running(0), sim.running(1)), (vec![A], vec![B]));
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
