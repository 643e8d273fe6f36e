//! The acceptance checklist of dist_ac.md 7, items 1 to 40, against every release: tests named by the item.
//!
//! The stock nodes `s` and `t` and `r`, which is ours, are one cluster for all tests of a release: a stock node takes a
//! second to start. What is "a", "b" and "c" in an item, its applications say by their priority lists; where it matters
//! there is one with `r` in each place. Each test has applications of its own, and finds the cluster whole and quiet. One
//! that fails leaves its cluster to nobody.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use interop_tests::Otp;
use libtest_mimic::{Arguments, Trial};

#[path = "../dist_ac_support/mod.rs"]
mod dist_ac_support;
use dist_ac_support::{App, Members};

mod basic;
mod failures;
mod joining;
mod load;
mod permissions;
mod tuples;

type Item = fn(&mut Members);

macro_rules! items {
    ($($module:ident: $($item:ident),+ $(,)?;)+) => {
        [$($((stringify!($item), $module::$item as Item)),+),+]
    };
}

fn main() -> ExitCode {
    let items = items! {
        joining:
            item_01_ours_boots_into_a_running_cluster,
            item_02_a_stock_node_boots_into_a_cluster_with_ours,
            item_03_ours_and_a_stock_node_boot_together,
            item_04_a_node_of_ours_without_dist_ac_is_no_candidate,
            item_05_a_hidden_one_is_never_introduced,
            item_06_nodes_that_are_waited_for;
        basic:
            item_07_it_runs_at_the_first_and_all_calls_say_ok,
            item_08_the_others_wait_for_the_first,
            item_09_who_waits_starts_it_when_the_first_dies,
            item_10_a_second_start,
            item_11_several_callers_on_one_node,
            item_12_and_15_a_dies_and_comes_back,
            item_13_a_comes_back_within_the_restart_time,
            item_14_infinity_never_moves,
            item_16_takeover,
            item_17_takeovers_that_cannot_be,
            item_18_stop_where_it_runs,
            item_19_stop_and_start_of_a_standby;
        tuples:
            item_20_and_22_fewer_applications_then_the_smaller_name,
            item_21_inside_a_tuple_it_stays,
            item_23_eight_applications_fail_over_at_once,
            item_24_weights_are_not_answered_without_end;
        permissions:
            item_25_permit_false_where_it_runs,
            item_26_permit_false_with_nobody_left,
            item_27_permit_true,
            item_28_forbidden_at_boot,
            item_29_permit_of_what_is_not_started;
        load:
            item_30_load_with_a_specification,
            item_31_mismatch,
            start_phases_with_included_applications,
            the_same_calls_have_the_same_answers;
        failures:
            item_32_a_start_that_fails,
            item_33_a_temporary_one_crashes,
            item_34_a_permanent_one_crashes,
            item_35_a_takeover_that_fails,
            item_36_a_split_heals,
            item_37_a_flap,
            item_38_beliefs_that_are_old,
            item_39_a_killed_program_of_ours,
            item_40_locks_do_not_hang,
            l22_a_start_at_a_standby_after_a_stop_where_it_ran;
    };
    let shared: Vec<_> = Otp::available().into_iter().map(|otp| (otp, Arc::new(Mutex::new(None)))).collect();
    let trials = items.iter().flat_map(|(name, item)| {
        shared.iter().map(move |(otp, members)| {
            let (otp, members, item) = (Otp::release(otp.number()), Arc::clone(members), *item);
            Trial::test(format!("{name}_otp_{}", otp.number()), move || {
                run(&members, &otp, item);
                Ok(())
            })
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn run(shared: &Mutex<Option<Members>>, otp: &Otp, item: Item) {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let mut members = shared.take().unwrap_or_else(|| start(otp));
    let result = catch_unwind(AssertUnwindSafe(|| {
        members.whole();
        item(&mut members);
    }));
    match result {
        Ok(()) => *shared = Some(members),
        Err(panic) => {
            eprintln!("{}", members.report());
            resume_unwind(panic);
        }
    }
}

/// The names of r, s and t in the three orders in which r is a, b and c, and of the application for that.
fn positions(item: &str) -> [(String, [&'static str; 3]); 3] {
    [("a", ["r", "s", "t"]), ("b", ["s", "r", "t"]), ("c", ["s", "t", "r"])]
        .map(|(place, nodes)| (format!("{item}_{place}"), nodes))
}

fn start(otp: &Otp) -> Members {
    let mut apps = Vec::new();
    let everywhere =
        ["i07", "i08", "i10", "i12", "i12n", "i16", "i18", "i19", "i25", "i26", "i27", "i32", "i33"];
    for (item, (app, nodes)) in everywhere.iter().flat_map(|item| positions(item).map(|place| (*item, place)))
    {
        let app = App::new(&app, "400", &format!("[{}]", nodes.join(",")));
        apps.push(if item == "i12" { app.with_phases() } else { app });
    }
    for (name, restart_time, nodes) in [
        ("i01", "400", "[s,t,r]"),
        ("i02", "400", "[r,s,t]"),
        ("i04", "400", "[p,s,r]"),
        ("i05", "400", "[s,h,r]"),
        ("i09_a", "400", "[r,s,t]"),
        ("i09_b", "400", "[s,r,t]"),
        ("i11_a", "400", "[r,s,t]"),
        ("i11_b", "400", "[s,r,t]"),
        ("i13_soon", "3000", "[r,s,t]"),
        ("i13_late", "10000", "[r,s,t]"),
        ("i14", "infinity", "[r,s,t]"),
        ("i17_a", "400", "[r,s,t]"),
        ("i17_b", "400", "[s,r,t]"),
        ("i20_tie", "400", "[{r,t},s]"),
        ("i20_tie_u", "400", "[{t,u},s]"),
        ("i20_fewer", "400", "[{r,t},s]"),
        ("i20_fewer_u", "400", "[{t,u},s]"),
        ("i20_dies", "400", "[s,{r,t}]"),
        ("i22", "400", "[{s,u},r,t]"),
        ("i21", "400", "[{r,s},t]"),
        ("l22", "400", "[s,r,t]"),
        ("i24", "400", "[{u,v},{r,t}]"),
        ("i28", "400", "[s,r,t]"),
        ("i29_b", "400", "[s,r,t]"),
        ("i29_a", "400", "[r,s,t]"),
        ("i34_b", "400", "[s,r,t]"),
        ("i34_stock", "400", "[s,t]"),
        ("i34_ours", "400", "[r,t]"),
        ("i35", "400", "[s,r,t]"),
        ("i35_boot", "400", "[r,s,t]"),
        ("i36_a", "400", "[r,s,t]"),
        ("i36_b", "400", "[s,r,t]"),
        ("i37_a", "3000", "[r,s,t]"),
        ("i37_b", "3000", "[s,r,t]"),
        ("i38_b", "400", "[u,{r,t}]"),
        ("i38_c", "400", "[u,{r,t}]"),
        ("i40", "400", "[s,t,r]"),
        ("extra", "0", ""),
        ("extra_too", "0", ""),
        ("i30_s", "0", ""),
        ("i30_r", "0", ""),
        ("i30_all", "0", ""),
        ("i30_bad", "0", ""),
        ("i31_ours", "0", ""),
        ("i31_stock", "0", ""),
        ("same_r", "400", "[r,s]"),
        ("same_s", "400", "[s,r]"),
    ] {
        apps.push(App::new(name, restart_time, nodes));
    }
    for nth in 1..=8 {
        apps.push(App::new(&format!("i23_{nth}"), "400", "[s,{r,t}]"));
        apps.push(App::new(&format!("i23_u{nth}"), "400", "[s,{t,u}]"));
    }
    apps.push(App::new("m8ball", "400", "[f,s,t]").foreign());
    apps.extend(load::with_included());
    // With overlapping partitions prevented, cutting one node off would make stock nodes part too, and these do not
    // come to terms again (L1).
    let kernel = "{permissions, [{i28, false}]}, {prevent_overlapping_partitions, false}";
    Members::start(otp, &["s", "t"], &["r"], apps, kernel)
}
