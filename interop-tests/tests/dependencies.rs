//! Which crate may use which: the direction in which a reader can follow the code, and what the protocol crates may
//! not touch at all.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate with those of ours it may use, outside of tests.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("crabnode-etf", &[]),
    ("crabnode-epmd", &[]),
    ("crabnode-handshake", &[]),
    ("crabnode-dist", &["crabnode-etf", "crabnode-handshake"]),
    ("crabnode", &["crabnode-dist", "crabnode-epmd", "crabnode-etf", "crabnode-handshake"]),
    ("crabnode-dist-ac", &["crabnode", "crabnode-etf"]),
    ("crabnode-cli", &["crabnode", "crabnode-dist-ac", "crabnode-epmd", "crabnode-etf"]),
    // Sees everything, and nothing sees it.
    (
        "interop-tests",
        &[
            "crabnode",
            "crabnode-cli",
            "crabnode-dist",
            "crabnode-dist-ac",
            "crabnode-epmd",
            "crabnode-etf",
            "crabnode-handshake",
        ],
    ),
    // Measures what is public, and nothing sees it.
    ("crabnode-bench", &["crabnode", "crabnode-dist", "crabnode-epmd", "crabnode-etf", "crabnode-handshake"]),
    // Must build when nothing else does.
    ("xtask", &[]),
];

/// The crates of values: no sockets, no tasks, no clock, no randomness, so nothing that brings them.
const SANS_IO: [&str; 3] = ["crabnode-dist", "crabnode-etf", "crabnode-handshake"];
const NOT_SANS_IO: [&str; 8] =
    ["async-std", "getrandom", "mio", "rand", "rand_core", "smol", "socket2", "tokio"];

#[test]
fn crates_use_only_those_below_them() {
    let workspace = Workspace::read();
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let members: BTreeSet<&str> = workspace.uses.keys().map(String::as_str).collect();
    assert_eq!(members, known, "a new crate takes its place in MAY_USE");
    for (name, allowed) in MAY_USE {
        for used in &workspace.uses[name] {
            if members.contains(used.as_str()) {
                assert!(allowed.contains(&used.as_str()), "{name} must not use {used}");
            }
        }
    }
}

#[test]
fn protocol_crates_bring_no_input_output_clock_or_randomness() {
    let workspace = Workspace::read();
    for name in SANS_IO {
        for brought in workspace.all_below(name) {
            assert!(!NOT_SANS_IO.contains(&brought.as_str()), "{name} brings {brought}");
        }
    }
}

/// What each package uses outside of tests and build scripts.
struct Workspace {
    /// Of the workspace's own crates.
    uses: BTreeMap<String, BTreeSet<String>>,
    /// Of every package, as cargo resolved it.
    resolved: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    fn read() -> Self {
        let metadata = MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .exec()
            .expect("`cargo metadata` reads this workspace");
        let uses = metadata.workspace_packages().into_iter().map(|package| {
            let normal = package.dependencies.iter().filter(|used| used.kind == DependencyKind::Normal);
            (package.name.to_string(), normal.map(|used| used.name.clone()).collect())
        });
        let names: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
        let nodes = &metadata.resolve.as_ref().expect("cargo resolves unless told not to").nodes;
        let mut resolved: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in nodes {
            let normal = node
                .deps
                .iter()
                .filter(|used| used.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            resolved
                .entry(names[&node.id].clone())
                .or_default()
                .extend(normal.map(|used| names[&used.pkg].clone()));
        }
        Self { uses: uses.collect(), resolved }
    }

    /// All that a package brings with it, itself not included.
    fn all_below(&self, name: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            for used in self.resolved.get(name).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    open.push(used);
                }
            }
        }
        seen
    }
}
