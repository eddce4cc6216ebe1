//! `show --body` and `forget`: an upstream's answer as it came, read and erased. It carries the payer's data, so it is
//! printed only where it was asked for by name.

use serde_json::json;
use tillbook::{Forgotten, Ledger, OrderId, Rejection};

use crate::cli::exit::{Exit, Failure};
use crate::cli::parse::OrderName;
use crate::cli::session::Session;

/// What erasing cannot reach.
const REMAINS: [&str; 2] = [
    "pages of the index that are no longer in use, until `tillbook compact`",
    "backups and other copies of the ledger's directory",
];

/// Prints the body that is kept, byte by byte.
pub(crate) async fn show_body(session: &Session, order: &OrderName) -> Result<Exit, Failure> {
    let id = known(session, order).await?;
    let body = session.at_desk(&[], async |desk| desk.body(&order.account, &order.wanted).await).await?;
    let body = body.ok_or_else(|| {
        let failure = Failure::new("no_body", format!("no body of order {id} is kept"));
        failure.hint("with `keep_bodies = true` in its account, `tillbook fetch` keeps the next answer about it")
    })?;
    if session.output.is_json() {
        let text = String::from_utf8_lossy(body.expose());
        session.output.document(&json!({ "order": id.as_str(), "bytes": body.size_bytes(), "body": text }))?;
    } else {
        session.output.bytes(body.expose())?;
    }
    Ok(Exit::Done)
}

/// Erases it, and says what is beyond its reach.
pub(crate) async fn run(session: &Session, order: &OrderName) -> Result<Exit, Failure> {
    known(session, order).await?;
    let forgotten = session.at_desk(&[], async |desk| desk.forget(&order.account, &order.wanted).await).await?;
    let Forgotten { order, bytes } = forgotten;
    let document = json!({ "order": order.as_str(), "erased": bytes.is_some(), "bytes": bytes, "remains": REMAINS });
    session.output.result(&document, || match bytes {
        Some(bytes) => format!("erased 已删除: the body of order {order}, {bytes} bytes"),
        None => format!("no body of order {order} is kept: nothing was erased"),
    })?;
    if !session.output.is_json() {
        session.output.note(format!("not erased by this: {}; {}", REMAINS[0], REMAINS[1]));
    }
    Ok(Exit::Done)
}

/// Looked at from outside first: neither is a ledger made where none is, nor a till waited for in vain.
async fn known(session: &Session, order: &OrderName) -> Result<OrderId, Failure> {
    let look = async |ledger: &Ledger| Ok(ledger.known_order(&order.account, &order.wanted).await?);
    match session.reading(look).await? {
        Some(record) => Ok(record.id.clone()),
        None => {
            let (account, wanted) = (order.account.clone(), order.wanted.to_string());
            Err(tillbook::Error::from(Rejection::UnknownOrder { account, wanted }).into())
        }
    }
}
