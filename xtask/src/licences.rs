//! Whether the licence of every crate we build with is one that `deny.toml` allows.
//!
//! `cargo deny` asks the same and more, but is not on every machine: this check is, so that licences are never
//! silently left out.

use std::{collections::BTreeSet, fs, path::Path};

use cargo_metadata::MetadataCommand;

use crate::Failure;

/// Fails with the crates whose licence is not allowed.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    let deny = root.join("deny.toml");
    let text = fs::read_to_string(&deny).map_err(Failure::file(&deny))?;
    let allowed = allowed_in(&text)
        .ok_or_else(|| Failure::Check(format!("{}: no list `allow` under [licenses]", deny.display())))?;
    let mut command = MetadataCommand::new();
    let metadata = command
        .current_dir(root)
        .exec()
        .map_err(|error| Failure::Missing(format!("`cargo metadata`: {error}")))?;
    let refused: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(|licence| is_allowed(licence, &allowed)))
        .map(|package| {
            format!(
                "{} {} ({})",
                package.name,
                package.version,
                package.license.as_deref().unwrap_or("no licence")
            )
        })
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::Check(format!("licences that deny.toml does not allow: {}", refused.join(", "))))
}

/// The strings of the list `allow` in the section `[licenses]`.
fn allowed_in(deny: &str) -> Option<BTreeSet<String>> {
    let (_, section) = deny.split_once("\n[licenses]")?;
    let section = section.split_once("\n[").map_or(section, |(section, _)| section);
    let (_, list) = section.split_once("\nallow = [")?;
    let (list, _) = list.split_once(']')?;
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = lines.flat_map(|line| line.split(',')).map(|name| name.trim().trim_matches('"').to_owned());
    Some(names.filter(|name| !name.is_empty()).collect())
}

/// Whether an SPDX expression can be met with allowed licences alone.
///
/// `AND` binds tighter than `OR`; a `/`, from before crates.io asked for SPDX, means `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => any(words, allowed) & words.next_if_eq(&")").is_some(),
        // An exception only gives more rights than the licence it goes with.
        Some(licence) => {
            if words.next_if_eq(&"WITH").is_some() {
                words.next();
            }
            allowed.contains(licence)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> BTreeSet<String> {
        allowed_in(
            "x = 1\n[licenses]\nversion = 2\nallow = [\n  \"MIT\", # why\n  \"Unicode-3.0\",\n]\n[bans]\n",
        )
        .unwrap()
    }

    #[test]
    fn an_expression_is_met_by_allowed_licences_alone() {
        let met = |expression| is_allowed(expression, &allowed());
        assert!(met("MIT OR Apache-2.0"));
        assert!(met("Apache-2.0/MIT"));
        assert!(met("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(met("GPL-3.0 OR MIT WITH LLVM-exception"));
        assert!(!met("Apache-2.0"));
        assert!(!met("MIT AND Apache-2.0"));
        assert!(!met("(MIT OR Apache-2.0) AND GPL-3.0"));
        assert!(!met("MIT Apache-2.0"));
        assert!(!met("(MIT"));
        assert!(!met(""));
    }

    #[test]
    fn the_list_ends_where_its_section_ends() {
        assert_eq!(allowed(), BTreeSet::from(["MIT".to_owned(), "Unicode-3.0".to_owned()]));
        assert_eq!(allowed_in("\n[licenses]\n[bans]\nallow = [\"MIT\"]\n"), None);
    }
}
