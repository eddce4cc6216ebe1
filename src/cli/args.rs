//! The command line's grammar: global options and one variant per command.
//!
//! Amounts, keys, names and times are checked while parsing, so that a malformed word never gets as far as the
//! ledger; the check is the library's own.

mod copies;
mod lists;
mod verdicts;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use tillbook::{AccountName, Money, Reference, RefundKey, Timestamp};

use super::duration;
use super::exit::KINDS;
use super::output::Format;
use super::parse::{self, OrderName};

pub(crate) use copies::{BackupArgs, ExportArgs, ExportFormat, ImportArgs, MigrateArgs, Table, VerifyArgs};
pub(crate) use lists::{EventsArgs, OrdersArgs, RefundStatusWord, RefundsArgs};
pub(crate) use verdicts::{ApproveArgs, CancelArgs, Given, ResolveArgs, words};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// An order and refund ledger: what was paid, what was refunded, what may still be refunded, also offline; and no
/// refund that would exceed what was paid.
#[derive(Debug, Parser)]
#[command(name = "tillbook", version, styles = STYLES, max_term_width = 100, after_help = EXIT_CODES, after_long_help = long_help())]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done, accepted or safely queued     4 declined by the upstream
  1 anything else                       5 in doubt or in review
  2 malformed input, unknown account    6 verify or reconcile: not all matched
  3 refused by the ledger's rules";

/// The exit codes, and under them every error kind: what `--help` says and `-h` does not.
fn long_help() -> String {
    let kinds = KINDS.iter().map(|kind| format!("\n  {} {:21} {}", kind.exit.code(), kind.word, kind.meaning));
    format!("{EXIT_CODES}\n\nError kinds, with their exit codes:{}", kinds.collect::<String>())
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The configuration file [default: tillbook.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Where the ledger lies, instead of the configuration's `data`: a directory, or postgres://user@host/database
    #[arg(long, global = true, value_name = "PLACE", help_heading = "Global options")]
    pub(crate) data: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// How long to wait for another process that owns the ledger
    #[arg(long, global = true, value_name = "DURATION", default_value = "5s", value_parser = duration::parse, help_heading = "Global options")]
    pub(crate) lock_wait: Duration,
}

impl Global {
    /// The options of a run over that configuration, all else as it is by default.
    pub(crate) fn of_config(file: PathBuf, format: Format) -> Global {
        let (data, json) = (None, format == Format::Json);
        Global { config: Some(file), data, json, verbose: 0, lock_wait: Duration::from_secs(5) }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all at work: a sandbox, a fresh ledger, and each promise beside the sandbox's own books
    Demo,
    /// The till that the demo starts and kills
    #[command(hide = true)]
    DemoTill(TillArgs),
    /// Serve the three upstreams on this machine, with money that moves in memory
    Sandbox(SandboxArgs),
    /// Make one safe call per account: credentials, clock, cloud function
    Check(AccountsArgs),
    /// Fetch what is new, send what is queued, ask about what was accepted
    Sync(AccountsArgs),
    /// Compare a day of an account with what the upstream has (对账)
    Reconcile(ReconcileArgs),
    /// Run the till: send, ask and fetch on and on, and answer other shells, until interrupted
    Run(AccountsArgs),
    /// List known orders, newest first
    Orders(OrdersArgs),
    /// Show an order: what is known here, or else what the upstream says
    Show(ShowArgs),
    /// Fetch an order now, keep it and print it
    Fetch(OrderArgs),
    /// Record an order that was paid while offline
    Record(RecordArgs),
    /// Refund an order, whole or in part
    Refund(RefundArgs),
    /// List refunds, those that wait first, and what they add up to
    Refunds(RefundsArgs),
    /// Withdraw a refund that was not sent
    Cancel(CancelArgs),
    /// Let a refund go out that waits for approval
    Approve(ApproveArgs),
    /// Show the evidence about a refund, or record a person's verdict on it
    Resolve(ResolveArgs),
    /// Print what happened, one JSON line per event, oldest first; amounts in fen
    Events(EventsArgs),
    /// Go on with a copied or restored ledger: what the original may have sent goes to review
    Adopt(AdoptArgs),
    /// Erase what is kept of an upstream's answer about an order (`keep_bodies`): it carries the payer's data
    Forget(OrderArgs),
    /// Make the index anew from the journal, so that what was erased is gone from its files; nobody may use the ledger
    Compact(CompactArgs),
    /// Measure a disk's durable writes and the ledger's holds on it, in a directory that is removed afterwards
    Bench(BenchArgs),
    /// Print what the ledger makes of an upstream's body
    Decode(DecodeArgs),
    /// Recompute every order from its history and compare; say what is damaged, and what is not
    Verify(VerifyArgs),
    /// Copy the whole ledger into a new directory, also beside a running till
    Backup(BackupArgs),
    /// Print the whole ledger: JSON lines to be imported again, or tables for a spreadsheet
    Export(ExportArgs),
    /// Make a new ledger from an export
    Import(ImportArgs),
    /// Move a ledger from a directory to a PostgreSQL server, for ever
    Migrate(MigrateArgs),
    /// Work with the OpenAPI specs that the clients are generated from
    #[command(subcommand)]
    Specs(SpecsCommand),
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `demo-till`.
#[derive(Debug, Args)]
pub(crate) struct TillArgs {
    /// The orders to refund
    pub(crate) orders: Vec<OrderName>,
}

/// `sandbox`.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Write a configuration with one account per upstream
    #[arg(long, value_name = "FILE")]
    pub(crate) write_config: Option<PathBuf>,
    /// How many orders each upstream begins with
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) orders: u32,
}

/// `check`, `sync`, `run`.
#[derive(Debug, Args)]
pub(crate) struct AccountsArgs {
    /// Only this account; may be repeated
    #[arg(long = "account", value_name = "ACCOUNT")]
    pub(crate) accounts: Vec<AccountName>,
}

/// `reconcile`.
#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// The account
    pub(crate) account: AccountName,
    /// The day in Beijing: 2017-06-01
    #[arg(long, value_name = "DATE", value_parser = parse::day)]
    pub(crate) day: jiff::civil::Date,
    /// Print the differences as CSV
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// ACCOUNT:NUMBER, or ACCOUNT:kind=number
    #[arg(value_name = "ORDER")]
    pub(crate) order: OrderName,
    /// Print the upstream's last answer about it as it came, if it is kept (`keep_bodies`); it carries the payer's data
    #[arg(long)]
    pub(crate) body: bool,
}

/// `compact`.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// Erase every body that is kept, of all accounts
    #[arg(long)]
    pub(crate) forget_bodies: bool,
}

/// `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A directory on the disk to measure, best where the ledger is to live; what lies in it is not touched
    pub(crate) directory: PathBuf,
    /// For how long at most, in seconds
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) seconds: u32,
}

/// `fetch`, `forget`.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// ACCOUNT:NUMBER, or ACCOUNT:kind=number
    #[arg(value_name = "ORDER")]
    pub(crate) order: OrderName,
}

/// `record`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The account that was paid
    pub(crate) account: AccountName,
    /// A number of the order with its kind: order_sn=2017...; may be repeated
    #[arg(long = "ref", value_name = "KIND=NUMBER", required = true, value_parser = parse::reference)]
    pub(crate) references: Vec<Reference>,
    /// What the customer paid, in yuan
    #[arg(long, value_name = "YUAN", allow_hyphen_values = true, value_parser = amount_above_zero)]
    pub(crate) paid: Money,
    /// When; now unless given
    #[arg(long, value_name = "TIME", value_parser = parse::time_from)]
    pub(crate) paid_at: Option<Timestamp>,
    /// Who records it
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

/// `refund`.
#[derive(Debug, Args)]
pub(crate) struct RefundArgs {
    /// ACCOUNT:NUMBER, or ACCOUNT:kind=number
    #[arg(value_name = "ORDER")]
    pub(crate) order: OrderName,
    /// How much, in yuan; all that is refundable unless given
    #[arg(long, value_name = "YUAN", allow_hyphen_values = true, value_parser = amount_above_zero)]
    pub(crate) amount: Option<Money>,
    /// The refund's permanent name; the same one again never refunds twice. Made and printed unless given
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: Option<RefundKey>,
    /// A note for the upstream and for the people reading along
    #[arg(long)]
    pub(crate) memo: Option<String>,
    /// Who asks for it
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Refuse unless exactly this much is refundable
    #[arg(long, value_name = "YUAN", allow_hyphen_values = true)]
    pub(crate) expect_refundable: Option<Money>,
    /// Hold and queue it; the next `sync` sends it
    #[arg(long)]
    pub(crate) queue_only: bool,
    /// Say what would happen; write and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// It is meant, although it looks like a refund made a moment ago
    #[arg(long)]
    pub(crate) again: bool,
}

/// `adopt`.
#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// Who says that no other copy of the ledger is used any more
    #[arg(long, value_name = "NAME")]
    pub(crate) by: String,
}

/// `decode`.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// hydrogen, trade_order or fubei
    pub(crate) gateway: String,
    /// hydrogen: order.list, order.get, refund. trade_order: order.get, order.list, refund, refund.list. fubei:
    /// order.query, order.refund, refund.query, refund.statistics, order.bill
    pub(crate) operation: String,
    /// The body; standard input unless given
    pub(crate) file: Option<PathBuf>,
}

/// `specs`.
#[derive(Debug, Subcommand)]
pub(crate) enum SpecsCommand {
    /// Write the three specs, for editing
    Export {
        /// Where to; made if missing. A file that is there and differs is not overwritten
        directory: PathBuf,
        /// Overwrite files that differ
        #[arg(long)]
        force: bool,
    },
    /// Check a spec, or all in a directory, as the build would
    Check {
        /// A file or a directory
        path: PathBuf,
    },
    /// Show which operations and fields were added, removed or retyped against ours
    Diff {
        /// A directory with edited specs
        directory: PathBuf,
    },
}

fn amount_above_zero(text: &str) -> Result<Money, String> {
    match text.parse::<Money>() {
        Ok(amount) if amount.is_zero() => Err(format!("{text} is no money")),
        Ok(amount) => Ok(amount),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
