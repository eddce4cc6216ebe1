//! `migrate`: a ledger moved from a directory to a server.

use std::path::Path;

use serde_json::json;

use crate::cli::args::MigrateArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::place::Place;
use crate::cli::session::Session;

/// Moves it, and says so once both sides have the same state. Interrupted, the same command goes on.
pub(crate) async fn run(session: &Session, args: &MigrateArgs) -> Result<Exit, Failure> {
    let place = Place::read(&args.to, Path::new(""));
    let Place::Server(to) = &place else {
        let failure = Failure::new("usage", format!("{place} is no server"));
        return Err(failure.hint("postgres://user@host/database; a directory is copied with backup"));
    };
    let moved = session.builder().migrate(&args.from, to, &place.to_string()).await?;
    let (from, to) = (args.from.display().to_string(), place.to_string());
    let document = json!({
        "from": from,
        "to": to,
        "events": moved.events,
        "were_there": moved.were_there,
        "state": moved.state.to_string(),
    });
    session.output.result(&document, || {
        let were_there = match moved.were_there {
            0 => String::new(),
            count => format!(", {count} of which were there already"),
        };
        format!("{} events moved to {to}{were_there}\nstate      {} on both sides", moved.events, moved.state)
    })?;
    if !session.output.is_json() {
        session.output.note(format!("{from} can be read, and takes nothing any more"));
    }
    Ok(Exit::Done)
}
