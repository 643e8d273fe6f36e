//! What stock nodes said once, read from the files.

use std::{collections::BTreeSet, fs, path::PathBuf};

use bytes::BytesMut;
use dist::{Encoded, Inbound, Limits, OPS, Op, Outbound, Received, Signal};
use etf::{DecodeLimits, Segments, Term};
use handshake::DistFlags;
use interop_tests::golden::{RELEASES, from_hex, to_hex};

use crate::scenarios::{Form, OWN, PEER, SCENARIOS, Scenario, Values};

/// What a node said in one scenario.
pub(crate) struct Captured {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// What was agreed on.
    pub(crate) flags: DistFlags,
    pub(crate) values: Values,
    /// With their lengths in front.
    pub(crate) frames: Vec<Vec<u8>>,
}

fn path(release: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/frames-{release}.txt"))
}

/// Writes the file of a release.
pub(crate) fn write(release: u32, all: &[Captured]) {
    let mut text = format!(
        "# Frames that OTP {release} sent to {OWN}; written by `cargo xtask golden`. Columns: what was said, the form of \
         the frames,\n# the flags agreed on, a list of what the frames name (term_to_binary), and the frames. `07*70` is \
         seventy times 07.\n"
    );
    for captured in all {
        let values = etf::encode(&Term::list(captured.values.0.clone()));
        let flags = format!("{:x}", captured.flags.bits());
        let mut columns =
            vec![captured.name.to_owned(), captured.form.name().to_owned(), flags, to_hex(&values)];
        columns.extend(captured.frames.iter().map(|frame| to_hex(frame)));
        text += &columns.join("\t");
        text.push('\n');
    }
    fs::write(path(release), text).unwrap_or_else(|error| panic!("{}: {error}", path(release).display()));
}

fn read(release: u32) -> Vec<Captured> {
    let path = path(release);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let captured = |line: &str| {
        let mut columns = line.split('\t');
        let (name, form) = (columns.next()?, columns.next()?);
        let flags = u64::from_str_radix(columns.next()?, 16).ok()?;
        let values = from_hex(columns.next()?)?;
        let values = etf::decode(&values.into(), &DecodeLimits::default()).ok()?;
        Some(Captured {
            name: SCENARIOS.iter().find(|scenario| scenario.name == name)?.name,
            form: Form::ALL.into_iter().find(|known| known.name() == form)?,
            flags: DistFlags::from_bits(flags),
            values: Values(values.as_list()?.to_vec()),
            frames: columns.map(from_hex).collect::<Option<_>>()?,
        })
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| captured(line).unwrap_or_else(|| panic!("{}: not frames: {line}", path.display())))
        .collect()
}

fn each(mut test: impl FnMut(u32, &Scenario, &Captured)) {
    for release in RELEASES {
        for captured in read(release) {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == captured.name);
            test(release, scenario.expect("it was found before"), &captured);
        }
    }
}

impl Captured {
    fn inbound(&self) -> Inbound {
        Inbound::new(OWN, PEER, self.flags, Limits::default())
    }

    fn signals(&self) -> Vec<Signal> {
        read_all(self.inbound(), &self.frames.concat())
    }
}

fn read_all(mut inbound: Inbound, bytes: &[u8]) -> Vec<Signal> {
    inbound.handle(bytes);
    let next = || match inbound.poll_output().expect("it is right") {
        Some(Received::Signal(signal)) => Some(signal),
        Some(Received::Tick) => panic!("ticks are not kept"),
        None => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn every_release_has_said_everything_in_every_form() {
    for release in RELEASES {
        let expected: Vec<_> = SCENARIOS
            .iter()
            .filter(|scenario| scenario.is_for(release))
            .flat_map(|scenario| scenario.forms.iter().map(|form| (scenario.name, *form)))
            .collect();
        let found: Vec<_> = read(release).iter().map(|captured| (captured.name, captured.form)).collect();
        assert_eq!(found, expected, "OTP {release}");
    }
}

#[test]
fn frames_are_read_as_what_they_mean() {
    each(|release, scenario, captured| {
        let signals = captured.signals();
        let expected = (scenario.hear)(&captured.values, &signals);
        assert_eq!(signals, expected, "OTP {release}: {} {:?}", captured.name, captured.form);
    });
}

/// A frame that ends too early, behind those that came before it, is never taken for a signal.
#[test]
fn frames_that_end_too_early_are_no_signals() {
    each(|release, _, captured| {
        for (at, frame) in captured.frames.iter().enumerate() {
            let before = captured.frames[..at].concat();
            let body = &frame[4..];
            // Long ones are long by the same byte again and again.
            for cut in (1..body.len()).filter(|cut| *cut < 2_000 || cut % 10_007 == 0) {
                let mut inbound = captured.inbound();
                inbound.handle(&before);
                while matches!(inbound.poll_output(), Ok(Some(_))) {}
                inbound.handle(&u32::try_from(cut).expect("short").to_be_bytes());
                inbound.handle(&body[..cut]);
                let came = inbound.poll_output();
                assert!(!matches!(came, Ok(Some(_))), "OTP {release}: {} {cut}: {came:?}", captured.name);
            }
        }
    });
}

/// Without a cache and fragments there is nothing to choose but the operation: ours are the same bytes.
#[test]
fn signals_are_written_as_each_release_writes_them() {
    each(|release, _, captured| {
        let is_fragmented = captured.frames.iter().any(|frame| frame[5] == 69);
        if !matches!(captured.form, Form::Plain | Form::Header) || is_fragmented {
            return;
        }
        for (signal, frame) in captured.signals().iter().zip(&captured.frames) {
            let mut out = BytesMut::new();
            let encoded = dist::encode_signal(signal, captured.flags, &mut out).expect("a short message");
            let what = format!("OTP {release}: {} {:?} {signal:?}", captured.name, captured.form);
            assert!(matches!(encoded, Encoded::Frame { .. }), "{what}");
            assert_eq!(out, frame[..], "{what}");
        }
    });
}

/// With a cache ours have other slots, and other fragments: they mean the same, and take no more room than
/// two atoms that have one slot may cost.
#[test]
fn signals_written_with_a_cache_mean_what_those_of_each_release_mean() {
    each(|release, _, captured| {
        let (mut outbound, mut out, mut bytes) = (Outbound::new(captured.flags), Segments::new(), Vec::new());
        let signals = captured.signals();
        for signal in &signals {
            let encoded = outbound.handle(signal).expect("a short message");
            assert!(matches!(encoded, Encoded::Frame { .. }), "{signal:?}");
        }
        while outbound.poll_output(&mut out) {
            out.chunks().for_each(|chunk| bytes.extend_from_slice(chunk));
            out.clear();
        }
        let theirs = captured.frames.concat().len();
        let what = format!("OTP {release}: {} {:?}", captured.name, captured.form);
        assert!(bytes.len() <= theirs + 8, "{what}: {} bytes where {theirs} do", bytes.len());
        assert_eq!(read_all(captured.inbound(), &bytes), signals, "{what}");
    });
}

/// The files have every operation that a release says: for `exit/2` none goes by a trace token.
#[test]
fn every_operation_is_in_the_files() {
    let mut seen = BTreeSet::new();
    each(|_, _, captured| {
        if captured.form == Form::Plain {
            for frame in &captured.frames {
                // A tuple of up to 255, and the operation in a byte.
                assert_eq!((&frame[4..7], frame[8]), (&[112, 131, 104][..], 97));
                seen.insert(Op::from_number(i64::from(frame[9])).expect("it was read"));
            }
        }
    });
    let missing: Vec<_> = OPS.iter().map(|row| row.op).filter(|op| !seen.contains(op)).collect();
    assert_eq!(missing, [Op::Exit2Tt, Op::PayloadExit2Tt]);
}
