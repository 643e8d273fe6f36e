//! What was found, as tables and for the bars.

/// What a row stands for, and its times in milliseconds.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) times: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), times: Vec::new() }
    }

    pub(crate) fn max(&self) -> f64 {
        self.times.iter().copied().fold(f64::NAN, f64::max)
    }

    fn median(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Prints a work's rows.
pub(crate) fn table(title: &str, rows: &[Row]) {
    println!("{title}");
    println!("{:44} {:>6} {:>12} {:>12}", "", "times", "median", "longest");
    for row in rows {
        let (median, max) = (format!("{:.1} ms", row.median()), format!("{:.1} ms", row.max()));
        println!("{:44} {:>6} {median:>12} {max:>12}", row.name, row.times.len());
    }
}

/// A bar's value, which may be so much at most.
pub(crate) fn at_most(name: &str, value: f64, limit: f64) {
    println!("found {name} {value:.1} {limit} most");
}

/// A bar's value, which may be so much at least.
pub(crate) fn at_least(name: &str, value: usize, limit: usize) {
    println!("found {name} {value} {limit} least");
}
