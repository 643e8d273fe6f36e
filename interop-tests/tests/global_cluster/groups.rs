//! Item 24: `global_groups`.

use std::time::Duration;

use crabnode::{Dest, GlobalGroup, Term, tuple};
use interop_tests::{
    NodeSpec,
    clock::{pause, wait_for},
};

use crate::{
    members::{Members, atom, atoms, t},
    peer_support::{SOON, each_release},
};

const GROUPS: &str = "[{one, [a@localhost, b@localhost, r@localhost]}, {two, [x@localhost, y@localhost]}]";

fn groups() -> Vec<GlobalGroup> {
    let nodes = |names: &[&str]| names.iter().map(|name| format!("{name}@localhost")).collect();
    vec![
        GlobalGroup { name: "one".into(), nodes: nodes(&["a", "b", "r"]) },
        GlobalGroup { name: "two".into(), nodes: nodes(&["x", "y"]) },
    ]
}

#[test]
fn item_24_global_groups() {
    each_release(|otp| {
        let mut members = Members::start(otp, &[], &[]);
        for name in ["a", "b", "x"] {
            members.add_erl(name, &NodeSpec::args(["-kernel", "global_groups", GROUPS]));
        }
        for name in ["r", "y"] {
            members.add_ours(name, |config| config.global_groups = groups());
        }
        members.add_ours("none", |_| {});
        // Two groups, each with nodes of both kinds and names of its own.
        members.join(&["a", "b", "r"]);
        members.join(&["x", "y"]);
        let (one, two) = (members.sleeper("r"), members.sleeper("x"));
        assert!(members.register("a", &t("name"), &one));
        assert!(members.register("y", &t("name"), &two));
        members.all_have(&["a", "b", "r"], &t("name"), Some(&one));
        members.all_have(&["x", "y"], &t("name"), Some(&two));
        // What our server says of it is what a stock one says.
        for function in ["global_groups", "own_nodes"] {
            let says = |node| members.call(node, "global_group", function, vec![]);
            assert_eq!(says("r"), says("a"), "{function}");
            assert_eq!(says("y"), says("x"), "{function}");
        }
        let info = |node| members.call(node, "global_group", "info", vec![]);
        for key in ["state", "own_group_name", "own_group_nodes", "other_groups", "no_contact", "sync_error"]
        {
            assert_eq!(entry(&info("r"), key), entry(&info("a"), key), "{key}");
        }
        // Whoever searches a group asks its nodes.
        for node in ["x", "y"] {
            let server = Dest::NameAt("global_group".into(), format!("{node}@localhost").as_str().into());
            let found = members.run(members.asker(), async move |mut context| {
                context.cast(server.clone(), tuple!(atom "find_name", context.pid(), atom "name"));
                context.cast(server, tuple!(atom "registered_names", context.pid()));
                [context.receive().await.into_term(), context.receive().await.into_term()]
            });
            let names = tuple!(atom "registered_names_res", t("[name]"));
            assert_eq!(found, [tuple!(atom "find_name_res", &two), names], "{node}");
        }
        // With those of the other group, and those of none, nothing is shared, whoever connects.
        for (from, to) in [("a", "none"), ("r", "none"), ("none", "r"), ("r", "x"), ("b", "y")] {
            members.connect(from, to);
            pause(Duration::from_millis(700));
            for (at, other) in [(from, to), (to, from)] {
                let known = members.ask_server(at, "get_known");
                assert!(!known.as_list().unwrap_or_default().contains(&atom(other)), "{at}: {known}");
            }
            members.call(from, "erlang", "disconnect_node", vec![atom(to)]);
            members.are_one(&["a", "b", "r"]);
            members.are_one(&["x", "y"]);
            members.are_alone(&["none"]);
        }
        members.all_have(&["a", "b", "r"], &t("name"), Some(&one));
        members.all_have(&["x", "y"], &t("name"), Some(&two));
        // A stock node checks the groups anew.
        assert!(members.call("a", "global_group", "sync", vec![]).is_atom("ok"));
        pause(Duration::from_millis(300));
        members.are_one(&["a", "b", "r"]);
        let synced = || entry(&info("a"), "synced_nodes");
        wait_for(SOON, || (synced() == Some(atoms(&["b", "r"]))).then_some(()));
        assert_eq!(synced(), Some(atoms(&["b", "r"])));
        // And one of our group comes back.
        members.part(&["a", "b", "r"]);
        members.join(&["r", "a", "b"]);
        members.all_have(&["a", "b", "r"], &t("name"), Some(&one));
    });
}

fn entry(info: &Term, key: &str) -> Option<Term> {
    info.as_list()?.iter().find_map(|entry| match entry.as_tuple()? {
        [name, value] if name.is_atom(key) => Some(value.clone()),
        _ => None,
    })
}
