//! The other end: a process that wants something of a ledger that a running till owns.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::{AccountName, Body, DeviceName, OrderRecord, RefundKey};
use crate::ledger::{Forgotten, RecordOrder, RefundRequest, Refunded, Ruling, Wanted, make_key, refunded};
use crate::sync::{SyncOptions, SyncReport};

use super::Failed;
use super::socket::{self, Stream};
use super::wire::{
    Answer, Asked, CarriedBody, Greeting, LONGEST_ANSWER, LONGEST_REQUEST, PROTOCOL, Request, read_line, read_value,
    write_line,
};

/// How often a till that lets nobody in is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// A till that answers, met once: it does one thing, as [`Ledger`](crate::Ledger)'s method of that name would.
///
/// # Errors
/// Every method's [`Failed`] has the kind, the words and the facts that the ledger's own error has. Three kinds are
/// the way's own: `busy` (nothing was done), `other_version` (nothing was done), and `unanswered`: the till ended
/// before it answered, so that whether it was done is only known to whoever owns the ledger next. Ask again then; a
/// refund with the same key.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Stream>,
    till: Greeting,
}

impl Client {
    /// Meets the till that serves the ledger in `dir`; `None` when nobody answers there within `wait`.
    ///
    /// # Errors
    /// `other_version` when the till speaks another protocol; `io` when the socket is not ours to use.
    pub async fn connect(dir: impl AsRef<Path>, wait: Duration) -> Result<Option<Client>, Failed> {
        let directory = dir.as_ref();
        let until = Instant::now() + wait;
        let stream = loop {
            match socket::connect(directory).await {
                Ok(None) => return Ok(None),
                Ok(Some(stream)) => break stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                    sleep(AGAIN).await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => {
                    return Err(Failed::new("io", format!("ask the till in {}: {error}", directory.display())));
                }
            }
        };
        let mut stream = BufReader::new(stream);
        match timeout_at(until, read_line(&mut stream, LONGEST_REQUEST)).await {
            Ok(Ok(Some(line))) => Ok(Some(Client { till: greeting(&line)?, stream })),
            // It ended meanwhile, or does not get to us: nothing was asked.
            Ok(Ok(None) | Err(_)) | Err(_) => Ok(None),
        }
    }

    /// The till's process id.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.till.process
    }

    /// The device that keeps the ledger.
    #[must_use]
    pub fn device(&self) -> &DeviceName {
        &self.till.device
    }

    /// A new refund key, as [`Ledger::make_key`](crate::Ledger::make_key) makes it.
    #[must_use]
    pub fn make_key(&self) -> RefundKey {
        make_key(&self.till.device)
    }

    /// See [`refund`](crate::Ledger::refund). Dropping the future changes nothing about the refund.
    ///
    /// # Errors
    /// As there.
    pub async fn refund(self, request: RefundRequest) -> Result<Refunded, Failed> {
        self.ask(Request::Refund(request)).await?.refunded()
    }

    /// See [`cancel`](crate::Ledger::cancel).
    ///
    /// # Errors
    /// As there.
    pub async fn cancel(self, account: &AccountName, key: &RefundKey, by: Option<String>) -> Result<Refunded, Failed> {
        self.ask(Request::Cancel { account: account.clone(), key: key.clone(), by }).await?.refunded()
    }

    /// See [`approve`](crate::Ledger::approve).
    ///
    /// # Errors
    /// As there.
    pub async fn approve(self, account: &AccountName, key: &RefundKey, by: String) -> Result<Refunded, Failed> {
        self.ask(Request::Approve { account: account.clone(), key: key.clone(), by }).await?.refunded()
    }

    /// See [`resolve`](crate::Ledger::resolve).
    ///
    /// # Errors
    /// As there.
    pub async fn resolve(self, ruling: Ruling) -> Result<Refunded, Failed> {
        self.ask(Request::Resolve(ruling)).await?.refunded()
    }

    /// See [`record_order`](crate::Ledger::record_order).
    ///
    /// # Errors
    /// As there.
    pub async fn record_order(self, order: RecordOrder) -> Result<Arc<OrderRecord>, Failed> {
        self.ask(Request::RecordOrder(order)).await?.order()
    }

    /// See [`fetch`](crate::Ledger::fetch).
    ///
    /// # Errors
    /// As there.
    pub async fn fetch(self, account: &AccountName, order: &Wanted) -> Result<Arc<OrderRecord>, Failed> {
        self.ask(Request::Fetch { account: account.clone(), order: order.clone() }).await?.order()
    }

    /// See [`body`](crate::Ledger::body).
    ///
    /// # Errors
    /// As there.
    pub async fn body(self, account: &AccountName, order: &Wanted) -> Result<Option<Body>, Failed> {
        match self.ask(Request::Body { account: account.clone(), order: order.clone() }).await? {
            Answer::Body(body) => Ok(body.map(|CarriedBody(body)| body)),
            other => Err(strange(&other)),
        }
    }

    /// See [`forget`](crate::Ledger::forget).
    ///
    /// # Errors
    /// As there.
    pub async fn forget(self, account: &AccountName, order: &Wanted) -> Result<Forgotten, Failed> {
        match self.ask(Request::Forget { account: account.clone(), order: order.clone() }).await? {
            Answer::Forgotten { order, bytes } => Ok(Forgotten { order, bytes }),
            other => Err(strange(&other)),
        }
    }

    /// See [`sync`](crate::Ledger::sync); how far it is, is not told. A till that is told to stop ends it early.
    ///
    /// # Errors
    /// As there; `interrupted` when the till was told to stop.
    pub async fn sync(self, options: &SyncOptions) -> Result<SyncReport, Failed> {
        match self.ask(Request::Sync(options.clone())).await? {
            Answer::Synced(report) => Ok(report),
            other => Err(strange(&other)),
        }
    }

    async fn ask(mut self, request: Request) -> Result<Answer, Failed> {
        let process = self.till.process;
        // A till that does not read on may have answered all the same: that it is too busy.
        let asked = write_line(&mut self.stream, &Asked { protocol: PROTOCOL, request }).await;
        let answered = read_line(&mut self.stream, LONGEST_ANSWER).await;
        let why = match answered {
            Ok(Some(line)) => match read_value::<Answer>(&line) {
                Ok(Answer::Failed(failed)) => return Err(failed),
                Ok(answer) => return Ok(answer),
                Err(error) => format!("its answer cannot be read: {error}"),
            },
            Ok(None) => "it ended before it answered".to_owned(),
            Err(error) => asked.err().unwrap_or(error).to_string(),
        };
        let what = "whether it did what was asked is known to whoever owns the ledger next";
        let message = format!("process {process} owns the ledger and was asked, but {why}; {what}");
        Err(Failed::new("unanswered", message).fact("process", process))
    }
}

fn greeting(line: &[u8]) -> Result<Greeting, Failed> {
    match read_value::<Greeting>(line) {
        Ok(greeting) if greeting.protocol == PROTOCOL => Ok(greeting),
        _ => Err(Failed::new("other_version", "the process that owns the ledger is another version of tillbook")),
    }
}

fn strange(answer: &Answer) -> Failed {
    let what = match answer {
        Answer::Refunded { .. } => "a refund",
        Answer::Order(_) => "an order",
        Answer::Synced(_) => "a report",
        Answer::Body(_) => "a body",
        Answer::Forgotten { .. } => "what was erased",
        Answer::Failed(failed) => return failed.clone(),
    };
    Failed::new("internal", format!("the till answered with {what}, which was not asked for"))
}

impl Answer {
    fn refunded(self) -> Result<Refunded, Failed> {
        match self {
            Answer::Refunded { key, order, replayed, waiting } => {
                refunded(order, &key, replayed, waiting).map_err(|error| Failed::from(&error))
            }
            other => Err(strange(&other)),
        }
    }

    fn order(self) -> Result<Arc<OrderRecord>, Failed> {
        match self {
            Answer::Order(order) => Ok(order),
            other => Err(strange(&other)),
        }
    }
}
