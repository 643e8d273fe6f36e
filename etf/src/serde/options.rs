//! How Rust values and terms stand for each other where there is a choice.

use crate::DecodeLimits;

/// The choices between Rust values and terms.
///
/// Those about writing decide which of several usual forms is written; reading takes all of them, whatever is set
/// here. [`Options::default`] is what Elixir expects, [`Options::erlang`] differs in what stands for `None`.
///
/// ```
/// use crabnode_etf::{serde::{Options, Structs}, term};
///
/// #[derive(serde::Serialize)]
/// #[serde(rename = "user")]
/// struct User { name: &'static str, age: Option<u8> }
///
/// let joe = User { name: "Joe", age: None };
/// assert_eq!(crabnode_etf::serde::to_term(&joe)?, term!(#{name => <<"Joe">>, age => nil}));
/// let records = Options { structs: Structs::Record, ..Options::erlang() };
/// assert_eq!(records.to_term(&joe)?, term!({user, <<"Joe">>, undefined}));
/// # Ok::<(), crabnode_etf::serde::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What `None` is written as. Both are read as `None`. Default [`Absent::Nil`].
    pub none: Absent,
    /// What a struct is written as. Default [`Structs::Map`].
    pub structs: Structs,
    /// What the names of a struct's fields are written as, in [`Structs::Map`]. Default [`Names::Atom`].
    pub keys: Names,
    /// What a map's keys are written as where they are strings. Default [`Names::Binary`]; with [`Names::Atom`]
    /// mind that a BEAM never frees an atom.
    ///
    /// A struct with `#[serde(flatten)]` reaches serde as a map, so this is what counts for its fields.
    pub map_keys: Names,
    /// What a string is written as. Default [`Strings::Binary`], which Elixir calls a string.
    pub strings: Strings,
    /// Where the structs of this program live in Elixir: with `Some("MyApp")` a struct `User` is written with
    /// `__struct__ => 'Elixir.MyApp.User'`, and read only from a term that names that module or none.
    /// Default: no module, no `__struct__`.
    ///
    /// One struct alone gets its module by its name, whatever is set here:
    /// `#[serde(rename = "Elixir.MyApp.User")]`.
    pub elixir_module: Option<String>,
    /// What types with a form for people and one for machines give: with `false` the latter, so that an
    /// `Ipv4Addr` is `{127,0,0,1}` and a UUID 16 bytes; with `true` they are strings. Reading must be told the
    /// same as writing. Default `false`.
    pub human_readable: bool,
    /// How deep Rust values may be nested in each other.
    ///
    /// Default 64: serde works by recursion, and a derived type takes 10 KB of stack a level and more in an
    /// unoptimised build, so that 64 levels fit the 2 MiB of a usual thread more than twice. A
    /// [`Term`](crate::Term) inside a value is not read through serde and counts as one level. Raise it only where
    /// values are read on threads with a larger stack.
    pub nesting_max: usize,
    /// Limits on what is read, as for [`decode`](crate::decode). `depth_max` there does not matter here, but a
    /// [`Term`](crate::Term) that is part of a value is read within the default limits as well.
    pub limits: DecodeLimits,
}

/// What stands for a value that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// `nil`, as Elixir has it.
    Nil,
    /// `undefined`, as Erlang has it.
    Undefined,
}

/// What names are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Atoms: `#{name => ...}`.
    Atom,
    /// Binaries: `#{<<"name">> => ...}`.
    Binary,
}

/// What strings are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strings {
    /// UTF-8 binaries.
    Binary,
    /// Lists of code points, which Erlang's older libraries take.
    Charlist,
}

/// What structs are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structs {
    /// A map from the fields' names to their values.
    Map,
    /// A tuple of the struct's name and the values in their order, which is what Erlang's `-record` is. A field
    /// that serde skips is written as `None` is.
    Record,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            none: Absent::Nil,
            structs: Structs::Map,
            keys: Names::Atom,
            map_keys: Names::Binary,
            strings: Strings::Binary,
            elixir_module: None,
            human_readable: false,
            nesting_max: 64,
            limits: DecodeLimits::default(),
        }
    }
}

impl Options {
    /// What Erlang expects: `None` is `undefined`.
    #[must_use]
    pub fn erlang() -> Self {
        Self { none: Absent::Undefined, ..Self::default() }
    }

    /// The Elixir module of a struct, if it has one.
    pub(super) fn module_of<'a>(&self, name: &'a str) -> Option<std::borrow::Cow<'a, str>> {
        if name.starts_with(ELIXIR) {
            return Some(name.into());
        }
        self.elixir_module.as_ref().map(|module| format!("{ELIXIR}{module}.{name}").into())
    }
}

/// What the names of Elixir's modules start with.
const ELIXIR: &str = "Elixir.";
