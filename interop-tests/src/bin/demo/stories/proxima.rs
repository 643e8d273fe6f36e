//! proxima: two nodes, `[a, b]`, and a state that moves with the application.
//!
//! What a takeover brings along must come from the old owner, if that answers, and what a failover finds from the file:
//! so the file is removed before such a takeover, and whole again with the next key that is put.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use etf::{Map, Term, tuple};
use interop_tests::clock::{pause, wait_for};

use crate::{
    application::Application,
    member::Kind,
    stage::{Stage, named},
};

const A: usize = 0;
const B: usize = 1;
const BOTH: [usize; 2] = [A, B];

/// As the kernel configs have it, in the folder where the nodes run.
const STATE_FILE: &str = "proxima.state";

/// Often enough that several are on their way in each takeover.
const PUT_EVERY: Duration = Duration::from_millis(1);

pub(super) fn tell(stage: &mut Stage<'_>) -> Result<String, String> {
    let mut state = Map::new();
    named("start together", start_together(stage))?;
    named("start the application on both", start_application(stage, &mut state))?;
    named("b takes over on request", take_over_on_request(stage, B, &mut state))?;
    named("a takes over on request", take_over_on_request(stage, A, &mut state))?;
    named("b takes over from a that is silent", take_over_from_silent(stage, &mut state))?;
    named("takeovers while others write", take_over_while_written(stage, &mut state))?;
    let stopped = stage.stop_node(A)?;
    let stop = named("failover after a stop", fail_over(stage, stopped, &mut state))?;
    named("a takes over when it returns", come_back(stage, &mut state))?;
    let killed = stage.kill(A)?;
    let kill = named("failover after a SIGKILL", fail_over(stage, killed, &mut state))?;
    named("a takes over when it returns again", come_back(stage, &mut state))?;
    Ok(format!(
        "b answered {stop:.3} s after the stop and {kill:.3} s after the SIGKILL, and nothing was lost"
    ))
}

fn start_together(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.start(A, false);
    stage.start(B, false);
    stage.timeline.event("a and b are started");
    stage.wait_until_unlocked(&BOTH)
}

fn start_application(stage: &mut Stage<'_>, state: &mut Map) -> Result<(), String> {
    stage.start_application(&BOTH)?;
    must_have_gone(stage, A, "normal")?;
    put(stage, state, A)
}

/// `application:takeover(proxima, permanent)`.
fn take_over_on_request(stage: &mut Stage<'_>, to: usize, state: &mut Map) -> Result<(), String> {
    let from = BOTH[usize::from(to == A)];
    forget_file(stage)?;
    stage.timeline.event(&format!("application:takeover(proxima, permanent) on {}", stage.name(to)));
    let taken = stage.controller.take_over(&stage.node(to), &stage.application.atom(), "permanent");
    taken.map_err(|reason| reason.to_string())?;
    has_taken_over(stage, from, to, state)
}

/// The server of a is there and does not answer: where b is of ours a runs on with what it knows; where b is a stock node
/// a is stopped, whatever b's start comes to, and b makes do with the file.
fn take_over_from_silent(stage: &mut Stage<'_>, state: &mut Map) -> Result<(), String> {
    let (old, new, server) = (stage.node(A), stage.node(B), Term::atom("proxima"));
    set_handover_limit(stage, 300)?;
    stage.controller.must_be_ok(&old, "sys", "suspend", vec![server.clone()])?;
    stage.timeline.event("the server of a is suspended, and b is asked to take over");
    // A permanent application that does not start would take b down.
    let taken = stage.controller.take_over(&new, &stage.application.atom(), "temporary");
    set_handover_limit(stage, 5000)?;
    match (stage.members[B].kind, taken) {
        (Kind::Beam, Ok(())) => {
            stage.wait_until_runs_on(B, &BOTH)?;
            stage.timeline.event("b has taken over without an answer");
            expect_state(stage, &BOTH, B, state)?;
            take_over_on_request(stage, A, state)
        }
        (Kind::Rust, Err(reason)) if reason.to_string().contains("no_handover") => {
            stage.controller.must_be_ok(&old, "sys", "resume", vec![server])?;
            stage.wait_until_runs_on(A, &BOTH)?;
            stage.timeline.event("b does not start without an answer; a is resumed, and runs it");
            expect_state(stage, &BOTH, A, state)?;
            put(stage, state, A)
        }
        (_, taken) => Err(format!("the takeover ends with {taken:?}")),
    }
}

/// While b puts one key after the other the application moves there and back: what was answered is there afterwards.
fn take_over_while_written(stage: &mut Stage<'_>, state: &mut Map) -> Result<(), String> {
    let (seen, moves_over) = (&*stage, AtomicBool::new(false));
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = Vec::new();
            for nth in 0_u64.. {
                let key = tuple!(atom "meanwhile", nth);
                // A call may fail: its server stops before it has answered, or nobody has the name. Then it may be there
                // or not.
                if seen
                    .call_from(B, &tuple!(atom "put", key.clone(), nth))
                    .is_ok_and(|reply| reply.is_atom("ok"))
                {
                    written.push(key);
                }
                if moves_over.load(Ordering::Relaxed) {
                    break;
                }
                pause(PUT_EVERY);
            }
            written
        });
        let moved = [B, A, B, A].into_iter().try_for_each(|to| move_to(seen, to));
        moves_over.store(true, Ordering::Relaxed);
        let written = writer.join().map_err(|_| "the writer has panicked".to_owned())?;
        moved.map(|()| written)
    })?;
    let answer = stage.call_from(B, &Term::atom("get_state"))?;
    let found = answer.as_map().ok_or_else(|| format!("the state is {answer}"))?.clone();
    let before = state.iter().map(|(key, _)| key);
    if let Some(lost) = before.chain(&written).find(|key| found.get(key).is_none()) {
        return Err(format!("of {} keys {lost} is lost", state.len() + written.len()));
    }
    stage.timeline.event(&format!("4 takeovers while {} keys were put, and none is lost", written.len()));
    *state = found;
    Ok(())
}

fn move_to(stage: &Stage<'_>, to: usize) -> Result<(), String> {
    let taken = stage.controller.take_over(&stage.node(to), &stage.application.atom(), "permanent");
    taken.map_err(|reason| reason.to_string())?;
    let wanted = [stage.name(to)];
    let moved = || stage.owners(&BOTH).is_ok_and(|owners| owners == wanted).then_some(());
    wait_for(stage.pace.step_limit, moved).ok_or_else(|| format!("it does not come to run on {}", wanted[0]))
}

fn set_handover_limit(stage: &Stage<'_>, millis: i64) -> Result<(), String> {
    for index in BOTH {
        let arguments = vec![Term::atom("proxima"), Term::atom("handover_limit"), millis.into()];
        stage.controller.must_be_ok(&stage.node(index), "application", "set_env", arguments)?;
    }
    Ok(())
}

/// a starts again, with the application in its boot.
fn come_back(stage: &mut Stage<'_>, state: &mut Map) -> Result<(), String> {
    forget_file(stage)?;
    stage.start(A, true);
    stage.timeline.event("a is started again, with the application in its boot");
    stage.wait_until_unlocked(&[A])?;
    has_taken_over(stage, B, A, state)
}

fn has_taken_over(stage: &mut Stage<'_>, from: usize, to: usize, state: &mut Map) -> Result<(), String> {
    stage.wait_until_runs_on(to, &BOTH)?;
    must_have_gone(stage, to, &format!("{{takeover,{}}}", stage.node(from)))?;
    stage.must_have_printed(from, "stopped")?;
    stage.timeline.event(&format!("{} has taken over from {}", stage.name(to), stage.name(from)));
    expect_state(stage, &BOTH, to, state)?;
    put(stage, state, to)
}

fn fail_over(stage: &mut Stage<'_>, since: std::time::Instant, state: &mut Map) -> Result<f64, String> {
    let after = stage.wait_for_failover(since, B, &[B])?;
    must_have_gone(stage, B, &format!("{{failover,{}}}", stage.node(A)))?;
    expect_state(stage, &[B], B, state)?;
    let reply = stage.call_from(B, &tuple!(atom "put", state.len(), atom "b"))?;
    if !reply.is_atom("ok") {
        return Err(format!("put is answered {reply}"));
    }
    state.insert(Term::from(state.len()), Term::atom("b"));
    Ok(after.as_secs_f64())
}

/// The start and its phases, in their order.
fn must_have_gone(stage: &Stage<'_>, index: usize, start_type: &str) -> Result<(), String> {
    for what in ["start", "phase init", "phase takeover", "phase go"] {
        stage.must_have_printed(index, &format!("{what} {start_type}"))?;
    }
    Ok(())
}

/// One more key from each node.
fn put(stage: &mut Stage<'_>, state: &mut Map, owner: usize) -> Result<(), String> {
    for index in BOTH {
        let (key, value) = (Term::from(state.len()), Term::binary(stage.name(index)));
        let reply = stage.call_from(index, &tuple!(atom "put", key.clone(), value.clone()))?;
        if !reply.is_atom("ok") {
            return Err(format!("put is answered {reply}"));
        }
        state.insert(key, value);
    }
    expect_state(stage, &BOTH, owner, state)
}

fn expect_state(stage: &mut Stage<'_>, up: &[usize], owner: usize, state: &Map) -> Result<(), String> {
    let wanted = Term::from(state.clone());
    stage.ask_each(up, owner, &Term::atom("get_state"), |answer| {
        if *answer == wanted { Ok(Application::show(answer)) } else { Err(format!("{answer}, not {wanted}")) }
    })
}

fn forget_file(stage: &Stage<'_>) -> Result<(), String> {
    let file = stage.cluster.home().join(STATE_FILE);
    fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))
}
