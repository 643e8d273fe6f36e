use std::cmp::Ordering;

use super::*;

fn pid(node: &'static str, id: u32, serial: u32, creation: u32) -> Pid {
    Pid::new(Atom::from_static(node), id, serial, creation)
}

fn atom(text: &'static str) -> Atom {
    Atom::from_static(text)
}

#[test]
fn pids_are_ordered_by_serial_then_number_then_node() {
    let cases = [
        (pid("z@h", 1, 0, 9), pid("a@h", 2, 0, 1)),
        (pid("z@h", 9, 0, 9), pid("a@h", 1, 1, 1)),
        (pid("a@h", 1, 1, 9), pid("b@h", 1, 1, 1)),
        (pid("a@h", 1, 1, 1), pid("a@h", 1, 1, 2)),
    ];
    for (less, greater) in cases {
        assert_eq!(pid_order(&less, &greater), Ordering::Less, "{less:?} {greater:?}");
        assert_eq!(pid_order(&greater, &less), Ordering::Greater);
        let id = LockId::of_lockers(&less, &greater);
        assert_eq!(id, LockId::of_lockers(&greater, &less));
        let both = vec![Term::from(&less), Term::from(&greater)];
        assert_eq!(id.to_term(), tuple!(atom "global", both));
    }
}

fn casts() -> Vec<Cast> {
    let name = Name { name: Term::atom("n"), pid: pid("a@h", 1, 0, 1), method: Term::atom("m") };
    let ops = vec![Op::Insert(name.clone()), Op::Delete(Term::Int(1))];
    let ext = NameExt { name: Term::atom("n"), pid: pid("c@h", 1, 0, 1), reg_node: atom("a@h") };
    let nodes = vec![(atom("c@h"), 8), (atom("d@h"), 0)];
    vec![
        Cast::InitConnect { vsn: 8, tag: Tag::new(-5), node: atom("a@h"), locker: pid("a@h", 3, 0, 1) },
        Cast::LockSet {
            locker: pid("a@h", 3, 0, 1),
            set: true,
            known: vec![atom("c@h")],
            tag: Some(Tag::new(7)),
        },
        Cast::LockSet { locker: pid("a@h", 3, 0, 1), set: false, known: Vec::new(), tag: None },
        Cast::Exchange { node: atom("a@h"), names: vec![name], tag: Tag::new(7) },
        Cast::Resolved {
            node: atom("a@h"),
            ops: ops.clone(),
            known: nodes.clone(),
            names_ext: vec![ext.clone()],
            tag: Tag::new(7),
        },
        Cast::NewNodes {
            node: atom("a@h"),
            ops,
            names_ext: vec![ext],
            nodes,
            vsn: 8,
            requester: Term::Int(4),
        },
        Cast::InSync { node: atom("a@h") },
        Cast::AsyncDel,
    ]
}

#[test]
fn casts_come_back_as_they_went() {
    for cast in casts() {
        assert_eq!(Cast::parse(&cast.to_term(8)), Ok(cast));
    }
}

#[test]
fn nodes_without_versions_are_taken_too() {
    let cast = casts().swap_remove(4);
    let Ok(Cast::Resolved { known, .. }) = Cast::parse(&cast.to_term(6)) else { panic!() };
    assert_eq!(known, [(atom("c@h"), 0), (atom("d@h"), 0)]);
}

#[test]
fn a_later_version_with_more_to_say_is_understood() {
    let term = |vsn: Term| {
        let locker = tuple!(atom "locker", 1, 2, pid("a@h", 3, 0, 1));
        tuple!(atom "init_connect", vsn, atom("a@h"), locker)
    };
    let Ok(Cast::InitConnect { vsn, tag, .. }) = Cast::parse(&term(tuple!(10, 3, atom "new"))) else {
        panic!()
    };
    assert_eq!((vsn, tag), (10, Tag::new(3)));
    for bad in [Term::Int(8), tuple!(8), tuple!(8, atom "tag"), tuple!(-8, 1), tuple!(atom "v", 1)] {
        let node = Some(atom("a@h"));
        assert_eq!(Cast::parse(&term(bad)), Err(ParseError::Malformed { what: "init_connect", node }));
    }
}

#[test]
fn a_locker_must_be_of_the_node_that_names_it() {
    let locker = tuple!(atom "locker", 1, 2, pid("b@h", 3, 0, 1));
    let term = tuple!(atom "init_connect", tuple!(8, 1), atom("a@h"), locker);
    assert!(matches!(Cast::parse(&term), Err(ParseError::Malformed { .. })));
}

#[test]
fn new_nodes_without_its_lock_is_refused() {
    let term =
        |extra: Vec<Term>| tuple!(atom "new_nodes", atom("a@h"), Term::NIL, Term::NIL, Term::NIL, extra);
    let lock = |resource: Term| tuple!(atom "lock", tuple!(resource, 1));
    assert!(Cast::parse(&term(vec![lock(Term::atom("global"))])).is_ok());
    for bad in [vec![], vec![lock(Term::atom("local"))], vec![tuple!(atom "lock", atom "undefined")]] {
        let node = Some(atom("a@h"));
        assert_eq!(Cast::parse(&term(bad)), Err(ParseError::Malformed { what: "new_nodes", node }));
    }
}

#[test]
fn infos_come_back_as_they_went() {
    let infos = [
        Info::InitConnectAck { node: atom("a@h"), your_tag: Tag::new(1), my_tag: Tag::new(2) },
        Info::CancelConnect { node: atom("a@h"), tag: Tag::new(1) },
        Info::LostConnection(LostConnection {
            node: atom("a@h"),
            x_creation: Term::from(u64::MAX),
            op_id: -3,
            lost: atom("b@h"),
        }),
        Info::RemoveConnection { node: atom("a@h") },
        Info::Whereis { name: Term::Int(1), from: pid("a@h", 1, 0, 1), tag: Term::Int(2) },
    ];
    for info in infos {
        assert_eq!(Info::parse(&info.to_term()), Ok(info));
    }
    let unknown = tuple!(atom "something", 1);
    assert_eq!(Info::parse(&unknown), Err(ParseError::Unexpected));
    assert_eq!(Cast::parse(&unknown), Err(ParseError::Unexpected));
    assert_eq!(Cast::parse(&Term::Int(1)), Err(ParseError::Unexpected));
}

#[test]
fn calls_come_back_as_they_went() {
    let name = Name { name: Term::atom("n"), pid: pid("a@h", 1, 0, 1), method: Term::atom("m") };
    let calls = [
        Call::SetLock(LockId { resource: Term::Int(1), requester: Term::Int(2) }),
        Call::DelLock(LockId::global(Term::Int(2))),
        Call::Register(name.clone()),
        Call::RegisterExt { name, reg_node: atom("a@h") },
        Call::Unregister(Term::Int(1)),
        Call::GetKnown,
        Call::GetSynced,
        Call::GetProtocolVersion,
        Call::GetNamesExt,
        Call::Info,
        Call::Sync(vec![atom("a@h")]),
        Call::Disconnect,
        Call::HighLevelTrace,
    ];
    for call in calls {
        assert_eq!(Call::parse(&call.to_term()), Some(call));
    }
}
