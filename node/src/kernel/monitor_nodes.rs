//! `net_kernel:monitor_nodes/1,2`: who hears of nodes that come and go, and in which words (cluster-services.md 2.4).

use std::collections::HashMap;

use etf::{Map, Pid, Term, tuple};

use crate::{Context, Message, NodeEvent};

/// Which nodes a process hears of: `{node_type, _}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeType {
    /// Those that are connected visibly. Default.
    #[default]
    Visible,
    /// Those that are not.
    Hidden,
    /// All.
    All,
}

/// What a message of [`Context::monitor_nodes_with`] is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeInfo {
    /// `{nodeup, Node}` and `{nodedown, Node}`. Default.
    #[default]
    None,
    /// `{nodeup, Node, [{Key, Value}]}`.
    List,
    /// `{nodeup, Node, #{Key => Value}}`.
    Map,
}

/// The options of `net_kernel:monitor_nodes/2`. The default is what `monitor_nodes/1` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonitorNodes {
    /// Which nodes; visible ones where there is nothing. Where there is something the message says of which type the
    /// node is.
    pub node_type: Option<NodeType>,
    /// Whether `nodedown` says why, such as `connection_closed`.
    pub nodedown_reason: bool,
    /// Whether the message has the number of the connection, which is another for each.
    pub connection_id: bool,
    /// What the message is like.
    pub info: NodeInfo,
}

impl MonitorNodes {
    /// From the options as Erlang has them: a list or a map. What is wrong is said as `net_kernel` says it, without the
    /// `error`.
    pub fn from_term(options: &Term) -> Result<Self, Term> {
        let mut parsed = Self::default();
        match options {
            Term::List(list) => {
                if !list.is_empty() {
                    parsed.info = NodeInfo::List;
                }
                let unknown: Vec<Term> = list
                    .iter()
                    .filter_map(|option| parsed.set_option(option).transpose())
                    .collect::<Result<_, _>>()?;
                match unknown.is_empty() {
                    true => Ok(parsed),
                    false => Err(tuple!(atom "unknown_options", unknown)),
                }
            }
            Term::Map(map) => {
                parsed.info = NodeInfo::Map;
                let mut unknown = Map::new();
                for (key, value) in map.iter() {
                    if !parsed.set_key(key, value)? {
                        unknown.insert(key.clone(), value.clone());
                    }
                }
                match unknown.is_empty() {
                    true => Ok(parsed),
                    false => Err(tuple!(atom "unknown_options", Term::Map(unknown))),
                }
            }
            other => Err(tuple!(atom "invalid_options", other.clone())),
        }
    }

    /// One of a list. What is unknown is given back.
    fn set_option(&mut self, option: &Term) -> Result<Option<Term>, Term> {
        let is_known = match option.as_tuple() {
            Some([key, value]) if key.is_atom("node_type") => self.set_key(key, value)?,
            _ if option.is_atom("node_type") => false,
            _ => self.set_key(option, &true.into())?,
        };
        Ok((!is_known).then(|| option.clone()))
    }

    /// Whether there is such a key.
    fn set_key(&mut self, key: &Term, value: &Term) -> Result<bool, Term> {
        let bad = || tuple!(atom "bad_option_value", tuple!(key.clone(), value.clone()));
        match key.as_atom().map(|key| key.as_str()) {
            Some("node_type") => {
                self.node_type = Some(match value.as_atom().map(|value| value.as_str()) {
                    Some("visible") => NodeType::Visible,
                    Some("hidden") => NodeType::Hidden,
                    Some("all") => NodeType::All,
                    _ => return Err(bad()),
                });
            }
            Some("nodedown_reason") => self.nodedown_reason = value.as_bool().ok_or_else(bad)?,
            Some("connection_id") => self.connection_id = value.as_bool().ok_or_else(bad)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The message about a node; nothing if it is of another type.
    fn message(&self, event: &NodeEvent, connection: u64) -> Option<Term> {
        let (tag, node, visible, reason) = match event {
            NodeEvent::Up { node, visible } => ("nodeup", node, *visible, None),
            NodeEvent::Down { node, visible, reason } => ("nodedown", node, *visible, Some(reason)),
        };
        match self.node_type.unwrap_or_default() {
            NodeType::Visible if !visible => return None,
            NodeType::Hidden if visible => return None,
            NodeType::Visible | NodeType::Hidden | NodeType::All => {}
        }
        let tag = Term::atom(tag);
        let mut info = Vec::new();
        if self.connection_id {
            info.push((Term::atom("connection_id"), connection.into()));
        }
        if self.node_type.is_some() {
            let node_type = if visible { "visible" } else { "hidden" };
            info.push((Term::atom("node_type"), Term::atom(node_type)));
        }
        if let (true, Some(reason)) = (self.nodedown_reason, reason) {
            info.push((Term::atom("nodedown_reason"), reason.clone()));
        }
        Some(match self.info {
            NodeInfo::None => tuple!(tag, node),
            NodeInfo::List => {
                let info: Vec<Term> = info.into_iter().map(|(key, value)| tuple!(key, value)).collect();
                tuple!(tag, node, info)
            }
            NodeInfo::Map => {
                let mut map = Map::new();
                for (key, value) in info {
                    map.insert(key, value);
                }
                tuple!(tag, node, Term::Map(map))
            }
        })
    }
}

/// The processes that hear of nodes.
#[derive(Default)]
pub(crate) struct Subscribers(HashMap<Pid, Subscriber>);

#[derive(Default)]
struct Subscriber {
    /// By [`Context::monitor_nodes`].
    events: bool,
    /// With options, and how often each: as many messages come. There are only so many different options.
    with: Vec<(MonitorNodes, usize)>,
}

impl Subscribers {
    pub(crate) fn remove(&mut self, pid: &Pid) {
        self.0.remove(pid);
    }

    pub(crate) fn set_events(&mut self, pid: &Pid, flag: bool) {
        if flag || self.0.contains_key(pid) {
            self.0.entry(pid.clone()).or_default().events = flag;
            self.drop_if_idle(pid);
        }
    }

    pub(crate) fn set_with(&mut self, pid: &Pid, options: MonitorNodes, flag: bool) {
        let with = &mut self.0.entry(pid.clone()).or_default().with;
        match (with.iter_mut().find(|(other, _)| *other == options), flag) {
            (Some((_, times)), true) => *times += 1,
            (None, true) => with.push((options, 1)),
            // As in OTP one call takes back all with these options.
            (_, false) => with.retain(|(other, _)| *other != options),
        }
        self.drop_if_idle(pid);
    }

    fn drop_if_idle(&mut self, pid: &Pid) {
        if self.0.get(pid).is_some_and(|subscriber| !subscriber.events && subscriber.with.is_empty()) {
            self.0.remove(pid);
        }
    }

    /// What each is told, in no order of processes.
    pub(crate) fn messages<'a>(
        &'a self,
        event: &'a NodeEvent,
        connection: u64,
    ) -> impl Iterator<Item = (&'a Pid, Message)> {
        self.0.iter().flat_map(move |(pid, subscriber)| {
            let plain = subscriber.events.then(|| Message::Node(event.clone()));
            let with = subscriber.with.iter().flat_map(move |(options, times)| {
                let term = options.message(event, connection).map(Message::Term);
                std::iter::repeat_n(term, *times).flatten()
            });
            plain.into_iter().chain(with).map(move |message| (pid, message))
        })
    }
}

impl Context {
    /// `net_kernel:monitor_nodes(Flag, Options)`: messages as Erlang has them, `{nodeup, Node}`, `{nodedown, Node, Info}`
    /// and so on, come for the nodes that the options say. With `true` twice they come twice; `false` takes back all that
    /// was set up with these options. It is apart from [`monitor_nodes`](Self::monitor_nodes).
    pub fn monitor_nodes_with(&self, flag: bool, options: MonitorNodes) {
        self.inner().monitor_nodes_with(self.pid(), flag, options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(options: &Term) -> Vec<Option<Term>> {
        let options = MonitorNodes::from_term(options).expect("good options");
        let (node, reason) = ("b@h".into(), Term::atom("connection_closed"));
        let up = |visible| NodeEvent::Up { node: etf::Atom::from("b@h"), visible };
        [up(true), up(false), NodeEvent::Down { node, visible: true, reason }]
            .map(|event| options.message(&event, 7))
            .to_vec()
    }

    /// What OTP 25 and later tell.
    #[test]
    fn messages_have_what_the_options_ask_for() {
        let node = || Term::atom("b@h");
        let (up, down) = (|| Term::atom("nodeup"), || Term::atom("nodedown"));
        let list = |options: Vec<Term>| all(&Term::list(options));
        assert_eq!(list(vec![]), [Some(tuple!(up(), node())), None, Some(tuple!(down(), node()))]);
        let of = |node_type: &'static str| vec![tuple!(atom "node_type", Term::atom(node_type))];
        assert_eq!(
            list(of("all")),
            [
                Some(tuple!(up(), node(), of("visible"))),
                Some(tuple!(up(), node(), of("hidden"))),
                Some(tuple!(down(), node(), of("visible"))),
            ]
        );
        assert_eq!(list(of("hidden")), [None, Some(tuple!(up(), node(), of("hidden"))), None]);
        let reason = vec![tuple!(atom "nodedown_reason", atom "connection_closed")];
        assert_eq!(
            list(vec![Term::atom("nodedown_reason")]),
            [Some(tuple!(up(), node(), Term::NIL)), None, Some(tuple!(down(), node(), reason))]
        );
        assert_eq!(all(&Term::Map(Map::new()))[0], Some(tuple!(up(), node(), Term::Map(Map::new()))));
        let mut map = Map::new();
        map.insert(Term::atom("connection_id"), true.into());
        map.insert(Term::atom("nodedown_reason"), false.into());
        let mut info = Map::new();
        info.insert(Term::atom("connection_id"), 7.into());
        assert_eq!(all(&Term::Map(map))[2], Some(tuple!(down(), node(), Term::Map(info))));
    }

    #[test]
    fn bad_options_are_named() {
        let bad = |options: Term| MonitorNodes::from_term(&options).expect_err("bad options");
        assert_eq!(bad(Term::atom("foo")), tuple!(atom "invalid_options", atom "foo"));
        assert_eq!(
            bad(Term::list(vec![Term::atom("bar"), Term::atom("nodedown_reason")])),
            tuple!(atom "unknown_options", vec![Term::atom("bar")])
        );
        let node_type = tuple!(atom "node_type", atom "x");
        assert_eq!(bad(Term::list(vec![node_type.clone()])), tuple!(atom "bad_option_value", node_type));
    }

    #[test]
    fn a_process_hears_as_often_as_it_asked_for() {
        let (mut subscribers, pid) = (Subscribers::default(), Pid::new(etf::Atom::from("a@h"), 1, 0, 1));
        let count = |subscribers: &Subscribers| {
            subscribers.messages(&NodeEvent::Up { node: "b@h".into(), visible: true }, 1).count()
        };
        let hidden = MonitorNodes { node_type: Some(NodeType::Hidden), ..MonitorNodes::default() };
        for (options, times) in [(MonitorNodes::default(), 2), (hidden, 1)] {
            (0..times).for_each(|_| subscribers.set_with(&pid, options, true));
        }
        subscribers.set_events(&pid, true);
        assert_eq!(count(&subscribers), 3);
        subscribers.set_with(&pid, MonitorNodes::default(), false);
        assert_eq!(count(&subscribers), 1);
        subscribers.set_events(&pid, false);
        subscribers.set_with(&pid, hidden, false);
        assert!(subscribers.0.is_empty());
    }
}
