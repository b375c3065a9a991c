//! The end mark of a session and the number of its announced writes, in one atomic integer.
//!
//! An exchange announces that it is about to write a head, writes, and withdraws the announcement. Announcing adds one
//! to the integer and reads the mark in the same atomic step, so an end and a write cannot miss each other: if the
//! announcement comes first, the end sees it and waits; if the mark comes first, the exchange sees it and writes
//! nothing.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use super::sync::AtomicU32;
use crate::values::end_cause::EndCause;

/// The low bits count the announced writes; the high bits are the number of the cause, zero while the session is live.
#[derive(Debug, Default)]
pub(super) struct EndMark(AtomicU32);

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u32 = (1 << COUNT_BITS) - 1;

impl EndMark {
    /// Sets the mark permanently. `true` for the one caller that set it.
    pub(super) fn set(&self, cause: EndCause) -> bool {
        let marked = |word: u32| (word <= COUNT_MASK).then_some(word | number_of(cause) << COUNT_BITS);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, marked).is_ok()
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) > COUNT_MASK
    }

    /// Why the session ended; `None` while it is live.
    pub(super) fn cause(&self) -> Option<EndCause> {
        let number = self.0.load(Ordering::Acquire) >> COUNT_BITS;
        number.checked_sub(1).and_then(|at| EndCause::ALL.get(at as usize).copied())
    }

    /// Announces a write. `None` if the mark is set: nothing may be written.
    pub(super) fn begin_write(&self) -> Option<WriteGuard<'_>> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let write_guard = WriteGuard { mark: Some(self), stays_here: PhantomData };
        (before <= COUNT_MASK).then_some(write_guard)
    }

    /// Whether any write is announced.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Acquire) & COUNT_MASK != 0
    }
}

/// The permission for one write of a head, or of bytes of a tunnel, that does not block: an end of the session waits
/// until it is dropped. It is not `Send`, so that a future that holds it across an `await` cannot be spawned.
#[derive(Debug)]
#[must_use = "it permits one write: hold it until the write is done"]
pub struct WriteGuard<'a> {
    mark: Option<&'a EndMark>,
    stays_here: PhantomData<*const ()>,
}

impl WriteGuard<'_> {
    /// For requests without a session.
    pub(crate) const fn without_session() -> Self {
        Self { mark: None, stays_here: PhantomData }
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        if let Some(mark) = self.mark {
            mark.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The index of the cause plus one, so that it is not zero.
fn number_of(cause: EndCause) -> u32 {
    EndCause::ALL.iter().zip(1..).find(|(other, _)| **other == cause).map_or(1, |(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_stays() {
        for cause in EndCause::ALL {
            let mark = EndMark::default();
            assert!(!mark.is_set() && mark.cause().is_none());
            assert!(mark.set(cause) && !mark.set(EndCause::Idle));
            assert!(mark.is_set());
            assert_eq!(mark.cause(), Some(cause));
        }
    }

    #[test]
    fn an_end_sees_announced_writes_and_prevents_further_ones() {
        let mark = EndMark::default();
        let (one, other) = (mark.begin_write().unwrap(), mark.begin_write().unwrap());
        assert!(mark.set(EndCause::Logout));
        assert_eq!((mark.is_awaited(), mark.cause()), (true, Some(EndCause::Logout)));
        assert!(mark.begin_write().is_none(), "no write after the mark");
        drop(one);
        assert!(mark.is_awaited());
        drop(other);
        assert!(!mark.is_awaited() && mark.is_set(), "a refused announcement is taken back");
    }

    /// Writers and an end in real threads: after the end has seen no announcement, no write happens.
    #[test]
    fn nothing_is_written_after_the_end_saw_no_announcement() {
        use std::sync::atomic::AtomicBool;
        for _ in 0..500 {
            let (mark, over) = (EndMark::default(), AtomicBool::new(false));
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while let Some(_leaving) = mark.begin_write() {
                            assert!(!over.load(Ordering::SeqCst), "written after the end");
                        }
                    });
                }
                assert!(mark.set(EndCause::Logout));
                while mark.is_awaited() {
                    std::thread::yield_now();
                }
                over.store(true, Ordering::SeqCst);
            });
        }
    }
}
