//! The flags of every program that is a node: as `erl` has them, with two dashes.

use std::{num::NonZeroU16, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use crabnode::{
    Discovery, Names, NodeConfig,
    carrier::{
        Carrier, IpFamily, Tcp,
        tls::{Tls, TlsOptions},
    },
};

use crate::{Builder, SysConfig};

/// What a node is started with, for a program's own `clap` parser to flatten.
///
/// A value that clap can judge by itself (a port that is no number) and an unknown flag end the program with
/// status 2, as clap does; a value that only the node can judge is an error of [`NodeFlags::apply`] or of
/// the start, for which the program prints one line and exits with 1 ([`fail`]).
#[derive(Debug, Clone, Args)]
pub struct NodeFlags {
    /// Short node name: NAME, or NAME@HOST with a host without dots; as undefined, the first --connect gives one
    #[arg(long, value_name = "NAME")]
    pub sname: Option<String>,
    /// Long node name: NAME@HOST with a full host name or an address
    #[arg(long, value_name = "NAME@HOST", conflicts_with = "sname")]
    pub name: Option<String>,
    /// The cluster's secret; otherwise ~/.erlang.cookie, made if it is missing
    #[arg(long)]
    pub cookie: Option<String>,
    /// Another secret for one node; may be given several times
    #[arg(long, value_names = ["NODE", "COOKIE"], num_args = 2)]
    pub setcookie: Vec<String>,
    /// Be a hidden node: in nobody's nodes(), no part of global
    #[arg(long)]
    pub hidden: bool,
    /// A sys.config; the ending .config may be left off
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A node to connect to at the start; may be given several times
    #[arg(long, value_name = "NODE")]
    pub connect: Vec<String>,
    /// The first port to listen at
    #[arg(long, value_name = "PORT")]
    pub dist_listen_min: Option<String>,
    /// The last port to listen at
    #[arg(long, value_name = "PORT")]
    pub dist_listen_max: Option<String>,
    /// What the bytes between nodes go over: inet_tcp, inet6_tcp, inet_tls or inet6_tls; the same on every node
    #[arg(long, value_name = "PROTOCOL")]
    pub proto_dist: Option<String>,
    /// An option of TLS by itself, as server_certfile FILE or client_verify verify_peer; may be given several times
    #[arg(long, value_names = ["OPTION", "VALUE"], num_args = 2, conflicts_with = "ssl_dist_optfile")]
    pub ssl_dist_opt: Vec<String>,
    /// The options of TLS, in the file that the BEAM nodes have: [{server, Options}, {client, Options}].
    #[arg(long, value_name = "FILE")]
    pub ssl_dist_optfile: Option<PathBuf>,
    /// EPMD's port; otherwise ERL_EPMD_PORT, otherwise 4369
    #[arg(long, value_name = "PORT")]
    pub epmd_port: Option<String>,
    /// Whether to serve as the EPMD where none answers on this host: true, or false
    #[arg(long, value_name = "BOOL")]
    pub start_epmd: Option<String>,
    /// The port that all nodes listen at, so that no EPMD is needed
    #[arg(long, value_name = "PORT")]
    pub erl_epmd_port: Option<String>,
    /// Whether others can connect to this node: true, or false, which makes it hidden
    #[arg(long, value_name = "BOOL")]
    pub dist_listen: Option<String>,
    /// After how long a silent peer is gone; the same on every node
    #[arg(long, value_name = "SECONDS")]
    pub net_ticktime: Option<String>,
    /// How many ticks there are in that time, 4 to 1000
    #[arg(long, value_name = "TICKS")]
    pub net_tickintensity: Option<String>,
    /// One of the nodes that may connect, and be connected to; may be given several times; otherwise all
    #[arg(long, value_name = "NODE")]
    pub allow: Vec<String>,
}

/// What is wrong with the flags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// A flag has a value that it cannot have.
    #[error("--{flag} {value}: {expected}")]
    BadValue {
        /// The flag.
        flag: &'static str,
        /// What it was given.
        value: String,
        /// What it may be given.
        expected: &'static str,
    },
    /// The options of TLS are wrong.
    #[error("--ssl-dist-optfile: {reason}")]
    Tls {
        /// What is wrong with them.
        reason: String,
    },
    /// OTP takes it from one of them alone, too.
    #[error("--erl-epmd-port is given, and so is the kernel parameter erl_epmd_node_listen_port")]
    ListenPortTwice,
    /// A node has a name.
    #[error("the node has no name: give it --sname NAME or --name NAME@HOST")]
    NoName,
}

const PORT: &str = "a port is a number from 1 to 65535";

impl NodeFlags {
    /// What a program needs to start its node and the applications on it: what the file of `--config` says, if there is
    /// one, and over it what the flags say. An error is printed, and is the status to exit with.
    pub fn configure(&self) -> Result<(NodeConfig, Builder), ExitCode> {
        let config = match &self.config {
            Some(file) => SysConfig::read(file).map_err(|error| fail(&error))?,
            None => SysConfig::default(),
        };
        let node = config.apply(NodeConfig::new("")).map_err(|error| fail(&error))?;
        let node = self.apply(node).map_err(|error| fail(&error))?;
        let builder = Builder::new(config).map_err(|error| fail(&error.slogan()))?;
        Ok((node, builder))
    }

    /// The node's configuration: `base`, which has what a `sys.config` says, changed by what the flags say.
    pub fn apply(&self, mut base: NodeConfig) -> Result<NodeConfig, FlagError> {
        (base.names, base.name) = match (&self.sname, &self.name) {
            (Some(name), _) => (Names::Short, name.clone()),
            (None, Some(name)) => (Names::Long, name.clone()),
            (None, None) if base.name.is_empty() => return Err(FlagError::NoName),
            (None, None) => (base.names, base.name),
        };
        base.name_from = self.connect.first().cloned().or(base.name_from);
        base.cookie = self.cookie.clone().or(base.cookie);
        for pair in self.setcookie.chunks_exact(2) {
            if base.cookies.iter().any(|(node, _)| *node == pair[0]) {
                let (value, expected) = (pair[0].clone(), "it has a cookie already");
                return Err(FlagError::BadValue { flag: "setcookie", value, expected });
            }
            base.cookies.push((pair[0].clone(), pair[1].clone()));
        }
        base.hidden |= self.hidden;
        let min = port("dist-listen-min", self.dist_listen_min.as_deref())?;
        let max = port("dist-listen-max", self.dist_listen_max.as_deref())?;
        base.listen_ports = match (min, max) {
            (Some(min), Some(max)) if max < min => {
                let value = max.to_string();
                let expected = "it must not be below --dist-listen-min";
                return Err(FlagError::BadValue { flag: "dist-listen-max", value, expected });
            }
            (Some(min), max) => Some(min..=max.unwrap_or(min)),
            (None, Some(max)) => {
                let expected = "it needs --dist-listen-min beside it";
                return Err(FlagError::BadValue {
                    flag: "dist-listen-max",
                    value: max.to_string(),
                    expected,
                });
            }
            (None, None) => base.listen_ports,
        };
        base.epmd_port = port("epmd-port", self.epmd_port.as_deref())?.or(base.epmd_port);
        base.start_epmd = boolean("start-epmd", self.start_epmd.as_deref())?.unwrap_or(base.start_epmd);
        base.dist_listen = boolean("dist-listen", self.dist_listen.as_deref())?.unwrap_or(base.dist_listen);
        let listen_port = port("erl-epmd-port", self.erl_epmd_port.as_deref())?.and_then(NonZeroU16::new);
        base.discovery = match (listen_port, base.discovery) {
            (Some(_), Discovery::Port(_)) => return Err(FlagError::ListenPortTwice),
            (Some(port), _) => Discovery::Port(port),
            (None, discovery) => discovery,
        };
        if let Some(seconds) = &self.net_ticktime {
            let parsed = seconds.parse().ok().filter(|seconds| *seconds > 0);
            let bad = || FlagError::BadValue {
                flag: "net-ticktime",
                value: seconds.clone(),
                expected: "a number of seconds, at least 1",
            };
            base.net_ticktime = Duration::from_secs(parsed.ok_or_else(bad)?);
        }
        if let Some(ticks) = &self.net_tickintensity {
            let parsed = ticks.parse().ok().filter(|ticks| (4..=1000).contains(ticks));
            let bad = || FlagError::BadValue {
                flag: "net-tickintensity",
                value: ticks.clone(),
                expected: "a number from 4 to 1000",
            };
            base.net_tickintensity = parsed.ok_or_else(bad)?;
        }
        base.allow.extend(self.allow.iter().cloned());
        if let Some(carrier) = self.carrier(&*base.carrier)? {
            base.carrier = carrier;
        }
        Ok(base)
    }

    /// The carrier that the flags ask for, with what is set for TCP already.
    fn carrier(&self, before: &dyn Carrier) -> Result<Option<Arc<dyn Carrier>>, FlagError> {
        let protocol = match (&self.proto_dist, &self.ssl_dist_optfile) {
            (Some(protocol), _) => protocol,
            (None, None) if !self.ssl_dist_opt.is_empty() => {
                let (value, expected) = (self.ssl_dist_opt.join(" "), NEEDS_TLS);
                return Err(FlagError::BadValue { flag: "ssl-dist-opt", value, expected });
            }
            (None, None) => return Ok(None),
            (None, Some(file)) => {
                let value = file.display().to_string();
                let expected = NEEDS_TLS;
                return Err(FlagError::BadValue { flag: "ssl-dist-optfile", value, expected });
            }
        };
        let (family, is_tls) = match protocol.as_str() {
            "inet_tcp" => (IpFamily::Any, false),
            "inet6_tcp" => (IpFamily::V6, false),
            "inet_tls" => (IpFamily::Any, true),
            "inet6_tls" => (IpFamily::V6, true),
            other => {
                let expected = "it is inet_tcp, inet6_tcp, inet_tls or inet6_tls";
                return Err(FlagError::BadValue { flag: "proto-dist", value: other.to_owned(), expected });
            }
        };
        let tcp = Tcp { family, ..before.tcp().cloned().unwrap_or_default() };
        if !is_tls {
            return Ok(Some(Arc::new(tcp)));
        }
        let tls = match &self.ssl_dist_optfile {
            Some(file) => TlsOptions::read(file).and_then(|options| Tls::new(tcp, &options)),
            None => Tls::new(tcp, &self.tls_options()?),
        };
        Ok(Some(Arc::new(tls.map_err(|error| FlagError::Tls { reason: error.to_string() })?)))
    }
}

impl NodeFlags {
    /// The options that `--ssl-dist-opt` gives one by one.
    fn tls_options(&self) -> Result<TlsOptions, FlagError> {
        let mut options = TlsOptions::default();
        for pair in self.ssl_dist_opt.chunks_exact(2) {
            options.set_flag(&pair[0], &pair[1]).map_err(|expected| FlagError::BadValue {
                flag: "ssl-dist-opt",
                value: pair.join(" "),
                expected,
            })?;
        }
        Ok(options)
    }
}

const NEEDS_TLS: &str = "it needs --proto-dist inet_tls or inet6_tls beside it";

fn port(flag: &'static str, value: Option<&str>) -> Result<Option<u16>, FlagError> {
    let Some(value) = value else { return Ok(None) };
    match value.parse() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(FlagError::BadValue { flag, value: value.to_owned(), expected: PORT }),
    }
}

fn boolean(flag: &'static str, value: Option<&str>) -> Result<Option<bool>, FlagError> {
    let bad = |value: &str| FlagError::BadValue { flag, value: value.to_owned(), expected: "true or false" };
    value.map(|value| value.parse().map_err(|_| bad(value))).transpose()
}

/// Says on one line of stderr why the program cannot go on; the status to exit with is 1.
pub fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{}", error.to_string().replace('\n', " "));
    ExitCode::from(1)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        node: NodeFlags,
    }

    fn config(args: &[&str]) -> Result<NodeConfig, String> {
        let program = Program::try_parse_from([&["program"], args].concat());
        let program = program.map_err(|error| format!("clap: {}", error.exit_code()))?;
        program.node.apply(NodeConfig::new("")).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_those_of_erl() {
        let args = "--sname a@h --cookie c --hidden --dist-listen-min 9100 --dist-listen-max 9105 \
                    --epmd-port 4370 --net-ticktime 8 --net-tickintensity 8 --allow b@h --allow c@ --connect b@h --connect c@h \
                    --setcookie b@h d --setcookie c@h e";
        let config = config(&args.split_whitespace().collect::<Vec<_>>()).expect("all good");
        assert_eq!((config.name.as_str(), config.names), ("a@h", Names::Short));
        assert_eq!((config.cookie.as_deref(), config.hidden), (Some("c"), true));
        assert_eq!((config.listen_ports, config.epmd_port), (Some(9100..=9105), Some(4370)));
        assert_eq!((config.net_ticktime, config.net_tickintensity), (Duration::from_secs(8), 8));
        assert_eq!(config.allow, ["b@h", "c@"]);
        assert_eq!(config.name_from.as_deref(), Some("b@h"));
        assert_eq!(config.cookies, [("b@h".into(), "d".into()), ("c@h".into(), "e".into())]);
    }

    #[test]
    fn a_protocol_keeps_what_is_set_for_tcp() {
        let program = Program::try_parse_from(["program", "--sname", "a", "--proto-dist", "inet6_tcp"]);
        let tcp = Tcp { backlog: Some(7), ..Tcp::default() };
        let base = NodeConfig { carrier: Arc::new(tcp.clone()), ..NodeConfig::new("") };
        let config = program.expect("flags").node.apply(base).expect("all good");
        assert_eq!(config.carrier.tcp(), Some(&Tcp { family: IpFamily::V6, ..tcp }));
    }

    #[test]
    fn nodes_may_do_without_epmd() {
        let changed =
            config(&["--sname", "a", "--start-epmd", "false", "--dist-listen", "false"]).expect("good");
        assert!(!changed.start_epmd && !changed.dist_listen);
        let fixed = config(&["--sname", "a", "--erl-epmd-port", "9100"]).expect("good");
        assert!(fixed.start_epmd && fixed.dist_listen);
        assert!(matches!(fixed.discovery, Discovery::Port(port) if port.get() == 9100));
        let flags = Program::try_parse_from(["program", "--sname", "a", "--erl-epmd-port", "9100"]);
        let twice = flags.expect("good").node.apply(fixed);
        assert_eq!(twice.map(|_| ()), Err(FlagError::ListenPortTwice));
    }

    #[test]
    fn a_bad_value_is_one_line_that_names_the_flag_and_an_unknown_flag_is_claps_affair() {
        for (args, says) in [
            (&["--sname", "a", "--epmd-port", "0"][..], "--epmd-port 0: a port"),
            (&["--sname", "a", "--epmd-port", "x"], "--epmd-port x: a port"),
            (&["--sname", "a", "--dist-listen-max", "9"], "needs --dist-listen-min"),
            (&["--sname", "a", "--dist-listen-min", "10", "--dist-listen-max", "9"], "must not be below"),
            (&["--sname", "a", "--net-ticktime", "0"], "--net-ticktime 0: a number of seconds"),
            (&["--sname", "a", "--net-tickintensity", "3"], "--net-tickintensity 3: a number from 4"),
            (&["--sname", "a", "--ssl-dist-opt", "server_certfile", "f"], "it needs --proto-dist"),
            (
                &["--sname", "a", "--proto-dist", "inet_tls", "--ssl-dist-opt", "server_cacert", "f"],
                "--ssl-dist-opt server_cacert f: there is no such option",
            ),
            (
                &["--sname", "a", "--proto-dist", "inet_tls", "--ssl-dist-opt", "client_verify", "maybe"],
                "--ssl-dist-opt client_verify maybe: it cannot have this value",
            ),
            (
                &[
                    "--sname",
                    "a",
                    "--proto-dist",
                    "inet_tls",
                    "--ssl-dist-opt",
                    "server_certfile",
                    "/no/such",
                ],
                "/no/such: No such file",
            ),
            (&["--sname", "a", "--proto-dist", "inet_udp"], "--proto-dist inet_udp: it is inet_tcp"),
            (&["--sname", "a", "--ssl-dist-optfile", "f"], "--ssl-dist-optfile f: it needs --proto-dist"),
            (
                &["--sname", "a", "--proto-dist", "inet_tls"],
                "--ssl-dist-optfile: TLS needs certfile of the server",
            ),
            (
                &["--sname", "a", "--proto-dist", "inet_tls", "--ssl-dist-optfile", "/no/such/file"],
                "/no/such/file: No such file",
            ),
            (&["--sname", "a", "--start-epmd", "no"], "--start-epmd no: true or false"),
            (&["--sname", "a", "--erl-epmd-port", "0"], "--erl-epmd-port 0: a port"),
            (&["--sname", "a", "--nonsense"], "clap: 2"),
            (&["--cookie", "c"], "has no name"),
            (&["--sname", "a", "--setcookie", "b@h"], "clap: 2"),
            (
                &["--sname", "a", "--setcookie", "b@h", "c", "--setcookie", "b@h", "d"],
                "--setcookie b@h: it has",
            ),
            (&["--sname", "a", "--name", "a@b.c"], "clap: 2"),
        ] {
            let error = config(args).expect_err("bad");
            assert!(error.contains(says), "{args:?}: {error}");
        }
    }
}
