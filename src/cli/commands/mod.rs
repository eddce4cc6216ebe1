//! One file per command. A command prints its result on stdout and answers with the exit code; a failure is printed
//! by the caller.

mod adopt;
mod approve;
mod backup;
mod bench;
mod cancel;
mod check;
mod compact;
mod completions;
mod decode;
mod demo;
mod events;
mod export;
mod forget;
mod import;
mod migrate;
mod orders;
mod reconcile;
mod record;
mod refund;
mod refunds;
mod resolve;
mod run;
mod sandbox;
mod show;
mod specs;
mod sync;
mod verify;

use super::args::{Cli, Command};
use super::exit::{Exit, Failure};
use super::output::{Format, Output};
use super::session::Session;

/// Runs one command.
///
/// # Errors
/// What went wrong, to be printed once; its kind decides the exit code.
pub(crate) async fn run(cli: Cli) -> Result<Exit, Failure> {
    let output = Output::new(if cli.global.json { Format::Json } else { Format::Text });
    let session = || Session::start(cli.global.clone());
    match cli.command {
        Command::Demo => demo::run(output, cli.global.data.as_deref()).await,
        Command::DemoTill(args) => demo::run_till(&session()?, &args).await,
        Command::Sandbox(args) => sandbox::run(output, &args).await,
        Command::Bench(args) => bench::run(output, &args).await,
        Command::Decode(args) => decode::run(output, &args),
        Command::Specs(command) => specs::run(output, &command),
        Command::Completions { shell } => completions::run(output, shell),
        Command::Check(args) => check::run(&session()?, &args).await,
        Command::Sync(args) => sync::run(&session()?, &args).await,
        Command::Reconcile(args) => reconcile::run(&session()?, &args).await,
        Command::Run(args) => run::run(&session()?, &args).await,
        Command::Orders(args) => orders::run(&session()?, args).await,
        Command::Show(args) if args.body => forget::show_body(&session()?, &args.order).await,
        Command::Show(args) => show::show(&session()?, &args.order).await,
        Command::Fetch(args) => show::fetch(&session()?, &args.order).await,
        Command::Record(args) => record::run(&session()?, args).await,
        Command::Refund(args) => refund::run(&session()?, args).await,
        Command::Refunds(args) => refunds::run(&session()?, args).await,
        Command::Cancel(args) => cancel::run(&session()?, args).await,
        Command::Approve(args) => approve::run(&session()?, args).await,
        Command::Resolve(args) => resolve::run(&session()?, args).await,
        Command::Events(args) => events::run(&session()?, &args).await,
        Command::Adopt(args) => adopt::run(&session()?, &args).await,
        Command::Verify(args) => verify::run(&session()?, &args).await,
        Command::Backup(args) => backup::run(&session()?, &args).await,
        Command::Export(args) => export::run(&session()?, &args).await,
        Command::Import(args) => import::run(output, &args).await,
        Command::Migrate(args) => migrate::run(&session()?, &args).await,
        Command::Forget(args) => forget::run(&session()?, &args.order).await,
        Command::Compact(args) => compact::run(&session()?, &args).await,
    }
}
