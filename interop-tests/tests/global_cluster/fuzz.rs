//! Item 11: whatever our API is asked, and whatever our name server is sent, no stock node dies of it.

use std::time::Duration;

use crabnode::{
    Atom, Dest, Pid, Term,
    global::{self, LockId, Resolver, Retries},
    tuple,
};

use crate::{
    members::{Members, atom, t},
    peer_support::each_release,
    term_support::{Comparable, Random, comparable, seed},
};

const ALL: [&str; 3] = ["a", "r", "s"];

/// How many arbitrary calls each release gets. Each is a few round trips through the cluster.
const CALLS: usize = 120;

#[test]
fn item_11_bad_arguments_and_garbage() {
    let seed = seed();
    each_release(|otp| {
        let members = Members::joined(otp, &["a"], &["r", "s"]);
        let servers = members.servers(&ALL);
        refused_as_on_the_beam(&members);
        garbage_is_dropped(&members);
        anything_over_rpc(&members, &mut Random::new(seed));
        anything_through_the_api(&members, &mut Random::new(seed + 1));
        assert_eq!(members.servers(&ALL), servers, "a name server has ended");
        still_one(&members);
        what_ends_our_name_server_does_not_end_the_node(&members);
    });
}

#[track_caller]
fn still_one(members: &Members) {
    members.are_one(&ALL);
    for by in ALL {
        let pid = members.sleeper(by);
        assert!(members.register(by, &t("'after all'"), &pid));
        members.all_have(&ALL, &t("'after all'"), Some(&pid));
        members.kill(&pid);
        members.all_get(&ALL, &t("'after all'"), None);
    }
}

fn refused_as_on_the_beam(members: &Members) {
    let pid = Term::from(&members.sleeper("a"));
    for (function, args) in [
        ("register_name", vec![t("n"), t("no_pid")]),
        ("register_name", vec![t("n"), pid.clone(), t("no_fun")]),
        ("register_name", vec![t("n"), pid.clone(), Term::export("m", "f", 2)]),
        ("register_name", vec![t("n"), pid.clone(), t("{m, f, a}")]),
        ("re_register_name", vec![t("n"), t("17")]),
        ("register_name_external", vec![t("n"), t("[]")]),
        ("set_lock", vec![t("no_lock")]),
        ("set_lock", vec![t("{r, one, too_many}")]),
        ("del_lock", vec![t("no_lock")]),
        ("trans", vec![t("no_lock"), Term::export("erlang", "node", 0)]),
        ("send", vec![t("nobody"), t("hello")]),
        ("nothing_of_the_kind", vec![]),
    ] {
        for node in ["a", "r"] {
            let answer = members.try_call(node, "global", function, args.clone());
            assert!(answer.is_err(), "{function} {args:?} at {node}: {answer:?}");
        }
    }
    let send = |node| members.try_call(node, "global", "send", vec![t("nobody"), t("hello")]);
    assert_eq!(send("r"), send("a"));
    for node in ALL {
        assert_eq!(members.global(node, "registered_names", vec![]), Term::NIL, "{node}");
    }
}

/// What looks like the protocol and is not, to all three processes of our server.
fn garbage_is_dropped(members: &Members) {
    let info = members.global("r", "info", vec![]);
    let state = info.as_tuple().expect("a record");
    let [Term::Pid(locker), Term::Pid(registrar)] = &state[7..9] else { panic!("{info}") };
    let server = Dest::NameAt("global_name_server".into(), "r@localhost".into());
    let to = [server, locker.into(), registrar.into()];
    members.run(members.node("s"), async move |context| {
        for dest in to {
            for message in [
                "garbage",
                "{}",
                "[]",
                "{init_connect}",
                "{init_connect, x, y, z}",
                "{init_connect, {8, 1}, s@localhost, {locker, 1, 2, 3}}",
                "{lock_set, a, b, c}",
                "{exchange, s@localhost, [{a, b}], [], 1}",
                "{exchange, s@localhost, x, [], 1}",
                "{resolved, s@localhost, [{insert, x}], y, z, q, 1}",
                "{new_nodes, s@localhost, [{insert, {n, no_pid, m}}], [], [], [{vsn, 8}]}",
                "{new_nodes, s@localhost, [], [], [nonsense@localhost], []}",
                "{in_sync}",
                "{in_sync, 1, 2}",
                "{lost_connection, 1, 2, 3, 4}",
                "{remove_connection, 1}",
                "{remove_connection}",
                "{cancel_connect, s@localhost, x}",
                "{init_connect_ack, s@localhost, 1, x}",
                "{nodeup, x}",
                "{nodedown, r@localhost}",
                "{'EXIT', 1, 2}",
                "{'DOWN', 1, process, 2, 3}",
                "{whereis, n, x}",
                "{'$gen_call', x, info}",
                "{'$gen_call', {x, y}, info}",
                "{'$gen_cast', x}",
            ] {
                let message = t(message);
                context.send(dest.clone(), tuple!(atom "$gen_cast", message.clone())).await;
                context.send(dest.clone(), message).await;
            }
        }
    });
    still_one(members);
}

fn terms(random: &mut Random, count: usize) -> Vec<Term> {
    // Native records are known to the newest release only. A zero with a sign is a key of its own there alone.
    let with = Comparable { signed_zero_keys: false, records: false, large_maps: true };
    random.take(comparable(with), count)
}

/// Every function that others can call, with anything for arguments.
fn anything_over_rpc(members: &Members, random: &mut Random) {
    let mut values = terms(random, CALLS * 6).into_iter();
    let mut next = move || values.next().expect("enough");
    for at in 0..CALLS {
        let (function, arity) = [
            ("register_name", 2),
            ("register_name", 3),
            ("re_register_name", 3),
            ("unregister_name", 1),
            ("register_name_external", 2),
            ("whereis_name", 1),
            ("send", 2),
            ("set_lock", 3),
            ("del_lock", 2),
            ("trans", 4),
            ("resolve_it", 4),
            ("no_such", 2),
        ][at % 12];
        let mut args: Vec<Term> = (0..arity).map(|_| next()).collect();
        // Half of them right in what is looked at first.
        if at % 24 >= 12 {
            match function {
                "register_name" | "re_register_name" | "register_name_external" => {
                    args[1] = Term::from(&members.sleeper("r"));
                }
                "set_lock" | "trans" => {
                    args[0] = tuple!(args[0].clone(), next());
                    args[arity - 2] = Term::list(vec![atom("r"), atom("a")]);
                    args[arity - 1] = Term::Int(0);
                }
                "del_lock" => args[0] = tuple!(args[0].clone(), next()),
                "resolve_it" => {
                    (args[2], args[3]) =
                        (Term::from(&members.sleeper("a")), Term::from(&members.sleeper("r")));
                }
                _ => {}
            }
        }
        // What comes of it is its own affair.
        let _ = members.try_call("r", "global", function, args);
    }
}

/// The same in Rust, where the types leave less to do wrong.
fn anything_through_the_api(members: &Members, random: &mut Random) {
    let names = terms(random, CALLS);
    let others = terms(random, CALLS);
    let pids: Vec<Pid> = vec![
        members.sleeper("r"),
        members.sleeper("a"),
        // Nobody, at nodes that are there, were there, and never were.
        Pid::new(Atom::from("a@localhost"), 1_000_000, 8000, 0),
        Pid::new(Atom::from("r@localhost"), u32::MAX, u32::MAX, u32::MAX),
        Pid::new(Atom::from("nobody@localhost"), 1, 0, 4),
        Pid::new(Atom::from("no node"), 0, 0, 0),
        Pid::new(Atom::from(""), 0, 0, 0),
    ];
    let global = members.node("r").global().clone();
    for (at, (name, other)) in names.iter().zip(&others).enumerate() {
        let pid = pids[at % pids.len()].clone();
        let resolver = match at % 5 {
            0 => Resolver::RandomExit,
            1 => Resolver::RandomNotify,
            2 => Resolver::NotifyAll,
            3 => Resolver::Function(Atom::from("é"), Atom::from("")),
            _ => Resolver::Function(Atom::from("a"), Atom::from("b")),
        };
        let id = LockId { resource: name.clone(), requester: other.clone() };
        let (global, name, message) = (global.clone(), name.clone(), other.clone());
        members.run(members.node("r"), async move |mut context| {
            match at % 7 {
                0 => drop(global.register_name(&name, &pid, resolver).await),
                1 => drop(global.re_register_name(&name, &pid, resolver).await),
                2 => drop(global.register_name_external(&name, &pid, resolver).await),
                3 => drop(global::set_lock(&mut context, id.clone(), None, Retries::Times(0)).await),
                4 => {
                    let nodes = ["a@localhost", "r@localhost", "nobody@localhost"].map(Atom::from).to_vec();
                    global::set_lock(&mut context, id.clone(), Some(nodes), Retries::Times(0)).await;
                }
                5 => global.sync(vec![Atom::from("nobody@localhost"), Atom::from("")]).await,
                _ => drop(global::send(&context, &name, message).await),
            }
            if at % 3 == 0 {
                global.unregister_name(&name).await;
                global::del_lock(&mut context, id, None).await;
            }
        });
    }
    for name in global.registered_names() {
        members.runtime.block_on(global.unregister_name(&name));
    }
    members.kill(&pids[1]);
}

/// On the BEAM the node goes down when its name server is killed. Ours comes back, with its names.
fn what_ends_our_name_server_does_not_end_the_node(members: &Members) {
    let pid = members.sleeper("r");
    assert!(members.register("a", &t("kept"), &pid));
    // The name server, the locker and the registrar.
    for role in ["server", "locker", "registrar"] {
        let info = members.global("r", "info", vec![]);
        let state = info.as_tuple().expect("a record");
        let victim = match role {
            "server" => members.servers(&["r"]).remove(0),
            "locker" => state[7].clone(),
            _ => state[8].clone(),
        };
        let before = members.servers(&["r"]);
        members.call("a", "erlang", "exit", vec![victim, Term::atom("kill")]);
        let anew = interop_tests::clock::wait_for(Duration::from_secs(10), || {
            let server = members.servers(&["r"]);
            (server != before && server[0].as_pid().is_some()).then_some(())
        });
        assert!(anew.is_some(), "no new name server");
        // While it was away the others may have taken it for lost, one before the other.
        members.rejoin(&ALL);
        members.all_get(&ALL, &t("kept"), Some(&pid));
    }
    still_one(members);
}
