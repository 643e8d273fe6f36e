//! Elixir, for what is written in it.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
};

use crate::{
    Otp,
    otp::{build_dir, locate},
};

/// The Elixir of this host, which runs on OTP 25 if it is Debian's.
#[derive(Clone, Debug)]
pub struct Elixir {
    root: PathBuf,
}

impl Elixir {
    /// Where `CRABNODE_ELIXIR` says, else the one on the path, else what `cargo xtask otp elixir` has downloaded.
    ///
    /// # Panics
    /// Where there is none.
    pub fn locate() -> Self {
        let root = locate::elixir().unwrap_or_else(|error| panic!("{error}"));
        let root = root.unwrap_or_else(|| panic!("Elixir is not on this host: run `cargo xtask otp elixir`"));
        Self { root }
    }

    /// What a node of this release needs to find the project of this name under `interop-tests/erlang`, compiled by
    /// it, and what Elixir's own libraries are.
    ///
    /// # Panics
    /// Where it does not compile.
    pub fn code_path(&self, otp: &Otp, project: &str) -> Vec<PathBuf> {
        let mut path = self.libraries();
        path.push(self.compiled(otp, project).join("lib").join(project).join("ebin"));
        path
    }

    fn libraries(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join("lib")).into_iter().flatten().flatten();
        let mut folders: Vec<_> = entries.map(|entry| entry.path().join("ebin")).collect();
        folders.retain(|folder| folder.is_dir());
        folders
    }

    /// The folder that `mix compile` has written, named by a hash of all sources.
    fn compiled(&self, otp: &Otp, project: &str) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("erlang").join(project);
        let mut files = Vec::new();
        collect(&source, &mut files);
        files.sort();
        let mut hasher = DefaultHasher::new();
        (otp.number(), &self.root).hash(&mut hasher);
        for file in &files {
            file.hash(&mut hasher);
            fs::read(file).unwrap_or_default().hash(&mut hasher);
        }
        let dir = build_dir().join("elixir").join(format!("{project}-{:016x}", hasher.finish()));
        if !dir.is_dir() {
            self.compile(otp, &source, &dir);
        }
        dir
    }

    /// Several tests may do so at once: the folder appears whole, the first one stays.
    fn compile(&self, otp: &Otp, source: &Path, dir: &Path) {
        let work = dir.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::create_dir_all(&work).unwrap_or_else(|error| panic!("{}: {error}", work.display()));
        // As the commands `elixir` and `mix` start it.
        let mut command = otp.command();
        for folder in self.libraries() {
            command.arg("-pa").arg(folder);
        }
        command.args([
            "+fnu",
            "-s",
            "elixir",
            "start_cli",
            "-extra",
            "-e",
            "Mix.start(); Mix.CLI.main([\"compile\"])",
        ]);
        // Nothing of the user's, and nothing into the source.
        command.current_dir(source).env("HOME", &work).env("MIX_BUILD_PATH", &work).env("MIX_ENV", "prod");
        for name in ["MIX_HOME", "MIX_EXS", "MIX_TARGET", "ERL_COMPILER_OPTIONS"] {
            command.env_remove(name);
        }
        let output = command.env("LC_ALL", "C.UTF-8").output();
        let output = output.unwrap_or_else(|error| panic!("cannot start {}: {error}", otp.erl().display()));
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(
            output.status.success(),
            "{} with OTP {}: {}",
            source.display(),
            otp.number(),
            text.join("\n")
        );
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
        } else {
            files.push(path);
        }
    }
}
