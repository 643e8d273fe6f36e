//! Keeps a node registered while EPMDs come and go (wire.md 1.3).

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::{EpmdClient, Lease, Registration};
use crate::error::EpmdError;

/// How long after a lost lease, or a failed try, the next try is made. OTP tries every 2 s; a try on loopback
/// costs next to nothing, and a node that is not registered cannot be found.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What becomes of a lease.
#[derive(Debug)]
pub enum LeaseEvent {
    /// It is lost: nobody can find the node by EPMD.
    Lost,
    /// A try to register again failed; the next comes after [`RETRY_INTERVAL`].
    Failed(EpmdError),
    /// The node is registered again.
    Registered {
        /// The creation EPMD gave now. It is not used: the node's life goes on, with the creation it has.
        creation: u32,
    },
}

/// Holds `lease` and registers again each time it is lost, for ever: until dropped, which ends the registration.
/// Every turn is told to `on_event`.
pub async fn keep(
    client: EpmdClient,
    registration: Registration,
    mut lease: Lease,
    mut on_event: impl FnMut(LeaseEvent),
) -> Infallible {
    loop {
        lease.lost().await;
        drop(lease);
        on_event(LeaseEvent::Lost);
        lease = loop {
            sleep(RETRY_INTERVAL).await;
            match client.register(&registration).await {
                Ok(lease) => break lease,
                Err(error) => on_event(LeaseEvent::Failed(error)),
            }
        };
        on_event(LeaseEvent::Registered { creation: lease.creation() });
    }
}
