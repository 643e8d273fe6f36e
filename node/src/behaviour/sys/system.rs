//! A process as `sys` sees it: the messages `{system, From, Request}` and who ends it (cluster-services 2.2).

use std::time::Duration;

use etf::{Atom, Fun, Pid, Term, tuple};

use super::debug::{Debug, Done, Event};
use crate::{
    Context, Exception, Message, clock,
    erpc::{self, ErpcError},
    gen_server::From as CallFrom,
};

/// How long a fun of another node may take that makes a new state. Who asked waits 5 s, unless he says otherwise.
const REPLACE_STATE_LIMIT: Duration = Duration::from_secs(5);

/// How long a node may take to say which release it is. It asks us at the same time, and waits 5 s as a rule.
const RELEASE_LIMIT: Duration = Duration::from_secs(4);

/// How long the one who prints for a process waits for its group leader to take a line.
const PRINT_LIMIT: Duration = Duration::from_secs(5);

/// What `sys` can see and change of what a process keeps.
pub(crate) trait Inspect {
    /// `sys:get_state`.
    fn get_state(&self) -> Term;

    /// `sys:replace_state`, with what the fun gave. The error is the reason of the exception that it fails with.
    fn replace_state(&mut self, state: Term) -> Result<(), Term>;

    /// The state as `sys:get_status` shows it.
    fn format_status(&self) -> Term;
}

/// See the module.
pub(crate) struct System {
    /// How the process is called in what is printed: by its name, or its pid.
    name: Term,
    parent: Pid,
    initial_call: Term,
    ancestors: Term,
    is_suspended: bool,
    debug: Option<Box<Debug>>,
    /// Who prints for it, while it is traced.
    printer: Option<Pid>,
}

/// What a process has to look at next.
pub(crate) enum Received {
    /// A message that is none of `sys`.
    Message(Message),
    /// Nothing came in time.
    Timeout,
    /// The parent, or `sys`, wants the process to end.
    Terminate(Term),
}

/// The same while `sys` is asked.
enum Asked {
    System { from: Term, request: Term },
    ParentExit(Term),
}

impl System {
    /// Of the context's process. One without a parent is its own, as in OTP. `module` is the one that stands for the
    /// code that it runs.
    pub(crate) fn new(context: &Context, name: Option<Term>, parent: Option<&Pid>, module: Atom) -> Self {
        let ancestors = parent.iter().map(|parent| {
            context.inner().registry.name_of(parent).map_or_else(|| Term::from(*parent), Term::Atom)
        });
        Self {
            name: name.unwrap_or_else(|| context.pid().into()),
            parent: parent.unwrap_or(context.pid()).clone(),
            initial_call: tuple!(module, atom "init", 1),
            ancestors: ancestors.collect::<Vec<_>>().into(),
            is_suspended: false,
            debug: None,
            printer: None,
        }
    }

    /// The next message that the process itself is to see. Those of `sys` are answered in here; while the process is
    /// suspended nothing else is taken out of its mailbox. Dropping the future loses no message but those of `sys`.
    pub(crate) async fn receive(
        &mut self,
        context: &mut Context,
        inspect: &mut impl Inspect,
        timeout: Option<Duration>,
    ) -> Received {
        let deadline = timeout.map(|timeout| clock::now() + timeout);
        loop {
            let asked = if self.is_suspended {
                self.receive_asked(context).await
            } else {
                let message = match deadline {
                    None => context.receive().await,
                    Some(deadline) => {
                        let left = deadline.saturating_duration_since(clock::now());
                        let Some(message) = context.receive_timeout(left).await else {
                            return Received::Timeout;
                        };
                        message
                    }
                };
                match self.sort(message) {
                    Ok(asked) => asked,
                    Err(message) => return Received::Message(message),
                }
            };
            match asked {
                Asked::ParentExit(reason) => return Received::Terminate(reason),
                Asked::System { from, request } => {
                    if let Some(reason) = self.answer(context, inspect, &from, request).await {
                        return Received::Terminate(reason);
                    }
                }
            }
        }
    }

    async fn receive_asked(&self, context: &mut Context) -> Asked {
        let message = context.receive_where(|message| self.is_asked(message)).await;
        self.sort(message).unwrap_or_else(|_| unreachable!("it was looked at"))
    }

    fn is_asked(&self, message: &Message) -> bool {
        match message {
            Message::Exit { from, .. } => *from == self.parent,
            Message::Term(Term::Tuple(elements)) => {
                matches!(&elements[..], [tag, _, _] if tag.is_atom("system"))
            }
            _ => false,
        }
    }

    fn sort(&self, message: Message) -> Result<Asked, Message> {
        if !self.is_asked(&message) {
            return Err(message);
        }
        match message {
            Message::Exit { reason, .. } => Ok(Asked::ParentExit(reason)),
            Message::Term(Term::Tuple(elements)) => {
                let mut elements = elements.into_vec();
                let request = elements.swap_remove(2);
                Ok(Asked::System { from: elements.swap_remove(1), request })
            }
            message => Err(message),
        }
    }

    /// Answers a system message. The reason, if it is that the process is to end.
    async fn answer(
        &mut self,
        context: &mut Context,
        inspect: &mut impl Inspect,
        from: &Term,
        request: Term,
    ) -> Option<Term> {
        let ok = Term::atom("ok");
        let word = request.as_atom().map(Atom::as_str);
        let reply = match (word, request.as_tuple()) {
            (Some("suspend"), _) => {
                self.is_suspended = true;
                ok
            }
            (Some("resume"), _) => {
                self.is_suspended = false;
                ok
            }
            (Some("get_state"), _) => shown(context, from, Ok(inspect.get_state())).await,
            (Some("get_status"), _) => self.status(context, inspect),
            (_, Some([verb, Term::Fun(fun)])) if verb.is_atom("replace_state") => {
                let replaced = replace_state(context, inspect, fun).await;
                shown(context, from, replaced).await
            }
            (_, Some([verb, what])) if verb.is_atom("debug") => self.debug(context, what),
            (_, Some([verb, reason])) if verb.is_atom("terminate") => {
                context.reply(from, ok);
                return Some(reason.clone());
            }
            (_, Some([verb, ..])) if verb.is_atom("change_code") && self.is_suspended => {
                // The code of a Rust program is what it is.
                tuple!(atom "error", atom "not_supported")
            }
            _ => tuple!(atom "error", tuple!(atom "unknown_system_msg", request)),
        };
        context.reply(from, reply);
        None
    }

    fn status(&self, context: &Context, inspect: &impl Inspect) -> Term {
        let word = Term::atom(if self.is_suspended { "suspended" } else { "running" });
        let dictionary = vec![
            tuple!(atom "$initial_call", self.initial_call.clone()),
            tuple!(atom "$ancestors", self.ancestors.clone()),
        ];
        let header = "Status for generic server";
        let header = match &self.name {
            Term::Atom(_) | Term::Pid(_) => Term::charlist(&format!("{header} {}", self.name)),
            name => tuple!(Term::charlist(header), name.clone()),
        };
        let (options, logged) = match &self.debug {
            Some(debug) => (debug.options(), debug.logged()),
            None => (Term::NIL, Term::NIL),
        };
        let row = |title: &str, value: Term| tuple!(Term::charlist(title), value);
        let data = |rows: Vec<Term>| tuple!(atom "data", rows);
        let misc = vec![
            tuple!(atom "header", header),
            data(vec![
                row("Status", word.clone()),
                row("Parent", (&self.parent).into()),
                row("Logged events", logged),
            ]),
            data(vec![row("State", inspect.format_status())]),
        ];
        let items = vec![Term::list(dictionary), word, (&self.parent).into(), options, Term::list(misc)];
        tuple!(atom "status", context.pid(), tuple!(atom "module", atom "gen_server"), items)
    }

    fn debug(&mut self, context: &Context, what: &Term) -> Term {
        let mut debug = self.debug.take().unwrap_or_default();
        let Done { reply, lines } = debug.command(what, &self.name, clock::unix_micros() / 1_000_000);
        if !debug.is_off() {
            self.debug = Some(debug);
        }
        for line in lines {
            self.print(context, line);
        }
        reply
    }

    /// The process takes a message.
    pub(crate) fn takes(&mut self, context: &Context, message: &Message) {
        self.note(context, || Event::In(message.clone().into_term()));
    }

    /// It has answered a call.
    pub(crate) fn answered(
        &mut self,
        context: &Context,
        from: &CallFrom,
        reply: &Term,
        state: &impl Inspect,
    ) {
        self.note(context, || Event::Out {
            reply: reply.clone(),
            from: from.into(),
            state: state.get_state(),
        });
    }

    /// It is done with a message, and has answered nothing.
    pub(crate) fn is_done(&mut self, context: &Context, state: &impl Inspect) {
        self.note(context, || Event::NoReply { state: state.get_state() });
    }

    fn note(&mut self, context: &Context, event: impl FnOnce() -> Event) {
        let Some(debug) = &mut self.debug else { return };
        if let Some(line) = debug.event(event(), &self.name) {
            self.print(context, line);
        }
    }

    /// Prints where the output of the process goes, without waiting for it.
    fn print(&mut self, context: &Context, line: String) {
        let leader = context.group_leader();
        if leader == *context.pid() {
            tracing::info!(target: "crabnode::sys", line = line.trim_end());
            return;
        }
        let printer = match self.printer.take() {
            Some(printer) if context.node().is_process_alive(&printer) => printer,
            _ => {
                let owner = context.pid().clone();
                context.spawn(move |context| print(context, owner))
            }
        };
        context.send_now(&printer, Term::binary(line.into_bytes()));
        self.printer = Some(printer);
    }
}

/// What is to be known of a service of the node itself.
struct Service(&'static str);

impl Inspect for Service {
    fn get_state(&self) -> Term {
        Term::atom(self.0)
    }

    fn replace_state(&mut self, _: Term) -> Result<(), Term> {
        Err(Term::atom("not_supported"))
    }

    fn format_status(&self) -> Term {
        self.get_state()
    }
}

/// Answers a message of `sys` to a service of the node itself, whose process is that of the context, and says whether it
/// was one. What it is and that it is there can be asked; it cannot be suspended or ended, for the node cannot do without
/// it.
pub(crate) fn answer_for_service(context: &Context, name: &'static str, message: &Term) -> bool {
    let (from, request) = match message.as_tuple() {
        Some([tag, from, request]) if tag.is_atom("system") => (from, request),
        _ => return false,
    };
    let service = Service(name);
    let reply = match (request.as_atom().map(Atom::as_str), request.as_tuple()) {
        (Some("get_status"), _) => {
            let module = Atom::from_static(name);
            System::new(context, Some(Term::Atom(module.clone())), None, module).status(context, &service)
        }
        (Some("get_state"), _) => {
            // Who asks may have to be asked, which the service does not wait for.
            let from = from.clone();
            context.spawn(async move |mut context: Context| {
                let reply = shown(&mut context, &from, Ok(service.get_state())).await;
                context.reply(&from, reply);
            });
            return true;
        }
        (_, Some([debug, what])) if debug.is_atom("debug") => match what.as_tuple() {
            Some([statistics, get]) if statistics.is_atom("statistics") && get.is_atom("get") => {
                tuple!(atom "ok", atom "no_statistics")
            }
            _ => Term::atom("unknown_debug"),
        },
        _ => tuple!(atom "error", tuple!(atom "unknown_system_msg", request.clone())),
    };
    context.reply(from, reply);
    true
}

/// Hands lines on to the group leader, one after the other: the answers would come to the owner otherwise. It ends with
/// the process that it prints for, or once the group leader does not answer.
async fn print(mut context: Context, owner: Pid) {
    context.monitor(&owner);
    loop {
        let line = match context.receive().await {
            Message::Term(line @ Term::Binary(_)) => line,
            Message::Down { .. } => return,
            _ => continue,
        };
        let reference = context.make_ref();
        let request = tuple!(atom "put_chars", atom "unicode", line);
        context
            .send_now(context.group_leader(), tuple!(atom "io_request", context.pid(), &reference, request));
        let is_answer = |message: &Message| match message {
            Message::Term(term) => match term.as_tuple() {
                Some([tag, Term::Reference(r), _]) if tag.is_atom("io_reply") && *r == reference => Some(()),
                _ => None,
            },
            _ => None,
        };
        if context.receive_match_timeout(Some(PRINT_LIMIT), is_answer).await.is_none() {
            return;
        }
    }
}

/// `sys:replace_state(Name, Fun)`. The fun has its code at the node that made it, and is run there; `fun M:F/1` is one
/// of this node's functions.
async fn replace_state(
    context: &mut Context,
    inspect: &mut impl Inspect,
    fun: &Fun,
) -> Result<Term, Exception> {
    let state = inspect.get_state();
    let outcome = match fun {
        Fun::Export { module, function, .. } => {
            let node = context.node().clone();
            let run = node.run({
                let (node, module, function) = (node.clone(), module.clone(), function.clone());
                async move |context| node.functions().apply(context, &module, &function, vec![state]).await
            });
            run.await.unwrap_or_else(|| Err(Exception::Exit(Term::atom("killed"))))
        }
        Fun::Closure(closure) => {
            let (node, args) =
                (closure.creator.node().clone(), vec![Term::from(fun.clone()), Term::list([state])]);
            let limit = Some(REPLACE_STATE_LIMIT);
            let called = erpc::call(context, &node, "erlang", "apply", args, limit).await;
            called.map_err(|error| match error {
                ErpcError::Exception(exception) => exception,
                ErpcError::Signal(reason) => Exception::Exit(reason),
                ErpcError::Erpc(reason) => Exception::error(tuple!(atom "erpc", reason)),
            })
        }
    };
    outcome.and_then(|state| match inspect.replace_state(state.clone()) {
        Ok(()) => Ok(state),
        Err(reason) => Err(Exception::error(reason)),
    })
}

/// A state as `sys:get_state` of the release that asks wants it, or why there is none.
async fn shown(context: &mut Context, from: &Term, outcome: Result<Term, Exception>) -> Term {
    let (class, reason) = match outcome {
        Ok(state) => {
            let asker = match from.as_tuple() {
                Some([Term::Pid(pid), _]) => pid.node().clone(),
                _ => return state,
            };
            let is_tagged = tags_states(context, &asker).await;
            return if is_tagged { tuple!(atom "ok", state) } else { state };
        }
        Err(Exception::Throw(term)) => ("throw", term),
        Err(Exception::Exit(reason)) => ("exit", reason),
        Err(Exception::Error { reason, .. }) => ("error", reason),
    };
    let callback = tuple!(atom "gen_server", atom "system_replace_state");
    tuple!(atom "error", tuple!(atom "callback_failed", callback, tuple!(Term::atom(class), reason)))
}

/// Whether a state is `{ok, State}` for the `sys` of a node, as from OTP 26.1 on, and not the state alone. Nothing in a
/// message tells, and stock nodes of two such releases misunderstand each other; so the node is asked.
pub(super) async fn tags_states(context: &mut Context, node: &Atom) -> bool {
    if node == context.node().name() {
        return true;
    }
    let release = vec![Term::atom("otp_release")];
    let asked = erpc::call(context, node, "erlang", "system_info", release, Some(RELEASE_LIMIT)).await;
    let release = asked.ok().and_then(|release| release.as_text()?.parse::<u32>().ok());
    release.is_none_or(|release| release >= 26)
}
