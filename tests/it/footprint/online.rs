//! An online refund through the ledger and each upstream's own adapter: one sync before it is sent, one after.

use tillbook::domain::Event;
use tillbook::sandbox::{NewOrder, Upstream};
use tillbook::{Money, RefundRequest, RefundState, Requested};

use super::disk::Done;
use super::till::{Till, account};
use crate::support::gateways::UPSTREAMS;
use crate::support::say;

/// The states that the answers of a refund tell, one after the other. Fubei only ever accepts: it is asked for the end.
fn told_by(upstream: Upstream) -> &'static [RefundState] {
    match upstream {
        Upstream::Fubei => &[RefundState::Accepted, RefundState::Succeeded],
        Upstream::TradeOrder | Upstream::Hydrogen => &[RefundState::Succeeded],
    }
}

#[tokio::test(start_paused = true)]
async fn an_online_refund_is_two_syncs_also_where_it_is_accepted_first_and_asked_about() {
    for upstream in UPSTREAMS {
        let Till { disk, sandbox, ledger, .. } = &Till::open(upstream).await;
        let order = sandbox.add_order(upstream, NewOrder::paid(8_000)).expect("the sandbox takes it");
        let wanted = order.id.parse().expect("a number");
        ledger.fetch(&account(), &wanted).await.expect("fetched");
        disk.take();
        let amount = Requested::Exactly(Money::from_fen(3_000).expect("valid"));
        let request = RefundRequest::new(account(), wanted, amount, ledger.make_key());
        let refunded = ledger.refund(request).await.expect("refunded");
        let Done { writes, bytes, syncs, .. } = disk.take();
        say(&format!("a refund at {}: {syncs} syncs, {bytes} bytes", upstream.name()));
        assert_eq!((refunded.refund.state, writes, syncs), (RefundState::Succeeded, 2, 2), "{upstream}");
        let events = ledger.events_of(&refunded.order.id).await.expect("readable");
        let states = events.iter().filter_map(|entry| match &entry.event {
            Event::Answered { state, .. } => Some(*state),
            _ => None,
        });
        assert_eq!(states.collect::<Vec<_>>(), told_by(upstream), "{upstream}");
        ledger.close().await.expect("closed");
    }
}
