//! Resolve functions: what becomes of a name that two partitions have (cluster-services.md 1.7).
//!
//! The function of the process in the smaller node's partition decides, on that process's node: there
//! `global:resolve_it(Method, Name, Pid1, Pid2)` is called, here as well as there. [`plan`] says how this node serves
//! that call.

use etf::{Atom, Fun, Pid, Term, tuple};

use super::{api::Error, wire::Name};

/// A resolve function that this node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeMethod {
    /// `global:random_exit_name/3`: the process of the greater node is killed. (Nothing is random about it.)
    RandomExit,
    /// `global:random_notify_name/3`: it is told.
    RandomNotify,
    /// `global:notify_all_name/3`: both are told, and the name goes.
    NotifyAll,
}

/// What a resolve function does besides deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send the exit signal `kill`.
    Kill(Pid),
    /// Send a message.
    Send {
        /// To whom.
        to: Pid,
        /// The message.
        term: Term,
    },
}

/// How a resolve function is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// This node has it.
    Native(NativeMethod),
    /// Another node has it: call `global:resolve_it/4` there. If the node is this one, it is a fun `M:F/3`, to be
    /// called as any other function that this node may or may not serve.
    Call(Atom),
    /// It is no function of three arguments; any atom as its result has the name deleted on both sides.
    BadMethod,
}

impl NativeMethod {
    /// Decides between two processes. The result is that of the Erlang function: the process that keeps the name,
    /// or `none`.
    #[must_use]
    pub fn resolve(self, name: &Term, pid1: &Pid, pid2: &Pid) -> (Term, Vec<Effect>) {
        let (min, max) = if pid1.node() < pid2.node() { (pid1, pid2) } else { (pid2, pid1) };
        match self {
            Self::RandomExit => (min.into(), vec![Effect::Kill(max.clone())]),
            Self::RandomNotify => {
                let term = tuple!(atom "global_name_conflict", name.clone());
                (min.into(), vec![Effect::Send { to: max.clone(), term }])
            }
            Self::NotifyAll => {
                let tell = |to: &Pid, other: &Pid| Effect::Send {
                    to: to.clone(),
                    term: tuple!(atom "global_name_conflict", name.clone(), other),
                };
                (Term::atom("none"), vec![tell(pid1, pid2), tell(pid2, pid1)])
            }
        }
    }
}

/// How this node runs a resolve function.
#[must_use]
pub fn plan(own: &Atom, method: &Term) -> Plan {
    let Term::Fun(fun) = method else { return Plan::BadMethod };
    match fun.as_ref() {
        Fun::Export { module, function, arity: 3 } => {
            if module.as_str() != "global" {
                return Plan::Call(own.clone());
            }
            match function.as_str() {
                "random_exit_name" => Plan::Native(NativeMethod::RandomExit),
                "random_notify_name" => Plan::Native(NativeMethod::RandomNotify),
                "notify_all_name" => Plan::Native(NativeMethod::NotifyAll),
                _ => Plan::BadMethod,
            }
        }
        // The only fun of its own that OTP's module uses is that of its default.
        Fun::Closure(closure) if closure.arity == 3 && closure.module.as_str() == "global" => {
            Plan::Native(NativeMethod::RandomExit)
        }
        Fun::Closure(closure) if closure.arity == 3 && closure.creator.node() != own => {
            Plan::Call(closure.creator.node().clone())
        }
        Fun::Export { .. } | Fun::Closure(_) => Plan::BadMethod,
    }
}

/// A name with its resolve function as it travels: `{M, F}` becomes `fun M:F/3`, and nothing the default.
pub(super) fn name(name: Term, pid: Pid, method: Option<Term>) -> Result<Name, Error> {
    let method = match method {
        None => Term::export("global", "random_exit_name", 3),
        Some(Term::Tuple(pair)) => match pair.as_slice() {
            [Term::Atom(module), Term::Atom(function)] => {
                Fun::Export { module: module.clone(), function: function.clone(), arity: 3 }.into()
            }
            _ => return Err(Error::BadMethod(Term::Tuple(pair))),
        },
        Some(Term::Fun(fun)) => match fun.as_ref() {
            Fun::Export { arity: 3, .. } => Term::Fun(fun),
            Fun::Closure(closure) if closure.arity == 3 => Term::Fun(fun),
            Fun::Export { .. } | Fun::Closure(_) => return Err(Error::BadMethod(Term::Fun(fun))),
        },
        Some(other) => return Err(Error::BadMethod(other)),
    };
    Ok(Name { name, pid, method })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(node: &'static str, id: u32) -> Pid {
        Pid::new(Atom::from_static(node), id, 0, 1)
    }

    #[test]
    fn the_smaller_node_wins_and_equal_nodes_keep_the_second() {
        let (a, b) = (pid("a@h", 1), pid("b@h", 2));
        let name = Term::atom("n");
        for (one, two) in [(&a, &b), (&b, &a)] {
            let (result, effects) = NativeMethod::RandomExit.resolve(&name, one, two);
            assert_eq!((result, effects), (Term::from(&a), vec![Effect::Kill(b.clone())]));
        }
        let (c, d) = (pid("a@h", 8), pid("a@h", 9));
        let (result, effects) = NativeMethod::RandomNotify.resolve(&name, &c, &d);
        assert_eq!(result, Term::from(&d));
        let term = tuple!(atom "global_name_conflict", atom "n");
        assert_eq!(effects, [Effect::Send { to: c, term }]);
    }

    #[test]
    fn notify_all_tells_each_of_the_other() {
        let (a, b) = (pid("a@h", 1), pid("b@h", 2));
        let (result, effects) = NativeMethod::NotifyAll.resolve(&Term::Int(1), &a, &b);
        assert_eq!(result, Term::atom("none"));
        let told = |to: &Pid, other: &Pid| Effect::Send {
            to: to.clone(),
            term: tuple!(atom "global_name_conflict", 1, other),
        };
        assert_eq!(effects, [told(&a, &b), told(&b, &a)]);
    }

    #[test]
    fn funs_of_others_are_run_by_their_makers() {
        let own = Atom::from_static("r@h");
        let closure = |module: &'static str, node: &'static str, arity| {
            Term::from(Fun::Closure(etf::Closure {
                arity,
                uniq: [0; 16],
                index: 0,
                module: Atom::from_static(module),
                old_index: 0,
                old_uniq: 0,
                creator: pid(node, 1),
                free: etf::Elements::new(),
            }))
        };
        let exit = Plan::Native(NativeMethod::RandomExit);
        assert_eq!(plan(&own, &closure("global", "a@h", 3)), exit);
        assert_eq!(plan(&own, &Term::export("global", "random_exit_name", 3)), exit);
        assert_eq!(plan(&own, &closure("mine", "a@h", 3)), Plan::Call(Atom::from_static("a@h")));
        assert_eq!(plan(&own, &closure("mine", "r@h", 3)), Plan::BadMethod);
        assert_eq!(plan(&own, &closure("mine", "a@h", 2)), Plan::BadMethod);
        assert_eq!(plan(&own, &Term::export("mine", "f", 3)), Plan::Call(own.clone()));
        assert_eq!(plan(&own, &Term::export("global", "gone", 3)), Plan::BadMethod);
        assert_eq!(plan(&own, &Term::Int(1)), Plan::BadMethod);
    }

    #[test]
    fn only_functions_of_three_arguments_are_taken() {
        let take = |method| name(Term::Int(1), pid("a@h", 1), method).map(|n| n.method);
        assert_eq!(take(None), Ok(Term::export("global", "random_exit_name", 3)));
        assert_eq!(take(Some(tuple!(atom "m", atom "f"))), Ok(Term::export("m", "f", 3)));
        assert_eq!(take(Some(Term::export("m", "f", 3))), Ok(Term::export("m", "f", 3)));
        for bad in [Term::export("m", "f", 2), tuple!(atom "m"), tuple!(atom "m", 1), Term::atom("f")] {
            assert_eq!(take(Some(bad.clone())), Err(Error::BadMethod(bad)));
        }
    }
}
