//! A program that measures what it is asked to.
//!
//! It writes lines `NAME VALUE` with what it has to say about itself, then `ready`, and from then on answers each
//! line `METHOD PAYLOAD COUNT` with the nanoseconds that doing so took it COUNT times.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::Failure;

/// A running program. It ends when this is dropped.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it said about itself.
    pub(crate) facts: Vec<(String, String)>,
}

impl Program {
    /// Starts a command on this core alone, and waits until it is ready.
    pub(crate) fn start(name: &'static str, command: &Command, core: usize) -> Result<Self, Failure> {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &core.to_string()]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => pinned.env(key, value),
                None => pinned.env_remove(key),
            };
        }
        Self::start_anywhere(name, &mut pinned)
    }

    /// Starts a command on whatever cores there are, and waits until it is ready.
    pub(crate) fn start_anywhere(name: &'static str, command: &mut Command) -> Result<Self, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Failure::Start { program, source })?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut program = Self { name, child, input, output, facts: Vec::new() };
        loop {
            let line = program.line()?;
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if word == "ready" {
                return Ok(program);
            }
            program.facts.push((word.into(), rest.into()));
        }
    }

    /// How long it takes to do something so many times.
    pub(crate) fn measure(&mut self, method: &str, payload: &str, count: u64) -> Result<Duration, Failure> {
        self.ask(method, payload, count).map(Duration::from_nanos)
    }

    /// What it answers: nanoseconds as a rule.
    pub(crate) fn ask(&mut self, method: &str, payload: &str, count: u64) -> Result<u64, Failure> {
        let asked = format!("{method} {payload} {count}\n");
        let input = self.input.as_mut().expect("it is taken away at the end");
        if input.write_all(asked.as_bytes()).and_then(|()| input.flush()).is_err() {
            return Err(self.ended());
        }
        let line = self.line()?;
        line.parse().map_err(|_| {
            Failure::Check(format!("{} answered `{line}` when asked for {method} of {payload}", self.name))
        })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A number that it said about itself.
    pub(crate) fn fact(&self, name: &str) -> Result<u64, Failure> {
        let fact = self.facts.iter().find(|(known, _)| known == name);
        fact.and_then(|(_, value)| value.parse().ok())
            .ok_or_else(|| Failure::Check(format!("{} did not say its number `{name}`", self.name)))
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(1..) => Ok(line.trim_end().to_owned()),
            _ => Err(self.ended()),
        }
    }

    fn ended(&mut self) -> Failure {
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Failure::Command { command: self.name.into(), status }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        drop(self.input.take());
        if self.child.wait().is_err() {
            eprintln!("cargo xtask: {} does not end", self.name);
        }
    }
}

/// The core to measure on: the last of those this process may use, since interrupts tend to go to the first.
pub(crate) fn core() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    // Such as `0-3,6`.
    let last = allowed.and_then(|list| list.rsplit([',', '-']).next());
    last.and_then(|core| core.trim().parse().ok()).unwrap_or(0)
}

/// What the machine is.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{model}, {cores} cores, {} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// How many processes were about to run lately: the load of the last minute.
pub(crate) fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
