//! The startup synchronisation: a node waits for others before it starts anything (dist_ac.md 3).
//!
//! Each listed node is pinged once, one after the other; after that, and meanwhile, a node that connects counts. One
//! that came and went counts too. With all of them there the boot goes on at once, at the timeout it goes on without
//! the optional ones, and without a mandatory one it fails.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use etf::{Atom, Term, tuple};

/// The parameters `sync_nodes_mandatory`, `sync_nodes_optional` and `sync_nodes_timeout` of `kernel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncNodes {
    /// Without these the node does not start. As in OTP the elements are not checked; one that is no atom never
    /// comes up.
    pub mandatory: Vec<Term>,
    /// These are waited for.
    pub optional: Vec<Term>,
    /// For how long; nothing is `infinity`.
    pub timeout: Option<Duration>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A node is connected.
    NodeUp {
        /// Which.
        node: Atom,
    },
    /// The answer to [`Output::Ping`].
    Pinged {
        /// Whether the node answered.
        pong: bool,
    },
    /// [`Startup::poll_timeout`] has come.
    Timeout,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The node may not start.
    Fail(MandatoryNodesDown),
    /// The node may start.
    Go,
    /// `net_adm:ping`; answered by [`Input::Pinged`].
    Ping {
        /// Whom.
        node: Atom,
    },
}

/// Mandatory nodes did not come in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", slogan(&self.reason()))]
pub struct MandatoryNodesDown {
    /// Those that did not come.
    pub nodes: Vec<Term>,
}

impl MandatoryNodesDown {
    /// `{mandatory_nodes_down, Nodes}`.
    #[must_use]
    pub fn reason(&self) -> Term {
        tuple!(atom "mandatory_nodes_down", self.nodes.clone())
    }
}

/// What a stock node prints when its `kernel_config` fails for this reason.
#[must_use]
pub fn slogan(reason: &Term) -> String {
    let child = tuple!(atom "failed_to_start_child", atom "kernel_config", reason.clone());
    let start = tuple!(atom "kernel", atom "start", vec![Term::atom("normal"), Term::NIL]);
    let failure = tuple!(tuple!(atom "shutdown", child), start);
    terminated(&tuple!(atom "application_start_failure", atom "kernel", failure))
}

/// What a stock node prints when its application controller ends for this reason.
#[must_use]
pub fn terminated(reason: &Term) -> String {
    format!("Kernel pid terminated (application_controller) ({reason})")
}

/// The machine.
#[derive(Debug)]
pub struct Startup {
    mandatory: Vec<Term>,
    optional: Vec<Term>,
    to_ping: VecDeque<Atom>,
    pinging: Option<Atom>,
    deadline: Option<Instant>,
    outputs: VecDeque<Output>,
    over: bool,
}

impl Startup {
    /// Begins at `now`.
    #[must_use]
    pub fn new(now: Instant, nodes: SyncNodes) -> Self {
        let SyncNodes { mandatory, optional, timeout } = nodes;
        let to_ping = mandatory.iter().chain(&optional).filter_map(|node| node.as_atom().cloned()).collect();
        let mut startup = Self {
            mandatory,
            optional,
            to_ping,
            pinging: None,
            deadline: timeout.map(|timeout| now + timeout),
            outputs: VecDeque::new(),
            over: false,
        };
        startup.go_on();
        startup
    }

    /// Takes what happened at `now`. After [`Output::Go`] or [`Output::Fail`] nothing counts any more.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.over {
            return;
        }
        match input {
            Input::NodeUp { node } => self.node_up(&node),
            Input::Pinged { pong } => {
                if let Some(node) = self.pinging.take().filter(|_| pong) {
                    self.node_up(&node);
                }
            }
            Input::Timeout if self.deadline.is_some_and(|deadline| deadline <= now) => {
                return self.time_is_up();
            }
            Input::Timeout => {}
        }
        self.go_on();
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to give [`Input::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.over)
    }

    /// A node that is in both lists is counted for the first only, and a list's double for one of them, as OTP does.
    fn node_up(&mut self, node: &Atom) {
        for list in [&mut self.mandatory, &mut self.optional] {
            if let Some(at) = list.iter().position(|name| name.as_atom() == Some(node)) {
                list.remove(at);
                return;
            }
        }
    }

    fn go_on(&mut self) {
        if self.mandatory.is_empty() && self.optional.is_empty() {
            self.end(Output::Go);
        } else if self.pinging.is_none()
            && let Some(node) = self.to_ping.pop_front()
        {
            self.pinging = Some(node.clone());
            self.outputs.push_back(Output::Ping { node });
        }
    }

    fn time_is_up(&mut self) {
        if self.mandatory.is_empty() {
            self.end(Output::Go);
        } else {
            let nodes = std::mem::take(&mut self.mandatory);
            self.end(Output::Fail(MandatoryNodesDown { nodes }));
        }
    }

    fn end(&mut self, output: Output) {
        self.over = true;
        self.outputs.push_back(output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Vec<Term> {
        names.iter().map(|name| Term::from(Atom::from(*name))).collect()
    }

    fn start(mandatory: &[&str], optional: &[&str]) -> (Instant, Startup) {
        #[expect(clippy::disallowed_methods, reason = "the test counts from some instant")]
        let now = Instant::now();
        let timeout = Some(Duration::from_secs(30));
        let nodes = SyncNodes { mandatory: nodes(mandatory), optional: nodes(optional), timeout };
        (now, Startup::new(now, nodes))
    }

    fn up(name: &str) -> Input {
        Input::NodeUp { node: Atom::from(name) }
    }

    fn ping(name: &str) -> Option<Output> {
        Some(Output::Ping { node: Atom::from(name) })
    }

    #[test]
    fn pings_are_made_one_after_the_other() {
        let (now, mut startup) = start(&["b@h"], &["c@h"]);
        assert_eq!(startup.poll_output(), ping("b@h"));
        assert_eq!(startup.poll_output(), None);
        startup.handle(now, Input::Pinged { pong: true });
        assert_eq!(startup.poll_output(), ping("c@h"));
        startup.handle(now, Input::Pinged { pong: true });
        assert_eq!(startup.poll_output(), Some(Output::Go));
        assert_eq!(startup.poll_timeout(), None);
    }

    #[test]
    fn later_nodes_have_to_connect_to_us() {
        let (now, mut startup) = start(&["b@h", "c@h"], &[]);
        startup.handle(now, up("c@h"));
        startup.handle(now, Input::Pinged { pong: false });
        startup.handle(now, Input::Pinged { pong: true });
        assert_eq!((startup.poll_output(), startup.poll_output()), (ping("b@h"), ping("c@h")));
        assert_eq!(startup.poll_output(), None, "b is pinged once");
        startup.handle(now, up("x@h"));
        assert_eq!(startup.poll_output(), None);
        startup.handle(now, up("b@h"));
        assert_eq!(startup.poll_output(), Some(Output::Go));
    }

    #[test]
    fn at_the_timeout_only_mandatory_nodes_count() {
        let (now, mut startup) = start(&[], &["b@h"]);
        let deadline = startup.poll_timeout().unwrap();
        assert_eq!(deadline, now + Duration::from_secs(30));
        assert_eq!(startup.poll_output(), ping("b@h"));
        startup.handle(deadline - Duration::from_millis(1), Input::Timeout);
        assert_eq!(startup.poll_output(), None);
        startup.handle(deadline, Input::Timeout);
        assert_eq!(startup.poll_output(), Some(Output::Go));

        let (_, mut startup) = start(&["b@h", "c@h"], &["d@h"]);
        startup.handle(now, up("b@h"));
        assert_eq!(startup.poll_output(), ping("b@h"));
        startup.handle(deadline + Duration::from_secs(1), Input::Timeout);
        let error = MandatoryNodesDown { nodes: nodes(&["c@h"]) };
        assert_eq!(startup.poll_output(), Some(Output::Fail(error.clone())));
        assert_eq!(
            error.to_string(),
            "Kernel pid terminated (application_controller) ({application_start_failure,kernel,{{shutdown,\
             {failed_to_start_child,kernel_config,{mandatory_nodes_down,[c@h]}}},{kernel,start,[normal,[]]}}})"
        );
    }

    #[test]
    fn with_nobody_to_wait_for_it_goes_at_once() {
        let (_, mut startup) = start(&[], &[]);
        assert_eq!(startup.poll_output(), Some(Output::Go));
        assert_eq!(startup.poll_output(), None);
    }
}
