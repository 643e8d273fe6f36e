//! What a tab adds: the node knows its modules and functions, so it is asked.

use std::{sync::mpsc as blocking, time::Duration};

use crabnode::{Node, Term, erpc};
use tokio::sync::mpsc;

/// What the editor asks.
pub(super) struct Question {
    /// The line up to the cursor.
    before: String,
    answer: blocking::SyncSender<Answer>,
}

/// What can follow.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// What certainly follows.
    pub(super) add: String,
    /// What all may, to be shown.
    pub(super) matches: Vec<String>,
}

/// How long a user waits for it.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Asks the node, for the editor's thread.
#[derive(Clone)]
pub(super) struct Expander(mpsc::Sender<Question>);

/// Starts what asks.
pub(super) fn start(node: &Node, peer: &str) -> Expander {
    // There is one editor, which waits for its answer.
    let (sender, mut questions) = mpsc::channel::<Question>(1);
    let peer = peer.to_owned();
    node.spawn(move |mut context| async move {
        while let Some(Question { before, answer }) = questions.recv().await {
            let reversed: String = before.chars().rev().collect();
            let args = vec![Term::charlist(&reversed)];
            let expanded =
                erpc::call(&mut context, &peer, "edlin_expand", "expand", args, Some(ANSWER_MAX)).await;
            // The editor may have given up.
            let _ = answer.try_send(expanded.map(|expanded| parse(&expanded)).unwrap_or_default());
        }
    });
    Expander(sender)
}

impl Expander {
    /// Blocks for [`ANSWER_MAX`] at the most.
    pub(super) fn ask(&self, before: &str) -> Answer {
        let (answer, answered) = blocking::sync_channel(1);
        let question = Question { before: before.to_owned(), answer };
        match self.0.blocking_send(question) {
            Ok(()) => answered.recv_timeout(ANSWER_MAX).unwrap_or_default(),
            Err(_) => Answer::default(),
        }
    }
}

/// `{yes|no, Add, Matches}`. A match is a string, `{Name, Ending}`, or in newer releases a map with several.
fn parse(expanded: &Term) -> Answer {
    let Some([_, add, Term::List(matches)]) = expanded.as_tuple() else { return Answer::default() };
    let mut names = Vec::new();
    matches.iter().for_each(|one| collect(one, &mut names));
    names.dedup();
    Answer { add: add.as_text().unwrap_or_default(), matches: names }
}

fn collect(found: &Term, names: &mut Vec<String>) {
    match found {
        Term::Map(section) => {
            if let Some(Term::List(elements)) = section.get_atom("elems") {
                elements.iter().for_each(|element| collect_name(element, names));
            }
        }
        other => collect_name(other, names),
    }
}

fn collect_name(found: &Term, names: &mut Vec<String>) {
    let name = match found.as_tuple() {
        Some([name, Term::Int(arity)]) => name.as_text().map(|name| format!("{name}/{arity}")),
        Some([name, ..]) => name.as_text(),
        _ => found.as_text(),
    };
    names.extend(name.filter(|name| !name.is_empty()));
}

#[cfg(test)]
mod tests {
    use etf::text::parse_term;

    use super::*;

    #[test]
    fn what_each_release_answers() {
        for (expanded, add, matches) in [
            (r#"{yes,"rmat(",[]}"#, "rmat(", vec![]),
            (r#"{no,[],[{"format",1},{"format",2}]}"#, "", vec!["format/1", "format/2"]),
            (r#"{no,[],["lists:","lists_sort:"]}"#, "", vec!["lists:", "lists_sort:"]),
            (
                r##"{no,[],[#{title => "functions",elems => [{"seq",[{ending,"("}]}],options => []}]}"##,
                "",
                vec!["seq"],
            ),
            ("{badrpc,x}", "", vec![]),
        ] {
            let answer = parse(&parse_term(expanded).expect("a term"));
            assert_eq!(
                (answer.add.as_str(), answer.matches),
                (add, matches.into_iter().map(String::from).collect())
            );
        }
    }
}
