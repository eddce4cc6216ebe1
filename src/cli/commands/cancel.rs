//! `cancel`: withdraws a refund that was not sent.

use serde_json::json;

use crate::cli::args::CancelArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::parse::RefundName;
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Withdraws it; a second time answers as it stands.
pub(crate) async fn run(session: &Session, args: CancelArgs) -> Result<Exit, Failure> {
    let RefundName { account, key } = args.refund.name()?;
    session.account(&account)?;
    // No account is connected: withdrawing what was never sent asks nobody.
    let canceled = session.at_desk(&[], async |desk| desk.cancel(&account, &key, args.by).await).await?;
    let document = json!({
        "refund": json::refund(&canceled.refund),
        "order": json::order(&canceled.order),
        "replayed": canceled.replayed,
    });
    session.output.result(&document, || table::refunded_told(&canceled.refund, &canceled.order))?;
    Ok(Exit::Done)
}
