//! `approve`: lets a refund go out that was held for a person's word.

use serde_json::json;

use crate::cli::args::ApproveArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::parse::RefundName;
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Approves it; the next push sends it. A second time answers as it stands.
pub(crate) async fn run(session: &Session, args: ApproveArgs) -> Result<Exit, Failure> {
    let RefundName { account, key } = args.refund.name()?;
    session.account(&account)?;
    // No account is connected: approving asks nobody.
    let approved = session.at_desk(&[], async |desk| desk.approve(&account, &key, args.by).await).await?;
    let document = json!({ "refund": json::refund(&approved.refund), "order": json::order(&approved.order) });
    session.output.result(&document, || table::refunded(&approved.refund, &approved.order))?;
    Ok(Exit::Done)
}
