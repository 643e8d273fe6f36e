//! The healer of our nodes: what it asks of others, and what it has them do.

use crabnode_dist_ac::{
    application::{RestartType, controller},
    engine::{self, Request},
    exchange::CallId,
    heal::{Answer, Heal, HealConfig, Healer, Input, Output, Question},
};
use etf::{Atom, Term, tuple};

use super::{
    Sim, What,
    network::Parcel,
    world::{index, name},
};

/// A question of a healer under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    asker: usize,
    asked: usize,
    question: Question,
}

pub(super) fn config(level: Heal) -> HealConfig {
    HealConfig { level, ..HealConfig::default() }
}

impl Sim {
    pub(super) fn healer(&mut self, node: usize, input: Input) {
        let now = self.instant();
        if let Some(healer) = self.nodes[node].as_mut().and_then(|state| state.healer.as_mut()) {
            healer.handle(now, input);
            self.drain(node);
        }
    }

    pub(super) fn healer_of(&mut self, node: usize) -> Option<&mut Healer> {
        self.nodes[node].as_mut()?.healer.as_mut()
    }

    pub(super) fn healer_output(&mut self, node: usize, life: u64, output: Output) {
        match output {
            Output::Ask { node: to, question, limit } => {
                self.next_call += 1;
                let number = self.next_call;
                let asked = index(&to);
                self.questions.insert(number, Asked { asker: node, asked, question });
                let wait = u64::try_from(limit.as_millis()).unwrap();
                self.later(wait, wait, What::GiveUp { node, life, number });
                if asked == node {
                    self.later(0, 1, What::Question { node, life, number });
                } else {
                    self.send(node, asked, Parcel::Question(number));
                }
            }
            Output::Event(event) => {
                self.note(format!("{} {event:?}", name(node)));
                self.nodes[node].as_mut().unwrap().events.push(event);
            }
            Output::NodeDown { node: to, down } => {
                self.note(format!("{} has {to} go on without {down}", name(node)));
                self.send(node, index(&to), Parcel::NodeDown(down));
            }
            Output::Send { node: to, message } => {
                self.note(format!("{} heals {to} by {:?}", name(node), message.to_term()));
                if index(&to) == node {
                    self.forge(node, message);
                } else {
                    self.send(node, index(&to), Parcel::Message(message));
                }
            }
            Output::Restart { node: to, app, .. } => {
                self.note(format!("{} has {to} restart {app}", name(node)));
                self.send(node, index(&to), Parcel::Restart(app));
            }
            Output::TakeOver { node: to, app, .. } => {
                self.note(format!("{} has {to} take over {app}", name(node)));
                self.send(node, index(&to), Parcel::TakeOver(app));
            }
        }
    }

    /// Somebody is asked.
    pub(super) fn question(&mut self, number: u64) {
        let Some(Asked { asked, question, .. }) = self.questions.get(&number).copied() else { return };
        let call = CallId(number);
        match question {
            Question::DistAc => self.handle(asked, engine::Input::Call { call, request: Request::Info }),
            Question::Controller => {
                self.control(asked, controller::Input::Call { call, request: controller::Request::Info });
            }
            Question::Nodes => {
                let Some(state) = &self.nodes[asked] else { return };
                let nodes: Vec<Term> = state.links.keys().map(|node| Term::from(name(*node))).collect();
                self.answer(number, &nodes.into());
            }
            Question::Waiting => {
                let Some(stock) = self.nodes[asked].as_ref().and_then(|state| state.member.stock()) else {
                    return;
                };
                let backtrace = Term::binary(stock.backtrace().into_bytes());
                self.answer(number, &tuple!(atom "backtrace", backtrace));
            }
        }
    }

    /// An answer; says whether it is one to a healer.
    pub(super) fn answer(&mut self, number: u64, reply: &Term) -> bool {
        let Some(Asked { asker, asked, .. }) = self.questions.get(&number).copied() else { return false };
        if asker == asked {
            self.answered(number, Answer::Term(reply.clone()));
        } else {
            self.send(asked, asker, Parcel::Answer(number, reply.clone()));
        }
        true
    }

    /// The answer arrives, or the healer gives up; whichever comes first.
    pub(super) fn answered(&mut self, number: u64, answer: Answer) {
        let Some(Asked { asker, asked, question }) = self.questions.remove(&number) else { return };
        self.healer(asker, Input::Answered { node: name(asked), question, answer });
    }

    /// The second call waits for the end of the first, as in the caller.
    pub(super) fn restart(&mut self, node: usize, app: &Atom) {
        let stop = controller::Request::Stop(app.clone());
        let start = controller::Request::Start { app: app.clone(), restart_type: Term::atom("temporary") };
        for request in [stop, start] {
            self.next_call += 1;
            self.control(node, controller::Input::Call { call: CallId(self.next_call), request });
        }
    }

    pub(super) fn take_over(&mut self, node: usize, app: Atom) {
        self.next_call += 1;
        let call = CallId(self.next_call);
        let restart_type = RestartType::Temporary;
        let request = Request::Takeover { app, restart_type, locked: false };
        self.handle(node, engine::Input::Call { call, request });
    }
}
