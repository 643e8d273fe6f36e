//! Lookups at an EPMD: ours beside stock `epmd`.

use std::process::Command;

use super::system_calls::Counter;
use crate::{
    Failure,
    bench::{
        bars::Bar,
        lab::{Epmd, Lab, processor_time},
        program,
        program::Program,
        works::{Rounds, median, sorted},
    },
    process::{cargo, run, target_dir},
};

/// How many names it knows: stock `epmd` looks through a list of them.
const NAMES: [u64; 2] = [1, 200];

/// How many lookups a round has, some four tenths of a second.
const LOOKUPS: u64 = 20_000;

/// How many times as many lookups ours does in the same processor time.
const FLOOR: f64 = 2.0;

/// Server and clients share one core: what a lookup costs the server is then its own work alone, and not that of waking
/// a core. The clients' part is larger, so the lookups that one core's time of the server gives are what is compared.
pub(super) fn measure(lab: &mut Lab, rounds: usize) -> Result<Vec<Bar>, Failure> {
    run(cargo().args(["build", "--quiet", "--package", "crabnode-cli", "--profile", "measured"]))?;
    let ours = target_dir().join("measured/crabnode");
    let stock = lab.otp.epmd()?;
    println!("epmd: {LOOKUPS} lookups by 16 clients, on one core; medians of {rounds} rounds");
    println!(
        "{:24} {:>20} {:>24} {:>16} {:>14} {:>12}",
        "", "processor time each", "spread", "1/s of a core", "wall time each", "system calls"
    );
    let mut bars = Vec::new();
    for names in NAMES {
        let core = program::core();
        let mut sides = Vec::new();
        let bare = ("system calls alone", &lab.rust, &["answers"][..]);
        for (name, program, arguments) in
            [("stock epmd", &stock, &[][..]), ("crabnode epmd", &ours, &["epmd"]), bare]
        {
            let epmd = Epmd::start(
                Command::new("taskset").args(["-c", &core.to_string()]).arg(program).args(arguments),
            )?;
            let mut clients = Command::new(&lab.rust);
            clients.arg("lookups");
            let mut clients = Program::start("bench-link lookups", &clients, core)?;
            clients.ask("register", &epmd.port.to_string(), names)?;
            sides.push(Side { name, epmd, clients, processor: Rounds::new(), wall: Rounds::new() });
        }
        for _ in 0..rounds {
            for side in &mut sides {
                side.round()?;
            }
        }
        let mut medians = Vec::new();
        for mut side in sides {
            let calls = side.system_calls()?;
            let (processor, wall) = (sorted(side.processor), sorted(side.wall));
            let each = median(&processor);
            println!(
                "{:24} {:>20} {:>24} {:>16.0} {:>14} {:>12}",
                format!("{}, {names} names", side.name),
                format!("{each:.0} ns"),
                format!("{:.0} to {:.0} ns", processor[0], processor[processor.len() - 1]),
                1e9 / each,
                format!("{:.0} ns", median(&wall)),
                calls.map_or("?".into(), |calls| format!("{calls:.2}")),
            );
            medians.push(each);
        }
        bars.push(Bar {
            name: format!("epmd-{names}-names-lookups/stock"),
            value: medians[0] / medians[1],
            limit: FLOOR,
            is_floor: true,
        });
    }
    Ok(bars)
}

/// An EPMD and its clients.
struct Side {
    name: &'static str,
    epmd: Epmd,
    clients: Program,
    /// Nanoseconds for each lookup, of the server alone.
    processor: Rounds,
    /// The same on the clock, where the clients take most of it.
    wall: Rounds,
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
impl Side {
    fn round(&mut self) -> Result<(), Failure> {
        let before = processor_time(self.epmd.id())?;
        let took = self.lookups()?;
        let processor = processor_time(self.epmd.id())? - before;
        self.processor.push(processor.as_nanos() as f64 / LOOKUPS as f64);
        self.wall.push(took as f64 / LOOKUPS as f64);
        Ok(())
    }

    fn lookups(&mut self) -> Result<u64, Failure> {
        self.clients.ask("lookup", &self.epmd.port.to_string(), LOOKUPS)
    }

    /// For each lookup, if they can be counted.
    fn system_calls(&mut self) -> Result<Option<f64>, Failure> {
        let Some(counter) = Counter::start(self.epmd.id()) else { return Ok(None) };
        self.lookups()?;
        Ok(counter.stop().map(|calls| calls as f64 / LOOKUPS as f64))
    }
}
