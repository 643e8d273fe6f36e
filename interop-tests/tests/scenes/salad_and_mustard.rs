//! `salad` and `mustard`: nodes with different cookies, and how each comes to talk to the other all the same.

use interop_tests::{Cluster, NodeSpec, Process};

use crate::peer_support::{SOON, each_release, says};

fn with_cookie(cookie: &str) -> NodeSpec {
    NodeSpec { cookie: Some(cookie.into()), ..NodeSpec::default() }
}

/// Waits for a line with all these words, and says how many there are in all.
fn said(process: &mut Process, words: &[&str]) {
    let line = |line: &str| words.iter().all(|word| line.contains(word)).then_some(());
    process.wait_for_line(SOON, "say it", line).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn salad_and_mustard() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let mut mustard = cluster.erl_with(otp, "mustard", &with_cookie("jar"));
        let mut salad = cluster.peer_with("salad", &with_cookie("bowl"));
        let mut helper = cluster.erl_with(otp, "helper", &NodeSpec { hidden: true, ..with_cookie("bowl") });
        let ping_back = "rpc:call(salad@localhost, net_adm, ping, [mustard@localhost])";
        // Each is refused by the other, and each says so in its log.
        says(&mut mustard, "net_adm:ping(salad@localhost)", "pang");
        said(salad.process(), &["mustard@localhost", "cookie", "refused"]);
        says(&mut helper, ping_back, "pang");
        said(mustard.process(), &["Connection attempt from", "salad@localhost"]);
        says(&mut mustard, "{nodes(), nodes(hidden)}", "{[],[]}");
        // The BEAM learns the other's cookie, for that node only.
        says(&mut mustard, "erlang:set_cookie(salad@localhost, bowl)", "true");
        says(&mut mustard, "net_adm:ping(salad@localhost)", "pong");
        says(&mut mustard, "{nodes(), erlang:get_cookie()}", "{[salad@localhost],jar}");
        says(&mut mustard, "rpc:call(salad@localhost, erlang, get_cookie, [])", "bowl");
        says(&mut mustard, "rpc:call(salad@localhost, auth, get_cookie, [mustard@localhost])", "bowl");
        // Now ours learns the BEAM's, which has forgotten: for connections that are still to come.
        says(&mut mustard, "rpc:call(salad@localhost, erlang, set_cookie, [mustard@localhost, jar])", "true");
        says(&mut mustard, "erlang:set_cookie(salad@localhost, jar)", "true");
        says(&mut mustard, "gen_server:call({echo_server, salad@localhost}, x)", "{echo,x}");
        // The BEAM's `global` would connect again if it is cut off as it meets another.
        says(&mut mustard, "application:set_env(kernel, dist_auto_connect, never)", "ok");
        says(&mut mustard, "erlang:disconnect_node(salad@localhost)", "true");
        helper.eval_until("rpc:call(salad@localhost, erlang, nodes, [])", "[]", SOON);
        says(&mut helper, ping_back, "pong");
        mustard.eval_until("nodes()", "[salad@localhost]", SOON);
        says(&mut helper, "rpc:call(salad@localhost, auth, get_cookie, [mustard@localhost])", "jar");
        says(&mut helper, "rpc:call(salad@localhost, auth, get_cookie, [])", "bowl");
        // The cookie of all others: those of before are strangers now, and stay connected.
        says(&mut helper, "rpc:call(salad@localhost, erlang, set_cookie, [salad@localhost, jar])", "true");
        says(&mut helper, "rpc:call(salad@localhost, erlang, get_cookie, [])", "jar");
        let mut stranger = cluster.erl_with(otp, "stranger", &with_cookie("bowl"));
        says(&mut stranger, "net_adm:ping(salad@localhost)", "pang");
    });
}
