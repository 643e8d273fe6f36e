//! What happens to each cluster.

use std::time::Duration;

use interop_tests::{
    Otp,
    clock::{now, pause, wait_for},
};

use crate::lab::{LIMIT, Lab, RESTART_TIME, TICKTIME, node};

/// Which nodes are stock ones, and how much those of ours heal.
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    pub(crate) stock: [bool; 3],
    /// The entry of the section `crabnode`, or nothing for what it is by default.
    pub(crate) heal: &'static str,
}

pub(crate) const MIXES: [Mix; 2] = [
    Mix { name: "stock_stock_rust", stock: [true, true, false], heal: "{heal, cluster}" },
    Mix { name: "rust_rust_stock", stock: [false, false, true], heal: "" },
];

/// Shorter than a link can be silent: packets that are lost meanwhile are sent anew within as much again.
const BLINK: Duration = Duration::from_secs(1);

/// The owner.
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

pub(crate) fn tell(otp: &Otp, mix: &Mix, title: &str) {
    let mut lab = Lab::start(otp, mix, title);
    lab.settles(&[A], Duration::ZERO);
    unnoticed(&mut lab);
    within_the_restart_time(&mut lab);
    for isolated in [A, B, C] {
        beyond_the_restart_time(&mut lab, isolated);
    }
    lab.tell("a is killed");
    lab.kill(A);
    lab.settles(&[B], BLINK);
}

/// The network is back before anybody has missed it: nothing happens at all.
fn unnoticed(lab: &mut Lab) {
    for _ in 0..5 {
        let starts = lab.starts();
        lab.tell("a is cut off for a blink");
        let began = now();
        lab.network.isolate(A);
        pause(BLINK);
        lab.network.heal();
        let cut = began.elapsed();
        if cut > 2 * BLINK {
            // On a busy machine it was not short enough: once more, when nothing comes of it any longer.
            lab.tell(&format!("that took {} ms", cut.as_millis()));
            pause(TICKTIME);
            settles_anywhere(lab, RESTART_TIME);
            continue;
        }
        // For as long as it takes to send what was lost, and to miss a link.
        pause(2 * BLINK);
        if !lab.is_whole() {
            lab.fail("a link was lost");
        }
        lab.settles(&[A], Duration::ZERO);
        assert_eq!(lab.starts(), starts, "started anew");
        return;
    }
    lab.fail("no cut was short");
}

/// The network is back after the links were lost, and before the next one takes over.
fn within_the_restart_time(lab: &mut Lab) {
    lab.tell("a is cut off");
    lab.network.isolate(A);
    loses(lab, B, A);
    lab.network.heal();
    // The timers of all who have missed the owner are over then.
    settles_anywhere(lab, RESTART_TIME);
}

/// The network is back after each side has gone on alone.
fn beyond_the_restart_time(lab: &mut Lab, isolated: usize) {
    lab.tell(&format!("{} is cut off", node(isolated)));
    lab.network.isolate(isolated);
    let other = if isolated == A { B } else { isolated };
    lab.comes_to_run_at(&[A, other]);
    lab.tell("two copies; the network is back");
    lab.network.heal();
    settles_anywhere(lab, 2 * BLINK);
}

/// One copy, of the owner if things go fast. On a slow machine somebody's restart time may be over just when all are
/// connected: then it is that one's, as in any takeover.
fn settles_anywhere(lab: &mut Lab, for_so_long: Duration) {
    if lab.settles(&[A, B, C], for_so_long) != A {
        lab.moves_to(A);
    }
}

fn loses(lab: &mut Lab, one: usize, other: usize) {
    let lost = wait_for(LIMIT, || (!lab.is_linked(one, other)).then_some(()));
    if lost.is_none() {
        lab.fail(&format!("{} does not miss {}", node(one), node(other)));
    }
    lab.tell(&format!("{} misses {}", node(one), node(other)));
}
