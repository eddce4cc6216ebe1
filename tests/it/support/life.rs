//! A shop whose process can be killed at chosen commits and begun again, on a clock that a test moves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tillbook::sandbox::{Sandbox, Upstream};
use tillbook::{AccountSettings, Ledger};

use super::clock::{OnClock, TestClock};
use super::crash::{Crash, Crashing};
use super::shop::{Shop, account, gateway_within};

pub(crate) struct Life {
    pub(crate) shop: Shop,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) storage: Arc<Crashing>,
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
        let sandbox = Arc::new(Sandbox::start().await.expect("the sandbox listens"));
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        let clock = TestClock::new();
        let storage = Crashing::open(dir.path(), None).await;
        let ledger = Ledger::builder().clock(clock.clone()).storage(storage.clone()).await.expect("opens");
        let shop = Shop { sandbox, upstream, ledger, dir };
        let life = Life { shop, clock, storage, deaths: 0, settings, timeout, fate: VecDeque::new() };
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
        self.storage = Crashing::open(self.shop.dir.path(), crash).await;
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
