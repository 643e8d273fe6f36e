//! Item 86 of wire.md 12 for a minute; `cargo xtask soak` takes its time.

use std::process::Command;

use interop_tests::{Otp, crabnode_binary};

#[test]
fn item_86_mixed_traffic_for_a_minute() {
    // What comes and goes.
    crabnode_binary();
    let releases: Vec<String> = Otp::available().iter().map(|otp| otp.number().to_string()).collect();
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    // OTP 23 is left out where there is a newer one: its `global` knows nothing of the newer ones' partitions.
    let newer: Vec<&str> = releases.iter().map(String::as_str).filter(|number| *number != "23").collect();
    soak.args([
        "--minutes",
        "1",
        "--otp",
        &if newer.is_empty() { releases.join(",") } else { newer.join(",") },
    ]);
    let output = soak.output().expect("cargo has built it for this test");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", text.join("\n"));
}
