//! The golden bytes of `interop-tests/golden`: what OTP releases made of every kind of term, read from their files.
//!
//! `golden.erl` there wrote them and says what each column is; `cargo xtask golden` runs it.

use std::{fmt::Write, fs, path::Path};

use etf::{EncodeOptions, MinorVersion};

/// The releases that there are files of, oldest first.
pub const RELEASES: [u32; 4] = [23, 25, 27, 29];

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The release whose file it is from.
    pub release: u32,
    /// What it is called there.
    pub name: String,
    /// How it came to be.
    pub made: Made,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the release writes after reading them, with `minor_version` 2 and, from 25 on, `deterministic`; nothing
    /// where it refuses them.
    pub normal: Option<Vec<u8>>,
    /// Its text, where that reads back.
    pub text: Option<String>,
}

/// How the bytes of a case came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// By others, by hand.
    ByHand,
    /// By the release's `term_to_binary/2`.
    Written(Written),
}

/// What `term_to_binary/2` was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// The options as text.
    pub options: String,
    /// `deterministic`.
    pub deterministic: bool,
    /// `local`.
    pub local: bool,
    /// What we have for the others.
    pub ours: EncodeOptions,
}

/// All cases of all releases.
///
/// # Panics
/// Where a file cannot be read.
pub fn cases() -> Vec<Case> {
    RELEASES.into_iter().flat_map(cases_of).collect()
}

/// All cases of one release.
///
/// # Panics
/// Where its file cannot be read.
pub fn cases_of(release: u32) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/otp-{release}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split('\n')
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| case(release, line).unwrap_or_else(|| panic!("{}: not a case: {line}", path.display())))
        .collect()
}

fn case(release: u32, line: &str) -> Option<Case> {
    let columns: Vec<&str> = line.split('\t').collect();
    let &[name, made, bytes, normal, text] = columns.as_slice() else { return None };
    Some(Case {
        release,
        name: name.to_owned(),
        made: if made == "read" { Made::ByHand } else { Made::Written(written(release, made)?) },
        bytes: from_hex(bytes)?,
        normal: if normal == "refused" { None } else { Some(from_hex(normal)?) },
        text: (!text.is_empty()).then(|| text.to_owned()),
    })
}

fn written(release: u32, options: &str) -> Option<Written> {
    let mut written = Written { options: options.to_owned(), ..Default::default() };
    // What a release writes when it is told nothing.
    written.ours.minor_version = if release < 26 { MinorVersion::V1 } else { MinorVersion::V2 };
    let inner = options.strip_prefix('[')?.strip_suffix(']')?;
    for option in inner.replace("},", "} ").split(' ').filter(|text| !text.is_empty()) {
        match option {
            "compressed" => written.ours.compressed = EncodeOptions::COMPRESSED,
            "{compressed,1}" => written.ours.compressed = 1,
            "{compressed,9}" => written.ours.compressed = 9,
            "{minor_version,0}" => written.ours.minor_version = MinorVersion::V0,
            "{minor_version,1}" => written.ours.minor_version = MinorVersion::V1,
            "{minor_version,2}" => written.ours.minor_version = MinorVersion::V2,
            "deterministic" => written.deterministic = true,
            "local" => written.local = true,
            _ => return None,
        }
    }
    Some(written)
}

/// Pairs of hex digits; `61*70` stands for seventy times `61`. Nothing for other text.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
        let unit: Option<Vec<u8>> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        bytes.extend(unit?.repeat(count.parse().ok()?));
    }
    Some(bytes)
}

/// As [`from_hex`] reads it; many equal bytes are one word.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        if run.len() >= RUN_MIN {
            let _ = write!(text, " {:02x}*{} ", run[0], run.len());
        } else {
            for byte in run {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
    text.trim().to_owned()
}

/// From how many equal bytes on their number is shorter than they are, and worth a break.
const RUN_MIN: usize = 16;
