//! What the healer asks nodes, and has them do: a process for each question, so that one that does not answer keeps
//! nobody.

use std::time::Duration;

use crabnode::{CallError, Context, Dest, rpc};
use etf::{Atom, Term};
use tokio::sync::mpsc;

use super::driver::Event;
use crate::{
    engine::wire::DIST_AC,
    heal::{Answer, Input, Question},
};

/// `application:takeover/2` and `start/2` wait for a lock and for the start, and `stop/1` for the end, which may take
/// their time.
const CALL_LIMIT: Duration = Duration::from_secs(120);

/// Asks, and hands the answer to the driver.
pub(super) async fn ask(
    mut context: Context,
    node: Atom,
    question: Question,
    limit: Duration,
    events: mpsc::Sender<Event>,
) {
    let rpc = match question {
        Question::DistAc | Question::Waiting => None,
        Question::Controller => Some(("application", "info")),
        Question::Nodes => Some(("erlang", "nodes")),
    };
    let answer = match rpc {
        None if question == Question::Waiting => waiting(&mut context, &node, limit).await,
        None => {
            let dest = Dest::NameAt(Atom::from_static(DIST_AC), node.clone());
            match context.call(dest, Term::atom("info"), Some(limit)).await {
                Ok(term) => Answer::Term(term),
                Err(CallError::NoProc) => Answer::NoProcess,
                Err(CallError::Exit { .. } | CallError::NoConnection { .. } | CallError::Timeout) => {
                    Answer::None
                }
            }
        }
        Some((module, function)) => {
            let result =
                rpc::call(&mut context, node.as_str(), module, function, Vec::new(), Some(limit)).await;
            result.map_or(Answer::None, Answer::Term)
        }
    };
    // The driver may have ended.
    let _ = events.send(Event::Healer(Input::Answered { node, question, answer })).await;
}

/// In what its `dist_ac` is blocked.
async fn waiting(context: &mut Context, node: &Atom, limit: Duration) -> Answer {
    let (node, name) = (node.as_str(), Term::atom(DIST_AC));
    let pid = rpc::call(context, node, "erlang", "whereis", vec![name], Some(limit)).await;
    let Ok(pid @ Term::Pid(_)) = pid else { return Answer::None };
    let args = vec![pid, Term::atom("backtrace")];
    rpc::call(context, node, "erlang", "process_info", args, Some(limit))
        .await
        .map_or(Answer::None, Answer::Term)
}

/// `application:takeover(App, RestartType)` at a node.
pub(super) async fn take_over(mut context: Context, node: Atom, app: Atom, restart_type: Term) {
    call(&mut context, &node, "takeover", &app, vec![Term::from(&app), restart_type]).await;
}

/// `application:stop(App)` at a node, and `application:start(App, RestartType)` when that is over.
pub(super) async fn restart(mut context: Context, node: Atom, app: Atom, restart_type: Term) {
    call(&mut context, &node, "stop", &app, vec![Term::from(&app)]).await;
    call(&mut context, &node, "start", &app, vec![Term::from(&app), restart_type]).await;
}

async fn call(context: &mut Context, node: &Atom, function: &'static str, app: &Atom, args: Vec<Term>) {
    match rpc::call(context, node.as_str(), "application", function, args, Some(CALL_LIMIT)).await {
        Ok(reply) => tracing::info!(%app, %node, %reply, function, "healing"),
        Err(error) => tracing::warn!(%app, %node, ?error, function, "healing"),
    }
}
