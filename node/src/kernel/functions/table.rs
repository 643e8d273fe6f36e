//! What this node does where another asks for `Module:Function(Args)`: by rpc, by erpc, or by starting a process.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use etf::{Atom, Term};
use rustc_hash::FxHashMap;

use crate::{Context, Exception};

/// The arguments of a call.
pub type Args = Vec<Term>;

type Running = Pin<Box<dyn Future<Output = Result<Term, Exception>> + Send>>;

pub(crate) type Handler = Arc<dyn Fn(Context, Args) -> Running + Send + Sync>;

/// The functions that `rpc`, `erpc` and `spawn` find on this node. None is served unless it is here: a call of any
/// other fails with `undef`, and the stack that OTP gives with it.
///
/// A node has a built-in set (cluster-services.md 2.11), so that others find what they expect of a node: what
/// `net_adm`, `observer` and shells ask, and `init:stop`. [`Functions::serve_builtin`] turns it off as a whole and
/// [`Functions::remove`] each of them. A function of one's own goes before a built-in one of the same name and arity.
///
/// ```
/// use crabnode::{Args, Context, Exception, NodeConfig, Term};
///
/// let config = NodeConfig::new("shop@localhost");
/// config.functions.insert("shop", "price", 1, async |_: Context, args: Args| match args[0].as_text().as_deref() {
///     Some("apple") => Ok(Term::from(25)),
///     Some("gold") => Err(Exception::Throw(Term::atom("expensive"))),
///     Some(_) => Err(Exception::Exit(Term::atom("sold_out"))),
///     None => Err(Exception::badarg()),
/// });
/// config.functions.serve_builtin(false);
/// ```
///
/// A clone is a table of its own with the same functions.
#[derive(Default)]
pub struct Functions(RwLock<Tables>);

#[derive(Clone)]
struct Tables {
    own: Table,
    builtin: Table,
    /// What the protocol between nodes itself calls.
    needed: Table,
    serves_builtin: bool,
}

impl Default for Tables {
    fn default() -> Self {
        let (own, builtin, needed) = Default::default();
        Self { own, builtin, needed, serves_builtin: true }
    }
}

impl Tables {
    fn served(&self) -> impl Iterator<Item = &Table> {
        let builtin = self.serves_builtin.then_some(&self.builtin);
        [Some(&self.own), builtin, Some(&self.needed)].into_iter().flatten()
    }
}

/// By module, then function: a look-up makes nothing. A function has few arities.
#[derive(Clone, Default)]
struct Table(FxHashMap<Atom, FxHashMap<Atom, Vec<(usize, Handler)>>>);

impl Table {
    fn insert(&mut self, module: Atom, function: Atom, arity: usize, handler: Handler) {
        let arities = self.0.entry(module).or_default().entry(function).or_default();
        match arities.iter_mut().find(|(known, _)| *known == arity) {
            Some((_, old)) => *old = handler,
            None => arities.push((arity, handler)),
        }
    }

    fn get(&self, module: &str, function: &str, arity: usize) -> Option<&Handler> {
        let arities = self.0.get(module)?.get(function)?;
        arities.iter().find(|(known, _)| *known == arity).map(|(_, handler)| handler)
    }

    fn remove(&mut self, module: &str, function: &str, arity: usize) -> bool {
        let Some(functions) = self.0.get_mut(module) else { return false };
        let Some(arities) = functions.get_mut(function) else { return false };
        let had = arities.len();
        arities.retain(|(known, _)| *known != arity);
        let is_removed = arities.len() < had;
        functions.retain(|_, arities| !arities.is_empty());
        if functions.is_empty() {
            self.0.remove(module);
        }
        is_removed
    }
}

impl Functions {
    /// A table without functions of one's own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `Module:Function/Arity`. A function of the same name and arity is replaced.
    ///
    /// Each call runs in a process of its own, whose [`Context`] the function gets: it can receive, call others, and
    /// its output goes to the caller's group leader. What it gives is the caller's value, throw, exit or error; an
    /// error without a stack is given that of the function. A panic, or an exit signal, ends the process with its
    /// reason, which the caller sees as `{signal, Reason}`.
    ///
    /// Dropping the future (an exit signal; not the caller's timeout, which only drops the result) ends the call at
    /// its next await.
    pub fn insert<F, Fut>(&self, module: impl Into<Atom>, function: impl Into<Atom>, arity: usize, body: F)
    where
        F: Fn(Context, Args) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Term, Exception>> + Send + 'static,
    {
        self.tables_mut().own.insert(module.into(), function.into(), arity, handler(body));
    }

    /// Serves a function no more, be it one's own, a built-in one, or both. Whether it was served.
    pub fn remove(&self, module: &str, function: &str, arity: usize) -> bool {
        let mut tables = self.tables_mut();
        let was_own = tables.own.remove(module, function, arity);
        tables.builtin.remove(module, function, arity) || was_own
    }

    /// Whether the built-in set is served. Default true. Without it other nodes find one's own functions and no
    /// other, but for what nodes need of each other: that calls of own functions work as funs and by `erlang:apply`,
    /// and `global:resolve_it`. Services under a registered name, such as `net_kernel`, are no part of it.
    pub fn serve_builtin(&self, serves: bool) {
        self.tables_mut().serves_builtin = serves;
    }

    /// Whether `Module:Function/Arity` is served.
    #[must_use]
    pub fn contains(&self, module: &str, function: &str, arity: usize) -> bool {
        self.tables().served().any(|table| table.get(module, function, arity).is_some())
    }

    /// Whether any function of a module is served.
    #[must_use]
    pub fn contains_module(&self, module: &str) -> bool {
        self.tables().served().any(|table| table.0.contains_key(module))
    }

    /// The modules of which functions are served, sorted.
    #[must_use]
    pub fn modules(&self) -> Vec<Atom> {
        let tables = self.tables();
        let mut modules: Vec<Atom> = tables.served().flat_map(|table| table.0.keys().cloned()).collect();
        modules.sort();
        modules.dedup();
        modules
    }

    /// Calls a function in the process of the context. One that is not served fails with `undef`.
    ///
    /// Dropping the future ends the call at its next await.
    pub async fn apply(
        &self,
        context: Context,
        module: &Atom,
        function: &Atom,
        args: Args,
    ) -> Result<Term, Exception> {
        let Some((handler, is_own)) = self.get(module, function, args.len()) else {
            return Err(Exception::undef(module, function, args));
        };
        // As a BEAM's own, those of `erlang` show their arguments. They are a few small terms, but for a message.
        let shows = !is_own && *module == "erlang" && *function != "send";
        let shown = if shows { Term::list(args.clone()) } else { args.len().into() };
        handler(context, args).await.map_err(|exception| exception.of_function(module, function, shown))
    }

    /// A function, and whether it is one of the user's.
    fn get(&self, module: &str, function: &str, arity: usize) -> Option<(Handler, bool)> {
        let tables = self.tables();
        if let Some(handler) = tables.own.get(module, function, arity) {
            return Some((Arc::clone(handler), true));
        }
        let handler = tables.served().find_map(|table| table.get(module, function, arity))?;
        Some((Arc::clone(handler), false))
    }

    pub(crate) fn builtin(&self) -> Builtin<'_> {
        Builtin(self)
    }

    fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables_mut(&self) -> RwLockWriteGuard<'_, Tables> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Functions {
    fn clone(&self) -> Self {
        Self(RwLock::new(self.tables().clone()))
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = self.tables();
        let own = tables.own.0.iter().flat_map(|(module, functions)| {
            let arities = move |(function, arities): (_, &Vec<(usize, _)>)| {
                arities
                    .iter()
                    .map(move |(arity, _)| format!("{module}:{function}/{arity}"))
                    .collect::<Vec<_>>()
            };
            functions.iter().flat_map(arities)
        });
        f.debug_struct("Functions")
            .field("own", &own.collect::<Vec<_>>())
            .field("serves_builtin", &tables.serves_builtin)
            .finish()
    }
}

/// The built-in set, while a node puts it together.
#[derive(Clone, Copy)]
pub(crate) struct Builtin<'a>(&'a Functions);

impl Builtin<'_> {
    /// A function of the built-in set.
    pub(crate) fn insert<F, Fut>(&self, module: &'static str, function: &'static str, arity: usize, body: F)
    where
        F: Fn(Context, Args) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Term, Exception>> + Send + 'static,
    {
        let (module, function) = (Atom::from_static(module), Atom::from_static(function));
        self.0.tables_mut().builtin.insert(module, function, arity, handler(body));
    }

    /// One that is served also where the built-in set is not.
    pub(crate) fn insert_needed<F, Fut>(
        &self,
        module: &'static str,
        function: &'static str,
        arity: usize,
        body: F,
    ) where
        F: Fn(Context, Args) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Term, Exception>> + Send + 'static,
    {
        let (module, function) = (Atom::from_static(module), Atom::from_static(function));
        self.0.tables_mut().needed.insert(module, function, arity, handler(body));
    }
}

fn handler<F, Fut>(body: F) -> Handler
where
    F: Fn(Context, Args) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Term, Exception>> + Send + 'static,
{
    Arc::new(move |context, args| Box::pin(body(context, args)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(_: Context, _: Args) -> Result<Term, Exception> {
        Ok(Term::NIL)
    }

    #[test]
    fn the_builtin_set_goes_as_a_whole_and_what_is_own_stays() {
        let functions = Functions::new();
        functions.insert("erlang", "node", 0, nothing);
        functions.builtin().insert("erlang", "node", 0, nothing);
        functions.builtin().insert("erlang", "halt", 0, nothing);
        functions.builtin().insert_needed("erlang", "apply", 2, nothing);
        let is_own = |function, arity| functions.get("erlang", function, arity).map(|(_, is_own)| is_own);
        assert_eq!(is_own("node", 0), Some(true), "one's own goes first");
        assert_eq!((is_own("halt", 0), is_own("halt", 1)), (Some(false), None));
        functions.serve_builtin(false);
        assert_eq!(
            (is_own("node", 0), is_own("halt", 0), is_own("apply", 2)),
            (Some(true), None, Some(false))
        );
        functions.serve_builtin(true);
        assert!(functions.remove("erlang", "halt", 0) && !functions.remove("erlang", "halt", 0));
        assert!(functions.remove("erlang", "node", 0), "of both tables");
        assert!(!functions.contains("erlang", "node", 0) && functions.contains_module("erlang"));
    }

    #[test]
    fn a_clone_is_a_table_of_its_own() {
        let functions = Functions::new();
        functions.insert("m", "f", 0, nothing);
        let clone = functions.clone();
        clone.insert("m", "f", 1, nothing);
        assert!(clone.contains("m", "f", 0) && clone.contains("m", "f", 1));
        assert!(!functions.contains("m", "f", 1));
        assert_eq!(functions.modules(), ["m"]);
        assert!(format!("{functions:?}").contains("m:f/0"));
    }
}
