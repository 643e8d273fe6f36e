//! A work's table.

/// A row: what did it, nanoseconds for doing it once.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) nanoseconds: f64,
}

/// Prints a work with all that did it. What was worked on has so many bytes and terms.
pub(crate) fn print(work: &str, bytes: u64, terms: u64, rows: &[Row]) {
    println!("\n{work}: {bytes} bytes, {terms} terms");
    let ours = rows.first().map_or(f64::NAN, |row| row.nanoseconds);
    println!("{:34} {:>12} {:>9} {:>9} {:>8}", "", "each", "ns/term", "MB/s", "to ours");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (bytes, terms) = (bytes as f64, terms as f64);
    for Row { name, nanoseconds } in rows {
        let (each, per_term) = (duration(*nanoseconds), nanoseconds / terms);
        let (rate, ratio) = (1e3 * bytes / nanoseconds, nanoseconds / ours);
        println!("{name:34} {each:>12} {per_term:>9.2} {rate:>9.0} {ratio:>8.2}");
    }
}

fn duration(nanoseconds: f64) -> String {
    if nanoseconds < 1e4 {
        format!("{nanoseconds:.1} ns")
    } else if nanoseconds < 1e7 {
        format!("{:.1} us", nanoseconds / 1e3)
    } else {
        format!("{:.1} ms", nanoseconds / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_that_fits() {
        assert_eq!(duration(53.25), "53.2 ns");
        assert_eq!(duration(232_858.0), "232.9 us");
        assert_eq!(duration(4.68e7), "46.8 ms");
    }
}
