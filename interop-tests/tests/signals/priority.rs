//! Messages that come before those that came before them (wire.md 5, op 37).

use crabnode::{AliasOptions, Context, Dest, Pid, SpawnOptions, Term, tuple};

use crate::{actor::Duo, peer_support::each_release};

/// The first release that knows them.
const FIRST: u32 = 28;

#[test]
fn item_51_priority_messages_come_first() {
    each_release(|otp| {
        let mut duo = Duo::start(otp);
        let name = SpawnOptions { name: Some("prio".into()), ..SpawnOptions::default() };
        let runtime = duo.runtime.handle().clone();
        let _guard = runtime.enter();
        duo.node.spawn_with(name, prioritized).expect("the name is free");
        duo.erl.eval(
            "net_kernel:monitor_nodes(true), process_flag(trap_exit, true), P = rpc:call(R, erlang, whereis, [prio]), Self = self(),
             Without = fun(L) -> [case M of {'EXIT', _, Why} -> {exit, Why}; {'DOWN', _, _, _, Why} -> {down, Why};
                                            _ -> M end || M <- L] end,
             Here = fun(Count) ->
                 receive done -> ok after 15000 -> error(late) end,
                 ok = ct_peer:wait(fun() -> element(2, process_info(Self, message_queue_len)) >= Count end, 15000),
                 Without(ct_peer:flush(50)) end,
             There = fun() -> P ! done, receive {got, L} -> Without(L) after 15000 -> error(late) end end",
        );
        from_us(&mut duo, otp.number());
        if otp.number() >= FIRST {
            to_us(&mut duo);
        }
        // It was no fault on the way: the connection is the one that it was.
        duo.says("rpc:call(R, erlang, whereis, [prio]) =:= P", "true");
        duo.says("receive {nodedown, Node} -> Node after 0 -> up end", "up");
        if otp.number() >= FIRST {
            // How a link or a monitor is told is for him to say who has it.
            duo.says(
                "link(P, [priority]), monitor(process, P, [priority]), P ! {leave, Self}, Here(3)",
                "[{exit,away},{down,away},ordinary]",
            );
        }
    });
}

fn from_us(duo: &mut Duo, release: u32) {
    if release < 24 {
        // No aliases: with priority to a pid, which is without.
        return duo.says("P ! {pid, Self, Self}, Here(2)", "[ordinary,to_pid]");
    }
    if release < FIRST {
        duo.erl.eval("Plain = alias()");
        duo.says("P ! {all, Self, Plain}, Here(4)", "[ordinary,first,plain,to_pid]");
        return;
    }
    duo.erl.eval("Urgent = alias([priority]), Plain = alias()");
    duo.says("P ! {all, Self, Urgent}, Here(6)", "[first,{exit,second},ordinary,plain,{exit,third},to_pid]");
    // An alias that does not allow it.
    duo.says("P ! {all, Self, Plain}, Here(6)", "[ordinary,first,plain,{exit,second},{exit,third},to_pid]");
}

fn to_us(duo: &mut Duo) {
    duo.says(
        "P ! {alias, Self, true, false}, receive {alias, Alias} -> ok end,
         P ! ordinary, erlang:send(Alias, first, [priority]), Alias ! plain, exit(Alias, second, [priority]), exit(Alias, third, []),
         erlang:send(P, to_pid, [priority]), erlang:send({prio, R}, to_name, [priority]), There()",
        "[first,{exit,second},ordinary,plain,{exit,third},to_pid,to_name]",
    );
    duo.says(
        "P ! {alias, Self, false, true}, receive {alias, Alias} -> ok end,
         P ! ordinary, erlang:send(Alias, once, [priority]), Alias ! never, There()",
        "[ordinary,once]",
    );
    duo.says(
        "Q = spawn(fun() -> receive stop -> exit(away) end end), P ! {watch, Q}, P ! ordinary,
         M = monitor(process, Q), Knows = fun(Key) -> lists:member(P, element(2, process_info(Q, Key))) end,
         ok = ct_peer:wait(fun() -> Knows(links) andalso Knows(monitored_by) end, 15000),
         Q ! stop, receive {'DOWN', M, _, _, _} -> ok end,
         ok = ct_peer:wait(fun() ->
             {message_queue_len, 3} =:= rpc:call(R, erlang, process_info, [P, message_queue_len]) end, 15000),
         There()",
        "[{exit,away},{down,away},ordinary]",
    );
}

/// Says with and without priority what it is told to, and what it received, in that order.
async fn prioritized(mut context: Context) -> Term {
    context.trap_exit(true);
    let mut teller: Option<Pid> = None;
    loop {
        // What has no answer stays in the mailbox.
        let order = context.receive_match(|message| {
            let term = message.as_term()?;
            let is_order = term.is_atom("done")
                || term
                    .as_tuple()
                    .and_then(|words| words[0].as_atom())
                    .is_some_and(|verb| ["pid", "all", "leave", "alias", "watch"].contains(&verb.as_str()));
            is_order.then(|| term.clone())
        });
        let order = order.await;
        let words = order.as_tuple().unwrap_or_default();
        if let Some(Term::Pid(pid)) = words.get(1)
            && !words[0].is_atom("watch")
        {
            teller = Some(pid.clone());
        }
        match (words.first().and_then(Term::as_atom).map(|verb| verb.as_str()), words) {
            (Some("pid"), [_, Term::Pid(to), _]) => {
                context.send(to, Term::atom("ordinary")).await;
                context.send_priority(to, Term::atom("to_pid")).await;
                context.send(to, Term::atom("done")).await;
            }
            (Some("all"), [_, Term::Pid(to), Term::Reference(alias)]) => {
                context.send(to, Term::atom("ordinary")).await;
                context.send_priority(Dest::Alias(alias.clone()), Term::atom("first")).await;
                context.send(Dest::Alias(alias.clone()), Term::atom("plain")).await;
                context.exit_alias(alias, Term::atom("second"), true);
                context.exit_alias(alias, Term::atom("third"), false);
                context.send_priority(to, Term::atom("to_pid")).await;
                context.send(to, Term::atom("done")).await;
            }
            (Some("leave"), [_, Term::Pid(to)]) => {
                context.send(to, Term::atom("ordinary")).await;
                context.send(to, Term::atom("done")).await;
                return Term::atom("away");
            }
            (Some("alias"), [_, Term::Pid(to), priority, reply]) => {
                let (priority, reply) = (priority.is_atom("true"), reply.is_atom("true"));
                let alias = context.alias(AliasOptions { priority, reply });
                context.send(to, tuple!(atom "alias", &alias)).await;
            }
            (Some("watch"), [_, Term::Pid(pid)]) => {
                context.link_priority(pid);
                context.monitor_priority(pid);
            }
            _ => {
                let mut got = Vec::new();
                while context.message_queue_len() > 0 {
                    got.push(context.receive().await.into_term());
                }
                let to = teller.clone().expect("told by somebody");
                context.send(to, tuple!(atom "got", Term::list(got))).await;
            }
        }
    }
}
