//! Some of `lists` and `string`: what people try first by rpc.

use etf::{Term, tuple};

use super::{Args, Builtin, Outcome, badarg, first};
use crate::{Context, Exception};

/// How many elements a list may have that is made of numbers: who asks may be another node. A term of that length
/// is 16 MiB.
const ELEMENTS_MAX: usize = 1 << 20;

pub(super) fn insert_all(functions: Builtin<'_>) {
    lists(functions);
    string(functions);
}

fn function_clause<T>() -> Result<T, Exception> {
    Err(Exception::error(Term::atom("function_clause")))
}

fn lists(functions: Builtin<'_>) {
    functions.insert("lists", "seq", 2, async |_: Context, args: Args| seq(&args[0], &args[1], &1.into()));
    functions.insert("lists", "seq", 3, async |_: Context, args: Args| seq(&args[0], &args[1], &args[2]));
    functions.insert("lists", "reverse", 1, async |_: Context, args: Args| {
        with_list(first(args), |list| Ok(Term::list(list.into_iter().rev().collect::<Vec<_>>())))
    });
    functions.insert("lists", "sort", 1, async |_: Context, args: Args| {
        with_list(first(args), |mut list| {
            list.sort();
            Ok(Term::list(list))
        })
    });
    functions.insert("lists", "usort", 1, async |_: Context, args: Args| {
        with_list(first(args), |mut list| {
            list.sort();
            list.dedup();
            Ok(Term::list(list))
        })
    });
    functions.insert("lists", "max", 1, async |_: Context, args: Args| {
        with_list(first(args), |list| list.into_iter().max().map_or_else(function_clause, Ok))
    });
    functions.insert("lists", "min", 1, async |_: Context, args: Args| {
        with_list(first(args), |list| list.into_iter().min().map_or_else(function_clause, Ok))
    });
    functions.insert("lists", "last", 1, async |_: Context, args: Args| {
        with_list(first(args), |mut list| list.pop().map_or_else(function_clause, Ok))
    });
    functions.insert("lists", "append", 2, async |_: Context, mut args: Args| {
        let more = args.swap_remove(1);
        with_list(first(args), |list| Ok(Term::list_with_tail(list, more)))
    });
    functions.insert("lists", "member", 2, async |_: Context, args: Args| match args[1].as_list() {
        Some(list) => Ok(list.contains(&args[0]).into()),
        None => badarg(),
    });
    functions.insert("lists", "nth", 2, async |_: Context, args: Args| {
        let nth = args[0].as_u64().and_then(|n| usize::try_from(n).ok()?.checked_sub(1));
        match (nth, args[1].as_list()) {
            (Some(nth), Some(list)) => list.get(nth).cloned().map_or_else(function_clause, Ok),
            _ => function_clause(),
        }
    });
    functions.insert("lists", "duplicate", 2, async |_: Context, args: Args| {
        match args[0].as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(count) if count <= ELEMENTS_MAX => Ok(Term::list(vec![args[1].clone(); count])),
            Some(_) => Err(Exception::error(Term::atom("system_limit"))),
            None => function_clause(),
        }
    });
    functions.insert("lists", "keyfind", 3, async |_: Context, args: Args| {
        let place = args[1].as_u64().and_then(|n| usize::try_from(n).ok()?.checked_sub(1));
        let (Some(place), Some(list)) = (place, args[2].as_list()) else { return badarg() };
        let found = list.iter().find(|term| term.as_tuple().and_then(|t| t.get(place)) == Some(&args[0]));
        Ok(found.cloned().unwrap_or_else(|| false.into()))
    });
    functions.insert("lists", "zip", 2, async |_: Context, args: Args| {
        match (args[0].as_list(), args[1].as_list()) {
            (Some(a), Some(b)) if a.len() == b.len() => {
                let pairs = a.iter().zip(b).map(|(a, b)| tuple!(a.clone(), b.clone()));
                Ok(Term::list(pairs.collect::<Vec<_>>()))
            }
            _ => function_clause(),
        }
    });
}

fn with_list(term: Term, then: impl FnOnce(Vec<Term>) -> Outcome) -> Outcome {
    match term {
        Term::List(list) => then(list.into_vec()),
        _ => function_clause(),
    }
}

fn seq(from: &Term, to: &Term, step: &Term) -> Outcome {
    let (Some(from), Some(to), Some(step)) = (from.as_int(), to.as_int(), step.as_int()) else {
        return function_clause();
    };
    let (from, to, step) = (i128::from(from), i128::from(to), i128::from(step));
    let span = (to - from) * step.signum();
    if step == 0 && from != to || span < -step.abs() {
        return function_clause();
    }
    let count = if step == 0 { 1 } else { (span + step.abs()) / step.abs() };
    let Some(count) = usize::try_from(count).ok().filter(|count| *count <= ELEMENTS_MAX) else {
        return Err(Exception::error(Term::atom("system_limit")));
    };
    let element = |nth: usize| i64::try_from(from + step * nth as i128).unwrap_or_default();
    Ok(Term::list((0..count).map(|nth| element(nth).into()).collect::<Vec<Term>>()))
}

fn string(functions: Builtin<'_>) {
    let put = |function, change: fn(&str) -> Term| {
        functions.insert("string", function, 1, move |_: Context, args: Args| async move {
            let Some(text) = args[0].as_text() else { return function_clause() };
            Ok(match (&args[0], change(&text)) {
                // Text stays of its kind.
                (Term::Binary(_), Term::List(list)) => {
                    let code = |c: &Term| char::from_u32(u32::try_from(c.as_u64()?).ok()?);
                    Term::binary(list.iter().filter_map(code).collect::<String>().into_bytes())
                }
                (_, changed) => changed,
            })
        });
    };
    put("uppercase", |text| Term::charlist(&text.to_uppercase()));
    put("lowercase", |text| Term::charlist(&text.to_lowercase()));
    put("to_upper", |text| Term::charlist(&text.to_ascii_uppercase()));
    put("to_lower", |text| Term::charlist(&text.to_ascii_lowercase()));
    put("trim", |text| Term::charlist(text.trim()));
    put("length", |text| text.chars().count().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seq_is_that_of_lists() {
        let of = |from: i64, to: i64, step: i64| {
            seq(&from.into(), &to.into(), &step.into()).map(|list| list.to_string())
        };
        assert_eq!(of(1, 3, 1).as_deref(), Ok("[1,2,3]"));
        assert_eq!(of(1, 6, 2).as_deref(), Ok("[1,3,5]"));
        assert_eq!(of(3, 1, -1).as_deref(), Ok("[3,2,1]"));
        assert_eq!(of(1, 0, 1).as_deref(), Ok("[]"));
        assert_eq!(of(1, 1, 0).as_deref(), Ok("[1]"));
        assert!(of(1, -1, 1).is_err() && of(1, 2, 0).is_err());
        assert_eq!(of(1, i64::MAX, 1), Err(Exception::error(Term::atom("system_limit"))));
    }
}
