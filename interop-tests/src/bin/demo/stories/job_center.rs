//! job_center: four nodes, `[jc1, {jc2, jc3}, jc4]`, none of which starts without jc1.

use etf::{Term, tuple};
use interop_tests::clock::wait_for;

use crate::stage::{Stage, named};

const JC1: usize = 0;
const JC2: usize = 1;
const JC3: usize = 2;
const JC4: usize = 3;
const ALL: [usize; 4] = [JC1, JC2, JC3, JC4];

pub(super) fn tell(stage: &mut Stage<'_>) -> Result<String, String> {
    named("start together", start_together(stage))?;
    named("start the application everywhere", start_application(stage))?;
    named("jobs are handed out", hand_out_jobs(stage))?;
    let mut times = Vec::new();
    for (from, left) in [(JC1, &[JC2, JC3, JC4][..]), (JC2, &[JC3, JC4]), (JC3, &[JC4])] {
        // jc4 takes part in the election, and cannot win as long as another of them lives.
        let to = stage.elected(&left[..left.len().saturating_sub(1).max(1)])?;
        let step = format!("failover from {} to {}", stage.name(from), stage.name(to));
        if to != left[0] {
            return Err(format!("{step}: of nodes that run the same {} comes first", stage.name(left[0])));
        }
        times.push(named(&step, stage.fail_over(from, to, left))?);
    }
    named("jc2 does not start without jc1", no_start_without_jc1(stage))?;
    named("takeover by jc1", take_over(stage))?;
    named("jc2 stands by again", stand_by(stage))?;
    let times: Vec<_> = times.iter().map(|time| format!("{:.3} s", time.as_secs_f64())).collect();
    Ok(format!("jc2, jc3 and jc4 answered {} after the SIGKILL", times.join(", ")))
}

/// jc2 to jc4 wait for jc1; then all unlock together.
fn start_together(stage: &mut Stage<'_>) -> Result<(), String> {
    for index in [JC2, JC3, JC4] {
        stage.start(index, false);
    }
    stage.timeline.event("jc2, jc3 and jc4 are started; each waits for jc1");
    stage.watch_waiting(&[JC2, JC3, JC4])?;
    stage.start(JC1, false);
    stage.timeline.event("jc1 is started");
    stage.wait_until_unlocked(&ALL)
}

fn start_application(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.start_application(&ALL)?;
    expect_statistics(stage, &ALL, JC1, [0, 0, 0])
}

fn hand_out_jobs(stage: &mut Stage<'_>) -> Result<(), String> {
    add_jobs(stage, &[JC4, JC2, JC3], 1)?;
    // Whoever is asked to ask is gone once it has been answered, so the job waits again, before all others.
    let work = stage.call_from(JC3, &Term::atom("work_wanted"))?;
    if work != tuple!(1, job(1)) {
        return Err(format!("the first job is not the oldest: {work}"));
    }
    wait_for_statistics(stage, JC4, [3, 0, 0])?;
    stage.timeline.event("a worker has died, and its job waits again");
    let did = stage.controller.work(stage.server_from(JC2)?)?;
    if did != job(1) {
        return Err(format!("the job that was given back is not the next: {did}"));
    }
    expect_statistics(stage, &ALL, JC1, [2, 0, 1])
}

fn no_start_without_jc1(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.start_in_vain(JC2, true);
    stage.timeline.event("jc2 is started again while jc1 is down");
    stage.must_fail_to_boot(JC2)?;
    expect_statistics(stage, &[JC4], JC4, [0, 0, 0])
}

/// What waits at jc4 waits at jc1 afterwards.
fn take_over(stage: &mut Stage<'_>) -> Result<(), String> {
    add_jobs(stage, &[JC4, JC4], 1)?;
    stage.start_in_vain(JC1, true);
    stage
        .timeline
        .event("jc1 is started again, with the application in its boot; it waits for the others for a while");
    stage.wait_until_unlocked(&[JC1])?;
    stage.wait_until_runs_on(JC1, &[JC1, JC4])?;
    stage.must_have_printed(JC1, &format!("start {{takeover,{}}}", stage.node(JC4)))?;
    stage.must_have_printed(JC4, "stopped")?;
    stage.timeline.event("jc1 has taken over from jc4");
    expect_statistics(stage, &[JC1, JC4], JC1, [2, 0, 0])?;
    let did = stage.controller.work(stage.server_from(JC4)?)?;
    if did != job(1) {
        return Err(format!("the first job has become {did}"));
    }
    expect_statistics(stage, &[JC1, JC4], JC1, [1, 0, 1])
}

fn stand_by(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.start_in_vain(JC2, true);
    stage.timeline.event("jc2 is started again, with the application in its boot");
    stage.wait_until_unlocked(&[JC2])?;
    stage.wait_until_runs_on(JC1, &[JC1, JC2, JC4])?;
    expect_statistics(stage, &[JC1, JC2, JC4], JC1, [1, 0, 1])
}

fn job(number: usize) -> Term {
    tuple!(atom "dig", number)
}

/// Adds one from each of these nodes.
fn add_jobs(stage: &mut Stage<'_>, from: &[usize], first: usize) -> Result<(), String> {
    for (nth, &index) in from.iter().enumerate() {
        let number = first + nth;
        let reply = stage.call_from(index, &tuple!(atom "add_job", job(number)))?;
        if reply != Term::from(number) {
            return Err(format!("job {number} is called {reply}"));
        }
    }
    stage.timeline.event(&format!("{} jobs are added", from.len()));
    Ok(())
}

/// Waiting, in progress, done.
fn is_statistics(term: &Term, wanted: [i64; 3]) -> bool {
    let value = |key| term.as_map().and_then(|map| map.get_atom(key)).and_then(Term::as_int);
    ["waiting", "in_progress", "done"].map(value) == wanted.map(Some)
}

fn expect_statistics(
    stage: &mut Stage<'_>,
    up: &[usize],
    owner: usize,
    wanted: [i64; 3],
) -> Result<(), String> {
    stage.ask_each(up, owner, &Term::atom("statistics"), |answer| {
        if is_statistics(answer, wanted) {
            Ok(answer.to_string())
        } else {
            Err(format!("{answer}, not {wanted:?}"))
        }
    })
}

fn wait_for_statistics(stage: &Stage<'_>, index: usize, wanted: [i64; 3]) -> Result<(), String> {
    let mut last = String::new();
    let reached = wait_for(stage.pace.step_limit, || {
        let answer = stage.call_from(index, &Term::atom("statistics"));
        last = format!("{answer:?}");
        answer.is_ok_and(|answer| is_statistics(&answer, wanted)).then_some(())
    });
    reached.ok_or_else(|| format!("the statistics are {last}, not {wanted:?}"))
}
