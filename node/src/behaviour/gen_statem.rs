//! `gen_statem` (cluster-services 2.1), as its callers see it. Such a process is called as a `gen_server` is: what stands
//! here has its names.

use std::time::Duration;

use etf::Term;

use crate::{CallError, Context, Dest};

pub use super::gen_server::{
    Collected, RequestIds, check_response, receive_response, send_request, stop, wait_response,
};

/// `gen_statem:call(ServerRef, Request, Timeout)`; no timeout is `infinity`, as that of `gen_statem:call/2`.
///
/// Dropping the future leaves the call under way at the process; its answer reaches nobody.
pub async fn call(
    context: &mut Context,
    dest: impl Into<Dest>,
    request: impl Into<Term>,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    context.call(dest, request, timeout).await
}

/// `gen_statem:cast(ServerRef, Message)`. Never waits.
pub fn cast(context: &Context, dest: impl Into<Dest>, message: impl Into<Term>) {
    context.cast(dest, message);
}
