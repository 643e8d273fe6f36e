//! The OTP releases to test against.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

#[expect(unreachable_pub, reason = "the other crate that compiles this file says pub too")]
pub(crate) mod locate;

/// One OTP release of this host.
#[derive(Clone, Debug)]
pub struct Otp {
    release: u32,
    erl: PathBuf,
}

impl Otp {
    /// Every release to test against, oldest first: those of `CRABNODE_OTP` (as `23,25`) where it is set, else all
    /// that are found on this host.
    ///
    /// # Panics
    /// Where there is none, or one of `CRABNODE_OTP` is not there: tests against OTP fail without it, they are not
    /// left out.
    pub fn available() -> Vec<Self> {
        let found = match env::var("CRABNODE_OTP") {
            Ok(wanted) if !wanted.trim().is_empty() => wanted
                .split(',')
                .map(|release| release.trim().parse().expect("CRABNODE_OTP is as 23,25"))
                .map(Self::release)
                .collect(),
            _ => locate::all()
                .unwrap_or_else(|error| panic!("{error}"))
                .into_iter()
                .map(|(release, erl)| Self { release, erl })
                .collect(),
        };
        let found: Vec<Self> = found;
        assert!(
            !found.is_empty(),
            "no OTP release on this host: run `cargo xtask otp 25`, or the tests as `cargo xtask test`"
        );
        found
    }

    /// The release of this number.
    ///
    /// # Panics
    /// Where it is not on this host.
    pub fn release(release: u32) -> Self {
        let erl = locate::find(release).unwrap_or_else(|error| panic!("{error}"));
        let erl = erl
            .unwrap_or_else(|| panic!("OTP {release} is not on this host: run `cargo xtask otp {release}`"));
        Self { release, erl }
    }

    /// The newest of the releases to test against, for a test that needs only one.
    ///
    /// # Panics
    /// As [`Otp::available`].
    pub fn newest() -> Self {
        Self::available().pop().expect("available() has at least one")
    }

    /// Its number: 25.
    pub fn number(&self) -> u32 {
        self.release
    }

    /// The command that starts its `erl`.
    pub fn erl(&self) -> &Path {
        &self.erl
    }

    /// A command for its `erl` without a terminal and without what the user's environment adds.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.erl);
        for name in
            ["ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS", "ERL_LIBS", "ERL_COMPILER_OPTIONS", "ERL_INETRC"]
        {
            command.env_remove(name);
        }
        command.args(["-noshell", "-noinput"]);
        command
    }

    /// Runs one expression list in a short-lived node that is not part of any cluster, and returns what it printed.
    ///
    /// # Panics
    /// Where it fails.
    pub fn run(&self, expressions: &str) -> String {
        let output = self
            .command()
            .args(["-boot", "start_clean", "-eval", expressions, "-s", "init", "stop"])
            .output();
        let output = output.unwrap_or_else(|error| panic!("cannot start {}: {error}", self.erl.display()));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "OTP {}: {expressions}: {text}", self.release);
        text
    }

    /// Its `epmd`.
    ///
    /// # Panics
    /// Where it is not beside its `erl`.
    pub fn epmd(&self) -> PathBuf {
        self.beside("epmd")
    }

    /// Its `erl_call`.
    ///
    /// # Panics
    /// Where it is not beside its `erl`.
    pub fn erl_call(&self) -> PathBuf {
        self.beside("erl_call")
    }

    fn beside(&self, program: &str) -> PathBuf {
        let path = PathBuf::from(self.run("io:put_chars(os:getenv(\"BINDIR\"))")).join(program);
        assert!(path.is_file(), "OTP {} has no {}", self.release, path.display());
        path
    }

    /// The text of a header of the application kernel, as `dist.hrl`.
    ///
    /// # Panics
    /// Where it is not installed.
    pub fn kernel_header(&self, name: &str) -> String {
        let path = PathBuf::from(self.run("io:put_chars(code:lib_dir(kernel))")).join("include").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("OTP {}: {}: {error} (Debian has it in erlang-dev)", self.release, path.display())
        })
    }

    /// The folder with everything under `interop-tests/erlang` compiled by this release, and the `.app` files.
    ///
    /// # Panics
    /// Where something does not compile.
    pub fn ebin(&self) -> PathBuf {
        let mut files = Vec::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("erlang"), &mut files);
        files.sort();
        let mut hasher = DefaultHasher::new();
        self.release.hash(&mut hasher);
        for file in &files {
            file.hash(&mut hasher);
            fs::read(file).unwrap_or_default().hash(&mut hasher);
        }
        let dir = build_dir().join("erlang").join(format!("{}-{:016x}", self.release, hasher.finish()));
        if !dir.is_dir() {
            self.compile(&files, &dir);
        }
        dir
    }

    /// Several tests may do so at once: the folder appears whole, the first one stays.
    fn compile(&self, files: &[PathBuf], dir: &Path) {
        let work = dir.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::create_dir_all(&work).unwrap_or_else(|error| panic!("{}: {error}", work.display()));
        let (sources, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| has_extension(file, "erl"));
        for file in others {
            fs::copy(file, work.join(file.file_name().unwrap_or_default()))
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        let sources: Vec<_> =
            sources.iter().map(|file| format!("{:?}", file.display().to_string())).collect();
        let program = format!(
            "[case compile:file(F, [debug_info, return_errors, report, {{outdir, {:?}}}]) of {{ok, _}} -> ok; _ -> halt(1) end || F <- [{}]]",
            work.display().to_string(),
            sources.join(", ")
        );
        self.run(&program);
        if fs::rename(&work, dir).is_err() {
            let _ = fs::remove_dir_all(&work);
        }
        assert!(dir.is_dir(), "nothing was compiled into {}", dir.display());
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if has_extension(&path, "erl") || has_extension(&path, "app") {
            files.push(path);
        }
    }
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// The folder cargo builds into: the nearest one above this program that cargo has marked.
pub(crate) fn build_dir() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let marked = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(|| env::temp_dir().join("crabnode"), Path::to_path_buf)
}
