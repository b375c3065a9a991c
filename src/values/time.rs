//! The clock of the program. Everything that depends on time is given a [`Clock`], so that tests can set it.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// A moment of monotonic time, in milliseconds. A clock begins at [`BEFORE`], so that sessions that are older than the
/// process have valid moments as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

/// The moment at the start of a clock, in milliseconds: more than the longest lifetime of a session.
const BEFORE: u64 = 400 * 24 * 60 * 60 * 1000;

impl Moment {
    /// The moment with this number of whole seconds.
    pub(crate) const fn from_seconds(seconds: u32) -> Self {
        Self(seconds as u64 * 1000)
    }

    /// The moment in whole seconds, as sessions store it (136 years fit).
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)
    }

    /// The moment in milliseconds.
    pub(crate) const fn millis(self) -> u64 {
        self.0
    }

    /// The moment that is earlier by `duration`.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero if that is later.
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

/// Wall-clock time in seconds since 1970, for display and for other systems. It is never used to measure durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub(crate) u64);

/// A source of time. Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// The system's clocks. `origin` is the monotonic clock in milliseconds at the start.
    System {
        origin: u64,
    },
    Manual {
        millis: AtomicU64,
    },
}

/// The handle that moves a manual clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Source>);

/// The wall time of a manual clock at its start: 2026-01-01T00:00:00Z.
const MANUAL_WALL_START: u64 = 1_767_225_600;

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self(Arc::new(Source::System { origin: monotonic_millis() }))
    }

    /// A clock for tests that stands still until it is moved by the handle.
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

    /// Converts a wall time. A time in the future counts as now, so that a wall clock that was set back does not put
    /// moments into the future.
    pub(crate) fn moment_of(&self, wall: WallTime) -> Moment {
        let ago = self.wall().0.saturating_sub(wall.0);
        Moment(self.now().0.saturating_sub(ago.saturating_mul(1000)))
    }

    /// Converts a moment of this clock to wall time.
    pub(crate) fn wall_at(&self, moment: Moment) -> WallTime {
        let ago = self.now().duration_since(moment).as_secs();
        let ahead = moment.duration_since(self.now()).as_secs();
        WallTime(self.wall().0.saturating_sub(ago).saturating_add(ahead))
    }
}

/// The system's monotonic clock. It is read several times for each request, directly in the unit of moments, which
/// saves the conversion from `Instant`.
fn monotonic_millis() -> u64 {
    // The clock begins at the boot, so neither part is negative. It exists on all supported systems.
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
    fn a_manual_clock_moves_only_by_its_handle() {
        let (clock, clock_handle) = Clock::manual();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock_handle.advance(Duration::from_millis(2500));
        assert_eq!(clock.now().duration_since(before), Duration::from_millis(2500));
        assert_eq!(clock.wall().0, MANUAL_WALL_START + 2);
        assert_eq!(clock.wall_at(before).0, MANUAL_WALL_START);
    }

    #[test]
    fn times_before_the_start_of_the_program_have_moments() {
        for clock in [Clock::manual().0, Clock::system()] {
            let (now, wall) = (clock.now(), clock.wall());
            let age = |ago: u64| now.duration_since(clock.moment_of(WallTime(wall.0 - ago))).as_secs();
            assert_eq!([age(0), age(59), age(365 * 86_400)], [0, 59, 365 * 86_400]);
            assert!(age(500 * 86_400) >= 400 * 86_400 && clock.moment_of(WallTime(wall.0 + 60)) >= now);
        }
    }

    #[test]
    fn the_duration_since_a_later_moment_is_zero() {
        let later = Moment::default() + Duration::from_secs(1);
        assert_eq!(Moment::default().duration_since(later), Duration::ZERO);
    }
}
