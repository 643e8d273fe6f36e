//! What `sys` can be told to note of a process: a log of events, statistics, a trace (cluster-services 2.2).

use std::collections::VecDeque;

use etf::{Atom, Term, tuple};

/// How many events a log holds where nobody says.
const LOG_EVENTS: usize = 10;

/// How many events a log holds at most, whoever asks for more. Each keeps a message and a state alive, and who asks may
/// be another node.
const LOG_EVENTS_MAX: usize = 1024;

/// The options that are on. A process that has none has no `Debug`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Debug {
    trace: bool,
    log: Option<Log>,
    statistics: Option<Statistics>,
}

#[derive(Debug, PartialEq)]
struct Log {
    events: VecDeque<Term>,
    events_max: usize,
}

#[derive(Debug, PartialEq)]
struct Statistics {
    /// Seconds since 1970.
    started: u64,
    messages_in: u64,
    messages_out: u64,
}

/// Something that a process did, in the words of `sys:system_event()`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// `{in, Message}`.
    In(Term),
    /// `{out, Reply, From, State}`.
    Out { reply: Term, from: Term, state: Term },
    /// `{noreply, State}`.
    NoReply { state: Term },
}

impl Event {
    fn into_term(self) -> Term {
        match self {
            Self::In(message) => tuple!(atom "in", message),
            Self::Out { reply, from, state } => tuple!(atom "out", reply, from, state),
            Self::NoReply { state } => tuple!(atom "noreply", state),
        }
    }
}

/// What came of a command: the answer, and lines to print.
#[derive(Debug, PartialEq)]
pub(super) struct Done {
    pub(super) reply: Term,
    pub(super) lines: Vec<String>,
}

impl Debug {
    /// Does what `{debug, What}` asks, at this time in seconds since 1970. `name` is how the process is called in what
    /// is printed.
    pub(super) fn command(&mut self, what: &Term, name: &Term, now: u64) -> Done {
        let done = |reply| Done { reply, lines: Vec::new() };
        let ok = || Term::atom("ok");
        let Some([verb, flag]) = what.as_tuple() else {
            if what.is_atom("no_debug") {
                *self = Self::default();
                return done(ok());
            }
            return done(Term::atom("unknown_debug"));
        };
        let word = (verb.as_atom().map(Atom::as_str), flag.as_atom().map(Atom::as_str));
        match word {
            (Some("trace"), Some(on @ ("true" | "false"))) => self.trace = on == "true",
            (Some("log"), Some("true")) => self.set_log(LOG_EVENTS),
            (Some("log"), Some("false")) => self.log = None,
            (Some("log"), Some("get")) => {
                let events = self.log.iter().flat_map(|log| log.events.iter().cloned()).collect();
                return done(tuple!(atom "ok", Term::List(events)));
            }
            (Some("log"), Some("print")) => {
                let events = self.log.iter().flat_map(|log| &log.events);
                return Done { reply: ok(), lines: events.map(|event| line(name, event)).collect() };
            }
            (Some("log"), None) => match flag.as_tuple() {
                Some([on, Term::Int(count @ 1..)]) if on.is_atom("true") => {
                    self.set_log(usize::try_from(*count).unwrap_or(LOG_EVENTS_MAX));
                }
                _ => return done(Term::atom("unknown_debug")),
            },
            (Some("statistics"), Some("true")) => {
                self.statistics.get_or_insert(Statistics { started: now, messages_in: 0, messages_out: 0 });
            }
            (Some("statistics"), Some("false")) => self.statistics = None,
            (Some("statistics"), Some("get")) => {
                let statistics = self.statistics.as_ref();
                let known = statistics.map_or(Term::atom("no_statistics"), |s| s.rows(now));
                return done(tuple!(atom "ok", known));
            }
            (Some("log_to_file"), Some("false")) => {}
            // Nobody else writes files here.
            (Some("log_to_file"), _) => return done(tuple!(atom "error", atom "open_file")),
            // `install` and `remove` too: a fun of the BEAM cannot run here.
            _ => return done(Term::atom("unknown_debug")),
        }
        done(ok())
    }

    fn set_log(&mut self, events_max: usize) {
        let events_max = events_max.min(LOG_EVENTS_MAX);
        let log = self.log.get_or_insert(Log { events: VecDeque::new(), events_max });
        log.events_max = events_max;
        while log.events.len() > events_max {
            log.events.pop_front();
        }
    }

    /// Notes an event. What is to be printed, if it is traced.
    pub(super) fn event(&mut self, event: Event, name: &Term) -> Option<String> {
        if let Some(statistics) = &mut self.statistics {
            match event {
                Event::In(_) => statistics.messages_in += 1,
                Event::Out { .. } => statistics.messages_out += 1,
                Event::NoReply { .. } => {}
            }
        }
        if !self.trace && self.log.is_none() {
            return None;
        }
        let event = event.into_term();
        let line = self.trace.then(|| line(name, &event));
        if let Some(log) = &mut self.log {
            if log.events.len() >= log.events_max {
                log.events.pop_front();
            }
            log.events.push_back(event);
        }
        line
    }

    /// Whether nothing is on.
    pub(super) fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// The events of the log.
    pub(super) fn logged(&self) -> Term {
        self.log.iter().flat_map(|log| log.events.iter().cloned()).collect::<Vec<_>>().into()
    }

    /// The list of `sys:dbg_opt()`.
    pub(super) fn options(&self) -> Term {
        let mut options = Vec::new();
        if self.trace {
            options.push(tuple!(atom "trace", true));
        }
        if let Some(log) = &self.log {
            options.push(tuple!(atom "log", tuple!(log.events_max, self.logged())));
        }
        if let Some(Statistics { started, messages_in, messages_out }) = self.statistics {
            let reductions = tuple!(atom "reductions", 0);
            let data = tuple!(date_time(started), reductions, messages_in, messages_out);
            options.push(tuple!(atom "statistics", data));
        }
        Term::list(options)
    }
}

impl Statistics {
    fn rows(&self, now: u64) -> Term {
        Term::list(vec![
            tuple!(atom "start_time", date_time(self.started)),
            tuple!(atom "current_time", date_time(now)),
            // Nothing here counts them.
            tuple!(atom "reductions", 0),
            tuple!(atom "messages_in", self.messages_in),
            tuple!(atom "messages_out", self.messages_out),
        ])
    }
}

/// An event as `gen_server` prints it.
fn line(name: &Term, event: &Term) -> String {
    let text = match event.as_tuple() {
        Some([way, message]) if way.is_atom("in") => match message.as_tuple() {
            Some([tag, from, request]) if tag.is_atom("$gen_call") => {
                format!("got call {request} from {}", caller(from))
            }
            Some([tag, message]) if tag.is_atom("$gen_cast") => format!("got cast {message}"),
            _ => format!("got {message}"),
        },
        Some([way, reply, from, state]) if way.is_atom("out") => {
            format!("sent {reply} to {}, new state {state}", caller(from))
        }
        Some([_, state]) => format!("new state {state}"),
        _ => event.to_string(),
    };
    format!("*DBG* {name} {text}\n")
}

fn caller(from: &Term) -> &Term {
    match from.as_tuple() {
        Some([pid, _tag]) => pid,
        _ => from,
    }
}

/// `{{Year, Month, Day}, {Hour, Minute, Second}}` of seconds since 1970, in UTC.
fn date_time(seconds: u64) -> Term {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin with March, in eras of 400 years: the day of a leap year is the last one.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, year) = (day - (153 * month + 2) / 5 + 1, year + era * 400 + u64::from(month >= 10));
    let month = if month < 10 { month + 3 } else { month - 9 };
    tuple!(tuple!(year, month, day), tuple!(second / 3600, second / 60 % 60, second % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Term {
        Term::atom("server")
    }

    fn ask(debug: &mut Debug, what: Term) -> Term {
        debug.command(&what, &name(), 1).reply
    }

    fn ok(data: impl Into<Term>) -> Term {
        tuple!(atom "ok", data.into())
    }

    #[test]
    fn a_log_keeps_the_last_events() {
        let mut debug = Debug::default();
        assert_eq!(ask(&mut debug, tuple!(atom "log", atom "get")), ok(Term::NIL));
        assert_eq!(ask(&mut debug, tuple!(atom "log", tuple!(true, 2))), Term::atom("ok"));
        for n in 0..3 {
            assert_eq!(debug.event(Event::In(n.into()), &name()), None, "it is not traced");
        }
        let logged = Term::list(vec![tuple!(atom "in", 1), tuple!(atom "in", 2)]);
        assert_eq!(ask(&mut debug, tuple!(atom "log", atom "get")), ok(logged.clone()));
        assert_eq!(debug.options(), Term::list(vec![tuple!(atom "log", tuple!(2, logged))]));
        let Done { lines, .. } = debug.command(&tuple!(atom "log", atom "print"), &name(), 1);
        assert_eq!(lines, ["*DBG* server got 1\n", "*DBG* server got 2\n"]);
        assert_eq!(ask(&mut debug, tuple!(atom "log", tuple!(true, 1))), Term::atom("ok"));
        assert_eq!(debug.logged(), Term::list(vec![tuple!(atom "in", 2)]));
        assert_eq!(ask(&mut debug, tuple!(atom "log", tuple!(true, 1_000_000_000))), Term::atom("ok"));
        assert_eq!(debug.log.as_ref().map(|log| log.events_max), Some(LOG_EVENTS_MAX));
        assert_eq!(ask(&mut debug, tuple!(atom "log", atom "false")), Term::atom("ok"));
        assert!(debug.is_off());
    }

    #[test]
    fn statistics_count_from_when_they_are_asked_for() {
        let mut debug = Debug::default();
        let (get, on) = (tuple!(atom "statistics", atom "get"), tuple!(atom "statistics", atom "true"));
        assert_eq!(ask(&mut debug, get.clone()), ok(Term::atom("no_statistics")));
        debug.event(Event::In(0.into()), &name());
        debug.command(&on, &name(), 86_400);
        debug.event(Event::In(1.into()), &name());
        debug.event(Event::NoReply { state: 1.into() }, &name());
        debug.event(Event::Out { reply: 1.into(), from: 2.into(), state: 3.into() }, &name());
        // It goes on from where it is.
        debug.command(&on, &name(), 86_401);
        let Done { reply, .. } = debug.command(&get, &name(), 90_061);
        let time =
            |hour: i64, minute: i64, second: i64| tuple!(tuple!(1970, 1, 2), tuple!(hour, minute, second));
        let rows = Term::list(vec![
            tuple!(atom "start_time", time(0, 0, 0)),
            tuple!(atom "current_time", time(1, 1, 1)),
            tuple!(atom "reductions", 0),
            tuple!(atom "messages_in", 1),
            tuple!(atom "messages_out", 1),
        ]);
        assert_eq!(reply, ok(rows));
        assert_eq!(ask(&mut debug, Term::atom("no_debug")), Term::atom("ok"));
        assert!(debug.is_off());
    }

    #[test]
    fn a_trace_prints_what_gen_server_prints() {
        let mut debug = Debug::default();
        assert_eq!(ask(&mut debug, tuple!(atom "trace", true)), Term::atom("ok"));
        let mut traced = |event| debug.event(event, &name()).expect("it is traced");
        let from = || tuple!(atom "pid", atom "tag");
        let call = tuple!(atom "$gen_call", from(), atom "x");
        assert_eq!(traced(Event::In(call)), "*DBG* server got call x from pid\n");
        assert_eq!(traced(Event::In(tuple!(atom "$gen_cast", 1))), "*DBG* server got cast 1\n");
        let out = Event::Out { reply: 1.into(), from: from(), state: Term::NIL };
        assert_eq!(traced(out), "*DBG* server sent 1 to pid, new state []\n");
        assert_eq!(traced(Event::NoReply { state: 2.into() }), "*DBG* server new state 2\n");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let mut debug = Debug::default();
        let unknown = Term::atom("unknown_debug");
        for what in [
            Term::atom("x"),
            tuple!(atom "trace", atom "x"),
            tuple!(atom "log", tuple!(true, 0)),
            tuple!(atom "log", 1),
            tuple!(atom "install", tuple!(1, 2)),
            tuple!(atom "remove", 1),
        ] {
            assert_eq!(ask(&mut debug, what), unknown);
        }
        let refused = tuple!(atom "error", atom "open_file");
        assert_eq!(ask(&mut debug, tuple!(atom "log_to_file", Term::charlist("/tmp/x"))), refused);
        assert!(debug.is_off());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let date = |y: i64, m: i64, d: i64| tuple!(y, m, d);
        for (seconds, wanted) in [
            (0, date(1970, 1, 1)),
            (951_782_399, date(2000, 2, 28)),
            (951_782_400, date(2000, 2, 29)),
            (951_868_800, date(2000, 3, 1)),
            (1_704_067_199, date(2023, 12, 31)),
            (4_107_542_400, date(2100, 3, 1)),
        ] {
            let time = date_time(seconds);
            assert_eq!(time.as_tuple().map(|parts| &parts[0]), Some(&wanted), "{seconds}");
        }
    }
}
