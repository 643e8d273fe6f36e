//! Where an OTP release is found on this host. The standard library alone: `xtask` compiles this file too.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The folder of the releases that `cargo xtask otp` has downloaded: one folder a release, named by its number,
/// with the start command at `bin/erl`.
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CRABNODE_OTP_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("crabnode/otp")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/crabnode/otp")))
}

/// The `erl` of this release: what `CRABNODE_ERL_<N>` names, else the one on the path if it is of this release,
/// else the one in the cache. An error where `CRABNODE_ERL_<N>` names no file.
pub fn find(release: u32) -> Result<Option<PathBuf>, String> {
    let name = format!("CRABNODE_ERL_{release}");
    if let Some(erl) = env::var_os(&name).filter(|value| !value.is_empty()).map(PathBuf::from) {
        return if erl.is_file() {
            Ok(Some(erl))
        } else {
            Err(format!("{name} names no file: {}", erl.display()))
        };
    }
    if let Some((erl, found)) = on_path()
        && found == release
    {
        return Ok(Some(erl));
    }
    Ok(cache_dir().map(|dir| dir.join(release.to_string()).join("bin/erl")).filter(|erl| erl.is_file()))
}

/// The folder of Elixir, with its libraries in `lib`: what `CRABNODE_ELIXIR` names, else that of the `elixir` on the
/// path, else the one in the cache. An error where `CRABNODE_ELIXIR` names none.
pub fn elixir() -> Result<Option<PathBuf>, String> {
    let is_root = |dir: &PathBuf| dir.join("lib/elixir/ebin/elixir.app").is_file();
    if let Some(root) = env::var_os("CRABNODE_ELIXIR").filter(|value| !value.is_empty()).map(PathBuf::from) {
        return if is_root(&root) {
            Ok(Some(root))
        } else {
            Err(format!("CRABNODE_ELIXIR names no folder of Elixir: {}", root.display()))
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let commands = env::split_paths(&path).filter_map(|dir| fs::canonicalize(dir.join("elixir")).ok());
    let roots = commands.filter_map(|command| Some(command.parent()?.parent()?.to_path_buf()));
    let cached = cache_dir().map(|dir| dir.join("elixir/usr/lib/elixir"));
    Ok(roots.chain(cached).find(is_root))
}

/// Every release found, oldest first: those with a `CRABNODE_ERL_<N>`, the one on the path, those in the cache.
pub fn all() -> Result<Vec<(u32, PathBuf)>, String> {
    let named = env::vars().filter_map(|(name, _)| name.strip_prefix("CRABNODE_ERL_")?.parse().ok());
    let cached = cache_dir().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let cached = cached.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let numbers: BTreeSet<u32> = named.chain(cached).chain(on_path().map(|(_, release)| release)).collect();
    let mut found = Vec::new();
    for number in numbers {
        found.extend(find(number)?.map(|erl| (number, erl)));
    }
    Ok(found)
}

/// The `erl` on the path and its release.
pub fn on_path() -> Option<(PathBuf, u32)> {
    let erl = env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("erl")).find(|erl| erl.is_file())?;
    let release = release_of_folder(&erl).or_else(|| ask_release(&erl))?;
    Some((erl, release))
}

/// The release that an `erl` says it is, by running it.
pub fn ask_release(erl: &Path) -> Option<u32> {
    let program = "io:put_chars(erlang:system_info(otp_release)), halt().";
    let output = Command::new(erl)
        .args(["-noshell", "-noinput", "-boot", "start_clean", "-eval", program])
        .env_remove("ERL_FLAGS")
        .env_remove("ERL_AFLAGS")
        .env_remove("ERL_ZFLAGS")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The release by the folder an `erl` lies in, `ROOT/bin/erl` beside `ROOT/releases/N/OTP_VERSION`: spares a start.
fn release_of_folder(erl: &Path) -> Option<u32> {
    let root = fs::canonicalize(erl).ok()?.parent()?.parent()?.join("releases");
    let mut releases = fs::read_dir(root)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().join("OTP_VERSION").is_file())
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let release = releases.next()?;
    // Two of them: only the node itself knows which it boots.
    releases.next().is_none().then_some(release)
}
