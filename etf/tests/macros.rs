//! Terms written and matched as Erlang writes them, by another crate and without a warning there.
#![deny(unused, unreachable_code)]

use crabnode_etf::{
    Atom, BigInt, Float, Pid, Reference, Term, let_term, match_term, matches_term, term, text::parse_term,
};

fn parsed(text: &str) -> Term {
    parse_term(text).unwrap()
}

#[test]
fn words_numbers_and_text() {
    assert_eq!(term!(ok), Term::atom("ok"));
    assert_eq!(term!(true), Term::from(true));
    assert_eq!(term!(type), Term::atom("type"));
    assert_eq!(term!(Self), Term::atom("Self"));
    assert_eq!(term!(fun), Term::atom("fun"));
    assert_eq!(term!(atom "Elixir.Foo bar"), Term::atom("Elixir.Foo bar"));
    assert_eq!(term!(atom), Term::atom("atom"));
    assert_eq!(term!(0), Term::from(0));
    assert_eq!(term!(-7), Term::from(-7));
    assert_eq!(term!(-9_223_372_036_854_775_808), Term::from(i64::MIN));
    assert_eq!(term!(0xff), Term::from(255));
    assert_eq!(term!(1.5), Float::new(1.5).unwrap().into());
    assert_eq!(term!(-0.0), Float::new(-0.0).unwrap().into());
    assert_eq!(term!("text"), Term::charlist("text"));
    assert_eq!(term!(""), Term::NIL);
    assert_eq!(term!(fun lists:map/2), Term::export("lists", "map", 2));
}

#[test]
fn binaries() {
    let (head, tail) = (vec![1, 2], "xyz");
    assert_eq!(term!(<<>>), Term::binary(""));
    assert_eq!(term!(<<"text">>), Term::binary("text"));
    assert_eq!(term!(<<1, 255, 0x20>>), parsed("<<1, 255, 32>>"));
    assert_eq!(term!(<<"a", 0, (&head), "é", (tail)>>), Term::binary(&b"a\0\x01\x02\xc3\xa9xyz"[..]));
    assert_eq!(head, [1, 2]);
}

#[test]
fn tuples_lists_and_maps() {
    assert_eq!(term!({}), parsed("{}"));
    assert_eq!(term!([]), parsed("[]"));
    assert_eq!(term!(#{}), parsed("#{}"));
    assert_eq!(term!({ a }), parsed("{a}"));
    assert_eq!(term!({a, {b, {c}}, []}), parsed("{a, {b, {c}}, []}"));
    assert_eq!(term!({a, -1, <<"b", 2>>, #{},}), parsed("{a, -1, <<\"b\", 2>>, #{}}"));
    assert_eq!(term!([1, 2, 3]), parsed("[1, 2, 3]"));
    assert_eq!(term!([<<1, 2>>, <<>>, -3]), parsed("[<<1, 2>>, <<>>, -3]"));
    assert_eq!(term!([a | b]), parsed("[a | b]"));
    assert_eq!(term!([a, <<"x", 1>> | [c, d]]), parsed("[a, <<\"x\", 1>>, c, d]"));
    assert_eq!(term!(#{a => 1, <<"b", 0>> => [2], {c, 3} => #{d => e}, -1 => <<1, 2>>}), {
        parsed("#{a => 1, <<\"b\", 0>> => [2], {c, 3} => #{d => e}, -1 => <<1, 2>>}")
    });
    assert_eq!(term!(#{a => 1, a => 2,}), parsed("#{a => 2}"));
    // More than the compiler's limit of recursion.
    let long = term!([
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6,
        7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3,
        4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0,
        1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, {a, b}, [c], "d", e
    ]);
    assert_eq!(long.as_list().map(<[Term]>::len), Some(134));
}

#[test]
fn rust_stands_in_parentheses() {
    let pid = Pid::new(Atom::from("a@b"), 1, 2, 3);
    let (n, all) = (5_u8, vec![Term::from(1), term!(two)]);
    let built = term!({reply, (&pid), (u64::MAX), [(n + 1), (n * 2) | (all.clone())], #{(n) => (all)}});
    assert_eq!(built.to_string(), "{reply,<a@b.1.2>,18446744073709551615,[6,10,1,two],#{5 => [1,two]}}");
}

#[test]
fn arms_are_tried_in_order() {
    fn name(term: &Term) -> &'static str {
        match_term!(term,
            ok => "the atom",
            "ok" => "the charlist",
            <<"ok">> => "the binary",
            {} => "an empty tuple",
            {ok} => "a tuple of one",
            {ok, 1} => "one",
            {ok, -1} => "minus one",
            {ok, 1.0} => "a float",
            {ok, _} if term.as_tuple().is_some_and(|t| t[1].is_atom("x")) => "x",
            {ok, _} => { "a tuple of two" }
            {atom "not ok", [], #{}} => "quoted",
            fun lists:map/2 => "a fun",
            [] => "nothing",
            [_] => "a list of one",
            [a, <<"b", 1>>] => "a and b",
            [_, _ | [_]] => "a list of three",
            [a | b] => "improper",
            _ => "other",
        )
    }
    for (text, expected) in [
        ("ok", "the atom"),
        ("\"ok\"", "the charlist"),
        ("<<\"ok\">>", "the binary"),
        ("{}", "an empty tuple"),
        ("{ok}", "a tuple of one"),
        ("{ok, 1}", "one"),
        ("{ok, -1}", "minus one"),
        ("{ok, 1.0}", "a float"),
        ("{ok, x}", "x"),
        ("{ok, y}", "a tuple of two"),
        ("{'not ok', [], #{}}", "quoted"),
        ("{'not ok', [], #{a => 1}}", "quoted"),
        ("fun lists:map/2", "a fun"),
        ("[]", "nothing"),
        ("[[]]", "a list of one"),
        ("[a, <<\"b\", 1>>]", "a and b"),
        ("[1, 2, 3]", "a list of three"),
        ("[a | b]", "improper"),
        ("[a | c]", "other"),
        ("[a, b | c]", "other"),
        ("{ok, 1, 2}", "other"),
    ] {
        assert_eq!(name(&parsed(text)), expected, "{text}");
    }
}

#[test]
fn variables_borrow_from_the_term() {
    fn inner(term: &Term) -> Option<&Term> {
        match_term!(term, {_, (inner)} => Some(inner), _ => None)
    }
    fn text<'a>(term: &'a Term) -> &'a str {
        let_term!(#{name => {(text: &'a str), _}} = term, else { return "none" });
        text
    }
    assert_eq!(inner(&term!({a, [b]})), Some(&term!([b])));
    assert_eq!(inner(&term!({a, b, c})), None);
    assert_eq!(text(&term!(#{name => {<<"Joe">>, 1}})), "Joe");
    assert_eq!(text(&term!(#{name => {joe, 1}})), "none");
    assert_eq!(text(&term!(#{})), "none");
}

#[test]
fn types_guard() {
    let pid = Pid::new(Atom::from("a@b"), 1, 2, 3);
    let tag = Reference::new(Atom::from("a@b"), 3, &[7]).unwrap();
    let call = term!({atom "$gen_call", {(&pid), [alias | (&tag)]}, {add, 3, 4_000_000_000}});
    let sum = match_term!(&call,
        {atom "$gen_call", {_, _}, {add, (_: u8), (_: u8)}} => panic!("the second is no byte"),
        {atom "$gen_call", {(from: &Pid), [alias | (alias: &Reference)]}, {add, (a: u8), (b: u64)}} => {
            assert_eq!((from, alias), (&pid, &tag));
            u64::from(a) + b
        }
        _ => panic!("{call}"),
    );
    assert_eq!(sum, 4_000_000_003);

    let big = BigInt::from(2).pow(80);
    assert!(matches_term!(&Term::from(big.clone()), (n: BigInt) if n == big));
    assert!(matches_term!(&Term::from(big), (n: u128) if n == 1 << 80));
    assert!(matches_term!(&term!(nil), (x: Option<i64>) if x.is_none()));
    assert!(matches_term!(&term!(5), (x: Option<i64>) if x == Some(5)));
    assert!(!matches_term!(&term!(five), (_: Option<i64>)));
    assert!(matches_term!(&term!("text"), (s: String) if s == "text"));
    assert!(!matches_term!(&term!("text"), (_: &str)));
    assert!(matches_term!(&term!(1.5), (x: f64) if x > 1.0));
    assert!(!matches_term!(&term!(1), (_: f64)));
    assert!(matches_term!(&term!(true), (x: bool) if x));
}

#[test]
fn tails() {
    let list = term!([1, 2, 3]);
    let_term!([(first: i64) | (rest)] = &list, else { panic!() });
    assert_eq!((first, rest), (1, &[Term::from(2), Term::from(3)][..]));
    let_term!([_, _, _ | (rest)] = &list, else { panic!() });
    assert_eq!(rest, []);
    assert!(!matches_term!(&list, [_, _, _, _ | _]));
    let improper = term!([1, 2 | three]);
    assert!(!matches_term!(&improper, [1 | (_: &[Term])]));
    assert!(matches_term!(&improper, [1, 2 | three]));
    assert!(matches_term!(&improper, [1 | (tail: Term)] if tail == term!([2 | three])));
    assert!(matches_term!(&improper, [1 | [2 | (t: &Atom)]] if t == "three"));
    assert!(matches_term!(&improper, [1 | _]));
    assert!(!matches_term!(&improper, [1, 2]));
}

#[test]
fn maps_need_the_keys_that_are_named() {
    let map = term!(#{name => <<"Joe">>, <<"age", 1>> => 7, {a, 1} => yes, 1 => 2, 1.0 => 3});
    let_term!(#{<<"age", 1>> => (age: u8), {a, 1} => yes, name => (n @ <<"Joe">>),} = &map, else { panic!() });
    assert_eq!((age, n), (7, &term!(<<"Joe">>)));
    assert!(matches_term!(&map, #{}));
    assert!(matches_term!(&map, #{1 => 2, 1.0 => 3}));
    assert!(!matches_term!(&map, #{missing => _}));
    assert!(!matches_term!(&term!([]), #{}));
    let key = "name";
    assert!(matches_term!(&map, #{(== Atom::from(key)) => <<"Joe">>}));
}

#[test]
fn binaries_start_with() {
    let request = term!(<<"GET ", 47, "index">>);
    let_term!(<<"GET /", (path)>> = &request, else { panic!() });
    assert_eq!(path, b"index");
    assert!(matches_term!(&request, <<"GET", _>>));
    assert!(matches_term!(&request, (== request.clone())));
    assert!(!matches_term!(&request, (== Term::binary("GET"))));
    assert!(matches_term!(&request, <<71, "ET /index">>));
    assert!(!matches_term!(&request, <<"GET">>));
    assert!(!matches_term!(&request, <<>>));
    assert!(matches_term!(&term!(<<>>), <<>>));
}

#[test]
fn bodies_leave_as_they_like() -> Result<(), String> {
    fn first_even(terms: &[Term]) -> Option<i64> {
        for term in terms {
            match_term!(term,
                stop => return None,
                (n: i64) if n % 2 == 1 => continue,
                (n: i64) => return Some(n),
                _ => {}
            )
        }
        None
    }
    assert_eq!(first_even(&[term!(1), term!({}), term!(4), term!(stop)]), Some(4));
    assert_eq!(first_even(&[term!(1), term!(stop), term!(4)]), None);
    let n: i64 = match_term!(&term!({ok, <<"12">>}),
        {ok, (text: &str)} => text.parse().map_err(|_| "no number".to_owned())?,
        _ => 0,
    );
    assert_eq!(n, 12);
    Ok(())
}
