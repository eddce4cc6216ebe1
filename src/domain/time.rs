//! Instants. The domain never reads a clock: every `now` is handed in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant on the wall clock, in UTC, to the nanosecond; written as RFC 3339.
///
/// Wall clocks jump: a timestamp orders what a person reads, and never alone proves that
/// something did or did not happen upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The start of 1970 in UTC.
    pub const EPOCH: Timestamp = Timestamp(jiff::Timestamp::UNIX_EPOCH);

    /// Makes an instant from whole seconds since 1970, or `None` outside years -9999 to 9999.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Timestamp> {
        jiff::Timestamp::from_second(seconds).ok().map(Timestamp)
    }

    /// Whole seconds since 1970, rounded down to the second before.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Microseconds since 1970: the sortable form that the index uses.
    #[must_use]
    pub fn unix_microseconds(self) -> i64 {
        self.0.as_microsecond()
    }

    /// This instant moved later by `by`, or the last possible instant.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Timestamp {
        self.0.checked_add(by).map_or(Timestamp(jiff::Timestamp::MAX), Timestamp)
    }

    /// This instant moved earlier by `by`, or the first possible instant.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Timestamp {
        self.0.checked_sub(by).map_or(Timestamp(jiff::Timestamp::MIN), Timestamp)
    }

    /// How long after `earlier` this is; zero where it is not after it.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        self.0.duration_since(earlier.0).try_into().unwrap_or(Duration::ZERO)
    }

    /// Whether this instant, which was written down before `now`, shows that the clock was set back since.
    /// Not where it is less than a minute later: two that write at once read the clock in either order, and
    /// no write waits longer for its turn.
    #[must_use]
    pub(crate) fn is_ahead_of(self, now: Timestamp) -> bool {
        self.since(now) > Duration::from_secs(60)
    }

    /// The wrapped [`jiff::Timestamp`].
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        self.0
    }

    /// The wall clock in Beijing (UTC+8 all year), as shops there read it: `2017-06-01 21:53:56`.
    #[must_use]
    pub fn beijing(self) -> String {
        let civil = jiff::tz::Offset::constant(8).to_datetime(self.0);
        civil.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Timestamp {
        Timestamp(instant)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fubei_sample_second_is_the_beijing_time_in_its_order_number() {
        let paid = Timestamp::from_unix_seconds(1_496_325_236).expect("in range");
        assert_eq!(paid.beijing(), "2017-06-01 21:53:56");
        assert_eq!(paid.to_string(), "2017-06-01T13:53:56Z");
        assert_eq!((paid.unix_seconds(), paid.unix_microseconds()), (1_496_325_236, 1_496_325_236_000_000));
        assert_eq!(Timestamp::from(paid.to_jiff()), paid);
        assert_eq!(paid.saturating_add(Duration::from_secs(2)).since(paid).as_secs(), 2);
        assert_eq!(paid.since(paid.saturating_add(Duration::from_secs(2))), Duration::ZERO);
        for (seconds, ahead) in [(0, false), (60, false), (61, true)] {
            assert_eq!(paid.saturating_add(Duration::from_secs(seconds)).is_ahead_of(paid), ahead, "{seconds} s");
        }
    }
}
