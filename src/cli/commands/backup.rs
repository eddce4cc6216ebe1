//! `backup`: the whole ledger into a new directory, beside whoever owns it.

use std::path::Path;

use serde_json::json;
use tillbook::storage::embedded;

use crate::cli::args::BackupArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::place::Place;
use crate::cli::session::Session;

/// Copies it, and says so once the copy was read back and synced.
pub(crate) async fn run(session: &Session, args: &BackupArgs) -> Result<Exit, Failure> {
    let instead = "back the database up with its own tools, or: tillbook export --output FILE";
    let (from, to) = (session.directory(instead)?, args.directory.clone());
    if let Some(place @ Place::Server(_)) = to.to_str().map(|to| Place::read(to, Path::new(""))) {
        let failure = Failure::new("unsupported", format!("{place} is no directory"));
        return Err(failure.hint("a ledger goes to a server by: tillbook migrate --from DIR --to postgres://..."));
    }
    let made = tokio::task::spawn_blocking(move || embedded::backup(from, to)).await;
    let made = made.map_err(|error| Failure::of("internal", &error))??;
    let directory = args.directory.display().to_string();
    let document = json!({
        "directory": directory,
        "journal": made.journal,
        "orders": made.orders,
        "events": made.events,
        "bytes": made.bytes,
    });
    session.output.result(&document, || {
        let mut text =
            format!("{} orders, {} events, {} bytes copied to {directory}", made.orders, made.events, made.bytes);
        if let Some(journal) = &made.journal {
            text += &format!("\njournal    frame {} {}", journal.frame, journal.hash);
        }
        text
    })?;
    if !session.output.is_json() {
        session.output.note(format!(
            "it opens in quarantine. To look at it: tillbook --data {directory} verify; to go on with it: copy it to where \
             it is to live, then tillbook adopt --by NAME"
        ));
    }
    Ok(Exit::Done)
}
