//! Rust values to terms and back, by serde.
#![cfg(feature = "serde")]

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use crabnode_etf::{
    Atom, BigInt, Binary, DecodeErrorReason, DecodeLimits, Map, Pid, Port, Reference, Term, encode,
    serde::{
        Absent, ErrorReason, Names, Options, Segment, Strings, Structs,
        elixir::{Date, DateTime, NaiveDateTime, Range, Time},
        from_bytes, from_term, to_term, to_vec, to_writer,
    },
    term,
    text::parse_term,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

fn parsed(text: &str) -> Term {
    parse_term(text).unwrap()
}

/// From a term and from its bytes comes the same.
fn read<T: DeserializeOwned + PartialEq + std::fmt::Debug>(term: &Term) -> T {
    read_with(&Options::default(), term)
}

fn read_with<T: DeserializeOwned + PartialEq + std::fmt::Debug>(options: &Options, term: &Term) -> T {
    let from_bytes = options.from_bytes(&encode(term)).unwrap_or_else(|error| panic!("{term}: {error}"));
    let from_term: T = options.from_term(term).unwrap_or_else(|error| panic!("{term}: {error}"));
    assert_eq!(from_bytes, from_term, "{term}");
    from_bytes
}

/// What is wrong, which from a term and from its bytes is the same but for the offset.
fn refused<T: DeserializeOwned>(term: &Term) -> String {
    let bytes = encode(term);
    let from_bytes = from_bytes::<T>(&bytes).map(|_| ()).unwrap_err();
    let from_term = from_term::<T>(term).map(|_| ()).unwrap_err();
    let text = from_bytes.to_string();
    let (_, without_offset) = text.split_once(", ").unwrap();
    let from_term = from_term.to_string();
    assert_eq!(without_offset.strip_prefix("root: ").unwrap_or(without_offset), from_term);
    text
}

/// The value is written as this term, in the bytes that a BEAM writes for it but for the order of keys, and read back
/// from there.
fn both<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, text: &str) {
    let term = parsed(text);
    assert_eq!(to_term(value).unwrap(), term);
    if !text.contains("#{") {
        assert_eq!(to_vec(value).unwrap(), encode(&term), "{text}");
    }
    assert_eq!(&read::<T>(&term), value);
}

#[test]
fn numbers() {
    both(&0_u8, "0");
    both(&255_u8, "255");
    both(&-128_i8, "-128");
    both(&256_i32, "256");
    both(&i64::MIN, "-9223372036854775808");
    both(&u64::MAX, "18446744073709551615");
    both(&u128::MAX, "340282366920938463463374607431768211455");
    both(&i128::MIN, "-170141183460469231731687303715884105728");
    both(&i128::MAX, "170141183460469231731687303715884105727");
    both(&-1_i128, "-1");
    both(&1.5_f64, "1.5");
    both(&-0.0_f32, "-0.0");
    both(&'a', "97");
    both(&'日', "26085");
    assert_eq!(read::<f64>(&parsed("3")), 3.0);
    assert_eq!(read::<char>(&parsed("<<\"a\">>")), 'a');
    assert_eq!(read::<char>(&parsed("\"é\"")), 'é');
    assert_eq!(refused::<u8>(&parsed("256")), "at byte 1, root: invalid value: integer `256`, expected u8");
    assert_eq!(refused::<u8>(&parsed("-1")), "at byte 1, root: invalid value: integer `-1`, expected u8");
    assert_eq!(refused::<i64>(&parsed("1.0")), "at byte 1, root: expected i64, found the float 1");
    assert_eq!(refused::<u64>(&parsed("ok")), "at byte 1, root: expected u64, found the atom ok");
    let wide = format!("1{}", "0".repeat(40));
    assert!(refused::<u128>(&parsed(&wide)).ends_with("found an integer of more than 128 bits"));
    assert!(
        refused::<u128>(&parsed("-340282366920938463463374607431768211455"))
            .ends_with("of more than 128 bits")
    );
    assert!(matches!(to_vec(&f64::NAN).unwrap_err().reason(), ErrorReason::FloatNotFinite));
}

#[test]
fn text_and_bytes() {
    both(&"text".to_owned(), "<<\"text\">>");
    both(&String::new(), "<<>>");
    both(&"日本".to_owned(), "<<\"日本\"/utf8>>");
    both(&vec!["a".to_owned()], "[<<\"a\">>]");
    for text in ["\"text\"", "text", "<<\"text\">>", "[116 | \"ext\"]"] {
        assert_eq!(read::<String>(&parsed(text)), "text", "{text}");
    }
    assert_eq!(read::<String>(&parsed("[]")), "");
    assert_eq!(read::<String>(&parsed("\"é日\"")), "é日");
    assert_eq!(read::<String>(&parsed("\"é\"")), "é");
    assert_eq!(refused::<String>(&parsed("nil")), "at byte 1, root: expected a string, found the atom nil");
    assert_eq!(refused::<String>(&parsed("[a]")), "at byte 6, root: expected a string, found the atom a");
    assert_eq!(
        refused::<String>(&parsed("[1114112]")),
        "at byte 6, root: expected a string, found the integer 1114112"
    );
    assert_eq!(
        refused::<String>(&parsed("<<255>>")),
        "at byte 1, root: expected a string, found a binary of 1 bytes"
    );
    assert!(refused::<String>(&parsed("[256 | b]")).ends_with("found the atom b"));

    let charlists = Options { strings: Strings::Charlist, ..Options::default() };
    assert_eq!(charlists.to_term("é日").unwrap(), Term::charlist("é日"));
    assert_eq!(charlists.to_vec("abc").unwrap(), encode(&Term::charlist("abc")));
    assert_eq!(charlists.to_term("").unwrap(), Term::NIL);
    assert_eq!(charlists.to_term(&Binary::from("abc")).unwrap(), Term::binary("abc"));

    // Without more, serde takes bytes for numbers.
    both(&vec![1_u8, 2, 255], "[1, 2, 255]");
    assert_eq!(to_vec(&vec![7_u8; 65_535]).unwrap(), encode(&Term::list(vec![7.into(); 65_535])));
    assert_eq!(to_vec(&vec![7_u8; 65_536]).unwrap(), encode(&Term::list(vec![7.into(); 65_536])));
    assert_eq!(read::<Vec<u8>>(&parsed("<<1, 2>>")), [1, 2]);
    assert_eq!(read::<[u8; 2]>(&parsed("<<1, 2>>")), [1, 2]);
    assert!(refused::<[u8; 2]>(&parsed("<<1, 2, 3>>")).ends_with("expected 2 elements, found 3"));
    both(&Binary::from(&[1, 2][..]), "<<1, 2>>");

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct As {
        #[serde(with = "crabnode_etf::serde::bytes")]
        bytes: Vec<u8>,
        #[serde(with = "crabnode_etf::serde::charlist")]
        list: String,
        #[serde(with = "crabnode_etf::serde::bigint")]
        big: BigInt,
    }
    let value = As { bytes: vec![1, 255], list: "é".into(), big: BigInt::from(2).pow(200) };
    both(&value, &format!("#{{bytes => <<1, 255>>, list => [233], big => {}}}", value.big));
    let json = serde_json::to_string(&value).unwrap();
    assert_eq!(json, format!(r#"{{"bytes":[1,255],"list":"é","big":"{}"}}"#, value.big));
}

#[test]
fn nothing_and_something() {
    both(&None::<u8>, "nil");
    both(&Some(1_u8), "1");
    both(&vec![Some(1_u8), None], "[1, nil]");
    both(&(), "ok");
    both(&true, "true");
    both(&false, "false");
    assert_eq!(Options::erlang().to_term(&None::<u8>).unwrap(), term!(undefined));
    let undefined = Options { none: Absent::Undefined, ..Options::default() };
    assert_eq!(undefined, Options::erlang());
    assert_eq!(read::<Option<u8>>(&term!(undefined)), None);
    for unit in ["ok", "nil", "undefined", "{}", "[]"] {
        read::<()>(&parsed(unit));
    }
    assert_eq!(refused::<()>(&term!(error)), "at byte 1, root: expected unit, found the atom error");
    assert_eq!(refused::<bool>(&term!(1)), "at byte 1, root: expected a boolean, found the integer 1");
}

#[test]
fn lists_and_tuples() {
    both(&(1_u8, "a".to_owned(), Some(true)), "{1, <<\"a\">>, true}");
    both(&[1_u16, 300], "{1, 300}");
    both(&vec![300, -1], "[300, -1]");
    both(&Vec::<u16>::new(), "[]");
    both(&vec![vec![1_u8], vec![]], "[[1], []]");
    assert_eq!(read::<Vec<u16>>(&parsed("{1, 300}")), [1, 300]);
    assert_eq!(read::<(u8, u8)>(&parsed("[1, 2]")), (1, 2));
    assert_eq!(read::<(u16, u16)>(&parsed("[1, 300]")), (1, 300));
    // A list that goes on in its tail, and one that does so as a string.
    let bytes = b"\x83\x6c\0\0\0\x01\x61\x01\x6c\0\0\0\x01\x61\x02\x6b\0\x01\x03";
    assert_eq!(from_bytes::<Vec<u8>>(bytes).unwrap(), [1, 2, 3]);
    assert_eq!(from_bytes::<(u8, u8, u8)>(bytes).unwrap(), (1, 2, 3));
    assert_eq!(from_bytes::<String>(bytes).unwrap(), "\u{1}\u{2}\u{3}");
    assert!(from_bytes::<(u8, u8)>(bytes).unwrap_err().to_string().ends_with("expected 2 elements, found 3"));
    // Newtypes over bytes of a string.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Small(u8);
    assert_eq!(read::<Vec<Small>>(&parsed("[1, 2]")), [Small(1), Small(2)]);
    assert_eq!(read::<Vec<Option<char>>>(&parsed("\"ab\"")), [Some('a'), Some('b')]);
    assert_eq!(read::<Vec<Term>>(&parsed("\"ab\"")), [Term::from(97), 98.into()]);
    assert_eq!(
        refused::<(u8, u8)>(&parsed("{1, 2, 3}")),
        "at byte 1, root: expected a tuple of size 2, found a tuple of 3"
    );
    assert!(refused::<Vec<u8>>(&parsed("[a | b]")).contains("root[0]: expected u8, found the atom a"));
    assert_eq!(
        refused::<Vec<u16>>(&parsed("[300 | b]")),
        "at byte 11, root: expected the end of the list, found the atom b"
    );
    // A million is no prefix of a tuple's length byte.
    both(&vec![(1_u16, 2_u16); 1000], &format!("[{}]", vec!["{1, 2}"; 1000].join(", ")));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: Option<u8>,
    #[serde(default)]
    admin: bool,
}

fn joe() -> User {
    User { name: "Joe".into(), age: Some(68), admin: true }
}

#[test]
fn structs_are_maps_property_lists_and_records() {
    both(&joe(), "#{name => <<\"Joe\">>, age => 68, admin => true}");
    for text in [
        "#{<<\"name\">> => <<\"Joe\">>, \"age\" => 68, admin => true}",
        "[{name, <<\"Joe\">>}, {age, 68}, {admin, true}]",
        "[{name, <<\"Joe\">>}, admin, {age, 68}, {other, [x]}, flag]",
        "[{name, \"Joe\"}, {age, 68}, admin, {name, ignored}, {admin, false}]",
        "[{<<\"name\">>, 'Joe'}, {age, 68} | [admin]]",
        "#{'__struct__' => 'Elixir.User', name => <<\"Joe\">>, age => 68, admin => true, other => self}",
        "{'User', <<\"Joe\">>, 68, true}",
    ] {
        assert_eq!(read::<User>(&parsed(text)), joe(), "{text}");
    }
    assert_eq!(read::<User>(&parsed("#{name => x}")), User { name: "x".into(), age: None, admin: false });
    assert_eq!(refused::<User>(&parsed("#{age => 1}")), "at byte 1, root: the field name is missing");
    assert_eq!(refused::<User>(&parsed("[]")), "at byte 1, root: the field name is missing");
    assert_eq!(
        refused::<User>(&parsed("#{name => x, age => y}")),
        "at byte 11, root.age: expected u8, found the atom y"
    );
    assert_eq!(
        refused::<User>(&parsed("[{name, x}, {age, y}]")),
        "at byte 24, root.age: expected u8, found the atom y"
    );
    assert_eq!(
        refused::<User>(&parsed("[{name, x}, {age}]")),
        "at byte 17, root[1]: expected a property, found a tuple of 1"
    );
    assert!(
        refused::<User>(&parsed("{'User', <<\"Joe\">>, 68}"))
            .contains("expected struct User, found a tuple of 3")
    );
    assert!(refused::<User>(&parsed("{user, <<\"Joe\">>, 68, true}")).contains("found a tuple of 4"));

    let records = Options { structs: Structs::Record, ..Options::erlang() };
    assert_eq!(records.to_term(&joe()).unwrap(), parsed("{'User', <<\"Joe\">>, 68, true}"));
    let binary = Options { keys: Names::Binary, ..Options::default() };
    assert_eq!(
        binary.to_term(&joe()).unwrap(),
        parsed("#{<<\"name\">> => <<\"Joe\">>, <<\"age\">> => 68, <<\"admin\">> => true}")
    );

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "point")]
    struct Point {
        x: i32,
        #[serde(skip_serializing_if = "Option::is_none")]
        y: Option<i32>,
        z: i32,
    }
    let point = Point { x: 1, y: None, z: 3 };
    assert_eq!(to_term(&point).unwrap(), term!(#{x => 1, z => 3}));
    assert_eq!(records.to_term(&point).unwrap(), term!({point, 1, undefined, 3}));
    assert_eq!(read_with::<Point>(&records, &term!({point, 1, undefined, 3})), point);
}

#[test]
fn elixir_structs_name_their_module() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Elixir.MyApp.Point")]
    struct Point {
        x: i32,
    }
    both(&Point { x: 1 }, "#{'__struct__' => 'Elixir.MyApp.Point', x => 1}");
    assert_eq!(read::<Point>(&term!(#{x => 1})), Point { x: 1 });
    let other = term!(#{atom "__struct__" => atom "Elixir.Other", x => 1});
    let error = from_term::<Point>(&other).unwrap_err();
    assert!(
        matches!(error.reason(), ErrorReason::Struct { expected, .. } if expected == "Elixir.MyApp.Point")
    );

    let all = Options { elixir_module: Some("MyApp".into()), ..Options::default() };
    let term = all.to_term(&joe()).unwrap();
    assert_eq!(term.as_map().unwrap().get_atom("__struct__"), Some(&term!(atom "Elixir.MyApp.User")));
    assert_eq!(read_with::<User>(&all, &term), joe());
    assert!(all.from_term::<User>(&other).is_err());

    // Who wants to see the module can.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Any {
        __struct__: Atom,
    }
    assert_eq!(read::<Any>(&other).__struct__, "Elixir.Other");
    assert_eq!(read::<HashMap<String, i32>>(&other), HashMap::from([("x".into(), 1)]));
}

#[test]
fn maps() {
    let map = BTreeMap::from([("a".to_owned(), 1_u8), ("b".into(), 2)]);
    both(&map, "#{<<\"a\">> => 1, <<\"b\">> => 2}");
    both(&BTreeMap::<u8, u8>::new(), "#{}");
    both(&BTreeMap::from([((1_u8, 2_u8), vec![3_u16])]), "#{{1, 2} => [3]}");
    assert_eq!(read::<BTreeMap<String, u8>>(&parsed("#{a => 1, \"b\" => 2}")), map);
    assert_eq!(read::<BTreeMap<String, u8>>(&parsed("[{a, 1}, {b, 2}, {a, 3}]")), map);
    assert_eq!(read::<HashMap<Atom, bool>>(&parsed("[a]")), HashMap::from([("a".into(), true)]));
    let atoms = Options { map_keys: Names::Atom, ..Options::default() };
    assert_eq!(atoms.to_term(&map).unwrap(), term!(#{a => 1, b => 2}));
    assert_eq!(atoms.to_term(&BTreeMap::from([(("a",), "a")])).unwrap(), term!(#{{<<"a">>} => <<"a">>}));
    assert_eq!(
        refused::<BTreeMap<u8, u8>>(&parsed("#{1 => x}")),
        "at byte 8, root[1]: expected u8, found the atom x"
    );
    assert!(
        refused::<BTreeMap<u8, u8>>(&parsed("#{x => 1}")).contains("root: expected u8, found the atom x")
    );
}

/// What a BEAM would close the connection for.
#[test]
fn a_key_twice_is_refused() {
    struct Entries<'a>(&'a [(u32, u8)]);
    impl Serialize for Entries<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().copied())
        }
    }
    let twice = |entries: &[(u32, u8)]| {
        let error = to_vec(&Entries(entries)).unwrap_err();
        assert!(matches!(error.reason(), ErrorReason::DuplicateKey), "{error}");
    };
    twice(&[(1, 2), (1, 3)]);
    twice(&[(3, 2), (2, 2), (1, 2), (3, 3)]);
    let mut many: Vec<(u32, u8)> = (0..1000).rev().map(|key| (key, 0)).collect();
    to_vec(&Entries(&many)).unwrap();
    many.sort();
    to_vec(&Entries(&many)).unwrap();
    many.push((500, 1));
    twice(&many);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Nothing,
    Circle(f64),
    Line((u8, u8), (u8, u8)),
    #[serde(rename_all = "snake_case")]
    Square {
        side: f64,
        label_of: Option<String>,
    },
    Unit(()),
}

#[test]
fn enums_are_tagged_tuples() {
    both(&Shape::Nothing, "nothing");
    both(&Shape::Circle(1.0), "{circle, 1.0}");
    both(&Shape::Line((1, 2), (3, 4)), "{line, {1, 2}, {3, 4}}");
    let square = Shape::Square { side: 2.0, label_of: None };
    both(&square, "{square, #{side => 2.0, label_of => nil}}");
    both(&Shape::Unit(()), "unit");
    assert_eq!(read::<Shape>(&parsed("{square, [{side, 2.0}]}")), square);
    assert_eq!(read::<Shape>(&parsed("<<\"nothing\">>")), Shape::Nothing);
    assert_eq!(read::<Shape>(&parsed("{nothing}")), Shape::Nothing);
    assert_eq!(read::<Shape>(&parsed("{unit, ok}")), Shape::Unit(()));
    for (text, message) in [
        ("{circle}", "expected a pair: the tag and its value, found a tuple with 0 elements after its tag"),
        ("circle", "expected a pair: the tag and its value, found the bare tag"),
        (
            "{circle, 1.0, 2}",
            "expected a pair: the tag and its value, found a tuple with 2 elements after its tag",
        ),
        (
            "{line, 1}",
            "expected a tuple with 2 elements after its tag, found a tuple with 1 elements after its tag",
        ),
        (
            "{nothing, 1}",
            "expected a variant that holds nothing: the bare tag, found a tuple with 1 elements after its tag",
        ),
        (
            "triangle",
            "unknown variant `triangle`, expected one of `nothing`, `circle`, `line`, `square`, `unit`",
        ),
        ("{}", "expected enum Shape, found a tuple of 0"),
        ("[]", "expected enum Shape, found an empty list"),
        ("#{circle => 1.0}", "expected enum Shape, found a map of 1 keys"),
        ("1", "expected enum Shape, found the integer 1"),
        ("{{circle}, 1.0}", "expected enum Shape, found a tuple of 1"),
    ] {
        assert!(
            refused::<Shape>(&parsed(text)).ends_with(message),
            "{text}: {}",
            refused::<Shape>(&parsed(text))
        );
    }
    assert_eq!(
        refused::<Vec<Shape>>(&parsed("[{line, {1, 2}, {3, x}}]")),
        "at byte 24, root[0][1][1]: expected u8, found the atom x"
    );
}

#[test]
fn results_are_ok_and_error() {
    type Reply = Result<u8, String>;
    both(&Reply::Ok(1), "{ok, 1}");
    both(&Reply::Err("no".into()), "{error, <<\"no\">>}");
    both(&Result::<(), u8>::Ok(()), "ok");
    both(&Result::<(), u8>::Err(1), "{error, 1}");
    assert_eq!(read::<Result<(), Atom>>(&term!({ok, ok})), Ok(()));
    assert_eq!(read::<Reply>(&term!({error, enoent})), Err("enoent".into()));
    // A bare `ok` is no `{ok, Value}`.
    assert!(refused::<Result<String, u8>>(&term!(ok)).ends_with("found the bare tag"));
    assert!(refused::<Result<Term, u8>>(&term!(ok)).ends_with("found the bare tag"));
}

#[test]
fn newtypes_and_unit_structs() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Meters(u32);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "stop")]
    struct Stop;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u32, Stop);
    both(&Meters(3), "3");
    both(&Stop, "stop");
    both(&Pair(1, Stop), "{1, stop}");
    assert_eq!(refused::<Stop>(&term!(ok)), "at byte 1, root: expected unit struct Stop, found the atom ok");
}

#[test]
fn terms_stay_what_they_are() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Message {
        from: Pid,
        tag: Reference,
        port: Port,
        kind: Atom,
        body: Term,
        map: Map,
        all: Vec<Term>,
        maybe: Option<Pid>,
        tail: u8,
    }
    let node = Atom::from("a@b");
    let pid = Pid::new(node.clone(), 1, 2, 3);
    let nested = (0..900).fold(Term::NIL, |inner, _| term!({(inner), atom "x y"}));
    let message = Message {
        from: pid.clone(),
        tag: Reference::new(node.clone(), 3, &[1, 2, 3]).unwrap(),
        port: Port::new(node, 1 << 40, 3),
        kind: "nil".into(),
        body: nested,
        map: parsed("#{1 => a, 1.0 => b}").as_map().unwrap().clone(),
        all: vec![parsed("[a | b]"), parsed("<<1:3>>"), parsed("fun a:b/3"), parsed("\"text\"")],
        maybe: Some(pid),
        tail: 7,
    };
    let bytes = to_vec(&message).unwrap();
    assert_eq!(from_bytes::<Message>(&bytes).unwrap(), message);
    assert_eq!(from_term::<Message>(&to_term(&message).unwrap()).unwrap(), message);
    assert!(refused::<Pid>(&term!(1)).ends_with("expected a pid, found 1"));
    assert!(refused::<Atom>(&term!(<<"a">>)).ends_with("expected an atom, found the binary \"a\""));
    assert!(refused::<String>(&Term::from(message.from)).ends_with("expected a string, found a pid"));
    // Formats for machines carry them whole, those for people as they can.
    let json = serde_json::to_string(
        &term!({ok, #{a => [1, 2.5, nil, true], <<"b">> => <<"text">>}, [x | y], <<255>>}),
    );
    assert_eq!(json.unwrap(), r#"["ok",{"a":[1,2.5,null,true],"b":"text"},["x","y"],[255]]"#);
    let back: Term = serde_json::from_str(r#"{"a": [1, -2.5, null, true, "text"]}"#).unwrap();
    assert_eq!(back, term!(#{<<"a">> => [1, -2.5, nil, true, <<"text">>]}));
    assert_eq!(serde_json::from_str::<Atom>("\"a\"").unwrap(), Atom::from("a"));
}

#[test]
fn text_and_bytes_are_borrowed() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Borrowed<'a> {
        name: &'a str,
        #[serde(borrow)]
        list: Cow<'a, str>,
        atom: &'a str,
        bytes: &'a [u8],
    }
    let term = parsed("#{name => <<\"Joe\">>, list => \"abc\", atom => 'a b', bytes => <<1, 2, 255>>}");
    let expected = Borrowed { name: "Joe", list: "abc".into(), atom: "a b", bytes: &[1, 2, 255] };
    let bytes = encode(&term);
    let value: Borrowed<'_> = from_bytes(&bytes).unwrap();
    assert_eq!(value, expected);
    assert!(bytes.as_ptr_range().contains(&value.name.as_ptr()));
    assert!(bytes.as_ptr_range().contains(&value.bytes.as_ptr()));

    // What is inflated has nothing to lend.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Owned {
        name: String,
        list: Vec<char>,
        atom: Atom,
        bytes: Binary,
    }
    // From `term_to_binary(#{...}, [compressed])` of the same map with 100 times the name.
    let owned: Owned = from_bytes(&bytes).unwrap();
    assert_eq!(owned.list, ['a', 'b', 'c']);
}

#[test]
fn compressed_terms_are_read() {
    use std::io::Write as _;
    let bare = &encode(&parsed("[{name, <<\"Joe\">>}, {age, 1}]"))[1..];
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(bare).unwrap();
    let mut bytes = vec![131, 80];
    bytes.extend_from_slice(&u32::try_from(bare.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&zlib.finish().unwrap());
    assert_eq!(from_bytes::<User>(&bytes).unwrap().name, "Joe");
    assert!(from_bytes::<HashMap<&str, Term>>(&bytes).is_err(), "nothing to borrow from");
    let error = from_bytes::<Vec<u8>>(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "at byte 5 of the inflated term, root[0]: expected u8, found a tuple of 2");
    assert!(error.is_in_inflated());
    let limits = DecodeLimits { inflated_bytes_max: bare.len() - 1, ..DecodeLimits::default() };
    let options = Options { limits, ..Options::default() };
    let error = options.from_bytes::<User>(&bytes).unwrap_err();
    assert!(matches!(error.reason(), ErrorReason::Bytes(DecodeErrorReason::InflatedTooLarge { .. })));
    bytes.push(0);
    let error = from_bytes::<User>(&bytes).unwrap_err();
    assert!(matches!(error.reason(), ErrorReason::Bytes(DecodeErrorReason::TrailingBytes { bytes: 1 })));
}

#[test]
fn errors_say_where() {
    #[derive(Debug, Deserialize)]
    struct Deep {
        #[expect(dead_code)]
        users: Vec<HashMap<String, (u8, Shape)>>,
    }
    let term = parsed("#{users => [#{}, #{joe => {1, {circle, big}}}]}");
    assert_eq!(refused::<Deep>(&term), "at byte 47, root.users[1].joe[1]: expected f64, found the atom big");
    let error = from_term::<Deep>(&term).unwrap_err();
    assert_eq!(error.to_string(), "root.users[1].joe[1]: expected f64, found the atom big");
    let path: Vec<&Segment> = error.path().collect();
    assert_eq!(path[..2], [&Segment::Field("users".into()), &Segment::Index(1)]);
    assert_eq!(error.offset(), None);

    // Writing says where too.
    let error = to_vec(&BTreeMap::from([("a", vec![(1.0, 2.0), (3.0, f64::INFINITY)])])).unwrap_err();
    assert_eq!(error.to_string(), "root.a[1][1]: a float that is not finite");
    let long = "x".repeat(256);
    let atoms = Options { map_keys: Names::Atom, ..Options::default() };
    let error = atoms.to_vec(&BTreeMap::from([(long.as_str(), 1)])).unwrap_err();
    assert!(matches!(error.reason(), ErrorReason::AtomTooLong { chars: 256 }));
    // And leaves nothing behind.
    let mut buffer = b"before".to_vec();
    Options::default().to_buffer(&mut buffer, &(1, f64::NAN)).unwrap_err();
    assert_eq!(buffer, b"before");
    Options::default().to_buffer(&mut buffer, &1).unwrap();
    assert_eq!(buffer, b"before\x83\x61\x01");
    assert!(matches!(to_writer(&mut [0; 2][..], &1).unwrap_err().reason(), ErrorReason::Io(_)));
}

#[test]
fn limits_apply() {
    let limited = |limits| Options { limits, ..Options::default() };
    let reason = |options: &Options, bytes: &[u8]| match options.from_bytes::<serde::de::IgnoredAny>(bytes) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{bytes:?}"),
    };
    let options = limited(DecodeLimits { bytes_max: 4, ..DecodeLimits::default() });
    assert!(reason(&options, &[131, 97, 1, 0, 0]).ends_with("5 bytes; the limit is 4"));
    let options = limited(DecodeLimits { elements_max: 3, ..DecodeLimits::default() });
    assert!(options.from_bytes::<Vec<u16>>(&encode(&parsed("[300, 1, 2]"))).is_ok());
    assert!(options.from_bytes::<Vec<u16>>(&encode(&parsed("[300, 1, 2, 3]"))).is_err());
    assert!(options.from_bytes::<Vec<Vec<u16>>>(&encode(&parsed("[[300], [300]]"))).is_err());
    assert!(options.from_bytes::<String>(&encode(&parsed("\"abcd\""))).is_err());
    let options = limited(DecodeLimits { atoms_max: 2, ..DecodeLimits::default() });
    assert!(options.from_bytes::<Vec<String>>(&encode(&parsed("[a, b]"))).is_ok());
    assert!(options.from_bytes::<Vec<String>>(&encode(&parsed("[a, b, c]"))).is_err());
    let options = limited(DecodeLimits { bigint_bytes_max: 8, ..DecodeLimits::default() });
    assert!(options.from_bytes::<u64>(&encode(&u64::MAX.into())).is_ok());
    assert!(options.from_bytes::<u128>(&to_vec(&u128::MAX).unwrap()).is_err());

    #[derive(Debug, Deserialize)]
    struct Nest(#[expect(dead_code)] Vec<Nest>);
    let nested = |levels: usize| {
        let open = [108, 0, 0, 0, 1].repeat(levels);
        [&[131], &open[..], &[106].repeat(levels + 1)].concat()
    };
    assert!(from_bytes::<Nest>(&nested(63)).is_ok());
    assert!(matches!(
        from_bytes::<Nest>(&nested(64)).unwrap_err().reason(),
        ErrorReason::Nesting { max: 64 }
    ));
    assert!(from_bytes::<Nest>(&nested(100_000)).is_err());
    // What is passed over needs no depth, a term has its own limit.
    assert!(from_bytes::<serde::de::IgnoredAny>(&nested(100_000)).is_ok());
    let term = from_bytes::<Term>(&nested(100_000)).unwrap();
    // A format for people goes by recursion.
    assert!(serde_json::to_string(&term).is_err());
    assert!(serde_json::to_string(&from_bytes::<Term>(&nested(127)).unwrap()).is_ok());
}

/// Headers that promise more than there is make room for nothing, whatever the type.
#[test]
fn hostile_bytes_are_errors() {
    for bytes in [
        &[131, 108, 255, 255, 255, 255][..],
        &[131, 105, 255, 255, 255, 255],
        &[131, 116, 255, 255, 255, 255],
        &[131, 109, 255, 255, 255, 255],
        &[131, 77, 255, 255, 255, 255, 1],
        &[131, 111, 255, 255, 255, 255, 0],
        &[131, 107, 255, 255],
        &[131, 112, 0, 0, 0, 0, 0],
        &[131, 68],
        &[131, 82, 0],
        &[131, 131, 97, 1],
        &[131, 121, 0, 0, 0, 0, 106],
        &[131, 80, 0, 0, 0, 5, 1, 2, 3],
        &[131, 97, 1, 0],
        &[130, 97, 1],
        &[131],
        &[],
    ] {
        assert!(from_bytes::<Vec<u64>>(bytes).is_err());
        assert!(from_bytes::<String>(bytes).is_err());
        assert!(from_bytes::<Term>(bytes).is_err());
        assert!(from_bytes::<BTreeMap<String, Vec<u8>>>(bytes).is_err());
        assert!(from_bytes::<User>(bytes).is_err());
        assert!(from_bytes::<Shape>(bytes).is_err());
        assert!(from_bytes::<serde::de::IgnoredAny>(bytes).is_err());
    }
    let reason = |bytes: &[u8]| match from_bytes::<Term>(bytes).unwrap_err().reason() {
        ErrorReason::Bytes(reason) => reason.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(reason(&[131, 97, 1, 0]), DecodeErrorReason::TrailingBytes { bytes: 1 });
    assert_eq!(reason(&[130, 97, 1]), DecodeErrorReason::NoVersion { found: 130 });
    assert_eq!(reason(&[131, 68]), DecodeErrorReason::UnknownTag { tag: 68 });
    assert_eq!(reason(&[131, 82, 0]), DecodeErrorReason::AtomCacheRefInStored);
}

#[test]
fn types_have_a_form_for_machines() {
    both(&Ipv4Addr::LOCALHOST, "{127, 0, 0, 1}");
    let people = Options { human_readable: true, ..Options::default() };
    assert_eq!(people.to_term(&Ipv4Addr::LOCALHOST).unwrap(), term!(<<"127.0.0.1">>));
    assert_eq!(people.to_term(&term!({a, "b"})).unwrap(), term!({a, "b"}));
    assert_eq!(read_with::<Ipv4Addr>(&people, &term!(<<"127.0.0.1">>)), Ipv4Addr::LOCALHOST);
    assert_eq!(read_with::<Term>(&people, &term!({a, "b"})), term!({a, "b"}));
}

#[test]
fn values_of_unknown_type() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        Put { key: String, value: Option<i64> },
        Stop,
    }
    let put = Tagged::Put { key: "k".into(), value: None };
    assert_eq!(to_term(&put).unwrap(), term!(#{kind => <<"put">>, key => <<"k">>, value => nil}));
    assert_eq!(read::<Tagged>(&term!(#{kind => put, key => k, value => nil})), put);
    assert_eq!(read::<Tagged>(&term!(#{kind => <<"stop">>})), Tagged::Stop);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(i64),
        Pair(String, f64),
        Many(Vec<Untagged>),
    }
    let many = Untagged::Many(vec![Untagged::Number(300), Untagged::Pair("a".into(), 1.5)]);
    assert_eq!(read::<Untagged>(&parsed("[300, {a, 1.5}]")), many);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, i64>,
    }
    let flat = Flat { id: 1, rest: BTreeMap::from([("x".into(), 2)]) };
    assert_eq!(to_term(&flat).unwrap(), term!(#{<<"id">> => 1, <<"x">> => 2}));
    assert_eq!(read::<Flat>(&term!(#{id => 1, x => 2})), flat);
    assert!(refused::<Untagged>(&Term::from(Pid::new(Atom::from("a"), 1, 2, 3))).ends_with("found a pid"));
}

/// As Elixir 1.14 writes them: `:erlang.term_to_binary(~D[2024-02-29])` and so on.
#[test]
fn elixir_dates_and_times() {
    let iso = "calendar => 'Elixir.Calendar.ISO'";
    both(
        &Date { year: 2024, month: 2, day: 29 },
        &format!("#{{'__struct__' => 'Elixir.Date', {iso}, year => 2024, month => 2, day => 29}}"),
    );
    let time = "hour => 12, minute => 34, second => 56, microsecond => {7000, 3}";
    both(
        &Time { hour: 12, minute: 34, second: 56, microsecond: (7000, 3) },
        &format!("#{{'__struct__' => 'Elixir.Time', {iso}, {time}}}"),
    );
    let date = "year => 2024, month => 2, day => 29";
    let naive = NaiveDateTime {
        year: 2024,
        month: 2,
        day: 29,
        hour: 12,
        minute: 34,
        second: 56,
        microsecond: (7000, 3),
    };
    both(&naive, &format!("#{{'__struct__' => 'Elixir.NaiveDateTime', {iso}, {date}, {time}}}"));
    assert_eq!(naive.to_string(), "2024-02-29T12:34:56.007");
    let zone =
        "time_zone => <<\"Europe/Warsaw\">>, zone_abbr => <<\"CET\">>, utc_offset => 3600, std_offset => 0";
    let warsaw = DateTime {
        year: 2024,
        month: 2,
        day: 29,
        hour: 12,
        minute: 34,
        second: 56,
        microsecond: (0, 0),
        time_zone: "Europe/Warsaw".into(),
        zone_abbr: "CET".into(),
        utc_offset: 3600,
        std_offset: 0,
    };
    let time = "hour => 12, minute => 34, second => 56, microsecond => {0, 0}";
    both(&warsaw, &format!("#{{'__struct__' => 'Elixir.DateTime', {iso}, {date}, {time}, {zone}}}"));
    assert_eq!(warsaw.to_string(), "2024-02-29T12:34:56+01:00");
    assert_eq!(DateTime::from(warsaw.to_system_time().unwrap()).to_string(), "2024-02-29T11:34:56.000000Z");
    both(
        &Range { first: 1, last: 9, step: 2 },
        "#{'__struct__' => 'Elixir.Range', first => 1, last => 9, step => 2}",
    );
    let other = parsed(
        "#{'__struct__' => 'Elixir.Date', calendar => 'Elixir.Other', year => 1, month => 1, day => 1}",
    );
    assert!(
        refused::<Date>(&other)
            .contains("root.calendar: invalid value: Elixir.Other, expected Elixir.Calendar.ISO")
            || refused::<Date>(&other).contains("Elixir.Calendar.ISO")
    );
    assert!(from_term::<Date>(&parsed("#{'__struct__' => 'Elixir.Time'}")).is_err());
}

/// Days that calendars get wrong, by `date -u -d @N`.
#[test]
fn points_in_time() {
    use std::time::{Duration, SystemTime};
    for (seconds, text) in [
        (0_i64, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.000000Z"),
        (951_782_400, "2000-02-29T00:00:00.000000Z"),
        (951_868_799, "2000-02-29T23:59:59.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
        (-2_208_988_800, "1900-01-01T00:00:00.000000Z"),
        (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
        (253_402_300_799, "9999-12-31T23:59:59.000000Z"),
        (-62_167_219_200, "0000-01-01T00:00:00.000000Z"),
    ] {
        let offset = Duration::from_secs(seconds.unsigned_abs());
        let time =
            if seconds < 0 { SystemTime::UNIX_EPOCH - offset } else { SystemTime::UNIX_EPOCH + offset };
        let date_time = DateTime::from(time);
        assert_eq!(date_time.to_string(), text);
        assert_eq!(date_time.to_system_time(), Some(time));
    }
    let half = SystemTime::UNIX_EPOCH - Duration::from_millis(1500);
    assert_eq!(DateTime::from(half).to_string(), "1969-12-31T23:59:58.500000Z");
    assert_eq!(DateTime::from(half).to_system_time(), Some(half));
    let wrong = DateTime { month: 13, ..DateTime::from(half) };
    assert_eq!(wrong.to_system_time(), None);
}

/// Found by fuzzing: such lists were read otherwise than by way of a term.
#[test]
fn lists_of_no_elements_are_their_tail() {
    fn both<T: DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8], value: &T) {
        assert_eq!(&from_bytes::<T>(bytes).unwrap(), value);
        let term = crabnode_etf::decode(&bytes.to_vec().into(), &Default::default()).unwrap();
        assert_eq!(&from_term::<T>(&term).unwrap(), value);
    }
    both(b"\x83\x6b\0\0", &BTreeMap::<String, u8>::new());
    both(b"\x83\x6c\0\0\0\0\x6a", &());
    both(b"\x83\x6c\0\0\0\0\x6c\0\0\0\0\x61\x05", &5_u8);
    both(b"\x83\x6c\0\0\0\0\x77\x03nil", &None::<u8>);
    both(b"\x83\x6c\0\0\0\0\x77\x04true", &true);
    both(b"\x83\x68\x02\x6c\0\0\0\0\x6d\0\0\0\x01a\x6c\0\0\0\0\x77\x02ok", &("a".to_owned(), ()));
}
