//! The stories of the four applications, start to end, in mixes of BEAM and Rust nodes and with each release. What they
//! check, the demo's `stories` say; here they are told with short times, several at once.
//!
//! Where there are more mixes than a test has time for, each run tells some, chosen by a number that it prints.
//! `CRABNODE_MIX_SEED=N` chooses the same again, `CRABNODE_ALL_MIXES=1` takes all.

use std::{
    collections::hash_map::{DefaultHasher, RandomState},
    env,
    hash::{BuildHasher, Hash, Hasher},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
};

use interop_tests::{Elixir, Otp, example_binary};

/// Stories told at once by one test: most of their time they wait.
const AT_ONCE: usize = 2;

/// The release that Elixir is there for.
const OTP_OF_ELIXIR: u32 = 25;

/// One telling.
struct Story {
    app: &'static str,
    nodes: String,
    release: Option<u32>,
    /// It is that of an owner that returns.
    returns: bool,
}

#[test]
fn m8ball() {
    tell(mixes("m8ball", 3, 4));
}

#[test]
fn job_center() {
    tell(mixes("job_center", 4, 4));
}

#[test]
fn proxima() {
    tell(mixes("proxima", 2, 4));
}

#[test]
fn chucky() {
    // Here, and not by each of them at once.
    Elixir::locate().code_path(&Otp::release(OTP_OF_ELIXIR), "chucky");
    tell(mixes("chucky", 3, 4));
}

#[test]
fn the_owner_is_back_within_the_restart_time() {
    let mut stories = mixes("job_center", 4, 2);
    stories.extend(mixes("proxima", 2, 2));
    for story in &mut stories {
        story.returns = true;
    }
    tell(stories);
}

#[test]
fn each_release() {
    let mut stories = Vec::new();
    for otp in Otp::available() {
        // The one has start phases and hands its state over, the other has a tuple of nodes.
        let [mix, other] = if otp.number() % 4 == 1 {
            ["beam,rust", "rust,beam,rust"]
        } else {
            ["rust,beam", "beam,rust,beam"]
        };
        let release = Some(otp.number());
        stories.push(Story { app: "proxima", nodes: mix.to_owned(), release, returns: false });
        stories.push(Story { app: "m8ball", nodes: other.to_owned(), release, returns: false });
    }
    tell(stories);
}

/// So many mixes for so many nodes; with each one its opposite, so that both kinds are in each place.
fn mixes(app: &'static str, nodes: u32, count: usize) -> Vec<Story> {
    let all = 1_u32 << nodes;
    let mut half: Vec<u32> = (0..all / 2).collect();
    let takes_all = env::var_os("CRABNODE_ALL_MIXES").is_some_and(|value| !value.is_empty());
    if !takes_all && count < all as usize {
        let seed = match env::var("CRABNODE_MIX_SEED") {
            Ok(seed) => seed.parse().expect("CRABNODE_MIX_SEED is a number"),
            // The standard library's one source of randomness.
            Err(_) => RandomState::new().build_hasher().finish(),
        };
        eprintln!(
            "{app}: CRABNODE_MIX_SEED={seed} tells these stories again, CRABNODE_ALL_MIXES=1 all of them"
        );
        half.sort_by_key(|mix| {
            let mut hasher = DefaultHasher::new();
            (seed, mix).hash(&mut hasher);
            hasher.finish()
        });
        half.truncate(count / 2);
    }
    let both = half.into_iter().flat_map(|mix| [mix, all - 1 - mix]);
    let kind = |mix: u32, nth: u32| if mix >> nth & 1 == 0 { "beam" } else { "rust" };
    let nodes = |mix| (0..nodes).map(|nth| kind(mix, nth)).collect::<Vec<_>>().join(",");
    both.map(|mix| Story { app, nodes: nodes(mix), release: None, returns: false }).collect()
}

/// Tells all of them, and says which went wrong.
fn tell(stories: Vec<Story>) {
    let (waiting, failed) = (Mutex::new(stories.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(story) = next() {
                    if let Err(text) = story.tell() {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{} of {} went wrong:\n{}", failed.len(), stories.len(), failed.join("\n"));
}

impl Story {
    fn tell(&self) -> Result<(), String> {
        example_binary(self.app);
        let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
        demo.args(["--app", self.app, "--nodes", &self.nodes, "--quick"]);
        if self.returns {
            demo.arg("--returns");
        }
        if let Some(release) = self.release {
            demo.args(["--otp", &release.to_string()]);
        }
        let output = demo.output().map_err(|error| format!("the demo does not start: {error}"))?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{} on {}, OTP {:?}:\n{}", self.app, self.nodes, self.release, text.join("\n")))
    }
}
