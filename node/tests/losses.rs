//! Two nodes over a wire in memory that is lost at every byte, in virtual time: links, monitors and `nodedown` come
//! once, messages once or not at all, and nothing of it is kept. Alone in its program, whose allocations are counted.

mod support;

use std::{
    alloc::System,
    sync::{Arc, Mutex},
    time::Duration,
};

use crabnode::{Atom, Context, Message, Monitored, Node, NodeConfig, NodeEvent, Pid, Term, tuple};
use dist::Outbound;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::{
    config,
    lossy::{Kind, Loss, Wire},
    run,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a process has received.
type Log = Arc<Mutex<Vec<Message>>>;

/// A node that connects, a node that is connected to, and the wire.
struct World {
    wire: Wire,
    nodes: [Node; 2],
    /// How many processes each has by itself.
    processes: [usize; 2],
}

impl World {
    async fn start() -> Self {
        let wire = Wire::default();
        let start = async |alive: &str| {
            let config = NodeConfig {
                carrier: Arc::new(wire.clone()),
                start_epmd: false,
                hidden: true,
                ..config(alive, 1)
            };
            Node::start(config).await.expect("the node starts")
        };
        // The last to start is the one that the wire leads to.
        let nodes = [start("a").await, start("b").await];
        let processes = nodes.each_ref().map(|node| node.processes().len());
        Self { wire, nodes, processes }
    }

    /// Has the two talk, and gives what each has heard when nothing moves any more, and how many bytes each side has
    /// written by then.
    async fn talk(&self, loss: Option<Loss>, long: usize) -> ([Vec<Message>; 2], [usize; 2]) {
        self.wire.renew(loss);
        let logs: [Log; 2] = Default::default();
        let told = self.told(logs[1].clone());
        let name = Atom::from("told");
        let node = self.nodes[1].name().clone();
        let log = logs[0].clone();
        let to = told.clone();
        let teller = self.nodes[0].spawn(async move |mut context: Context| {
            context.trap_exit(true);
            context.monitor_nodes(true);
            context.link(&to);
            context.monitor(&to);
            context.monitor(crabnode::Dest::NameAt(name, node));
            for message in messages(context.pid(), long) {
                context.send(&to, message).await;
            }
            listen(&mut context, &log).await;
        });
        // Some ticks; and then longer than a loss can stay unseen. The time goes on when nothing else can.
        let ticks = Duration::from_secs(100);
        tokio::time::sleep(if loss.is_some() { 2 * ticks } else { ticks }).await;
        let heard = logs.map(|log| std::mem::take(&mut *log.lock().unwrap()));
        let written = self.wire.written();
        for (node, process) in self.nodes.iter().zip([teller, told]) {
            run(node, async move |context| context.send_now(&process, Term::atom("stop"))).await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        (heard, written)
    }

    /// A process that is told things, monitors who greets it, and has a name.
    fn told(&self, log: Log) -> Pid {
        self.nodes[1].spawn(async move |mut context: Context| {
            context.trap_exit(true);
            context.monitor_nodes(true);
            context.register("told").expect("the one before is gone");
            listen(&mut context, &log).await;
        })
    }

    /// How many bytes each side writes where nothing is lost.
    async fn record(&self, long: usize) -> [usize; 2] {
        let ([teller, told], written) = self.talk(None, long).await;
        assert!(matches!(teller[..], [Message::Node(NodeEvent::Up { .. })]), "{teller:?}");
        assert_eq!(told.iter().filter_map(Message::as_term).count(), 6);
        assert!(self.nodes[0].disconnect(self.nodes[1].name()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.assert_as_before("nothing is lost");
        written
    }

    async fn lose(&self, loss: Loss, long: usize) {
        let what = format!("{loss:?}");
        let (heard, _) = self.talk(Some(loss), long).await;
        assert_heard(&heard, long, loss.kind, &what);
        self.assert_as_before(&what);
    }

    fn assert_as_before(&self, what: &str) {
        assert_eq!(self.nodes.each_ref().map(|node| node.processes().len()), self.processes, "{what}");
        assert!(self.nodes.iter().all(|node| node.links().is_empty()), "{what}");
    }
}

/// What is said, in this order.
fn messages(from: &Pid, long: usize) -> Vec<Term> {
    let mut messages = vec![tuple!(atom "hello", from)];
    messages.extend((0..3).map(Term::from));
    messages.push(Term::binary(vec![7; long]));
    messages.push(Term::atom("last"));
    messages
}

/// Writes down what comes, until told to stop.
async fn listen(context: &mut Context, log: &Log) {
    loop {
        let message = context.receive().await;
        match message.as_term().map(|term| (term, term.as_tuple())) {
            Some((term, _)) if term.is_atom("stop") => return,
            Some((_, Some([_hello, Term::Pid(from)]))) => drop(context.monitor(from)),
            _ => {}
        }
        log.lock().unwrap().push(message);
    }
}

fn is_noconnection(message: &Message) -> bool {
    match message {
        Message::Exit { reason, .. } | Message::Down { reason, .. } => reason.is_atom("noconnection"),
        Message::Term(_) | Message::SpawnReply { .. } | Message::Node(_) => false,
    }
}

/// What each heard is what there must be, once, and in its place.
fn assert_heard(heard: &[Vec<Message>; 2], long: usize, kind: Kind, what: &str) {
    let [teller, told] = heard;
    let place = |log: &[Message], is: &dyn Fn(&Message) -> bool| {
        let places: Vec<_> = log.iter().enumerate().filter(|(_, m)| is(m)).map(|(at, _)| at).collect();
        assert!(places.len() <= 1, "{what}: twice in {log:?}");
        places.first().copied()
    };
    let up = |message: &Message| matches!(message, Message::Node(NodeEvent::Up { .. }));
    let down = |message: &Message| matches!(message, Message::Node(NodeEvent::Down { .. }));
    let exit = |message: &Message| matches!(message, Message::Exit { .. }) && is_noconnection(message);
    for log in heard {
        let (up, down) = (place(log, &up), place(log, &down));
        assert_eq!(up.is_some(), down.is_some(), "{what}: {log:?}");
        assert!(up.is_none_or(|at| at == 0), "{what}: nodeup first: {log:?}");
        // A monitor that is set afterwards fires at once.
        let is_late = |message: &Message| matches!(message, Message::Down { .. }) && is_noconnection(message);
        let after = down.map_or(&[][..], |at| &log[at + 1..]);
        assert!(after.iter().all(is_late), "{what}: nodedown last: {log:?}");
        for message in log {
            if let Message::Node(NodeEvent::Down { reason, .. }) = message {
                let expected = if kind == Kind::Silent { "net_tick_timeout" } else { "connection_closed" };
                let closed = reason.is_atom("connection_closed");
                assert!(reason.is_atom(expected) || closed, "{what}: {reason}");
            }
        }
    }
    // Its link and both monitors have fired, and there is nothing else.
    assert!(place(teller, &exit).is_some(), "{what}: {teller:?}");
    for by_name in [false, true] {
        let fired = |message: &Message| {
            matches!(message, Message::Down { item, .. } if matches!(item, Monitored::Name(..)) == by_name)
                && is_noconnection(message)
        };
        assert!(place(teller, &fired).is_some(), "{what}: {teller:?}");
    }
    let events = teller.iter().filter(|message| matches!(message, Message::Node(_))).count();
    assert_eq!(teller.len(), 3 + events, "{what}: {teller:?}");
    assert!(teller.last().is_some_and(|last| events == 0 || down(last)), "{what}: {teller:?}");
    // The messages, from the first on.
    let came: Vec<&Term> = told.iter().filter_map(Message::as_term).collect();
    let from = came.first().and_then(|hello| match hello.as_tuple() {
        Some([_, Term::Pid(from)]) => Some(from.clone()),
        _ => None,
    });
    let said = from.as_ref().map(|from| messages(from, long)).unwrap_or_default();
    assert!(came.len() <= said.len(), "{what}: {told:?}");
    assert!(came.iter().zip(&said).all(|(came, said)| *came == said), "{what}: {} came", came.len());
    // What links said before a message that came has come too; who was greeted has set a monitor.
    let linked = place(told, &exit);
    let watched = place(told, &|message| matches!(message, Message::Down { .. }) && is_noconnection(message));
    assert!(from.is_none() || linked.is_some() && watched.is_some(), "{what}: {told:?}");
    assert!(linked < place(told, &down) || linked.is_none(), "{what}: {told:?}");
    let events = told.iter().filter(|message| matches!(message, Message::Node(_))).count();
    let rest = usize::from(linked.is_some()) + usize::from(watched.is_some());
    assert_eq!(told.len(), came.len() + events + rest, "{what}: {told:?}");
}

/// How many bytes are allocated.
fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// One test, because what another allocates meanwhile would count.
#[tokio::test(start_paused = true)]
async fn at_every_byte_everyone_learns_of_it_once_and_nothing_is_kept() {
    let world = World::start().await;
    let short = world.record(SHORT_BYTES).await;
    // The handshake, what is said, and some ticks.
    assert!((600..2_000).contains(&short[0]) && (150..500).contains(&short[1]), "{short:?}");
    let each_byte = |of: usize| (0..=short[of]).map(move |at| (of, at));
    // What is kept for good is there after the first times.
    let (mut times, mut live) = (0, 0);
    for kind in [Kind::Closed, Kind::Reset, Kind::Silent] {
        for (of, at) in each_byte(0).chain(each_byte(1)) {
            world.lose(Loss { of, at, kind }, SHORT_BYTES).await;
            times += 1;
            if times == 500 {
                live = live_bytes();
            }
        }
    }
    let kept = live_bytes().saturating_sub(live);
    assert!(kept < KEPT_BYTES_MAX, "{kept} bytes are kept after {times} connections");

    // In fragments, and lost within each of them, at their ends and between.
    let long = world.record(LONG_BYTES).await;
    assert!(long[0] > LONG_BYTES);
    let within = (short[0]..long[0]).step_by(70_001);
    let ends = (1..=LONG_BYTES / Outbound::FRAGMENT_BYTES)
        .flat_map(|n| (n * Outbound::FRAGMENT_BYTES + short[0] - 200..).step_by(60).take(8));
    for (n, at) in within.chain(ends).filter(|at| *at <= long[0]).enumerate() {
        let kind = [Kind::Closed, Kind::Reset, Kind::Silent][n % 3];
        world.lose(Loss { of: 0, at, kind }, LONG_BYTES).await;
    }
    let kept = live_bytes().saturating_sub(live);
    assert!(kept < KEPT_BYTES_MAX, "{kept} bytes are kept after fragments that were cut");
}

/// A message that goes in one frame, in bytes.
const SHORT_BYTES: usize = 100;

/// One that goes in fragments.
const LONG_BYTES: usize = Outbound::WHOLE_BYTES_MAX + 1;

/// Less than any one of the things that are there once a connection, in bytes: had one been kept each time, there would
/// be thousands of them.
const KEPT_BYTES_MAX: usize = 64 << 10;
