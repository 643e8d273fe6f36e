//! Wrong numbers of elements, wrong types, wrong ends: each is told apart, and nothing else ends a connection.

use crabnode_dist::{ControlError, EndsError, Fault, NodedownReason, OPS, Op};
use etf::{Atom, Term, tuple};
use proptest::{collection::vec, prelude::*};

use crate::{
    frames::{FORMS, Form, OWN, PEER, read},
    places::{Place, Wrong, pid, places, reference, right_tuple, specimens},
    values::{config, term},
};

/// What a tuple does, with a payload behind it whether or not it belongs there: nothing, or it ends the connection.
fn fault_of(form: Form, control: &Term) -> Option<Fault> {
    let (signals, error) = read(form.flags(), &[form.body(control, Some(&Term::NIL))]);
    assert_eq!(signals.len(), usize::from(error.is_none()), "{control}");
    let error = error?;
    assert_eq!(error.nodedown_reason(), NodedownReason::Killed);
    assert_eq!(error.op.is_some(), matches!(error.fault, Fault::Ends(_)), "{error}");
    Some(error.fault)
}

#[test]
fn every_wrong_number_of_elements() {
    for row in OPS {
        let right = right_tuple(row.op);
        for got in 0..=right.len() + 2 {
            let mut tuple = right.clone();
            tuple.resize(got, Term::atom("more"));
            let expected = match got {
                0 => Some(ControlError::NotATuple),
                _ if got == right.len() => None,
                // Later releases may say more.
                _ if row.op == Op::AltactSigSend && got > right.len() => None,
                _ => Some(ControlError::Arity { op: row.op, got, expected: row.arity }),
            };
            for form in FORMS {
                assert_eq!(fault_of(form, &Term::tuple(tuple.clone())), expected.clone().map(Fault::Control));
            }
        }
    }
}

#[test]
fn every_wrong_type_and_end_at_every_place() {
    let (mut refused, mut taken) = (0, 0);
    for row in OPS {
        for (at, place) in places(row.op).iter().enumerate() {
            for specimen in specimens().into_iter().filter(|term| changes_no_other(*place, term)) {
                let mut tuple = right_tuple(row.op);
                tuple[at + 1] = specimen.clone();
                let expected = place.judge(&specimen).err().map(|wrong| match wrong {
                    Wrong::Type(expected) => {
                        Fault::Control(ControlError::Type { op: row.op, element: at + 2, expected })
                    }
                    Wrong::Ends(error) => Fault::Ends(error),
                });
                *(if expected.is_some() { &mut refused } else { &mut taken }) += 1;
                for form in FORMS {
                    let fault = fault_of(form, &Term::tuple(tuple.clone()));
                    assert_eq!(fault, expected, "{} with {specimen} as {place:?}", row.op);
                }
            }
        }
    }
    assert!(refused > 2_000 && taken > 1_000, "{refused} and {taken}");
}

/// Flags of 37 say what its other places are, and have tests of their own.
fn changes_no_other(place: Place, term: &Term) -> bool {
    place != Place::AltactFlags
        || term.as_int().map(|flags| flags & 0b1_1110).unwrap_or_default() == 0
            && term.as_u64().map(|flags| flags & 0b1_1110).unwrap_or_default() == 0
}

#[test]
fn every_combination_of_the_flags_of_37() {
    let third = || Atom::from_static("third@host");
    let to: [(u8, Term); 4] =
        [(0, pid(OWN).into()), (4, reference(OWN).into()), (8, Term::atom("name")), (12, Term::NIL)];
    for flags in 0..256_u64 {
        let is_exit = flags & 16 != 0;
        for (kind, to) in &to {
            for elements in [4, 5, 6] {
                let mut tuple = vec![37.into(), flags.into(), pid(PEER).into(), to.clone()];
                tuple.resize(elements, Term::atom("token"));
                let fits = flags & 12 == u64::from(*kind) && *kind != 12;
                let fits = fits && (elements > 4 || flags & 2 == 0);
                for form in FORMS {
                    let fault = fault_of(form, &Term::tuple(tuple.clone()));
                    assert_eq!(fault.is_none(), fits, "{flags} {to} {elements}: {fault:?}");
                }
                // An exit signal may be sent by the peer's own processes alone; messages by whom they say.
                if fits {
                    tuple[2] = pid(third()).into();
                    let foreign = Fault::Ends(EndsError::ForeignSender { node: third() });
                    let fault = fault_of(Form::Header, &Term::tuple(tuple));
                    assert_eq!(fault, is_exit.then_some(foreign), "{flags}");
                }
            }
        }
        let to_third = tuple!(37, flags & !14, pid(PEER), pid(third()));
        let foreign = Fault::Ends(EndsError::ForeignReceiver { node: third() });
        assert_eq!(fault_of(Form::Header, &to_third), is_exit.then_some(foreign), "{flags}");
    }
}

#[test]
fn what_is_no_operation() {
    let numbers = OPS.iter().map(|row| i64::from(row.op.number())).collect::<Vec<_>>();
    for form in FORMS {
        for number in (-2..300).chain([i64::MIN, i64::MAX]).filter(|number| !numbers.contains(number)) {
            for tuple in [tuple!(number), tuple!(number, pid(PEER), pid(OWN))] {
                assert_eq!(fault_of(form, &tuple), Some(ControlError::UnknownOp { number }.into()));
            }
        }
        for specimen in specimens().into_iter().filter(|term| term.as_int().is_none()) {
            let expected = match specimen.as_tuple() {
                Some([Term::Int(_), ..]) => continue,
                Some([_, ..]) => ControlError::OpNotANumber,
                Some([]) | None => ControlError::NotATuple,
            };
            assert_eq!(fault_of(form, &specimen), Some(expected.into()), "{specimen}");
            let tuple = tuple!(specimen.clone(), pid(PEER), pid(OWN));
            assert_eq!(fault_of(form, &tuple), Some(ControlError::OpNotANumber.into()), "{specimen}");
        }
    }
}

#[test]
fn every_payload_that_is_not_there() {
    for row in OPS {
        let control = Term::tuple(right_tuple(row.op));
        for form in FORMS {
            let (signals, error) = read(form.flags(), &[form.body(&control, None)]);
            assert_eq!(signals.is_empty(), row.payload, "{control}");
            match error {
                None => assert!(!row.payload),
                Some(error) => {
                    assert!(matches!(error.fault, Fault::PayloadMissing(missing) if missing.op == row.op));
                    assert_eq!(error.op, Some(row.op));
                }
            }
        }
    }
}

/// Any elements at all: a signal or an error, and never a panic.
#[test]
fn elements_at_random() {
    let elements = vec(prop_oneof![proptest::sample::select(specimens()), term()], 0..9);
    let strategy = (proptest::sample::select(OPS), elements);
    proptest!(config(), |((row, elements) in strategy)| {
        let number = Term::from(i64::from(row.op.number()));
        let control = Term::tuple(std::iter::once(number).chain(elements).collect::<Vec<_>>());
        let faults = FORMS.map(|form| fault_of(form, &control));
        prop_assert!(faults.iter().all(|fault| *fault == faults[0]), "{:?}", faults);
    });
}

/// Any bytes changed anywhere: what is taken is a signal that could have been sent.
#[test]
fn bytes_changed_at_random() {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let strategy = (proptest::sample::select(OPS), proptest::sample::select(&FORMS[..]), changes);
    proptest!(config(), |((row, form, changes) in strategy)| {
        let mut body = form.body(&Term::tuple(right_tuple(row.op)), row.payload.then_some(&Term::NIL));
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let (signals, error) = read(form.flags(), &[body.clone()]);
        match error {
            Some(error) => prop_assert!(signals.is_empty() && !error.to_string().is_empty()),
            // A message that became the first fragment of several is waited for.
            None => prop_assert!(signals.len() == 1 || body[1] == 69),
        }
    });
}
