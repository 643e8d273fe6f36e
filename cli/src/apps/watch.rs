//! `--watch`: the same again and again, and only what has changed is drawn.

use std::{
    io::{self, Write, stdout},
    process::ExitCode,
    time::Duration,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute, queue,
    style::{Attribute, Print, SetAttribute, Stylize},
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen,
    },
};
use dist_ac::flags::fail;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use super::{ask::Asker, show, view::View};
use crate::say;

/// What is printed where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The whole terminal.
    Screen,
    /// Tables, one below the other.
    Tables,
    /// One line for each change.
    Json,
}

/// How many keys wait to be looked at: more than anybody types while a line is drawn.
const KEYS_MAX: usize = 64;

/// How often the thread that waits for keys looks whether it is still wanted.
const STILL_WANTED: Duration = Duration::from_millis(250);

pub(crate) async fn run(mut asker: Asker, interval: Duration, form: Form) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return fail(&"signals cannot be listened for");
    };
    let (mut screen, mut keys) = match form {
        Form::Screen => match Screen::open() {
            Ok(screen) => (Some(screen), keyboard()),
            Err(error) => return fail(&format!("the terminal cannot be used: {error}")),
        },
        Form::Tables | Form::Json => (None, mpsc::channel(1).1),
    };
    let mut faults = Vec::new();
    let mut shown: Option<View> = None;
    loop {
        let pause = if shown.is_some() { interval } else { Duration::ZERO };
        let round = async {
            sleep(pause).await;
            asker.ask().await
        };
        tokio::pin!(round);
        let view = loop {
            tokio::select! {
                view = &mut round => break view,
                Some(event) = keys.recv() => match (wish(&event), &mut screen) {
                    (Wish::Leave, _) => return ExitCode::SUCCESS,
                    (Wish::Scroll(lines), Some(screen)) => screen.scroll(lines),
                    (Wish::Redraw, Some(screen)) => screen.draw(),
                    (Wish::Nothing | Wish::Scroll(_) | Wish::Redraw, _) => {}
                },
                _ = terminate.recv() => return ExitCode::SUCCESS,
                _ = interrupt.recv() => return ExitCode::SUCCESS,
            }
        };
        let seen = view.faults.clone();
        let view = view.confirmed_by(&faults);
        faults = seen;
        if shown.as_ref() == Some(&view) {
            continue;
        }
        match &mut screen {
            Some(screen) => screen.show(show::lines(&view)),
            None if form == Form::Json => say(&show::to_json(&view).to_string()),
            None => {
                let lines = show::lines(&view);
                say(&format!("{}\n", lines.join("\n")));
            }
        }
        shown = Some(view);
    }
}

/// What a key asks for.
enum Wish {
    Leave,
    /// So many lines down; negative is up.
    Scroll(isize),
    Redraw,
    Nothing,
}

fn wish(event: &Event) -> Wish {
    let KeyEvent { code, modifiers, .. } = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Resize(..) => return Wish::Redraw,
        _ => return Wish::Nothing,
    };
    let control = modifiers.contains(KeyModifiers::CONTROL);
    match code {
        KeyCode::Char('q') | KeyCode::Esc => Wish::Leave,
        KeyCode::Char('c' | 'd') if control => Wish::Leave,
        KeyCode::Char('l') if control => Wish::Redraw,
        KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
        KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Wish::Scroll(10),
        KeyCode::PageUp => Wish::Scroll(-10),
        KeyCode::Home => Wish::Scroll(isize::MIN),
        _ => Wish::Nothing,
    }
}

/// Keys come from a thread of their own, for waiting for them blocks. It ends soon after its receiver.
fn keyboard() -> mpsc::Receiver<Event> {
    let (sender, keys) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            match event::poll(STILL_WANTED).and_then(|is_there| is_there.then(event::read).transpose()) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    if sender.blocking_send(event).is_err() {
                        return;
                    }
                }
                // A terminal that is gone: there is nobody to leave it.
                Err(_) => {
                    let key = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
                    let _ = sender.blocking_send(Event::Key(key));
                    return;
                }
            }
        }
    });
    keys
}

/// The terminal while it is ours. It is as it was when this is dropped.
struct Screen {
    lines: Vec<String>,
    /// The first line that is seen.
    top: usize,
}

impl Screen {
    fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self { lines: vec!["asking...".to_owned()], top: 0 };
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        screen.draw();
        Ok(screen)
    }

    fn show(&mut self, lines: Vec<String>) {
        self.lines = lines;
        self.scroll(0);
    }

    fn scroll(&mut self, lines: isize) {
        let last = self.lines.len().saturating_sub(room(size().1));
        self.top = self.top.saturating_add_signed(lines).min(last);
        self.draw();
    }

    fn draw(&self) {
        // A terminal that is gone is noticed by the one who waits for its keys.
        let _ = self.try_draw();
    }

    fn try_draw(&self) -> io::Result<()> {
        let (columns, rows) = size();
        let mut out = stdout().lock();
        queue!(out, BeginSynchronizedUpdate)?;
        let seen = self.lines.iter().skip(self.top).take(room(rows));
        let mut row = 0;
        for line in seen {
            let text: String = line.chars().take(columns.into()).collect();
            queue!(out, MoveTo(0, row))?;
            if is_title(&text) {
                queue!(out, SetAttribute(Attribute::Bold), Print(&text), SetAttribute(Attribute::Reset))?;
            } else if text.starts_with("conflict:") {
                queue!(out, Print(text.as_str().red()))?;
            } else {
                queue!(out, Print(&text))?;
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
            row += 1;
        }
        queue!(out, MoveTo(0, row), Clear(ClearType::FromCursorDown))?;
        let hint: String = "q leaves, the arrows scroll".chars().take(columns.into()).collect();
        queue!(out, MoveTo(0, rows.saturating_sub(1)), Print(hint.as_str().dim()), EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nothing else to be done about a terminal that cannot be written to.
        let _ = execute!(stdout(), Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Columns and rows; those of old where the terminal does not say.
fn size() -> (u16, u16) {
    terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or((80, 24))
}

/// How many lines there is room for above the last one.
fn room(rows: u16) -> usize {
    usize::from(rows).saturating_sub(1)
}

fn is_title(line: &str) -> bool {
    line.starts_with("APPLICATION ") || line.starts_with("NODE ")
}
