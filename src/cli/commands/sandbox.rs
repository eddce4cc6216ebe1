//! `sandbox`: the three upstreams on this machine, until interrupted.

use std::fs;
use std::path::Path;

use serde_json::json;
use tillbook::sandbox::Sandbox;

use crate::cli::args::SandboxArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// Serves until Ctrl-C. Says where on stdout, as soon as connects succeed.
pub(crate) async fn run(output: Output, args: &SandboxArgs) -> Result<Exit, Failure> {
    let sandbox = Sandbox::builder()
        .port(args.port)
        .seed(args.orders)
        .start()
        .await
        .map_err(|error| Failure::of("io", &error).hint("another --port, or 0 for a free one"))?;
    if let Some(file) = &args.write_config {
        write_config(&sandbox, file)?;
    }
    let orders = sandbox.books().orders.len();
    let document = json!({
        "base_url": sandbox.base_url(),
        "control_url": sandbox.control_url(),
        "config": args.write_config.as_ref().map(|file| file.display().to_string()),
        "orders": orders,
    });
    output.result(&document, || {
        let mut lines = vec![
            format!("three upstreams with {orders} orders at {}", sandbox.base_url()),
            format!("their books: {}/sandbox/books", sandbox.control_url()),
        ];
        if let Some(file) = &args.write_config {
            lines.push(format!("configuration: {0}; try: tillbook --config {0} sync", file.display()));
        }
        lines.push("Ctrl-C ends it".to_owned());
        lines.join("\n")
    })?;
    let waited = tokio::signal::ctrl_c().await;
    waited.map_err(|error| Failure::new("io", format!("cannot wait for Ctrl-C: {error}")))?;
    output.note("stopped");
    Ok(Exit::Done)
}

/// Writes a configuration, over one that an earlier sandbox wrote and never over anything else.
fn write_config(sandbox: &Sandbox, file: &Path) -> Result<(), Failure> {
    let text = sandbox.config_toml("ledger");
    let first_line = text.lines().next().unwrap_or_default();
    let failed = |doing: &str, error: &dyn std::fmt::Display| {
        Failure::new("io", format!("cannot {doing} {}: {error}", file.display()))
    };
    match fs::read_to_string(file) {
        Ok(there) if there.lines().next() != Some(first_line) => {
            return Err(failed("overwrite", &"it was not written by a sandbox").hint("name another file"));
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("read", &error)),
        Ok(_) | Err(_) => {}
    }
    fs::write(file, text).map_err(|error| failed("write", &error))
}
