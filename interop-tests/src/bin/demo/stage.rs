//! What the stories are told with: nodes that come and go, and an application that must be seen where it belongs.

use std::time::{Duration, Instant};

use crabnode::Pid;
use etf::Term;
use interop_tests::{
    Cluster,
    clock::{now, pause, wait_for},
};

use crate::{
    application::{Answer, Application},
    controller::Controller,
    member::Member,
    timeline::{Lane, Timeline},
};

/// How often the next owner is asked while it does not answer: often enough to tell milliseconds, seldom enough
/// not to be the load.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// How long a question may take.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// How patient a run is.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// How long a step may take that is not timed: some times what it ever takes.
    pub(crate) step_limit: Duration,
    /// For how long a node that must wait is watched waiting.
    pub(crate) watch: Duration,
    /// How long nodes wait for those that come, where not their config is to say.
    pub(crate) sync: Option<Duration>,
    /// How long nodes wait for those that do not come, where not their config is to say.
    pub(crate) sync_in_vain: Option<Duration>,
}

/// One run.
pub(crate) struct Stage<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) timeline: &'a Timeline,
    pub(crate) application: Application,
    pub(crate) controller: Controller,
    pub(crate) members: Vec<Member>,
    pub(crate) restart_time: Duration,
    pub(crate) pace: Pace,
}

impl Stage<'_> {
    pub(crate) fn name(&self, index: usize) -> &'static str {
        self.members[index].name
    }

    /// `a@localhost`.
    pub(crate) fn node(&self, index: usize) -> String {
        self.members[index].node()
    }

    /// The last lines that each node has printed, for a run that has failed.
    pub(crate) fn last_words(&self) -> String {
        let mut all = String::new();
        for member in &self.members {
            let output = member.output();
            let last = output.lines().rev().take(15).collect::<Vec<_>>();
            if !last.is_empty() {
                let lines: String = last.iter().rev().map(|line| format!("\n    {line}")).collect();
                all += &format!("\n{} printed last:{lines}", member.node());
            }
        }
        all
    }

    // --- Nodes --------------------------------------------------------------------------------------------

    /// Starts a node among others that are there or come.
    pub(crate) fn start(&mut self, index: usize, with_application: bool) {
        self.members[index].start(self.cluster, with_application, self.pace.sync);
        self.timeline.lane(index, Lane::Waits);
    }

    /// Starts a node that waits in vain for one that does not come.
    pub(crate) fn start_in_vain(&mut self, index: usize, with_application: bool) {
        self.members[index].start(self.cluster, with_application, self.pace.sync_in_vain);
        self.timeline.lane(index, Lane::Waits);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, index: usize) -> Result<Instant, String> {
        let name = self.name(index);
        let at = self.members[index].kill9().ok_or_else(|| format!("{name} was not started"))?;
        self.timeline.lane(index, Lane::Dead);
        self.timeline.event_at(&format!("SIGKILL {name}"), at);
        Ok(at)
    }

    /// `init:stop()`, and its end.
    pub(crate) fn stop_node(&mut self, index: usize) -> Result<Instant, String> {
        let (name, node) = (self.name(index), self.node(index));
        let at = now();
        self.controller.stop_node(&node)?;
        self.timeline.event_at(&format!("init:stop() on {name}"), at);
        self.timeline.waits_for(format!("{name} is to end"));
        let status = self.members[index].wait_for_exit(self.pace.step_limit)?;
        if !status.success() {
            return Err(format!("{name} ended with {status}"));
        }
        self.timeline.lane(index, Lane::Dead);
        self.timeline.event(&format!("{name} has stopped"));
        Ok(at)
    }

    /// A node does not come up because a mandatory one is down.
    pub(crate) fn must_fail_to_boot(&mut self, index: usize) -> Result<(), String> {
        let name = self.name(index);
        self.timeline.waits_for(format!("{name} is to give up"));
        let status = self.members[index].wait_for_exit(self.pace.step_limit)?;
        self.timeline.lane(index, Lane::Dead);
        let says = self.members[index].output();
        if status.code() != Some(1) || !says.contains("mandatory_nodes_down") {
            return Err(format!("{name} ended with {status}, and not because a mandatory node is down"));
        }
        self.timeline.event(&format!("{name} has given up: mandatory_nodes_down"));
        Ok(())
    }

    /// Fails if one of these nodes unlocks while it is watched.
    pub(crate) fn watch_waiting(&mut self, indexes: &[usize]) -> Result<(), String> {
        self.timeline.waits_for("none of those that wait may go on");
        let end = now() + self.pace.watch;
        while now() < end {
            for &index in indexes {
                if self.members[index].is_unlocked(&self.controller)? {
                    return Err(format!("{} did not wait", self.name(index)));
                }
            }
            pause(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The nodes have synchronised with those that their configs name.
    pub(crate) fn wait_until_unlocked(&mut self, indexes: &[usize]) -> Result<(), String> {
        self.timeline.waits_for("waiting for them to unlock");
        let deadline = now() + self.pace.step_limit;
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
                let names: Vec<_> = unlocked.iter().map(|(index, _)| self.name(*index)).collect();
                return Err(format!("after {:?} only these have unlocked: {names:?}", self.pace.step_limit));
            }
            pause(Duration::from_millis(10));
        }
        let first = unlocked.iter().map(|(_, at)| *at).min();
        let last = unlocked.iter().map(|(_, at)| *at).max();
        let apart = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
        let how = if indexes.len() > 1 { format!(", {} ms apart", apart.as_millis()) } else { String::new() };
        self.timeline.event(&format!("{} unlocked{how}", self.names(indexes)));
        Ok(())
    }

    /// `a, b and c have`, `a has`.
    pub(crate) fn names(&self, indexes: &[usize]) -> String {
        let names: Vec<_> = indexes.iter().map(|index| self.name(*index)).collect();
        match names.split_last() {
            Some((last, [])) => format!("{last} has"),
            Some((last, others)) => format!("{} and {last} have", others.join(", ")),
            None => "nobody has".into(),
        }
    }

    // --- The application ----------------------------------------------------------------------------------

    /// `application:start` on all of them; it must come to run on the first.
    pub(crate) fn start_application(&mut self, indexes: &[usize]) -> Result<(), String> {
        for &index in indexes {
            self.controller.start_application(&self.node(index), &self.application.atom())?;
        }
        self.wait_until_runs_on(indexes[0], indexes)
    }

    /// The application must come to run on `owner` and on no other of the nodes that are up.
    pub(crate) fn wait_until_runs_on(&mut self, owner: usize, up: &[usize]) -> Result<(), String> {
        let wanted = vec![self.name(owner)];
        self.timeline.waits_for(format!("{} is to run it", wanted[0]));
        let mut last = Err(String::new());
        let reached = wait_for(self.pace.step_limit, || {
            last = self.owners(up);
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

    /// The nodes that run the application.
    pub(crate) fn owners(&self, up: &[usize]) -> Result<Vec<&'static str>, String> {
        let mut owners = Vec::new();
        for &index in up {
            let running = self.controller.which_applications(&self.node(index))?;
            if running.iter().any(|running| running == self.application.name()) {
                owners.push(self.name(index));
            }
        }
        Ok(owners)
    }

    /// Who of a tuple in the priority list has to get it: the node that runs the fewest applications, and of equal
    /// ones the first by name (dist_ac.md 2.2).
    pub(crate) fn elected(&self, candidates: &[usize]) -> Result<usize, String> {
        let mut weights = Vec::new();
        for &index in candidates {
            weights.push((self.controller.which_applications(&self.node(index))?.len(), index));
        }
        weights.iter().min().map(|(_, index)| *index).ok_or_else(|| "nobody to elect".into())
    }

    /// After the death of its owner at that time, the application must answer on `to`, not before the restart time.
    pub(crate) fn wait_for_failover(
        &mut self,
        since: Instant,
        to: usize,
        up: &[usize],
    ) -> Result<Duration, String> {
        let name = self.name(to);
        self.timeline.waits_for(format!("asking {name} until it answers"));
        let (answer, answered) = self.ask_until_answered(to)?;
        let after = answered.duration_since(since);
        self.timeline.lane(to, Lane::Runs);
        let text = format!("{name} answers {:.3} s after it: {answer}", after.as_secs_f64());
        self.timeline.event_at(&text, answered);
        if after < self.restart_time {
            return Err(format!("{name} has answered before the {:?} of its config", self.restart_time));
        }
        self.wait_until_runs_on(to, up)?;
        self.ask_from_each(up, to)?;
        Ok(after)
    }

    /// SIGKILL of the owner, and the time until the next owner answers.
    pub(crate) fn fail_over(&mut self, from: usize, to: usize, left: &[usize]) -> Result<Duration, String> {
        let killed = self.kill(from)?;
        self.wait_for_failover(killed, to, left)
    }

    /// A node prints that the application has come to it, or has left it.
    pub(crate) fn must_have_printed(&self, index: usize, line: &str) -> Result<(), String> {
        let line = format!("{}: {line} on {}", self.application.name(), self.node(index));
        let member = &self.members[index];
        let seen =
            wait_for(self.pace.step_limit, || member.output().lines().any(|l| l == line).then_some(()));
        seen.ok_or_else(|| format!("{} has not printed {line:?}", member.name))
    }

    // --- Its server ---------------------------------------------------------------------------------------

    /// `gen_server:call`, as a process of this node.
    pub(crate) fn call_from(&self, index: usize, request: &Term) -> Result<Term, String> {
        let (node, server) = (self.node(index), self.application.server());
        let reply = self.controller.gen_server_call(&node, &server, request, ASK_LIMIT);
        reply.map_err(|error| format!("{request} asked from {}: {error}", self.name(index)))
    }

    /// The server, as this node finds it in `global`.
    pub(crate) fn server_from(&self, index: usize) -> Result<Pid, String> {
        let pid = self.controller.whereis_name(&self.node(index), &self.application.global_name())?;
        pid.ok_or_else(|| format!("{} sees no server in global", self.name(index)))
    }

    /// Every node gets an answer to the application's question, and sees the server on the owner.
    pub(crate) fn ask_from_each(&mut self, up: &[usize], owner: usize) -> Result<(), String> {
        let answers = self.application.answers(&self.controller, &self.node(owner))?;
        let question = self.application.question();
        self.ask_each(up, owner, &question, |answer| Application::check(answer, answers.as_deref()))
    }

    /// The same for another question.
    pub(crate) fn ask_each(
        &mut self,
        up: &[usize],
        owner: usize,
        question: &Term,
        check: impl Fn(&Term) -> Answer,
    ) -> Result<(), String> {
        let owner_node = self.node(owner);
        let mut said: Vec<(String, String)> = Vec::new();
        for &index in up {
            let name = self.name(index);
            // Who has just joined hears of names a moment later.
            let mut seen = self.server_from(index);
            wait_for(self.pace.step_limit, || {
                seen = self.server_from(index);
                seen.as_ref().is_ok_and(|pid| pid.node().as_str() == owner_node).then_some(())
            });
            let seen = seen?;
            if seen.node().as_str() != owner_node {
                return Err(format!("{name} sees the server on {}, not on {owner_node}", seen.node()));
            }
            let answer = check(&self.call_from(index, question)?);
            let answer = answer.map_err(|error| format!("asked from {name}: {error}"))?;
            match said.last_mut().filter(|(_, last)| *last == answer) {
                Some((names, _)) => *names += &format!(", {name}"),
                None => said.push((name.to_owned(), answer)),
            }
        }
        let said: Vec<_> = said.iter().map(|(names, answer)| format!("{names}: {answer}")).collect();
        self.timeline.event(&format!("asked from {}", said.join(", ")));
        Ok(())
    }

    /// Asks on one node until there is an answer, and says when it came.
    fn ask_until_answered(&self, index: usize) -> Result<(String, Instant), String> {
        let (node, question) = (self.node(index), self.application.question());
        let deadline = now() + self.restart_time + self.pace.step_limit;
        let server = self.application.server();
        loop {
            // A short limit: a question on its way to the dead node must not hold up those after it.
            match self.controller.gen_server_call(&node, &server, &question, Duration::from_millis(200)) {
                Ok(answer) => {
                    let at = now();
                    return Ok((Application::show(&answer), at));
                }
                Err(error) if now() > deadline => return Err(format!("no answer from {node}: {error}")),
                Err(_) => pause(ASK_EVERY),
            }
        }
    }
}

/// Says in which step it failed.
pub(crate) fn named<T>(step: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|error| format!("{step}: {error}"))
}
