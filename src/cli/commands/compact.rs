//! `compact`: the index made anew from the journal, so that what was erased is gone from its files.

use serde_json::json;
use tillbook::storage::embedded::{Compacted, Erase};

use crate::cli::args::CompactArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;

/// Owns the ledger meanwhile; says what it saved.
pub(crate) async fn run(session: &Session, args: &CompactArgs) -> Result<Exit, Failure> {
    let erase = if args.forget_bodies { Erase::Bodies } else { Erase::Nothing };
    let instead = "a server keeps its files in order itself (VACUUM)";
    let compacted = session.builder().compact(session.directory(instead)?, erase).await?;
    let Compacted { before_bytes, after_bytes, bodies_bytes } = compacted;
    let saved_bytes = before_bytes.saturating_sub(after_bytes);
    let document = json!({
        "before_bytes": before_bytes,
        "after_bytes": after_bytes,
        "saved_bytes": saved_bytes,
        "bodies_bytes": bodies_bytes,
        "bodies_erased": args.forget_bodies,
    });
    session.output.result(&document, || {
        let bodies = match (args.forget_bodies, bodies_bytes) {
            (true, _) => "every body was erased".to_owned(),
            (false, 0) => "no bodies are kept".to_owned(),
            (false, bytes) => format!("{bytes} bytes of bodies were carried over"),
        };
        format!(
            "the index had {before_bytes} bytes and has {after_bytes}: {saved_bytes} saved\n\
             {bodies}; the journal was not touched"
        )
    })?;
    Ok(Exit::Done)
}
