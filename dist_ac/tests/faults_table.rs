//! The table of faults in `docs/dist_ac-faults.md`: one row for each of L1 to L23, and each names tests that are there.

use std::{fs, path::Path};

/// Where the tests are that the table calls by this name.
fn sources(name: &str) -> Vec<String> {
    let paths = [
        format!("dist_ac/src/engine/tests/{name}.rs"),
        format!("dist_ac/src/{name}/tests.rs"),
        format!("dist_ac/src/{name}/tests/waits.rs"),
        format!("dist_ac/src/{name}.rs"),
        format!("dist_ac/src/application/{name}/tests.rs"),
        format!("dist_ac/tests/{name}.rs"),
        format!("interop-tests/tests/dist_ac/{name}.rs"),
        format!("interop-tests/tests/{name}.rs"),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    paths.iter().filter_map(|path| fs::read_to_string(root.join(path)).ok()).collect()
}

/// Whether there is a test of that name; one that ends with `*` stands for all that begin so.
fn is_there(file: &str, test: &str) -> bool {
    let function = test.strip_suffix('*').map_or(format!("fn {test}("), |start| format!("fn {start}"));
    let is_test = |source: &String| {
        let mut found = source.match_indices(&function).map(|(at, _)| source[..at].trim_end());
        found.any(|before| before.ends_with("#[test]") || is_item(test))
    };
    sources(file).iter().any(is_test)
}

/// Whether it is one that `interop-tests/tests/dist_ac/main.rs` calls, where they have no attribute.
fn is_item(test: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop-tests/tests/dist_ac/main.rs");
    let text = fs::read_to_string(path).expect("the items");
    text.contains(&format!("            {}", test.trim_end_matches('*')))
}

#[test]
fn every_fault_has_tests_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dist_ac-faults.md");
    let text = fs::read_to_string(path).expect("the table");
    for number in 1..=23 {
        let row = text.lines().find(|line| line.starts_with(&format!("| L{number} ")));
        let row = row.unwrap_or_else(|| panic!("no row for L{number}"));
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "L{number} has no test");
        for test in named {
            let (file, function) = test.split_once("::").unwrap_or_else(|| panic!("L{number}: {test}"));
            assert!(is_there(file, function), "L{number}: there is no test {test}");
        }
    }
    assert!(
        !is_there("rules", "l99_*") && !is_there("rules", "standby"),
        "what is no test is not taken for one"
    );
}
