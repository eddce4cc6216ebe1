//! The same random commands on several storages: each answers alike, and all end alike.

use std::fmt;
use std::sync::Arc;

use super::fact::{Stop, Violation, hold_true};
use super::shop::device;
use super::sight::{Sight, difference};
use super::steps::Shop;
use super::{Bench, fact::same};
use crate::storage::Storage;
use crate::storage::memory::Memory;

/// What random commands are made from: the same seed makes the same commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The one in `TILLBOOK_SEED`, else a new one.
    #[must_use]
    pub fn of_this_run() -> Seed {
        let given = std::env::var("TILLBOOK_SEED").ok().and_then(|seed| seed.parse().ok());
        // Short enough to be typed.
        Seed(given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 % 1_000_000_000))
    }

    /// Another one, made from this.
    #[must_use]
    pub fn next(self) -> Seed {
        Seed(Random::new(self).next() % 1_000_000_000)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TILLBOOK_SEED={} repeats it", self.0)
    }
}

/// Numbers that look random (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: Seed) -> Random {
        Random(seed.0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero, below `limit`, which is not zero.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap_or(0)].clone()
    }
}

/// The name under which [`same_commands`] reports.
const NAME: &str = "the_same_commands_leave_the_same_history";

/// Runs the same random commands on a storage of each bench, comparing each answer, and at the end every read and
/// the state's hash. In between, those that can crash do, and indexes stall and catch up. Answers with how many
/// commands were compared.
///
/// # Errors
/// The first difference, with the seed that repeats it.
pub async fn same_commands(benches: &mut [&mut dyn Bench], seed: Seed, steps: usize) -> Result<usize, Violation> {
    run(benches, seed, steps).await.map_err(|stop| match stop.at(seed) {
        Stop::Wrong(what) => Violation { fact: NAME, what },
        Stop::LeftOut(why) => Violation { fact: NAME, what: why.to_owned() },
    })
}

async fn run(benches: &mut [&mut dyn Bench], seed: Seed, steps: usize) -> Result<usize, Stop> {
    let mut storages: Vec<Arc<dyn Storage>> = Vec::new();
    for bench in benches.iter_mut() {
        storages.push(bench.start().await?);
    }
    let (mut shop, mut trouble, mut commands) = (Shop::new(seed), Random::new(seed.next()), 0);
    for number in 1..=steps {
        let step = shop.next_step();
        let mut answers = Vec::new();
        for storage in &storages {
            answers.push(step.run(&**storage).await.map_err(|stop| stop.at(format!("step {number}, {step:?}")))?);
        }
        for (other, answer) in answers.iter().enumerate().skip(1) {
            hold_true(*answer == answers[0], || {
                let words = difference(&answers[0], answer);
                format!("storages 0 and {other} differ at step {number}, {step:?}: {words}")
            })?;
        }
        commands += step.commands();
        disturb(benches, &mut storages, &mut trouble).await.map_err(|stop| stop.at(format!("after step {number}")))?;
    }
    let first = Sight::of(&*storages[0]).await?;
    for (other, storage) in storages.iter().enumerate().skip(1) {
        let place = |stop: Stop| stop.at(format!("storages 0 and {other} differ after {steps} steps"));
        first.compare(&Sight::of(&**storage).await?).map_err(place)?;
        same("the state's hash", &storage.state_hash().await?, &storages[0].state_hash().await?).map_err(place)?;
    }
    Ok(commands)
}

/// Now and then a storage crashes, or its index stalls or catches up.
async fn disturb(
    benches: &mut [&mut dyn Bench],
    storages: &mut [Arc<dyn Storage>],
    trouble: &mut Random,
) -> Result<(), Stop> {
    for (bench, storage) in benches.iter_mut().zip(storages) {
        match trouble.below(60) {
            0 => {
                if let Some(reopened) = bench.crash().await.map_err(super::no_bench)? {
                    *storage = reopened;
                }
            }
            1 | 2 => drop(bench.stall_index()),
            3 | 4 => bench.catch_up().await,
            _ => {}
        }
    }
    Ok(())
}

pub(super) async fn random_commands_are_answered_as_memory_answers_them(bench: &mut dyn Bench) -> Result<(), Stop> {
    let seed = Seed::of_this_run();
    run(&mut [&mut Reference, bench], seed, 300).await.map(drop).map_err(|stop| stop.at(seed))
}

/// What every storage is compared with.
struct Reference;

impl Bench for Reference {
    fn empty(&mut self) -> crate::BoxFuture<'_, Result<Arc<dyn Storage>, super::BenchError>> {
        Box::pin(async { Ok(Arc::new(Memory::new(device())) as Arc<dyn Storage>) })
    }

    fn crash(&mut self) -> crate::BoxFuture<'_, Result<Option<Arc<dyn Storage>>, super::BenchError>> {
        Box::pin(async { Ok(None) })
    }
}
