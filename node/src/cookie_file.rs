//! The cookie file (wire.md 7.3).

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use handshake::Cookie;

use crate::{StartError, clock};

/// The user's cookie: `$HOME/.erlang.cookie`, else the one of XDG, else a new one in `$HOME`.
pub(crate) fn read_or_make() -> Result<Cookie, StartError> {
    let Some(home) = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from) else {
        let reason = "HOME is not set: give a cookie, or set HOME".into();
        return Err(StartError::CookieFile { path: "~/.erlang.cookie".into(), reason });
    };
    let in_home = home.join(".erlang.cookie");
    if in_home.exists() {
        return read(&in_home);
    }
    let config = env::var_os("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    let in_xdg = config.join("erlang").join(".erlang.cookie");
    if in_xdg.exists() {
        return read(&in_xdg);
    }
    match make(&in_home) {
        // Another node made it in the same moment.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&in_home),
        Err(error) => Err(StartError::CookieFile { path: in_home, reason: error.to_string() }),
        Ok(()) => read(&in_home),
    }
}

fn read(path: &Path) -> Result<Cookie, StartError> {
    let fail = |reason: String| StartError::CookieFile { path: path.to_owned(), reason };
    let meta = fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if !meta.is_file() {
        return Err(fail("is not a regular file".into()));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(fail("must be accessible by owner only (chmod 400)".into()));
    }
    if meta.len() > 4096 {
        return Err(fail(format!("has {} bytes; a cookie has at most 255", meta.len())));
    }
    let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
    Cookie::from_file_contents(&bytes).map_err(|error| fail(error.to_string()))
}

/// Twenty capital letters, readable by the owner only.
fn make(path: &Path) -> io::Result<()> {
    let letters = Cookie::generate(clock::random_bytes());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(letters.as_bytes())?;
    // OTP sets the times to midnight, so that nobody can guess its seed from them. Ours is random; the times
    // of day still tell nothing this way.
    let midnight = clock::unix_micros() / 1_000_000 / 86_400 * 86_400;
    let midnight = std::time::UNIX_EPOCH + std::time::Duration::from_secs(midnight);
    file.set_times(fs::FileTimes::new().set_accessed(midnight).set_modified(midnight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cookie_is_read_back_and_is_the_owners_alone() {
        let dir = std::env::temp_dir().join(format!("crabnode-cookie-{}", clock::random_u64()));
        fs::create_dir(&dir).expect("a folder to write to");
        let path = dir.join(".erlang.cookie");
        make(&path).expect("made");
        let text = fs::read(&path).expect("readable");
        assert!(text.len() == 20 && text.iter().all(u8::is_ascii_uppercase));
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o400);
        assert!(read(&path).is_ok());
        assert_eq!(make(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_dir_all(&dir).expect("removed");
    }
}
