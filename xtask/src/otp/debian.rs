//! An OTP release from Debian's packages, in a folder of its own.
//!
//! apt resolves, downloads and verifies the packages against a package database of this folder that starts out
//! empty, and `dpkg-deb` unpacks them. So the folder holds the release with every library it needs, down to the C
//! library. Nothing is installed on the host and no root is needed. The programs are started through the folder's
//! own dynamic loader: see docs/decisions/002.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::locate;
use crate::{
    Failure,
    process::{is_installed, output},
};

/// What is unpacked, with all it depends on: the emulator, kernel, stdlib and compiler; the headers; TLS.
const PACKAGES: [&str; 3] = ["erlang-base", "erlang-dev", "erlang-ssl"];

/// Debian's keys, by the names the `debian-archive-keyring` package has had.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Where neither the host's apt sources nor the user name a mirror.
const MIRROR: &str = "http://deb.debian.org/debian";

/// Unpacks `release` from the first of `suites` that has it into `cache/RELEASE`.
///
/// The folder appears whole or not at all; what was downloaded before a failure is used by the next run.
pub(super) fn install(release: u32, suites: &[&str], cache: &Path) -> Result<(), Failure> {
    check_tools(
        &format!("OTP {release}"),
        &format!("install OTP {release} by other means and set CRABNODE_ERL_{release}=/path/to/erl"),
    )?;
    fs::create_dir_all(cache).map_err(Failure::file(cache))?;
    let lock_file = cache.join(format!(".lock-{release}"));
    let lock = File::create(&lock_file).map_err(Failure::file(&lock_file))?;
    // Two runs at once: the second waits here and finds the work done.
    lock.lock().map_err(Failure::file(&lock_file))?;
    let target = cache.join(release.to_string());
    if target.join("bin/erl").is_file() {
        return Ok(());
    }

    let download = cache.join(format!(".download-{release}"));
    let archives = fetch(release, suites, &download)?;
    let unpacked = cache.join(format!(".unpack-{release}"));
    let root = unpacked.join("root");
    remove_dir(&unpacked)?;
    fs::create_dir_all(&root).map_err(Failure::file(&root))?;
    eprintln!("OTP {release}: unpacking {} packages", archives.len());
    for archive in &archives {
        output(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&root))?;
    }
    write_start_commands(&unpacked)?;
    let erl = unpacked.join("bin/erl");
    if locate::ask_release(&erl) != Some(release) {
        return Err(Failure::Missing(format!(
            "what was unpacked does not start as OTP {release}; try: {} -noshell -eval 'halt().'",
            erl.display()
        )));
    }
    remove_dir(&target)?;
    fs::rename(&unpacked, &target).map_err(Failure::file(&target))?;
    remove_dir(&download)
}

/// Unpacks Elixir, which is Erlang code for any OTP that runs it, into `cache/elixir`.
pub(super) fn install_elixir(suite: &str, cache: &Path) -> Result<(), Failure> {
    check_tools("Elixir", "install Elixir by other means and set CRABNODE_ELIXIR=/path/to/its/folder")?;
    fs::create_dir_all(cache).map_err(Failure::file(cache))?;
    let lock_file = cache.join(".lock-elixir");
    let lock = File::create(&lock_file).map_err(Failure::file(&lock_file))?;
    lock.lock().map_err(Failure::file(&lock_file))?;
    let target = cache.join("elixir");
    if target.is_dir() {
        return Ok(());
    }
    let (mirror, download) = (mirror(), cache.join(".download-elixir"));
    let apt = Apt::new(&download, &mirror, suite)?;
    eprintln!("Elixir: reading the package list of Debian {suite} from {mirror}");
    apt.run("apt-get", &["update"])?;
    eprintln!("Elixir: downloading {}", apt.version("elixir")?);
    // Alone: what it depends on is the OTP release that is there already.
    apt.run("apt-get", &["download", "elixir"])?;
    let unpacked = cache.join(".unpack-elixir");
    remove_dir(&unpacked)?;
    fs::create_dir_all(&unpacked).map_err(Failure::file(&unpacked))?;
    for archive in list(&download)? {
        if archive.extension().is_some_and(|extension| extension == "deb") {
            output(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&unpacked))?;
        }
    }
    fs::rename(&unpacked, &target).map_err(Failure::file(&target))?;
    remove_dir(&download)
}

fn check_tools(what: &str, otherwise: &str) -> Result<(), Failure> {
    if !["apt-get", "apt-cache", "dpkg-deb"].iter().all(|program| is_installed(program)) {
        return Err(Failure::Missing(format!(
            "{what} is not on this host, and without apt-get and dpkg-deb it cannot be downloaded: {otherwise}"
        )));
    }
    if keyring().is_none() {
        return Err(Failure::Missing(format!(
            "{what} is not on this host, and without the package debian-archive-keyring its download cannot \
             be verified: install that package, or {otherwise}"
        )));
    }
    Ok(())
}

fn keyring() -> Option<&'static str> {
    KEYRINGS.into_iter().find(|path| Path::new(path).is_file())
}

/// Downloads the packages from the first suite whose OTP is `release`, and returns the files.
fn fetch(release: u32, suites: &[&str], dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mirror = mirror();
    let mut seen = Vec::new();
    for suite in suites {
        let apt = Apt::new(dir, &mirror, suite)?;
        eprintln!("OTP {release}: reading the package list of Debian {suite} from {mirror}");
        apt.run("apt-get", &["update"])?;
        let version = apt.version("erlang-base")?;
        if major(&version) != Some(release) {
            seen.push(format!("{suite} has {version}"));
            continue;
        }
        eprintln!("OTP {release}: downloading {version}");
        let mut arguments = vec!["install", "--yes", "--download-only"];
        arguments.extend(PACKAGES);
        apt.run("apt-get", &arguments)?;
        return apt.archives();
    }
    Err(Failure::Missing(format!(
        "no suite of {mirror} has OTP {release} any more ({}): install it by other means and set \
         CRABNODE_ERL_{release}=/path/to/erl",
        seen.join(", ")
    )))
}

/// The OTP release of a package version: 25 of `1:25.2.3+dfsg-1+deb12u4`.
fn major(version: &str) -> Option<u32> {
    version.split_once(':').map_or(version, |(_epoch, rest)| rest).split('.').next()?.parse().ok()
}

/// The mirror in the host's own apt sources, so that a host behind a private mirror keeps using it.
fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    files.extend(parts.map(|entry| entry.path()));
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.into_iter().find_map(|text| mirror_in(&text)).unwrap_or_else(|| MIRROR.to_owned())
}

/// The first address of a Debian archive in a sources file, of either format.
fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("deb ") || line.to_ascii_lowercase().starts_with("uris:"))
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
        .map(|word| word.trim_end_matches('/').to_owned())
}

/// apt with its state, sources and cache in one folder, and nothing of the host's but its settings.
struct Apt {
    dir: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(dir: &Path, mirror: &str, suite: &str) -> Result<Self, Failure> {
        let write =
            |name: &str, text: &str| fs::write(dir.join(name), text).map_err(Failure::file(dir.join(name)));
        for folder in ["lists/partial", "cache/archives/partial", "none", "root"] {
            fs::create_dir_all(dir.join(folder)).map_err(Failure::file(dir.join(folder)))?;
        }
        let keyring = keyring().unwrap_or(KEYRINGS[0]);
        write("sources.list", &format!("deb [signed-by={keyring}] {mirror} {suite} main\n"))?;
        write("status", "")?;
        write("preferences", "")?;
        let at = |name: &str| dir.join(name).display().to_string();
        let options = [
            format!("Dir::Etc::SourceList={}", at("sources.list")),
            format!("Dir::Etc::SourceParts={}", at("none")),
            format!("Dir::Etc::Preferences={}", at("preferences")),
            format!("Dir::Etc::PreferencesParts={}", at("none")),
            format!("Dir::State={}", at("")),
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Cache::Archives={}", at("cache/archives")),
            // The cache lies in the user's home, which apt's own user may not enter.
            "APT::Sandbox::User=root".into(),
            // Images for containers delete what was downloaded; here it is what we came for.
            "APT::Keep-Downloaded-Packages=true".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            "APT::Install-Recommends=0".into(),
        ];
        Ok(Self {
            dir: dir.to_owned(),
            options: options.iter().flat_map(|o| ["-o".to_owned(), o.clone()]).collect(),
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new(program);
        // The host's update hooks see to the host's own caches.
        let quiet = ["-qq", "-o", "APT::Update::Post-Invoke::=", "-o", "APT::Update::Post-Invoke-Success::="];
        // Where `apt-get download` puts what it downloads.
        command.current_dir(&self.dir).args(&self.options).args(quiet).args(arguments);
        output(command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C"))
    }

    fn version(&self, package: &str) -> Result<String, Failure> {
        let shown = self.run("apt-cache", &["show", "--no-all-versions", package])?;
        let version = shown.lines().find_map(|line| line.strip_prefix("Version: "));
        Ok(version.unwrap_or("none").to_owned())
    }

    fn archives(&self) -> Result<Vec<PathBuf>, Failure> {
        let dir = self.dir.join("cache/archives");
        let entries = fs::read_dir(&dir).map_err(Failure::file(&dir))?;
        let files = entries.flatten().map(|entry| entry.path());
        Ok(files.filter(|file| file.extension().is_some_and(|extension| extension == "deb")).collect())
    }
}

/// Makes the unpacked programs start with the libraries unpacked beside them, and writes `bin/erl`.
fn write_start_commands(unpacked: &Path) -> Result<(), Failure> {
    let missing = |what: &str| {
        Failure::Missing(format!("no {what} among the packages unpacked in {}", unpacked.display()))
    };
    let root = unpacked.join("root");
    let libraries = library_dir(&root).ok_or_else(|| missing("libc.so.6"))?;
    let loader = find_by(&libraries, |name| name.starts_with("ld-linux") && name.contains(".so"))
        .ok_or_else(|| missing("dynamic loader"))?;
    let triple =
        libraries.file_name().and_then(|name| name.to_str()).ok_or_else(|| missing("libc.so.6"))?.to_owned();
    let loader = loader.strip_prefix(&root).map_err(|_| missing("dynamic loader"))?.display().to_string();
    let erts = find_by(&root.join("usr/lib/erlang"), |name| name.starts_with("erts-"))
        .ok_or_else(|| missing("erts"))?;
    let erts_name = erts.file_name().unwrap_or_default().to_string_lossy().into_owned();

    for program in list(&erts.join("bin"))? {
        if !is_elf(&program) {
            continue;
        }
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let real = program.with_file_name(format!(".{name}.elf"));
        fs::rename(&program, &real).map_err(Failure::file(&program))?;
        // A shell that only execs: the process keeps its id, its open files and, for erl, its parent.
        let script = format!(
            "#!/bin/sh\nbin=${{0%/*}}\nroot=$bin/../../../../..\n\
             exec \"$root/{loader}\" --library-path \"$root/lib/{triple}:$root/usr/lib/{triple}\" \"$bin/.{name}.elf\" \"$@\"\n"
        );
        write_program(&program, &script)?;
    }

    fs::create_dir_all(unpacked.join("bin")).map_err(Failure::file(unpacked.join("bin")))?;
    let script = format!(
        "#!/bin/sh\nself=$(readlink -f \"$0\")\nROOTDIR=${{self%/bin/erl}}/root/usr/lib/erlang\n\
         BINDIR=$ROOTDIR/{erts_name}/bin\nEMU=beam\nPROGNAME=erl\nexport ROOTDIR BINDIR EMU PROGNAME\n\
         exec \"$BINDIR/erlexec\" \"$@\"\n"
    );
    write_program(&unpacked.join("bin/erl"), &script)
}

/// The folder of the C library: `lib/TRIPLE` in old suites, `usr/lib/TRIPLE` since the two were merged.
fn library_dir(root: &Path) -> Option<PathBuf> {
    let folders = ["lib", "usr/lib"].map(|name| root.join(name));
    let triples = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    triples.map(|entry| entry.path()).find(|folder| folder.join("libc.so.6").exists())
}

fn find_by(dir: &Path, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    entries
        .map(|entry| entry.path())
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted))
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    Ok(fs::read_dir(dir).map_err(Failure::file(dir))?.flatten().map(|entry| entry.path()).collect())
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

fn write_program(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::file(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(Failure::file(path))
}

fn remove_dir(dir: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file(dir)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_a_package_version() {
        assert_eq!(major("1:25.2.3+dfsg-1+deb12u4"), Some(25));
        assert_eq!(major("29.0~rc1"), Some(29));
        assert_eq!(major("none"), None);
    }

    #[test]
    fn the_mirror_is_read_from_both_formats_of_sources() {
        let deb822 = "Types: deb\nURIs: http://mirror.example/debian/\nSuites: bookworm\n";
        assert_eq!(mirror_in(deb822).as_deref(), Some("http://mirror.example/debian"));
        let one_line = "# deb http://old.example/debian stable main\ndeb [arch=amd64] https://m.example/debian sid main\n";
        assert_eq!(mirror_in(one_line).as_deref(), Some("https://m.example/debian"));
        assert_eq!(mirror_in("URIs: http://m.example/debian-security\n"), None);
    }
}
