//! What a user says: a call with terms as arguments, or a term.

use etf::{
    Atom, Term,
    text::{TextError, parse_term},
};

use crate::Args;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    /// `Module:Function(Args)`, or a command of the shell.
    Call { module: Option<Atom>, function: Atom, args: Args },
    /// The session is to end.
    Exit,
    /// A term is its own value.
    Value(Term),
}

impl Command {
    /// What the text without its `.` says.
    pub(super) fn parse(text: &str) -> Result<Self, TextError> {
        let Some((name, arguments)) = call(text) else { return parse_term(text).map(Self::Value) };
        let (module, function) = match name.split_once(':') {
            Some((module, function)) => (Some(atom(module)?), atom(function)?),
            None => (None, atom(name)?),
        };
        let args = match parse_term(&format!("[{arguments}]"))? {
            Term::List(args) => args.into_vec(),
            // It is in brackets.
            other => vec![other],
        };
        match (&module, function.as_str(), args.len()) {
            (None, "exit" | "q" | "logout", 0) => Ok(Self::Exit),
            _ => Ok(Self::Call { module, function, args }),
        }
    }
}

/// The name before the `(` and what is up to the `)` at the end, if the text is a call and no term.
fn call(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('(')?;
    let arguments = rest.strip_suffix(')')?;
    let name = name.trim();
    let is_name =
        name.starts_with(|c: char| c.is_lowercase() || c == '\'') && !name.contains([' ', '"', '#']);
    is_name.then_some((name, arguments))
}

fn atom(text: &str) -> Result<Atom, TextError> {
    // An atom, for it starts as one; or an error, which says what is wrong with it.
    match parse_term(text.trim())? {
        Term::Atom(atom) => Ok(atom),
        other => Ok(Atom::from(other.to_string().as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, String> {
        Command::parse(text).map_err(|error| error.to_string())
    }

    #[test]
    fn calls_and_terms() {
        let call = |module: Option<&str>, function: &str, args: &[&str]| {
            let args = args.iter().map(|arg| parse_term(arg).expect("a term")).collect();
            Ok(Command::Call { module: module.map(Atom::from), function: function.into(), args })
        };
        assert_eq!(parse("nodes()"), call(None, "nodes", &[]));
        assert_eq!(parse("net_adm:ping('a-b@h')"), call(Some("net_adm"), "ping", &["'a-b@h'"]));
        assert_eq!(parse("'M':'F x' (1, \"(a)\", [b])"), parse("'M':'F x'(1,\"(a)\",[b])"));
        assert_eq!(parse("q()"), Ok(Command::Exit));
        assert_eq!(parse("{a, \"f(x)\"}"), Ok(Command::Value(parse_term("{a,\"f(x)\"}").expect("a term"))));
        assert_eq!(parse("\"f(x)\""), Ok(Command::Value(Term::charlist("f(x)"))));
    }

    #[test]
    fn what_is_neither_is_said_where() {
        for (text, says) in [
            ("X", "a variable, which is no term"),
            ("nodes(X)", "a variable, which is no term"),
            ("1 + 1", "expected"),
            ("f(", "expected"),
            ("f(1", "expected"),
            ("", "expected"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
