//! m8ball and chucky: three nodes, `[a, {b, c}]`, each of which waits for the other two.

use crate::stage::{Stage, named};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

pub(super) fn tell(stage: &mut Stage<'_>) -> Result<String, String> {
    named("start together", start_together(stage))?;
    named("start the application everywhere", start_application(stage))?;
    // Between b and c the one that runs less; an Elixir node runs more than one that runs nothing.
    let second = stage.elected(&[B, C])?;
    let third = if second == B { C } else { B };
    let names = [A, second, third].map(|index| stage.name(index));
    let step = format!("failover from {} to {}", names[0], names[1]);
    let first_time = named(&step, stage.fail_over(A, second, &[B, C]))?;
    let step = format!("failover from {} to {}", names[1], names[2]);
    let second_time = named(&step, stage.fail_over(second, third, &[third]))?;
    named("a alone waits for its mandatory nodes", wait_for_mandatory(stage, second, third))?;
    named("takeover by a", take_over(stage, second, third))?;
    Ok(format!(
        "{} answered {:.3} s and {} {:.3} s after the SIGKILL",
        names[1],
        first_time.as_secs_f64(),
        names[2],
        second_time.as_secs_f64()
    ))
}

/// a and b wait for c; then the three unlock together.
fn start_together(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.start(A, false);
    stage.start(B, false);
    stage.timeline.event("a and b are started; each waits for its two mandatory nodes");
    stage.watch_waiting(&[A, B])?;
    stage.start(C, false);
    stage.timeline.event("c is started");
    stage.wait_until_unlocked(&[A, B, C])
}

fn start_application(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.start_application(&[A, B, C])?;
    stage.ask_from_each(&[A, B, C], A)
}

/// a must not come up while one is down that it names.
fn wait_for_mandatory(stage: &mut Stage<'_>, missing: usize, owner: usize) -> Result<(), String> {
    let (missing, name) = (stage.name(missing), stage.name(owner));
    stage.start(A, true);
    stage
        .timeline
        .event(&format!("a is started again, with the application in its boot, while {missing} is down"));
    stage.watch_waiting(&[A])?;
    stage.ask_from_each(&[owner], owner)?;
    stage.timeline.event(&format!("a still waits for {missing}, and {name} still answers"));
    Ok(())
}

fn take_over(stage: &mut Stage<'_>, missing: usize, owner: usize) -> Result<(), String> {
    stage.start(missing, true);
    let (missing_name, old) = (stage.name(missing), stage.node(owner));
    stage.timeline.event(&format!("{missing_name} is started again, with the application in its boot"));
    stage.wait_until_unlocked(&[A, missing])?;
    stage.wait_until_runs_on(A, &[A, B, C])?;
    stage.must_have_printed(A, &format!("start {{takeover,{old}}}"))?;
    stage.must_have_printed(owner, "stopped")?;
    stage.timeline.event(&format!("a has taken over from {}", stage.name(owner)));
    stage.ask_from_each(&[A, B, C], A)
}
