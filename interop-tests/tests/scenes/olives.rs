//! `olives` on the table and `olives` under it: a hidden node works with all, and nobody lists it.

use interop_tests::{Cluster, NodeSpec};

use crate::peer_support::{SOON, each_release, says};

#[test]
fn olives() {
    each_release(|otp| {
        let cluster = Cluster::new(otp);
        let (mut a, mut b) = (cluster.erl(otp, "a"), cluster.erl(otp, "b"));
        let _visible = cluster.peer("r");
        let _hidden = cluster.peer_with("olives", &NodeSpec::hidden());
        says(&mut a, "net_adm:ping(b@localhost)", "pong");
        says(&mut a, "net_adm:ping(r@localhost)", "pong");
        b.eval_until("lists:sort(nodes())", "[a@localhost,r@localhost]", SOON);
        // Only who connects to it knows of it: nobody is told.
        says(&mut a, "net_adm:ping(olives@localhost)", "pong");
        says(
            &mut a,
            "{lists:sort(nodes()), nodes(hidden)}",
            "{[b@localhost,r@localhost],[olives@localhost]}",
        );
        says(&mut a, "lists:sort(nodes(connected))", "[b@localhost,olives@localhost,r@localhost]");
        says(&mut a, "rpc:call(olives@localhost, erlang, nodes, [])", "[]");
        says(&mut a, "rpc:call(olives@localhost, erlang, nodes, [hidden])", "[a@localhost]");
        says(&mut a, "gen_server:call({echo_server, olives@localhost}, x)", "{echo,x}");
        // It is no part of `global`, and uses it by a member.
        says(&mut a, "global:register_name(jar, whereis(init))", "yes");
        says(&mut a, "rpc:call(olives@localhost, global, whereis_name, [jar])", "undefined");
        says(
            &mut a,
            "P = rpc:call(olives@localhost, rpc, call, [node(), global, whereis_name, [jar]]), P =:= whereis(init)",
            "true",
        );
        says(
            &mut a,
            "rpc:call(olives@localhost, gen_server, call, [{global_name_server, r@localhost}, get_known]) -- [a@localhost, b@localhost]",
            "[]",
        );
        says(
            &mut b,
            "timer:sleep(300), {lists:sort(nodes()), nodes(hidden)}",
            "{[a@localhost,r@localhost],[]}",
        );
        // The other way about: a hidden BEAM and a visible node of ours.
        let mut under = cluster.erl_with(otp, "under", &NodeSpec::hidden());
        says(&mut under, "net_adm:ping(r@localhost)", "pong");
        says(&mut under, "{nodes(), nodes(hidden)}", "{[],[r@localhost]}");
        says(
            &mut under,
            "lists:sort(rpc:call(r@localhost, erlang, nodes, [hidden]))",
            "[olives@localhost,under@localhost]",
        );
        says(&mut under, "lists:sort(rpc:call(r@localhost, erlang, nodes, []))", "[a@localhost,b@localhost]");
        says(&mut a, "lists:sort(nodes())", "[b@localhost,r@localhost]");
    });
}
