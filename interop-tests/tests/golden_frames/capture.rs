//! Stock nodes say it to us.

use std::{env, io, time::Duration};

use dist::{Inbound, Limits, Received, Signal};
use etf::{DecodeLimits, Term};
use handshake::DistFlags;
use interop_tests::{Cluster, ErlNode, Otp, golden::from_hex};

use crate::{
    files::{Captured, write},
    peer_support::{SOON, each_release},
    scenarios::{CREATION, Form, OWN, PEER, SCENARIOS, Scenario, Values, own, own_alias},
    wire_support::{PLAIN, Wire, framed},
};

/// `otp@localhost`, to which the test connects again and again under one name.
pub(crate) struct Stock {
    pub(crate) cluster: Cluster,
    pub(crate) erl: ErlNode,
    port: u16,
}

impl Stock {
    pub(crate) fn start(otp: &Otp) -> Self {
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl(otp, "otp");
        let port = erl.eval("element(2, erl_epmd:port_please(\"otp\", \"localhost\"))");
        let term = |term: Term| {
            let bytes: Vec<String> = etf::encode(&term).iter().map(u8::to_string).collect();
            format!("binary_to_term(<<{}>>)", bytes.join(","))
        };
        erl.eval(&format!("P = {}, A = {}, ok", term(own().into()), term(own_alias().into())));
        Self { cluster, erl, port: port.parse().expect("a port") }
    }

    /// A connection, once the one before is over on the other side too.
    pub(crate) fn wire(&mut self, flags: DistFlags) -> Wire {
        self.erl.eval_until("nodes(connected)", "[]", SOON);
        let wire = Wire::connect_as(&self.cluster, OWN.as_str(), CREATION, PEER.as_str(), self.port, flags);
        // What is said while it has not seen the end of the handshake goes by older operations.
        self.erl.eval_until("nodes(connected)", &format!("[{OWN}]"), SOON);
        wire
    }

    /// What `ct_frames` answers: terms as hex digits.
    pub(crate) fn terms(&mut self, expression: &str) -> Vec<Term> {
        let hex = self.erl.eval(expression);
        let bytes = from_hex(hex.trim_matches('"')).unwrap_or_else(|| panic!("hex digits: {hex}"));
        let term = etf::decode(&bytes.into(), &DecodeLimits::default()).expect("what it wrote itself");
        term.as_list().expect("a list").to_vec()
    }

    fn capture(&mut self, scenario: &'static Scenario, form: Form) -> Captured {
        let mut wire = self.wire(form.offered().without(scenario.without));
        let flags = wire.established.flags;
        let mut inbound = Inbound::new(OWN, PEER, flags, Limits::default());
        let mut values = Values(self.terms(&format!("ct_frames:play({}, P, A)", scenario.erl)));
        (scenario.say)(&values).iter().for_each(|signal| wire.send(signal));
        values.0.extend(self.terms(&format!("ct_frames:play({}, P, A)", scenario.then)));
        let (mut frames, mut signals) = (Vec::new(), Vec::new());
        let mut listen = |wire: &mut Wire| {
            while let Some(body) = wire.try_recv_body()? {
                if body.is_empty() {
                    continue;
                }
                let frame = framed(&body);
                inbound.handle(&frame);
                frames.push(frame);
                match inbound.poll_output().expect("what a stock node says is right") {
                    Some(Received::Signal(signal)) => return Ok(Some(signal)),
                    Some(Received::Tick) | None => {}
                }
            }
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        };
        // The first signal may say how many there are to be.
        loop {
            let what = format!("{} {}", scenario.name, form.name());
            let next = listen(&mut wire).unwrap_or_else(|error| panic!("{what}: {error}: {signals:?}"));
            signals.extend(next);
            if is_complete(scenario, &values, &signals) {
                break;
            }
        }
        wire.stream.set_read_timeout(Some(QUIET)).expect("a socket has the option");
        let more = listen(&mut wire);
        assert!(more.is_err(), "{} {}: more than expected: {more:?}", scenario.name, form.name());
        assert_eq!(signals, (scenario.hear)(&values, &signals), "{} {}", scenario.name, form.name());
        Captured { name: scenario.name, form, flags, values, frames }
    }

    /// A tick, of a node whose ticktime is short.
    fn tick(&mut self) {
        self.erl.eval("net_kernel:set_net_ticktime(4, 0)");
        let mut wire = self.wire(PLAIN);
        assert_eq!(wire.recv_body(), &b""[..], "a tick is four zero bytes");
    }
}

/// How long nothing more comes: what is said is said before, by processes that were waited for.
const QUIET: Duration = Duration::from_millis(20);

fn is_complete(scenario: &Scenario, values: &Values, signals: &[Signal]) -> bool {
    // Those that look at what was heard can do so when the last has come; how many those are does not change.
    let links = matches!(scenario.erl, "link") && signals.len() < 2;
    !links && (scenario.hear)(values, signals).len() <= signals.len()
}

/// Each release says what its file has, or would after this is run with `CRABNODE_GOLDEN=write`.
#[test]
fn what_each_release_says_is_what_we_expect_of_it() {
    let is_to_write = env::var("CRABNODE_GOLDEN").is_ok_and(|value| value == "write");
    each_release(|otp| {
        let mut stock = Stock::start(otp);
        let mut all = Vec::new();
        for scenario in SCENARIOS.iter().filter(|scenario| scenario.is_for(otp.number())) {
            all.extend(scenario.forms.iter().map(|form| stock.capture(scenario, *form)));
        }
        stock.tick();
        if is_to_write {
            write(otp.number(), &all);
        }
    });
}
