//! A process of a Rust node that does everything that nodes do with each other to one other node, at its own pace.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use crabnode::{
    Context, Dest, Message, SpawnOptions, Term,
    erpc::{self, RemoteSpawnOptions},
    global::Resolver,
    term, tuple,
};
use tokio::sync::watch;

use crate::server::{Record, filling};

/// Between two rounds: well under one core for everything together.
const PAUSE: Duration = Duration::from_millis(60);

/// Far longer than anything takes, also while `global` waits for the lock of a node that has just died.
const LIMIT: Duration = Duration::from_secs(60);

/// Messages of one round.
const MESSAGES: u64 = 20;

/// Goes on until it is told to stop; then nothing may be left in its mailbox.
pub(crate) async fn work(
    mut context: Context,
    peer: String,
    record: Arc<Record>,
    mut stop: watch::Receiver<bool>,
) {
    context.trap_exit(true);
    let mut worker = Worker { context: &mut context, peer: &peer, sent: 0 };
    let mut round = 1;
    while tokio::time::timeout(PAUSE, stop.wait_for(|stop| *stop)).await.is_err() {
        if let Err(fault) = worker.round(round).await {
            return record.fault(format!("{} to {peer}, round {round}: {fault}", context.node().name()));
        }
        record.rounds.fetch_add(1, Relaxed);
        round += 1;
    }
    // What is on its way has a moment.
    if let Some(left) = context.receive_timeout(Duration::from_secs(1)).await {
        record.fault(format!("{} to {peer}: {left:?} is left", context.node().name()));
    }
}

struct Worker<'a> {
    context: &'a mut Context,
    peer: &'a str,
    sent: i64,
}

impl Worker<'_> {
    async fn round(&mut self, round: u64) -> Result<(), String> {
        for nth in 1..=MESSAGES {
            self.sent += 1;
            let size = match nth {
                MESSAGES if round.is_multiple_of(40) => 3 << 20,
                MESSAGES if round.is_multiple_of(4) => 100 << 10,
                nth => usize::try_from(nth).expect("it is small"),
            };
            let payload = Term::binary(vec![filling(self.sent); size]);
            let message = tuple!(atom "seq", self.context.pid(), self.sent, size, payload);
            self.context.send(self.soak(), message).await;
        }
        let own = self.context.pid().clone();
        let seen = self.call(tuple!(atom "seen", &own)).await?;
        same("messages seen", &seen, &Term::from(self.sent))?;
        let reference = self.context.make_ref();
        let echo = term!({(round), [1, 2.5, "text"], (&own), (&reference)});
        let echoed = self.call(tuple!(atom "echo", echo.clone())).await?;
        same("an echo", &echoed, &echo)?;
        if round.is_multiple_of(2) {
            let answer = erpc::call(self.context, self.peer, "erlang", "node", vec![], Some(LIMIT)).await;
            same("erpc", &answer.map_err(|error| error.to_string())?, &Term::Atom(self.peer.into()))?;
        }
        if round.is_multiple_of(3) {
            self.held(round).await?;
        }
        if round.is_multiple_of(5) {
            self.linked().await?;
        }
        if round.is_multiple_of(40) {
            self.named().await?;
        }
        Ok(())
    }

    fn soak(&self) -> Dest {
        Dest::NameAt("soak".into(), self.peer.into())
    }

    async fn call(&mut self, request: Term) -> Result<Term, String> {
        let text = request.to_string();
        let answer = self.context.call(self.soak(), request, Some(LIMIT)).await;
        answer.map_err(|error| format!("{text}: {error}"))
    }

    async fn receive<T>(&mut self, what: &str, pick: impl FnMut(&Message) -> Option<T>) -> Result<T, String> {
        let picked = self.context.receive_match_timeout(Some(LIMIT), pick).await;
        picked.ok_or_else(|| format!("no {what} in {LIMIT:?}"))
    }

    /// A process that is started there, linked and monitored, and told to end.
    async fn held(&mut self, round: u64) -> Result<(), String> {
        let options = RemoteSpawnOptions { link: true, monitor: true };
        let request = self.context.spawn_request(self.peer, "ct_soak", "hold", vec![], options);
        let reply = self.receive("spawn_reply", |message| match message {
            Message::SpawnReply { reference, result } if *reference == request => Some(result.clone()),
            _ => None,
        });
        let pid = reply.await?.map_err(|error| format!("spawn_request: {error}"))?;
        let wanted = tuple!(atom "done", round);
        self.context.send(&pid, tuple!(atom "stop", wanted.clone())).await;
        let exit = self.receive("exit", |message| match message {
            Message::Exit { from, reason } if *from == pid => Some(reason.clone()),
            _ => None,
        });
        same("an exit reason", &exit.await?, &wanted)?;
        let down = self.receive("DOWN", |message| match message {
            Message::Down { reference, reason, .. } if *reference == request => Some(reason.clone()),
            _ => None,
        });
        same("a DOWN's reason", &down.await?, &wanted)
    }

    /// Processes of this node that link with the one there: one takes the link back, one ends with it.
    async fn linked(&mut self) -> Result<(), String> {
        let whereis = vec![Term::atom("soak")];
        let soak = erpc::call(self.context, self.peer, "erlang", "whereis", whereis, Some(LIMIT)).await;
        let Ok(Term::Pid(soak)) = soak else { return Err(format!("whereis: {soak:?}")) };
        for (unlinks, wanted) in [(true, "normal"), (false, "away")] {
            let soak = soak.clone();
            let body = move |mut context: Context| async move {
                context.link(&soak);
                if unlinks {
                    let monitor = context.monitor(&soak);
                    context.demonitor(&monitor);
                    context.unlink(&soak);
                }
                Term::atom(wanted)
            };
            let pid =
                self.context.spawn_link(SpawnOptions::default(), body).map_err(|error| error.to_string())?;
            let exit = self.receive("exit of a process of ours", |message| match message {
                Message::Exit { from, reason } if *from == pid => Some(reason.clone()),
                _ => None,
            });
            same("a reason of ours", &exit.await?, &Term::atom(wanted))?;
        }
        Ok(())
    }

    /// A name of the whole cluster, which the other node sees as long as it is there.
    async fn named(&mut self) -> Result<(), String> {
        let (own, global) = (self.context.pid().clone(), self.context.node().global().clone());
        let name = tuple!(atom "soak", self.context.node().name(), Term::Atom(self.peer.into()));
        if !global.register_name(&name, &own, Resolver::default()).await {
            return Err(format!("the global name {name} is taken"));
        }
        let there = self.call(tuple!(atom "whereis", name.clone())).await?;
        same("a global name", &there, &Term::from(&own))?;
        global.unregister_name(&name).await;
        let there = self.call(tuple!(atom "whereis", name)).await?;
        same("a global name that is given back", &there, &Term::atom("undefined"))
    }
}

fn same(what: &str, is: &Term, wanted: &Term) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what}: {is}, not {wanted}")) }
}
