//! What the demo knows of an application: its nodes, its server, and what a right answer is.

use clap::ValueEnum;
use etf::{Atom, Term, tuple};
use interop_tests::Otp;

use crate::{controller::Controller, member::Kind};

/// Those of the example, which its twin in Elixir has too.
const FACTS: &str = include_str!("../../../../dist_ac/examples/chucky/facts.txt");

/// The release that Debian's Elixir runs on.
const OTP_OF_ELIXIR: u32 = 25;

/// A line of the timeline has room for so many.
const KEYS_SHOWN_MAX: usize = 6;

/// An application that the demo can run: an example of `dist_ac` with a twin in Erlang or Elixir.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Application {
    /// Answers questions.
    #[value(name = "m8ball")]
    M8ball,
    /// Hands out jobs.
    #[value(name = "job_center")]
    JobCenter,
    /// Keeps what it is told, wherever it moves.
    #[value(name = "proxima")]
    Proxima,
    /// Tells facts; its twin is in Elixir.
    #[value(name = "chucky")]
    Chucky,
}

/// What a node answers, as text; or what is wrong with it.
pub(crate) type Answer = Result<String, String>;

impl Application {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::M8ball => "m8ball",
            Self::JobCenter => "job_center",
            Self::Proxima => "proxima",
            Self::Chucky => "chucky",
        }
    }

    /// Its name as an atom.
    pub(crate) fn atom(self) -> Term {
        Term::atom(self.name())
    }

    /// The nodes of its kernel configs.
    pub(crate) fn members(self) -> &'static [&'static str] {
        match self {
            Self::M8ball | Self::Chucky => &["a", "b", "c"],
            Self::JobCenter => &["jc1", "jc2", "jc3", "jc4"],
            Self::Proxima => &["a", "b"],
        }
    }

    /// What they are if nobody says: one after the other.
    pub(crate) fn default_kinds(self) -> Vec<Kind> {
        [Kind::Beam, Kind::Rust].into_iter().cycle().take(self.members().len()).collect()
    }

    /// The folder of its kernel configs, below that of all.
    pub(crate) fn config_folder(self) -> &'static str {
        match self {
            // The first of them.
            Self::M8ball => "",
            other => other.name(),
        }
    }

    /// The release of its BEAM nodes if nobody says.
    pub(crate) fn otp(self) -> Otp {
        match self {
            Self::Chucky => Otp::release(OTP_OF_ELIXIR),
            Self::M8ball | Self::JobCenter | Self::Proxima => Otp::newest(),
        }
    }

    /// The name its server has in `global`.
    pub(crate) fn global_name(self) -> Term {
        match self {
            Self::M8ball => Term::atom("m8ball_server"),
            Self::JobCenter => Term::atom("job_center_serv"),
            Self::Proxima => Term::atom("proxima"),
            Self::Chucky => Term::atom("Elixir.Chucky.Server"),
        }
    }

    /// Its server, as `gen_server:call` takes it.
    pub(crate) fn server(self) -> Term {
        tuple!(atom "global", self.global_name())
    }

    /// What the server is asked to see that it is there.
    pub(crate) fn question(self) -> Term {
        Term::atom(match self {
            Self::M8ball => "question",
            Self::JobCenter => "statistics",
            Self::Proxima => "get_state",
            Self::Chucky => "fact",
        })
    }

    /// The answers that the question may have while the application runs on this node; nothing where any map is one.
    pub(crate) fn answers(self, controller: &Controller, owner: &str) -> Result<Option<Vec<Term>>, String> {
        match self {
            Self::M8ball => {
                let key = Term::from(Atom::from("answers"));
                let answers = controller.environment(owner, &self.atom(), &key)?;
                let answers = answers.as_tuple().or_else(|| answers.as_list()).unwrap_or_default();
                Ok(Some(answers.to_vec()))
            }
            Self::Chucky => Ok(Some(FACTS.lines().map(Term::binary).collect())),
            Self::JobCenter | Self::Proxima => Ok(None),
        }
    }

    /// The answer as text, if it is one.
    pub(crate) fn check(answer: &Term, answers: Option<&[Term]>) -> Answer {
        match answers {
            Some(answers) if !answers.contains(answer) => Err(format!("{answer} is none of its answers")),
            Some(_) => answer.as_text().ok_or_else(|| format!("{answer} is no text")),
            None if answer.as_map().is_none() => Err(format!("{answer} is no map")),
            None => Ok(Self::show(answer)),
        }
    }

    /// An answer as text, for the timeline.
    pub(crate) fn show(answer: &Term) -> String {
        match answer.as_map() {
            Some(map) if map.len() > KEYS_SHOWN_MAX => format!("{} keys", map.len()),
            _ => answer.as_text().unwrap_or_else(|| answer.to_string()),
        }
    }
}
