//! The steps, each of which must be seen.

use std::time::{Duration, Instant};

use etf::Term;
use interop_tests::{
    Cluster,
    clock::{now, pause, wait_for},
};

use crate::{
    application::Application,
    controller::Controller,
    member::Member,
    timeline::{Lane, Timeline},
};

/// From the death of the node that runs the application to its start on the next: what the kernel configs say.
const RESTART_TIME: Duration = Duration::from_secs(5);

/// What noticing the death, deciding, starting and asking may add.
const FAILOVER_EXTRA_MAX: Duration = Duration::from_millis(300);

/// How often the next owner is asked while it does not answer: often enough to tell milliseconds, seldom enough
/// not to be the load.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// How long a step may take that is not timed: some seconds more than it ever takes, within the 30 s that a node
/// waits for those its config names.
const STEP_LIMIT: Duration = Duration::from_secs(25);

/// The three unlock together: not further apart than their boots take after the last of them is up.
const TOGETHER: Duration = Duration::from_secs(2);

/// For how long a node that must wait is watched waiting.
const WATCH: Duration = Duration::from_secs(2);

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// One run.
pub(crate) struct Demo<'a> {
    cluster: &'a Cluster,
    timeline: &'a Timeline,
    application: Application,
    controller: Controller,
    members: Vec<Member>,
}

impl<'a> Demo<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        timeline: &'a Timeline,
        application: Application,
        controller: Controller,
        members: Vec<Member>,
    ) -> Self {
        Self { cluster, timeline, application, controller, members }
    }

    /// All steps in order. The last line, or the step that failed and why.
    pub(crate) fn run(mut self) -> Result<String, String> {
        match self.steps() {
            Ok(summary) => Ok(summary),
            Err(failure) => {
                for member in &self.members {
                    let output = member.output();
                    let last = output.lines().rev().take(15).collect::<Vec<_>>();
                    if !last.is_empty() {
                        let lines: String = last.iter().rev().map(|line| format!("\n    {line}")).collect();
                        eprintln!("\n{} printed last:{lines}", member.node());
                    }
                }
                Err(failure)
            }
        }
    }

    fn steps(&mut self) -> Result<String, String> {
        named("start together", self.start_together())?;
        named("start the application everywhere", self.start_application())?;
        let first = named("failover from a to b", self.fail_over(A, B, &[B, C]))?;
        let second = named("failover from b to c", self.fail_over(B, C, &[C]))?;
        named("a alone waits for its mandatory b", self.wait_for_mandatory())?;
        named("takeover by a", self.take_over())?;
        Ok(format!(
            "b answered {:.3} s and c {:.3} s after the SIGKILL",
            first.as_secs_f64(),
            second.as_secs_f64()
        ))
    }

    /// a and b wait for c; then the three unlock together.
    fn start_together(&mut self) -> Result<(), String> {
        self.start(A, false);
        self.start(B, false);
        self.timeline.event("a and b are started; each waits for its two mandatory nodes");
        self.watch_waiting(&[A, B], WATCH)?;
        self.start(C, false);
        self.timeline.event("c is started");
        let apart = self.wait_until_unlocked(&[A, B, C])?;
        if apart > TOGETHER {
            return Err(format!("the three unlocked {} ms apart", apart.as_millis()));
        }
        self.timeline.event(&format!("the three have unlocked, {} ms apart", apart.as_millis()));
        Ok(())
    }

    fn start_application(&mut self) -> Result<(), String> {
        let name = self.application.name();
        for index in [A, B, C] {
            self.controller.start_application(&self.members[index].node(), &name)?;
        }
        self.wait_until_runs_on(A, &[A, B, C])?;
        self.ask_from_each(&[A, B, C], A)
    }

    /// SIGKILL of the owner, and the time until the next owner answers.
    fn fail_over(&mut self, from: usize, to: usize, left: &[usize]) -> Result<Duration, String> {
        let (old, new) = (self.members[from].name, self.members[to].name);
        let killed = self.members[from].kill9().ok_or_else(|| format!("{old} was not started"))?;
        self.timeline.lane(from, Lane::Dead);
        self.timeline.event_at(&format!("SIGKILL {old}"), killed);
        self.timeline.waits_for(format!("asking {new} until it answers"));
        let (answer, answered) = self.ask_until_answered(to)?;
        let after = answered.duration_since(killed);
        self.timeline.lane(to, Lane::Runs);
        let text = format!("{new} answers {:.3} s after the SIGKILL: {answer}", after.as_secs_f64());
        self.timeline.event_at(&text, answered);
        if after < RESTART_TIME || after > RESTART_TIME + FAILOVER_EXTRA_MAX {
            let wanted = format!("{RESTART_TIME:?} and at most {} ms more", FAILOVER_EXTRA_MAX.as_millis());
            return Err(format!("{new} answered after {:.3} s, not after {wanted}", after.as_secs_f64()));
        }
        self.wait_until_runs_on(to, left)?;
        self.ask_from_each(left, to)?;
        Ok(after)
    }

    /// a must not come up while b is down.
    fn wait_for_mandatory(&mut self) -> Result<(), String> {
        self.start(A, true);
        self.timeline.event("a is started again, with the application in its boot, while b is down");
        self.watch_waiting(&[A], WATCH)?;
        self.ask_from_each(&[C], C)?;
        self.timeline.event("a still waits for b, and c still answers");
        Ok(())
    }

    fn take_over(&mut self) -> Result<(), String> {
        self.start(B, true);
        self.timeline.event("b is started again, with the application in its boot");
        let apart = self.wait_until_unlocked(&[A, B])?;
        self.timeline.event(&format!("a and b have unlocked, {} ms apart", apart.as_millis()));
        self.wait_until_runs_on(A, &[A, B, C])?;
        self.timeline.event("a has taken over from c");
        self.ask_from_each(&[A, B, C], A)
    }

    fn start(&mut self, index: usize, with_application: bool) {
        self.members[index].start(self.cluster, with_application);
        self.timeline.lane(index, Lane::Waits);
    }

    /// Fails if one of these nodes unlocks while it is watched.
    fn watch_waiting(&mut self, indexes: &[usize], time: Duration) -> Result<(), String> {
        self.timeline.waits_for("none of those that wait may go on");
        let end = now() + time;
        while now() < end {
            for &index in indexes {
                if self.members[index].is_unlocked(&self.controller)? {
                    return Err(format!("{} did not wait", self.members[index].name));
                }
            }
            pause(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The time between the first and the last of them.
    fn wait_until_unlocked(&mut self, indexes: &[usize]) -> Result<Duration, String> {
        self.timeline.waits_for("waiting for them to unlock");
        let deadline = now() + STEP_LIMIT;
        let mut unlocked: Vec<(usize, Instant)> = Vec::new();
        while unlocked.len() < indexes.len() {
            for &index in indexes {
                let is_new = !unlocked.iter().any(|(known, _)| *known == index);
                if is_new && self.members[index].is_unlocked(&self.controller)? {
                    unlocked.push((index, now()));
                    self.timeline.lane(index, Lane::StandsBy);
                }
            }
            if now() > deadline {
                return Err(format!(
                    "{} of {} have unlocked after {STEP_LIMIT:?}",
                    unlocked.len(),
                    indexes.len()
                ));
            }
            pause(Duration::from_millis(10));
        }
        let first = unlocked.iter().map(|(_, at)| *at).min();
        let last = unlocked.iter().map(|(_, at)| *at).max();
        Ok(first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first))
    }

    /// The application must come to run on `owner` and on no other of the nodes that are up.
    fn wait_until_runs_on(&mut self, owner: usize, up: &[usize]) -> Result<(), String> {
        let name = self.application.name();
        let wanted = vec![self.members[owner].name];
        self.timeline.waits_for(format!("{} is to run it", self.members[owner].name));
        let mut last = Err(String::new());
        let reached = wait_for(STEP_LIMIT, || {
            last = self.owners(&name, up);
            last.as_ref().is_ok_and(|owners| *owners == wanted).then_some(())
        });
        if reached.is_none() {
            return Err(format!(
                "{} should run it alone, it runs on {}",
                wanted[0],
                last.map_or_else(|error| error, |owners| owners.join(" and "))
            ));
        }
        for &index in up {
            self.timeline.lane(index, if index == owner { Lane::Runs } else { Lane::StandsBy });
        }
        Ok(())
    }

    fn owners(&mut self, name: &Term, up: &[usize]) -> Result<Vec<&'static str>, String> {
        let mut owners = Vec::new();
        for &index in up {
            let running = self.controller.which_applications(&self.members[index].node())?;
            if running.iter().any(|running| name.is_atom(running)) {
                owners.push(self.members[index].name);
            }
        }
        Ok(owners)
    }

    /// Every node gets an answer, and sees the server on the owner.
    fn ask_from_each(&mut self, up: &[usize], owner: usize) -> Result<(), String> {
        let owner_node = self.members[owner].node();
        let answers = self.controller.environment(
            &owner_node,
            &self.application.name(),
            &self.application.answers_key(),
        )?;
        let mut said = Vec::new();
        for &index in up {
            let (name, node) = (self.members[index].name, self.members[index].node());
            let (server, question) = (self.application.server(), self.application.question());
            let answer = self.controller.gen_server_call(&node, &server, &question, Duration::from_secs(2));
            let answer = answer.map_err(|error| format!("asked from {name}: {error}"))?;
            let answer = self
                .application
                .check(&answer, &answers)
                .map_err(|error| format!("asked from {name}: {error}"))?;
            let seen = server
                .as_tuple()
                .and_then(|server| server.get(1))
                .map(|registered| self.controller.whereis_name(&node, registered));
            if let Some(seen) = seen.transpose()?.flatten().filter(|seen| seen.as_str() != owner_node) {
                return Err(format!("{name} sees the server on {seen}, not on {owner_node}"));
            }
            said.push(format!("{name}: {answer}"));
        }
        self.timeline.event(&format!("asked from {}", said.join(", ")));
        Ok(())
    }

    /// Asks on one node until there is an answer, and says when it came.
    fn ask_until_answered(&mut self, index: usize) -> Result<(String, Instant), String> {
        let node = self.members[index].node();
        let (server, question) = (self.application.server(), self.application.question());
        let deadline = now() + RESTART_TIME + STEP_LIMIT;
        loop {
            // A short limit: a question on its way to the dead node must not hold up those after it.
            match self.controller.gen_server_call(&node, &server, &question, Duration::from_millis(200)) {
                Ok(answer) => {
                    let at = now();
                    return Ok((answer.as_text().unwrap_or_else(|| answer.to_string()), at));
                }
                Err(error) if now() > deadline => return Err(format!("no answer from {node}: {error}")),
                Err(_) => pause(ASK_EVERY),
            }
        }
    }
}

fn named<T>(step: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|error| format!("{step}: {error}"))
}
