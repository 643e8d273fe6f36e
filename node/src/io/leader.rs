//! The group leader: a process that prints and reads for others.

use std::{mem, sync::Arc};

use etf::{Atom, Pid, Term};

use super::{
    device::{Input, Output},
    reader::Reader,
    requests::IoRequest,
    serve::{Shared, error},
};
use crate::{Context, Message, NameTaken, Node, SpawnOptions, node::Inner};

/// Starts a group leader that prints to `output` and reads from `input`, registered if there is a name: who has it as
/// [`SpawnOptions::group_leader`], here or on another node, prints and reads there.
///
/// It serves until the node ends, or until somebody ends it by [`Context::exit`]. Output is printed while input is
/// waited for; who reads waits for those that asked before.
pub fn start_group_leader(
    node: &Node,
    name: Option<Atom>,
    output: impl Output,
    input: impl Input,
) -> Result<Pid, NameTaken> {
    start(node.inner(), name, output, input)
}

pub(crate) fn start(
    inner: &Arc<Inner>,
    name: Option<Atom>,
    output: impl Output,
    input: impl Input,
) -> Result<Pid, NameTaken> {
    let module = Atom::from_static(if name.is_some() { "user" } else { "group" });
    let process = inner.new_process(SpawnOptions {
        name,
        initial_call: Some((module, Atom::from_static("server"), 2)),
        ..SpawnOptions::default()
    })?;
    let pid = process.pid.clone();
    inner.run_process(process, |context| run(context, output, input));
    Ok(pid)
}

async fn run(mut context: Context, output: impl Output, input: impl Input) -> Term {
    // Whoever links to it does not end it.
    context.trap_exit(true);
    let shared = Arc::new(Shared::new(output));
    let mut input = Some(input);
    let mut reader = None;
    loop {
        let message = match context.receive().await {
            Message::Term(message) => message,
            Message::Exit { from, reason } if Some(&from) == reader.as_ref() => return reason,
            _ => continue,
        };
        let Some(mut request) = IoRequest::parse(&message) else {
            tracing::debug!(%message, "a group leader does not know this message");
            continue;
        };
        if request.reads() {
            if let Some(input) = input.take() {
                let reading = Reader::new(Arc::clone(&shared), input);
                let pid = context.spawn_link(SpawnOptions::default(), |context| reading.run(context));
                reader = Some(pid.expect("no name was given that could be taken"));
            }
            if let Some(reader) = &reader {
                context.send_now(reader, message);
            }
        } else if request.calls() {
            serve_aside(&context, &shared, request);
        } else {
            let asked = mem::take(&mut request.requests);
            let reply = shared.serve_all(&mut context, &request.from, asked).await;
            request.reply(&context, reply);
        }
    }
}

/// In a process of its own: a function of another node must not hold up the others.
fn serve_aside(context: &Context, shared: &Arc<Shared<impl Output>>, mut request: IoRequest) {
    let shared = Arc::clone(shared);
    context.spawn(move |mut context| async move {
        let reply = match shared.calls.try_acquire() {
            Ok(_permit) => {
                let asked = mem::take(&mut request.requests);
                shared.serve_all(&mut context, &request.from, asked).await
            }
            Err(_) => error(Term::atom("system_limit")),
        };
        request.reply(&context, reply);
    });
}
