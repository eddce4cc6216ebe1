//! `record`: an order that was paid while offline.

use tillbook::RecordOrder;

use crate::cli::args::RecordArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Keeps it, provisional until the upstream confirms one of its numbers.
pub(crate) async fn run(session: &Session, args: RecordArgs) -> Result<Exit, Failure> {
    let order = RecordOrder {
        account: args.account.clone(),
        references: args.references,
        paid: args.paid,
        paid_at: args.paid_at,
        by: args.by,
    };
    let account = std::slice::from_ref(&args.account);
    let record = session.at_desk(account, async |desk| desk.record_order(order).await).await?;
    session.output.result(&json::order(&record), || table::order(&record))?;
    Ok(Exit::Done)
}
