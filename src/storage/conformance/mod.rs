//! What every storage promises, as facts that can be checked on any of them: yours too.
//!
//! Write a [`Bench`] that makes your storage empty, and opens it again after a crash; [`check_all`] does the rest,
//! inside any test harness that runs a tokio runtime (of several threads, so that callers meet). Nothing here
//! panics or prints: what a storage does otherwise is a [`Violation`] with the fact's name and the values.
//!
//! | file | the facts in it |
//! | --- | --- |
//! | `reading` | what was written is read back, whatever its size |
//! | `writing` | a command is written whole or not at all |
//! | `unique` | refund keys and numbers among those who ask at once |
//! | `history` | events in order, without gaps, chained; the state's hash |
//! | `paging`, `queue` | pages while others write; the queue, and every other state |
//! | `crash`, `ambiguous` | after a crash; after a lost answer |
//! | `index` | reads while an index lags |
//! | `random`, `steps` | the same random commands on several storages |
//!
//! What must never be here: a rule of its own. Commands come from the shop, which asks the ledger's rules.
//! Start reading at [`Bench`], then [`FACTS`].
//!
//! # Examples
//! A storage that keeps nothing, held against all facts:
//! ```
//! use std::sync::Arc;
//! use tillbook::BoxFuture;
//! use tillbook::storage::Storage;
//! use tillbook::storage::conformance::{self, Bench, BenchError};
//! use tillbook::storage::memory::Memory; // yours
//!
//! struct Mine;
//!
//! impl Bench for Mine {
//!     fn empty(&mut self) -> BoxFuture<'_, Result<Arc<dyn Storage>, BenchError>> {
//!         Box::pin(async { Ok(Arc::new(Memory::new(conformance::device())) as Arc<dyn Storage>) })
//!     }
//!
//!     // A storage on disk opens again what the one before left there.
//!     fn crash(&mut self) -> BoxFuture<'_, Result<Option<Arc<dyn Storage>>, BenchError>> {
//!         Box::pin(async { Ok(None) })
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), conformance::Violation> {
//! let report = conformance::check_all(&mut Mine).await?;
//! assert_eq!(report.held.len() + report.left_out.len(), conformance::FACTS.len());
//! let (fact, why) = report.left_out[0];
//! assert_eq!(fact, "everything_acknowledged_is_there_after_a_crash");
//! assert_eq!(why, "this storage keeps nothing");
//! # Ok(())
//! # }
//! ```

mod ambiguous;
mod crash;
mod fact;
mod history;
mod index;
mod paging;
mod queue;
mod random;
mod reading;
pub mod shop;
mod sight;
mod steps;
mod unique;
mod writing;

use std::sync::Arc;

use super::Storage;
use crate::BoxFuture;

pub use fact::{Checked, Fact, Violation};
pub use random::{Seed, same_commands};
pub use shop::device;

use fact::Stop;

/// Why a bench could not make or open a storage.
pub type BenchError = Box<dyn std::error::Error + Send + Sync>;

/// Where storages come from while facts are checked.
pub trait Bench: Send {
    /// Makes an empty storage whose entries bear [`device`]. The one before is done with.
    fn empty(&mut self) -> BoxFuture<'_, Result<Arc<dyn Storage>, BenchError>>;

    /// Ends the newest storage as a killed process or a power cut would, with calls still waiting in it, and opens
    /// what it left behind. A call that waits may be answered with anything, but with `Ok` only if it is kept.
    /// `None`: this storage keeps nothing, and goes on.
    fn crash(&mut self) -> BoxFuture<'_, Result<Option<Arc<dyn Storage>>, BenchError>>;

    /// Lets whatever the newest storage reads from (an index, a replica) fall behind what it writes, until
    /// [`Bench::catch_up`]; answers whether it has such a thing.
    fn stall_index(&mut self) -> bool {
        false
    }

    /// Lets it catch up, and waits until it has.
    fn catch_up(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl dyn Bench + '_ {
    async fn start(&mut self) -> Result<Arc<dyn Storage>, Stop> {
        self.empty().await.map_err(no_bench)
    }

    async fn restart(&mut self) -> Result<Arc<dyn Storage>, Stop> {
        self.crash().await.map_err(no_bench)?.ok_or(Stop::LeftOut("this storage keeps nothing"))
    }
}

fn no_bench(error: BenchError) -> Stop {
    Stop::wrong(format!("the bench could not make or open the storage: {error}"))
}

/// What a check of all facts told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The facts that hold, by name.
    pub held: Vec<&'static str>,
    /// Those that this storage could not be asked, and why.
    pub left_out: Vec<(&'static str, &'static str)>,
}

/// Checks all [`FACTS`], in their order.
///
/// # Errors
/// The first that does not hold. Check them one by one ([`Fact::check`]) to hear of all.
pub async fn check_all(bench: &mut dyn Bench) -> Result<Report, Violation> {
    let mut report = Report::default();
    for fact in FACTS {
        match fact.check(bench).await? {
            Checked::Holds => report.held.push(fact.name),
            Checked::LeftOut(why) => report.left_out.push((fact.name, why)),
        }
    }
    Ok(report)
}

macro_rules! facts {
    ($($room:ident: $($fact:ident)+;)+) => {
        &[$($(Fact { name: stringify!($fact), check: |bench| Box::pin($room::$fact(bench)) }),+),+]
    };
}

/// What every storage promises, simple things first.
pub static FACTS: &[Fact] = facts! {
    reading:
        what_is_written_is_read_back_by_every_name
        facts_that_change_nothing_write_nothing
        what_is_committed_is_seen_by_every_reader_at_once
        cursors_of_any_length_are_kept
        records_of_any_size_are_kept;
    writing:
        a_refused_command_writes_nothing
        a_command_of_many_events_is_written_whole_or_not_at_all
        many_commands_are_answered_in_order_each_by_itself
        quarters_of_one_order_asked_by_64_are_granted_four_times
        a_decision_that_panics_ends_no_reading_and_writes_nothing
        a_closed_storage_says_so;
    unique:
        one_refund_key_asked_for_by_many_orders_is_given_once
        one_refund_key_is_given_once_among_the_commands_of_one_write
        a_refund_asked_for_again_by_many_is_held_once
        an_order_sees_who_else_bears_its_numbers
        one_receipt_recorded_by_many_devices_is_one_order;
    history:
        events_come_in_order_without_gaps_from_anywhere
        versions_of_an_order_grow_by_one_and_its_events_are_its_own
        records_are_what_their_lines_say_and_end_their_chains
        writers_of_many_orders_leave_one_history_without_gaps
        the_same_history_has_the_same_state_hash_and_another_has_not;
    paging:
        pages_are_newest_first_and_hold_still_while_orders_are_written
        a_page_holds_only_what_was_asked_for_and_is_never_short
        chunks_of_any_size_give_each_refund_once
        a_refund_whose_state_changes_between_two_chunks_is_met_once_among_all
        a_page_token_of_nobody_is_refused;
    queue:
        the_queue_is_what_is_due_oldest_first
        a_refund_is_found_in_the_state_it_is_in;
    crash:
        everything_acknowledged_is_there_after_a_crash
        what_was_under_way_at_a_crash_is_there_whole_or_not_at_all
        many_commands_of_one_write_are_there_together_after_a_crash;
    ambiguous:
        a_command_whose_caller_went_away_is_asked_for_again_and_granted_once
        a_command_whose_answer_a_crash_lost_is_asked_for_again_and_granted_once;
    index:
        every_read_says_the_same_with_the_index_stalled_and_caught_up;
    random:
        random_commands_are_answered_as_memory_answers_them;
};
