//! Our side of `cargo xtask bench etf`, and that of the other Rust crates.
//!
//! Reads the payloads from the folder it is given, checks that every method here reads and writes them right, and
//! says what it found out by lines `NAME VALUE`, the last of which is `ready`. Then it measures what it is asked to
//! by lines on stdin: `METHOD PAYLOAD COUNT` does that COUNT times and answers with the nanoseconds it took.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool talks on stdout")]

use std::{
    env, fs,
    hint::black_box,
    io::{self, BufRead},
    path::Path,
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use etf::{DecodeLimits, Decoder, Segments, Term, serde::Options};

mod payloads;
use payloads::{Typed, options};
mod walk;

fn main() {
    let dir = env::args_os().nth(1).expect("usage: bench-etf DIR");
    let payloads: Vec<Payload> = ["list", "map", "bin", "deep", "structs", "call"]
        .map(|name| Payload::read(name, Path::new(&dir)))
        .into();
    for payload in &payloads {
        payload.verify();
        println!("bytes-of-{} {}", payload.name, payload.bytes.len());
        println!("terms-of-{} {}", payload.name, terms(&payload.term));
    }
    let bin = payloads.iter().find(|payload| payload.name == "bin").expect("it is one of them");
    println!("size-of-term {}", size_of::<Term>());
    println!("copied-by-decode {}", bin.bytes_copied_by_decode());
    println!("copied-by-encode {}", bin.bytes_copied_by_encode());
    println!("ready");
    for line in io::stdin().lock().lines() {
        let line = line.expect("whoever asks writes UTF-8");
        let words: Vec<&str> = line.split(' ').collect();
        let [method, payload, count] = words[..] else { panic!("not METHOD PAYLOAD COUNT: {line}") };
        let payload = payloads.iter().find(|known| known.name == payload).expect("it is one of them");
        println!("{}", payload.measure(method, count.parse().expect("a number of times")));
    }
}

struct Payload {
    name: &'static str,
    /// As `term_to_binary` writes it.
    bytes: Bytes,
    /// As `term_to_binary` writes it with `deterministic`.
    deterministic: Bytes,
    term: Term,
    limits: DecodeLimits,
    options: Options,
}

impl Payload {
    fn read(name: &'static str, dir: &Path) -> Self {
        let read = |file: String| {
            let path = dir.join(file);
            Bytes::from(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        };
        let (bytes, deterministic) = (read(format!("{name}.etf")), read(format!("{name}.deterministic.etf")));
        let limits = DecodeLimits::default();
        let term = etf::decode(&bytes, &limits).expect("the BEAM wrote it");
        Self { name, bytes, deterministic, term, limits, options: options() }
    }

    /// That everybody does the whole work: what was read gives the bytes that the BEAM gives, or the same term where
    /// the order of a map is not kept.
    fn verify(&self) {
        assert_eq!(etf::encode(&self.term), self.deterministic, "{}: our bytes are the BEAM's", self.name);
        let term = |bytes: Vec<u8>| etf::decode(&bytes.into(), &self.limits).expect("it is a term");

        assert!(walk::typed(self.name, &self.bytes).is_ok_and(|len| len > 0), "{}: typed cursor", self.name);
        assert!(walk::any(&self.bytes).is_ok(), "{}: cursor", self.name);

        let typed = Typed::read(self.name, &self.bytes, &self.options).expect("it is of this type");
        let mut out = Vec::new();
        typed.write(&mut out, &self.options).expect("it has a term");
        assert_eq!(term(out), self.term, "{}: serde", self.name);

        let eetf = eetf::Term::decode(&self.bytes[..]).expect("the BEAM wrote it");
        let mut out = Vec::new();
        eetf.encode(&mut out).expect("a buffer takes all");
        assert_eq!(term(out), self.term, "{}: eetf", self.name);

        let erltf = erltf::decode(&self.bytes).expect("the BEAM wrote it");
        let out = erltf::encode(&erltf).expect("it was decoded");
        assert_eq!(term(out), self.term, "{}: erltf", self.name);
    }

    /// Nanoseconds for so many times.
    fn measure(&self, method: &str, count: u64) -> u128 {
        let bytes = &self.bytes;
        match method {
            "decode.term" => took(count, || etf::decode(black_box(bytes), &self.limits)),
            "decode.decoder" => {
                let mut decoder = Decoder::new(self.limits.clone());
                took(count, || decoder.decode(black_box(bytes)))
            }
            "decode.cursor" => took(count, || walk::typed(self.name, black_box(bytes))),
            "decode.cursor-any" => took(count, || walk::any(black_box(bytes))),
            "decode.serde" => took(count, || Typed::read(self.name, black_box(bytes), &self.options)),
            "decode.eetf" => took(count, || eetf::Term::decode(&black_box(bytes)[..])),
            "decode.erltf" => took(count, || erltf::decode(black_box(bytes))),
            "decode.erltf-borrowed" => {
                took(count, || black_box(erltf::decode_borrowed(black_box(bytes))).is_ok())
            }
            // What was written is looked at each time, or else it need not be written.
            "encode.term" => {
                let mut out = BytesMut::new();
                took(count, || {
                    out.clear();
                    etf::encode_stored_into(black_box(&self.term), &mut out);
                    black_box(&mut out);
                })
            }
            "encode.segments" => {
                let mut out = Segments::new();
                took(count, || {
                    out.clear();
                    etf::encode_stored_into(black_box(&self.term), &mut out);
                    black_box(&mut out);
                })
            }
            "encode.serde" => {
                let typed = Typed::read(self.name, bytes, &self.options).expect("it was read before");
                let mut out = Vec::new();
                took(count, || {
                    out.clear();
                    black_box(&typed).write(&mut out, &self.options).expect("it was written before");
                    black_box(&mut out);
                })
            }
            "encode.eetf" => {
                let term = eetf::Term::decode(&bytes[..]).expect("it was decoded before");
                let mut out = Vec::new();
                took(count, || {
                    out.clear();
                    black_box(&term).encode(&mut out).expect("a buffer takes all");
                    black_box(&mut out);
                })
            }
            "encode.erltf" => {
                let term = erltf::decode(bytes).expect("it was decoded before");
                took(count, || erltf::encode(black_box(&term)))
            }
            method => panic!("no such method: {method}"),
        }
    }

    /// How many bytes of the binary in `{blob, Binary}` do not lie in the input.
    fn bytes_copied_by_decode(&self) -> usize {
        let binary =
            self.term.as_tuple().and_then(|tuple| tuple[1].as_binary()).expect("it is {blob, Binary}");
        let input = self.bytes.as_ptr_range();
        let read = binary.as_ptr_range();
        if input.contains(&read.start) && read.end <= input.end { 0 } else { binary.len() }
    }

    /// How many bytes of the binary in `{blob, Binary}` do not go out of the term's own memory.
    fn bytes_copied_by_encode(&self) -> usize {
        let binary =
            self.term.as_tuple().and_then(|tuple| tuple[1].as_binary()).expect("it is {blob, Binary}");
        let mut out = Segments::new();
        etf::encode_stored_into(&self.term, &mut out);
        let shared = out.chunks().filter(|chunk| binary.as_ptr_range().contains(&chunk.as_ptr()));
        binary.len() - shared.map(<[u8]>::len).sum::<usize>()
    }
}

/// How many terms there are in all, `[]` at the end of a list not counted.
fn terms(term: &Term) -> usize {
    let inner: usize = match term {
        Term::Tuple(elements) | Term::List(elements) => elements.iter().map(terms).sum(),
        Term::Map(map) => map.iter().map(|(key, value)| terms(key) + terms(value)).sum(),
        Term::ImproperList(list) => list.head().iter().map(terms).sum::<usize>() + terms(list.tail()),
        _ => 0,
    };
    1 + inner
}

#[expect(clippy::disallowed_methods, reason = "measures time")]
fn took<T>(count: u64, mut work: impl FnMut() -> T) -> u128 {
    let start = Instant::now();
    for _ in 0..count {
        black_box(work());
    }
    start.elapsed().as_nanos()
}
