//! The sequences in which stock nodes alone hang (dist_ac.md 6): L8 and L9.

use std::time::Duration;

use interop_tests::{Otp, clock::pause};

use crate::{
    Measure,
    figures::{Row, at_least, at_most, table},
    lab::{Config, Kind, Lab, PATIENCE, time_until},
};

/// The restart time.
const RESTART: Duration = Duration::from_millis(1000);

/// What may come on top of it.
const MORE_MAX: Duration = Duration::from_secs(3);

/// How often stock nodes alone are shown, each time to the end of the time that they are given.
const SHOWN: usize = 3;

/// How many applications fail over together.
const APPS: usize = 8;

/// Eight applications with a tuple in their list run on one node, which dies.
pub(super) fn l8(otp: &Otp, measure: &Measure) -> Result<(), String> {
    let mut row = Row::new("Rust and BEAM are left");
    for _ in 0..measure.sequences {
        let (running, time) = eight(otp, Kind::Rust)?;
        match time {
            Some(time) => row.times.push(time),
            None => eprintln!("bench: only {running} of {APPS} run"),
        }
    }
    let mut stock = Vec::new();
    for _ in 0..SHOWN {
        stock.push(eight(otp, Kind::Beam)?.0.to_string());
    }
    let rows = [row];
    table(&format!("l8: from the death of the runner until {APPS} applications run again"), &rows);
    println!("BEAM and BEAM are left: of {APPS} applications run after {}", limit_text());
    println!("{:44} {}", "", stock.join(", "));
    at_least("l8-rust-runs", rows[0].times.len(), measure.sequences);
    at_most("l8-rust-ms", rows[0].max(), limit_ms());
    Ok(())
}

/// How many of the eight run on b and c when the time is over, and when all did.
fn eight(otp: &Otp, b: Kind) -> Result<(usize, Option<f64>), String> {
    let apps: Vec<String> = (1..=APPS).map(|nth| format!("app{nth}")).collect();
    let entry =
        |app: &String| format!("{{{app}, {}, [a@localhost, {{b@localhost, c@localhost}}]}}", millis());
    let distributed = format!("[{}]", apps.iter().map(entry).collect::<Vec<_>>().join(", "));
    let config = Config { distributed, nodes: &["a", "b", "c"], wait: PATIENCE, more: "" };
    let lab = Lab::new(otp)?;
    let mut members: Vec<_> = [("a", Kind::Beam), ("b", b), ("c", Kind::Beam)]
        .into_iter()
        .map(|(name, kind)| (name, lab.start(kind, name, &config, &apps)))
        .collect();
    for (name, member) in &mut members {
        lab.booted(name, member)?;
    }
    lab.until("a runs all", || apps.iter().all(|app| lab.asker.runs("a").contains(app)))?;
    lab.until_introduced(&["a", "b", "c"])?;
    // Each stands by for all: the last of its starts has returned.
    for name in ["b", "c"] {
        lab.until("the others stand by", || stands_by(&lab, name, APPS))?;
    }
    let killed = members[0].1.kill9();
    let running = || {
        let all = ["b", "c"].map(|name| lab.asker.runs(name)).concat();
        all.iter().filter(|app| apps.contains(app)).count()
    };
    let time = time_until(killed, RESTART + MORE_MAX, || running() == APPS);
    Ok((running(), time))
}

/// Whether a node has so many applications in its `running` that run elsewhere.
fn stands_by(lab: &Lab, name: &str, count: usize) -> bool {
    let info = lab.asker.call(name, "dist_ac", "info", vec![]).ok();
    let appls = info.as_ref().and_then(|info| info.as_tuple()?.get(1)?.as_list());
    let is_distributed = |appl: &&etf::Term| {
        let id = appl.as_tuple().and_then(|appl| appl.get(2)?.as_tuple());
        id.is_some_and(|id| id.first().is_some_and(|tag| tag.is_atom("distributed")))
    };
    appls.unwrap_or_default().iter().filter(is_distributed).count() == count
}

/// c runs it; a and b come back; a takes over; b starts; a dies.
pub(super) fn l9(otp: &Otp, measure: &Measure) -> Result<(), String> {
    let mut rows = Vec::new();
    for (b, c) in [(Kind::Rust, Kind::Beam), (Kind::Beam, Kind::Rust)] {
        let mut row = Row::new(&format!("b is {}, c is {}", b.name(), c.name()));
        for _ in 0..measure.sequences {
            match came_back(otp, b, c)? {
                Some(time) => row.times.push(time),
                None => eprintln!("bench: {}: it does not run once", row.name),
            }
        }
        rows.push(row);
    }
    let mut stock = 0;
    for _ in 0..SHOWN {
        stock += usize::from(came_back(otp, Kind::Beam, Kind::Beam)?.is_some());
    }
    table("l9: from the death of the runner until the application runs once", &rows);
    println!("b and c are BEAM: it runs after {} in {stock} of {SHOWN}", limit_text());
    at_least("l9-rust-b-runs", rows[0].times.len(), measure.sequences);
    at_least("l9-rust-c-runs", rows[1].times.len(), measure.sequences);
    at_most("l9-rust-ms", rows.iter().map(Row::max).fold(f64::NAN, f64::max), limit_ms());
    Ok(())
}

/// When it ran on one of b and c; nothing if it does not, or on both.
fn came_back(otp: &Otp, b: Kind, c: Kind) -> Result<Option<f64>, String> {
    let config = |wait| Config {
        distributed: format!("[{{app1, {}, [a@localhost, {{b@localhost, c@localhost}}]}}]", millis()),
        nodes: &["a", "b", "c"],
        wait,
        more: "",
    };
    let lab = Lab::new(otp)?;
    // Alone it does not wait for the others.
    let mut on_c = lab.start(c, "c", &config(Duration::from_millis(200)), &["app1".to_owned()]);
    lab.booted("c", &mut on_c)?;
    lab.until("c runs it", || lab.runs("c", "app1"))?;
    let mut on_a = lab.start(Kind::Beam, "a", &config(PATIENCE), &[]);
    let mut on_b = lab.start(b, "b", &config(PATIENCE), &[]);
    lab.booted("a", &mut on_a)?;
    lab.booted("b", &mut on_b)?;
    lab.until_introduced(&["a", "b", "c"])?;
    lab.asker.start_app("a", "app1")?;
    lab.until("a has taken over", || lab.runs("a", "app1") && !lab.runs("c", "app1"))?;
    lab.asker.start_app("b", "app1")?;
    let killed = on_a.kill9();
    let copies = || ["b", "c"].into_iter().filter(|name| lab.runs(name, "app1")).count();
    let time = time_until(killed, RESTART + MORE_MAX, || copies() > 0);
    // A second one would come by now.
    pause(Duration::from_millis(300));
    // Of stock nodes alone nothing else is expected.
    if copies() != 1 && [b, c].contains(&Kind::Rust) {
        for name in ["b", "c"] {
            eprintln!("bench: {name} says {:?}", lab.asker.call(name, "dist_ac", "info", vec![]));
        }
    }
    Ok(time.filter(|_| copies() == 1))
}

fn millis() -> u128 {
    RESTART.as_millis()
}

fn limit_ms() -> f64 {
    (RESTART + MORE_MAX).as_secs_f64() * 1e3
}

fn limit_text() -> String {
    format!("{:.0} s", (RESTART + MORE_MAX).as_secs_f64())
}
