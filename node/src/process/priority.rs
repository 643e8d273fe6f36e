//! Aliases, and the messages with priority that come by them (wire.md 5, op 37; EEP 76).

use etf::{Pid, Reference, Term};

use super::{Context, Dest, Monitor};
use crate::router::Way;

/// What an alias is for: the options of `erlang:alias/1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AliasOptions {
    /// Whoever has the alias may send messages and exits with priority.
    pub priority: bool,
    /// The alias ends with the first message that comes by it.
    pub reply: bool,
}

/// A priority message is received before all that are not, behind those that came before it. Who receives says what may
/// be one: by an alias, a link or a monitor. Nothing else about it differs: it goes the same way as others, behind what
/// its sender sent before.
impl Context {
    /// `alias(Options)`: another name for this process, which can be taken back by [`unalias`](Self::unalias), and ends
    /// with the process. Messages go there by [`Dest::Alias`].
    #[must_use]
    pub fn alias(&self, options: AliasOptions) -> Reference {
        let reference = self.make_ref();
        self.process().with_signals(|signals| signals.alias(reference.clone(), options));
        reference
    }

    /// `unalias(Alias)`: whether it was an alias of this process. No message comes by it any more; those that are in the
    /// mailbox stay.
    pub fn unalias(&self, alias: &Reference) -> bool {
        self.process().signals().as_mut().is_some_and(|signals| signals.unalias(alias))
    }

    /// `erlang:send(Dest, Message, [priority])`: as [`send`](Self::send), and where `dest` is an alias that allows it,
    /// with priority. A node of OTP 27 or older gets it without.
    pub async fn send_priority(&self, dest: impl Into<Dest>, message: impl Into<Term>) {
        let inner = self.inner();
        let token = self.process().seq_trace.sending(self.pid());
        let Some((node, signal)) = inner.message(self.pid(), dest.into(), message.into(), token) else {
            return;
        };
        let signal = signal.with_priority();
        match inner.way(&node) {
            Way::Here => inner.receive(signal),
            Way::Over(route) => {
                route.send(&signal).await;
            }
            Way::Nowhere => {}
        }
    }

    /// `exit(Alias, Reason, Options)`: as [`exit`](Self::exit), by an alias; with priority if it is to be and the alias
    /// allows it. A node of OTP 27 or older knows no such exit and gets none.
    pub fn exit_alias(&self, alias: &Reference, reason: impl Into<Term>, priority: bool) {
        let token = self.process().seq_trace.sending(self.pid());
        self.inner().emit_exit_alias(self.pid(), alias, reason.into(), token, priority);
    }

    /// `link(Pid, [priority])`: as [`link`](Self::link), and if this process traps exits, that of the link comes with
    /// priority. Of several calls for one link the last counts.
    pub fn link_priority(&self, to: &Pid) {
        self.link_as(to, true);
    }

    /// `monitor(process, Dest, [priority])`: as [`monitor`](Self::monitor), with a `DOWN` that comes with priority.
    pub fn monitor_priority(&self, dest: impl Into<Dest>) -> Monitor {
        let reference = self.make_ref();
        self.monitor_as(&reference, dest.into(), true);
        Monitor { reference }
    }
}
