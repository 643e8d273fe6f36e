//! `crabnode epmd`, and `crabnode` under the name `epmd`: the EPMD of a host, with stock `epmd`'s options, words and
//! exit statuses, so that it can stand in for it (wire.md 1.2, rules 11 and 12).

use std::{
    io::{self, ErrorKind},
    process::ExitCode,
};

use dist_ac::flags::fail;
use epmd::EpmdServer;
use tokio::signal::unix::{SignalKind, signal};

use crate::say;

mod asking;
mod daemon;
mod options;

pub(crate) use options::Options;
use options::{Action, Serving, USAGE, Wrong};

/// What a detached server says to the program that has started it, once it listens.
const UP: &str = "up";

/// What the arguments and the environment say; or the status to exit with, all being said.
pub(crate) fn options(arguments: Vec<String>) -> Result<Options, ExitCode> {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    Options::parse(arguments, variable).map_err(|wrong| match wrong {
        Wrong::Asked => {
            say(USAGE);
            ExitCode::SUCCESS
        }
        Wrong::Usage => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
        wrong => fail(&format!("epmd: {wrong}")),
    })
}

pub(crate) async fn run(options: Options) -> ExitCode {
    match options.action {
        Action::Ask(question) => asking::ask(options.port, question).await,
        Action::Serve(Serving { daemon: true, .. }) => daemon::start(&options.arguments),
        Action::Serve(serving) => serve(serving).await.unwrap_or_else(|error| match error.kind() {
            // Another EPMD is there, which is as good.
            ErrorKind::AddrInUse => ExitCode::SUCCESS,
            _ => fail(&format!("epmd: {error}")),
        }),
    }
}

async fn serve(serving: Serving) -> io::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let _ignored = if serving.detached { Some(signal(SignalKind::hangup())?) } else { None };
    let server = if serving.systemd {
        EpmdServer::from_listeners(&serving.config, daemon::systemd_listeners()?)?
    } else {
        EpmdServer::bind(serving.config)?
    };
    tracing::info!(port = server.local_port(), "epmd running");
    if serving.detached {
        daemon::detach()?;
    }
    if serving.systemd {
        daemon::tell_systemd();
    }
    tokio::select! {
        () = server.run() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}
