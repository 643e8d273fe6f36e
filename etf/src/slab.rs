//! Memory that the elements of many small terms share (docs/decisions/007-slabs.md).
//!
//! Decoding a message of many tuples would ask the allocator for each of them, and ask again to give it back: more
//! than half of the time that all of it takes. So the decoder takes a *block*, and hands out *pieces* of it. A piece
//! is owned as a `Box<[Term]>` is: nobody else reads or writes its terms, and it may go to another thread. Only the
//! memory is shared: a block counts its pieces, and is given back with the last one.
//!
//! This is the only module of the workspace with unsafe code. What it relies on:
//!
//! - A block is memory for a header and `slots` terms, and lives until its count is 0.
//! - The count is that of the pieces that exist, and while a [`Slab`] hands out of the block, [`HELD`] less those
//!   that it has handed out: so it is not 0 before the slab has let go of it.
//! - Pieces of a block do not overlap: a slab hands out each slot once, from the first on. It is not `Clone`.
//! - All slots of a piece have a term. They had one when the piece was handed out.

#![allow(unsafe_code, reason = "argued in docs/decisions/007-slabs.md")]

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    mem::{self, ManuallyDrop},
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicUsize, Ordering, fence},
};

use crate::Term;

/// What stands in slots until their terms are put there. It needs no dropping.
pub(crate) const FILLER: Term = Term::Int(1);

/// So many terms or fewer share memory with others. More have their own, where a list can grow.
pub(crate) const PIECE_TERMS_MAX: usize = 64;

/// The slots of a slab's first block, at most: enough for the usual message.
const FIRST_SLOTS: usize = 16;

/// Each block has twice as many slots as the one before, up to this: 32 KiB, which is what a single term that is
/// kept of a large message may keep with it.
const SLOTS_MAX: usize = 1 << 10;

/// The slots of a block that several terms share: 4 KiB, which is what a short term that is kept may keep with it.
const MANY_SLOTS: u32 = 1 << 7;

/// What a slab counts for in the block that it hands out of. More than there can be pieces.
const HELD: usize = 1 << 31;

/// Stands in front of the slots.
struct Header {
    count: AtomicUsize,
    slots: u32,
}

/// How many bytes lie between the start of a block and its first slot.
const HEADER_BYTES: usize = 16;

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES && HEADER_BYTES.is_multiple_of(align_of::<Term>()));

/// No more than what the allocator gives anyway, for which it is fastest.
const ALIGN: usize =
    if align_of::<Term>() > align_of::<Header>() { align_of::<Term>() } else { align_of::<Header>() };

fn layout(slots: u32) -> Layout {
    let bytes = HEADER_BYTES + slots as usize * size_of::<Term>();
    Layout::from_size_align(bytes, ALIGN).expect("a block is small")
}

/// Hands out pieces of memory.
pub(crate) struct Slab {
    /// The block at hand, if there is one.
    block: Option<NonNull<Header>>,
    /// How many slots it has.
    slots: u32,
    /// The first that is not handed out yet.
    next: u32,
    /// How many pieces it was handed out in.
    pieces: u32,
    /// Whether several terms share its blocks.
    is_for_many: bool,
}

// SAFETY: nobody else has the slots that are not handed out, and the count of a block is changed by atomic operations
// only. There is nothing that a shared reference to it could do.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Slab {
    pub(crate) const fn new() -> Self {
        Self { block: None, slots: 0, next: 0, pieces: 0, is_for_many: false }
    }

    /// For several terms, one after the other, between which there is [`Slab::end_term`]. Short ones share blocks.
    pub(crate) const fn for_many() -> Self {
        Self { block: None, slots: 0, next: 0, pieces: 0, is_for_many: true }
    }

    /// What comes next is another term. It does not share the large blocks that the last one took.
    pub(crate) fn end_term(&mut self) {
        if self.slots > MANY_SLOTS {
            self.forget();
        }
    }

    /// Gives up what is not handed out yet, if there is something.
    pub(crate) fn forget(&mut self) {
        self.let_go();
        (self.slots, self.next, self.pieces) = (0, 0, 0);
    }

    /// A piece of so many terms, from one to [`PIECE_TERMS_MAX`]. Not many more than `terms_left` will be asked for
    /// after it.
    #[inline]
    pub(crate) fn take(&mut self, terms: usize, terms_left: usize) -> Slots {
        assert!((1..=PIECE_TERMS_MAX).contains(&terms), "a piece has one to {PIECE_TERMS_MAX} terms");
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 64")]
        let len = terms as u32;
        let block = match self.block {
            Some(block) if self.slots - self.next >= len => block,
            _ => self.next_block(terms, terms_left),
        };
        // SAFETY: the slots are inside the block, as `slots` says, and nobody else has them.
        let first = unsafe {
            let first = first_slot(block).add(self.next as usize);
            for at in 0..terms {
                first.add(at).write(FILLER);
            }
            first
        };
        self.next += len;
        self.pieces += 1;
        Slots { first, len: terms, memory: block.as_ptr() }
    }

    /// Makes a piece one term longer, if it is the last one handed out and there is room.
    pub(crate) fn lengthen(&mut self, piece: &mut Slots) -> bool {
        let Some(block) = self.block else { return false };
        let len = piece.len();
        // SAFETY: `next` is at most the number of slots, so that this is in the block or right after it.
        let next = unsafe { first_slot(block).add(self.next as usize) };
        let is_last =
            piece.memory == block.as_ptr() && piece.first.as_ptr().wrapping_add(len) == next.as_ptr();
        if !is_last || self.next == self.slots || len == PIECE_TERMS_MAX {
            return false;
        }
        // SAFETY: the slot is inside the block, after all that were handed out.
        unsafe { next.write(FILLER) };
        self.next += 1;
        piece.len = len + 1;
        true
    }

    #[cold]
    #[inline(never)]
    fn next_block(&mut self, terms: usize, terms_left: usize) -> NonNull<Header> {
        let usual = if self.slots == 0 { FIRST_SLOTS } else { (2 * self.slots as usize).min(SLOTS_MAX) };
        let needed = usual.min(terms + terms_left).max(terms);
        // Other terms will use the rest of it.
        let least = if self.is_for_many { MANY_SLOTS as usize } else { 0 };
        self.let_go();
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 1,024 and 128")]
        let slots = needed.max(least) as u32;
        let layout = layout(slots);
        // SAFETY: the layout is of more than no bytes.
        let block = unsafe { alloc(layout) }.cast::<Header>();
        let Some(block) = NonNull::new(block) else { handle_alloc_error(layout) };
        // SAFETY: the memory is large enough for a header, aligned for it, and ours.
        unsafe { block.write(Header { count: AtomicUsize::new(HELD), slots }) };
        *self = Self { block: Some(block), slots, next: 0, pieces: 0, is_for_many: self.is_for_many };
        block
    }

    /// From here on the pieces of the block alone keep it.
    fn let_go(&mut self) {
        if let Some(block) = self.block.take() {
            // SAFETY: what is counted for the slab is given up here, once, as it has the block no more.
            unsafe { release(block, HELD - self.pieces as usize) };
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Terms, in a piece of a block or in memory of their own, that of a `Vec`.
///
/// Three words, of which two say where the terms are: that is asked most often.
pub(crate) struct Slots {
    first: NonNull<Term>,
    /// How many terms, with [`PLAIN`].
    len: usize,
    /// The block, whose address is even; or no pointer, but twice the capacity of a `Vec` and 1.
    memory: *mut Header,
}

/// Set when none of the terms needs dropping. There cannot be so many terms.
const PLAIN: usize = 1 << (usize::BITS - 1);

const _: () = assert!(align_of::<Header>() > 1);

// SAFETY: its terms are its own, and may go to other threads and be read from them. The count of a block is changed by
// atomic operations only.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

/// What the terms lie in.
enum Memory {
    Block(NonNull<Header>),
    Vec { capacity: usize },
}

impl Slots {
    /// No terms.
    pub(crate) const fn new() -> Self {
        Self { first: NonNull::dangling(), len: 0, memory: ptr::without_provenance_mut(1) }
    }

    #[inline]
    pub(crate) fn from_vec(terms: Vec<Term>) -> Self {
        let mut terms = ManuallyDrop::new(terms);
        // No overflow: a capacity is for terms of 32 bytes.
        let memory = ptr::without_provenance_mut(2 * terms.capacity() + 1);
        let first = NonNull::new(terms.as_mut_ptr()).expect("a vector's pointer is not null");
        Self { first, len: terms.len(), memory }
    }

    /// The terms, copied unless they are in memory of their own.
    pub(crate) fn into_vec(self) -> Vec<Term> {
        match self.memory() {
            Memory::Block(_) => self.into_terms().collect(),
            Memory::Vec { capacity } => {
                let this = ManuallyDrop::new(self);
                // SAFETY: it was made of a vector with this pointer and capacity, and `len` terms are in it.
                unsafe { Vec::from_raw_parts(this.first.as_ptr(), this.len(), capacity) }
            }
        }
    }

    #[inline]
    fn memory(&self) -> Memory {
        if self.memory.addr() & 1 == 1 {
            return Memory::Vec { capacity: self.memory.addr() / 2 };
        }
        Memory::Block(NonNull::new(self.memory).expect("a block's pointer is not null"))
    }

    #[inline]
    fn len(&self) -> usize {
        self.len & !PLAIN
    }

    /// Whether none of the terms needs dropping.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.len & PLAIN != 0
    }

    /// Says that none of the terms needs dropping: what they hold would not be given back. It counts until they may
    /// be changed.
    #[inline]
    pub(crate) fn set_plain(&mut self) {
        self.len |= PLAIN;
    }

    /// The terms one after the other, which these then have no more.
    #[inline]
    pub(crate) fn into_terms(self) -> Terms {
        Terms { slots: ManuallyDrop::new(self), next: 0 }
    }

    /// Gives the memory of terms back that need no dropping.
    #[inline]
    pub(crate) fn release_plain(self, releases: &mut Releases) {
        debug_assert!(self.is_plain(), "the terms need no dropping");
        let this = ManuallyDrop::new(self);
        match this.memory() {
            Memory::Block(block) => releases.add(block),
            // SAFETY: it was made of a vector with this pointer and capacity.
            Memory::Vec { capacity } => unsafe {
                drop(Vec::from_raw_parts(this.first.as_ptr(), 0, capacity))
            },
        }
    }
}

impl Deref for Slots {
    type Target = [Term];

    #[inline]
    fn deref(&self) -> &[Term] {
        // SAFETY: there are so many terms from there on, which are its own.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len()) }
    }
}

impl DerefMut for Slots {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Term] {
        self.len &= !PLAIN;
        // SAFETY: as above, and nobody else reads them.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.len()) }
    }
}

impl Drop for Slots {
    #[inline]
    fn drop(&mut self) {
        match self.memory() {
            Memory::Block(block) => {
                if !self.is_plain() {
                    // SAFETY: these are terms, and are not read again.
                    unsafe { ptr::drop_in_place(ptr::from_mut::<[Term]>(self)) };
                }
                // SAFETY: the piece is counted once, and given up here.
                unsafe { release(block, 1) };
            }
            // SAFETY: it was made of a vector with this pointer and capacity, and `len` terms are in it, which are not
            // read again.
            Memory::Vec { capacity } => unsafe {
                drop(Vec::from_raw_parts(self.first.as_ptr(), self.len(), capacity));
            },
        }
    }
}

/// Terms that are taken apart.
pub(crate) struct Terms {
    /// The terms before `next` are no more its own.
    slots: ManuallyDrop<Slots>,
    next: usize,
}

impl Terms {
    /// Gives the memory back, and terms that are left in it.
    #[inline]
    pub(crate) fn finish(mut self, releases: &mut Releases) {
        self.drop_rest();
        if let Memory::Block(block) = self.slots.memory() {
            // What drops this would give the piece up at once.
            mem::forget(self);
            releases.add(block);
        }
    }

    fn drop_rest(&mut self) {
        for _ in self.by_ref() {}
    }
}

impl Iterator for Terms {
    type Item = Term;

    #[inline]
    fn next(&mut self) -> Option<Term> {
        if self.next == self.slots.len() {
            return None;
        }
        // SAFETY: there is a term, which is not read again, as `next` goes past it.
        let term = unsafe { self.slots.first.add(self.next).read() };
        self.next += 1;
        Some(term)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.slots.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Terms {}

impl Drop for Terms {
    fn drop(&mut self) {
        self.drop_rest();
        self.slots.len = 0;
        // SAFETY: it is not used again. No terms are left in it, so that only its memory is given back.
        unsafe { ManuallyDrop::drop(&mut self.slots) };
    }
}

/// Pieces that are given up together: most of the pieces of a message are next to each other in one block, whose count
/// then changes once.
pub(crate) struct Releases {
    block: Option<NonNull<Header>>,
    pieces: usize,
}

impl Releases {
    pub(crate) const fn new() -> Self {
        Self { block: None, pieces: 0 }
    }

    /// For a piece that is counted, and of which no terms are left.
    #[inline]
    fn add(&mut self, block: NonNull<Header>) {
        if self.block != Some(block) {
            self.flush();
            self.block = Some(block);
        }
        self.pieces += 1;
    }

    fn flush(&mut self) {
        if let Some(block) = self.block.take() {
            // SAFETY: so many pieces of the block were given up, and are counted still.
            unsafe { release(block, self.pieces) };
            self.pieces = 0;
        }
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        self.flush();
    }
}

/// # Safety
/// There is a block.
#[inline]
unsafe fn first_slot(block: NonNull<Header>) -> NonNull<Term> {
    // SAFETY: the slots are there, and aligned, as the block is and the bytes of the header are.
    unsafe { block.byte_add(HEADER_BYTES).cast() }
}

/// Takes so much from a block's count, and gives the block back if nothing is left.
///
/// # Safety
/// The caller has so much of the count, and does not use the block for it any more.
#[inline(never)]
unsafe fn release(block: NonNull<Header>, count: usize) {
    // SAFETY: the block is there while something is counted. The reference is not used after the subtraction.
    let counter = unsafe { &(*block.as_ptr()).count };
    // Who has all of it need not subtract, which takes longer than looking.
    if counter.load(Ordering::Acquire) != count {
        let before = counter.fetch_sub(count, Ordering::Release);
        debug_assert!(before >= count, "no more is given up than is counted");
        if before != count {
            return;
        }
        // What others did with their pieces came before this.
        fence(Ordering::Acquire);
    }
    // SAFETY: nobody has a part of the block any more.
    unsafe { free(block) };
}

/// # Safety
/// Nobody has a part of the block any more.
#[inline(never)]
unsafe fn free(block: NonNull<Header>) {
    // SAFETY: the block was allocated with this layout.
    unsafe {
        let layout = layout((*block.as_ptr()).slots);
        dealloc(block.as_ptr().cast(), layout);
    }
}

#[cfg(test)]
mod tests;
