use proptest::prelude::*;

use super::*;

fn name() -> Name {
    Name { flags: DistFlags::from_bits(0xd_07df_7fbd), creation: Creation(0x0102_0304), name: "a@hé".into() }
}

fn challenge() -> Challenge {
    Challenge {
        flags: DistFlags::from_bits(0xd_07df_7fbd),
        challenge: 0xfffe_fdfc,
        creation: Creation(7),
        name: "b@h".into(),
    }
}

#[test]
fn name_bytes() {
    let bytes = b"N\0\0\0\x0d\x07\xdf\x7f\xbd\x01\x02\x03\x04\0\x04a@h\xe9";
    assert_eq!(&name().encode()[..], bytes);
    assert_eq!(AnyName::parse(bytes), Ok(AnyName::New(name())));
}

#[test]
fn old_name_bytes() {
    let old = OldName { flags_low: 0x01df_7fbc, name: "a@hé".into() };
    let bytes = b"n\0\x05\x01\xdf\x7f\xbca@h\xe9";
    assert_eq!(&old.encode()[..], bytes);
    assert_eq!(AnyName::parse(bytes), Ok(AnyName::Old(old)));
    let other_version = b"n\0\x06\x01\xdf\x7f\xbca@h";
    assert!(matches!(AnyName::parse(other_version), Err(MessageError::Malformed { .. })));
}

#[test]
fn status_bytes() {
    let named = Status::Named { name: "x@hé".into(), creation: Creation(9) };
    let cases: [(Status, &[u8]); 7] = [
        (Status::Ok, b"sok"),
        (Status::OkSimultaneous, b"sok_simultaneous"),
        (Status::Nok, b"snok"),
        (Status::NotAllowed, b"snot_allowed"),
        (Status::Alive, b"salive"),
        (named.clone(), b"snamed:\0\x05x@h\xc3\xa9\0\0\0\x09"),
        (Status::Unknown(Bytes::from_static(b"okay")), b"sokay"),
    ];
    for (status, bytes) in cases {
        assert_eq!(&status.encode()[..], bytes);
        assert_eq!(Status::parse(bytes), Ok(status));
    }
    assert_eq!(Status::parse(b"snamed:\0\x05x@h\xc3\xa9\0\0\0\x09more"), Ok(named));
    assert_eq!(Status::parse(b"s"), Ok(Status::Unknown(Bytes::new())));
}

#[test]
fn status_reply_bytes() {
    for (reply, bytes) in [(StatusReply::True, &b"strue"[..]), (StatusReply::False, b"sfalse")] {
        assert_eq!(&reply.encode()[..], bytes);
        assert_eq!(StatusReply::parse(bytes), Ok(reply));
    }
    assert!(StatusReply::parse(b"strue ").is_err());
}

#[test]
fn challenge_bytes() {
    let bytes = b"N\0\0\0\x0d\x07\xdf\x7f\xbd\xff\xfe\xfd\xfc\0\0\0\x07\0\x03b@h";
    assert_eq!(&challenge().encode()[..], bytes);
    assert_eq!(Challenge::parse(bytes), Ok(challenge()));
}

#[test]
fn complement_reply_and_ack_bytes() {
    let complement = Complement { flags_high: 0xd, creation: Creation(5) };
    assert_eq!(&complement.encode()[..], b"c\0\0\0\x0d\0\0\0\x05");
    assert_eq!(Complement::parse(&complement.encode()), Ok(complement));

    let reply = Reply { challenge: 0x0a0b_0c0d, digest: *b"0123456789abcdef" };
    assert_eq!(&reply.encode()[..], b"r\x0a\x0b\x0c\x0d0123456789abcdef");
    assert_eq!(Reply::parse(&reply.encode()), Ok(reply));

    let ack = Ack { digest: *b"0123456789abcdef" };
    assert_eq!(&ack.encode()[..], b"a0123456789abcdef");
    assert_eq!(Ack::parse(&ack.encode()), Ok(ack));
}

#[test]
fn bytes_after_the_name_are_ignored() {
    let with_extra = |bytes: Bytes| [&bytes[..], b"extra"].concat();
    assert_eq!(AnyName::parse(&with_extra(name().encode())), Ok(AnyName::New(name())));
    assert_eq!(Challenge::parse(&with_extra(challenge().encode())), Ok(challenge()));
    // The others have one length only.
    assert!(Ack::parse(b"a0123456789abcdefX").is_err());
    assert!(Reply::parse(b"r\0\0\0\x010123456789abcdefX").is_err());
    assert!(Complement::parse(b"c\0\0\0\x0d\0\0\0\x05X").is_err());
}

#[test]
fn every_truncation_is_refused() {
    fn check<T: std::fmt::Debug>(bytes: Bytes, parse: fn(&[u8]) -> Result<T, MessageError>) {
        for end in 0..bytes.len() {
            assert!(parse(&bytes[..end]).is_err(), "{:?} up to {end}", bytes);
        }
    }
    check(name().encode(), AnyName::parse);
    check(challenge().encode(), Challenge::parse);
    check(Complement { flags_high: 1, creation: Creation(5) }.encode(), Complement::parse);
    check(Reply { challenge: 1, digest: [1; 16] }.encode(), Reply::parse);
    check(Ack { digest: [1; 16] }.encode(), Ack::parse);
    check(StatusReply::True.encode(), StatusReply::parse);
    // A status is any text, so only the one with fields can be cut short.
    let named = Status::Named { name: "x@h".into(), creation: Creation(9) }.encode();
    for end in b"snamed:".len()..named.len() {
        assert!(Status::parse(&named[..end]).is_err());
    }
}

#[test]
fn wrong_first_bytes_are_told() {
    let expected = MessageKind::Reply;
    assert_eq!(Reply::parse(b""), Err(MessageError::Empty { expected }));
    assert_eq!(Reply::parse(b"ahoy"), Err(MessageError::WrongTag { expected, got: b'a' }));
    assert_eq!(AnyName::parse(b"R"), Err(MessageError::WrongTag { expected: MessageKind::Name, got: b'R' }));
}

proptest! {
    #[test]
    fn names_round_trip(flags: u64, creation: u32, challenge: u32, name in "[\u{1}-\u{ff}]{0,255}") {
        let flags = DistFlags::from_bits(flags);
        let creation = Creation(creation);
        let hello = Name { flags, creation, name: name.clone() };
        prop_assert_eq!(AnyName::parse(&hello.encode()), Ok(AnyName::New(hello)));
        let challenge = Challenge { flags, challenge, creation, name: name.clone() };
        prop_assert_eq!(Challenge::parse(&challenge.encode()), Ok(challenge));
        let old = OldName { flags_low: flags.bits() as u32, name };
        prop_assert_eq!(AnyName::parse(&old.encode()), Ok(AnyName::Old(old)));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = AnyName::parse(&bytes);
        let _ = Status::parse(&bytes);
        let _ = StatusReply::parse(&bytes);
        let _ = Challenge::parse(&bytes);
        let _ = Complement::parse(&bytes);
        let _ = Reply::parse(&bytes);
        let _ = Ack::parse(&bytes);
    }
}
