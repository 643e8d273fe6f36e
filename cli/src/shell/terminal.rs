//! A shell at a terminal: lines are edited, and kept for the next time.

use std::{
    env, fs,
    io::{self, BufRead, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc as blocking},
};

use crabnode::io::{Input, Line, Output, Read};
use rustix::{
    stdio::{stdin, stdout},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};
use rustyline::{
    CompletionType, Config, Context, Editor, ExternalPrinter, Helper,
    completion::{Completer, Pair},
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::Validator,
};
use tokio::sync::mpsc;

use super::{Wish, completion::Expander};

/// How many lines are kept for the next time.
const HISTORY_LINES_MAX: usize = 10_000;

/// How the terminal was, to be so again.
pub(super) struct State(Termios);

impl State {
    /// Nothing if stdin is no terminal that says how it is.
    pub(super) fn save() -> Option<Self> {
        tcgetattr(stdin()).ok().map(Self)
    }

    pub(super) fn restore(self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// What has been printed behind the last line break: it stays before the prompt.
type Unfinished = Arc<Mutex<String>>;

/// The longest text that is kept so, in bytes: a terminal's line, and more.
const UNFINISHED_BYTES_MAX: usize = 4096;

/// Starts the editor, in a thread of its own, for it blocks.
pub(super) fn start(expander: Expander, wishes: mpsc::Sender<Wish>) -> rustyline::Result<(Screen, Keyboard)> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_LINES_MAX)?
        .history_ignore_dups(true)?
        .build();
    let mut editor: Editor<Tab, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Tab(expander)));
    let history = history_file();
    if let Some(file) = &history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    let printer = editor.create_external_printer()?;
    let unfinished = Unfinished::default();
    let (asking, asked) = blocking::channel::<Asked>();
    let (sender, lines) = mpsc::channel(1);
    let before = Arc::clone(&unfinished);
    std::thread::spawn(move || {
        while let Ok(asked) = asked.recv() {
            let line = edit(&mut editor, &before, &asked, history.as_ref());
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    let screen = Screen { printer: Arc::new(Mutex::new(printer)), unfinished };
    Ok((screen, Keyboard { asking, lines, wishes, is_asked: false }))
}

/// What the editor is to read.
struct Asked {
    prompt: String,
    read: Read,
}

fn edit(
    editor: &mut Editor<Tab, FileHistory>,
    unfinished: &Unfinished,
    asked: &Asked,
    history: Option<&PathBuf>,
) -> Line {
    let before = std::mem::take(&mut *unfinished.lock().unwrap_or_else(PoisonError::into_inner));
    if !before.is_empty() {
        // The editor writes the whole line.
        let _ = io::stdout().write_all(b"\r").and_then(|()| io::stdout().flush());
    }
    let prompt = before + &asked.prompt;
    if asked.read == Read::Password {
        return secret(&prompt).map_or(Line::Eof, Line::Text);
    }
    match editor.readline(&prompt) {
        Ok(line) => {
            if matches!(asked.read, Read::Expression { .. }) && !line.trim().is_empty() {
                // A history that cannot be kept is no reason to stop.
                let _ = editor.add_history_entry(line.as_str());
                if let Some(file) = history {
                    let _ = editor.append_history(file);
                }
            }
            Line::Text(line + "\n")
        }
        Err(ReadlineError::Interrupted) => Line::Interrupted,
        Err(ReadlineError::Eof) => Line::Eof,
        Err(error) => {
            tracing::error!(%error, "the terminal cannot be read");
            Line::Terminated
        }
    }
}

/// Reads a line that is not shown.
fn secret(prompt: &str) -> io::Result<String> {
    let shown = tcgetattr(stdin())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    io::stdout().write_all(prompt.as_bytes())?;
    io::stdout().flush()?;
    tcsetattr(stdin(), OptionalActions::Now, &hidden)?;
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    tcsetattr(stdin(), OptionalActions::Now, &shown)?;
    io::stdout().write_all(b"\n")?;
    read.map(|_| line)
}

/// `$XDG_STATE_HOME/crabnode/shell_history`; nothing if nowhere can be written.
fn history_file() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    let folder = state.join("crabnode");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("shell_history"))
}

/// Input: lines from the editor.
pub(super) struct Keyboard {
    asking: blocking::Sender<Asked>,
    lines: mpsc::Receiver<Line>,
    wishes: mpsc::Sender<Wish>,
    /// Whether the editor is at a line: who wanted it may be gone, and then the next gets it.
    is_asked: bool,
}

impl Input for Keyboard {
    async fn read(&mut self, prompt: &str, read: Read) -> Line {
        let prompt = match read {
            Read::Expression { continued: true } => {
                format!("{:>width$}", ".. ", width = prompt.chars().count())
            }
            _ => prompt.to_owned(),
        };
        if !self.is_asked {
            self.is_asked = self.asking.send(Asked { prompt, read }).is_ok();
        }
        let line = self.lines.recv().await.unwrap_or(Line::Terminated);
        self.is_asked = false;
        match (&line, read) {
            // Whoever waits for input is running.
            (Line::Interrupted, Read::Line | Read::Password) => {
                let _ = self.wishes.send(Wish::Interrupt).await;
                line
            }
            // Not the end of the input: a shell of OTP 25 takes its node with it at that.
            (Line::Eof | Line::Terminated, Read::Expression { .. }) => {
                let _ = self.wishes.send(Wish::Leave).await;
                Line::Terminated
            }
            _ => line,
        }
    }
}

/// Output: above the line that is edited, if one is.
pub(super) struct Screen {
    printer: Arc<Mutex<dyn ExternalPrinter + Send>>,
    unfinished: Unfinished,
}

impl Output for Screen {
    async fn put_chars(&mut self, text: String) -> io::Result<()> {
        let (printer, unfinished) = (Arc::clone(&self.printer), Arc::clone(&self.unfinished));
        // A terminal that is stopped by ^S must not hold up the runtime.
        let printing = tokio::task::spawn_blocking(move || {
            {
                let mut unfinished = unfinished.lock().unwrap_or_else(PoisonError::into_inner);
                match text.rsplit_once('\n') {
                    Some((_, rest)) => *unfinished = rest.to_owned(),
                    None => unfinished.push_str(&text),
                }
                if unfinished.len() > UNFINISHED_BYTES_MAX {
                    unfinished.clear();
                }
            }
            let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
            printer.print(text).map_err(io::Error::other)
        });
        printing.await.map_err(io::Error::other)?
    }

    fn size(&self) -> Option<(u16, u16)> {
        tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0).map(|size| (size.ws_col, size.ws_row))
    }
}

/// What a tab does.
struct Tab(Expander);

impl Completer for Tab {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let answer = self.0.ask(&line[..at]);
        let candidates = if answer.add.is_empty() {
            // Only shown.
            let shown = |name| Pair { display: name, replacement: String::new() };
            answer.matches.into_iter().map(shown).collect()
        } else {
            vec![Pair { display: answer.add.clone(), replacement: answer.add }]
        };
        Ok((at, candidates))
    }
}

impl Hinter for Tab {
    type Hint = String;
}

impl Highlighter for Tab {}

impl Validator for Tab {}

impl Helper for Tab {}
