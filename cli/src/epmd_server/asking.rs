//! Questions to the EPMD that runs, answered in stock `epmd`'s words.

use std::process::ExitCode;

use epmd::{EpmdClient, EpmdError, KillAnswer, StopAnswer};

use super::options::Question;
use crate::say;

pub(super) async fn ask(port: u16, question: Question) -> ExitCode {
    let client = EpmdClient::new(port);
    let is_silent = question == Question::Started;
    let answered = match question {
        Question::Names => names(&client).await,
        Question::Started => client.names(LOOPBACK).await.map(|_| ExitCode::SUCCESS),
        Question::Dump => client.dump().await.map(|text| {
            let said = format!("{}\n{text}", headline(port));
            say(said.strip_suffix('\n').unwrap_or(&said));
            ExitCode::SUCCESS
        }),
        Question::Kill => client.kill().await.map(|answer| match answer {
            KillAnswer::Killed => said("Killed", ExitCode::SUCCESS),
            KillAnswer::LiveNodes => {
                said("Killing not allowed - living nodes in database.", ExitCode::FAILURE)
            }
        }),
        Question::Stop(name) => client.stop(&name).await.map(|answer| match answer {
            StopAnswer::Stopped => said("STOPPED", ExitCode::SUCCESS),
            StopAnswer::NotRegistered => said("NOEXIST", ExitCode::SUCCESS),
        }),
    };
    answered.unwrap_or_else(|error| {
        if !is_silent {
            match &error {
                error if error.is_unreachable() => eprintln!("epmd: Cannot connect to local epmd"),
                // Not only where it is not relaxed; but that is nearly always why.
                EpmdError::Closed { .. } => say("epmd: local epmd responded with <>"),
                error => eprintln!("epmd: {error}"),
            }
        }
        ExitCode::FAILURE
    })
}

/// Prints the nodes of this host as `epmd -names` does.
async fn names(client: &EpmdClient) -> Result<ExitCode, EpmdError> {
    let names = client.names(LOOPBACK).await?;
    say(&headline(client.port));
    for (name, port) in names {
        say(&format!("name {name} at port {port}"));
    }
    Ok(ExitCode::SUCCESS)
}

const LOOPBACK: &str = "127.0.0.1";

fn headline(port: u16) -> String {
    format!("epmd: up and running on port {port} with data:")
}

fn said(line: &str, status: ExitCode) -> ExitCode {
    say(line);
    status
}
