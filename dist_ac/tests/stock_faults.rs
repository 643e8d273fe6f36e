//! What stock nodes do wrong (dist_ac.md 6), shown on the model of their `dist_ac` alone; and that with our engine in
//! the same places it does not happen. The model stands or falls with these. With one more node, ours, that heals the
//! cluster, the stock nodes get over it.

#[allow(dead_code)]
mod sim;

use std::ops::Range;

use crabnode_dist_ac::engine::{
    appl::AppId,
    wire::{Message, VERSION},
};
use etf::Term;
use sim::{App, Op, Sim, World, name};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// Each story is told so often, with other delays.
const SEEDS: Range<u64> = 0..20;

/// Those in which a healer asks all nodes all the time.
const SEEDS_HEALED: Range<u64> = 0..6;

/// Whose `dist_ac` all nodes have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Stock,
    /// Stock; and one more node, ours, runs nothing and heals the cluster.
    Healed,
}

use Kind::{Healed, Ours, Stock};

/// A cluster whose nodes boot together, so that they know each other.
fn cluster(seed: u64, kind: Kind, nodes: usize, apps: Vec<App>) -> Sim {
    let mut sim = unborn(seed, kind, nodes, apps);
    for node in 0..nodes {
        boot(&mut sim, 0, node);
    }
    sim
}

/// All stock nodes serve again, and each application runs once.
fn assert_healed(sim: &mut Sim, seed: u64) {
    for app in 0..sim.world.apps.len() {
        assert_eq!(sim.running(app).len(), 1, "seed {seed}, {app}: {:?}\n{}", sim.running(app), sim.dump());
    }
    for node in sim.alive() {
        assert!(sim.answers(node), "seed {seed}: {node} is blocked\n{}", sim.dump());
    }
}

fn unborn(seed: u64, kind: Kind, nodes: usize, apps: Vec<App>) -> Sim {
    let mut world = World::new(nodes, apps);
    if kind != Ours {
        world.stock = (0..nodes).collect();
    }
    if kind == Healed {
        world.nodes = nodes + 1;
        world.healers.insert(nodes);
    }
    let mut sim = Sim::new(seed, world);
    if kind == Healed {
        boot(&mut sim, 0, nodes);
    }
    sim
}

fn app(restart_time: u64, tiers: &[&[usize]]) -> App {
    App::new("app", restart_time, tiers)
}

fn boot(sim: &mut Sim, at: u64, node: usize) {
    sim.at(at, Op::Boot { node, go_after: 50 });
}

fn start(sim: &mut Sim, at: u64, nodes: &[usize], app: usize) {
    for &node in nodes {
        sim.at(at, Op::Start { node, app });
    }
}

/// The net splits and heals, for longer than the restart time.
fn l1(seed: u64, kind: Kind) -> Sim {
    let mut sim = cluster(seed, kind, 2, vec![app(1000, &[&[A], &[B]])]);
    start(&mut sim, 1_000, &[A, B], 0);
    sim.at(3_000, Op::Cut { one: A, other: B });
    sim.at(6_000, Op::Heal { one: A, other: B });
    sim.run_until(60_000);
    sim
}

#[test]
fn l1_stock_never_heals_a_split() {
    for seed in SEEDS {
        let sim = l1(seed, Stock);
        assert_eq!(sim.running(0), [A, B], "seed {seed}\n{}", sim.dump());
        assert!(!sim.stock(A).known().contains(&name(B)), "nobody introduces anybody again");
    }
}

#[test]
fn l1_healed() {
    for seed in SEEDS_HEALED {
        let mut sim = l1(seed, Healed);
        assert_healed(&mut sim, seed);
    }
}

#[test]
fn l1_ours() {
    for seed in SEEDS {
        let sim = l1(seed, Ours);
        assert_eq!(sim.running(0), [A], "seed {seed}\n{}", sim.dump());
        assert_eq!(sim.id(B, 0), AppId::Distributed(name(A)));
    }
}

/// The link is lost and comes back before the restart time is over.
fn l2(seed: u64, kind: Kind) -> Sim {
    let mut sim = cluster(seed, kind, 2, vec![app(1000, &[&[A], &[B]])]);
    start(&mut sim, 1_000, &[A, B], 0);
    sim.at(3_000, Op::Cut { one: A, other: B });
    sim.at(3_200, Op::Heal { one: A, other: B });
    sim.run_until(60_000);
    sim
}

#[test]
fn l2_stock_starts_a_second_copy_after_a_flap() {
    for seed in SEEDS {
        let sim = l2(seed, Stock);
        assert_eq!(sim.running(0), [A, B], "seed {seed}\n{}", sim.dump());
    }
}

#[test]
fn l2_healed() {
    for seed in SEEDS_HEALED {
        let mut sim = l2(seed, Healed);
        assert_healed(&mut sim, seed);
    }
}

#[test]
fn l2_ours() {
    for seed in SEEDS {
        let sim = l2(seed, Ours);
        assert_eq!(sim.running(0), [A], "seed {seed}\n{}", sim.dump());
        assert!(!sim.history.iter().any(|change| change.node == B), "b never started it");
    }
}

/// One link of three is lost, and `global` cuts the others too: three nodes alone, which then meet again.
fn l3(seed: u64, kind: Kind) -> Sim {
    let mut sim = cluster(seed, kind, 3, vec![app(1000, &[&[A], &[B, C]])]);
    start(&mut sim, 1_000, &[A, B, C], 0);
    for (one, other) in [(A, B), (A, C), (B, C)] {
        sim.at(3_000, Op::Cut { one, other });
        sim.at(6_000, Op::Heal { one, other });
    }
    sim.run_until(60_000);
    sim
}

#[test]
fn l3_stock_runs_three_copies() {
    for seed in SEEDS {
        let sim = l3(seed, Stock);
        assert_eq!(sim.running(0), [A, B, C], "seed {seed}\n{}", sim.dump());
    }
}

#[test]
fn l3_healed() {
    for seed in SEEDS_HEALED {
        let mut sim = l3(seed, Healed);
        assert_healed(&mut sim, seed);
    }
}

#[test]
fn l3_ours() {
    for seed in SEEDS {
        let sim = l3(seed, Ours);
        assert_eq!(sim.running(0), [A], "seed {seed}\n{}", sim.dump());
    }
}

/// A takeover whose start fails.
fn l4(seed: u64, kind: Kind) -> Sim {
    let mut sim = cluster(seed, kind, 2, vec![app(1000, &[&[A], &[B]])]);
    start(&mut sim, 1_000, &[A, B], 0);
    sim.at(3_000, Op::Failing { percent: 100 });
    sim.at(3_000, Op::Takeover { node: B, app: 0 });
    sim.at(5_000, Op::Failing { percent: 0 });
    sim.run_until(10_000);
    sim
}

#[test]
fn l4_stock_loses_the_application_in_a_failed_takeover() {
    for seed in SEEDS {
        let sim = l4(seed, Stock);
        assert!(sim.running(0).is_empty(), "seed {seed}\n{}", sim.dump());
    }
}

#[test]
fn l4_ours() {
    for seed in SEEDS {
        let mut sim = l4(seed, Ours);
        assert_eq!(sim.running(0), [A], "seed {seed}\n{}", sim.dump());
        assert_eq!(sim.id(B, 0), AppId::Distributed(name(A)));
        sim.at(11_000, Op::Takeover { node: B, app: 0 });
        sim.run_until(13_000);
        assert_eq!(sim.running(0), [B], "seed {seed}: a later takeover works");
    }
}

/// A start whose elected node is up, and has not been told to start it.
fn l6(seed: u64, kind: Kind) -> Sim {
    let mut sim = cluster(seed, kind, 2, vec![app(1000, &[&[A], &[B]]), App::new("mine", 1000, &[&[B]])]);
    start(&mut sim, 1_000, &[B], 0);
    start(&mut sim, 1_100, &[B], 1);
    sim.run_until(60_000);
    sim
}

#[test]
fn l6_stock_serves_nothing_while_it_waits() {
    for seed in SEEDS {
        let mut sim = l6(seed, Stock);
        assert!(sim.running(1).is_empty(), "seed {seed}: another application has to wait as well");
        assert!(!sim.answers(B));
        start(&mut sim, 60_000, &[A], 0);
        sim.run_until(62_000);
        assert_eq!((sim.running(0), sim.running(1)), (vec![A], vec![B]), "seed {seed}: until it is started");
    }
}

#[test]
fn l6_ours() {
    for seed in SEEDS {
        let mut sim = l6(seed, Ours);
        assert_eq!((sim.running(0), sim.running(1)), (vec![], vec![B]), "seed {seed}\n{}", sim.dump());
        assert!(sim.answers(B));
    }
}

/// Two nodes start two applications in different order.
fn l7(seed: u64, kind: Kind) -> Sim {
    l7_of(seed, kind, &[&[A], &[B]], &[&[B], &[A]])
}

fn l7_of(seed: u64, kind: Kind, one: &[&[usize]], two: &[&[usize]]) -> Sim {
    let mut sim = cluster(seed, kind, 2, vec![App::new("one", 0, one), App::new("two", 0, two)]);
    for (node, app, at) in [(A, 1, 500), (B, 0, 500), (A, 0, 700), (B, 1, 700)] {
        start(&mut sim, at, &[node], app);
    }
    sim.run_until(60_000);
    sim
}

#[test]
fn l7_stock_deadlocks() {
    for seed in SEEDS {
        let mut sim = l7(seed, Stock);
        assert!(sim.running(0).is_empty() && sim.running(1).is_empty(), "seed {seed}\n{}", sim.dump());
        assert!(sim.stock(A).is_blocked() && sim.stock(B).is_blocked());
        assert!(!sim.answers(A) && !sim.answers(B));
    }
}

#[test]
fn l7_healed() {
    for seed in SEEDS_HEALED {
        let mut sim = l7(seed, Healed);
        assert_healed(&mut sim, seed);
        let mut sim = l7_of(seed, Healed, &[&[A, B]], &[&[A, B]]);
        assert_healed(&mut sim, seed);
    }
}

#[test]
fn l7_ours() {
    for seed in SEEDS {
        let sim = l7(seed, Ours);
        assert_eq!((sim.running(0), sim.running(1)), (vec![A], vec![B]), "seed {seed}\n{}", sim.dump());
    }
}

/// Applications with a tuple and the same restart time, on one node that dies.
fn l8(seed: u64, kind: Kind, apps: usize) -> Sim {
    let named = |number| App::new(&format!("app{number}"), 1000, &[&[A], &[B, C]]);
    let mut sim = cluster(seed, kind, 3, (0..apps).map(named).collect());
    for app in 0..apps {
        start(&mut sim, 1_000, &[A, B, C], app);
    }
    sim.run_until(5_000);
    assert!((0..apps).all(|app| sim.running(app) == [A]), "seed {seed}\n{}", sim.dump());
    sim.at(5_000, Op::Kill { node: A });
    sim.run_until(60_000);
    sim
}

#[test]
fn l8_stock_hangs_when_two_applications_fail_over_together() {
    for seed in SEEDS {
        let sim = l8(seed, Stock, 2);
        assert!(sim.stock(B).is_blocked() && sim.stock(C).is_blocked(), "seed {seed}\n{}", sim.dump());
        let up = (0..2).filter(|app| !sim.running(*app).is_empty()).count();
        assert_eq!(up, 1, "the first of them is started, and nobody is told");
    }
}

/// One application, or no tuple, is well: the model is no worse than what it models.
#[test]
fn l8_stock_is_well_with_one_application() {
    for seed in SEEDS {
        let sim = l8(seed, Stock, 1);
        assert_eq!(sim.running(0), [B], "seed {seed}\n{}", sim.dump());
        assert!(!sim.stock(B).is_blocked() && !sim.stock(C).is_blocked());
    }
}

#[test]
fn l8_healed() {
    for seed in SEEDS_HEALED {
        let mut sim = l8(seed, Healed, 2);
        assert_healed(&mut sim, seed);
    }
}

#[test]
fn l8_ours() {
    for seed in SEEDS {
        let sim = l8(seed, Ours, 8);
        for app in 0..8 {
            assert_eq!(sim.running(app).len(), 1, "seed {seed}: app{app}\n{}", sim.dump());
        }
    }
}

/// One of the two is ours, and the other is not held up.
#[test]
fn l8_mixed() {
    for (seed, ours) in SEEDS.flat_map(|seed| [(seed, B), (seed, C)]) {
        let named = |number| App::new(&format!("app{number}"), 1000, &[&[A], &[B, C]]);
        let stock: Vec<usize> = [A, B, C].into_iter().filter(|node| *node != ours).collect();
        let mut sim = Sim::new(seed, World::new(3, (0..8).map(named).collect()).with_stock(&stock));
        for node in [A, B, C] {
            boot(&mut sim, 0, node);
        }
        for app in 0..8 {
            start(&mut sim, 1_000, &[A, B, C], app);
        }
        sim.at(5_000, Op::Kill { node: A });
        sim.run_until(9_000);
        for app in 0..8 {
            assert_eq!(sim.running(app).len(), 1, "seed {seed}, {ours} ours: app{app}\n{}", sim.dump());
        }
    }
}

/// c runs; a and b restart; a takes over; b starts; a dies.
fn l9(seed: u64, kind: Kind) -> Sim {
    let mut sim = unborn(seed, kind, 3, vec![app(1000, &[&[A], &[B, C]])]);
    boot(&mut sim, 0, C);
    start(&mut sim, 1_000, &[C], 0);
    boot(&mut sim, 3_000, B);
    boot(&mut sim, 3_500, A);
    start(&mut sim, 3_700, &[A], 0);
    start(&mut sim, 5_000, &[B], 0);
    sim.run_until(6_000);
    assert_eq!(sim.running(0), [A], "seed {seed}\n{}", sim.dump());
    sim.at(6_000, Op::Kill { node: A });
    sim.run_until(60_000);
    sim
}

#[test]
fn l9_stock_waits_for_a_node_that_believes_another() {
    for seed in SEEDS {
        let sim = l9(seed, Stock);
        assert!(sim.running(0).is_empty(), "seed {seed}\n{}", sim.dump());
        assert_eq!(sim.id(B, 0), AppId::Distributed(name(C)), "b believes that c runs it");
        assert!(sim.stock(C).is_blocked(), "c waits for b");
    }
}

#[test]
fn l9_healed() {
    for seed in SEEDS_HEALED {
        // c may wait for the weight of b, which had its question and forgot it.
        let mut sim = l9(seed, Healed);
        sim.run_until(sim.now() + 5_000);
        assert_healed(&mut sim, seed);
        assert_eq!(sim.running(0), [B], "seed {seed}\n{}", sim.dump());
    }
}

#[test]
fn l9_ours() {
    for seed in SEEDS {
        let sim = l9(seed, Ours);
        assert_eq!(sim.running(0), [B], "seed {seed}\n{}", sim.dump());
        assert_eq!(sim.id(C, 0), AppId::Distributed(name(B)));
    }
}

/// A start fails at one node before the other is told to start it. Gives the second start's call.
fn l10(seed: u64, kind: Kind) -> (Sim, u64) {
    let mut sim = cluster(seed, kind, 2, vec![app(1000, &[&[A], &[B]])]);
    sim.at(900, Op::Failing { percent: 100 });
    start(&mut sim, 1_000, &[A], 0);
    sim.at(2_000, Op::Failing { percent: 0 });
    start(&mut sim, 3_000, &[B], 0);
    sim.run_until(5_000);
    let call = sim.calls.iter().rfind(|call| call.node == B).unwrap().number;
    (sim, call)
}

#[test]
fn l10_stock_stands_by_for_a_node_that_failed() {
    for seed in SEEDS {
        let (sim, call) = l10(seed, Stock);
        assert!(sim.running(0).is_empty(), "seed {seed}\n{}", sim.dump());
        assert_eq!(sim.reply(B, call), Some(&Term::atom("ok")), "the start says that it runs");
        assert_eq!(sim.id(B, 0), AppId::Distributed(name(A)));
    }
}

#[test]
fn l10_ours() {
    for seed in SEEDS {
        let (mut sim, call) = l10(seed, Ours);
        assert_eq!(sim.reply(B, call), None, "seed {seed}: it does not run yet\n{}", sim.dump());
        start(&mut sim, 6_000, &[A], 0);
        sim.run_until(8_000);
        assert_eq!(sim.running(0), [A]);
        assert_eq!(sim.reply(B, call), Some(&Term::atom("ok")));
    }
}

/// A node dies while another waits for anybody's start of something else.
fn l11(seed: u64, kind: Kind) -> Sim {
    let apps = vec![App::new("other", 1000, &[&[B]]), app(1000, &[&[A], &[C]])];
    let mut sim = cluster(seed, kind, 3, apps);
    start(&mut sim, 1_000, &[A, C], 1);
    start(&mut sim, 2_000, &[C], 0);
    sim.at(4_000, Op::Kill { node: A });
    start(&mut sim, 10_000, &[B], 0);
    sim.run_until(60_000);
    sim
}

#[test]
fn l11_stock_misses_a_death_while_it_waits() {
    for seed in SEEDS {
        let sim = l11(seed, Stock);
        assert!(!sim.stock(C).is_blocked(), "seed {seed}: it has long gone on\n{}", sim.dump());
        assert!(sim.running(1).is_empty());
        assert_eq!(sim.id(C, 1), AppId::Distributed(name(A)), "of a node that is dead");
        assert!(sim.stock(C).known().contains(&name(A)));
    }
}

#[test]
fn l11_healed() {
    for seed in SEEDS_HEALED {
        let mut sim = l11(seed, Healed);
        assert_healed(&mut sim, seed);
    }
}

#[test]
fn l11_ours() {
    for seed in SEEDS {
        let sim = l11(seed, Ours);
        assert_eq!((sim.running(0), sim.running(1)), (vec![B], vec![C]), "seed {seed}\n{}", sim.dump());
    }
}

/// An introduction that nobody asked for, between two nodes where nothing runs. Gives how many messages follow.
fn l12(seed: u64, kind: Kind) -> (Sim, u64) {
    let mut sim = cluster(seed, kind, 2, vec![app(1000, &[&[A], &[B]])]);
    sim.run_until(2_000);
    let before: u64 = sim.sent.iter().sum();
    sim.forge(
        B,
        Message::NewNode { version: VERSION, node: name(A), appls: Vec::new(), started: Vec::new() },
    );
    sim.run_until(12_000);
    let sent = sim.sent.iter().sum::<u64>() - before;
    (sim, sent)
}

#[test]
fn l12_stock_answers_answers() {
    for seed in SEEDS {
        let (sim, sent) = l12(seed, Stock);
        assert!(sent > 2_000, "seed {seed}: {sent} messages in 10 s");
        assert!(sim.stock(A).known().len() > 1_000, "and the list of known nodes grows");
    }
}

/// Two nodes that were ready before they were connected, and start it at the same moment.
#[test]
fn l12_idle_strangers_that_start_it_become_one() {
    for seed in SEEDS_HEALED {
        let mut sim = cluster(seed, Healed, 2, vec![app(1000, &[&[A], &[B]])]);
        sim.at(1, Op::Cut { one: A, other: B });
        sim.at(3_000, Op::Heal { one: A, other: B });
        sim.run_until(20_000);
        assert!(
            !sim.stock(A).known().contains(&name(B)),
            "seed {seed}: nothing can be said to them\n{}",
            sim.dump()
        );
        let sent: u64 = sim.sent.iter().sum();
        start(&mut sim, 20_000, &[A, B], 0);
        sim.run_until(25_000);
        assert_healed(&mut sim, seed);
        assert_eq!(sim.running(0), [A], "seed {seed}\n{}", sim.dump());
        assert!(sim.stock(A).known().contains(&name(B)) && sim.stock(B).known().contains(&name(A)));
        assert!(sim.sent.iter().sum::<u64>() - sent < 500, "seed {seed}: they do not answer for ever");
    }
}

#[test]
fn l12_ours() {
    for seed in SEEDS {
        let (_, sent) = l12(seed, Ours);
        assert!(sent <= 2, "seed {seed}: {sent} messages");
    }
}

/// A weight that nobody asked for, between two nodes that stand by.
fn l13(seed: u64, kind: Kind) -> u64 {
    let mut sim = cluster(seed, kind, 3, vec![app(1000, &[&[A], &[B, C]])]);
    start(&mut sim, 1_000, &[A, B, C], 0);
    sim.run_until(3_000);
    let before: u64 = sim.sent.iter().sum();
    let app = sim.world.apps[0].name.clone();
    sim.forge(B, Message::Weight { app, weight: 2, node: name(C) });
    sim.run_until(63_000);
    sim.sent.iter().sum::<u64>() - before
}

#[test]
fn l13_stock_weighs_for_ever() {
    for seed in SEEDS {
        let sent = l13(seed, Stock);
        assert!(sent > 10_000, "seed {seed}: {sent} messages in a minute");
    }
}

#[test]
fn l13_ours() {
    for seed in SEEDS {
        let sent = l13(seed, Ours);
        assert!(sent < 10, "seed {seed}: {sent} messages");
    }
}
