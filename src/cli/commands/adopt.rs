//! `adopt`: a person says that a copied or restored ledger is the one to go on with.

use serde_json::{Value, json};
use tillbook::Adopted;

use crate::cli::args::AdoptArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::{json, table};

/// Ends the quarantine and prints what went to review. Where there is none, nothing is done.
pub(crate) async fn run(session: &Session, args: &AdoptArgs) -> Result<Exit, Failure> {
    // Looked at from outside first: neither is a ledger made where none is, nor one in use waited for in vain.
    if session.reading(async |ledger| Ok(ledger.quarantined())).await?.is_none() {
        let document = json!({ "adopted": false, "reviewed": [] });
        session.output.result(&document, || "the ledger is not in quarantine: nothing was done".to_owned())?;
        return Ok(Exit::Done);
    }
    let ledger = session.builder().open(session.place().path()).await?;
    let adopted = ledger.adopt(&args.by).await;
    let closed = ledger.close().await;
    let adopted = adopted?;
    closed?;
    session.output.result(&document(&adopted), || text(&adopted))?;
    if !session.output.is_json() && !adopted.reviewed.is_empty() {
        session.output.note("a person has to settle each of these: tillbook refunds --state review");
    }
    Ok(Exit::Done)
}

fn document(adopted: &Adopted) -> Value {
    let reviewed: Vec<Value> =
        adopted.reviewed.iter().map(|(record, refund)| json::listed_refund(record, refund)).collect();
    json!({
        "adopted": adopted.quarantine.is_some(),
        "at": adopted.at.to_string(),
        "why": adopted.quarantine.as_ref().map(|quarantine| quarantine.why.as_str()),
        "reviewed": reviewed,
    })
}

fn text(adopted: &Adopted) -> String {
    match adopted.reviewed.len() {
        0 => "adopted; no refund was unfinished".to_owned(),
        count => format!("adopted; {count} refunds went to review 待核实\n{}", table::refunds(&adopted.reviewed)),
    }
}
