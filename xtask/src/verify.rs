//! `cargo xtask verify`: what must hold besides the tests. It changes no file of the tree.

use crate::{
    Failure, licences,
    process::{cargo, is_installed, root, run},
};

/// The fuzz targets are a workspace of their own. What links them needs a C++ compiler, checking does not.
const FUZZ: [&str; 2] = ["--manifest-path", "fuzz/Cargo.toml"];

/// Runs `cargo xtask verify`.
pub(crate) fn run_all() -> Result<(), Failure> {
    step("formatting");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["fmt", "--check"]).args(FUZZ))?;
    step("lints");
    run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo().args(["clippy", "--quiet"]).args(FUZZ).args([
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ]))?;
    step("documentation");
    let mut doc = cargo();
    doc.args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    run(&mut doc)?;
    step("licences");
    licences::check(&root())?;
    if is_installed("cargo-deny") {
        step("cargo deny");
        run(cargo().args(["deny", "--workspace", "check", "bans", "licenses", "sources"]))?;
    }
    println!("verify: all well");
    Ok(())
}

fn step(name: &str) {
    println!("verify: {name}");
}
