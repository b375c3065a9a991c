//! The synchronisation types that this module uses. In the program they are the usual ones. In unit tests each access
//! is a scheduling point for the exploration of interleavings: see `explored`.

#[cfg(not(test))]
pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

#[cfg(not(test))]
pub(super) use dashmap::DashMap;
#[cfg(not(test))]
pub(super) use parking_lot::Mutex;
#[cfg(not(test))]
pub(super) use tokio::time::{sleep, timeout};

#[cfg(test)]
pub(super) mod explored;
#[cfg(test)]
pub(super) use self::explored::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, DashMap, Mutex, sleep, timeout};
