//! What is left to write, level by level.

use std::slice;

use crate::Term;

/// A stack of terms that come after those which are written now.
pub(super) struct Stack<'t> {
    /// The innermost levels; the first `count` of these.
    near: [Option<slice::Iter<'t, Term>>; NEAR],
    count: usize,
    far: Option<Box<Far<'t>>>,
}

/// More levels than most terms have. Filling their places takes time, too.
const NEAR: usize = 8;

/// What most terms do without, and so allocate nothing.
#[derive(Default)]
struct Far<'t> {
    /// Outer levels, [`NEAR`] at a time.
    levels: Vec<Option<slice::Iter<'t, Term>>>,
    /// Closures whose values are being written, each with the count of levels meanwhile.
    closures: Vec<(usize, OpenClosure)>,
}

/// A closure of which the end is not yet written.
pub(super) struct OpenClosure {
    /// Where its size goes.
    pub(super) size_at: usize,
    /// How many bytes of binaries had been shared before it.
    pub(super) shared_bytes: u64,
}

impl<'t> Stack<'t> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { near: [const { None }; NEAR], count: 0, far: None }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, terms: slice::Iter<'t, Term>) {
        if self.count == NEAR {
            self.move_out();
        }
        self.near[self.count] = Some(terms);
        self.count += 1;
    }

    /// The same, but there is nothing to come back to in no terms.
    #[inline(always)]
    pub(super) fn push_some(&mut self, terms: slice::Iter<'t, Term>) {
        if terms.len() > 0 {
            self.push(terms);
        }
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<slice::Iter<'t, Term>> {
        if self.count == 0 {
            self.move_in()?;
        }
        self.count -= 1;
        self.near[self.count].take()
    }

    /// Pushes what comes after a closure, whose values are written now.
    #[cold]
    pub(super) fn push_closure(&mut self, terms: slice::Iter<'t, Term>, size_at: usize, shared_bytes: u64) {
        self.push(terms);
        let far = self.far.get_or_insert_default();
        far.closures.push((far.levels.len() + self.count, OpenClosure { size_at, shared_bytes }));
    }

    /// The closure of which the last value was written just now, if there is one.
    #[inline(always)]
    pub(super) fn pop_closure(&mut self) -> Option<OpenClosure> {
        let far = self.far.as_mut()?;
        let levels = far.levels.len() + self.count;
        Some(far.closures.pop_if(|closure| closure.0 == levels)?.1)
    }

    #[cold]
    fn move_out(&mut self) {
        let far = self.far.get_or_insert_default();
        far.levels.extend(self.near.iter_mut().map(Option::take));
        self.count = 0;
    }

    #[cold]
    fn move_in(&mut self) -> Option<()> {
        let levels = &mut self.far.as_mut()?.levels;
        let start = levels.len().checked_sub(NEAR)?;
        for (place, level) in self.near.iter_mut().zip(levels.drain(start..)) {
            *place = level;
        }
        self.count = NEAR;
        Some(())
    }
}
