//! Which refunds a ledger lists, and what they add up to, judged by a slow and obvious sum.

use std::collections::BTreeMap;

use tillbook::{
    Ledger, Money, Page, RefundQuery, RefundRequest, RefundState, RefundTotal, Repeat, Requested, Sending, Wanted,
};

use crate::ledger::{account, key, ledger, request, sync, yuan};
use crate::support::desk::{Desk, Does};

/// More than two chunks of what is read at once.
const MANY: usize = 600;

/// Refunds of many orders, a third of them sent with mixed success, by three people.
async fn stocked(desk: &Desk) -> Ledger {
    let ledger = ledger(desk).await;
    let orders: Vec<_> = (0..MANY).map(|number| desk.order(&format!("{number:04}"), "80.00")).collect();
    sync(&ledger).await;
    for (number, order) in orders.iter().enumerate() {
        let sending = if number % 3 == 0 { Sending::Now } else { Sending::QueueOnly };
        match number % 9 {
            0 => desk.script([Does::Decline]),
            3 => desk.script([Does::LoseAnswer]),
            _ => {}
        }
        let by = ["小李", "小王", "kiosk"].get(number % 4).map(|by| (*by).to_owned());
        let requested =
            Requested::Exactly(Money::from_fen(100 + i64::try_from(number).expect("small")).expect("valid"));
        let asked = RefundRequest {
            requested,
            by,
            sending,
            repeat: Repeat::Allowed,
            ..request(order, &format!("r-{number}"), "all")
        };
        ledger.refund(asked).await.expect("held");
    }
    ledger
}

/// Page after page.
async fn listed(ledger: &Ledger, query: &RefundQuery, limit: usize) -> Vec<(RefundState, String)> {
    let (mut all, mut page) = (Vec::new(), Page { limit, after: None });
    loop {
        let list = ledger.refunds(query, &page).await.expect("reads");
        assert!(list.refunds.len() == limit || list.next.is_none(), "a page is short only at the end");
        all.extend(list.refunds.iter().map(|(_, refund)| (refund.state, refund.key.to_string())));
        match list.next {
            Some(next) => page.after = Some(next),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_the_sum_of_all_pages_whatever_is_asked_for() {
    let desk = Desk::new();
    let ledger = stocked(&desk).await;
    let everything = ledger.refunds(&RefundQuery::default(), &Page { limit: usize::MAX, after: None }).await;
    let everything = everything.expect("reads").refunds;
    assert_eq!(everything.len(), MANY);
    let middle = everything.iter().map(|(_, refund)| refund.requested_at).nth(MANY / 2);
    let queries = [
        RefundQuery::default(),
        RefundQuery { state: Some(RefundState::Queued), ..RefundQuery::default() },
        RefundQuery { state: Some(RefundState::Reversed), ..RefundQuery::default() },
        RefundQuery { by: Some("小李".to_owned()), ..RefundQuery::default() },
        RefundQuery { by: Some("nobody".to_owned()), ..RefundQuery::default() },
        RefundQuery { from: middle, ..RefundQuery::default() },
        RefundQuery { to: middle, account: Some(account()), ..RefundQuery::default() },
        RefundQuery { account: Some("shop-2".parse().expect("a name")), ..RefundQuery::default() },
    ];
    let mut seen = Vec::new();
    for query in queries {
        let mut wanted: BTreeMap<RefundState, RefundTotal> = BTreeMap::new();
        let mut keys = Vec::new();
        for (record, refund) in &everything {
            if query.wants(record, refund) {
                let total = wanted.entry(refund.state).or_default();
                *total = RefundTotal {
                    count: total.count + 1,
                    amount: total.amount.checked_add(refund.amount).expect("small"),
                };
                keys.push((refund.state, refund.key.to_string()));
            }
        }
        assert_eq!(ledger.refund_totals(&query).await.expect("reads"), wanted, "{query:?}");
        for limit in [1, 7, 256, 1_000] {
            assert_eq!(listed(&ledger, &query, limit).await, keys, "{query:?} by {limit}");
        }
        seen.push(keys.len());
    }
    assert_eq!((seen[0], seen[1], seen[2], seen[3], seen[4], seen[7]), (600, 400, 0, 150, 0, 0));
    assert_eq!(seen[5] + seen[6], 600, "a time belongs to one side");
}

#[tokio::test]
async fn what_holds_money_is_listed_before_what_is_over() {
    let desk = Desk::new();
    let ledger = ledger(&desk).await;
    desk.script([Does::Succeed, Does::Decline, Does::LoseAnswer]);
    for name in ["done", "declined", "doubt"] {
        let order = desk.order(name, "80.00");
        ledger.refund(request(&order, name, "1.00")).await.expect("sent");
    }
    let order = desk.order("waits", "80.00");
    ledger.fetch(&account(), &Wanted::from(order.clone())).await.expect("fetched");
    ledger
        .refund(RefundRequest { sending: Sending::QueueOnly, ..request(&order, "waits", "1.00") })
        .await
        .expect("held");
    let keys: Vec<String> =
        listed(&ledger, &RefundQuery::default(), 10).await.into_iter().map(|(_, refund)| refund).collect();
    assert_eq!(keys, ["waits", "doubt", "done", "declined"]);
    let one = BTreeMap::from([(RefundState::Queued, RefundTotal { count: 1, amount: yuan("1.00") })]);
    let queued = RefundQuery { state: Some(RefundState::Queued), ..RefundQuery::default() };
    assert_eq!(ledger.refund_totals(&queued).await.expect("reads"), one);
    ledger.cancel(&account(), &key("waits"), None).await.expect("withdrawn");
    assert_eq!(ledger.refund_totals(&queued).await.expect("reads"), BTreeMap::new());
}

#[tokio::test]
async fn a_page_of_another_query_is_refused() {
    let ledger = ledger(&Desk::new()).await;
    let declined = RefundQuery { state: Some(RefundState::Declined), ..RefundQuery::default() };
    for (query, after) in [
        (&RefundQuery::default(), "nonsense"),
        (&RefundQuery::default(), "queued"),
        (&RefundQuery::default(), "queued/1/shop 1/k"),
        (&declined, "queued/1/shop-1/k"),
    ] {
        let page = Page { limit: 10, after: Some(after.to_owned()) };
        let refused = ledger.refunds(query, &page).await.expect_err("refused");
        assert_eq!(refused.kind(), "malformed", "{after}");
    }
}
