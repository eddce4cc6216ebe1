//! A day in Beijing as a span of instants.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use crate::domain::{Rejection, Timestamp};

/// How far around the day upstreams are asked: an order that is paid on the day may be listed by when it was made, and
/// a server's clock or its label of a time may be some hours off. What is not of the day is left out here.
const SLACK: Duration = Duration::from_secs(86_400);

/// From 00:00 up to, and not including, 24:00 on the wall clock in Beijing (UTC+8 all year).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    /// The first instant.
    pub(super) from: Timestamp,
    /// The first instant of the next day.
    pub(super) to: Timestamp,
}

impl Day {
    /// That day.
    ///
    /// # Errors
    /// The last day of the calendar, which has no next.
    pub(super) fn of(date: Date) -> Result<Day, Rejection> {
        let midnight = |date: Date| {
            let instant = Offset::constant(8).to_timestamp(date.to_datetime(Time::midnight()));
            instant.map(Timestamp::from).map_err(|_| Rejection::Malformed(format!("{date} is beyond the calendar")))
        };
        let next = date.tomorrow().map_err(|_| Rejection::Malformed(format!("{date} is the calendar's last day")))?;
        Ok(Day { from: midnight(date)?, to: midnight(next)? })
    }

    /// Whether it happened on this day.
    pub(super) fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// The day with slack around it: what upstreams are asked for.
    pub(super) fn with_slack(self) -> Day {
        Day { from: self.from.saturating_sub(SLACK), to: self.to.saturating_add(SLACK) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_at_midnight_in_beijing() {
        let day = Day::of("2017-06-01".parse().expect("a date")).expect("a day");
        let at = |text: &str| day.contains(text.parse::<jiff::Timestamp>().expect("an instant").into());
        assert!(!at("2017-05-31T15:59:59.999Z") && at("2017-05-31T16:00:00Z"));
        assert!(at("2017-06-01T15:59:59.999Z") && !at("2017-06-01T16:00:00Z"));
        assert_eq!(day.with_slack().from.beijing(), "2017-05-31 00:00:00");
        assert_eq!(day.with_slack().to.beijing(), "2017-06-03 00:00:00");
    }

    #[test]
    fn the_ends_of_the_calendar_are_refused_by_name() {
        let refused = |date: Date| Day::of(date).expect_err("refused").to_string();
        assert_eq!(refused(Date::MAX), "9999-12-31 is the calendar's last day");
    }
}
