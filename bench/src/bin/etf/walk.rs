//! The payloads by the cursor: into Rust values by someone who knows them, and by someone who does not.

use std::hint::black_box;

use etf::{
    DecodeError,
    cursor::{Cursor, Kind, ListStart, PidRef, ReferenceRef},
};

/// Reads a payload into values, as one writes it by hand; those without a hand-written reader are walked.
pub(crate) fn typed(payload: &str, bytes: &[u8]) -> Result<usize, DecodeError> {
    match payload {
        "list" => Ok(black_box(rows(bytes)?).len()),
        "map" => Ok(black_box(pairs(bytes)?).len()),
        "call" => Ok(black_box(call(bytes)?).options.len()),
        _ => any(bytes),
    }
}

/// `list`: 100 lists of 64 `{I, ok, I * 7919}`.
fn rows(bytes: &[u8]) -> Result<Vec<Vec<(i64, i64)>>, DecodeError> {
    let mut cursor = Cursor::stored(bytes)?;
    let mut rows = Vec::new();
    cursor.for_each(|cursor| {
        let mut row = Vec::new();
        cursor.for_each(|cursor| {
            cursor.tuple_of(3)?;
            let first = cursor.int()?;
            cursor.expect_atom("ok")?;
            row.push((first, cursor.int()?));
            Ok(())
        })?;
        rows.push(row);
        Ok(())
    })?;
    cursor.end()?;
    Ok(rows)
}

/// `map`: 10,000 `<<"key_00001">> => I`.
fn pairs(bytes: &[u8]) -> Result<Vec<(&str, i64)>, DecodeError> {
    let mut cursor = Cursor::stored(bytes)?;
    let len = cursor.map()?;
    let mut pairs = Vec::with_capacity(len);
    for _ in 0..len {
        pairs.push((cursor.str()?, cursor.int()?));
    }
    cursor.end()?;
    Ok(pairs)
}

struct Call<'a> {
    _from: PidRef<'a>,
    _alias: ReferenceRef<'a>,
    _key: &'a str,
    options: Vec<i64>,
}

/// `call`: `{'$gen_call', {Pid, [alias | Ref]}, {get, Key, [{timeout, Time}]}}`.
fn call(bytes: &[u8]) -> Result<Call<'_>, DecodeError> {
    let mut cursor = Cursor::stored(bytes)?;
    cursor.tuple_of(3)?;
    cursor.expect_atom("$gen_call")?;
    cursor.tuple_of(2)?;
    let _from = cursor.pid_ref()?;
    cursor.list()?;
    cursor.expect_atom("alias")?;
    let _alias = cursor.reference_ref()?;
    cursor.tuple_of(3)?;
    cursor.expect_atom("get")?;
    let _key = cursor.str()?;
    let mut options = Vec::new();
    cursor.for_each(|cursor| {
        cursor.tuple_of(2)?;
        cursor.expect_atom("timeout")?;
        options.push(cursor.int()?);
        Ok(())
    })?;
    cursor.end()?;
    Ok(Call { _from, _alias, _key, options })
}

/// Reads every number, text and identifier, whatever the payload is, and gives something that takes them all to know:
/// what `ei` does in `bench/rivals/ei_etf.c`.
pub(crate) fn any(bytes: &[u8]) -> Result<usize, DecodeError> {
    let mut cursor = Cursor::stored(bytes)?;
    let (mut left, mut sum) = (1_usize, 0_u64);
    while left > 0 {
        left -= 1;
        let value = match cursor.peek()? {
            Kind::Integer => cursor.int()?.cast_unsigned(),
            Kind::Float => cursor.float()?.get().to_bits(),
            Kind::Atom => cursor.atom()?.len() as u64,
            Kind::Binary => cursor.binary()?.len() as u64,
            Kind::Pid => cursor.pid_ref()?.id.into(),
            Kind::Reference => cursor.reference_ref()?.words()[0].into(),
            Kind::Tuple => {
                left += cursor.tuple()?;
                1
            }
            Kind::Map => {
                left += 2 * cursor.map()?;
                1
            }
            Kind::Nil | Kind::List => match cursor.list()? {
                ListStart::Nil => 1,
                ListStart::Bytes(bytes) => bytes.len() as u64,
                ListStart::Cells(cells) => {
                    left += cells + 1;
                    1
                }
            },
            _ => {
                cursor.skip()?;
                1
            }
        };
        sum = sum.wrapping_add(value);
    }
    cursor.end()?;
    black_box(sum);
    Ok(1)
}
