//! The process `soak` of a Rust node, which checks what comes; as `ct_soak` does on a BEAM.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crabnode::{
    Atom, Context, Message, Node, NodeEvent, Pid, Term,
    gen_server::{self, GenServer, Next, Reply, ServerName},
};

/// What went wrong at the Rust nodes, and how much there was.
#[derive(Default)]
pub(crate) struct Record {
    faults: Mutex<Vec<String>>,
    pub(crate) messages: AtomicU64,
    pub(crate) rounds: AtomicU64,
}

/// The first few say enough.
const FAULTS_MAX: usize = 20;

impl Record {
    pub(crate) fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < FAULTS_MAX {
            faults.push(fault);
        }
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts it, and serves what other nodes start here.
pub(crate) async fn start(node: &Node, visitor: &str, record: Arc<Record>) {
    let server = ServerName::Local("soak".into());
    let started = gen_server::start::<Server>(node, server, (Atom::from(visitor), record)).await;
    started.expect("the name is free");
    node.functions().insert("ct_soak", "hold", 0, |mut context, _| async move {
        let told = |message: &Message| match message.as_term()?.as_tuple()? {
            [stop, reason] if stop.is_atom("stop") => Some(reason.clone()),
            _ => None,
        };
        let reason = context.receive_match(told).await;
        Err(crabnode::Exception::Exit(reason))
    });
}

/// The byte that each of a message's is.
pub(crate) fn filling(nth: i64) -> u8 {
    nth.to_le_bytes()[0]
}

struct Server {
    /// The node that may come and go.
    visitor: Atom,
    /// The last number of each sender.
    seen: HashMap<Pid, i64>,
    record: Arc<Record>,
}

impl GenServer for Server {
    type Args = (Atom, Arc<Record>);

    async fn init(context: &mut Context, (visitor, record): Self::Args) -> Result<Self, Term> {
        context.trap_exit(true);
        context.monitor_nodes(true);
        Ok(Self { visitor, seen: HashMap::new(), record })
    }

    async fn handle_call(&mut self, context: &mut Context, request: Term, _from: &gen_server::From) -> Reply {
        Reply::Reply(match request.as_tuple() {
            Some([what, term]) if what.is_atom("echo") => term.clone(),
            Some([what, Term::Pid(channel)]) if what.is_atom("seen") => {
                Term::from(self.seen.get(channel).copied().unwrap_or_default())
            }
            Some([what, name]) if what.is_atom("whereis") => {
                context.node().global().whereis(name).map_or_else(|| Term::atom("undefined"), Term::from)
            }
            _ => {
                self.record.fault(format!("an unexpected call: {request}"));
                Term::atom("error")
            }
        })
    }

    async fn handle_info(&mut self, context: &mut Context, message: Message) -> Next {
        match &message {
            Message::Term(term) => match term.as_tuple() {
                Some([seq, Term::Pid(from), nth, size, Term::Binary(payload)]) if seq.is_atom("seq") => {
                    self.sequence(context, from, nth.as_int(), size.as_int(), payload);
                }
                _ => self.record.fault(format!("an unexpected message: {term}")),
            },
            Message::Node(NodeEvent::Down { node, reason, .. }) if *node != self.visitor => {
                self.record.fault(format!("{} lost {node}: {reason}", context.node().name()));
            }
            // A process of another node that was linked with this one has ended, as it was meant to.
            Message::Exit { reason, .. } if reason.is_atom("away") => {}
            Message::Exit { from, reason }
                if from.node() == &self.visitor && reason.is_atom("noconnection") => {}
            Message::Down { item: crabnode::Monitored::Pid(pid), .. } => {
                self.seen.remove(pid);
            }
            Message::Node(_) => {}
            Message::Exit { .. } | Message::Down { .. } | Message::SpawnReply { .. } => {
                self.record.fault(format!("an unexpected signal: {message:?}"));
            }
        }
        Next::Continue
    }
}

impl Server {
    fn sequence(
        &mut self,
        context: &Context,
        from: &Pid,
        nth: Option<i64>,
        size: Option<i64>,
        payload: &[u8],
    ) {
        self.record.messages.fetch_add(1, Relaxed);
        if !self.seen.contains_key(from) {
            context.monitor(from);
        }
        let last = self.seen.insert(from.clone(), nth.unwrap_or_default()).unwrap_or_default();
        let is_next = nth == Some(last + 1);
        let is_whole = size == i64::try_from(payload.len()).ok()
            && payload.iter().all(|byte| Some(*byte) == nth.map(filling));
        if !is_next || !is_whole {
            let length = payload.len();
            self.record.fault(format!("{from:?}: {nth:?} after {last}, {length} bytes of {size:?}"));
        }
    }
}
