//! What is said to a supervisor, on whatever node it is; but for [`start_child`], which starts what is Rust.

use etf::{Atom, Pid, Reference, Term, tuple};

use super::{ChildSpec, process::ChildSpecs};
use crate::{Args, CallError, Context, Dest};

/// One row of `supervisor:which_children`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildInfo {
    /// What it is called; `undefined` with `simple_one_for_one`.
    pub id: Term,
    /// Whether it runs.
    pub child: ChildState,
    /// Whether it is a supervisor.
    pub supervisor: bool,
    /// The modules of its code; none for `dynamic`.
    pub modules: Option<Vec<Atom>>,
}

/// Whether a child runs.
#[derive(Debug, Clone, PartialEq)]
pub enum ChildState {
    /// It does.
    Pid(Pid),
    /// It does not.
    Undefined,
    /// It is being started again.
    Restarting,
}

/// `supervisor:count_children`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Specifications of children.
    pub specs: u64,
    /// Children that run.
    pub active: u64,
    /// Children that are supervisors, running or not.
    pub supervisors: u64,
    /// Children that are workers, running or not.
    pub workers: u64,
}

/// `supervisor:which_children(SupRef)`: the one that was started last is first. What a supervisor answers that is no
/// such list is an error of its own, `{bad_return_value, Answer}`.
pub async fn which_children(
    context: &mut Context,
    supervisor: impl Into<Dest>,
) -> Result<Vec<ChildInfo>, CallError> {
    let answer = context.call(supervisor, Term::atom("which_children"), None).await?;
    let rows = answer.as_list().and_then(|rows| rows.iter().map(child_info).collect());
    rows.ok_or_else(|| bad_return(answer))
}

fn child_info(row: &Term) -> Option<ChildInfo> {
    let [id, child, kind, modules] = row.as_tuple()? else { return None };
    let child = match child {
        Term::Pid(pid) => ChildState::Pid(pid.clone()),
        _ if child.is_atom("restarting") => ChildState::Restarting,
        _ => ChildState::Undefined,
    };
    let modules = modules.as_list().map(|list| list.iter().filter_map(|m| m.as_atom().cloned()).collect());
    Some(ChildInfo { id: id.clone(), child, supervisor: kind.is_atom("supervisor"), modules })
}

/// `supervisor:count_children(SupRef)`. Errors as [`which_children`].
pub async fn count_children(context: &mut Context, supervisor: impl Into<Dest>) -> Result<Counts, CallError> {
    let answer = context.call(supervisor, Term::atom("count_children"), None).await?;
    let mut counts = Counts::default();
    let Some(rows) = answer.as_list() else { return Err(bad_return(answer)) };
    for row in rows {
        let Some([key, count]) = row.as_tuple() else { continue };
        let count = count.as_u64().unwrap_or_default();
        match key.as_atom().map(Atom::as_str) {
            Some("specs") => counts.specs = count,
            Some("active") => counts.active = count,
            Some("supervisors") => counts.supervisors = count,
            Some("workers") => counts.workers = count,
            _ => {}
        }
    }
    Ok(counts)
}

fn bad_return(answer: Term) -> CallError {
    CallError::Exit { reason: tuple!(atom "bad_return_value", answer) }
}

/// `supervisor:start_child(SupRef, ChildSpec)`, of a supervisor of this node. Nothing for a child that has started as
/// `ignore`.
///
/// The inner error is the supervisor's reason: `already_present`, `{already_started, Pid}`, or why it does not start.
/// Dropping the future may leave the child starting.
pub async fn start_child(
    context: &mut Context,
    supervisor: impl Into<Dest>,
    spec: ChildSpec,
) -> Result<Result<Option<Pid>, Term>, CallError> {
    let (reference, node) = (context.make_ref(), context.node().clone());
    let given = Given { specs: &node.inner().child_specs, reference };
    given.specs.put(given.reference.clone(), spec);
    let answer = context.call(supervisor, tuple!(atom "start_child", &given.reference), None).await?;
    Ok(started(answer))
}

/// A specification that nobody takes is taken back.
struct Given<'a> {
    specs: &'a ChildSpecs,
    reference: Reference,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.specs.take(&self.reference);
    }
}

/// `supervisor:start_child(SupRef, Args)` with `simple_one_for_one`. As [`start_child`], on any node.
pub async fn start_dynamic_child(
    context: &mut Context,
    supervisor: impl Into<Dest>,
    args: Args,
) -> Result<Result<Option<Pid>, Term>, CallError> {
    let answer = context.call(supervisor, tuple!(atom "start_child", args), None).await?;
    Ok(started(answer))
}

/// `supervisor:restart_child(SupRef, Id)`: starts a child that was terminated. The inner error is `running`,
/// `restarting`, `not_found`, `simple_one_for_one`, or why it does not start.
pub async fn restart_child(
    context: &mut Context,
    supervisor: impl Into<Dest>,
    id: impl Into<Term>,
) -> Result<Result<Option<Pid>, Term>, CallError> {
    let answer = context.call(supervisor, tuple!(atom "restart_child", id.into()), None).await?;
    Ok(started(answer))
}

fn started(answer: Term) -> Result<Option<Pid>, Term> {
    match answer.as_tuple() {
        Some([ok, pid] | [ok, pid, _]) if ok.is_atom("ok") => Ok(pid.as_pid().cloned()),
        Some([error, reason]) if error.is_atom("error") => Err(reason.clone()),
        _ => Err(answer),
    }
}

/// `supervisor:terminate_child(SupRef, Id)`, where the id is the pid with `simple_one_for_one`. Returns when it is gone.
/// The inner error is `not_found` or `simple_one_for_one`.
pub async fn terminate_child(
    context: &mut Context,
    supervisor: impl Into<Dest>,
    id: impl Into<Term>,
) -> Result<Result<(), Term>, CallError> {
    let answer = context.call(supervisor, tuple!(atom "terminate_child", id.into()), None).await?;
    Ok(done(answer))
}

/// `supervisor:delete_child(SupRef, Id)`, of one that was terminated. The inner error is `running`, `restarting`,
/// `not_found` or `simple_one_for_one`.
pub async fn delete_child(
    context: &mut Context,
    supervisor: impl Into<Dest>,
    id: impl Into<Term>,
) -> Result<Result<(), Term>, CallError> {
    let answer = context.call(supervisor, tuple!(atom "delete_child", id.into()), None).await?;
    Ok(done(answer))
}

fn done(answer: Term) -> Result<(), Term> {
    match answer.as_tuple() {
        _ if answer.is_atom("ok") => Ok(()),
        Some([error, reason]) if error.is_atom("error") => Err(reason.clone()),
        _ => Err(answer),
    }
}
