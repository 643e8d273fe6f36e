//! The hidden node from which the members are asked and told what to do.

use std::time::Duration;

use crabnode::{Node, NodeConfig, Term, erpc};
use interop_tests::{Cluster, clock::wait_for};
use tokio::runtime::Runtime;

/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Asker {
    runtime: Runtime,
    node: Node,
}

impl Asker {
    pub(crate) fn start(cluster: &Cluster) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let mut config = NodeConfig::new("asker@localhost");
        config.cookie = Some(cluster.cookie().to_owned());
        config.epmd_port = Some(cluster.epmd_port());
        config.hidden = true;
        let node = runtime.block_on(Node::start(config)).map_err(|error| error.to_string())?;
        Ok(Self { runtime, node })
    }

    /// Calls a function on a node, `NAME` being that of `NAME@localhost`.
    pub(crate) fn call(
        &self,
        name: &str,
        module: &'static str,
        function: &'static str,
        arguments: Vec<Term>,
    ) -> Result<Term, String> {
        let node = full(name);
        let call = self.node.run(async move |mut context| {
            erpc::call(&mut context, &node, module, function, arguments, Some(CALL_LIMIT)).await
        });
        let reply = self.runtime.block_on(call).ok_or("the asker has stopped")?;
        reply.map_err(|error| format!("{module}:{function} at {name}: {error}"))
    }

    /// The applications that run on a node; none if it does not say.
    pub(crate) fn runs(&self, name: &str) -> Vec<String> {
        let reply = self.call(name, "application", "which_applications", vec![]).unwrap_or(Term::NIL);
        let app = |row: &Term| Some(row.as_tuple()?.first()?.as_atom()?.as_str().to_owned());
        reply.as_list().unwrap_or_default().iter().filter_map(app).collect()
    }

    /// `application:start/1`, whose answer comes when it runs somewhere.
    pub(crate) fn start_app(&self, name: &str, app: &str) -> Result<(), String> {
        let reply = self.call(name, "application", "start", vec![Term::Atom(app.into())])?;
        if reply.is_atom("ok") { Ok(()) } else { Err(format!("application:start({app}) at {name}: {reply}")) }
    }

    /// Whether the `dist_ac` of a node knows another.
    pub(crate) fn knows(&self, name: &str, other: &str) -> bool {
        let known = self.call(name, "dist_ac", "get_known_nodes", vec![]).unwrap_or(Term::NIL);
        known.as_list().unwrap_or_default().iter().any(|node| node.is_atom(&full(other)))
    }

    /// The two are connected no more, and cannot connect: one has another cookie for the other.
    pub(crate) fn cut(&self, name: &str, other: &str) -> Result<(), String> {
        self.set_cookie(name, other, "apart")?;
        self.call(name, "erlang", "disconnect_node", vec![Term::Atom(full(other).as_str().into())]).map(drop)
    }

    /// They can again, and are connected when this returns.
    pub(crate) fn join(&self, name: &str, other: &str, cookie: &str) -> Result<(), String> {
        self.set_cookie(name, other, cookie)?;
        // Refused where the other tries just now with what it knew before.
        let connect = || {
            let other = Term::Atom(full(other).as_str().into());
            let connected = self.call(name, "net_kernel", "connect_node", vec![other]);
            connected.is_ok_and(|connected| connected.is_atom("true")).then_some(())
        };
        wait_for(CALL_LIMIT, connect).ok_or_else(|| format!("{name} cannot connect to {other} again"))
    }

    fn set_cookie(&self, name: &str, other: &str, cookie: &str) -> Result<(), String> {
        let arguments = vec![Term::Atom(full(other).as_str().into()), Term::Atom(cookie.into())];
        self.call(name, "erlang", "set_cookie", arguments).map(drop)
    }

    /// How many processes a node has.
    pub(crate) fn processes(&self, name: &str) -> Result<i64, String> {
        let count = self.call(name, "erlang", "system_info", vec![Term::atom("process_count")])?;
        count.as_int().ok_or_else(|| format!("{name} has {count} processes"))
    }
}

fn full(name: &str) -> String {
    format!("{name}@localhost")
}
