//! An idle hour of a running till, on stopped time: orders are listed again and again, and nothing new is in them. Flash
//! wears by what is written, so each write needs a reason.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tillbook::clients::failure::Failure;
use tillbook::clients::http::HttpSettings;
use tillbook::clients::route::Route;
use tillbook::gateway::BoxFuture;
use tillbook::sandbox::{Carried, Sandbox, Upstream};
use tillbook::storage::conformance::shop;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::{AccountName, AccountSettings, Clock, Ledger, OrderQuery, Page, RunOptions, Timestamp};
use tokio::time::Instant;

use super::disk::{CountingDisk, Done};
use crate::support::gateways::{UPSTREAMS, gateway_over};
use crate::support::say;

/// When it begins, in unix seconds: a morning in Beijing.
const START_S: i64 = 1_768_442_400;

/// Orders are listed every five minutes.
const ROUNDS: u64 = 12;

/// How many syncs a round may take. One that reads several pages notes where the next begins, and in the end that it is
/// done: thirty orders are more than a page of trade_order's. The others have nothing new to note.
fn syncs_a_round(upstream: Upstream) -> u64 {
    match upstream {
        Upstream::TradeOrder => 2,
        Upstream::Fubei | Upstream::Hydrogen => 0,
    }
}

/// What one of them may write: a frame's header and a place in a list.
const BYTES_A_SYNC: u64 = 360;

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

#[tokio::test(start_paused = true)]
async fn an_idle_hour_of_a_running_till_writes_where_it_is_in_a_list_of_several_pages_and_nothing_else() {
    for upstream in UPSTREAMS {
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
        let account = AccountName::new("shop-1").expect("a name");
        let gateway = gateway_over(http, sandbox.credentials(), upstream);
        ledger.connect(account, gateway, AccountSettings::default()).expect("connects");
        let run = async |minutes: u64| {
            // On a clock that stands still until all wait for it: an hour takes no time.
            let stop = tokio::time::sleep(Duration::from_secs(60 * minutes));
            ledger.run(&RunOptions::default(), Arc::new(|_| {}), stop).await.expect("runs");
        };
        // What is there is taken in, and told to be so by a round that brings nothing.
        run(30).await;
        let page = ledger.orders(&OrderQuery::default(), &Page { limit: 100, after: None }).await.expect("readable");
        assert!(page.orders.len() >= 20, "{} orders of {upstream:?}", page.orders.len());
        let events = ledger.events(0, usize::MAX).await.expect("readable").len();
        let reads = sandbox.calls().reads;
        disk.take();
        run(60).await;
        let Done { writes, bytes, syncs, others } = disk.take();
        say(&format!("an idle hour of {}: {syncs} syncs, {bytes} bytes", upstream.name()));
        assert_eq!((writes, others), (syncs, 0));
        assert!(sandbox.calls().reads >= reads + ROUNDS, "{upstream:?} was hardly asked");
        assert!(syncs <= ROUNDS * syncs_a_round(upstream), "{upstream:?}: {syncs} syncs");
        assert!(bytes <= syncs * BYTES_A_SYNC, "{upstream:?}: {bytes} bytes in {syncs} syncs");
        assert_eq!(ledger.events(0, usize::MAX).await.expect("readable").len(), events, "{upstream:?}");
        ledger.close().await.expect("closed");
    }
}
