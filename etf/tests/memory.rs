//! What a term may cost while it is decoded, measured from outside. Alone in its program, so that nothing else
//! takes memory meanwhile.
#![cfg(target_os = "linux")]

use bytes::Bytes;
use crabnode_etf::{DecodeLimits, decode};

/// The most memory this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux has the peak");
    let kib: usize =
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB");
    kib * 1024
}

/// Noise of the allocator and the test harness.
const SLACK_BYTES: usize = 4 << 20;

#[test]
fn memory_stays_a_multiple_of_the_input() {
    let limits = DecodeLimits::default();
    let len = 1 << 20;
    let fill = |head: &[u8], unit: &[u8]| {
        let mut bytes = [&[131], head].concat();
        while bytes.len() < len {
            bytes.extend_from_slice(unit);
        }
        Bytes::from(bytes)
    };
    // From the cheap to the dear, because the peak only grows. First what promises more than it holds.
    let lies = [
        fill(&[], &[108, 255, 255, 255, 255]),
        fill(&[], &[108, 0, 7, 0xff, 0xff]),
        fill(&[], &[105, 0, 7, 0xff, 0xff]),
        fill(&[], &[116, 0, 3, 0xff, 0xff]),
        fill(&[67, 0, 3, 0xff, 0xff, 0, 119, 0, 119, 0], &[119, 0]),
    ];
    for input in lies {
        let before = peak();
        decode(&input, &limits).expect_err("promises more than it holds");
        let grown = peak() - before;
        assert!(grown < DecodeLimits::BYTES_PER_BYTE_MAX * len, "{grown} bytes for {len}");
    }
    let units: [&[u8]; 7] = [
        &[106],
        &[104, 0],
        &[104, 1, 106],
        &[107, 0, 1, 0],
        &[113, 119, 0, 119, 0, 97, 0],
        &[77, 0, 0, 0, 1, 1, 0],
        &[90, 0, 1, 119, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for unit in units {
        let before = peak();
        let mut bytes = fill(&[108, 0, 0, 0, 0], unit).to_vec();
        let count = u32::try_from((bytes.len() - 6) / unit.len()).expect("fits");
        bytes[2..6].copy_from_slice(&count.to_be_bytes());
        bytes.push(106);
        let term = decode(&bytes.into(), &limits).expect("a list");
        let grown = peak() - before;
        assert!(
            grown < DecodeLimits::BYTES_PER_BYTE_MAX * len + SLACK_BYTES,
            "{unit:?}: {grown} bytes for {len}"
        );
        assert_eq!(term.as_list().map(<[_]>::len), Some(count as usize));
    }
    let before = peak();
    let mut nested = fill(&[], &[104, 1]).to_vec();
    nested.push(106);
    decode(&nested.into(), &limits).expect("tuples in each other");
    let grown = peak() - before;
    assert!(grown < DecodeLimits::BYTES_PER_BYTE_MAX * len + SLACK_BYTES, "{grown} bytes for {len}");
    let before = peak();
    let mut cells = fill(&[], &[108, 0, 0, 0, 1, 106]).to_vec();
    cells.push(106);
    decode(&cells.into(), &limits).expect("a list cell by cell");
    let grown = peak() - before;
    assert!(grown < DecodeLimits::BYTES_PER_BYTE_MAX * len + SLACK_BYTES, "{grown} bytes for {len}");
}
