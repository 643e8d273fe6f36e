//! `crabnode takeover` and `crabnode permit`: `application:takeover/2` and `application:permit/2` at a node.
//!
//! Exit statuses. 0: done. 1: the node cannot be reached, has refused, or has not answered in time; stderr says which, and
//! what to do.

use std::{process::ExitCode, time::Duration};

use clap::{ArgAction, Args, ValueEnum};
use crabnode::{Atom, Exception, Node, Term, erpc, erpc::ErpcError, tuple};
use dist_ac::flags::{NodeFlags, fail};
use tokio::time::timeout;

use crate::{guest, say};

#[derive(Args)]
pub(crate) struct TakeoverFlags {
    /// The application
    #[arg(value_name = "APP")]
    app: String,
    /// NAME@HOST of the node that is to run it
    node: String,
    /// Its restart type from then on; otherwise that by which it was started there
    #[arg(long, value_name = "TYPE")]
    restart_type: Option<RestartType>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct PermitFlags {
    /// The application
    #[arg(value_name = "APP")]
    app: String,
    /// NAME@HOST of the node that may run it, or may not
    node: String,
    /// true, or false: then it moves to another node that may, or stops if there is none
    #[arg(action = ArgAction::Set, value_name = "true|false")]
    permission: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Give up after so long; what was asked for may still happen then
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    timeout: u64,
    #[command(flatten)]
    own: NodeFlags,
}

/// Restart types of applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RestartType {
    /// Its end is the end of its node
    Permanent,
    /// Its end is the end of its node, unless it was normal
    Transient,
    /// Its end is only reported
    Temporary,
}

impl RestartType {
    fn to_term(self) -> Term {
        match self {
            Self::Permanent => Term::atom("permanent"),
            Self::Transient => Term::atom("transient"),
            Self::Temporary => Term::atom("temporary"),
        }
    }
}

pub(crate) async fn takeover(flags: TakeoverFlags) -> ExitCode {
    let TakeoverFlags { app, node, restart_type, common } = flags;
    run("takeover", &app, &node, &common, async |guest: &Guest, app: &Atom| {
        let restart_type = match restart_type {
            Some(restart_type) => restart_type.to_term(),
            None => guest.restart_type(app).await?,
        };
        let answer = guest.call("application", "takeover", vec![app.into(), restart_type]).await?;
        match refusal(&answer) {
            None => Ok(format!("{app} runs on {}", guest.peer)),
            Some(reason) => Err(takeover_refused(app, &guest.peer, reason)),
        }
    })
    .await
}

pub(crate) async fn permit(flags: PermitFlags) -> ExitCode {
    let PermitFlags { app, node, permission, common } = flags;
    run("permit", &app, &node, &common, async |guest: &Guest, app: &Atom| {
        let answer = guest.call("application", "permit", vec![app.into(), permission.into()]).await?;
        match refusal(&answer) {
            None if permission => Ok(format!("{} may run {app}", guest.peer)),
            None => Ok(format!("{} may not run {app}", guest.peer)),
            Some(reason) => Err(permit_refused(app, &guest.peer, reason)),
        }
    })
    .await
}

/// Does something at a node, as one that nobody sees.
async fn run(
    kind: &str,
    app: &str,
    node: &str,
    common: &Common,
    work: impl AsyncFnOnce(&Guest, &Atom) -> Result<String, String>,
) -> ExitCode {
    let plain = app.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(app);
    let app = match Atom::try_new(plain) {
        Ok(app) => app,
        Err(error) => return fail(&format!("{plain}: {error}")),
    };
    let (peer, config) = match guest::config(kind, node, &common.own) {
        Ok(both) => both,
        Err(status) => return status,
    };
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(error) => return fail(&error),
    };
    let guest = Guest { node, peer };
    let limit = Duration::from_secs(common.timeout);
    let done = timeout(limit, async {
        guest.node.connect(&guest.peer).await.map_err(|error| error.to_string())?;
        guest.has_dist_ac(&app).await?;
        work(&guest, &app).await
    });
    let done = done.await.unwrap_or_else(|_| {
        Err(format!(
            "{} has not answered within {} s, and may still do it; `crabnode apps {}` shows what its dist_ac waits for",
            guest.peer,
            limit.as_secs(),
            guest.peer
        ))
    });
    guest.node.stop().await;
    match done {
        Ok(line) => {
            say(&line);
            ExitCode::SUCCESS
        }
        Err(reason) => fail(&reason),
    }
}

/// This node and the one that it asks.
struct Guest {
    node: Node,
    peer: String,
}

impl Guest {
    async fn call(
        &self,
        module: &'static str,
        function: &'static str,
        args: Vec<Term>,
    ) -> Result<Term, String> {
        let peer = self.peer.clone();
        let answer = self.node.run(async move |mut context| {
            erpc::call(&mut context, &peer, module, function, args, None).await
        });
        match answer.await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(ErpcError::Erpc(reason))) if reason == "noconnection" => {
                Err(format!("{} went away and has not answered; look where it runs now", self.peer))
            }
            Some(Err(ErpcError::Exception(Exception::Exit(reason)))) => Err(format!(
                "{module}:{function} has failed at {}: {reason}; was its dist_ac ended?",
                self.peer
            )),
            Some(Err(error)) => Err(format!("{module}:{function} has failed at {}: {error}", self.peer)),
            None => Err("this node has been stopped".to_owned()),
        }
    }

    /// Without a `dist_ac` stock nodes wait for one without end.
    async fn has_dist_ac(&self, app: &Atom) -> Result<(), String> {
        match self.call("erlang", "whereis", vec![Term::atom("dist_ac")]).await? {
            Term::Pid(_) => Ok(()),
            _ => Err(format!(
                "{} has no dist_ac, so {app} is not distributed there: name it in `kernel distributed` of its sys.config",
                self.peer
            )),
        }
    }

    /// The restart type of the application at the node: as it was started there.
    async fn restart_type(&self, app: &Atom) -> Result<Term, String> {
        let info = self.call("application", "info", vec![]).await?;
        let of_app = |entry: &Term| match entry.as_tuple() {
            Some([Term::Atom(name), restart_type]) if name == app => Some(restart_type.clone()),
            _ => None,
        };
        let started = info.as_list().unwrap_or_default().iter().find_map(|entry| match entry.as_tuple() {
            Some([key, Term::List(list)]) if key.is_atom("started") => Some(list.to_vec()),
            _ => None,
        });
        let found = started.unwrap_or_default().iter().find_map(of_app);
        // Of one that is not started there it is refused anyway.
        Ok(found.unwrap_or_else(|| Term::atom("temporary")))
    }
}

/// The reason of `{error, Reason}`.
fn refusal(answer: &Term) -> Option<&Term> {
    match answer.as_tuple() {
        Some([error, reason]) if error.is_atom("error") => Some(reason),
        _ => None,
    }
}

fn takeover_refused(app: &Atom, node: &str, reason: &Term) -> String {
    if *reason == tuple!(atom "already_running_locally", app) {
        return format!("{app} runs on {node} already");
    }
    if *reason == tuple!(atom "not_running_distributed", app) {
        return format!(
            "{app} runs on no other node that {node} knows of: start it there, or see with `crabnode apps {node}` whether it \
             is started and whether the nodes know each other"
        );
    }
    if reason.is_atom("stopped") {
        return format!("{app} was stopped on {node} before it ran there");
    }
    format!(
        "{app} has failed to start on {node}: {reason}; stock nodes stop the copy that ran, too: see `crabnode apps {node}`, \
         and if it runs nowhere, stop it on all nodes and start it on all"
    )
}

fn permit_refused(app: &Atom, node: &str, reason: &Term) -> String {
    if *reason == tuple!(atom "not_loaded", app) {
        return format!("{app} is not loaded on {node}: load or start it there first");
    }
    format!("{node} refuses: {reason}")
}

#[cfg(test)]
mod tests {
    use etf::text::parse_term;

    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let app = Atom::from("app1");
        let told = |tell: fn(&Atom, &str, &Term) -> String, answer: &str| {
            let answer = parse_term(answer).expect("a term");
            tell(&app, "a@h", refusal(&answer).expect("a refusal"))
        };
        for (answer, says) in [
            ("{error,{already_running_locally,app1}}", "app1 runs on a@h already"),
            ("{error,{not_running_distributed,app1}}", "runs on no other node that a@h knows of: start it"),
            ("{error,stopped}", "was stopped"),
            ("{error,{{already_started,x},{app1,start,[]}}}", "failed to start on a@h: {{already_started,x}"),
        ] {
            let text = told(takeover_refused, answer);
            assert!(text.contains(says), "{text}");
        }
        assert!(told(permit_refused, "{error,{not_loaded,app1}}").contains("is not loaded on a@h: load"));
        assert!(told(permit_refused, "{error,other}").contains("a@h refuses: other"));
        assert_eq!(refusal(&Term::atom("ok")), None);
    }
}
