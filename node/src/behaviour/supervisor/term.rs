//! Child specifications as terms, and back (cluster-services 2.3).

use std::time::Duration;

use etf::{Term, term, tuple};

use super::{ChildSpec, Restart, Shutdown, Strategy, process::start_function};

pub(super) fn strategy(strategy: Strategy) -> Term {
    Term::atom(match strategy {
        Strategy::OneForOne => "one_for_one",
        Strategy::OneForAll => "one_for_all",
        Strategy::RestForOne => "rest_for_one",
        Strategy::SimpleOneForOne => "simple_one_for_one",
    })
}

fn restart(restart: Restart) -> Term {
    Term::atom(match restart {
        Restart::Permanent => "permanent",
        Restart::Transient => "transient",
        Restart::Temporary => "temporary",
    })
}

fn shutdown(shutdown: Shutdown) -> Term {
    match shutdown {
        Shutdown::BrutalKill => Term::atom("brutal_kill"),
        Shutdown::Timeout(time) => u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into(),
        Shutdown::Infinity => Term::atom("infinity"),
    }
}

pub(super) fn kind(spec: &ChildSpec) -> Term {
    Term::atom(if spec.supervisor { "supervisor" } else { "worker" })
}

pub(super) fn modules(spec: &ChildSpec) -> Term {
    match &spec.modules {
        Some(modules) => modules.iter().map(Term::from).collect::<Vec<_>>().into(),
        None => Term::atom("dynamic"),
    }
}

fn mfa(spec: &ChildSpec) -> Term {
    let (module, function, args) = &spec.mfa;
    tuple!(module, function, args.clone())
}

/// The map that `supervisor:get_childspec` gives.
pub(super) fn of_spec(spec: &ChildSpec) -> Term {
    term!(#{
        id => (spec.id.clone()),
        start => (mfa(spec)),
        restart => (restart(spec.restart)),
        significant => (spec.significant),
        shutdown => (shutdown(spec.shutdown)),
        type => (kind(spec)),
        modules => (modules(spec)),
    })
}

/// The record that stands in the error of a child that does not start.
pub(super) fn record_of(spec: &ChildSpec) -> Term {
    tuple!(
        atom "child",
        atom "undefined",
        spec.id.clone(),
        mfa(spec),
        restart(spec.restart),
        spec.significant,
        shutdown(spec.shutdown),
        kind(spec),
        modules(spec)
    )
}

/// A specification of a BEAM: a map, or `{Id, StartFunc, Restart, Shutdown, Type, Modules}`. The error is the reason
/// that OTP's supervisor has.
pub(super) fn parse(term: &Term) -> Result<ChildSpec, Term> {
    let get = |key: &str, nth: usize| match term {
        Term::Map(map) => Ok(map.get_atom(key)),
        Term::Tuple(parts) if parts.len() == 6 => Ok(if nth < 6 { Some(&parts[nth]) } else { None }),
        _ => Err(tuple!(atom "invalid_child_spec", term.clone())),
    };
    let id = get("id", 0)?.ok_or_else(|| Term::atom("missing_id"))?;
    let start = get("start", 1)?.ok_or_else(|| Term::atom("missing_start"))?;
    let bad = |what: &'static str, value: &Term| Err(tuple!(Term::atom(what), value.clone()));
    let mfa = match start.as_tuple() {
        Some([Term::Atom(module), Term::Atom(function), Term::List(args)]) => {
            (module.clone(), function.clone(), args.to_vec())
        }
        _ => return bad("invalid_mfa", start),
    };
    let word = |value: &Term| value.as_atom().map(|atom| atom.as_str().to_owned());
    let restart = match get("restart", 2)? {
        None => Restart::Permanent,
        Some(value) => match word(value).as_deref() {
            Some("permanent") => Restart::Permanent,
            Some("transient") => Restart::Transient,
            Some("temporary") => Restart::Temporary,
            _ => return bad("invalid_restart_type", value),
        },
    };
    let supervisor = match get("type", 4)? {
        None => false,
        Some(value) => match word(value).as_deref() {
            Some("worker") => false,
            Some("supervisor") => true,
            _ => return bad("invalid_child_type", value),
        },
    };
    let shutdown = match get("shutdown", 3)? {
        None if supervisor => Shutdown::Infinity,
        None => Shutdown::Timeout(Duration::from_secs(5)),
        Some(value) => match (word(value).as_deref(), value.as_u64()) {
            (Some("infinity"), _) => Shutdown::Infinity,
            (Some("brutal_kill"), _) => Shutdown::BrutalKill,
            (_, Some(time)) => Shutdown::Timeout(Duration::from_millis(time)),
            _ => return bad("invalid_shutdown", value),
        },
    };
    let significant = match get("significant", 6)? {
        None => false,
        Some(value) => match value.as_bool() {
            Some(significant) => significant,
            None => return bad("invalid_significant", value),
        },
    };
    let modules = match get("modules", 5)? {
        None => Some(vec![mfa.0.clone()]),
        Some(value) if value.is_atom("dynamic") => None,
        Some(value) => match value.as_list() {
            Some(list) => {
                let atoms = list.iter().map(|m| m.as_atom().cloned().ok_or(m));
                match atoms.collect() {
                    Ok(modules) => Some(modules),
                    Err(module) => return bad("invalid_module", module),
                }
            }
            None => return bad("invalid_modules", value),
        },
    };
    let (module, function, args) = mfa.clone();
    let spec = ChildSpec::dynamic(move |context, more| {
        let args = args.iter().cloned().chain(more).collect();
        start_function(context, module.clone(), function.clone(), args)
    });
    let id = id.clone();
    Ok(ChildSpec { id, restart, significant, shutdown, supervisor, modules, mfa, ..spec })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mfa(module: &'static str) -> Term {
        tuple!(Term::atom(module), atom "start_link", vec![Term::from(1)])
    }

    #[test]
    fn what_is_not_said_is_as_in_otp() {
        let spec = parse(&term!(#{id => a, start => (mfa("m"))})).expect("it is one");
        let whole = term!(#{
            id => a, start => (mfa("m")), restart => permanent, significant => false, shutdown => 5000,
            type => worker, modules => [m]
        });
        assert_eq!(of_spec(&spec), whole);
        let spec = parse(&term!(#{id => a, start => (mfa("m")), type => supervisor})).expect("it is one");
        assert_eq!(spec.shutdown, Shutdown::Infinity);
    }

    #[test]
    fn maps_and_tuples_say_the_same() {
        let map = term!(#{
            id => {1, 2}, start => (mfa("m")), restart => transient, shutdown => brutal_kill,
            type => worker, modules => dynamic
        });
        let old = tuple!(
            tuple!(1, 2), mfa("m"), atom "transient", atom "brutal_kill", atom "worker", atom "dynamic"
        );
        let [map, old] = [map, old].map(|term| of_spec(&parse(&term).expect("it is one")));
        assert_eq!(map, old);
    }

    #[test]
    fn what_is_wrong_is_said_as_otp_says_it() {
        let with = |key: &'static str, value: Term| {
            let Term::Map(mut map) = term!(#{id => a, start => (mfa("m"))}) else {
                unreachable!("it is a map")
            };
            map.insert(Term::atom(key), value);
            parse(&Term::Map(map)).expect_err("it is none")
        };
        let x = || Term::atom("x");
        for (key, reason) in [
            ("start", "invalid_mfa"),
            ("restart", "invalid_restart_type"),
            ("type", "invalid_child_type"),
            ("shutdown", "invalid_shutdown"),
            ("significant", "invalid_significant"),
            ("modules", "invalid_modules"),
        ] {
            assert_eq!(with(key, x()), tuple!(Term::atom(reason), x()));
        }
        assert_eq!(with("modules", Term::list([1.into()])), tuple!(atom "invalid_module", 1));
        assert_eq!(with("shutdown", (-1).into()), tuple!(atom "invalid_shutdown", -1));
        assert_eq!(parse(&x()).expect_err("it is none"), tuple!(atom "invalid_child_spec", x()));
        assert_eq!(parse(&term!(#{})).expect_err("it is none"), Term::atom("missing_id"));
        assert_eq!(parse(&term!(#{id => a})).expect_err("it is none"), Term::atom("missing_start"));
    }
}
