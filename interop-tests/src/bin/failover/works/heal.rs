//! From the return of a link until one of two copies is left.
//!
//! Two nodes are split by a cookie: one has another for the other, so neither can connect. Both sides then run the
//! application. When the cookie is right again and the link is back, one copy has to go.

use std::time::Duration;

use interop_tests::{Otp, clock::now};

use crate::{
    Measure,
    figures::{Row, at_least, at_most, table},
    lab::{Config, Kind, Lab, Member, PATIENCE, time_until},
};

/// The restart time.
const RESTART: Duration = Duration::from_millis(200);

/// How long two copies may be.
const HEAL_MAX_MS: f64 = 2000.0;

/// A member heals what it takes part in, which is the default: of two nodes either is ours.
pub(super) fn own(otp: &Otp, measure: &Measure) -> Result<(), String> {
    let mut rows = Vec::new();
    for kinds in [[Kind::Beam, Kind::Rust], [Kind::Rust, Kind::Beam]] {
        let config = config("[a@localhost, b@localhost]", &["a", "b"], "");
        let split = Split::start(otp, config, &[("a", kinds[0]), ("b", kinds[1])])?;
        let mut row = Row::new(&format!("{} goes before {}", kinds[0].name(), kinds[1].name()));
        split.rounds(measure.count, &mut row);
        rows.push(row);
    }
    table("heal-self: from the link's return to one copy, a Rust copy on either side", &rows);
    found("heal-self", &rows, measure.count);
    Ok(())
}

/// A member mends what goes on between two stock nodes.
pub(super) fn cluster(otp: &Otp, measure: &Measure) -> Result<(), String> {
    let healer = ", {crabnode, [{heal, cluster}]}";
    let config = config("[a@localhost, b@localhost, c@localhost]", &["a", "b", "c"], healer);
    let members = [("a", Kind::Beam), ("b", Kind::Beam), ("c", Kind::Rust)];
    let split = Split::start(otp, config, &members)?;
    let mut row = Row::new("BEAM and BEAM, Rust mends");
    split.rounds(measure.count, &mut row);
    let rows = [row];
    table("heal-cluster: from the link's return to one copy, both copies on stock nodes", &rows);
    found("heal-cluster", &rows, measure.count);
    Ok(())
}

fn found(name: &str, rows: &[Row], count: usize) {
    let healed = rows.iter().map(|row| row.times.len()).sum();
    at_least(&format!("{name}-healed"), healed, count * rows.len());
    at_most(&format!("{name}-ms"), rows.iter().map(Row::max).fold(f64::NAN, f64::max), HEAL_MAX_MS);
}

fn config(list: &str, nodes: &'static [&'static str], more: &'static str) -> Config {
    let distributed = format!("[{{app1, {}, {list}}}]", RESTART.as_millis());
    Config { distributed, nodes, wait: PATIENCE, more }
}

/// A cluster of which the first node is cut off from the others.
struct Split {
    lab: Lab,
    names: Vec<&'static str>,
    members: Vec<Member>,
}

impl Split {
    fn start(otp: &Otp, config: Config, members: &[(&'static str, Kind)]) -> Result<Self, String> {
        let lab = Lab::new(otp)?;
        let apps = ["app1".to_owned()];
        let mut started: Vec<_> =
            members.iter().map(|(name, kind)| lab.start(*kind, name, &config, &apps)).collect();
        for ((name, _), member) in members.iter().zip(&mut started) {
            lab.booted(name, member)?;
        }
        let split = Self { lab, names: members.iter().map(|(name, _)| *name).collect(), members: started };
        split.settle()?;
        Ok(split)
    }

    /// Stops where one has not healed: the cluster is none any more.
    fn rounds(&self, count: usize, row: &mut Row) {
        for _ in 0..count {
            match self.round() {
                Ok(time) => row.times.push(time),
                Err(failure) => {
                    let outputs: Vec<String> = self.members.iter().map(Member::output).collect();
                    eprintln!("bench: {}: {failure}\n{}", row.name, outputs.join("\n"));
                    return;
                }
            }
        }
    }

    fn settle(&self) -> Result<(), String> {
        let lab = &self.lab;
        lab.until("only a runs it", || {
            lab.runs("a", "app1") && !self.names[1..].iter().any(|name| lab.runs(name, "app1"))
        })?;
        lab.until_introduced(&self.names)
    }

    fn round(&self) -> Result<f64, String> {
        let lab = &self.lab;
        for other in &self.names[1..] {
            lab.asker.cut("a", other)?;
        }
        lab.until("both sides run it", || lab.runs("a", "app1") && lab.runs("b", "app1"))?;
        let cookie = lab.cluster.cookie();
        for other in &self.names[1..] {
            lab.asker.join("a", other, cookie)?;
        }
        let copies = || self.names.iter().filter(|name| lab.runs(name, "app1")).count();
        let took = time_until(now(), PATIENCE, || copies() == 1);
        let took =
            took.ok_or_else(|| format!("{} copies {PATIENCE:?} after the link came back", copies()))?;
        self.settle()?;
        Ok(took)
    }
}
