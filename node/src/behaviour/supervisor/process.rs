//! The process of a supervisor: does what the engine says.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use etf::{Atom, Pid, Reference, Term, tuple};

use super::{
    ChildSpec, Shutdown, Starting, SupervisorSpec,
    engine::{Engine, Input, Output, Request},
    term,
};
use crate::{
    Args, Context, Message, Monitor, clock,
    gen_server::{From as CallFrom, GenServer, Next, Reply},
};

/// Child specifications on their way to a supervisor of this node: how a child is started cannot be said in a term.
#[derive(Default)]
pub(crate) struct ChildSpecs(Mutex<HashMap<Reference, ChildSpec>>);

impl ChildSpecs {
    pub(super) fn put(&self, reference: Reference, spec: ChildSpec) {
        self.lock().insert(reference, spec);
    }

    pub(super) fn take(&self, reference: &Reference) -> Option<ChildSpec> {
        self.lock().remove(reference)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Reference, ChildSpec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Supervisor {
    engine: Engine<CallFrom>,
}

/// What a supervisor is to do after what was said to it.
enum Then {
    Continue,
    Fail(Term),
    End(Term),
}

impl GenServer for Supervisor {
    type Args = SupervisorSpec;

    async fn init(context: &mut Context, spec: SupervisorSpec) -> Result<Self, Term> {
        context.trap_exit(true);
        let mut supervisor = Self { engine: Engine::new(spec)? };
        match supervisor.handle(context, Input::Init).await {
            Then::Fail(reason) => Err(reason),
            Then::Continue | Then::End(_) => Ok(supervisor),
        }
    }

    async fn handle_call(&mut self, context: &mut Context, request: Term, from: &CallFrom) -> Reply {
        let request = match self.parse(context, &request) {
            Ok(request) => request,
            Err(reason) => return Reply::Reply(tuple!(atom "error", reason)),
        };
        let call = Input::Call { call: from.clone(), request };
        Reply::NoReplyThen(self.handle(context, call).await.into())
    }

    async fn handle_cast(&mut self, context: &mut Context, message: Term) -> Next {
        match message.as_tuple() {
            Some([verb, id]) if verb.is_atom("try_again_restart") => {
                self.handle(context, Input::TryAgain(id.clone())).await.into()
            }
            _ => Next::Continue,
        }
    }

    async fn handle_info(&mut self, context: &mut Context, message: Message) -> Next {
        match message {
            Message::Exit { from: pid, reason } => {
                self.handle(context, Input::Exit { pid, reason }).await.into()
            }
            _ => Next::Continue,
        }
    }

    async fn terminate(&mut self, context: &mut Context, _reason: &Term) {
        self.handle(context, Input::Terminate).await;
    }

    fn get_state(&self) -> Term {
        self.engine.state()
    }
}

impl From<Then> for Next {
    fn from(then: Then) -> Self {
        match then {
            Then::Continue => Self::Continue,
            Then::Fail(reason) | Then::End(reason) => Self::Stop(reason),
        }
    }
}

impl Supervisor {
    /// Tells the engine, and does what it wants done until that is all.
    async fn handle(&mut self, context: &mut Context, input: Input<CallFrom>) -> Then {
        let mut then = Then::Continue;
        self.engine.handle(clock::now(), input);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Start { spec, args } => {
                    let result = match (spec.start)(context, args).await {
                        Ok(pid) => Ok(Some(pid)),
                        Err(reason) if reason.is_atom("ignore") => Ok(None),
                        Err(reason) => Err(reason),
                    };
                    self.engine.handle(clock::now(), Input::Started(result));
                }
                Output::Stop { pid, shutdown } => {
                    end_all(context, vec![pid], shutdown).await;
                    self.engine.handle(clock::now(), Input::Stopped);
                }
                Output::StopAll { pids, shutdown } => {
                    end_all(context, pids, shutdown).await;
                    self.engine.handle(clock::now(), Input::Stopped);
                }
                Output::Reply { call, reply } => context.reply(call, reply),
                Output::TryAgain(id) => {
                    context.cast(context.pid(), tuple!(atom "try_again_restart", id));
                }
                Output::Failed(reason) => then = Then::Fail(reason),
                Output::End(reason) => then = Then::End(reason),
                Output::Ready | Output::Terminated => {}
                Output::Report { what, id, reason } => {
                    tracing::error!(supervisor = ?context.pid(), what, child = %id, %reason, "supervisor");
                }
            }
        }
        then
    }

    /// The error is the reason that is answered.
    fn parse(&self, context: &Context, request: &Term) -> Result<Request, Term> {
        let not_supported = || Term::atom("not_supported");
        let Some([verb, arg]) = request.as_tuple() else {
            return match request.as_atom().map(Atom::as_str) {
                Some("which_children") => Ok(Request::WhichChildren),
                Some("count_children") => Ok(Request::CountChildren),
                _ => Err(not_supported()),
            };
        };
        let id = arg.clone();
        match verb.as_atom().map(Atom::as_str) {
            Some("start_child") if self.engine.is_simple() => match arg {
                Term::List(args) => Ok(Request::StartDynamic(args.to_vec())),
                _ => Err(tuple!(atom "badarg", id)),
            },
            Some("start_child") => match arg {
                Term::Reference(reference) => match context.inner().child_specs.take(reference) {
                    Some(spec) => Ok(Request::Start(spec)),
                    None => term::parse(arg).map(Request::Start),
                },
                _ => term::parse(arg).map(Request::Start),
            },
            Some("terminate_child") => {
                let is_gone = match arg {
                    Term::Pid(pid) => {
                        pid.node() == context.node().name() && !context.node().is_process_alive(pid)
                    }
                    _ => false,
                };
                Ok(Request::Terminate { id, is_gone })
            }
            Some("restart_child") => Ok(Request::Restart(id)),
            Some("delete_child") => Ok(Request::Delete(id)),
            Some("get_childspec") => Ok(Request::Spec(id)),
            _ => Err(not_supported()),
        }
    }
}

/// Ends processes as a supervisor does, all at once, and returns when they are gone.
async fn end_all(context: &mut Context, pids: Vec<Pid>, shutdown: Shutdown) {
    let reason = if shutdown == Shutdown::BrutalKill { "kill" } else { "shutdown" };
    let mut left: HashMap<Reference, Pid> = HashMap::new();
    for pid in pids {
        let Monitor { reference } = context.monitor(&pid);
        context.exit(&pid, Term::atom(reason));
        left.insert(reference, pid);
    }
    let deadline = match shutdown {
        Shutdown::Timeout(time) => Some(clock::now() + time),
        Shutdown::BrutalKill | Shutdown::Infinity => None,
    };
    let mut deadline = deadline;
    while !left.is_empty() {
        let waiting = &left;
        let down = context.receive_match(|message| match message {
            Message::Down { reference, .. } if waiting.contains_key(reference) => Some(reference.clone()),
            _ => None,
        });
        let down = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), down).await.ok(),
            None => Some(down.await),
        };
        match down {
            Some(reference) => {
                if let Some(pid) = left.remove(&reference) {
                    context.forget_exit(&pid);
                }
            }
            None => {
                deadline = None;
                for pid in left.values() {
                    context.exit(pid, Term::atom("kill"));
                }
            }
        }
    }
}

/// Starts a child as `{Module, Function, Args}` says: a function that the node serves, and that gives `{ok, Pid}`.
pub(super) fn start_function<'a>(
    context: &'a mut Context,
    module: Atom,
    function: Atom,
    args: Args,
) -> Starting<'a> {
    Box::pin(async move {
        let node = context.node().clone();
        // It runs in the supervisor's own process, which the child is linked with so.
        let outcome = node.functions().apply(context.twin(), &module, &function, args).await;
        let result = outcome.map_err(|exception| tuple!(atom "EXIT", exception.into_reason()))?;
        match result.as_tuple() {
            Some([ok, Term::Pid(pid)] | [ok, Term::Pid(pid), _]) if ok.is_atom("ok") => Ok(pid.clone()),
            Some([error, reason]) if error.is_atom("error") => Err(reason.clone()),
            _ => Err(result),
        }
    })
}
