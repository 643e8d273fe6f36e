//! What a node serves where others call functions: one's own, the built-in set, and nothing else.

mod support;

use std::time::Duration;

use crabnode::{
    Args, Atom, Context, Exception, Node, Term,
    erpc::{self, ErpcError, Response},
    rpc::{self, BadRpc},
    tuple,
};
use support::{config, epmd_port, node, run};

const LIMIT: Option<Duration> = Some(Duration::from_secs(5));

/// A node with functions of its own, and one that calls them.
async fn two(serves_builtin: bool) -> (Node, Node) {
    let port = epmd_port();
    let config = config("shop", port);
    config.functions.insert("shop", "price", 1, async |_: Context, mut args: Args| match args[0].as_int() {
        Some(0) => Err(Exception::Throw(args.swap_remove(0))),
        Some(1) => Err(Exception::Exit(args.swap_remove(0))),
        Some(2) => Err(Exception::error(args.swap_remove(0))),
        Some(3) => panic!("nothing has the price 3"),
        _ => Ok(args.swap_remove(0)),
    });
    config.functions.serve_builtin(serves_builtin);
    (Node::start(config).await.expect("the node starts"), node("a", port).await)
}

async fn call(
    from: &Node,
    to: &Node,
    module: &'static str,
    function: &'static str,
    args: Vec<Term>,
) -> Response {
    let to = to.name().clone();
    run(from, async move |mut context| erpc::call(&mut context, &to, module, function, args, LIMIT).await)
        .await
}

fn undef(module: &str, function: &str, args: Vec<Term>) -> Response {
    Err(ErpcError::Exception(Exception::undef(&module.into(), &function.into(), args)))
}

#[tokio::test(flavor = "multi_thread")]
async fn own_functions_give_values_throws_exits_and_errors() {
    let (shop, a) = two(true).await;
    let price = async |n: i64| call(&a, &shop, "shop", "price", vec![n.into()]).await;
    assert_eq!(price(9).await, Ok(9.into()));
    assert_eq!(price(0).await, Err(ErpcError::Exception(Exception::Throw(0.into()))));
    assert_eq!(price(1).await, Err(ErpcError::Exception(Exception::Exit(1.into()))));
    let stack = Term::list(vec![tuple!(atom "shop", atom "price", 1, Term::NIL)]);
    assert_eq!(price(2).await, Err(ErpcError::Exception(Exception::Error { reason: 2.into(), stack })));
    let Err(ErpcError::Signal(reason)) = price(3).await else { panic!("a panic is the end of the process") };
    assert!(reason.to_string().contains("nothing has the price 3"), "{reason}");
    // What is not there has OTP's stack.
    assert_eq!(call(&a, &shop, "shop", "price", vec![]).await, undef("shop", "price", vec![]));
    let badarg = call(&a, &shop, "erlang", "whereis", vec![1.into()]).await;
    let stack =
        Term::list(vec![tuple!(atom "erlang", atom "whereis", Term::list(vec![1.into()]), Term::NIL)]);
    let badarg_of_whereis = Exception::Error { reason: Term::atom("badarg"), stack };
    assert_eq!(badarg, Err(ErpcError::Exception(badarg_of_whereis)));
    // A function of one's own goes before a built-in one.
    shop.functions().insert("erlang", "node", 0, async |_: Context, _: Args| Ok(Term::atom("hidden")));
    assert_eq!(call(&a, &shop, "erlang", "node", vec![]).await, Ok(Term::atom("hidden")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_builtin_set_others_find_own_functions_and_no_other() {
    let (shop, a) = two(false).await;
    assert!(a.ping(shop.name()).await.is_some(), "which is no function");
    for (module, function) in [("erlang", "node"), ("init", "stop"), ("erlang", "halt"), ("rpc", "call")] {
        assert_eq!(call(&a, &shop, module, function, vec![]).await, undef(module, function, vec![]));
    }
    assert_eq!(call(&a, &shop, "shop", "price", vec![9.into()]).await, Ok(9.into()));
    // By `apply`, which is how funs are called; there is no way round by it.
    let apply = |m: &'static str, f: &'static str, args| vec![Term::atom(m), Term::atom(f), Term::list(args)];
    let priced = call(&a, &shop, "erlang", "apply", apply("shop", "price", vec![9.into()])).await;
    assert_eq!(priced, Ok(9.into()));
    let halted = call(&a, &shop, "erlang", "apply", apply("erlang", "halt", vec![])).await;
    assert_eq!(halted, undef("erlang", "halt", vec![]));
    let to = shop.name().clone();
    let block = run(&a, async move |mut context| {
        rpc::block_call(&mut context, &to, "erlang", "node", vec![], LIMIT).await
    })
    .await;
    let frame = tuple!(atom "erlang", atom "node", Term::NIL, Term::NIL);
    let reason = tuple!(atom "EXIT", tuple!(atom "undef", Term::list(vec![frame])));
    assert_eq!(block, Err(BadRpc { reason }), "nor by rex");
    // Served again, but for what was taken out.
    shop.functions().serve_builtin(true);
    assert!(shop.functions().remove("erlang", "halt", 0));
    assert_eq!(call(&a, &shop, "erlang", "node", vec![]).await, Ok(Term::Atom(shop.name().clone())));
    assert_eq!(call(&a, &shop, "erlang", "halt", vec![]).await, undef("erlang", "halt", vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_dropped_loses_nothing_and_a_request_that_is_dropped_says_nothing() {
    let (shop, a) = two(true).await;
    let to = shop.name().clone();
    run(&a, async move |mut context| {
        let sleep = |ms: i64| vec![Term::from(ms)];
        let send = |context: &Context, ms| {
            erpc::send_request(context, &to, "timer", "sleep", sleep(ms)).expect("good names")
        };
        let mut request = send(&context, 1000);
        let wait = erpc::wait_response(&mut context, &mut request, None);
        assert!(tokio::time::timeout(Duration::from_millis(5), wait).await.is_err(), "it sleeps still");
        let response = erpc::wait_response(&mut context, &mut request, LIMIT).await;
        assert_eq!(response, Some(Ok(Term::atom("ok"))));
        drop(send(&context, 1000));
        let request = send(&context, 1000);
        let received = erpc::receive_response(&mut context, request, None);
        assert!(tokio::time::timeout(Duration::from_millis(5), received).await.is_err(), "it sleeps still");
        // Of another process it is not. (It sleeps too: an answer that has come before it is dropped stays.)
        let mut other = send(&context, 1000);
        let node = context.node().clone();
        let answer =
            node.run(async move |mut context| erpc::wait_response(&mut context, &mut other, LIMIT).await);
        assert_eq!(answer.await, Some(Some(Err(ErpcError::Erpc(Atom::from("badarg"))))));
        assert_eq!(context.receive_timeout(Duration::from_millis(1500)).await, None);
    })
    .await;
}
