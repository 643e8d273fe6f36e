//! Whole clusters in virtual time.

use std::time::Duration;

use etf::{Pid, Term};

use super::{
    super::{
        api::{Answer, Input, Removal, Request, Warning},
        client::{Outcome, Retries},
        wire::LockId,
    },
    sim::{NodeNo, World, node_name},
};

const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

fn all(nodes: usize) -> Vec<NodeNo> {
    (0..nodes).collect()
}

fn below(world: &mut World, bound: usize) -> usize {
    usize::try_from(world.rng.below(bound as u64)).unwrap()
}

/// Every node connects to one before it.
fn random_tree(world: &mut World, nodes: usize, pause_ms: u64) {
    for no in 1..nodes {
        let to = below(world, no);
        world.connect(no, to);
        let ms = world.rng.below(pause_ms);
        world.run_ms(ms);
    }
}

/// A cluster that is one partition.
fn cluster(seed: u64, nodes: usize) -> World {
    let mut world = World::new(seed, nodes);
    random_tree(&mut world, nodes, 100);
    world.settle(&all(nodes), 60);
    world
}

/// Who knows another is known to him, is connected to him, and knows the same others.
#[track_caller]
fn assert_no_overlap(world: &World) {
    let partition = |no: NodeNo| {
        let mut nodes: Vec<NodeNo> =
            world.nodes[no].engine.known().map(|name| world.no(name).unwrap()).chain([no]).collect();
        nodes.sort_unstable();
        nodes
    };
    for no in 0..world.nodes.len() {
        for other in partition(no) {
            assert_eq!(partition(no), partition(other), "{no} and {other}");
            assert!(other == no || world.is_connected(no, other), "{no} knows {other} without a link");
        }
    }
}

fn user_lock(requester: &Pid) -> LockId {
    LockId { resource: Term::atom("resource"), requester: requester.into() }
}

#[test]
fn two_nodes_merge_and_share_names() {
    for seed in 0..200 {
        let mut world = World::new(seed, 2);
        let pid = world.register(0, "one");
        world.connect(0, 1);
        world.settle(&[0, 1], 10);
        assert_eq!(world.whereis(1, "one"), Some(pid));
        let id = world.request(1, Request::Unregister { name: Term::atom("one") });
        world.run_ms(1000);
        assert_eq!(world.nodes[1].answers[&id], Answer::Ok);
        assert_eq!(world.whereis(0, "one"), None);
    }
}

#[test]
fn any_tree_of_connections_becomes_one_partition() {
    for seed in 0..200 {
        for nodes in 3..=6 {
            let mut world = World::new(seed, nodes);
            let pids: Vec<Pid> = (0..nodes).map(|no| world.register(no, NAMES[no])).collect();
            let pause_ms = [1, 50, 400, 3000][below(&mut world, 4)];
            random_tree(&mut world, nodes, pause_ms);
            world.settle(&all(nodes), 120);
            for (no, pid) in pids.iter().enumerate() {
                assert_eq!(world.whereis(0, NAMES[no]).as_ref(), Some(pid));
            }
        }
    }
}

#[test]
fn versions_five_to_eight_merge_with_each_other() {
    for seed in 0..200 {
        let nodes = 4;
        let mut world = World::configured(seed, nodes, |config, no| {
            config.vsn = 5 + u32::try_from((config.seed + no as u64) % 4).unwrap();
            config.prevent_overlapping_partitions = config.vsn >= 7;
        });
        for (no, name) in NAMES.into_iter().enumerate().take(nodes) {
            world.register(no, name);
            world.register(no, "everybody");
        }
        random_tree(&mut world, nodes, 400);
        world.settle(&all(nodes), 120);
        assert!(world.whereis(0, "everybody").is_some());
    }
}

#[test]
fn a_name_in_conflict_is_kept_by_one_and_the_others_die() {
    for seed in 0..200 {
        let nodes = 4;
        let mut world = World::new(seed, nodes);
        let pids: Vec<Pid> = (0..nodes).map(|no| world.register(no, "wanted")).collect();
        random_tree(&mut world, nodes, 300);
        world.settle(&all(nodes), 120);
        let owner = world.whereis(0, "wanted").unwrap();
        let alive: Vec<&Pid> = pids.iter().filter(|pid| world.is_alive(pid)).collect();
        assert_eq!(alive, [&owner]);
    }
}

#[test]
fn a_conflict_can_tell_instead_of_kill() {
    for seed in 0..50 {
        let mut world = World::new(seed, 2);
        let notify = Some(Term::export("global", "random_notify_name", 3));
        let both = Some(Term::export("global", "notify_all_name", 3));
        let kept = world.register_with(0, "kept", notify.clone());
        let lost = world.register_with(1, "kept", notify);
        let ones = [world.register_with(0, "gone", both.clone()), world.register_with(1, "gone", both)];
        world.connect(0, 1);
        world.settle(&[0, 1], 20);
        assert_eq!(world.whereis(1, "kept"), Some(kept));
        assert_eq!(world.whereis(0, "gone"), None);
        let conflict = |name: &'static str| etf::tuple!(atom "global_name_conflict", Term::atom(name));
        let conflict_with = |pid: &Pid| etf::tuple!(atom "global_name_conflict", atom "gone", pid);
        assert_eq!(world.nodes[0].messages, [(ones[0].clone(), conflict_with(&ones[1]))]);
        let mut told = world.nodes[1].messages.clone();
        told.sort_by_key(|(_, term)| term.as_tuple().unwrap().len());
        assert_eq!(told, [(lost.clone(), conflict("kept")), (ones[1].clone(), conflict_with(&ones[0]))]);
        assert!([&lost, &ones[0], &ones[1]].into_iter().all(|pid| world.is_alive(pid)));
    }
}

#[test]
fn a_resolve_function_that_nobody_serves_deletes_the_name() {
    for seed in 0..20 {
        let mut world = World::new(seed, 3);
        let method = Some(Term::export("nobody", "has_this", 3));
        let one = world.register_with(0, "wanted", method.clone());
        world.connect(0, 1);
        world.settle(&[0, 1], 20);
        let other = world.register_with(2, "wanted", method);
        // The name's process is on a, and b may be the one that meets c.
        let at = below(&mut world, 2);
        world.connect(at, 2);
        world.settle(&[0, 1, 2], 60);
        assert_eq!(world.whereis(2, "wanted"), None);
        assert!(world.is_alive(&one) && world.is_alive(&other));
    }
}

#[test]
fn a_broken_link_leaves_all_alone_and_a_new_one_heals() {
    for seed in 0..100 {
        let nodes = 3 + below(&mut World::new(seed, 0), 3);
        let mut world = cluster(seed, nodes);
        for (no, name) in NAMES.into_iter().enumerate().take(nodes) {
            world.register(no, name);
        }
        world.run_ms(2000);
        // The first two lose each other at the same time: the others leave both out, and stay together.
        world.delay_ms_max = 0;
        world.cut(0, 1);
        world.run_ms(5000);
        let rest: Vec<NodeNo> = (2..nodes).collect();
        for out in [0, 1] {
            assert_eq!(world.nodes[out].engine.known().next(), None, "seed {seed}");
            assert!(rest.iter().all(|no| !world.is_connected(out, *no)), "seed {seed}");
            assert_eq!(world.unsettled(&[out]), None);
        }
        assert_eq!(world.unsettled(&rest), None);
        let overlapping = |no: NodeNo, done| {
            world.nodes[no]
                .warnings
                .iter()
                .filter(|w| matches!(w, Warning::Overlapping { done: d, .. } if *d == done))
                .count()
        };
        assert!(rest.iter().all(|no| overlapping(*no, Removal::Requested) == 2));
        assert!([0, 1].iter().all(|no| overlapping(*no, Removal::Disconnected) == nodes - 2));

        random_tree(&mut world, nodes, 100);
        world.settle(&all(nodes), 120);
        assert_eq!(world.nodes[0].engine.registered_names().count(), nodes);
    }
}

#[test]
fn broken_links_leave_no_overlap() {
    for seed in 0..200 {
        let nodes = 5;
        let mut world = cluster(seed, nodes);
        for _ in 0..=below(&mut world, 3) {
            let (a, b) = (below(&mut world, nodes), below(&mut world, nodes));
            world.cut(a, b);
            let ms = world.rng.below(60);
            world.run_ms(ms);
        }
        world.run_ms(10_000);
        assert_no_overlap(&world);
    }
}

#[test]
fn a_node_that_stops_disturbs_nobody() {
    for seed in 0..100 {
        let nodes = 4;
        let mut world = cluster(seed, nodes);
        let pid = world.register(3, "short");
        world.register(0, "long");
        world.run_ms(3000);
        assert_eq!(world.whereis(0, "short"), Some(pid));
        world.crash(3);
        world.settle(&[0, 1, 2], 10);
        assert_eq!(world.whereis(0, "short"), None);
        assert!(world.whereis(1, "long").is_some());
        world.restart(3);
        world.connect(3, 1);
        world.settle(&all(nodes), 60);
        assert!(world.whereis(3, "long").is_some());
    }
}

#[test]
fn disconnect_leaves_the_others_together() {
    for seed in 0..100 {
        let mut world = cluster(seed, 4);
        let id = world.request(2, Request::Disconnect);
        world.settle(&[0, 1, 3], 20);
        assert_eq!(world.unsettled(&[2]), None);
        let nodes = [0, 1, 3].map(node_name).to_vec();
        assert_eq!(world.nodes[2].answers[&id], Answer::Nodes(nodes));
        assert_no_overlap(&world);
    }
}

#[test]
fn a_member_that_cannot_be_reached_from_everywhere_is_left_out() {
    for seed in 0..50 {
        // d can be reached from a only.
        let mut world = World::new(seed, 4);
        random_tree(&mut world, 3, 100);
        world.settle(&[0, 1, 2], 60);
        world.blocked.extend([(1, 3), (2, 3)]);
        world.connect(0, 3);
        world.run_ms(30_000);
        let failed = world
            .nodes
            .iter()
            .flat_map(|node| &node.warnings)
            .any(|warning| matches!(warning, Warning::ConnectFailed { .. }));
        assert!(failed, "seed {seed}");
        assert_no_overlap(&world);
    }
}

#[test]
fn registering_races_to_one_owner() {
    for seed in 0..100 {
        let nodes = 4;
        let mut world = cluster(seed, nodes);
        let mut asked = Vec::new();
        for no in 0..nodes {
            let pid = world.spawn(no);
            let id = world
                .request(no, Request::Register { name: Term::atom("one"), pid: pid.clone(), method: None });
            asked.push((no, id, pid));
        }
        world.settle(&all(nodes), 60);
        let winners: Vec<_> =
            asked.iter().filter(|(no, id, _)| world.nodes[*no].answers[id] == Answer::Yes).collect();
        assert_eq!(winners.len(), 1, "seed {seed}");
        assert_eq!(world.whereis(0, "one").as_ref(), Some(&winners[0].2));

        // The same process under another name, the same name again, and in place of the first.
        let (no, _, pid) = winners[0].clone();
        let again = world.request(no, Request::Register { name: Term::atom("two"), pid, method: None });
        let other = world.spawn(0);
        let id = world
            .request(0, Request::ReRegister { name: Term::atom("one"), pid: other.clone(), method: None });
        world.settle(&all(nodes), 60);
        assert_eq!(world.nodes[no].answers[&again], Answer::No);
        assert_eq!(world.nodes[0].answers[&id], Answer::Yes);
        assert_eq!(world.whereis(3, "one"), Some(other.clone()));

        // Its death frees the name everywhere, and for a successor at once.
        world.kill(&other);
        let heir = world.spawn(0);
        let id =
            world.request(0, Request::Register { name: Term::atom("one"), pid: heir.clone(), method: None });
        world.settle(&all(nodes), 60);
        assert_eq!(world.nodes[0].answers[&id], Answer::Yes);
        assert_eq!(world.whereis(2, "one"), Some(heir));
    }
}

#[test]
fn names_registered_while_partitions_merge_are_everywhere() {
    for seed in 0..200 {
        let nodes = 4;
        let mut world = World::new(seed, nodes);
        let mut asked = Vec::new();
        for no in 1..nodes {
            let to = below(&mut world, no);
            world.connect(no, to);
            for _ in 0..4 {
                let no = below(&mut world, nodes);
                let pid = world.spawn(no);
                let name = Term::from(asked.len());
                let id = world
                    .request(no, Request::Register { name: name.clone(), pid: pid.clone(), method: None });
                asked.push((no, id, name, pid));
                let ms = world.rng.below(300);
                world.run_ms(ms);
            }
        }
        world.settle(&all(nodes), 300);
        for (no, id, name, pid) in asked {
            assert_eq!(world.nodes[no].answers[&id], Answer::Yes, "seed {seed}");
            assert_eq!(world.nodes[0].engine.whereis(&name), Some(&pid), "seed {seed}");
        }
    }
}

#[test]
fn a_user_lock_excludes_and_a_dead_holder_frees_it() {
    for seed in 0..100 {
        let nodes = all(4);
        let mut world = cluster(seed, 4);
        let one = world.spawn(0);
        let two = world.spawn(1);
        let (first, holder) = world.set_lock(0, user_lock(&one), &nodes, Retries::Times(0), false);
        world.run_ms(1000);
        assert_eq!(world.outcome(0, first), Some(Outcome::Done));
        let (again, holder2) = world.set_lock(2, user_lock(&one), &nodes, Retries::Times(0), false);
        let (second, _) = world.set_lock(1, user_lock(&two), &nodes, Retries::Times(0), false);
        let (trans, _) = world.set_lock(1, user_lock(&two), &nodes, Retries::Times(0), true);
        let (patient, waiting) = world.set_lock(1, user_lock(&two), &nodes, Retries::Infinity, false);
        world.run_ms(1000);
        assert_eq!(world.outcome(2, again), Some(Outcome::Done), "the same requester");
        assert_eq!(world.outcome(1, second), Some(Outcome::NotLocked));
        assert_eq!(world.outcome(1, trans), Some(Outcome::NotLocked));
        assert_eq!(world.outcome(1, patient), None);
        let del = world.del_lock(2, user_lock(&one), &nodes, &holder2);
        world.run_ms(1000);
        assert_eq!(world.outcome(2, del), Some(Outcome::Done));
        world.kill(&holder);
        world.run_ms(20_000);
        assert_eq!(world.outcome(1, patient), Some(Outcome::Done));
        let (trans, _) = world.set_lock(3, user_lock(&two), &nodes, Retries::Times(0), true);
        world.run_ms(1000);
        assert_eq!(world.outcome(3, trans), Some(Outcome::Done));
        assert!(world.unsettled(&nodes).is_some_and(|why| why.contains("locks")));
        world.kill(&waiting);
        world.settle(&nodes, 5);
    }
}

#[test]
fn sync_waits_for_the_merge() {
    for seed in 0..50 {
        let mut world = World::new(seed, 3);
        let nothing = world.request(0, Request::Sync { nodes: vec![node_name(1)] });
        assert_eq!(world.nodes[0].answers[&nothing], Answer::Ok, "not connected");
        world.connect(0, 1);
        world.run_ms(50);
        let id = world.request(0, Request::Sync { nodes: vec![node_name(1)] });
        assert!(!world.nodes[0].answers.contains_key(&id));
        world.settle(&[0, 1], 10);
        assert_eq!(world.nodes[0].answers[&id], Answer::Ok);
        world.connect(0, 2);
        world.run_ms(50);
        let id = world.request(0, Request::Sync { nodes: vec![node_name(1), node_name(2)] });
        assert!(!world.nodes[0].answers.contains_key(&id));
        world.crash(2);
        world.run_ms(1000);
        assert_eq!(world.nodes[0].answers[&id], Answer::Ok, "gone");
    }
}

#[test]
fn slow_links_only_take_longer() {
    for seed in 0..30 {
        let mut world = World::new(seed, 4);
        world.delay_ms_max = 3000;
        for no in 0..4 {
            world.register(no, "wanted");
        }
        random_tree(&mut world, 4, 2000);
        world.settle(&all(4), 600);
    }
}

#[test]
fn nodes_that_die_in_the_middle_leave_no_lock_behind() {
    for seed in 0..300 {
        let mut world = World::new(seed, 4);
        world.connect(0, 1);
        world.settle(&[0, 1], 20);
        world.connect(1, 2);
        world.connect(0, 3);
        // A negotiation takes some 300 ms.
        let ms = world.rng.below(1800);
        world.run_ms(ms);
        world.crash(2);
        world.crash(3);
        world.run(Duration::from_secs(3));
        let id = world.request(0, Request::Unregister { name: Term::atom("none") });
        assert_eq!(world.nodes[0].answers[&id], Answer::Ok);
        world.register(1, "after");
        world.settle(&[0, 1], 10);
        assert!(world.whereis(0, "after").is_some(), "seed {seed}");
    }
}

/// Whatever happened: after all links are down and up again, the nodes become one partition.
#[test]
fn after_any_chaos_the_cluster_heals() {
    for seed in 0..1000 {
        let nodes = 3 + below(&mut World::new(seed, 0), 3);
        let mut world = World::new(seed, nodes);
        world.delay_ms_max = [5, 50, 500][below(&mut world, 3)];
        let mut pids: Vec<Pid> = Vec::new();
        for _ in 0..60 {
            let (a, b) = (below(&mut world, nodes), below(&mut world, nodes));
            let alive = world.nodes[a].alive;
            match below(&mut world, 12) {
                0..=3 => world.connect(a, b),
                4 => world.cut(a, b),
                5 if alive => world.crash(a),
                5..=6 if !alive => world.restart(a),
                7..=8 if alive => {
                    let name = NAMES[below(&mut world, NAMES.len())];
                    pids.push(world.register(a, name));
                }
                9 if alive => {
                    let name = Term::atom(NAMES[below(&mut world, NAMES.len())]);
                    world.request(a, Request::Unregister { name });
                }
                10 if !pids.is_empty() => {
                    let at = below(&mut world, pids.len());
                    world.kill(&pids.swap_remove(at));
                }
                11 if alive => {
                    let one = world.spawn(a);
                    world.set_lock(a, user_lock(&one), &[a, b], Retries::Times(1), true);
                }
                _ => {}
            }
            let ms = world.rng.below(1500);
            world.run_ms(ms);
        }
        for no in 0..nodes {
            if !world.nodes[no].alive {
                world.restart(no);
            }
        }
        world.run(Duration::from_secs(20));
        world.cut_all();
        world.run(Duration::from_secs(20));
        random_tree(&mut world, nodes, 500);
        for _ in 0..120 {
            world.run_ms(1000);
            if world.unsettled(&all(nodes)).is_none() {
                break;
            }
        }
        assert_eq!(world.unsettled(&all(nodes)), None, "seed {seed}{}", world.dump());
    }
}

#[test]
fn garbage_is_dropped_with_a_warning() {
    let mut world = cluster(1, 2);
    let before = world.nodes[0].warnings.len();
    let pid = world.spawn(1);
    for input in [
        Input::Cast(Term::atom("garbage")),
        Input::Info(etf::tuple!(atom "garbage", 1)),
        Input::LockerMessage(Term::NIL),
        Input::RegistrarMessage(Term::Int(1)),
    ] {
        world.handle(0, input);
    }
    assert_eq!(world.nodes[0].warnings.len(), before + 4);
    world.register(1, "after");
    world.settle(&[0, 1], 10);
    assert!(world.is_alive(&pid));
}
