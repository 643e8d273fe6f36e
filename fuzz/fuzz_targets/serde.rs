//! Any bytes as values of Rust types: a value or an error, the same as by way of a term. A value is written in every
//! style, and read back the same.
#![no_main]

use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};

use bytes::Bytes;
use crabnode_fuzz::{is_compressed, limits};
use etf::{
    Atom, BigInt, Pid, Port, Reference, Term, decode,
    serde::{Absent, Names, Options, Strings, Structs},
};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Stop,
    Put(String, i64),
    More(Box<Request>),
    Search { text: String, limit: Option<u32>, within: Vec<Request> },
    Person(Person),
    Widths(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128),
    Floats(f32, f64),
    Known(bool, char, (), [u8; 2]),
    Bytes(#[serde(with = "etf::serde::bytes")] Vec<u8>),
    Charlist(#[serde(with = "etf::serde::charlist")] String),
    Big(#[serde(with = "etf::serde::bigint")] BigInt),
    Ids(Pid, Port, Reference),
    Any(Atom, Term),
    Answers(Vec<Result<u8, String>>),
    Props(BTreeMap<String, Option<i64>>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "person")]
struct Person {
    name: String,
    age: Option<u8>,
    friends: Vec<Person>,
    #[serde(default)]
    tags: BTreeMap<i32, Vec<String>>,
}

/// What serde looks at before it knows what it is for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Flag(bool),
    Int(i64),
    Float(f64),
    Text(String),
    All(Vec<Loose>),
    Map(BTreeMap<String, Loose>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lent<'a> {
    #[serde(borrow)]
    name: &'a str,
    #[serde(borrow)]
    rest: Vec<Cow<'a, str>>,
}

fuzz_target!(|data: &[u8]| {
    let term = decode(&Bytes::copy_from_slice(data), &limits()).ok();
    let options = Options { limits: limits(), ..Options::default() };
    let untyped = [
        options.clone(),
        Options { none: Absent::Undefined, structs: Structs::Record, ..options.clone() },
        Options { keys: Names::Binary, elixir_module: Some("MyApp".to_owned()), ..options.clone() },
    ];
    // Where nothing says that it is text, a list of code points is a list.
    let charlists = Options { strings: Strings::Charlist, ..options.clone() };
    let styles = [&untyped[..], &[charlists]].concat();
    same::<Request>(data, term.as_ref(), &styles);
    same::<Person>(data, term.as_ref(), &styles);
    same::<Vec<Loose>>(data, term.as_ref(), &untyped);
    same::<(Option<bool>, Vec<u8>, String)>(data, term.as_ref(), &styles);
    same::<BTreeMap<String, f64>>(data, term.as_ref(), &styles);

    // A term is read as `decode` reads it.
    assert_eq!(options.from_bytes::<Term>(data).ok(), term);

    // What is lent lies in the bytes, and says the same.
    if let Ok(lent) = options.from_bytes::<Lent<'_>>(data) {
        assert!(!is_compressed(data));
        let start = data.as_ptr() as usize;
        assert!((start..start + data.len()).contains(&(lent.name.as_ptr() as usize)));
        let bytes = options.to_vec(&lent).expect("it has a term");
        assert_eq!(options.from_bytes::<Lent<'_>>(&bytes).expect("it reads back"), lent);
    }
});

/// Bytes and the term that they are give the same value, and that reads back from whatever it is written as.
fn same<T>(data: &[u8], term: Option<&Term>, styles: &[Options])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let value = styles[0].from_bytes::<T>(data);
    if let Some(term) = term {
        let of_term = styles[0].from_term::<T>(term);
        assert_eq!(value.as_ref().ok(), of_term.as_ref().ok(), "{value:?} and {of_term:?}");
    }
    let Ok(value) = value else { return };
    for style in styles {
        let bytes = style.to_vec(&value).expect("it has a term");
        let back = style.from_bytes::<T>(&bytes);
        assert_eq!(back.as_ref().ok(), Some(&value), "{back:?} as {style:?}");
        let term = style.to_term(&value).expect("it has a term");
        let back = style.from_term::<T>(&term);
        assert_eq!(back.as_ref().ok(), Some(&value), "{back:?} as {style:?}");
    }
}
