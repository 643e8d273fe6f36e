//! The healer by what nodes say: a round, and what comes of it.

use etf::Term;

use super::*;
use crate::engine::{appl::Nodes, wire::Message};

mod waits;

const LIST: &str = "[a,b,c]";

struct Rig {
    healer: Healer,
    now: Instant,
    /// What each stock node answers: `dist_ac:info()`, `application:info()`, `nodes()`.
    stock: Vec<(&'static str, Option<String>, String, String)>,
    list: &'static str,
    /// In what every blocked node is: the function, and its variables.
    waiting: (&'static str, &'static str),
    /// Whom the member knows, and what was started there.
    member: (&'static str, &'static str),
    /// What runs there and what is to be started, as its application controller says; and its permission.
    controller: (&'static str, &'static str),
    run: &'static str,
    /// What it has heard without being started: `remote_started`.
    remote: String,
    /// Blocked in its first introductions instead, with these variables.
    introductions: Option<(&'static str, &'static str)>,
    /// Blocked in the lock of its first introductions instead.
    boots: Option<&'static str>,
    /// Blocked in waiting for anybody's start instead, with these variables.
    anybody: Option<(&'static str, &'static str)>,
}

fn atom(text: &str) -> Atom {
    Atom::from(text)
}

fn term(text: &str) -> Term {
    etf::text::parse_term(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `dist_ac:info()` of a node with `app1`.
fn info(id: &str, run: &str, known: &str, started: &str) -> String {
    format!("{{state,[{{appl,app1,{id},1000,{LIST},{run}}}],[],[],{known},{started},[],[],[],[],[]}}")
}

/// `application:info()`, where it is `running` so.
fn controller(running: &str, starting: &str) -> String {
    format!(
        "[{{loaded,[]}},{{loading,[]}},{{started,[{{app1,temporary}},{{kernel,permanent}}]}},{{start_p_false,[]}},\
         {{running,[{running}{{kernel,undefined}}]}},{{starting,[{starting}]}}]"
    )
}

const HERE: &str = "{app1,undefined},";

impl Rig {
    /// The member `r`, and these stock nodes.
    fn new(level: Heal, stock: &[&'static str]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the test counts from some instant")]
        let now = Instant::now();
        let config = HealConfig { level, ..HealConfig::default() };
        let mut healer = Healer::new(atom("r"), config);
        for node in stock {
            healer.handle(now, Input::NodeUp { node: atom(node), hidden: false });
        }
        let quiet = |node: &&'static str| {
            (*node, Some(info("undefined", "[]", "[]", "[]")), controller("", ""), "[]".to_owned())
        };
        Self {
            healer,
            now,
            stock: stock.iter().map(quiet).collect(),
            list: LIST,
            waiting: ("wait_dist_start/7", "reply"),
            member: ("[r]", "[]"),
            controller: ("", ""),
            run: "[]",
            remote: "[]".to_owned(),
            introductions: None,
            boots: None,
            anybody: None,
        }
    }

    /// A stock node that runs it, or stands by, and knows these.
    fn says(&mut self, node: &str, id: &str, known: &str) {
        let running = if id == "local" { HERE } else { "" };
        let run = format!("[{{{node},true}}]");
        let entry = self.stock.iter_mut().find(|entry| entry.0 == node).expect("a stock node");
        entry.1 = Some(info(id, &run, known, "[app1]"));
        entry.2 = controller(running, "");
    }

    /// All stock nodes are connected.
    fn mesh(&mut self) {
        let names: Vec<&str> = self.stock.iter().map(|entry| entry.0).collect();
        for entry in &mut self.stock {
            let others: Vec<&str> = names.iter().filter(|name| **name != entry.0).copied().collect();
            entry.3 = format!("[{},r]", others.join(","));
        }
    }

    /// Its `dist_ac` does not answer.
    fn blocked(&mut self, node: &str, running: &str, starting: &str) {
        let entry = self.stock.iter_mut().find(|entry| entry.0 == node).expect("a stock node");
        (entry.1, entry.2) = (None, controller(running, starting));
    }

    /// Lets time pass, with every question answered, and gives what was done: `b {term}` is sent to b.
    fn run(&mut self, millis: u64) -> Vec<String> {
        let end = self.now + Duration::from_millis(millis);
        let mut lines = Vec::new();
        loop {
            while let Some(output) = self.healer.poll_output() {
                match output {
                    Output::Ask { node, question, .. } => self.answer(node, question),
                    Output::Event(event) => lines.push(format!("{event:?}")),
                    Output::NodeDown { node, down } => lines.push(format!("{node} nodedown {down}")),
                    Output::Send { node, message } => {
                        if let (Message::AppStarted { node: runner, app, .. }, "r") =
                            (&message, node.as_str())
                        {
                            self.remote = format!("[{{{runner},{app}}}]");
                        }
                        lines.push(format!("{node} {}", message.to_term()));
                    }
                    Output::Restart { node, app, restart_type } => {
                        lines.push(format!("{node} restart({app},{restart_type})"));
                    }
                    Output::TakeOver { node, app, restart_type } => {
                        lines.push(format!("{node} takeover({app},{restart_type})"));
                    }
                }
            }
            match self.healer.poll_timeout().filter(|at| *at <= end) {
                Some(at) => {
                    self.now = at.max(self.now);
                    self.healer.handle(self.now, Input::Timeout);
                }
                None => {
                    self.now = end;
                    return lines;
                }
            }
        }
    }

    /// What was sent, without the events.
    fn sent(&mut self, millis: u64) -> Vec<String> {
        let mut lines = self.run(millis);
        lines.retain(|line| !line.starts_with("Repair"));
        lines
    }

    fn backtrace(&self, node: &Atom) -> Term {
        if self.boots == Some(node.as_str()) {
            let text = "Program counter: 0x00 (global:random_sleep/1 + 412)\ny(0)     []\n\n\
                0x00 Return addr 0x01 (dist_ac:sync_dacs/1 + 164)\ny(0)     []\n";
            return etf::tuple!(atom "backtrace", Term::binary(text.as_bytes().to_vec()));
        }
        let introduced = self.introductions.filter(|(boots, _)| *boots == node.as_str());
        let (function, variables) = match introduced {
            Some((_, variables)) => ("wait_dacs/4", variables),
            None => match self.anybody.filter(|(waits, _)| *waits == node.as_str()) {
                Some((_, variables)) => ("wait_dist_start2/6", variables),
                None => self.waiting,
            },
        };
        let lines: Vec<String> =
            variables.split(' ').enumerate().map(|(at, name)| format!("y({at})     {name}")).collect();
        let text = format!(
            "Program counter: 0x00 (dist_ac:{function} + 584)\n{}\n\n\
             0x00 Return addr 0x01 (dist_ac:{} + 368)\ny(0)     a\n",
            lines.join("\n"),
            if introduced.is_some() { "sync_dacs/1" } else { "find_any_node/5" },
        );
        etf::tuple!(atom "backtrace", Term::binary(text.into_bytes()))
    }

    fn answer(&mut self, node: Atom, question: Question) {
        let answer = match self.stock.iter().find(|entry| entry.0 == node.as_str()) {
            Some((_, info, controller, nodes)) => match question {
                Question::Controller => term(controller),
                Question::DistAc => match info {
                    Some(info) => term(info),
                    None => return,
                },
                Question::Nodes => term(nodes),
                Question::Waiting => self.backtrace(&node),
            },
            None if question == Question::Controller => {
                let (running, starting) = self.controller;
                term(&controller(running, starting))
            }
            None => {
                let (known, started) = self.member;
                let info = info("undefined", self.run, known, started).replace(LIST, self.list);
                term(&info.replacen("],[],[],", &format!("],[],{},", self.remote), 1))
            }
        };
        let answer = Answer::Term(answer);
        self.healer.handle(self.now, Input::Answered { node, question, answer });
    }
}

const FROM_A: &str = "b {dist_ac_new_node,1,a,[{appl,app1,local,1000,[a,b,c],[{a,true}]}],[]}";

#[test]
fn the_smallest_name_among_the_willing_leads() {
    let mut rig = Rig::new(Heal::Cluster, &["b"]);
    assert!(rig.healer.leads(), "stock nodes do not count");
    for (node, heal) in [("p", Heal::Own), ("q", Heal::Cluster)] {
        rig.healer.handle(rig.now, Input::NodeUp { node: atom(node), hidden: false });
        rig.healer.handle(rig.now, Input::Member { node: atom(node), heal });
    }
    assert!(!rig.healer.leads(), "q is willing, and goes before r");
    assert_eq!(rig.run(10_000), [""; 0]);
    assert_eq!(rig.healer.poll_timeout(), None, "who does not lead asks nobody");
    rig.healer.handle(rig.now, Input::NodeDown { node: atom("q") });
    assert!(rig.healer.leads());
    assert!(rig.healer.poll_timeout().is_some());
}

#[test]
fn other_levels_do_nothing() {
    for level in [Heal::Off, Heal::Own] {
        let mut rig = Rig::new(level, &["a", "b"]);
        assert_eq!(rig.run(10_000), [""; 0]);
        assert_eq!(rig.healer.poll_timeout(), None);
    }
}

#[test]
fn l1_two_copies_become_one_and_their_nodes_know_each_other() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.says("a", "local", "[a,r]");
    rig.says("b", "local", "[b,r]");
    assert_eq!(rig.sent(5_000), [""; 0], "as long as they are not connected each runs its own");
    rig.mesh();
    let sent = rig.sent(1_200);
    let from_b = FROM_A.replace("b {", "a {").replace(",1,a,", ",1,b,").replace("{a,true}", "{b,true}");
    assert_eq!(sent, [FROM_A, from_b.as_str(), "b {dist_ac_app_started,a,app1,ok}"]);
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "{distributed,a}", "[a,b,r]");
    assert_eq!(rig.sent(10_000), [""; 0]);
}

#[test]
fn l1_a_copy_that_takes_no_news_is_started_again() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "local", "[a,b,r]");
    // It was stopped and started again there while a decision from before went on.
    rig.stock[1].1 = Some(info("local", "[{b,true}]", "[a,b,r]", "[]"));
    assert_eq!(rig.sent(2_800), [""; 0], "it may be told in a moment");
    let again =
        ["b {dist_ac_app_stopped,app1}", "b {dist_ac_app_started,a,app1,ok}", "b restart(app1,temporary)"];
    assert_eq!(rig.sent(1_000), again);
    assert_eq!(rig.sent(8_000), [""; 0], "a stop and a start take their time");
    rig.says("b", "{distributed,a}", "[a,b,r]");
    assert_eq!(rig.sent(60_000), [""; 0]);
}

#[test]
fn l17_a_copy_that_its_own_dist_ac_has_forgotten_is_started_again() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    // It was stopped while it started, and then came a stop that c had sent long before.
    rig.stock[1].1 = Some(info("undefined", "[{b,true}]", "[a,b,r]", "[]"));
    rig.stock[1].2 = controller(HERE, "");
    assert_eq!(rig.sent(30_000), [""; 0], "it is the only one, and runs");
    rig.says("a", "local", "[a,b,r]");
    assert_eq!(rig.sent(2_800), [""; 0], "it may just stop");
    let again =
        ["b {dist_ac_app_stopped,app1}", "b {dist_ac_app_started,a,app1,ok}", "b restart(app1,temporary)"];
    assert_eq!(rig.sent(1_000), again);
    rig.says("b", "{distributed,a}", "[a,b,r]");
    assert_eq!(rig.sent(60_000), [""; 0]);
}

#[test]
fn two_copies_that_stopped_for_each_other_and_do_not_know_it_become_one() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    for (at, other) in [(0, "b"), (1, "a")] {
        rig.says(["a", "b"][at], "local", "[a,b,r]");
        rig.stock[at].2 = controller(&format!("{{app1,{{distributed,{other}}}}},"), "");
    }
    assert_eq!(rig.sent(2_800), [""; 0], "the news may be on its way");
    assert_eq!(rig.sent(1_000), ["a {dist_ac_app_started,b,app1,ok}", "a takeover(app1,temporary)"]);
    rig.says("a", "local", "[a,b,r]");
    assert_eq!(rig.sent(900), ["b {dist_ac_app_started,a,app1,ok}"], "and the other hears of it");
}

#[test]
fn what_is_seen_once_is_on_its_way() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "local", "[a,b,r]");
    assert_eq!(rig.sent(0), [""; 0]);
    rig.says("b", "{distributed,a}", "[a,b,r]");
    assert_eq!(rig.sent(5_000), [""; 0]);
}

#[test]
fn an_act_that_does_not_help_is_no_storm() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "local", "[a,b,r]");
    let sent = rig.sent(60_000).len();
    assert!((5..=7).contains(&sent), "{sent}: 1, 2, 4 ... seconds apart");
    let sent = rig.sent(190_000).len();
    assert!((3..=5).contains(&sent), "{sent}: once in a minute");
}

#[test]
fn an_act_after_a_node_was_lost_is_a_first_one() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    // As often as a link breaks.
    for _ in 0..8 {
        rig.says("a", "local", "[a,b,r]");
        rig.says("b", "local", "[a,b,r]");
        assert_eq!(rig.sent(900), ["b {dist_ac_app_started,a,app1,ok}"]);
        rig.says("b", "{distributed,a}", "[a,b,r]");
        assert_eq!(rig.sent(1_000), [""; 0]);
        rig.healer.handle(rig.now, Input::NodeDown { node: atom("a") });
        assert_eq!(rig.sent(1_000), [""; 0]);
        rig.healer.handle(rig.now, Input::NodeUp { node: atom("a"), hidden: false });
    }
}

#[test]
fn a_link_between_stock_nodes_may_break_as_often_as_it_likes() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    for _ in 0..8 {
        rig.mesh();
        rig.says("a", "local", "[a,r]");
        rig.says("b", "local", "[b,r]");
        let sent = rig.sent(1_300);
        assert_eq!(sent.last().map(String::as_str), Some("b {dist_ac_app_started,a,app1,ok}"), "{sent:?}");
        assert_eq!(sent.len(), 3, "{sent:?}");
        rig.says("a", "local", "[a,b,r]");
        rig.says("b", "{distributed,a}", "[a,b,r]");
        assert_eq!(rig.sent(1_300), [""; 0]);
        for at in 0..2 {
            rig.stock[at].3 = "[r]".into();
        }
        rig.says("a", "local", "[a,r]");
        rig.says("b", "local", "[b,r]");
        assert_eq!(rig.sent(1_300), [""; 0]);
    }
}

#[test]
fn the_older_copy_of_two_equals_goes_on() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    let list = |rig: &mut Rig| {
        rig.list = "[{a,b}]";
        for entry in &mut rig.stock {
            entry.1 = entry.1.take().map(|info| info.replace(LIST, "[{a,b}]"));
        }
    };
    rig.healer.config.clock = Some((rig.now, SystemTime::UNIX_EPOCH));
    rig.says("b", "local", "[b,r]");
    list(&mut rig);
    assert_eq!(rig.sent(10_000), [""; 0]);
    rig.says("a", "local", "[a,r]");
    list(&mut rig);
    rig.mesh();
    let sent = rig.sent(1_600);
    assert_eq!(sent.last().map(String::as_str), Some("a {dist_ac_app_started,b,app1,ok}"), "{sent:?}");
}

#[test]
fn l12_two_nodes_that_run_nothing_are_not_introduced() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "undefined", "[a,r]");
    rig.says("b", "undefined", "[b,r]");
    assert_eq!(rig.sent(10_000), [""; 0]);
    // One that knows the other already is not told again, unless the answer finds it running something.
    rig.says("a", "{distributed,r}", "[a,b,r]");
    assert_eq!(rig.sent(10_000), [""; 0]);
}

#[test]
fn l1_a_member_that_a_stock_node_has_forgotten_is_introduced_again() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "undefined", "[a,b,r]");
    rig.says("b", "undefined", "[a,b]");
    assert_eq!(rig.sent(10_000), [""; 0], "the member has not met it yet");
    rig.member.0 = "[a,b,r]";
    assert_eq!(rig.sent(2_000), [""; 0], "it may be on its way");
    assert_eq!(rig.sent(3_000), ["b {dist_ac_new_node,1,r,[],[]}"]);
    rig.says("b", "undefined", "[a,b,r]");
    assert_eq!(rig.sent(20_000), [""; 0]);
}

#[test]
fn l2_a_runner_that_is_back_is_not_taken_for_dead() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,r]");
    rig.says("b", "{failover,a}", "[b,r]");
    assert_eq!(rig.sent(500), [FROM_A, "b {dist_ac_app_started,a,app1,ok}"]);
}

#[test]
fn l3_three_copies_become_one() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c"]);
    rig.mesh();
    for node in ["a", "b", "c"] {
        rig.says(node, "local", &format!("[{node},r]"));
    }
    let sent = rig.sent(500);
    assert_eq!(
        sent.iter().filter(|line| line.contains("new_node")).count(),
        6,
        "each pair, both ways: {sent:?}"
    );
    assert!(sent.ends_with(&[
        "b {dist_ac_app_started,a,app1,ok}".to_owned(),
        "c {dist_ac_app_started,a,app1,ok}".to_owned()
    ]));
}

#[test]
fn l9_who_stands_by_for_one_that_does_not_run_it_takes_over() {
    let mut rig = Rig::new(Heal::Cluster, &["b", "c"]);
    rig.mesh();
    rig.says("b", "{distributed,c}", "[b,c,r]");
    rig.blocked("c", "", "");
    assert_eq!(rig.sent(2_500), [""; 0]);
    assert_eq!(rig.sent(2_500), ["b takeover(app1,temporary)"]);
}

#[test]
fn who_waits_for_the_start_that_a_takeover_needs_hears_of_it_in_advance() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c"]);
    rig.mesh();
    rig.says("a", "undefined", "[a,b,c,r]");
    rig.says("b", "{distributed,a}", "[a,b,c,r]");
    rig.blocked("c", "", "{app1,temporary,normal}");
    // Another variable names a third node, so that it is not clear for whom.
    let variables =
        "req app1 b a {state,[{appl,app1,undefined,1000,[a,b,c],[]}],[],[],[a,b,c],[],[],[],[],[],[]}";
    rig.waiting = ("wait_dist_start/7", variables);
    assert_eq!(rig.sent(59_000), [""; 0], "it may be about to start it itself");
    let sent = rig.sent(5_000);
    assert_eq!(sent, ["c {dist_ac_app_started,b,app1,ok}", "b takeover(app1,temporary)"]);
}

#[test]
fn one_that_takes_a_stopped_copy_for_running_is_told() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "local", "[a,b,r]");
    rig.stock[1].2 = controller("{app1,{distributed,a}},", "");
    assert_eq!(rig.sent(500), ["b {dist_ac_app_started,a,app1,ok}"]);
    // And if nobody runs it, one that stands by for it takes over.
    rig.says("a", "{distributed,b}", "[a,b,r]");
    assert_eq!(rig.sent(5_000), ["a takeover(app1,temporary)"]);
}

#[test]
fn two_copies_that_do_not_settle_it_become_one() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "local", "[a,b,r]");
    rig.healer.handle(rig.now, Input::Member { node: atom("a"), heal: Heal::Own });
    assert_eq!(rig.sent(19_000), [""; 0], "the copy of ours is the business of its node");
    assert_eq!(rig.sent(5_000).first().map(String::as_str), Some("b {dist_ac_app_started,a,app1,ok}"));
}

#[test]
fn copies_become_one_though_another_node_may_be_starting_it() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,c,r]");
    rig.says("b", "local", "[a,b,c,r]");
    // It waits for a lock, perhaps for that of who waits for there to be one copy.
    rig.blocked("c", "", "{app1,temporary,normal,undefined}");
    assert_eq!(rig.sent(19_000), [""; 0]);
    assert_eq!(rig.sent(3_000).first().map(String::as_str), Some("b {dist_ac_app_started,a,app1,ok}"));
}

#[test]
fn of_two_copies_the_one_that_cannot_be_told_goes_on() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.blocked("b", HERE, "");
    rig.waiting = ("wait_dist_start/7", "req app2 x");
    assert_eq!(rig.sent(59_000), [""; 0], "it may yet read what it is told");
    assert_eq!(rig.sent(5_000).first().map(String::as_str), Some("a {dist_ac_app_started,b,app1,ok}"));
}

#[test]
fn of_two_copies_that_cannot_be_told_one_goes_on_to_listen() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b", "c"]);
    rig.mesh();
    rig.says("c", "{distributed,a}", "[a,b,c,r]");
    for node in ["a", "b"] {
        rig.blocked(node, HERE, "{app2,temporary,normal,undefined}");
    }
    rig.waiting = ("wait_dist_start/7", "req app2 c");
    rig.healer.lists.insert(atom("app2"), Nodes::from_term(&term("[c,a,b]")).expect("a list"));
    assert_eq!(rig.sent(59_000), [""; 0], "somebody may start that at c");
    assert_eq!(rig.sent(6_000), ["b nodedown c"]);
}

#[test]
fn a_copy_that_cannot_be_told_goes_on_to_listen_to_one_of_ours() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.healer.handle(rig.now, Input::Member { node: atom("a"), heal: Heal::Own });
    rig.blocked("b", HERE, "{app2,temporary,normal,undefined}");
    rig.waiting = ("wait_dist_start/7", "req app2 r");
    rig.healer.lists.insert(atom("app2"), Nodes::from_term(&term("[r,b]")).expect("a list"));
    rig.run(59_000);
    assert_eq!(rig.sent(6_000), ["b nodedown r"]);
}

#[test]
fn what_was_stopped_on_purpose_stays_stopped() {
    let mut rig = Rig::new(Heal::Cluster, &["b", "c"]);
    rig.mesh();
    rig.says("b", "{distributed,c}", "[b,c,r]");
    rig.says("c", "undefined", "[b,c,r]");
    rig.stock[1].2 = rig.stock[1].2.replace("{app1,temporary},", "");
    assert_eq!(rig.sent(30_000), [""; 0]);
}

#[test]
fn l22_what_is_started_again_where_it_may_not_run_is_taken_over() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "undefined", "[a,b,r]");
    rig.stock[0].2 = controller("{app1,{distributed,b}},", "");
    rig.says("b", "undefined", "[a,b,r]");
    let again = rig.stock[1].2.clone();
    rig.stock[1].2 = again.replace("{app1,temporary},", "");
    assert_eq!(rig.sent(10_000), [""; 0], "it was stopped there on purpose");
    rig.stock[1].2 = again;
    assert_eq!(rig.sent(2_500), [""; 0]);
    assert_eq!(rig.sent(2_500), ["a {dist_ac_app_started,b,app1,ok}", "a takeover(app1,temporary)"]);
}

#[test]
fn l22_who_waits_for_anybody_gets_it_from_one_of_ours_that_stood_by() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    // Old news of a start and a stop at a, which may not run it now, and waits.
    rig.list = "[a,r]";
    rig.blocked("a", "", "{app1,temporary,normal}");
    let waits = "reply app1 {state,[{appl,app1,undefined,1000,[a,r],[]}],[],[],[a,r],[],[],[],[],[],[]}";
    rig.anybody = Some(("a", waits));
    rig.member = ("[a,r]", "[app1]");
    rig.run = "[{r,true}]";
    rig.controller.0 = "{app1,{distributed,a}},";
    assert_eq!(rig.sent(19_000), [""; 0], "it may yet decide it");
    let sent = rig.sent(5_000);
    let news = "a {dist_ac_app_started,r,app1,ok}";
    assert_eq!(sent, [news, "r {dist_ac_app_started,a,app1,ok}", "r takeover(app1,temporary)"]);
}

#[test]
fn one_that_is_blocked_in_something_else_is_not_about_to_start_it_for_ever() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "{distributed,c}", "[a,b,r]");
    rig.blocked("b", "", "{app1,temporary,normal}");
    rig.waiting.0 = "collect_answers/4";
    rig.waiting.1 = "req app2 a {state,[{appl,app1,undefined,1000,[a,b],[]}],[],[],[a,b],[],[],[],[],[],[]}";
    assert_eq!(rig.sent(58_000), [""; 0], "it may yet get to it");
    assert_eq!(rig.sent(10_000), ["a takeover(app1,temporary)"]);
}

#[test]
fn a_dry_run_only_reports() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.healer.config.dry_run = true;
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "local", "[a,b,r]");
    let lines = rig.run(500);
    let act = Act::Stop { app: atom("app1"), node: atom("b"), winner: atom("a") };
    let repair = Repair { fault: Fault::Copies, act, dry_run: true };
    assert_eq!(lines, [format!("{:?}", crate::engine::Event::Repair(repair))]);
}

#[test]
fn copies_of_ours_are_left_to_their_node() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b,r]");
    rig.says("b", "local", "[a,b,r]");
    rig.healer.handle(rig.now, Input::Member { node: atom("b"), heal: Heal::Own });
    assert_eq!(rig.sent(10_000), [""; 0]);
}

#[test]
fn who_does_not_know_us_may_be_of_ours() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    rig.says("a", "local", "[a,b]");
    rig.says("b", "local", "[a,b]");
    assert_eq!(rig.sent(10_000), [""; 0]);
}

#[test]
fn what_makes_no_sense_is_left_alone() {
    let mut rig = Rig::new(Heal::Cluster, &["a", "b"]);
    rig.mesh();
    for junk in ["x", "{state}", "{state,[x],[],[],[r],[1],[],[],[],[],[]}", "[]", "{state,1,2,3,4,5}"] {
        rig.stock[0].1 = Some(junk.to_owned());
        rig.stock[1].2 = junk.to_owned();
        assert_eq!(rig.sent(3_000), [""; 0], "{junk}");
    }
}

#[test]
fn a_conflict_is_ordered_by_list_then_age_then_name() {
    let copy = |node: &str, rank, since: Option<u64>| Copy {
        node: atom(node),
        permitted: true,
        rank,
        since: since.map(|since| SystemTime::UNIX_EPOCH + Duration::from_secs(since)),
    };
    let copies = vec![
        copy("a", 1, None),
        copy("b", 1, Some(2)),
        copy("c", 1, Some(1)),
        copy("d", 0, None),
        Copy { permitted: false, ..copy("e", 0, None) },
    ];
    let conflict = Conflict::new(atom("app1"), copies);
    let order: Vec<&str> = conflict.copies.iter().map(|copy| copy.node.as_str()).collect();
    assert_eq!(order, ["d", "c", "b", "a", "e"]);
    let mut config = HealConfig::default();
    assert_eq!(config.winner(&conflict), "d");
    config.winner = Some(WinnerRule::new(|conflict| conflict.copies.last().map(|copy| copy.node.clone())));
    assert_eq!(config.winner(&conflict), "e");
    config.winner = Some(WinnerRule::new(|_| Some(atom("nobody"))));
    assert_eq!(config.winner(&conflict), "d", "one that has no copy");
}
