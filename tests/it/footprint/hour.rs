//! An idle hour of a running till, on stopped time: orders are listed again and again, and nothing new is in them. Flash
//! wears by what is written, so each write needs a reason.

use std::sync::Arc;
use std::time::Duration;

use tillbook::sandbox::Upstream;
use tillbook::{OrderQuery, Page, RunOptions};

use super::disk::Done;
use super::till::Till;
use crate::support::gateways::UPSTREAMS;
use crate::support::say;

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

#[tokio::test(start_paused = true)]
async fn an_idle_hour_of_a_running_till_writes_where_it_is_in_a_list_of_several_pages_and_nothing_else() {
    for upstream in UPSTREAMS {
        let Till { disk, ledger, sandbox, .. } = &Till::open(upstream).await;
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
