//! What the backlog hands to the index, and what it counts meanwhile.

use super::{BATCH, Backlog, Progress, Stop};
use crate::storage::key::{Change, Key, Value};
use crate::storage::lock::locked;

fn change(key: &[u8], value: Option<&[u8]>) -> Change {
    (Key::from(key), value.map(Value::from))
}

fn progress(through: u64) -> Progress {
    Progress { through, sequence: 10 * through }
}

fn waiting(backlog: &Backlog) -> (usize, usize, bool) {
    let state = locked(&backlog.state);
    (state.frames.len(), state.bytes, state.busy)
}

#[test]
fn frames_are_handed_over_together_with_the_newest_value_of_each_key() {
    let backlog = Backlog::new(usize::MAX);
    backlog.push(progress(1), vec![change(b"a", Some(b"old")), change(b"b", Some(b"kept"))]);
    backlog.push(progress(2), vec![change(b"a", Some(b"new")), change(b"c", None)]);
    // Each change counts its key, its value and 64 bytes more.
    let first = (1 + 3 + 64) + (1 + 4 + 64);
    let second = (1 + 3 + 64) + (1 + 64);
    assert_eq!(waiting(&backlog), (2, first + second, false));
    let (changes, through, bytes) = backlog.next().expect("some");
    let want = vec![change(b"a", Some(b"new")), change(b"b", Some(b"kept")), change(b"c", None)];
    assert_eq!((changes, through.through, through.sequence, bytes), (want, 2, 20, first + second));
    assert_eq!(waiting(&backlog), (0, 0, true));
}

#[test]
fn a_batch_takes_whole_frames_and_the_rest_waits() {
    let backlog = Backlog::new(usize::MAX);
    let half = BATCH / 2 + 1;
    let changes = |frame: usize| (0..half).map(move |n| change(&(frame * half + n).to_be_bytes(), None)).collect();
    for frame in 0..3 {
        backlog.push(progress(frame as u64 + 1), changes(frame));
    }
    let one = half * (8 + 64);
    let (taken, through, bytes) = backlog.next().expect("some");
    assert_eq!((taken.len(), through.through, bytes), (2 * half, 2, 2 * one));
    assert_eq!(waiting(&backlog), (1, one, true));
}

#[test]
fn a_stop_hands_over_what_waits_or_drops_it_as_it_was_asked() {
    for (stop, handed_over) in [(Stop::Drained, vec![1]), (Stop::AsIs, vec![])] {
        let backlog = Backlog::new(usize::MAX);
        backlog.push(progress(1), vec![change(b"a", None)]);
        backlog.stop(stop);
        let taken: Vec<u64> = std::iter::from_fn(|| backlog.next()).map(|(_, through, _)| through.through).collect();
        assert_eq!(taken, handed_over, "{stop:?}");
        assert!(!waiting(&backlog).2, "it is at rest");
    }
}
