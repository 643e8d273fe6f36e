use etf::tuple;

use super::*;

fn atom(text: &'static str) -> Atom {
    Atom::from_static(text)
}

#[expect(clippy::disallowed_methods, reason = "an origin for virtual time; any will do")]
fn epoch() -> Instant {
    Instant::now()
}

fn id() -> LockId {
    LockId { resource: Term::atom("r"), requester: Term::Int(1) }
}

fn two() -> Vec<Atom> {
    vec![atom("a@h"), atom("b@h")]
}

struct Bench {
    client: Client,
    now: Instant,
}

impl Bench {
    fn new(client: Client) -> Self {
        Self { client, now: epoch() }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.client.poll_output()).collect()
    }

    fn feed(&mut self, input: Input) -> Vec<Output> {
        self.client.handle(self.now, input);
        self.outputs()
    }

    fn probed(&mut self, allowed: bool) -> Vec<Output> {
        assert_eq!(self.outputs(), [Output::Probe(id())]);
        self.feed(Input::Probed { allowed })
    }

    fn answer(
        &mut self,
        outputs: &[Output],
        what: &'static str,
        replies: &[(&'static str, CallResult)],
    ) -> Vec<Output> {
        let [Output::MultiCall { id: call, nodes, request }] = outputs else { panic!("{outputs:?}") };
        assert_eq!(request, &tuple!(Term::atom(what), id().to_term()));
        assert_eq!(nodes, &replies.iter().map(|(node, _)| atom(node)).collect::<Vec<_>>());
        let mut last = Vec::new();
        for (node, result) in replies {
            assert_eq!(last, []);
            last = self.feed(Input::CallReply { id: *call, node: atom(node), result: result.clone() });
        }
        last
    }

    fn wake(&mut self) {
        let at = self.client.poll_timeout().expect("it sleeps");
        assert_eq!(self.feed(Input::Timer), [], "not yet");
        self.now = at;
        self.client.handle(self.now, Input::Timer);
    }
}

fn yes() -> CallResult {
    CallResult::Reply(true.into())
}

fn no() -> CallResult {
    CallResult::Reply(false.into())
}

#[test]
fn a_lock_on_all_nodes_save_those_that_are_down() {
    let mut bench = Bench::new(Client::set_lock(id(), two(), Retries::Times(0), atom("a@h"), 1));
    let outputs = bench.probed(true);
    let outputs = bench.answer(&outputs, "set_lock", &[("a@h", yes()), ("b@h", CallResult::Down)]);
    assert_eq!(outputs, [Output::Done(Outcome::Done)]);
}

#[test]
fn one_refusal_gives_the_others_back() {
    let mut bench = Bench::new(Client::set_lock(id(), two(), Retries::Times(1), atom("c@h"), 1));
    let outputs = bench.probed(false);
    let outputs = bench.answer(&outputs, "set_lock", &[("a@h", no()), ("b@h", yes())]);
    let outputs = bench.answer(&outputs, "del_lock", &[("b@h", yes())]);
    assert_eq!(outputs, []);
    bench.wake();
    let outputs = bench.probed(true);
    let outputs = bench.answer(&outputs, "set_lock", &[("a@h", no()), ("b@h", no())]);
    assert_eq!(outputs, [Output::Done(Outcome::NotLocked)]);
}

#[test]
fn a_refusal_here_asks_nobody_else() {
    let mut bench = Bench::new(Client::set_lock(id(), two(), Retries::Times(0), atom("b@h"), 1));
    assert_eq!(bench.probed(false), [Output::Done(Outcome::NotLocked)]);
    // A single node is asked all the same.
    let client = Client::set_lock(id(), vec![atom("b@h"), atom("b@h")], Retries::Times(0), atom("b@h"), 1);
    let mut bench = Bench::new(client);
    let outputs = bench.probed(false);
    assert_eq!(bench.answer(&outputs, "set_lock", &[("b@h", no())]), [Output::Done(Outcome::NotLocked)]);
}

#[test]
fn waits_grow_and_never_end() {
    let mut bench = Bench::new(Client::set_lock(id(), two(), Retries::Infinity, atom("a@h"), 1));
    for most_ms in [250, 500, 1000, 2000, 4000, 8000, 8000, 8000] {
        assert_eq!(bench.probed(false), []);
        let before = bench.now;
        bench.wake();
        let waited = (bench.now - before).as_millis();
        assert!((1..=most_ms).contains(&waited), "{waited}");
    }
}

#[test]
fn a_transaction_holds_the_lock_while_it_runs() {
    let mut bench = Bench::new(Client::trans(id(), two(), Retries::Times(0), atom("a@h"), 1));
    let outputs = bench.probed(true);
    let outputs = bench.answer(&outputs, "set_lock", &[("a@h", yes()), ("b@h", yes())]);
    assert_eq!(outputs, [Output::Run]);
    let outputs = bench.feed(Input::Ran);
    let outputs = bench.answer(&outputs, "del_lock", &[("a@h", yes()), ("b@h", yes())]);
    assert_eq!(outputs, [Output::Done(Outcome::Done)]);
    let mut bench = Bench::new(Client::trans(id(), two(), Retries::Times(0), atom("a@h"), 1));
    assert_eq!(bench.probed(false), [Output::Done(Outcome::NotLocked)]);
}

#[test]
fn no_nodes_are_locked_at_once() {
    let mut bench = Bench::new(Client::set_lock(id(), Vec::new(), Retries::Times(0), atom("a@h"), 1));
    assert_eq!(bench.probed(true), [Output::Done(Outcome::Done)]);
    let mut bench = Bench::new(Client::del_lock(id(), Vec::new()));
    assert_eq!(bench.outputs(), [Output::Done(Outcome::Done)]);
}
