//! The golden bytes of every release, cut anywhere and with any byte changed: an error or a whole term, never a panic,
//! and never more memory than the stated multiple of the bytes. Alone in its program, whose allocations are counted.

use std::{
    alloc::System,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;
use etf::{DecodeLimits, Term, decode, encode, serde::Options};
use interop_tests::golden::cases;
use serde::de::{DeserializeOwned, IgnoredAny};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What reading may take besides its multiple of the input: what shares the input, and an error with its details.
const FIXED_BYTES: usize = 1024;

/// What inflating takes besides: the window and the tables of the format.
const INFLATING_BYTES: usize = 128 << 10;

/// What a compressed term may inflate to here.
const INFLATED_BYTES_MAX: usize = 4096;

/// Every byte of a golden as short as this gets every other value.
const SHORT_BYTES: usize = 24;

/// Of a longer one so many bytes at either end get some values, and a few between.
const END_BYTES: usize = 20;

/// What byte of a longer one is changed to, besides one more, one less and each of its bits turned: tags, and ends of
/// lengths.
const VALUES: [u8; 10] = [0, 1, 255, 127, 106, 108, 104, 109, 116, 131];

/// One test, because what another allocates meanwhile would count.
#[test]
fn damaged_bytes_are_errors_or_terms_within_limits() {
    let goldens: BTreeSet<Vec<u8>> = cases().into_iter().map(|case| case.bytes).collect();
    let mut reader = DamageReader::default();
    for bytes in &goldens {
        for end in places(bytes.len()) {
            reader.read(&bytes[..end]);
        }
        let mut changed = bytes.clone();
        for at in places(bytes.len()) {
            for value in values(bytes[at], bytes.len()) {
                changed[at] = value;
                reader.read(&changed);
            }
            changed[at] = bytes[at];
        }
    }
    // They were not all refused at the first byte, nor all taken.
    assert!(reader.terms > 50_000 && reader.errors > 100_000, "{} and {}", reader.terms, reader.errors);
}

/// Where a golden is changed or cut.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |&at| {
        len <= SHORT_BYTES || at < END_BYTES || at + END_BYTES >= len || at.is_multiple_of(len / 8 + 1)
    })
}

/// What a byte is changed to.
fn values(byte: u8, len: usize) -> BTreeSet<u8> {
    let mut values: BTreeSet<u8> = if len <= SHORT_BYTES {
        (0..=255).collect()
    } else {
        let near = [byte.wrapping_add(1), byte.wrapping_sub(1)];
        VALUES.into_iter().chain(near).chain((0..8).map(|bit| byte ^ 1 << bit)).collect()
    };
    values.remove(&byte);
    values
}

/// Reads in every way there is.
#[derive(Default)]
struct DamageReader {
    terms: usize,
    errors: usize,
}

impl DamageReader {
    fn read(&mut self, bytes: &[u8]) {
        let limits = DecodeLimits { inflated_bytes_max: INFLATED_BYTES_MAX, ..Default::default() };
        let input = Bytes::copy_from_slice(bytes);
        let decoded = within_limits(bytes, "decode", || decode(&input, &limits));
        // The same by serde: into terms, and in turn into nothing and into types of some shapes.
        let options = Options { limits, ..Default::default() };
        let same = by_serde::<Term>(&options, bytes);
        assert_eq!(same.as_ref(), decoded.as_ref().ok(), "{bytes:02x?}");
        match (self.terms + self.errors) % 4 {
            // Names are not looked at there, so that more is passed over than is read.
            0 => {
                let passed_over = by_serde::<IgnoredAny>(&options, bytes).is_some();
                assert!(passed_over || decoded.is_err(), "{bytes:02x?}");
            }
            1 => drop(by_serde::<BTreeMap<String, Vec<i64>>>(&options, bytes)),
            2 => drop(by_serde::<Vec<(f64, Option<String>)>>(&options, bytes)),
            _ => drop(by_serde::<(Box<str>, Vec<char>, Option<Term>)>(&options, bytes)),
        }
        match decoded {
            Ok(term) => {
                self.terms += 1;
                assert_eq!(decode(&encode(&term).into(), &DecodeLimits::default()), Ok(term), "{bytes:02x?}");
            }
            Err(_) => self.errors += 1,
        }
    }
}

fn by_serde<T: DeserializeOwned>(options: &Options, bytes: &[u8]) -> Option<T> {
    within_limits(bytes, std::any::type_name::<T>(), || options.from_bytes(bytes).ok())
}

/// Runs it and counts all that is allocated, also what is freed before the end.
fn within_limits<T>(bytes: &[u8], what: &str, run: impl FnOnce() -> T) -> T {
    let region = Region::new(ALLOCATOR);
    let result = run();
    let taken = region.change().bytes_allocated;
    let inflated = if bytes.get(1) == Some(&80) { INFLATED_BYTES_MAX } else { 0 };
    let fixed = FIXED_BYTES + if inflated > 0 { INFLATING_BYTES } else { 0 };
    let most = DecodeLimits::BYTES_PER_BYTE_MAX * (bytes.len() + inflated) + fixed;
    assert!(taken <= most, "{what} takes {taken} bytes of memory, more than {most}: {bytes:02x?}");
    result
}
