//! How far an account's list was read: kept after every page, so that an interrupted round goes on.
//!
//! Times here are the upstream's where orders are bounded, so that a clock that is set forward or back
//! here moves no bound past an order. Ours only say when a whole reading is due.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// How far before the newest order seen a round begins. Most late changes (paid after a while, refunded at
/// the counter) come within the day, and so do the eight hours by which a time zone may be misread. It also
/// stands in for upstreams that show an order minutes after it was made.
const OVERLAP: Duration = Duration::from_secs(86_400);

/// How often all of `history` is read, whatever the last rounds read: a refund made elsewhere on an older
/// order, or an order that arrived with an old time, is seen after a day at the latest. (A refund does not
/// depend on it: fresh facts come before each.)
const WHOLE_EVERY: Duration = Duration::from_secs(86_400);

/// How long a round may be stuck at one page.
const STALE: Duration = Duration::from_secs(3_600);

/// What is kept between rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// Its form; others are refused, and reading begins anew.
    version: Version,
    /// The upstream's time of the newest order that a finished round saw: up to there all was read.
    through: Option<Timestamp>,
    /// The last finished reading of everything.
    whole: Option<Whole>,
    /// The round under way.
    pub(super) round: Option<Round>,
}

/// The one form there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[default]
    #[serde(rename = "1")]
    One,
}

/// A finished reading of everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Whole {
    /// When it began, on our clock.
    began_at: Timestamp,
    /// How far back it went.
    floor: Timestamp,
}

/// One way through the list, from its top to `floor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Round {
    /// What it reads.
    reads: Reads,
    /// Orders older than this are not asked for.
    pub(super) floor: Timestamp,
    /// When it began, on our clock.
    began_at: Timestamp,
    /// The upstream's time of the newest order it saw.
    newest: Option<Timestamp>,
    /// Where its next page begins.
    pub(super) offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reads {
    /// What is new or may well have changed.
    Recent,
    /// All of the account's history.
    Whole,
}

impl Cursor {
    /// The round to begin now, of an account with that `history`.
    pub(super) fn begin(&self, now: Timestamp, history: Duration) -> Round {
        let oldest = now.saturating_sub(history);
        // An order dated in the future (or a clock set back since) must not hide those before it.
        let recent = self.through.map(|through| through.min(now).saturating_sub(OVERLAP));
        let (reads, floor) = match recent {
            Some(recent) if !self.is_whole_due(now, oldest) => (Reads::Recent, recent),
            // No later than a recent round's, so that a clock far ahead skips nothing.
            Some(recent) => (Reads::Whole, oldest.min(recent)),
            None => (Reads::Whole, oldest),
        };
        Round { reads, floor, began_at: now, newest: None, offset: 0 }
    }

    fn is_whole_due(&self, now: Timestamp, oldest: Timestamp) -> bool {
        self.whole.as_ref().is_none_or(|whole| {
            let clock_was_ahead = whole.began_at > now;
            let history_grew = oldest < whole.floor;
            clock_was_ahead || history_grew || now.since(whole.began_at) >= WHOLE_EVERY
        })
    }

    /// What is kept while `round` is under way.
    pub(super) fn within(&self, round: &Round) -> Cursor {
        Cursor { round: Some(round.clone()), ..self.clone() }
    }

    /// What is kept when `round` has read all it was to read.
    pub(super) fn finish(&mut self, round: Round) {
        self.through = self.through.max(round.newest);
        if round.reads == Reads::Whole {
            self.whole = Some(Whole { began_at: round.began_at, floor: round.floor });
        }
        self.round = None;
    }
}

impl Round {
    /// Whether it began so long ago (or on a clock so wrong) that the top of the list has to be read again.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        self.began_at > now || now.since(self.began_at) >= STALE
    }

    /// Takes note of an order's time.
    pub(super) fn saw(&mut self, at: Option<Timestamp>) {
        self.newest = self.newest.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const HISTORY: Duration = Duration::from_secs(90 * 86_400);

    fn day(days: u64) -> Timestamp {
        Timestamp::EPOCH.saturating_add(DAY * u32::try_from(days).expect("small"))
    }

    /// A cursor after a whole round on day 1000 that saw an order of day `newest`.
    fn after_whole(newest: u64) -> Cursor {
        let mut cursor = Cursor::default();
        let mut round = cursor.begin(day(1000), HISTORY);
        assert_eq!((round.reads, round.floor), (Reads::Whole, day(910)));
        round.saw(Some(day(newest)));
        round.saw(None);
        cursor.finish(round);
        cursor
    }

    fn begun(cursor: &Cursor, now: Timestamp) -> (Reads, Timestamp) {
        let round = cursor.begin(now, HISTORY);
        (round.reads, round.floor)
    }

    #[test]
    fn a_round_begins_a_day_before_the_newest_order_and_once_a_day_reads_all() {
        let cursor = after_whole(990);
        let later = day(1000).saturating_add(DAY / 2);
        assert_eq!(begun(&cursor, later), (Reads::Recent, day(989)));
        assert_eq!(begun(&cursor, day(1001)), (Reads::Whole, day(911)));
    }

    #[test]
    fn a_clock_that_jumps_moves_no_bound_past_an_order() {
        // An order dated in the future, or our clock set back by five days: read from a day before now.
        let cursor = after_whole(1005);
        assert_eq!(begun(&cursor, day(1000)), (Reads::Recent, day(999)));
        // Set back since the whole reading: it is due again.
        assert_eq!(begun(&after_whole(990), day(999)), (Reads::Whole, day(909)));
        // Ahead by years: still from the newest order on.
        assert_eq!(begun(&after_whole(990), day(9000)), (Reads::Whole, day(989)));
    }

    #[test]
    fn a_longer_history_is_read_at_once() {
        let round = after_whole(990).begin(day(1000), HISTORY * 2);
        assert_eq!((round.reads, round.floor), (Reads::Whole, day(820)));
    }

    #[test]
    fn an_upstream_that_tells_no_times_is_read_whole() {
        let mut cursor = Cursor::default();
        let round = cursor.begin(day(1000), HISTORY);
        cursor.finish(round);
        assert_eq!(begun(&cursor, day(1000)), (Reads::Whole, day(910)));
    }

    #[test]
    fn the_text_is_as_documented_and_other_texts_are_refused() {
        let cursor = after_whole(990);
        let cursor = cursor.within(&Round { offset: 200, ..cursor.begin(day(1000), HISTORY) });
        let text = serde_json::to_string(&cursor).expect("JSON");
        let want = "{\"version\":\"1\",\"through\":\"1972-09-17T00:00:00Z\",\
            \"whole\":{\"began_at\":\"1972-09-27T00:00:00Z\",\"floor\":\"1972-06-29T00:00:00Z\"},\
            \"round\":{\"reads\":\"recent\",\"floor\":\"1972-09-16T00:00:00Z\",\"began_at\":\"1972-09-27T00:00:00Z\",\
            \"newest\":null,\"offset\":200}}";
        assert_eq!(text, want);
        assert_eq!(serde_json::from_str::<Cursor>(&text).expect("reads"), cursor);
        for other in [text.replace("\"1\"", "\"2\""), text.replace("through", "thru"), "{}".to_owned(), String::new()] {
            assert!(serde_json::from_str::<Cursor>(&other).is_err(), "{other}");
        }
    }
}
