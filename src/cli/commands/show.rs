//! `show` and `fetch`: one order, as it is known here or as the upstream says now.

use tillbook::{Ledger, OrderRecord};

use crate::cli::exit::{Exit, Failure};
use crate::cli::parse::OrderName;
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Shows an order that is known here without owning the ledger or asking anybody; only one that is unknown is fetched.
pub(crate) async fn show(session: &Session, order: &OrderName) -> Result<Exit, Failure> {
    let local = async |ledger: &Ledger| Ok(ledger.known_order(&order.account, &order.wanted).await?);
    match session.reading_if_any(local).await?.flatten() {
        Some(record) => print(session, &record),
        None => fetch(session, order).await,
    }
}

/// Asks the upstream now, keeps what it says, and prints it.
pub(crate) async fn fetch(session: &Session, order: &OrderName) -> Result<Exit, Failure> {
    let account = std::slice::from_ref(&order.account);
    let record = session.at_desk(account, async |desk| desk.fetch(&order.account, &order.wanted).await).await?;
    print(session, &record)
}

fn print(session: &Session, record: &OrderRecord) -> Result<Exit, Failure> {
    session.output.result(&json::order(record), || table::order(record))?;
    Ok(Exit::Done)
}
