//! `cargo xtask otp N`: makes an OTP release available and prints the command that starts its `erl`. `cargo xtask otp
//! elixir`: the same for Elixir, whose folder it prints.
//!
//! In this order: what `CRABNODE_ERL_<N>` names, the `erl` on the path if it is of that release, what an earlier
//! run left in the cache, a download of Debian's packages into the cache. docs/decisions/002 says why this way.

use std::path::PathBuf;

use clap::Args;

use crate::Failure;

mod debian;
// One source of where a release is found, for this crate and the test harness. The harness links the whole
// workspace, this crate must build fast and when nothing else does, so neither depends on the other.
#[expect(unreachable_pub, reason = "the other crate that compiles this file says pub too")]
#[path = "../../../interop-tests/src/otp/locate.rs"]
pub(crate) mod locate;

/// The releases every change is tested against, and the suites of Debian that had them last seen.
///
/// More than one suite: `sid` moves on to the next release one day, and the one before it still has this one.
pub(crate) const SUPPORTED: [(u32, &[&str]); 4] =
    [(23, &["bullseye"]), (25, &["bookworm"]), (27, &["trixie"]), (29, &["sid", "forky"])];

/// The one downloaded where the host has none and none is asked for: its suite is past all larger changes.
pub(crate) const IF_NONE: u32 = 25;

/// The release that [`ELIXIR_SUITE`]'s Elixir was made for.
pub(crate) const OTP_OF_ELIXIR: u32 = 25;

/// The suite of Debian whose Elixir is used where the host has none.
const ELIXIR_SUITE: &str = "bookworm";

/// What `cargo xtask otp` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The OTP release.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(["23", "25", "27", "29", "elixir"]))]
    release: String,
}

/// Runs `cargo xtask otp`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = match arguments.release.as_str() {
        "elixir" => make_elixir_available()?,
        release => make_available(release.parse().expect("clap takes the four numbers alone"))?,
    };
    println!("{}", path.display());
    Ok(())
}

/// Elixir's folder, after downloading it where it is not there yet.
pub(crate) fn make_elixir_available() -> Result<PathBuf, Failure> {
    if let Some(root) = locate::elixir().map_err(Failure::Missing)? {
        return Ok(root);
    }
    let cache = cache_dir()?;
    debian::install_elixir(ELIXIR_SUITE, &cache)?;
    locate::elixir().map_err(Failure::Missing)?.ok_or_else(|| {
        Failure::Missing(format!("Elixir was unpacked into {} and is not there", cache.display()))
    })
}

fn cache_dir() -> Result<PathBuf, Failure> {
    locate::cache_dir().ok_or_else(|| {
        Failure::Missing(
            "no folder for OTP releases: neither CRABNODE_OTP_CACHE, XDG_CACHE_HOME nor HOME is set".into(),
        )
    })
}

/// The command that starts the `erl` of this release, after downloading it where it is not there yet.
pub(crate) fn make_available(release: u32) -> Result<PathBuf, Failure> {
    if let Some(erl) = locate::find(release).map_err(Failure::Missing)? {
        return Ok(erl);
    }
    let suites =
        SUPPORTED.iter().find(|(number, _)| *number == release).map_or(&[][..], |(_, suites)| suites);
    let cache = cache_dir()?;
    debian::install(release, suites, &cache)?;
    locate::find(release).map_err(Failure::Missing)?.ok_or_else(|| {
        Failure::Missing(format!("OTP {release} was unpacked into {} and is not there", cache.display()))
    })
}
