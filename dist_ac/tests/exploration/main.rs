//! The states that three nodes with one application can get into: all orders in which messages arrive, starts and
//! stops end, and timers go off, with a bounded number of starts, deaths, boots, moves and lost links.
//!
//! A breadth-first search over values, to its end. Each link is first in, first out; a connection that is lost loses
//! any number of the last messages. Time goes by while nothing is on its way, to the next timer, and applications take
//! as long as they like to start and to stop. Locks are granted at once to everybody, so that nothing hides behind them.
//!
//! | file | what |
//! |---|---|
//! | `node.rs` | a node: its `dist_ac`, its application controller, the application |
//! | `tables.rs` | what nodes do about events, each worked out once |
//! | `cluster.rs` | three nodes and their links: what can happen, and what comes of it |
//! | `checks.rs` | what holds once nothing happens any more |
//! | `search.rs` | all states; everything has an end |

mod checks;
mod cluster;
#[allow(dead_code)]
#[path = "../sim/dist_ac.rs"]
mod dist_ac;
mod node;
mod search;
#[allow(dead_code)]
#[path = "../sim/stock/mod.rs"]
mod stock;
mod tables;

use cluster::{Action, Budget, Cluster, Context};
use crabnode_dist_ac::engine::appl::Nodes;
use node::{Config, Event};

const LISTS: [&str; 3] = ["[a,b,c]", "[a,{b,c}]", "[{a,b,c}]"];

/// Nobody does anything.
const NOTHING: Budget = Budget::of_each(0);
const KILLS: Budget = Budget { kills: 1, ..NOTHING };
const TAKEOVERS: Budget = Budget { takeovers: 1, ..NOTHING };
/// It may be started at each node.
const STARTS: Budget = Budget { starts: 0b111, ..NOTHING };

const LOADED: [Action; 3] = [at(0, Event::Load), at(1, Event::Load), at(2, Event::Load)];
const STARTED: [Action; 3] = [at(0, Event::Start), at(1, Event::Start), at(2, Event::Start)];

const fn at(node: usize, event: Event) -> Action {
    Action::At(node, event)
}

/// In any order, each at any time.
#[test]
fn starts() {
    for list in &LISTS[..2] {
        explore("starts", list, 1000, &LOADED, STARTS);
    }
    if is_deep() {
        explore("starts", LISTS[2], 1000, &LOADED, STARTS);
        for list in LISTS {
            explore("loads and starts", list, 1000, &[], STARTS);
            explore("starts and a death", list, 1000, &LOADED, Budget { kills: 1, ..STARTS });
        }
        for list in &LISTS[..2] {
            explore("starts and a takeover", list, 1000, &LOADED, Budget { takeovers: 1, ..STARTS });
        }
    }
}

/// Of a node that runs it, or stands by, one after the other or both at once; and in the middle of a takeover.
#[test]
fn deaths() {
    for list in LISTS {
        for restart_ms in [0, 1000] {
            explore("two deaths", list, restart_ms, &STARTED, Budget { kills: 2, ..NOTHING });
            explore("a death, a takeover", list, restart_ms, &STARTED, Budget { takeovers: 1, ..KILLS });
        }
    }
}

/// A node that died boots, and it is started there again.
#[test]
fn reboots() {
    for list in LISTS {
        for dead in 0..3 {
            let story = [&STARTED[..], &[Action::Kill(dead)]].concat();
            explore("a boot", list, 1000, &story, Budget { boots: 1, ..NOTHING });
        }
    }
    if is_deep() {
        for list in LISTS {
            let story = [&STARTED[..], &[Action::Kill(0)]].concat();
            explore("a boot and a death", list, 1000, &story, Budget { boots: 1, ..KILLS });
        }
    }
}

#[test]
fn stops_and_failures() {
    for list in LISTS {
        explore("a stop, a death", list, 1000, &STARTED, Budget { stops: 1, ..KILLS });
        explore("a crash, a death", list, 1000, &STARTED, Budget { crashes: 1, ..KILLS });
        explore("a failed start, a death", list, 1000, &STARTED, Budget { failures: 1, ..KILLS });
        explore("a failed takeover", list, 1000, &STARTED, Budget { failures: 1, ..TAKEOVERS });
    }
}

/// `permit(false)`, and perhaps `permit(true)` after it.
#[test]
fn permissions() {
    for list in LISTS {
        explore("permit", list, 1000, &STARTED, Budget { permits: 1, ..NOTHING });
    }
}

/// One link is lost, or all of a node, and they come back at any time.
#[test]
fn lost_links() {
    for list in LISTS {
        explore("a lost link", list, 1000, &STARTED, Budget { cuts: 1, ..NOTHING });
        for node in 0..3 {
            let story = [&STARTED[..], &[Action::Isolate(node)]].concat();
            explore("the end of an isolation", list, 1000, &story, NOTHING);
        }
    }
    if is_deep() {
        for list in LISTS {
            explore("an isolation", list, 1000, &STARTED, Budget { isolations: 1, ..NOTHING });
        }
    }
}

/// One of the three is the model of OTP's `dist_ac`.
#[test]
fn beside_a_stock_node() {
    for list in &LISTS[..if is_deep() { 3 } else { 2 }] {
        explore_beside_stock("starts", list, 1000, &LOADED, STARTS);
    }
    for list in LISTS {
        for restart_ms in [0, 1000] {
            explore_beside_stock("two deaths", list, restart_ms, &STARTED, Budget { kills: 2, ..NOTHING });
        }
        for dead in 0..3 {
            let story = [&STARTED[..], &[Action::Kill(dead)]].concat();
            explore_beside_stock("a boot", list, 1000, &story, Budget { boots: 1, ..NOTHING });
        }
        explore_beside_stock("a stop", list, 1000, &STARTED, Budget { stops: 1, ..NOTHING });
        explore_beside_stock("a crash", list, 1000, &STARTED, Budget { crashes: 1, ..NOTHING });
        explore_beside_stock(
            "a failed start, a death",
            list,
            1000,
            &STARTED,
            Budget { failures: 1, ..KILLS },
        );
        explore_beside_stock("a failed takeover", list, 1000, &STARTED, Budget { failures: 1, ..TAKEOVERS });
        explore_beside_stock("permit", list, 1000, &STARTED, Budget { permits: 1, ..NOTHING });
        explore_beside_stock("a lost link", list, 1000, &STARTED, Budget { cuts: 1, ..NOTHING });
    }
    for list in &LISTS[..if is_deep() { 2 } else { 1 }] {
        for node in 0..3 {
            let story = [&STARTED[..], &[Action::Isolate(node)]].concat();
            explore_beside_stock("the end of an isolation", list, 1000, &story, NOTHING);
        }
    }
}

/// The larger budgets, of some minutes with optimisation.
fn is_deep() -> bool {
    std::env::var_os("SIM_DEEP").is_some()
}

fn explore(name: &str, list: &str, restart_ms: u64, story: &[Action], budget: Budget) {
    explore_with(None, name, list, restart_ms, story, budget);
}

/// The same with one stock node, in each place.
fn explore_beside_stock(name: &str, list: &str, restart_ms: u64, story: &[Action], budget: Budget) {
    for stock in 0..3 {
        let name = format!("{} is stock: {name}", node::NODES[stock]);
        explore_with(Some(stock), &name, list, restart_ms, story, budget);
    }
}

fn explore_with(
    stock: Option<usize>,
    name: &str,
    list: &str,
    restart_ms: u64,
    story: &[Action],
    budget: Budget,
) {
    let nodes = Nodes::from_term(&etf::text::parse_term(list).unwrap()).unwrap();
    let mut context = Context::new(Config { list: nodes, restart_ms, stock });
    let mut first = Cluster::settled(&mut context, story);
    first.budget = budget;
    search::explore(&format!("{name}, {list}, {restart_ms} ms"), &mut context, first);
}
