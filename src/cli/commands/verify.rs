//! `verify`: every order recomputed from its history, and compared.

use serde_json::Value;

use crate::cli::exit::{Exit, Failure};
use crate::cli::json;
use crate::cli::session::Session;

/// Reads everything; writes nothing.
pub(crate) async fn run(session: &Session) -> Result<Exit, Failure> {
    let report = session.reading(async |ledger| Ok(ledger.verify().await?)).await?;
    let failure = (!report.differences.is_empty()).then(|| {
        Failure::new("differences", format!("{} differences found", report.differences.len()))
            .hint("keep a copy of the ledger's directory before anything else")
    });
    let mut document = json::check_report(&report);
    if let Some(failure) = &failure {
        document.insert("error".to_owned(), failure.error_json());
    }
    session.output.result(&Value::Object(document), || {
        let counted =
            format!("{} orders, {} refunds, {} events recomputed", report.orders, report.refunds, report.events);
        let found: Vec<String> = report
            .differences
            .iter()
            .map(|difference| {
                let order = difference.order.as_ref().map_or_else(String::new, |order| format!("order {order}: "));
                let sequence = difference.sequence.map_or_else(String::new, |sequence| format!(" (event {sequence})"));
                let position = difference.position.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
                format!("{order}{}{sequence}{position}", difference.what)
            })
            .collect();
        match found.is_empty() {
            true => format!("{counted}: no difference 一致"),
            false => format!("{counted}\n{}", found.join("\n")),
        }
    })?;
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}
