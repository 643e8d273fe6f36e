//! Building and finding what is measured.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::MetadataCommand;

use crate::{
    Failure, otp,
    process::{cargo, is_installed, output, root, run, target_dir},
};

/// An OTP release.
pub(crate) struct Otp {
    pub(crate) release: u32,
    erl: PathBuf,
}

/// The release asked for; if none is, the one that everybody runs, or else the newest there is.
pub(crate) fn otp(asked: Option<u32>) -> Result<Otp, Failure> {
    let found = otp::locate::all().map_err(Failure::Missing)?;
    let chosen = match asked {
        Some(release) => found.into_iter().find(|(found, _)| *found == release),
        None => found.iter().find(|(found, _)| *found == USUAL).or(found.last()).cloned(),
    };
    let (release, erl) = chosen.ok_or_else(|| {
        let what = asked.map_or("no Erlang/OTP".into(), |release| format!("no Erlang/OTP {release}"));
        Failure::Missing(format!("{what} on this host, which is a rival; `cargo xtask otp N` brings one"))
    })?;
    Ok(Otp { release, erl })
}

/// The release to compare with where it is there.
const USUAL: u32 = 27;

impl Otp {
    /// Its `erl`, told to start what is fast to start, and nothing by the environment.
    pub(crate) fn erl(&self) -> Command {
        let mut erl = Command::new(&self.erl);
        erl.args(["+S", "1", "-noshell", "-boot", "start_clean"]);
        for flags in ["ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS"] {
            erl.env_remove(flags);
        }
        erl
    }

    /// Its `erl` as a node has it, with all cores.
    pub(crate) fn node(&self, name: &str) -> Command {
        let mut erl = Command::new(&self.erl);
        erl.args(["-noshell", "-boot", "start_clean", "-sname", name, "-setcookie", "bench"]);
        for flags in ["ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS"] {
            erl.env_remove(flags);
        }
        erl
    }

    /// Its `epmd`.
    pub(crate) fn epmd(&self) -> Result<PathBuf, Failure> {
        let program = "io:put_chars(os:find_executable(\"epmd\")), halt().";
        Ok(output(self.erl().args(["-eval", program]))?.trim().into())
    }

    /// Compiles a module into a folder.
    pub(crate) fn compile(&self, source: &Path, dir: &Path) -> Result<(), Failure> {
        let program = "[Source, Dir] = init:get_plain_arguments(),
            case compile:file(Source, [report, {outdir, Dir}]) of {ok, _} -> halt(0); _ -> halt(1) end.";
        output(self.erl().args(["-eval", program, "-extra"]).arg(source).arg(dir)).map(drop)
    }

    /// The folder of its erl_interface, if it has that.
    fn erl_interface(&self) -> Result<Option<PathBuf>, Failure> {
        let program = "case code:lib_dir(erl_interface) of
            {error, _} -> ok; Dir -> io:put_chars(Dir) end, halt().";
        let dir = PathBuf::from(output(self.erl().args(["-eval", program]))?.trim());
        Ok(dir.join("include/ei.h").is_file().then_some(dir))
    }
}

/// Builds a C program with `ei`, and says which `ei` that is.
///
/// That of `otp` comes first. But one that was built for another system's C library may not link here, so then it is
/// that of the newest release whose does.
pub(crate) fn build_with_ei(source: &Path, program: &Path, otp: Otp) -> Result<String, Failure> {
    if !is_installed("cc") {
        return Err(Failure::Missing("`cc` is not on the path, and `ei`, a rival, is used from C".into()));
    }
    let first = otp.release;
    let mut releases = vec![otp];
    for (release, erl) in otp::locate::all().map_err(Failure::Missing)?.into_iter().rev() {
        if release != first {
            releases.push(Otp { release, erl });
        }
    }
    let mut problem = None;
    for otp in releases {
        let Some(dir) = otp.erl_interface()? else { continue };
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-o"]).arg(program).arg(source);
        cc.arg("-I").arg(dir.join("include")).arg("-L").arg(dir.join("lib")).args(["-lei", "-lpthread"]);
        let built = cc.output().map_err(|source| Failure::Start { program: "cc".into(), source })?;
        if built.status.success() {
            let version = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(format!("{version} of OTP {}", otp.release));
        }
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        problem.get_or_insert(
            said.lines()
                .find(|line| line.contains("error") || line.contains("undefined"))
                .unwrap_or(&said)
                .to_owned(),
        );
    }
    Err(Failure::Missing(match problem {
        Some(problem) => format!("no erl_interface on this host can be built with: {problem}"),
        None => "no Erlang/OTP on this host has erl_interface, which is a rival (Debian: erlang-dev)".into(),
    }))
}

/// Builds the programs of ours and of other crates, with all that the compiler has. Their folder.
pub(crate) fn build_rust() -> Result<PathBuf, Failure> {
    run(cargo().args(["build", "--quiet", "--package", "crabnode-bench", "--profile", "measured"]))?;
    Ok(target_dir().join("measured"))
}

/// A folder for what is made on the way.
pub(crate) fn work_dir(name: &str) -> Result<PathBuf, Failure> {
    let dir = target_dir().join("bench").join(name);
    fs::create_dir_all(&dir).map_err(Failure::file(&dir))?;
    Ok(dir)
}

/// Where the sources of the programs in other languages lie.
pub(crate) fn source(name: &str) -> PathBuf {
    root().join("bench/rivals").join(name)
}

/// The version of a crate that we build with.
pub(crate) fn crate_version(name: &str) -> Result<String, Failure> {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .exec()
        .map_err(|error| Failure::Missing(format!("`cargo metadata`: {error}")))?;
    let package = metadata.packages.iter().find(|package| package.name.as_str() == name);
    Ok(package.map_or("unknown".into(), |package| package.version.to_string()))
}

/// What a compiler says its version is.
pub(crate) fn version(compiler: &str) -> Result<String, Failure> {
    let said = output(Command::new(compiler).arg("--version"))?;
    Ok(said.lines().next().unwrap_or_default().to_owned())
}
