//! A shop whose process can be killed at chosen commits and begun again, on a clock that a test moves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tillbook::domain::DeviceName;
use tillbook::sandbox::{Sandbox, Upstream};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::{AccountSettings, BoxFuture, Ledger};
use tokio::sync::watch;

use super::clock::{OnClock, TestClock};
use super::crash::{Crash, Crashing, Mortal};
use super::shop::{Shop, account, gateway_within};

/// Where the storage lies that outlives its processes.
pub(crate) trait Ground: Send + Sync {
    /// What a process that begins finds there. Whatever its predecessor had for a time is its no longer.
    fn open(&self) -> BoxFuture<'_, Box<dyn Mortal>>;
}

impl Ground for TempDir {
    fn open(&self) -> BoxFuture<'_, Box<dyn Mortal>> {
        Box::pin(async move {
            let mut options = EmbeddedOptions::new(device());
            // Small files and caches: a test has many ledgers, and each of them a few orders.
            (options.segment_bytes, options.cache_bytes) = (64 << 10, Some(1 << 20));
            // The one who died may be on its way out still.
            options.lock_wait = Duration::from_secs(5);
            let directory = self.path().to_owned();
            let opened = tokio::task::spawn_blocking(move || Embedded::open(&directory, &options)).await;
            Box::new(opened.expect("no panic").expect("opens")) as Box<dyn Mortal>
        })
    }
}

/// The till whose life it is.
pub(crate) fn device() -> DeviceName {
    DeviceName::new("till-3").expect("a name")
}

/// What a process opens that dies at that commit; the first one after this has the number 1.
async fn open(ground: &dyn Ground, crash: Option<Crash>) -> Arc<Crashing> {
    let storage = Crashing::over(ground.open().await, watch::Sender::new(false));
    storage.arm(crash);
    storage
}

pub(crate) struct Life {
    pub(crate) shop: Shop,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) storage: Arc<Crashing>,
    ground: Arc<dyn Ground>,
    /// How often it died at a chosen commit.
    pub(crate) deaths: u64,
    settings: AccountSettings,
    timeout: Duration,
    /// Where this process dies, then the next one, and so on.
    fate: VecDeque<Crash>,
}

impl Life {
    /// A shop with an empty ledger and an upstream of its own, which waits so long for the answer to a refund.
    pub(crate) async fn begin(upstream: Upstream, settings: AccountSettings, timeout: Duration) -> Life {
        Life::begin_on(Arc::new(tempfile::tempdir().expect("a directory")), upstream, settings, timeout).await
    }

    /// The same with its ledger somewhere else.
    pub(crate) async fn begin_on(
        ground: Arc<dyn Ground>,
        upstream: Upstream,
        settings: AccountSettings,
        timeout: Duration,
    ) -> Life {
        let sandbox = Arc::new(Sandbox::start().await.expect("the sandbox listens"));
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let clock = TestClock::new();
        let storage = open(&*ground, None).await;
        let ledger = Ledger::builder().clock(clock.clone()).storage(storage.clone()).await.expect("opens");
        let shop = Shop { sandbox, upstream, ledger, dir };
        let life = Life { shop, clock, storage, ground, deaths: 0, settings, timeout, fate: VecDeque::new() };
        life.connect();
        life
    }

    /// From here on the process dies at these commits, each counted from the beginning of its process, the first from
    /// here.
    pub(crate) fn doom(&mut self, crashes: impl IntoIterator<Item = Crash>) {
        self.fate = crashes.into_iter().collect();
        self.storage.arm(self.fate.pop_front());
    }

    /// Waits for the process's death.
    pub(crate) async fn died(&self) {
        self.storage.crashed().await;
    }

    /// A new process after the death of the one before.
    pub(crate) async fn rise(&mut self) {
        loop {
            self.deaths += 1;
            let crash = self.fate.pop_front();
            if self.reopened(crash).await {
                return;
            }
        }
    }

    /// Kills the process here, and begins a new one.
    pub(crate) async fn kill(&mut self) {
        assert!(self.reopened(None).await, "nothing kills it again");
    }

    /// Whether a process came up, with what it does at its beginning, before it died again.
    async fn reopened(&mut self, crash: Option<Crash>) -> bool {
        self.storage.abandon().await;
        self.storage = open(&*self.ground, crash).await;
        let opening = Ledger::builder().clock(self.clock.clone()).storage(self.storage.clone());
        let opened = tokio::select! {
            biased;
            () = self.storage.crashed() => None,
            opened = opening => Some(opened.expect("opens again")),
        };
        let Some(ledger) = opened else { return false };
        self.shop.ledger = ledger;
        self.connect();
        true
    }

    fn connect(&self) {
        let within = |time| gateway_within(&self.shop.sandbox, self.shop.upstream, time);
        let (gateway, sender) = (within(Duration::from_secs(10)), within(self.timeout));
        let gateway = Arc::new(OnClock { gateway, sender, clock: self.clock.clone() });
        self.shop.ledger.connect(account(), gateway, self.settings.clone()).expect("connects");
    }
}
