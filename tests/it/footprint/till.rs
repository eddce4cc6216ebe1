//! A till on stopped time, over a disk that counts and an upstream that listens nowhere.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tempfile::TempDir;
use tillbook::clients::failure::Failure;
use tillbook::clients::http::HttpSettings;
use tillbook::clients::route::Route;
use tillbook::gateway::BoxFuture;
use tillbook::sandbox::{Carried, Sandbox, Upstream};
use tillbook::storage::conformance::shop;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::{AccountName, AccountSettings, Clock, Ledger, Timestamp};
use tokio::time::Instant;

use super::disk::CountingDisk;
use crate::support::gateways::gateway_over;

/// When it begins, in unix seconds: a morning in Beijing.
const START_S: i64 = 1_768_442_400;

/// The runtime's stopped time, from the start on.
struct Stopped(Instant);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(START_S).expect("in range").saturating_add(self.0.elapsed())
    }

    fn running(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The way to a sandbox that listens nowhere.
struct ByHand {
    sandbox: Arc<Sandbox>,
    clock: Arc<Stopped>,
}

impl Route for ByHand {
    fn carry(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Failure>> {
        Box::pin(async move {
            match self.sandbox.carry(request).await {
                Carried::Answered(response) => Ok(response),
                cut => panic!("no fault was asked for: {cut:?}"),
            }
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A ledger on that disk, connected to one upstream.
pub(super) struct Till {
    pub(super) disk: Arc<CountingDisk>,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) ledger: Ledger,
    _directory: TempDir,
}

impl Till {
    pub(super) async fn open(upstream: Upstream) -> Till {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let disk = CountingDisk::new(&directory.path().join("journal"));
        let options = EmbeddedOptions::new(shop::device());
        let (storage, writer) = Embedded::simulated(disk.clone(), &options, Duration::ZERO).expect("opens");
        tokio::spawn(writer);
        let clock = Arc::new(Stopped(Instant::now()));
        let builder = Ledger::builder().device(shop::device()).clock(clock.clone());
        let ledger = builder.storage(Arc::new(storage)).await.expect("opens");
        let sandbox = Arc::new(Sandbox::builder().now(START_S).seed(30).unplugged().expect("made"));
        let mut http = HttpSettings::new(sandbox.base_url());
        http.route = Some(Arc::new(ByHand { sandbox: sandbox.clone(), clock }));
        let gateway = gateway_over(http, sandbox.credentials(), upstream);
        ledger.connect(account(), gateway, AccountSettings::default()).expect("connects");
        Till { disk, sandbox, ledger, _directory: directory }
    }
}

pub(super) fn account() -> AccountName {
    AccountName::new("shop-1").expect("a name")
}
