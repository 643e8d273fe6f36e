//! What goes into the application controller and what comes out.

use etf::{Atom, Pid, Term};

use crate::{
    application::{RestartType, StartType},
    exchange::{CallId, FromController, ToController},
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The startup synchronisation is over: `kernel` has started, and others may.
    Booted,
    /// Somebody calls; answered by [`Output::Reply`].
    Call {
        /// Its number.
        call: CallId,
        /// What it asks.
        request: Request,
    },
    /// `dist_ac` says.
    DistAc(ToController),
    /// A running application terminated by itself.
    Exited {
        /// Which.
        app: Atom,
        /// Its reason.
        reason: Term,
    },
    /// The answer to [`Output::StartMaster`]: all of it started, or nothing.
    Started {
        /// Which.
        app: Atom,
        /// Its master's pid, or why it did not start.
        result: Result<Option<Pid>, Term>,
    },
    /// The answer to [`Output::StopMaster`].
    Stopped {
        /// Which.
        app: Atom,
    },
}

/// What a caller asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `info`.
    Info,
    /// `{is_running, App}`.
    IsRunning(Atom),
    /// `{load_application, App}`.
    Load(Loadable),
    /// `{permit_application, App, Permission}`. `distributed_application` and
    /// `{distributed_application, only_loaded}` say that `dist_ac` has to be called next.
    Permit {
        /// Which.
        app: Atom,
        /// The new permission.
        permission: bool,
    },
    /// `{set_env, App, Key, Value, Options}`, and each of `{set_env, Config, Options}`.
    SetEnv {
        /// Application, parameter, value.
        values: Vec<(Atom, Term, Term)>,
        /// Keep them over the next load.
        persistent: bool,
    },
    /// `{start_application, App, RestartType}`.
    Start {
        /// Which.
        app: Atom,
        /// `permanent`, `transient` or `temporary`; anything else is an error of the caller.
        restart_type: Term,
    },
    /// `{start_type, App}`.
    StartType(Atom),
    /// `{stop_application, App}`.
    Stop(Atom),
    /// `{unload_application, App}`.
    Unload(Atom),
    /// `{unset_env, App, Key, Options}`.
    UnsetEnv {
        /// Which.
        app: Atom,
        /// Which parameter.
        key: Term,
        /// Remove it from the configuration too.
        persistent: bool,
    },
    /// `which_applications`.
    WhichApplications,
}

/// What can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loadable {
    /// An application that this node has.
    Name(Atom),
    /// `{application, Name, Options}`.
    Spec(Term),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell `dist_ac`.
    DistAc(FromController),
    /// The node has to go down: a permanent application failed. The running applications are stopped first.
    Halt {
        /// `{application_start_failure, App, Reason}` or `{application_terminated, App, Reason}`.
        reason: Term,
    },
    /// Answer a call.
    Reply {
        /// Which.
        call: CallId,
        /// With what.
        reply: Term,
    },
    /// Something to log.
    Report(Report),
    /// Start an application here; answered by [`Input::Started`].
    StartMaster {
        /// Which.
        app: Atom,
        /// Why.
        start_type: StartType,
    },
    /// Stop an application here; answered by [`Input::Stopped`].
    StopMaster {
        /// Which.
        app: Atom,
    },
}

/// What a stock controller logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// "application: App, exited: Reason, type: RestartType".
    Exited {
        /// Which.
        app: Atom,
        /// `stopped`, or the reason of its death.
        reason: Term,
        /// Its restart type.
        restart_type: RestartType,
    },
    /// "application: App, started_at: Node".
    Started {
        /// Which.
        app: Atom,
        /// Where.
        node: Atom,
    },
}

impl Input {
    /// The application that it is about, where its order with a stop matters.
    pub(super) fn app(&self) -> Option<&Atom> {
        match self {
            Self::Booted => None,
            Self::Call { request, .. } => match request {
                Request::Permit { app, .. }
                | Request::Start { app, .. }
                | Request::Stop(app)
                | Request::Unload(app) => Some(app),
                _ => None,
            },
            Self::DistAc(message) => match message {
                ToController::Change { app, .. } | ToController::StartReply { app, .. } => Some(app),
                ToController::ControlApplication { .. } | ToController::LoadReply { .. } => None,
            },
            Self::Exited { app, .. } | Self::Started { app, .. } | Self::Stopped { app } => Some(app),
        }
    }
}
