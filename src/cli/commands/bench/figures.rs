//! What was measured: counts, waits at the middle and near the end, and ratios. Whole numbers throughout.

use std::time::Duration;

/// One turn's waits, and how long all of it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) waits: Vec<Duration>,
    pub(super) elapsed: Duration,
}

/// The turns of one kind together.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Slice);

impl Samples {
    pub(super) fn add(&mut self, slice: Slice) {
        self.0.waits.extend(slice.waits);
        self.0.elapsed += slice.elapsed;
    }

    pub(super) fn figures(self) -> Figures {
        let Slice { mut waits, elapsed } = self.0;
        waits.sort_unstable();
        let count = waits.len() as u64;
        let per_second = u128::from(count) * 1_000_000_000 / elapsed.as_nanos().max(1);
        Figures {
            count,
            p50: percentile(&waits, 50),
            p99: percentile(&waits, 99),
            per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
        }
    }
}

/// The wait that so many of a hundred do not exceed, of waits in order; zero where there are none.
fn percentile(waits: &[Duration], hundredth: usize) -> Duration {
    let rank = (waits.len() * hundredth).div_ceil(100).max(1);
    waits.get(rank - 1).copied().unwrap_or_default()
}

/// The figures of many durable writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) count: u64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) per_second: u64,
}

/// A ratio in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hundredths(pub(super) u64);

impl Hundredths {
    /// `over` something that is not zero, rounded to the nearest.
    pub(super) fn of(amount: u128, over: u128) -> Hundredths {
        let over = over.max(1);
        Hundredths(u64::try_from((amount * 100 + over / 2) / over).unwrap_or(u64::MAX))
    }

    pub(super) fn of_waits(wait: Duration, over: Duration) -> Hundredths {
        Hundredths::of(wait.as_nanos(), over.as_nanos())
    }
}

impl std::fmt::Display for Hundredths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A wait as people read it: tenths of a microsecond below a millisecond, else hundredths of a millisecond.
pub(super) fn shown(wait: Duration) -> String {
    match wait.as_nanos() {
        nanoseconds @ 0..1_000_000 => format!("{}.{} µs", nanoseconds / 1_000, nanoseconds % 1_000 / 100),
        nanoseconds => format!("{}.{:02} ms", nanoseconds / 1_000_000, nanoseconds % 1_000_000 / 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_add_up_to_one_set_of_figures() {
        let milliseconds = Duration::from_millis;
        let mut samples = Samples::default();
        samples.add(Slice { waits: (1..=50).rev().map(milliseconds).collect(), elapsed: milliseconds(600) });
        samples.add(Slice { waits: (51..=100).map(milliseconds).collect(), elapsed: milliseconds(400) });
        let wanted = Figures { count: 100, p50: milliseconds(50), p99: milliseconds(99), per_second: 100 };
        assert_eq!(samples.figures(), wanted);
        let one = Slice { waits: vec![milliseconds(7)], elapsed: milliseconds(14) };
        let wanted = Figures { count: 1, p50: milliseconds(7), p99: milliseconds(7), per_second: 71 };
        assert_eq!(Samples(one).figures(), wanted);
    }

    #[test]
    fn ratios_are_rounded_to_hundredths() {
        let shown = |amount, over| Hundredths::of(amount, over).to_string();
        assert_eq!([shown(3, 2), shown(2, 3), shown(1, 300), shown(4_100, 2)], ["1.50", "0.67", "0.00", "2050.00"]);
    }

    #[test]
    fn waits_are_shown_with_their_unit() {
        let of = |nanoseconds| shown(Duration::from_nanos(nanoseconds));
        assert_eq!(of(8_450), "8.4 µs");
        assert_eq!(of(999_999), "999.9 µs");
        assert_eq!(of(1_000_000), "1.00 ms");
        assert_eq!(of(24_567_000), "24.56 ms");
        assert_eq!(of(2_500_000_000), "2500.00 ms");
    }
}
