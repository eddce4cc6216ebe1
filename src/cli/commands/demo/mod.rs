//! `demo`: the whole way on a real wire, judged by the sandbox's own books. Nothing in it is canned: each figure is
//! read from the ledger or from the sandbox when it is printed.
//!
//! Start reading at [`run`]; the acts are in `acts.rs`, in the order in which they are played.

mod acts;
mod stage;
mod till;

use std::path::Path;

pub(crate) use till::run as run_till;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use stage::Stage;

/// Plays all acts in a fresh ledger under `data`, or in a temporary directory.
///
/// # Errors
/// `promise_broken` when one does not hold; whatever kept an act from being played.
pub(crate) async fn run(output: Output, data: Option<&Path>) -> Result<Exit, Failure> {
    tokio::select! {
        played = play(output, data) => played,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted", "interrupted")),
    }
}

async fn play(output: Output, data: Option<&Path>) -> Result<Exit, Failure> {
    let mut stage = Stage::set(output, data).await?;
    acts::sync_orders(&mut stage).await?;
    acts::refund_in_parts(&mut stage).await?;
    acts::one_fen_too_much(&mut stage).await?;
    acts::a_hundred_at_once(&mut stage).await?;
    acts::a_lost_answer(&mut stage).await?;
    acts::network_away(&mut stage).await?;
    acts::close_the_books(&mut stage).await?;
    stage.end().await
}
