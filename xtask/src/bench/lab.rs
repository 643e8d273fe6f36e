//! The processes that are measured, and the EPMD by which they find each other.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    Failure,
    bench::{program::Program, rivals::Otp},
};

/// What a process is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Beam,
    /// A node on one thread.
    Rust,
    /// A node on as many threads as there are cores.
    RustThreads,
    /// A node on one thread, with `busy_poll`.
    RustBusy,
    /// Over TLS.
    BeamTls,
    /// Over TLS.
    RustTls,
    Ei,
    /// A link without a node: on one side the bytes of a blast, on the other one who counts them.
    Bare,
    /// Without Erlang, on one thread.
    Tcp,
    /// Without Erlang, on as many threads as there are cores.
    TcpThreads,
}

use Kind::{Bare, Beam, BeamTls, Ei, Rust, RustBusy, RustThreads, RustTls, Tcp, TcpThreads};

/// Who does something, and to whom.
pub(crate) type Pairing = (Kind, Kind);

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Beam => "BEAM",
            Rust => "Rust",
            RustThreads => "Rust threads",
            RustBusy => "Rust busy",
            BeamTls => "BEAM tls",
            RustTls => "Rust tls",
            Ei => "ei",
            Bare => "bare link",
            Tcp => "bare TCP",
            TcpThreads => "bare TCP threads",
        }
    }
}

/// Two processes, of which the first measures.
pub(crate) struct Pair {
    pub(crate) from: Program,
    pub(crate) to: Program,
    target: String,
    /// How often it is done in a round, once that is known.
    count: Option<u64>,
}

impl Pair {
    pub(crate) fn round(&mut self, method: &str, round: Duration) -> Result<f64, Failure> {
        each(&mut self.from, method, &self.target, &mut self.count, round)
    }

    /// What the first answers to something other than a duration.
    pub(crate) fn ask(&mut self, method: &str, count: u64) -> Result<u64, Failure> {
        self.from.ask(method, &self.target, count)
    }

    /// Does it once more, as often as in the last round. How often that is.
    pub(crate) fn again(&mut self, method: &str) -> Result<u64, Failure> {
        let count = self.count.unwrap_or(1);
        self.from.measure(method, &self.target, count).map(|_| count)
    }
}

/// A process that measures what it does without another.
pub(crate) struct Alone {
    pub(crate) program: Program,
    count: Option<u64>,
}

impl Alone {
    pub(crate) fn round(&mut self, method: &str, round: Duration) -> Result<f64, Failure> {
        each(&mut self.program, method, "-", &mut self.count, round)
    }
}

/// Nanoseconds for doing it once, over a round. How often that is, is found out first.
fn each(
    program: &mut Program,
    method: &str,
    target: &str,
    known: &mut Option<u64>,
    round: Duration,
) -> Result<f64, Failure> {
    let mut count = known.unwrap_or(1);
    loop {
        let took = program.measure(method, target, count)?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = took.as_nanos() as f64 / count as f64;
        // A round that is a little short is one too.
        if took >= round * 4 / 5 {
            *known = Some(count);
            return Ok(each);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that fits seconds"
        )]
        let wanted = (1.1 * round.as_nanos() as f64 / each.max(1.0)) as u64;
        count = wanted.clamp(count + 1, count * 10);
    }
}

/// What processes are started with.
pub(crate) struct Lab {
    pub(crate) otp: Otp,
    pub(crate) dir: PathBuf,
    /// The program of a node of ours.
    pub(crate) rust: PathBuf,
    /// The module of a node of the BEAM, which is in `dir`.
    pub(crate) beam: &'static str,
    pub(crate) ei: PathBuf,
    pub(crate) epmd: Epmd,
    pub(crate) started: usize,
}

impl Lab {
    pub(crate) fn pair(&mut self, from: Kind, to: Kind) -> Result<Pair, Failure> {
        let (to, target) = self.start(to)?;
        let (from, _) = self.start(from)?;
        Ok(Pair { from, to, target, count: None })
    }

    /// A process that measures what it does without another.
    pub(crate) fn alone(&mut self, kind: Kind) -> Result<Alone, Failure> {
        let (program, _) = self.start(kind)?;
        Ok(Alone { program, count: None })
    }

    /// What `bench-link certificates` has written.
    fn tls_options(&self) -> PathBuf {
        self.dir.join("tls.conf")
    }

    /// A process that has many nodes.
    pub(crate) fn cluster(&self) -> Result<Program, Failure> {
        let mut command = Command::new(&self.rust);
        command.arg("cluster").env("ERL_EPMD_PORT", self.epmd.port.to_string());
        Program::start_anywhere("many nodes of ours", &mut command)
    }

    /// A process that can be the other end of many links.
    pub(crate) fn links(&self) -> Result<Program, Failure> {
        Program::start_anywhere("bench-link links", Command::new(&self.rust).arg("links"))
    }

    /// A process, and what others call it.
    pub(crate) fn start(&mut self, kind: Kind) -> Result<(Program, String), Failure> {
        self.start_as(kind, true)
    }

    /// The same, seen by others.
    pub(crate) fn visible(&mut self, kind: Kind) -> Result<(Program, String), Failure> {
        self.start_as(kind, false)
    }

    fn start_as(&mut self, kind: Kind, hidden: bool) -> Result<(Program, String), Failure> {
        self.started += 1;
        let name = format!("b{}", self.started);
        let node = format!("{name}@localhost");
        let (title, mut command) = match kind {
            Beam | BeamTls => {
                let mut erl = self.otp.node(&node);
                erl.arg("-pa").arg(&self.dir).args(["-run", self.beam, "main"]);
                // More than its default, for a million at once.
                erl.args(["+P", "2000000"]);
                if hidden {
                    erl.arg("-hidden");
                }
                if kind == BeamTls {
                    erl.args(["-proto_dist", "inet_tls", "-ssl_dist_optfile"]).arg(self.tls_options());
                }
                ("the BEAM", erl)
            }
            Rust | RustThreads | RustBusy | RustTls => {
                let mut rust = Command::new(&self.rust);
                if kind == RustThreads {
                    rust.arg("threads");
                }
                rust.args(["node", &node]);
                match kind {
                    RustTls => _ = rust.arg(self.tls_options()),
                    RustBusy => _ = rust.arg("busy"),
                    _ => {}
                }
                ("a node of ours", rust)
            }
            Bare => {
                let mut bare = Command::new(&self.rust);
                bare.args(["bare", &node]);
                ("bench-link bare", bare)
            }
            Ei => {
                let mut ei = Command::new(&self.ei);
                ei.arg(&name);
                ("ei_link", ei)
            }
            Tcp | TcpThreads => {
                let mut tcp = Command::new(&self.rust);
                if kind == TcpThreads {
                    tcp.arg("threads");
                }
                tcp.arg("tcp");
                ("bench-link tcp", tcp)
            }
        };
        command.env("ERL_EPMD_PORT", self.epmd.port.to_string());
        let program = Program::start_anywhere(title, &mut command)?;
        let target = match kind {
            Tcp | TcpThreads => program.fact("port")?.to_string(),
            Beam | BeamTls | Rust | RustThreads | RustBusy | RustTls | Ei | Bare => node,
        };
        Ok((program, target))
    }
}

/// An EPMD on a port of its own. It ends when this is dropped.
pub(crate) struct Epmd {
    child: Child,
    pub(crate) port: u16,
}

impl Epmd {
    /// Starts one by a command, to which the port is added.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = port.map_err(|error| Failure::Check(format!("no free port: {error}")))?.port();
        command.args(["-port", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().map_err(|source| Failure::Start { program, source })?;
        let epmd = Self { child, port };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(epmd);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing else is done meanwhile, and five seconds at most"
            )]
            thread::sleep(Duration::from_millis(10));
        }
        Err(Failure::Check("epmd does not answer".into()))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Epmd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident_bytes(program: &Program) -> Result<u64, Failure> {
    let path = format!("/proc/{}/status", program.id());
    let status = fs::read_to_string(&path).map_err(Failure::file(&path))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kib = kib.and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Failure::Check(format!("{path} has no VmRSS")))
}

/// How long a process has run on any core, all of its threads together.
pub(crate) fn processor_time(process: u32) -> Result<Duration, Failure> {
    let path = format!("/proc/{process}/task");
    let tasks = fs::read_dir(&path).map_err(Failure::file(&path))?;
    let times = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    // Nanoseconds, and other numbers.
    Ok(Duration::from_nanos(times.filter_map(|times| times.split(' ').next()?.parse::<u64>().ok()).sum()))
}
