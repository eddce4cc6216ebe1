//! Contenders on the stage: opened by name, closed in order, and one that fails leaves the others theirs.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillbook::storage::embedded::Profile;

use crate::contender::{Mode, Someone};
use crate::engines::{self, NAMES};
use crate::ledger::Tillbook;
use crate::machine::{has_room, quiet_disk};
use crate::sample::note;

/// The ledger's name among the contenders.
pub const LEDGER: &str = "tillbook";

/// The floor's.
pub const FLOOR: &str = "append";

/// All, the ledger first, then the floor.
pub const EVERYBODY: [&str; 6] = [LEDGER, FLOOR, NAMES[0], NAMES[1], NAMES[2], NAMES[3]];

/// Those of them that keep an index: all but the floor.
pub fn indexed(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str).filter(|name| *name != FLOOR)
}

/// What memory a contender has for its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// A store's back end: 256 MiB for a peer.
    Server,
    /// A kiosk: 32 MiB for a peer.
    Kiosk,
}

impl Cache {
    /// What a peer is told; the ledger has its profiles.
    fn bytes(self) -> u64 {
        match self {
            Cache::Server => 256 << 20,
            Cache::Kiosk => 32 << 20,
        }
    }

    fn profile(self) -> Profile {
        match self {
            Cache::Server => Profile::Server,
            Cache::Kiosk => Profile::Kiosk,
        }
    }
}

/// A contender that is open.
pub struct Opened {
    pub name: String,
    pub directory: PathBuf,
    pub someone: Someone,
    ledger: Option<Arc<Tillbook>>,
}

impl Opened {
    /// Opens one below `parent`, or begins anew there.
    pub async fn open(parent: &Path, name: &str, cache: Cache, mode: Mode) -> Opened {
        let (name, directory) = (name.to_owned(), parent.join(name));
        if name == LEDGER {
            let ledger = Arc::new(Tillbook::open(&directory, cache.profile()).await);
            return Opened { name, directory, someone: Arc::clone(&ledger) as Someone, ledger: Some(ledger) };
        }
        let someone = tokio::task::block_in_place(|| engines::open(&name, &directory, cache.bytes(), mode));
        Opened { name, directory, someone, ledger: None }
    }

    /// Ends in order, as far as its kind can; a peer's own thread goes on until it has closed its files.
    pub async fn close(self) {
        if let Some(ledger) = &self.ledger {
            ledger.close().await;
        }
    }
}

/// Those who are still in the running of one work.
#[derive(Default)]
pub struct Stage {
    open: Vec<Opened>,
    out: BTreeSet<String>,
}

impl Stage {
    /// Opens them all; who does not open is out.
    pub async fn open<'a>(parent: &Path, names: impl Iterator<Item = &'a str>, cache: Cache, mode: Mode) -> Stage {
        let mut stage = Stage::default();
        for name in names {
            let (parent, owned) = (parent.to_owned(), name.to_owned());
            let opening = async move { Opened::open(&parent, &owned, cache, mode).await };
            if let Some(opened) = guarded("open", name, opening).await {
                stage.open.push(opened);
            }
        }
        stage
    }

    /// Gives each who is not out its turn; who panics in it is out.
    pub async fn turn<F>(&mut self, work: &str, mut act: impl FnMut(String, Someone) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        for opened in &self.open {
            if self.out.contains(&opened.name) {
                continue;
            }
            if !has_room(&opened.directory) {
                note(format!("a turn of {} at `{work}` was left out: the disk has less than 4 GiB free", opened.name));
                continue;
            }
            // What the one before left in the system's cache is not this one's to wait for.
            tokio::task::block_in_place(|| quiet_disk(&opened.directory));
            let acting = act(opened.name.clone(), Arc::clone(&opened.someone));
            if guarded(work, &opened.name, acting).await.is_none() {
                self.out.insert(opened.name.clone());
            }
        }
    }

    /// Closes all, those who are out without a word.
    pub async fn close(self) {
        for opened in self.open {
            if !self.out.contains(&opened.name) {
                let name = opened.name.clone();
                guarded("close", &name, opened.close()).await;
            }
        }
    }
}

/// Runs something that may panic; then a note is left, and there is no answer.
pub async fn guarded<T: Send + 'static>(
    work: &str,
    name: &str,
    act: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    match tokio::spawn(act).await {
        Ok(done) => Some(done),
        Err(error) => {
            note(format!("{name} failed at `{work}`, its figures there are missing: {}", why(error)));
            None
        }
    }
}

fn why(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was cancelled".to_owned() };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
