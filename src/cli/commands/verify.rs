//! `verify`: every order recomputed from its history, and compared with what is kept and with what was noted.

use std::path::Path;

use serde_json::Value;
use tillbook::Ledger;
use tillbook::storage::{CheckReport, Difference, Noted, embedded};

use crate::cli::args::VerifyArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::json;
use crate::cli::place::Place;
use crate::cli::session::Session;

/// Reads everything, past damage too, beside whoever owns the ledger; changes nothing in it.
pub(crate) async fn run(session: &Session, args: &VerifyArgs) -> Result<Exit, Failure> {
    let noted = args.against.as_deref().map(noted).transpose()?;
    let report = match session.place() {
        Place::Directory(directory) => {
            let checked = tokio::task::spawn_blocking(move || embedded::verify(directory, noted.as_ref())).await;
            checked.map_err(|error| Failure::of("internal", &error))??
        }
        Place::Server(_) => {
            let check = async |ledger: &Ledger| match noted {
                Some(noted) => Ok(ledger.verify_against(noted).await?),
                None => Ok(ledger.verify().await?),
            };
            session.reading(check).await?
        }
    };
    let failure = (!report.differences.is_empty()).then(|| {
        Failure::new("differences", format!("{} differences found", report.differences.len()))
            .hint("keep a copy of the ledger's directory before anything else")
    });
    let mut document = json::check_report(&report);
    if args.heads {
        let noted = serde_json::to_value(Noted::from(&report)).map_err(|error| Failure::of("internal", &error))?;
        document.insert("heads".to_owned(), noted["heads"].clone());
    }
    if let Some(failure) = &failure {
        document.insert("error".to_owned(), failure.error_json());
    }
    session.output.result(&Value::Object(document), || text(&report, args))?;
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}

/// What was printed by an earlier `verify --heads --json`.
fn noted(file: &Path) -> Result<Noted, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::new("io", format!("{}: {error}", file.display())))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new("malformed", format!("{} holds no noted heads: {error}", file.display()))
            .hint("tillbook verify --heads --json > FILE notes them")
    })
}

/// More orders than this are not listed for people.
const MANY: usize = 20;

fn text(report: &CheckReport, args: &VerifyArgs) -> String {
    let counted = format!("{} orders, {} refunds, {} events recomputed", report.orders, report.refunds, report.events);
    let mut lines = vec![match report.differences.len() {
        0 => format!("{counted}: no difference 一致"),
        1 => format!("{counted}: 1 difference 不一致"),
        count => format!("{counted}: {count} differences 不一致"),
    }];
    if !report.differences.is_empty() {
        lines.push(format!("good       up to event {}", report.good_through));
    }
    if let Some(journal) = &report.journal {
        lines.push(format!("journal    frame {} {}", journal.frame, journal.hash));
        lines.push(format!("ledger     {}", journal.ledger));
    }
    if let Some(state) = report.state {
        lines.push(format!("state      {state}"));
    }
    if args.heads {
        let head = |(order, head): (&_, &tillbook::storage::Head)| {
            format!("head       {} {} {order}", head.hash, head.version)
        };
        lines.extend(report.heads.iter().map(head));
    }
    lines.extend(report.differences.iter().map(difference));
    lines.extend(report.doubtful.iter().take(MANY).map(|order| {
        format!(
            "doubtful   order {order}: its last known event comes before the damage, and one of the lost may be its"
        )
    }));
    if report.doubtful.len() > MANY {
        lines.push(format!("doubtful   and {} more orders: --json lists all", report.doubtful.len() - MANY));
    }
    lines.extend(report.notes.iter().map(|note| format!("note       {note}")));
    lines.join("\n")
}

fn difference(difference: &Difference) -> String {
    let order = difference.order.as_ref().map_or_else(String::new, |order| format!("order {order}: "));
    let sequence = difference.sequence.map_or_else(String::new, |sequence| format!(" (event {sequence})"));
    let mut text = format!("difference {order}{}{sequence}", difference.what);
    if let Some(position) = &difference.position {
        text += &format!("\n  at       {position}");
    }
    let money = difference.money.as_deref().unwrap_or("not affected");
    text + &format!("\n  money    {money}\n  do       {}", difference.advice)
}
