//! And the other way: what we say does in each release what its own would do.

use std::{io::Write, num::NonZeroU64};

use dist::{
    Encoded, Mfa, MonitorTarget, Outbound, SeqToken, Signal, SignalTarget, SpawnOptions, SpawnReplyFlags,
    SpawnRequest,
};
use etf::{Atom, Pid, Reference, Segments, Term, tuple};
use handshake::DistFlags;
use interop_tests::Otp;

use crate::{
    capture::Stock,
    peer_support::{SOON, each_release},
    scenarios::{Form, OLD, OWN, own, own_reference},
    wire_support::Wire,
};

/// A stock node with a process `probe` that writes down what comes to it, and a connection on which it is told things
/// as a node of ours tells them: with the atom cache and in fragments, if that is agreed on.
struct Told {
    stock: Stock,
    wire: Wire,
    outbound: Outbound,
    probe: Pid,
    alias: Option<Reference>,
    what: String,
}

impl Told {
    fn new(mut stock: Stock, offered: DistFlags, what: String) -> Self {
        let wire = stock.wire(offered);
        let values = stock.terms("ct_frames:probe()");
        let [Term::Pid(probe), alias] = &values[..] else { panic!("a pid and an alias: {values:?}") };
        let alias = match alias {
            Term::Reference(alias) => Some(alias.clone()),
            _ => None,
        };
        let outbound = Outbound::new(wire.established.flags);
        Self { stock, outbound, probe: probe.clone(), alias, wire, what }
    }

    /// Whether a process of the node can be told something at its alias.
    fn has_alias(&self) -> bool {
        self.alias.is_some() && self.has(DistFlags::ALIAS)
    }

    fn has(&self, flag: DistFlags) -> bool {
        self.wire.established.flags.contains(flag)
    }

    fn say(&mut self, signal: &Signal) {
        let encoded = self.outbound.handle(signal).expect("a message that is not too long");
        assert!(matches!(encoded, Encoded::Frame { .. }), "{}: {signal:?}: {encoded:?}", self.what);
        let mut out = Segments::new();
        while self.outbound.poll_output(&mut out) {
            out.chunks().for_each(|chunk| self.wire.stream.write_all(chunk).expect("the node reads"));
            out.clear();
        }
    }

    /// The probe has seen exactly this since it was asked last, without a token.
    fn seen(&mut self, expected: Vec<Term>) {
        self.seen_under(&Term::atom("none"), expected);
    }

    /// The same with the label of a token.
    fn seen_under(&mut self, label: &Term, expected: Vec<Term>) {
        let seen = self.stock.terms(&format!("ct_frames:seen({})", expected.len()));
        let expected: Vec<_> = expected.into_iter().map(|term| tuple!(label.clone(), term)).collect();
        assert_eq!(seen, expected, "{}", self.what);
    }

    fn until(&mut self, expression: &str) {
        self.stock.erl.eval_until(expression, "true", SOON);
    }

    /// Has the probe do something; what it gives.
    fn doing(&mut self, expression: &str) -> Term {
        self.stock.terms(&format!("ct_frames:do(fun() -> {expression} end)")).remove(0)
    }

    fn to_probe(&self, message: Term, token: Option<SeqToken>) -> Signal {
        Signal::Send { from: Some(own()), to: self.probe.clone(), message, token, priority: false }
    }

    fn exit(&self, reason: &'static str, token: Option<SeqToken>) -> Signal {
        Signal::Exit { from: own(), to: self.probe.clone(), reason: Term::atom(reason), token }
    }

    fn exit2(&self, to: SignalTarget, reason: Term, priority: bool) -> Signal {
        Signal::Exit2 { from: own(), to, reason, token: None, priority }
    }
}

fn token(serial: i64) -> Option<SeqToken> {
    Some(SeqToken::new(tuple!(1, 17, serial, own(), serial - 1)))
}

fn exited(reason: Term) -> Term {
    tuple!(atom "EXIT", own(), reason)
}

fn each_form(test: impl Fn(&Otp, &mut Told) + Sync) {
    each_release(|otp| {
        let mut stock = Stock::start(otp);
        let forms = Form::ALL.map(|form| (form.name(), form.offered()));
        for (name, offered) in forms.into_iter().chain([("of old", Form::Cache.offered().without(OLD))]) {
            let mut told = Told::new(stock, offered, format!("OTP {} {name}", otp.number()));
            test(otp, &mut told);
            // Nothing was seen that was not asked for.
            told.say(&told.to_probe(Term::atom("last"), None));
            told.seen(vec![Term::atom("last")]);
            stock = told.stock;
        }
    });
}

#[test]
fn messages_reach_pids_names_and_aliases_with_their_tokens() {
    each_form(|otp, told| {
        let nameless = |probe: &Pid| Signal::Send {
            from: None,
            to: probe.clone(),
            message: Term::atom("nameless"),
            token: None,
            priority: false,
        };
        let to_name = |message, token| {
            let to = Atom::from_static("probe");
            Signal::RegSend { from: own(), to, message, token, priority: false }
        };
        told.say(&told.to_probe(Term::atom("hello"), None));
        told.say(&nameless(&told.probe));
        told.say(&to_name(tuple!(atom "hi", 1), None));
        told.seen(vec![Term::atom("hello"), Term::atom("nameless"), tuple!(atom "hi", 1)]);
        told.say(&told.to_probe(Term::atom("traced"), token(1)));
        told.say(&to_name(Term::atom("traced_name"), token(2)));
        told.seen_under(&17.into(), vec![Term::atom("traced"), Term::atom("traced_name")]);
        if let Some(alias) = told.alias.clone().filter(|_| told.has_alias()) {
            let to_alias = |word, token, priority| {
                let (message, to) = (Term::atom(word), alias.clone());
                Signal::AliasSend { from: own(), to, message, token, priority }
            };
            told.say(&to_alias("aliased", None, false));
            told.seen(vec![Term::atom("aliased")]);
            told.say(&to_alias("traced_alias", token(3), false));
            told.seen_under(&17.into(), vec![Term::atom("traced_alias")]);
            if told.has(DistFlags::ALTACT_SIG) {
                assert!(otp.number() >= 28);
                told.stock.erl.eval("erlang:suspend_process(whereis(probe))");
                told.say(&told.to_probe(Term::atom("first"), None));
                told.say(&to_alias("urgent", None, true));
                // What is said to it has come when what is said to another has.
                told.say(&told.to_probe(Term::atom("second"), None));
                told.until("element(2, process_info(whereis(probe), message_queue_len)) =:= 3");
                told.stock.erl.eval("erlang:resume_process(whereis(probe))");
                told.seen(["urgent", "first", "second"].map(Term::atom).to_vec());
            }
        }
        // Atoms by number, new ones and known ones; the second time all that the cache can keep are known.
        let names = (0..300).map(|n| Term::from(&Atom::from(format!("atom_{n}").as_str())));
        let atoms = Term::list(names.collect::<Vec<_>>());
        told.say(&told.to_probe(atoms.clone(), None));
        told.say(&told.to_probe(atoms.clone(), None));
        told.seen(vec![atoms.clone(), atoms]);
    });
}

#[test]
fn long_messages_come_whole_and_in_their_place() {
    each_form(|_, told| {
        let long = Term::binary(vec![7; 3 << 20]);
        told.say(&told.to_probe(Term::atom("before"), None));
        told.say(&told.to_probe(long.clone(), None));
        told.say(&told.to_probe(Term::atom("after"), None));
        assert_eq!(told.outbound.fragments() > 0, told.has(DistFlags::FRAGMENTS));
        told.say(&told.exit2(SignalTarget::Pid(told.probe.clone()), long, false));
        let hash = told.doing("erlang:md5(binary:copy(<<7>>, 3 bsl 20))");
        let short = || tuple!(atom "long", 3 << 20, hash.clone());
        told.seen(vec![Term::atom("before"), short(), Term::atom("after"), exited(short())]);
    });
}

#[test]
fn links_and_exits_do_what_they_should() {
    each_form(|_, told| {
        let link = |probe: &Pid| Signal::Link { from: own(), to: probe.clone() };
        let linked = "process_info(whereis(probe), links) =:= {links, [P]}";
        told.say(&link(&told.probe));
        told.until(linked);
        told.say(&told.exit("boom", None));
        // Without a link there is nothing to break.
        told.say(&told.exit("again", None));
        told.say(&told.to_probe(Term::atom("after"), None));
        told.seen(vec![exited(Term::atom("boom")), Term::atom("after")]);
        told.say(&link(&told.probe));
        told.say(&told.exit("traced", token(1)));
        told.seen_under(&17.into(), vec![exited(Term::atom("traced"))]);

        told.say(&link(&told.probe));
        told.until(linked);
        let id = NonZeroU64::new(5);
        told.say(&Signal::Unlink { id, from: own(), to: told.probe.clone() });
        if told.has(DistFlags::UNLINK_ID) {
            let id = id.expect("not 0");
            let ack = Signal::UnlinkAck { id, from: told.probe.clone(), to: own() };
            assert_eq!(told.wire.recv(), ack, "{}", told.what);
        }
        told.until("process_info(whereis(probe), links) =:= {links, []}");
        told.say(&told.exit("late", None));

        // A link of its own: it takes it back, and we acknowledge.
        told.doing("link(P), unlink(P)");
        let from = told.probe.clone();
        assert_eq!(told.wire.recv(), Signal::Link { from: from.clone(), to: own() }, "{}", told.what);
        match told.wire.recv() {
            Signal::Unlink { id: Some(id), from: of, to } if (&of, &to) == (&from, &own()) => {
                told.say(&Signal::UnlinkAck { id, from: own(), to: from });
            }
            Signal::Unlink { id: None, .. } => assert!(!told.has(DistFlags::UNLINK_ID), "{}", told.what),
            other => panic!("{}: {other:?}", told.what),
        }
        told.say(&told.exit("late", None));

        told.say(&told.exit2(SignalTarget::Pid(told.probe.clone()), Term::atom("boom"), false));
        told.seen(vec![exited(Term::atom("boom"))]);
        let traced = Signal::Exit2 {
            from: own(),
            to: SignalTarget::Pid(told.probe.clone()),
            reason: Term::atom("traced"),
            token: token(2),
            priority: false,
        };
        told.say(&traced);
        told.seen_under(&17.into(), vec![exited(Term::atom("traced"))]);
        if told.has(DistFlags::ALTACT_SIG) {
            let alias = told.alias.clone().expect("a release with aliases");
            // One at a time: what is urgent is seen first.
            for (to, reason, priority) in [
                (SignalTarget::Pid(told.probe.clone()), "urgent", true),
                (SignalTarget::Alias(alias.clone()), "aliased", false),
                (SignalTarget::Alias(alias), "urgent_alias", true),
            ] {
                told.say(&told.exit2(to, Term::atom(reason), priority));
                told.seen(vec![exited(Term::atom(reason))]);
            }
        }
    });
}

#[test]
fn monitors_are_set_taken_back_and_answered() {
    each_form(|_, told| {
        let name = |name| MonitorTarget::Name(Atom::from_static(name));
        let pid = MonitorTarget::Pid(told.probe.clone());
        let by = "process_info(whereis(probe), monitored_by)";
        for (target, reference) in [(pid, own_reference(5)), (name("probe"), own_reference(6))] {
            let (to, of) = (target.clone(), reference.clone());
            told.say(&Signal::Monitor { from: own(), to, reference: of });
            told.until(&format!("{by} =:= {{monitored_by, [P]}}"));
            told.say(&Signal::Demonitor { from: own(), to: target, reference });
            told.until(&format!("{by} =:= {{monitored_by, []}}"));
        }
        // Its own, of which it hears.
        for (expression, target, object) in [
            ("monitor(process, P)", MonitorTarget::Pid(own()), Term::from(own())),
            ("monitor(process, {nm, node(P)})", name("nm"), tuple!(atom "nm", OWN)),
        ] {
            let Term::Reference(reference) = told.doing(expression) else { panic!("no reference") };
            let (from, to, of) = (told.probe.clone(), target.clone(), reference.clone());
            assert_eq!(told.wire.recv(), Signal::Monitor { from, to, reference: of }, "{}", told.what);
            let (to, reason) = (told.probe.clone(), Term::atom("gone"));
            let down = tuple!(atom "DOWN", reference.clone(), atom "process", object, reason.clone());
            told.say(&Signal::MonitorExit { from: target, sender: None, to, reference, reason });
            told.seen(vec![down]);
        }
    });
}

#[test]
fn processes_are_started_on_either_side() {
    each_form(|_, told| {
        let request = |args: Term, options, token| {
            let (module, function) = (Atom::from_static("ct_frames"), Atom::from_static("told"));
            let request = SpawnRequest {
                request_id: own_reference(5),
                from: own(),
                group_leader: own(),
                mfa: Mfa { module, function, arity: 1 },
                options: Ok(options),
                token,
            };
            Signal::SpawnRequest { request: Box::new(request), args: Term::list(vec![args]) }
        };
        for (label, token) in [(Term::atom("none"), None), (17.into(), token(1))] {
            told.say(&request(Term::binary("argument"), SpawnOptions::default(), token));
            told.seen_under(&label, vec![tuple!(atom "told", Term::binary("argument"))]);
            let Signal::SpawnReply { request_id, flags, result: Ok(_), .. } = told.wire.recv() else {
                panic!("{}: no reply", told.what)
            };
            assert_eq!((request_id, flags), (own_reference(5), SpawnReplyFlags::NONE));
        }
        // The other way: the node asks, and the process that we say we started ends.
        let expression = "spawn_request(node(P), m, f, [], [monitor])";
        let Term::Reference(request_id) = told.doing(expression) else { panic!("no reference") };
        let Signal::SpawnRequest { request, .. } = told.wire.recv() else { panic!("no request") };
        assert_eq!(request.request_id, request_id);
        let started = Pid::new(OWN, 78, 0, 0x1122_3344);
        let to = told.probe.clone();
        told.say(&Signal::SpawnReply {
            request_id: request_id.clone(),
            to: to.clone(),
            flags: SpawnReplyFlags::MONITOR,
            result: Ok(started.clone()),
            token: None,
        });
        told.say(&Signal::MonitorExit {
            from: MonitorTarget::Pid(started.clone()),
            sender: None,
            to,
            reference: request_id.clone(),
            reason: Term::atom("normal"),
        });
        told.seen(vec![
            tuple!(atom "spawn_reply", request_id.clone(), atom "ok", started.clone()),
            tuple!(atom "DOWN", request_id, atom "process", started, atom "normal"),
        ]);
        told.say(&Signal::GroupLeader { leader: own(), member: told.probe.clone() });
        told.until("process_info(whereis(probe), group_leader) =:= {group_leader, P}");
    });
}
