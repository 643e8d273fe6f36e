//! Failovers in a row on one node of ours: what they leave behind.

use std::{fs, time::Duration};

use interop_tests::Otp;

use crate::{
    Measure,
    figures::{Row, at_most, table},
    lab::{Config, Kind, Lab, Member, PATIENCE, time_until},
};

/// The restart time.
const RESTART: Duration = Duration::from_millis(20);

/// So many come before anything is counted: tables and allocators get the size that they keep.
const WARM_UP: usize = 100;

/// What the resident memory may grow by: pages that the allocator takes and gives back as it likes, in KiB. One KiB left
/// behind by each of a thousand failovers is as much.
const GROWTH_MAX_KIB: f64 = 1024.0;

pub(super) fn run(otp: &Otp, measure: &Measure) -> Result<(), String> {
    let config = Config {
        distributed: format!("[{{app1, {}, [a@localhost, b@localhost]}}]", RESTART.as_millis()),
        nodes: &["a", "b"],
        wait: PATIENCE,
        more: "",
    };
    let lab = Lab::new(otp)?;
    let apps = ["app1".to_owned()];
    let mut b = lab.start(Kind::Rust, "b", &config, &apps);
    let mut a = lab.start(Kind::Rust, "a", &config, &apps);
    lab.booted("b", &mut b)?;
    let mut failover = || -> Result<f64, String> {
        lab.booted("a", &mut a)?;
        lab.until("a runs it", || lab.runs("a", "app1") && !lab.runs("b", "app1"))?;
        lab.until_introduced(&["a", "b"])?;
        let killed = a.kill9();
        let took = time_until(killed, PATIENCE, || lab.runs("b", "app1")).ok_or("b does not run it")?;
        a = lab.start(Kind::Rust, "a", &config, &apps);
        Ok(took - RESTART.as_secs_f64() * 1e3)
    };
    for _ in 0..WARM_UP {
        failover()?;
    }
    let before = Left::count(&lab, &mut b)?;
    let mut row = Row::new("Rust runs it, Rust stands by");
    for _ in 0..measure.failovers {
        row.times.push(failover()?);
    }
    let after = Left::count(&lab, &mut b)?;
    let title = format!("row: {} failovers to one node, beyond the restart time", measure.failovers);
    table(&title, &[row]);
    println!("{:44} {:>12} {:>12} {:>12}", "", "memory", "processes", "descriptors");
    for (name, left) in [("before", &before), ("after", &after)] {
        let memory = format!("{} KiB", left.kib);
        println!("{name:44} {memory:>12} {:>12} {:>12}", left.processes, left.descriptors);
    }
    at_most("row-memory-kib", after.kib - before.kib, GROWTH_MAX_KIB);
    at_most("row-processes", after.processes - before.processes, 0.0);
    at_most("row-descriptors", after.descriptors - before.descriptors, 0.0);
    Ok(())
}

/// What a node holds.
struct Left {
    kib: f64,
    processes: f64,
    descriptors: f64,
}

impl Left {
    /// While a runs it: each time the same is going on. What is about to end has ended: the lowest of a second counts.
    fn count(lab: &Lab, member: &mut Member) -> Result<Self, String> {
        lab.until("a runs it", || lab.runs("a", "app1") && !lab.runs("b", "app1"))?;
        lab.until_introduced(&["a", "b"])?;
        let mut left = Self { kib: f64::NAN, processes: f64::NAN, descriptors: f64::NAN };
        for _ in 0..10 {
            interop_tests::clock::pause(Duration::from_millis(100));
            let dir = format!("/proc/{}", member.id());
            let file = |error: std::io::Error| format!("{dir}: {error}");
            let status = fs::read_to_string(format!("{dir}/status")).map_err(file)?;
            let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
            let kib = kib.and_then(|kib| kib.parse::<f64>().ok()).ok_or("no VmRSS")?;
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let processes = lab.asker.processes("b")? as f64;
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let descriptors = fs::read_dir(format!("{dir}/fd")).map_err(file)?.count() as f64;
            left.kib = left.kib.min(kib);
            left.processes = left.processes.min(processes);
            left.descriptors = left.descriptors.min(descriptors);
        }
        Ok(left)
    }
}
