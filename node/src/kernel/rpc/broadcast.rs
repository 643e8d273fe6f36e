//! Messages to processes of one name on many nodes.

use etf::{Atom, Term, tuple};

use crate::{Context, Dest, Message, Monitor};

/// A node cannot be reached, or has no process of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such process, or no connection to {node}")]
pub struct NodeDown {
    /// The node.
    pub node: Atom,
}

/// `rpc:abcast(Nodes, Name, Message)`: sends to the process of that name on each node, as [`Context::send`] does.
///
/// Dropping the future before it is done leaves the rest of the nodes out.
pub async fn abcast(context: &Context, nodes: &[Atom], name: &Atom, message: impl Into<Term>) {
    let message = message.into();
    for node in nodes {
        context.send(Dest::NameAt(name.clone(), node.clone()), message.clone()).await;
    }
}

/// `rpc:sbcast(Nodes, Name, Message)`: the same, and waits until it has been received or cannot be. The nodes that have
/// such a process, and those that have none or cannot be reached; each in the order given.
///
/// Dropping the future drops what has not come yet; an answer that comes later stays in the mailbox.
pub async fn sbcast(
    context: &mut Context,
    nodes: &[Atom],
    name: &Atom,
    message: impl Into<Term>,
) -> (Vec<Atom>, Vec<Atom>) {
    let request = tuple!(atom "sbcast", name, message.into());
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (node, answer) in ask(context, nodes, &Atom::from_static("rex"), request).await {
        match answer {
            // `{nonexisting_name, Name}` otherwise.
            Some(Term::Atom(_)) => good.push(node),
            Some(_) | None => bad.push(node),
        }
    }
    (good, bad)
}

/// `rpc:multi_server_call(Nodes, Name, Message)`: sends `{self(), Message}` to the process of that name on each node,
/// which answers `{Name, node(), Reply}`. The replies, and the nodes that have none; each in the order given.
///
/// Dropping the future drops what has not come yet; an answer that comes later stays in the mailbox.
pub async fn multi_server_call(
    context: &mut Context,
    nodes: &[Atom],
    name: &Atom,
    message: impl Into<Term>,
) -> (Vec<Term>, Vec<Atom>) {
    let (mut replies, mut bad) = (Vec::new(), Vec::new());
    for (node, answer) in ask(context, nodes, name, message.into()).await {
        match answer {
            Some(reply) => replies.push(reply),
            None => bad.push(node),
        }
    }
    (replies, bad)
}

/// `rpc:server_call(Node, Name, Wrapper, Message)`: sends `{self(), Message}` to the process of that name, which answers
/// `{Wrapper, Node, Reply}`.
///
/// Waits as long as the process lives and is connected. Dropping the future drops the answer; one that comes later
/// stays in the mailbox.
pub async fn server_call(
    context: &mut Context,
    node: &Atom,
    name: &Atom,
    wrapper: impl Into<Term>,
    message: impl Into<Term>,
) -> Result<Term, NodeDown> {
    let wrapper = wrapper.into();
    let mut asked = Asked { context, monitors: Vec::new() };
    asked.ask(node, name, message.into());
    asked.answer(&wrapper).await.1.ok_or_else(|| NodeDown { node: node.clone() })
}

/// Sends `{self(), Message}` to each and gives what each answers, tagged by the name; nothing where it cannot.
async fn ask(context: &mut Context, nodes: &[Atom], name: &Atom, message: Term) -> Vec<(Atom, Option<Term>)> {
    let mut asked = Asked { context, monitors: Vec::new() };
    // Taken from the end.
    for node in nodes.iter().rev() {
        asked.ask(node, name, message.clone());
    }
    let (tag, mut answers) = (Term::from(name), Vec::new());
    for _ in nodes {
        answers.push(asked.answer(&tag).await);
    }
    answers
}

/// Who has been asked and has not answered. However the wait ends, no monitor is left.
struct Asked<'a> {
    context: &'a mut Context,
    monitors: Vec<(Atom, Monitor)>,
}

impl Asked<'_> {
    fn ask(&mut self, node: &Atom, name: &Atom, message: Term) {
        let dest = Dest::NameAt(name.clone(), node.clone());
        let monitor = self.context.monitor(dest.clone());
        self.context.send_now(dest, tuple!(self.context.pid(), message));
        self.monitors.push((node.clone(), monitor));
    }

    /// What the last of them answers.
    async fn answer(&mut self, tag: &Term) -> (Atom, Option<Term>) {
        let (node, monitor) = self.monitors.last().expect("somebody has been asked");
        let answer = self
            .context
            .receive_match(|message| match message {
                Message::Down { reference, .. } if *reference == monitor.reference => Some(None),
                Message::Term(term) => match term.as_tuple() {
                    Some([t, Term::Atom(n), answer]) if t == tag && n == node => Some(Some(answer.clone())),
                    _ => None,
                },
                _ => None,
            })
            .await;
        let (node, monitor) = self.monitors.pop().expect("it was there");
        self.context.demonitor(&monitor);
        (node, answer)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        for (_, monitor) in self.monitors.drain(..) {
            self.context.demonitor(&monitor);
        }
    }
}
