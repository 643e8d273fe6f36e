//! Processes that call `application:takeover/2` and `application:permit/2`: they wait for the first introductions,
//! take a global lock, and call `dist_ac` for as long as it takes.

use crabnode_dist_ac::{
    engine::{Lock, Output, Request},
    exchange::CallId,
};
use etf::Term;

use super::{Mail, Stock};

#[derive(Debug, Clone)]
pub(super) struct Caller {
    request: Request,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits for the first introductions.
    Syncing,
    /// Asked `{get_nodes, App}`.
    Nodes,
    /// Asked for the lock.
    Lock,
    /// Holds the lock, and waits for the answer.
    Called,
    /// Waits for the answer; the lock was given back before.
    Unlocked,
}

impl Stock {
    pub(super) fn on_call(&mut self, call: CallId, request: Request) {
        let by_lock = matches!(
            request,
            Request::Permit { locked: false, .. } | Request::Takeover { locked: false, .. }
        );
        if !by_lock {
            return self.mailbox.push_back(Mail::Call(call, request));
        }
        self.callers.insert(call, Caller { request, stage: Stage::Syncing });
        self.let_callers_go();
    }

    /// The first introductions are over: whoever waited for that goes on.
    pub(super) fn let_callers_go(&mut self) {
        if !self.synced {
            return;
        }
        let syncing = self.callers.iter().filter(|(_, caller)| caller.stage == Stage::Syncing);
        for call in syncing.map(|(call, _)| *call).collect::<Vec<_>>() {
            let Some(caller) = self.callers.get_mut(&call) else { continue };
            if let Request::Takeover { app, .. } = &caller.request {
                caller.stage = Stage::Nodes;
                self.mailbox.push_back(Mail::Call(call, Request::Nodes(app.clone())));
            } else {
                caller.stage = Stage::Lock;
                let nodes = std::iter::once(&self.me).chain(&self.connected).cloned().collect();
                self.outputs.push_back(Output::Lock { lock: Lock::Call(call), nodes, retry: true });
            }
        }
    }

    pub(super) fn on_call_locked(&mut self, call: CallId) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        caller.stage = Stage::Called;
        self.mailbox.push_back(Mail::Call(call, caller.request.clone()));
    }

    /// Answers a call.
    pub(super) fn reply(&mut self, call: CallId, reply: Term) {
        match self.callers.get_mut(&call) {
            Some(caller) if caller.stage == Stage::Nodes => {
                caller.stage = Stage::Lock;
                let nodes =
                    reply.as_list().unwrap_or_default().iter().filter_map(Term::as_atom).cloned().collect();
                self.outputs.push_back(Output::Lock { lock: Lock::Call(call), nodes, retry: true });
            }
            Some(_) => {
                self.unlock_call(call);
                self.callers.remove(&call);
                self.outputs.push_back(Output::Reply { call, reply });
            }
            None => self.outputs.push_back(Output::Reply { call, reply }),
        }
    }

    /// Gives the lock of a caller back, before its answer or with it.
    pub(super) fn unlock_call(&mut self, call: CallId) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        if caller.stage == Stage::Called {
            caller.stage = Stage::Unlocked;
            self.outputs.push_back(Output::Unlock { lock: Lock::Call(call) });
        }
    }
}
