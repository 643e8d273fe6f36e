//! `crabnode epmd` in the place of `epmd`: asked, it prints what stock `epmd` prints; started by `erl`, it serves.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use interop_tests::{Cluster, EpmdProcess, NodeSpec, Otp, clock::wait_for, crabnode_binary};

mod epmd_support;
use epmd_support::{Epmd, OURS, SOON, alive, each_epmd, each_epmd_with};

/// Stock's and ours, as commands to ask an EPMD by.
fn programs() -> [Vec<PathBuf>; 2] {
    [vec![Otp::newest().epmd()], vec![crabnode_binary(), "epmd".into()]]
}

fn run(program: &[PathBuf], arguments: &[&str]) -> Output {
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).args(arguments).env_remove("ERL_EPMD_PORT").env_remove("ERL_EPMD_ADDRESS");
    command.output().expect("it can be started")
}

/// What both programs print and exit with, which is the same.
fn both_say(epmd: &Epmd, arguments: &[&str]) -> (String, Option<i32>) {
    let port = epmd.port().to_string();
    let [stock, ours] = programs().map(|program| {
        let output = run(&program, &[&["-port", &port], arguments].concat());
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&text).replace('\0', ""), output.status.code())
    });
    assert_eq!(ours, stock, "{}: {arguments:?}", epmd.what);
    ours
}

#[test]
fn asked_it_prints_what_stock_epmd_prints() {
    each_epmd(|epmd| {
        let headline = format!("epmd: up and running on port {} with data:\n", epmd.port());
        assert_eq!(both_say(epmd, &["-names"]), (headline.clone(), Some(0)));
        let (_a, _) = epmd.lease("a");
        let (b, _) = epmd.register(&alive("b \u{e5}".as_bytes(), b""));
        let listed = format!("{headline}name b \u{e5} at port 4711\nname a at port 4711\n");
        assert_eq!(both_say(epmd, &["-names"]), (listed, Some(0)));
        drop(b);
        epmd.has(&["a"]);
        let (dump, _) = both_say(epmd, &["-dump"]);
        assert!(dump.contains("active name     <a> at port 4711, fd = "), "{dump}");
        assert!(dump.contains("old/unused name <b \u{e5}>, port = 4711, fd = "), "{dump}");
        assert_eq!(both_say(epmd, &["-started"]), (String::new(), Some(0)));
        let (refused, status) = both_say(epmd, &["-kill"]);
        assert_eq!((refused.lines().count(), status), (1, Some(1)));
        assert_eq!(both_say(epmd, &["-stop", "a"]).1, Some(1));
        epmd.has(&["a"]);
    });
    each_epmd_with(&["-relaxed_command_check"], |epmd| {
        let (_a, _) = epmd.lease("a");
        let port = epmd.port().to_string();
        let [stock, ours] = programs();
        let stopped = run(&ours, &["-port", &port, "-stop", "a"]);
        assert_eq!(String::from_utf8_lossy(&stopped.stdout), "STOPPED\n");
        assert_eq!(both_say(epmd, &["-stop", "a"]), ("NOEXIST\n".into(), Some(0)));
        let (_a, _) = epmd.lease("a");
        let killed = run(if epmd.what == OURS { &stock } else { &ours }, &["-port", &port, "-kill"]);
        assert_eq!(String::from_utf8_lossy(&killed.stdout), "Killed\n");
        epmd.process.process().wait_for_exit(SOON).expect("it ends");
        // Now there is none.
        assert_eq!(both_say(epmd, &["-names"]), ("epmd: Cannot connect to local epmd\n".into(), Some(1)));
        assert_eq!(both_say(epmd, &["-started"]), (String::new(), Some(1)));
    });
}

#[test]
fn a_second_one_on_the_port_ends_and_says_nothing() {
    each_epmd(|epmd| {
        let (_a, _) = epmd.lease("a");
        assert_eq!(both_say(epmd, &[]), (String::new(), Some(0)));
        assert_eq!(both_say(epmd, &["-daemon"]), (String::new(), Some(0)));
        epmd.has(&["a"]);
    });
}

#[test]
fn the_environment_says_what_the_options_do_not() {
    let mut command = Command::new(crabnode_binary());
    command.args(["epmd", "-names"]);
    let epmd = EpmdProcess::crabnode();
    let by_variable =
        command.env("ERL_EPMD_PORT", epmd.port().to_string()).output().expect("it can be started");
    let headline = format!("epmd: up and running on port {} with data:\n", epmd.port());
    assert_eq!(String::from_utf8_lossy(&by_variable.stdout), headline);
    let mut command = Command::new(crabnode_binary());
    command.arg("epmd").env("ERL_EPMD_PORT", "1x");
    let bad = command.output().expect("it can be started");
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("ERL_EPMD_PORT"));
}

/// `erl` starts what it is told to in the place of `epmd`, or what lies there.
#[test]
fn erl_starts_it_in_the_place_of_its_own() {
    let names = "[N || {N, _} <- element(2, {ok, _} = net_adm:names(localhost))]";
    for otp in Otp::available() {
        for by_its_name in [false, true] {
            let cluster = Cluster::without_epmd();
            let command = if by_its_name {
                let link = cluster.write("unused", "").with_file_name("epmd");
                symlink(crabnode_binary(), &link).expect("a link can be made");
                format!("{} -daemon", link.display())
            } else {
                format!("{} epmd -daemon", crabnode_binary().display())
            };
            let _ended = Ended(cluster.epmd_port());
            let mut node = cluster.erl_with(&otp, "a", &NodeSpec::args(["-epmd", &command]));
            assert_eq!(node.eval(names), "[\"a\"]");
            let daemon = daemon_on(cluster.epmd_port());
            assert!(daemon.is_some(), "OTP {}: ours does not serve", otp.number());
            node.kill9();
            // It outlives the node, as a daemon does, and takes another.
            let mut other = cluster.erl(&otp, "b");
            other.eval_until(names, "[\"b\"]", SOON);
            assert_eq!(daemon_on(cluster.epmd_port()), daemon, "OTP {}", otp.number());
            other.kill9();
            let port = cluster.epmd_port().to_string();
            let ended = wait_for(SOON, || {
                let killed = run(&programs()[1], &["-port", &port, "-kill"]);
                killed.status.success().then_some(())
            });
            assert!(ended.is_some(), "OTP {}: the daemon does not end", otp.number());
        }
    }
}

/// Ends the daemon of this port, where a test has not come to that.
struct Ended(u16);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(daemon) = daemon_on(self.0) {
            let _ = Command::new("kill").arg(daemon.to_string()).status();
        }
    }
}

/// The process of a `crabnode epmd` that serves this port in the background.
fn daemon_on(port: u16) -> Option<u32> {
    let port = port.to_string();
    let is_ours = |process: &Path| {
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let variable = format!("ERL_EPMD_PORT={port}");
        arguments.contains(&&b"-detached"[..])
            && environment.split(|byte| *byte == 0).any(|set| set == variable.as_bytes())
    };
    let processes = fs::read_dir("/proc").expect("this test needs /proc").flatten();
    processes.map(|entry| entry.path()).find(|process| is_ours(process))?.file_name()?.to_str()?.parse().ok()
}
