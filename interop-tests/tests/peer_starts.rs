//! Starts of `crabnode peer` that cannot succeed, and those that do as they are told: one clear line each, and the
//! exit status that says whose fault it was.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use interop_tests::{Cluster, NodeSpec, Otp, Process, TestPorts, clock::now, crabnode_binary};

mod peer_support;
use peer_support::{Pair, SOON, each_release, says};

/// `crabnode peer` with exactly these arguments, on an EPMD port of its own unless they name one.
fn start(home: &Path, epmd_port: u16, args: &[&str]) -> Process {
    let mut command = Command::new(crabnode_binary());
    command.arg("peer").args(args).env("HOME", home).env("ERL_EPMD_PORT", epmd_port.to_string());
    command.env_remove("XDG_CONFIG_HOME").env_remove("RUST_BACKTRACE").env_remove("RUST_LOG");
    Process::start(format!("crabnode peer {args:?}"), &mut command)
}

/// It ends by itself with this status, having said one line in which all the words are.
fn ends_with(mut process: Process, status: i32, words: &[&str]) {
    let ended = process.wait_for_exit(SOON * 2).unwrap_or_else(|error| panic!("{error}"));
    let lines = process.lines();
    assert_eq!(ended.code(), Some(status), "{}", process.say("ended with another status"));
    assert_eq!(lines.len(), 1, "{}", process.say("was to say one line"));
    assert!(words.iter().all(|word| lines[0].contains(word)), "{words:?} in: {}", lines[0]);
    assert!(!lines[0].contains("panicked"), "{}", lines[0]);
}

fn wait_until_ready(process: &mut Process) -> u16 {
    let port = process.wait_for_line(SOON * 2, "accept connections", |line| {
        line.strip_prefix("ready ")?.split_once(' ')?.1.parse().ok()
    });
    port.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_name_that_is_registered_already() {
    each_release(|otp| {
        let pair = Pair::start(otp);
        for name in ["e@localhost", "r@localhost"] {
            let again =
                start(pair.cluster.home(), pair.cluster.epmd_port(), &["--sname", name, "--cookie", "c"]);
            ends_with(again, 1, &[name, "name"]);
        }
    });
}

#[test]
fn values_that_a_flag_cannot_have() {
    let cluster = Cluster::without_epmd();
    let malformed = cluster.write("bad.config", "[{kernel,\n}].\n").display().to_string();
    let long_name = "x".repeat(300);
    for (args, words) in [
        (&["--sname", "a@b@c"][..], &["a@b@c"][..]),
        (&["--sname", "a b"], &["a b"]),
        (&["--sname", ""], &["name"]),
        (&["--sname", "@localhost"], &["@localhost"]),
        (&["--sname", "a@"], &["a@"]),
        (&["--sname", &long_name], &["name"]),
        (&["--sname", "a@host.example"], &["a@host.example", "short", "dot"]),
        (&["--name", "a@localhost"], &["a@localhost", "long", "dot"]),
        (&["--cookie", "c"], &["name"]),
        (&["--sname", "a", "--cookie", ""], &["cookie"]),
        (&["--sname", "a", "--cookie", &long_name], &["cookie"]),
        (&["--sname", "a", "--epmd-port", "0"], &["--epmd-port", "0"]),
        (&["--sname", "a", "--epmd-port", "65536"], &["--epmd-port", "65536"]),
        (&["--sname", "a", "--epmd-port", "x"], &["--epmd-port", "x"]),
        (&["--sname", "a", "--net-ticktime", "0"], &["--net-ticktime", "0"]),
        (&["--sname", "a", "--net-ticktime=-4"], &["--net-ticktime", "-4"]),
        (&["--sname", "a", "--net-ticktime", "soon"], &["--net-ticktime", "soon"]),
        (&["--sname", "a", "--net-ticktime", "18446744073709551615"], &["net", "ticktime"]),
        (&["--sname", "a", "--dist-listen-min", "x"], &["--dist-listen-min", "x"]),
        (&["--sname", "a", "--dist-listen-max", "9000"], &["--dist-listen-m"]),
        (&["--sname", "a", "--dist-listen-min", "9001", "--dist-listen-max", "9000"], &["--dist-listen-m"]),
        (&["--sname", "a", "--connect", "nowhere"], &["nowhere"]),
        (&["--sname", "a", "--connect", "a@b@c"], &["a@b@c"]),
        (&["--sname", "a", "--config", "/no/such/file"], &["/no/such/file"]),
        (&["--sname", "a", "--config", &malformed], &["bad.config", "line 2, column 1"]),
    ] {
        ends_with(start(cluster.home(), cluster.epmd_port(), args), 1, words);
    }
    let mut command = Command::new(crabnode_binary());
    command.args(["peer", "--sname", "a", "--cookie", "c"]).env("ERL_EPMD_PORT", "many");
    ends_with(Process::start("crabnode peer", &mut command), 1, &["ERL_EPMD_PORT", "many"]);
}

/// The flags of `erl` that a `sys.config` says too: the file's parameter counts, and the flag more.
#[test]
fn a_config_is_read() {
    let cluster = Cluster::without_epmd();
    let config = cluster.write("good.config", "[{kernel, [{net_ticktime, 7}]}].\n").display().to_string();
    for (args, ticktime) in
        [(&["--config", &config][..], "7"), (&["--config", &config, "--net-ticktime", "9"], "9")]
    {
        let mut peer = start(
            cluster.home(),
            cluster.epmd_port(),
            &[&["--sname", "r@localhost", "--cookie", cluster.cookie()], args].concat(),
        );
        wait_until_ready(&mut peer);
        let mut erl = cluster.erl_with(&Otp::newest(), "e", &NodeSpec::hidden());
        says(&mut erl, "rpc:call(r@localhost, net_kernel, get_net_ticktime, [])", ticktime);
    }
}

/// The nodes that it waits for, and `dist_ac`, as `erl -config` has them; none of the applications is its own.
#[test]
fn a_config_of_a_cluster_is_that_of_a_member() {
    let cluster = Cluster::without_epmd();
    let write = |name: &str, kernel: &str| {
        cluster.write(name, &format!("[{{kernel, [{kernel}]}}].\n")).display().to_string()
    };
    let peer = |config: &str| {
        let args = ["--sname", "r@localhost", "--cookie", cluster.cookie(), "--config", config];
        start(cluster.home(), cluster.epmd_port(), &args)
    };
    // The line of `ready`, and the slogan of a stock node.
    let missing = write("missing.config", "{sync_nodes_mandatory, [x@localhost]}, {sync_nodes_timeout, 300}");
    let mut alone = peer(&missing);
    let ended = alone.wait_for_exit(SOON * 2).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ended.code(), Some(1), "{}", alone.output());
    assert!(alone.output().contains("{mandatory_nodes_down,[x@localhost]}"), "{}", alone.output());
    let bad = write("bad_time.config", "{sync_nodes_optional, [x@localhost]}, {sync_nodes_timeout, soon}");
    ends_with(peer(&bad), 1, &["badopt", "sync_nodes_timeout", "soon"]);

    let distributed = "{distributed, [{shared, 300, ['e@localhost', 'r@localhost']}]}";
    let member = write("member.config", distributed);
    let mut peer = peer(&member);
    wait_until_ready(&mut peer);
    let spec = NodeSpec::args(["-config", &member]);
    let mut erl = cluster.erl_with(&Otp::newest(), "e", &spec);
    says(&mut erl, "net_adm:ping(r@localhost)", "pong");
    erl.eval_until(
        "lists:sort(gen_server:call(dist_ac, get_known_nodes))",
        "[e@localhost,r@localhost]",
        SOON * 2,
    );
    says(
        &mut erl,
        "lists:keymember(kernel, 1, rpc:call(r@localhost, application, which_applications, []))",
        "true",
    );
    says(
        &mut erl,
        "application:load({application, shared, [{vsn, \"1\"}, {modules, []}, {registered, []}]}), \
         {application:start(shared), lists:keymember(shared, 1, application:which_applications())}",
        "{ok,true}",
    );
}

#[test]
fn flags_that_nobody_knows_are_misuse() {
    let cluster = Cluster::without_epmd();
    for args in [
        &["--sname", "a", "--no-such-flag"][..],
        &["--sname", "a", "-sname", "b"],
        &["--sname", "a", "--name", "b@c.d"],
        &["--sname", "a", "operand"],
        &["--sname"],
    ] {
        let mut process = start(cluster.home(), cluster.epmd_port(), args);
        let ended = process.wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(ended.code(), Some(2), "{}", process.say("ended with another status"));
        assert!(process.output().contains("--help"), "{}", process.output());
    }
}

#[test]
fn ports_to_listen_at() {
    let cluster = Cluster::new(&Otp::newest());
    let held = TestPorts::new(2);
    let first = held.first();
    let (min, max) = (first.to_string(), (first + 1).to_string());
    let range = ["--dist-listen-min", &min, "--dist-listen-max", &max];
    let peer = |name: &str| {
        let args = [&["--sname", name, "--cookie", "c"][..], &range].concat();
        start(cluster.home(), cluster.epmd_port(), &args)
    };
    let mut a = peer("a@localhost");
    assert_eq!(wait_until_ready(&mut a), first);
    let mut b = peer("b@localhost");
    assert_eq!(wait_until_ready(&mut b), first + 1);
    ends_with(peer("c@localhost"), 1, &["listen", &min, &max]);
    a.signal("TERM");
    a.wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
    // The port is free at once, and the first of the range is taken again. A minimum alone is that port.
    let args = ["--sname", "c@localhost", "--cookie", "c", "--dist-listen-min", &min];
    let mut c = start(cluster.home(), cluster.epmd_port(), &args);
    assert_eq!(wait_until_ready(&mut c), first);
    ends_with(
        start(
            cluster.home(),
            cluster.epmd_port(),
            &args.map(|arg| if arg == "c@localhost" { "d@localhost" } else { arg }),
        ),
        1,
        &["listen", &min],
    );
    // The EPMD says the same port.
    let mut names = Command::new(crabnode_binary());
    names.args(["names", "--epmd-port", &cluster.epmd_port().to_string()]);
    let mut names = Process::start("crabnode names", &mut names);
    assert_eq!(names.wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}")).code(), Some(0));
    let listed = names.output();
    assert!(listed.contains(&format!("name c at port {first}")), "{listed}");
    assert!(listed.contains(&format!("name b at port {}", first + 1)), "{listed}");
    assert!(!listed.contains("name a "), "{listed}");
}

/// Without a flag the cookie is the user's, whom an `erl` of the same user finds too.
#[test]
fn item_22_the_users_cookie() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let file = cluster.home().join(".erlang.cookie");
        let mut peer = start(cluster.home(), cluster.epmd_port(), &["--sname", "r@localhost"]);
        wait_until_ready(&mut peer);
        let text = fs::read_to_string(&file).expect("the peer has made one");
        assert!(text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_uppercase()), "{text:?}");
        let meta = fs::metadata(&file).expect("it is there");
        assert_eq!(meta.permissions().mode() & 0o7777, 0o400);
        assert_eq!(meta.mtime() % 86_400, 0, "midnight, as OTP has it");
        assert!(
            meta.modified()
                .is_ok_and(|at| at <= SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX >> 32))
        );
        assert_eq!(ping_with_the_users_cookie(otp, &cluster, "r@localhost"), "pong");
    });
}

/// What an `erl` of the same user, told nothing of a cookie, has for an answer.
fn ping_with_the_users_cookie(otp: &Otp, cluster: &Cluster, node: &str) -> String {
    let mut command = otp.command();
    let ping = format!("io:format(\"~p~n\", [net_adm:ping('{node}')]), halt().");
    command.args(["-sname", "e@localhost", "-eval", &ping]).env_remove("XDG_CONFIG_HOME");
    command.env("HOME", cluster.home()).env("ERL_EPMD_PORT", cluster.epmd_port().to_string());
    let mut erl = Process::start("erl", &mut command);
    let answer = erl.wait_for_line(SOON * 4, "ping", |line| line.starts_with('p').then(|| line.to_owned()));
    answer.unwrap_or_else(|error| panic!("{error}"))
}

/// Where there is none in the home folder, that of the folder for settings counts; a new one is not made.
#[test]
fn item_22_the_cookie_of_xdg() {
    each_release(|otp| {
        // Later releases have it.
        if otp.number() < 25 {
            return;
        }
        let cluster = Cluster::new(otp);
        let write = |folder: &Path, text: &str| {
            fs::create_dir_all(folder).expect("the folder is ours");
            let file = folder.join(".erlang.cookie");
            fs::write(&file, text).expect("the folder is ours");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).expect("the file is ours");
        };
        // Spaces are part of it, the ends of lines are not.
        write(&cluster.home().join(".config/erlang"), " of xdg\n\r\n");
        let mut peer = start(cluster.home(), cluster.epmd_port(), &["--sname", "r@localhost"]);
        wait_until_ready(&mut peer);
        assert!(!cluster.home().join(".erlang.cookie").exists());
        assert_eq!(ping_with_the_users_cookie(otp, &cluster, "r@localhost"), "pong");
        let same = ["--sname", "t@localhost", "--cookie", " of xdg", "--connect", "r@localhost"];
        let mut same = start(cluster.home(), cluster.epmd_port(), &same);
        wait_until_ready(&mut same);
        // That of the home folder goes before it.
        write(cluster.home(), "of home");
        let mut another = start(cluster.home(), cluster.epmd_port(), &["--sname", "s@localhost"]);
        wait_until_ready(&mut another);
        assert_eq!(ping_with_the_users_cookie(otp, &cluster, "s@localhost"), "pong");
        assert_eq!(ping_with_the_users_cookie(otp, &cluster, "r@localhost"), "pang");
        assert!(!same.output().contains("not connected"), "{}", same.output());
    });
}

#[test]
fn item_22_a_cookie_file_that_cannot_be_used() {
    let cluster = Cluster::without_epmd();
    let file = cluster.home().join(".erlang.cookie");
    let start = || start(cluster.home(), cluster.epmd_port(), &["--sname", "a@localhost"]);
    let put = |text: &[u8], mode: u32| {
        let _ = fs::remove_file(&file);
        fs::write(&file, text).expect("the folder is ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("the file is ours");
    };
    for mode in [0o644, 0o440, 0o600 | 0o010, 0o404] {
        put(b"SECRET", mode);
        ends_with(start(), 1, &[".erlang.cookie", "owner only"]);
    }
    for (text, word) in [
        (&b""[..], "short"),
        (b"\n", "short"),
        (b"two\nlines", ""),
        (b"bell\x07", ""),
        (&[b'x'; 5000], "255"),
    ] {
        put(text, 0o400);
        ends_with(start(), 1, &[".erlang.cookie", word]);
    }
    let _ = fs::remove_file(&file);
    fs::create_dir(&file).expect("the folder is ours");
    ends_with(start(), 1, &[".erlang.cookie", "regular file"]);
    // Nothing of a cookie is said to whoever reads the log.
    fs::remove_dir(&file).expect("it is empty");
    put(b"SECRET\x07", 0o400);
    let mut process = start();
    process.wait_for_exit(SOON).unwrap_or_else(|error| panic!("{error}"));
    assert!(!process.output().contains("SECRET"), "{}", process.output());
}

/// As a daemon is stopped: with and without links, and while it connects to a host that does not answer.
#[test]
fn sigterm_ends_with_status_0() {
    let cluster = Cluster::without_epmd();
    for args in [
        &["--sname", "a@localhost", "--cookie", "c"][..],
        &["--sname", "a@localhost", "--cookie", "c", "--hidden"],
        // An address of no host: nobody answers, not even with a refusal.
        &["--name", "a@127.0.0.1", "--cookie", "c", "--connect", "b@192.0.2.1"],
    ] {
        for signal in ["TERM", "INT"] {
            // Not only when the dial is given up, after 7 s. A machine that is busy may be late with one of them.
            let in_time = (0..3).any(|_| {
                let mut process = start(cluster.home(), cluster.epmd_port(), args);
                wait_until_ready(&mut process);
                let asked = now();
                process.signal(signal);
                let ended = process.wait_for_exit(SOON * 2).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(ended.code(), Some(0), "{}", process.say("ended with another status"));
                asked.elapsed() < Duration::from_secs(5)
            });
            assert!(in_time, "not within five seconds of {signal}: {args:?}");
        }
    }
}

/// Nobody to register with, and told not to be that somebody: the port of the EPMD is another program's.
#[test]
fn an_epmd_port_that_another_program_has() {
    let cluster = Cluster::without_epmd();
    let other = TcpListener::bind((Ipv4Addr::UNSPECIFIED, cluster.epmd_port())).expect("nobody has it");
    // It takes connections and closes them.
    std::thread::spawn(move || {
        for stream in other.incoming() {
            drop(stream);
        }
    });
    let process = start(cluster.home(), cluster.epmd_port(), &["--sname", "a@localhost", "--cookie", "c"]);
    ends_with(process, 1, &["EPMD", &cluster.epmd_port().to_string()]);
}

/// What goes into a file is text alone.
#[test]
fn a_log_in_a_pipe_has_no_colours() {
    let cluster = Cluster::without_epmd();
    let args = ["--sname", "a@localhost", "--cookie", "c", "--connect", "nobody@localhost"];
    let mut process = start(cluster.home(), cluster.epmd_port(), &args);
    let line = process
        .wait_for_line(SOON, "warn", |line| line.contains("nobody@localhost").then(|| line.to_owned()));
    let line = line.unwrap_or_else(|error| panic!("{error}"));
    assert!(!line.contains('\x1b'), "{line:?}");
}
