//! What a group leader is asked: `{io_request, From, ReplyAs, Request}` (cluster-services.md 2.9).

use etf::{Atom, Pid, Term, text::Encoding};

/// A request and who waits for its reply.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct IoRequest {
    pub(super) from: Pid,
    /// Goes back as it came.
    pub(super) reply_as: Term,
    /// In order; the first error ends them, and the last reply counts. Most are one.
    pub(super) requests: Vec<Request>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    Put(Encoding, Chars),
    Get(Encoding, Term, Get),
    Columns,
    Rows,
    GetOpts,
    SetOpts(Vec<Term>),
    /// What there is not.
    Unknown,
}

/// What is to be printed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Chars {
    Data(Term),
    /// What a function gives.
    Apply(Apply),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Apply {
    pub(super) module: Atom,
    pub(super) function: Atom,
    pub(super) args: Vec<Term>,
}

/// What is to be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Get {
    Line,
    Chars(usize),
    /// As much as the function wants.
    Until(Apply),
    Password,
}

/// How deep lists of requests may lie in each other: nobody has a use for one in another.
const LISTS_MAX: usize = 8;

impl IoRequest {
    /// The request that a message is, if it is one.
    pub(super) fn parse(message: &Term) -> Option<Self> {
        match message.as_tuple()? {
            [tag, Term::Pid(from), reply_as, request] if tag.is_atom("io_request") => {
                let mut requests = Vec::new();
                collect(request, LISTS_MAX, &mut requests);
                Some(Self { from: from.clone(), reply_as: reply_as.clone(), requests })
            }
            _ => None,
        }
    }

    /// Whether anything is to be read.
    pub(super) fn reads(&self) -> bool {
        self.requests.iter().any(|request| matches!(request, Request::Get(..)))
    }
}

/// Lists of requests become what is in them.
fn collect(request: &Term, lists: usize, into: &mut Vec<Request>) {
    match (request.as_tuple(), lists.checked_sub(1)) {
        (Some([verb, Term::List(requests)]), Some(lists)) if verb.is_atom("requests") => {
            requests.iter().for_each(|request| collect(request, lists, into));
        }
        _ => into.push(Request::parse(request)),
    }
}

impl Request {
    fn parse(request: &Term) -> Self {
        Self::parse_known(request).unwrap_or(Self::Unknown)
    }

    /// The forms without an encoding are those of nodes that do not know Unicode, and mean Latin-1.
    fn parse_known(request: &Term) -> Option<Self> {
        if request.is_atom("getopts") {
            return Some(Self::GetOpts);
        }
        let [Term::Atom(verb), arguments @ ..] = request.as_tuple()? else { return None };
        let (coding, behind) = match arguments.split_first() {
            Some((first, behind)) => match encoding(first) {
                Some(encoding) => (encoding, behind),
                None => (Encoding::Latin1, arguments),
            },
            None => (Encoding::Latin1, arguments),
        };
        let get = |prompt: &Term, get| Some(Self::Get(coding, prompt.clone(), get));
        match (verb.as_str(), behind) {
            ("put_chars", [chars]) => Some(Self::Put(coding, Chars::Data(chars.clone()))),
            ("put_chars", [module, function, args]) => {
                Some(Self::Put(coding, Chars::Apply(Apply::parse(module, function, args)?)))
            }
            ("get_line", [prompt]) => get(prompt, Get::Line),
            ("get_chars", [prompt, count]) => get(prompt, Get::Chars(usize::try_from(count.as_u64()?).ok()?)),
            ("get_until", [prompt, module, function, args]) => {
                get(prompt, Get::Until(Apply::parse(module, function, args)?))
            }
            ("get_password", []) => get(&Term::NIL, Get::Password),
            ("setopts", [Term::List(options)]) => Some(Self::SetOpts(options.to_vec())),
            ("get_geometry", [what]) if what.is_atom("columns") => Some(Self::Columns),
            ("get_geometry", [what]) if what.is_atom("rows") => Some(Self::Rows),
            _ => None,
        }
    }
}

impl Apply {
    fn parse(module: &Term, function: &Term, args: &Term) -> Option<Self> {
        Some(Self {
            module: module.as_atom()?.clone(),
            function: function.as_atom()?.clone(),
            args: args.as_list()?.to_vec(),
        })
    }
}

fn encoding(term: &Term) -> Option<Encoding> {
    match term.as_atom()?.as_str() {
        "unicode" => Some(Encoding::Unicode),
        "latin1" => Some(Encoding::Latin1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use etf::text::parse_term;

    use super::*;

    fn parse_all(text: &str) -> Vec<Request> {
        let mut requests = Vec::new();
        collect(&parse_term(text).expect("a term"), LISTS_MAX, &mut requests);
        requests
    }

    fn parse(text: &str) -> Request {
        let mut all = parse_all(text);
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0)
    }

    #[test]
    fn forms_with_and_without_an_encoding() {
        let apply = |args: &str| Apply {
            module: "m".into(),
            function: "f".into(),
            args: parse_term(args).expect("a list").as_list().expect("a list").to_vec(),
        };
        let (a, latin1, unicode) = (Term::atom("a"), Encoding::Latin1, Encoding::Unicode);
        for (text, wanted) in [
            ("{put_chars,unicode,a}", Request::Put(unicode, Chars::Data(a.clone()))),
            ("{put_chars,a}", Request::Put(latin1, Chars::Data(a.clone()))),
            ("{put_chars,latin1,m,f,[1]}", Request::Put(latin1, Chars::Apply(apply("[1]")))),
            ("{put_chars,m,f,[]}", Request::Put(latin1, Chars::Apply(apply("[]")))),
            ("{get_line,unicode,a}", Request::Get(unicode, a.clone(), Get::Line)),
            ("{get_line,a}", Request::Get(latin1, a.clone(), Get::Line)),
            ("{get_chars,unicode,a,3}", Request::Get(unicode, a.clone(), Get::Chars(3))),
            ("{get_until,unicode,a,m,f,[1]}", Request::Get(unicode, a.clone(), Get::Until(apply("[1]")))),
            ("{get_until,a,m,f,[1]}", Request::Get(latin1, a, Get::Until(apply("[1]")))),
            ("{get_password,unicode}", Request::Get(unicode, Term::NIL, Get::Password)),
            ("getopts", Request::GetOpts),
            ("{get_geometry,rows}", Request::Rows),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
        let nested = "{requests,[getopts,{requests,[{x},{get_geometry,rows}]}]}";
        assert_eq!(parse_all(nested), [Request::GetOpts, Request::Unknown, Request::Rows]);
        assert_eq!(parse_all("{requests,[]}"), []);
    }

    #[test]
    fn what_is_none_of_them_is_unknown() {
        for text in
            ["a", "{}", "{put_chars}", "{put_chars,unicode,m,f,a}", "{get_chars,unicode,a,-1}", "{1,2}"]
        {
            assert_eq!(parse(text), Request::Unknown, "{text}");
        }
        let deep = format!("{}getopts{}", "{requests,[".repeat(20), "]}".repeat(20));
        assert_eq!(parse(&deep), Request::Unknown);
    }
}
