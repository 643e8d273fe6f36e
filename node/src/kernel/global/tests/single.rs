//! One engine, event by event.

use std::time::{Duration, Instant};

use etf::{Atom, Pid, Term, tuple};

use super::{
    super::{
        api::{Address, CallResult, Config, Input, Output, QuestionId, Role, Warning},
        engine::Engine,
        wire::Cast,
    },
    sim::epoch,
};

pub(super) struct Single {
    pub(super) engine: Engine,
    pub(super) now: Instant,
}

pub(super) fn atom(text: &'static str) -> Atom {
    Atom::from_static(text)
}

/// Any process of a node; 10, 11 and 12 are its name server, locker and registrar.
pub(super) fn pid(node: &'static str, id: u32) -> Pid {
    Pid::new(atom(node), id, 0, 1)
}

pub(super) fn exit_method() -> Term {
    Term::export("global", "random_exit_name", 3)
}

pub(super) fn config(node: &'static str) -> Config {
    let config = Config::new(atom(node), pid(node, 10), pid(node, 11), pid(node, 12));
    // What another has lost is left out at once here, so that what follows from an event is its outputs.
    Config { loss_grace: Duration::ZERO, ..config }
}

/// A cast as it is sent: `{'$gen_cast', M}`.
pub(super) fn cast(from: Role, node: &'static str, message: Term) -> Output {
    Output::Send {
        from,
        to: Address::NameServer(atom(node)),
        connect: false,
        term: tuple!(atom "$gen_cast", message),
    }
}

pub(super) fn info(node: &'static str, message: Term) -> Output {
    Output::Send {
        from: Role::NameServer,
        to: Address::NameServer(atom(node)),
        connect: false,
        term: message,
    }
}

pub(super) fn init_connect(vsn: u32, tag: i64, node: &'static str) -> Input {
    Input::Cast(tuple!(
        atom "init_connect",
        tuple!(vsn, tag),
        atom(node),
        tuple!(atom "locker", atom "no_longer_a_pid", Term::NIL, pid(node, 11))
    ))
}

impl Single {
    pub(super) fn new(node: &'static str) -> Self {
        Self::of(config(node))
    }

    pub(super) fn of(config: Config) -> Self {
        Self { engine: Engine::new(config), now: epoch() }
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<Output> {
        self.engine.handle(self.now, input).unwrap();
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    /// Lets the next timer come, and says after how many milliseconds. Not that of an acknowledgement, which others look at.
    pub(super) fn fire(&mut self) -> (u128, Vec<Output>) {
        let start = self.now;
        loop {
            self.now = self.engine.poll_timeout().expect("a timer runs");
            let is_ack_due = self.engine.acks.wake() == Some(self.now);
            let mut outputs = self.feed(Input::Timer);
            outputs.retain(|output| !is_acknowledgement(output));
            if !outputs.is_empty() || !is_ack_due {
                return ((self.now - start).as_millis(), outputs);
            }
        }
    }

    pub(super) fn pass(&mut self, ms: u64) -> Vec<Output> {
        self.now += Duration::from_millis(ms);
        self.feed(Input::Timer)
    }

    pub(super) fn up(&mut self, node: &'static str) -> Vec<Output> {
        self.feed(Input::NodeUp { node: atom(node) })
    }

    pub(super) fn down(&mut self, node: &'static str) -> Vec<Output> {
        self.feed(Input::NodeDown { node: atom(node) })
    }

    pub(super) fn cast(&mut self, message: Term) -> Vec<Output> {
        self.feed(Input::Cast(message))
    }

    pub(super) fn info(&mut self, message: Term) -> Vec<Output> {
        self.feed(Input::Info(message))
    }

    /// A call, and its reply.
    pub(super) fn call(&mut self, from: &Pid, request: Term) -> Option<Term> {
        let tag = Term::Int(77);
        let outputs = self.feed(Input::Call { from: from.clone(), tag: tag.clone(), request });
        outputs.into_iter().find_map(|output| match output {
            Output::Reply { to, tag: t, term } if &to == from && t == tag => Some(term),
            _ => None,
        })
    }

    /// Answers each node of a call, which must be the only one among the outputs, in the given way.
    pub(super) fn answer(
        &mut self,
        outputs: &[Output],
        request: &Term,
        nodes: &[&'static str],
        reply: impl Fn(&Atom) -> CallResult,
    ) -> Vec<Output> {
        let (id, asked) = only_call(outputs, request);
        assert_eq!(asked, nodes.iter().map(|n| atom(n)).collect::<Vec<_>>());
        let mut last = Vec::new();
        for node in asked {
            assert_eq!(last, [], "nothing before the last answer");
            let result = reply(&node);
            last = self.feed(Input::CallReply { id, node, result });
        }
        last
    }

    pub(super) fn answer_true(
        &mut self,
        outputs: &[Output],
        request: &Term,
        nodes: &[&'static str],
    ) -> Vec<Output> {
        self.answer(outputs, request, nodes, |_| CallResult::Reply(true.into()))
    }

    /// The tag of the session with a node.
    pub(super) fn tag(&self, node: &'static str) -> Term {
        let session = self.engine.sessions.get(&atom(node)).expect("a session");
        let cast = Cast::Exchange { node: atom("x"), names: Vec::new(), tag: session.my_tag.clone() };
        cast.to_term(8).as_tuple().unwrap()[4].clone()
    }

    pub(super) fn known(&self) -> Vec<&str> {
        self.engine.known().map(Atom::as_str).collect()
    }
}

fn is_acknowledgement(output: &Output) -> bool {
    let Output::Send { term, .. } = output else { return false };
    matches!(term.as_tuple(), Some([tag, ..]) if tag.is_atom("init_connect_ack"))
}

fn only_call(outputs: &[Output], wanted: &Term) -> (QuestionId, Vec<Atom>) {
    let calls: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::MultiCall { id, nodes, request, .. } => Some((*id, nodes.clone(), request)),
            _ => None,
        })
        .collect();
    let [(id, nodes, request)] = calls.as_slice() else { panic!("one call wanted: {outputs:?}") };
    assert_eq!(*request, wanted);
    (*id, nodes.clone())
}

pub(super) fn warnings(outputs: &[Output]) -> Vec<&Warning> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Warn(warning) = output { Some(warning) } else { None })
        .collect()
}
