//! A started `erl` and what a test says to it.

use std::{
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Process, clock::wait_for, cluster::temporary};

/// How long an evaluation may take where the test does not say.
const EVAL_LIMIT: Duration = Duration::from_secs(60);

/// The longest value taken from a node: whatever a test asks for is far shorter.
const REPLY_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// A started `erl`. It ends, by SIGKILL, with this value.
pub struct ErlNode {
    node: String,
    process: Process,
    listener: UnixListener,
    channel: Option<UnixStream>,
    /// Where the listener is: a socket that has a path is reached from another network namespace, too.
    _folder: TempDir,
}

impl ErlNode {
    pub(crate) fn spawn(node: String, mut command: Command) -> Self {
        let folder = temporary("crabnode-erl-");
        let path = folder.path().join("test");
        let listener =
            UnixListener::bind(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        listener.set_nonblocking(true).expect("a socket has the mode");
        command.args(["-s", "ct_peer", "start"]).arg(&path);
        let process = Process::start(node.clone(), &mut command);
        Self { process, node, listener, channel: None, _folder: folder }
    }

    /// `a@localhost`.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether boot is complete, so that [`ErlNode::eval`] works. Does not wait.
    ///
    /// # Errors
    /// Says that the node has ended, and what it printed.
    pub fn has_booted(&mut self) -> Result<bool, String> {
        if self.channel.is_none() {
            match self.listener.accept() {
                Ok((channel, _)) => {
                    channel.set_nonblocking(false).expect("a socket has the mode");
                    self.channel = Some(channel);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.process.say(error)),
            }
        }
        if self.process.status().is_some() {
            return Err(self.process.say("has ended"));
        }
        Ok(self.channel.is_some())
    }

    /// Waits up to `limit` for the end of the boot, startup synchronisation included.
    ///
    /// # Errors
    /// Says that it did not come, and what the node printed.
    pub fn wait_until_booted(&mut self, limit: Duration) -> Result<(), String> {
        let booted = wait_for(limit, || match self.has_booted() {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        });
        booted.unwrap_or_else(|| Err(self.process.say(format_args!("has not booted after {limit:?}"))))
    }

    /// Evaluates expressions (without the final dot) and returns the value of the last as `~0tp` prints it.
    /// Variables and the mailbox of `self()` stay from one call to the next.
    ///
    /// # Panics
    /// Where the evaluation raises, or takes longer than 60 s.
    pub fn eval(&mut self, expressions: &str) -> String {
        self.try_eval(expressions, EVAL_LIMIT)
            .unwrap_or_else(|error| panic!("{}: {expressions}: {error}", self.node))
    }

    /// The same with the limit given.
    ///
    /// # Errors
    /// What was raised, as `{Class,Reason}`, or that no answer came, with what the node printed.
    pub fn try_eval(&mut self, expressions: &str, limit: Duration) -> Result<String, String> {
        self.ask(expressions, limit)?
    }

    /// The answer, a value or what was raised; or that none came. After that no later one can be told from it.
    fn ask(&mut self, expressions: &str, limit: Duration) -> Result<Result<String, String>, String> {
        let channel = self.channel.as_mut().expect("the node has booted: wait_until_booted()");
        let reply = exchange(channel, expressions, limit).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => format!("none within {limit:?}"),
            _ => error.to_string(),
        });
        let reply = reply
            .map_err(|error| self.process.say(format_args!("gave no answer to {expressions}: {error}")))?;
        let (tag, value) = reply.split_at_checked(1).unwrap_or(("e", "an empty reply"));
        Ok(if tag == "o" { Ok(value.to_owned()) } else { Err(value.to_owned()) })
    }

    /// Evaluates again and again until the value is `wanted`, for up to `limit`. What raises has not come to it yet.
    ///
    /// # Panics
    /// Where it does not come to that, or an evaluation takes longer than 60 s.
    pub fn eval_until(&mut self, expressions: &str, wanted: &str, limit: Duration) {
        let mut last = Ok(String::new());
        let reached = wait_for(limit, || {
            last = self
                .ask(expressions, EVAL_LIMIT)
                .unwrap_or_else(|error| panic!("{}: {expressions}: {error}", self.node));
            last.as_ref().is_ok_and(|value| value == wanted).then_some(())
        });
        let last = last.unwrap_or_else(|raised| format!("an error, {raised},"));
        assert!(
            reached.is_some(),
            "{}",
            self.process.say(format_args!(
                "says that {expressions} is {last} and after {limit:?} still not {wanted}"
            ))
        );
    }

    /// SIGKILL. Returns when it was sent.
    pub fn kill9(&mut self) -> Instant {
        self.process.kill9()
    }

    /// All that the node printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The program.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn exchange(channel: &mut UnixStream, request: &str, limit: Duration) -> io::Result<String> {
    channel.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
    channel.write_all(&u32::try_from(request.len()).expect("expressions are short").to_be_bytes())?;
    channel.write_all(request.as_bytes())?;
    let mut length = [0; 4];
    channel.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > REPLY_BYTES_MAX {
        return Err(io::Error::other(format!("a value of {length} bytes, more than {REPLY_BYTES_MAX}")));
    }
    let mut reply = Vec::new();
    channel.take(length.into()).read_to_end(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}
