//! What a group leader prints to and reads from.

use std::{
    fmt,
    io::{self, Write},
    sync::Arc,
};

/// Where the output goes.
pub trait Output: Send + 'static {
    /// Prints a text. Who asked for it waits meanwhile, and so does whoever prints next; requests for input, and those
    /// about the terminal, do not.
    fn put_chars(&mut self, text: String) -> impl Future<Output = io::Result<()>> + Send;

    /// How many columns and rows it has; nothing if it is no terminal.
    fn size(&self) -> Option<(u16, u16)> {
        None
    }
}

/// Where the input comes from.
pub trait Input: Send + 'static {
    /// Reads a line. `prompt` is to be shown first. Dropping the future, when the process that wants the line ends,
    /// should lose no input.
    fn read(&mut self, prompt: &str, read: Read) -> impl Future<Output = Line> + Send;
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// A line for a process.
    Line,
    /// A shell's next expression, or with `continued` one more line of it. What the user wants to stop here is no
    /// computation, but the expression: after [`Line::Interrupted`] it is begun anew.
    Expression {
        /// Whether there are lines of it already.
        continued: bool,
    },
    /// What nobody is to see.
    Password,
}

/// What has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line; with its end, `\n`, if that is not the end of the input.
    Text(String),
    /// The input has ended.
    Eof,
    /// The user does not want to go on: `{error, interrupted}`.
    Interrupted,
    /// The session is over: `{error, terminated}`. A shell ends by it, and its node does not (cluster-services.md 2.10).
    Terminated,
}

/// No input at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoInput;

impl Input for NoInput {
    async fn read(&mut self, _: &str, _: Read) -> Line {
        Line::Eof
    }
}

/// An output that is easily made, for [`NodeConfig::output`](crate::NodeConfig::output). A clone is the same.
#[derive(Clone)]
pub struct Sink(Kind);

#[derive(Clone)]
enum Kind {
    Stdout,
    Discard,
    Function(Arc<dyn Fn(&str) + Send + Sync>),
}

impl Sink {
    /// The program's stdout.
    #[must_use]
    pub fn stdout() -> Self {
        Self(Kind::Stdout)
    }

    /// Nowhere.
    #[must_use]
    pub fn discard() -> Self {
        Self(Kind::Discard)
    }

    /// A function is given each text. It must not block.
    pub fn function(print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Kind::Function(Arc::new(print)))
    }
}

impl Output for Sink {
    async fn put_chars(&mut self, text: String) -> io::Result<()> {
        match &self.0 {
            Kind::Stdout => {
                // A pipe that nobody reads must not hold up the runtime.
                let written = tokio::task::spawn_blocking(move || {
                    let mut out = io::stdout().lock();
                    out.write_all(text.as_bytes())?;
                    out.flush()
                });
                written.await.map_err(io::Error::other)?
            }
            Kind::Discard => Ok(()),
            Kind::Function(print) => {
                print(&text);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Stdout => "Sink::stdout()",
            Kind::Discard => "Sink::discard()",
            Kind::Function(_) => "Sink::function(..)",
        })
    }
}
