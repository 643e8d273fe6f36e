//! Real partitions: each node has a network of its own, and what goes between them is dropped on the way, silently, as by
//! a cable that somebody pulled. Links are lost by `net_ticktime` alone (dist_ac.md 6 L1 to L3, 7 items 36, 37 and 39).
//!
//! The program runs itself anew in namespaces that nobody else sees, as it may make networks there: nothing of the
//! host's changes, and nothing is left whatever becomes of the test.

use std::process::ExitCode;

use interop_tests::Otp;
use libtest_mimic::{Arguments, Trial};

mod lab;
mod network;
mod story;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if !arguments.list
        && let Err(error) = network::enter()
    {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let trials: Vec<_> = Otp::available()
        .into_iter()
        .flat_map(|otp| story::MIXES.iter().map(move |mix| (Otp::release(otp.number()), mix)))
        .map(|(otp, mix)| {
            let name = format!("{}_otp_{}", mix.name, otp.number());
            Trial::test(name.clone(), move || {
                story::tell(&otp, mix, &name);
                Ok(())
            })
        })
        .collect();
    // They wait for clocks, most of the time.
    arguments.test_threads.get_or_insert(trials.len());
    libtest_mimic::run(&arguments, trials).exit_code()
}
