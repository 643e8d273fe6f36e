//! What happens is done, and then what the machines of a node want done.

use std::time::Instant;

use crabnode_dist_ac::{
    application::{
        RestartType,
        controller::{self, Loadable},
    },
    engine::{self, Request},
    exchange::CallId,
    heal::{self, Healer},
};
use etf::{Atom, Term};

use super::{
    Call, Node, Op, Sim, Step, What,
    network::{Parcel, Wanted},
    world::{index, name},
};

impl Sim {
    pub(super) fn step(&mut self, what: What) {
        match what {
            What::Op(op) => self.op(op),
            What::Deliver { to, from, epoch, parcel } => self.deliver(to, from, epoch, parcel),
            What::NodeUp { at, node, epoch } => self.node_up(at, node, epoch),
            What::NodeDown { at, node, epoch } => self.node_down(at, node, epoch),
            What::Go { node, life } => {
                if self.node(node, life).is_some() {
                    self.handle(node, engine::Input::Go);
                    self.control(node, controller::Input::Booted);
                }
            }
            What::Wake { node, life } => {
                let now = self.instant();
                let due = |state: &mut Node| state.member.poll_timeout().is_some_and(|at| at <= now);
                if self.node(node, life).is_some_and(due) {
                    self.handle(node, engine::Input::Timeout);
                }
                let due = |healer: &mut Healer| healer.poll_timeout().is_some_and(|at| at <= now);
                if self.node(node, life).is_some() && self.healer_of(node).is_some_and(due) {
                    self.healer(node, heal::Input::Timeout);
                }
            }
            What::Question { node, life, number } => {
                if self.node(node, life).is_some() {
                    self.question(number);
                }
            }
            What::GiveUp { node, life, number } => {
                if self.node(node, life).is_some() {
                    self.answered(number, heal::Answer::None);
                }
            }
            What::LockTry { node, life, lock, nodes, retry } => self.lock(node, life, lock, nodes, retry),
            What::Unlock { node, life, lock } => self.unlock(node, life, lock),
            What::MasterStarted { node, life, app } => self.master_started(node, life, app),
            What::MasterStopped { node, life, app } => {
                let Some(state) = self.node(node, life) else { return };
                state.masters.remove(&app);
                self.changed(node, app, Step::Down);
                let app = self.world.apps[app].name.clone();
                self.note(format!("{} {app} stopped", name(node)));
                self.control(node, controller::Input::Stopped { app });
            }
        }
    }

    fn master_started(&mut self, node: usize, life: u64, app: usize) {
        // It may have been killed, or crashed, before it was up.
        if !self.node(node, life).is_some_and(|state| state.masters.contains(&app)) {
            return;
        }
        let fails = self.rng.chance(self.world.failing);
        let app_name = self.world.apps[app].name.clone();
        let result = if fails { Err(Term::atom("failed")) } else { Ok(None) };
        if fails {
            self.nodes[node].as_mut().unwrap().masters.remove(&app);
        }
        self.changed(node, app, if fails { Step::Down } else { Step::Up });
        self.note(format!("{} {app_name} start {}", name(node), if fails { "fails" } else { "is done" }));
        self.control(node, controller::Input::Started { app: app_name, result });
    }

    fn op(&mut self, op: Op) {
        self.note(format!("{op:?}"));
        match op {
            Op::Boot { node, go_after } => self.boot(node, go_after),
            Op::Kill { node } => self.kill(node),
            Op::Start { node, app } => {
                let name = self.world.apps[app].name.clone();
                self.call(node, controller::Request::Load(Loadable::Name(name.clone())));
                let restart_type = Term::atom("temporary");
                self.call(node, controller::Request::Start { app: name, restart_type });
            }
            Op::Stop { node, app } => {
                let name = self.world.apps[app].name.clone();
                self.call(node, controller::Request::Stop(name));
            }
            Op::Takeover { node, app } => {
                let app = self.world.apps[app].name.clone();
                let restart_type = RestartType::Temporary;
                self.call_engine(node, Request::Takeover { app, restart_type, locked: false });
            }
            Op::Permit { node, app, permission } => self.permit(node, app, permission),
            Op::Crash { node, app } => {
                let Some(state) = &mut self.nodes[node] else { return };
                let here = state.controller.shutdown_order().contains(&self.world.apps[app].name);
                if here && state.masters.remove(&app) {
                    self.changed(node, app, Step::Down);
                    let app = self.world.apps[app].name.clone();
                    self.control(node, controller::Input::Exited { app, reason: Term::atom("crashed") });
                }
            }
            Op::Cut { one, other } => self.disconnect(one, other),
            Op::Heal { one, other } => {
                if self.nodes[one].is_some() && self.nodes[other].is_some() {
                    self.connect(one, other);
                }
            }
            Op::Failing { percent } => self.world.failing = percent,
        }
    }

    /// The application controller says first whether `dist_ac` has a say in it.
    fn permit(&mut self, node: usize, app: usize, permission: bool) {
        let app = self.world.apps[app].name.clone();
        let call = self.call(node, controller::Request::Permit { app: app.clone(), permission });
        let Some(reply) = self.reply(node, call).cloned() else { return };
        let only_loaded = reply.as_tuple().is_some();
        let answer = reply.as_tuple().map_or(&reply, |fields| &fields[0]);
        if answer.is_atom("distributed_application") {
            self.call_engine(node, Request::Permit { app, permission, only_loaded, locked: false });
        }
    }

    fn boot(&mut self, node: usize, go_after: u64) {
        if self.nodes[node].is_some() {
            return;
        }
        self.lives += 1;
        let life = self.lives;
        self.nodes[node] = Some(Node::new(&self.world, node, life));
        self.drain(node);
        for other in 0..self.world.nodes {
            if other != node && self.nodes[other].is_some() {
                self.connect(node, other);
            }
        }
        self.later(go_after, go_after, What::Go { node, life });
    }

    pub(super) fn kill(&mut self, node: usize) {
        let Some(state) = self.nodes[node].take() else { return };
        for app in state.masters {
            self.changed(node, app, Step::Down);
        }
        for table in &mut self.locks {
            table.retain(|(holder, _, _)| *holder != node);
        }
        self.locks[node].clear();
        for other in 0..self.world.nodes {
            self.disconnect(node, other);
        }
    }

    pub(super) fn new_call(&mut self, node: usize, what: String) -> CallId {
        self.next_call += 1;
        let number = self.next_call;
        if let Some(state) = &self.nodes[node] {
            self.calls.push(Call { number, at: self.now, node, life: state.life, what });
        }
        CallId(number)
    }

    pub(super) fn handle(&mut self, node: usize, input: engine::Input) {
        let now = self.instant();
        let Some(state) = &mut self.nodes[node] else { return };
        state.member.handle(now, input);
        self.drain(node);
    }

    pub(super) fn control(&mut self, node: usize, input: controller::Input) {
        let Some(state) = &mut self.nodes[node] else { return };
        state.controller.handle(input);
        self.drain(node);
    }

    /// Does what the two machines of a node want done.
    pub(super) fn drain(&mut self, node: usize) {
        let life = self.nodes[node].as_ref().unwrap().life;
        loop {
            let now = self.instant();
            let state = self.nodes[node].as_mut().unwrap();
            if let Some(output) = state.controller.poll_output() {
                self.controller_output(node, life, output, now);
            } else if let Some(output) = state.member.poll_output() {
                self.member_output(node, life, output);
            } else if let Some(output) = state.healer.as_mut().and_then(Healer::poll_output) {
                self.healer_output(node, life, output);
            } else {
                break;
            }
        }
        let state = self.nodes[node].as_ref().unwrap();
        if state.member.stock().is_some_and(|stock| stock.crashed) {
            return self.schedule(self.now, What::Op(Op::Kill { node }));
        }
        let healer = state.healer.as_ref().and_then(Healer::poll_timeout);
        if let Some(at) = state.member.poll_timeout().into_iter().chain(healer).min() {
            let millis = u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap();
            self.schedule(millis.max(self.now), What::Wake { node, life });
        }
    }

    fn controller_output(&mut self, node: usize, life: u64, output: controller::Output, now: Instant) {
        let start_max = self.world.start_max;
        match output {
            controller::Output::DistAc(notice) => {
                let state = self.nodes[node].as_mut().unwrap();
                state.member.handle(now, engine::Input::Controller(notice));
            }
            controller::Output::Halt { reason } => {
                self.nodes[node].as_mut().unwrap().halted = Some(reason);
            }
            controller::Output::Reply { call, reply } if self.answer(call.0, &reply) => {}
            controller::Output::Reply { call, reply } => {
                self.nodes[node].as_mut().unwrap().replies.insert(call.0, reply);
            }
            controller::Output::Report(_) => {}
            controller::Output::StartMaster { app, start_type } => {
                self.note(format!("{} {app} starts {:?}", name(node), start_type.to_term()));
                let app = self.app(&app);
                let new = self.nodes[node].as_mut().unwrap().masters.insert(app);
                assert!(new, "started twice\n{}", self.dump());
                self.changed(node, app, Step::Starts(start_type));
                self.later(1, start_max, What::MasterStarted { node, life, app });
            }
            controller::Output::StopMaster { app } => {
                let app = self.app(&app);
                self.later(1, start_max, What::MasterStopped { node, life, app });
            }
        }
    }

    fn member_output(&mut self, node: usize, life: u64, output: engine::Output) {
        match output {
            engine::Output::Controller(message) => {
                let state = self.nodes[node].as_mut().unwrap();
                state.controller.handle(controller::Input::DistAc(message));
            }
            engine::Output::Event(event) => {
                self.note(format!("{} {event:?}", name(node)));
                self.nodes[node].as_mut().unwrap().events.push(event);
            }
            engine::Output::Lock { lock, nodes, retry } => {
                let nodes = nodes.iter().map(index).collect();
                let most = self.world.delay_max * 2;
                self.later(0, most, What::LockTry { node, life, lock, nodes, retry });
            }
            engine::Output::AskInfo { node: to } => {
                self.send(node, index(&to), Parcel::Probe(Wanted::Info));
            }
            engine::Output::AskRead { node: to } => {
                self.send(node, index(&to), Parcel::Probe(Wanted::Read));
            }
            engine::Output::AskRunning { node: to } => {
                self.send(node, index(&to), Parcel::Probe(Wanted::Running));
            }
            engine::Output::Probe { node: to } => self.send(node, index(&to), Parcel::Probe(Wanted::Known)),
            engine::Output::Reply { call, reply } => {
                if !self.answer_probe(call.0, &reply) && !self.answer(call.0, &reply) {
                    if self.calls.last().is_some_and(|last| call.0 <= last.number) {
                        self.note(format!("{} call {} answered {reply:?}", name(node), call.0));
                    }
                    self.nodes[node].as_mut().unwrap().replies.insert(call.0, reply);
                }
            }
            engine::Output::Send { node: to, message } => {
                self.send(node, index(&to), Parcel::Message(message));
            }
            engine::Output::TookControl => {}
            engine::Output::Unlock { lock } => {
                let most = self.world.delay_max;
                self.later(0, most, What::Unlock { node, life, lock });
            }
        }
    }

    fn app(&self, name: &Atom) -> usize {
        self.world.apps.iter().position(|app| app.name == *name).unwrap()
    }
}
