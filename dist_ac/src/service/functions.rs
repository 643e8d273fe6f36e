//! The modules `application` and `dist_ac` as other nodes call them over rpc (dist_ac.md 8).

use crabnode::{Args, Context, Exception, Functions};
use etf::{Atom, Term, tuple};

use super::Applications;
use crate::{
    application::{
        RestartType,
        controller::{Loadable, Request},
    },
    config, engine,
};

type Outcome = Result<Term, Exception>;

/// Puts them into the node's table.
pub(super) fn insert_all(functions: &Functions, applications: &Applications) {
    calls(functions, applications);
    environment(functions, applications);
    keys(functions, applications);
    moves(functions, applications);
}

/// Serves one function, with the applications and its arguments.
fn insert<F, Fut>(
    functions: &Functions,
    applications: &Applications,
    (module, function, arity): (&'static str, &'static str, usize),
    body: F,
) where
    F: Fn(Applications, Args) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let applications = applications.clone();
    functions.insert(module, function, arity, move |_: Context, args: Args| body(applications.clone(), args));
}

fn calls(functions: &Functions, applications: &Applications) {
    let put = |name, arity, request: fn(Args) -> Option<Request>| {
        insert(functions, applications, ("application", name, arity), move |apps, args| async move {
            match request(args) {
                Some(request) => Ok(apps.call(request).await),
                None => Err(Exception::badarg()),
            }
        });
    };
    put("which_applications", 0, |_| Some(Request::WhichApplications));
    put("which_applications", 1, |_| Some(Request::WhichApplications));
    put("info", 0, |_| Some(Request::Info));
    put("stop", 1, |args| Some(Request::Stop(atom(&args, 0)?)));
    put("unload", 1, |args| Some(Request::Unload(atom(&args, 0)?)));
    put("load", 1, |args| Some(Request::Load(loadable(&args[0]))));
    insert(functions, applications, ("application", "start_type", 0), |_, _| async {
        // Asked by a process that belongs to no application.
        Ok(Term::atom("undefined"))
    });
    insert(functions, applications, ("application_controller", "start_type", 1), |apps, args| async move {
        let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
        Ok(apps.call(Request::StartType(app)).await)
    });
    insert(functions, applications, ("application", "loaded_applications", 0), |apps, _| async move {
        Ok(apps.controller().loaded_applications())
    });
    for arity in [1, 2] {
        insert(functions, applications, ("application", "start", arity), |apps, args| async move {
            Ok(apps.start_term(args[0].clone(), restart_type(&args)).await)
        });
        insert(functions, applications, ("application", "ensure_started", arity), |apps, args| async move {
            let app = args[0].clone();
            Ok(match apps.start_term(app.clone(), restart_type(&args)).await {
                reply if reply == error(tuple!(atom "already_started", app)) => Term::atom("ok"),
                reply => reply,
            })
        });
        let function = ("application", "ensure_all_started", arity);
        insert(functions, applications, function, |apps, args| async move {
            let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
            Ok(apps.ensure_all_started(app, restart_type(&args)).await)
        });
    }
    insert(functions, applications, ("application", "load", 2), |apps, args| async move {
        Ok(apps.load_distributed(&args[0], args[1].clone()).await)
    });
}

fn environment(functions: &Functions, applications: &Applications) {
    insert(functions, applications, ("application", "get_env", 1), |_, _| async {
        Ok(Term::atom("undefined"))
    });
    insert(functions, applications, ("application", "get_env", 2), |apps, args| async move {
        let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
        let value = apps.controller().env().value(&app, &args[1]).cloned();
        Ok(value.map_or(Term::atom("undefined"), |value| tuple!(atom "ok", value)))
    });
    insert(functions, applications, ("application", "get_env", 3), |apps, mut args| async move {
        let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
        let value = apps.controller().env().value(&app, &args[1]).cloned();
        Ok(value.unwrap_or_else(|| args.swap_remove(2)))
    });
    insert(functions, applications, ("application", "get_all_env", 1), |apps, args| async move {
        let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
        let controller = apps.controller();
        let all = controller.env().all(&app).iter();
        Ok(all.map(|(key, value)| tuple!(key.clone(), value.clone())).collect::<Vec<_>>().into())
    });
    for arity in [1, 2] {
        insert(functions, applications, ("application", "set_env", arity), |apps, args| async move {
            let values = config_values(&args[0])?;
            let persistent = args.get(1).is_some_and(is_persistent);
            Ok(apps.call(Request::SetEnv { values, persistent }).await)
        });
        let function = ("application", "unset_env", arity + 1);
        insert(functions, applications, function, |apps, args| async move {
            let (app, key) = (atom(&args, 0).ok_or_else(Exception::badarg)?, args[1].clone());
            let persistent = args.get(2).is_some_and(is_persistent);
            Ok(apps.call(Request::UnsetEnv { app, key, persistent }).await)
        });
        insert(functions, applications, ("application", "set_env", arity + 2), |apps, args| async move {
            let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
            let values = vec![(app, args[1].clone(), args[2].clone())];
            let persistent = args.get(3).is_some_and(is_persistent);
            Ok(apps.call(Request::SetEnv { values, persistent }).await)
        });
    }
}

fn keys(functions: &Functions, applications: &Applications) {
    let optional =
        |value: Option<Term>| value.map_or(Term::atom("undefined"), |value| tuple!(atom "ok", value));
    insert(functions, applications, ("application", "get_key", 2), move |apps, args| async move {
        let (Some(app), Some(key)) = (atom(&args, 0), atom(&args, 1)) else {
            return Err(Exception::badarg());
        };
        Ok(optional(apps.controller().key(&app, &key)))
    });
    insert(functions, applications, ("application", "get_all_key", 1), move |apps, args| async move {
        let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
        Ok(optional(apps.controller().all_keys(&app)))
    });
}

fn moves(functions: &Functions, applications: &Applications) {
    insert(functions, applications, ("application", "takeover", 2), |apps, args| async move {
        let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
        Ok(apps.takeover_term(app, args[1].clone()).await)
    });
    insert(functions, applications, ("application", "permit", 2), |apps, args| async move {
        match (atom(&args, 0), args[1].as_bool()) {
            (Some(app), Some(permission)) => Ok(apps.permit_term(app, permission).await),
            _ => {
                let call = tuple!(atom "application", atom "permit", args);
                Err(Exception::Exit(tuple!(atom "badarg", call)))
            }
        }
    });
    if !applications.0.dist_ac {
        return;
    }
    insert(functions, applications, ("dist_ac", "get_known_nodes", 0), |apps, _| async move {
        Ok(apps.call_dist_ac(engine::Request::KnownNodes).await)
    });
    insert(functions, applications, ("dist_ac", "info", 0), |apps, _| async move {
        Ok(apps.call_dist_ac(engine::Request::Info).await)
    });
    insert(functions, applications, ("dist_ac", "get_nodes", 1), |apps, args| async move {
        let app = atom(&args, 0).ok_or_else(Exception::badarg)?;
        Ok(apps.call_dist_ac(engine::Request::Nodes(app)).await)
    });
}

impl Applications {
    /// `application:start/2`: an application or its specification.
    pub(super) async fn start_term(&self, application: Term, restart_type: Term) -> Term {
        match self.ensure_loaded(&application).await {
            Ok(app) => self.call(Request::Start { app, restart_type }).await,
            Err(reason) => error(reason),
        }
    }

    async fn ensure_loaded(&self, application: &Term) -> Result<Atom, Term> {
        let reply = self.call(Request::Load(loadable(application))).await;
        let name = application_name(application);
        let Some(reason) = reason_of(&reply) else {
            return name.ok_or_else(|| tuple!(atom "bad_application", application.clone()));
        };
        match (reason.as_tuple(), name) {
            // OTP takes what the error names, which is what was given.
            (Some([tag, _]), Some(name)) if tag.is_atom("already_loaded") => Ok(name),
            _ => Err(reason.clone()),
        }
    }

    /// `application:load/2`.
    async fn load_distributed(&self, application: &Term, spec: Term) -> Term {
        let reply = self.call(Request::Load(loadable(application))).await;
        let Some(app) = application_name(application).filter(|_| reason_of(&reply).is_none()) else {
            return reply;
        };
        if matches!(&spec, Term::List(none) if none.is_empty()) {
            return reply;
        }
        let forbidden = tuple!(&app, false);
        let permission = {
            let controller = self.controller();
            let permissions = controller.env().value("kernel", &Term::atom("permissions"));
            !permissions.and_then(Term::as_list).is_some_and(|list| list.contains(&forbidden))
        };
        let reply =
            self.call_dist_ac(engine::Request::LoadApplication { app: app.clone(), spec, permission }).await;
        if reason_of(&reply).is_some() {
            self.call(Request::Unload(app)).await;
        }
        reply
    }

    /// `application:ensure_all_started/2`: what it depends on first. On an error what it has started is stopped again.
    async fn ensure_all_started(&self, app: Atom, restart_type: Term) -> Term {
        let mut started = Vec::new();
        let result = self.ensure_with_dependencies(app, false, &restart_type, &mut started).await;
        match result {
            Ok(()) => tuple!(atom "ok", started.iter().map(Term::from).collect::<Vec<_>>()),
            Err(reason) => {
                for app in started.into_iter().rev() {
                    self.call(Request::Stop(app)).await;
                }
                error(reason)
            }
        }
    }

    async fn ensure_with_dependencies(
        &self,
        app: Atom,
        optional: bool,
        restart_type: &Term,
        started: &mut Vec<Atom>,
    ) -> Result<(), Term> {
        if self.call(Request::IsRunning(app.clone())).await == Term::from(true) {
            return Ok(());
        }
        if let Err(reason) = self.ensure_loaded(&Term::from(&app)).await {
            let missing = reason.as_tuple().and_then(<[Term]>::first).and_then(Term::as_text);
            let missing = missing.is_some_and(|text| text == "no such file or directory");
            return if optional && missing { Ok(()) } else { Err(tuple!(app, reason)) };
        }
        let spec = self.controller().spec(&app).cloned();
        for dependency in spec.iter().flat_map(|spec| &spec.applications) {
            let optional = spec.as_ref().is_some_and(|spec| spec.is_optional(dependency));
            let dependency = dependency.clone();
            Box::pin(self.ensure_with_dependencies(dependency, optional, restart_type, started)).await?;
        }
        let request = Request::Start { app: app.clone(), restart_type: restart_type.clone() };
        let reply = self.call(request).await;
        match reason_of(&reply) {
            None => started.push(app),
            Some(reason) if *reason == tuple!(atom "already_started", &app) => {}
            Some(reason) => return Err(tuple!(app, reason.clone())),
        }
        Ok(())
    }

    /// `application:takeover/2`.
    pub(super) async fn takeover_term(&self, app: Atom, restart_type: Term) -> Term {
        let Some(restart_type) = RestartType::from_term(&restart_type) else {
            return error(tuple!(atom "invalid_restart_type", restart_type));
        };
        if !self.0.dist_ac {
            return error(tuple!(atom "not_running_distributed", app));
        }
        self.call_dist_ac(engine::Request::Takeover { app, restart_type, locked: false }).await
    }

    /// `application:permit/2`: the application controller first, and for a distributed application `dist_ac`.
    pub(super) async fn permit_term(&self, app: Atom, permission: bool) -> Term {
        let reply = self.call(Request::Permit { app: app.clone(), permission }).await;
        let only_loaded = match &reply {
            Term::Atom(tag) if *tag == "distributed_application" => false,
            Term::Tuple(pair) if pair.first().is_some_and(|tag| tag.is_atom("distributed_application")) => {
                true
            }
            _ => return reply,
        };
        let request = engine::Request::Permit { app, permission, only_loaded, locked: false };
        self.call_dist_ac(request).await
    }
}

/// A gen call of `dist_ac` (dist_ac.md 1.1, 1.3). Its caller holds the lock, as the stock `application` module does.
pub(super) fn dist_ac_request(request: &Term, permission: impl Fn(&Atom) -> bool) -> Option<engine::Request> {
    use engine::Request as R;
    if let Some(name) = request.as_atom() {
        return match name.as_str() {
            "get_known_nodes" => Some(R::KnownNodes),
            "info" => Some(R::Info),
            _ => None,
        };
    }
    match request.as_tuple()? {
        [tag, Term::Atom(app)] if tag.is_atom("get_nodes") => Some(R::Nodes(app.clone())),
        [tag, distributed] if tag.is_atom("distribution_changed") => {
            Some(R::DistributionChanged(config::distributions(distributed).ok()?))
        }
        [tag, Term::Atom(app), spec] if tag.is_atom("load_application") => {
            let permission = permission(app);
            Some(R::LoadApplication { app: app.clone(), spec: spec.clone(), permission })
        }
        [tag, Term::Atom(app), restart_type] if tag.is_atom("takeover_application") => {
            let restart_type = RestartType::from_term(restart_type)?;
            Some(R::Takeover { app: app.clone(), restart_type, locked: true })
        }
        [tag, Term::Atom(app), permission, _lock, info] if tag.is_atom("permit_application") => {
            let only_loaded = info.is_atom("only_loaded");
            Some(R::Permit { app: app.clone(), permission: permission.as_bool()?, only_loaded, locked: true })
        }
        _ => None,
    }
}

/// A gen call of `application_controller`.
pub(super) fn controller_request(request: &Term) -> Option<Request> {
    if let Some(name) = request.as_atom() {
        return match name.as_str() {
            "info" => Some(Request::Info),
            "which_applications" => Some(Request::WhichApplications),
            _ => None,
        };
    }
    match request.as_tuple()? {
        [tag, Term::Atom(app)] => match tag.as_atom()?.as_str() {
            "is_running" => Some(Request::IsRunning(app.clone())),
            "load_application" => Some(Request::Load(Loadable::Name(app.clone()))),
            "start_type" => Some(Request::StartType(app.clone())),
            "stop_application" => Some(Request::Stop(app.clone())),
            "unload_application" => Some(Request::Unload(app.clone())),
            _ => None,
        },
        [tag, spec] if tag.is_atom("load_application") => Some(Request::Load(Loadable::Spec(spec.clone()))),
        [tag, Term::Atom(app), restart_type] if tag.is_atom("start_application") => {
            Some(Request::Start { app: app.clone(), restart_type: restart_type.clone() })
        }
        [tag, Term::Atom(app), permission] if tag.is_atom("permit_application") => {
            Some(Request::Permit { app: app.clone(), permission: permission.as_bool()? })
        }
        [tag, Term::Atom(app), key, value, options] if tag.is_atom("set_env") => {
            let values = vec![(app.clone(), key.clone(), value.clone())];
            Some(Request::SetEnv { values, persistent: is_persistent(options) })
        }
        [tag, values, options] if tag.is_atom("set_env") => {
            let values = config_values(values).ok()?;
            Some(Request::SetEnv { values, persistent: is_persistent(options) })
        }
        [tag, Term::Atom(app), key, options] if tag.is_atom("unset_env") => {
            let persistent = is_persistent(options);
            Some(Request::UnsetEnv { app: app.clone(), key: key.clone(), persistent })
        }
        _ => None,
    }
}

fn atom(args: &[Term], at: usize) -> Option<Atom> {
    args.get(at)?.as_atom().cloned()
}

/// The second argument, or the default.
fn restart_type(args: &[Term]) -> Term {
    args.get(1).cloned().unwrap_or_else(|| Term::atom("temporary"))
}

fn loadable(term: &Term) -> Loadable {
    match term {
        Term::Atom(name) => Loadable::Name(name.clone()),
        term => Loadable::Spec(term.clone()),
    }
}

fn application_name(term: &Term) -> Option<Atom> {
    match term.as_tuple() {
        Some([tag, Term::Atom(name), _]) if tag.is_atom("application") => Some(name.clone()),
        _ => term.as_atom().cloned(),
    }
}

fn error(reason: Term) -> Term {
    tuple!(atom "error", reason)
}

fn reason_of(reply: &Term) -> Option<&Term> {
    match reply.as_tuple()? {
        [tag, reason] if tag.is_atom("error") => Some(reason),
        _ => None,
    }
}

/// `[{persistent, true}]`; a timeout in its place says nothing about that.
fn is_persistent(options: &Term) -> bool {
    let set = tuple!(atom "persistent", true);
    options.as_list().is_some_and(|list| list.contains(&set) || list.contains(&Term::atom("persistent")))
}

/// `[{App, [{Key, Value}]}]`, checked as a configuration is.
fn config_values(term: &Term) -> Result<Vec<(Atom, Term, Term)>, Exception> {
    let list = term.as_list().ok_or_else(Exception::badarg)?;
    let checked = config::SysConfig::from_terms(list).map_err(|fault| {
        let text = match fault {
            config::ConfigError::Invalid(text) => text,
            other => other.to_string(),
        };
        Exception::error(tuple!(atom "badarg", Term::charlist(&text)))
    })?;
    let flat = checked.applications().iter().flat_map(|(app, parameters)| {
        parameters.iter().map(|(key, value)| (app.clone(), Term::from(key), value.clone()))
    });
    Ok(flat.collect())
}
