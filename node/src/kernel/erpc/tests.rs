use super::*;

fn reference() -> Reference {
    Reference::new(Atom::from("a@h"), 1, &[1, 2, 3]).expect("three words")
}

#[test]
fn the_exit_reason_of_a_call_says_what_came_of_it() {
    let stack = Term::list(vec![tuple!(atom "m", atom "f", 1, Term::NIL)]);
    let outcomes = [
        Ok(Term::from(1)),
        Err(Exception::Throw(1.into())),
        Err(Exception::Exit(1.into())),
        Err(Exception::Error { reason: 1.into(), stack }),
    ];
    for outcome in outcomes {
        let reason = execute_call_reason((&reference()).into(), outcome.clone());
        assert_eq!(parse(&reference(), reason), outcome.map_err(ErpcError::Exception));
    }
    let erpc = tuple!(&reference(), atom "error", tuple!(atom "erpc", atom "system_limit"));
    assert_eq!(parse(&reference(), erpc), Err(ErpcError::erpc("system_limit")));
    assert_eq!(parse(&reference(), Term::atom("noconnection")), Err(ErpcError::erpc("noconnection")));
    // Anything else is how the process was ended, also what another call would say.
    let other = Reference::new(Atom::from("a@h"), 1, &[3, 2, 1]).expect("three words");
    for signal in
        [Term::atom("killed"), tuple!(&other, atom "return", 1), tuple!(&reference(), atom "odd", 1)]
    {
        assert_eq!(parse(&reference(), signal.clone()), Err(ErpcError::Signal(signal)));
    }
}

/// The table of cluster-services 2.5: what the callers of erpc and of rpc see.
#[test]
fn errors_are_told_in_the_words_of_erpc_and_of_rpc() {
    let exit = |reason: Term| Err(BadRpc { reason: tuple!(atom "EXIT", reason) });
    let (x, stack) = (Term::atom("x"), Term::NIL);
    let error = Exception::Error { reason: x.clone(), stack: stack.clone() };
    let thrown_exit = tuple!(atom "EXIT", x.clone());
    let cases = [
        (ErpcError::Exception(Exception::Throw(x.clone())), Exception::Throw(x.clone()), Ok(x.clone())),
        (
            ErpcError::Exception(Exception::Throw(thrown_exit.clone())),
            Exception::Throw(thrown_exit),
            exit(x.clone()),
        ),
        (
            ErpcError::Exception(Exception::Exit(x.clone())),
            Exception::Exit(tuple!(atom "exception", x.clone())),
            exit(x.clone()),
        ),
        (
            ErpcError::Exception(error),
            Exception::error(tuple!(atom "exception", x.clone(), stack.clone())),
            exit(tuple!(x.clone(), stack)),
        ),
        (ErpcError::Signal(x.clone()), Exception::Exit(tuple!(atom "signal", x.clone())), exit(x)),
    ];
    for (error, raised, rpc) in cases {
        assert_eq!(error.clone().into_exception(), raised, "{error:?}");
        assert_eq!(error.clone().into_rpc(), rpc, "{error:?}");
    }
    for (reason, rpc) in [
        ("noconnection", Err(BadRpc::new("nodedown"))),
        ("timeout", Err(BadRpc::new("timeout"))),
        ("notsup", Err(BadRpc::new("notsup"))),
        ("system_limit", exit(Term::atom("system_limit"))),
    ] {
        let error = ErpcError::Erpc(reason.into());
        assert_eq!(error.clone().into_exception(), Exception::error(tuple!(atom "erpc", Term::atom(reason))));
        assert_eq!(error.into_rpc(), rpc);
    }
    assert_eq!(rpc_of(Ok(Term::from(1))), Ok(1.into()));
    assert_eq!(rpc_of(Ok(tuple!(atom "EXIT", 1))), exit(1.into()), "a value that says it is an exit");
}

fn rpc_of(response: Response) -> Result<Term, BadRpc> {
    crate::kernel::rpc::of_response(response)
}
