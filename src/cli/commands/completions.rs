//! `completions`: a shell's completions, on stdout.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use crate::cli::args::Cli;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// Prints them: a shell's source, or a document that holds it.
pub(crate) fn run(output: Output, shell: Shell) -> Result<Exit, Failure> {
    // Into memory first: the generator ends the process when its writer fails, and a closed pipe is no failure.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "tillbook", &mut script);
    if output.is_json() {
        let script = String::from_utf8_lossy(&script);
        output.document(&json!({ "shell": shell.to_string(), "script": script }))?;
    } else {
        output.bytes(&script)?;
    }
    Ok(Exit::Done)
}

/// The grammar without what is hidden: the generators would offer that too.
fn shown() -> Command {
    let whole = Cli::command();
    let subcommands = whole.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).cloned();
    Command::new("tillbook").args(whole.get_arguments().cloned()).subcommands(subcommands)
}
