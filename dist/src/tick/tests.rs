use super::*;

/// What one side did: when it sent ticks, and when it gave its peer up.
#[derive(Debug, Default)]
struct Story {
    ticks: Vec<Duration>,
    dead: Option<Duration>,
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[expect(clippy::disallowed_methods, reason = "any instant does: only differences count")]
fn start() -> Instant {
    Instant::now()
}

fn config(ticktime: u64, intensity: u32) -> TickConfig {
    TickConfig::new(Duration::from_secs(ticktime), intensity).unwrap()
}

/// Runs one side for `until`, with a timer that is never late, bytes that come in and bytes that go out.
fn run(ticker: &mut Ticker, start: Instant, until: Duration, received: &[f64], wrote: &[f64]) -> Story {
    let mut story = Story::default();
    let mut events: Vec<(Duration, bool)> = received
        .iter()
        .map(|at| (secs(*at), true))
        .chain(wrote.iter().map(|at| (secs(*at), false)))
        .collect();
    events.sort();
    let mut events = events.into_iter().peekable();
    while let Some(timeout) = ticker.poll_timeout() {
        let timeout = timeout.duration_since(start);
        if let Some((at, is_received)) = events.next_if(|(at, _)| *at <= timeout) {
            let now = start + at;
            if is_received {
                ticker.received(now)
            } else {
                ticker.wrote(now)
            }
            continue;
        }
        if timeout > until {
            return story;
        }
        match ticker.handle_timeout(start + timeout, 0) {
            TickVerdict::Nothing => {}
            TickVerdict::SendTick => story.ticks.push(timeout),
            TickVerdict::Dead => story.dead = Some(timeout),
        }
    }
    story
}

/// Two of us at the ends of an idle connection.
fn run_pair(mut a: Ticker, mut b: Ticker, start: Instant, until: Duration) -> (usize, usize) {
    let (mut from_a, mut from_b) = (0, 0);
    loop {
        let now = a.poll_timeout().unwrap().min(b.poll_timeout().unwrap());
        if now > start + until {
            return (from_a, from_b);
        }
        from_a += usize::from(tick_from(&mut a, &mut b, now));
        from_b += usize::from(tick_from(&mut b, &mut a, now));
    }
}

/// Whether `one` ticks `other`, which hears it at once.
fn tick_from(one: &mut Ticker, other: &mut Ticker, now: Instant) -> bool {
    let is_tick = ticks(one, now);
    if is_tick {
        one.wrote(now);
        other.received(now);
    }
    is_tick
}

fn ticks(ticker: &mut Ticker, now: Instant) -> bool {
    match ticker.handle_timeout(now, 0) {
        TickVerdict::SendTick => true,
        TickVerdict::Nothing => false,
        TickVerdict::Dead => panic!("nobody died"),
    }
}

#[test]
fn a_silent_peer_is_dead_between_t_and_t_plus_i() {
    for (ticktime, intensity) in [(4, 4), (8, 4), (60, 4), (60, 50), (1, 1000)] {
        let (start, config) = (start(), config(ticktime, intensity));
        let mut ticker = Ticker::new(start, config, false);
        let last = 0.7;
        let story = run(&mut ticker, start, secs(1000.0), &[last], &[]);
        let dead = story.dead.expect("dead") - secs(last);
        assert!(dead >= config.ticktime(), "{dead:?}");
        assert!(dead <= config.ticktime() + config.interval(), "{dead:?}");
        assert_eq!(ticker.poll_timeout(), None);
        // The dead stay dead.
        ticker.received(start + secs(2000.0));
        assert_eq!(ticker.handle_timeout(start + secs(2000.0), 0), TickVerdict::Dead);
    }
}

#[test]
fn a_peer_that_speaks_just_in_time_survives() {
    // wire.md 6: T=4, and a peer that sends every 3.5 s survives.
    let start = start();
    let mut ticker = Ticker::new(start, config(4, 4), false);
    let received: Vec<f64> = (1..100).map(|n| 3.5 * f64::from(n)).collect();
    let story = run(&mut ticker, start, secs(340.0), &received, &[]);
    assert_eq!(story.dead, None);
}

#[test]
fn an_idle_connection_is_ticked_every_interval() {
    let start = start();
    let mut ticker = Ticker::new(start, config(60, 4), false);
    let story = run(&mut ticker, start, secs(59.0), &[], &[]);
    assert_eq!(story.ticks, [secs(15.0), secs(30.0), secs(45.0)]);
}

#[test]
fn what_is_written_is_as_good_as_a_tick() {
    let start = start();
    let mut ticker = Ticker::new(start, config(60, 4), false);
    // Something every 10 s, then nothing.
    let story = run(&mut ticker, start, secs(59.0), &[], &[10.0, 20.0, 30.0]);
    assert_eq!(story.ticks, [secs(45.0)]);
}

#[test]
fn the_peer_never_waits_longer_than_an_interval_for_us() {
    let start = start();
    let mut ticker = Ticker::new(start, config(8, 4), false);
    let wrote = [0.1, 1.9, 2.0, 3.99, 4.5, 9.0, 9.1];
    let received: Vec<f64> = (0..20).map(f64::from).collect();
    let story = run(&mut ticker, start, secs(20.0), &received, &wrote);
    let mut said: Vec<Duration> = wrote.iter().copied().map(secs).chain(story.ticks).collect();
    said.sort();
    for pair in said.windows(2) {
        assert!(pair[1] - pair[0] <= secs(2.0), "{said:?}");
    }
}

#[test]
fn bytes_that_wait_are_heard_before_a_tick_would_be() {
    let start = start();
    let mut ticker = Ticker::new(start, config(8, 4), false);
    for at in [2.0, 4.0, 6.0] {
        let now = start + secs(at);
        assert_eq!(ticker.poll_timeout(), Some(now));
        assert_eq!(ticker.handle_timeout(now, 1000), TickVerdict::Nothing);
    }
    // Whether the peer lives does not depend on what waits here.
    assert_eq!(ticker.poll_timeout(), Some(start + secs(8.0)));
    assert_eq!(ticker.handle_timeout(start + secs(8.0), 1000), TickVerdict::Nothing);
    assert_eq!(ticker.handle_timeout(start + secs(8.5), 1000), TickVerdict::Dead);
}

#[test]
fn a_hidden_peer_is_ticked_while_it_says_nothing() {
    let start = start();
    let wrote: Vec<f64> = (0..80).map(|n| f64::from(n) / 10.0).collect();
    // We write all the time: a visible peer needs no tick.
    let mut visible = Ticker::new(start, config(8, 4), false);
    assert_eq!(run(&mut visible, start, secs(7.9), &[], &wrote).ticks, []);
    // A hidden one may be waiting for one to answer.
    let mut hidden = Ticker::new(start, config(8, 4), true);
    assert_eq!(run(&mut hidden, start, secs(7.9), &[], &wrote).ticks, [secs(2.0), secs(4.0), secs(6.0)]);
    // Even while bytes wait.
    let mut hidden = Ticker::new(start, config(8, 4), true);
    assert_eq!(hidden.handle_timeout(start + secs(2.0), 1000), TickVerdict::SendTick);
    // But not if it spoke.
    let mut hidden = Ticker::new(start, config(8, 4), true);
    assert_eq!(run(&mut hidden, start, secs(7.9), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &wrote).ticks, []);
}

#[test]
fn a_hidden_peer_that_only_echoes_ticks_survives() {
    let start = start();
    let mut ticker = Ticker::new(start, config(4, 4), true);
    let until = start + secs(400.0);
    let mut sent = 0;
    loop {
        let now = ticker.poll_timeout().expect("alive");
        if now > until {
            break;
        }
        if ticks(&mut ticker, now) {
            sent += 1;
            ticker.received(now + secs(0.01));
        }
    }
    assert!(sent >= 100, "{sent}");
}

#[test]
fn an_idle_connection_lives_hidden_and_visible() {
    let (start, config) = (start(), config(8, 4));
    for (a_sees_hidden, b_sees_hidden) in [(false, false), (true, true)] {
        let a = Ticker::new(start, config, a_sees_hidden);
        let b = Ticker::new(start + secs(0.3), config, b_sees_hidden);
        let (from_a, from_b) = run_pair(a, b, start, secs(80.0));
        // Ten ticktimes of four intervals each, and no storm of ticks.
        assert!((35..=45).contains(&from_a), "{from_a}");
        assert!((35..=45).contains(&from_b), "{from_b}");
    }
}

#[test]
fn a_node_that_was_stopped_itself_does_not_blame_its_peer() {
    let start = start();
    let mut ticker = Ticker::new(start, config(8, 4), false);
    // Stopped for a minute; the timer is seen before the bytes that came meanwhile.
    let woke = start + secs(60.0);
    assert_eq!(ticker.handle_timeout(woke, 0), TickVerdict::SendTick);
    ticker.received(woke + secs(0.001));
    assert_eq!(ticker.handle_timeout(woke + secs(0.6), 0), TickVerdict::Nothing);
    assert_eq!(ticker.handle_timeout(woke + secs(2.0), 0), TickVerdict::SendTick);
}

#[test]
fn a_timer_that_comes_early_changes_nothing() {
    let start = start();
    let mut ticker = Ticker::new(start, config(8, 4), false);
    for at in [0.0, 0.5, 1.0, 1.999] {
        assert_eq!(ticker.handle_timeout(start + secs(at), 0), TickVerdict::Nothing);
    }
    assert_eq!(ticker.poll_timeout(), Some(start + secs(2.0)));
}

#[test]
fn what_otp_refuses_is_refused() {
    let second = Duration::from_secs(1);
    assert_eq!(TickConfig::new(second, 3), Err(TickConfigError::Intensity(3)));
    assert_eq!(TickConfig::new(second, 1001), Err(TickConfigError::Intensity(1001)));
    let short = Duration::from_millis(999);
    assert_eq!(TickConfig::new(short, 4), Err(TickConfigError::Ticktime(short)));
    let long = TickConfig::TICKTIME_MAX + second;
    assert_eq!(TickConfig::new(long, 4), Err(TickConfigError::Ticktime(long)));
    let default = TickConfig::default();
    assert_eq!((default.ticktime().as_secs(), default.interval().as_secs()), (60, 15));
}

#[test]
fn the_longest_ticktime_is_a_time_that_can_be_told() {
    let start = start();
    let config = TickConfig::new(TickConfig::TICKTIME_MAX, 4).unwrap();
    let ticker = Ticker::new(start, config, false);
    assert_eq!(ticker.poll_timeout(), Some(start + config.interval()));
}

/// Two of us whose nodes are told of a change at different times. Nobody may die of it.
fn change(from: u64, to: u64, transition: f64, told: (f64, f64)) {
    let (start, old) = (start(), config(from, 4));
    let mut tickers = [Ticker::new(start, old, false), Ticker::new(start + secs(0.3), old, false)];
    let mut told = [Some(secs(told.0)), Some(secs(told.1))];
    let until = start + secs(4.0 * (from.max(to) as f64) + transition);
    loop {
        let tick = tickers.iter().map(|ticker| ticker.poll_timeout().unwrap()).min().unwrap();
        let tell = told.iter().flatten().map(|at| start + *at).min();
        let now = tell.map_or(tick, |tell| tick.min(tell));
        if now > until {
            return;
        }
        for n in 0..2 {
            if let Some(at) = told[n].take_if(|at| start + *at <= now) {
                let mut ticktime = Ticktime::new(old);
                let set = ticktime.set(start + at, secs(to as f64), secs(transition));
                assert_eq!(set, Ok(TicktimeChange::Initiated));
                tickers[n].set_ticktime(ticktime);
            }
            let [a, b] = &mut tickers;
            let (one, other) = if n == 0 { (a, b) } else { (b, a) };
            tick_from(one, other, now);
        }
    }
}

#[test]
fn a_change_of_the_ticktime_kills_nobody() {
    for (from, to) in [(60, 8), (8, 60), (4, 5), (120, 4)] {
        // Told at once, and one of them just before the other's transition is over.
        change(from, to, 60.0, (10.0, 10.0));
        change(from, to, 60.0, (10.0, 69.0));
        change(from, to, 60.0, (69.0, 10.0));
    }
}

#[test]
fn during_a_change_we_tick_as_the_shorter_and_wait_as_the_longer() {
    for (from, to) in [(60, 8), (8, 60)] {
        let start = start();
        let mut ticktime = Ticktime::new(config(from, 4));
        assert_eq!(ticktime.set(start, secs(to as f64), secs(50.0)), Ok(TicktimeChange::Initiated));
        let mut ticker = Ticker::new(start, config(from, 4), false);
        ticker.set_ticktime(ticktime);
        let story = run(&mut ticker, start, secs(49.0), &[], &[]);
        assert_eq!(story.dead, None);
        assert_eq!(story.ticks.first(), Some(&secs(2.0)));
        assert_eq!(story.ticks.len(), 24, "each 2 s for 49 s");
        let story = run(&mut ticker, start, secs(1000.0), &[], &[]);
        let dead = story.dead.expect("dead");
        let window = if to == 8 { 50.0..=52.0 } else { 60.0..=75.0 };
        assert!(window.contains(&dead.as_secs_f64()), "{from} to {to}: {dead:?}");
    }
}

#[test]
fn one_change_at_a_time() {
    let start = start();
    let mut ticktime = Ticktime::new(config(60, 4));
    let minute = secs(60.0);
    assert_eq!(ticktime.set(start, minute, minute), Ok(TicktimeChange::Unchanged));
    assert_eq!(ticktime.ongoing(start), None);
    assert_eq!(ticktime.set(start, secs(8.0), minute), Ok(TicktimeChange::Initiated));
    assert_eq!((ticktime.ticktime(), ticktime.ongoing(start)), (secs(8.0), Some(secs(8.0))));
    assert_eq!(ticktime.set(start, secs(9.0), minute), Ok(TicktimeChange::OngoingTo(secs(8.0))));
    assert_eq!(ticktime.ongoing(start + minute), None);
    assert_eq!(ticktime.set(start + minute, secs(9.0), Duration::MAX), Ok(TicktimeChange::Initiated));
    let zero = Err(TickConfigError::Ticktime(Duration::ZERO));
    assert_eq!(ticktime.set(start, Duration::ZERO, minute), zero);
}

#[test]
fn without_a_transition_a_change_is_at_once() {
    let start = start();
    let mut ticktime = Ticktime::new(config(60, 4));
    assert_eq!(ticktime.set(start, secs(8.0), Duration::ZERO), Ok(TicktimeChange::Initiated));
    let mut ticker = Ticker::new(start, config(60, 4), false);
    ticker.set_ticktime(ticktime);
    let dead = run(&mut ticker, start, secs(100.0), &[], &[]).dead.expect("dead");
    assert!((8.0..=10.0).contains(&dead.as_secs_f64()), "{dead:?}");
}
