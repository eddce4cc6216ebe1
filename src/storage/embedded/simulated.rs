//! The journal and its writer alone, for simulations: no thread, no lock, no place, and memory for an index. All it
//! does is done in the tasks that call it and in one more, so that one seed can decide everything.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::disk::Disk;
use super::journal::Journal;
use super::open::count_sending;
use super::segments::Segments;
use super::writer::{Health, Writer};
use super::{Embedded, EmbeddedOptions, WAITING};
use crate::storage::StorageError;
use crate::storage::lock::RwLock;
use crate::storage::place::History;
use crate::storage::reader::Reader;
use crate::storage::replay;

impl Embedded {
    /// For simulations: opens the journal on that disk. The second value is its writer, to be run as a task; commands
    /// wait there for `gather` before they are written, so that those which come meanwhile share the write.
    ///
    /// # Errors
    /// As [`Embedded::open`], but for the lock's and the index's.
    #[doc(hidden)]
    pub fn simulated(
        disk: Arc<dyn Disk>,
        options: &EmbeddedOptions,
        gather: Duration,
    ) -> Result<(Embedded, impl Future<Output = ()> + Send + use<>), StorageError> {
        let segments = Arc::new(Segments::new(disk, Path::new("simulated")));
        let journal = if segments.last_begun()?.is_some() {
            let end = segments.frames(1, &mut |_| Ok(()))?;
            Journal::resume(Arc::clone(&segments), end, options.segment_bytes(), true)?
        } else {
            Journal::create(Arc::clone(&segments), options.segment_bytes())?
        };
        let (view, end) = replay::in_memory(&*segments, journal.number())?;
        let history: Arc<dyn History> = segments.clone();
        let reader = Arc::new(Reader::new(view, history, 64, journal.number(), end.sequence)?.on_the_spot());
        let sending = i64::try_from(count_sending(&*reader)?).unwrap_or(i64::MAX);
        let quarantine = Arc::new(RwLock::new(None));
        let writer = Writer {
            journal,
            segments,
            reader: Arc::clone(&reader),
            following: None,
            owner: None,
            device: options.device.clone(),
            sequence: end.sequence,
            sending,
            health: Health::Good,
            instance: None,
            quarantine: Arc::clone(&quarantine),
        };
        let (commands, waiting) = mpsc::channel(WAITING);
        let running = writer.run_as_a_task(waiting, gather);
        Ok((Embedded { reader, commands, backlog: None, bodies: None, quarantine }, running))
    }
}
