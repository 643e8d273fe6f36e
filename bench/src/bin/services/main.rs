//! Our side of `cargo xtask bench services`.
//!
//! | `bench-services` | is |
//! |---|---|
//! | `node NAME` | a node with the server `echo_server`, as `crabnode peer` has it |
//! | `threads node NAME` | the same on as many threads as there are cores, and not on one |
//! | `cluster` | many nodes in one process, and one that joins them |
//!
//! They say `ready`, and then do what they are asked to by lines on stdin: `METHOD TARGET COUNT` does that COUNT times to
//! that node, or without one where the target is `-`, and answers with the nanoseconds it took, or another number.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool talks on stdout")]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::{
    env,
    io::{self, BufRead},
};

use tokio::runtime::Builder;

mod cluster;
mod node;

/// What all nodes share.
const COOKIE: &str = "bench";

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let one = || Builder::new_current_thread().enable_all().build().expect("the system gives threads");
    let several = || Builder::new_multi_thread().enable_all().build().expect("the system gives threads");
    match words[..] {
        ["node", name] => one().block_on(node::run(name)),
        ["threads", "node", name] => several().block_on(node::run(name)),
        ["cluster"] => several().block_on(cluster::run()),
        _ => panic!("usage: see the start of main.rs"),
    }
}

/// What is asked next: a method, whom to do it to, and how often.
async fn asked() -> Option<(String, String, u64)> {
    let line = tokio::task::spawn_blocking(|| io::stdin().lock().lines().next()).await;
    let line = line.expect("reading a line does not panic")?.expect("whoever asks writes UTF-8");
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, count] = words[..] else { panic!("not METHOD TARGET COUNT: {line}") };
    Some((method.to_owned(), target.to_owned(), count.parse().expect("a number of times")))
}
