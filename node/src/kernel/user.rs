//! `user`, the group leader of what has no other, and the names that errors of other nodes' processes come to
//! (cluster-services.md 2.9, 2.12).

use std::sync::Arc;

use etf::{Atom, Pid, Term};

use crate::{
    Context, Message, SpawnOptions,
    io::{self, NoInput},
    node::Inner,
};

/// Starts them. Before any other process, so that `user` is the group leader of all.
pub(super) fn start(inner: &Arc<Inner>) {
    let fresh = "nothing has been registered yet";
    let user = Some(Atom::from_static("user"));
    io::start(inner, user, inner.config.output.clone(), NoInput).expect(fresh);
    for name in ["logger", "logger_proxy"] {
        let options = SpawnOptions {
            name: Some(Atom::from_static(name)),
            initial_call: Some((Atom::from_static(name), Atom::from_static("init"), 1)),
            ..SpawnOptions::default()
        };
        let process = inner.new_process(options).expect(fresh);
        inner.run_process(process, log);
    }
}

/// Prints what comes as `{log, Level, ...}` to the log of this program.
async fn log(mut context: Context) {
    loop {
        let Message::Term(message) = context.receive().await else { continue };
        match Event::parse(&message) {
            Some(event) => event.log(),
            None => tracing::debug!(%message, "a message for the logger that it does not know"),
        }
    }
}

/// `{log, Level, Format, Args, Meta}`, `{log, Level, String, Meta}` or `{log, Level, Report, Meta}`.
#[derive(Debug, PartialEq)]
struct Event {
    level: Atom,
    text: String,
    /// Who it is about.
    pid: Option<Pid>,
}

impl Event {
    fn parse(message: &Term) -> Option<Self> {
        let (level, text, meta) = match message.as_tuple()? {
            [tag, level, format, args, meta] if tag.is_atom("log") => {
                // Never lost, however it is written.
                let text = io::formatted(format, args).unwrap_or_else(|| format!("{format} - {args}"));
                (level, text, meta)
            }
            [tag, level, report, meta] if tag.is_atom("log") => {
                // A report may be a list, too.
                let text = io::text_of(report).filter(|text| !text.is_empty());
                (level, text.unwrap_or_else(|| format!("{report:#}")), meta)
            }
            _ => return None,
        };
        let pid = meta.as_map().and_then(|meta| meta.get_atom("pid")).and_then(Term::as_pid);
        Some(Self { level: level.as_atom()?.clone(), text, pid: pid.cloned() })
    }

    fn log(self) {
        let Self { level, text, pid } = self;
        let (pid, text) = (pid.map(|pid| format!("{pid:?}")).unwrap_or_default(), text.trim_end());
        match level.as_str() {
            "emergency" | "alert" | "critical" | "error" => tracing::error!(target: "logger", pid, "{text}"),
            "warning" => tracing::warn!(target: "logger", pid, "{text}"),
            "notice" | "info" => tracing::info!(target: "logger", pid, "{text}"),
            _ => tracing::debug!(target: "logger", pid, "{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use etf::text::parse_term;

    use super::*;

    #[test]
    fn each_form_of_an_event_has_a_text() {
        let text = |term: &str| Event::parse(&parse_term(term).expect("a term")).map(|event| event.text);
        assert_eq!(text("{log,error,\"~p went~n\",[x],#{}}").as_deref(), Some("x went\n"));
        assert_eq!(text("{log,error,\"~p\",[],#{}}").as_deref(), Some("\"~p\" - []"));
        assert_eq!(text("{log,info,\"text\",#{}}").as_deref(), Some("text"));
        assert_eq!(text("{log,info,#{a => 1},#{}}").as_deref(), Some("#{a => 1}"));
        assert_eq!(text("{log,info,[{a,1}],#{}}").as_deref(), Some("[{a,1}]"));
        assert_eq!(text("{log,info}"), None);
    }
}
