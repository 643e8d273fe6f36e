//! In the background, or below systemd.

use std::{
    env,
    fs::File,
    io::{self, BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
};

use dist_ac::flags::fail;
use listenfd::ListenFd;

use super::UP;
use crate::say;

/// Starts this program again, in the background, and returns once it listens; or has ended, with its status.
pub(super) fn start(arguments: &[String]) -> ExitCode {
    let is_daemon = |argument: &&String| argument.trim_start_matches('-') == "daemon";
    let others = arguments.iter().filter(|argument| !is_daemon(argument));
    let started = env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        // It may have been called `epmd`, which would be to say `epmd` twice.
        command.arg0("crabnode").args(["epmd", "-detached"]).args(others);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
    });
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return fail(&format!("epmd: cannot start the daemon: {error}")),
    };
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // Nothing read is told from the line below.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    if line.trim_end() == UP {
        return ExitCode::SUCCESS;
    }
    match child.wait() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        // It has said why itself.
        Ok(_) => ExitCode::FAILURE,
        Err(error) => fail(&format!("epmd: the daemon has not started: {error}")),
    }
}

/// Leaves the folder, which may be one to unmount, and the terminal, having said what is to be said to it.
pub(super) fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    env::set_current_dir("/")?;
    say(UP);
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(rustix::stdio::dup2_stderr(&nowhere)?)
}

/// The sockets systemd passes.
pub(super) fn systemd_listeners() -> io::Result<Vec<TcpListener>> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        listeners.extend(passed.take_tcp_listener(index)?);
    }
    if listeners.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "systemd provides no sockets"));
    }
    Ok(listeners)
}

pub(super) fn tell_systemd() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "systemd is not told that the server is ready");
    }
}
