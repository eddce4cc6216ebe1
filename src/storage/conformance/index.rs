//! Reads do not depend on how far an index has come.

use super::Bench;
use super::fact::{Stop, hold_true};
use super::random::Seed;
use super::sight::Sight;
use super::steps::{Shop, Step};

pub(super) async fn every_read_says_the_same_with_the_index_stalled_and_caught_up(
    bench: &mut dyn Bench,
) -> Result<(), Stop> {
    let seed = Seed::of_this_run();
    let said = |stop: Stop| stop.at(seed);
    let storage = bench.start().await?;
    let mut shop = Shop::new(seed);
    if !bench.stall_index() {
        return Err(Stop::LeftOut("there is no index to stall"));
    }
    // At first nothing is indexed; later a part is, and the newest is not.
    for round in 0..3 {
        for _ in 0..80 {
            let step: Step = shop.next_step();
            step.run(&*storage).await.map_err(said)?;
        }
        let stalled = Sight::of(&*storage).await.map_err(said)?;
        bench.catch_up().await;
        let caught_up = Sight::of(&*storage).await.map_err(said)?;
        let place = |stop: Stop| said(stop.at(format!("round {round}, caught up against stalled")));
        caught_up.compare(&stalled).map_err(place)?;
        hold_true(bench.stall_index(), || "the index could be stalled once only".to_owned())?;
    }
    Ok(())
}
