//! Whatever comes in, the engine stands, and nothing malformed goes out.

use etf::{Map, Term, tuple};

use super::{
    super::{
        api::{Address, Input, Output},
        backoff::Rng,
        wire::{Call, Cast, Info},
    },
    single::{Single, atom, exit_method, init_connect, pid},
};

/// A message of the protocol goes out as its own parser takes it.
pub(super) fn assert_well_formed(output: &Output) {
    match output {
        Output::Send { to: Address::NameServer(_), term, .. } => match term.as_tuple() {
            Some([tag, cast]) if tag.is_atom("$gen_cast") => {
                assert!(Cast::parse(cast).is_ok(), "{cast}");
            }
            _ => assert!(Info::parse(term).is_ok(), "{term}"),
        },
        Output::Send { to: Address::Pid(_), term, .. } => {
            let conflict = term.as_tuple().is_some_and(|t| t[0].is_atom("global_name_conflict"));
            assert!(conflict || matches!(Cast::parse(term), Ok(Cast::LockSet { .. })), "{term}");
        }
        Output::MultiCall { request, .. } => assert!(Call::parse(request).is_some(), "{request}"),
        _ => {}
    }
}

fn valid_messages(tag: &Term) -> Vec<Term> {
    let name = tuple!(atom "n", pid("a@h", 60), exit_method());
    let ops = vec![tuple!(atom "insert", name.clone()), tuple!(atom "delete", atom "m")];
    let ext = vec![tuple!(atom "n", pid("a@h", 60), atom("a@h"))];
    let nodes = vec![tuple!(atom("c@h"), 8), Term::atom("d@h")];
    let extra = vec![tuple!(atom "vsn", 8), tuple!(atom "lock", tuple!(atom "global", 1))];
    let Input::Cast(init) = init_connect(8, 1, "a@h") else { unreachable!() };
    vec![
        init,
        tuple!(atom "lock_set", pid("a@h", 11), true, Term::NIL, tag.clone()),
        tuple!(atom "lock_set", pid("a@h", 11), false, Term::NIL),
        tuple!(atom "exchange", atom("a@h"), vec![name.clone()], Term::NIL, tag.clone()),
        tuple!(
            atom "resolved", atom("a@h"), ops.clone(), nodes.clone(), Term::NIL, ext.clone(), tag.clone()
        ),
        tuple!(atom "new_nodes", atom("a@h"), ops, ext, nodes, extra),
        tuple!(atom "in_sync", atom("a@h"), true),
        tuple!(atom "async_del_name", 1, 2),
        tuple!(atom "init_connect_ack", atom("a@h"), tag.clone(), 1),
        tuple!(atom "cancel_connect", atom("a@h"), tag.clone()),
        tuple!(atom "lost_connection", atom("a@h"), 1, 2, atom("c@h")),
        tuple!(atom "remove_connection", atom("a@h")),
        tuple!(atom "whereis", atom "n", tuple!(pid("a@h", 1), 3)),
        tuple!(atom "set_lock", tuple!(atom "global", 1)),
        tuple!(atom "del_lock", tuple!(atom "global", 1)),
        tuple!(atom "register", atom "n", pid("a@h", 60), exit_method()),
        tuple!(atom "register_ext", atom "n", pid("a@h", 60), exit_method(), atom("b@h")),
        tuple!(atom "unregister", atom "n"),
        tuple!(atom "sync", vec![Term::atom("a@h")]),
        Term::atom("disconnect"),
        Term::atom("info"),
    ]
}

/// One place in the term becomes something else, or goes.
fn mutate(rng: &mut Rng, term: &Term) -> Term {
    let (elements, is_tuple) = match term {
        Term::Tuple(elements) => (elements, true),
        Term::List(elements) => (elements, false),
        _ => return junk(rng),
    };
    if elements.is_empty() || rng.below(4) == 0 {
        return junk(rng);
    }
    let mut elements = elements.clone();
    #[expect(clippy::cast_possible_truncation, reason = "an index")]
    let at = rng.below(elements.len() as u64) as usize;
    match rng.below(8) {
        0 => drop(elements.remove(at)),
        1 => elements.push(junk(rng)),
        _ => elements[at] = mutate(rng, &elements[at]),
    }
    if is_tuple { Term::tuple(elements) } else { Term::list(elements) }
}

fn junk(rng: &mut Rng) -> Term {
    match rng.below(12) {
        0 => Term::NIL,
        1 => Term::Int(-1),
        2 => Term::atom("junk"),
        3 => Term::from(pid("z@h", 1)),
        4 => Term::from(1_u64 << 63),
        5 => Term::from(Map::new()),
        6 => Term::list_with_tail(vec![Term::Int(1)], Term::Int(2)),
        7 => Term::tuple([]),
        8 => Term::atom("a@h"),
        9 => Term::atom("b@h"),
        10 => exit_method(),
        _ => Term::Int(8),
    }
}

#[test]
fn valid_messages_are_taken() {
    let messages = valid_messages(&Term::Int(5));
    for message in &messages {
        let taken =
            Cast::parse(message).is_ok() || Info::parse(message).is_ok() || Call::parse(message).is_some();
        assert!(taken, "{message}");
    }
}

#[test]
fn no_message_in_any_order_breaks_the_engine_or_makes_it_send_nonsense() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let mut single = Single::new("b@h");
        single.up("a@h");
        let mut calls = Vec::new();
        for _ in 0..100 {
            let in_session = single.engine.sessions.contains_key(&atom("a@h"));
            let tag = if in_session { single.tag("a@h") } else { Term::Int(0) };
            let messages = valid_messages(&tag);
            #[expect(clippy::cast_possible_truncation, reason = "an index")]
            let mut message = messages[rng.below(messages.len() as u64) as usize].clone();
            for _ in 0..rng.below(3) {
                message = mutate(&mut rng, &message);
            }
            let input = match rng.below(10) {
                0..=2 => Input::Cast(message),
                3..=4 => Input::Info(message),
                5 => Input::LockerMessage(message),
                6 => Input::Call { from: pid("a@h", 1), tag: junk(&mut rng), request: message },
                7 => Input::NodeUp { node: atom("a@h") },
                8 if rng.below(4) == 0 => Input::NodeDown { node: atom("a@h") },
                _ => match calls.pop() {
                    Some((id, node)) => {
                        let reply = if rng.below(3) == 0 { junk(&mut rng) } else { true.into() };
                        let result = super::super::api::CallResult::Reply(reply);
                        Input::CallReply { id, node, result }
                    }
                    None => Input::Timer,
                },
            };
            single.now += std::time::Duration::from_millis(rng.below(300));
            for output in single.feed(input) {
                assert_well_formed(&output);
                if let Output::MultiCall { id, nodes, .. } = output {
                    calls.extend(nodes.into_iter().map(|node| (id, node)));
                }
            }
        }
    }
}
