//! Passing over a term.

use crate::{
    DecodeErrorReason, DecodeLimits,
    decode::{
        FREE_VARIABLES_MAX,
        reader::{Reader, Result, error, no_term},
    },
    tag,
};

/// Passes over one term. What is still owed is counted and not stacked; each of it takes a byte at least, so a header
/// that promises more than there is ends it.
pub(super) fn skip(reader: &mut Reader<'_>) -> Result<()> {
    let mut owed = 1_usize;
    while owed > 0 {
        let offset = reader.at();
        owed = owed - 1 + skip_one(reader)?;
        reader.check_left(offset, owed)?;
    }
    Ok(())
}

/// Passes over a term up to its first sub-term, and says how many there are.
pub(super) fn skip_one(reader: &mut Reader<'_>) -> Result<usize> {
    let offset = reader.at();
    let tag = reader.u8()?;
    match tag {
        tag::SMALL_INTEGER => drop(reader.u8()?),
        tag::INTEGER => drop(reader.u32()?),
        tag::NIL => {}
        tag::FLOAT => drop(reader.float_text(offset)?),
        tag::NEW_FLOAT => drop(reader.float(offset)?),
        tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 | tag::ATOM_CACHE_REF => {
            reader.atom_of(offset, tag)?;
        }
        tag::NEW_PID | tag::PID => {
            reader.pid_of(offset, tag, skip_atom)?;
        }
        tag::V4_PORT | tag::NEW_PORT | tag::PORT => {
            reader.port_of(tag, skip_atom)?;
        }
        tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE => {
            reader.reference_of(offset, tag, skip_atom)?;
        }
        tag::STRING => {
            let len = reader.u16()?.into();
            reader.take(len)?;
        }
        tag::BINARY => {
            let len = reader.u32()? as usize;
            reader.take(len)?;
        }
        tag::BIT_BINARY => drop(reader.bit_string(offset)?),
        tag::SMALL_BIG | tag::LARGE_BIG => {
            let len = if tag == tag::SMALL_BIG { reader.u8()?.into() } else { reader.u32()? as usize };
            let max = DecodeLimits::default().bigint_bytes_max;
            if len > max {
                return Err(error(offset, DecodeErrorReason::IntegerTooLarge { bytes: len, max }));
            }
            reader.u8()?;
            reader.take(len)?;
        }
        tag::EXPORT => {
            skip_atom(reader)?;
            skip_atom(reader)?;
            let at = reader.at();
            let arity = reader.int()?;
            if u8::try_from(arity).is_err() {
                return Err(error(at, DecodeErrorReason::ExportArity { arity }));
            }
        }
        tag::SMALL_TUPLE => return Ok(reader.u8()?.into()),
        tag::LARGE_TUPLE => return reader.tuple_arity(offset),
        tag::LIST => return Ok(reader.u32()? as usize + 1),
        tag::MAP => return Ok(reader.u32()? as usize * 2),
        tag::NEW_FUN => return skip_closure(reader),
        tag::RECORD => {
            let len = reader.u32()? as usize;
            // Each field is an atom of two bytes or more and a value.
            reader.check_left(offset, 3 * len)?;
            reader.u8()?;
            for _ in 0..len + 2 {
                skip_atom(reader)?;
            }
            return Ok(len);
        }
        tag => return Err(error(offset, no_term(tag))),
    }
    Ok(0)
}

fn skip_closure(reader: &mut Reader<'_>) -> Result<usize> {
    reader.take(4 + 1 + 16 + 4)?;
    let at = reader.at();
    let free = reader.u32()?;
    if free > FREE_VARIABLES_MAX {
        return Err(error(at, DecodeErrorReason::FreeVariables { free }));
    }
    skip_atom(reader)?;
    reader.int()?;
    reader.int()?;
    let offset = reader.at();
    let tag = reader.u8()?;
    reader.pid_of(offset, tag, skip_atom)?;
    Ok(free as usize)
}

fn skip_atom(reader: &mut Reader<'_>) -> Result<()> {
    let offset = reader.at();
    let tag = reader.u8()?;
    reader.atom_of(offset, tag).map(drop)
}
