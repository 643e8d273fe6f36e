//! Bars: what was found, held against what is promised.

use crate::Failure;

/// A bar.
pub(crate) struct Bar {
    /// Without blanks.
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The most that the value may be; the least, if `is_floor`.
    pub(crate) limit: f64,
    pub(crate) is_floor: bool,
}

impl Bar {
    /// As one line: `bar NAME VALUE LIMIT ok` or `bar NAME VALUE LIMIT short`.
    fn line(&self) -> String {
        let verdict = if self.is_met() { "ok" } else { "short" };
        format!("bar {} {} {} {verdict}", self.name, number(self.value), number(self.limit))
    }

    fn is_met(&self) -> bool {
        // What is no number meets nothing.
        if self.is_floor { self.value >= self.limit } else { self.value <= self.limit }
    }
}

/// Prints all, and fails if one is short.
pub(crate) fn print(bars: &[Bar]) -> Result<(), Failure> {
    println!();
    for bar in bars {
        println!("{}", bar.line());
    }
    let short = bars.iter().filter(|bar| !bar.is_met()).count();
    if short == 0 {
        return Ok(());
    }
    Err(Failure::Check(format!("{short} of {} bars are short", bars.len())))
}

/// Counts are printed as such.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: f64, limit: f64) -> String {
        Bar { name: "decode-term-list/beam".into(), value, limit, is_floor: false }.line()
    }

    #[test]
    fn a_bar_is_one_line() {
        assert_eq!(line(0.4321, 0.5), "bar decode-term-list/beam 0.432 0.500 ok");
        assert_eq!(line(6501.0, 6501.0), "bar decode-term-list/beam 6501 6501 ok");
        assert_eq!(line(0.5001, 0.5), "bar decode-term-list/beam 0.500 0.500 short");
        assert_eq!(line(f64::NAN, 0.5), "bar decode-term-list/beam NaN 0.500 short");
        let floor = Bar { name: "rate".into(), value: 4.0, limit: 5.0, is_floor: true };
        assert_eq!(floor.line(), "bar rate 4 5 short");
    }
}
