//! All states that a cluster can get into, the nearest first; and that everything has an end.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    time::Instant,
};

use crate::{
    checks,
    cluster::{Action, Cluster, Context, is_quiet},
};

/// A search that is not over with so many states has a budget that is too large: it would take all memory.
const STATES_MAX: usize = 100_000_000;

/// How a state was first reached: from which one, and by which of the actions there.
#[derive(Debug, Clone, Copy)]
struct Origin {
    state: u32,
    action: u8,
}

/// What happens by itself: from which state, to which.
type Arrows = Vec<(u32, u32)>;

/// The numbers of states by their hash, of 64 bits and keyed: of a million states two fall together, and one of them
/// is overlooked, in one search of forty million.
type Numbers = HashMap<u64, u32, BuildHasherDefault<AsItIs>>;

/// Explores all of it.
pub fn explore(name: &str, context: &mut Context, first: Cluster) {
    #[expect(clippy::disallowed_methods, reason = "how long the search takes is told")]
    let since = Instant::now();
    let key = RandomState::new().hash_one(0);
    let mut numbers = Numbers::default();
    numbers.insert(first.hash(key), 0);
    let mut origins = vec![Origin { state: 0, action: 0 }];
    let mut queue = VecDeque::from([first]);
    let (mut arrows, mut waits, mut quiet): (Arrows, Arrows, Vec<u32>) = (Vec::new(), Vec::new(), Vec::new());
    let (mut number, mut steps) = (0, 0_usize);
    while let Some(cluster) = queue.pop_front() {
        let own = cluster.own_actions(context);
        if is_quiet(&own) {
            quiet.push(number);
            if let Err(what) = checks::once_quiet(&cluster, context) {
                fail(name, &what, context, first, &path(&origins, number));
            }
        }
        let budgeted = cluster.budgeted(context);
        for (at, action) in own.iter().chain(&budgeted).enumerate() {
            steps += 1;
            let by = Origin { state: number, action: u8::try_from(at).expect("few actions") };
            let next = cluster.after(context, *action).unwrap_or_else(|what| {
                fail(name, &what, context, first, &[path(&origins, number), vec![by.action]].concat())
            });
            let new = u32::try_from(origins.len()).expect("fewer states than that");
            let to = *numbers.entry(next.hash(key)).or_insert(new);
            if to == new {
                origins.push(by);
                queue.push_back(next);
            }
            match action {
                Action::Wait(_) => waits.push((number, to)),
                _ if at < own.len() => arrows.push((number, to)),
                _ => {}
            }
        }
        number += 1;
        if number % 5_000_000 == 0 {
            let (waiting, (nodes, _)) = (queue.len(), context.tables.sizes());
            eprintln!("{name}: {number} states, {waiting} more to look at, {nodes} states of nodes");
        }
        assert!(origins.len() < STATES_MAX, "{name}: too many states");
    }
    let (nodes, local) = context.tables.sizes();
    eprintln!(
        "{name}: {} states, {} of them quiet; {steps} steps, {} of them of {nodes} states of nodes; {:.1} s",
        origins.len(),
        quiet.len(),
        local,
        since.elapsed().as_secs_f64(),
    );
    assert!(!quiet.is_empty(), "{name}: never quiet");
    if let Some(state) = endless(origins.len(), &arrows) {
        fail(name, "messages have no end", context, first, &path(&origins, state));
    }
    arrows.append(&mut waits);
    if let Some(state) = restless(origins.len(), &arrows, quiet) {
        fail(name, "it never comes to rest", context, first, &path(&origins, state));
    }
}

/// A state from which messages can go on for ever although nobody does anything, and no time goes by.
fn endless(states: usize, arrows: &Arrows) -> Option<u32> {
    let before = Before::new(states, arrows);
    let mut ways = vec![0_u32; states];
    for (from, _) in arrows {
        ways[*from as usize] += 1;
    }
    let mut ended: Vec<u32> =
        (0..).zip(&ways).filter(|(_, ways)| **ways == 0).map(|(state, _)| state).collect();
    while let Some(state) = ended.pop() {
        for from in before.of(state) {
            ways[*from as usize] -= 1;
            if ways[*from as usize] == 0 {
                ended.push(*from);
            }
        }
    }
    (0..).zip(&ways).find(|(_, ways)| **ways > 0).map(|(state, _)| state)
}

/// A state from which no way leads to a quiet one, if nobody does anything.
fn restless(states: usize, arrows: &Arrows, quiet: Vec<u32>) -> Option<u32> {
    let before = Before::new(states, arrows);
    let mut rests = vec![false; states];
    let mut found = quiet;
    while let Some(state) = found.pop() {
        if !std::mem::replace(&mut rests[state as usize], true) {
            found.extend(before.of(state));
        }
    }
    (0..).zip(&rests).find(|(_, rests)| !**rests).map(|(state, _)| state)
}

/// From where each state is reached.
struct Before {
    /// Where those of a state begin in the list.
    starts: Vec<usize>,
    list: Vec<u32>,
}

impl Before {
    fn new(states: usize, arrows: &Arrows) -> Self {
        let mut starts = vec![0; states + 1];
        for (_, to) in arrows {
            starts[*to as usize + 1] += 1;
        }
        for state in 0..states {
            starts[state + 1] += starts[state];
        }
        let (mut next, mut list) = (starts.clone(), vec![0; arrows.len()]);
        for (from, to) in arrows {
            list[next[*to as usize]] = *from;
            next[*to as usize] += 1;
        }
        Self { starts, list }
    }

    fn of(&self, state: u32) -> &[u32] {
        &self.list[self.starts[state as usize]..self.starts[state as usize + 1]]
    }
}

/// The actions that lead to a state.
fn path(origins: &[Origin], mut state: u32) -> Vec<u8> {
    let mut path = Vec::new();
    while state != 0 {
        path.push(origins[state as usize].action);
        state = origins[state as usize].state;
    }
    path.reverse();
    path
}

/// Tells what happened, one thing after the other, and what each node knows in the end.
fn fail(name: &str, what: &str, context: &mut Context, first: Cluster, path: &[u8]) -> ! {
    let (mut cluster, mut story) = (first, String::new());
    for at in path {
        let own = cluster.own_actions(context);
        let action =
            own.into_iter().chain(cluster.budgeted(context)).nth(usize::from(*at)).expect("as before");
        story += &cluster.describe(context, action);
        story += "\n";
        // The last one may be what must not be.
        cluster = cluster.after(context, action).unwrap_or(cluster);
    }
    panic!("{name}: {what}\n{}\n{story}{name}: {what}", cluster.dump(context))
}

/// What is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
