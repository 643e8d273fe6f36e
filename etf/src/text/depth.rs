//! `~W` and `~P`: terms of which only so much is written.

use crate::{
    Term,
    text::{Style, print::is_printable_list},
};

/// How many levels are written, whatever a format says: this works by recursion.
const LEVELS_MAX: usize = 128;

/// The term on one line, `...` in place of what is deeper than `levels` or, in a list, further behind; all of it for a
/// negative number.
pub(super) fn to_text(term: &Term, style: Style, levels: i64) -> String {
    let Ok(depth) = usize::try_from(levels) else { return term.to_text(style) };
    let mut out = String::new();
    write(term, style, depth, LEVELS_MAX, &mut out);
    out
}

/// `depth` is what the format says, `levels` how many there may be at all.
fn write(term: &Term, style: Style, depth: usize, levels: usize, out: &mut String) {
    let (open, close) = match term {
        _ if depth == 0 || levels == 0 => return out.push_str("..."),
        Term::Tuple(_) => ("{", "}"),
        Term::List(elements) if is_printable_list(elements, style) => ("", ""),
        Term::List(_) | Term::ImproperList(_) => ("[", "]"),
        Term::Map(_) => ("#{", "}"),
        _ => ("", ""),
    };
    let elements = match term {
        Term::Tuple(elements) | Term::List(elements) => elements.len(),
        Term::ImproperList(list) => list.head().len(),
        Term::Map(map) => map.len(),
        _ => 0,
    };
    if open.is_empty() || elements == 0 {
        return out.push_str(&term.to_text(style));
    }
    out.push_str(open);
    if depth == 1 {
        // As Erlang has it, of a map nothing at all is said.
        out.push_str(if matches!(term, Term::Map(_)) { "" } else { "..." });
        return out.push_str(close);
    }
    match term {
        Term::Tuple(elements) => {
            rest(elements.iter(), ',', depth - 1, out, |element, depth, out| {
                write(element, style, depth, levels - 1, out);
            });
        }
        Term::List(elements) => {
            rest(elements.iter(), '|', depth - 1, out, |element, depth, out| {
                write(element, style, depth, levels - 1, out);
            });
        }
        Term::ImproperList(list) => {
            let left = rest(list.head().iter(), '|', depth - 1, out, |element, depth, out| {
                write(element, style, depth, levels - 1, out);
            });
            if let Some(left) = left {
                out.push('|');
                write(list.tail(), style, left.saturating_sub(1), levels - 1, out);
            }
        }
        Term::Map(map) => {
            rest(map.iter(), ',', depth - 1, out, |(key, value), depth, out| {
                write(key, style, depth, levels - 1, out);
                out.push_str(" => ");
                write(value, style, depth, levels - 1, out);
            });
        }
        _ => {}
    }
    out.push_str(close);
}

/// Each element is a level deeper than the one before it. The levels left behind the last, unless some were left out.
fn rest<T>(
    elements: impl Iterator<Item = T>,
    cut: char,
    mut depth: usize,
    out: &mut String,
    mut write: impl FnMut(T, usize, &mut String),
) -> Option<usize> {
    for (nth, element) in elements.enumerate() {
        if nth > 0 {
            if depth == 1 {
                out.push(cut);
                out.push_str("...");
                return None;
            }
            out.push(',');
        }
        write(element, if nth == 0 { depth } else { depth - 1 }, out);
        depth -= usize::from(nth > 0);
    }
    Some(depth)
}
