//! `crabnode call` and `stop` with a node of ours, where no Erlang is.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
};

/// A `crabnode peer` on an EPMD of its own.
struct Peer {
    child: Child,
    name: String,
    epmd_port: String,
}

impl Peer {
    fn start(alive: &str) -> Self {
        let name = format!("{alive}{}@localhost", std::process::id());
        let epmd_port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let epmd_port = epmd_port.expect("a free port").port().to_string();
        let mut command = crabnode(&epmd_port);
        command.args(["peer", "--sname", &name, "--cookie", "c"]).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().expect("it can be started");
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut ready).expect("it prints");
        assert!(ready.starts_with("ready "), "{ready}");
        Self { child, name, epmd_port }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        crabnode(&self.epmd_port).args(arguments).output().expect("it can be started")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn crabnode(epmd_port: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crabnode"));
    command.env("ERL_EPMD_PORT", epmd_port).env_remove("RUST_LOG");
    command
}

fn says(output: &Output) -> (String, Option<i32>) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn a_node_of_ours_is_called_and_stopped() {
    let mut peer = Peer::start("called");
    let name = peer.name.clone();
    let cookie = ["--cookie", "c"];
    let run = |peer: &Peer, arguments: &[&str]| says(&peer.run(&[arguments, &cookie].concat()));
    assert_eq!(run(&peer, &["call", &name, "erlang", "node"]), (format!("{name}\n"), Some(0)));
    assert_eq!(
        run(&peer, &["call", &name, "gen_server", "call", "[echo_server, \"text\"]", "--json"]),
        ("[\"echo\",\"text\"]\n".into(), Some(0))
    );
    let printed = run(&peer, &["call", &name, "io", "format", "[\"~p~n\", [x]]", "--fetch-stdout"]);
    assert_eq!(printed, ("x\nok\n".into(), Some(0)));
    assert_eq!(run(&peer, &["call", &name, "erlang", "nodes"]), ("[]\n".into(), Some(0)));
    assert_eq!(run(&peer, &["stop", &name]).1, Some(0));
    assert_eq!(peer.child.wait().expect("it ends").code(), Some(0));
    assert_eq!(run(&peer, &["call", &name, "erlang", "node"]).1, Some(1));
}
