//! The types of the program with a scheduling point before each access, at which shuttle decides which task continues.
//! In tests that do not run under shuttle a point does nothing.
//!
//! Shuttle runs its tasks in turn on one thread. Code without points is one step, which is correct as long as it does
//! not wait for another task: the guard of a table or of another lock must not be held across a point. Accesses are
//! explored as sequentially consistent; effects of weaker memory orders are not found. Time does not pass.

use std::collections::hash_map::RandomState;
use std::fmt::{self, Debug};
use std::hash::{BuildHasher, Hash};
use std::ops::Deref;
use std::sync::atomic;
use std::time::Duration;

use parking_lot::MutexGuard;
use tokio::time::error::Elapsed;

/// Whether shuttle schedules the caller.
fn is_explored() -> bool {
    shuttle::current::try_get_current_task().is_some()
}

/// A scheduling point.
pub(in crate::session) fn point() {
    if is_explored() {
        shuttle::thread::sleep(Duration::ZERO);
    }
}

macro_rules! with_points {
    ($($name:ident: $number:ty),*) => {$(
        #[derive(Debug, Default)]
        pub(in crate::session) struct $name(atomic::$name);

        impl $name {
            #[allow(dead_code, reason = "not every one of these types is made with a value")]
            pub(in crate::session) const fn new(value: $number) -> Self {
                Self(atomic::$name::new(value))
            }
        }

        impl Deref for $name {
            type Target = atomic::$name;

            fn deref(&self) -> &Self::Target {
                point();
                &self.0
            }
        }
    )*};
}

with_points!(AtomicBool: bool, AtomicU32: u32, AtomicU64: u64, AtomicUsize: usize);

#[derive(Debug, Default)]
pub(in crate::session) struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub(in crate::session) const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    pub(in crate::session) fn lock(&self) -> MutexGuard<'_, T> {
        point();
        while is_explored() {
            match self.0.try_lock() {
                Some(guard) => return guard,
                // Not a point: the scheduler must not choose this task again before the others.
                None => shuttle::thread::yield_now(),
            }
        }
        self.0.lock()
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

pub(in crate::session) struct DashMap<K, V, S = RandomState>(dashmap::DashMap<K, V, S>);

impl<K: Eq + Hash + Debug, V: Debug, S: BuildHasher + Clone> Debug for DashMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone + Default> Default for DashMap<K, V, S> {
    fn default() -> Self {
        Self(dashmap::DashMap::default())
    }
}

impl<K, V, S> Deref for DashMap<K, V, S> {
    type Target = dashmap::DashMap<K, V, S>;

    fn deref(&self) -> &Self::Target {
        point();
        &self.0
    }
}

/// Under shuttle time does not pass, so the timeout never expires.
pub(in crate::session) async fn timeout<F: Future>(patience: Duration, work: F) -> Result<F::Output, Elapsed> {
    if is_explored() { Ok(work.await) } else { tokio::time::timeout(patience, work).await }
}

pub(in crate::session) async fn sleep(time: Duration) {
    if is_explored() { shuttle::future::yield_now().await } else { tokio::time::sleep(time).await }
}
