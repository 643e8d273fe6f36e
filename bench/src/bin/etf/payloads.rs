//! The payloads as Rust types, for serde. `bench/rivals/beam_etf.erl` makes them.

use std::marker::PhantomData;

use etf::{
    Pid, Term,
    serde::{Error, Options},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

/// `list`: 100 lists of 64 `{I, ok, I * 7919}`.
pub(crate) type Rows = Vec<Vec<(i64, Status, i64)>>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
}

/// `map`: 10,000 `<<"key_00001">> => I`, kept in their order, as a cursor reads them.
pub(crate) struct Pairs<'a>(Vec<(&'a str, i64)>);

/// `bin`: `{blob, <<1 MiB>>}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bin<'a> {
    #[serde(borrow)]
    Blob(Blob<'a>),
}

pub(crate) struct Blob<'a>(&'a [u8]);

/// `deep`: 20 `{node, Depth, {leaf, I}, Tree}`, 1,000 in each other.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tree {
    Leaf,
    Node(u32, Leaf, Box<Tree>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Leaf {
    Leaf(u32),
}

/// `structs`: 10,000 of an Elixir struct. The fields stand as the BEAM sorts them.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Elixir.Shop.Customer")]
pub(crate) struct Customer<'a> {
    active: bool,
    address: Option<&'a str>,
    age: u32,
    email: &'a str,
    id: u64,
    name: &'a str,
    score: f64,
    tags: Vec<Tag>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tag {
    New,
    Gold,
}

/// `call`: `{'$gen_call', {Pid, [alias | Ref]}, Request}`.
#[derive(Serialize, Deserialize)]
pub(crate) enum Call<'a> {
    #[serde(rename = "$gen_call")]
    Call((Pid, Term), #[serde(borrow)] Request<'a>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Request<'a> {
    Get(&'a str, Vec<Opt>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Opt {
    Timeout(u64),
}

/// Those that all payloads can be read with: the deep tree is deeper than serde goes unless it is told to.
pub(crate) fn options() -> Options {
    Options { nesting_max: 10_000, ..Options::default() }
}

/// A payload as its Rust type.
pub(crate) enum Typed<'a> {
    List(Rows),
    Map(Pairs<'a>),
    Bin(Bin<'a>),
    Deep(Vec<Tree>),
    Structs(Vec<Customer<'a>>),
    Call(Call<'a>),
}

impl<'a> Typed<'a> {
    pub(crate) fn read(payload: &str, bytes: &'a [u8], options: &Options) -> Result<Self, Error> {
        Ok(match payload {
            "list" => Self::List(options.from_bytes(bytes)?),
            "map" => Self::Map(options.from_bytes(bytes)?),
            "bin" => Self::Bin(options.from_bytes(bytes)?),
            "deep" => Self::Deep(options.from_bytes(bytes)?),
            "structs" => Self::Structs(options.from_bytes(bytes)?),
            "call" => Self::Call(options.from_bytes(bytes)?),
            name => panic!("no such payload: {name}"),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>, options: &Options) -> Result<(), Error> {
        match self {
            Self::List(value) => options.to_buffer(out, value),
            Self::Map(value) => options.to_buffer(out, value),
            Self::Bin(value) => options.to_buffer(out, value),
            Self::Deep(value) => options.to_buffer(out, value),
            Self::Structs(value) => options.to_buffer(out, value),
            Self::Call(value) => options.to_buffer(out, value),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> de::Visitor<'de> for Visitor<'a> {
            type Value = Pairs<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'a>, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Blob<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
