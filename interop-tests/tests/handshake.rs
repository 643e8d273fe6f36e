//! The handshake, byte by byte (wire.md 12, items 16 to 20, 24, 25 and 27): the same bytes are said to `crabnode peer`
//! and to a stock `erl` of every release, and what is expected is what all of them do.

use std::time::Duration;

use interop_tests::clock::now;

mod handshake_support;
use handshake_support::{
    Challenge, FULL, Fakes, HANDSHAKE_23, MANDATORY_25_DIGEST, NAME_ME, OUR_CHALLENGE, PLAIN, PUBLISHED, Raw,
    Subject, ack, at_localhost, challenge, complement, each_subject, each_subject_with, framed, framed_4,
    name, old_name, reply, to_echo,
};

/// Plays the node that was dialled, up to the reply: which is right, and of which the ack is still to be said.
fn answer(subject: &Subject, raw: &mut Raw, alive: &str, flags: u64, extra: &[u8]) {
    let challenge = challenge(flags, OUR_CHALLENGE, 8, &at_localhost(alive));
    // Both at once, as they may come (wire.md 2.1).
    raw.send_bytes(&[framed(b"sok"), framed(&[&challenge, extra].concat())].concat());
    let message = raw.recv().expect("it replies");
    assert_eq!(message.len(), 21, "{}: {}", subject.what, message.escape_ascii());
    assert_eq!(message[0], b'r');
    assert_eq!(message[5..], subject.cookie().digest(OUR_CHALLENGE), "{}", subject.what);
    let theirs = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
    raw.send(&ack(subject.cookie().digest(theirs)));
}

#[test]
fn item_16_messages_to_the_node_that_is_dialled() {
    each_subject(|subject| {
        let mut raw = subject.dial();
        raw.send(&[name(FULL, 7, "x@localhost"), b"what a later release may say".to_vec()].concat());
        assert_eq!(raw.recv_text(), "sok", "{}", subject.what);
        let Challenge { flags, challenge, creation, name } = raw.recv_challenge();
        assert_eq!(name, "b@localhost");
        assert!(creation > 3, "{creation}");
        assert_eq!(flags & (PLAIN | PUBLISHED), (PLAIN & flags) | PUBLISHED, "visible, and as flags go");
        assert_eq!(
            flags & (NAME_ME | 1 << 15 | 1 << 21 | 1 << 36),
            0,
            "nothing that is never said: {flags:x}"
        );
        raw.send(&reply(subject.cookie().digest(challenge), 0));
        assert_eq!(raw.recv(), Some(ack(subject.cookie().digest(0))));
        // Each time another challenge.
        let mut another = subject.say_name("y", FULL);
        another.recv_text();
        assert_ne!(another.recv_challenge().challenge, challenge);
    });
}

#[test]
fn item_16_messages_of_the_node_that_dials() {
    each_subject(|subject| {
        let mut by = subject.join("by", PLAIN);
        let fakes = Fakes::register(&subject.cluster, &["x", "y", "z", "later"].map(String::from));
        subject.reach_out(&mut by, "x");
        let (mut raw, said) = fakes.accept();
        let (flags, rest) = handshake_support::numbers(&said, b'N');
        assert_eq!(flags & PUBLISHED, PUBLISHED, "{flags:x}");
        // The creation, then the name and nothing more.
        assert_eq!(rest[4..], framed(b"b@localhost"), "{}", subject.what);
        assert_eq!(subject.say_name("w", PLAIN).recv_text(), "sok");
        answer(subject, &mut raw, "x", PLAIN, b"what a later release may say");
        raw.echoes(1);

        // The challenge is another's: closed without a proof.
        subject.reach_out(&mut by, "y");
        let (mut raw, _) = fakes.accept();
        raw.send(b"sok");
        raw.send(&challenge(PLAIN, OUR_CHALLENGE, 8, "other@localhost"));
        raw.is_closed();
        // A status that nobody knows.
        subject.reach_out(&mut by, "z");
        let (mut raw, _) = fakes.accept();
        raw.send(b"ssoon");
        raw.is_closed();
        // What another attempt of ours would be told, where we had given that up.
        subject.reach_out(&mut by, "later");
        let (mut raw, _) = fakes.accept();
        raw.send(b"sok_simultaneous");
        raw.send(&challenge(PLAIN, OUR_CHALLENGE, 8, "later@localhost"));
        assert_eq!(raw.recv().map(|reply| reply.len()), Some(21));
    });
}

fn bits(flags: u64) -> impl Iterator<Item = u64> {
    (0..64).map(|bit| 1 << bit).filter(move |bit| flags & bit != 0)
}

#[test]
fn item_17_each_missing_flag_is_not_allowed() {
    each_subject(|subject| {
        for bit in bits(subject.mandatory()) {
            let mut raw = subject.say_name("x", FULL & !bit & !MANDATORY_25_DIGEST);
            assert_eq!(raw.recv_text(), "snot_allowed", "{}: {bit:x}", subject.what);
            raw.is_closed();
        }
        // Nothing else is missed, and what nobody knows is no harm. Without HANDSHAKE_23, OTP 23 would go on with
        // the handshake before that.
        for (alive, flags) in [("y", subject.mandatory() | HANDSHAKE_23), ("z", FULL | 1 << 63 | 1 << 27)] {
            subject.join(alive, flags);
        }
    });
}

#[test]
fn item_17_a_challenge_that_lacks_a_flag_is_not_answered() {
    each_subject(|subject| {
        let mut by = subject.join("by", PLAIN);
        let lacking: Vec<u64> = bits(subject.mandatory()).collect();
        let names: Vec<String> = lacking.iter().map(|bit| format!("x{bit:x}")).collect();
        let fakes = Fakes::register(&subject.cluster, &names);
        for (alive, bit) in names.iter().zip(lacking) {
            subject.reach_out(&mut by, alive);
            let (mut raw, _) = fakes.accept();
            raw.send(b"sok");
            let flags = FULL & !bit & !MANDATORY_25_DIGEST;
            raw.send(&challenge(flags, OUR_CHALLENGE, 8, &at_localhost(alive)));
            raw.is_closed();
        }
    });
}

#[test]
fn item_18_one_flag_stands_for_those_of_otp_25() {
    const BESIDE: u64 = 1 << 34 | 1 << 25;
    each_subject(|subject| {
        if subject.release.is_some_and(|release| release < 25) {
            // It does not know the flag.
            assert_eq!(subject.say_name("x", MANDATORY_25_DIGEST | BESIDE).recv_text(), "snot_allowed");
            return;
        }
        assert_eq!(subject.say_name("x", BESIDE).recv_text(), "snot_allowed");
        let mut raw = subject.join("x", MANDATORY_25_DIGEST | BESIDE);
        raw.send_frame(&to_echo("x@localhost", 1));
        raw.echoes(1);
        let fakes = Fakes::register(&subject.cluster, &["y".to_owned()]);
        subject.reach_out(&mut raw, "y");
        let (mut dialled, _) = fakes.accept();
        answer(subject, &mut dialled, "y", MANDATORY_25_DIGEST | BESIDE, b"");
        dialled.echoes(1);
    });
}

/// What is sent together with the last message of the handshake, and what is sent byte by byte.
#[test]
fn item_19_no_byte_is_lost_where_the_frames_begin() {
    const FRAMES: u8 = 40;
    let frames = |alive: &str| -> Vec<u8> {
        (0..FRAMES)
            .flat_map(|n| [framed_4(&to_echo(&at_localhost(alive), n)), framed_4(b"")].concat())
            .collect()
    };
    each_subject(|subject| {
        let cookie = subject.cookie();
        // Frames behind the reply, before there is an ack.
        let mut raw = subject.say_name("x", PLAIN);
        raw.recv_text();
        let theirs = raw.recv_challenge().challenge;
        let last = framed(&reply(cookie.digest(theirs), OUR_CHALLENGE));
        raw.send_bytes(&[last, frames("x")].concat());
        assert_eq!(raw.recv(), Some(ack(cookie.digest(OUR_CHALLENGE))));
        (0..FRAMES).for_each(|n| raw.echoes(n));
        // Frames behind the ack.
        let fakes = Fakes::register(&subject.cluster, &["y".to_owned()]);
        subject.reach_out(&mut raw, "y");
        let (mut dialled, _) = fakes.accept();
        dialled.send(b"sok");
        dialled.send(&challenge(PLAIN, OUR_CHALLENGE, 8, "y@localhost"));
        let said = dialled.recv().expect("it replies");
        let theirs = u32::from_be_bytes([said[1], said[2], said[3], said[4]]);
        dialled.send_bytes(&[framed(&ack(cookie.digest(theirs))), frames("y")].concat());
        // That for which it was dialled comes first.
        dialled.echoes(1);
        (0..FRAMES).for_each(|n| dialled.echoes(n));
        // All in pieces of one byte.
        let mut raw = subject.dial();
        let one_by_one = |raw: &mut Raw, bytes: &[u8]| bytes.chunks(1).for_each(|byte| raw.send_bytes(byte));
        one_by_one(&mut raw, &framed(&name(PLAIN, 7, "z@localhost")));
        assert_eq!(raw.recv_text(), "sok");
        let theirs = raw.recv_challenge().challenge;
        let last = framed(&reply(cookie.digest(theirs), OUR_CHALLENGE));
        one_by_one(&mut raw, &[last, framed_4(&to_echo("z@localhost", 3))].concat());
        assert_eq!(raw.recv(), Some(ack(cookie.digest(OUR_CHALLENGE))));
        raw.echoes(3);
    });
}

/// OTP 25 alone does not.
fn takes_old_names(subject: &Subject) -> bool {
    subject.release != Some(25)
}

/// The old name with its complement, which OTP 23 says where it does not know the version.
#[test]
fn item_20_the_old_name() {
    each_subject(|subject| {
        let mut raw = subject.dial();
        raw.send(&old_name(PLAIN, "x@localhost"));
        if !takes_old_names(subject) {
            return raw.is_closed();
        }
        assert_eq!(raw.recv_text(), "sok", "{}", subject.what);
        let theirs = raw.recv_challenge().challenge;
        raw.send(&complement(PLAIN, 7));
        raw.send(&reply(subject.cookie().digest(theirs), OUR_CHALLENGE));
        assert_eq!(raw.recv(), Some(ack(subject.cookie().digest(OUR_CHALLENGE))));
        raw.send_frame(&to_echo("x@localhost", 1));
        raw.echoes(1);
        // Without the flag that a complement follows.
        let flags = PLAIN & !HANDSHAKE_23;
        let mut raw = subject.dial();
        raw.send(&old_name(flags, "y@localhost"));
        if subject.release == Some(23) {
            // It still speaks the handshake before that, and is told in the old challenge.
            assert_eq!(raw.recv_text(), "sok");
        } else {
            assert_eq!(raw.recv_text(), "snot_allowed", "{}", subject.what);
        }
    });
}

#[test]
fn item_24_alive() {
    each_subject(|subject| {
        let mut first = subject.join("x", PLAIN);
        // The link is up a moment after the last word of the handshake.
        first.send_frame(&to_echo("x@localhost", 0));
        first.echoes(0);
        // Who does not mean it leaves the old link alone.
        let mut second = subject.say_name("x", PLAIN);
        assert_eq!(second.recv_text(), "salive", "{}", subject.what);
        second.send(b"sfalse");
        second.is_closed();
        first.send_frame(&to_echo("x@localhost", 1));
        first.echoes(1);
        // OTP 23 then waits for the old link to end by itself, before it goes on.
        if subject.release == Some(23) {
            return;
        }
        // So does who has no proof, and a third is not answered.
        let mut second = subject.say_name("x", PLAIN);
        assert_eq!(second.recv_text(), "salive", "{}", subject.what);
        let mut third = subject.say_name("x", PLAIN);
        third.is_closed();
        second.send(b"strue");
        let theirs = second.recv_challenge().challenge;
        second.send(&reply([0; 16], OUR_CHALLENGE ^ theirs));
        second.is_closed();
        first.send_frame(&to_echo("x@localhost", 2));
        first.echoes(2);
        let mut second = subject.say_name("x", PLAIN);
        assert_eq!(second.recv_text(), "salive");
        second.send(b"strue");
        subject.prove(&mut second);
        while first.recv_frame().is_some() {}
        second.send_frame(&to_echo("x@localhost", 3));
        second.echoes(3);
    });
}

/// At each place where the other side could stop, and for one who says a byte now and then.
#[test]
fn item_25_who_stalls_is_dropped_at_net_setuptime() {
    const SECONDS: Duration = Duration::from_secs(3);
    const LATE: Duration = Duration::from_secs(8);
    each_subject_with("[{kernel, [{net_setuptime, 3}]}].", |subject| {
        let since = now();
        let in_time = |raw: &mut Raw, what: &str| {
            raw.is_closed();
            let taken = since.elapsed();
            assert!(
                (SECONDS * 9 / 10..SECONDS + LATE).contains(&taken),
                "{}: {what}: {taken:?}",
                subject.what
            );
        };
        let mut silent = subject.dial();
        let mut half = subject.dial();
        half.send_bytes(b"\0\x20N\0");
        let mut named = subject.say_name("x", PLAIN);
        assert_eq!(named.recv_text(), "sok");
        named.recv_challenge();
        let mut old = subject.dial();
        if takes_old_names(subject) {
            old.send(&old_name(PLAIN, "y@localhost"));
            assert_eq!(old.recv_text(), "sok");
            old.recv_challenge();
        }
        in_time(&mut silent, "no name");
        in_time(&mut half, "half a name");
        in_time(&mut named, "no reply");
        in_time(&mut old, "no complement");
        // One who was told `alive`, and says no more.
        let mut up = subject.join("z", PLAIN);
        up.send_frame(&to_echo("z@localhost", 0));
        up.echoes(0);
        let since = now();
        let mut again = subject.say_name("z", PLAIN);
        assert_eq!(again.recv_text(), "salive");
        again.is_closed();
        assert!((SECONDS * 9 / 10..SECONDS + LATE).contains(&since.elapsed()), "{:?}", since.elapsed());
        up.send_frame(&to_echo("z@localhost", 1));
        up.echoes(1);
    });
}

#[test]
fn item_25_a_dialled_node_that_stalls_is_given_up() {
    const SECONDS: Duration = Duration::from_secs(3);
    const LATE: Duration = Duration::from_secs(8);
    each_subject_with("[{kernel, [{net_setuptime, 3}]}].", |subject| {
        let mut by = subject.join("by", PLAIN);
        let fakes = Fakes::register(&subject.cluster, &["x", "y"].map(String::from));
        for (alive, goes_on) in [("x", false), ("y", true)] {
            // Its time begins somewhere between these two: it asks EPMD and connects in it.
            let asked = now();
            subject.reach_out(&mut by, alive);
            let (mut raw, _) = fakes.accept();
            let accepted = now();
            if goes_on {
                raw.send(b"sok");
                raw.send(&challenge(PLAIN, OUR_CHALLENGE, 8, &at_localhost(alive)));
                assert_eq!(raw.recv().map(|reply| reply.len()), Some(21));
            }
            raw.is_closed();
            let (taken, since_accepted) = (asked.elapsed(), accepted.elapsed());
            assert!(taken >= SECONDS * 9 / 10, "{}: {taken:?}", subject.what);
            assert!(since_accepted < SECONDS + LATE, "{}: {since_accepted:?}", subject.what);
        }
    });
}

#[test]
fn item_27_names_that_are_none() {
    each_subject(|subject| {
        // Told so.
        for bad in ["a b@localhost", "a.b@localhost", "\u{e9}@localhost", "b@localhost"] {
            let latin1: String = bad.to_owned();
            let mut raw = subject.dial();
            let bytes: Vec<u8> = latin1.chars().map(|c| c as u8).collect();
            raw.send(&name_bytes(PLAIN, &bytes));
            assert_eq!(raw.recv_text(), "snok", "{}: {bad}", subject.what);
            raw.is_closed();
        }
        // Not even that.
        let long = format!("{}@localhost", "x".repeat(246));
        for bad in ["x", "", "@localhost", "x@", "x@y@localhost", &long] {
            let mut raw = subject.dial();
            raw.send(&name_bytes(PLAIN, bad.as_bytes()));
            raw.is_closed();
        }
        // A name longer than its frame, and frames that are none.
        let mut cut = name(PLAIN, 7, "x@localhost");
        cut.pop();
        for bad in [&cut[..], b"", b"N", b"q", b"n\0\x05", &[b'N'; 3000]] {
            let mut raw = subject.dial();
            raw.send(bad);
            raw.is_closed();
        }
        subject.join("x", PLAIN);
    });
}

fn name_bytes(flags: u64, text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short");
    [b"N", &flags.to_be_bytes()[..], &[0, 0, 0, 7], &length.to_be_bytes(), text].concat()
}
