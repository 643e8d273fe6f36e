//! The applications of a running node: the processes `application_controller` and `dist_ac`, the calls of the modules
//! `application` and `dist_ac` over rpc, and [`Applications`] for the program itself.
//!
//! Both machines, [`Controller`](crate::application::controller::Controller) and [`Engine`](crate::engine::Engine),
//! are driven by one process, that of `dist_ac`; `application_controller` hands its calls over to it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crabnode::{Context, Message, NameTaken, Node, NodeEvent, SpawnOptions};
use etf::{Atom, Term, tuple};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    application::{
        RestartType,
        controller::{self, Controller, Loadable},
        files,
        master::{Application, Program, Programs},
        spec::Spec,
    },
    config::{ConfigError, KernelConfig, SysConfig},
    engine::{self, Engine},
    events::{Events, Publisher, Subscriptions},
    heal::{Conflict, Heal, HealConfig, Healer, WinnerRule},
    startup::{self, MandatoryNodesDown, Startup, SyncNodes},
};

mod driver;
use driver::{Caller, Driver, Event, now, time_of_day};
mod functions;
mod healing;
mod locks;
mod process;

/// How many events wait for the driver: each is a call of a process of this node, which waits when there are more.
const EVENTS_MAX: usize = 4096;

/// The applications of a node. A clone is another handle to the same.
#[derive(Clone)]
pub struct Applications(Arc<Shared>);

pub(crate) struct Shared {
    node: Node,
    controller: Mutex<Controller>,
    events: mpsc::Sender<Event>,
    halted: watch::Sender<Option<Term>>,
    subscriptions: Subscriptions,
    sync_nodes: Option<SyncNodes>,
    dist_ac: bool,
}

/// What a node's applications are made of: its configuration, and what it has to start.
pub struct Builder {
    config: SysConfig,
    kernel: KernelConfig,
    specs: Vec<Spec>,
    programs: Programs,
    heal: HealConfig,
    folders: Vec<PathBuf>,
}

/// Why the applications of a node did not come up.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Mandatory nodes did not come in time.
    #[error(transparent)]
    MandatoryNodesDown(#[from] MandatoryNodesDown),
    /// The node has them already.
    #[error(transparent)]
    NameTaken(#[from] NameTaken),
    /// The node ended meanwhile.
    #[error("the node has stopped")]
    Stopped,
}

impl Builder {
    /// With what a `sys.config` says; an empty one is good too.
    pub fn new(config: SysConfig) -> Result<Self, ConfigError> {
        let (kernel, heal) = (config.kernel()?, config.heal()?);
        let (specs, programs) = (Vec::new(), Programs::default());
        Ok(Self { config, kernel, specs, programs, folders: Vec::new(), heal })
    }

    /// How much is mended of what stock nodes leave broken. Default: what the configuration says with `{crabnode,
    /// [{heal, off | self | cluster}]}`, else [`Heal::Own`].
    #[must_use]
    pub fn heal(mut self, level: Heal) -> Self {
        self.heal.level = level;
        self
    }

    /// Only reports what would be mended. Default: what the configuration says with `{crabnode, [{heal_dry_run,
    /// true | false}]}`, else no.
    #[must_use]
    pub fn heal_dry_run(mut self, on: bool) -> Self {
        self.heal.dry_run = on;
        self
    }

    /// Who goes on where an application runs twice, after the network was divided. Every member has to be given the
    /// same rule, and the rule has to give the same answer everywhere. Nothing leaves the choice to the default, which
    /// is the first of [`Conflict::copies`].
    #[must_use]
    pub fn winner(mut self, rule: impl Fn(&Conflict) -> Option<Atom> + Send + Sync + 'static) -> Self {
        self.heal.winner = Some(WinnerRule::new(rule));
        self
    }

    /// Adds an application that the node can load and start.
    #[must_use]
    pub fn application(mut self, spec: Spec, application: impl Application) -> Self {
        let program: Arc<dyn Program> = Arc::new(application);
        self.programs.applications.insert(spec.name.clone(), program);
        self.specs.push(spec);
        self
    }

    /// Adds a callback module: the start of every application whose specification says `{mod, {Name, Args}}`, and the
    /// start phases of every such application that another includes.
    #[must_use]
    pub fn module(mut self, name: &str, application: impl Application) -> Self {
        self.programs.modules.insert(Atom::from(name), Arc::new(application));
        self
    }

    /// Adds a folder of `NAME.app` files, as `erl -pa`: the node can load those applications by their names, and start
    /// those whose callback module it has. The folder is read by [`start`](Self::start); where an application is in two
    /// folders the first counts, and one that was added as a specification goes before both. Unlike in OTP a later
    /// change of a file is not seen; `application:load` of a specification does that.
    #[must_use]
    pub fn path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Adds an application that others need and that has nothing to start.
    #[must_use]
    pub fn library(mut self, spec: Spec) -> Self {
        self.specs.push(spec);
        self
    }

    /// Starts the two processes and serves the calls. Nothing is started and nobody is waited for before
    /// [`Applications::boot`].
    pub fn start(self, node: &Node) -> Result<Applications, BootError> {
        let Self { config, kernel, mut specs, programs, folders, mut heal } = self;
        let mut unloadable = Vec::new();
        for (app, found) in files::find(&folders) {
            match found {
                _ if specs.iter().any(|spec| spec.name == app) => {}
                Ok(spec) => specs.push(spec),
                Err(reason) => unloadable.push((app, reason)),
            }
        }
        let me = node.name().clone();
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let mut controller = Controller::new(me.clone(), specs, config.applications().to_vec());
        for (app, reason) in unloadable {
            controller.put_unloadable(app, reason);
        }
        let (publisher, subscriptions) = Publisher::new();
        let applications = Applications(Arc::new(Shared {
            node: node.clone(),
            controller: Mutex::new(controller),
            events,
            halted: watch::Sender::new(None),
            subscriptions,
            sync_nodes: kernel.sync_nodes,
            dist_ac: kernel.start_dist_ac,
        }));
        heal.clock = Some((now(), time_of_day()));
        let healer = Healer::new(me.clone(), heal.clone());
        let engine = Engine::new(me, kernel.distributed, &kernel.permissions).with_heal(heal);
        let programs = Arc::new(programs);
        let driver = Driver::new(applications.clone(), engine, healer, publisher, programs, received);
        let named = |name: Option<&'static str>| SpawnOptions {
            name: name.map(Atom::from_static),
            initial_call: name.map(|name| (Atom::from_static(name), Atom::from_static("init"), 1)),
            ..SpawnOptions::default()
        };
        let dist_ac = kernel.start_dist_ac.then_some(engine::wire::DIST_AC);
        node.spawn_with(named(dist_ac), |context| driver.run(context))?;
        let shared = applications.clone();
        node.spawn_with(named(Some("application_controller")), |context| {
            process::application_controller(context, shared)
        })?;
        functions::insert_all(node.functions(), &applications);
        Ok(applications)
    }
}

impl Applications {
    /// Waits for the nodes that the configuration names, and then lets applications start. A failed boot is the end
    /// of a node: its program should print the error and exit with 1.
    ///
    /// Dropping the future leaves the boot under way.
    pub async fn boot(&self) -> Result<(), BootError> {
        if let Some(nodes) = self.0.sync_nodes.clone() {
            let result = self.0.node.run(|context| synchronise(context, nodes)).await;
            result.ok_or(BootError::Stopped)??;
        }
        let (sender, took_control) = oneshot::channel();
        self.send(Event::Boot(sender)).await;
        took_control.await.map_err(|_| BootError::Stopped)
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// `application:get_env(App, Key)`.
    #[must_use]
    pub fn env(&self, app: &str, key: &'static str) -> Option<Term> {
        self.controller().env().value(app, &Term::atom(key)).cloned()
    }

    /// `application:set_env(App, Key, Value)`.
    pub async fn set_env(&self, app: &str, key: &'static str, value: Term) {
        let values = vec![(Atom::from(app), Term::atom(key), value)];
        self.call(controller::Request::SetEnv { values, persistent: false }).await;
    }

    /// `application:start(App, RestartType)`: loads it if it is not loaded, and returns when it runs somewhere, or
    /// when nobody may run it. The error is the reason of `{error, Reason}`.
    pub async fn start(&self, app: &str, restart_type: RestartType) -> Result<(), Term> {
        result(self.start_term(Term::from(Atom::from(app)), restart_type.to_term()).await)
    }

    /// `application:stop(App)`.
    pub async fn stop(&self, app: &str) -> Result<(), Term> {
        result(self.call(controller::Request::Stop(Atom::from(app))).await)
    }

    /// `application:load(App)`.
    pub async fn load(&self, app: &str) -> Result<(), Term> {
        result(self.call(controller::Request::Load(Loadable::Name(Atom::from(app)))).await)
    }

    /// `application:takeover(App, RestartType)`.
    pub async fn takeover(&self, app: &str, restart_type: RestartType) -> Result<(), Term> {
        result(self.takeover_term(Atom::from(app), restart_type.to_term()).await)
    }

    /// `application:permit(App, Permission)`.
    pub async fn permit(&self, app: &str, permission: bool) -> Result<(), Term> {
        result(self.permit_term(Atom::from(app), permission).await)
    }

    /// `application:which_applications()`: the names of those that run on this very node.
    #[must_use]
    pub fn running(&self) -> Vec<Atom> {
        let list = self.controller().which_applications();
        let name = |entry: &Term| entry.as_tuple()?.first()?.as_atom().cloned();
        list.as_list().unwrap_or_default().iter().filter_map(name).collect()
    }

    /// What happens from now on to the distributed applications, as this node knows it, and what is mended: each act with
    /// its reason. A subscription made before [`boot`](Self::boot) misses nothing. It holds the newest
    /// [`EVENTS_MAX`](crate::events::EVENTS_MAX) events for a subscriber that reads slowly, and counts those that it lost.
    ///
    /// ```no_run
    /// # async fn f(applications: crabnode_dist_ac::Applications) {
    /// use crabnode_dist_ac::events::{What, Why};
    ///
    /// let mut events = applications.events();
    /// while let Some(event) = events.next().await {
    ///     // m8ball at b@h: starts as {failover,a@h}, since a@h went down
    ///     println!("{event}");
    ///     if let (What::Conflict { .. }, Why::Fault(_)) = (&event.what, &event.why) {
    ///         println!("the network was divided");
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> Events {
        self.0.subscriptions.subscribe()
    }

    /// Returns when a permanent application has failed, with `{application_terminated, App, Reason}` or
    /// `{application_start_failure, App, Reason}`. A program should then stop the applications and the node, print
    /// [`startup::terminated`] and exit with 1.
    pub async fn halted(&self) -> Term {
        let mut halted = self.0.halted.subscribe();
        // Taken out of what guards it, so that the future may go to another thread.
        let reason = halted.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            // The sender is gone: nobody is left to say it.
            None => std::future::pending().await,
        }
    }

    /// Stops every application that runs here, the last started first, within 3.5 s; what takes longer is killed. Peers
    /// are told nothing: when the node leaves they see it go, and take over (dist_ac.md 4).
    pub async fn shutdown(&self) {
        let (sender, done) = oneshot::channel();
        self.send(Event::Shutdown(sender)).await;
        // An error: the node has stopped before.
        let _ = done.await;
    }

    pub(crate) fn controller(&self) -> MutexGuard<'_, Controller> {
        self.0.controller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, event: Event) {
        // The driver ends with the node, and with it everybody who could wait for an answer.
        let _ = self.0.events.send(event).await;
    }

    /// A call of the application controller.
    async fn call(&self, request: controller::Request) -> Term {
        let (sender, reply) = oneshot::channel();
        self.send(Event::CallController(request, Caller::Local(sender))).await;
        reply.await.unwrap_or_else(|_| tuple!(atom "error", atom "terminating"))
    }

    /// A call of `dist_ac`.
    async fn call_dist_ac(&self, request: engine::Request) -> Term {
        let (sender, reply) = oneshot::channel();
        self.send(Event::CallDistAc(request, Caller::Local(sender))).await;
        reply.await.unwrap_or_else(|_| tuple!(atom "error", atom "terminating"))
    }
}

impl std::fmt::Debug for Applications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Applications").field(self.0.node.name()).finish()
    }
}

/// `ok`, or the reason of `{error, Reason}`.
fn result(reply: Term) -> Result<(), Term> {
    match reply.as_tuple() {
        Some([error, reason]) if error.is_atom("error") => Err(reason.clone()),
        _ => Ok(()),
    }
}

/// Waits for other nodes as the process of the context.
async fn synchronise(mut context: Context, nodes: SyncNodes) -> Result<(), MandatoryNodesDown> {
    context.monitor_nodes(true);
    let mut startup = Startup::new(now(), nodes);
    // There is one ping at a time.
    let (sender, mut pongs) = mpsc::channel(1);
    for node in context.node().nodes() {
        // Connected before we listened: as good as a nodeup, which the ping would find out as well.
        startup.handle(now(), startup::Input::NodeUp { node });
    }
    loop {
        while let Some(output) = startup.poll_output() {
            match output {
                startup::Output::Fail(error) => return Err(error),
                startup::Output::Go => return Ok(()),
                startup::Output::Ping { node } => {
                    let sender = sender.clone();
                    context.spawn(move |pinger| async move {
                        let pong = ping(pinger, node).await;
                        let _ = sender.send(pong).await;
                    });
                }
            }
        }
        let input = tokio::select! {
            message = context.receive() => match message {
                Message::Node(NodeEvent::Up { node, visible: true }) => startup::Input::NodeUp { node },
                _ => continue,
            },
            Some(pong) = pongs.recv() => startup::Input::Pinged { pong },
            () = driver::sleep_until(startup.poll_timeout()) => startup::Input::Timeout,
        };
        startup.handle(now(), input);
    }
}

/// `net_adm:ping(Node)`.
async fn ping(context: Context, node: Atom) -> bool {
    if node == *context.node().name() {
        return true;
    }
    let here = context.node().clone();
    let (module, function) = (Atom::from_static("net_adm"), Atom::from_static("ping"));
    let answer = here.functions().apply(context, &module, &function, vec![node.into()]).await;
    matches!(answer, Ok(answer) if answer.is_atom("pong"))
}
