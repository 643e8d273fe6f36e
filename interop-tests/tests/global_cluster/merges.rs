//! Items 12 to 15 and 17: partitions that meet, and names that both have.

use std::collections::BTreeMap;

use crabnode::{Pid, Term, etf::Fun, tuple};
use interop_tests::clock::wait_for;

use crate::{
    members::{Members, t},
    peer_support::{SOON, each_release},
};

#[test]
fn partitions_of_two_stock_nodes_and_three_of_ours() {
    each_release(|otp| {
        let members = Members::start(otp, &["a", "b"], &["r", "s", "u"]);
        item_12_partitions_with_names_of_their_own_merge(&members);
        item_15_the_same_name_everywhere_has_one_owner(&members);
        item_17_lockers_that_race_finish(&members);
        members.nothing_crashed();
    });
}

const ALL: [&str; 5] = ["a", "b", "r", "s", "u"];

fn item_12_partitions_with_names_of_their_own_merge(members: &Members) {
    for (one, other, link) in [
        (&["a", "r"][..], &["b", "s", "u"][..], ("a", "b")),
        (&["a", "b"], &["r", "s", "u"], ("r", "a")),
        (&["b", "s"], &["a", "r", "u"], ("r", "s")),
    ] {
        members.join(one);
        members.join(other);
        let mut pids = BTreeMap::new();
        for node in ALL {
            let pid = members.sleeper(node);
            assert!(members.register(node, &Term::atom("same resource").clone(), &pid) || one.len() > 1);
            members.global(node, "unregister_name", vec![Term::atom("same resource")]);
            let name = tuple!(atom "of", Term::binary(node));
            assert!(members.register(node, &name, &pid));
            pids.insert(node, (name, pid));
        }
        members.connect(link.0, link.1);
        members.are_one(&ALL);
        for (name, pid) in pids.values() {
            members.all_have(&ALL, name, Some(pid));
        }
        for (name, pid) in pids.values() {
            members.kill(pid);
            members.all_get(&ALL, name, None);
        }
        members.part(&ALL);
    }
}

fn item_15_the_same_name_everywhere_has_one_owner(members: &Members) {
    let name = t("wanted");
    let shapes: [&[(&str, &str)]; 3] = [
        // All pairs at once, a ring, and a line.
        &[("a", "b"), ("a", "r"), ("a", "s"), ("u", "b"), ("b", "r"), ("s", "r"), ("u", "s"), ("r", "u")],
        &[("a", "r"), ("r", "b"), ("b", "s"), ("s", "u"), ("u", "a")],
        &[("s", "a"), ("a", "r"), ("r", "b"), ("b", "u")],
    ];
    for links in shapes {
        let pids: Vec<Pid> = ALL
            .iter()
            .map(|node| {
                let pid = members.sleeper(node);
                assert!(members.register(node, &name, &pid));
                pid
            })
            .collect();
        for (one, other) in links {
            members.connect(one, other);
        }
        members.are_one(&ALL);
        let owner = members.whereis("a", &name).expect("one has it");
        members.all_have(&ALL, &name, Some(&owner));
        let others_die = || pids.iter().all(|pid| members.is_alive(pid) == (*pid == owner));
        assert!(wait_for(SOON, || others_die().then_some(())).is_some(), "{pids:?} and {owner:?}");
        members.kill(&owner);
        members.all_get(&ALL, &name, None);
        members.part(&ALL);
    }
}

fn item_17_lockers_that_race_finish(members: &Members) {
    // Two stock nodes and one of ours, two of ours and a stock node, and three of ours without any.
    for (left, middle, right) in [("a", "r", "b"), ("r", "a", "s"), ("r", "b", "u"), ("r", "s", "u")] {
        members.connect(left, middle);
        members.connect(right, middle);
        members.are_one(&[left, middle, right]);
        let pid = members.sleeper(left);
        assert!(members.register(right, &t("later"), &pid));
        members.all_have(&[left, middle, right], &t("later"), Some(&pid));
        members.kill(&pid);
        members.part(&[left, middle, right]);
    }
}

/// What a resolve function does with a name.
#[derive(Clone, Copy)]
struct Method {
    fun: Option<(&'static str, &'static str)>,
    /// Who keeps the name.
    keeps: Keeps,
    /// What becomes of whoever does not.
    others: Others,
}

#[derive(Clone, Copy, PartialEq)]
enum Keeps {
    /// The process whose node has the smaller name.
    SmallerNode,
    /// The process of the partition that resolves: that of the smaller of the two nodes that met.
    Resolving,
    /// That of the other.
    Met,
    Nobody,
}

#[derive(Clone, Copy, PartialEq)]
enum Others {
    Killed,
    Told,
    ToldOfEachOther,
    Untold,
}

const METHODS: [Method; 8] = [
    Method { fun: None, keeps: Keeps::SmallerNode, others: Others::Killed },
    Method { fun: Some(("global", "random_exit_name")), keeps: Keeps::SmallerNode, others: Others::Killed },
    Method { fun: Some(("global", "random_notify_name")), keeps: Keeps::SmallerNode, others: Others::Told },
    Method {
        fun: Some(("global", "notify_all_name")),
        keeps: Keeps::Nobody,
        others: Others::ToldOfEachOther,
    },
    Method { fun: Some(("ct_peer", "keep_first")), keeps: Keeps::Met, others: Others::Untold },
    Method { fun: Some(("ct_peer", "keep_second")), keeps: Keeps::Resolving, others: Others::Untold },
    // What ends as `{badrpc, _}` on the way is no word about our process.
    Method { fun: Some(("ct_peer", "fail")), keeps: Keeps::Met, others: Others::Untold },
    Method { fun: Some(("ct_peer", "junk")), keeps: Keeps::Nobody, others: Others::Untold },
];

/// `left` and `right` meet. On their sides each name has a process at `left_at` and `right_at`; `left` is the smaller.
fn meet(members: &Members, left: &[&str], right: &[&str], left_at: &str, right_at: &str) {
    let mut names = Vec::new();
    for (at, method) in METHODS.iter().enumerate() {
        let name = Term::from(at);
        let pids = [(left[0], left_at), (right[0], right_at)].map(|(by, at)| {
            let pid = members.sleeper(at);
            let mut args = vec![name.clone(), Term::from(&pid)];
            args.extend(method.fun.map(|(module, function)| {
                Term::from(Fun::Export { module: module.into(), function: function.into(), arity: 3 })
            }));
            assert!(members.global(by, "register_name", args).is_atom("yes"));
            pid
        });
        names.push((name, method, pids));
    }
    members.connect(left[0], right[0]);
    let all: Vec<&str> = left.iter().chain(right).copied().collect();
    members.are_one(&all);
    for (name, method, [ours, theirs]) in names {
        let text = format!("{name} ({:?}), {left:?} with {right:?}", method.fun);
        let (keeps, other) = match method.keeps {
            Keeps::SmallerNode if ours.node() < theirs.node() => (Some(&ours), &theirs),
            Keeps::SmallerNode => (Some(&theirs), &ours),
            Keeps::Resolving => (Some(&ours), &theirs),
            Keeps::Met => (Some(&theirs), &ours),
            Keeps::Nobody => (None, &theirs),
        };
        for node in &all {
            assert_eq!(members.whereis(node, &name).as_ref(), keeps, "{text}, as {node} has it");
        }
        let conflict = |other: &Pid| tuple!(atom "global_name_conflict", name.clone(), other);
        let (told_ours, told_theirs) = match method.others {
            Others::Killed => {
                let dies = wait_for(SOON, || (!members.is_alive(other)).then_some(()));
                assert!(dies.is_some(), "{text}: the other lives");
                assert!(keeps.is_none_or(|pid| members.is_alive(pid)), "{text}: its owner is dead");
                for pid in [&ours, &theirs] {
                    members.kill(pid);
                }
                members.all_get(&all, &name, None);
                continue;
            }
            Others::Told => {
                let told = vec![tuple!(atom "global_name_conflict", name.clone())];
                if *other == ours { (told, vec![]) } else { (vec![], told) }
            }
            Others::ToldOfEachOther => (vec![conflict(&theirs)], vec![conflict(&ours)]),
            Others::Untold => (vec![], vec![]),
        };
        for (pid, wanted) in [(&ours, told_ours), (&theirs, told_theirs)] {
            let told = wait_for(SOON, || (members.mailbox(pid).as_ref() == Some(&wanted)).then_some(()));
            assert!(told.is_some(), "{text}: {pid:?} has {:?} and not {wanted:?}", members.mailbox(pid));
        }
        for pid in [&ours, &theirs] {
            members.kill(pid);
        }
        members.all_get(&all, &name, None);
    }
}

#[test]
fn item_13_conflicts_whoever_has_the_smaller_name() {
    each_release(|otp| {
        let mut members = Members::start(otp, &["m"], &["d", "x"]);
        meet(&members, &["d"], &["m"], "d", "m");
        members.stop("d");
        members.are_alone(&["m"]);
        meet(&members, &["m"], &["x"], "m", "x");
        members.stop("x");
        members.are_alone(&["m"]);
        // Two of ours.
        members.add_ours("p", |_| {});
        members.add_ours("q", |_| {});
        meet(&members, &["p"], &["q"], "p", "q");
    });
}

/// The resolve function is run on the node of the process that has the name, which need not be one that met.
#[test]
fn item_14_a_third_member_resolves() {
    each_release(|otp| {
        let mut members = Members::start(otp, &["m", "o"], &["d", "k", "x"]);
        // A stock node asks us.
        members.join(&["m", "d"]);
        meet(&members, &["m", "d"], &["o"], "d", "o");
        members.part(&["m", "d", "o"]);
        members.join(&["m", "x"]);
        meet(&members, &["m", "x"], &["o"], "x", "o");
        members.part(&["m", "x", "o"]);
        // We ask a stock node, and another of ours.
        members.join(&["d", "m"]);
        meet(&members, &["d", "m"], &["k"], "m", "k");
        members.part(&["d", "m", "k"]);
        members.join(&["d", "x"]);
        meet(&members, &["d", "x"], &["m"], "x", "m");
        for name in ["d", "k", "x"] {
            members.stop(name);
        }
    });
}
