//! `refunds`: refunds by state, those that wait first.

use serde_json::json;
use tillbook::RefundQuery;

use crate::cli::args::RefundsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Lists them, from what is known here.
pub(crate) async fn run(session: &Session, args: RefundsArgs) -> Result<Exit, Failure> {
    session.narrowed_to(args.account.as_ref())?;
    let query = RefundQuery { account: args.account, state: args.state };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX - 1);
    // One more than asked for tells whether there are more.
    let mut found = session.reading(async |ledger| Ok(ledger.refunds(&query, limit + 1).await?)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let rows: Vec<_> = found
        .iter()
        .map(|(record, refund)| {
            let mut row = json::refund(refund);
            row["account"] = record.account.as_str().into();
            row["order"] = record.id.as_str().into();
            row["references"] = json!(record.facts.references);
            row
        })
        .collect();
    session.output.result(&json!({ "refunds": rows, "more": more }), || table::refunds(&found))?;
    if more && !session.output.is_json() {
        session.output.note(format!("more than {limit}: narrow it with --state or --account, or raise --limit"));
    }
    Ok(Exit::Done)
}
