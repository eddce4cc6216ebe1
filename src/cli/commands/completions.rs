//! `completions`: a shell's completions, on stdout.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// Prints them. They are a shell's source, in JSON mode too.
pub(crate) fn run(output: Output, shell: Shell) -> Result<Exit, Failure> {
    // Into memory first: the generator ends the process when its writer fails, and a closed pipe is no failure.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "tillbook", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}

/// The grammar without what is hidden: the generators would offer that too.
fn shown() -> Command {
    let whole = Cli::command();
    let subcommands = whole.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).cloned();
    Command::new("tillbook").args(whole.get_arguments().cloned()).subcommands(subcommands)
}
