//! What a stock node is told to say, and what its frames mean.

use std::num::NonZeroU64;

use dist::{
    Mfa, MonitorOptions, MonitorTarget, SeqToken, Signal, SignalTarget, SpawnOptions, SpawnReplyFlags,
    SpawnRequest,
};
use etf::{Atom, BigInt, Float, Map, Pid, Reference, Term, tuple};
use handshake::DistFlags;

use crate::wire_support::{HIDDEN, PLAIN};

/// The node that listens: the same in all files, so that they differ where releases do.
pub(crate) const OWN: Atom = Atom::from_static("rust@localhost");
pub(crate) const PEER: Atom = Atom::from_static("otp@localhost");
pub(crate) const CREATION: u32 = 0x1122_3344;

/// The process and the alias that things are said to.
pub(crate) fn own() -> Pid {
    Pid::new(OWN, 77, 3, CREATION)
}

pub(crate) fn own_alias() -> Reference {
    own_reference(1)
}

pub(crate) fn own_reference(number: u32) -> Reference {
    Reference::new(OWN, CREATION, &[number, 2, 3]).expect("three words")
}

/// What the frames of a connection look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Without headers.
    Plain,
    /// With headers that have no atoms, and fragments.
    Header,
    /// With the atom cache and fragments.
    Cache,
    /// With the atom cache alone.
    CacheOnly,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Header, Self::Cache, Self::CacheOnly];

    pub(crate) fn offered(self) -> DistFlags {
        match self {
            Self::Plain => PLAIN,
            Self::Header => HIDDEN.without(DistFlags::DIST_HDR_ATOM_CACHE),
            Self::Cache => HIDDEN,
            Self::CacheOnly => HIDDEN.without(DistFlags::FRAGMENTS),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Header => "header",
            Self::Cache => "cache",
            Self::CacheOnly => "cache_only",
        }
    }
}

/// What the frames name that only the node knows.
pub(crate) struct Values(pub(crate) Vec<Term>);

impl Values {
    fn pid(&self, at: usize) -> Pid {
        match &self.0[at] {
            Term::Pid(pid) => pid.clone(),
            other => panic!("value {at} is {other}"),
        }
    }

    fn reference(&self, at: usize) -> Reference {
        match &self.0[at] {
            Term::Reference(reference) => reference.clone(),
            other => panic!("value {at} is {other}"),
        }
    }
}

/// One thing that is said.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The first release that can say it.
    pub(crate) since: u32,
    /// The last one that lets us do without the flags.
    pub(crate) until: u32,
    /// What is not offered to the node, beside the form's.
    pub(crate) without: DistFlags,
    /// The forms that show something of their own.
    pub(crate) forms: &'static [Form],
    /// What `ct_frames` calls it.
    pub(crate) erl: &'static str,
    /// What we say next.
    pub(crate) say: fn(&Values) -> Vec<Signal>,
    /// What `ct_frames` does then. Its values come behind those of the first step.
    pub(crate) then: &'static str,
    /// What is heard. The signals that came are given for what neither side can know beforehand.
    pub(crate) hear: fn(&Values, &[Signal]) -> Vec<Signal>,
}

const NONE: DistFlags = DistFlags::NONE;
/// A node that knows the oldest operations alone.
pub(crate) const OLD: DistFlags =
    DistFlags::SEND_SENDER.with(DistFlags::EXIT_PAYLOAD).with(DistFlags::ALTACT_SIG);

const fn scenario(
    name: &'static str,
    erl: &'static str,
    hear: fn(&Values, &[Signal]) -> Vec<Signal>,
) -> Scenario {
    Scenario {
        name,
        since: 23,
        until: u32::MAX,
        without: NONE,
        forms: &Form::ALL,
        erl,
        say: |_| Vec::new(),
        then: "nothing",
        hear,
    }
}

impl Scenario {
    const fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }

    const fn until(self, until: u32) -> Self {
        Self { until, ..self }
    }

    pub(crate) fn is_for(&self, release: u32) -> bool {
        (self.since..=self.until).contains(&release)
    }

    const fn without(self, without: DistFlags) -> Self {
        Self { without, ..self }
    }

    const fn in_forms(self, forms: &'static [Form]) -> Self {
        Self { forms, ..self }
    }

    const fn say(self, say: fn(&Values) -> Vec<Signal>) -> Self {
        Self { say, ..self }
    }

    const fn then(self, then: &'static str) -> Self {
        Self { then, ..self }
    }
}

const FEW: &[Form] = &[Form::Plain, Form::Cache];

/// Everything that is said.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("send", "send", |v, _| vec![message(v, "hello")]),
    scenario("send_of_old", "send", |_, _| vec![nameless("hello", None)]).without(OLD).in_forms(FEW),
    scenario("reg_send", "reg_send", |v, _| vec![to_name(v, "some_name", tuple!(atom "hi", 1), None)]),
    scenario("alias_send", "alias_send", |v, _| vec![to_alias(v, "via_alias", None, false)]).since(25),
    scenario("alias_send_of_old", "alias_send", |v, _| vec![to_alias(v, "via_alias", None, false)])
        .since(25)
        .without(DistFlags::ALTACT_SIG)
        .in_forms(FEW),
    scenario("link", "link", links),
    scenario("unlink_of_old", "link", links).until(25).without(DistFlags::UNLINK_ID).in_forms(FEW),
    scenario("exit", "exit", |v, _| linked_and_ended(v, None)),
    scenario("exit_of_old", "exit", |v, _| linked_and_ended(v, None)).without(OLD).in_forms(FEW),
    scenario("exit2", "exit2", |v, _| vec![exit2(v, Term::atom("kill"), false)]),
    scenario("exit2_of_old", "exit2", |v, _| vec![exit2(v, Term::atom("kill"), false)])
        .without(OLD)
        .in_forms(FEW),
    scenario("monitor", "monitor", monitors),
    scenario("group_leader", "group_leader", |v, _| {
        vec![Signal::GroupLeader { leader: v.pid(0), member: own() }]
    }),
    scenario("spawn_request", "spawn_request", |v, _| {
        let options = SpawnOptions {
            link: true,
            monitor: Some(MonitorOptions::default()),
            tuning: vec![tuple!(atom "priority", atom "high"), tuple!(atom "min_heap_size", 1000)],
            unknown: vec![],
        };
        vec![spawn_request(v, "f", options, Term::list(vec![1.into(), Term::atom("two")]), None)]
    }),
    scenario("traced", "traced", |v, _| traced(v)),
    scenario("traced_of_old", "traced", |v, _| {
        let mut all = traced(v);
        all[0] = nameless("traced", token(v, 1, 0));
        all
    })
    .without(OLD)
    .in_forms(FEW),
    scenario("traced_label", "traced_label", |v, _| {
        let label = tuple!(Term::list(b"not".map(Term::from)), atom "small", BigInt::from(1u8) << 70u32);
        let token = SeqToken::new(tuple!(1, label, 1, v.pid(0), 0));
        vec![Signal::Send {
            from: Some(v.pid(0)),
            to: own(),
            message: Term::atom("traced"),
            token: Some(token),
            priority: false,
        }]
    }),
    scenario("traced_label_withheld", "traced_label", |v, _| vec![message(v, "traced")])
        .without(DistFlags::BIG_SEQTRACE_LABELS)
        .in_forms(FEW),
    scenario("traced_alias", "traced_alias", |v, _| vec![to_alias(v, "traced", token(v, 1, 0), false)])
        .since(25),
    scenario("traced_exit", "traced_exit", |v, _| linked_and_ended(v, token(v, 1, 0))),
    scenario("traced_exit_of_old", "traced_exit", |v, _| linked_and_ended(v, token(v, 1, 0)))
        .without(OLD)
        .in_forms(FEW),
    scenario("priority", "priority", |v, _| {
        vec![
            priority(Signal::Send {
                from: Some(v.pid(0)),
                to: own(),
                message: Term::atom("urgent"),
                token: None,
                priority: true,
            }),
            priority(to_name(v, "some_name", Term::atom("urgent"), None)),
            to_alias(v, "urgent", None, true),
            exit2(v, Term::atom("urgent"), true),
            exit_to_alias(v, "urgent", true),
            exit_to_alias(v, "plain", false),
        ]
    })
    .since(28),
    scenario("fragments", "fragments", |v, _| {
        let long = tuple!(atom "first", Term::binary(vec![7; 140_000]));
        vec![message_of(v, long), message(v, "second")]
    }),
    scenario("exit2_fragments", "exit2_fragments", |v, _| {
        vec![exit2(v, Term::binary(vec![9; 70_000]), false)]
    })
    .in_forms(&[Form::Cache]),
    scenario("atoms", "atoms", |v, _| {
        vec![
            message_of(v, tuple!(atom "first", atom "second")),
            message_of(v, Term::list(["second", "third", "first"].map(Term::atom))),
            message_of(v, tuple!(atom "self", atom "first", atom "")),
        ]
    }),
    scenario("long_atom", "long_atom", |v, _| {
        vec![message_of(v, tuple!(atom "short", Term::from(&long("€")), Term::from(&long("x"))))]
    }),
    scenario("values", "values", values).in_forms(FEW),
    scenario("down", "dying", |v, _| vec![down(MonitorTarget::Pid(v.pid(0)), "gone")])
        .say(|v| vec![monitor(MonitorTarget::Pid(v.pid(0)), own_reference(9))])
        .then("die_monitored"),
    scenario("down_of_old", "dying", |v, _| vec![down(MonitorTarget::Pid(v.pid(0)), "gone")])
        .say(|v| vec![monitor(MonitorTarget::Pid(v.pid(0)), own_reference(9))])
        .then("die_monitored")
        .without(OLD)
        .in_forms(FEW),
    scenario("down_of_a_name", "dying", |_, _| vec![down(name("ct_dying"), "gone")])
        .say(|_| vec![monitor(name("ct_dying"), own_reference(9))])
        .then("die_monitored"),
    scenario("exit_of_the_other", "dying", |v, _| {
        vec![Signal::Exit { from: v.pid(0), to: own(), reason: Term::atom("gone"), token: None }]
    })
    .say(|v| vec![Signal::Link { from: own(), to: v.pid(0) }])
    .then("die_linked"),
    scenario("noproc", "nothing", |_, _| {
        vec![
            down(name("nobody"), "noproc"),
            Signal::Exit { from: nobody(), to: own(), reason: Term::atom("noproc"), token: None },
        ]
    })
    .say(|_| vec![monitor(name("nobody"), own_reference(9)), Signal::Link { from: own(), to: nobody() }]),
    scenario("unlink_ack", "dying", |v, _| {
        let id = NonZeroU64::new(5).expect("not 0");
        vec![Signal::UnlinkAck { id, from: v.pid(0), to: own() }]
    })
    .since(25)
    .say(|v| {
        let (from, to, id) = (own(), v.pid(0), NonZeroU64::new(5));
        vec![Signal::Link { from: from.clone(), to: to.clone() }, Signal::Unlink { id, from, to }]
    }),
    scenario("spawn_reply", "nothing", |v, _| vec![reply(SpawnReplyFlags::NONE, Ok(v.pid(0)), None)])
        .say(|_| vec![ask_to_spawn(SpawnOptions::default(), None)])
        .then("started"),
    scenario("spawn_reply_with_both", "nothing", |v, _| {
        vec![reply(SpawnReplyFlags::LINK.with(SpawnReplyFlags::MONITOR), Ok(v.pid(0)), None)]
    })
    .say(|_| {
        let monitor = Some(MonitorOptions::default());
        vec![ask_to_spawn(SpawnOptions { link: true, monitor, ..Default::default() }, None)]
    })
    .then("started"),
    scenario("spawn_reply_badopt", "nothing", |_, _| vec![refused(None)]).say(|_| {
        let unknown = vec![Term::atom("reply")];
        vec![ask_to_spawn(SpawnOptions { unknown, ..Default::default() }, None)]
    }),
    scenario("spawn_reply_traced", "nothing", |_, heard| {
        // The token's serials and its sender are the node's own affair.
        let token = match heard {
            [Signal::SpawnReply { token: Some(token), .. }] => token.clone(),
            other => panic!("a reply with a token: {other:?}"),
        };
        assert_eq!(token.label(), Some(&Term::from(17)));
        vec![refused(Some(token))]
    })
    .say(|_| {
        let unknown = vec![Term::atom("reply")];
        let token = SeqToken::new(tuple!(1, 17, 3, own(), 2));
        vec![ask_to_spawn(SpawnOptions { unknown, ..Default::default() }, Some(token))]
    }),
];

/// The longest atom of this character.
fn long(character: &str) -> Atom {
    Atom::from(character.repeat(255).as_str())
}

fn message(values: &Values, word: &'static str) -> Signal {
    message_of(values, Term::atom(word))
}

fn message_of(values: &Values, message: Term) -> Signal {
    Signal::Send { from: Some(values.pid(0)), to: own(), message, token: None, priority: false }
}

fn nameless(word: &'static str, token: Option<SeqToken>) -> Signal {
    Signal::Send { from: None, to: own(), message: Term::atom(word), token, priority: false }
}

fn to_name(values: &Values, to: &'static str, message: Term, token: Option<SeqToken>) -> Signal {
    let (from, to) = (values.pid(0), Atom::from_static(to));
    Signal::RegSend { from, to, message, token, priority: false }
}

fn to_alias(values: &Values, word: &'static str, token: Option<SeqToken>, priority: bool) -> Signal {
    Signal::AliasSend { from: values.pid(0), to: own_alias(), message: Term::atom(word), token, priority }
}

fn priority(mut signal: Signal) -> Signal {
    if let Signal::Send { priority, .. } | Signal::RegSend { priority, .. } = &mut signal {
        *priority = true;
    }
    signal
}

fn links(values: &Values, heard: &[Signal]) -> Vec<Signal> {
    // Ids are the sender's choice; without the flag there is none.
    let Some(Signal::Unlink { id, .. }) = heard.last() else { panic!("an unlink: {heard:?}") };
    let (from, to) = (values.pid(0), own());
    vec![Signal::Link { from: from.clone(), to: to.clone() }, Signal::Unlink { id: *id, from, to }]
}

fn linked_and_ended(values: &Values, token: Option<SeqToken>) -> Vec<Signal> {
    let (from, to) = (values.pid(0), own());
    vec![
        Signal::Link { from: from.clone(), to: to.clone() },
        Signal::Exit { from, to, reason: Term::atom("boom"), token },
    ]
}

fn exit2(values: &Values, reason: Term, priority: bool) -> Signal {
    Signal::Exit2 { from: values.pid(0), to: SignalTarget::Pid(own()), reason, token: None, priority }
}

fn exit_to_alias(values: &Values, reason: &'static str, priority: bool) -> Signal {
    let (from, to) = (values.pid(0), SignalTarget::Alias(own_alias()));
    Signal::Exit2 { from, to, reason: Term::atom(reason), token: None, priority }
}

fn monitors(values: &Values, _: &[Signal]) -> Vec<Signal> {
    let pid = || (values.pid(0), MonitorTarget::Pid(own()), values.reference(1));
    let by_name = || (values.pid(0), name("nm"), values.reference(2));
    let monitor = |(from, to, reference)| Signal::Monitor { from, to, reference };
    let demonitor = |(from, to, reference)| Signal::Demonitor { from, to, reference };
    vec![monitor(pid()), demonitor(pid()), monitor(by_name()), demonitor(by_name())]
}

fn name(name: &'static str) -> MonitorTarget {
    MonitorTarget::Name(Atom::from_static(name))
}

fn monitor(to: MonitorTarget, reference: Reference) -> Signal {
    Signal::Monitor { from: own(), to, reference }
}

fn down(from: MonitorTarget, reason: &'static str) -> Signal {
    let (reference, reason) = (own_reference(9), Term::atom(reason));
    Signal::MonitorExit { from, sender: None, to: own(), reference, reason }
}

/// A process of the peer that is not there.
fn nobody() -> Pid {
    Pid::new(PEER, 9999, 9, 1)
}

fn spawn_request(
    values: &Values,
    function: &'static str,
    options: SpawnOptions,
    args: Term,
    token: Option<SeqToken>,
) -> Signal {
    let Term::List(list) = &args else { panic!("arguments are a list") };
    let mfa = mfa("m", function, list.len());
    let request = SpawnRequest {
        request_id: values.reference(2),
        from: values.pid(0),
        group_leader: values.pid(1),
        mfa,
        options: Ok(options),
        token,
    };
    Signal::SpawnRequest { request: Box::new(request), args }
}

fn mfa(module: &'static str, function: &'static str, arity: usize) -> Mfa {
    let (module, function) = (Atom::from_static(module), Atom::from_static(function));
    Mfa { module, function, arity: i64::try_from(arity).expect("few") }
}

fn ask_to_spawn(options: SpawnOptions, token: Option<SeqToken>) -> Signal {
    let request = SpawnRequest {
        request_id: own_reference(9),
        from: own(),
        group_leader: own(),
        mfa: mfa("ct_frames", "started", 1),
        options: Ok(options),
        token,
    };
    Signal::SpawnRequest { request: Box::new(request), args: Term::list(vec![Term::atom("ct_started")]) }
}

fn reply(flags: SpawnReplyFlags, result: Result<Pid, Atom>, token: Option<SeqToken>) -> Signal {
    Signal::SpawnReply { request_id: own_reference(9), to: own(), flags, result, token }
}

fn refused(token: Option<SeqToken>) -> Signal {
    reply(SpawnReplyFlags::NONE, Err(Atom::from_static("badopt")), token)
}

fn token(values: &Values, serial: i64, last: i64) -> Option<SeqToken> {
    Some(SeqToken::new(tuple!(1, 17, serial, values.pid(0), last)))
}

fn traced(values: &Values) -> Vec<Signal> {
    let send = Signal::Send {
        from: Some(values.pid(0)),
        to: own(),
        message: Term::atom("traced"),
        token: token(values, 1, 0),
        priority: false,
    };
    let options = SpawnOptions::default();
    vec![
        send,
        to_name(values, "tr_name", Term::atom("traced_reg"), token(values, 2, 0)),
        // A request counts twice.
        spawn_request(values, "g", options, Term::NIL, token(values, 4, 0)),
    ]
}

fn values(values: &Values, heard: &[Signal]) -> Vec<Signal> {
    let [Signal::Send { message, .. }] = heard else { panic!("a message: {heard:?}") };
    let Some(Term::Reference(made)) = message.as_list().and_then(|list| list.last()) else {
        panic!("a reference at the end of {message}")
    };
    let map: Map = [(Term::atom("key"), Term::atom("value"))].into_iter().collect();
    let list = vec![
        1.into(),
        Term::from(-1),
        (1_i64 << 40).into(),
        Float::new(1.5).expect("finite").into(),
        Term::binary("binary"),
        etf::BitString::new(&[0b1010_0000], 3).expect("three bits").into(),
        Term::list(b"text".map(Term::from)),
        Term::list_with_tail(vec![Term::atom("a")], Term::atom("b")),
        Term::Map(map),
        Term::export("lists", "map", 2),
        Term::from(made),
    ];
    vec![message_of(values, Term::list(list))]
}
