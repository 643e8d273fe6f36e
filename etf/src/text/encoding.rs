//! Which characters the bytes of a file are.

use crate::{
    Term,
    text::{TextError, TextErrorReason, consult},
};

/// [`consult`] on the bytes of a file, which are UTF-8 unless a comment in one of the first two lines says
/// `coding: latin-1`.
pub fn consult_bytes(bytes: &[u8]) -> Result<Vec<Term>, TextError> {
    if declares_latin1(bytes) {
        return consult(&bytes.iter().map(|&byte| char::from(byte)).collect::<String>());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => consult(text),
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Err(TextError::at(&valid, valid.len(), TextErrorReason::NotUtf8))
        }
    }
}

/// Looks for `coding`, `:` or `=`, and the name, as `epp:read_encoding/1` does. Other encodings than the two count
/// as if nothing were said.
fn declares_latin1(bytes: &[u8]) -> bool {
    for line in bytes.split(|&byte| byte == b'\n').take(2) {
        let Some(start) = line.iter().position(|&byte| byte == b'%') else { continue };
        let comment = String::from_utf8_lossy(&line[start..]);
        for (at, word) in comment.match_indices("coding") {
            let rest = comment[at + word.len()..].trim_start_matches(' ');
            let Some(name) = rest.strip_prefix([':', '=']) else { continue };
            let name = name.trim_start_matches([' ', ':', '=']);
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(name.len());
            match name[..end].to_ascii_lowercase().as_str() {
                "latin-1" => return true,
                "utf-8" => return false,
                _ => {}
            }
        }
    }
    false
}
