//! Elixir's values as Elixir 1.14 writes them, read into Rust types and back.
//!
//! The bytes are those of `:erlang.term_to_binary(value, [:deterministic])`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crabnode_etf::{
    Atom, DecodeLimits, Term, decode,
    serde::{
        Options,
        elixir::{self, Date, DateTime, NaiveDateTime, Range, Time},
        from_bytes, to_term,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

fn term(bytes: &'static [u8]) -> Term {
    decode(&bytes.into(), &DecodeLimits::default()).unwrap()
}

/// Reads the bytes, and what is written back is the same term.
fn both<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &'static [u8], value: &T) {
    assert_eq!(from_bytes::<T>(bytes).unwrap(), *value);
    assert_eq!(to_term(value).unwrap(), term(bytes));
}

/// Only reads the bytes.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> T {
    from_bytes(bytes).unwrap()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Elixir.MyApp.User")]
struct User {
    name: String,
    age: Option<u8>,
    tags: Vec<String>,
    role: Role,
    address: Address,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Guest,
    Admin,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Elixir.MyApp.Address")]
struct Address {
    #[serde(with = "crabnode_etf::serde::charlist")]
    street: String,
    zip: u32,
}

fn joe() -> User {
    let address = Address { street: "Main".into(), zip: 123 };
    let tags = vec!["a".into(), "b".into()];
    User { name: "Joé".into(), age: None, tags, role: Role::Admin, address }
}

/// `{:ok, %MyApp.User{name: "Joé", age: nil, tags: ["a", "b"], role: :admin,
/// address: %MyApp.Address{street: 'Main', zip: 123}}}`
const OK_JOE: &[u8] =
    b"\x83h\x02d\0\x02okt\0\0\0\x06d\0\x0a__struct__d\0\x11Elixir.MyApp.Userd\0\x07addresst\0\0\0\x03d\
        \0\x0a__struct__d\0\x14Elixir.MyApp.Addressd\0\x06streetk\0\x04Maind\0\x03zipa{d\0\x03aged\0\x03\
        nild\0\x04namem\0\0\0\x04Jo\xc3\xa9d\0\x04roled\0\x05admind\0\x04tagsl\0\0\0\x02m\0\0\0\x01am\0\
        \0\0\x01bj";

/// `{:error, :enoent}`
const ENOENT: &[u8] = b"\x83h\x02d\0\x05errord\0\x06enoent";

#[test]
fn structs_in_structs() {
    both(OK_JOE, &Ok::<_, Atom>(joe()));
    both(ENOENT, &Err::<User, _>(Atom::from("enoent")));
}

#[test]
fn structs_by_their_short_names() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Address {
        #[serde(with = "crabnode_etf::serde::charlist")]
        street: String,
        zip: u32,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct User {
        name: String,
        address: Address,
    }
    let options = Options { elixir_module: Some("MyApp".into()), ..Options::default() };
    let user: Result<User, Atom> = options.from_bytes(OK_JOE).unwrap();
    assert_eq!(user.as_ref().unwrap().address, Address { street: "Main".into(), zip: 123 });
    let other = Options { elixir_module: Some("Other".into()), ..Options::default() };
    let error = other.from_bytes::<Result<User, Atom>>(OK_JOE).unwrap_err().to_string();
    assert!(error.contains("Elixir.MyApp.User") && error.contains("Elixir.Other.User"), "{error}");
}

/// `~D[2024-02-29]`
const DATE: &[u8] =
    b"\x83t\0\0\0\x05d\0\x0a__struct__d\0\x0bElixir.Dated\0\x08calendard\0\x13Elixir.Calendar.ISOd\0\
        \x03daya\x1dd\0\x05montha\x02d\0\x04yearb\0\0\x07\xe8";

/// `~D[-0044-03-15]`
const OLD_DATE: &[u8] =
    b"\x83t\0\0\0\x05d\0\x0a__struct__d\0\x0bElixir.Dated\0\x08calendard\0\x13Elixir.Calendar.ISOd\0\
        \x03daya\x0fd\0\x05montha\x03d\0\x04yearb\xff\xff\xff\xd4";

/// `~T[12:34:56.007]`
const TIME: &[u8] =
    b"\x83t\0\0\0\x06d\0\x0a__struct__d\0\x0bElixir.Timed\0\x08calendard\0\x13Elixir.Calendar.ISOd\0\
        \x04houra\x0cd\0\x0bmicrosecondh\x02b\0\0\x1bXa\x03d\0\x06minutea\"d\0\x06seconda8";

/// `~N[2024-02-29 12:34:56]`
const NAIVE: &[u8] =
    b"\x83t\0\0\0\x09d\0\x0a__struct__d\0\x14Elixir.NaiveDateTimed\0\x08calendard\0\x13Elixir.Calendar\
        .ISOd\0\x03daya\x1dd\0\x04houra\x0cd\0\x0bmicrosecondh\x02a\0a\0d\0\x06minutea\"d\0\x05montha\
        \x02d\0\x06seconda8d\0\x04yearb\0\0\x07\xe8";

/// `~U[2024-02-29 12:34:56.123456Z]`
const DATE_TIME: &[u8] =
    b"\x83t\0\0\0\x0dd\0\x0a__struct__d\0\x0fElixir.DateTimed\0\x08calendard\0\x13Elixir.Calendar.ISOd\
        \0\x03daya\x1dd\0\x04houra\x0cd\0\x0bmicrosecondh\x02b\0\x01\xe2@a\x06d\0\x06minutea\"d\0\x05mon\
        tha\x02d\0\x06seconda8d\0\x0astd_offseta\0d\0\x09time_zonem\0\0\0\x07Etc/UTCd\0\x0autc_offseta\0\
        d\0\x04yearb\0\0\x07\xe8d\0\x09zone_abbrm\0\0\0\x03UTC";

/// `1..9//2`
const RANGE: &[u8] =
    b"\x83t\0\0\0\x04d\0\x0a__struct__d\0\x0cElixir.Ranged\0\x05firsta\x01d\0\x04lasta\x09d\0\x04stepa\
        \x02";

/// `5..1`
const DOWN: &[u8] =
    b"\x83t\0\0\0\x04d\0\x0a__struct__d\0\x0cElixir.Ranged\0\x05firsta\x05d\0\x04lasta\x01d\0\x04stepb\
        \xff\xff\xff\xff";

#[test]
fn dates_times_and_ranges() {
    both(DATE, &Date { year: 2024, month: 2, day: 29 });
    both(OLD_DATE, &Date { year: -44, month: 3, day: 15 });
    both(TIME, &Time { hour: 12, minute: 34, second: 56, microsecond: (7000, 3) });
    let (year, month, day, hour, minute, second) = (2024, 2, 29, 12, 34, 56);
    both(NAIVE, &NaiveDateTime { year, month, day, hour, minute, second, microsecond: (0, 0) });
    let (utc_offset, std_offset, time_zone, zone_abbr) = (0, 0, "Etc/UTC".into(), "UTC".into());
    let microsecond = (123_456, 6);
    let date_time = DateTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        microsecond,
        time_zone,
        zone_abbr,
        utc_offset,
        std_offset,
    };
    both(DATE_TIME, &date_time);
    both(RANGE, &Range { first: 1, last: 9, step: 2 });
    both(DOWN, &Range { first: 5, last: 1, step: -1 });
}

/// `MapSet.new([1, 2, 3])`
const NUMBERS: &[u8] =
    b"\x83t\0\0\0\x03d\0\x0a__struct__d\0\x0dElixir.MapSetd\0\x03mapt\0\0\0\x03a\x01ja\x02ja\x03jd\0\
        \x07versiona\x02";

/// `MapSet.new(["a", "b"])`
const STRINGS: &[u8] =
    b"\x83t\0\0\0\x03d\0\x0a__struct__d\0\x0dElixir.MapSetd\0\x03mapt\0\0\0\x02m\0\0\0\x01ajm\0\0\0\
        \x01bjd\0\x07versiona\x02";

/// `MapSet.new()`
const EMPTY: &[u8] =
    b"\x83t\0\0\0\x03d\0\x0a__struct__d\0\x0dElixir.MapSetd\0\x03mapt\0\0\0\0d\0\x07versiona\x02";

#[test]
fn sets() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Set<C: IntoIterator + FromIterator<C::Item>>(
        #[serde(
            with = "elixir::map_set",
            bound(
                serialize = "for<'a> &'a C: IntoIterator<Item: Serialize>",
                deserialize = "C::Item: Deserialize<'de>"
            )
        )]
        C,
    );
    assert_eq!(read::<Set<BTreeSet<i64>>>(NUMBERS).0, BTreeSet::from([1, 2, 3]));
    assert_eq!(read::<Set<HashSet<String>>>(STRINGS).0, HashSet::from(["a".into(), "b".into()]));
    assert_eq!(read::<Set<Vec<String>>>(EMPTY).0, Vec::<String>::new());
    // A newer Elixir's, which is what is written, has no version.
    let mut newer = term(STRINGS);
    let Term::Map(map) = &mut newer else { panic!() };
    map.remove(&Term::atom("version")).unwrap();
    assert_eq!(to_term(&Set(vec!["a", "b"])).unwrap(), newer);
    assert_eq!(crabnode_etf::serde::from_term::<Set<Vec<String>>>(&newer).unwrap().0, ["a", "b"]);
    // Other structs and elements will not do.
    assert!(from_bytes::<Set<Vec<u8>>>(RANGE).is_err());
    assert!(from_bytes::<Set<Vec<u8>>>(STRINGS).is_err());
    assert!(to_term(&Set(vec![1, 1])).is_err());
    // For people it is a list.
    assert_eq!(serde_json::to_string(&Set(vec![1, 2])).unwrap(), "[1,2]");
    assert_eq!(serde_json::from_str::<Set<Vec<u8>>>("[1,2]").unwrap().0, [1, 2]);
}

/// `%ArgumentError{message: "bad"}`
const ARGUMENT_ERROR: &[u8] =
    b"\x83t\0\0\0\x03d\0\x0d__exception__d\0\x04trued\0\x0a__struct__d\0\x14Elixir.ArgumentErrord\0\
        \x07messagem\0\0\0\x03bad";

/// `%UndefinedFunctionError{module: Foo, function: :bar, arity: 2}`
const UNDEFINED_FUNCTION: &[u8] =
    b"\x83t\0\0\0\x07d\0\x0d__exception__d\0\x04trued\0\x0a__struct__d\0\x1dElixir.UndefinedFunctionEr\
        rord\0\x05aritya\x02d\0\x08functiond\0\x03bard\0\x07messaged\0\x03nild\0\x06moduled\0\x0aElixir.\
        Food\0\x06reasond\0\x03nil";

#[test]
fn exceptions() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Elixir.ArgumentError")]
    struct ArgumentError {
        __exception__: bool,
        message: String,
    }
    both(ARGUMENT_ERROR, &ArgumentError { __exception__: true, message: "bad".into() });

    // Whatever it is, by the name of its module.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "__struct__")]
    enum Exception {
        #[serde(rename = "Elixir.ArgumentError")]
        Argument { message: String },
        #[serde(rename = "Elixir.UndefinedFunctionError")]
        Undefined { module: String, function: String, arity: u8, message: Option<String> },
    }
    let argument = Exception::Argument { message: "bad".into() };
    assert_eq!(read::<Exception>(ARGUMENT_ERROR), argument);
    let written = "#{'__struct__' => 'Elixir.ArgumentError',message => <<\"bad\">>}";
    assert_eq!(to_term(&argument).unwrap().to_string(), written);
    let (module, function) = ("Elixir.Foo".into(), "bar".into());
    let undefined = Exception::Undefined { module, function, arity: 2, message: None };
    assert_eq!(read::<Exception>(UNDEFINED_FUNCTION), undefined);
}

/// `[timeout: 5000, name: MyApp, verbose: true]`
const KEYWORDS: &[u8] =
    b"\x83l\0\0\0\x03h\x02d\0\x07timeoutb\0\0\x13\x88h\x02d\0\x04named\0\x0cElixir.MyApph\x02d\0\x07ve\
        rbosed\0\x04truej";

/// `[:verbose, {:timeout, 5000}, {:name, "x"}]`
const PROPERTIES: &[u8] =
    b"\x83l\0\0\0\x03d\0\x07verboseh\x02d\0\x07timeoutb\0\0\x13\x88h\x02d\0\x04namem\0\0\0\x01xj";

/// `[opts: [a: 1, b: [c: 2]], list: [1, 2, 3]]`
const NESTED: &[u8] =
    b"\x83l\0\0\0\x02h\x02d\0\x04optsl\0\0\0\x02h\x02d\0\x01aa\x01h\x02d\0\x01bl\0\0\0\x01h\x02d\0\x01\
        ca\x02jjh\x02d\0\x04listk\0\x03\x01\x02\x03j";

#[test]
fn keyword_lists() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Start {
        timeout: u32,
        name: String,
        verbose: bool,
    }
    let start = |name: &str| Start { timeout: 5000, name: name.into(), verbose: true };
    assert_eq!(read::<Start>(KEYWORDS), start("Elixir.MyApp"));
    assert_eq!(read::<Start>(PROPERTIES), start("x"));
    // As what they are: pairs.
    let pairs: Vec<(Atom, Term)> = read(KEYWORDS);
    assert_eq!(to_term(&pairs).unwrap(), term(KEYWORDS));

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        opts: Inner,
        list: Vec<u8>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        a: u8,
        b: BTreeMap<String, u8>,
    }
    let inner = Inner { a: 1, b: BTreeMap::from([("c".into(), 2)]) };
    assert_eq!(read::<Outer>(NESTED), Outer { opts: inner, list: vec![1, 2, 3] });
}

/// `'héllo'`
const CHARLIST: &[u8] = b"\x83k\0\x05h\xe9llo";

/// `%{"name" => "Joe", "age" => 5}`
const STRING_KEYS: &[u8] = b"\x83t\0\0\0\x02m\0\0\0\x03agea\x05m\0\0\0\x04namem\0\0\0\x03Joe";

/// `nil`
const NIL: &[u8] = b"\x83d\0\x03nil";

/// `URI.parse("http://a.b:80/c?d=e")`
const URI: &[u8] =
    b"\x83t\0\0\0\x09d\0\x0a__struct__d\0\x0aElixir.URId\0\x09authoritym\0\0\0\x06a.b:80d\0\x08fragmen\
        td\0\x03nild\0\x04hostm\0\0\0\x03a.bd\0\x04pathm\0\0\0\x02/cd\0\x04portaPd\0\x05querym\0\0\0\x03\
        d=ed\0\x06schemem\0\0\0\x04httpd\0\x08userinfod\0\x03nil";

#[test]
fn text_keys_and_nothing() {
    assert_eq!(read::<String>(CHARLIST), "héllo");
    #[derive(Debug, PartialEq, Deserialize)]
    struct Person {
        name: String,
        age: u8,
    }
    assert_eq!(read::<Person>(STRING_KEYS), Person { name: "Joe".into(), age: 5 });
    both(NIL, &None::<String>);
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename = "Elixir.URI")]
    struct Uri {
        scheme: Option<String>,
        userinfo: Option<String>,
        port: Option<u16>,
        fragment: Option<String>,
    }
    let (scheme, port) = (Some("http".into()), Some(80));
    assert_eq!(read::<Uri>(URI), Uri { scheme, userinfo: None, port, fragment: None });
}
