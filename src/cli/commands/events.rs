//! `events`: what happened, one JSON line per event, from the journal alone and beside whoever owns the ledger.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tillbook::domain::Entry;
use tillbook::storage::embedded::Tail;
use tillbook::{OrderId, Rejection};

use crate::cli::args::EventsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Output, Reader};
use crate::cli::parse::OrderName;
use crate::cli::place::Place;
use crate::cli::session::Session;

/// How often a follower looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// How many are asked for at once, where a server tells them.
const RUN: usize = 500;

/// Prints what there is; with `--follow` also what comes, until it is interrupted or nobody reads on.
pub(crate) async fn run(session: &Session, args: &EventsArgs) -> Result<Exit, Failure> {
    let order = match &args.order {
        Some(name) => Some(order(session, name).await?),
        None => None,
    };
    let printing = Printing { output: session.output, order, follow: args.follow };
    match session.place() {
        Place::Directory(directory) => {
            let mut tail = Tail::open(directory, args.after)?;
            printing.all_of(async || Ok(tail.read()?)).await
        }
        Place::Server(_) => {
            session
                .reading(async |ledger| {
                    let (mut after, mut ahead) = (args.after, VecDeque::new());
                    let next = async || {
                        if ahead.is_empty() {
                            ahead.extend(ledger.events(after, RUN).await?);
                        }
                        let entry: Option<Arc<Entry>> = ahead.pop_front();
                        after = entry.as_ref().map_or(after, |entry| entry.sequence);
                        Ok(entry)
                    };
                    printing.all_of(next).await
                })
                .await
        }
    }
}

/// How entries are printed.
struct Printing {
    output: Output,
    /// Of this order only.
    order: Option<OrderId>,
    follow: bool,
}

impl Printing {
    /// Prints what `next` tells, until it tells nothing or, following, until the end.
    async fn all_of(
        &self,
        mut next: impl AsyncFnMut() -> Result<Option<Arc<Entry>>, Failure>,
    ) -> Result<Exit, Failure> {
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        loop {
            while let Some(entry) = next().await? {
                if self.order.as_ref().is_some_and(|order| *order != entry.order) {
                    continue;
                }
                let line = serde_json::to_string(&*entry)
                    .map_err(|error| Failure::new("internal", format!("event {}: {error}", entry.sequence)))?;
                if self.output.line(&line)? == Reader::Gone {
                    return Ok(Exit::Done);
                }
                if self.follow && is_over(&mut interrupted).await {
                    return Ok(Exit::Done);
                }
            }
            if !self.follow || self.output.reader() == Reader::Gone {
                return Ok(Exit::Done);
            }
            if tokio::time::timeout(LOOK, &mut interrupted).await.is_ok() {
                return Ok(Exit::Done);
            }
        }
    }
}

/// Whether it has come to pass, without waiting.
async fn is_over(future: &mut (impl Future + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => true,
        () = std::future::ready(()) => false,
    }
}

/// The order that is meant.
async fn order(session: &Session, name: &OrderName) -> Result<OrderId, Failure> {
    session.narrowed_to(Some(&name.account))?;
    let known = session.reading(async |ledger| Ok(ledger.known_order(&name.account, &name.wanted).await?)).await?;
    let unknown = || Rejection::UnknownOrder { account: name.account.clone(), wanted: name.wanted.to_string() };
    Ok(known.ok_or_else(|| tillbook::Error::from(unknown()))?.id.clone())
}
