//! The till's end: who is let in, for how long, and what is done for them.
//!
//! No client can hold up another, or the ledger. One that connects and says nothing has its time, and gives way to
//! newer ones before that when there are many. One that asks is answered even while others wait for their upstreams.
//! One that has gone away changes nothing about what it asked for.

use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::domain::{Reference, check_number};
use crate::ledger::{Error, Forgotten, Ledger, Refunded, Wanted};
use crate::storage::StorageError;

use super::socket::{Listener, Stream};
use super::wire::{
    Answer, Asked, CarriedBody, Greeting, LONGEST_REQUEST, PROTOCOL, Request, read_line, read_value, write_line,
};
use super::{Client, Failed};

/// How many may be connected without having asked yet; one more, and the oldest gives way.
const ASKING: usize = 128;

/// How long each of them may take before it has to: others wait for so long at most to be let in.
const MANNERS: Duration = Duration::from_millis(500);

/// How many are answered at a time.
const ANSWERING: usize = 256;

/// How long a client may take to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long whoever greets at the socket has to do so before it is taken for a killed owner's.
const GREETING: Duration = Duration::from_secs(1);

/// How long to wait where no client can be let in: out of file descriptors, say.
const AGAIN: Duration = Duration::from_millis(100);

/// A ledger that listens: other processes of this user can connect from here on, and are answered by
/// [`Server::answer`].
pub struct Server {
    ledger: Ledger,
    listener: Listener,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("path", &self.listener.file()).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) async fn new(ledger: Ledger, directory: &Path) -> Result<Server, Error> {
        let failed = |source| StorageError::Io { doing: "listen in", path: directory.to_owned(), source };
        // Whoever owns the ledger's lock may replace a socket; only a second server in one place can meet the first.
        if let Ok(Some(other)) = Client::connect(directory, GREETING).await {
            let why = format!("process {} answers there already", other.process());
            return Err(failed(std::io::Error::new(std::io::ErrorKind::AddrInUse, why)).into());
        }
        let listener = Listener::bind(directory).map_err(failed)?;
        Ok(Server { ledger, listener })
    }

    /// The socket's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.listener.file()
    }

    /// Answers clients until told to stop; then whoever has asked is still answered (only a sync is ended), and the
    /// socket is gone when this returns.
    pub async fn answer(self, stop: impl Future<Output = ()>) {
        let Server { ledger, listener } = self;
        let (tell, stopped) = watch::channel(Stop::No);
        let room = Arc::new(Semaphore::new(ANSWERING));
        let mut asking = Asking::default();
        let mut clients = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = clients.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok(stream) => {
                        let displaced = asking.enter().await;
                        let at = Desk { ledger: ledger.clone(), room: room.clone(), stopped: stopped.clone() };
                        clients.spawn(at.attend(stream, displaced));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a process that wants something of the ledger cannot be let in");
                        sleep(AGAIN).await;
                    }
                },
            }
        }
        // First the file: whoever comes now finds nobody, and waits for the lock.
        drop(listener);
        tell.send_replace(Stop::Yes);
        while clients.join_next().await.is_some() {}
    }
}

/// Sent to a client that has to give way to a newer one.
struct Displaced;

/// The clients that have not asked yet, oldest first.
#[derive(Default)]
struct Asking(VecDeque<(Instant, oneshot::Sender<Displaced>)>);

impl Asking {
    /// Makes room for one more, who hears when it has to give way.
    async fn enter(&mut self) -> oneshot::Receiver<Displaced> {
        self.0.retain(|(_, client)| !client.is_closed());
        if self.0.len() >= ASKING
            && let Some((since, oldest)) = self.0.pop_front()
        {
            sleep_until(since + MANNERS).await;
            // It may have asked meanwhile; then it does not listen any more.
            let _ = oldest.send(Displaced);
        }
        let (displace, displaced) = oneshot::channel();
        self.0.push_back((Instant::now(), displace));
        displaced
    }
}

/// Whether the server was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    Yes,
}

/// What each client is served with.
struct Desk {
    ledger: Ledger,
    room: Arc<Semaphore>,
    stopped: watch::Receiver<Stop>,
}

impl Desk {
    /// One client, from its greeting to its answer.
    async fn attend(mut self, stream: Stream, displaced: oneshot::Receiver<Displaced>) {
        let mut stream = BufReader::new(stream);
        let process = std::process::id();
        let greeting = Greeting { protocol: PROTOCOL, device: self.ledger.device().clone(), process };
        if !matches!(timeout(PATIENCE, write_line(&mut stream, &greeting)).await, Ok(Ok(()))) {
            return; // it went away at once
        }
        let asked = tokio::select! {
            asked = timeout(PATIENCE, read_line(&mut stream, LONGEST_REQUEST)) => match asked {
                Ok(Ok(Some(line))) => request(&line),
                Ok(Ok(None)) => return, // it went away without having asked
                Ok(Err(error)) => Err(Failed::new("malformed", error.to_string())),
                Err(_) => Err(Failed::new("malformed", "no request came; nothing was done")),
            },
            Ok(Displaced) = displaced => Err(busy()),
            () = is_stopped(&mut self.stopped) => Err(ending()),
        };
        // The permit is kept until the answer is out: so many answers at most are in memory.
        let permit = self.room.clone().try_acquire_owned();
        let answer = match (asked, &permit) {
            (Ok(request), Ok(_)) => self.perform(request).await.unwrap_or_else(Answer::Failed),
            (Ok(_), Err(_)) => Answer::Failed(busy()),
            (Err(failed), _) => Answer::Failed(failed),
        };
        match timeout(PATIENCE, write_line(&mut stream, &answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client went away before its answer; what it asked for is done")
            }
            Err(_) => tracing::debug!("a client does not take its answer; what it asked for is done"),
        }
    }

    async fn perform(&mut self, request: Request) -> Result<Answer, Failed> {
        let ledger = &self.ledger;
        let done = match request {
            Request::Refund(refund) => {
                named(&refund.order)?;
                ledger.refund(refund).await.map(Answer::from)
            }
            Request::Cancel { account, key, by } => ledger.cancel(&account, &key, by).await.map(Answer::from),
            Request::Approve { account, key, by } => ledger.approve(&account, &key, by).await.map(Answer::from),
            Request::Resolve(ruling) => ledger.resolve(ruling).await.map(Answer::from),
            Request::RecordOrder(order) => ledger.record_order(order).await.map(Answer::Order),
            Request::Fetch { account, order } => {
                named(&order)?;
                ledger.fetch(&account, &order).await.map(Answer::Order)
            }
            Request::Body { account, order } => {
                named(&order)?;
                ledger.body(&account, &order).await.map(|body| Answer::Body(body.map(CarriedBody)))
            }
            Request::Forget { account, order } => {
                named(&order)?;
                let forgotten = ledger.forget(&account, &order).await;
                forgotten.map(|Forgotten { order, bytes }| Answer::Forgotten { order, bytes })
            }
            Request::Sync(options) => tokio::select! {
                report = ledger.sync(&options, &|_| ()) => report.map(Answer::Synced),
                () = is_stopped(&mut self.stopped) => {
                    return Err(Failed::new("interrupted", "the till was told to end; what the sync had done is kept"));
                }
            },
        };
        done.map_err(|error| Failed::from(&error))
    }
}

async fn is_stopped(stopped: &mut watch::Receiver<Stop>) {
    // An error is a server that is gone: stopped too.
    let _ = stopped.wait_for(|stop| *stop == Stop::Yes).await;
}

/// The request of a line. Its words are checked where the ledger relies on a caller's types to have done so.
fn request(line: &[u8]) -> Result<Request, Failed> {
    match read_value::<Asked>(line) {
        Ok(Asked { protocol: PROTOCOL, request }) => Ok(request),
        Ok(Asked { protocol, .. }) => {
            let message = format!("the till speaks protocol {PROTOCOL}, not {protocol}; nothing was done");
            Err(Failed::new("other_version", message))
        }
        Err(error) => Err(Failed::new("malformed", format!("no request: {error}; nothing was done"))),
    }
}

fn named(order: &Wanted) -> Result<(), Failed> {
    let checked = match &order.kind {
        Some(kind) => Reference::new(kind, &order.number).map(drop),
        None => check_number(&order.number),
    };
    checked.map_err(|error| Failed::from(&Error::Name(error)))
}

fn busy() -> Failed {
    Failed::new("busy", "the process that owns the ledger has too many others to answer; nothing was done")
}

fn ending() -> Failed {
    Failed::new("busy", "the process that owns the ledger is about to end; nothing was done")
}

impl From<Refunded> for Answer {
    fn from(refunded: Refunded) -> Answer {
        let Refunded { refund, order, replayed, waiting } = refunded;
        Answer::Refunded { key: refund.key, order, replayed, waiting }
    }
}
