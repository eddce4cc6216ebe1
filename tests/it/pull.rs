//! Orders come in by list and one by one: none is lost and none comes twice, wherever a round ends.

mod clocks;
mod interrupted;
mod unfinished;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tillbook::domain::DeviceName;
use tillbook::storage::Storage;
use tillbook::storage::memory::Memory;
use tillbook::sync::AccountReport;
use tillbook::{AccountName, AccountSettings, Clock, Ledger, OrderQuery, Page, RefundStatus, Timestamp};

use crate::ledger::{account, sync};
use crate::support::desk::{Desk, Lists};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A clock that stands where a test sets it.
#[derive(Clone)]
struct Hands(Arc<Mutex<Timestamp>>);

impl Hands {
    fn at_now() -> Hands {
        Hands(Arc::new(Mutex::new(jiff::Timestamp::now().into())))
    }

    fn set(&self, at: Timestamp) {
        *self.0.lock().expect("no test panics in there") = at;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panics in there")
    }
}

/// A till with its storage in reach, at a time of the test's choice.
struct Till {
    ledger: Ledger,
    storage: Arc<Memory>,
    hands: Hands,
}

impl Till {
    async fn of(desk: &Desk) -> Till {
        let hands = Hands::at_now();
        let storage = Arc::new(Memory::new(DeviceName::new("till").expect("a name")));
        let builder = Ledger::builder().clock(Arc::new(hands.clone()));
        let ledger = builder.storage(storage.clone()).await.expect("opens");
        ledger.connect(account(), Arc::new(desk.clone()), AccountSettings::default()).expect("connects");
        Till { ledger, storage, hands }
    }

    async fn sync(&self) -> AccountReport {
        sync(&self.ledger).await.accounts.remove(&account()).expect("the account's report")
    }

    /// The numbers of all orders of an account here.
    async fn numbers_of(&self, account: AccountName) -> Vec<String> {
        let query = OrderQuery { account: Some(account), ..OrderQuery::default() };
        let page = self.ledger.orders(&query, &Page { limit: 100_000, after: None }).await.expect("reads");
        let numbers = page.orders.iter().map(|record| record.facts.native.clone().expect("listed").number);
        let mut numbers: Vec<String> = numbers.collect();
        numbers.sort();
        numbers
    }

    async fn numbers(&self) -> Vec<String> {
        self.numbers_of(account()).await
    }
}

fn ago(by: Duration) -> Timestamp {
    Timestamp::from(jiff::Timestamp::now()).saturating_sub(by)
}

/// Adds that many orders, one a minute, the newest made `youngest` ago.
fn fill(desk: &Desk, name: &str, count: u32, youngest: Duration) {
    for nth in 0..count {
        desk.order_made(&format!("{name}{nth:04}"), "80.00", ago(youngest + MINUTE * nth));
    }
}

/// The numbers of all orders upstream.
fn all(names: &[(&str, u32)]) -> Vec<String> {
    let each = |(name, count): &(&str, u32)| (0..*count).map(|nth| format!("{name}{nth:04}")).collect::<Vec<_>>();
    let set: BTreeSet<String> = names.iter().flat_map(each).collect();
    set.into_iter().collect()
}

fn offsets(desk: &Desk) -> Vec<u64> {
    desk.pages().into_iter().map(|(_, offset)| offset).collect()
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_then_only_its_last_day() {
    for (lists, again) in [
        (Lists::ByTime, vec![0]),
        (Lists::Whole, vec![0, 100]), // the second page lies wholly below the day
        (Lists::OldestFirst, vec![0, 100, 200]),
        (Lists::NextIsAlwaysSet, vec![0, 100]),
    ] {
        let desk = Desk::that_lists(lists);
        fill(&desk, "new", 50, MINUTE);
        fill(&desk, "old", 200, DAY * 3);
        let till = Till::of(&desk).await;
        let report = till.sync().await;
        assert_eq!((report.orders_new, report.orders_unchanged, report.problems), (250, 0, vec![]), "{lists:?}");
        assert_eq!(till.numbers().await, all(&[("new", 50), ("old", 200)]), "{lists:?}");
        desk.pages();
        assert_eq!(till.sync().await.problems, Vec::<String>::new(), "{lists:?}");
        assert_eq!(offsets(&desk), again, "{lists:?}");
    }
}

#[tokio::test]
async fn a_first_pull_goes_back_as_far_as_the_accounts_history() {
    for lists in [Lists::ByTime, Lists::Whole] {
        let desk = Desk::that_lists(lists);
        fill(&desk, "new", 100, MINUTE);
        fill(&desk, "older", 150, DAY * 91);
        let till = Till::of(&desk).await;
        till.sync().await;
        // A list that cannot be bounded brings the page on which its end is seen.
        let older = if lists == Lists::ByTime { 0 } else { 100 };
        assert_eq!(till.numbers().await, all(&[("new", 100), ("older", older)]), "{lists:?}");
    }
}

#[tokio::test]
async fn a_round_that_found_nothing_new_leaves_the_position_as_it_was() {
    for count in [1, 250] {
        let desk = Desk::new();
        fill(&desk, "o", count, MINUTE);
        let till = Till::of(&desk).await;
        till.sync().await;
        let kept = till.storage.cursor("pull:shop-1:list").await.expect("reads");
        till.sync().await;
        assert_eq!(till.storage.cursor("pull:shop-1:list").await.expect("reads"), kept);
        assert_eq!(till.storage.cursor("pull:shop-1:unfinished").await.expect("reads"), None);
        assert_eq!(till.ledger.events(count.into(), 1).await.expect("reads"), []);
    }
}

#[tokio::test]
async fn a_list_that_repeats_its_first_page_for_ever_is_left() {
    let desk = Desk::that_lists(Lists::FirstPageForEver);
    fill(&desk, "o", 100, MINUTE);
    let till = Till::of(&desk).await;
    for _ in 0..2 {
        let report = till.sync().await;
        let problem = "the list does not go on after row 300: it gives the same rows again";
        assert_eq!((report.pages, report.problems), (4, vec![problem.to_owned()]));
    }
    // What is new on the page it does give is seen all the same.
    desk.order_made("p", "80.00", ago(Duration::ZERO));
    till.sync().await;
    assert!(till.numbers().await.contains(&"p".to_owned()));
}

#[tokio::test]
async fn a_late_change_is_seen_in_the_last_day_at_once_and_before_it_within_a_day() {
    for lists in [Lists::ByTime, Lists::Whole, Lists::OldestFirst] {
        let desk = Desk::that_lists(lists);
        fill(&desk, "new", 150, MINUTE);
        fill(&desk, "old", 250, DAY * 30);
        let till = Till::of(&desk).await;
        till.sync().await;
        // The first page below the day is where it is seen to end; this one is on the page after it.
        let refunded = async |number: &str| {
            let order = desk.facts(number).native.expect("a number").into();
            let record = till.ledger.known_order(&account(), &order).await.expect("reads").expect("known");
            record.refund_status() == RefundStatus::Partial
        };
        desk.refund_elsewhere("new0149", "1.00");
        desk.refund_elsewhere("old0249", "1.00");
        assert_eq!(till.sync().await.orders_changed, if lists == Lists::OldestFirst { 2 } else { 1 }, "{lists:?}");
        assert!(refunded("new0149").await, "{lists:?}");
        assert_eq!(refunded("old0249").await, lists == Lists::OldestFirst, "{lists:?}");
        till.hands.set(till.hands.now().saturating_add(DAY));
        till.sync().await;
        assert!(refunded("old0249").await, "{lists:?}");
    }
}

#[tokio::test]
async fn a_position_that_cannot_be_read_is_said_so_and_read_anew() {
    for text in ["", "hush", "{\"version\":\"9\"}"] {
        let desk = Desk::new();
        fill(&desk, "o", 150, MINUTE);
        let till = Till::of(&desk).await;
        till.storage.put_cursor("pull:shop-1:list", text.to_owned()).await.expect("writes");
        till.storage.put_cursor("pull:shop-1:unfinished", text.to_owned()).await.expect("writes");
        let report = till.sync().await;
        assert_eq!((report.orders_new, report.problems.len()), (150, 2), "{report:?}");
        for (problem, name) in report.problems.iter().zip(["list", "unfinished"]) {
            let want = format!("the position pull:shop-1:{name} cannot be read, so it begins anew: ");
            assert!(problem.starts_with(&want), "{problem}");
        }
        let report = till.sync().await;
        // Only what was read through has a new position; the other was never needed.
        assert!(report.problems.iter().all(|problem| !problem.contains(":list")), "{report:?}");
    }
}

#[tokio::test]
async fn each_account_has_its_own_position() {
    let (one, two) = (Desk::new(), Desk::of("m2"));
    fill(&one, "a", 150, MINUTE);
    fill(&two, "b", 120, DAY * 5);
    let till = Till::of(&one).await;
    let second = AccountName::new("shop-2").expect("a name");
    till.ledger.connect(second.clone(), Arc::new(two.clone()), AccountSettings::default()).expect("connects");
    till.sync().await;
    assert_eq!(till.numbers().await, all(&[("a", 150)]));
    assert_eq!(till.numbers_of(second).await, all(&[("b", 120)]));
    let bounds = |desk: &Desk| desk.pages().last().expect("a page").0.expect("bounded");
    (one.pages(), two.pages());
    till.sync().await;
    assert!(bounds(&one) > ago(DAY * 2) && bounds(&two) < ago(DAY * 5));
}
