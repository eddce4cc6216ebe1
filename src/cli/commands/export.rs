//! `export`: everything as JSON lines, or one table as CSV; beside whoever owns the ledger.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tillbook::storage::embedded;
use tillbook::{Ledger, Money, OrderQuery, OrderRecord, Page, Refund, Timestamp};

use crate::cli::args::{ExportArgs, ExportFormat, Table};
use crate::cli::csv;
use crate::cli::exit::{Exit, Failure};
use crate::cli::place::Place;
use crate::cli::session::Session;

/// Prints it, or writes it to a file that is there only once it is whole.
pub(crate) async fn run(session: &Session, args: &ExportArgs) -> Result<Exit, Failure> {
    if args.format == ExportFormat::Jsonl && args.table.is_some() {
        return Err(Failure::new("usage", "a table is printed with --format csv; JSON lines hold everything"));
    }
    let file = args.output.as_deref().map(NewFile::begin).transpose()?;
    let printed: Box<dyn Write + Send> = match &file {
        Some(file) => Box::new(file.open()?),
        None => Box::new(Printed),
    };
    let to = BufWriter::with_capacity(1 << 16, printed);
    let (mut document, text) = match (args.format, args.table) {
        (ExportFormat::Csv, Some(table)) => tabulated(session, table, to).await?,
        (ExportFormat::Csv, None) | (ExportFormat::Jsonl, _) => lines(session, to).await?,
    };
    let Some(file) = file else { return Ok(Exit::Done) };
    let path = file.path.display().to_string();
    file.finish()?;
    document["file"] = path.as_str().into();
    session.output.result(&document, || format!("{path}: {text}"))?;
    Ok(Exit::Done)
}

type To = BufWriter<Box<dyn Write + Send>>;

/// All of it, from the journal alone; what to say of it.
async fn lines(session: &Session, mut to: To) -> Result<(Value, String), Failure> {
    let head = match session.place() {
        Place::Directory(directory) => {
            let head = tokio::task::spawn_blocking(move || embedded::export(directory, &mut to)).await;
            head.map_err(|error| Failure::of("internal", &error))??
        }
        Place::Server(_) => session.reading(async |ledger| Ok(ledger.export(&mut to).await?)).await?,
    };
    let text = format!("{} orders, {} events\nstate      {}", head.orders, head.events, head.state);
    Ok((json!({ "orders": head.orders, "events": head.events, "state": head.state }), text))
}

async fn tabulated(session: &Session, table: Table, mut to: To) -> Result<(Value, String), Failure> {
    let rows = session.reading(async |ledger| write_table(ledger, table, &mut to).await).await?;
    to.flush().map_err(|error| failed("the export", &error))?;
    Ok((json!({ "rows": rows }), format!("{rows} rows")))
}

/// How many orders are read at once.
const PAGE: usize = 500;

async fn write_table(ledger: &Ledger, table: Table, to: &mut (dyn Write + Send)) -> Result<u64, Failure> {
    let mut put = |rows: String| to.write_all(rows.as_bytes()).map_err(|error| failed("the export", &error));
    put(match table {
        Table::Orders => csv::rows([ORDERS.map(str::to_owned)]),
        Table::Refunds => csv::rows([REFUNDS.map(str::to_owned)]),
    })?;
    let (mut rows, mut page) = (0, Page { limit: PAGE, after: None });
    loop {
        let found = ledger.orders(&OrderQuery::default(), &page).await?;
        let orders = &found.orders;
        let refunds = || orders.iter().flat_map(|record| record.refunds.iter().map(move |refund| (record, &**refund)));
        rows += match table {
            Table::Orders => orders.len(),
            Table::Refunds => refunds().count(),
        };
        put(match table {
            Table::Orders => csv::rows(orders.iter().map(|record| order(record))),
            Table::Refunds => csv::rows(refunds().map(refund)),
        })?;
        page.after = found.next;
        if page.after.is_none() {
            return Ok(rows as u64);
        }
    }
}

const ORDERS: [&str; 20] = [
    "account",
    "id",
    "gateway",
    "merchant",
    "references",
    "status",
    "upstream_status",
    "payment_method",
    "currency",
    "total",
    "paid",
    "refunded",
    "held",
    "refundable",
    "external",
    "refund_status",
    "paid_at",
    "created_at",
    "provisional",
    "version",
];

fn order(record: &OrderRecord) -> [String; 20] {
    let facts = &record.facts;
    let references: Vec<String> = facts.all_references().map(|reference| reference.to_string()).collect();
    [
        record.account.to_string(),
        record.id.to_string(),
        facts.gateway.to_string(),
        facts.merchant.clone(),
        references.join(" "),
        facts.status.to_string(),
        facts.upstream_status.clone(),
        facts.payment_method.as_ref().map_or_else(String::new, |method| method.as_str().to_owned()),
        facts.currency.clone(),
        facts.total.map_or_else(String::new, yuan),
        yuan(record.paid()),
        yuan(record.refunded()),
        yuan(record.held()),
        yuan(record.refundable()),
        yuan(record.external),
        record.refund_status().as_str().to_owned(),
        time(facts.paid_at),
        time(facts.created_at),
        record.provisional.to_string(),
        record.version.to_string(),
    ]
}

const REFUNDS: [&str; 17] = [
    "account",
    "order",
    "key",
    "state",
    "requested",
    "amount",
    "by",
    "approved_by",
    "device",
    "memo",
    "upstream_refund_no",
    "code",
    "message",
    "attempts",
    "requested_at",
    "sent_at",
    "state_at",
];

fn refund((record, refund): (&Arc<OrderRecord>, &Refund)) -> [String; 17] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        record.account.to_string(),
        record.id.to_string(),
        refund.key.to_string(),
        refund.state.to_string(),
        refund.requested.to_string(),
        yuan(refund.amount),
        text(&refund.by),
        text(&refund.approved_by),
        refund.device.to_string(),
        text(&refund.memo),
        text(&refund.upstream_refund_no),
        text(&refund.code),
        text(&refund.message),
        refund.attempts.to_string(),
        time(Some(refund.requested_at)),
        time(refund.sent_at),
        time(Some(refund.state_at)),
    ]
}

/// Yuan with two decimals.
fn yuan(amount: Money) -> String {
    amount.to_string()
}

/// RFC 3339; nothing where it is not known.
fn time(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// Standard output, where a reader that has gone away is no failure.
struct Printed;

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stdout().lock().write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match io::stdout().lock().flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// A file that gets its name when it is whole.
struct NewFile {
    path: PathBuf,
    unfinished: PathBuf,
}

impl NewFile {
    fn begin(path: &Path) -> Result<NewFile, Failure> {
        if path.exists() {
            let failure = Failure::new("io", format!("{} is there already", path.display()));
            return Err(failure.hint("name another file, or remove that one first"));
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        Ok(NewFile { path: path.to_owned(), unfinished: unfinished.into() })
    }

    fn open(&self) -> Result<File, Failure> {
        File::create(&self.unfinished).map_err(|error| failed(&self.unfinished.display().to_string(), &error))
    }

    fn finish(self) -> Result<(), Failure> {
        let file = File::options().write(true).open(&self.unfinished);
        file.and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.unfinished, &self.path))
            .map_err(|error| failed(&self.path.display().to_string(), &error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Nothing is there once it has its name.
        let _ = fs::remove_file(&self.unfinished);
    }
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new("io", format!("{what}: {error}"))
}
