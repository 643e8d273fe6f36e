use super::*;
use crate::{Atom, BitString, Float, text::parse_term, tuple};

fn float(value: f64) -> Term {
    Float::new(value).unwrap().into()
}

fn text(text: &str) -> Term {
    parse_term(text).unwrap()
}

fn reference(node: &str, creation: u32, words: &[u32]) -> Term {
    Reference::new(Atom::from(node), creation, words).unwrap().into()
}

fn closure(module: &str, index: u32, old_uniq: i32, free: Vec<Term>) -> Term {
    let creator = Pid::new(Atom::from("a@b"), 1, 0, 1);
    let module = Atom::from(module);
    let (arity, uniq, old_index, free) = (1, [0; 16], 0, free.into());
    Fun::Closure(Closure { arity, uniq, index, module, old_index, old_uniq, creator, free }).into()
}

fn record(name: &str, fields: Vec<(Atom, Term)>) -> Term {
    Term::Record(Box::new(Record::new(1, "m", name, fields)))
}

/// Each is less than the next, in `Ord`; by `cmp_erlang` some neighbours are equal.
fn sorted() -> Vec<Term> {
    let mut all = vec![
        text("-1000000000000000000000"),
        text("-9223372036854775809"),
        i64::MIN.into(),
        (-1).into(),
        float(-0.5),
        0.into(),
        float(-0.0),
        float(0.0),
        float(f64::MIN_POSITIVE),
        1.into(),
        float(1.0),
        float(1.5),
        2.into(),
        // Whole numbers that floats cannot tell apart.
        text("9007199254740992"),
        float(9_007_199_254_740_992.0),
        text("9007199254740993"),
        float(9_007_199_254_740_994.0),
        i64::MAX.into(),
        text("9223372036854775808"),
        float(9_223_372_036_854_775_808.0),
        text("9223372036854775809"),
        text("100000000000000000000000"),
        // 1.0e23 is a little less than 10^23 and above is a little more.
        float(1.000_000_000_000_000_1e23),
        float(1.0e300),
    ];
    all.extend(["''", "'A'", "a", "aa", "b", "z", "é", "'日'", "'😀'"].map(text));
    all.extend([
        reference("a@b", 1, &[9, 9]),
        reference("a@b", 1, &[1, 1, 1]),
        reference("a@b", 1, &[2, 1, 1]),
        reference("a@b", 1, &[0, 2, 1]),
        reference("a@b", 2, &[0]),
        reference("aa@b", 1, &[0]),
        closure("m", 0, 1, vec![]),
        closure("m", 0, 2, vec![]),
        closure("m", 0, 2, vec![1.into()]),
        closure("m", 0, 2, vec![2.into()]),
        closure("m", 1, 0, vec![]),
        closure("n", 0, 0, vec![]),
    ]);
    all.extend(["fun a:a/1", "fun a:b/0", "fun a:b/1", "fun b:a/0"].map(text));
    let (small, large) = (Atom::from("a@b"), Atom::from("b@b"));
    all.extend([
        Port::new(small.clone(), 2, 1).into(),
        Port::new(small.clone(), 1, 2).into(),
        Port::new(large.clone(), 1, 1).into(),
        // The node counts only after serial and number.
        Pid::new(small.clone(), 1, 0, 2).into(),
        Pid::new(large.clone(), 1, 0, 1).into(),
        Pid::new(small.clone(), 2, 0, 1).into(),
        Pid::new(small, 1, 1, 1).into(),
    ]);
    all.extend(["{}", "{b}", "{a, a}", "{a, b}", "{a, {1}}", "{a, {1.0}}", "{b, a}", "{1, 1, 1}"].map(text));
    all.extend([
        record("r", vec![]),
        record("r", vec![("a".into(), 1.into())]),
        record("r", vec![("a".into(), 2.into())]),
        record("s", vec![]),
    ]);
    all.extend(
        [
            "#{}",
            "#{1 => z}",
            "#{2 => a}",
            // Every integer key before every float key, so 1.0 comes after 2.
            "#{1.0 => a}",
            "#{a => 1}",
            "#{a => 1.0}",
            "#{a => 2}",
            "#{{2} => 0}",
            "#{{1.0} => 0}",
            "#{1 => a, 1.0 => b}",
            "#{a => 1, b => 3}",
            "#{a => 2, b => 2}",
            "#{a => 0, c => 0}",
        ]
        .map(text),
    );
    all.extend(
        [
            "[]",
            "[1 | 2]",
            "[1 | a]",
            "[1]",
            "[1, 2]",
            "[1, 2, 3]",
            "[1 | <<>>]",
            "[2]",
            "[a]",
            "[[]]",
            "[[a]]",
        ]
        .map(text),
    );
    all.extend(
        [
            "<<>>",
            "<<0:1>>",
            "<<0:7>>",
            "<<0>>",
            "<<0:9>>",
            "<<0, 0>>",
            "<<0, 1>>",
            "<<1>>",
            "<<1:7>>",
            "<<2, 1:3>>",
            "<<2, 255>>",
            "<<1:2>>",
            "<<\"abc\">>",
            "<<1:1>>",
            "<<255>>",
        ]
        .map(text),
    );
    all
}

#[test]
fn corpus_is_in_order() {
    let sorted = sorted();
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{a} against {b}");
            assert_eq!(a == b, i == j, "{a} against {b}");
            let erlang = a.cmp_erlang(b);
            assert!(erlang == i.cmp(&j) || erlang == Ordering::Equal, "{a} against {b}");
            assert_eq!(erlang, b.cmp_erlang(a).reverse(), "{a} against {b}");
        }
    }
}

#[test]
fn erlang_takes_numbers_by_value() {
    let equal = [
        (text("1"), text("1.0")),
        (float(0.0), float(-0.0)),
        (text("9223372036854775808"), float(9_223_372_036_854_775_808.0)),
        (text("[a, {1} | 2]"), text("[a, {1.0} | 2.0]")),
        (text("#{a => 1}"), text("#{a => 1.0}")),
        (text("{#{a => 1}, 1}"), text("{#{a => 1}, 1.0}")),
        (closure("m", 0, 0, vec![1.into()]), closure("m", 0, 0, vec![float(1.0)])),
        (record("r", vec![("a".into(), 1.into())]), record("r", vec![("a".into(), float(1.0))])),
    ];
    for (a, b) in equal {
        assert_eq!(a.cmp_erlang(&b), Ordering::Equal, "{a} against {b}");
        assert_ne!(a, b);
        assert_ne!(a.cmp(&b), Ordering::Equal, "{a} against {b}");
    }
    let different = [("#{1 => a}", "#{1.0 => a}"), ("9007199254740993", "9007199254740992.0")];
    for (a, b) in different.map(|(a, b)| (text(a), text(b))) {
        assert_ne!(a.cmp_erlang(&b), Ordering::Equal, "{a} against {b}");
    }
}

/// From OTP 25; `Eq` and `cmp_erlang` from OTP 27.
#[test]
fn zeros_are_one_before_otp_27() {
    let equal = [
        ("0.0", "-0.0"),
        ("{-0.0, [0.0 | -0.0]}", "{0.0, [-0.0 | -0.0]}"),
        ("#{a => -0.0}", "#{a => 0.0}"),
        ("#{-0.0 => a}", "#{0.0 => a}"),
        // Sorted otherwise.
        ("#{{-0.0, 2} => a, {0.0, 1} => b}", "#{{0.0, 2} => a, {0.0, 1} => b}"),
        ("[#{#{[-0.0] => 1} => 2}, {}, []]", "[#{#{[0.0] => 1} => 2}, {}, []]"),
    ];
    for (a, b) in equal.map(|(a, b)| (text(a), text(b))) {
        assert!(a.eq_before_27(&b) && b.eq_before_27(&a) && a != b, "{a} and {b}");
        assert_eq!(a.cmp_before_27(&b), Ordering::Equal, "{a} and {b}");
        assert_eq!(a.without_negative_zeros(), b.without_negative_zeros(), "{a} and {b}");
    }
    for (a, b) in [("1", "1.0"), ("0", "-0.0"), ("#{0 => a}", "#{-0.0 => a}"), ("[-0.0]", "{-0.0}")] {
        assert!(!text(a).eq_before_27(&text(b)), "{a} and {b}");
    }
    let (a, b) = (text("#{-0.0 => b}"), text("#{0.0 => a}"));
    assert_eq!((a.cmp_erlang(&b), a.cmp_before_27(&b)), (Ordering::Less, Ordering::Greater));
    let closed = |zero| closure("m", 0, 0, vec![float(zero)]);
    assert!(closed(0.0).eq_before_27(&closed(-0.0)));
    let of_record = |zero| record("r", vec![("a".into(), float(zero))]);
    assert!(of_record(0.0).eq_before_27(&of_record(-0.0)));
    assert_eq!(*text("#{-0.0 => a, 0.0 => b}").without_negative_zeros(), text("#{0.0 => b}"));
}

#[test]
fn keys_of_maps_have_an_order_of_their_own() {
    let mut keys = ["a", "1.5", "0.0", "2", "-0.0", "1", "{1.0}", "{2}", "1.0"].map(text);
    keys.sort_by(Term::cmp_exact);
    assert_eq!(keys, ["1", "2", "-0.0", "0.0", "1.0", "1.5", "a", "{2}", "{1.0}"].map(text));
}

#[test]
fn missing_words_of_references_are_zero() {
    let (short, long) = (reference("a@b", 1, &[1]), reference("a@b", 1, &[1, 0, 0]));
    assert_eq!(short, long);
    assert_eq!(short.cmp(&long), Ordering::Equal);
}

#[test]
fn closures_do_not_differ_by_creator() {
    let a = closure("m", 0, 0, vec![]);
    let Term::Fun(fun) = a.clone() else { panic!() };
    let Fun::Closure(closure) = *fun else { panic!() };
    let other = Pid::new(Atom::from("c@d"), 7, 7, 7);
    let b = Term::from(Fun::Closure(Closure { creator: other, ..closure }));
    assert_eq!(a, b);
    assert_eq!(a.cmp(&b), Ordering::Equal);
}

#[test]
fn whole_binaries_and_bit_strings_compare_by_bits() {
    let bits = Term::from(BitString::new(&[0b1010_0000], 3).unwrap());
    assert!(bits > Term::binary([0b1001_1111].as_slice()));
    assert!(bits < Term::binary([0b1010_0000].as_slice()));
}

#[test]
fn deep_terms_take_no_stack() {
    let nested = |last: Term| {
        let mut term = last;
        for level in 0..100_000 {
            term = match level % 4 {
                0 => tuple!(term),
                1 => Term::list(vec![term, 1.into()]),
                2 => Term::list_with_tail(vec![term], 1.into()),
                _ => Term::Map([(1.into(), term)].into_iter().collect()),
            };
        }
        term
    };
    let (a, b) = (nested(1.into()), nested(2.into()));
    assert_eq!(a.cmp(&b), Ordering::Less);
    assert_eq!(a.cmp(&a), Ordering::Equal);
    let (zero, negative) = (nested(float(0.0)), nested(float(-0.0)));
    assert!(zero.eq_before_27(&negative));
}

/// As OTP 29 has them. Each is less than the next, though all after what decides says otherwise.
#[test]
fn records_are_ordered_by_definition_then_values() {
    let record = |module: &'static str, name: &'static str, flags, fields: &[(&'static str, i64)]| {
        let fields = fields.iter().map(|&(name, value)| (Atom::from(name), Term::from(value)));
        Term::Record(Box::new(crate::Record::new(flags, module, name, fields.collect::<Vec<_>>())))
    };
    let sorted = [
        record("a", "b", 1, &[("y", 2), ("z", 2)]),
        record("b", "a", 1, &[("y", 2), ("z", 2)]),
        record("b", "b", 0, &[("y", 2), ("z", 2)]),
        record("b", "b", 1, &[("y", 2)]),
        record("b", "b", 1, &[("x", 1), ("z", 2)]),
        record("b", "b", 1, &[("y", 1), ("x", 2)]),
        record("b", "b", 1, &[("y", 2), ("x", 1)]),
    ];
    assert!(sorted.is_sorted_by(|a, b| a < b && a.cmp_exact(b).is_lt()));
}
