//! The application resource file, `NAME.app`: `{application, Name, Options}`.

use etf::{Atom, Term, tuple};

use super::environment::Parameters;

/// The function that starts an application: the `mod` key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartSpec {
    /// The callback module.
    pub module: Atom,
    /// What its `start/2` gets.
    pub args: Term,
}

/// What a `.app` file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The application.
    pub name: Atom,
    /// `description`, usually a string.
    pub description: Term,
    /// `id`.
    pub id: Term,
    /// `vsn`.
    pub vsn: Term,
    /// `modules`.
    pub modules: Term,
    /// `registered`.
    pub registered: Term,
    /// `maxP`.
    pub max_p: Term,
    /// `maxT`.
    pub max_t: Term,
    /// `applications`: what has to be started before.
    pub applications: Vec<Atom>,
    /// `included_applications`: loaded with this one, and started by it.
    pub included_applications: Vec<Atom>,
    /// `optional_applications`: those of `applications` that may be missing.
    pub optional_applications: Vec<Atom>,
    /// `env`.
    pub env: Parameters,
    /// `mod`; nothing for a library, which has nothing to start.
    pub start: Option<StartSpec>,
    /// `start_phases`, in their order; nothing where the key is missing, which is not the same as `[]`.
    pub start_phases: Option<Vec<(Atom, Term)>>,
}

impl Spec {
    /// A library without dependencies.
    #[must_use]
    pub fn new(name: Atom) -> Self {
        Self {
            name,
            description: Term::NIL,
            id: Term::NIL,
            vsn: Term::NIL,
            modules: Term::NIL,
            registered: Term::NIL,
            max_p: Term::atom("infinity"),
            max_t: Term::atom("infinity"),
            applications: Vec::new(),
            included_applications: Vec::new(),
            optional_applications: Vec::new(),
            env: Vec::new(),
            start: None,
            start_phases: None,
        }
    }

    /// The specification of a term; or the reason of the `{error, Reason}` that OTP gives.
    pub fn from_term(term: &Term) -> Result<Self, Term> {
        let Some([tag, name, options]) = term.as_tuple() else {
            return Err(tuple!(atom "bad_application", term.clone()));
        };
        if !tag.is_atom("application") {
            return Err(tuple!(atom "bad_application", term.clone()));
        }
        let Some(list) = options.as_list() else {
            return Err(tuple!(atom "invalid_options", options.clone()));
        };
        let Some(name) = name.as_atom() else {
            return Err(tuple!(atom "invalid_name", name.clone()));
        };
        let bad = |key: &'static str, value: &Term| tuple!(atom "invalid_options", vec![tuple!(Term::atom(key), value.clone())]);
        let mut spec = Self::new(name.clone());
        for (key, value) in list.iter().filter_map(option) {
            match key.as_str() {
                "description" => spec.description = value.clone(),
                "id" => spec.id = value.clone(),
                "vsn" => spec.vsn = value.clone(),
                "modules" => spec.modules = value.clone(),
                "registered" => spec.registered = value.clone(),
                "maxP" => spec.max_p = value.clone(),
                "maxT" => spec.max_t = value.clone(),
                "applications" => {
                    spec.applications = atoms(value).ok_or_else(|| bad("applications", value))?
                }
                "included_applications" => {
                    spec.included_applications =
                        atoms(value).ok_or_else(|| bad("included_applications", value))?;
                }
                "optional_applications" => {
                    spec.optional_applications =
                        atoms(value).ok_or_else(|| bad("optional_applications", value))?;
                }
                "env" => spec.env = pairs(value).ok_or_else(|| bad("env", value))?,
                "mod" => spec.start = start_spec(value)?,
                "start_phases" if value.is_atom("undefined") => spec.start_phases = None,
                "start_phases" => {
                    spec.start_phases = Some(pairs(value).ok_or_else(|| bad("start_phases", value))?);
                }
                // Keys of tools, such as `runtime_dependencies`.
                _ => {}
            }
        }
        Ok(spec)
    }

    /// What `application:get_key/2` gives, but for `env`.
    #[must_use]
    pub fn key(&self, key: &str) -> Option<Term> {
        Some(match key {
            "applications" => names(&self.applications),
            "description" => self.description.clone(),
            "id" => self.id.clone(),
            "included_applications" => names(&self.included_applications),
            "maxP" => self.max_p.clone(),
            "maxT" => self.max_t.clone(),
            "mod" => match &self.start {
                Some(start) => tuple!(&start.module, start.args.clone()),
                None => Term::NIL,
            },
            "modules" => self.modules.clone(),
            "optional_applications" => names(&self.optional_applications),
            "registered" => self.registered.clone(),
            "start_phases" => match &self.start_phases {
                Some(phases) => {
                    phases.iter().map(|(phase, args)| tuple!(phase, args.clone())).collect::<Vec<_>>().into()
                }
                None => Term::atom("undefined"),
            },
            "vsn" => self.vsn.clone(),
            _ => return None,
        })
    }

    /// `{Name, Description, Vsn}`, as `which_applications` lists it.
    #[must_use]
    pub fn summary(&self) -> Term {
        tuple!(&self.name, self.description.clone(), self.vsn.clone())
    }

    /// Whether the application may run without this dependency.
    #[must_use]
    pub fn is_optional(&self, dependency: &Atom) -> bool {
        self.optional_applications.contains(dependency)
    }
}

/// The keys in the order in which `application:get_all_key/1` lists them.
pub(super) const KEYS: [&str; 13] = [
    "description",
    "id",
    "vsn",
    "modules",
    "maxP",
    "maxT",
    "registered",
    "included_applications",
    "optional_applications",
    "applications",
    "env",
    "mod",
    "start_phases",
];

fn option(term: &Term) -> Option<(&Atom, &Term)> {
    match term.as_tuple()? {
        [Term::Atom(key), value] => Some((key, value)),
        _ => None,
    }
}

fn atoms(term: &Term) -> Option<Vec<Atom>> {
    term.as_list()?.iter().map(|name| name.as_atom().cloned()).collect()
}

fn pairs(term: &Term) -> Option<Vec<(Atom, Term)>> {
    let pair = |term: &Term| option(term).map(|(key, value)| (key.clone(), value.clone()));
    term.as_list()?.iter().map(pair).collect()
}

fn start_spec(value: &Term) -> Result<Option<StartSpec>, Term> {
    match value {
        Term::List(list) if list.is_empty() => Ok(None),
        Term::Tuple(pair) => match pair.as_slice() {
            [Term::Atom(module), args] => Ok(Some(StartSpec { module: module.clone(), args: args.clone() })),
            _ => Err(tuple!(atom "badstartspec", value.clone())),
        },
        _ => Err(tuple!(atom "badstartspec", value.clone())),
    }
}

fn names(apps: &[Atom]) -> Term {
    apps.iter().map(Term::from).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(options: Vec<Term>) -> Term {
        tuple!(atom "application", atom "app1", options)
    }

    fn key(key: &'static str, value: Term) -> Term {
        tuple!(Term::atom(key), value)
    }

    #[test]
    fn every_key_comes_back() {
        let options = vec![
            key("description", Term::charlist("an app")),
            key("vsn", Term::charlist("1.0")),
            key("applications", Term::list(vec![Term::atom("kernel"), Term::atom("stdlib")])),
            key("included_applications", Term::list(vec![Term::atom("inc")])),
            key("optional_applications", Term::list(vec![Term::atom("stdlib")])),
            key("env", Term::list(vec![key("a", 1.into())])),
            key("mod", tuple!(atom "app1_app", Term::NIL)),
            key("start_phases", Term::list(vec![key("init", Term::NIL), key("go", 1.into())])),
            key("runtime_dependencies", Term::NIL),
        ];
        let spec = Spec::from_term(&term(options.clone())).unwrap();
        for option in &options[..options.len() - 1] {
            let Some([name, value]) = option.as_tuple() else { panic!("a pair") };
            let name = name.as_atom().unwrap();
            if name != "env" {
                assert_eq!(spec.key(name).as_ref(), Some(value), "{name:?}");
            }
        }
        assert_eq!(spec.env, vec![(Atom::from("a"), 1.into())]);
        assert_eq!(spec.key("maxT"), Some(Term::atom("infinity")));
        assert_eq!(spec.key("nope"), None);
        assert_eq!(spec.start_phases.unwrap()[1].0, "go");
    }

    #[test]
    fn an_empty_list_of_phases_is_not_none() {
        assert_eq!(Spec::from_term(&term(vec![])).unwrap().start_phases, None);
        let empty = term(vec![key("start_phases", Term::NIL)]);
        assert_eq!(Spec::from_term(&empty).unwrap().start_phases, Some(vec![]));
    }

    #[test]
    fn errors_are_those_of_otp() {
        let error = |term: Term| Spec::from_term(&term).unwrap_err();
        assert_eq!(error(Term::atom("x")), tuple!(atom "bad_application", atom "x"));
        assert_eq!(error(tuple!(atom "application", 1, Term::NIL)), tuple!(atom "invalid_name", 1));
        assert_eq!(error(tuple!(atom "application", atom "a", 2)), tuple!(atom "invalid_options", 2));
        assert_eq!(error(term(vec![key("mod", 1.into())])), tuple!(atom "badstartspec", 1));
        assert_eq!(
            error(term(vec![key("env", 1.into())])),
            tuple!(atom "invalid_options", vec![key("env", 1.into())])
        );
    }
}
