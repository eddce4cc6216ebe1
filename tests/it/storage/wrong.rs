//! The suite can fail: storages that are wrong on purpose, each caught by a fact.

mod faulty;

use std::sync::Arc;

use tillbook::BoxFuture;
use tillbook::storage::Storage;
use tillbook::storage::conformance::{Bench, BenchError, Checked, FACTS, Seed, Violation, same_commands};

use self::faulty::{Fault, Faulty};

struct Wrong {
    fault: Fault,
    storage: Option<Arc<Faulty>>,
}

impl Wrong {
    fn new(fault: Fault) -> Wrong {
        Wrong { fault, storage: None }
    }
}

impl Bench for Wrong {
    fn empty(&mut self) -> BoxFuture<'_, Result<Arc<dyn Storage>, BenchError>> {
        Box::pin(async move {
            let storage = Arc::new(Faulty::new(self.fault));
            self.storage = Some(Arc::clone(&storage));
            Ok(storage as Arc<dyn Storage>)
        })
    }

    fn crash(&mut self) -> BoxFuture<'_, Result<Option<Arc<dyn Storage>>, BenchError>> {
        Box::pin(async move {
            let storage = Arc::new(self.storage.take().ok_or("no storage was made")?.crash().await?);
            self.storage = Some(Arc::clone(&storage));
            Ok(Some(storage as Arc<dyn Storage>))
        })
    }

    fn stall_index(&mut self) -> bool {
        self.storage.iter().for_each(|storage| storage.stall_index());
        self.storage.is_some()
    }

    fn catch_up(&mut self) -> BoxFuture<'_, ()> {
        self.storage.iter().for_each(|storage| storage.catch_up());
        Box::pin(async {})
    }
}

async fn checked(fault: Fault, name: &str) -> Result<Checked, Violation> {
    let fact = FACTS.iter().find(|fact| fact.name == name).unwrap_or_else(|| panic!("there is no fact {name}"));
    fact.check(&mut Wrong::new(fault)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_storage_without_a_fault_conforms() {
    for fact in FACTS {
        assert_eq!(fact.check(&mut Wrong::new(Fault::None)).await, Ok(Checked::Holds), "{}", fact.name);
    }
}

/// Each fault, the fact that catches it, and some of the words in which it is told.
const CAUGHT: &[(Fault, &str, &str)] = &[
    (Fault::ForgetsTheLastWriteAtACrash, "everything_acknowledged_is_there_after_a_crash", "the newest sequence"),
    (
        Fault::ForgetsTheLastWriteAtACrash,
        "a_command_whose_answer_a_crash_lost_is_asked_for_again_and_granted_once",
        "no order",
    ),
    (
        Fault::KeepsHalfACommandAtACrash,
        "what_was_under_way_at_a_crash_is_there_whole_or_not_at_all",
        "whose refund was under way when the storage crashed",
    ),
    (
        Fault::KeepsHalfACommandAtACrash,
        "many_commands_of_one_write_are_there_together_after_a_crash",
        "how many of 200 orders are there is 199, not 200",
    ),
    (Fault::ForgetsCursorsAtACrash, "everything_acknowledged_is_there_after_a_crash", "the state's hash"),
    (
        Fault::AnswersOkToWhatACrashCutOff,
        "what_was_under_way_at_a_crash_is_there_whole_or_not_at_all",
        "the record that was acknowledged",
    ),
    (Fault::GivesARefundKeyTwice, "one_refund_key_asked_for_by_many_orders_is_given_once", "is 32, not 1"),
    (
        Fault::GivesARefundKeyTwice,
        "a_command_whose_caller_went_away_is_asked_for_again_and_granted_once",
        "the order has a refund of that key",
    ),
    (Fault::OverlooksWhoElseBearsANumber, "one_receipt_recorded_by_many_devices_is_one_order", "is 32, not 1"),
    (Fault::DecidesOnAnOldRecord, "quarters_of_one_order_asked_by_64_are_granted_four_times", "committed of 80.00"),
    (Fault::EndsAPageOfCommandsAtARefusal, "many_commands_are_answered_in_order_each_by_itself", "the answers is"),
    (
        Fault::GoesOnAfterAPanic,
        "a_decision_that_panics_ends_no_reading_and_writes_nothing",
        "a decision that panicked was answered with Ok",
    ),
    (Fault::AnswersAfterTheClose, "a_closed_storage_says_so", "a record was answered after the close"),
    (Fault::SkipsAnEvent, "events_come_in_order_without_gaps_from_anywhere", "the sequences is"),
    (Fault::PrintsLinesAnew, "records_are_what_their_lines_say_and_end_their_chains", "folded from its lines"),
    (
        Fault::HashesNoCursors,
        "the_same_history_has_the_same_state_hash_and_another_has_not",
        "the same with another cursor",
    ),
    (
        Fault::TellsNothingNewest,
        "what_is_committed_is_seen_by_every_reader_at_once",
        "the newest sequence that is told",
    ),
    (
        Fault::GivesAShortPage,
        "pages_are_newest_first_and_hold_still_while_orders_are_written",
        "a page of 7 has 6 orders and is not the last",
    ),
    (
        Fault::CountsPagesByOffset,
        "pages_are_newest_first_and_hold_still_while_orders_are_written",
        "pages of 1 do not end",
    ),
    (Fault::LosesTheFirstOfAChunk, "chunks_of_any_size_give_each_refund_once", "in chunks of 2"),
    (Fault::TakesAnyTokenForTheBeginning, "a_page_token_of_nobody_is_refused", "was taken for a place"),
    (Fault::GivesTheQueueByName, "the_queue_is_what_is_due_oldest_first", "the queue is"),
    (Fault::GivesWhatIsNotDue, "the_queue_is_what_is_due_oldest_first", "what is due at 11"),
    (Fault::CutsLongCursors, "cursors_of_any_length_are_kept", "the cursor that was put"),
    (
        Fault::ReadsKeysFromALaggingIndex,
        "every_read_says_the_same_with_the_index_stalled_and_caught_up",
        "the order of key",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_wrong_storage_is_caught_by_the_fact_that_names_its_fault() {
    for (fault, fact, words) in CAUGHT {
        match checked(*fault, fact).await {
            Err(violation) => {
                assert_eq!(violation.fact, *fact);
                assert!(violation.what.contains(words), "{fault:?}: {violation}");
            }
            Ok(checked) => panic!("{fault:?} was not caught by {fact}: {checked:?}"),
        }
    }
}

/// What random commands can meet: what only concurrent callers or special words meet is not in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_commands_tell_a_wrong_storage_from_a_right_one_and_name_their_seed() {
    let seed = Seed(7);
    let (mut right, mut also_right) = (Wrong::new(Fault::None), Wrong::new(Fault::None));
    let compared = same_commands(&mut [&mut right, &mut also_right], seed, 300).await;
    assert!(compared.as_ref().is_ok_and(|commands| *commands > 300), "{compared:?}");
    for fault in [
        Fault::ForgetsTheLastWriteAtACrash,
        Fault::GivesARefundKeyTwice,
        Fault::OverlooksWhoElseBearsANumber,
        Fault::DecidesOnAnOldRecord,
        Fault::EndsAPageOfCommandsAtARefusal,
        Fault::SkipsAnEvent,
        Fault::GivesTheQueueByName,
        Fault::CutsLongCursors,
    ] {
        let mut wrong = Wrong::new(fault);
        let caught = same_commands(&mut [&mut right, &mut wrong], seed, 300).await;
        let violation = caught.expect_err(&format!("{fault:?} was not caught"));
        assert!(violation.what.starts_with("TILLBOOK_SEED=7 repeats it: "), "{violation}");
    }
}
