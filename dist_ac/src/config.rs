//! The configuration of a node from its `sys.config`: every application's parameters, and what `kernel` means by its
//! own (dist_ac.md 3).
//!
//! A file holds one list, `[{App, [{Parameter, Value}]}].`; one named `sys.config` may also name other files, as
//! strings, whose parameters are merged in their place. What is wrong with one is said in OTP's words.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crabnode::{Discovery, GlobalGroup, NodeConfig, carrier::Tcp};
use etf::{
    Atom, Term,
    text::{TextError, consult_bytes},
    tuple,
};

use crate::{
    application::environment::Parameters,
    engine::appl::{Distribution, Nodes, RestartTime},
    heal::{Heal, HealConfig},
    startup::{self, SyncNodes},
};

mod sockets;
use sockets::address;

#[cfg(test)]
mod tests;

/// A larger file is refused. Default of OTP for a configuration that is read from a pipe: 128 MiB.
pub const FILE_BYTES_MAX: u64 = 128 << 20;

/// What a `sys.config` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SysConfig {
    applications: Vec<(Atom, Parameters)>,
}

/// What `kernel`'s parameters mean to `dist_ac`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelConfig {
    /// `distributed`: the distributed applications, in their order.
    pub distributed: Vec<Distribution>,
    /// `permissions` of those.
    pub permissions: BTreeMap<Atom, bool>,
    /// `start_dist_ac`; where it is not said, whether `distributed` is.
    pub start_dist_ac: bool,
    /// `sync_nodes_mandatory`, `sync_nodes_optional` and `sync_nodes_timeout`; nothing without a timeout, which
    /// skips the synchronisation whatever the lists say.
    pub sync_nodes: Option<SyncNodes>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `{badopt, {Parameter, Value}}`: a parameter of `kernel` or `crabnode` has a value that it cannot have.
    #[error("{{badopt,{{{parameter},{value}}}}}")]
    BadOption {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: Term,
    },
    /// `{bad_permission, {App, Value}}`.
    #[error("{{bad_permission,{{{app},{value}}}}}")]
    BadPermission {
        /// The application.
        app: Atom,
        /// What stands where `true` or `false` should.
        value: Term,
    },
    /// The terms are there, but they make no configuration; in OTP's words.
    #[error("invalid config data: {0}")]
    Invalid(String),
    /// The file holds something else than one list.
    #[error("error in config file {file:?}: configuration file must contain ONE list ended by <dot>")]
    NotOneList {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read.
    #[error("error in config file {file:?}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not Erlang terms.
    #[error("error in config file {file:?}: {source}")]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where, and what.
        source: TextError,
    },
}

impl ConfigError {
    /// What a program should print before it exits with 1: for a bad value what a stock node prints when its `kernel`
    /// does not start for it.
    #[must_use]
    pub fn slogan(&self) -> String {
        match self {
            Self::BadOption { parameter, value } => {
                startup::slogan(&tuple!(atom "badopt", tuple!(Term::atom(parameter), value.clone())))
            }
            other => other.to_string(),
        }
    }
}

impl SysConfig {
    /// Reads a file; its ending `.config` may be left off.
    pub fn read(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let file = with_ending(file.as_ref());
        let mut merged: Vec<Term> = Vec::new();
        // As OTP has it, only a file of this very name may include others.
        let is_sys = file.file_name().is_some_and(|name| name == "sys.config");
        for entry in read_list(&file)? {
            match entry.as_text().filter(|name| is_sys && !name.is_empty()) {
                Some(name) => {
                    for included in read_list(&included_file(&file, &name))? {
                        merge(&mut merged, included);
                    }
                }
                None if is_sys => merge(&mut merged, entry),
                None => merged.push(entry),
            }
        }
        Self::from_terms(&merged)
    }

    /// A configuration of the terms in the list of a file.
    pub fn from_terms(terms: &[Term]) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for term in terms {
            let (app, parameters) = application(term).map_err(ConfigError::Invalid)?;
            if config.applications.iter().any(|(name, _)| *name == app) {
                return Err(ConfigError::Invalid(format!("duplicate application config: {app}")));
            }
            config.applications.push((app, parameters));
        }
        Ok(config)
    }

    /// Every application's parameters.
    #[must_use]
    pub fn applications(&self) -> &[(Atom, Parameters)] {
        &self.applications
    }

    /// The value of a parameter.
    #[must_use]
    pub fn value(&self, app: &str, parameter: &str) -> Option<&Term> {
        let (_, parameters) = self.applications.iter().find(|(name, _)| *name == app)?;
        parameters.iter().find(|(name, _)| *name == parameter).map(|(_, value)| value)
    }

    /// What `dist_ac` and the startup synchronisation want to know.
    pub fn kernel(&self) -> Result<KernelConfig, ConfigError> {
        let configured = self.value("kernel", "distributed");
        let distributed: Vec<_> = configured.map(distributions).transpose()?.unwrap_or_default();
        let start_dist_ac = match self.value("kernel", "start_dist_ac") {
            Some(value) => value.is_atom("true"),
            None => configured.is_some(),
        };
        let mut permissions = BTreeMap::new();
        for Distribution { app, .. } in &distributed {
            let entry = self.value("kernel", "permissions").and_then(Term::as_list).unwrap_or_default();
            let entry = entry.iter().find_map(|entry| match entry.as_tuple()? {
                [name, value] if name.as_atom() == Some(app) => Some(value),
                _ => None,
            });
            if let Some(value) = entry {
                let bad = || ConfigError::BadPermission { app: app.clone(), value: value.clone() };
                permissions.insert(app.clone(), value.as_bool().ok_or_else(bad)?);
            }
        }
        Ok(KernelConfig { distributed, permissions, start_dist_ac, sync_nodes: self.sync_nodes()? })
    }

    /// What the section `crabnode` says of healing: `{crabnode, [{heal, off | self | cluster}, {heal_dry_run, true |
    /// false}]}`. Default: `self`, and no dry run.
    pub fn heal(&self) -> Result<HealConfig, ConfigError> {
        let level = |value: &Term| Heal::from_word(value.as_atom()?.as_str());
        Ok(HealConfig {
            level: self.section_value("crabnode", "heal", level)?.unwrap_or_default(),
            dry_run: self.section_value("crabnode", "heal_dry_run", Term::as_bool)?.unwrap_or_default(),
            ..HealConfig::default()
        })
    }

    /// A node's configuration with what `kernel` says of it: the ports, with or without EPMD, the tick time, the
    /// overlapping partitions.
    pub fn apply(&self, mut base: NodeConfig) -> Result<NodeConfig, ConfigError> {
        base.listen_ports = self.listen_ports()?.or(base.listen_ports);
        if let Some(address) = self.kernel_value("inet_dist_use_interface", address)? {
            base.listen_address = address;
        }
        if let Some(tcp) = self.tcp(base.carrier.tcp())? {
            base.carrier = Arc::new(tcp);
        }
        let port = |value: &Term| value.as_u64().and_then(|port| u16::try_from(port).ok()?.try_into().ok());
        if let Some(port) = self.kernel_value("erl_epmd_node_listen_port", port)? {
            base.discovery = Discovery::Port(port);
        }
        if let Some(seconds) =
            self.kernel_value("net_ticktime", |value| value.as_u64().filter(|time| *time > 0))?
        {
            base.net_ticktime = Duration::from_secs(seconds);
        }
        // As in OTP, one that is too low or too high is the lowest or the highest.
        let intensity = |value: &Term| u32::try_from(value.as_int()?.clamp(4, 1000)).ok();
        if let Some(ticks) = self.kernel_value("net_tickintensity", intensity)? {
            base.net_tickintensity = ticks;
        }
        if let Some(time) = self.kernel_value("net_setuptime", setup_time)? {
            base.net_setuptime = time;
        }
        if let Some(on) = self.kernel_value("prevent_overlapping_partitions", Term::as_bool)? {
            base.prevent_overlapping_partitions = on;
        }
        if let Some(on) = self.kernel_value("start_pg", Term::as_bool)? {
            base.start_pg = on;
        }
        if let Some(on) = self.kernel_value("connect_all", Term::as_bool)? {
            base.connect_all = on;
        }
        if let Some(groups) = self.kernel_value("global_groups", global_groups)? {
            base.global_groups = groups;
        }
        Ok(base)
    }

    fn listen_ports(&self) -> Result<Option<RangeInclusive<u16>>, ConfigError> {
        let port = |value: &Term| value.as_u64().and_then(|port| u16::try_from(port).ok());
        let min = self.kernel_value("inet_dist_listen_min", port)?;
        let max = self.kernel_value("inet_dist_listen_max", port)?;
        Ok(min.map(|min| min..=max.unwrap_or(min)))
    }

    /// TCP with the options for sockets, if there are any.
    fn tcp(&self, before: Option<&Tcp>) -> Result<Option<Tcp>, ConfigError> {
        let before = before.cloned().unwrap_or_default();
        let mut tcp = before.clone();
        if let Some(on) = self.kernel_value("dist_nodelay", Term::as_bool)? {
            (tcp.listen.nodelay, tcp.connect.nodelay) = (on, on);
        }
        let (listen, mut backlog) = (tcp.listen.clone(), tcp.backlog);
        let listen =
            self.kernel_value("inet_dist_listen_options", |value| sockets::options(&listen, value))?;
        if let Some((options, given)) = listen {
            tcp.listen = options;
            backlog = given.or(backlog);
        }
        tcp.backlog = backlog;
        let connect = tcp.connect.clone();
        let connect =
            self.kernel_value("inet_dist_connect_options", |value| sockets::options(&connect, value))?;
        if let Some((options, _)) = connect {
            tcp.connect = options;
        }
        Ok((tcp != before).then_some(tcp))
    }

    /// A parameter of `kernel` as `parse` reads it.
    fn kernel_value<T>(
        &self,
        parameter: &'static str,
        parse: impl Fn(&Term) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.section_value("kernel", parameter, parse)
    }

    /// The same of any section.
    fn section_value<T>(
        &self,
        section: &str,
        parameter: &'static str,
        parse: impl Fn(&Term) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(section, parameter) else { return Ok(None) };
        let bad = || ConfigError::BadOption { parameter, value: value.clone() };
        parse(value).map(Some).ok_or_else(bad)
    }

    /// In the order in which OTP looks: without a timeout the lists may be anything.
    fn sync_nodes(&self) -> Result<Option<SyncNodes>, ConfigError> {
        let timeout = self.kernel_value("sync_nodes_timeout", |value| match value {
            infinity if infinity.is_atom("infinity") => Some(None),
            value => value.as_u64().filter(|time| *time > 0).map(|time| Some(Duration::from_millis(time))),
        })?;
        let Some(timeout) = timeout else { return Ok(None) };
        let nodes = |value: &Term| value.as_list().map(<[Term]>::to_vec);
        let mandatory = self.kernel_value("sync_nodes_mandatory", nodes)?.unwrap_or_default();
        let optional = self.kernel_value("sync_nodes_optional", nodes)?.unwrap_or_default();
        Ok(Some(SyncNodes { mandatory, optional, timeout }))
    }
}

fn with_ending(file: &Path) -> PathBuf {
    let mut name = file.to_path_buf();
    if file.extension().is_none_or(|ending| ending != "config") {
        let mut text = file.as_os_str().to_owned();
        text.push(".config");
        name = PathBuf::from(text);
    }
    name
}

/// Beside the file that names it if it is there, else where the program runs.
fn included_file(file: &Path, name: &str) -> PathBuf {
    let name = with_ending(Path::new(name));
    let beside = file.parent().unwrap_or(Path::new("")).join(&name);
    if beside.exists() { beside } else { name }
}

fn read_list(file: &Path) -> Result<Vec<Term>, ConfigError> {
    let read = |source| ConfigError::Read { file: file.to_owned(), source };
    let size = fs::metadata(file).map_err(read)?.len();
    if size > FILE_BYTES_MAX {
        return Err(read(io::Error::new(io::ErrorKind::FileTooLarge, format!("{size} bytes"))));
    }
    let bytes = fs::read(file).map_err(read)?;
    let syntax = |source| ConfigError::Syntax { file: file.to_owned(), source };
    let terms = consult_bytes(&bytes).map_err(syntax)?;
    match <[Term; 1]>::try_from(terms) {
        Ok([Term::List(list)]) => Ok(list.into_vec()),
        _ => Err(ConfigError::NotOneList { file: file.to_owned() }),
    }
}

/// Puts an application's parameters into those that are there already; the new ones win.
fn merge(all: &mut Vec<Term>, entry: Term) {
    let parts = |entry: &Term| match entry.as_tuple() {
        Some([app, Term::List(parameters)]) => Some((app.clone(), parameters.clone())),
        _ => None,
    };
    let Some((app, parameters)) = parts(&entry) else { return all.push(entry) };
    let found = all.iter_mut().find_map(|old| {
        let (name, old_parameters) = parts(old)?;
        (name == app).then_some((old, old_parameters))
    });
    let Some((old, mut merged)) = found else { return all.push(entry) };
    let name = |parameter: &Term| parameter.as_tuple().and_then(<[Term]>::first).cloned();
    merged.retain(|one| {
        name(one).is_none_or(|key| !parameters.iter().any(|new| name(new).as_ref() == Some(&key)))
    });
    merged.extend(parameters);
    *old = tuple!(app, merged);
}

fn application(term: &Term) -> Result<(Atom, Parameters), String> {
    let Some([name, list]) = term.as_tuple() else {
        return Err(format!("invalid application config: {term}"));
    };
    let Some(list) = list.as_list() else {
        return Err(format!("application: {name}; parameters must be a list"));
    };
    let Some(app) = name.as_atom() else {
        return Err(format!("application: {name}; application name must be an atom"));
    };
    let mut parameters: Parameters = Vec::new();
    for parameter in list {
        let Some([key, value]) = parameter.as_tuple() else {
            return Err(format!("application: {}; invalid parameter: {parameter}", app.as_str()));
        };
        let Some(key) = key.as_atom() else {
            return Err(format!("application: {}; invalid parameter name: {key}", app.as_str()));
        };
        if parameters.iter().any(|(name, _)| name == key) {
            return Err(format!("application: {}; duplicate parameter: {}", app.as_str(), key.as_str()));
        }
        if *app == "kernel" && *key == "distributed" {
            check_distributed(value)?;
        }
        parameters.push((key.clone(), value.clone()));
    }
    Ok((app.clone(), parameters))
}

/// The check of `kernel distributed`, for a configuration and for `application:set_env/1`.
pub(crate) fn check_distributed(value: &Term) -> Result<(), String> {
    let entry = |entry: &Term| match entry.as_tuple() {
        Some([Term::Atom(_), Term::List(_)]) => true,
        Some([Term::Atom(_), time, Term::List(_)]) => {
            time.is_atom("infinity") || matches!(time, Term::Int(_) | Term::BigInt(_))
        }
        _ => false,
    };
    if value.as_list().is_some_and(|list| list.iter().all(entry)) {
        Ok(())
    } else {
        Err("application: kernel; erroneous parameter: distributed".into())
    }
}

/// The entries of `kernel distributed`. One with a negative time is left out, as in OTP.
pub(crate) fn distributions(value: &Term) -> Result<Vec<Distribution>, ConfigError> {
    let erroneous = || "application: kernel; erroneous parameter: distributed".to_owned();
    let mut all = Vec::new();
    for entry in value.as_list().ok_or_else(|| ConfigError::Invalid(erroneous()))? {
        let (app, time, nodes) = match entry.as_tuple() {
            Some([Term::Atom(app), nodes]) => (app, Some(RestartTime::Millis(0)), nodes),
            Some([Term::Atom(app), time, nodes]) => (app, RestartTime::from_term(time), nodes),
            _ => return Err(ConfigError::Invalid(erroneous())),
        };
        // OTP does not look at the nodes here, and its dist_ac dies of them later, with the boot hanging.
        let nodes = Nodes::from_term(nodes).ok_or_else(|| ConfigError::Invalid(erroneous()))?;
        match time {
            Some(restart_time) => all.push(Distribution { app: app.clone(), restart_time, nodes }),
            None => tracing::warn!(%app, "a negative time: the application is not distributed"),
        }
    }
    Ok(all)
}

/// `net_setuptime`: a number of seconds above 0 and at most 120, of any kind.
fn setup_time(value: &Term) -> Option<Duration> {
    let seconds = match value {
        Term::Float(seconds) => seconds.get(),
        value => f64::from(u32::try_from(value.as_u64()?).ok()?),
    };
    (seconds > 0.0 && seconds <= 120.0).then(|| Duration::from_secs_f64(seconds))
}

/// `global_groups`: of each its name and its nodes. Hidden groups are not supported.
fn global_groups(value: &Term) -> Option<Vec<GlobalGroup>> {
    let group = |group: &Term| {
        let (name, nodes) = match group.as_tuple()? {
            [name, nodes] => (name, nodes),
            [name, kind, nodes] if kind.is_atom("normal") => (name, nodes),
            _ => return None,
        };
        let text = |term: &Term| term.as_atom().map(|atom| atom.as_str().to_owned());
        let nodes = nodes.as_list()?.iter().map(text).collect::<Option<_>>()?;
        Some(GlobalGroup { name: text(name)?, nodes })
    };
    value.as_list()?.iter().map(group).collect()
}
