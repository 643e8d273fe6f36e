//! From the SIGKILL of the node that runs an application until it runs on the one that stands by.

use std::time::Duration;

use interop_tests::Otp;

use crate::{
    Measure,
    figures::{Row, at_most, table},
    lab::{Config, Kind, Lab, Member, PATIENCE, time_until},
};

/// The restart time.
const RESTART: Duration = Duration::from_millis(500);

/// What deciding and starting may take beyond it.
const OURS_MAX_MS: f64 = 100.0;

/// Of the two the first runs it, and is a BEAM.
const STANDS_BY: [Kind; 2] = [Kind::Rust, Kind::Beam];

pub(super) fn run(otp: &Otp, measure: &Measure) -> Result<(), String> {
    let mut labs = Vec::new();
    for kind in STANDS_BY {
        labs.push(Pair::start(otp, kind)?);
    }
    let mut rows = STANDS_BY.map(|kind| Row::new(&format!("BEAM runs it, {} stands by", kind.name())));
    for _ in 0..measure.count {
        for (pair, row) in labs.iter_mut().zip(&mut rows) {
            row.times.push(pair.kill()?);
        }
    }
    let millis = RESTART.as_millis();
    table(&format!("kill: from SIGKILL to running, beyond the restart time of {millis} ms"), &rows);
    at_most("kill-rust-beyond-ms", rows[0].max(), OURS_MAX_MS);
    Ok(())
}

struct Pair {
    lab: Lab,
    config: Config,
    a: Member,
    /// Ends with this value.
    _b: Member,
}

impl Pair {
    fn start(otp: &Otp, kind: Kind) -> Result<Self, String> {
        let config = Config {
            distributed: format!("[{{app1, {}, [a@localhost, b@localhost]}}]", RESTART.as_millis()),
            nodes: &["a", "b"],
            wait: PATIENCE,
            more: "",
        };
        let lab = Lab::new(otp)?;
        let apps = ["app1".to_owned()];
        let mut b = lab.start(kind, "b", &config, &apps);
        let mut a = lab.start(Kind::Beam, "a", &config, &apps);
        lab.booted("a", &mut a)?;
        lab.booted("b", &mut b)?;
        let pair = Self { lab, config, a, _b: b };
        pair.settle()?;
        Ok(pair)
    }

    fn settle(&self) -> Result<(), String> {
        let lab = &self.lab;
        lab.until("a runs it", || lab.runs("a", "app1") && !lab.runs("b", "app1"))?;
        lab.until_introduced(&["a", "b"])
    }

    /// Milliseconds beyond the restart time; a is back then.
    fn kill(&mut self) -> Result<f64, String> {
        let killed = self.a.kill9();
        let took = time_until(killed, RESTART + PATIENCE, || self.lab.runs("b", "app1"));
        let took = took.ok_or("nobody runs it after a was killed")?;
        self.a = self.lab.start(Kind::Beam, "a", &self.config, &["app1".to_owned()]);
        self.lab.booted("a", &mut self.a)?;
        self.settle()?;
        Ok(took - RESTART.as_secs_f64() * 1e3)
    }
}
