//! A pool of buffers, so that idle connections hold none and requests do not allocate new ones.

use std::cell::RefCell;

use bytes::BytesMut;

/// The capacity of a new buffer, in bytes: enough for most heads with a small body.
const CAPACITY: usize = 4 * 1024;
/// The maximum capacity of a pooled buffer, in bytes; larger ones are freed.
const MAX_CAPACITY: usize = 16 * 1024;
/// The maximum number of pooled buffers in each thread.
const MAX_BUFFERS: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Takes an empty buffer.
pub(super) fn take() -> BytesMut {
    // A thread that is ending has already dropped its pool.
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    spare.unwrap_or_else(|| BytesMut::with_capacity(CAPACITY))
}

/// Clears a buffer and returns it to the pool, unless a part of it is still in use elsewhere.
pub(super) fn give_back(buffer: &mut BytesMut) {
    let mut buffer = std::mem::take(buffer);
    buffer.clear();
    if buffer.capacity() == 0 || !buffer.try_reclaim(CAPACITY) || buffer.capacity() > MAX_CAPACITY {
        return;
    }
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_BUFFERS {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare() -> usize {
        SPARE.with(|spare| spare.borrow().len())
    }

    #[test]
    fn a_buffer_comes_back_empty_and_whole() {
        let mut buffer = take();
        buffer.extend_from_slice(&[1; 4000]);
        let head = buffer.split_to(3000).freeze();
        drop(head);
        give_back(&mut buffer);
        assert_eq!((buffer.capacity(), spare()), (0, 1));
        let buffer = take();
        assert!(buffer.is_empty() && buffer.capacity() >= CAPACITY && spare() == 0);
    }

    #[test]
    fn shared_large_and_surplus_buffers_are_not_pooled() {
        let mut buffer = take();
        buffer.extend_from_slice(b"head, body");
        let head = buffer.split_to(4).freeze();
        give_back(&mut buffer);
        assert_eq!((spare(), &head[..]), (0, b"head".as_slice()));
        give_back(&mut BytesMut::with_capacity(MAX_CAPACITY + 1));
        give_back(&mut BytesMut::new());
        assert_eq!(spare(), 0);
        (0..MAX_BUFFERS + 5).for_each(|_| give_back(&mut BytesMut::with_capacity(CAPACITY)));
        assert_eq!(spare(), MAX_BUFFERS);
    }
}
