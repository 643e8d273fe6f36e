//! Any of the applications: its owner dies and is back before the restart time is over. It stays with its owner, and is
//! started there as if it had never run.

use interop_tests::clock::{now, pause};

use crate::stage::{Stage, named};

/// How often it is tried: on a busy machine a boot may take longer than the restart time.
const TRIES_MAX: usize = 5;

const OWNER: usize = 0;

pub(super) fn tell(stage: &mut Stage<'_>) -> Result<String, String> {
    let all: Vec<usize> = (0..stage.members.len()).collect();
    for &index in &all {
        stage.start(index, false);
    }
    stage.timeline.event("all are started");
    named("start together", stage.wait_until_unlocked(&all))?;
    named("start the application everywhere", stage.start_application(&all))?;
    for _ in 0..TRIES_MAX {
        if let Some(summary) = named("the owner dies and comes back", come_back(stage, &all))? {
            return Ok(summary);
        }
    }
    Err(format!("{TRIES_MAX} times the owner came back too late for this machine to tell"))
}

/// Nothing if it came back too late.
fn come_back(stage: &mut Stage<'_>, all: &[usize]) -> Result<Option<String>, String> {
    let owner = stage.name(OWNER);
    let before = starts(stage, all);
    let killed = stage.kill(OWNER)?;
    stage.start(OWNER, true);
    stage.timeline.event(&format!("{owner} is started again, with the application in its boot"));
    stage.wait_until_unlocked(&[OWNER])?;
    stage.wait_until_runs_on(OWNER, all)?;
    let after = now().duration_since(killed);
    if after >= stage.restart_time {
        stage
            .timeline
            .event(&format!("{owner} is back after {:.1} s, which is too late", after.as_secs_f64()));
        return Ok(None);
    }
    stage.timeline.event(&format!("{owner} is back, and runs it"));
    stage.must_have_printed(OWNER, "start normal")?;
    stage.ask_from_each(all, OWNER)?;
    stage.timeline.waits_for("the restart time passes");
    // What was to happen then has another second.
    pause(
        (stage.restart_time + std::time::Duration::from_secs(1)).saturating_sub(now().duration_since(killed)),
    );
    stage.wait_until_runs_on(OWNER, all)?;
    stage.timeline.event("the restart time is over, and nothing has moved");
    stage.ask_from_each(all, OWNER)?;
    if starts(stage, all) != before {
        return Err("another node has started it meanwhile".into());
    }
    Ok(Some(format!("{owner} was back {:.3} s after the SIGKILL", after.as_secs_f64())))
}

/// How often the application was started on nodes that stand by.
fn starts(stage: &Stage<'_>, all: &[usize]) -> usize {
    let begins = format!("{}: start ", stage.application.name());
    let standbys = all.iter().filter(|index| **index != OWNER);
    let outputs = standbys.map(|index| stage.members[*index].output());
    outputs.map(|output| output.lines().filter(|line| line.starts_with(&begins)).count()).sum()
}
