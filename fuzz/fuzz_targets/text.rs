//! Any text: terms or an error. Terms are printed, and read back the same from that.
#![no_main]

use crabnode_fuzz::limits;
use etf::{
    decode, encode,
    text::{consult, consult_bytes, parse_term},
};
use libfuzzer_sys::fuzz_target;

/// The longest text that is read again: `<<0:99999999>>` is 25 MB of it, which takes seconds.
const PRINTED_BYTES_MAX: usize = 64 << 10;

/// Digits of a size in a binary that make it long. Within the limits, but once a run has found them it would do little
/// else than fill binaries of 16 MiB.
const SIZE_DIGITS_MAX: usize = 6;

fuzz_target!(|data: &[u8]| {
    let after_colons = data.split(|&byte| byte == b':').skip(1);
    if after_colons.map(digits).any(|count| count > SIZE_DIGITS_MAX) {
        return;
    }
    let of_bytes = consult_bytes(data);
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(terms) = consult(text) {
        let printed: String = terms.iter().map(|term| format!("{term}.\n")).collect();
        if printed.len() < PRINTED_BYTES_MAX {
            assert_eq!(consult(&printed).as_ref(), Ok(&terms));
        }
        // Without a comment that says otherwise, bytes are UTF-8.
        if !text.contains("coding") {
            assert_eq!(of_bytes.as_ref(), Ok(&terms));
        }
    }
    if let Ok(term) = parse_term(text) {
        let printed = term.to_string();
        assert!(!printed.contains('\n'));
        if printed.len() < PRINTED_BYTES_MAX {
            assert_eq!(parse_term(&printed).as_ref(), Ok(&term));
        }
        assert_eq!(decode(&encode(&term).into(), &limits()), Ok(term));
    }
});

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'_')).count()
}
