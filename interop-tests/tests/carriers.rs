//! Items 81 to 85 of wire.md 12: TLS and IPv6 between BEAM and Rust nodes, which read the same file of options.
#![expect(clippy::print_stdout, reason = "what the kernel has is shown with `--nocapture`")]

use std::{
    fmt::Write as _,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    sync::Arc,
    time::Duration,
};

use crabnode::{
    Node, NodeConfig,
    carrier::{
        Tcp,
        tls::{ClientOptions, ServerOptions, Tls, TlsOptions, Verify},
    },
};
use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, RustNode, clock::wait_for, crabnode_binary};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

mod peer_support;
use peer_support::{SOON, each_release, says};

/// Who signs the certificates of a test.
struct Authority {
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(cluster: &Cluster, name: &'static str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate");
        cluster.write(&format!("{name}.pem"), &issuer.pem());
        Self { name, issuer }
    }

    /// A certificate for a host, and its key, in one file.
    fn certify(&self, cluster: &Cluster, host: &str) -> String {
        let mut parameters = CertificateParams::new(vec![host.to_owned()]).expect("a host's name");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, host);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let file = format!("{}-{}.pem", self.name, host.replace(':', "_"));
        cluster.write(&file, &format!("{}{}", certificate.pem(), key.serialize_pem()));
        file
    }
}

impl Authority {
    /// The same from another that this one has signed, whose certificate is in the file as well.
    fn certify_through(&self, cluster: &Cluster, between: &str, host: &str) -> String {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, between);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::signed_by(parameters, key, &self.issuer).expect("a certificate");
        let mut parameters = CertificateParams::new(vec![host.to_owned()]).expect("a host's name");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, host);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
        let file = format!("{between}-{host}.pem");
        cluster.write(&file, &format!("{}{}{}", certificate.pem(), issuer.pem(), key.serialize_pem()));
        file
    }
}

/// A file of options in which both sides show a certificate, and want one that `trusted` has signed.
fn optfile(
    cluster: &Cluster,
    name: &str,
    certificate: &str,
    trusted: &Authority,
    [for_both, for_client]: [&str; 2],
) -> String {
    let trusted = trusted.name;
    let common =
        format!(r#"{{certfile, "{certificate}"}}, {{cacertfile, "{trusted}.pem"}}, {{verify, verify_peer}}"#);
    let mut text = String::new();
    write!(
        text,
        "[{{server, [{common}, {{fail_if_no_peer_cert, true}}{for_both}]}},
          {{client, [{common}{for_both}{for_client}]}}]."
    )
    .expect("a string takes all");
    cluster.write(name, &text).display().to_string()
}

/// A first contact over TLS may take long on a machine that is busy: much is loaded for it. An evaluation may take longer.
fn erl(cluster: &Cluster, otp: &Otp, name: &str, protocol: &str, optfile: Option<&str>) -> ErlNode {
    let mut spec = NodeSpec::args(["-proto_dist", protocol, "-kernel", "net_setuptime", "30"]);
    if let Some(file) = optfile {
        spec.args.extend(["-ssl_dist_optfile".into(), file.into()]);
    }
    cluster.erl_with(otp, name, &spec)
}

fn peer(cluster: &Cluster, name: &str, protocol: &str, optfile: Option<&str>, more: &[&str]) -> RustNode {
    let mut spec = NodeSpec::args(["--proto-dist", protocol]);
    if let Some(file) = optfile {
        spec.args.extend(["--ssl-dist-optfile".into(), file.into()]);
    }
    spec.args.extend(more.iter().map(|&arg| arg.to_owned()));
    cluster.peer_with(name, &spec)
}

/// A peer that has dialled this `erl` as it started.
fn dials(cluster: &Cluster, name: &str, protocol: &str, optfile: Option<&str>, to: &mut ErlNode) -> RustNode {
    let args = ["--connect".to_owned(), to.node().to_owned()];
    let args = args.each_ref().map(String::as_str);
    // It dials once: one that a busy machine has kept from it is started again.
    for _ in 0..3 {
        let dialler = peer(cluster, name, protocol, optfile, &args);
        let is_there = format!("lists:member('{}', nodes())", dialler.node());
        if wait_for(SOON, || (to.eval(&is_there) == "true").then_some(())).is_some() {
            return dialler;
        }
        eprintln!("{}", dialler.output());
    }
    panic!("{name} has not dialled {}", to.node());
}

/// A peer that has dialled this node as it started, and in vain: it says so with these words.
fn dials_in_vain(cluster: &Cluster, name: &str, optfile: &str, to: &str, words: &[&str]) -> RustNode {
    let mut said = String::new();
    // On a busy machine it may give up before it comes to that.
    for _ in 0..3 {
        let mut dialler = peer(cluster, name, "inet_tls", Some(optfile), &["--connect", to]);
        wait_for_line(&mut dialler, &["not connected", to]);
        said = dialler.output();
        if said.lines().any(|line| ["not connected", to].iter().chain(words).all(|word| line.contains(word)))
        {
            return dialler;
        }
    }
    panic!("{words:?} in: {said}");
}

/// It pings these, and they answer. A first contact over TLS may fail on a busy machine.
fn pings(erl: &mut ErlNode, nodes: &[&str]) {
    for node in nodes {
        erl.eval_until(&format!("net_adm:ping({node})"), "pong", SOON * 2);
    }
}

/// Calls, and a message that is longer than any record or fragment, both ways.
fn talk(erl: &mut ErlNode, peer: &str) {
    exchange(erl, peer);
    says(erl, &format!("global:sync(), net_adm:ping({peer})"), "pong");
}

fn exchange(erl: &mut ErlNode, peer: &str) {
    says(erl, &format!("rpc:call({peer}, erlang, node, [])"), peer);
    says(erl, &format!("gen_server:call({{echo_server, {peer}}}, x)"), "{echo,x}");
    says(
        erl,
        &format!(
            "B = crypto:strong_rand_bytes(3 bsl 20), {{echo, peer}} = gen_server:call({{echo_server, {peer}}}, peer),
             {{echo, C}} = gen_server:call({{echo_server, {peer}}}, B, 30000), C =:= B"
        ),
        "true",
    );
}

/// The BEAM dials, and is dialled.
#[test]
fn item_81_tls_in_both_roles() {
    each_release(|otp| {
        // The default of the release, and from OTP 25 on the newer version alone.
        let variants: &[&str] = match otp.number() {
            23 => &[", {secure_renegotiate, true}"],
            _ => &["", ", {versions, ['tlsv1.3']}"],
        };
        for more in variants {
            let cluster = Cluster::new(otp);
            let authority = Authority::new(&cluster, "ca");
            let certificate = authority.certify(&cluster, "localhost");
            let file = optfile(&cluster, "ssl.conf", &certificate, &authority, [more, ""]);
            let mut erl = erl(&cluster, otp, "e", "inet_tls", Some(&file));
            let _dialled = peer(&cluster, "r", "inet_tls", Some(&file), &[]);
            pings(&mut erl, &["r@localhost"]);
            talk(&mut erl, "r@localhost");
            let _dialler = dials(&cluster, "s", "inet_tls", Some(&file), &mut erl);
            talk(&mut erl, "s@localhost");
            // The Rust nodes have found each other.
            erl.eval_until(
                "lists:sort(rpc:call(s@localhost, erlang, nodes, []))",
                "[e@localhost,r@localhost]",
                SOON,
            );
        }
    });
}

/// A command that asks a node takes the same file, and nothing more need be said.
#[test]
fn a_node_is_called_over_tls() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let authority = Authority::new(&cluster, "ca");
        let certificate = authority.certify(&cluster, "localhost");
        let more = if otp.number() == 23 { ", {secure_renegotiate, true}" } else { "" };
        let file = optfile(&cluster, "ssl.conf", &certificate, &authority, [more, ""]);
        let mut erl = erl(&cluster, otp, "e", "inet_tls", Some(&file));
        let call = |tls: &[&str]| {
            let mut command = Command::new(crabnode_binary());
            command.args(["call", "e@localhost", "erlang", "node", "--cookie", cluster.cookie()]).args(tls);
            cluster.set_environment(&mut command);
            let output = command.output().expect("it can be started");
            (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
        };
        assert_eq!(call(&["--ssl-dist-optfile", &file]), ("e@localhost\n".into(), Some(0)));
        assert_eq!(call(&[]), (String::new(), Some(1)));
        // The one that has called, a hidden node, is about to be gone.
        erl.eval_until("nodes(connected)", "[]", SOON);
    });
}

/// Who has no certificate that is trusted, or one for another host, stays out; both sides say why.
#[test]
fn item_82_certificates_are_checked() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (ours, others) = (Authority::new(&cluster, "ours"), Authority::new(&cluster, "others"));
        let good = ours.certify(&cluster, "localhost");
        let elsewhere = ours.certify(&cluster, "elsewhere.example");
        let foreign = others.certify(&cluster, "localhost");
        let good = optfile(&cluster, "good.conf", &good, &ours, ["", ""]);
        let foreign = optfile(&cluster, "foreign.conf", &foreign, &others, ["", ""]);
        let any_name = ["", ", {server_name_indication, disable}"];
        let elsewhere = optfile(&cluster, "elsewhere.conf", &elsewhere, &ours, any_name);

        let mut erl_good = erl(&cluster, otp, "e", "inet_tls", Some(&good));
        let mut stranger = dials_in_vain(&cluster, "r", &foreign, "e@localhost", &["TLS", "UnknownIssuer"]);
        says(&mut erl_good, "net_adm:ping(r@localhost)", "pang");
        wait_for_line(&mut stranger, &["refused", "TLS"]);
        drop(stranger);

        // Its certificate is for another host: whoever dials it and checks that refuses it.
        let mut other_host = peer(&cluster, "s", "inet_tls", Some(&elsewhere), &[]);
        says(&mut erl_good, "net_adm:ping(s@localhost)", "pang");
        wait_for_line(&mut other_host, &["refused", "TLS"]);
        drop(other_host);
        let mut erl_elsewhere = erl(&cluster, otp, "f", "inet_tls", Some(&elsewhere));
        drop(dials_in_vain(&cluster, "t", &good, "f@localhost", &["TLS", "not valid for"]));
        // Who is told not to look at names takes it.
        let _trusting = dials(&cluster, "u", "inet_tls", Some(&elsewhere), &mut erl_elsewhere);
        says(&mut erl_elsewhere, "nodes()", "[u@localhost]");

        // In the clear nobody comes in, and a node in the clear lets nobody in that is not.
        let mut clear = peer(&cluster, "v", "inet_tcp", None, &["--connect", "e@localhost"]);
        wait_for_line(&mut clear, &["not connected", "e@localhost"]);
        says(&mut erl_good, "net_adm:ping(v@localhost)", "pang");
        says(&mut erl_good, "nodes()", "[]");
    });
}

/// `depth` counts what stands between a node's certificate and the authority, on both sides alike; the authority's own
/// certificate, which BEAM nodes send along, is none of it.
#[test]
fn item_82_depth_is_counted_as_otp_does() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let authority = Authority::new(&cluster, "ca");
        let direct = authority.certify(&cluster, "localhost");
        let indirect = authority.certify_through(&cluster, "between", "localhost");
        let file = |name: &str, certificate: &str, depth: u32| {
            let depth = format!(", {{depth, {depth}}}");
            optfile(&cluster, name, certificate, &authority, [&depth, ""])
        };
        let (direct, strict) = (file("direct.conf", &direct, 0), file("strict.conf", &indirect, 0));
        let lenient = file("lenient.conf", &indirect, 1);

        let mut erl_direct = erl(&cluster, otp, "e", "inet_tls", Some(&direct));
        let _direct = dials(&cluster, "r", "inet_tls", Some(&direct), &mut erl_direct);
        says(&mut erl_direct, "nodes()", "[r@localhost]");
        // One certificate between is one too many for us, and for it.
        let mut far = peer(&cluster, "s", "inet_tls", Some(&strict), &["--connect", "e@localhost"]);
        wait_for_line(&mut far, &["not connected", "e@localhost"]);
        says(&mut erl_direct, "net_adm:ping(s@localhost)", "pang");
        drop(far);
        let mut erl_lenient = erl(&cluster, otp, "f", "inet_tls", Some(&lenient));
        let _strict = dials_in_vain(&cluster, "t", &strict, "f@localhost", &["TLS: 1 certificates between"]);
        let _lenient = dials(&cluster, "u", "inet_tls", Some(&lenient), &mut erl_lenient);
        says(&mut erl_lenient, "nodes()", "[u@localhost]");
    });
}

/// A BEAM node that judges certificates by a function of its own: ours is asked, in both roles.
#[test]
fn item_82_verify_fun_of_the_beam() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let authority = Authority::new(&cluster, "ca");
        let certificate = authority.certify(&cluster, "localhost");
        let plain = optfile(&cluster, "plain.conf", &certificate, &authority, ["", ""]);
        let judged_by = |function: &str| {
            let option = format!(", {{verify_fun, {{fun ct_tls:{function}/3, []}}}}");
            optfile(&cluster, &format!("{function}.conf"), &certificate, &authority, [&option, ""])
        };
        let mut passes = erl(&cluster, otp, "e", "inet_tls", Some(&judged_by("pass")));
        let dialled = peer(&cluster, "r", "inet_tls", Some(&plain), &[]);
        pings(&mut passes, &["r@localhost"]);
        let dialler = dials(&cluster, "s", "inet_tls", Some(&plain), &mut passes);
        drop((dialled, dialler));

        let mut fails = erl(&cluster, otp, "f", "inet_tls", Some(&judged_by("fail")));
        let mut dialled = peer(&cluster, "t", "inet_tls", Some(&plain), &[]);
        says(&mut fails, "net_adm:ping(t@localhost)", "pang");
        wait_for_line(&mut dialled, &["refused", "TLS"]);
        let mut dialler = peer(&cluster, "u", "inet_tls", Some(&plain), &["--connect", "f@localhost"]);
        wait_for_line(&mut dialler, &["not connected", "f@localhost"]);
        says(&mut fails, "nodes()", "[]");
    });
}

/// A certificate that is renewed while the node runs is used without a new start, as OTP does; the connections that are
/// there stay. Here the files are looked at each time, and not every two minutes.
#[test]
fn a_renewed_certificate_is_used() {
    let otp = Otp::newest();
    let cluster = Cluster::new(&otp);
    let authority = Authority::new(&cluster, "ca");
    let (wrong, good) =
        (authority.certify(&cluster, "elsewhere.example"), authority.certify(&cluster, "localhost"));
    let file = optfile(&cluster, "ssl.conf", &good, &authority, ["", ""]);
    let mut erl = erl(&cluster, &otp, "e", "inet_tls", Some(&file));
    let own = cluster.home().join("own.pem");
    let renew = |from: &str| std::fs::copy(cluster.home().join(from), &own).expect("it can be copied");
    renew(&wrong);
    let (certfile, cacertfile) = (Some(own.clone()), Some(cluster.home().join("ca.pem")));
    let server = ServerOptions {
        certfile: certfile.clone(),
        cacertfile: cacertfile.clone(),
        verify: Verify::Peer,
        ..ServerOptions::default()
    };
    let client = ClientOptions { certfile, cacertfile, ..ClientOptions::default() };
    let tls = Tls::new(Tcp::default(), &TlsOptions { server, client }).expect("the files are there");
    let config = NodeConfig {
        carrier: Arc::new(tls.look_again_after(Duration::ZERO)),
        cookie: Some(cluster.cookie().to_owned()),
        epmd_port: Some(cluster.epmd_port()),
        start_epmd: false,
        ..NodeConfig::new("r@localhost")
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let node = runtime.block_on(Node::start(config)).expect("our node starts");
    says(&mut erl, "net_adm:ping(r@localhost)", "pang");
    renew(&good);
    pings(&mut erl, &["r@localhost"]);
    // What is no certificate, such as a file that is half written, changes nothing.
    std::fs::write(&own, "-----BEGIN").expect("it can be written");
    says(&mut erl, "nodes()", "[r@localhost]");
    // The `global` of the BEAM connects again where it is cut off as it meets another: then once more.
    let cut = "(fun() -> erlang:disconnect_node(r@localhost), nodes() end)()";
    erl.eval_until(cut, "[]", SOON);
    pings(&mut erl, &["r@localhost"]);
    // Ours dials with it, too: the peer wants to see one that it trusts.
    renew(&wrong);
    erl.eval_until(cut, "[]", SOON);
    runtime.block_on(async {
        assert!(node.connect("e@localhost").await.is_ok(), "a client's name is nobody's affair");
        node.stop().await;
    });
}

/// `-ssl_dist_opt` in the place of a file, on both sides.
#[test]
fn options_of_tls_one_by_one() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let authority = Authority::new(&cluster, "ca");
        let certificate = authority.certify(&cluster, "localhost");
        let options = [
            ["server_certfile", &certificate],
            ["server_cacertfile", "ca.pem"],
            ["server_verify", "verify_peer"],
            ["server_fail_if_no_peer_cert", "true"],
            ["client_certfile", &certificate],
            ["client_cacertfile", "ca.pem"],
            ["client_verify", "verify_peer"],
        ];
        let spec = |protocol: [&str; 2], flag: &str| {
            let mut spec = NodeSpec::args(protocol);
            spec.args
                .extend(options.iter().flat_map(|[option, value]| [flag, option, value]).map(str::to_owned));
            spec
        };
        let mut erl = cluster.erl_with(otp, "e", &spec(["-proto_dist", "inet_tls"], "-ssl_dist_opt"));
        let _peer = cluster.peer_with("r", &spec(["--proto-dist", "inet_tls"], "--ssl-dist-opt"));
        pings(&mut erl, &["r@localhost"]);
        talk(&mut erl, "r@localhost");
    });
}

/// Whoever comes to a node's port with no TLS, or with nothing to say, is gone after `net_setuptime` at the latest and
/// in nobody's way.
#[test]
fn strangers_at_the_door_of_tls() {
    let otp = Otp::available().remove(0);
    let cluster = Cluster::new(&otp);
    let authority = Authority::new(&cluster, "ca");
    let certificate = authority.certify(&cluster, "localhost");
    let file = optfile(&cluster, "ssl.conf", &certificate, &authority, ["", ""]);
    let mut erl = erl(&cluster, &otp, "e", "inet_tls", Some(&file));
    let mut peer = peer(&cluster, "r", "inet_tls", Some(&file), &[]);
    let dial = || {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, peer.port())).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has the option");
        stream
    };
    let mut silent: Vec<TcpStream> = (0..8).map(|_| dial()).collect();
    let (mut clear, mut begun, mut noise) = (dial(), dial(), dial());
    // The first frame of a handshake without TLS; the first bytes of one of TLS; neither.
    clear.write_all(b"\0\x0fN\0\0\0\x0d\x07\xdf\x7f\xbd\0\0\0\x01\0\x01x").expect("it is open");
    begun.write_all(&[0x16, 3, 1, 0x3f, 0xff, 1]).expect("it is open");
    noise.write_all(&[0xff; 5000]).expect("it is open");
    silent.extend([clear, begun, noise]);
    pings(&mut erl, &["r@localhost"]);
    talk(&mut erl, "r@localhost");
    for mut stranger in silent {
        // An alert may come first, and a reset is an end as well.
        let mut said = Vec::new();
        let end = stranger.read_to_end(&mut said);
        assert!(said.len() < 16, "{said:?}");
        assert!(
            end.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true),
            "{end:?}"
        );
    }
    wait_for_line(&mut peer, &["refused", "TLS"]);
    says(&mut erl, "net_adm:ping(r@localhost)", "pong");
}

/// A peer that stops reading holds up who sends to it and nobody else, whichever side it is, and nothing is lost.
#[test]
fn item_83_a_slow_reader_over_tls() {
    /// What is sent each way, in messages of about 64 KiB: many times what the buffers of both sides take.
    const MESSAGES: u32 = 800;
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let authority = Authority::new(&cluster, "ca");
        let certificate = authority.certify(&cluster, "localhost");
        let file = optfile(&cluster, "ssl.conf", &certificate, &authority, ["", ""]);
        let mut erl_a = erl(&cluster, otp, "e", "inet_tls", Some(&file));
        let mut erl_b = erl(&cluster, otp, "f", "inet_tls", Some(&file));
        let mut peer = peer(&cluster, "r", "inet_tls", Some(&file), &[]);
        pings(&mut erl_a, &["r@localhost", "f@localhost"]);
        pings(&mut erl_b, &["r@localhost"]);
        exchange(&mut erl_a, "r@localhost");

        // We send, and the BEAM does not read.
        erl_b.eval(
            "Counter = spawn(fun() -> receive {all, To} -> To ! {counted, (fun F(N) ->
                 receive [7000 | _] -> F(N + 1) after 0 -> N end end)(0)} end end),
             register(counter, Counter)",
        );
        erl_b.process().signal("STOP");
        let before = resident_kib(peer.process().id());
        erl_a.eval(&format!(
            "{{source, r@localhost}} ! {{self(), {{blast, {{counter, f@localhost}}, {MESSAGES}, lists:duplicate(13000, 7000)}}}}"
        ));
        says(&mut erl_a, "receive {blast_done, N} -> N after 2000 -> waits end", "waits");
        // Others are served as ever, and nothing piles up.
        exchange(&mut erl_a, "r@localhost");
        let grown = resident_kib(peer.process().id()).saturating_sub(before);
        assert!(grown < 16 << 10, "{grown} KiB more for a peer that does not read");
        erl_b.process().signal("CONT");
        says(&mut erl_a, "receive {blast_done, N} -> N after 45000 -> waits end", &MESSAGES.to_string());
        let all = format!("{{message_queue_len,{MESSAGES}}}");
        erl_b.eval_until("process_info(Counter, message_queue_len)", &all, SOON);
        says(&mut erl_b, "Counter ! {all, self()}, receive {counted, N} -> N end", &MESSAGES.to_string());

        // The BEAM sends, and we do not read.
        peer.process().signal("STOP");
        erl_a.eval(&format!(
            "Big = binary:copy(<<7>>, 65536), Me = self(),
             P = spawn(fun() -> [{{sink, r@localhost}} ! Big || _ <- lists:seq(1, {MESSAGES})], Me ! sent end)"
        ));
        erl_a.eval_until("process_info(P, status)", "{status,suspended}", SOON);
        peer.process().signal("CONT");
        says(&mut erl_a, "receive sent -> ok after 45000 -> late end", "ok");
        says(
            &mut erl_a,
            "{sink, r@localhost} ! {self(), sync}, receive {sink, N} -> N after 45000 -> late end",
            &MESSAGES.to_string(),
        );
    });
}

/// What a process has in memory, as Linux says.
fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

fn wait_for_line(peer: &mut RustNode, words: &[&str]) {
    let found = peer
        .process()
        .wait_for_line(SOON * 2, "say it", |line| words.iter().all(|word| line.contains(word)).then_some(()));
    found.unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

/// Of nodes whose host is an address: what `localhost` is, is for each machine to say.
#[test]
fn item_85_ipv6() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut erl = erl(&cluster, otp, "e@::1", "inet6_tcp", None);
        let _dialled = peer(&cluster, "r@::1", "inet6_tcp", None, &[]);
        pings(&mut erl, &["'r@::1'"]);
        talk(&mut erl, "'r@::1'");
        let _dialler = dials(&cluster, "s@::1", "inet6_tcp", None, &mut erl);
        talk(&mut erl, "'s@::1'");
    });
}

#[test]
fn item_85_tls_over_ipv6() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let authority = Authority::new(&cluster, "ca");
        let certificate = authority.certify(&cluster, "::1");
        let file = optfile(&cluster, "ssl.conf", &certificate, &authority, ["", ""]);
        let mut erl = erl(&cluster, otp, "e@::1", "inet6_tls", Some(&file));
        let _dialler = dials(&cluster, "r@::1", "inet6_tls", Some(&file), &mut erl);
        says(&mut erl, "nodes()", "['r@::1']");
        talk(&mut erl, "'r@::1'");
    });
}

/// OTP 26 and later can leave the records of TLS to the kernel; on the wire it is the same. Where the kernel has no TLS,
/// such a BEAM comes to no connection, whichever side begins it, and a node of ours serves others as ever.
#[test]
fn item_84_a_beam_with_ktls() {
    let ulps = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_ulp").unwrap_or_default();
    let has_ktls = ulps.split_whitespace().any(|ulp| ulp == "tls");
    each_release(|otp| {
        if otp.number() < 26 {
            println!("item 84, OTP {}: it knows no kTLS", otp.number());
            return;
        }
        let cluster = Cluster::new(otp);
        let authority = Authority::new(&cluster, "ca");
        let certificate = authority.certify(&cluster, "localhost");
        let options = |file: &str, more: &str| optfile(&cluster, file, &certificate, &authority, [more, ""]);
        // What the kernel can do.
        let suite = r#", {versions, ['tlsv1.3']}, {ciphers, ["TLS_AES_256_GCM_SHA384"]}"#;
        let with = options("with.conf", &format!("{suite}, {{ktls, true}}"));
        let without = options("without.conf", suite);
        let ours = options("ours.conf", ", {ktls, true}");
        let mut erl_with = erl(&cluster, otp, "e", "inet_tls", Some(&with));
        let mut erl_without = erl(&cluster, otp, "f", "inet_tls", Some(&without));
        let _dialled = peer(&cluster, "r", "inet_tls", Some(&ours), &[]);
        if has_ktls {
            println!("item 84, OTP {}: the kernel has TLS, and the BEAM uses it", otp.number());
            pings(&mut erl_with, &["r@localhost"]);
            talk(&mut erl_with, "r@localhost");
            let _dialler = dials(&cluster, "s", "inet_tls", Some(&ours), &mut erl_with);
            talk(&mut erl_with, "s@localhost");
        } else {
            println!(
                "item 84, OTP {}: this kernel has no TLS, only {ulps:?}: the BEAM must fail",
                otp.number()
            );
            says(&mut erl_with, "net_adm:ping(r@localhost)", "pang");
            let mut dialler = peer(&cluster, "s", "inet_tls", Some(&ours), &["--connect", "e@localhost"]);
            wait_for_line(&mut dialler, &["not connected", "e@localhost"]);
            says(&mut erl_with, "nodes()", "[]");
        }
        pings(&mut erl_without, &["r@localhost"]);
        talk(&mut erl_without, "r@localhost");
    });
}
