//! Terms as JSON.
//!
//! | Erlang | JSON |
//! |---|---|
//! | integer, float | number; an integer of any size |
//! | `true`, `false`; `null`, `nil` | the same; `null` |
//! | any other atom, a binary of UTF-8, a list of printable characters | string |
//! | any other list, a tuple | array |
//! | map | object, its keys as text; where two of them have the same, as Erlang shows them |
//! | anything else | string, as Erlang shows it |

use std::{collections::HashSet, slice};

use crabnode::Term;
use etf::text::Style;

/// The JSON text of a term. A term of any depth takes heap and not stack.
pub(crate) fn to_json(term: &Term) -> String {
    let mut out = String::new();
    let mut open: Vec<Open<'_>> = Vec::new();
    begin(term, &mut out, &mut open);
    while let Some(innermost) = open.last_mut() {
        match innermost.next(&mut out) {
            Some(term) => begin(term, &mut out, &mut open),
            None => {
                open.pop();
            }
        }
    }
    out
}

/// What is begun and not ended.
enum Open<'a> {
    Array(slice::Iter<'a, Term>, bool),
    Object(Vec<(String, &'a Term)>, bool),
}

/// Writes a term up to its first sub-term.
fn begin<'a>(term: &'a Term, out: &mut String, open: &mut Vec<Open<'a>>) {
    match term {
        Term::Int(_) | Term::BigInt(_) | Term::Float(_) => out.push_str(&term.to_string()),
        Term::Atom(atom) => match atom.as_str() {
            plain @ ("true" | "false" | "null") => out.push_str(plain),
            "nil" => out.push_str("null"),
            text => string(text, out),
        },
        Term::Binary(binary) => match binary.as_utf8() {
            Some(text) => string(text, out),
            None => string(&term.to_string(), out),
        },
        Term::List(elements) => match printed(term) {
            Some(text) => string(&text, out),
            None => array(elements, out, open),
        },
        Term::Tuple(elements) => array(elements, out, open),
        Term::Map(map) => {
            let keys: Vec<String> = map.iter().map(|(key, _)| key_text(key)).collect();
            let is_clear = keys.iter().collect::<HashSet<_>>().len() == keys.len();
            // Backwards, to be taken from the end.
            let entries = map
                .iter()
                .zip(keys)
                .rev()
                .map(|((key, value), text)| (if is_clear { text } else { key.to_string() }, value));
            out.push('{');
            open.push(Open::Object(entries.collect(), false));
        }
        other => string(&other.to_string(), out),
    }
}

fn array<'a>(elements: &'a [Term], out: &mut String, open: &mut Vec<Open<'a>>) {
    out.push('[');
    open.push(Open::Array(elements.iter(), false));
}

impl<'a> Open<'a> {
    /// The next sub-term, what comes before it being written; or nothing, and the end is.
    fn next(&mut self, out: &mut String) -> Option<&'a Term> {
        let (next, close, is_started) = match self {
            Self::Array(rest, is_started) => (rest.next().map(|term| (None, term)), ']', is_started),
            Self::Object(rest, is_started) => {
                (rest.pop().map(|(key, term)| (Some(key), term)), '}', is_started)
            }
        };
        let Some((key, term)) = next else {
            out.push(close);
            return None;
        };
        if std::mem::replace(is_started, true) {
            out.push(',');
        }
        if let Some(key) = key {
            string(&key, out);
            out.push(':');
        }
        Some(term)
    }
}

fn key_text(key: &Term) -> String {
    match key {
        Term::Atom(atom) => atom.as_str().to_owned(),
        Term::Binary(binary) => binary.as_utf8().map_or_else(|| key.to_string(), str::to_owned),
        key => printed(key).unwrap_or_else(|| key.to_string()),
    }
}

/// The text of a list that Erlang prints as a string.
fn printed(term: &Term) -> Option<String> {
    let elements = term.as_list()?;
    let may_be = !elements.is_empty() && elements.iter().all(|element| matches!(element, Term::Int(_)));
    let is_string = may_be && term.to_text(Style::UNICODE).starts_with('"');
    if is_string { term.as_text() } else { None }
}

fn string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use etf::text::parse_term;

    use super::*;

    #[test]
    fn each_kind_of_term() {
        for (term, json) in [
            (
                "[1,-2.5,1.0e100,123456789012345678901234567890]",
                "[1,-2.5,1.0e100,123456789012345678901234567890]",
            ),
            ("{ok,true,null,nil,undefined,'A b'}", r#"["ok",true,null,null,"undefined","A b"]"#),
            (r#"[<<"a\"b">>,"text\n",[],"",{}]"#, r#"["a\"b","text\n",[],[],[]]"#),
            (r#"#{a => 1,<<"b">> => [2,#{}],"c" => {},3 => d}"#, r#"{"3":"d","a":1,"c":[],"b":[2,{}]}"#),
            (r#"#{a => 1,<<"a">> => 2}"#, r#"{"a":1,"<<\"a\">>":2}"#),
            ("[<<255,0>>,<<1:1>>,fun m:f/1,[a|b]]", r#"["<<255,0>>","<<1:1>>","fun m:f/1","[a|b]"]"#),
        ] {
            assert_eq!(to_json(&parse_term(term).expect("a term")), json, "{term}");
        }
    }

    #[test]
    fn depth_takes_no_stack() {
        let deep = format!("{}a{}", "[{".repeat(100_000 / 2), "}]".repeat(100_000 / 2));
        let term = parse_term(&deep).expect("a term");
        let json = to_json(&term);
        assert_eq!(json.matches('[').count(), 100_000);
    }
}
