//! Application environments: `application:get_env` and `application:set_env`.

use std::collections::BTreeMap;

use etf::{Atom, Term};

/// The parameters of one application, as a configuration file has them.
pub type Parameters = Vec<(Atom, Term)>;

/// What the configuration says, and what is set now.
///
/// As in OTP, setting a parameter does not ask whether the application is loaded; loading one writes its parameters,
/// those of the configuration before those of its `.app` file; and unloading one removes them.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    configured: Vec<(Atom, Parameters)>,
    current: BTreeMap<Atom, Vec<(Term, Term)>>,
}

impl Environment {
    /// Nothing set yet.
    #[must_use]
    pub fn new(configured: Vec<(Atom, Parameters)>) -> Self {
        Self { configured, current: BTreeMap::new() }
    }

    /// The value of a parameter.
    #[must_use]
    pub fn value(&self, app: &str, key: &Term) -> Option<&Term> {
        self.current.get(app)?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// All parameters of an application.
    #[must_use]
    pub fn all(&self, app: &str) -> &[(Term, Term)] {
        self.current.get(app).map_or(&[], Vec::as_slice)
    }

    /// Sets a parameter; `persistent` keeps it over the next load.
    pub fn set(&mut self, app: &Atom, key: Term, value: Term, persistent: bool) {
        if let (true, Some(key)) = (persistent, key.as_atom()) {
            let parameters = self.configured_mut(app);
            parameters.retain(|(name, _)| name != key);
            parameters.push((key.clone(), value.clone()));
        }
        put(self.current.entry(app.clone()).or_default(), key, value);
    }

    /// Removes a parameter; `persistent` from the configuration too.
    pub fn unset(&mut self, app: &Atom, key: &Term, persistent: bool) {
        if let (true, Some(key)) = (persistent, key.as_atom()) {
            self.configured_mut(app).retain(|(name, _)| name != key);
        }
        if let Some(current) = self.current.get_mut(app) {
            current.retain(|(name, _)| name != key);
        }
    }

    /// The application is loaded, with the parameters of its `.app` file.
    pub(super) fn load(&mut self, app: &Atom, parameters: &[(Atom, Term)]) {
        let configured = self.configured.iter().find(|(name, _)| name == app);
        let configured = configured.map_or(&[][..], |(_, parameters)| parameters.as_slice());
        let current = self.current.entry(app.clone()).or_default();
        for (key, value) in parameters.iter().chain(configured) {
            put(current, Term::from(key), value.clone());
        }
    }

    pub(super) fn unload(&mut self, app: &Atom) {
        self.current.remove(app);
    }

    fn configured_mut(&mut self, app: &Atom) -> &mut Parameters {
        let at = self.configured.iter().position(|(name, _)| name == app).unwrap_or_else(|| {
            self.configured.push((app.clone(), Vec::new()));
            self.configured.len() - 1
        });
        &mut self.configured[at].1
    }
}

fn put(parameters: &mut Vec<(Term, Term)>, key: Term, value: Term) {
    match parameters.iter_mut().find(|(name, _)| *name == key) {
        Some(entry) => entry.1 = value,
        None => parameters.push((key, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Term {
        Term::atom(text)
    }

    #[test]
    fn the_configuration_goes_before_the_app_file() {
        let app = Atom::from("app1");
        let configured = vec![(app.clone(), vec![(Atom::from("a"), 1.into())])];
        let mut env = Environment::new(configured);
        assert_eq!(env.value("app1", &key("a")), None, "not before it is loaded");
        env.load(&app, &[(Atom::from("a"), 0.into()), (Atom::from("b"), 2.into())]);
        assert_eq!(env.value("app1", &key("a")), Some(&1.into()));
        assert_eq!(env.all("app1").len(), 2);
        env.unload(&app);
        assert_eq!(env.value("app1", &key("b")), None);
    }

    #[test]
    fn only_a_persistent_value_survives_a_load() {
        let app = Atom::from("app1");
        let mut env = Environment::default();
        env.set(&app, key("a"), 1.into(), false);
        env.set(&app, key("b"), 1.into(), true);
        env.load(&app, &[(Atom::from("a"), 0.into()), (Atom::from("b"), 0.into())]);
        assert_eq!(env.value("app1", &key("a")), Some(&0.into()));
        assert_eq!(env.value("app1", &key("b")), Some(&1.into()));
        env.unset(&app, &key("b"), true);
        env.unload(&app);
        env.load(&app, &[]);
        assert_eq!(env.value("app1", &key("b")), None);
    }
}
