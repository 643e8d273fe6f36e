//! The timeline: one line an event, with what each node does then. In a terminal, colours and a last line that
//! shows what is waited for and how long already; in a pipe, the lines alone.

use std::{
    io::{IsTerminal, Write, stdout},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossterm::{
    cursor::MoveToColumn,
    queue,
    style::{Color, Print, ResetColor, SetForegroundColor, Stylize},
    terminal::{self, Clear, ClearType},
};
use interop_tests::clock::{now, pause};

use crate::member::Kind;

/// The columns before the lanes: the seconds.
const HEAD_COLUMNS: usize = 9 + 2;

/// The columns of one lane in a terminal.
const LANE_COLUMNS: usize = 13;

/// How often the last line is drawn.
const FRAME: Duration = Duration::from_millis(50);

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Not started yet.
    Absent,
    /// Started, and waits for the nodes that its config names.
    Waits,
    /// Up; does not run the application.
    StandsBy,
    /// Up; runs the application.
    Runs,
    /// Killed, or stopped.
    Dead,
}

impl Lane {
    fn show(self, live: bool) -> String {
        let (symbol, word, color) = match self {
            Self::Absent => (' ', "-", Color::DarkGrey),
            Self::Waits => ('◌', "waits", Color::Yellow),
            Self::StandsBy => ('○', "stands by", Color::Blue),
            Self::Runs => ('●', "runs it", Color::Green),
            Self::Dead => ('✗', "dead", Color::Red),
        };
        if live { format!("{symbol} {word:<11}").with(color).to_string() } else { format!("{word:<11}") }
    }
}

/// The timeline of one run.
pub(crate) struct Timeline {
    shared: Arc<Mutex<Shared>>,
    drawer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    started: Instant,
    lanes: Vec<Lane>,
    waiting: Option<(String, Instant)>,
    live: bool,
    open: bool,
}

impl Timeline {
    /// Prints the head and starts the clock.
    pub(crate) fn new(names: &[&str], kinds: &[Kind]) -> Self {
        let live = stdout().is_terminal();
        let pad = if live { "  " } else { "" };
        let heads = names.iter().zip(kinds).map(|(name, kind)| {
            let head = format!("{name} {}", kind.name());
            format!("{pad}{head:<11}")
        });
        println!("{:>9}  {}", "seconds", heads.collect::<String>());
        let shared = Shared {
            started: now(),
            lanes: vec![Lane::Absent; names.len()],
            waiting: None,
            live,
            open: true,
        };
        let shared = Arc::new(Mutex::new(shared));
        let drawer = live.then(|| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while lock(&shared).draw_last_line() {
                    pause(FRAME);
                }
            })
        });
        Self { shared, drawer: Mutex::new(drawer) }
    }

    /// From now on this node does that; no line of its own.
    pub(crate) fn lane(&self, index: usize, lane: Lane) {
        lock(&self.shared).lanes[index] = lane;
    }

    /// What is waited for now.
    pub(crate) fn waits_for(&self, what: impl Into<String>) {
        lock(&self.shared).waiting = Some((what.into(), now()));
    }

    /// Something was seen.
    pub(crate) fn event(&self, what: &str) {
        lock(&self.shared).event(what, now());
    }

    /// Something was seen, at a time of its own.
    pub(crate) fn event_at(&self, what: &str, at: Instant) {
        lock(&self.shared).event(what, at);
    }

    /// The last line goes, and nothing is drawn any more.
    pub(crate) fn close(&self) {
        lock(&self.shared).open = false;
        if let Some(drawer) = self.drawer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = drawer.join();
        }
    }
}

impl Shared {
    fn event(&mut self, what: &str, at: Instant) {
        self.waiting = None;
        if self.live {
            let _ = queue!(stdout(), MoveToColumn(0), Clear(ClearType::CurrentLine));
        }
        println!("{}{what}", self.line_head(at));
    }

    fn line_head(&self, at: Instant) -> String {
        let seconds = at.saturating_duration_since(self.started).as_secs_f64();
        let lanes: String = self.lanes.iter().map(|lane| lane.show(self.live)).collect();
        format!("{seconds:>9.3}  {lanes}")
    }

    /// Whether there is more to draw later.
    fn draw_last_line(&self) -> bool {
        let mut out = stdout();
        let _ = queue!(out, MoveToColumn(0), Clear(ClearType::CurrentLine));
        if let Some((what, since)) = self.waiting.as_ref().filter(|_| self.open) {
            let at = now();
            let waited = at.saturating_duration_since(*since).as_secs_f64();
            let head = self.line_head(at);
            // A line that wraps could not be drawn over.
            let width = terminal::size().map_or(80, |(columns, _)| usize::from(columns));
            let text: String = format!("… {what} ({waited:.1} s)")
                .chars()
                .take(width.saturating_sub(HEAD_COLUMNS + LANE_COLUMNS * self.lanes.len() + 1))
                .collect();
            let _ = queue!(out, Print(head), SetForegroundColor(Color::DarkGrey), Print(text), ResetColor);
        }
        let _ = out.flush();
        self.open
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
