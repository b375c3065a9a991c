//! The only clock of the program. Everything that depends on time is given a [`Clock`], so that tests can set it.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A moment of monotonic time, in milliseconds. It never goes back. A clock begins at [`BEFORE`], so that sessions that
/// are older than the process have valid moments as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

/// The range before the start of a clock, in milliseconds: more than the longest lifetime of a session.
const BEFORE: u64 = 400 * 24 * 60 * 60 * 1000;

impl Moment {
    /// A moment from its whole seconds.
    pub(crate) const fn from_seconds(seconds: u32) -> Self {
        Self(seconds as u64 * 1000)
    }

    /// Its whole seconds: what sessions store (136 years fit).
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)
    }

    /// Its milliseconds.
    pub(crate) const fn millis(self) -> u64 {
        self.0
    }

    /// So much earlier.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero if that lies ahead.
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// Seconds since 1970, for display and for other systems; never for measuring durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub(crate) u64);

/// Where the time comes from. Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// The system's monotonic clock has shown so many milliseconds at the beginning.
    System {
        origin: u64,
    },
    Manual {
        millis: AtomicU64,
    },
}

/// Moves a manual clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Source>);

/// The wall time of a manual clock at its start: 2026-01-01T00:00:00Z.
const MANUAL_WALL_START: u64 = 1_767_225_600;

impl Clock {
    /// The machine's clock: monotonic moments, wall time for display.
    pub fn system() -> Self {
        Self(Arc::new(Source::System { origin: monotonic_millis() }))
    }

    /// A clock that stands still until it is moved.
    pub fn manual() -> (Self, ManualClock) {
        let source = Arc::new(Source::Manual { millis: AtomicU64::new(BEFORE) });
        (Self(Arc::clone(&source)), ManualClock(source))
    }

    /// The current moment.
    pub fn now(&self) -> Moment {
        match &*self.0 {
            Source::System { origin } => Moment(BEFORE + monotonic_millis().saturating_sub(*origin)),
            Source::Manual { millis } => Moment(millis.load(Ordering::Acquire)),
        }
    }

    /// The current wall time.
    pub(crate) fn wall(&self) -> WallTime {
        match &*self.0 {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                WallTime(since.as_secs())
            }
            Source::Manual { millis } => {
                WallTime(MANUAL_WALL_START + millis.load(Ordering::Acquire).saturating_sub(BEFORE) / 1000)
            }
        }
    }

    /// The moment of a wall time. A time in the future counts as now: a wall clock that was set back must not make
    /// anything younger than that.
    pub(crate) fn moment_of(&self, wall: WallTime) -> Moment {
        let ago = self.wall().0.saturating_sub(wall.0);
        Moment(self.now().0.saturating_sub(ago.saturating_mul(1000)))
    }

    /// The wall time of a moment of this clock.
    pub(crate) fn wall_at(&self, moment: Moment) -> WallTime {
        let ago = self.now().duration_since(moment).as_secs();
        let ahead = moment.duration_since(self.now()).as_secs();
        WallTime(self.wall().0.saturating_sub(ago).saturating_add(ahead))
    }
}

/// Read several times in each request: in the unit that moments have, which `Instant` would be converted to.
fn monotonic_millis() -> u64 {
    // It begins when the system does: neither part is negative. Every system that this is built for has it.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec().unsigned_abs() * 1000 + time.tv_nsec().unsigned_abs() / 1_000_000)
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { millis } = &*self.0 {
            millis.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let (clock, clock_handle) = Clock::manual();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock_handle.advance(Duration::from_millis(2500));
        assert_eq!(clock.now().duration_since(before), Duration::from_millis(2500));
        assert_eq!(clock.wall().0, MANUAL_WALL_START + 2);
        assert_eq!(clock.wall_at(before).0, MANUAL_WALL_START);
    }

    #[test]
    fn what_was_before_the_program_has_its_moment() {
        for clock in [Clock::manual().0, Clock::system()] {
            let (now, wall) = (clock.now(), clock.wall());
            let age = |ago: u64| now.duration_since(clock.moment_of(WallTime(wall.0 - ago))).as_secs();
            assert_eq!([age(0), age(59), age(365 * 86_400)], [0, 59, 365 * 86_400]);
            assert!(age(500 * 86_400) >= 400 * 86_400 && clock.moment_of(WallTime(wall.0 + 60)) >= now);
        }
    }

    #[test]
    fn a_later_moment_is_no_negative_duration() {
        let later = Moment::default() + Duration::from_secs(1);
        assert_eq!(Moment::default().duration_since(later), Duration::ZERO);
    }
}
