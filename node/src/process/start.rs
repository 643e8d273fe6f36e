//! A process gets a name, and starts others.

use etf::{Atom, Pid, Reference};

use super::{Context, IntoExit, Monitor, Monitored, NameTaken, SpawnOptions, Watcher};

impl Context {
    /// `register(Name, self())`. As in Erlang nobody can be `undefined`.
    pub fn register(&self, name: impl Into<Atom>) -> Result<(), NameTaken> {
        let name = name.into();
        if self.inner().registry.register(&name, self.pid()) { Ok(()) } else { Err(NameTaken { name }) }
    }

    /// `unregister(Name)`, of this process or another of this node: whether somebody had it.
    pub fn unregister(&self, name: &str) -> bool {
        self.inner().registry.unregister(name)
    }

    /// Starts a process whose output goes where this one's goes.
    pub fn spawn<F, Fut>(&self, body: F) -> Pid
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        self.start(SpawnOptions::default(), false, None, body).expect("no name was given that could be taken")
    }

    /// Starts a process that is linked with this one from the start.
    pub fn spawn_link<F, Fut>(&self, options: SpawnOptions, body: F) -> Result<Pid, NameTaken>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        self.start(options, true, None, body)
    }

    /// Starts a process that is watched by this one from the start, so that its end is seen however soon it comes.
    pub fn spawn_monitor<F, Fut>(&self, options: SpawnOptions, body: F) -> Result<(Pid, Monitor), NameTaken>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        let reference = self.make_ref();
        let pid = self.start(options, false, Some(&reference), body)?;
        Ok((pid, Monitor { reference }))
    }

    /// Starts a process that is linked with this one and watched by it from the start.
    pub(crate) fn spawn_link_monitor<F, Fut>(&self, body: F) -> (Pid, Monitor)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        let reference = self.make_ref();
        let pid = self.start(SpawnOptions::default(), true, Some(&reference), body);
        (pid.expect("no name was given that could be taken"), Monitor { reference })
    }

    fn start<F, Fut>(
        &self,
        mut options: SpawnOptions,
        link: bool,
        watch: Option<&Reference>,
        body: F,
    ) -> Result<Pid, NameTaken>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        options.group_leader.get_or_insert_with(|| self.group_leader());
        let process = self.inner().new_process_for::<F>(options)?;
        let pid = process.pid.clone();
        // Nobody knows the new process yet: what is said of it on either side cannot be taken back in between.
        if link {
            process.with_signals(|signals| signals.linked_by(self.pid()));
            self.process().with_signals(|signals| _ = signals.link(&pid));
        }
        if let Some(reference) = watch {
            process.with_signals(|signals| {
                let watcher = Watcher { pid: self.pid().clone(), by_name: None };
                signals.watched_by(reference.clone(), watcher);
            });
            let item = Monitored::Pid(pid.clone());
            self.process().with_signals(|signals| signals.watch(reference.clone(), item));
        }
        self.inner().run_process(process, body);
        Ok(pid)
    }
}
