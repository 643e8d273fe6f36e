//! `crabnode call`, `eval` and `stop`: what `erl_call -a`, `-e` and `-q` do (cluster-services.md 2.6).
//!
//! The exit statuses are those of `erl_call`. 0: there was an answer, and it is printed, whatever it says; or the node
//! was to be stopped, and is not there now. 1: the node cannot be reached, or an argument is wrong. 255: the arguments
//! are no list of terms, or the node went away before it answered.

use std::{io::Read, process::ExitCode, time::Duration};

use clap::Args;
use crabnode::{
    Context, Message, Node, Pid, Term,
    io::{self, NoInput, Sink},
    tuple,
};
use dist_ac::flags::{NodeFlags, fail};
use etf::text::parse_term;
use tokio::time::timeout;

use crate::{guest, json, say};

#[derive(Args)]
pub(crate) struct CallFlags {
    /// NAME@HOST of the node that is to run the function
    node: String,
    /// Module, function (otherwise start) and the list of its arguments (otherwise []), in one argument or in several
    #[arg(required = true, value_name = "MODULE [FUNCTION [ARGUMENTS]]", num_args = 1..)]
    call: Vec<String>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    own: NodeFlags,
}

#[derive(Args)]
pub(crate) struct EvalFlags {
    /// NAME@HOST of the node that is to evaluate the expressions
    node: String,
    /// Expressions with commas between, as X = 1, X + 1; otherwise read from stdin. The value is {ok, Value}
    expressions: Option<String>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    own: NodeFlags,
}

#[derive(Args)]
pub(crate) struct StopFlags {
    /// NAME@HOST of the node that is to halt
    node: String,
    /// Give up after so long
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    #[command(flatten)]
    own: NodeFlags,
}

#[derive(Args)]
struct OutputFlags {
    /// Print the result as JSON, not as Erlang
    #[arg(long)]
    json: bool,
    /// Print what the function prints, too; otherwise it is printed by the node that runs it
    #[arg(long)]
    fetch_stdout: bool,
    /// Do not print the result
    #[arg(long)]
    no_result_term: bool,
    /// Give up after so long
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// What `erl_call` exits with where it exits with -1.
const NO_ANSWER: u8 = 255;

/// The most that is read as expressions: more than any program that is written by hand.
const EXPRESSIONS_BYTES_MAX: u64 = 16 << 20;

pub(crate) async fn call(flags: CallFlags) -> ExitCode {
    let Some((module, function, arguments)) = split(&flags.call.join(" ")) else {
        return fail(&"call: it takes MODULE [FUNCTION [ARGUMENTS]]");
    };
    let arguments = match parse_term(&arguments) {
        Ok(Term::List(arguments)) => Term::List(arguments),
        Ok(other) => return no_answer(&format!("{other}: the arguments are a list")),
        Err(error) => return no_answer(&format!("{arguments}: {error}")),
    };
    let (Ok(module), Ok(function)) = (atom(&module), atom(&function)) else {
        return fail(&"call: a module and a function are atoms");
    };
    run("call", &flags.node, &flags.own, &flags.output, module, function, arguments).await
}

pub(crate) async fn eval(flags: EvalFlags) -> ExitCode {
    let mut text = match flags.expressions {
        Some(text) => text,
        None => {
            let mut text = String::new();
            match std::io::stdin().take(EXPRESSIONS_BYTES_MAX).read_to_string(&mut text) {
                Ok(_) => text,
                Err(error) => return fail(&format!("eval: stdin: {error}")),
            }
        }
    };
    if !text.trim_end().ends_with('.') {
        text.push('.');
    }
    // Only with something behind it is it the end.
    text.push('\n');
    let (module, function) = (Term::atom("erl_eval"), Term::atom("eval_str"));
    // As a string, in which every character has its place.
    let arguments = Term::list(vec![Term::charlist(&text)]);
    run("eval", &flags.node, &flags.own, &flags.output, module, function, arguments).await
}

pub(crate) async fn stop(flags: StopFlags) -> ExitCode {
    let (peer, config) = match guest::config("stop", &flags.node, &flags.own) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    let halt = async {
        // One that is not there has stopped.
        if let Err(error) = node.connect(&peer).await {
            tracing::info!(%error, "not connected");
            return;
        }
        let call = Call { module: Term::atom("erlang"), function: Term::atom("halt"), arguments: Term::NIL };
        let asked = peer.clone();
        node.run(move |mut context| async move { call.make(&mut context, &asked, None).await }).await;
    };
    let halted = within(flags.timeout, halt).await;
    node.stop().await;
    match halted {
        Some(()) => ExitCode::SUCCESS,
        None => fail(&format!("{peer} has not answered")),
    }
}

/// `M F Args`, each but the first with what `erl_call` takes for it. Only the arguments may have spaces in them.
fn split(text: &str) -> Option<(String, String, String)> {
    let mut parts = text.trim().splitn(2, char::is_whitespace);
    let module = parts.next().filter(|module| !module.is_empty())?;
    let rest = parts.next().unwrap_or_default().trim_start();
    let (function, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let or =
        |text: &str, default: &str| if text.trim().is_empty() { default.to_owned() } else { text.to_owned() };
    Some((module.to_owned(), or(function, "start"), or(arguments, "[]")))
}

/// A name on the command line is an atom, with quotes or without: `Elixir.Foo` is one.
fn atom(text: &str) -> Result<Term, etf::AtomTooLong> {
    let plain = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text);
    etf::Atom::try_new(plain).map(Term::Atom)
}

struct Call {
    module: Term,
    function: Term,
    arguments: Term,
}

impl Call {
    /// Asks the node's `rex`, as `erl_call` does. Nothing if the node is gone.
    async fn make(self, context: &mut Context, node: &str, output: Option<&Pid>) -> Option<Term> {
        let rex = ("rex", node);
        let monitor = context.monitor(rex);
        let leader = output.map_or(Term::atom("user"), Term::from);
        let call = tuple!(atom "call", self.module, self.function, self.arguments, leader);
        context.send(rex, tuple!(context.pid(), call)).await;
        context
            .receive_match(|message| match message {
                Message::Term(term) => match term.as_tuple() {
                    Some([tag, result]) if tag.is_atom("rex") => Some(Some(result.clone())),
                    _ => None,
                },
                Message::Down { reference, .. } if *reference == monitor.reference => Some(None),
                _ => None,
            })
            .await
    }
}

async fn run(
    kind: &str,
    node: &str,
    own: &NodeFlags,
    output: &OutputFlags,
    module: Term,
    function: Term,
    arguments: Term,
) -> ExitCode {
    let (peer, config) = match guest::config(kind, node, own) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    let called = within(output.timeout, async {
        node.connect(&peer).await.map_err(|error| fail(&error))?;
        let leader = match output.fetch_stdout {
            true => Some(io::start_group_leader(&node, None, Sink::stdout(), NoInput)).transpose(),
            false => Ok(None),
        };
        let leader = leader.expect("no name was given that could be taken");
        let (call, asked) = (Call { module, function, arguments }, peer.clone());
        let result = node
            .run(move |mut context| async move { call.make(&mut context, &asked, leader.as_ref()).await });
        result.await.flatten().ok_or_else(|| no_answer(&format!("{peer} went away and has not answered")))
    })
    .await;
    node.stop().await;
    match called {
        None => fail(&format!("{peer} has not answered")),
        Some(Err(status)) => status,
        Some(Ok(_)) if output.no_result_term => ExitCode::SUCCESS,
        Some(Ok(result)) => {
            say(&if output.json { json::to_json(&result) } else { result.to_string() });
            ExitCode::SUCCESS
        }
    }
}

/// Nothing if it takes longer than so many seconds.
async fn within<T>(seconds: Option<u64>, work: impl Future<Output = T>) -> Option<T> {
    match seconds {
        Some(seconds) => timeout(Duration::from_secs(seconds), work).await.ok(),
        None => Some(work.await),
    }
}

fn no_answer(reason: &str) -> ExitCode {
    fail(&reason);
    ExitCode::from(NO_ANSWER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_split_as_erl_call_splits_it() {
        let split = |text: &str| split(text).map(|(m, f, a)| format!("{m}|{f}|{a}"));
        assert_eq!(split("erlang length [[a, b]]").as_deref(), Some("erlang|length|[[a, b]]"));
        assert_eq!(split("  m  f ").as_deref(), Some("m|f|[]"));
        assert_eq!(split("m").as_deref(), Some("m|start|[]"));
        assert_eq!(split(" "), None);
    }
}
