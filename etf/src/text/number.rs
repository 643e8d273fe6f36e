//! Numbers as `~f`, `~e`, `~g`, `~b` and the like write them.

use num_bigint::{BigInt, Sign};

/// `~f`: with so many digits behind the point.
pub(super) fn fixed(value: f64, digits: usize) -> String {
    // Past some 1,100 a float has only zeros.
    format!("{value:.digits$}")
}

/// `~e`: with so many digits in all, at least two.
pub(super) fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.*e}", digits - 1);
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text,
    }
}

/// `~g`: as `~f` from 0.1 to 10,000 where the digits suffice, else as `~e`.
pub(super) fn general(value: f64, digits: usize) -> String {
    let size = value.abs();
    // How many digits stand before the point, less one.
    let exponent = match size {
        size if size < 0.1 => None,
        size if size < 1.0 => return fixed(value, digits),
        size if size < 10.0 => Some(0),
        size if size < 100.0 => Some(1),
        size if size < 1000.0 => Some(2),
        size if size < 10_000.0 => Some(3),
        _ => None,
    };
    match exponent {
        Some(exponent) if digits > exponent + 1 => fixed(value, digits - 1 - exponent),
        _ => scientific(value, digits.max(2)),
    }
}

/// An integer in a base of 2 to 36, its sign before the prefix.
pub(super) fn in_base(int: &BigInt, base: u32, prefix: &str, is_upper: bool) -> String {
    let mut digits = int.magnitude().to_str_radix(base);
    if is_upper {
        digits.make_ascii_uppercase();
    }
    let sign = if int.sign() == Sign::Minus { "-" } else { "" };
    format!("{sign}{prefix}{digits}")
}
