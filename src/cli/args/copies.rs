//! The grammar of what looks at a whole ledger or takes it elsewhere: verify, backup, export, import.

use std::path::PathBuf;

use clap::Args;

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Print where each order's history ends too, to be noted elsewhere (with `--json`, to a file)
    #[arg(long)]
    pub(crate) heads: bool,
    /// Check that the history still is the one noted in FILE by `verify --heads --json`
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

/// `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// A new or an empty directory, best on another disk
    pub(crate) directory: PathBuf,
}

/// `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub(crate) format: ExportFormat,
    /// Which table, as CSV
    #[arg(long, value_enum, required_if_eq("format", "csv"))]
    pub(crate) table: Option<Table>,
    /// Write to a new file instead
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The formats of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    /// Everything, a JSON document a line: what `import` reads
    Jsonl,
    /// One table as it is now, for a spreadsheet
    Csv,
}

/// The tables of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Table {
    /// A row an order
    Orders,
    /// A row a refund
    Refunds,
}

/// `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What `export` wrote; - reads standard input
    pub(crate) file: PathBuf,
    /// A new or an empty directory for the ledger
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
}

/// `migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The directory of a ledger that nobody uses any more
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// The database it moves to: postgres://user@host/database. Its password is best given as PGPASSWORD
    #[arg(long, value_name = "SERVER")]
    pub(crate) to: String,
}
