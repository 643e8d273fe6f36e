//! Links on which nothing is said: the memory that each takes, and the processor time of all.

use std::{thread, time::Duration};

use crate::{
    Failure,
    bench::{
        bars::Bar,
        lab::{
            Kind::{Beam, Rust},
            Lab, processor_time, resident_bytes,
        },
        program::Program,
        works::{Rounds, median, sorted},
    },
};

/// How many links the node has. The bar on the processor time is of so many.
const LINKS: u64 = 2000;

/// How long the processor time is looked at: two of the four ticks of a ticktime of 60 s.
const WATCHED: Duration = Duration::from_secs(30);

/// What a program does at its start, or after its last link, is over by then.
const SETTLED: Duration = Duration::from_secs(1);

/// The most bytes of resident memory that a link may take.
const LINK_BYTES_MAX: f64 = 24.0 * 1024.0;

/// The most of one core that all links may take.
const CORE_MAX: f64 = 0.02;

pub(super) fn measure(lab: &mut Lab, rounds: usize) -> Result<Vec<Bar>, Failure> {
    println!(
        "idle: {LINKS} links to hidden nodes, ticktime 60 s; medians of {rounds} rounds, fresh processes each"
    );
    println!("{:12} {:>16} {:>32} {:>18} {:>12}", "", "resident a link", "spread", "of one core", "ticks");
    let mut bars = Vec::new();
    for kind in [Beam, Rust] {
        let mut memory = Rounds::new();
        let mut core = None;
        for round in 1..=rounds {
            let (node, name) = lab.start(kind)?;
            let mut links = lab.links()?;
            rest(SETTLED);
            let before = resident_bytes(&node)?;
            links.ask("hold", &format!("{name}:{}", node.fact("port")?), LINKS)?;
            rest(SETTLED);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            memory.push((resident_bytes(&node)? - before) as f64 / LINKS as f64);
            if round == rounds {
                core = Some(watched(&node, &mut links)?);
            }
        }
        let (memory, (core, ticks)) = (sorted(memory), core.expect("there is a last round"));
        let each = median(&memory);
        let (first, last) = (memory[0], memory[memory.len() - 1]);
        println!(
            "{:12} {:>16} {:>32} {:>18} {ticks:>12}",
            kind.name(),
            format!("{:.1} KiB", each / 1024.0),
            format!("{:.1} to {:.1} KiB", first / 1024.0, last / 1024.0),
            format!("{:.2} %", core * 100.0),
        );
        if kind == Rust {
            let bar = |name: &str, value, limit| Bar { name: name.into(), value, limit, is_floor: false };
            bars.push(bar("idle-bytes-per-link", each.round(), LINK_BYTES_MAX));
            bars.push(bar("idle-2000-links-of-one-core", core, CORE_MAX));
        }
    }
    Ok(bars)
}

/// How much of one core a node took, and how many ticks it sent meanwhile.
fn watched(node: &Program, links: &mut Program) -> Result<(f64, u64), Failure> {
    let (before, ticks) = (processor_time(node.id())?, links.ask("ticks", "-", 1)?);
    rest(WATCHED);
    let took = processor_time(node.id())? - before;
    Ok((took.as_secs_f64() / WATCHED.as_secs_f64(), links.ask("ticks", "-", 1)? - ticks))
}

#[expect(clippy::disallowed_methods, reason = "nothing else is done meanwhile")]
fn rest(duration: Duration) {
    thread::sleep(duration);
}
