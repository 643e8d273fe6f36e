//! The dead have names too, and come back: two graveyards that know nothing of each other have each a process for the same
//! names, of any term, and each name another way to say who keeps it when they meet. One graveyard is ours.

use std::sync::{Arc, Mutex};

use crabnode::{Args, Context, Node, Pid, Term, etf::text::consult_bytes, global::Resolver, tuple};
use interop_tests::{Cluster, Otp, clock::wait_for};

use crate::{
    peer_support::{SOON, each_release, says},
    rpc_support::start_node,
};

/// Each name, and who says what becomes of it.
const NAMES: [(&str, &str); 4] = [
    ("{brain,1}", "fun global:random_exit_name/3"),
    ("<<\"ghoul\">>", "fun global:random_notify_name/3"),
    ("[lich]", "fun global:notify_all_name/3"),
    ("\"raised\"", "{necromancer, decide}"),
];

#[test]
fn zombies() {
    each_release(play);
}

fn name(text: &str) -> Term {
    consult_bytes(format!("{text}.").as_bytes()).expect("a term").remove(0)
}

/// A process of ours, and what it has heard.
struct Undead {
    pid: Pid,
    heard: Arc<Mutex<Vec<Term>>>,
}

fn raise(node: &Node) -> Undead {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let pid = node.spawn(|mut context| async move {
        loop {
            let message = context.receive().await.into_term();
            if message.is_atom("rest") {
                return;
            }
            ears.lock().expect("nobody panics").push(message);
        }
    });
    Undead { pid, heard }
}

fn play(otp: &Otp) {
    let cluster = Cluster::new(otp);
    let mut grave = cluster.erl(otp, "grave");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let crypt = runtime.block_on(start_node(&cluster, "crypt@localhost"));
    // The function of the smaller node decides: this one. It lets the other's process have the name.
    crypt.functions().insert("necromancer", "decide", 3, async |_: Context, args: Args| Ok(args[1].clone()));

    // Alone, each gives the names to its own.
    let undead: Vec<Undead> = NAMES.iter().map(|_| raise(&crypt)).collect();
    let resolvers = [
        Resolver::RandomExit,
        Resolver::RandomNotify,
        Resolver::NotifyAll,
        Resolver::Function("necromancer".into(), "decide".into()),
    ];
    for (((text, _), undead), resolver) in NAMES.iter().zip(&undead).zip(resolvers) {
        let name = name(text);
        let registered = crypt.global().register_name(&name, &undead.pid, resolver);
        assert!(runtime.block_on(registered));
    }
    grave.eval("Self = self(), Raise = fun(N) -> spawn(fun Wake() -> receive M -> Self ! {N, M}, Wake() end end) end");
    for (text, resolver) in NAMES {
        says(&mut grave, &format!("global:register_name({text}, Raise({text}), {resolver})"), "yes");
    }
    grave.eval("[Brain, Ghoul, Lich, Raised] = [global:whereis_name(N) || N <- [{brain,1}, <<\"ghoul\">>, [lich], \"raised\"]]");
    says(&mut grave, "length(global:registered_names())", "4");

    // They meet.
    says(&mut grave, "net_adm:ping(crypt@localhost)", "pong");
    says(&mut grave, "global:sync()", "ok");
    says(&mut grave, "node(global:whereis_name({brain,1}))", "crypt@localhost");
    grave.eval_until("is_process_alive(Brain)", "false", SOON);
    says(&mut grave, "node(global:whereis_name(<<\"ghoul\">>))", "crypt@localhost");
    says(
        &mut grave,
        "receive {<<\"ghoul\">>, M} -> M after 15000 -> silence end",
        "{global_name_conflict,<<\"ghoul\">>}",
    );
    says(&mut grave, "global:whereis_name([lich])", "undefined");
    says(
        &mut grave,
        "receive {[lich], {global_name_conflict, [lich], P}} -> node(P) after 15000 -> silence end",
        "crypt@localhost",
    );
    says(&mut grave, "global:whereis_name(\"raised\") =:= Raised", "true");
    says(&mut grave, "[is_process_alive(P) || P <- [Ghoul, Lich, Raised]]", "[true,true,true]");

    // Here as there.
    let owner = |text: &str| crypt.global().whereis(&name(text));
    let agreed = wait_for(SOON, || (owner("[lich]").is_none()).then_some(()));
    assert!(agreed.is_some(), "{:?}", owner("[lich]"));
    assert_eq!(owner("{brain,1}").as_ref(), Some(&undead[0].pid));
    assert_eq!(owner("<<\"ghoul\">>").as_ref(), Some(&undead[1].pid));
    assert_eq!(owner("\"raised\"").map(|pid| pid.node().as_str() == "grave@localhost"), Some(true));
    assert!(undead.iter().all(|undead| crypt.is_process_alive(&undead.pid)), "nobody of ours had to go");
    let lich = |heard: &[Term]| {
        match heard {
        [heard] => heard.as_tuple().is_some_and(|heard| {
            matches!(heard, [tag, name, Term::Pid(_)] if tag.is_atom("global_name_conflict") && name.as_list().is_some())
        }),
        _ => false,
    }
    };
    let told = wait_for(SOON, || lich(&undead[2].heard.lock().expect("nobody panics")).then_some(()));
    assert!(told.is_some(), "{:?}", undead[2].heard);

    // By its name it is called from there, and put to rest; and is nobody's name then.
    says(&mut grave, "global:send({brain,1}, hungry), ok", "ok");
    let hungry = || undead[0].heard.lock().expect("nobody panics").contains(&Term::atom("hungry"));
    assert!(wait_for(SOON, || hungry().then_some(())).is_some());
    says(&mut grave, "global:send({brain,1}, rest), ok", "ok");
    grave.eval_until("global:whereis_name({brain,1})", "undefined", SOON);
    says(&mut grave, "global:re_register_name({brain,1}, Raise(again))", "yes");
    assert!(owner("{brain,1}").is_some_and(|pid| pid.node().as_str() == "grave@localhost"));

    // A grave that is closed takes its names along. One with its name opens, and hears those that are left.
    runtime.block_on(crypt.stop());
    grave.eval_until("lists:sort(global:registered_names())", "[{brain,1},\"raised\"]", SOON);
    let crypt = runtime.block_on(start_node(&cluster, "crypt@localhost"));
    runtime.block_on(crypt.connect("grave@localhost")).expect("connects");
    let known = wait_for(SOON, || (crypt.global().registered_names().len() == 2).then_some(()));
    assert!(known.is_some(), "{:?}", crypt.global().registered_names());
    let called = runtime.block_on(crypt.run(async |context| {
        let raised = tuple!(atom "called", context.pid());
        crabnode::global::send(&context, &Term::charlist("raised"), raised).await
    }));
    assert!(called.flatten().is_some());
    says(
        &mut grave,
        "receive {\"raised\", {called, P}} -> node(P) after 15000 -> silence end",
        "crypt@localhost",
    );
    runtime.block_on(crypt.stop());
}
