//! A full refund over loopback HTTP: the ledger's own share of it, beside the bare call.
//!
//! The ledger asks for fresh facts, holds, sends, keeps the outcome and, where the answer settles nothing, asks once more.
//! Its share is what remains of a refund's time without the time inside the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::fubei::{FubeiGateway, FubeiSettings};
use tillbook::clients::http::HttpSettings;
use tillbook::domain::{Answer, Facts, Finding, GatewayName, Refund};
use tillbook::gateway::{Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, RefundCall};
use tillbook::sandbox::{NewOrder, Sandbox, Upstream};
use tillbook::{
    AccountName, AccountSettings, Ledger, Money, Profile, Reference, RefundKey, RefundRequest, Requested, Timestamp,
    Wanted,
};

use crate::child::{Job, Run};
use crate::contender::BoxFuture;
use crate::hold::latencies;
use crate::machine::cpu_time;
use crate::sample::{Disk, Turn};
use crate::stage::LEDGER;
use crate::works::{Task, lookup};

pub const WORK: &str = "a full refund over loopback";
/// One call of the upstream's refund operation.
pub const BARE: &str = "the bare call, p50 us";
/// A refund through the ledger without what its gateway took.
pub const SHARE: &str = "the ledger's share, p50 us";
/// One plain append of a hold's bytes with fdatasync.
pub const SYNC: &str = "one fdatasync, p50 us";
const WHOLE: &str = "through the ledger, p50 us";
const CALLS: &str = "calls of the gateway per refund";
const BARE_CPU: &str = "CPU of the bare call, us (the sandbox's included)";
const SAME_CPU: &str = "CPU of the calls that the ledger makes, us (the sandbox's included)";
const WHOLE_CPU: &str = "CPU through the ledger, us (the sandbox's included)";

pub fn run(run: &mut Run) {
    let directory = run.directory.join("loopback");
    for disk in [Disk::Fast, Disk::Slow] {
        run.child(Task::Loopback, disk, &directory, &[LEDGER.to_owned()]);
        let _ = std::fs::remove_dir_all(&directory);
    }
}

/// A gateway that adds up how long its calls took.
struct Timed {
    inner: FubeiGateway,
    inside_ns: AtomicU64,
    calls: AtomicU64,
}

impl Timed {
    async fn timed<T>(&self, call: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let answer = call.await;
        let took = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.inside_ns.fetch_add(took, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// The time inside and the calls since the last question.
    fn taken(&self) -> (Duration, u64) {
        (Duration::from_nanos(self.inside_ns.swap(0, Ordering::Relaxed)), self.calls.swap(0, Ordering::Relaxed))
    }
}

impl Gateway for Timed {
    fn name(&self) -> GatewayName {
        self.inner.name()
    }

    fn merchant(&self) -> Option<String> {
        self.inner.merchant()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(self.timed(self.inner.fetch_order(wanted)))
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(self.timed(self.inner.list_orders(wanted, page)))
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(self.timed(self.inner.refund(call)))
    }

    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(self.timed(self.inner.probe(call)))
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(self.timed(self.inner.check()))
    }
}

/// What each order paid.
const PAID_FEN: i64 = 8_000;

pub async fn act(job: &Job) {
    let sandbox = Sandbox::start().await.expect("a port of the loopback is free");
    let known = sandbox.credentials();
    let secret = Arc::new(StaticSecret::new(known.fubei_secret));
    let settings = FubeiSettings::new(HttpSettings::new(sandbox.base_url()), known.fubei_app_id, secret);
    let inner = FubeiGateway::new(settings).expect("good settings");
    let gateway = Arc::new(Timed { inner, inside_ns: AtomicU64::new(0), calls: AtomicU64::new(0) });
    let account: AccountName = "shop-1".parse().expect("a name");
    let builder = Ledger::builder().device("till-3".parse().expect("a name")).profile(Profile::Server);
    let ledger = builder.open(job.directory.join(LEDGER)).await.expect("opens");
    let shared = Arc::clone(&gateway) as Arc<dyn Gateway>;
    ledger.connect(account.clone(), shared, AccountSettings::default()).expect("connects");
    let turn = Turn { work: WORK, disk: job.disk, who: LEDGER };
    for round in 0..=job.scale.rounds {
        let refunds = job.scale.refunds;
        let orders: Vec<String> = (0..3 * refunds)
            .map(|_| sandbox.add_order(Upstream::Fubei, NewOrder::paid(PAID_FEN)).expect("an order").id)
            .collect();
        let (bare_orders, others) = orders.split_at(refunds as usize);
        let (same_orders, ledger_orders) = others.split_at(refunds as usize);

        let (mut bare, cpu) = (latencies(), cpu_time());
        for order in bare_orders {
            let call = call(order, &format!("bare-{round}-{order}"));
            let since = Instant::now();
            let answer = gateway.inner.refund(&call).await;
            bare.saturating_record(since.elapsed().as_nanos() as u64);
            assert!(answer.code.as_deref() != Some("4902"), "{answer:?}");
        }
        let bare_cpu = cpu_time().saturating_sub(cpu);

        // What the ledger asks of the gateway for one refund, with no ledger.
        let cpu = cpu_time();
        for order in same_orders {
            let call = call(order, &format!("same-{round}-{order}"));
            gateway.inner.fetch_order(&call.references).await.expect("the sandbox answers");
            gateway.inner.refund(&call).await;
            gateway.inner.probe(&call).await.expect("the sandbox answers");
        }
        let same_cpu = cpu_time().saturating_sub(cpu);

        for order in ledger_orders {
            ledger.fetch(&account, &Wanted::from(native(order))).await.expect("the sandbox knows it");
        }
        gateway.taken();
        let (mut whole, mut share, mut calls, cpu) = (latencies(), latencies(), 0, cpu_time());
        for order in ledger_orders {
            let key = RefundKey::new(format!("till3-{round}-{order}")).expect("a key");
            let request = RefundRequest::new(account.clone(), Wanted::from(native(order)), Requested::All, key);
            let since = Instant::now();
            let refunded = ledger.refund(request).await.expect("no rule refuses it");
            let took = since.elapsed();
            assert_eq!(refunded.order.refundable(), Money::ZERO, "{refunded:?}");
            let (inside, made) = gateway.taken();
            whole.saturating_record(took.as_nanos() as u64);
            share.saturating_record(took.saturating_sub(inside).as_nanos() as u64);
            calls += made;
        }
        let whole_cpu = cpu_time().saturating_sub(cpu);

        let sync = sync_time(&job.directory.join("sync"));
        if round == 0 {
            continue; // Connections, caches and code are warm from here on.
        }
        let each = |time: Duration| lookup::us(time) / refunds as f64;
        let p50 = |took: &hdrhistogram::Histogram<u64>| took.value_at_quantile(0.5) as f64 / 1_000.0;
        turn.tell(BARE, p50(&bare));
        turn.tell(WHOLE, p50(&whole));
        turn.tell(SHARE, p50(&share));
        turn.tell(SYNC, sync);
        turn.tell(CALLS, calls as f64 / refunds as f64);
        turn.tell(BARE_CPU, each(bare_cpu));
        turn.tell(SAME_CPU, each(same_cpu));
        turn.tell(WHOLE_CPU, each(whole_cpu));
    }
    ledger.close().await.expect("closes");
}

fn native(order: &str) -> Reference {
    Reference::new("order_sn", order).expect("a number")
}

/// A full refund as the ledger would hand it to the gateway.
fn call(order: &str, key: &str) -> RefundCall {
    let (paid, key) = (Money::from_fen(PAID_FEN).expect("an amount"), RefundKey::new(key).expect("a key"));
    let device = "till-3".parse().expect("a name");
    let refund = Refund::queued(key, Requested::Exactly(paid), paid, device, Timestamp::EPOCH);
    let native = native(order);
    RefundCall { refund, references: vec![native.clone()], native, paid, baseline: None, others: Vec::new(), lease: None }
}

/// The median of some plain appends with fdatasync, in microseconds.
fn sync_time(path: &std::path::Path) -> f64 {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("a file");
    let mut took = latencies();
    for _ in 0..100 {
        let since = Instant::now();
        file.write_all(&[b'x'; 420]).expect("written");
        file.sync_data().expect("synced");
        took.saturating_record(since.elapsed().as_nanos() as u64);
    }
    took.value_at_quantile(0.5) as f64 / 1_000.0
}
