//! Whole clusters in virtual time.

use etf::Term;

use super::{super::Answer, sim::World};

/// Every node connects to one before it, at once.
fn random_tree(world: &mut World, nodes: usize) {
    for no in 1..nodes {
        #[expect(clippy::cast_possible_truncation, reason = "small")]
        let to = world.rng.below(no as u64) as usize;
        world.connect(no, to);
        let ms = world.rng.below(400);
        world.run_ms(ms);
    }
}

#[test]
fn two_nodes_merge_and_share_names() {
    for seed in 0..200 {
        let mut world = World::new(seed, 2);
        let pid = world.register(0, "one");
        world.connect(0, 1);
        world.settle(&[0, 1], 10);
        assert_eq!(world.whereis(1, "one"), Some(pid));
        let id = world.request(1, super::super::Request::Unregister { name: Term::atom("one") });
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
            for no in 0..nodes {
                world.register(no, ["a", "b", "c", "d", "e", "f"][no]);
            }
            random_tree(&mut world, nodes);
            world.settle(&(0..nodes).collect::<Vec<_>>(), 120);
        }
    }
}
