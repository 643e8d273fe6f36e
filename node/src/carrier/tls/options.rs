//! The options of TLS, and the file that `-ssl_dist_optfile` names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use etf::{Atom, Term, text};

/// The options of TLS for the connections between nodes, under their names in OTP's `ssl`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// Of connections that others make to this node.
    pub server: ServerOptions,
    /// Of those that this node makes.
    pub client: ClientOptions,
}

/// Of connections that others make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerOptions {
    /// The certificate and those that lead to one that peers trust, in PEM. A node must have one.
    pub certfile: Option<PathBuf>,
    /// Its key, in PEM and not encrypted; in `certfile` without this.
    pub keyfile: Option<PathBuf>,
    /// Whom to trust, in PEM.
    pub cacertfile: Option<PathBuf>,
    /// Whether peers are asked for a certificate. Default no, as OTP's.
    pub verify: Verify,
    /// Whether one must have it, where it is asked. Default no, as OTP's.
    pub fail_if_no_peer_cert: bool,
    /// How many certificates may stand between a peer's and one that is trusted.
    pub depth: Option<usize>,
    /// Default: both.
    pub versions: Vec<Version>,
}

/// Of connections that this node makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// The certificate to show where a peer asks for one.
    pub certfile: Option<PathBuf>,
    /// Its key; in `certfile` without this.
    pub keyfile: Option<PathBuf>,
    /// Whom to trust.
    pub cacertfile: Option<PathBuf>,
    /// Whether the peer's certificate is checked. Default yes, as in OTP 26 and later.
    pub verify: Verify,
    /// Which name it must have (`server_name_indication`). Default: the host of the node's name.
    pub server_name: ServerName,
    /// How many certificates may stand between the peer's and one that is trusted.
    pub depth: Option<usize>,
    /// Default: both.
    pub versions: Vec<Version>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            certfile: None,
            keyfile: None,
            cacertfile: None,
            verify: Verify::Peer,
            server_name: ServerName::Host,
            depth: None,
            versions: Vec::new(),
        }
    }
}

/// `verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// `verify_none`: whoever it is. What is sent is encrypted, and may be for anybody.
    #[default]
    None,
    /// `verify_peer`: a certificate must lead to one of `cacertfile`.
    Peer,
}

/// The name that a server's certificate must have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ServerName {
    /// The host of the node's name.
    #[default]
    Host,
    /// This one.
    This(String),
    /// `disable`: any.
    Unchecked,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `'tlsv1.2'`, which OTP up to 28 uses between nodes unless it is told otherwise.
    V1_2,
    /// `'tlsv1.3'`.
    V1_3,
}

/// What is wrong with the options of TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of options is no Erlang terms, or not of the form `[{server, Options}, {client, Options}].`
    #[error("{path}: {reason}", path = path.display())]
    Optfile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file has no certificates, or no key, in PEM.
    #[error("{path}: {reason}", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An option is needed that is not given.
    #[error("TLS needs {option} of the {side}: {hint}")]
    Missing {
        /// The option.
        option: &'static str,
        /// `server` or `client`.
        side: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// rustls does not take it.
    #[error("TLS of the {side}: {source}")]
    Rustls {
        /// `server` or `client`.
        side: &'static str,
        /// What it says.
        source: rustls::Error,
    },
}

impl TlsOptions {
    /// Reads a file of options: `[{server, Options}, {client, Options}].`, with options as those of OTP's `ssl`.
    /// Relative names of files in it are relative to the working directory, as in OTP.
    ///
    /// Options that make nothing weaker or stronger here (`secure_renegotiate`, `reuse_sessions`, `ktls` and the
    /// like) are taken and do nothing. One that asks for what this node cannot do (`verify_fun`, `ciphers`,
    /// `password`) is an error that names it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| TlsError::File { path: path.into(), source })?;
        Self::parse(&bytes).map_err(|reason| TlsError::Optfile { path: path.into(), reason })
    }

    /// One option as `-ssl_dist_opt OPTION VALUE` gives it: `server_certfile FILE`, `client_verify verify_peer`. The error
    /// says what is wrong.
    pub fn set_flag(&mut self, option: &str, value: &str) -> Result<(), &'static str> {
        const UNKNOWN: &str = "there is no such option, or not one that this node has";
        let value = match value.parse::<u32>() {
            _ if option.ends_with("file") => Term::binary(value.as_bytes().to_vec()),
            Ok(number) => Term::from(number),
            Err(_) => Term::Atom(Atom::try_new(value).map_err(|_| "it cannot have this value")?),
        };
        let (side, name) = option.split_once('_').ok_or(UNKNOWN)?;
        let known = ["certfile", "keyfile", "cacertfile", "verify", "depth", "fail_if_no_peer_cert"];
        let flags = ["secure_renegotiate", "reuse_sessions", "hibernate_after", "ktls"];
        if !known.contains(&name) && !flags.contains(&name) {
            return Err(UNKNOWN);
        }
        let term = Term::tuple([Term::Atom(Atom::try_new(name).map_err(|_| UNKNOWN)?), value]);
        match side {
            "server" => self.server.set(&term),
            "client" if name == "fail_if_no_peer_cert" => return Err(UNKNOWN),
            "client" => self.client.set(&term),
            _ => return Err(UNKNOWN),
        }
        .map_err(|_| "it cannot have this value")
    }

    /// What such a file says.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let terms = text::consult_bytes(bytes).map_err(|error| error.to_string())?;
        let [Term::List(sides)] = &terms[..] else {
            return Err("it must be one list: [{server, Options}, {client, Options}].".into());
        };
        let mut all = Self::default();
        for side in sides {
            match side.as_tuple() {
                Some([name, Term::List(options)]) if name.is_atom("server") => {
                    options.iter().try_for_each(|option| all.server.set(option))?;
                }
                Some([name, Term::List(options)]) if name.is_atom("client") => {
                    options.iter().try_for_each(|option| all.client.set(option))?;
                }
                _ => return Err(format!("neither {{server, Options}} nor {{client, Options}}: {side}")),
            }
        }
        Ok(all)
    }
}

impl ServerOptions {
    fn set(&mut self, option: &Term) -> Result<(), String> {
        let bad = || Err(format!("server: {option} is not what this option may be"));
        let Some((name, value)) = named(option) else { return bad() };
        match (name, value) {
            ("certfile", value) => set_path(&mut self.certfile, value).or_else(|()| bad()),
            ("keyfile", value) => set_path(&mut self.keyfile, value).or_else(|()| bad()),
            ("cacertfile", value) => set_path(&mut self.cacertfile, value).or_else(|()| bad()),
            ("verify", value) => set_verify(&mut self.verify, value).or_else(|()| bad()),
            ("fail_if_no_peer_cert", value) => match boolean(value) {
                Some(value) => {
                    self.fail_if_no_peer_cert = value;
                    Ok(())
                }
                None => bad(),
            },
            ("depth", value) => set_depth(&mut self.depth, value).or_else(|()| bad()),
            ("versions", value) => set_versions(&mut self.versions, value).or_else(|()| bad()),
            (name, _) => no_effect("server", name),
        }
    }
}

impl ClientOptions {
    fn set(&mut self, option: &Term) -> Result<(), String> {
        let bad = || Err(format!("client: {option} is not what this option may be"));
        let Some((name, value)) = named(option) else { return bad() };
        match (name, value) {
            ("certfile", value) => set_path(&mut self.certfile, value).or_else(|()| bad()),
            ("keyfile", value) => set_path(&mut self.keyfile, value).or_else(|()| bad()),
            ("cacertfile", value) => set_path(&mut self.cacertfile, value).or_else(|()| bad()),
            ("verify", value) => set_verify(&mut self.verify, value).or_else(|()| bad()),
            ("server_name_indication", value) if value.is_atom("disable") => {
                self.server_name = ServerName::Unchecked;
                Ok(())
            }
            ("server_name_indication", value) => match chars(value) {
                Some(name) => {
                    self.server_name = ServerName::This(name);
                    Ok(())
                }
                None => bad(),
            },
            ("depth", value) => set_depth(&mut self.depth, value).or_else(|()| bad()),
            ("versions", value) => set_versions(&mut self.versions, value).or_else(|()| bad()),
            (name, _) => no_effect("client", name),
        }
    }
}

/// An option and its value; an atom alone is an option that is on.
fn named(option: &Term) -> Option<(&str, &Term)> {
    static TRUE: Term = Term::atom("true");
    match option.as_tuple() {
        Some([Term::Atom(name), value]) => Some((name.as_str(), value)),
        Some(_) => None,
        None => option.as_atom().map(|name| (name.as_str(), &TRUE)),
    }
}

/// Of the options that are not for us, those that change nothing about who is trusted are let be.
fn no_effect(side: &str, name: &str) -> Result<(), String> {
    const NO_EFFECT: [&str; 21] = [
        "active",
        "binary",
        "client_renegotiation",
        "deliver",
        "early_data",
        "handshake",
        "hibernate_after",
        "honor_cipher_order",
        "honor_ecc_order",
        "keep_secrets",
        "ktls",
        "list",
        "log_level",
        "middlebox_comp_mode",
        "nodelay",
        "packet",
        "receiver_spawn_opts",
        "reuse_session",
        "reuse_sessions",
        "secure_renegotiate",
        "session_tickets",
    ];
    match NO_EFFECT.contains(&name) {
        true => Ok(()),
        false => Err(format!("{side}: the option {name} is not one that this node has")),
    }
}

fn set_path(place: &mut Option<PathBuf>, value: &Term) -> Result<(), ()> {
    *place = Some(chars(value).ok_or(())?.into());
    Ok(())
}

fn set_verify(place: &mut Verify, value: &Term) -> Result<(), ()> {
    *place = match value.as_atom().map(|atom| atom.as_str()) {
        Some("verify_none") => Verify::None,
        Some("verify_peer") => Verify::Peer,
        _ => return Err(()),
    };
    Ok(())
}

fn set_depth(place: &mut Option<usize>, value: &Term) -> Result<(), ()> {
    *place = Some(value.as_u64().and_then(|depth| usize::try_from(depth).ok()).ok_or(())?);
    Ok(())
}

/// Older versions are left out, as those are no more of use to anybody; but one must be left.
fn set_versions(place: &mut Vec<Version>, value: &Term) -> Result<(), ()> {
    for version in value.as_list().ok_or(())? {
        match version.as_atom().map(|atom| atom.as_str()) {
            Some("tlsv1.3") => place.push(Version::V1_3),
            Some("tlsv1.2") => place.push(Version::V1_2),
            Some("tlsv1.1" | "tlsv1") => {}
            _ => return Err(()),
        }
    }
    if place.is_empty() { Err(()) } else { Ok(()) }
}

fn boolean(value: &Term) -> Option<bool> {
    match value.as_atom()?.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A charlist or a binary, and neither is empty.
fn chars(value: &Term) -> Option<String> {
    let text = match value {
        Term::Binary(binary) => binary.as_utf8()?.to_owned(),
        Term::List(chars) => {
            let char = |char: &Term| char::from_u32(u32::try_from(char.as_u64()?).ok()?);
            chars.iter().map(char).collect::<Option<String>>()?
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_otp() {
        let options = TlsOptions::parse(
            br#"% From the User's Guide.
            [{server, [{certfile, "/etc/server.pem"}, {keyfile, <<"key.pem">>}, {cacertfile, "ca.pem"},
                       {verify, verify_peer}, {fail_if_no_peer_cert, true}, {secure_renegotiate, true},
                       {versions, ['tlsv1.3', 'tlsv1.2', 'tlsv1.1']}, {depth, 2}, binary]},
             {client, [{verify, verify_none}, {server_name_indication, disable}, {ktls, true}]}]."#,
        )
        .unwrap();
        let server = ServerOptions {
            certfile: Some("/etc/server.pem".into()),
            keyfile: Some("key.pem".into()),
            cacertfile: Some("ca.pem".into()),
            verify: Verify::Peer,
            fail_if_no_peer_cert: true,
            depth: Some(2),
            versions: vec![Version::V1_3, Version::V1_2],
        };
        let client = ClientOptions {
            verify: Verify::None,
            server_name: ServerName::Unchecked,
            ..ClientOptions::default()
        };
        assert_eq!(options, TlsOptions { server, client });
        assert_eq!(TlsOptions::parse(b"[].").unwrap(), TlsOptions::default());
        let named = TlsOptions::parse(br#"[{client, [{server_name_indication, "a.example"}]}]."#).unwrap();
        assert_eq!(named.client.server_name, ServerName::This("a.example".into()));
    }

    #[test]
    fn options_one_by_one() {
        let mut options = TlsOptions::default();
        for (option, value) in [
            ("server_certfile", "cert.pem"),
            ("server_keyfile", "key.pem"),
            ("server_cacertfile", "ca.pem"),
            ("server_verify", "verify_peer"),
            ("server_fail_if_no_peer_cert", "true"),
            ("server_secure_renegotiate", "true"),
            ("client_verify", "verify_none"),
            ("client_depth", "2"),
        ] {
            assert_eq!(options.set_flag(option, value), Ok(()), "{option}");
        }
        let server = ServerOptions {
            certfile: Some("cert.pem".into()),
            keyfile: Some("key.pem".into()),
            cacertfile: Some("ca.pem".into()),
            verify: Verify::Peer,
            fail_if_no_peer_cert: true,
            ..ServerOptions::default()
        };
        let client = ClientOptions { verify: Verify::None, depth: Some(2), ..ClientOptions::default() };
        assert_eq!(options, TlsOptions { server, client });
        for (option, value) in [
            ("certfile", "x"),
            ("peer_certfile", "x"),
            ("server_password", "x"),
            ("server_verify", "maybe"),
            ("client_fail_if_no_peer_cert", "true"),
            ("client_depth", "deep"),
        ] {
            assert!(options.set_flag(option, value).is_err(), "{option} {value}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (file, says) in [
            ("[{server, [{certfile, pem}]}].", "certfile"),
            ("[{server, [{certfile, \"\"}]}].", "certfile"),
            ("[{server, [{verify, maybe}]}].", "verify"),
            ("[{server, [{depth, -1}]}].", "depth"),
            ("[{server, [{fail_if_no_peer_cert, yes}]}].", "fail_if_no_peer_cert"),
            ("[{server, [{versions, ['tlsv1.1']}]}].", "versions"),
            ("[{client, [{verify_fun, {f, x}}]}].", "client: the option verify_fun"),
            ("[{client, [{password, \"x\"}]}].", "client: the option password"),
            ("[{client, [{server_name_indication, any}]}].", "server_name_indication"),
            ("[{client, [{a, b, c}]}].", "{a,b,c}"),
            ("[{clients, []}].", "clients"),
            ("{server, []}.", "one list"),
            ("", "one list"),
            ("[{server,\n }].", "line 2"),
        ] {
            let error = TlsOptions::parse(file.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{file}: {error}");
        }
    }
}
