//! The one place of the harness that asks for the time and waits.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Now.
#[expect(clippy::disallowed_methods, reason = "the harness is a driver: this is where it asks for the time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits.
#[expect(
    clippy::disallowed_methods,
    reason = "test threads may block; every wait on a condition has a limit"
)]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Asks every 10 ms, for up to `limit`, until the answer is there.
pub fn wait_for<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if now() >= deadline {
            return None;
        }
        pause(Duration::from_millis(10));
    }
}
