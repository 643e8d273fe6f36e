//! What the flags decide: which operation carries a signal, and what is not said at all.

use dist::{Mfa, MonitorTarget, Signal, SignalTarget, SpawnOptions, SpawnRequest};
use etf::{Pid, Term, tuple};
use handshake::DistFlags;
use interop_tests::{Cluster, Otp};

use crate::{
    actor::Duo,
    peer_support::{each_release, says},
    wire_support::{PLAIN, Plain, Wire},
};

/// The processes that `crabnode peer` has under those names.
pub(crate) const SERVICES: &str = "
    Echo = fun Loop() -> receive {From, die, Why} when is_pid(From) -> exit(Why); {From, T} -> From ! {echo, T} end,
                         Loop() end,
    Server = fun Loop() -> receive {'$gen_call', From, X} -> gen_server:reply(From, {echo, X}) end, Loop() end,
    register(echo, spawn(Echo)), register(echo_server, spawn(Server)), ok";

/// The answer to a call goes to the caller's alias, by the operation that was agreed on, and to its pid where none was.
#[test]
fn item_50_an_answer_goes_to_the_alias() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut erl, peer) = (cluster.erl(otp, "e"), cluster.peer("r"));
        erl.eval(SERVICES);
        let port = peer.port();
        for (flags, op) in [
            (PLAIN, 37),
            (PLAIN.without(DistFlags::ALTACT_SIG), 33),
            (PLAIN.without(DistFlags::ALTACT_SIG).without(DistFlags::ALIAS), 22),
        ] {
            let ours = answer(&mut Wire::connect(&cluster, "r@localhost", port, flags));
            assert_eq!(ours.op, op, "{ours:?}");
            // The first release with the feature: 28 for the one, 24 for the other. Who has no aliases does not ask
            // to be answered by one, and what a stock node would make of it is not the matter here.
            if op != 22 && otp.number() >= if op == 37 { 28 } else { 24 } {
                let theirs = answer(&mut Wire::to_erl(&cluster, &mut erl, flags));
                assert_eq!(theirs.op, op, "{theirs:?}");
                assert_eq!(ours.control.len(), theirs.control.len());
                assert_eq!(ours.payload.is_some(), theirs.payload.is_some());
            }
        }
    });
    each_release(|otp| {
        if otp.number() < 24 {
            return; // There are no aliases: the late answer comes to the caller's pid.
        }
        // A call that is given up: its answer, which comes late, goes nowhere.
        let mut duo = Duo::start(otp);
        duo.erl.eval("register(slow, spawn(fun() -> receive {'$gen_call', F, _} -> timer:sleep(2000), gen_server:reply(F, late) end end))");
        let left = duo.runtime.block_on(duo.node.run(async |mut context| {
            let limit = Some(std::time::Duration::from_millis(50));
            let outcome = context.call(("slow", "e@localhost"), Term::atom("x"), limit).await;
            assert_eq!(outcome, Err(crabnode::CallError::Timeout));
            context.receive_timeout(std::time::Duration::from_millis(2500)).await
        }));
        assert_eq!(left, Some(None));
    });
}

fn answer(wire: &mut Wire) -> Plain {
    let (from, reference) = (wire.pid(1), wire.reference(9));
    let tag = Term::list_with_tail(vec![Term::atom("alias")], Term::from(&reference));
    wire.send_to("echo_server", &from, tuple!(atom "$gen_call", tuple!(&from, tag), atom "x"));
    wire.recv_plain_of(&[2, 22, 33, 37])
}

/// Each operation of old where a flag is withheld, and the newer where it is not: the same that a stock node sends.
#[test]
fn item_53_what_a_peer_cannot_take_is_said_as_of_old_or_not_at_all() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut erl, peer) = (cluster.erl(otp, "e"), cluster.peer("r"));
        let port = peer.port();
        let withheld = [
            (DistFlags::NONE, vec![22, 22, 24, 26, 28]),
            (DistFlags::SEND_SENDER, vec![2, 2, 24, 26, 28]),
            (DistFlags::EXIT_PAYLOAD, vec![22, 22, 3, 8, 21]),
            (DistFlags::SEND_SENDER.with(DistFlags::EXIT_PAYLOAD), vec![2, 2, 3, 8, 21]),
        ];
        for (without, ops) in withheld {
            let flags = PLAIN.without(without);
            let ours = spoken(&mut Wire::connect(&cluster, "r@localhost", port, flags));
            assert_eq!(ours, ops, "without {:?}", without.names());
            let theirs = spoken(&mut Wire::to_erl(&cluster, &mut erl, flags));
            assert_eq!(theirs, ops, "OTP {} without {:?}", otp.number(), without.names());
        }
        says(&mut erl, "net_adm:ping(r@localhost)", "pong");
    });
}

/// What our processes do towards a node that knows little: an unlink of old, for which no acknowledgement comes, and
/// is not waited for; no monitor at all.
#[test]
fn item_53_links_and_monitors_towards_a_node_that_knows_little() {
    let duo = Duo::start(&Otp::newest());
    let port = duo.node.port();
    let little = PLAIN.without(DistFlags::UNLINK_ID).without(DistFlags::DIST_MONITOR);
    for (flags, unlink) in [(little, 4), (PLAIN, 35)] {
        let mut wire = Wire::connect(&duo.cluster, "r@localhost", port, flags);
        let from = wire.pid(1);
        let told = |wire: &mut Wire, order: Term| wire.send_to("actor", &from, tuple!(atom "act", order));
        for _ in 0..2 {
            told(&mut wire, tuple!(atom "link", &from));
            assert_eq!(wire.recv_plain().op, 1);
            told(&mut wire, tuple!(atom "unlink", &from));
            let taken_back = wire.recv_plain();
            assert_eq!(taken_back.op, unlink);
            if let [_, id, actor, own] = taken_back.control.as_slice() {
                wire.send_control(&tuple!(36, id.clone(), own.clone(), actor.clone()), None);
            }
        }
        told(&mut wire, tuple!(atom "monitor", &from));
        told(&mut wire, tuple!(atom "send", &from, atom "last"));
        assert_eq!(wire.recv_plain().op, if unlink == 4 { 22 } else { 19 });
    }
}

/// The operations of: an answer, another, the end of a process that is linked, exit/2 at the hand of one, a `DOWN`.
fn spoken(wire: &mut Wire) -> Vec<i64> {
    let mut ops = Vec::new();
    let from = wire.pid(1);
    let gl = wire.pid(2);
    // Two sends, by a process that is started for each.
    for number in 1..=2 {
        let args = vec![Term::from(&from), Term::atom("sent")];
        spawn(wire, number, &gl, "send", args, SpawnOptions::default());
        ops.push(wire.recv_plain_of(&[2, 22]).op);
    }
    // A process that is linked with us and ends; one that ends us; one that we monitor.
    let linked = SpawnOptions { link: true, ..SpawnOptions::default() };
    spawn(wire, 3, &gl, "exit", vec![Term::atom("bye")], linked);
    ops.push(wire.recv_plain_of(&[3, 24]).op);
    spawn(wire, 4, &gl, "exit", vec![Term::from(&from), Term::atom("bye")], SpawnOptions::default());
    ops.push(wire.recv_plain_of(&[8, 26]).op);
    let to = MonitorTarget::Name("nobody_has_this_name".into());
    wire.send(&Signal::Monitor { from, to, reference: wire.reference(50) });
    ops.push(wire.recv_plain_of(&[21, 28]).op);
    ops
}

fn spawn(wire: &mut Wire, number: u32, leader: &Pid, function: &str, args: Vec<Term>, options: SpawnOptions) {
    let arity = i64::try_from(args.len()).expect("a few");
    let request = SpawnRequest {
        request_id: wire.reference(number),
        from: wire.pid(1),
        group_leader: leader.clone(),
        mfa: Mfa { module: "erlang".into(), function: function.into(), arity },
        options: Ok(options),
        token: None,
    };
    wire.send(&Signal::SpawnRequest { request: Box::new(request), args: Term::list(args) });
}

/// To exit signals by alias and name, which only OTP 28 knows, a node of ours does what the signal says.
#[test]
fn item_51_exits_with_flags_do_what_they_say() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        let port = duo.node.port();
        let mut wire = Wire::connect(&duo.cluster, "r@localhost", port, PLAIN);
        let from = wire.pid(1);
        let name = SignalTarget::Name("actor".into());
        for priority in [false, true] {
            let (to, token) = (name.clone(), None);
            let exit = Signal::Exit2 { from: from.clone(), to, reason: Term::atom("x"), token, priority };
            assert_eq!(dist_op(&exit), 37);
            wire.send(&exit);
        }
        duo.says("[{'EXIT', P, x}, {'EXIT', P, x}] = Tolds(2, []), node(P) =/= R", "true");
    });
}

fn dist_op(signal: &Signal) -> u8 {
    let (control, _) = signal.to_wire(PLAIN).expect("the flags allow it");
    control.op().number()
}

/// A token goes through a process of ours as through one of a stock node: with messages, exits and what is started,
/// whatever the label, and the serial counts on.
#[test]
fn item_52_seq_trace_tokens_are_carried_through() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        duo.erl.eval(
            "process_flag(trap_exit, true), S = self(),
             Under = fun(Label, Do) ->
                 seq_trace:set_token([]), seq_trace:set_token(label, Label), seq_trace:set_token(send, true),
                 Do(), Token = seq_trace:get_token(), seq_trace:set_token([]), Token end, ok",
        );
        for label in ["17", "{no, \"small\", [label]}"] {
            duo.says(
                &format!(
                    "{{_, Label, Serial, From, Last}} = Under({label}, fun() ->
                         Tell({{send, S, traced}}), receive traced -> ok end end),
                     {{Label =:= {label}, Serial > Last, Last > 0, From =:= A}}"
                ),
                "{true,true,true,true}",
            );
            // Inherited by what is started, here and there.
            duo.says(
                &format!(
                    "{{_, Label, Serial, From, Last}} = Under({label}, fun() ->
                         spawn(R, erlang, send, [S, spawned]), receive spawned -> ok end end),
                     {{Label =:= {label}, Serial > Last, Last > 0, node(From) =:= R}}"
                ),
                "{true,true,true,true}",
            );
            duo.says(
                &format!(
                    "{{_, Label, Serial, _, _}} = Under({label}, fun() ->
                         Tell({{spawn, node(), erlang, send, [S, again]}}), receive again -> ok end end),
                     [_ | _] = Tolds(4, []), {{Label =:= {label}, Serial > 2}}"
                ),
                "{true,true}",
            );
        }
        // Without one there is none: what it was traced by is over with the next message.
        duo.says("Tell({send, S, plain}), receive plain -> seq_trace:get_token() end", "[]");
        duo.says(
            "link(A),
             {_, Label, _, From, _} = Under(end_of_it, fun() ->
                 Tell({'end', over}), receive {'EXIT', A, over} -> ok end end), {Label, From =:= A}",
            "{end_of_it,true}",
        );
    });
}
