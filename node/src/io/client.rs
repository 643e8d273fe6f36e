//! What a process prints and reads: requests to its group leader.

use etf::{Pid, Term, tuple};

use crate::{Context, Message};

/// Why a request to a group leader has failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IoError {
    /// There is no group leader, or it ended before it answered.
    #[error("the group leader is gone")]
    Terminated,
    /// It answers `{error, Reason}`.
    #[error("the group leader refuses: {0}")]
    Refused(Term),
    /// It answers something else than the protocol says.
    #[error("the group leader answers {0}")]
    BadReply(Term),
}

/// `io:put_chars(Chars)`: prints a text. Returns when it is printed.
///
/// Dropping the future, here and below, leaves the request under way.
pub async fn put_chars(context: &mut Context, text: &str) -> Result<(), IoError> {
    let leader = context.group_leader();
    done(request(context, &leader, tuple!(atom "put_chars", atom "unicode", Term::binary(text))).await?)
}

/// `io:format(Format, Args)`. As in Erlang it is the group leader that makes a text of it, so that it looks like its
/// other output; a format that its arguments do not fit is [`IoError::Refused`].
pub async fn format(context: &mut Context, format: &str, args: Vec<Term>) -> Result<(), IoError> {
    let leader = context.group_leader();
    let args = Term::list(vec![Term::charlist(format), Term::list(args)]);
    let printing = tuple!(atom "put_chars", atom "unicode", atom "io_lib", atom "format", args);
    done(request(context, &leader, printing).await?)
}

/// `io:get_line(Prompt)`: a line with its end, or nothing at the end of the input.
pub async fn get_line(context: &mut Context, prompt: &str) -> Result<Option<String>, IoError> {
    let leader = context.group_leader();
    let prompt = Term::binary(prompt);
    match request(context, &leader, tuple!(atom "get_line", atom "unicode", prompt)).await? {
        eof if eof.is_atom("eof") => Ok(None),
        line => match line.as_text() {
            Some(text) => Ok(Some(text)),
            None => Err(refused(line)),
        },
    }
}

/// Any request to a group leader, and its reply: `{io_request, From, ReplyAs, Request}`.
///
/// Waits without a limit, as a BEAM does: who reads may take any time.
pub async fn request(context: &mut Context, leader: &Pid, request: Term) -> Result<Term, IoError> {
    if leader == context.pid() {
        return Err(IoError::Terminated);
    }
    let monitor = context.monitor(leader);
    let reference = &monitor.reference;
    context.send(leader, tuple!(atom "io_request", context.pid(), reference, request)).await;
    let reply = context
        .receive_match(|message| match message {
            Message::Term(term) => match term.as_tuple() {
                Some([tag, Term::Reference(r), reply]) if tag.is_atom("io_reply") && r == reference => {
                    Some(Ok(reply.clone()))
                }
                _ => None,
            },
            Message::Down { reference: r, .. } if r == reference => Some(Err(IoError::Terminated)),
            _ => None,
        })
        .await;
    context.demonitor(&monitor);
    reply
}

fn done(reply: Term) -> Result<(), IoError> {
    if reply.is_atom("ok") { Ok(()) } else { Err(refused(reply)) }
}

fn refused(reply: Term) -> IoError {
    match reply.as_tuple() {
        Some([tag, reason]) if tag.is_atom("error") => IoError::Refused(reason.clone()),
        _ => IoError::BadReply(reply),
    }
}
