//! The ledger and its peers under the same work: `cargo run --release`, 42 minutes on a machine that does nothing
//! else; `--quick` to see that all of it runs.
//!
//! `contender.rs` says what a contender does, `engines` has the peers, `works` what is measured, `goals.rs` what the
//! ledger was meant to reach, `report.rs` and `charts.rs` what is written. Start reading at `works/mod.rs`.

mod charts;
mod child;
mod compaction;
mod contender;
mod engines;
mod goals;
mod grouped;
mod hold;
mod ledger;
mod machine;
#[cfg(feature = "postgres")]
mod postgres;
mod report;
mod sample;
mod scale;
mod slow;
mod stage;
mod workload;
mod works;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use child::Run;
use scale::Scale;
use works::Work;

/// What the ledger's own binary has; for all who allocate by Rust's means.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives the ledger and what a user would pick instead the same work, and writes how they compare.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[cfg(feature = "postgres")]
    #[command(subcommand)]
    apart: Option<Apart>,
    /// A smoke run of about two minutes: everything runs, no figure means anything
    #[arg(long)]
    quick: bool,
    /// The works to do; all but `build` unless named
    #[arg(long, value_delimiter = ',', value_name = "WORK")]
    only: Vec<Work>,
    /// The contenders; all unless named
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = stage::EVERYBODY)]
    who: Vec<String>,
    /// Orders that are loaded before the holds
    #[arg(long)]
    orders: Option<u64>,
    /// Seconds of one turn of 64 callers on random orders; the other turns are as long in proportion
    #[arg(long)]
    seconds: Option<u64>,
    /// Turns of each contender
    #[arg(long)]
    rounds: Option<u64>,
    /// Orders at which contenders are opened after a kill, from few to many; a million takes each of them minutes
    #[arg(long, value_delimiter = ',', value_name = "ORDERS")]
    sizes: Vec<u64>,
    /// A year of 730,000 orders instead of 200,000
    #[arg(long)]
    year: bool,
    /// Where the files of the run are made, and removed at its end: on the disk that is to be measured
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the answers are written
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
}

/// What is no part of the whole run.
#[cfg(feature = "postgres")]
#[derive(clap::Subcommand)]
enum Apart {
    /// The ledger on a PostgreSQL server beside the single statement that a user would write, from two processes
    Postgres(postgres::Arguments),
}

impl Arguments {
    fn scale(&self) -> Scale {
        let quick = Scale::quick();
        let turn = self.seconds.map(Duration::from_secs);
        let mut scale = if self.quick {
            Scale { sustained: turn.unwrap_or(quick.sustained), ..quick }
        } else {
            Scale::whole(200_000, turn.unwrap_or(Duration::from_secs(60)), 3)
        };
        scale.orders = self.orders.unwrap_or(scale.orders);
        scale.rounds = self.rounds.unwrap_or(scale.rounds).max(1);
        if !self.sizes.is_empty() {
            scale.sizes.clone_from(&self.sizes);
            scale.sizes.sort_unstable();
        }
        if self.year {
            scale.year = 730_000;
        }
        scale
    }
}

fn main() -> ExitCode {
    // As the ledger's own program does: a huge page takes two megabytes for a kilobyte in use.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let mut arguments = std::env::args().skip(1);
    if let (Some(first), Some(job)) = (arguments.next(), arguments.next())
        && first == child::CHILD
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(child::act(&job));
        return ExitCode::SUCCESS;
    }
    #[cfg(feature = "postgres")]
    if std::env::args().nth(1).is_some_and(|first| first == postgres::CHILD) {
        postgres::act();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    #[cfg(feature = "postgres")]
    if let Some(Apart::Postgres(arguments)) = &arguments.apart {
        postgres::run(arguments);
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> std::io::Result<()> {
    let parent = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
    };
    std::fs::create_dir_all(&parent)?;
    std::fs::create_dir_all(&arguments.out)?;
    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(parent.canonicalize()?)?;
    let who = if arguments.who.is_empty() {
        stage::EVERYBODY.iter().map(ToString::to_string).collect()
    } else {
        arguments.who.clone()
    };
    let works = if arguments.only.is_empty() { Work::DEFAULT.to_vec() } else { arguments.only.clone() };
    let mut run = Run::new(arguments.scale(), directory.path().to_owned(), who);
    run.works(&works);
    report::write(&run, arguments.quick, &arguments.out)?;
    charts::write(&run, &arguments.out).map_err(std::io::Error::other)?;
    directory.close()
}
