//! `events`: what happened, one JSON line per event, from the journal alone and beside whoever owns the ledger.

use std::pin::pin;
use std::time::Duration;

use tillbook::storage::embedded::Tail;
use tillbook::{OrderId, Rejection};

use crate::cli::args::EventsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Reader;
use crate::cli::parse::OrderName;
use crate::cli::session::Session;

/// How often a follower looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// Prints what there is; with `--follow` also what comes, until it is interrupted or nobody reads on.
pub(crate) async fn run(session: &Session, args: &EventsArgs) -> Result<Exit, Failure> {
    let order = match &args.order {
        Some(name) => Some(order(session, name).await?),
        None => None,
    };
    let mut tail = Tail::open(session.data(), args.after)?;
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    loop {
        while let Some(entry) = tail.read()? {
            if order.as_ref().is_some_and(|order| *order != entry.order) {
                continue;
            }
            let line = serde_json::to_string(&*entry)
                .map_err(|error| Failure::new("internal", format!("event {}: {error}", entry.sequence)))?;
            if session.output.line(&line)? == Reader::Gone {
                return Ok(Exit::Done);
            }
            if args.follow && is_over(&mut interrupted).await {
                return Ok(Exit::Done);
            }
        }
        if !args.follow || session.output.reader() == Reader::Gone {
            return Ok(Exit::Done);
        }
        if tokio::time::timeout(LOOK, &mut interrupted).await.is_ok() {
            return Ok(Exit::Done);
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
