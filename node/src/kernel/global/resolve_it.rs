//! `global:resolve_it/4`: runs the resolve function of a name in conflict, on the node that its process lives on
//! (cluster-services.md 1.7).

use etf::{Fun, Term};

use super::{
    resolve::{Effect, Plan, plan},
    service::caught,
};
use crate::{Context, erpc};

/// `[Method, Name, Pid1, Pid2]`. What the function gives; its failure is a value as well, which is no pid.
pub(super) async fn run(context: &mut Context, args: &[Term]) -> Result<Term, Term> {
    let [method, name, Term::Pid(pid1), Term::Pid(pid2)] = args else { return Ok(Term::atom("badarg")) };
    match plan(context.node().name(), method) {
        Plan::Native(native) => {
            let (result, effects) = native.resolve(name, pid1, pid2);
            for effect in effects {
                match effect {
                    Effect::Kill(pid) => {
                        tracing::warn!(%name, ?pid, "global: a name conflict ends a process");
                        context.exit(&pid, Term::atom("kill"));
                    }
                    Effect::Send { to, term } => context.send_now(to, term),
                }
            }
            Ok(result)
        }
        Plan::Call(node) if node != *context.node().name() => {
            erpc::call(context, &node, "global", "resolve_it", args.to_vec(), None)
                .await
                .map_err(erpc::ErpcError::into_badrpc)
        }
        Plan::Call(_) => {
            let Term::Fun(fun) = method else { return Ok(Term::atom("badarg")) };
            let Fun::Export { module, function, .. } = fun.as_ref() else { return Ok(Term::atom("badarg")) };
            let functions = context.node().clone();
            let result =
                functions.functions().apply(context.twin(), module, function, args[1..].to_vec()).await;
            Ok(result.unwrap_or_else(caught))
        }
        Plan::BadMethod => Ok(Term::atom("badarg")),
    }
}
