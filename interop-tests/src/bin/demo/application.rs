//! What the demo asks an application.

use clap::ValueEnum;
use etf::Term;

/// An application that the demo can run: an example of `dist_ac` with a twin in Erlang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Application {
    /// Answers questions.
    #[value(name = "m8ball")]
    M8ball,
}

impl Application {
    /// Its name as an atom.
    pub(crate) fn name(self) -> Term {
        match self {
            Self::M8ball => Term::from(etf::Atom::from("m8ball")),
        }
    }

    /// The name its server has in `global`.
    pub(crate) fn server(self) -> Term {
        match self {
            Self::M8ball => etf::tuple!(atom "global", atom "m8ball_server"),
        }
    }

    /// What the server is asked.
    pub(crate) fn question(self) -> Term {
        match self {
            Self::M8ball => Term::from(etf::Atom::from("question")),
        }
    }

    /// The environment key whose value must name every answer.
    pub(crate) fn answers_key(self) -> Term {
        match self {
            Self::M8ball => Term::from(etf::Atom::from("answers")),
        }
    }

    /// The answer as text, if it is one that `answers`, the value of [`Application::answers_key`], allows.
    pub(crate) fn check(self, answer: &Term, answers: &Term) -> Result<String, String> {
        match self {
            Self::M8ball => {
                let allowed = answers.as_tuple().or_else(|| answers.as_list()).unwrap_or_default();
                if !allowed.contains(answer) {
                    return Err(format!("{answer} is none of the answers {answers}"));
                }
                answer.as_text().ok_or_else(|| format!("{answer} is no text"))
            }
        }
    }
}
