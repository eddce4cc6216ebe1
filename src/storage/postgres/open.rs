//! Opening a ledger on a server: what is asked of it first, and the tasks that go on while it is open.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_postgres::Client;

use super::super::StorageError;
use super::bodies::Bodies;
use super::commits;
use super::connect::Connector;
use super::reads::Reads;
use super::trouble::{Trouble, remote};
use super::writer::Writer;
use super::{Postgres, Writing, schema};
use crate::domain::DeviceName;

/// How to open a ledger on a server.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The device whose name the entries bear.
    pub device: DeviceName,
    /// The most connections that reads take at once; writing takes one more.
    pub connections: usize,
    /// How long a read waits for a connection, and a connection for the server.
    pub wait: Duration,
    /// How often it is looked whether another process has written.
    pub poll: Duration,
    /// How long an attempt belongs to the process that began it. One whose process is gone is in doubt after that, and
    /// not before. It is sent in the first half or not at all, and answered before the end.
    pub lease: Duration,
}

impl PostgresOptions {
    /// Eight connections for reads, waits of ten seconds, a look four times a second, attempts of two minutes.
    #[must_use]
    pub fn new(device: DeviceName) -> PostgresOptions {
        let (wait, poll, lease) = (Duration::from_secs(10), Duration::from_millis(250), Duration::from_secs(120));
        PostgresOptions { device, connections: 8, wait, poll, lease }
    }
}

/// Commands that wait for the writer.
const WAITING: usize = 1_024;

impl Postgres {
    /// Opens the ledger at `postgres://user:password@host:port/database`, and makes its tables where there are none.
    /// Any number of processes may have it open.
    ///
    /// Unless the address says otherwise (`sslmode`), a host that is not this machine is spoken to through TLS only, and
    /// this machine without.
    ///
    /// # Errors
    /// [`StorageError::Remote`]: the server cannot be reached, or keeps no commit (`fsync = off`).
    /// [`StorageError::NewerSchema`]: its tables are a newer version's.
    pub async fn open(url: &str, options: &PostgresOptions) -> Result<Postgres, StorageError> {
        let connector = Arc::new(Connector::new(url, options.wait)?);
        let (mut client, carrier) = connector.connect().await.map_err(Trouble::into_error)?;
        is_durable(&client, &connector.place()).await?;
        schema::bring_up_to_date(&mut client, &connector.place()).await?;
        drop(client);
        let _ = carrier.await;
        let mut opened = Postgres::over(&connector, options).await?;
        let (commands, waiting) = mpsc::channel(WAITING);
        let writer = Writer::new(connector, options, opened.newest.clone(), waiting);
        let bodies = Bodies::start(Arc::clone(&opened.reads));
        opened.writing = Some(Writing { commands, task: tokio::spawn(writer.run()), bodies });
        opened.at_work.push(tokio::spawn(commits::prune(Arc::clone(&opened.reads))));
        Ok(opened)
    }

    /// Opens the ledger for reading: nothing is made or written, and every command is refused.
    ///
    /// # Errors
    /// As [`Postgres::open`]; [`StorageError::NoLedger`] where there are no tables.
    pub async fn open_read_only(url: &str, options: &PostgresOptions) -> Result<Postgres, StorageError> {
        let connector = Connector::new(url, options.wait)?;
        let (client, carrier) = connector.connect().await.map_err(Trouble::into_error)?;
        schema::is_known(&client, &connector.place()).await?;
        drop(client);
        let _ = carrier.await;
        Postgres::over(&connector, options).await
    }

    async fn over(connector: &Connector, options: &PostgresOptions) -> Result<Postgres, StorageError> {
        let reads = Arc::new(Reads::new(pool(connector, options)?));
        let newest = watch::Sender::new(reads.newest().await?);
        let look_out = tokio::spawn(look_out(Arc::clone(&reads), newest.clone(), options.poll));
        Ok(Postgres { reads, writing: None, newest, lease: options.lease, at_work: vec![look_out] })
    }
}

fn pool(connector: &Connector, options: &PostgresOptions) -> Result<Pool, StorageError> {
    let manager = connector.manager(ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let pool = Pool::builder(manager)
        .max_size(options.connections.max(1))
        .wait_timeout(Some(options.wait))
        .create_timeout(Some(options.wait))
        .recycle_timeout(Some(options.wait))
        .runtime(Runtime::Tokio1)
        .build();
    pool.map_err(|e| StorageError::Remote { doing: "prepare connections to", why: e.to_string() })
}

/// Refuses a server that acknowledges what it has not written.
async fn is_durable(client: &Client, place: &str) -> Result<(), StorageError> {
    let row = client.query_one("SELECT current_setting('fsync')", &[]).await;
    let row = row.map_err(|e| remote("ask for the settings of", &e))?;
    match row.get::<_, &str>(0) {
        "on" => Ok(()),
        other => Err(StorageError::Remote {
            doing: "trust",
            why: format!("{place} runs with fsync = {other}: a power cut would take acknowledged refunds"),
        }),
    }
}

/// Tells of what other processes write. Not being able to look is not the reader's trouble: the next look may be.
async fn look_out(reads: Arc<Reads>, newest: watch::Sender<u64>, every: Duration) {
    loop {
        // A look takes a connection of the pool for a moment; to be told (LISTEN) would take one for good.
        tokio::time::sleep(every).await;
        match reads.newest().await {
            Ok(found) => drop(newest.send_if_modified(|newest| {
                let grows = *newest < found;
                *newest = found.max(*newest);
                grows
            })),
            Err(error) => tracing::debug!(%error, "could not look for new events"),
        }
    }
}
