use super::*;

fn alive() -> Alive2 {
    Alive2 {
        port: 0x1267,
        node_type: NodeType::Normal,
        protocol: 0,
        high: 6,
        low: 5,
        name: Bytes::from_static(b"ab"),
        extra: Bytes::from_static(b"\0x"),
    }
}

const ALIVE_BODY: &[u8] = b"x\x12\x67M\0\0\x06\0\x05\0\x02ab\0\x02\0x";

#[test]
fn requests_bytes() {
    let cases: [(Request, &[u8]); 6] = [
        (Request::Alive2(alive()), ALIVE_BODY),
        (Request::Port2 { name: "ab".into() }, b"zab"),
        (Request::Names, b"n"),
        (Request::Dump, b"d"),
        (Request::Kill, b"k"),
        (Request::Stop { name: Bytes::from_static(b"ab") }, b"sab"),
    ];
    for (request, body) in cases {
        let bytes = request.encode();
        assert_eq!(&bytes[..2], (body.len() as u16).to_be_bytes());
        assert_eq!(&bytes[2..], body);
        assert_eq!(Request::size(&bytes), Ok(Some(bytes.len())));
        assert_eq!(Request::parse(body), Ok(request));
    }
}

#[test]
fn request_sizes() {
    assert_eq!(Request::size(b""), Ok(None));
    assert_eq!(Request::size(b"\0"), Ok(None));
    assert_eq!(Request::size(b"\0\0"), Err(RequestError::Size(0)));
    assert_eq!(Request::size(&3057u16.to_be_bytes()), Ok(Some(3059)));
    assert_eq!(Request::size(&3058u16.to_be_bytes()), Err(RequestError::Size(3058)));
}

#[test]
fn truncated_registrations_are_refused() {
    for end in 0..ALIVE_BODY.len() {
        assert!(Request::parse(&ALIVE_BODY[..end]).is_err());
    }
    // More bytes than the fields need are no fault.
    assert_eq!(Request::parse(&[ALIVE_BODY, b"more"].concat()), Ok(Request::Alive2(alive())));
}

#[test]
fn bad_names() {
    let register = |name: &'static [u8]| {
        let request = Request::Alive2(Alive2 { name: Bytes::from_static(name), ..alive() });
        Request::parse(&request.encode()[2..])
    };
    assert_eq!(register(b""), Err(RequestError::BadName));
    assert_eq!(register(b"a\0b"), Err(RequestError::BadName));
    // The registry refuses these with an answer.
    assert!(register(b"\xff").is_ok());

    let lookup = |name: &[u8]| Request::parse(&[b"z", name].concat());
    assert_eq!(lookup(b"ab\0"), Ok(Request::Port2 { name: "ab".into() }));
    assert_eq!(lookup("å".as_bytes()), Ok(Request::Port2 { name: "å".into() }));
    for bad in [&b""[..], b"\0", b"a\0b", b"ab\0\0", b"\xff", &b"x".repeat(256)] {
        assert_eq!(lookup(bad), Err(RequestError::BadName));
    }
    assert!(lookup(&b"x".repeat(255)).is_ok());
}

#[test]
fn other_requests() {
    assert_eq!(Request::parse(b"namesplease"), Ok(Request::Names));
    assert_eq!(Request::parse(b"s"), Err(RequestError::Malformed(1)));
    assert_eq!(Request::parse(b"sab\0c"), Ok(Request::Stop { name: Bytes::from_static(b"ab") }));
    assert_eq!(Request::parse(b"q"), Err(RequestError::Unknown(b'q')));
}

#[test]
fn alive_replies_bytes() {
    let big = Alive2Reply::Big { result: 0, creation: 0x0102_0304 };
    let small = Alive2Reply::Small { result: 1, creation: 99 };
    for (reply, bytes) in [(big, &b"v\0\x01\x02\x03\x04"[..]), (small, b"y\x01\0\x63")] {
        assert_eq!(&reply.encode()[..], bytes);
        assert_eq!(Alive2Reply::size(bytes[0]), Ok(bytes.len()));
        assert_eq!(Alive2Reply::parse(bytes), Ok(reply));
        for end in 0..bytes.len() {
            assert!(Alive2Reply::parse(&bytes[..end]).is_err());
        }
    }
    assert_eq!((big.result(), big.creation()), (0, 0x0102_0304));
    assert_eq!((small.result(), small.creation()), (1, 99));
    assert!(Alive2Reply::size(b'w').is_err());
}

#[test]
fn port_replies_bytes() {
    let node = NodeEntry {
        name: "ab".into(),
        port: 0x1267,
        node_type: NodeType::Hidden,
        protocol: 0,
        high: 6,
        low: 5,
        extra: Bytes::from_static(b"\0x"),
    };
    let found = Port2Reply::Found(node);
    let bytes = b"w\0\x12\x67H\0\0\x06\0\x05\0\x02ab\0\x02\0x";
    assert_eq!(&found.encode()[..], bytes);
    assert_eq!(Port2Reply::parse(bytes), Ok(found));
    for end in 0..bytes.len() {
        assert!(Port2Reply::parse(&bytes[..end]).is_err());
    }
    assert!(Port2Reply::parse(b"w\0\x12\x67H\0\0\x06\0\x05\0\x02\xff\xff\0\0").is_err());

    let missing = Port2Reply::NotFound { result: 1 };
    assert_eq!(&missing.encode()[..], b"w\x01");
    assert_eq!(Port2Reply::parse(b"w\x01"), Ok(missing));
}

#[test]
fn names_replies_bytes() {
    let reply = NamesReply { epmd_port: 4369, nodes: vec![("b at port 1".into(), 4711), ("å".into(), 0)] };
    let bytes = "\0\0\x11\x11name b at port 1 at port 4711\nname å at port 0\n".as_bytes();
    assert_eq!(&reply.encode()[..], bytes);
    assert_eq!(NamesReply::parse(bytes), Ok(reply));
    assert_eq!(NamesReply::parse(b"\0\0\x11\x11"), Ok(NamesReply { epmd_port: 4369, nodes: vec![] }));
    for bad in [&b"\0\0\x11"[..], b"\0\0\x11\x11nam", b"\0\0\x11\x11name a at port 65536\n"] {
        assert!(NamesReply::parse(bad).is_err());
    }
}

#[test]
fn dump_replies_bytes() {
    let text = DumpReply::active_line("a", 1, 7) + &DumpReply::old_line("b", 2, 8);
    let reply = DumpReply { epmd_port: 4369, text: text.into() };
    let bytes =
        b"\0\0\x11\x11active name     <a> at port 1, fd = 7\n\0old/unused name <b>, port = 2, fd = 8 \n\0";
    assert_eq!(&reply.encode()[..], bytes);
    assert_eq!(DumpReply::parse(bytes), Ok(reply));
}

#[test]
fn node_types() {
    for code in [0, b'H', b'M', 255] {
        assert_eq!(NodeType::from_code(code).code(), code);
    }
}
