//! Our numbers against those in the headers of every OTP release.
//!
//! `dist.hrl` has the flags. The numbers of the control messages are in headers that OTP does not install; the tests
//! with running nodes are what holds those.

use std::collections::BTreeMap;

use handshake::DistFlags;
use interop_tests::Otp;

#[test]
fn every_flag_of_otp_has_our_name_and_bit() {
    for otp in Otp::available() {
        let header = otp.kernel_header("dist.hrl");
        let theirs = flags_of(&header);
        assert!(theirs.len() > 20, "OTP {}: read only {theirs:?}", otp.number());
        for (name, value) in theirs {
            let ours = DistFlags::TABLE.iter().find(|row| row.name == name);
            let ours = ours.unwrap_or_else(|| panic!("OTP {} has the flag {name}, we do not", otp.number()));
            assert_eq!(1 << ours.bit, value, "OTP {}: {name}", otp.number());
            assert!(u32::from(ours.since) <= otp.number(), "OTP {} has {name} already", otp.number());
        }
    }
}

#[test]
fn what_otp_demands_is_what_we_think_it_demands() {
    for otp in Otp::available() {
        let header = otp.kernel_header("dist.hrl");
        let flags = flags_of(&header);
        let demanded = |release: u32| {
            let names = names_in(&header, &format!("MANDATORY_DFLAGS_{release}"))?;
            Some(names.iter().map(|name| flags[*name]).fold(0, |bits, bit| bits | bit))
        };
        if otp.number() >= 25 {
            assert_eq!(demanded(25), Some(DistFlags::MANDATORY_25.bits()), "OTP {}", otp.number());
        }
        if otp.number() >= 26 {
            let added = DistFlags::MANDATORY_26.without(DistFlags::MANDATORY_25);
            assert_eq!(demanded(26), Some(added.bits()), "OTP {}", otp.number());
        }
    }
}

/// The flags a header defines, without `DFLAG_`.
fn flags_of(header: &str) -> BTreeMap<&str, u64> {
    let definitions = header.lines().filter_map(|line| line.strip_prefix("-define(DFLAG_")?.split_once(','));
    // A mask over the bits without a name, no flag.
    definitions.filter(|(name, _)| *name != "RESERVED").map(|(name, value)| (name, number(value))).collect()
}

/// The flags that the definition of a set names.
fn names_in<'a>(header: &'a str, set: &str) -> Option<Vec<&'a str>> {
    let (_, definition) = header.split_once(&format!("-define({set},"))?;
    let (definition, _) = definition.split_once(").")?;
    Some(definition.split("?DFLAG_").skip(1).filter_map(|text| text.split([' ', ')', '\n']).next()).collect())
}

/// The value of `1).`, `16#10). %% why` or `(16#01 bsl 32)).`.
fn number(value: &str) -> u64 {
    let value = value.split("%%").next().unwrap_or_default();
    let text = value.trim().trim_start_matches('(').trim_end_matches(['.', ')']);
    let (digits, shift) = text.split_once(" bsl ").unwrap_or((text, "0"));
    let number = match digits.split_once("16#") {
        Some((_, hexadecimal)) => u64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    let number = number.unwrap_or_else(|error| panic!("{value}: {error}"));
    number << shift.parse::<u32>().unwrap_or_else(|error| panic!("{value}: {error}"))
}
