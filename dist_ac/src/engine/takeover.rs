//! `application:takeover/2`: start it here, in place of the copy elsewhere (dist_ac.md 2.3, 4).

use etf::{Atom, tuple};

use super::{AppId, CallId, Engine, OwnStart};
use crate::{application::RestartType, exchange::Change};

impl Engine {
    /// The caller waits for the result of the start. The old copy is stopped by our M6, not before.
    pub(super) fn takeover(&mut self, call: CallId, app: &Atom, restart_type: RestartType) {
        let at = self.find(app);
        let from = match at.map(|at| &self.apps[at].id) {
            Some(AppId::Distributed(node)) => node.clone(),
            Some(AppId::Local) => {
                return self.reply(call, tuple!(atom "error", tuple!(atom "already_running_locally", app)));
            }
            _ => return self.reply(call, tuple!(atom "error", tuple!(atom "not_running_distributed", app))),
        };
        let Some(at) = at else { return };
        self.drop_decision(at);
        self.change(at, Change::Takeover { from: from.clone(), restart_type: Some(restart_type) });
        let app = &mut self.apps[at];
        app.own_start = Some(OwnStart { reply: false, previous: Some(from), failover: None });
        app.waiting_run.push(call);
        self.set_id(at, AppId::Takeover);
        self.tell_takeover();
    }

    /// Peers of our own kind stand by for the old copy. Should it die before this start is done, they are to wait for this
    /// one, and not to start another.
    pub(super) fn tell_takeover(&mut self) {
        self.broadcast_status();
    }
}
