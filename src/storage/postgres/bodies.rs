//! Answers as upstreams gave them, in a table beside the history: a cache, written by a task of its own, so that no
//! command waits for one. Its failures are warnings.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::super::StorageError;
use super::reads::Reads;
use crate::domain::{Body, OrderId};

/// The way to the task; it ends when nobody can tell it anything any more, and has written all by then.
#[derive(Debug)]
pub(super) struct Bodies(mpsc::Sender<Job>);

enum Job {
    Keep(OrderId, Body),
    Forget(OrderId, oneshot::Sender<Result<Option<usize>, StorageError>>),
}

/// More than these do not wait, of 64 KiB each at most: what comes then is not kept.
const WAITING: usize = 64;

impl Bodies {
    pub(super) fn start(reads: Arc<Reads>) -> Bodies {
        let (jobs, waiting) = mpsc::channel(WAITING);
        tokio::spawn(write(reads, waiting));
        Bodies(jobs)
    }

    /// Keeps one, soon.
    pub(super) fn keep(&self, order: &OrderId, body: Body) {
        if self.0.try_send(Job::Keep(order.clone(), body)).is_err() {
            tracing::warn!(%order, "too many bodies wait to be kept: this one is not");
        }
    }

    /// Erases the one of an order, also where it still waits; tells its size.
    pub(super) async fn forget(&self, order: &OrderId) -> Result<Option<usize>, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Job::Forget(order.clone(), answer)).await.map_err(|_| StorageError::Closed)?;
        answered.await.map_err(|_| StorageError::Closed)?
    }
}

async fn write(reads: Arc<Reads>, mut waiting: mpsc::Receiver<Job>) {
    while let Some(job) = waiting.recv().await {
        match job {
            Job::Keep(order, body) => {
                if let Err(error) = reads.keep_body(&order, &body).await {
                    tracing::warn!(%order, %error, "an answer's body could not be kept");
                }
            }
            // An error: who asked is gone, and it is erased all the same.
            Job::Forget(order, answer) => drop(answer.send(reads.forget_body(&order).await)),
        }
    }
}

impl Reads {
    async fn keep_body(&self, order: &OrderId, body: &Body) -> Result<(), StorageError> {
        let sql = "INSERT INTO bodies (order_id, body) VALUES ($1, $2)
            ON CONFLICT (order_id) DO UPDATE SET (body, kept_at) = (excluded.body, excluded.kept_at)";
        self.query(sql, &[&order.as_str(), &body.expose()]).await.map(drop)
    }

    async fn forget_body(&self, order: &OrderId) -> Result<Option<usize>, StorageError> {
        let sql = "DELETE FROM bodies WHERE order_id = $1 RETURNING octet_length(body)";
        let gone = self.query(sql, &[&order.as_str()]).await?;
        Ok(gone.first().and_then(|row| usize::try_from(row.get::<_, i32>(0)).ok()))
    }

    pub(super) async fn body(&self, order: &OrderId) -> Result<Option<Body>, StorageError> {
        let found = self.query("SELECT body FROM bodies WHERE order_id = $1", &[&order.as_str()]).await?;
        Ok(found.first().map(|row| Body::new(row.get::<_, Vec<u8>>(0))))
    }
}
