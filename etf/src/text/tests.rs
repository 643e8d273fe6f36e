use super::*;
use crate::{Atom, Elements, Fun, Pid, Port, Reference, Term};

fn reads_as(text: &str, printed: &str) {
    match parse_term(text) {
        Ok(term) => assert_eq!(term.to_string(), printed, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn error(text: &str) -> String {
    consult(text).unwrap_err().to_string()
}

/// Read and printed by OTP 29 the same.
#[test]
fn atoms() {
    for same in
        ["a", "ok@h_X1", "''", "'A'", "'a b'", "'\\'\\\\\"'", "'end'", "'maybe'", "ßtraße", "'日'", "'a-b'"]
    {
        reads_as(same, same);
    }
    reads_as(r"'quoted \' atom\n\x{65e5}\101'", r"'quoted \' atom\n日A'");
    // Words since OTP 27; files of older releases have them plain.
    reads_as("maybe", "'maybe'");
    reads_as("else", "'else'");
    reads_as("'\u{7f}\u{80}\u{1}'", r"'\d\200\001'");
    assert_eq!(Atom::from("Ab").to_string(), "'Ab'");
}

#[test]
fn integers_and_characters() {
    for (text, value) in [
        ("1_000_000", 1_000_000),
        ("16#fF", 255),
        ("16#DEAD_beef", 0xdead_beef),
        ("36#zZ", 1295),
        ("2#1010", 10),
        ("-16#ff", -255),
        ("- 3", -3),
        ("+5", 5),
        ("$a", 97),
        ("-$a", -97),
        ("-((5))", -5),
        ("$\\n", 10),
        ("$\\\\", 92),
        ("$\\s", 32),
        ("$ ", 32),
        ("$'", 39),
        ("$\"", 34),
        ("$\\x41", 65),
        ("$\\x{1F600}", 0x1f600),
        ("$\\^a", 1),
        ("$\\^?", 127),
        ("$\\^@", 0),
        ("$\\177", 127),
        ("$\\7", 7),
        ("$\\e", 27),
        ("$\\d", 127),
        ("$\\q", 113),
        ("$日", 0x65e5),
    ] {
        assert_eq!(parse_term(text), Ok(Term::Int(value)), "{text}");
    }
    reads_as("-123456789012345678901234567890", "-123456789012345678901234567890");
}

/// From OTP 25 and 29.
#[test]
fn floats_print_short() {
    for same in [
        "0.0",
        "-0.0",
        "1.0",
        "0.1",
        "100.0",
        "1.0e3",
        "1.2e3",
        "0.001",
        "0.0001",
        "1.0e-10",
        "1.0e22",
        "123456789.0",
        "123456789012345.0",
        "9007199254740991.0",
        "9.007199254740992e15",
        "1.2345678901234567e19",
        "5.0e-324",
        "1.7976931348623157e308",
        "-2.5",
    ] {
        reads_as(same, same);
    }
    reads_as("1.0e-3", "0.001");
    reads_as("1.5E+10", "1.5e10");
    reads_as("1_0.0_1e1_0", "1.001e11");
    // Two of as many digits are as near: the even one.
    reads_as("224043003990950.125", "224043003990950.12");
}

/// From OTP 29.
#[test]
fn floats_of_any_base() {
    for (text, printed) in [
        ("16#1.8", "1.5"),
        ("16#a.b", "10.6875"),
        ("2#1.01#e4", "20.0"),
        ("16#f.f#E-1", "0.99609375"),
        ("16#fe8.0#e16", "7.511514186814529e22"),
        // The nearest would be 2679.240474112.
        ("5#41204.110012201", "2679.2404741120004"),
        ("7#12.3400", "9.510204081632653"),
        ("36#Z.Z", "35.97222222222222"),
        ("-3#0.1", "-0.3333333333333333"),
        ("2#0.0#e-999999", "0.0"),
    ] {
        reads_as(text, printed);
    }
}

#[test]
fn strings() {
    for same in
        ["\"abc\"", "\"é日\"", r#""a\"b'\\""#, r#""\b\t\n\v\f\r\e""#, "[0]", "[127]", "[1114112]", "[]"]
    {
        reads_as(same, same);
    }
    reads_as("\"abc\" \"def\"\n  \"ghi\"", "\"abcdefghi\"");
    reads_as("\"\"", "[]");
    reads_as("[97 | \"bc\"]", "\"abc\"");
    assert_eq!(parse_term("\"a\nb\""), Ok(Term::charlist("a\nb")));
}

#[test]
fn triple_quoted_strings() {
    let text = "\"\"\"\n  triple \"quoted\" \\n string\n    indented\n\n  last\n  \"\"\"";
    assert_eq!(parse_term(text), Ok(Term::charlist("triple \"quoted\" \\n string\n  indented\n\nlast")));
    assert_eq!(parse_term("\"\"\"\n\"\"\""), Ok(Term::NIL));
    assert_eq!(parse_term("\"\"\"\r\nab\r\ncd\r\n\"\"\""), Ok(Term::charlist("ab\r\ncd")));
    assert_eq!(parse_term("\"\"\"\"\n \"\"\"\n b\n\"\"\"\"  \"c\""), Ok(Term::charlist(" \"\"\"\n bc")));
    assert_eq!(
        error("\"\"\"\n a\n  \"\"\"."),
        "line 2, column 1: a line of a triple-quoted string is indented less than its end"
    );
    assert_eq!(error("{a, \"\"\"\nx\n."), "line 1, column 5: a triple-quoted string without an end");
}

#[test]
fn sigils() {
    reads_as("~\"ü\\n\"", "<<\"ü\\n\"/utf8>>");
    reads_as("~b(a)", "<<\"a\">>");
    reads_as("~B'a\\n'", r#"<<"a\\n">>"#);
    reads_as("~s{a\"\\}}", r#""a\"}""#);
    reads_as("~S|a\\|", r#""a\\""#);
    reads_as("~b\"\"\"\n a\\tb\n \"\"\"", r#"<<"a\tb">>"#);
    reads_as("~s\"\"\"\na\\tb\n\"\"\"", r#""a\tb""#);
    reads_as("~\"\"\"\na\\tb\n\"\"\"", r#"<<"a\\tb">>"#);
    assert_eq!(error("~x\"a\"."), "line 1, column 1: character '~' has no place here");
}

#[test]
fn collections() {
    for same in [
        "{}",
        "{a}",
        "{a,{b,[c]}}",
        "[a,b|c]",
        "[[],[[]]]",
        "#{}",
        "#{a => 1}",
        "#{a => #{c => d},\"b\" => 2}",
        "#{1 => a,1.0 => b}",
        "fun lists:map/2",
        "fun 'a b':'end'/0",
    ] {
        reads_as(same, same);
    }
    reads_as(" [ a , b %comment ] in a list\n | [c]\n]", "[a,b,c]");
    reads_as("#{a => 1, a => 2}", "#{a => 2}");
    reads_as("({(a), ([b])})", "{a,[b]}");
    reads_as("fun m : f / 1", "fun m:f/1");
}

/// From OTP 29.
#[test]
fn binaries() {
    for same in
        ["<<>>", "<<\"abc\">>", "<<\"ü\"/utf8>>", "<<\"ü~\">>", "<<0,255,200,1>>", "<<5:3>>", "<<97,98,5:3>>"]
    {
        reads_as(same, same);
    }
    for (text, printed) in [
        ("<<\"日\">>", "<<\"å\">>"),
        ("<<1,2:16,\"x\"/utf8,5:3>>", "<<1,0,2,120,5:3>>"),
        ("<<-1>>", "<<\"ÿ\">>"),
        ("<<-1:12>>", "<<255,15:4>>"),
        ("<<1:(16)>>", "<<0,1>>"),
        ("<<300>>", "<<\",\">>"),
        ("<<5:12/little>>", "<<5,0:4>>"),
        ("<<16#1234:16/little>>", "<<52,18>>"),
        ("<<1.5:32/float>>", "<<63,192,0,0>>"),
        ("<<3/float>>", "<<64,8,0,0,0,0,0,0>>"),
        ("<<1.5:64/float-little>>", "<<0,0,0,0,0,0,248,63>>"),
        ("<<\"ab\":16>>", "<<0,97,0,98>>"),
        ("<<\"ab\"/utf16>>", "<<0,97,0,98>>"),
        ("<<\"a\"/utf32-little>>", "<<97,0,0,0>>"),
        ("<<16#1F600/utf16-little>>", "<<61,216,0,222>>"),
        ("<<1:2/unit:4>>", "<<1>>"),
        ("<<1:2/integer-unit:8-little-signed>>", "<<1,0>>"),
        ("<<\"a\" \"b\", $c>>", "<<\"abc\">>"),
        ("<<1:0>>", "<<>>"),
        ("<<1:3,2:7,3:9>>", "<<32,128,3:3>>"),
        ("<<-5:67/little>>", "<<251,255,255,255,255,255,255,255,7:3>>"),
        ("<<\"abc\":4>>", "<<18,3:4>>"),
        ("<<0:3,\"abc\">>", "<<12,44,76,3:3>>"),
        ("<< <<1,2>>/binary, 3>>", "<<1,2,3>>"),
        ("<< <<1:3>>/bits, 3:5>>", "<<\"#\">>"),
        ("<< <<1,2,3>>:2/bytes>>", "<<1,2>>"),
        ("<< <<1,2,3>>:20/bitstring>>", "<<1,2,0:4>>"),
        ("<< <<1,2,3>>:2/binary-unit:4>>", "<<1>>"),
        ("<< <<1>>:1/binary-unit:3, 7:2>>", "<<3:5>>"),
        ("<< (<< <<\"a\">>/bits >>)/binary-little-signed, (98), (\"c\")>>", "<<\"abc\">>"),
        ("<< ~\"ab\"/binary >>", "<<\"ab\">>"),
        ("<< <<>>/binary >>", "<<>>"),
        // From OTP 27: of 16 bits, too large, between two, too small.
        ("<<1.5:16/float>>", "<<62,0>>"),
        ("<<1.5:16/float-little>>", "<<0,62>>"),
        ("<<65504.0:16/float>>", "<<\"{ÿ\">>"),
        ("<<65519.99:16/float>>", "<<\"{ÿ\">>"),
        ("<<65520.0:16/float>>", "<<124,0>>"),
        ("<<-1.0e6:16/float>>", "<<252,0>>"),
        ("<<0.1:16/float>>", "<<\".f\">>"),
        ("<<1.00048828125:16/float>>", "<<60,0>>"),
        ("<<5.96e-8:16/float>>", "<<0,1>>"),
        ("<<2.98e-8:16/float>>", "<<0,0>>"),
        ("<<6.0e-5:16/float>>", "<<3,239>>"),
        ("<<-1.0e-7:16/float>>", "<<128,2>>"),
        ("<<-0.0:16/float>>", "<<128,0>>"),
        ("<<\"a\":16/float>>", "<<86,16>>"),
        ("<<1.0e39:32/float>>", "<<127,128,0,0>>"),
    ] {
        reads_as(text, printed);
    }
    for bad in [
        "<<1.5>>.",
        "<<1:8/utf8>>.",
        "<<16#d800/utf8>>.",
        "<<1/foo>>.",
        "<<1/integer-float>>.",
        "<<1/little-big>>.",
        "<<1/unit:8>>.",
        "<<1:1/unit:257>>.",
        "<<1.5:17/float>>.",
        "<< <<1,2>> >>.",
        "<< <<1:3>>/binary >>.",
        "<< <<1>>/binary-unit:3 >>.",
        "<< <<1>>/integer >>.",
        "<< <<1,2>>:3/binary >>.",
        "<< <<1,2>>:17/bits >>.",
        "<<\"abc\"/binary>>.",
        "<<1/binary>>.",
    ] {
        assert!(error(bad).ends_with(&TextErrorReason::Segment.to_string()), "{bad}");
    }
    assert_eq!(error("<<a>>."), "line 1, column 3: expected a number, string or binary, found a");
    assert_eq!(error("<<1:-1>>."), "line 1, column 5: expected a size, found -");
    assert_eq!(
        error("<<0,0:99999999999999999999>>."),
        "line 1, column 5: a binary of more than 134217728 bits"
    );
}

#[test]
fn identifiers_print_with_their_nodes() {
    let node = Atom::from("a@b");
    assert_eq!(Term::from(Pid::new(node.clone(), 5, 1, 9)).to_string(), "<a@b.5.1>");
    assert_eq!(Term::from(Port::new(node.clone(), 5, 9)).to_string(), "#Port<a@b.5>");
    assert_eq!(Term::from(Reference::new(node, 9, &[1, 2, 3]).unwrap()).to_string(), "#Ref<a@b.3.2.1>");
    let closure = crate::Closure {
        arity: 0,
        uniq: [0; 16],
        index: 9,
        module: "m".into(),
        old_index: 1,
        old_uniq: 23,
        creator: Pid::new(Atom::from("a@b"), 1, 0, 1),
        free: Elements::new(),
    };
    let forged = crate::Closure { module: "M\n".into(), ..closure.clone() };
    assert_eq!(Term::from(Fun::Closure(closure)).to_string(), "#Fun<m.1.23>");
    assert_eq!(Term::from(Fun::Closure(forged)).to_string(), "#Fun<'M\\n'.1.23>");
}

/// Found by fuzzing: such names broke lines.
#[test]
fn names_in_identifiers_stay_on_the_line() {
    let print = |name: &str| Term::from(Pid::new(Atom::from(name), 5, 1, 9)).to_string();
    assert_eq!(print("A-b@c.d"), "<A-b@c.d.5.1>");
    assert_eq!(print("a\n@b"), "<'a\\n@b'.5.1>");
    let node = Atom::from("a@\u{1b}[2J");
    assert_eq!(Term::from(Port::new(node.clone(), 5, 9)).to_string(), "#Port<'a@\\e[2J'.5>");
    assert_eq!(Term::from(Reference::new(node, 9, &[1]).unwrap()).to_string(), "#Ref<'a@\\e[2J'.1>");
}

/// As OTP 29 prints them.
#[test]
fn records_print_with_their_fields() {
    let fields = vec![("Aa".into(), Term::charlist("AB")), ("b".into(), 2.into())];
    let record = crate::Record::new(1, "Nr", "pair", fields);
    assert_eq!(Term::Record(Box::new(record)).to_string(), "#'Nr':pair{'Aa' = \"AB\",b = 2}");
}

#[test]
fn consults_files() {
    let text = "%% -*- coding: utf-8 -*-\n\
        [{kernel,\n  [{distributed, [{m8ball, 5000, ['a@127.0.0.1', {'b@h', 'c@h'}]}]}, % who\n   \
        {sync_nodes_mandatory, []}]}].\n{second}.%comment\nthird .\n";
    let terms = consult(text).unwrap();
    let printed: Vec<String> = terms.iter().map(Term::to_string).collect();
    let first =
        "[{kernel,[{distributed,[{m8ball,5000,['a@127.0.0.1',{b@h,c@h}]}]},{sync_nodes_mandatory,[]}]}]";
    assert_eq!(printed, [first, "{second}", "third"]);
    assert_eq!(consult(" % nothing\n"), Ok(vec![]));
    assert_eq!(consult(""), Ok(vec![]));
}

#[test]
fn errors_say_where_and_what() {
    for (text, message) in [
        ("{a, b}.\n[a b].", "line 2, column 4: expected ',', '|' or ']', found b"),
        ("{a, b", "line 1, column 6: expected ',' or '}', found the end of the text"),
        ("{a}", "line 1, column 4: expected '.', found the end of the text"),
        ("{a}.\n{b} {c}.", "line 2, column 5: expected '.', found {"),
        ("[a, ].", "line 1, column 5: expected a term, found ]"),
        ("[a | b, c].", "line 1, column 7: expected ']', found ,"),
        ("#{a}.", "line 1, column 4: expected '=>', found }"),
        ("#r{a}.", "line 1, column 2: expected '{' of a map, found r"),
        ("{a,\n  'é日', Var}.", "line 2, column 9: a variable, which is no term"),
        ("{_a}.", "line 1, column 2: a variable, which is no term"),
        (
            "{a,\n <0.1.0>}.",
            "line 2, column 2: a pid, port, reference or closure as it is shown, which cannot be read back",
        ),
        (
            "<a@b.1.0>.",
            "line 1, column 1: a pid, port, reference or closure as it is shown, which cannot be read back",
        ),
        (
            "#Ref<0.1.2.3>.",
            "line 1, column 1: a pid, port, reference or closure as it is shown, which cannot be read back",
        ),
        ("16#1.0#e.", "line 1, column 1: a malformed float, or one that is too large"),
        ("16#1.0#e999999999999.", "line 1, column 1: a malformed float, or one that is too large"),
        ("~b\"\"\"\n\\x\n\"\"\".", "line 1, column 1: no such escape"),
        ("-((1).", "line 1, column 6: expected ')', found ."),
        ("end.", "line 1, column 1: expected a term, found end"),
        ("{a.b}.", "line 1, column 3: character '.' has no place here"),
        ("- x.", "line 1, column 3: expected a number, found x"),
        ("\n \"abc", "line 2, column 2: a string without an end"),
        ("'abc\n", "line 1, column 1: a quoted atom without an end"),
        ("$", "line 1, column 1: a character without an end"),
        (r#"{"\x{d800}"}."#, "line 1, column 3: no such escape"),
        (r#""a\xg1"."#, "line 1, column 3: no such escape"),
        ("37#1.", "line 1, column 1: a malformed integer"),
        ("2#2.", "line 1, column 1: a malformed integer"),
        ("1.0e.", "line 1, column 1: a malformed float, or one that is too large"),
        ("1.0e999.", "line 1, column 1: a malformed float, or one that is too large"),
        ("fun m:f/256.", "line 1, column 9: an external fun has an arity of 0 to 255"),
        ("fun(X) -> X end.", "line 1, column 4: expected the module of an external fun, found ("),
        ("{\"a long, long string in here\" x}.", "line 1, column 32: expected ',' or '}', found x"),
        ("[a {a, \"and what follows", "line 1, column 4: expected ',', '|' or ']', found {"),
        (
            "[a 'a long, long atom in here'].",
            "line 1, column 4: expected ',', '|' or ']', found 'a long, long atom i...",
        ),
    ] {
        assert_eq!(error(text), message, "{text}");
    }
    let long = format!("'{}'.", "a".repeat(256));
    assert_eq!(error(&long), "line 1, column 1: an atom of 256 characters; the limit is 255");
    assert!(parse_term("a b").is_err());
    assert!(parse_term("").is_err());
    assert_eq!(parse_term("a."), parse_term("a"));
}

#[test]
fn depth_is_limited() {
    let nested = |levels: usize| format!("{}{}.", "[".repeat(levels), "]".repeat(levels));
    assert!(consult(&nested(DEPTH_MAX)).is_ok());
    let too_deep = TextErrorReason::TooDeep { max: DEPTH_MAX };
    assert_eq!(consult(&nested(DEPTH_MAX + 2)).unwrap_err().reason, too_deep);
    assert_eq!(consult(&"{a,".repeat(DEPTH_MAX + 1)).unwrap_err().reason, too_deep);
    assert_eq!(consult(&"(".repeat(DEPTH_MAX + 1)).unwrap_err().reason, too_deep);
    for open in ["<<", "<<("] {
        assert!(matches!(
            consult(&open.repeat(100_000)).unwrap_err().reason,
            TextErrorReason::TooDeep { .. }
        ));
    }
}

#[test]
fn bytes_are_utf8_unless_they_say_otherwise() {
    let expected = Ok(vec![Term::charlist("é")]);
    assert_eq!(consult_bytes("\"é\".".as_bytes()), expected);
    assert_eq!(consult_bytes(b"%% coding: latin-1\n\"\xe9\"."), expected);
    assert_eq!(consult_bytes(b"\n%% -*- coding: Latin-1 -*-\n\"\xe9\"."), expected);
    assert_eq!(consult_bytes("%% coding=utf-8\n\"é\".".as_bytes()), expected);
    let error = consult_bytes(b"{a,\n \"\xe9\"}.").unwrap_err();
    assert_eq!((error.line, error.column, error.reason), (2, 3, TextErrorReason::NotUtf8));
    // Too late, or no comment.
    assert!(consult_bytes(b"\n\n%% coding: latin-1\n\"\xe9\".").is_err());
    assert!(consult_bytes(b"coding: latin-1\n\"\xe9\".").is_err());
}

/// Found by fuzzing: each one alone was within the limit.
#[test]
fn many_long_binaries_are_limited_together() {
    let long = "<<0:134217728>>";
    assert!(parse_term(&format!("[{long}]")).is_ok());
    let error = parse_term(&format!("[{long}, {long}]")).unwrap_err();
    assert!(matches!(error.reason, TextErrorReason::TooManyBits { .. }), "{error}");
    // What is written out is read however long it is.
    let chars = format!("<<\"{}\"/utf32>>", "a".repeat(3 << 20));
    assert!(parse_term(&format!("[{chars}, {chars}]")).is_ok());
}
