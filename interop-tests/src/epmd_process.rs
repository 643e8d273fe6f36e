//! An EPMD on a private port.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use crate::{Otp, Process, TestPorts, clock::wait_for, crabnode_binary};

/// Ports tried before giving up: another program may take the free port before the EPMD does.
const PORTS_TRIED_MAX: usize = 5;

/// How long an EPMD may take to answer, on a machine that is busy with other tests.
const ANSWERS: Duration = Duration::from_secs(20);

/// A running EPMD, stock or ours. It ends with this value.
pub struct EpmdProcess {
    process: Process,
    port: TestPorts,
    /// The program and its options but for the port.
    command: Vec<OsString>,
}

impl EpmdProcess {
    /// The `epmd` of an OTP release.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn stock(otp: &Otp) -> Self {
        Self::stock_with(otp, &[])
    }

    /// The same with these options.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn stock_with(otp: &Otp, options: &[&str]) -> Self {
        Self::start("epmd", vec![otp.epmd().into()], options)
    }

    /// `crabnode epmd`.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn crabnode() -> Self {
        Self::crabnode_with(&[])
    }

    /// The same with these options.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn crabnode_with(options: &[&str]) -> Self {
        Self::start("crabnode epmd", vec![crabnode_binary().into(), "epmd".into()], options)
    }

    /// Ends it, by SIGKILL, and starts another in its place, at the same port.
    ///
    /// # Panics
    /// Where the other does not start.
    pub fn restart(&mut self) {
        self.process.kill9();
        let started = try_start(self.process.name(), &self.command, self.port());
        self.process = started.unwrap_or_else(|said| panic!("{said}"));
    }

    /// The port it answers on.
    pub fn port(&self) -> u16 {
        self.port.first()
    }

    /// The program.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn start(name: &str, program: Vec<OsString>, options: &[&str]) -> Self {
        let mut said = String::new();
        for _ in 0..PORTS_TRIED_MAX {
            let mut command = program.clone();
            command.extend(options.iter().map(OsString::from));
            let port = TestPorts::new(1);
            match try_start(name, &command, port.first()) {
                Ok(process) => return Self { process, port, command },
                Err(error) => said = error,
            }
        }
        panic!("{said}");
    }
}

fn try_start(name: &str, command: &[OsString], port: u16) -> Result<Process, String> {
    let mut started = Command::new(&command[0]);
    started.args(&command[1..]).args(["-port", &port.to_string()]);
    for variable in ["ERL_EPMD_ADDRESS", "ERL_EPMD_RELAXED_COMMAND_CHECK"] {
        started.env_remove(variable);
    }
    let mut process = Process::start(name, &mut started);
    let answers = wait_for(ANSWERS, || {
        if process.status().is_some() { Some(false) } else { answers_at(port).then_some(true) }
    });
    if answers == Some(true) { Ok(process) } else { Err(process.say("did not come to answer")) }
}

/// Whether it tells its port. One that takes connections may not listen at all its addresses yet.
fn answers_at(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(ANSWERS))?;
        stream.write_all(b"\0\x01n")?;
        let mut told = [0; 4];
        stream.read_exact(&mut told)?;
        io::Result::Ok(told == u32::from(port).to_be_bytes())
    };
    ask().unwrap_or(false)
}
