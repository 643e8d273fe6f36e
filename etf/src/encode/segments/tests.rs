use super::*;
use crate::{Atom, Closure, Fun, Pid, Term, encode, encode_into, tuple};

fn blob(len: usize) -> Term {
    Term::binary(vec![7; len])
}

fn all(segments: &Segments) -> Vec<u8> {
    segments.chunks().collect::<Vec<_>>().concat()
}

#[test]
fn binaries_are_shared_from_a_length_on() {
    let term = tuple!(blob(Segments::SHARED_BYTES_MIN - 1), blob(Segments::SHARED_BYTES_MIN), 5);
    let mut segments = Segments::new();
    encode_into(&term, &mut segments);
    assert_eq!(all(&segments), encode(&term)[1..]);
    let lens: Vec<usize> = segments.chunks().map(<[u8]>::len).collect();
    assert_eq!(lens, [2 + 5 + Segments::SHARED_BYTES_MIN - 1 + 5, Segments::SHARED_BYTES_MIN, 2]);
    let mut slices = [IoSlice::new(&[]); 2];
    assert_eq!(segments.chunks_vectored(&mut slices), 2);
    assert_eq!(slices[1].len(), Segments::SHARED_BYTES_MIN);
    segments.clear();
    assert_eq!((segments.len(), segments.chunks().count()), (0, 0));
}

/// One after the other, and as the last bytes, there is nothing between or after them.
#[test]
fn no_piece_is_empty() {
    let mut segments = Segments::new();
    assert_eq!(segments.chunks().count(), 0);
    segments.put_slice(b"");
    encode_into(&blob(5000), &mut segments);
    assert_eq!(segments.chunks().map(<[u8]>::len).collect::<Vec<_>>(), [5, 5000]);
    segments.advance(5);
    assert_eq!(segments.chunks().map(<[u8]>::len).collect::<Vec<_>>(), [5000]);
    segments.put_slice(b"ab");
    assert_eq!(segments.chunks().map(<[u8]>::len).collect::<Vec<_>>(), [5000, 2]);
}

/// In whatever portions bytes are taken off while others come, they come out in order.
#[test]
fn it_is_a_queue() {
    let term = tuple!(atom "a", blob(3000), vec![blob(100), blob(2500)], blob(2048));
    let bytes = &encode(&term)[1..];
    for step in [1, 7, 1000, 2048, 6000] {
        let (mut segments, mut out) = (Segments::new(), Vec::new());
        for _ in 0..5 {
            encode_into(&term, &mut segments);
            let half = segments.len() / 2;
            while segments.len() > half {
                let chunk = segments.chunk();
                let now = chunk.len().min(step).min(segments.len() - half);
                out.extend_from_slice(&chunk[..now]);
                segments.advance(now);
            }
        }
        assert_eq!(segments.remaining(), segments.len());
        out.extend(all(&segments));
        assert!(out == bytes.repeat(5), "step {step}");
        segments.advance(segments.len());
        assert!(segments.is_empty() && segments.chunk().is_empty());
    }
}

#[test]
#[should_panic(expected = "3 bytes taken off where there are 2")]
fn no_more_can_be_taken_off_than_there_is() {
    let mut segments = Segments::new();
    segments.put_slice(b"ab");
    segments.advance(3);
}

#[test]
fn marks_measure_overwrite_and_rewind() {
    let mut segments = Segments::new();
    segments.put_slice(b"taken");
    encode_into(&blob(3000), &mut segments);
    let mark = segments.mark();
    segments.put_slice(&[0; 4]);
    encode_into(&blob(4000), &mut segments);
    // Taking off what was before does not matter.
    segments.advance(20);
    assert_eq!(segments.len_since(mark), 4 + 5 + 4000);
    segments.overwrite(mark, b"\x01\x02\x03\x04");
    assert_eq!(segments.chunks().nth(1).unwrap(), [1, 2, 3, 4, 109, 0, 0, 0x0f, 0xa0]);
    segments.rewind(mark);
    assert_eq!(segments.len_since(mark), 0);
    assert_eq!(segments.len(), 5 + 5 + 3000 - 20);
    assert_eq!(segments.chunks().count(), 1);
}

/// A closure starts with its size, which counts what is shared.
#[test]
fn closures_over_shared_binaries_say_their_size() {
    let closure = |free: Vec<Term>| {
        let creator = Pid::new(Atom::from("a@b"), 1, 2, 3);
        let (module, uniq) = (Atom::from("m"), [9; 16]);
        let free = free.into();
        let closure = Closure { arity: 1, uniq, index: 2, module, old_index: 3, old_uniq: 4, creator, free };
        Term::from(Fun::Closure(closure))
    };
    let term = tuple!(blob(3000), closure(vec![blob(5000), closure(vec![1.into(), blob(2048)])]), blob(3000));
    let mut segments = Segments::new();
    encode_into(&term, &mut segments);
    assert!(all(&segments) == encode(&term)[1..]);
}

#[test]
fn what_was_appended_last_can_be_moved() {
    let terms = [tuple!(1, blob(5000), 2), tuple!(blob(3000), blob(4000)), tuple!(3)];
    for split in 0..=terms.len() {
        let (mut segments, mut to) = (Segments::new(), Segments::new());
        for term in &terms[..split] {
            encode_into(term, &mut segments);
        }
        let (before, mark) = (all(&segments), segments.mark());
        for term in &terms[split..] {
            encode_into(term, &mut segments);
        }
        let after = all(&segments).split_off(before.len());
        encode_into(&tuple!(blob(2500), 7), &mut to);
        let start = all(&to);
        segments.move_back(mark, &mut to);
        assert_eq!((all(&segments), segments.len(), segments.mark()), (before.clone(), before.len(), mark));
        assert_eq!(
            (all(&to), to.len()),
            ([start.clone(), after.clone()].concat(), start.len() + after.len())
        );
        // And both go on.
        encode_into(&terms[0], &mut segments);
        segments.append(&mut to);
        let mut last = Vec::new();
        encode_into(&terms[0], &mut last);
        assert_eq!(all(&segments), [before, last, start, after].concat());
    }
}
