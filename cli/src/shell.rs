//! `crabnode shell NODE`: an Erlang shell on a running node (cluster-services.md 2.10 a).
//!
//! The node runs the shell, and we are its group leader: it prints here and reads here. Of Erlang nothing is known on
//! this side; whether an expression is complete, and what a tab adds to it, the node is asked.

use std::{io::IsTerminal, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use crabnode::{Context, Message, Node, Pid, SpawnOptions, Term, erpc, io};
use dist_ac::flags::{NodeFlags, fail};
use tokio::sync::mpsc;

use crate::guest;

mod completion;
mod pipe;
mod terminal;

#[derive(Args)]
pub(crate) struct Flags {
    /// NAME@HOST of the node to run the shell on
    node: String,
    #[command(flatten)]
    own: NodeFlags,
}

/// What the user wants of the session, beside input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To stop what is being evaluated.
    Interrupt,
    /// To go.
    Leave,
}

/// How many wishes may wait: one, for the next of its kind adds nothing.
const WISHES_MAX: usize = 4;

/// How the session ended.
#[derive(Debug, PartialEq)]
enum End {
    Left,
    NotStarted(String),
    /// The shell's process ended.
    Shell(Term),
}

/// How long the node may take to start a shell: it has nothing to do for it but to ask us a little.
const START_MAX: Duration = Duration::from_secs(30);

/// How long a session that is left waits for its shell to end.
const LEAVE_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn run(flags: Flags) -> ExitCode {
    let (peer, config) = match guest::config("shell", &flags.node, &flags.own) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    if let Err(error) = node.connect(&peer).await {
        node.stop().await;
        return fail(&error);
    }
    let (wishes, wished) = mpsc::channel(WISHES_MAX);
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let terminal = is_terminal.then(terminal::State::save).flatten();
    let leader = match terminal {
        Some(_) => match terminal::start(completion::start(&node, &peer), wishes) {
            Ok((output, input)) => io::start_group_leader(&node, None, output, input),
            Err(error) => return fail(&format!("the terminal cannot be used: {error}")),
        },
        None => io::start_group_leader(&node, None, io::Sink::stdout(), pipe::start(wishes)),
    };
    let leader = leader.expect("no name was given that could be taken");
    let end = session(&node, &peer, leader, wished).await;
    node.stop().await;
    // The editor may be in the middle of a line.
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    match end {
        End::Left => ExitCode::SUCCESS,
        End::NotStarted(reason) => fail(&format!("no shell on {peer}: {reason}")),
        End::Shell(reason) if reason.is_atom("normal") => ExitCode::SUCCESS,
        End::Shell(reason) if reason.is_atom("noconnection") => {
            fail(&format!("*** the connection to {peer} is lost"))
        }
        End::Shell(reason) => fail(&format!("*** the shell process has ended: {reason}")),
    }
}

/// Starts a shell and waits for its end.
async fn session(node: &Node, peer: &str, leader: Pid, mut wished: mpsc::Receiver<Wish>) -> End {
    let (sender, ended) = tokio::sync::oneshot::channel();
    let peer: Arc<str> = peer.into();
    let options = SpawnOptions { group_leader: Some(leader), ..SpawnOptions::default() };
    let body = move |mut context: Context| async move {
        let end = shell(&mut context, &peer, &mut wished).await;
        // Nobody waits where the program ends.
        let _ = sender.send(end);
    };
    node.spawn_with(options, body).expect("no name was given that could be taken");
    ended.await.unwrap_or_else(|_| End::Shell(Term::atom("killed")))
}

async fn shell(context: &mut Context, peer: &str, wished: &mut mpsc::Receiver<Wish>) -> End {
    // Its group leader is ours, which the shell asks things before it is started.
    let started = erpc::call(context, peer, "shell", "start", vec![], Some(START_MAX)).await;
    let shell = match started {
        Ok(Term::Pid(shell)) => shell,
        Ok(other) => return End::NotStarted(format!("it answers {other}")),
        Err(error) => return End::NotStarted(error.to_string()),
    };
    let monitor = context.monitor(&shell);
    loop {
        let down = context.receive_match(|message| match message {
            Message::Down { reference, reason, .. } if *reference == monitor.reference => {
                Some(reason.clone())
            }
            _ => None,
        });
        let wish = tokio::select! {
            // A shell may end because it is left.
            biased;
            wish = wished.recv() => wish.unwrap_or(Wish::Leave),
            reason = down => return End::Shell(reason),
            // While a line is edited ^C is a key, and no signal.
            Ok(()) = tokio::signal::ctrl_c() => Wish::Interrupt,
        };
        match wish {
            Wish::Interrupt => context.exit(&shell, Term::atom("interrupt")),
            Wish::Leave => {
                context.exit(&shell, Term::atom("kill"));
                let is_down = |message: &Message| matches!(message, Message::Down { .. }).then_some(());
                context.receive_match_timeout(Some(LEAVE_MAX), is_down).await;
                return End::Left;
            }
        }
    }
}
