//! `import`: a new ledger from an export.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::json;
use tillbook::Ledger;

use crate::cli::args::ImportArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::place::Place;

/// Makes it, and says so once it was read back and synced.
pub(crate) async fn run(output: Output, args: &ImportArgs) -> Result<Exit, Failure> {
    if let Some(place @ Place::Server(_)) = args.into.to_str().map(|into| Place::read(into, Path::new(""))) {
        let failure = Failure::new("unsupported", format!("{place} is no directory"));
        return Err(failure.hint("import it into a directory, then: tillbook migrate --from DIR --to postgres://..."));
    }
    let from: Box<dyn BufRead + Send> = if args.file == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(&args.file);
        let file = file.map_err(|error| Failure::new("io", format!("{}: {error}", args.file.display())))?;
        Box::new(BufReader::new(file))
    };
    let head = Ledger::from_export(from, &args.into).await?;
    let directory = args.into.display().to_string();
    let document = json!({
        "directory": directory,
        "orders": head.orders,
        "events": head.events,
        "state": head.state,
    });
    output.result(&document, || {
        format!("{} orders, {} events imported to {directory}\nstate      {}", head.orders, head.events, head.state)
    })?;
    if !output.is_json() {
        output.note("it opens in quarantine. To go on with it: tillbook adopt --by NAME");
    }
    Ok(Exit::Done)
}
