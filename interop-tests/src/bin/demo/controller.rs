//! The hidden node from which the demo asks the three.

use std::time::Duration;

use bytes::Bytes;
use etf::{Atom, DecodeLimits, Term};
use interop_tests::{Cluster, ErlNode, NodeSpec, Otp};

/// How long a call may take: all that is asked is answered within milliseconds, or by an error.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// The hidden node.
pub(crate) struct Controller {
    erl: ErlNode,
}

impl Controller {
    pub(crate) fn start(cluster: &Cluster) -> Result<Self, String> {
        Ok(Self { erl: cluster.erl_with(&Otp::newest(), "controller", &NodeSpec::hidden()) })
    }

    /// Calls a function on a node.
    pub(crate) fn call(
        &mut self,
        node: &str,
        module: &'static str,
        function: &'static str,
        arguments: &[Term],
        limit: Duration,
    ) -> Result<Term, String> {
        let request = Term::List(arguments.to_vec());
        let bytes = etf::encode(&request).iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        let call = format!(
            "term_to_binary(rpc:call('{node}', {module}, {function}, binary_to_term(<<{bytes}>>), {}))",
            limit.as_millis()
        );
        let text = self.erl.try_eval(&call, limit + CALL_LIMIT)?;
        let digits = text.trim_start_matches("<<").trim_end_matches(">>").split(',');
        let reply: Vec<u8> = digits.map(|byte| byte.parse().unwrap_or_default()).collect();
        let reply =
            etf::decode(&Bytes::from(reply), &DecodeLimits::default()).map_err(|error| error.to_string())?;
        match reply.as_tuple() {
            Some([tag, reason]) if tag.is_atom("badrpc") => Err(format!("{reason}")),
            _ => Ok(reply),
        }
    }

    /// The names of the applications that run on a node.
    pub(crate) fn which_applications(&mut self, node: &str) -> Result<Vec<String>, String> {
        let reply = self.call(node, "application", "which_applications", &[], CALL_LIMIT)?;
        let applications = reply.as_list().ok_or_else(|| format!("{node} runs {reply}"))?;
        let names = applications.iter().filter_map(|row| row.as_tuple()?.first()?.as_atom());
        Ok(names.map(|name| name.as_str().to_owned()).collect())
    }

    /// Calls a gen_server, as a process of `node` would.
    pub(crate) fn gen_server_call(
        &mut self,
        node: &str,
        server: &Term,
        request: &Term,
        limit: Duration,
    ) -> Result<Term, String> {
        let timeout = Term::from(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
        let arguments = [server.clone(), request.clone(), timeout];
        self.call(node, "gen_server", "call", &arguments, limit + CALL_LIMIT)
    }

    /// `application:start/1`.
    pub(crate) fn start_application(&mut self, node: &str, application: &Term) -> Result<(), String> {
        let reply = self.call(node, "application", "start", std::slice::from_ref(application), CALL_LIMIT)?;
        if reply.is_atom("ok") {
            Ok(())
        } else {
            Err(format!("application:start({application}) on {node}: {reply}"))
        }
    }

    /// `application:get_env/2`.
    pub(crate) fn environment(&mut self, node: &str, application: &Term, key: &Term) -> Result<Term, String> {
        let arguments = [application.clone(), key.clone()];
        let reply = self.call(node, "application", "get_env", &arguments, CALL_LIMIT)?;
        match reply.as_tuple() {
            Some([tag, value]) if tag.is_atom("ok") => Ok(value.clone()),
            _ => Err(format!("application:get_env({application}, {key}) on {node}: {reply}")),
        }
    }

    /// The node of the process that has a name in `global`, as `node` sees it.
    pub(crate) fn whereis_name(&mut self, node: &str, name: &Term) -> Result<Option<Atom>, String> {
        let reply = self.call(node, "global", "whereis_name", std::slice::from_ref(name), CALL_LIMIT)?;
        Ok(reply.as_pid().map(|pid| pid.node().clone()))
    }
}
