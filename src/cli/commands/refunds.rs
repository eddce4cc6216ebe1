//! `refunds`: refunds by state, those that wait first, and what they add up to: a shift's hand-over (交接班).

use serde_json::json;
use tillbook::{Page, RefundQuery};

use crate::cli::args::RefundsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Lists them, from what is known here. The totals are over all that match, also where the list is cut.
pub(crate) async fn run(session: &Session, args: RefundsArgs) -> Result<Exit, Failure> {
    session.narrowed_to(args.account.as_ref())?;
    let query = RefundQuery { account: args.account, state: args.state, from: args.from, to: args.to, by: args.by };
    let page = Page { limit: usize::try_from(args.limit).unwrap_or(usize::MAX), after: args.page };
    let (found, totals) = session
        .reading(async |ledger| Ok((ledger.refunds(&query, &page).await?, ledger.refund_totals(&query).await?)))
        .await?;
    let rows: Vec<_> = found.refunds.iter().map(|(record, refund)| json::listed_refund(record, refund)).collect();
    let document = json!({
        "refunds": rows,
        "totals": json::refund_totals(&totals),
        "more": found.next.is_some(),
        "next": found.next,
    });
    session.output.result(&document, || {
        let list = table::refunds(&found.refunds);
        if totals.is_empty() { list } else { format!("{list}\n\n{}", table::refund_totals(&totals)) }
    })?;
    match &found.next {
        Some(next) if !session.output.is_json() => session.output.note(format!("more: --page '{next}'")),
        _ => {}
    }
    Ok(Exit::Done)
}
