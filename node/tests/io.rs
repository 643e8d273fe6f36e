//! Printing and reading between two nodes of ours.

mod support;

use std::sync::{Arc, Mutex};

use crabnode::{
    Context, Message, Node, NodeConfig, Pid, SpawnOptions, Term,
    io::{self, Input, IoError, Line, Read, Sink},
    tuple,
};
use support::{config, epmd_port, eventually, node, run};
use tokio::sync::oneshot;

/// What was printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<String>>);

impl Printed {
    fn sink(&self) -> Sink {
        let printed = self.clone();
        Sink::function(move |text| printed.0.lock().expect("no panic").push_str(text))
    }

    fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }
}

/// Lines that are there, and then none, or none at all until somebody no longer waits.
struct Lines(Vec<&'static str>, bool);

impl Input for Lines {
    async fn read(&mut self, _: &str, _: Read) -> Line {
        match self.0.pop() {
            Some(line) => Line::Text(line.to_owned()),
            None if self.1 => std::future::pending().await,
            None => Line::Eof,
        }
    }
}

/// Runs a body with this group leader.
async fn led<T: Send + 'static, Fut: Future<Output = T> + Send + 'static>(
    node: &Node,
    leader: &Pid,
    body: impl FnOnce(Context) -> Fut + Send + 'static,
) -> T {
    let (sender, receiver) = oneshot::channel();
    let options = SpawnOptions { group_leader: Some(leader.clone()), ..SpawnOptions::default() };
    let spawned = node.spawn_with(options, |context| async move {
        let _ = sender.send(body(context).await);
    });
    spawned.expect("no name to be taken");
    receiver.await.expect("it is not ended")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spawned_prints_to_user_and_what_it_starts_elsewhere_too() {
    let (port, printed) = (epmd_port(), Printed::default());
    let a = Node::start(NodeConfig { output: printed.sink(), ..config("a", port) }).await.expect("it starts");
    let elsewhere = Printed::default();
    let b =
        Node::start(NodeConfig { output: elsewhere.sink(), ..config("b", port) }).await.expect("it starts");
    let name = b.name().clone();
    run(&a, move |mut context| async move {
        assert_eq!(Some(context.group_leader()), context.node().whereis("user"));
        assert_eq!(io::put_chars(&mut context, "å ж\n").await, Ok(()));
        assert_eq!(io::format(&mut context, "~p ~w~n", vec![Term::charlist("ab"), 1.into()]).await, Ok(()));
        let bad = io::format(&mut context, "~p", vec![]).await;
        assert_eq!(bad, Err(IoError::Refused(Term::atom("format"))));
        let args = vec![Term::charlist("there ~p~n"), Term::list([Term::atom("x")])];
        let called = crabnode::erpc::call(&mut context, &name, "io", "format", args, None).await;
        assert_eq!(called, Ok(Term::atom("ok")));
        assert_eq!(io::get_line(&mut context, "> ").await, Ok(None));
    })
    .await;
    assert_eq!(printed.text(), "å ж\n\"ab\" 1\nthere x\n");
    assert_eq!(elsewhere.text(), "");
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_leader_reads_for_a_process_of_another_node() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let input = Lines(vec!["third", "second\n", "first\n"], false);
    let leader = io::start_group_leader(&a, None, Sink::discard(), input).expect("no name");
    let to = leader.clone();
    led(&b, &leader, |mut context| async move {
        assert_eq!(io::get_line(&mut context, "").await, Ok(Some("first\n".into())));
        let chars = tuple!(atom "get_chars", atom "unicode", atom "", 3);
        assert_eq!(io::request(&mut context, &to, chars).await, Ok(Term::charlist("sec")));
        let binary = Term::list([tuple!(atom "binary", true)]);
        let set =
            tuple!(atom "requests", Term::list([tuple!(atom "setopts", binary), Term::atom("getopts")]));
        assert!(io::request(&mut context, &to, set).await.is_ok());
        let line = tuple!(atom "get_line", atom "latin1", atom "");
        assert_eq!(io::request(&mut context, &to, line).await, Ok(Term::binary("ond\n")));
        assert_eq!(io::get_line(&mut context, "").await, Ok(Some("third".into())));
        assert_eq!(io::get_line(&mut context, "").await, Ok(None));
    })
    .await;
    a.stop().await;
    b.stop().await;
}

/// It prints while it reads, and who waits for a line in vain, and is gone, holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn output_does_not_wait_for_input_nor_input_for_the_dead() {
    let (a, printed) = (node("a", epmd_port()).await, Printed::default());
    let leader = io::start_group_leader(&a, None, printed.sink(), Lines(vec![], true)).expect("no name");
    let options = SpawnOptions { group_leader: Some(leader.clone()), ..SpawnOptions::default() };
    let reading = a.spawn_with(options, |mut context| async move {
        let _ = io::get_line(&mut context, "").await;
    });
    let reading = reading.expect("no name to be taken");
    led(&a, &leader, |mut context| async move {
        assert_eq!(io::put_chars(&mut context, "printed").await, Ok(()));
        context.exit(&reading, Term::atom("kill"));
    })
    .await;
    assert_eq!(printed.text(), "printed");
    // The end of the leader is an answer.
    let to = leader.clone();
    let waiting = read_line_of(&a, &leader);
    run(&a, move |context| async move { context.exit(&to, Term::atom("kill")) }).await;
    assert_eq!(waiting.await.expect("it says"), Err(IoError::Terminated));
    let gone = leader.clone();
    eventually("it is gone", || !a.is_process_alive(&gone)).await;
    a.stop().await;
}

/// What a process is given that reads from a leader.
fn read_line_of(node: &Node, leader: &Pid) -> oneshot::Receiver<Result<Option<String>, IoError>> {
    let (sender, receiver) = oneshot::channel();
    let options = SpawnOptions { group_leader: Some(leader.clone()), ..SpawnOptions::default() };
    let body = |mut context: Context| async move {
        let _ = sender.send(io::get_line(&mut context, "").await);
    };
    node.spawn_with(options, body).expect("no name to be taken");
    receiver
}

/// Calls of C nodes may want what is printed as messages.
#[tokio::test(flavor = "multi_thread")]
async fn rex_sends_what_is_printed_to_the_caller() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    let name = b.name().clone();
    let received = run(&a, move |mut context| async move {
        let args = Term::list([Term::charlist("~p~n"), Term::list([Term::atom("x")])]);
        let leader = Term::atom("send_stdout_to_caller");
        let call = tuple!(atom "call", atom "io", atom "format", args, leader);
        context.send(("rex", &name), tuple!(context.pid(), call)).await;
        let mut received = Vec::new();
        for _ in 0..2 {
            if let Message::Term(term) = context.receive().await {
                received.push(term);
            }
        }
        received
    })
    .await;
    let printed = tuple!(atom "rex_stdout", Term::binary("x\n"));
    assert_eq!(received, [printed, tuple!(atom "rex", atom "ok")]);
    a.stop().await;
    b.stop().await;
}
