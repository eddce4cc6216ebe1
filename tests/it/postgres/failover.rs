//! A server that is lost for good, and its synchronous replica that takes its place.

use super::load::{GRANTED, Load};
use super::server::server;
use crate::support::outside::skipped;
use crate::support::say;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_lost_when_a_synchronous_replica_takes_over() {
    let name = "nothing_that_was_acknowledged_is_lost_when_a_synchronous_replica_takes_over";
    if std::env::var_os("TILLBOOK_LONG").is_none() {
        return skipped(name, "two servers and half a minute", "TILLBOOK_LONG=1 cargo test");
    }
    let (mut granted, rounds) = (0, 3);
    for _ in 0..rounds {
        let Some(mut primary) = server(name) else { return };
        primary.database("ledger").await;
        let replica = primary.replica().await;
        let url = primary.url_of_either(&replica, "ledger");
        let load = Load::begin(&url).await;
        load.newest().wait_for(|newest| *newest >= 100).await.expect("open");
        primary.kill();
        replica.promote();
        load.ends().await;
        granted += GRANTED;
    }
    say(&format!(
        "{rounds} failovers to a synchronous replica under load: {granted} refunds granted and found again, 0 over, 0 doubles"
    ));
}
