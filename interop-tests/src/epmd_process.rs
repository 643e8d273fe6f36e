//! An EPMD on a private port.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use crate::{Otp, Process, clock::wait_for, crabnode_binary};

/// Ports tried before giving up: another program may take the free port before the EPMD does.
const PORTS_TRIED_MAX: usize = 5;

/// A running EPMD, stock or ours. It ends with this value.
pub struct EpmdProcess {
    process: Process,
    port: u16,
}

impl EpmdProcess {
    /// The `epmd` of an OTP release.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn stock(otp: &Otp) -> Self {
        let program = otp.epmd();
        Self::start("epmd", |port| {
            let mut command = Command::new(&program);
            command.args(["-port", &port.to_string()]);
            command
        })
    }

    /// `crabnode epmd`.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn crabnode() -> Self {
        let program = crabnode_binary();
        Self::start("crabnode epmd", |port| {
            let mut command = Command::new(&program);
            command.args(["epmd", "--epmd-port", &port.to_string()]);
            command
        })
    }

    /// The port it answers on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The program.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn start(name: &str, command: impl Fn(u16) -> Command) -> Self {
        let mut said = String::new();
        for _ in 0..PORTS_TRIED_MAX {
            let port = free_port();
            let mut process = Process::start(name, &mut command(port));
            let answers = wait_for(Duration::from_secs(5), || {
                if process.status().is_some() { Some(false) } else { accepts(port).then_some(true) }
            });
            if answers == Some(true) {
                return Self { process, port };
            }
            said = process.say("did not come to answer");
        }
        panic!("{said}");
    }
}

/// A port that nothing listens on.
///
/// # Panics
/// Where the host has none.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

fn accepts(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}
