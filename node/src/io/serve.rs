//! Serving what needs no input.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etf::{
    Atom, Pid, Term,
    text::{self, Encoding},
    tuple,
};
use tokio::sync::Semaphore;

use super::{
    device::Output,
    requests::{Apply, Chars, IoRequest, Request},
};
use crate::{Context, erpc};

/// How many functions of other nodes may be called at once for what they give to be printed. A client waits for its
/// reply before it asks again, so so many print at once.
pub(super) const CALLS_MAX: usize = 256;

/// How long such a function may take. It makes a text and nothing else.
const CALL_MAX: Duration = Duration::from_secs(60);

/// What all that serves for a group leader shares.
pub(super) struct Shared<O> {
    output: tokio::sync::Mutex<O>,
    options: Mutex<Options>,
    pub(super) calls: Semaphore,
}

/// What `io:setopts` sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Whether input is given as binaries; else as lists.
    pub(super) is_binary: bool,
    is_latin1: bool,
    echo: bool,
}

impl<O: Output> Shared<O> {
    pub(super) fn new(output: O) -> Self {
        Self {
            output: tokio::sync::Mutex::new(output),
            options: Mutex::new(Options { is_binary: false, is_latin1: false, echo: true }),
            calls: Semaphore::new(CALLS_MAX),
        }
    }

    fn options_mut(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn options(&self) -> Options {
        *self.options_mut()
    }

    /// The reply to requests of which none reads.
    pub(super) async fn serve_all(&self, context: &mut Context, from: &Pid, requests: Vec<Request>) -> Term {
        let mut reply = Term::atom("ok");
        for request in requests {
            reply = self.serve(context, from, request).await;
            if is_error(&reply) {
                break;
            }
        }
        reply
    }

    /// The reply to a request; one that reads is not served here.
    pub(super) async fn serve(&self, context: &mut Context, from: &Pid, request: Request) -> Term {
        match request {
            Request::Put(encoding, chars) => self.put(context, from, encoding, chars).await,
            Request::Columns => self.size(|(columns, _)| columns).await,
            Request::Rows => self.size(|(_, rows)| rows).await,
            Request::GetOpts => self.options().into_term(),
            Request::SetOpts(options) => {
                self.options_mut().set(&options);
                Term::atom("ok")
            }
            Request::Get(..) | Request::Unknown => error(Term::atom("request")),
        }
    }

    async fn put(&self, context: &mut Context, from: &Pid, encoding: Encoding, chars: Chars) -> Term {
        let text = match chars {
            Chars::Data(chars) => match text::chardata_to_text(&chars, encoding) {
                Some(text) => Ok(text),
                None => Err(tuple!(atom "put_chars", encoding_atom(encoding), chars)),
            },
            Chars::Apply(apply) => apply.text(context, from.node(), encoding).await,
        };
        let text = match text {
            Ok(text) => text,
            Err(reason) => return error(reason),
        };
        match self.output.lock().await.put_chars(text).await {
            Ok(()) => Term::atom("ok"),
            Err(failure) => {
                tracing::debug!(%failure, "what a process prints cannot be printed");
                error(Term::atom("terminated"))
            }
        }
    }

    async fn size(&self, which: impl Fn((u16, u16)) -> u16) -> Term {
        self.output
            .lock()
            .await
            .size()
            .map_or_else(|| error(Term::atom("enotsup")), |size| which(size).into())
    }
}

impl Options {
    fn into_term(self) -> Term {
        let encoding = if self.is_latin1 { Encoding::Latin1 } else { Encoding::Unicode };
        Term::list(vec![
            tuple!(atom "expand_fun", false),
            tuple!(atom "echo", self.echo),
            tuple!(atom "binary", self.is_binary),
            tuple!(atom "encoding", encoding_atom(encoding)),
        ])
    }

    /// What newer releases set besides changes nothing here.
    fn set(&mut self, options: &[Term]) {
        for option in options {
            match (option.as_atom().map(Atom::as_str), option.as_tuple()) {
                (Some("binary"), _) => self.is_binary = true,
                (Some("list"), _) => self.is_binary = false,
                (_, Some([key, value])) => match (key.as_atom().map(Atom::as_str), value.as_atom()) {
                    (Some("binary"), Some(value)) => self.is_binary = value == "true",
                    (Some("echo"), Some(value)) => self.echo = value == "true",
                    (Some("encoding"), Some(value)) => self.is_latin1 = value == "latin1",
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

impl IoRequest {
    /// Whether the node of the client has to be asked for what is printed, which takes time.
    pub(super) fn calls(&self) -> bool {
        self.requests.iter().any(|request| match request {
            Request::Put(_, Chars::Apply(apply)) => !apply.is_format(),
            _ => false,
        })
    }

    pub(super) fn reply(&self, context: &Context, reply: Term) {
        context.send_now(&self.from, tuple!(atom "io_reply", self.reply_as.clone(), reply));
    }
}

impl Apply {
    /// `io_lib:format/2`, which is what `io:format` sends, is known here.
    fn is_format(&self) -> bool {
        self.module == "io_lib"
            && matches!(self.function.as_str(), "format" | "fwrite")
            && self.args.len() == 2
    }

    /// What the function gives, as text.
    async fn text(self, context: &mut Context, node: &Atom, encoding: Encoding) -> Result<String, Term> {
        // As OTP's own group leaders say it.
        let failed = Term::from(&self.function);
        if self.is_format() {
            return formatted(&self.args[0], &self.args[1]).ok_or(failed);
        }
        let chars = self.call(context, node, vec![]).await.map_err(|()| failed.clone())?;
        text::chardata_to_text(&chars, encoding).ok_or(failed)
    }

    /// Calls the function at the client's node, with these arguments before its own.
    pub(super) async fn call(
        self,
        context: &mut Context,
        node: &Atom,
        mut args: Vec<Term>,
    ) -> Result<Term, ()> {
        args.extend(self.args);
        let called = erpc::call(context, node, &self.module, &self.function, args, Some(CALL_MAX)).await;
        called.map_err(|failure| {
            tracing::debug!(module = %self.module, function = %self.function, %failure, "not printed or read");
        })
    }
}

/// The text of `io_lib:format(Format, Args)`, where that has one.
pub(crate) fn formatted(format: &Term, args: &Term) -> Option<String> {
    text::format(&text_of(format)?, args.as_list()?).ok()
}

/// Chardata, or an atom's text.
pub(crate) fn text_of(chars: &Term) -> Option<String> {
    match chars {
        Term::Atom(atom) => Some(atom.as_str().to_owned()),
        chars => text::chardata_to_text(chars, Encoding::Unicode),
    }
}

pub(super) fn error(reason: Term) -> Term {
    tuple!(atom "error", reason)
}

pub(super) fn is_error(reply: &Term) -> bool {
    matches!(reply.as_tuple(), Some([tag, _]) if tag.is_atom("error"))
}

fn encoding_atom(encoding: Encoding) -> Term {
    Term::atom(match encoding {
        Encoding::Latin1 => "latin1",
        Encoding::Unicode => "unicode",
    })
}
