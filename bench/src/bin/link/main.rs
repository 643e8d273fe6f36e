//! Our side of `cargo xtask bench link`, and the bare TCP that it is held against.
//!
//! | `bench-link` | is |
//! |---|---|
//! | `node NAME [OPTFILE]` | a node with the processes `echo` and `sink`, as `crabnode peer` has them; over TLS with options |
//! | `node NAME busy` | the same with `busy_poll` |
//! | `bare NAME` | a link without a node |
//! | `tcp` | two sockets' worth of tokio and nothing else |
//! | `threads node NAME`, `threads tcp` | the same on as many threads as there are cores, and not on one |
//! | `links` | the other ends of many links |
//! | `lookups` | the clients of an EPMD |
//! | `answers -port PORT` | the system calls of an EPMD and nothing else of it |
//! | `certificates DIR` | no node: writes what nodes need for TLS |
//!
//! The others say `ready`, and then do what they are asked to by lines on stdin: `METHOD TARGET COUNT` does that COUNT times to
//! that node and answers with the nanoseconds it took, or another number.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool talks on stdout")]

use std::{
    env,
    io::{self, BufRead},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;

mod bare;
mod certificates;
mod handshakes;
mod links;
mod lookups;
mod node;
mod tcp;

use node::With;

/// What all nodes share.
const COOKIE: &str = "bench";

fn main() {
    allow_many_files();
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let one = || Builder::new_current_thread().enable_all().build().expect("the system gives threads");
    let several = || Builder::new_multi_thread().enable_all().build().expect("the system gives threads");
    match words[..] {
        ["node", name] => one().block_on(node::run(name, With::Nothing)),
        ["node", name, "busy"] => one().block_on(node::run(name, With::BusyPoll)),
        ["node", name, options] => one().block_on(node::run(name, With::Tls(options.as_ref()))),
        ["threads", "node", name] => several().block_on(node::run(name, With::Nothing)),
        ["certificates", dir] => certificates::write(dir.as_ref()),
        ["bare", name] => several().block_on(bare::run(name)),
        ["tcp"] => one().block_on(tcp::run()),
        ["threads", "tcp"] => several().block_on(tcp::run()),
        ["links"] => several().block_on(links::run()),
        ["lookups"] => several().block_on(lookups::run()),
        ["answers", "-port", port] => lookups::answer(port.parse().expect("a port")),
        _ => panic!("usage: see the start of main.rs"),
    }
}

/// Each link is a file: as many as the system lets us have.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    // One that may not be raised is met, and seen, later.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// What is asked next: a method, whom to do it to, and how often.
async fn asked() -> Option<(String, String, u64)> {
    let line = tokio::task::spawn_blocking(|| io::stdin().lock().lines().next()).await;
    let line = line.expect("reading a line does not panic")?.expect("whoever asks writes UTF-8");
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, count] = words[..] else { panic!("not METHOD TARGET COUNT: {line}") };
    Some((method.to_owned(), target.to_owned(), count.parse().expect("a number of times")))
}
