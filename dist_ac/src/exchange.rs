//! What the application controller (AC) and `dist_ac` (DAC) of one node say to each other (dist_ac.md 1.2).
//!
//! ```text
//! AC                                              DAC
//!    ◄── ControlApplication ───────────────────
//!    ──► LoadRequest                               application:load
//!    ◄── LoadReply ────────────────────────────
//!    ──► StartRequest                              application:start; its caller waits
//!    ◄── StartReply ───────────────────────────
//!    ◄── Change ───────────────────────────────    the DAC's own initiative
//!    ──► Run                                       how an ordered start ended
//!    ──► NotRun                                    an ordered stop is done
//!    ──► StartRefused                              application:start where it is said to run elsewhere
//!    ──► Stopped                                   application:stop, or it died by itself
//!    ──► Unloaded
//! ```
//! Both are machines in one process, so the messages are values; their names are OTP's without `ac_`.

use etf::{Atom, Term};

use crate::application::RestartType;

/// A call to one of the two that waits for its answer: a number that the shell gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// From `dist_ac` to the application controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToController {
    /// `control_application`: route what happens to this application through `dist_ac`.
    ControlApplication {
        /// The application.
        app: Atom,
    },
    /// `{ac_load_application_reply, App, Result}`: the caller of load is released.
    LoadReply {
        /// The application.
        app: Atom,
        /// An error unloads it again.
        result: Result<(), Term>,
    },
    /// `{ac_start_application_reply, App, Reply}`: what was decided about a start request.
    StartReply {
        /// The application.
        app: Atom,
        /// The decision.
        reply: StartReply,
    },
    /// `{ac_change_application_req, App, Change}`.
    Change {
        /// The application.
        app: Atom,
        /// What to do.
        change: Change,
    },
}

/// The decision about a start request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartReply {
    /// It could not be decided.
    Error(Term),
    /// Nobody may run it: its start returns `ok` and nothing runs.
    NotStarted,
    /// It runs there.
    Started(Atom),
    /// Start it here.
    StartIt,
    /// Start it here, in place of the copy there.
    Takeover(Atom),
}

/// An order of `dist_ac` to the application controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Start it, in place of the copy that died with this node.
    Failover(Atom),
    /// It runs nowhere, and this node has no part in it.
    NotRunning,
    /// It runs there: stop the copy here, if there is one.
    Started(Atom),
    /// Start it.
    StartIt,
    /// Stop it, and keep it as started.
    StopIt,
    /// Start it, in place of the copy there.
    Takeover {
        /// Where it runs.
        from: Atom,
        /// The new restart type; nothing keeps the old.
        restart_type: Option<RestartType>,
    },
}

/// From the application controller to `dist_ac`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromController {
    /// `{ac_load_application_req, App}`.
    LoadRequest {
        /// The application.
        app: Atom,
        /// What `kernel permissions` says of it now.
        permission: bool,
    },
    /// `{ac_application_not_run, App}`: an ordered stop is done.
    NotRun {
        /// The application.
        app: Atom,
    },
    /// `{ac_application_run, App, Result}`: how an ordered start ended.
    Run {
        /// The application.
        app: Atom,
        /// The reason of a failed start.
        result: Result<(), Term>,
    },
    /// How many applications run here now: the weight of this node. A stock `dist_ac` asks with
    /// `which_applications`, and dies when the answer takes more than 5 s (dist_ac.md 6, L14).
    RunningApplications(i64),
    /// Somebody called `application:start` and was told that it is started: it ran elsewhere when this node last heard of it.
    /// A stock `dist_ac` is not told (dist_ac.md 6, L22).
    StartRefused {
        /// The application.
        app: Atom,
    },
    /// `{ac_start_application_req, App}`: somebody called `application:start`.
    StartRequest {
        /// The application.
        app: Atom,
    },
    /// `{ac_application_stopped, App}`: `application:stop`, or it died by itself.
    Stopped {
        /// The application.
        app: Atom,
    },
    /// `{ac_application_unloaded, App}`.
    Unloaded {
        /// The application.
        app: Atom,
    },
}
