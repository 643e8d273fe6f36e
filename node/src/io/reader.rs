//! The part of a group leader that reads: one request after the other, while output goes on.

use std::{mem, sync::Arc};

use etf::{
    Pid, Term,
    text::{self, Encoding},
};

use super::{
    device::{Input, Line, Output, Read},
    requests::{Apply, Get, IoRequest, Request},
    serve::{Shared, error, is_error},
};
use crate::{Context, Message, Monitor};

/// How many characters may be asked for at once, as `io:get_chars` does: those that wait for more are kept.
const CHARS_MAX: usize = 64 << 20;

pub(super) struct Reader<O, I> {
    shared: Arc<Shared<O>>,
    input: I,
    /// What was read and not wanted yet.
    pending: String,
}

/// Who reads.
struct Client<'a> {
    pid: &'a Pid,
    monitor: Monitor,
}

/// The client has ended; what would have been its reply is nobody's.
struct Gone;

impl<O: Output, I: Input> Reader<O, I> {
    pub(super) fn new(shared: Arc<Shared<O>>, input: I) -> Self {
        Self { shared, input, pending: String::new() }
    }

    /// Serves until the group leader ends, to which it is linked.
    pub(super) async fn run(mut self, mut context: Context) {
        loop {
            let Message::Term(message) = context.receive().await else { continue };
            let Some(mut request) = IoRequest::parse(&message) else { continue };
            let asked = mem::take(&mut request.requests);
            let client = Client { pid: &request.from, monitor: context.monitor(&request.from) };
            let reply = self.serve_all(&mut context, &client, asked).await;
            context.demonitor(&client.monitor);
            if let Ok(reply) = reply {
                request.reply(&context, reply);
            }
        }
    }

    async fn serve_all(
        &mut self,
        context: &mut Context,
        client: &Client<'_>,
        requests: Vec<Request>,
    ) -> Result<Term, Gone> {
        let mut reply = Term::atom("ok");
        for request in requests {
            reply = self.serve(context, client, request).await?;
            if is_error(&reply) {
                break;
            }
        }
        Ok(reply)
    }

    async fn serve(
        &mut self,
        context: &mut Context,
        client: &Client<'_>,
        request: Request,
    ) -> Result<Term, Gone> {
        match request {
            Request::Get(encoding, prompt, get) => {
                let prompt = prompt_text(&prompt);
                match get {
                    Get::Line => self.line(context, client, encoding, &prompt).await,
                    Get::Chars(count) => self.chars(context, client, encoding, &prompt, count).await,
                    Get::Until(apply) => self.until(context, client, &prompt, apply).await,
                    Get::Password => {
                        let line = self.read(context, client, "", Read::Password).await?;
                        Ok(self.data(line, encoding, |text| text.trim_end_matches('\n').to_owned()))
                    }
                }
            }
            other => Ok(self.shared.serve(context, client.pid, other).await),
        }
    }

    /// Up to the end of the line.
    async fn line(
        &mut self,
        context: &mut Context,
        client: &Client<'_>,
        encoding: Encoding,
        prompt: &str,
    ) -> Result<Term, Gone> {
        let line = match self.pending.find('\n') {
            Some(end) => Line::Text(self.pending.drain(..=end).collect()),
            None => {
                let before = mem::take(&mut self.pending);
                match self.read(context, client, prompt, Read::Line).await? {
                    Line::Text(text) => Line::Text(before + &text),
                    Line::Eof if !before.is_empty() => Line::Text(before),
                    other => other,
                }
            }
        };
        Ok(self.data(line, encoding, |text| text))
    }

    async fn chars(
        &mut self,
        context: &mut Context,
        client: &Client<'_>,
        encoding: Encoding,
        prompt: &str,
        count: usize,
    ) -> Result<Term, Gone> {
        if count > CHARS_MAX {
            return Ok(error(Term::atom("system_limit")));
        }
        let mut chars = self.pending.chars().count();
        while chars < count {
            match self.read(context, client, prompt, Read::Line).await? {
                Line::Text(text) => {
                    chars += text.chars().count();
                    self.pending.push_str(&text);
                }
                Line::Eof if chars > 0 => break,
                other => return Ok(self.data(other, encoding, |text| text)),
            }
        }
        let end = self.pending.char_indices().nth(count).map_or(self.pending.len(), |(at, _)| at);
        let text = self.pending.drain(..end).collect();
        Ok(self.data(Line::Text(text), encoding, |text| text))
    }

    /// Gives line after line to a function of the client's node until that has enough, with what it said the time
    /// before. So we need to know no syntax.
    async fn until(
        &mut self,
        context: &mut Context,
        client: &Client<'_>,
        prompt: &str,
        apply: Apply,
    ) -> Result<Term, Gone> {
        let is_expression = is_shell(&apply);
        let (mut continuation, mut continued) = (Term::NIL, false);
        loop {
            let read = if is_expression { Read::Expression { continued } } else { Read::Line };
            let line = match mem::take(&mut self.pending) {
                text if text.is_empty() => self.read(context, client, prompt, read).await?,
                text => Line::Text(text),
            };
            let is_eof = line == Line::Eof;
            let chars = match line {
                Line::Text(text) => Term::charlist(&text),
                Line::Eof => Term::atom("eof"),
                Line::Interrupted if is_expression => {
                    (continuation, continued) = (Term::NIL, false);
                    continue;
                }
                other => return Ok(self.data(other, Encoding::Unicode, |text| text)),
            };
            let given = vec![continuation, chars];
            let Ok(answer) = apply.clone().call(context, client.pid.node(), given).await else {
                return Ok(error(Term::from(&apply.function)));
            };
            match answer.as_tuple() {
                Some([tag, result, rest]) if tag.is_atom("done") => {
                    self.pending = text::chardata_to_text(rest, Encoding::Unicode).unwrap_or_default();
                    return Ok(result.clone());
                }
                Some([tag, next]) if tag.is_atom("more") && !is_eof => {
                    (continuation, continued) = (next.clone(), true);
                }
                // There is no more.
                Some([tag, _]) if tag.is_atom("more") => return Ok(Term::atom("eof")),
                _ => return Ok(error(Term::from(&apply.function))),
            }
        }
    }

    /// A line from the device, while its client lives.
    async fn read(
        &mut self,
        context: &mut Context,
        client: &Client<'_>,
        prompt: &str,
        read: Read,
    ) -> Result<Line, Gone> {
        let is_gone = context.receive_match(|message| match message {
            Message::Down { reference, .. } if *reference == client.monitor.reference => Some(()),
            _ => None,
        });
        tokio::select! {
            biased;
            () = is_gone => Err(Gone),
            line = self.input.read(prompt, read) => Ok(line),
        }
    }

    /// What was read, as the client wants it.
    fn data(&self, line: Line, encoding: Encoding, change: impl Fn(String) -> String) -> Term {
        let text = match line {
            Line::Text(text) => change(text),
            Line::Eof => return Term::atom("eof"),
            Line::Interrupted => return error(Term::atom("interrupted")),
            Line::Terminated => return error(Term::atom("terminated")),
        };
        if encoding == Encoding::Latin1 && text.chars().any(|c| c > '\u{ff}') {
            let translation = etf::tuple!(atom "no_translation", atom "unicode", atom "latin1");
            return error(translation);
        }
        match (self.shared.options().is_binary, encoding) {
            (false, _) => Term::charlist(&text),
            (true, Encoding::Unicode) => Term::binary(text.as_str()),
            (true, Encoding::Latin1) => {
                let bytes: Vec<u8> = text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
                Term::binary(bytes)
            }
        }
    }
}

/// Whether a shell reads its next expression: only that wants the text beside the tokens.
fn is_shell(apply: &Apply) -> bool {
    let wants_text = |options: &Term| {
        options.as_list().is_some_and(|options| options.iter().any(|option| option.is_atom("text")))
    };
    apply.module == "erl_scan" && apply.function == "tokens" && apply.args.get(1).is_some_and(wants_text)
}

/// A prompt is text, an atom, or `{format, Format, Args}`; anything else is shown as it is.
fn prompt_text(prompt: &Term) -> String {
    match prompt {
        Term::Atom(atom) => atom.as_str().to_owned(),
        prompt => match prompt.as_tuple() {
            Some([tag, format, Term::List(args)]) if tag.is_atom("format") => {
                let format = text::chardata_to_text(format, Encoding::Unicode);
                format.and_then(|format| text::format(&format, args).ok()).unwrap_or_default()
            }
            _ => text::chardata_to_text(prompt, Encoding::Unicode).unwrap_or_else(|| prompt.to_string()),
        },
    }
}
