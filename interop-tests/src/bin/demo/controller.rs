//! The hidden node from which the demo asks the others.

use std::time::Duration;

use crabnode::{CallError, Node, NodeConfig, Pid, Term, erpc, tuple};
use interop_tests::Cluster;
use tokio::runtime::Runtime;

/// How long a call may take: all that is asked is answered within milliseconds, on a machine that is busy within some
/// seconds, or by an error.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The hidden node. The others do not see it in `nodes()`, and it is no part of `global`.
///
/// Where no EPMD runs it is also the one that starts it, and stays while the others come and go.
pub(crate) struct Controller {
    runtime: Runtime,
    node: Node,
}

impl Controller {
    pub(crate) fn start(cluster: &Cluster) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| format!("no runtime for the controller: {error}"))?;
        let mut config = NodeConfig::new("controller@localhost");
        config.cookie = Some(cluster.cookie().to_owned());
        config.epmd_port = Some(cluster.epmd_port());
        config.hidden = true;
        let node =
            runtime.block_on(Node::start(config)).map_err(|error| format!("the controller: {error}"))?;
        Ok(Self { runtime, node })
    }

    /// Calls a function on a node.
    pub(crate) fn call(
        &self,
        node: &str,
        module: &'static str,
        function: &'static str,
        arguments: Vec<Term>,
        limit: Duration,
    ) -> Result<Term, String> {
        let node = node.to_owned();
        let call = self.node.run(async move |mut context| {
            erpc::call(&mut context, &node, module, function, arguments, Some(limit)).await
        });
        let reply = self.runtime.block_on(call).ok_or("the controller has stopped")?;
        reply.map_err(|error| format!("{module}:{function}: {error}"))
    }

    /// The names of the applications that run on a node.
    pub(crate) fn which_applications(&self, node: &str) -> Result<Vec<String>, String> {
        let reply = self.call(node, "application", "which_applications", vec![], CALL_LIMIT)?;
        let applications = reply.as_list().ok_or_else(|| format!("{node} runs {reply}"))?;
        let names = applications.iter().filter_map(|row| row.as_tuple()?.first()?.as_atom());
        Ok(names.map(|name| name.as_str().to_owned()).collect())
    }

    /// Calls a gen_server, as a process of `node` would.
    pub(crate) fn gen_server_call(
        &self,
        node: &str,
        server: &Term,
        request: &Term,
        limit: Duration,
    ) -> Result<Term, String> {
        let timeout = Term::from(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
        let arguments = vec![server.clone(), request.clone(), timeout];
        self.call(node, "gen_server", "call", arguments, limit + CALL_LIMIT)
    }

    /// `application:start/1`.
    pub(crate) fn start_application(&self, node: &str, application: &Term) -> Result<(), String> {
        self.must_be_ok(node, "application", "start", vec![application.clone()])
    }

    /// `application:takeover/2`. The error is the reason, or why there is no reply.
    pub(crate) fn take_over(
        &self,
        node: &str,
        application: &Term,
        restart_type: &'static str,
    ) -> Result<(), Term> {
        let arguments = vec![application.clone(), Term::atom(restart_type)];
        let reply = self.call(node, "application", "takeover", arguments, CALL_LIMIT);
        match reply.map_err(|error| Term::binary(error.as_str()))? {
            reply if reply.is_atom("ok") => Ok(()),
            reply => Err(reply),
        }
    }

    /// `init:stop/0`.
    pub(crate) fn stop_node(&self, node: &str) -> Result<(), String> {
        self.must_be_ok(node, "init", "stop", vec![])
    }

    /// Calls a function that must return `ok`.
    pub(crate) fn must_be_ok(
        &self,
        node: &str,
        module: &'static str,
        function: &'static str,
        arguments: Vec<Term>,
    ) -> Result<(), String> {
        let call = format!("{module}:{function}({})", Term::from(arguments.clone()));
        let reply = self.call(node, module, function, arguments, CALL_LIMIT)?;
        if reply.is_atom("ok") { Ok(()) } else { Err(format!("{call} on {node}: {reply}")) }
    }

    /// Asks the job center for work and does it, as a process of this node, which lives until it is done. Gives what
    /// the work was.
    pub(crate) fn work(&self, server: Pid) -> Result<Term, String> {
        let work = self.node.run(async move |mut context| {
            let say = |error: CallError| format!("no work: {error}");
            let wanted = Term::atom("work_wanted");
            let work = context.call(&server, wanted, Some(CALL_LIMIT)).await.map_err(say)?;
            let Some([number, job]) = work.as_tuple() else { return Err(format!("no work, but {work}")) };
            let done = tuple!(atom "job_done", number.clone());
            let reply = context.call(&server, done, Some(CALL_LIMIT)).await.map_err(say)?;
            if reply.is_atom("ok") { Ok(job.clone()) } else { Err(format!("done, and {reply}")) }
        });
        self.runtime.block_on(work).ok_or("the controller has stopped")?
    }

    /// `application:get_env/2`.
    pub(crate) fn environment(&self, node: &str, application: &Term, key: &Term) -> Result<Term, String> {
        let arguments = vec![application.clone(), key.clone()];
        let reply = self.call(node, "application", "get_env", arguments, CALL_LIMIT)?;
        match reply.as_tuple() {
            Some([tag, value]) if tag.is_atom("ok") => Ok(value.clone()),
            _ => Err(format!("application:get_env({application}, {key}) on {node}: {reply}")),
        }
    }

    /// The process that has a name in `global`, as `node` sees it.
    pub(crate) fn whereis_name(&self, node: &str, name: &Term) -> Result<Option<Pid>, String> {
        let reply = self.call(node, "global", "whereis_name", vec![name.clone()], CALL_LIMIT)?;
        Ok(reply.as_pid().cloned())
    }
}
