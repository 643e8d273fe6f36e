//! What the arguments and the environment ask for.
//!
//! Options have one dash, as `epmd`'s have; two do as well. They are taken in their order, and one that asks a running
//! EPMD something comes last.

use std::time::Duration;

use epmd::{BadAddress, BadPort, ServerConfig, parse_addresses, port_from_env};

/// Most connections of a server that has the process for itself: what a process may have open by default, 1024,
/// less what it needs beside them.
const CONNECTIONS_MAX: usize = 1000;

pub(super) const USAGE: &str = "\
usage: crabnode epmd [-d|-debug] [-port NUMBER] [-address LIST] [-daemon] [-relaxed_command_check] [-systemd]
                     [-packet_timeout SECONDS] [-delay_accept SECONDS] [-delay_write SECONDS]
       crabnode epmd [-port NUMBER] -names|-dump|-started|-kill|-stop NAME

Serves as the EPMD of this host:
  -port NUMBER            the port; otherwise ERL_EPMD_PORT, otherwise 4369
  -address LIST           IP addresses to listen at beside loopback, between commas; otherwise ERL_EPMD_ADDRESS,
                          otherwise all
  -daemon                 in the background
  -relaxed_command_check  with -kill although nodes are registered, and -stop; ERL_EPMD_RELAXED_COMMAND_CHECK, too
  -systemd                at the sockets that systemd passes
  -d, -debug              tells on stderr what it does; given twice, all of it
  -packet_timeout SECONDS how long a client may take to ask (60)
  -delay_accept SECONDS, -delay_write SECONDS
                          slow on purpose, to test clients

Asks the one that runs:
  -names                  which nodes are registered
  -dump                   and which were
  -started                only by the exit status, whether it runs
  -kill                   to end
  -stop NAME              to unregister a node";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// As given, to start another process with.
    pub(super) arguments: Vec<String>,
    pub(super) port: u16,
    /// So many times was `-d` given.
    debug: u8,
    pub(super) action: Action,
}

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Serve(Serving),
    Ask(Question),
}

#[derive(Debug, PartialEq)]
pub(super) struct Serving {
    pub(super) config: ServerConfig,
    /// To be started as a daemon.
    pub(super) daemon: bool,
    /// This is the daemon that was started.
    pub(super) detached: bool,
    pub(super) systemd: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Question {
    Names,
    Dump,
    Started,
    Kill,
    Stop(String),
}

/// Why there is nothing to do.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("help was asked for")]
    Asked,
    #[error("no such usage")]
    Usage,
    #[error("-{option} {value}: {expected}")]
    Value { option: &'static str, value: String, expected: &'static str },
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error("ERL_EPMD_PORT: {0}")]
    Port(#[from] BadPort),
}

impl Options {
    pub(super) fn parse(
        arguments: Vec<String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Wrong> {
        let mut serving = Serving {
            config: ServerConfig { connections_max: CONNECTIONS_MAX, ..ServerConfig::default() },
            daemon: false,
            detached: false,
            systemd: false,
        };
        serving.config.relaxed = variable("ERL_EPMD_RELAXED_COMMAND_CHECK").is_some();
        let (mut port, mut addresses, mut debug, mut question) = (None, None, 0u8, None);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if question.is_some() {
                return Err(Wrong::Usage);
            }
            let mut value = || rest.next().cloned().ok_or(Wrong::Usage);
            let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
            match name.ok_or(Wrong::Usage)? {
                "d" | "debug" => debug = debug.saturating_add(1),
                "port" | "epmd-port" => {
                    let port_given = number("port", value()?, "a port is a number from 1 to 65535")?;
                    port = Some(port_given);
                }
                "address" => addresses = Some(value()?),
                "daemon" => serving.daemon = true,
                "detached" => serving.detached = true,
                "systemd" => serving.systemd = true,
                "relaxed_command_check" | "relaxed-command-check" => serving.config.relaxed = true,
                "packet_timeout" | "packet-timeout" => {
                    serving.config.packet_timeout = seconds("packet_timeout", value()?)?;
                }
                "delay_accept" => serving.config.delay_accept = seconds("delay_accept", value()?)?,
                "delay_write" => serving.config.delay_write = seconds("delay_write", value()?)?,
                "names" => question = Some(Question::Names),
                "dump" => question = Some(Question::Dump),
                "started" => question = Some(Question::Started),
                "kill" => question = Some(Question::Kill),
                "stop" => question = Some(Question::Stop(value()?)),
                "h" | "help" => return Err(Wrong::Asked),
                _ => return Err(Wrong::Usage),
            }
        }
        let port = match port {
            Some(port) => port,
            None => port_from_env(variable("ERL_EPMD_PORT").as_deref())?,
        };
        let action = match question {
            Some(question) => Action::Ask(question),
            None => {
                serving.config.port = port;
                let addresses = addresses.or_else(|| variable("ERL_EPMD_ADDRESS")).unwrap_or_default();
                serving.config.addresses = parse_addresses(&addresses)?;
                Action::Serve(serving)
            }
        };
        Ok(Self { arguments, port, debug, action })
    }

    pub(crate) fn log_level(&self) -> &'static str {
        match self.debug {
            0 => "warn",
            1 => "debug",
            _ => "trace",
        }
    }
}

fn seconds(option: &'static str, value: String) -> Result<Duration, Wrong> {
    let seconds: u32 = number(option, value, "a number of seconds, at least 1")?;
    Ok(Duration::from_secs(seconds.into()))
}

fn number<N>(option: &'static str, value: String, expected: &'static str) -> Result<N, Wrong>
where
    N: std::str::FromStr<Err = std::num::ParseIntError> + PartialEq + From<u8>,
{
    match value.parse() {
        Ok(number) if number != N::from(0) => Ok(number),
        _ => Err(Wrong::Value { option, value, expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str, environment: &[(&str, &str)]) -> Result<Options, Wrong> {
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Options::parse(line.split_whitespace().map(str::to_owned).collect(), variable)
    }

    fn serving(line: &str, environment: &[(&str, &str)]) -> Serving {
        match parse(line, environment).unwrap().action {
            Action::Serve(serving) => serving,
            Action::Ask(question) => panic!("{question:?}"),
        }
    }

    #[test]
    fn options_of_stock_epmd() {
        let defaults = serving("", &[]);
        assert_eq!((defaults.config.port, defaults.config.relaxed), (epmd::EPMD_PORT_DEFAULT, false));
        assert_eq!(defaults.config.packet_timeout, Duration::from_secs(60));
        let all = "-d -debug -port 5000 -address 10.0.0.1,::1 -daemon -relaxed_command_check -systemd \
                   -packet_timeout 5 -delay_accept 1 -delay_write 2";
        assert_eq!(parse(all, &[]).unwrap().debug, 2);
        let all = serving(all, &[]);
        assert!(all.daemon && all.systemd && all.config.relaxed && !all.detached);
        assert_eq!((all.config.port, all.config.addresses.len()), (5000, 2));
        let times = [all.config.packet_timeout, all.config.delay_accept, all.config.delay_write];
        assert_eq!(times.map(|time| time.as_secs()), [5, 1, 2]);
        assert_eq!(serving("--port 5000 --relaxed-command-check", &[]).config.port, 5000);
    }

    #[test]
    fn the_environment_comes_second() {
        let set = [
            ("ERL_EPMD_PORT", "5001"),
            ("ERL_EPMD_ADDRESS", "10.0.0.1 10.0.0.2"),
            ("ERL_EPMD_RELAXED_COMMAND_CHECK", ""),
        ];
        let by_environment = serving("", &set).config;
        assert_eq!((by_environment.port, by_environment.addresses.len()), (5001, 2));
        assert!(by_environment.relaxed);
        let by_options = serving("-port 5002 -address ::1", &set).config;
        assert_eq!((by_options.port, by_options.addresses.len()), (5002, 1));
        assert_eq!(parse("-names", &set).unwrap().port, 5001);
    }

    #[test]
    fn a_question_comes_last() {
        for (line, question) in [
            ("-names", Question::Names),
            ("-dump", Question::Dump),
            ("-started", Question::Started),
            ("-kill", Question::Kill),
            ("-stop a", Question::Stop("a".into())),
        ] {
            let options = parse(&format!("-port 5000 {line}"), &[]).unwrap();
            assert_eq!((options.port, options.action), (5000, Action::Ask(question)));
            assert_eq!(parse(&format!("{line} -port 5000"), &[]), Err(Wrong::Usage));
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for line in ["-port", "-stop", "-bogus", "names", "---names"] {
            assert_eq!(parse(line, &[]), Err(Wrong::Usage), "{line}");
        }
        let told =
            |line: &str, environment: &[(&str, &str)]| parse(line, environment).unwrap_err().to_string();
        assert_eq!(told("-port 65536", &[]), "-port 65536: a port is a number from 1 to 65535");
        assert_eq!(told("-port 0", &[]), "-port 0: a port is a number from 1 to 65535");
        assert!(told("-packet_timeout 0", &[]).starts_with("-packet_timeout 0: a number of seconds"));
        assert_eq!(told("-address foo", &[]), "cannot parse IP address \"foo\"");
        assert!(told("", &[("ERL_EPMD_PORT", "x")]).starts_with("ERL_EPMD_PORT: \"x\""));
    }
}
