//! The kernel configs: read as they are, or with other times written into a copy.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use etf::{Term, text::consult_bytes, tuple};
use interop_tests::Cluster;

/// A `sys.config`.
#[derive(Clone)]
pub(crate) struct Config {
    path: PathBuf,
    terms: Term,
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let say = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = fs::read(path).map_err(|error| say(&error))?;
        match <[Term; 1]>::try_from(consult_bytes(&bytes).map_err(|error| say(&error))?) {
            Ok([terms]) => Ok(Self { path: path.to_owned(), terms }),
            Err(_) => Err(say(&"not one term")),
        }
    }

    /// From the death of the node that runs the application to its start on the next.
    pub(crate) fn restart_time(&self) -> Result<Duration, String> {
        let kernel = value(&self.terms, "kernel");
        let distributed = kernel.and_then(|kernel| value(kernel, "distributed"));
        let time = distributed.and_then(|all| all.as_list()?.first()?.as_tuple()?.get(1)?.as_u64());
        let time = time.ok_or_else(|| format!("{}: no restart time", self.path.display()))?;
        Ok(Duration::from_millis(time))
    }

    /// The same with another restart time, and another time for other nodes to come up.
    pub(crate) fn with_times(mut self, restart: Option<Duration>, sync: Option<Duration>) -> Self {
        let millis = |time: Duration| Term::from(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let change = |name: &str, term: &Term| match (name, restart, sync, term.as_list()) {
            ("distributed", Some(restart), _, Some(all)) => {
                let change = |one: &Term| match one.as_tuple() {
                    Some([app, _, nodes]) => tuple!(app.clone(), millis(restart), nodes.clone()),
                    _ => one.clone(),
                };
                Term::from(all.iter().map(change).collect::<Vec<_>>())
            }
            ("sync_nodes_timeout", _, Some(sync), _) => millis(sync),
            _ => term.clone(),
        };
        self.terms = changed(&self.terms, |name, term| match name {
            "kernel" => changed(term, change),
            _ => term.clone(),
        });
        self
    }

    /// Writes it for a node.
    pub(crate) fn write(&self, cluster: &Cluster, node: &str) -> PathBuf {
        cluster.write(&format!("{node}.config"), &format!("{}.\n", self.terms))
    }
}

fn value<'a>(list: &'a Term, key: &str) -> Option<&'a Term> {
    list.as_list()?.iter().find_map(|entry| match entry.as_tuple()? {
        [name, value] if name.is_atom(key) => Some(value),
        _ => None,
    })
}

/// A list of names and values with other values.
fn changed(list: &Term, change: impl Fn(&str, &Term) -> Term) -> Term {
    let entry = |entry: &Term| match entry.as_tuple() {
        Some([Term::Atom(name), value]) => tuple!(name.clone(), change(name.as_str(), value)),
        _ => entry.clone(),
    };
    list.as_list().map_or_else(|| list.clone(), |list| Term::from(list.iter().map(entry).collect::<Vec<_>>()))
}
