//! Refunds chunk by chunk, over each storage.

use std::sync::Arc;

use tillbook::domain::{Outcome, RefundState};
use tillbook::storage::memory::Memory;
use tillbook::storage::{Storage, StorageError};

use super::fixture::*;

/// The keys of all chunks of that size, in order.
async fn keys(storage: &dyn Storage, state: Option<RefundState>, size: usize) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None::<String>);
    loop {
        let chunk = storage.refunds_after(state, after.as_deref(), size).await.expect("readable");
        assert!(chunk.len() <= size);
        keys.extend(chunk.iter().map(|(_, due)| due.key.to_string()));
        match chunk.last() {
            Some((place, _)) => after = Some(place.clone()),
            None => return keys,
        }
    }
}

/// Ten refunds, due in the reverse order of their names; every third has succeeded.
async fn stocked(storage: &dyn Storage) {
    for number in 0..10 {
        add(storage, number).await;
        let mut held = hold(&order(number), &format!("r-{number}"), 100);
        held.now = at(100 - number);
        must(storage, held).await;
    }
    for number in (0..10).step_by(3) {
        must(storage, begin(number, &format!("r-{number}"))).await;
        must(storage, settle(&order(number), &format!("r-{number}"), Outcome::Succeeded)).await;
    }
}

async fn chunks_of_any_size_give_each_refund_once(storage: Arc<dyn Storage>) {
    stocked(&*storage).await;
    let queue: Vec<String> = storage
        .refunds_in(RefundState::Queued, None, 100)
        .await
        .expect("readable")
        .iter()
        .map(|due| due.key.to_string())
        .collect();
    assert_eq!(queue.len(), 6);
    let all: Vec<String> = (0..10).map(|number| format!("r-{number}")).collect();
    for size in 1..12 {
        assert_eq!(keys(&*storage, Some(RefundState::Queued), size).await, queue, "chunks of {size}");
        assert_eq!(keys(&*storage, Some(RefundState::Declined), size).await, Vec::<String>::new());
        assert_eq!(keys(&*storage, None, size).await, all, "chunks of {size}");
    }
}

async fn a_refund_whose_state_changes_between_two_chunks_is_met_once_among_all(storage: Arc<dyn Storage>) {
    stocked(&*storage).await;
    let (mut met, mut after) = (Vec::new(), None::<String>);
    for number in [1, 2, 4, 5, 7, 8] {
        let chunk = storage.refunds_after(None, after.as_deref(), 2).await.expect("readable");
        met.extend(chunk.iter().map(|(_, due)| due.key.to_string()));
        after = chunk.into_iter().last().map(|(place, _)| place).or(after);
        must(&*storage, begin(number, &format!("r-{number}"))).await;
    }
    assert_eq!(met, (0..10).map(|number| format!("r-{number}")).collect::<Vec<_>>());
}

async fn a_place_that_is_none_is_refused_by_name(storage: Arc<dyn Storage>) {
    let states = [None, Some(RefundState::Queued)];
    for (state, place) in
        states.into_iter().flat_map(|state| ["", "x", "a b/k", "1/2/3/4", "1//k"].map(|at| (state, at)))
    {
        let refused = storage.refunds_after(state, Some(place), 10).await;
        assert!(
            matches!(&refused, Err(StorageError::UnknownPage { after }) if after == place),
            "{place:?}: {refused:?}"
        );
    }
}

macro_rules! over_each_storage {
    ($($fact:ident)+) => {
        mod memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                super::$fact(Arc::new(Memory::new(device()))).await;
            })+
        }
        mod embedded_with_a_stalled_index {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                let directory = tempfile::tempdir().expect("a temporary directory");
                let storage = open(directory.path());
                storage.stall_index(true);
                super::$fact(Arc::new(storage)).await;
            })+
        }
        mod embedded {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                let directory = tempfile::tempdir().expect("a temporary directory");
                super::$fact(Arc::new(open(directory.path()))).await;
            })+
        }
    };
}

over_each_storage! {
    chunks_of_any_size_give_each_refund_once
    a_refund_whose_state_changes_between_two_chunks_is_met_once_among_all
    a_place_that_is_none_is_refused_by_name
}
