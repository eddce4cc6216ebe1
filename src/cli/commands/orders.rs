//! `orders`: known orders, newest first, page by page.

use std::time::Duration;

use serde_json::json;
use tillbook::{OrderQuery, Page, RefundStatus};

use crate::cli::args::{OrdersArgs, RefundStatusWord};
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Upstreams tell when an order was paid to the second.
const SECOND: Duration = Duration::from_secs(1);

/// Lists them, from what is known here.
pub(crate) async fn run(session: &Session, args: OrdersArgs) -> Result<Exit, Failure> {
    session.narrowed_to(args.account.as_ref())?;
    let query = OrderQuery {
        account: args.account,
        status: args.status,
        refund_status: args.refund_status.map(|word| match word {
            RefundStatusWord::None => RefundStatus::None,
            RefundStatusWord::Partial => RefundStatus::Partial,
            RefundStatusWord::Complete => RefundStatus::Complete,
        }),
        payment_method: args.payment_method.map(Into::into),
        from: args.paid_from.or(args.around.map(|at| at.saturating_sub(args.within))),
        // The query's end is not included, a remembered minute is.
        to: args.paid_to.or(args.around.map(|at| at.saturating_add(args.within).saturating_add(SECOND))),
        amount: args.amount,
    };
    let page = Page { limit: usize::try_from(args.limit).unwrap_or(usize::MAX), after: args.page };
    let found = session.reading(async |ledger| Ok(ledger.orders(&query, &page).await?)).await?;
    let document = json!({
        "orders": found.orders.iter().map(|record| json::order(record)).collect::<Vec<_>>(),
        "next": found.next,
    });
    session.output.result(&document, || table::orders(&found.orders))?;
    match &found.next {
        Some(next) if !session.output.is_json() => session.output.note(format!("more: --page '{next}'")),
        _ => {}
    }
    Ok(Exit::Done)
}
