//! From options to what rustls takes.

use std::{io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

use super::{
    CheckedName,
    options::{ClientOptions, ServerOptions, TlsError, Verify, Version},
};

pub(super) fn server(options: &ServerOptions) -> Result<Arc<ServerConfig>, TlsError> {
    const SIDE: &str = "server";
    let rustls = |source| TlsError::Rustls { side: SIDE, source };
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(&options.versions))
        .map_err(rustls)?;
    let builder = match options.verify {
        Verify::None => builder.with_no_client_auth(),
        Verify::Peer => {
            let roots = Arc::new(roots(options.cacertfile.as_deref(), SIDE)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier =
                if options.fail_if_no_peer_cert { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| rustls(Error::General(error.to_string())))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let Some(certfile) = &options.certfile else {
        let hint = "a node shows a certificate to those that connect to it; give it by --ssl-dist-optfile";
        return Err(TlsError::Missing { option: "certfile", side: SIDE, hint });
    };
    let (chain, key) = identity(certfile, options.keyfile.as_deref())?;
    Ok(Arc::new(builder.with_single_cert(chain, key).map_err(rustls)?))
}

pub(super) fn client(options: &ClientOptions) -> Result<Arc<ClientConfig>, TlsError> {
    const SIDE: &str = "client";
    let rustls = |source| TlsError::Rustls { side: SIDE, source };
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(&options.versions))
        .map_err(rustls)?;
    let verifier = match options.verify {
        Verify::None => None,
        Verify::Peer => {
            let roots = Arc::new(roots(options.cacertfile.as_deref(), SIDE)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(verifier.map_err(|error| rustls(Error::General(error.to_string())))?)
        }
    };
    let builder = match (verifier, &options.server_name) {
        (Some(verifier), CheckedName::Host | CheckedName::This(_)) => builder.with_webpki_verifier(verifier),
        (verifier, _) => {
            let verifier = Lenient { verifier, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = match &options.certfile {
        Some(certfile) => {
            let (chain, key) = identity(certfile, options.keyfile.as_deref())?;
            builder.with_client_auth_cert(chain, key).map_err(rustls)?
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = options.server_name != CheckedName::Unchecked;
    Ok(Arc::new(config))
}

fn versions(wanted: &[Version]) -> Vec<&'static SupportedProtocolVersion> {
    let has = |version| wanted.is_empty() || wanted.contains(&version);
    let all = [(Version::V1_3, &TLS13), (Version::V1_2, &TLS12)];
    all.into_iter().filter(|(version, _)| has(*version)).map(|(_, version)| version).collect()
}

fn roots(file: Option<&Path>, side: &'static str) -> Result<RootCertStore, TlsError> {
    let Some(file) = file else {
        let hint = "it says whom `verify_peer` trusts; without it say {verify, verify_none}";
        return Err(TlsError::Missing { option: "cacertfile", side, hint });
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|source| TlsError::Rustls { side, source })?;
    }
    Ok(roots)
}

fn identity(
    certfile: &Path,
    keyfile: Option<&Path>,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let keyfile = keyfile.unwrap_or(certfile);
    let key = PrivateKeyDer::from_pem_file(keyfile).map_err(|error| of_pem(keyfile, error, "no key"))?;
    Ok((certificates(certfile)?, key))
}

pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| of_pem(file, error, "no certificates");
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(failed)?.collect();
    let all = all.map_err(failed)?;
    if all.is_empty() {
        return Err(failed(pem::Error::NoItemsFound));
    }
    Ok(all)
}

fn of_pem(path: &Path, error: pem::Error, none: &str) -> TlsError {
    match error {
        pem::Error::Io(source) => TlsError::File { path: path.into(), source },
        pem::Error::NoItemsFound => {
            let reason = format!("{none} in PEM; a key must not be encrypted");
            TlsError::Pem { path: path.into(), reason }
        }
        error => TlsError::Pem { path: path.into(), reason: io::Error::other(error).to_string() },
    }
}

/// Looks at less than rustls by itself: nothing without `verifier`, and with it whom it trusts, under any name. Either
/// way a peer must have the key of the certificate that it shows.
#[derive(Debug)]
struct Lenient {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(verifier) = &self.verifier else { return Ok(ServerCertVerified::assertion()) };
        match verifier.verify_server_cert(certificate, chain, name, ocsp, now) {
            // The name is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
