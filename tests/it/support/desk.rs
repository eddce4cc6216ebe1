//! An upstream in memory that does what it is told: for tests of the ledger itself, without a wire.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tillbook::domain::{
    Answer, BlockReason, Facts, Finding, GatewayName, Money, OrderStatus, Outcome, PaidAtSource, Reference, RefundKey,
    Timestamp,
};
use tillbook::gateway::{
    BoxFuture, Capabilities, Checked, Gateway, Mentioned, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind,
    RefundCall,
};
use tokio::sync::Semaphore;

/// What happens to one refund call.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Refunds, and says so.
    Succeed,
    /// Refunds, and says only that it was accepted; a probe tells the rest.
    Accept,
    /// Refunds, and the answer is lost.
    LoseAnswer,
    /// Does nothing, and the answer is lost.
    LoseRequest,
    /// The request never leaves.
    NotSend,
    /// Refuses for a reason that is not the refund's.
    Block(BlockReason),
    /// Refuses.
    Decline,
    /// Refunds, and panics.
    Panic,
}

/// What a test does before a page of a list is given: it may change the books, or refuse the page.
type Before = Box<dyn FnMut(PageAt) -> Result<(), ReadError> + Send>;

/// How the desk lists its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    /// From new to old, bounded by time where asked for, each with its facts.
    ByTime,
    /// From new to old, whatever time is asked for.
    Whole,
    /// From old to new, whatever time is asked for.
    OldestFirst,
    /// From new to old, and the last page has a `next`.
    NextIsAlwaysSet,
    /// The first page again and again.
    FirstPageForEver,
}

#[derive(Default)]
struct Books {
    orders: BTreeMap<String, Facts>,
    refunds: Vec<(String, RefundKey, Money)>,
    script: VecDeque<Does>,
    down: Option<ReadError>,
    unreadable: BTreeMap<String, ReadErrorKind>,
    only_names: bool,
    probes_are_silent: bool,
    reads: u64,
    refund_calls: u64,
    /// Each page asked for: from when, and from which row.
    pages: Vec<(Option<Timestamp>, u64)>,
    /// Each order asked for by number.
    fetched: Vec<String>,
    /// No list shows these.
    hidden: Vec<String>,
}

/// The upstream: clones are one.
#[derive(Clone)]
pub(crate) struct Desk {
    books: Arc<Mutex<Books>>,
    takes_client_number: bool,
    lists: Lists,
    merchant: &'static str,
    before_page: Arc<Mutex<Option<Before>>>,
    /// Each fetch and each refund uses up a permit: a test that takes them away decides when.
    pub(crate) gate: Arc<Semaphore>,
    /// The same for questions what became of a refund; closed, it makes them panic.
    pub(crate) questions: Arc<Semaphore>,
}

impl Desk {
    /// An upstream that takes a client refund number and whose gate is open.
    pub(crate) fn new() -> Desk {
        Desk {
            books: Arc::default(),
            takes_client_number: true,
            lists: Lists::ByTime,
            merchant: "m1",
            before_page: Arc::default(),
            gate: Arc::new(Semaphore::new(1_000_000)),
            questions: Arc::new(Semaphore::new(1_000_000)),
        }
    }

    /// One that takes none.
    pub(crate) fn without_client_number() -> Desk {
        Desk { takes_client_number: false, ..Desk::new() }
    }

    /// One that lists its orders in that way.
    pub(crate) fn that_lists(lists: Lists) -> Desk {
        Desk { lists, ..Desk::new() }
    }

    /// One of another merchant.
    pub(crate) fn of(merchant: &'static str) -> Desk {
        Desk { merchant, ..Desk::new() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no test panics with the books open")
    }

    /// Adds a paid order and gives its number.
    pub(crate) fn order(&self, number: &str, paid: &str) -> Reference {
        let native = Reference::new("order_sn", number).expect("a number");
        let facts = Facts {
            gateway: GatewayName::new("desk").expect("a name"),
            merchant: self.merchant.to_owned(),
            references: BTreeMap::from([
                ("order_sn".to_owned(), number.to_owned()),
                ("receipt".to_owned(), format!("r{number}")),
            ]),
            native: Some(native.clone()),
            status: OrderStatus::Paid,
            upstream_status: "SUCCESS".to_owned(),
            payment_method: None,
            currency: "CNY".to_owned(),
            total: None,
            paid: paid.parse().expect("an amount"),
            refunded: Some(Money::ZERO),
            refund_count: Some(0),
            upstream_refund_status: None,
            paid_at: Some(now()),
            paid_at_source: PaidAtSource::Upstream,
            created_at: None,
            updated_at: None,
            details: BTreeMap::new(),
            asked_at: now(),
            upstream_time: None,
            body: None,
        };
        self.books().orders.insert(number.to_owned(), facts);
        native
    }

    /// Adds a paid order made at that time.
    pub(crate) fn order_made(&self, number: &str, paid: &str, at: Timestamp) -> Reference {
        let native = self.order(number, paid);
        self.change(number, |facts| (facts.created_at, facts.paid_at) = (Some(at), Some(at)));
        native
    }

    /// Does this before each page of a list.
    pub(crate) fn before_page(&self, act: impl FnMut(PageAt) -> Result<(), ReadError> + Send + 'static) {
        *self.before_page.lock().expect("no test panics in there") = Some(Box::new(act));
    }

    /// No list shows these orders from here on.
    pub(crate) fn hide_from_lists(&self, numbers: Vec<String>) {
        self.books().hidden.extend(numbers);
    }

    /// Each page asked for since the last time: from when, and from which row.
    pub(crate) fn pages(&self) -> Vec<(Option<Timestamp>, u64)> {
        std::mem::take(&mut self.books().pages)
    }

    /// Each order asked for by number since the last time.
    pub(crate) fn fetched(&self) -> Vec<String> {
        std::mem::take(&mut self.books().fetched)
    }

    pub(crate) fn change(&self, number: &str, change: impl FnOnce(&mut Facts)) {
        change(self.books().orders.get_mut(number).expect("an order of this desk"));
    }

    /// The desk has no such order any more.
    pub(crate) fn forget(&self, number: &str) {
        self.books().orders.remove(number);
    }

    /// What the next refund calls do; after the script each succeeds.
    pub(crate) fn script(&self, script: impl IntoIterator<Item = Does>) {
        self.books().script.extend(script);
    }

    /// No read comes through while this is set.
    pub(crate) fn down(&self, kind: Option<ReadErrorKind>) {
        self.books().down = kind.map(|kind| ReadError::new(kind, "the desk is closed"));
    }

    /// One order cannot be fetched, all others can.
    pub(crate) fn refuse_reads_of(&self, number: &str, kind: ReadErrorKind) {
        self.books().unreadable.insert(number.to_owned(), kind);
    }

    /// Lists name their orders from here on, without facts.
    pub(crate) fn only_name_orders(&self) {
        self.books().only_names = true;
    }

    /// What a fetch of the order would tell now.
    pub(crate) fn facts(&self, number: &str) -> Facts {
        self.books().facts(number).expect("an order of this desk")
    }

    /// Probes find nothing, as if the refund were still on its way.
    pub(crate) fn silence_probes(&self, silent: bool) {
        self.books().probes_are_silent = silent;
    }

    /// Somebody refunds at the counter next door.
    pub(crate) fn refund_elsewhere(&self, number: &str, amount: &str) {
        let elsewhere = RefundKey::new("elsewhere").expect("a key");
        self.books().refunds.push((number.to_owned(), elsewhere, amount.parse().expect("an amount")));
    }

    pub(crate) fn money_out(&self, number: &str) -> Money {
        self.books().money_out(number)
    }

    /// How often a refund of that key was executed.
    pub(crate) fn executed(&self, key: &RefundKey) -> usize {
        self.books().refunds.iter().filter(|(_, executed, _)| executed == key).count()
    }

    pub(crate) fn refund_calls(&self) -> u64 {
        self.books().refund_calls
    }

    pub(crate) fn calls(&self) -> u64 {
        let books = self.books();
        books.refund_calls + books.reads
    }
}

impl Books {
    fn money_out(&self, number: &str) -> Money {
        Money::total(self.refunds.iter().filter(|(order, ..)| order == number).map(|(.., amount)| *amount))
    }

    fn facts(&self, number: &str) -> Option<Facts> {
        let mut facts = self.orders.get(number)?.clone();
        if facts.refunded.is_some() {
            facts.refunded = Some(self.money_out(number));
            let count = self.refunds.iter().filter(|(order, ..)| order == number).count();
            facts.refund_count = u32::try_from(count).ok();
        }
        facts.asked_at = now();
        Some(facts)
    }

    fn execute(&mut self, call: &RefundCall) -> bool {
        let number = &call.native.number;
        let paid = self.orders.get(number).map_or(Money::ZERO, |facts| facts.paid);
        let fits = self.money_out(number).saturating_add(call.refund.amount) <= paid;
        if fits {
            self.refunds.push((number.clone(), call.refund.key.clone(), call.refund.amount));
        }
        fits
    }
}

fn now() -> Timestamp {
    jiff::Timestamp::now().into()
}

impl Gateway for Desk {
    fn name(&self) -> GatewayName {
        GatewayName::new("desk").expect("a name")
    }

    fn merchant(&self) -> Option<String> {
        Some(self.merchant.to_owned())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            refunds: true,
            lists_orders: true,
            lists_by_time: self.lists == Lists::ByTime,
            lists_every_order: !self.books().only_names,
            client_refund_number: self.takes_client_number,
            totals_count_pending: false,
            lists_refunds: false,
            fence: false,
            fetch_by: &["order_sn"],
            refund_window: None,
            refunds_per_order: None,
            calls_per_minute: None,
        }
    }

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(async move {
            self.gate.acquire().await.expect("the gate stays").forget();
            let mut books = self.books();
            if let Some(error) = books.down.clone() {
                return Err(error);
            }
            books.reads += 1;
            let known = |reference: &Reference| {
                books.orders.iter().find(|(_, facts)| facts.references.get(&reference.kind) == Some(&reference.number))
            };
            let number = wanted.iter().find_map(known).map(|(number, _)| number.clone());
            books.fetched.extend(number.clone());
            if let Some(kind) = number.as_ref().and_then(|number| books.unreadable.get(number)) {
                return Err(ReadError::new(*kind, "not this order"));
            }
            Ok(number.and_then(|number| books.facts(&number)))
        })
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async move {
            tokio::task::yield_now().await; // a place at which a caller may go away
            if let Some(act) = &mut *self.before_page.lock().expect("no test panics in there") {
                act(page)?;
            }
            let mut books = self.books();
            if let Some(error) = books.down.clone() {
                return Err(error);
            }
            books.reads += 1;
            books.pages.push((wanted.from, page.offset));
            let from = wanted.from.filter(|_| self.lists == Lists::ByTime);
            let is_wanted = |facts: &&Facts| from.is_none_or(|from| facts.created_at.is_none_or(|at| at >= from));
            let shown = books.orders.iter().filter(|(number, _)| !books.hidden.contains(number));
            let mut rows: Vec<&Facts> = shown.map(|(_, facts)| facts).filter(is_wanted).collect();
            rows.sort_by_key(|facts| std::cmp::Reverse(facts.created_at));
            if self.lists == Lists::OldestFirst {
                rows.reverse();
            }
            let numbers: Vec<String> =
                rows.into_iter().filter_map(|facts| facts.native.clone()).map(|n| n.number).collect();
            let offset = if self.lists == Lists::FirstPageForEver { 0 } else { page.offset };
            let skip = usize::try_from(offset).expect("small");
            let most = usize::try_from(page.limit).expect("small");
            let orders: Vec<Facts> =
                numbers.iter().skip(skip).take(most).filter_map(|number| books.facts(number)).collect();
            let end = page.offset + orders.len() as u64;
            let next = match self.lists {
                Lists::NextIsAlwaysSet => Some(page.offset + u64::from(page.limit)),
                Lists::FirstPageForEver => Some(end),
                _ => (end < numbers.len() as u64).then_some(end),
            };
            let (orders, mentioned) = if books.only_names {
                (Vec::new(), orders.into_iter().filter_map(mentioned).collect())
            } else {
                (orders, Vec::new())
            };
            Ok(OrderPage { orders, mentioned, bad_rows: Vec::new(), next, total: Some(numbers.len() as u64) })
        })
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.gate.acquire().await.expect("the gate stays").forget();
            let (does, fits) = {
                let mut books = self.books();
                books.refund_calls += 1;
                let does = books.script.pop_front().unwrap_or(Does::Succeed);
                let executes = matches!(does, Does::Succeed | Does::Accept | Does::LoseAnswer | Does::Panic);
                (does, executes && books.execute(call))
            };
            let told = |outcome| Answer::new(outcome, now());
            match does {
                Does::Succeed if fits => told(Outcome::Succeeded),
                Does::Accept if fits => told(Outcome::Accepted),
                Does::Succeed | Does::Accept | Does::Decline => {
                    Answer { code: Some("12063".to_owned()), ..told(Outcome::Declined) }
                }
                Does::LoseAnswer | Does::LoseRequest => told(Outcome::InDoubt),
                Does::NotSend => told(Outcome::NotSent),
                Does::Block(reason) => Answer { blocked: Some(reason), ..told(Outcome::Blocked) },
                Does::Panic => panic!("the desk fell over"),
            }
        })
    }

    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            self.questions.acquire().await.expect("not closed").forget();
            let books = self.books();
            if let Some(error) = books.down.clone() {
                return Err(error);
            }
            let done = !books.probes_are_silent && books.refunds.iter().any(|(_, key, _)| *key == call.refund.key);
            let answer = Answer::new(if done { Outcome::Succeeded } else { Outcome::InDoubt }, now());
            Ok(Finding::new(answer, now()))
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        let down = self.books().down.clone();
        let checked = Checked { proven: vec!["open".to_owned()], warnings: Vec::new(), upstream_time: None };
        Box::pin(async move { down.map_or(Ok(checked), Err) })
    }
}

/// The order as a bill names it.
fn mentioned(facts: Facts) -> Option<Mentioned> {
    Some(Mentioned { number: facts.native?, paid: Some(facts.paid), paid_at: facts.paid_at })
}
