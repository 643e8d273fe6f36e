//! What a panic in a process becomes: an exit reason with a stack.
//!
//! Where a panic happened is told to the panic hook alone, and that is one for the whole program. So the first node that
//! starts puts one in front of whatever hook there is. It remembers the place for the thread that is just running a
//! process, and leaves everything else, printing included, to the hook that was there before.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use etf::{Atom, Term, tuple};

/// Where the last panic was: a file of the program, and a line.
struct Place {
    file: String,
    line: u32,
}

thread_local! {
    static RUNS_PROCESS: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Makes panics say where they were. Does something once in a program.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if RUNS_PROCESS.get()
                && let Some(location) = info.location()
            {
                let place = Place { file: location.file().to_owned(), line: location.line() };
                PLACE.with_borrow_mut(|last| *last = Some(place));
            }
            before(info);
        }));
    });
}

/// Does something of a process that runs `{Module, Function, Arity}`. A panic becomes the reason for its exit.
pub(super) fn catch<T>(what: impl FnOnce() -> T, call: impl FnOnce() -> (Atom, Atom, u8)) -> Result<T, Term> {
    let was_running = RUNS_PROCESS.replace(true);
    let caught = panic::catch_unwind(AssertUnwindSafe(what));
    RUNS_PROCESS.set(was_running);
    caught.map_err(|panic| reason(panic, call()))
}

/// `{{panic, Text}, [{Module, Function, Arity, [{file, File}, {line, Line}]}]}`, as `error/1` gives a stack: tools print
/// it.
fn reason(panic: Box<dyn Any + Send>, (module, function, arity): (Atom, Atom, u8)) -> Term {
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(panic) => {
                // What was thrown may panic as it is dropped, and nobody would catch that.
                std::mem::forget(panic);
                "a panic without a text".to_owned()
            }
        },
    };
    let place = PLACE.take();
    let at =
        place.as_ref().map_or_else(|| "unknown".into(), |place| format!("{}:{}", place.file, place.line));
    tracing::error!(text, at, function = %format_args!("{module}:{function}/{arity}"), "a process panicked");
    let place = place.map_or_else(Vec::new, |Place { file, line }| {
        vec![tuple!(atom "file", Term::charlist(&file)), tuple!(atom "line", line)]
    });
    let frame = tuple!(module, function, arity, Term::list(place));
    tuple!(tuple!(atom "panic", Term::binary(text.as_str())), Term::list(vec![frame]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> (Atom, Atom, u8) {
        (Atom::from_static("m"), Atom::from_static("f"), 1)
    }

    #[test]
    fn a_panic_says_what_and_where() {
        watch();
        let line = line!() + 1;
        let reason = catch(|| panic!("number {}", 7), call).expect_err("it panics").to_string();
        let wanted =
            format!("{{{{panic,<<\"number 7\">>}},[{{m,f,1,[{{file,\"{}\"}},{{line,{line}}}]}}]}}", file!());
        assert_eq!(reason, wanted);
    }

    #[test]
    fn what_is_thrown_may_be_anything() {
        struct Grenade;
        impl Drop for Grenade {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        watch();
        let reason = catch(|| panic::panic_any(Grenade), call).expect_err("it panics").to_string();
        assert!(reason.starts_with("{{panic,<<\"a panic without a text\">>},[{m,f,1,[{file,"), "{reason}");
        assert_eq!(catch(|| 7, call), Ok(7));
    }
}
