use std::fs;

use super::*;

fn terms(text: &str) -> Vec<Term> {
    match etf::text::parse_term(text).expect("a term") {
        Term::List(list) => list.into_vec(),
        other => panic!("{other} is no list"),
    }
}

fn parse(text: &str) -> Result<SysConfig, String> {
    SysConfig::from_terms(&terms(text)).map_err(|error| error.to_string())
}

fn kernel(text: &str) -> Result<KernelConfig, String> {
    parse(&format!("[{{kernel, [{text}]}}]"))?.kernel().map_err(|error| error.to_string())
}

#[test]
fn the_config_of_m8ball() {
    let config = kernel(
        "{distributed, [{m8ball, 5000, [a@h, {b@h, c@h}]}]}, {sync_nodes_mandatory, [b@h, c@h]}, \
         {sync_nodes_timeout, 30000}, {permissions, [{m8ball, false}, {other, 1}]}",
    )
    .expect("a configuration");
    let [distribution] = config.distributed.as_slice() else { panic!("one application") };
    assert_eq!(distribution.restart_time, RestartTime::Millis(5000));
    assert_eq!(distribution.nodes.to_term().to_string(), "[a@h,{b@h,c@h}]");
    assert_eq!(config.permissions.get("m8ball"), Some(&false));
    assert!(config.start_dist_ac);
    let sync = config.sync_nodes.expect("a timeout is given");
    assert_eq!(sync.timeout, Some(Duration::from_secs(30)));
    assert_eq!((sync.mandatory.len(), sync.optional.len()), (2, 0));
}

#[test]
fn without_a_timeout_nothing_is_synchronised_whatever_the_lists_say() {
    assert_eq!(kernel("{sync_nodes_mandatory, x}").map(|config| config.sync_nodes), Ok(None));
    let infinity = kernel("{sync_nodes_timeout, infinity}").expect("good").sync_nodes.expect("asked for");
    assert_eq!(infinity.timeout, None);
}

#[test]
fn errors_are_in_the_words_of_otp() {
    let erroneous = "invalid config data: application: kernel; erroneous parameter: distributed";
    for (text, says) in [
        ("[{kernel, [{sync_nodes_timeout, 0}]}]", "{badopt,{sync_nodes_timeout,0}}"),
        ("[{kernel, [{sync_nodes_timeout, -1}]}]", "{badopt,{sync_nodes_timeout,-1}}"),
        (
            "[{kernel, [{sync_nodes_timeout, 5}, {sync_nodes_mandatory, a@h}]}]",
            "{badopt,{sync_nodes_mandatory,a@h}}",
        ),
        (
            "[{kernel, [{sync_nodes_timeout, 5}, {sync_nodes_optional, 1}]}]",
            "{badopt,{sync_nodes_optional,1}}",
        ),
        ("[{kernel, [{distributed, foo}]}]", erroneous),
        ("[{kernel, [{distributed, [{app1, x, []}]}]}]", erroneous),
        ("[{kernel, [{distributed, [{\"app1\", []}]}]}]", erroneous),
        ("[{kernel, [{distributed, [{app1, [1]}]}]}]", erroneous),
        (
            "[{kernel, [{distributed, [{app1, []}]}, {permissions, [{app1, yes}]}]}]",
            "{bad_permission,{app1,yes}}",
        ),
        ("[{a, []}, {b, []}, {a, []}]", "invalid config data: duplicate application config: a"),
        ("[{a, [{x, 1}, {x, 2}]}]", "invalid config data: application: a; duplicate parameter: x"),
        ("[{a, [x]}]", "invalid config data: application: a; invalid parameter: x"),
        ("[{a, [{1, 2}]}]", "invalid config data: application: a; invalid parameter name: 1"),
        ("[{a, b}]", "invalid config data: application: a; parameters must be a list"),
        ("[{1, []}]", "invalid config data: application: 1; application name must be an atom"),
        ("[a]", "invalid config data: invalid application config: a"),
    ] {
        let error = parse(text).and_then(|config| config.kernel().map_err(|error| error.to_string()));
        assert_eq!(error.expect_err(text), says, "{text}");
    }
}

#[test]
fn a_negative_time_leaves_the_entry_out() {
    let config = kernel("{distributed, [{app1, -1, [a@h]}, {app2, infinity, [a@h]}]}").expect("good");
    let apps: Vec<&str> = config.distributed.iter().map(|entry| entry.app.as_str()).collect();
    assert_eq!(apps, ["app2"]);
    assert_eq!(config.distributed[0].restart_time, RestartTime::Infinity);
}

#[test]
fn what_crabnode_says_of_healing() {
    let heal = |text: &str| {
        let config = parse(&format!("[{{crabnode, [{text}]}}]"))?;
        let heal = config.heal().map_err(|error| error.to_string())?;
        Ok::<_, String>((heal.level, heal.dry_run))
    };
    assert_eq!(heal(""), Ok((Heal::Own, false)));
    assert_eq!(heal("{heal, off}"), Ok((Heal::Off, false)));
    assert_eq!(heal("{heal, self}, {heal_dry_run, false}"), Ok((Heal::Own, false)));
    assert_eq!(heal("{heal, cluster}, {heal_dry_run, true}"), Ok((Heal::Cluster, true)));
    assert_eq!(heal("{heal, all}"), Err("{badopt,{heal,all}}".into()));
    assert_eq!(heal("{heal, \"self\"}"), Err("{badopt,{heal,\"self\"}}".into()));
    assert_eq!(heal("{heal_dry_run, 1}"), Err("{badopt,{heal_dry_run,1}}".into()));
}

#[test]
fn dist_ac_starts_if_asked_for_or_if_something_is_distributed() {
    for (text, starts) in [
        ("", false),
        ("{start_dist_ac, true}", true),
        ("{distributed, []}", true),
        ("{distributed, []}, {start_dist_ac, false}", false),
    ] {
        assert_eq!(kernel(text).expect("good").start_dist_ac, starts, "{text}");
    }
}

#[test]
fn files_are_found_merged_and_their_faults_placed() {
    let folder = std::env::temp_dir().join(format!("crabnode-config-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a file");
    write("sys.config", "[{a, [{x, 1}, {y, 1}]}, \"more\", {a, [{y, 3}]}].");
    write("more.config", "[{a, [{x, 2}]}, {b, []}].\n");
    write("bad.config", "[{a,\n  [{x 1}]}].");
    write("two.config", "[]. [].");
    write("string.config", "[\"more\"].");
    let read = |name: &str| SysConfig::read(folder.join(name));
    let config = read("sys").expect("the ending may be left off");
    assert_eq!(config.value("a", "x"), Some(&2.into()), "the included file comes later");
    assert_eq!(config.value("a", "y"), Some(&3.into()));
    assert_eq!(config.applications().len(), 2);
    let error = |name: &str| read(name).expect_err(name).to_string();
    assert!(error("bad.config").contains("bad.config\": line 2, column 7:"), "{}", error("bad.config"));
    assert!(error("two").ends_with("configuration file must contain ONE list ended by <dot>"));
    assert!(error("none").contains("none.config"));
    assert_eq!(error("string"), "invalid config data: invalid application config: \"more\"");
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn what_kernel_says_of_global() {
    let apply =
        |text: &str| parse(&format!("[{{kernel, [{text}]}}]")).expect("good").apply(NodeConfig::new("a"));
    let node =
        apply("{connect_all, false}, {global_groups, [{one, ['a@h']}, {two, normal, ['b@h', 'c@h']}]}");
    let node = node.expect("good");
    assert!(!node.connect_all);
    let groups: Vec<_> = node.global_groups.iter().map(|g| (g.name.as_str(), g.nodes.len())).collect();
    assert_eq!(groups, [("one", 1), ("two", 2)]);
    for bad in ["{connect_all, 1}", "{global_groups, [{one, hidden, ['a@h']}]}", "{global_groups, [one]}"] {
        assert!(apply(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_kernel_says_of_the_node_itself() {
    let config = parse(
        "[{kernel, [{net_ticktime, 8}, {net_tickintensity, 10}, {inet_dist_listen_min, 9100}, {inet_dist_listen_max, 9105}, \
         {prevent_overlapping_partitions, false}, {erl_epmd_node_listen_port, 9200}]}]",
    )
    .expect("good");
    let node = config.apply(NodeConfig::new("a")).expect("good");
    assert_eq!((node.net_ticktime, node.net_tickintensity), (Duration::from_secs(8), 10));
    assert_eq!(node.listen_ports, Some(9100..=9105));
    assert!(!node.prevent_overlapping_partitions);
    assert!(matches!(node.discovery, Discovery::Port(port) if port.get() == 9200));
    for (text, time) in
        [("7", Some(7_000)), ("0.5", Some(500)), ("120", Some(120_000)), ("0", None), ("121", None)]
    {
        let config = parse(&format!("[{{kernel, [{{net_setuptime, {text}}}]}}]")).expect("good");
        let time = time.map(Duration::from_millis);
        assert_eq!(config.apply(NodeConfig::new("a")).ok().map(|node| node.net_setuptime), time, "{text}");
    }
    for (text, ticks) in [("3", Some(4)), ("50", Some(50)), ("2000", Some(1000)), ("often", None)] {
        let config = parse(&format!("[{{kernel, [{{net_tickintensity, {text}}}]}}]")).expect("good");
        let node = config.apply(NodeConfig::new("a")).ok();
        assert_eq!(node.map(|node| node.net_tickintensity), ticks, "{text}");
    }
    let bad = parse("[{kernel, [{net_ticktime, soon}]}]").expect("good");
    assert_eq!(bad.apply(NodeConfig::new("a")).expect_err("bad").to_string(), "{badopt,{net_ticktime,soon}}");
}
