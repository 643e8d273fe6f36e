//! Chardata: text as binaries, characters, and lists of these in lists.

use crate::Term;

/// What the bytes of binaries, and how large the characters of lists, are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A character is at most 255, and a byte is one.
    Latin1,
    /// Any characters; binaries are UTF-8.
    Unicode,
}

/// The text of chardata (`unicode:characters_to_list/2`), or nothing if the term is none.
///
/// A character whose bytes are in two binaries is not put together.
#[must_use]
pub fn to_text(term: &Term, encoding: Encoding) -> Option<String> {
    let mut out = String::new();
    let mut stack: Vec<std::slice::Iter<'_, Term>> = Vec::new();
    match term {
        // Only within a list.
        Term::Int(_) => return None,
        term => stack.push(std::slice::from_ref(term).iter()),
    }
    while let Some(rest) = stack.last_mut() {
        let Some(part) = rest.next() else {
            stack.pop();
            continue;
        };
        match part {
            Term::Int(code) => {
                let c = char::from_u32(u32::try_from(*code).ok()?)?;
                if encoding == Encoding::Latin1 && c > '\u{ff}' {
                    return None;
                }
                out.push(c);
            }
            Term::Binary(binary) => match encoding {
                Encoding::Latin1 => out.extend(binary.iter().copied().map(char::from)),
                Encoding::Unicode => out.push_str(binary.as_utf8()?),
            },
            Term::List(elements) => stack.push(elements.iter()),
            Term::ImproperList(list) => {
                let tail @ Term::Binary(_) = list.tail() else { return None };
                stack.push(std::slice::from_ref(tail).iter());
                stack.push(list.head().iter());
            }
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_term;

    fn text(term: &str, encoding: Encoding) -> Option<String> {
        to_text(&parse_term(term).expect("a term"), encoding)
    }

    #[test]
    fn lists_in_lists_are_one_text() {
        let deep = r#"["a",[[<<"b">>,$c]|<<"d">>],[],"å"]"#;
        assert_eq!(text(deep, Encoding::Latin1).as_deref(), Some("abcdå"));
        assert_eq!(text(deep, Encoding::Unicode).as_deref(), Some("abcdå"));
        assert_eq!(text(r#"<<"å"/utf8>>"#, Encoding::Unicode).as_deref(), Some("å"));
        assert_eq!(text(r#"<<"å"/utf8>>"#, Encoding::Latin1).as_deref(), Some("Ã¥"));
        assert_eq!(text("[1046]", Encoding::Unicode).as_deref(), Some("Ж"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for term in ["a", "97", "[a]", "[-1]", "[16#d800]", "[97|98]", "[97|a]", "{}", "<<255>>", "<<1:1>>"] {
            assert_eq!(text(term, Encoding::Unicode), None, "{term}");
        }
        assert_eq!(text("[256]", Encoding::Latin1), None);
    }
}
