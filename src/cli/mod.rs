//! The command line: arguments, tables, progress, JSON. Rules are the library's; nothing here decides about money.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `args` | the grammar |
//! | `config` | the configuration file |
//! | `exit`, `failures` | exit codes, error kinds, and how the library's errors become them |
//! | `output`, `json`, `csv`, `table`, `fold` | the two streams, the ways to print, and lists as wide as the terminal |
//! | `session`, `upstreams`, `place` | a ledger, where it lies, and its gateways from the configuration |
//! | `words` | what to tell the customer |
//! | `desk` | the ledger as its owner, or the running till that owns it |
//! | `end` | being told to end |
//! | `evidence` | what a person must know before a verdict on a refund |
//! | `specs` | the specs built in, and the build's own checks |
//! | `commands` | one file per command |
//!
//! Start reading at [`main`], then `commands/refund.rs`.

mod args;
mod commands;
mod config;
mod csv;
mod desk;
mod duration;
mod end;
mod evidence;
mod exit;
mod failures;
mod fold;
mod json;
mod output;
mod parse;
mod place;
mod session;
mod specs;
mod table;
mod upstreams;
mod words;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Global};
use exit::{Exit, Failure};
use output::{Format, Output};

/// Runs the command that the process was started with.
pub(crate) fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return refuse(&words, &error).into(),
    };
    let output = Output::new(if cli.global.json { Format::Json } else { Format::Text });
    log_to_stderr(&cli.global);
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("io", format!("the runtime could not be started: {error}")))?;
    let done = runtime.block_on(commands::run(cli));
    // A reader of standard input may still wait for its end: it must not keep the process.
    runtime.shutdown_background();
    done
}

/// Answers a command line that cannot be read, or that asks for help.
fn refuse(words: &[OsString], error: &clap::Error) -> Exit {
    let wants_json = words.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json");
    let output = Output::new(if wants_json { Format::Json } else { Format::Text });
    if !error.use_stderr() {
        // `--help` and `--version`: clap prints them on stdout, and a reader that has gone away is no failure.
        let _ = error.print();
        return Exit::Done;
    }
    let text = error.render();
    if wants_json {
        let message = text.to_string();
        let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let kind = if error.kind() == clap::error::ErrorKind::ValueValidation { "malformed" } else { "usage" };
        let failure = Failure::new(kind, first);
        let _ = output.document(&serde_json::json!({ "error": failure.error_json() }));
    }
    let _ = error.print();
    Exit::Malformed
}

/// The library speaks through `tracing`; `-v` makes it heard, `RUST_LOG` chooses.
fn log_to_stderr(global: &Global) {
    use tracing_subscriber::EnvFilter;
    let level = match global.verbose {
        0 => "warn,sled=error",
        1 => "info,tillbook=debug,sled=warn",
        _ => "debug,sled=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time();
    // Only one subscriber can be set; a second call cannot happen.
    let _ = subscriber.try_init();
}
