//! The process of a server.

use std::mem;

use etf::{Atom, Pid, Term};
use tokio::sync::oneshot;

use super::{GenServer, Next, NotFrom, Reply, ServerName, from::From as CallFrom, register};
use crate::{
    Context, Message,
    behaviour::sys::{Inspect, Received, System},
};

/// Serves from `init` to `terminate`. The exit reason.
pub(super) async fn serve<S: GenServer>(
    mut context: Context,
    parent: Option<Pid>,
    name: ServerName,
    args: S::Args,
    started: oneshot::Sender<Result<(), Term>>,
) -> Term {
    if let Err(reason) = register(&mut context, name.clone()).await {
        // The parent gets the reason, and no exit with it.
        parent.iter().for_each(|parent| context.unlink(parent));
        let _ = started.send(Err(reason));
        return Term::atom("normal");
    }
    let mut server = match S::init(&mut context, args).await {
        Ok(server) => server,
        Err(reason) => {
            if let ServerName::Global(name) = &name {
                context.node().global().unregister_name(name).await;
            }
            parent.iter().for_each(|parent| context.unlink(parent));
            let _ = started.send(Err(reason.clone()));
            return if reason.is_atom("ignore") { Term::atom("normal") } else { reason };
        }
    };
    let mut system = System::new(&context, name.term(), parent.as_ref(), module::<S>());
    // Whoever started it may be gone; the server runs all the same, until the exit of its parent ends it.
    let _ = started.send(Ok(()));
    let End { reason, reply } = serve_messages(&mut context, &mut server, &mut system).await;
    server.terminate(&mut context, &reason).await;
    if let Some((from, reply)) = reply {
        context.reply(from, reply);
    }
    reason
}

/// What stands for the module of a server: the name of its type, without its path.
fn module<S>() -> Atom {
    let path = std::any::type_name::<S>();
    let path = path.split_once('<').map_or(path, |(path, _)| path);
    let name = path.rsplit("::").next().unwrap_or(path);
    Atom::try_new(name).unwrap_or(Atom::from_static("crabnode"))
}

/// How a server ends, and whom it answers when it has terminated.
struct End {
    reason: Term,
    reply: Option<(CallFrom, Term)>,
}

impl<S: GenServer> Inspect for S {
    fn get_state(&self) -> Term {
        GenServer::get_state(self)
    }

    fn replace_state(&mut self, state: Term) -> Result<(), Term> {
        GenServer::replace_state(self, state)
    }

    fn format_status(&self) -> Term {
        GenServer::format_status(self)
    }
}

/// Runs until the server, its parent or `sys` wants it to end.
async fn serve_messages<S: GenServer>(context: &mut Context, server: &mut S, system: &mut System) -> End {
    let mut next = server.after_init(context).await;
    loop {
        let timeout = match next {
            Next::Continue => None,
            Next::Timeout(timeout) => Some(timeout),
            Next::HandleContinue(what) => {
                next = server.handle_continue(context, what).await;
                continue;
            }
            Next::Stop(reason) => return End { reason, reply: None },
        };
        let message = match system.receive(context, server, timeout).await {
            Received::Message(message) => message,
            Received::Timeout => Message::Term(Term::atom("timeout")),
            Received::Terminate(reason) => return End { reason, reply: None },
        };
        system.takes(context, &message);
        next = match Request::parse(message) {
            Request::Call { from, request } => {
                let (reply, next) = match server.handle_call(context, request, &from).await {
                    Reply::Reply(reply) => (Some(reply), Next::Continue),
                    Reply::ReplyThen(reply, next) => (Some(reply), next),
                    Reply::NoReply => (None, Next::Continue),
                    Reply::NoReplyThen(next) => (None, next),
                    Reply::StopReply(reason, reply) => return End { reason, reply: Some((from, reply)) },
                    Reply::Stop(reason) => (None, Next::Stop(reason)),
                };
                match reply {
                    Some(reply) => {
                        system.answered(context, &from, &reply, server);
                        context.answer(from, reply);
                    }
                    None => system.is_done(context, server),
                }
                next
            }
            Request::Cast(message) => {
                let next = server.handle_cast(context, message).await;
                system.is_done(context, server);
                next
            }
            Request::Info(message) => {
                let next = server.handle_info(context, message).await;
                system.is_done(context, server);
                next
            }
        };
    }
}

/// A message to a server, told apart.
#[derive(Debug, PartialEq)]
enum Request {
    Call { from: CallFrom, request: Term },
    Cast(Term),
    Info(Message),
}

impl Request {
    /// What is taken out leaves `[]` behind: nothing is copied, and no memory asked for.
    fn parse(message: Message) -> Self {
        let Message::Term(Term::Tuple(mut elements)) = message else { return Self::Info(message) };
        let take = |element: &mut Term| mem::replace(element, Term::NIL);
        match &mut elements[..] {
            [Term::Atom(tag), message] if tag.as_str() == "$gen_cast" => return Self::Cast(take(message)),
            [Term::Atom(tag), from, request] if tag.as_str() == "$gen_call" => {
                match CallFrom::parse(take(from)) {
                    Ok(from) => return Self::Call { from, request: take(request) },
                    Err(NotFrom(term)) => *from = term,
                }
            }
            _ => {}
        }
        Self::Info(Message::Term(Term::Tuple(elements)))
    }
}

#[cfg(test)]
mod tests {
    use etf::{Reference, tuple};

    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let pid = Pid::new(Atom::from_static("a@h"), 1, 0, 1);
        let tag = Reference::new(Atom::from_static("a@h"), 1, &[1, 2, 3]).expect("three words");
        let from = tuple!(&pid, &tag);
        let parse = |term: &Term| Request::parse(Message::Term(term.clone()));
        let call = parse(&tuple!(atom "$gen_call", from.clone(), atom "x"));
        let from = CallFrom::parse(from).expect("it is one");
        assert_eq!(call, Request::Call { from, request: Term::atom("x") });
        assert_eq!(parse(&tuple!(atom "$gen_cast", 1)), Request::Cast(1.into()));
        for other in [
            tuple!(atom "$gen_call", atom "nobody", atom "x"),
            tuple!(atom "$gen_call", 1),
            tuple!(atom "$gen_cast", 1, 2),
            tuple!(1, 2),
            tuple!(),
            Term::NIL,
        ] {
            assert_eq!(parse(&other), Request::Info(Message::Term(other)));
        }
    }

    #[test]
    fn a_server_is_called_by_the_name_of_its_type() {
        struct Counter;
        struct Of<T>(T);
        assert_eq!(module::<Counter>(), Atom::from_static("Counter"));
        assert_eq!(module::<Of<Vec<Counter>>>(), Atom::from_static("Of"));
    }
}
