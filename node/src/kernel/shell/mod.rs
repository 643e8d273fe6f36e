//! A small shell for those who come by `erl -remsh` or `r 'rust@host'` (cluster-services.md 2.10 b).
//!
//! The terminal, with editing and history, is that of the BEAM they come from. It calls `shell:start()` here with a
//! group leader of its own and gets the pid of a process, which reads lines from that group leader, and prints to it.
//! What the shell runs are the functions that the node serves; there is no Erlang to evaluate.

use std::{sync::Arc, time::Duration};

use etf::{Atom, Pid, Term, text::Style};

use super::functions::Builtin;
use crate::{Args, Context, Exception, Message, SpawnOptions, io};

mod commands;
mod parse;
use parse::Command;

/// How long an expression may be, in bytes: nobody types more.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;

/// The columns of a line of values.
const LINE: usize = 80;

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("shell", "start", 0, async |c: Context, _: Args| {
        // A request to start it is no parent: the caller links to it later.
        let options = SpawnOptions {
            group_leader: Some(c.group_leader()),
            initial_call: Some((Atom::from_static("shell"), Atom::from_static("start"), 0)),
            ..SpawnOptions::default()
        };
        let pid = c.node().spawn_with(options, run).expect("no name was given that could be taken");
        Ok(Term::Pid(pid))
    });
    for arity in [1, 2] {
        functions.insert("edlin_expand", "expand", arity, async |_: Context, args: Args| {
            Ok(commands::expand(&args[0]))
        });
    }
}

/// Why a shell ends.
enum End {
    /// Its user wants that, or the terminal is gone.
    Session,
    /// With the reason that the terminal gives.
    Exit(Term),
}

async fn run(mut context: Context) -> Term {
    context.trap_exit(true);
    let leader = context.group_leader();
    let banner = format!("crabnode {}: help(). says what there is\n", env!("CARGO_PKG_VERSION"));
    if io::put_chars(&mut context, &banner).await.is_err() {
        return Term::atom("normal");
    }
    let mut number = 1_u64;
    loop {
        let prompt = format!("({}){number}> ", context.node().name().as_str());
        match one(&mut context, &leader, &prompt).await {
            Ok(true) => number += 1,
            Ok(false) => {}
            Err(End::Session) => return Term::atom("normal"),
            Err(End::Exit(reason)) => return reason,
        }
    }
}

/// Reads an expression, runs it and prints its value. Whether there was one.
async fn one(context: &mut Context, leader: &Pid, prompt: &str) -> Result<bool, End> {
    let Some(expression) = read(context, leader, prompt).await? else { return Ok(false) };
    if expression.is_empty() {
        return Ok(false);
    }
    let output = match Command::parse(&expression) {
        Ok(Command::Value(value)) => lines(&value),
        Ok(Command::Exit) => return Err(End::Session),
        Ok(Command::Call { module, function, args }) => {
            match run_call(context, leader, module, function, args).await? {
                Some(Ok(value)) => lines(&value),
                Some(Err(exception)) => describe(&exception),
                None => "** interrupted **".to_owned(),
            }
        }
        Err(error) => format!("* {error}"),
    };
    match io::put_chars(context, &format!("{output}\n")).await {
        Ok(()) => Ok(true),
        Err(_) => Err(End::Session),
    }
}

/// Lines up to one that ends with a `.`, without that; nothing if the user has thought better of it.
async fn read(context: &mut Context, leader: &Pid, prompt: &str) -> Result<Option<String>, End> {
    let mut expression = String::new();
    loop {
        // One that came while something was printed.
        forget_interrupts(context, leader, Duration::ZERO).await?;
        match io::get_line(context, prompt).await {
            Ok(Some(line)) => expression.push_str(&line),
            Err(io::IoError::Refused(reason)) if reason.is_atom("interrupted") => {
                // Who interrupts the reading may say so to the shell, too.
                forget_interrupts(context, leader, INTERRUPT_MAX).await?;
                return Ok(None);
            }
            Ok(None) | Err(_) => return Err(End::Session),
        }
        let text = expression.trim();
        if text.is_empty() || expression.len() > EXPRESSION_BYTES_MAX {
            return Ok(None);
        }
        if let Some(text) = text.strip_suffix('.') {
            return Ok(Some(text.trim_end().to_owned()));
        }
    }
}

/// Runs a function in a process of its own, and ends that where the user interrupts it. Nothing is its outcome then.
async fn run_call(
    context: &mut Context,
    leader: &Pid,
    module: Option<Atom>,
    function: Atom,
    args: Args,
) -> Result<Option<Result<Term, Exception>>, End> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let inner = Arc::clone(context.inner());
    let running = context.spawn(move |mut context| async move {
        let outcome = match module {
            Some(module) => inner.functions.apply(context, &module, &function, args).await,
            None => commands::run(&mut context, function, args).await,
        };
        // The shell may have ended.
        let _ = sender.send(outcome);
    });
    let monitor = context.monitor(&running);
    let event = context.receive_match(|message| match message {
        Message::Down { reference, reason, .. } if *reference == monitor.reference => {
            Some((None, reason.clone()))
        }
        Message::Exit { from, reason } => Some((Some(from.clone()), reason.clone())),
        _ => None,
    });
    let event = tokio::select! {
        biased;
        Ok(outcome) = receiver => Err(outcome),
        event = event => Ok(event),
    };
    let outcome = match event {
        Err(outcome) => Some(outcome),
        // Ended from outside, without an outcome.
        Ok((None, reason)) => Some(Err(Exception::Exit(reason))),
        Ok((Some(from), reason)) => {
            context.exit(&running, Term::atom("kill"));
            exit(Some((from, reason)), leader)?;
            None
        }
    };
    context.demonitor(&monitor);
    Ok(outcome)
}

/// How long an interrupt may be behind the end of the reading that it ends: both come from the same node.
const INTERRUPT_MAX: Duration = Duration::from_millis(50);

/// Interrupts that came while nothing ran: they must not end what runs next.
async fn forget_interrupts(context: &mut Context, leader: &Pid, wait: Duration) -> Result<(), End> {
    while exit(context.receive_match_timeout(Some(wait), is_exit).await, leader)? {}
    Ok(())
}

fn is_exit(message: &Message) -> Option<(Pid, Term)> {
    match message {
        Message::Exit { from, reason } => Some((from.clone(), reason.clone())),
        _ => None,
    }
}

/// Whether there was an exit signal. One that is no interrupt, of the terminal, ends the shell.
fn exit(signal: Option<(Pid, Term)>, leader: &Pid) -> Result<bool, End> {
    match signal {
        None => Ok(false),
        Some((_, reason)) if reason.is_atom("interrupt") => Ok(true),
        Some((from, reason)) if from == *leader => Err(End::Exit(reason)),
        Some(_) => Ok(true),
    }
}

fn lines(value: &Term) -> String {
    value.to_lines(Style::UNICODE, LINE, 1)
}

/// As Erlang's shell says it.
fn describe(exception: &Exception) -> String {
    match exception {
        Exception::Throw(term) => format!("** exception throw: {}", lines(term)),
        Exception::Exit(reason) => format!("** exception exit: {}", lines(reason)),
        Exception::Error { reason, stack } => {
            let called = stack.as_list().and_then(|stack| stack.first()).and_then(Term::as_tuple);
            match called {
                Some([module, function, Term::List(args), _]) if reason.is_atom("undef") => {
                    format!("** exception error: undefined function {module}:{function}/{}", args.len())
                }
                _ => format!("** exception error: {}", lines(reason)),
            }
        }
    }
}
