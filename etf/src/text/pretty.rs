//! Terms on several lines, as `~p` breaks them where they are too long for one.
//!
//! A character is a code point here. Erlang counts those that combine as one in most of its text, so a line with such
//! may break elsewhere.

use std::iter;

use crate::{
    Term,
    text::{Style, print::is_printable_list},
};

/// The columns of a line, where nobody says how many.
pub(super) const LINE: usize = 80;

/// How deep a term may be to be broken. This works by recursion; deeper ones are written on one line.
const LEVELS_MAX: usize = 128;

/// The lines of a term, the first of which starts at a column; nothing if it is to be on one.
pub(super) fn lines(term: &Term, style: Style, line: usize, column: usize) -> Option<String> {
    let node = Node::new(term, style, LEVELS_MAX)?;
    if line == 0 || node.len + column < line {
        return None;
    }
    // Elements behind a tag are indented by the tag's length; if that leads too far to the right, by a little.
    let write = |tag_indent, is_check| {
        let mut writer = Writer { out: String::new(), style, line, max: node.len, tag_indent, is_check };
        let start = At { column, used: 0, closing: 0 };
        writer.node(&node, start).ok().map(|()| writer.out)
    };
    let tag_indent = [None, Some(4)].into_iter().find(|&indent| write(indent, true).is_some());
    write(tag_indent.unwrap_or(Some(1)), false)
}

/// A term, and how many characters it takes on one line.
struct Node<'a> {
    term: &'a Term,
    len: usize,
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// What is never broken.
    Whole(String),
    /// A binary as numbers.
    Bytes(String),
    Tuple(Vec<Node<'a>>),
    /// With its tail, if that is no list.
    List(Vec<Node<'a>>, Option<Box<Node<'a>>>),
    Map(Vec<[Node<'a>; 2]>),
}

impl<'a> Node<'a> {
    /// Nothing if the term is deeper than so many levels.
    fn new(term: &'a Term, style: Style, levels: usize) -> Option<Self> {
        let levels = levels.checked_sub(1)?;
        let nodes = |terms: &'a [Term]| -> Option<Vec<Self>> {
            terms.iter().map(|term| Self::new(term, style, levels)).collect()
        };
        // With commas between and brackets around.
        let len = |nodes: &[Self]| nodes.iter().map(|node| node.len + 1).sum::<usize>() + 1;
        let (len, kind) = match term {
            Term::Tuple(elements) if !elements.is_empty() => {
                let nodes = nodes(elements)?;
                (len(&nodes), Kind::Tuple(nodes))
            }
            Term::List(elements) if !elements.is_empty() && !is_printable_list(elements, style) => {
                let nodes = nodes(elements)?;
                (len(&nodes), Kind::List(nodes, None))
            }
            Term::ImproperList(list) => {
                let (nodes, tail) = (nodes(list.head())?, Self::new(list.tail(), style, levels)?);
                (len(&nodes) + 1 + tail.len, Kind::List(nodes, Some(Box::new(tail))))
            }
            Term::Map(map) if !map.is_empty() => {
                let mut pairs = Vec::with_capacity(map.len());
                for (key, value) in map.iter() {
                    pairs.push([Self::new(key, style, levels)?, Self::new(value, style, levels)?]);
                }
                let len = pairs.iter().map(|pair| pair_len(pair) + 1).sum::<usize>() + 2;
                (len, Kind::Map(pairs))
            }
            term => {
                let text = term.to_text(style);
                let len = text.chars().count();
                let is_binary = matches!(term, Term::Binary(_) | Term::BitString(_));
                let is_bytes = is_binary && text != "<<>>" && !text.starts_with("<<\"");
                (len, if is_bytes { Kind::Bytes(text) } else { Kind::Whole(text) })
            }
        };
        Some(Self { term, len, kind })
    }

    fn is_whole(&self) -> bool {
        matches!(self.kind, Kind::Whole(_))
    }
}

fn pair_len([key, value]: &[Node<'_>; 2]) -> usize {
    key.len + ARROW.len() + value.len
}

const ARROW: &str = " => ";

/// Where writing goes on.
#[derive(Clone, Copy)]
struct At {
    /// The column, from 1.
    column: usize,
    /// The characters in this line, without the indentation.
    used: usize,
    /// The brackets that close behind what is written.
    closing: usize,
}

/// A tag leads too far to the right.
struct TooFar;

type Written<T = ()> = Result<T, TooFar>;

struct Writer {
    out: String,
    style: Style,
    /// The columns of a line.
    line: usize,
    /// The characters that a line may have: not more than all of the term.
    max: usize,
    /// How far what follows a tag is indented, if not by the tag's length.
    tag_indent: Option<usize>,
    /// Whether this is only to see if a tag leads too far. What is written then is of no use.
    is_check: bool,
}

impl Writer {
    fn fits(&self, len: usize, at: At) -> bool {
        len + at.column + at.closing < self.line && len + at.used + at.closing <= self.max
    }

    /// Whether it may be in the same line, behind a comma.
    fn follows(&self, len: usize, at: At) -> bool {
        // The comma, and room for one more if there is more.
        self.fits(len + 1 + usize::from(at.closing == 0), at)
    }

    fn whole(&mut self, node: &Node<'_>) {
        match &node.kind {
            Kind::Whole(text) | Kind::Bytes(text) => self.out.push_str(text),
            _ => self.out.push_str(&node.term.to_text(self.style)),
        }
    }

    fn line_break(&mut self, column: usize) {
        self.out.push('\n');
        self.out.extend(iter::repeat_n(' ', column - 1));
    }

    fn node(&mut self, node: &Node<'_>, at: At) -> Written {
        if self.fits(node.len, at) {
            self.whole(node);
            return Ok(());
        }
        let inner = |by| At { column: at.column + by, used: at.used + 1, ..at };
        match &node.kind {
            Kind::Whole(text) => self.out.push_str(text),
            Kind::Bytes(text) => self.bytes(text, At { column: at.column + 2, ..at }),
            Kind::List(nodes, tail) => {
                self.out.push('[');
                self.list(nodes, tail.as_deref(), inner(1))?;
                self.out.push(']');
            }
            Kind::Tuple(nodes) => {
                self.out.push('{');
                match nodes.split_first() {
                    Some((tag, rest)) if matches!(tag.term, Term::Atom(_)) && !rest.is_empty() => {
                        self.tagged(tag, rest, inner(0))?;
                    }
                    _ => self.list(nodes, None, inner(1))?,
                }
                self.out.push('}');
            }
            Kind::Map(pairs) => {
                self.out.push_str("#{");
                self.map(pairs, inner(2))?;
                self.out.push('}');
            }
        }
        Ok(())
    }

    /// A tuple that starts with an atom; `at` is where its bracket is.
    fn tagged(&mut self, tag: &Node<'_>, rest: &[Node<'_>], at: At) -> Written {
        self.whole(tag);
        let by_tag = tag.len + 2;
        let behind = at.column + by_tag;
        match self.tag_indent.filter(|&by| by < by_tag) {
            Some(by) => {
                self.check(at.column + by <= self.line / 2)?;
                let here = At { column: behind, used: at.used + tag.len, ..at };
                self.rest(rest, None, at.column + by, here)
            }
            None => {
                self.check(behind < self.line / 2)?;
                self.out.push(',');
                self.list(rest, None, At { column: behind, used: at.used + tag.len + 1, ..at })
            }
        }
    }

    fn check(&self, is_near: bool) -> Written {
        if is_near || !self.is_check { Ok(()) } else { Err(TooFar) }
    }

    fn list(&mut self, nodes: &[Node<'_>], tail: Option<&Node<'_>>, at: At) -> Written {
        let Some((first, rest)) = nodes.split_first() else { return Ok(()) };
        let taken = self.element(first, At { closing: closing(rest, at), ..at })?;
        let here = At { column: at.column + taken, used: at.used + taken, ..at };
        self.rest(rest, tail, at.column, here)
    }

    /// What comes after the first of a list or a tag; new lines start at the column.
    fn rest(&mut self, nodes: &[Node<'_>], tail: Option<&Node<'_>>, column: usize, mut at: At) -> Written {
        let outer = at.closing;
        for (i, node) in nodes.iter().enumerate() {
            self.out.push(',');
            at.closing = if i + 1 < nodes.len() { 0 } else { outer + 1 };
            if node.is_whole() && self.follows(node.len, at) {
                self.whole(node);
                at = At { column: at.column + node.len + 1, used: at.used + node.len + 1, ..at };
            } else {
                self.line_break(column);
                let taken = self.element(node, At { column, used: 0, ..at })?;
                at = At { column: column + taken, used: taken, ..at };
            }
        }
        let Some(tail) = tail else { return Ok(()) };
        self.out.push('|');
        at.closing = outer + 1;
        if tail.is_whole() && self.fits(tail.len + 1, at) {
            self.whole(tail);
            return Ok(());
        }
        self.line_break(column);
        // As Erlang has it, which takes the tail of a list to be further right when it checks.
        let column = if self.is_check { at.column } else { column };
        self.node(tail, At { column, used: 0, ..at })
    }

    /// How far it goes; past the end of the line after what is not whole, so that the next starts a line.
    fn element(&mut self, node: &Node<'_>, at: At) -> Written<usize> {
        let is_short = node.is_whole() && self.fits(node.len, at);
        self.node(node, at)?;
        Ok(if is_short { node.len } else { self.line })
    }

    fn map(&mut self, pairs: &[[Node<'_>; 2]], start: At) -> Written {
        let mut at = start;
        for (i, pair) in pairs.iter().enumerate() {
            at.closing = if i + 1 < pairs.len() { 0 } else { start.closing + 1 };
            let len = pair_len(pair);
            let taken = if i == 0 {
                self.pair(pair, at)?
            } else {
                self.out.push(',');
                if pair.iter().all(Node::is_whole) && self.follows(len, at) {
                    self.whole_pair(pair);
                    at = At { column: at.column + len + 1, used: at.used + len + 1, ..at };
                    continue;
                }
                self.line_break(start.column);
                self.pair(pair, At { column: start.column, used: 0, ..at })?
            };
            at = At { column: start.column + taken, used: taken, ..at };
        }
        Ok(())
    }

    /// How far it goes, as for an element.
    fn pair(&mut self, pair: &[Node<'_>; 2], at: At) -> Written<usize> {
        let len = pair_len(pair);
        if self.fits(len, at) {
            self.whole_pair(pair);
            return Ok(if pair.iter().all(Node::is_whole) { len } else { self.line });
        }
        let [key, value] = pair;
        self.node(key, at)?;
        self.out.push_str(ARROW.trim_end());
        let column = at.column + self.tag_indent.unwrap_or(4);
        self.line_break(column);
        self.node(value, At { column, used: 0, ..at })?;
        Ok(self.line)
    }

    fn whole_pair(&mut self, [key, value]: &[Node<'_>; 2]) {
        self.whole(key);
        self.out.push_str(ARROW);
        self.whole(value);
    }

    /// A binary as numbers; the column is that of the first of them.
    fn bytes(&mut self, text: &str, at: At) {
        let room = self.line.saturating_sub(at.column).min(self.max.saturating_sub(4 + at.used));
        let room = room.saturating_sub(at.closing).max(8);
        let numbers = text.trim_start_matches('<').trim_end_matches('>');
        self.out.push_str("<<");
        let mut left = room;
        for number in numbers.split_inclusive(',') {
            if number.len() > left {
                self.line_break(at.column);
                left = room;
            }
            left = left.saturating_sub(number.len());
            self.out.push_str(number);
        }
        self.out.push_str(">>");
    }
}

/// Behind one element: its own bracket and those around, if there are no others.
fn closing(rest: &[Node<'_>], at: At) -> usize {
    if rest.is_empty() { at.closing + 1 } else { 0 }
}

#[cfg(test)]
mod tests;
