//! Items 31 to 37, 57 and 64 of wire.md 12: ticks, what happens when a node falls silent or goes, and pressure. Our node
//! is in the test's own process where the test looks at it, and a `crabnode peer` where it is stopped or killed.
#![expect(clippy::print_stdout, reason = "what was measured is shown with `--nocapture`")]

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use crabnode::{
    BusyEvent, Context, LinkInfo, Message, Node, NodeConfig, NodeEvent, Pid, SpawnOptions, Term,
    TicktimeChange, TrySendError, tuple,
};
use interop_tests::{
    Cluster, ErlNode, NodeSpec,
    clock::{now, pause, wait_for},
};
use tokio::runtime::Runtime;

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

/// A node of ours in this process, and a process of it that is registered as `p` and hands out what it receives.
struct Ours {
    runtime: Runtime,
    node: Node,
    received: Receiver<(Instant, Message)>,
    pid: Pid,
}

impl Ours {
    fn start(cluster: &Cluster, name: &str, set: impl FnOnce(&mut NodeConfig)) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let mut config = NodeConfig::new(format!("{name}@localhost"));
        (config.cookie, config.epmd_port) = (Some(cluster.cookie().to_owned()), Some(cluster.epmd_port()));
        config.start_epmd = false;
        set(&mut config);
        let node = runtime.block_on(Node::start(config)).expect("our node starts");
        let (sender, received) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let options = SpawnOptions { name: Some("p".into()), ..SpawnOptions::default() };
        let body = |mut context: Context| async move {
            context.monitor_nodes(true);
            context.trap_exit(true);
            ready.send(()).expect("the test waits");
            loop {
                let message = context.receive().await;
                // `{link, Pid}` links and monitors; all else is handed out.
                match message.as_term().and_then(Term::as_tuple) {
                    Some([verb, Term::Pid(pid)]) if verb.is_atom("link") => {
                        context.link(pid);
                        context.monitor(pid);
                        context.send(pid, Term::atom("linked")).await;
                    }
                    _ if sender.send((now(), message.clone())).is_err() => return,
                    _ => {}
                }
            }
        };
        let pid = node.spawn_with(options, body).expect("the name is free");
        is_ready.recv().expect("it runs");
        Self { runtime, node, received, pid }
    }

    fn connect(&self, erl: &mut ErlNode) {
        self.runtime.block_on(self.node.connect(erl.node())).expect("connects");
        assert!(matches!(self.next(SOON), Message::Node(NodeEvent::Up { .. })));
        // It lists us a moment after it has said its last word of the handshake.
        erl.eval_until(&format!("lists:member('{}', nodes(connected))", self.node.name()), "true", SOON);
    }

    fn next(&self, limit: Duration) -> Message {
        self.next_at(limit).1
    }

    fn next_at(&self, limit: Duration) -> (Instant, Message) {
        self.received.recv_timeout(limit).expect("a message in time")
    }

    /// The reason of the nodedown that comes next, and when it came.
    fn nodedown(&self, limit: Duration) -> (Instant, String) {
        match self.next_at(limit) {
            (at, Message::Node(NodeEvent::Down { reason, .. })) => (at, reason.to_string()),
            (_, other) => panic!("not a nodedown: {other:?}"),
        }
    }

    fn has_nothing(&self, limit: Duration) {
        let next = self.received.recv_timeout(limit);
        assert_eq!(next, Err(RecvTimeoutError::Timeout));
    }

    /// When the last tick came, on a link on which nothing else has come since.
    fn heard(&self, erl: &ErlNode) -> Instant {
        let asked = now();
        asked - self.link(erl).last_tick_received.expect("it has ticked")
    }

    fn link(&self, erl: &ErlNode) -> LinkInfo {
        self.node.link(erl.node()).expect("the link is up")
    }

    /// Starts a process and hands out what it returns.
    fn spawn<T: Send + 'static, Fut: Future<Output = T> + Send + 'static>(
        &self,
        body: impl FnOnce(Context) -> Fut + Send + 'static,
    ) -> Receiver<T> {
        let (sender, receiver) = mpsc::channel();
        self.node.spawn(|context| async move {
            let result = body(context).await;
            // The test may have failed meanwhile.
            let _ = sender.send(result);
        });
        receiver
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

fn erl_args(ticktime: u64, intensity: Option<u32>) -> NodeSpec {
    let mut spec = NodeSpec::args(["-kernel", "net_ticktime", &ticktime.to_string()]);
    if let Some(intensity) = intensity {
        spec.args.extend(["-kernel", "net_tickintensity", &intensity.to_string()].map(str::to_owned));
    }
    spec
}

fn ticktime(seconds: u64) -> impl FnOnce(&mut NodeConfig) {
    move |config| config.net_ticktime = Duration::from_secs(seconds)
}

const TICKTIME: u64 = 4;

/// How much later than it must something may be seen on a machine that is busy with other tests.
const LATE: f64 = 4.0;

/// A node is missed between `from` and `to` seconds after it was heard last. That was not before `heard`, and not after
/// `stopped`, which is when it had been told to stop.
fn assert_in_window(what: &str, heard: Instant, stopped: Instant, missed: Instant, from: f64, to: f64) {
    let (silent, since_stop) = (missed.duration_since(heard), missed.duration_since(stopped));
    println!(
        "{what}: missed {silent:?} after it was heard, {since_stop:?} after it stopped, window {from} to {to} s"
    );
    assert!(silent.as_secs_f64() >= from, "{what}: {silent:?} of silence, and not {from} s");
    assert!(since_stop.as_secs_f64() <= to + LATE, "{what}: {since_stop:?} after it stopped, and not {to} s");
}

/// Ten ticktimes without a word: both ends tick, nobody is missed, and nothing else is said.
#[test]
fn item_31_an_idle_link_survives_ten_ticktimes_hidden_and_visible() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl_with(otp, "e", &erl_args(TICKTIME, None));
        let visible = Ours::start(&cluster, "v", ticktime(TICKTIME));
        let hidden = Ours::start(&cluster, "h", |config| {
            config.hidden = true;
            ticktime(TICKTIME)(config);
        });
        visible.connect(&mut erl);
        hidden.connect(&mut erl);
        says(&mut erl, "global:sync()", "ok");
        erl.eval("net_kernel:monitor_nodes(true, [{node_type, all}])");
        pause(Duration::from_millis(500));
        let before = [&visible, &hidden].map(|ours| ours.link(&erl));
        pause(Duration::from_secs(10 * TICKTIME));
        for (ours, before) in [&visible, &hidden].into_iter().zip(before) {
            ours.has_nothing(Duration::from_millis(1));
            let link = ours.link(&erl);
            assert_eq!(
                (link.sent_messages, link.received_messages),
                (before.sent_messages, before.received_messages),
                "only ticks"
            );
            for ago in [link.last_tick_received, link.last_tick_sent] {
                assert!(ago.is_some_and(|ago| ago.as_secs() < TICKTIME), "{link:?}");
            }
        }
        says(&mut erl, "ct_peer:flush()", "[]");
        says(&mut erl, "{nodes(), nodes(hidden)}", "{[v@localhost],[h@localhost]}");
    });
}

/// Intensities 4 and 50 on both sides: as many ticks as they say, and silence is found as soon as they say. OTP 23
/// has no such parameter and ticks four times.
#[test]
fn item_32_intensities_4_and_50() {
    each_release(|otp| {
        for intensity in [4_u32, 50] {
            let theirs = (otp.number() >= 25).then_some(intensity);
            let cluster = Cluster::new(otp);
            let mut erl = cluster.erl_with(otp, "e", &erl_args(TICKTIME, theirs));
            let ours = Ours::start(&cluster, "r", |config| {
                config.net_tickintensity = intensity;
                ticktime(TICKTIME)(config);
            });
            ours.connect(&mut erl);
            says(&mut erl, "global:sync()", "ok");
            pause(Duration::from_millis(500));
            let (before, began) = (ours.link(&erl), now());
            pause(Duration::from_secs(TICKTIME));
            let (after, took) = (ours.link(&erl), began.elapsed().as_secs_f64());
            assert_eq!(
                (after.sent_messages, after.received_messages),
                (before.sent_messages, before.received_messages),
                "only ticks, of four bytes each"
            );
            let ticks = |bytes: u64| u32::try_from(bytes / 4).map(f64::from).expect("they are few");
            let (sent, received) = (
                ticks(after.sent_bytes - before.sent_bytes),
                ticks(after.received_bytes - before.received_bytes),
            );
            println!("OTP {} intensity {intensity}: {sent} ticks out, {received} in", otp.number());
            for (ticks, intensity) in [(sent, intensity), (received, theirs.unwrap_or(4))] {
                let due = took / 4.0 * f64::from(intensity);
                // Half as many on a machine that is late with timers; a BEAM that looks at fixed times leaves some out.
                assert!((due / 2.0 - 1.0..=due + 2.0).contains(&ticks), "{ticks} of {due}");
            }
            erl.process().signal("STOP");
            let (stopped, heard) = (now(), ours.heard(&erl));
            let (at, reason) = ours.nodedown(Duration::from_secs(15));
            assert_eq!(reason, "net_tick_timeout");
            let i = 4.0 / f64::from(intensity);
            assert_in_window("intensity", heard, stopped, at, 4.0 - i, 4.0 + i);
        }
    });
}

/// A longer ticktime and a shorter one, set here and there one after the other, on a link that stays.
#[test]
fn item_33_the_ticktime_changes_on_a_live_link() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl_with(otp, "e", &erl_args(TICKTIME, None));
        let ours = Ours::start(&cluster, "r", ticktime(TICKTIME));
        ours.connect(&mut erl);
        says(&mut erl, "global:sync()", "ok");
        // Longer: first there, then here.
        let secs = Duration::from_secs;
        says(&mut erl, "net_kernel:set_net_ticktime(12, 5)", "change_initiated");
        pause(secs(2));
        assert_eq!(ours.node.set_net_ticktime(secs(12), secs(5)), Ok(TicktimeChange::Initiated));
        assert_eq!(ours.node.net_ticktime(), (secs(12), true));
        assert_eq!(ours.node.set_net_ticktime(secs(9), secs(5)), Ok(TicktimeChange::OngoingTo(secs(12))));
        let is_done = wait_for(SOON, || (ours.node.net_ticktime() == (secs(12), false)).then_some(()));
        assert!(is_done.is_some(), "{:?}", ours.node.net_ticktime());
        erl.eval_until("net_kernel:get_net_ticktime()", "12", SOON);
        // Shorter: first here, by rpc, then there.
        let rpc = |f: &str, args: &str| format!("rpc:call(r@localhost, net_kernel, {f}, {args})");
        says(&mut erl, &rpc("set_net_ticktime", "[6, 5]"), "change_initiated");
        says(&mut erl, &rpc("set_net_ticktime", "[7, 5]"), "{ongoing_change_to,6}");
        says(&mut erl, &rpc("get_net_ticktime", "[]"), "{ongoing_change_to,6}");
        pause(secs(2));
        says(&mut erl, "net_kernel:set_net_ticktime(6, 5)", "change_initiated");
        erl.eval_until(&rpc("get_net_ticktime", "[]"), "6", SOON);
        says(&mut erl, &rpc("set_net_ticktime", "[6]"), "unchanged");
        erl.eval_until("net_kernel:get_net_ticktime()", "6", SOON);
        pause(secs(15));
        ours.has_nothing(Duration::from_millis(1));
        // The new one is at work.
        erl.process().signal("STOP");
        let (stopped, heard) = (now(), ours.heard(&erl));
        let (at, reason) = ours.nodedown(secs(20));
        assert_eq!(reason, "net_tick_timeout");
        assert_in_window("after a change", heard, stopped, at, 4.5, 7.5);
    });
}

#[test]
fn item_34_a_stopped_node_is_missed_within_an_interval_of_the_ticktime() {
    each_release(|otp| {
        let peer = NodeSpec::args(["--net-ticktime", "4"]);
        let mut pair = Pair::start_with(otp, &erl_args(TICKTIME, None), &peer);
        pair.says("net_adm:ping(R)", "pong");
        pair.says("global:sync()", "ok");
        pair.erl.eval("net_kernel:monitor_nodes(true, [nodedown_reason])");
        let heard = now();
        pair.says("rpc:call(R, erlang, node, [])", "r@localhost");
        pair.peer.process().signal("STOP");
        let stopped = now();
        pair.says(
            "receive Down -> Down after 15000 -> late end",
            "{nodedown,r@localhost,[{nodedown_reason,net_tick_timeout}]}",
        );
        assert_in_window("we stopped", heard, stopped, now(), 3.0, 5.0);

        let ours = Ours::start(&pair.cluster, "o", ticktime(TICKTIME));
        ours.connect(&mut pair.erl);
        pair.says("global:sync()", "ok");
        let heard = now();
        pair.says("rpc:call(o@localhost, erlang, node, [])", "o@localhost");
        pair.erl.process().signal("STOP");
        let stopped = now();
        let (at, reason) = ours.nodedown(Duration::from_secs(15));
        assert_eq!(reason, "net_tick_timeout");
        assert_in_window("the erl stopped", heard, stopped, at, 3.0, 5.0);
    });
}

#[test]
fn item_35_nodeup_comes_first_and_nodedown_last_with_its_reason() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        let ours = Ours::start(&cluster, "r", |_| {});
        erl.eval("net_kernel:monitor_nodes(true, [nodedown_reason]), R = r@localhost");
        let down = |reason: &str| format!("{{nodedown,r@localhost,[{{nodedown_reason,{reason}}}]}}");
        for round in 0..10 {
            // The message makes the connection, and comes after the nodeup.
            erl.eval(&format!("{{p, R}} ! {{hello, {round}}}"));
            let up = ours.next(SOON);
            assert!(matches!(up, Message::Node(NodeEvent::Up { visible: true, .. })), "{up:?}");
            assert_eq!(ours.next(SOON), Message::Term(tuple!(atom "hello", round)));
            says(&mut erl, "receive Up -> Up after 15000 -> late end", "{nodeup,r@localhost,[]}");
            says(&mut erl, "global:sync()", "ok");
            if round % 2 == 0 {
                // Ours closes.
                assert!(ours.node.disconnect(erl.node()));
                assert_eq!(ours.nodedown(SOON).1, "disconnect");
                says(&mut erl, "receive D -> D after 15000 -> late end", &down("connection_closed"));
            } else {
                says(&mut erl, "erlang:disconnect_node(R)", "true");
                assert_eq!(ours.nodedown(SOON).1, "connection_closed");
                says(&mut erl, "receive D -> D after 15000 -> late end", &down("disconnect"));
            }
        }
        // Who has something left to say to the other makes the link anew; then it comes up, and no second time goes down.
        let after = ours.received.recv_timeout(Duration::from_millis(100));
        assert!(
            matches!(after, Err(RecvTimeoutError::Timeout) | Ok((_, Message::Node(NodeEvent::Up { .. })))),
            "{after:?}"
        );
    });
}

#[test]
fn item_36_kill_9_breaks_links_and_monitors_and_nodedown_is_last() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.says("global:sync()", "ok");
        pair.erl.eval(
            "process_flag(trap_exit, true), P = rpc:call(R, erlang, whereis, [echo]), link(P), M = monitor(process, P),
             net_kernel:monitor_nodes(true), rpc:call(R, erlang, is_process_alive, [P])",
        );
        pair.peer.kill9();
        pair.erl.eval_until("element(2, process_info(self(), message_queue_len)) >= 3", "true", SOON);
        let first_two = "lists:sort([receive {'EXIT', P, A} -> {exit, A}; {'DOWN', M, process, P, B} -> {down, B}; {nodedown, _} = N -> N end || _ <- [1, 2]])";
        // In the shell's own environment, where P and M are bound.
        assert_eq!(pair.erl.eval(first_two), "[{down,noconnection},{exit,noconnection}]");
        assert_eq!(pair.erl.eval("receive Last -> Last after 15000 -> late end"), "{nodedown,r@localhost}");

        let ours = Ours::start(&pair.cluster, "o", |_| {});
        ours.connect(&mut pair.erl);
        pair.says("global:sync()", "ok");
        pair.says(
            "spawn(fun() -> {p, o@localhost} ! {link, self()}, receive linked -> {p, o@localhost} ! linked, receive never -> ok end end end), ok",
            "ok",
        );
        assert_eq!(ours.next(SOON), Message::Term(Term::atom("linked")));
        // What `p` has sent before is the link and the monitor: a round trip later they are there.
        pair.says("rpc:call(o@localhost, erlang, node, [])", "o@localhost");
        pair.erl.kill9();
        let no_connection = Term::atom("noconnection");
        let exit = ours.next(SOON);
        assert!(matches!(&exit, Message::Exit { reason, .. } if *reason == no_connection), "{exit:?}");
        let down = ours.next(SOON);
        assert!(matches!(&down, Message::Down { reason, .. } if *reason == no_connection), "{down:?}");
        assert_eq!(ours.nodedown(SOON).1, "connection_closed");
        ours.has_nothing(Duration::from_millis(100));
    });
}

#[test]
fn item_37_disconnect_node_both_ways_and_the_link_comes_back() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        erl.eval("R = r@localhost, register(shell, self())");
        // Hidden: what the BEAM's `global` says to a member 200 ms after it came connects them again where they were
        // disconnected then, as it does between two BEAMs. Ours says such things only to who is connected.
        let ours = Ours::start(&cluster, "r", |config| config.hidden = true);
        for round in 0..5 {
            ours.connect(&mut erl);
            says(&mut erl, "{nodes(connected), erlang:disconnect_node(R)}", "{[r@localhost],true}");
            erl.eval_until("nodes(connected)", "[]", SOON);
            ours.nodedown(SOON);
            assert!(ours.node.nodes_hidden().is_empty());
            says(&mut erl, "net_adm:ping(R)", "pong");
            assert!(matches!(ours.next(SOON), Message::Node(NodeEvent::Up { .. })));
            assert!(ours.node.disconnect(erl.node()));
            ours.nodedown(SOON);
            erl.eval_until("nodes(connected)", "[]", SOON);
            // A message finds its way by itself.
            let pid = ours.pid.clone();
            let sent = ours.spawn(move |context| async move {
                context.send(("shell", "e@localhost"), tuple!(atom "again", round, pid)).await;
            });
            sent.recv_timeout(SOON).expect("it is sent");
            erl.eval(&format!(
                "(fun() -> receive {{again, {round}, P}} -> P ! back after 15000 -> error(late) end end)()"
            ));
            assert!(matches!(ours.next(SOON), Message::Node(NodeEvent::Up { .. })));
            assert_eq!(ours.next(SOON), Message::Term(Term::atom("back")));
            assert!(ours.node.disconnect(erl.node()));
            ours.nodedown(SOON);
            erl.eval_until("nodes(connected)", "[]", SOON);
        }
    });
}

/// Small round trips from one process while another's long message goes over the same link.
async fn ping_until(
    context: &mut Context,
    echo: &Pid,
    mut done: impl FnMut(&Message) -> bool,
) -> Vec<Duration> {
    let mut times = Vec::new();
    loop {
        let began = now();
        context.send(echo, tuple!(context.pid(), atom "small")).await;
        loop {
            let message = context.receive().await;
            if done(&message) {
                return times;
            }
            if message.as_term().is_some_and(|term| term.is_atom("small")) {
                times.push(began.elapsed());
                break;
            }
        }
    }
}

#[test]
fn item_57_long_messages_both_ways_leave_room_for_small_ones() {
    // All bytes, so that nothing shifted or swapped would be taken for right.
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "e");
        let ours = Ours::start(&cluster, "r", |_| {});
        erl.eval(
            "All = list_to_binary(lists:seq(0, 255)),
             Echo = spawn(fun F() -> receive {P, M} -> P ! M, F() end end),
             Far = spawn(fun F() -> receive
                 {P, take, B} -> P ! {took, B =:= binary:copy(All, byte_size(B) div 256), byte_size(B)}, F();
                 {P, give, N} -> P ! {given, binary:copy(All, N)}, F()
             end end), register(shell, self()), {p, r@localhost} ! {Echo, Far}",
        );
        assert!(matches!(ours.next(SOON), Message::Node(NodeEvent::Up { .. })));
        let pids = ours.next(SOON).into_term();
        let Some([Term::Pid(echo), Term::Pid(far)]) = pids.as_tuple() else { panic!("{pids}") };
        for (mega, attempts) in [(1_usize, 1), (64, 5)] {
            let whole = Term::binary((0..=255).cycle().take(mega << 20).collect::<Vec<u8>>());
            for is_out in [true, false] {
                // On a busy machine a process may not get a turn while the long one goes; a message that is not cut
                // lets nobody by however often it is sent: then there is one round trip, as long as it takes.
                let lets_by = (0..attempts).any(|_| {
                    let (times, took) = beside_a_long_message(&ours, echo, far, &whole, is_out);
                    let (count, longest) = (times.len(), times.last().copied().unwrap_or_default());
                    let median = times.get(count / 2).copied().unwrap_or_default();
                    let way = if is_out { "out" } else { "in" };
                    println!(
                        "OTP {}: {mega} MiB {way} in {took:?}; beside it {count} round trips, median {median:?}, longest {longest:?}",
                        otp.number()
                    );
                    count >= 5 && median < took / 4 && longest < Duration::from_secs(2)
                });
                assert!(lets_by || mega == 1, "OTP {}: no small one goes by, is_out: {is_out}", otp.number());
            }
        }
    });
}

/// The small round trips from the shortest to the longest while `whole` goes to `far` or comes from there, and how long that takes.
fn beside_a_long_message(
    ours: &Ours,
    echo: &Pid,
    far: &Pid,
    whole: &Term,
    is_out: bool,
) -> (Vec<Duration>, Duration) {
    let (echo, far, whole) = (echo.clone(), far.clone(), whole.clone());
    let result = ours.spawn(move |mut context| async move {
        let began = now();
        let size = whole.as_binary().expect("a binary").len();
        let (own, expected) = (context.pid().clone(), whole.clone());
        // Another process sends it, in whose name nothing small waits.
        let request = move || match is_out {
            true => tuple!(own, atom "take", whole),
            false => tuple!(own, atom "give", size / 256),
        };
        context.node().spawn(|context: Context| async move { context.send(&far, request()).await });
        let mut answer = None;
        let times = ping_until(&mut context, &echo, |message| {
            let fields = message.as_term().and_then(Term::as_tuple);
            let is_answer = fields.is_some_and(|f| f[0].is_atom("took") || f[0].is_atom("given"));
            if is_answer {
                answer = message.as_term().cloned();
            }
            is_answer
        })
        .await;
        let right = match is_out {
            true => tuple!(atom "took", atom "true", size),
            false => tuple!(atom "given", expected),
        };
        (times, began.elapsed(), answer == Some(right))
    });
    let (mut times, took, is_right) =
        result.recv_timeout(Duration::from_secs(60)).expect("it is done in a minute");
    assert!(is_right, "what went or came is not what was sent");
    times.sort();
    (times, took)
}

/// The slow reader is the `erl`: our sender waits, resumes, and nothing is lost. Then it is our peer: the `erl`'s does.
#[test]
fn item_64_a_slow_reader_makes_the_sender_wait() {
    const COUNT: i64 = 3000;
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        let ours = Ours::start(&pair.cluster, "o", |_| {});
        ours.connect(&mut pair.erl);
        pair.says("global:sync()", "ok");
        pair.erl.eval("register(shell, self())");
        let mut events = ours.node.busy_events();
        pair.erl.process().signal("STOP");
        let (progress, sent) = mpsc::channel();
        ours.spawn(move |context| async move {
            for n in 0..COUNT {
                context.send(("shell", "e@localhost"), tuple!(n, Term::binary(vec![0; 10_000]))).await;
                progress.send(n).expect("the test listens");
            }
        });
        // It waits, and is not only late with the next.
        let mut stuck_at = None;
        let waits = wait_for(Duration::from_secs(20), || {
            while let Ok(n) = sent.recv_timeout(Duration::from_millis(500)) {
                stuck_at = Some(n);
            }
            let link = ours.link(&pair.erl);
            (link.busy_sends >= 1 && link.queued_bytes >= 1 << 20).then_some(link)
        });
        let link = waits.unwrap_or_else(|| panic!("{stuck_at:?}: {:?}", ours.link(&pair.erl)));
        let stuck_at = stuck_at.expect("the first goes at once");
        println!("OTP {}: our sender waits after {stuck_at} messages of 10 kB", otp.number());
        assert!((100..COUNT - 1).contains(&stuck_at), "{stuck_at}");
        assert!(link.queued_bytes < 3 << 20, "{link:?}");
        let busy = ours.runtime.block_on(events.next());
        assert!(matches!(busy, Some(BusyEvent::Busy { .. })), "{busy:?}");
        let refused =
            ours.spawn(
                |context| async move { context.try_send(("shell", "e@localhost"), Term::atom("refused")) },
            );
        let refused = refused.recv_timeout(SOON).expect("no wait");
        assert!(matches!(refused, Err(TrySendError::Busy { .. })), "{refused:?}");
        pair.erl.process().signal("CONT");
        let last = wait_for(Duration::from_secs(20), || sent.try_iter().find(|n| *n == COUNT - 1));
        assert_eq!(last, Some(COUNT - 1), "the sender goes on");
        pair.says(
            "[receive {N, B} when byte_size(B) =:= 10000 -> ok end || N <- lists:seq(0, 2999)], ok",
            "ok",
        );
        pair.says("receive refused -> refused after 100 -> none end", "none");

        pair.peer.process().signal("STOP");
        pair.erl.eval(
            "erlang:system_monitor(self(), [busy_dist_port]),
             Big = binary:copy(<<0>>, 10000),
             Sender = spawn(fun() -> [{sink, R} ! Big || _ <- lists:seq(1, 3000)], shell ! all_sent end)",
        );
        pair.says(
            "receive {monitor, S, busy_dist_port, _} when S =:= Sender -> busy after 10000 -> late end",
            "busy",
        );
        // The system's buffers may still grow, and let it go on for a moment.
        pause(Duration::from_millis(500));
        pair.erl.eval_until("process_info(Sender, status)", "{status,suspended}", SOON);
        pair.says("erlang:send({sink, R}, x, [nosuspend])", "nosuspend");
        pair.peer.process().signal("CONT");
        pair.says("receive all_sent -> ok after 20000 -> late end", "ok");
        // What another process has sent comes in its own time.
        pair.erl.eval("Sum = fun F(Left) when Left =< 0 -> Left; F(Left) -> {sink, R} ! {self(), sync}, receive {sink, N} -> F(Left - N) after 15000 -> {late, Left} end end");
        assert_eq!(pair.erl.eval("Sum(3000)"), "0");
    });
}
