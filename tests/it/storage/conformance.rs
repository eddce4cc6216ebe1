//! The conformance suite over every storage of this crate, and the same random commands over all of them.

use std::io::Write as _;
use std::sync::Arc;

use tempfile::TempDir;
use tillbook::storage::conformance::{self, Bench, BenchError, Checked, FACTS, Seed};
use tillbook::storage::embedded::{Embedded, Profile};
use tillbook::storage::memory::Memory;
use tillbook::storage::{OrderQuery, Page, Storage, StorageError};
use tillbook::{BoxFuture, RefundState};

use super::fixture::{device, options};

/// Makes storages in memory.
struct InMemory;

impl Bench for InMemory {
    fn empty(&mut self) -> BoxFuture<'_, Result<Arc<dyn Storage>, BenchError>> {
        Box::pin(async { Ok(Arc::new(Memory::new(device())) as Arc<dyn Storage>) })
    }

    fn crash(&mut self) -> BoxFuture<'_, Result<Option<Arc<dyn Storage>>, BenchError>> {
        Box::pin(async { Ok(None) })
    }
}

/// What is special about an embedded ledger when it is made or opened again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Its index takes nothing in until it is told to catch up.
    Stalled,
    /// It was closed and opened before it is used.
    Reopened,
}

/// Makes embedded ledgers, each in a directory of its own.
struct OnDisk {
    kind: Kind,
    directory: Option<TempDir>,
    ledger: Option<Arc<Embedded>>,
}

impl OnDisk {
    fn new(kind: Kind) -> OnDisk {
        OnDisk { kind, directory: None, ledger: None }
    }

    fn open(&mut self) -> Result<Arc<Embedded>, BenchError> {
        let directory = self.directory.as_ref().ok_or("no directory was made")?;
        let mut options = options();
        if self.kind == Kind::Stalled {
            options.profile = Profile::Server; // all that waits for its index fits in memory
        }
        let ledger = Arc::new(Embedded::open(directory.path(), &options)?);
        ledger.stall_index(self.kind == Kind::Stalled);
        self.ledger = Some(Arc::clone(&ledger));
        Ok(ledger)
    }
}

impl Bench for OnDisk {
    fn empty(&mut self) -> BoxFuture<'_, Result<Arc<dyn Storage>, BenchError>> {
        Box::pin(async move {
            self.directory = Some(tempfile::tempdir()?);
            let ledger = self.open()?;
            if self.kind == Kind::Reopened {
                ledger.close().await?;
                return Ok(self.open()? as Arc<dyn Storage>);
            }
            Ok(ledger as Arc<dyn Storage>)
        })
    }

    fn crash(&mut self) -> BoxFuture<'_, Result<Option<Arc<dyn Storage>>, BenchError>> {
        Box::pin(async move {
            self.ledger.take().ok_or("no ledger was made")?.abandon().await?;
            Ok(Some(self.open()? as Arc<dyn Storage>))
        })
    }

    fn stall_index(&mut self) -> bool {
        self.ledger.iter().for_each(|ledger| ledger.stall_index(true));
        self.ledger.is_some()
    }

    fn catch_up(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(ledger) = self.ledger.clone() else { return };
            ledger.stall_index(false);
            let waited = tokio::task::spawn_blocking(move || ledger.wait_for_index()).await;
            waited.expect("nothing panics while the index catches up");
        })
    }
}

/// Checks every fact, and gives those that were left out.
async fn left_out(bench: &mut dyn Bench) -> Vec<&'static str> {
    let (mut left_out, mut violations) = (Vec::new(), Vec::new());
    for fact in FACTS {
        match fact.check(bench).await {
            Ok(Checked::Holds) => {}
            Ok(Checked::LeftOut(_)) => left_out.push(fact.name),
            Err(violation) => violations.push(violation.to_string()),
        }
    }
    assert_eq!(violations, Vec::<String>::new());
    left_out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_conforms() {
    let cannot_crash = [
        "everything_acknowledged_is_there_after_a_crash",
        "what_was_under_way_at_a_crash_is_there_whole_or_not_at_all",
        "many_commands_of_one_write_are_there_together_after_a_crash",
        "a_command_whose_answer_a_crash_lost_is_asked_for_again_and_granted_once",
        "every_read_says_the_same_with_the_index_stalled_and_caught_up",
    ];
    assert_eq!(left_out(&mut InMemory).await, cannot_crash);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_conforms() {
    assert_eq!(left_out(&mut OnDisk::new(Kind::Plain)).await, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_with_a_stalled_index_conforms() {
    assert_eq!(left_out(&mut OnDisk::new(Kind::Stalled)).await, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_in_a_directory_opened_again_conforms() {
    assert_eq!(left_out(&mut OnDisk::new(Kind::Reopened)).await, Vec::<&str>::new());
}

/// The facts know no storage's own tokens; these are shaped like ours, and all storages here share the code.
#[tokio::test]
async fn a_token_of_our_own_shape_that_names_no_place_is_refused() {
    let storage = Memory::new(device());
    let refused = |token: &str, error: Option<StorageError>| match error {
        Some(StorageError::UnknownPage { after }) => assert_eq!(after, token),
        other => panic!("{token:?}: {other:?}"),
    };
    for token in ["1", "1/", "x/fubei:1:2"] {
        let page = Page { limit: 1, after: Some(token.to_owned()) };
        refused(token, storage.scan(&OrderQuery::default(), &page).await.err());
    }
    for token in ["1/2/3/4", "1//k"] {
        for state in [None, Some(RefundState::Queued)] {
            refused(token, storage.refunds_after(state, Some(token), 10).await.err());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_random_commands_leave_the_same_history_on_every_storage() {
    let long = std::env::var_os("TILLBOOK_LONG").is_some();
    let (runs, began) = (if long { 200 } else { 3 }, std::time::Instant::now());
    let (mut seed, mut commands) = (Seed::of_this_run(), 0);
    let mut told = std::io::stderr();
    for _ in 0..runs {
        writeln!(told, "TILLBOOK_SEED={}", seed.0).expect("stderr is open");
        let (mut plain, mut stalled) = (OnDisk::new(Kind::Plain), OnDisk::new(Kind::Stalled));
        let mut reopened = OnDisk::new(Kind::Reopened);
        let benches: &mut [&mut dyn Bench] = &mut [&mut InMemory, &mut plain, &mut stalled, &mut reopened];
        match conformance::same_commands(benches, seed, 400).await {
            Ok(compared) => commands += compared,
            Err(violation) => panic!("{violation}"),
        }
        seed = seed.next();
    }
    writeln!(told, "{commands} commands on 4 storages each in {:?}", began.elapsed()).expect("stderr is open");
    assert!(commands > runs * 300, "{commands} commands are too few to compare");
}
