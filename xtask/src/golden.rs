//! `cargo xtask golden`: writes `interop-tests/golden` anew: `otp-N.txt`, terms, by running `golden.erl` in each OTP
//! release, and `frames-N.txt`, what a node of each says to a test (`interop-tests/tests/golden_frames`).
//!
//! Needed when `golden.erl`, what is said or the list of releases changes. What names the node it ran on (pids and the
//! like) differs each time; the rest does not.

use std::fs;

use clap::Args;

use crate::{
    Failure, otp,
    process::{cargo, root, run as run_command, target_dir},
};

/// What `cargo xtask golden` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// This OTP release alone. May be given more than once.
    #[arg(long, value_name = "RELEASE")]
    otp: Vec<u32>,
}

/// Runs `cargo xtask golden`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let all = otp::SUPPORTED.map(|(release, _)| release);
    let releases = if arguments.otp.is_empty() { &all[..] } else { &arguments.otp };
    let dir = root().join("interop-tests/golden");
    for &release in releases {
        let compiled = target_dir().join("golden").join(release.to_string());
        fs::create_dir_all(&compiled).map_err(Failure::file(&compiled))?;
        let file = dir.join(format!("otp-{release}.txt"));
        let program = format!(
            "{{ok, golden}} = compile:file({:?}, [report, {{outdir, {compiled:?}}}]),
             true = code:add_patha({compiled:?}), ok = golden:main({file:?}), halt().",
            dir.join("golden.erl")
        );
        let mut erl = std::process::Command::new(otp::make_available(release)?);
        for name in ["ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS", "ERL_LIBS", "ERL_COMPILER_OPTIONS"] {
            erl.env_remove(name);
        }
        // With `+pc unicode` text is printed for people of every language.
        erl.args(["-noshell", "-noinput", "+pc", "unicode", "-eval", &program]);
        run_command(&mut erl)?;
        println!("golden: {}", file.display());
    }
    frames(releases)
}

/// Has the test that hears each release say something write down what it hears.
fn frames(releases: &[u32]) -> Result<(), Failure> {
    let mut test = cargo();
    test.args([
        "test",
        "--quiet",
        "-p",
        "interop-tests",
        "--test",
        "golden_frames",
        "what_each_release_says",
    ]);
    test.env("CRABNODE_GOLDEN", "write");
    let numbers: Vec<String> = releases.iter().map(u32::to_string).collect();
    test.env("CRABNODE_OTP", numbers.join(","));
    for &release in releases {
        test.env(format!("CRABNODE_ERL_{release}"), otp::make_available(release)?);
    }
    run_command(&mut test)?;
    println!("golden: frames of OTP {}", numbers.join(", "));
    Ok(())
}
