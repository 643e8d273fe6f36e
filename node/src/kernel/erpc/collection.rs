//! Many requests at once: `erpc:request_id_collection()`.

use std::time::Duration;

use etf::{Reference, Term};
use rustc_hash::FxHashMap;

use super::{ErpcError, RequestId, Response, request::Outcome, send_request};
use crate::{Context, Message};

/// Requests of one process, each with a label that comes with its response.
///
/// A request leaves the collection with its response. Dropping the collection abandons those that are left.
pub struct RequestIds<L> {
    requests: FxHashMap<Reference, (RequestId, L)>,
}

/// What waiting for one of many has given.
#[derive(Debug, Clone, PartialEq)]
pub enum Collected<L> {
    /// A response, and the label of its request.
    Response(Response, L),
    /// None in the time given: the requests go on.
    NoResponse,
    /// There are no requests.
    NoRequest,
}

impl<L> Default for RequestIds<L> {
    fn default() -> Self {
        Self { requests: FxHashMap::default() }
    }
}

impl<L> RequestIds<L> {
    /// `erpc:reqids_new()`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `erpc:reqids_size(Collection)`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there are no requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// `erpc:reqids_add(RequestId, Label, Collection)`.
    pub fn add(&mut self, request: RequestId, label: L) {
        self.requests.insert(request.reference().clone(), (request, label));
    }

    /// `erpc:reqids_to_list(Collection)`, without the order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&RequestId, &L)> {
        self.requests.values().map(|(request, label)| (request, label))
    }

    /// `erpc:send_request(Node, M, F, Args, Label, Collection)`.
    ///
    /// Fails with `badarg` where a name cannot be an atom; all else is said by the response.
    pub fn send_request(
        &mut self,
        context: &Context,
        node: &str,
        (module, function): (&str, &str),
        args: Vec<Term>,
        label: L,
    ) -> Result<(), ErpcError> {
        self.add(send_request(context, node, module, function, args)?, label);
        Ok(())
    }

    /// `erpc:receive_response(Collection, Timeout, true)`: the next response, whichever it is; nothing where there are
    /// no requests. After a timeout, which is the error, all requests are abandoned.
    ///
    /// Dropping the future loses nothing.
    pub async fn receive_response(
        &mut self,
        context: &mut Context,
        timeout: Option<Duration>,
    ) -> Result<Option<(Response, L)>, ErpcError> {
        match self.wait_response(context, timeout).await {
            Collected::Response(response, label) => Ok(Some((response, label))),
            Collected::NoRequest => Ok(None),
            Collected::NoResponse => {
                self.abandon(context);
                Err(ErpcError::erpc("timeout"))
            }
        }
    }

    /// `erpc:wait_response(Collection, WaitTime, true)`: the next response, whichever it is; no time is `infinity`.
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_response(&mut self, context: &mut Context, wait: Option<Duration>) -> Collected<L> {
        if self.requests.is_empty() {
            return Collected::NoRequest;
        }
        let requests = &self.requests;
        let found = context
            .receive_match_timeout(wait, |message| {
                let (of, outcome) = Outcome::of(message)?;
                requests.contains_key(of).then(|| (of.clone(), Outcome::from(outcome)))
            })
            .await;
        match found {
            Some((of, outcome)) => self.take(&of, outcome),
            None => Collected::NoResponse,
        }
    }

    /// `erpc:check_response(Message, Collection, true)`.
    ///
    /// # Errors
    /// Gives the message back that is no response to any of the requests.
    pub fn check_response(&mut self, message: Message) -> Result<(Response, L), Message> {
        let found = match Outcome::of(&message) {
            Some((of, outcome)) if self.requests.contains_key(of) => (of.clone(), Outcome::from(outcome)),
            _ => return Err(message),
        };
        match self.take(&found.0, found.1) {
            Collected::Response(response, label) => Ok((response, label)),
            Collected::NoResponse | Collected::NoRequest => Err(message),
        }
    }

    fn take(&mut self, of: &Reference, outcome: Outcome) -> Collected<L> {
        match self.requests.remove(of) {
            Some((mut request, label)) => Collected::Response(request.response(outcome), label),
            None => Collected::NoRequest,
        }
    }

    /// No responses will come from now on, nor are any left in the mailbox.
    pub(super) fn abandon(&mut self, context: &mut Context) {
        for (mut request, _) in self.requests.drain().map(|(_, request)| request) {
            request.abandon(context);
        }
    }
}

/// `erpc:reqids_to_list(Collection)`, without the order.
impl<L> IntoIterator for RequestIds<L> {
    type Item = (RequestId, L);
    type IntoIter = std::vec::IntoIter<(RequestId, L)>;

    fn into_iter(self) -> Self::IntoIter {
        self.requests.into_values().collect::<Vec<_>>().into_iter()
    }
}
