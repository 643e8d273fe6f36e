//! What is said to a server (cluster-services 2.1), beside [`Context::call`] and [`Context::cast`].

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use etf::{Atom, Reference, Term, tuple};

use crate::{CallError, Context, Dest, Message, PendingCall, clock, process::answered_call};

/// How long `gen_server:call/2` waits, which says nothing about it.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// `gen_server:abcast(Nodes, Name, Message)`: a cast to the process of this name on each of the nodes; without nodes, on
/// this one and all that are connected and visible.
///
/// Never waits, and says nothing of nodes that it does not reach.
pub fn abcast(context: &Context, nodes: Option<Vec<Atom>>, name: impl Into<Atom>, message: impl Into<Term>) {
    let (name, message) = (name.into(), message.into());
    for node in nodes_or_all(context, nodes) {
        context.cast(Dest::NameAt(name.clone(), node), message.clone());
    }
}

/// What a [`multi_call`] came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MultiCall {
    /// The nodes that answered and what they did, in the order of the nodes.
    pub replies: Vec<(Atom, Term)>,
    /// The others: not there, without such a process, or too late. In the order of the nodes.
    pub bad_nodes: Vec<Atom>,
}

/// `gen_server:multi_call(Nodes, Name, Request, Timeout)`: calls the process of this name on each of the nodes at once;
/// without nodes, on this one and all that are connected and visible. No timeout is `infinity`.
///
/// A late answer reaches nobody, nor does any if the future is dropped.
pub async fn multi_call(
    context: &mut Context,
    nodes: Option<Vec<Atom>>,
    name: impl Into<Atom>,
    request: impl Into<Term>,
    timeout: Option<Duration>,
) -> MultiCall {
    let (name, request) = (name.into(), request.into());
    let nodes = nodes_or_all(context, nodes);
    let (mut answers, mut open) = (Vec::new(), RequestIds::new());
    for (nth, node) in nodes.iter().enumerate() {
        answers.push(None);
        let dest = Dest::NameAt(name.clone(), node.clone());
        open.add(context.send_request(dest, request.clone()), nth);
    }
    let deadline = timeout.map(|timeout| clock::now() + timeout);
    while let Collected::Response(result, label) = open.receive_by(context, deadline).await {
        answers[label] = result.ok();
    }
    let mut outcome = MultiCall::default();
    for (node, answer) in nodes.into_iter().zip(answers) {
        match answer {
            Some(answer) => outcome.replies.push((node, answer)),
            None => outcome.bad_nodes.push(node),
        }
    }
    outcome
}

fn nodes_or_all(context: &Context, nodes: Option<Vec<Atom>>) -> Vec<Atom> {
    nodes.unwrap_or_else(|| {
        let mut nodes = context.node().nodes();
        nodes.insert(0, context.node().name().clone());
        nodes
    })
}

/// `gen_server:send_request(ServerRef, Request)`: a call without the wait. What it gives is the request id.
pub fn send_request(context: &Context, dest: impl Into<Dest>, request: impl Into<Term>) -> PendingCall {
    context.send_request(dest, request)
}

/// `gen_server:wait_response(RequestId, Timeout)`: nothing after the timeout, and then the request is still open and
/// may be waited for again. Dropping the future leaves it open too.
pub async fn wait_response(
    context: &mut Context,
    request: &PendingCall,
    timeout: Option<Duration>,
) -> Option<Result<Term, CallError>> {
    let deadline = timeout.map(|timeout| clock::now() + timeout);
    let message = receive_by(context, deadline, |message| request.is_response(message)).await?;
    Some(request.result(message))
}

/// `gen_server:receive_response(RequestId, Timeout)`: the request is over after the timeout, and its answer reaches
/// nobody. The same as [`Context::wait_response`].
pub async fn receive_response(
    context: &mut Context,
    request: PendingCall,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    context.wait_response(request, timeout).await
}

/// `gen_server:check_response(Message, RequestId)`: for who takes messages out of the mailbox as they come. Gives back
/// the message if it says nothing of this request.
pub fn check_response(message: Message, request: &PendingCall) -> Result<Result<Term, CallError>, Message> {
    if request.is_response(&message) { Ok(request.result(message)) } else { Err(message) }
}

/// A message of a kind, or nothing if none comes until then.
async fn receive_by(
    context: &mut Context,
    deadline: Option<Instant>,
    is_wanted: impl FnMut(&Message) -> bool,
) -> Option<Message> {
    let message = context.receive_where(is_wanted);
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), message).await.ok(),
        None => Some(message.await),
    }
}

/// `gen_server:request_id_collection()`: requests that are waited for together, each with a label.
///
/// Dropping it ends the requests that are still open; answers that have come already stay in the mailbox.
#[derive(Default)]
pub struct RequestIds<L> {
    open: HashMap<Reference, (PendingCall, L)>,
}

/// What came of waiting for one of several requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Collected<L> {
    /// One is answered, or never will be: its outcome, and its label. It is no longer in the collection.
    Response(Result<Term, CallError>, L),
    /// `timeout`.
    Timeout,
    /// `no_request`: the collection is empty.
    NoRequest,
}

impl<L> RequestIds<L> {
    /// `gen_server:reqids_new()`.
    #[must_use]
    pub fn new() -> Self {
        Self { open: HashMap::new() }
    }

    /// `gen_server:reqids_add(RequestId, Label, Collection)`.
    pub fn add(&mut self, request: PendingCall, label: L) {
        self.open.insert(request.reference().clone(), (request, label));
    }

    /// `gen_server:reqids_size(Collection)`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The requests and their labels, in no order: `gen_server:reqids_to_list(Collection)`.
    pub fn iter(&self) -> impl Iterator<Item = (&PendingCall, &L)> {
        self.open.values().map(|(request, label)| (request, label))
    }

    /// `gen_server:wait_response(Collection, Timeout, true)`: the first response to any of them. After a timeout they
    /// are all still open. Dropping the future loses nothing.
    pub async fn wait_response(&mut self, context: &mut Context, timeout: Option<Duration>) -> Collected<L> {
        self.wait_by(context, timeout.map(|timeout| clock::now() + timeout)).await
    }

    /// `gen_server:receive_response(Collection, Timeout, true)`: the same, but after a timeout all of them are over.
    pub async fn receive_response(
        &mut self,
        context: &mut Context,
        timeout: Option<Duration>,
    ) -> Collected<L> {
        self.receive_by(context, timeout.map(|timeout| clock::now() + timeout)).await
    }

    /// `gen_server:check_response(Message, Collection, true)`: gives back a message that says nothing of any of them.
    pub fn check_response(&mut self, message: Message) -> Result<Collected<L>, Message> {
        if self.open.is_empty() {
            return Ok(Collected::NoRequest);
        }
        let answered = answered_call(&message).and_then(|reference| self.open.remove(reference));
        match answered {
            Some((request, label)) => Ok(Collected::Response(request.result(message), label)),
            None => Err(message),
        }
    }

    async fn wait_by(&mut self, context: &mut Context, deadline: Option<Instant>) -> Collected<L> {
        if self.open.is_empty() {
            return Collected::NoRequest;
        }
        let open = &self.open;
        let is_response = |message: &Message| answered_call(message).is_some_and(|r| open.contains_key(r));
        match receive_by(context, deadline, is_response).await {
            Some(message) => {
                self.check_response(message).unwrap_or_else(|_| unreachable!("it was looked at"))
            }
            None => Collected::Timeout,
        }
    }

    async fn receive_by(&mut self, context: &mut Context, deadline: Option<Instant>) -> Collected<L> {
        let response = self.wait_by(context, deadline).await;
        if let Collected::Timeout = response {
            for (_, (mut request, _)) in self.open.drain() {
                context.forget_call(&mut request);
            }
        }
        response
    }
}

/// `gen_server:stop(ServerRef, Reason, Timeout)`, which stops a process of any of the behaviours: returns when it is
/// gone. No timeout is `infinity`.
///
/// The error is how OTP's function exits: [`CallError::Exit`] if the process ended for another reason, and
/// [`CallError::Timeout`] if it is still there. Dropping the future leaves it stopping.
pub async fn stop(
    context: &mut Context,
    dest: impl Into<Dest>,
    reason: impl Into<Term>,
    timeout: Option<Duration>,
) -> Result<(), CallError> {
    let reason = reason.into();
    let request = tuple!(atom "terminate", reason.clone());
    let mut call = context.send_labelled(Term::atom("system"), dest.into(), request, None);
    let deadline = timeout.map(|timeout| clock::now() + timeout);
    // The answer says only that it is about to end.
    let is_down = |message: &Message| matches!(message, Message::Down { reference, .. } if reference == call.reference());
    let message = receive_by(context, deadline, is_down).await;
    let result = message.map_or(Err(CallError::Timeout), |message| call.result(message));
    context.forget_call(&mut call);
    match result {
        Err(CallError::Exit { reason: found }) if found == reason => Ok(()),
        Err(error) => Err(error),
        Ok(_) => unreachable!("it is a DOWN"),
    }
}
