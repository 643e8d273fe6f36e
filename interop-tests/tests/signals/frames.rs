//! Frames: atoms by number, fragments, and every form that can be agreed on.

use dist::Signal;
use etf::{Term, tuple};
use handshake::DistFlags;
use interop_tests::Cluster;

use crate::{
    actor::Duo,
    peer_support::{Pair, each_release},
    wire_support::{HEADERS, HIDDEN, Wire, bare},
};

const ECHO: &str = "Loop = fun Loop() -> receive {From, T} -> From ! {echo, T} end, Loop() end,
                    register(echo, spawn(Loop)), ok";

/// Atoms of a stock node there and back: thousands, so that all places are taken and taken again; as many in a message
/// as a header can name, and more; the longest there are.
#[test]
fn item_55_atoms_by_number_between_nodes() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        pair.erl.eval(
            "Same = fun(T) -> {echo, R} ! {self(), T}, receive {echo, Back} -> Back =:= T after 10000 -> late end end,
             Atom = fun(N) -> list_to_atom(\"atom_\" ++ integer_to_list(N)) end, ok",
        );
        pair.says(
            "lists:usort([Same([Atom(N + M) || M <- lists:seq(1, 300)]) || N <- lists:seq(0, 6000, 150)])",
            "[true]",
        );
        // Contended places: each atom again and again, among ever new ones.
        pair.says("lists:usort([Same({Atom(N), Atom(N rem 7), Atom(N + 2039), Atom(N * 3)}) || N <- lists:seq(1, 1500)])", "[true]");
        pair.says(
            "Long = [list_to_atom(lists:duplicate(255, C)) || C <- [$a, 16#e5, 16#20ac, 16#1f980]],
             [Same(X) || X <- [Long, Long ++ [Atom(N) || N <- lists:seq(1, 254)], '', [''|Long], Long]]",
            "[true,true,true,true,true]",
        );
    });
}

/// All 2048 places, filled, used and filled with others, by hand: to a node of ours and to a stock one.
#[test]
fn item_55_every_place_of_the_cache() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut erl, peer) = (cluster.erl(otp, "e"), cluster.peer("r"));
        erl.eval(ECHO);
        fill_the_cache(&mut Wire::connect(&cluster, "r@localhost", peer.port(), HIDDEN));
        fill_the_cache(&mut Wire::to_erl(&cluster, &mut erl, HIDDEN));
    });
}

fn fill_the_cache(wire: &mut Wire) {
    let from = wire.pid(1);
    let control = bare(&tuple!(6, &from, atom "", atom "echo"));
    for generation in 0..2 {
        let atom = |place: usize| format!("g{generation}_{place}");
        for is_new in [true, false] {
            let places: Vec<usize> = (0..2048).collect();
            for places in places.chunks(255) {
                let n = places.len();
                let mut body = vec![131, 68, u8::try_from(n).expect("255 at most")];
                let mut nibbles = vec![0_u8; n / 2 + 1];
                for (k, place) in places.iter().enumerate() {
                    let nibble = u8::try_from(place / 256).expect("3 bits") | if is_new { 8 } else { 0 };
                    nibbles[k / 2] |= nibble << (4 * (k & 1));
                }
                body.extend(nibbles);
                for place in places {
                    body.push((place % 256).to_le_bytes()[0]);
                    if is_new {
                        let text = atom(*place);
                        body.push(u8::try_from(text.len()).expect("short"));
                        body.extend(text.as_bytes());
                    }
                }
                body.extend(&control);
                // `{From, {R 0, R 1, …}}`
                body.extend([104, 2]);
                body.extend(bare(&Term::from(&from)));
                body.extend([104, u8::try_from(n).expect("255 at most")]);
                (0..n).for_each(|k| body.extend([82, u8::try_from(k).expect("below 255")]));
                wire.send_body(&body);
                let wanted: Vec<Term> =
                    places.iter().map(|place| Term::Atom(atom(*place).as_str().into())).collect();
                assert_eq!(wire.recv_message(&from), tuple!(atom "echo", Term::tuple(wanted)));
            }
        }
    }
}

/// With and without the cache, with and without fragments, short messages and long: both ways, with nodes of ours and
/// stock ones.
#[test]
fn item_56_every_form_that_can_be_agreed_on() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut erl, peer) = (cluster.erl(otp, "e"), cluster.peer("r"));
        erl.eval(ECHO);
        let headerless = HIDDEN.without(HEADERS);
        for flags in [
            headerless,
            headerless.with(DistFlags::DIST_HDR_ATOM_CACHE),
            headerless.with(DistFlags::FRAGMENTS),
            headerless.with(HEADERS),
        ] {
            echoes(&mut Wire::connect(&cluster, "r@localhost", peer.port(), flags));
            echoes(&mut Wire::to_erl(&cluster, &mut erl, flags));
        }
    });
}

fn echoes(wire: &mut Wire) {
    assert!(wire.established.flags.contains(DistFlags::EXIT_PAYLOAD));
    let from = wire.pid(1);
    let mut outbound = dist::Outbound::new(wire.established.flags);
    for length in [0, 10, 70_000, 3_000_000] {
        let term = Term::tuple([Term::atom("a"), Term::atom("b"), Term::binary(vec![7; length])]);
        let signal = Signal::RegSend {
            from: from.clone(),
            to: "echo".into(),
            message: tuple!(&from, term.clone()),
            token: None,
            priority: false,
        };
        let encoded = outbound.handle(&signal).expect("it is not too long");
        assert!(matches!(encoded, dist::Encoded::Frame { .. }));
        let mut out = etf::Segments::new();
        while outbound.poll_output(&mut out) {
            out.chunks().for_each(|chunk| wire.send_bytes(chunk));
            out.clear();
        }
        assert!(wire.recv_message(&from) == tuple!(atom "echo", term), "{length} bytes come back");
    }
}

/// A hundred senders whose messages are in fragments, sent in turn, ours and theirs.
#[test]
fn item_58_fragments_of_a_hundred_senders() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut erl, peer) = (cluster.erl(otp, "e"), cluster.peer("r"));
        erl.eval(ECHO);
        interleave(&mut Wire::connect(&cluster, "r@localhost", peer.port(), HIDDEN));
        interleave(&mut Wire::to_erl(&cluster, &mut erl, HIDDEN));
    });
    each_release(|otp| {
        // A stock node cuts at 64 KiB; each of its senders waits for its own message alone.
        let mut duo = Duo::start(otp);
        duo.says(
            "Self = self(),
             Ps = [spawn(fun() -> Bin = binary:copy(<<N>>, 200000 + N), A ! {N, Bin}, A ! {N, small}, Self ! sent end)
                   || N <- lists:seq(1, 100)],
             [receive sent -> ok end || _ <- Ps], All = Tolds(200, []),
             lists:all(fun(N) -> Bin = binary:copy(<<N>>, 200000 + N),
                                 [X || {M, X} <- All, M =:= N] =:= [Bin, small] end, lists:seq(1, 100))",
            "true",
        );
        // Ours cuts at 2 MiB.
        duo.erl.eval("Gather = fun Gather(0) -> []; Gather(N) -> receive M -> [M | Gather(N - 1)] after 15000 -> late end end, ok");
        duo.erl.eval("register(gather, self())");
        for number in 0..6_u8 {
            let body = async move |context: crabnode::Context| {
                let long = Term::binary(vec![number; 2_500_000]);
                for term in [long, Term::atom("small")] {
                    context.send(("gather", "e@localhost"), tuple!(i64::from(number), term)).await;
                }
            };
            duo.node.spawn(body);
        }
        duo.says(
            "All = Gather(12),
             lists:all(fun(N) -> Bin = binary:copy(<<N>>, 2500000),
                                 [X || {M, X} <- All, M =:= N] =:= [Bin, small] end, lists:seq(0, 5))",
            "true",
        );
    });
}

fn interleave(wire: &mut Wire) {
    const SENDERS: usize = 100;
    const FRAGMENTS: usize = 5;
    let senders: Vec<_> = (0..SENDERS).map(|n| wire.pid(u32::try_from(n).expect("a hundred") + 10)).collect();
    let messages: Vec<Vec<u8>> = senders
        .iter()
        .map(|from| bare(&tuple!(from, Term::binary(vec![b'x'; 5000 + from.id as usize]))))
        .collect();
    for fragment in (1..=FRAGMENTS).rev() {
        for (from, message) in senders.iter().zip(&messages) {
            let mut body = vec![131, if fragment == FRAGMENTS { 69 } else { 70 }];
            body.extend(u64::from(from.id + 1).to_be_bytes());
            body.extend((fragment as u64).to_be_bytes());
            if fragment == FRAGMENTS {
                body.push(0);
                body.extend(bare(&tuple!(6, from, atom "", atom "echo")));
            }
            let piece = message.len().div_ceil(FRAGMENTS);
            let at = (FRAGMENTS - fragment) * piece;
            body.extend(&message[at..(at + piece).min(message.len())]);
            wire.send_body(&body);
        }
        // Between them ticks and whole messages.
        wire.send_bytes(&[0; 4]);
        let from = wire.pid(1);
        wire.send_to("echo", &from, tuple!(&from, i64::try_from(fragment).expect("five")));
        if fragment > 1 {
            assert_eq!(wire.recv_message(&from), tuple!(atom "echo", i64::try_from(fragment).expect("five")));
        }
    }
    let mut missing: std::collections::HashSet<_> = senders.into_iter().collect();
    while !missing.is_empty() {
        if let Signal::Send { to, message, .. } = wire.recv()
            && missing.remove(&to)
        {
            let echoed = message.as_tuple().and_then(|echo| echo[1].as_binary()).expect("a binary");
            assert_eq!(echoed.as_slice().len(), 5000 + to.id as usize);
        }
    }
}

/// A list of thousands of binaries, each too large to be copied by a stock node, and as many small ones.
#[test]
fn item_59_thousands_of_binaries_in_a_message() {
    each_release(|otp| {
        let mut pair = Pair::connected(otp);
        for (count, size) in [(20_000, 100), (20_000, 10), (3_000, 2_000)] {
            pair.says(
                &format!(
                    "T = [crypto:strong_rand_bytes({size}) || _ <- lists:seq(1, {count})],
                     {{echo, R}} ! {{self(), T}}, receive {{echo, Back}} -> Back =:= T after 15000 -> late end"
                ),
                "true",
            );
        }
    });
}
