//! `resolve`: the evidence about a refund that only a person can settle, and that person's verdict.

use serde_json::json;
use tillbook::{Refunded, Ruling};

use crate::cli::args::{Given, ResolveArgs};
use crate::cli::evidence::Evidence;
use crate::cli::exit::{Exit, Failure};
use crate::cli::parse::RefundName;
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Records the verdict that is given; else shows what it would be judged by.
pub(crate) async fn run(session: &Session, args: ResolveArgs) -> Result<Exit, Failure> {
    let name = args.refund.name()?;
    session.account(&name.account)?;
    match args.given() {
        None => show(session, name).await,
        Some(given) => judge(session, name, given).await,
    }
}

/// Beside whoever owns the ledger: nothing is asked or written.
async fn show(session: &Session, name: RefundName) -> Result<Exit, Failure> {
    let program = session.program();
    let evidence = session
        .reading(async |ledger| {
            let Refunded { refund, order, .. } = ledger.known_refund(&name.account, &name.key).await?;
            let events = ledger.events_of(&order.id).await?;
            Ok(Evidence { name, refund, order, events, program })
        })
        .await?;
    session.output.result(&evidence.json(), || evidence.text())?;
    Ok(Exit::Done)
}

async fn judge(session: &Session, name: RefundName, given: Given) -> Result<Exit, Failure> {
    let RefundName { account, key } = name;
    let Given { verdict, by, note, seen } = given;
    let accounts = [account.clone()];
    let ruling = Ruling { account, key, verdict, by, note, version: seen };
    let judged = session.at_desk(&accounts, async |desk| desk.resolve(ruling).await).await;
    let Refunded { refund, order, .. } = judged.map_err(|failure| match failure.kind() {
        "record_moved" => failure.hint("look at it again: tillbook resolve with the refund alone"),
        _ => failure,
    })?;
    let document = json!({ "refund": json::refund(&refund), "order": json::order(&order), "verdict": verdict });
    session.output.result(&document, || table::refunded_told(&refund, &order))?;
    Ok(Exit::Done)
}
