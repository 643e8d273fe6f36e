//! The node: what a program starts, and what its parts share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dist::{PlainSend, TickConfig, TickConfigError, Ticktime, TicktimeChange};
use etf::{Atom, Pid, Term};
use handshake::{
    Cookie, CookieBook, Creation, DistFlags, Established, HandshakeConfig, LocalIdentity, NodeName,
    OutstandingChallenges,
};
use rustc_hash::FxHashMap;

use crate::{
    ConnectError, Context, Functions, IntoExit, MonitorNodes, Names, NamesError, NodeConfig, NodeEvent,
    SpawnOptions, StartError,
    allowed::Allowed,
    behaviour::ChildSpecs,
    carrier::{ListenAt, Listener},
    clock::{self, Tasks},
    kernel::{self, Global, global_group::Groups},
    naming::{self, Naming},
    net::{self, Attempt, Awake, BusyEvents, BusySender, LinkInfo, Route, RouteLimits},
    peers::{ConnectionId, Peers},
    process::{self, NameTaken, Registry, Timers},
    registration::{self, Registered},
};

mod connections;

/// A running node of an Erlang cluster.
///
/// A clone is another handle to the same node. The node runs until [`Node::stop`] is called or its runtime
/// ends; dropping every handle does not stop it.
#[derive(Clone)]
#[repr(transparent)]
pub struct Node(Arc<Inner>);

/// What the parts of a node share.
pub(crate) struct Inner {
    pub(crate) config: NodeConfig,
    name: NodeName,
    atom: Arc<Atom>,
    creation: Creation,
    port: u16,
    pub(crate) epmd_port: u16,
    pub(crate) started: Instant,
    cookies: RwLock<CookieBook>,
    allowed: RwLock<Allowed>,
    pub(crate) registry: Registry,
    pub(crate) functions: Functions,
    pub(crate) timers: Timers,
    pub(crate) tasks: Tasks,
    /// Taken before `routes` where both are needed, and held while a connection comes up or goes down, so that
    /// nobody sees half of it.
    peers: Mutex<Peers>,
    /// Written while a connection comes up or goes down for the processes here too: whoever is told of it finds
    /// it so, and a way that was found before is closed before its links and monitors fire.
    routes: RwLock<FxHashMap<Atom, Arc<Route>>>,
    attempts: Mutex<HashMap<ConnectionId, Attempt>>,
    challenges: Mutex<OutstandingChallenges>,
    busy: BusySender,
    pub(crate) awake: Awake,
    pub(crate) ticktime: tokio::sync::watch::Sender<Ticktime>,
    pub(crate) subscribers: Mutex<kernel::Subscribers>,
    pub(crate) child_specs: ChildSpecs,
    pub(crate) global: OnceLock<Global>,
    pub(crate) pg: kernel::pg::Scopes,
    /// The global groups, if this node is in one.
    pub(crate) groups: Option<Arc<Groups>>,
    stopping: AtomicBool,
    /// Held by the call of [`Node::stop`] that does it.
    stopped: tokio::sync::Mutex<bool>,
    stop_requested: tokio::sync::watch::Sender<Option<u8>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Starts a node: listens, registers with EPMD (starting one inside this process where none answers on
    /// this host; or does without, see [`Discovery`](crate::Discovery)), and starts the services that every node has: `net_kernel`, `rex`, `global_name_server`.
    ///
    /// It must be called in a tokio runtime with its timers and I/O on; the node's tasks run there. Dropping the
    /// future before it is done may leave the node's EPMD and listener running until the runtime ends.
    pub async fn start(config: NodeConfig) -> Result<Self, StartError> {
        let tick_config = check(&config)?;
        let config = config.settled();
        let name = config.full_name()?;
        let epmd_port = config.epmd_port()?;
        let cookies = config.cookie_book()?;
        let naming = match config.is_nameless() {
            true => Some(naming::ask(&config, &name, epmd_port, &cookies).await?),
            false => None,
        };
        let name = naming.as_ref().map_or(name, |naming| naming.given.name.clone());
        let groups = Groups::new(&config.global_groups, name.as_str())?.map(Arc::new);
        let listener = if config.dist_listen { Some(listen(&config, &name).await?) } else { None };
        let port = listener.as_ref().map_or(0, |listener| listener.port());
        let tasks = Tasks::new();
        let registered = registration::register(&config, &name, epmd_port, port, &tasks).await?;
        let given = naming.as_ref().map(|naming| naming.given.creation.0);
        let creation = registered.as_ref().map(Registered::creation).or(given);
        let creation = creation.unwrap_or_else(clock::random_creation);
        let atom = Arc::new(Atom::from(name.as_str()));
        let inner = Arc::new(Inner {
            registry: Registry::new(Arc::clone(&atom), creation),
            creation: Creation(creation),
            cookies: RwLock::new(cookies),
            allowed: RwLock::new(Allowed::new(&config.allow)),
            functions: config.functions.clone(),
            timers: Timers::default(),
            peers: Mutex::new(Peers::new(name.clone())),
            routes: RwLock::default(),
            attempts: Mutex::default(),
            challenges: Mutex::default(),
            busy: BusySender::new(),
            awake: Awake::default(),
            ticktime: tokio::sync::watch::Sender::new(Ticktime::new(tick_config)),
            subscribers: Mutex::default(),
            child_specs: ChildSpecs::default(),
            global: OnceLock::new(),
            pg: kernel::pg::Scopes::default(),
            groups,
            stopping: AtomicBool::new(false),
            stopped: tokio::sync::Mutex::default(),
            stop_requested: tokio::sync::watch::Sender::new(None),
            config,
            name,
            atom,
            port,
            epmd_port,
            tasks,
            started: clock::now(),
        });
        net::describe_metrics();
        process::watch_panics();
        inner.tasks.spawn(Timers::run(Arc::clone(&inner)));
        kernel::start(&inner);
        if let Some(Naming { stream, established, .. }) = naming {
            inner.keep_name(stream, established);
        }
        if let Some(registered) = registered {
            let keeper = Arc::clone(&inner);
            inner.tasks.spawn(async move { registered.keep(keeper).await });
        }
        if let Some(listener) = listener {
            inner.tasks.spawn(net::listen(Arc::clone(&inner), listener));
        }
        tracing::info!(node = inner.name.as_str(), port, creation, "the node is up");
        Ok(Self(inner))
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// `node()`.
    #[must_use]
    pub fn name(&self) -> &Atom {
        &self.0.atom
    }

    /// This incarnation of the node.
    #[must_use]
    pub fn creation(&self) -> u32 {
        self.0.creation.0
    }

    /// The port that the node listens at; 0 if it does not ([`NodeConfig::dist_listen`]).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// What the node was started with.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.0.config
    }

    /// The functions that other nodes may call here.
    #[must_use]
    pub fn functions(&self) -> &Functions {
        &self.0.functions
    }

    /// The node's part of `global`.
    #[must_use]
    pub fn global(&self) -> &Global {
        self.0.global.get().expect("set while the node starts, before anyone has a handle")
    }

    /// Starts a process.
    pub fn spawn<F, Fut>(&self, body: F) -> Pid
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        self.spawn_with(SpawnOptions::default(), body).expect("no name was given that could be taken")
    }

    /// Starts a process with options.
    pub fn spawn_with<F, Fut>(&self, options: SpawnOptions, body: F) -> Result<Pid, NameTaken>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        let process = self.0.new_process_for::<F>(options)?;
        let pid = process.pid.clone();
        self.0.run_process(process, body);
        Ok(pid)
    }

    /// Runs a body as a process and gives what it returns; nothing if an exit signal ended it, or a panic.
    ///
    /// This is how a program that is no process itself calls into the cluster. Dropping the future leaves the
    /// process running.
    pub async fn run<T, F, Fut>(&self, body: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.spawn(|context| async move {
            let output = body(context).await;
            // Nobody waits for it any more: it is dropped here.
            let _ = sender.send(output);
        });
        receiver.await.ok()
    }

    /// `net_kernel:connect_node(Node)`: connects unless connected already.
    ///
    /// Dropping the future leaves the attempt under way.
    pub async fn connect(&self, node: &str) -> Result<(), ConnectError> {
        let name = Atom::from(self.0.peer_name(node)?.as_str());
        loop {
            let Some(route) = self.0.route(&name) else { return Err(ConnectError::Stopped) };
            if route.is_connecting() {
                return route.connected().await;
            }
            match self.0.connection(&route) {
                // Told to end, by `disconnect` or for the peer's next incarnation: it is none any more.
                Some(attempt) if attempt.is_aborted() => attempt.ended().await,
                Some(_) => return Ok(()),
                // It ended just now.
                None => {}
            }
        }
    }

    /// `erlang:disconnect_node(Node)`: closes the connection. Whether there was one. It is gone a moment later;
    /// [`Node::connect`] makes a new one.
    ///
    /// What is queued for the node is lost. With `prevent_overlapping_partitions` the rest of the cluster then
    /// drops both nodes of a link that is closed between two members of `global`.
    pub fn disconnect(&self, node: &str) -> bool {
        self.0.disconnect(node).is_some()
    }

    /// `nodes()`: the visible nodes that are connected, sorted.
    #[must_use]
    pub fn nodes(&self) -> Vec<Atom> {
        self.0.connected(|visible| visible)
    }

    /// `nodes(hidden)`.
    #[must_use]
    pub fn nodes_hidden(&self) -> Vec<Atom> {
        self.0.connected(|visible| !visible)
    }

    /// The connections and their numbers, sorted by node, hidden ones included: what `net_kernel:nodes_info` and
    /// `inet:getstat` tell. The same numbers go to the recorder of the crate `metrics`, if there is one; see
    /// docs/metrics.md.
    #[must_use]
    pub fn links(&self) -> Vec<LinkInfo> {
        let mut links: Vec<LinkInfo> = self.0.all_routes().iter().filter_map(|route| route.info()).collect();
        links.sort_by(|a, b| a.node.cmp(&b.node));
        links
    }

    /// The connection to a node and its numbers, if there is one.
    #[must_use]
    pub fn link(&self, node: &str) -> Option<LinkInfo> {
        self.0.route_if_any(node).and_then(|route| route.info())
    }

    /// `net_adm:ping(Node)`: connects if need be and asks the node's `net_kernel` whether it lets us talk to it.
    /// How long the answer took; nothing if there was none, and then the node is not connected afterwards.
    ///
    /// The time is that of one request and its answer over the connection, from here to the peer's `net_kernel` and
    /// back. It includes what was queued before the request on either side, and how long either process waited
    /// for a processor: the round trip of a message, not that of the network. It is kept as
    /// [`LinkInfo::round_trip`]. Dropping the future leaves the request under way.
    pub async fn ping(&self, node: &str) -> Option<Duration> {
        if *node == **self.name() {
            return Some(Duration::ZERO);
        }
        self.connect(node).await.ok()?;
        let peer = Atom::from(node);
        let route = self.0.route_if_any(node);
        let time = self
            .run(move |mut context| async move {
                let began = clock::now();
                kernel::ping(&mut context, &peer).await.then(|| clock::now().duration_since(began))
            })
            .await??;
        if let Some(route) = route {
            route.counters().set_round_trip(&route.node, time);
        }
        Some(time)
    }

    /// `net_adm:names(Host)`: the nodes that the EPMD of a host knows, with their ports; `localhost` is this host.
    pub async fn names(&self, host: &str) -> Result<Vec<(String, u16)>, NamesError> {
        let port = self.0.epmd_port;
        self.0.config.epmd_client(port).names(host).await.map_err(|error| NamesError {
            host: host.to_owned(),
            port,
            is_unknown_host: matches!(error, epmd::EpmdError::UnknownHost { .. }),
            reason: error.to_string(),
        })
    }

    /// `net_adm:world_list(Hosts)`: connects with all nodes that the EPMDs of these hosts know, one after the other.
    /// Those that answered, this one included; a host without an EPMD has none.
    ///
    /// Dropping the future leaves those connected that are.
    pub async fn world(&self, hosts: &[String]) -> Vec<Atom> {
        let mut nodes = Vec::new();
        for host in hosts {
            for (name, _) in self.names(host).await.unwrap_or_default() {
                let node = format!("{name}@{host}");
                let Ok(atom) = Atom::try_new(&node) else { continue };
                if self.ping(&node).await.is_some() {
                    nodes.push(atom);
                }
            }
        }
        nodes
    }

    /// `erlang:system_monitor(self(), [busy_dist_port])`: what happens to the byte budgets of all connections from
    /// now on, [`NodeConfig::busy_bytes`]. The same is in the log at level `debug`.
    #[must_use]
    pub fn busy_events(&self) -> BusyEvents {
        self.0.busy.subscribe()
    }

    /// `net_kernel:get_net_ticktime()`: the ticktime, or the one that [`Node::set_net_ticktime`] has begun to change
    /// it to, with the second value true until that transition is over.
    #[must_use]
    pub fn net_ticktime(&self) -> (Duration, bool) {
        let ticktime = *self.0.ticktime.borrow();
        (ticktime.ticktime(), ticktime.ongoing(clock::now()).is_some())
    }

    /// `net_kernel:set_net_ticktime(NetTicktime, TransitionPeriod)`: changes the ticktime of a running node, of its
    /// connections too (wire.md 6).
    ///
    /// It is to be called on every node of the cluster before the transition of the first is over; OTP's default is
    /// 60 s. Until then each node ticks as often as the shorter of both times asks for, and waits for others as long
    /// as the longer one allows. The intensity stays. A ticktime is 1 s to 49 days.
    pub fn set_net_ticktime(
        &self,
        ticktime: Duration,
        transition: Duration,
    ) -> Result<TicktimeChange, TickConfigError> {
        let mut result = Ok(TicktimeChange::Unchanged);
        self.0.ticktime.send_if_modified(|now| {
            result = now.set(clock::now(), ticktime, transition);
            result == Ok(TicktimeChange::Initiated)
        });
        if result == Ok(TicktimeChange::Initiated) {
            tracing::info!(?ticktime, ?transition, "net_ticktime changes");
            for route in self.0.all_routes() {
                route.bells().ring();
            }
        }
        result
    }

    /// `whereis(Name)`.
    #[must_use]
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.0.registry.whereis(name)
    }

    /// `registered()`.
    #[must_use]
    pub fn registered(&self) -> Vec<Atom> {
        self.0.registry.names()
    }

    /// `processes()`.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        self.0.registry.all().iter().map(|process| process.pid.clone()).collect()
    }

    /// `erlang:system_info(process_count)`: how many processes the node has.
    #[must_use]
    pub fn process_count(&self) -> usize {
        self.0.registry.len()
    }

    /// `is_process_alive(Pid)`, for a process of this node. One that was told to end is not, even if it has not come to
    /// that yet.
    #[must_use]
    pub fn is_process_alive(&self, pid: &Pid) -> bool {
        self.0.registry.living(pid).is_some()
    }

    /// `make_ref()`.
    #[must_use]
    pub fn make_ref(&self) -> etf::Reference {
        self.0.registry.new_reference()
    }

    /// `erlang:get_cookie(Node)`: the cookie for a node, its own or that of this node.
    #[must_use]
    pub fn cookie(&self, node: &str) -> String {
        let cookies = self.0.cookies.read().unwrap_or_else(PoisonError::into_inner);
        node.parse().map_or_else(|_| cookies.own().reveal(), |name| cookies.cookie_for(&name).reveal())
    }

    /// Sets the cookie for one peer (`erlang:set_cookie(Node, Cookie)`), for connections made from now on. For this
    /// node itself it is that of all nodes that have none of their own.
    pub fn set_cookie(&self, node: &str, cookie: &str) -> Result<(), StartError> {
        let bad = |reason: String| StartError::BadCookie { reason };
        let cookie = Cookie::new(cookie).map_err(|error| bad(error.to_string()))?;
        let name = node.parse().map_err(|error: handshake::NodeNameError| bad(error.to_string()))?;
        let mut cookies = self.0.cookies.write().unwrap_or_else(PoisonError::into_inner);
        if name == self.0.name {
            cookies.set_own(cookie);
        } else {
            cookies.set(name, cookie);
        }
        Ok(())
    }

    /// `net_kernel:allow(Nodes)`: adds to [`NodeConfig::allow`], for connections made from now on. After the first call
    /// nobody else may connect. Those that are connected stay.
    pub fn allow<S: Into<String>>(&self, nodes: impl IntoIterator<Item = S>) {
        let nodes = nodes.into_iter().map(Into::into);
        self.0.allowed.write().unwrap_or_else(PoisonError::into_inner).add(nodes);
    }

    /// `net_kernel:allowed()`: what was allowed; nothing where everybody is.
    #[must_use]
    pub fn allowed(&self) -> Vec<String> {
        self.0.allowed.read().unwrap_or_else(PoisonError::into_inner).entries().to_vec()
    }

    /// Asks whoever runs this program to stop it with an exit status, as `init:stop` and `erlang:halt` from
    /// another node do; see [`Node::stop_requested`].
    pub fn request_stop(&self, status: u8) {
        self.0.request_stop(status);
    }

    /// Returns the exit status once someone has asked for a stop. A program should then stop its applications
    /// and the node.
    pub async fn stop_requested(&self) -> u8 {
        let mut requested = self.0.stop_requested.subscribe();
        match requested.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            Err(_) => 0,
        }
    }

    /// Leaves the cluster: closes every connection at once, which disturbs nobody else (cluster-services.md
    /// 1.9), gives the name back and ends every process. Calling it again waits for the first call, or goes on
    /// where one was dropped.
    pub async fn stop(&self) {
        let mut stopped = self.0.stopped.lock().await;
        if *stopped {
            return;
        }
        self.0.stopping.store(true, Ordering::SeqCst);
        self.global().prepare_shutdown();
        let attempts: Vec<Attempt> = lock(&self.0.attempts).values().cloned().collect();
        // All in one breath: whoever hears from another that we are gone, before it has seen so itself, takes us
        // for a partition (cluster-services.md 1.9).
        for attempt in &attempts {
            attempt.hang_up();
        }
        for attempt in &attempts {
            attempt.abort(Term::atom("shutdown"));
        }
        let all = async {
            for attempt in &attempts {
                attempt.ended().await;
            }
        };
        // A connection ends at its next await; a second is far more than that takes.
        let _ = tokio::time::timeout(Duration::from_secs(1), all).await;
        // No process hears of the end of another any more.
        self.0.registry.halt();
        self.0.tasks.end().await;
        self.0.registry.emptied().await;
        *stopped = true;
        tracing::info!(node = self.0.name.as_str(), "the node is stopped");
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Node").field(&self.0.name).finish()
    }
}

fn check(config: &NodeConfig) -> Result<TickConfig, StartError> {
    let tick_config = TickConfig::new(config.net_ticktime, config.net_tickintensity)?;
    if config.net_setuptime.is_zero() || config.net_setuptime > Duration::from_secs(120) {
        return Err(StartError::SetupTime(config.net_setuptime));
    }
    if config.fragment_age_max < Duration::from_secs(1) {
        return Err(StartError::FragmentAge(config.fragment_age_max));
    }
    Ok(tick_config)
}

async fn listen(config: &NodeConfig, name: &NodeName) -> Result<Box<dyn Listener>, StartError> {
    let (address, ports) = (config.listen_address, config.listen_ports.as_ref());
    let listener = config.carrier.listen(ListenAt { name, address, ports }).await;
    listener.map_err(|source| match config.carrier.uses_epmd() {
        true => StartError::Listen {
            address,
            ports: match ports {
                Some(ports) => format!("{} to {}", ports.start(), ports.end()),
                None => "any".into(),
            },
            source,
        },
        false => StartError::Carrier { name: name.to_string(), source },
    })
}

impl Inner {
    pub(crate) fn node_atom(&self) -> &Atom {
        &self.atom
    }

    // --- What a handshake needs ---------------------------------------------------------------------------

    pub(crate) fn identity(&self) -> LocalIdentity {
        let flags = if self.config.hidden {
            DistFlags::OFFERED.without(DistFlags::PUBLISHED)
        } else {
            DistFlags::OFFERED
        };
        LocalIdentity { name: self.name.clone(), creation: self.creation, flags }
    }

    pub(crate) fn handshake_config(&self) -> HandshakeConfig {
        self.config.handshake_config()
    }

    pub(crate) fn cookies(&self) -> CookieBook {
        self.cookies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_allowed(&self, peer: &NodeName) -> bool {
        self.allowed.read().unwrap_or_else(PoisonError::into_inner).has(peer)
    }

    pub(crate) fn new_challenge(&self) -> u32 {
        let mut challenges = lock(&self.challenges);
        loop {
            let challenge = clock::random_u32();
            if challenges.insert(challenge) {
                return challenge;
            }
        }
    }

    pub(crate) fn forget_challenge(&self, challenge: u32) {
        lock(&self.challenges).remove(challenge);
    }

    pub(crate) fn is_own_challenge(&self, challenge: u32) -> bool {
        lock(&self.challenges).contains(challenge)
    }

    /// A name for a node that has none: 64 random bits in base 36 (wire.md 2.6).
    pub(crate) fn invent_name(&self, host: &str) -> Option<(NodeName, Creation)> {
        let mut random = clock::random_u64();
        let mut alive = String::new();
        while random > 0 {
            alive.extend(char::from_digit(u32::try_from(random % 36).unwrap_or_default(), 36));
            random /= 36;
        }
        let name = NodeName::new(&alive.to_uppercase(), host).ok()?;
        Some((name, Creation::from_random(clock::random_u32())))
    }

    pub(crate) fn is_visible(&self, established: &Established) -> bool {
        established.flags.contains(DistFlags::PUBLISHED)
    }

    pub(crate) fn tick_config(&self) -> TickConfig {
        TickConfig::new(self.config.net_ticktime, self.config.net_tickintensity)
            .expect("checked when the node started")
    }

    pub(crate) fn inbound_limits(&self) -> dist::Limits {
        dist::Limits {
            frame_bytes_max: self.config.frame_bytes_max,
            fragments_bytes_max: self.config.fragments_bytes_max,
            fragment_count_max: self.config.fragment_count_max,
            fragment_age_max: self.config.fragment_age_max,
            decode: self.config.decode.clone(),
        }
    }

    // --- Routes -------------------------------------------------------------------------------------------

    /// The name of a node that we may connect to.
    fn peer_name(&self, node: &str) -> Result<NodeName, ConnectError> {
        let name: NodeName = node.parse().map_err(|error: handshake::NodeNameError| {
            ConnectError::BadName { name: node.to_owned(), reason: error.to_string() }
        })?;
        if name == self.name {
            return Err(ConnectError::Itself);
        }
        if !self.is_allowed(&name) {
            return Err(ConnectError::NotAllowed { node: node.into() });
        }
        let dotted = name.host().contains('.') || name.host().parse::<std::net::IpAddr>().is_ok();
        let own = match self.config.names {
            Names::Short if dotted => "short",
            Names::Long if !dotted => "long",
            Names::Short | Names::Long => return Ok(name),
        };
        Err(ConnectError::OtherNames { node: node.into(), own })
    }

    pub(crate) fn route_if_any(&self, node: &str) -> Option<Arc<Route>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }

    /// Queues a message for another node, if its connection is up and has room for it; else nothing was queued.
    pub(crate) fn offer_plain(&self, node: &str, send: &PlainSend<'_>) -> bool {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.get(node).is_some_and(|route| route.offer_plain(send))
    }

    /// The way to a node; a connection is begun if there is none. Nothing if there can be none.
    pub(crate) fn route(self: &Arc<Self>, node: &Atom) -> Option<Arc<Route>> {
        if let Some(route) = self.route_if_any(node) {
            return Some(route);
        }
        if self.is_stopping() {
            return None;
        }
        let name = match self.peer_name(node) {
            Ok(name) => name,
            Err(error) => {
                tracing::debug!(%error, "no connection");
                return None;
            }
        };
        let mut routes = self.routes_mut();
        let route = routes.entry(node.clone()).or_insert_with(|| {
            self.tasks.spawn(Arc::clone(self).dial(name));
            self.new_route(node.clone())
        });
        Some(Arc::clone(route))
    }

    fn all_routes(&self) -> Vec<Arc<Route>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn routes_mut(&self) -> RwLockWriteGuard<'_, FxHashMap<Atom, Arc<Route>>> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_route(&self, node: Atom) -> Arc<Route> {
        let limits = RouteLimits { busy_bytes: self.config.busy_bytes, bytes_max: self.config.out_bytes_max };
        Route::new(node, limits, self.busy.clone())
    }

    pub(crate) fn is_connected(&self, node: &Atom) -> bool {
        *node == *self.atom || self.route_if_any(node).is_some_and(|route| route.is_up().is_some())
    }

    fn connected(&self, wanted: impl Fn(bool) -> bool) -> Vec<Atom> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<Atom> =
            routes.values().filter(|r| r.is_up().is_some_and(&wanted)).map(|r| r.node.clone()).collect();
        nodes.sort();
        nodes
    }

    fn connection(&self, route: &Route) -> Option<Attempt> {
        route.connection().and_then(|id| lock(&self.attempts).get(&id).cloned())
    }

    /// Closes the connection to a node. What says when it is gone.
    pub(crate) fn disconnect(&self, node: &str) -> Option<Attempt> {
        let attempt = self.route_if_any(node).and_then(|route| self.connection(&route));
        attempt.inspect(|attempt| attempt.abort(Term::atom("disconnect")))
    }

    /// Closes the connections to all visible nodes, in one breath, so that none of them takes it for a partition.
    /// Which they were.
    pub(crate) fn hang_up_visible(&self) -> Vec<Atom> {
        let nodes = self.connected(|visible| visible);
        let attempts: Vec<Attempt> =
            nodes.iter().filter_map(|node| self.connection(&*self.route_if_any(node)?)).collect();
        for attempt in &attempts {
            attempt.hang_up();
        }
        for attempt in &attempts {
            attempt.abort(Term::atom("disconnect"));
        }
        nodes
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    // --- Node events --------------------------------------------------------------------------------------

    fn publish(&self, event: &NodeEvent, connection: ConnectionId) {
        for (pid, message) in lock(&self.subscribers).messages(event, connection.number()) {
            if let Some(process) = self.registry.get(pid) {
                process.deliver(message);
            }
        }
    }

    /// Whether a process hears of nodes that come and go.
    pub(crate) fn monitor_nodes(&self, pid: &Pid, flag: bool) {
        self.subscribe(pid, |subscribers| subscribers.set_events(pid, flag));
    }

    pub(crate) fn monitor_nodes_with(&self, pid: &Pid, flag: bool, options: MonitorNodes) {
        self.subscribe(pid, |subscribers| subscribers.set_with(pid, options, flag));
    }

    fn subscribe(&self, pid: &Pid, change: impl FnOnce(&mut kernel::Subscribers)) {
        let mut subscribers = lock(&self.subscribers);
        if let Some(process) = self.registry.get(pid) {
            process.with_signals(|signals| {
                // So that its end takes it out.
                signals.is_subscriber = true;
                change(&mut subscribers);
            });
        }
    }

    pub(crate) fn unsubscribe(&self, pid: &Pid) {
        lock(&self.subscribers).remove(pid);
    }

    pub(crate) fn request_stop(&self, status: u8) {
        // The first request counts.
        self.stop_requested.send_if_modified(|requested| {
            let first = requested.is_none();
            requested.get_or_insert(status);
            first
        });
    }
}
