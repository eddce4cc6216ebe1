//! Every trouble at every upstream, in a process that lives through it or dies at any of its commits: the refund ends
//! succeeded, declined or in review, and the sandbox's books show it executed at most once; exactly once and known
//! wherever the upstream can prove it.

mod cell;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tillbook::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::crash::Crash;
use crate::support::life::Ground;
use crate::support::say;
use crate::support::shop::UPSTREAMS;
use cell::{Cell, End, Moment, Way};
use trouble::Trouble;

/// Cells that run side by side: many of them wait for something late.
const SIDE_BY_SIDE: usize = 16;

/// A queued refund's commits up to its outcome: hold, claim, outcome. What follows is as for one that went out at once,
/// and is died at again with `TILLBOOK_LONG=1` alone.
const BEFORE_THE_OUTCOME: u64 = 3;

/// Gives every cell an empty ledger of its own.
pub(crate) trait Grounds: Send + Sync {
    fn ground(&self) -> BoxFuture<'_, Arc<dyn Ground>>;
}

struct Directories;

impl Grounds for Directories {
    fn ground(&self) -> BoxFuture<'_, Arc<dyn Ground>> {
        Box::pin(async { Arc::new(tempfile::tempdir().expect("a directory")) as Arc<dyn Ground> })
    }
}

/// How much of the matrix is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every trouble at one upstream, in one way and with two deaths.
    Sample,
    /// All but the deaths that are much like others.
    Most,
    All,
}

/// Lives through all cells; gives those that ended well, and the words of those that did not.
async fn live(cells: Vec<Cell>, grounds: &Arc<dyn Grounds>) -> (Vec<(Cell, End)>, Vec<String>) {
    let room = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut running = JoinSet::new();
    for cell in cells {
        let (room, grounds) = (room.clone(), grounds.clone());
        running.spawn(async move {
            let _place = room.acquire_owned().await.expect("never closed");
            // A task of its own, so that a panic is a word about one cell.
            (cell, tokio::spawn(async move { cell.live(grounds.ground().await).await }).await)
        });
    }
    let (mut ended, mut failed) = (Vec::new(), Vec::new());
    while let Some(done) = running.join_next().await {
        let (cell, end) = done.expect("no panic");
        match end {
            Ok(end) => ended.push((cell, end)),
            Err(error) => failed.push(format!("{cell:?}: {}", words(error))),
        }
    }
    (ended, failed)
}

fn words(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "canceled".to_owned() };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// The deaths of a cell which lived through so many commits.
fn deaths_of(cell: &Cell, commits: u64, reach: Reach) -> Vec<Moment> {
    let is_short = cell.way == Way::Queued && reach != Reach::All;
    let commits = if is_short { commits.min(BEFORE_THE_OUTCOME) } else { commits };
    let once = (1..=commits).flat_map(|at| [Crash::Before(at), Crash::After(at)]).map(Moment::Once);
    once.chain([Moment::Always]).collect()
}

/// Goes through the matrix, with its ledgers on these grounds.
pub(crate) async fn go_through(name: &str, grounds: Arc<dyn Grounds>, reach: Reach) {
    let began = Instant::now();
    // To look at some cells alone: words that a cell's name must have, as in "Hydrogen LandsLate Queued".
    let wanted = std::env::var("TILLBOOK_CELLS").unwrap_or_default();
    let is_wanted = |cell: &Cell| wanted.split_whitespace().all(|word| format!("{cell:?}").contains(word));
    let mut cells = Vec::new();
    for upstream in UPSTREAMS {
        for trouble in Trouble::ALL.into_iter().filter(|trouble| trouble.can_happen(upstream)) {
            for way in [Way::Online, Way::Queued] {
                cells.push(Cell { upstream, trouble, way, moment: Moment::Never });
            }
        }
    }
    cells.retain(is_wanted);
    if reach == Reach::Sample {
        cells.retain(|cell| {
            let turn = Trouble::ALL.iter().position(|trouble| *trouble == cell.trouble).unwrap_or(0);
            UPSTREAMS[turn % 3] == cell.upstream && [Way::Online, Way::Queued][turn / 3 % 2] == cell.way
        });
    }
    let (mut alive, mut failed) = live(cells, &grounds).await;
    alive.sort_by_key(|(cell, _)| format!("{cell:?}"));
    let mut cells = Vec::new();
    for (turn, (cell, end)) in alive.iter().enumerate() {
        let moments = deaths_of(cell, end.commits, reach);
        match reach {
            Reach::Sample => {
                let (one, other) = (turn % moments.len(), (turn + moments.len() / 2) % moments.len());
                cells.extend([one, other].map(|at| Cell { moment: moments[at], ..*cell }));
            }
            Reach::Most | Reach::All => cells.extend(moments.into_iter().map(|moment| Cell { moment, ..*cell })),
        }
    }
    let (killed, failed_killed) = live(cells, &grounds).await;
    failed.extend(failed_killed);
    let deaths: u64 = killed.iter().map(|(_, end)| end.deaths).sum();
    let missed = killed.iter().filter(|(_, end)| end.deaths == 0).count();
    let mut states = BTreeMap::new();
    for (cell, end) in alive.iter().chain(&killed) {
        let never_sent = if end.fired { "" } else { ", never sent" };
        *states.entry(format!("{} {}{never_sent}", cell.upstream, end.state.as_str())).or_insert(0_u32) += 1;
    }
    say(&format!(
        "{name}: {} cells alive, {} cells with {deaths} deaths ({missed} of them ended before theirs), {} failed, in {:?}; \
         {states:?}",
        alive.len(),
        killed.len(),
        failed.len(),
        began.elapsed()
    ));
    assert!(!alive.is_empty() && killed.len() > missed, "nothing was tested");
    assert!(failed.is_empty(), "{} cells:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_and_whenever_the_process_dies_a_refund_ends_true_and_is_executed_at_most_once() {
    let reach = if std::env::var_os("TILLBOOK_LONG").is_some() { Reach::All } else { Reach::Most };
    go_through("matrix", Arc::new(Directories), reach).await;
}
