//! When to do what again: questions on a schedule, waits that grow.
//!
//! All of it is counted on the clock that nobody sets, and starts anew with the process: asking once more
//! is safe, and nothing here decides about money.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::domain::RefundKey;

/// Waits that double from one to the next, each up to as much again at random, so that a thousand kiosks
/// that lost one network do not come back in step.
fn growing(first: Duration, most: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(first).with_max_delay(most).without_max_times().with_jitter().build()
}

/// A pause of an account that cannot be asked, or takes no refunds.
#[derive(Default)]
pub(super) struct Pause {
    waits: Option<ExponentialBackoff>,
    until: Option<Duration>,
}

impl Pause {
    const FIRST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(300);

    /// Begins a pause, or makes one longer; answers how long.
    pub(super) fn begin(&mut self, now: Duration) -> Duration {
        let waits = self.waits.get_or_insert_with(|| growing(Pause::FIRST, Pause::MOST));
        let wait = waits.next().unwrap_or(Pause::MOST);
        self.until = Some(now + wait);
        wait
    }

    /// How much longer to wait; `None`: it may be tried again.
    pub(super) fn left(&self, now: Duration) -> Option<Duration> {
        self.until.and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero())
    }

    /// Whether nothing was tried since it began.
    pub(super) fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// It may be tried again; should that fail, the next pause is longer all the same.
    pub(super) fn try_again(&mut self) {
        self.until = None;
    }

    /// All went well again.
    pub(super) fn end(&mut self) {
        *self = Pause::default();
    }
}

/// Orders whose refund could not go although the account answers: each is left alone for a while of its own.
pub(super) struct Rests<K> {
    resting: HashMap<K, (ExponentialBackoff, Duration)>,
}

impl<K> Default for Rests<K> {
    fn default() -> Rests<K> {
        Rests { resting: HashMap::new() }
    }
}

impl<K: Hash + Eq> Rests<K> {
    const FIRST: Duration = Duration::from_secs(15);
    const MOST: Duration = Duration::from_secs(600);

    pub(super) fn begin(&mut self, what: K, now: Duration) {
        let (waits, until) =
            self.resting.entry(what).or_insert_with(|| (growing(Self::FIRST, Self::MOST), Duration::ZERO));
        *until = now + waits.next().unwrap_or(Self::MOST);
    }

    pub(super) fn end(&mut self, what: &K) {
        self.resting.remove(what);
    }

    pub(super) fn is_resting(&self, what: &K, now: Duration) -> bool {
        self.resting.get(what).is_some_and(|(_, until)| *until > now)
    }

    /// When the next rest ends that has not ended yet.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        self.resting.values().map(|(_, until)| *until).filter(|until| *until > now).min()
    }
}

/// When the questions about unsettled refunds are due.
#[derive(Default)]
pub(super) struct Questions {
    of: HashMap<RefundKey, Question>,
}

struct Question {
    attempt: u32,
    /// When this process first saw the attempt unsettled.
    since: Duration,
    asked: usize,
    next: Duration,
}

impl Questions {
    /// Whether it is time to ask about that attempt of a refund.
    pub(super) fn is_due(&mut self, key: &RefundKey, attempt: u32, steps: &[Duration], now: Duration) -> bool {
        let known = self.of.get(key).is_some_and(|question| question.attempt == attempt);
        if !known {
            let first = steps.first().copied().unwrap_or_default();
            self.of.insert(key.clone(), Question { attempt, since: now, asked: 0, next: now + first });
        }
        self.of.get(key).is_some_and(|question| question.next <= now)
    }

    /// Notes that it was asked; the next step of the schedule follows, the last one for ever.
    pub(super) fn asked(&mut self, key: &RefundKey, steps: &[Duration], now: Duration) {
        if let Some(question) = self.of.get_mut(key) {
            question.asked += 1;
            let step = steps.get(question.asked).or(steps.last()).copied().unwrap_or_default();
            question.next = now + step;
        }
    }

    /// For how long this process has heard nothing of it.
    pub(super) fn silent_for(&self, key: &RefundKey, now: Duration) -> Duration {
        self.of.get(key).map_or(Duration::ZERO, |question| now.saturating_sub(question.since))
    }

    /// Forgets those that are settled.
    pub(super) fn keep(&mut self, unsettled: impl Fn(&RefundKey) -> bool) {
        self.of.retain(|key, _| unsettled(key));
    }

    /// When the next question is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.of.values().map(|question| question.next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn questions_follow_the_schedule_and_its_last_step_repeats() {
        let (key, steps) = (RefundKey::new("a").expect("a key"), [secs(30), secs(120), secs(600)]);
        let mut questions = Questions::default();
        let mut asked_at = Vec::new();
        for now in (0..3_000).map(secs) {
            if questions.is_due(&key, 1, &steps, now) {
                questions.asked(&key, &steps, now);
                asked_at.push(now.as_secs());
            }
        }
        assert_eq!(asked_at, [30, 150, 750, 1_350, 1_950, 2_550]);
        assert_eq!(questions.silent_for(&key, secs(3_000)), secs(3_000));
        // Another attempt begins anew.
        assert!(!questions.is_due(&key, 2, &steps, secs(5_000)));
        assert_eq!((questions.next(), questions.silent_for(&key, secs(5_030))), (Some(secs(5_030)), secs(30)));
        questions.keep(|_| false);
        assert_eq!(questions.next(), None);
    }

    #[test]
    fn a_pause_grows_up_to_its_most_and_begins_anew_after_its_end() {
        let (mut pause, mut now) = (Pause::default(), secs(100));
        assert_eq!((pause.left(now), pause.is_on()), (None, false));
        let mut least = Pause::FIRST;
        for _ in 0..20 {
            let wait = pause.begin(now);
            assert!(wait >= least && wait <= 2 * Pause::MOST, "{wait:?} after {least:?}");
            assert_eq!(pause.left(now), Some(wait));
            now += wait;
            assert_eq!((pause.left(now), pause.is_on()), (None, true));
            least = (2 * least).min(Pause::MOST);
        }
        pause.end();
        assert!(pause.begin(now) <= 2 * Pause::FIRST);
    }

    #[test]
    fn what_rests_is_left_alone_for_longer_each_time() {
        let mut rests = Rests::default();
        rests.begin("a", secs(0));
        assert!(
            rests.is_resting(&"a", secs(14)) && !rests.is_resting(&"a", secs(30)) && !rests.is_resting(&"b", secs(0))
        );
        rests.begin("a", secs(30));
        assert!(rests.is_resting(&"a", secs(59)));
        assert!(rests.next(secs(30)).is_some_and(|next| next >= secs(60) && next <= secs(90)));
        rests.end(&"a");
        assert_eq!(rests.next(secs(30)), None);
    }
}
