//! What nodes need for TLS: a certificate of `localhost`, who signed it, and an options file that both sides demand it by.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Writes `ca.pem`, `node.pem` and `tls.conf` into a folder.
pub(crate) fn write(dir: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "bench");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key"));
    let issuer = issuer.expect("a certificate");
    let node = CertificateParams::new(vec!["localhost".to_owned()]).expect("a host's name");
    let key = KeyPair::generate().expect("a key");
    let certificate = node.signed_by(&key, &issuer).expect("a certificate");
    let save = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).expect("the folder takes files");
        path.to_str().expect("UTF-8").to_owned()
    };
    let authority = save("ca.pem", &issuer.pem());
    let own = save("node.pem", &format!("{}{}", certificate.pem(), key.serialize_pem()));
    let common = format!(
        r#"{{certfile, "{own}"}}, {{cacertfile, "{authority}"}}, {{verify, verify_peer}}, {{versions, ['tlsv1.3']}}"#
    );
    save(
        "tls.conf",
        &format!("[{{server, [{common}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{common}]}}]."),
    );
}
