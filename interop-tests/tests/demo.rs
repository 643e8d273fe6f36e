//! The demo, once for each mix of nodes and once for each release. What it checks and measures, its steps say.

use std::process::Command;

use interop_tests::{Otp, example_binary};

#[test]
fn every_mix_of_nodes() {
    let kinds = ["beam", "rust"];
    for a in kinds {
        for b in kinds {
            for c in kinds {
                see(&format!("{a},{b},{c}"), None);
            }
        }
    }
}

#[test]
fn every_release() {
    for otp in Otp::available() {
        for nodes in ["beam,rust,beam", "rust,beam,rust"] {
            see(nodes, Some(otp.number()));
        }
    }
}

fn see(nodes: &str, release: Option<u32>) {
    example_binary("m8ball");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.args(["--nodes", nodes]);
    if let Some(release) = release {
        demo.args(["--otp", &release.to_string()]);
    }
    let output = demo.output().expect("cargo has built it for this test");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{nodes}, OTP {release:?}: {}", text.join("\n"));
}
