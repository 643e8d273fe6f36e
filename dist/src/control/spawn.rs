//! What a spawn request asks for and a spawn reply says (wire.md 5.3).

use etf::{Atom, Term};

/// `{Module, Function, Arity}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mfa {
    /// The module.
    pub module: Atom,
    /// The function.
    pub function: Atom,
    /// What the requester says the number of arguments is. Receivers go by the argument list instead.
    pub arity: i64,
}

/// The options of a spawn request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpawnOptions {
    /// `link`: link the new process and the requester.
    pub link: bool,
    /// `monitor` or `{monitor, Opts}`: let the requester monitor the new process, under the request's id.
    pub monitor: Option<MonitorOptions>,
    /// Options that only tune a BEAM (`{min_heap_size, Words}`, `{priority, Level}`, …), in their order. A
    /// receiver that is no BEAM may ignore them.
    pub tuning: Vec<Term>,
    /// Anything else, in its order. The BEAM answers `badopt` to these, also to `reply` and `reply_tag`, which
    /// are the requester's own affair.
    pub unknown: Vec<Term>,
}

/// The options of a monitor, which matter to the requester only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MonitorOptions {
    /// `{tag, Tag}`: what the requester puts in place of `'DOWN'`.
    pub tag: Option<Term>,
    /// `{alias, Mode}`: the request's id is an alias too.
    pub alias: Option<AliasMode>,
    /// Options of later releases, in their order.
    pub unknown: Vec<Term>,
}

/// When an alias ends that was made with a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AliasMode {
    /// By `unalias/1` only.
    ExplicitUnalias,
    /// With the monitor.
    Demonitor,
    /// With the monitor, or with the first message to the alias.
    ReplyDemonitor,
}

/// Spawn options that are no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spawn options that are no list")]
pub struct BadSpawnOptions(pub Term);

impl SpawnOptions {
    /// The options of a list.
    pub fn from_term(term: Term) -> Result<Self, BadSpawnOptions> {
        let Term::List(list) = term else { return Err(BadSpawnOptions(term)) };
        let mut options = Self::default();
        for option in list {
            options.add(option);
        }
        Ok(options)
    }

    fn add(&mut self, option: Term) {
        if option.is_atom("link") {
            self.link = true;
        } else if option.is_atom("monitor") {
            self.monitor = Some(MonitorOptions::default());
        } else if let Some(monitor) = monitor_options(&option) {
            self.monitor = Some(monitor);
        } else if is_tuning(&option) {
            self.tuning.push(option);
        } else {
            self.unknown.push(option);
        }
    }

    /// The list of the options.
    #[must_use]
    pub fn to_term(&self) -> Term {
        let mut list = Vec::new();
        // In the order in which the BEAM puts them.
        if let Some(monitor) = &self.monitor {
            list.push(monitor.to_term());
        }
        if self.link {
            list.push(Term::atom("link"));
        }
        list.extend(self.tuning.iter().chain(&self.unknown).cloned());
        Term::list(list)
    }
}

/// The options of `{monitor, Opts}`, or nothing if a BEAM would refuse it.
fn monitor_options(option: &Term) -> Option<MonitorOptions> {
    let [tag, list] = option.as_tuple()? else { return None };
    if !tag.is_atom("monitor") {
        return None;
    }
    let mut options = MonitorOptions::default();
    for option in list.as_list()? {
        match option.as_tuple() {
            Some([key, tag]) if key.is_atom("tag") => options.tag = Some(tag.clone()),
            Some([key, mode]) if key.is_atom("alias") => options.alias = Some(AliasMode::from_term(mode)?),
            _ => options.unknown.push(option.clone()),
        }
    }
    Some(options)
}

/// Options of OTP 23 to 29 that say how a BEAM is to treat the process, not what it is to do.
fn is_tuning(option: &Term) -> bool {
    const TUNING: &[&str] = &[
        "async_dist",
        "fullsweep_after",
        "max_heap_size",
        "message_queue_data",
        "min_bin_vheap_size",
        "min_heap_size",
        "priority",
        "scheduler",
    ];
    let Some([key, _]) = option.as_tuple() else { return false };
    key.as_atom().is_some_and(|key| TUNING.contains(&key.as_str()))
}

impl MonitorOptions {
    fn to_term(&self) -> Term {
        if *self == Self::default() {
            return Term::atom("monitor");
        }
        let mut list = Vec::new();
        if let Some(tag) = &self.tag {
            list.push(Term::tuple([Term::atom("tag"), tag.clone()]));
        }
        if let Some(alias) = self.alias {
            list.push(Term::tuple([Term::atom("alias"), Term::atom(alias.as_str())]));
        }
        list.extend(self.unknown.iter().cloned());
        Term::tuple([Term::atom("monitor"), Term::list(list)])
    }
}

impl AliasMode {
    fn from_term(term: &Term) -> Option<Self> {
        [Self::ExplicitUnalias, Self::Demonitor, Self::ReplyDemonitor]
            .into_iter()
            .find(|mode| term.is_atom(mode.as_str()))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::ExplicitUnalias => "explicit_unalias",
            Self::Demonitor => "demonitor",
            Self::ReplyDemonitor => "reply_demonitor",
        }
    }
}

/// What was set up along with a spawned process, 27 bits; unknown ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SpawnReplyFlags(u32);

/// Flags of 2²⁷ or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("spawn reply flags {bits:#x}; the limit is {max:#x}", max = SpawnReplyFlags::MAX)]
pub struct SpawnReplyFlagsError {
    /// What was asked for.
    pub bits: u64,
}

impl SpawnReplyFlags {
    /// Nothing was set up.
    pub const NONE: Self = Self(0);
    /// The link is set up.
    pub const LINK: Self = Self(1);
    /// The monitor is set up.
    pub const MONITOR: Self = Self(2);
    /// All bits that fit: what a 32-bit BEAM holds in one word.
    pub const MAX: u32 = (1 << 27) - 1;

    /// The flags of these bits.
    pub const fn from_bits(bits: u64) -> Result<Self, SpawnReplyFlagsError> {
        if bits > Self::MAX as u64 {
            return Err(SpawnReplyFlagsError { bits });
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked: less than 2^27")]
        Ok(Self(bits as u32))
    }

    /// All bits, as on the wire.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// These flags and `other`'s.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other`'s flags are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
