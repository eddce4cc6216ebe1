//! The acts, in the order in which they are played.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tillbook::sandbox::{Fault, FaultKind, Operation, OrderBook, Upstream};
use tillbook::{Error, Money, OrderStatus, Page, Progress, RefundQuery, RefundState, Requested, SyncOptions, Wanted};
use tokio::task::JoinSet;

use super::stage::{SHOPS, Stage, account, fen, key, of_sandbox, request, wanted, yuan_of};
use super::till;
use crate::cli::commands::sync::summary;
use crate::cli::exit::Failure;
use crate::cli::parse::OrderName;
use crate::cli::table::order_name;

/// Lists the orders of two upstreams and fetches those of the third, then compares each with the books.
pub(super) async fn sync_orders(stage: &mut Stage) -> Result<(), Failure> {
    stage.act("1. Sync 同步: all orders of all three upstreams");
    let began = Instant::now();
    let bars = Arc::new(stage.bars());
    let shown = bars.clone();
    let report =
        stage.ledger()?.sync(&SyncOptions::default(), &move |progress: &Progress| shown.show(progress)).await?;
    // What no list shows (Fubei's bill has no order that nobody paid), a shop learns by the number on the receipt.
    let books = stage.sandbox.books();
    let mut fetched = 0;
    for book in &books.orders {
        let (shop, number) = (account(book.upstream)?, Wanted { kind: None, number: book.id.clone() });
        if stage.ledger()?.known_order(&shop, &number).await?.is_none() {
            stage.ledger()?.fetch(&shop, &number).await?;
            fetched += 1;
        }
    }
    bars.clear();
    stage.say(summary(&report));
    stage.say(format!("{fetched} orders that no list shows were fetched by the number on the receipt"));
    for (name, account) in &report.accounts {
        account.problems.iter().for_each(|problem| stage.say(format!("{name}: {problem}")));
    }

    let (mut here, mut there) = (Totals::default(), Totals::default());
    let mut different = 0;
    for book in &books.orders {
        let number = Wanted { kind: None, number: book.id.clone() };
        let known = stage.ledger()?.known_order(&account(book.upstream)?, &number).await?;
        let mut ours = Totals::default();
        if let Some(record) = &known {
            ours.count += 1;
            if record.facts.status == OrderStatus::Paid {
                ours.paid += record.paid().fen();
                ours.refunded += record.refunded().fen();
            }
        }
        let theirs = Totals::of_book(book);
        different += usize::from(ours != theirs);
        here.add(&ours);
        there.add(&theirs);
    }
    stage.say(format!(
        "{} orders compared with the sandbox's books in {:.2?}: {different} differ",
        books.orders.len(),
        began.elapsed()
    ));
    stage.promise("Each order is here as its upstream has it", different == 0, here.text()?, there.text()?);
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    count: u64,
    paid: i64,
    refunded: i64,
}

impl Totals {
    /// What the books say; an order that is not paid counts with nothing.
    fn of_book(book: &OrderBook) -> Totals {
        let paid = match book.upstream {
            Upstream::Hydrogen => book.status == "success",
            Upstream::Fubei => book.status == "SUCCESS",
            Upstream::TradeOrder => matches!(book.status.as_str(), "2" | "4" | "5"),
        };
        match paid {
            true => Totals { count: 1, paid: book.paid_fen, refunded: book.money_out_fen },
            false => Totals { count: 1, ..Totals::default() },
        }
    }

    fn add(&mut self, other: &Totals) {
        self.count += other.count;
        self.paid += other.paid;
        self.refunded += other.refunded;
    }

    fn text(&self) -> Result<String, Failure> {
        Ok(format!("{} orders, paid {}, refunded {}", self.count, fen(self.paid)?, fen(self.refunded)?))
    }
}

/// One order of each upstream: a part, the same again, and the rest.
pub(super) async fn refund_in_parts(stage: &mut Stage) -> Result<(), Failure> {
    stage.act("2. Refund 退款: a part of 80.00, then the rest, at each upstream");
    let mut orders = Vec::new();
    for (upstream, _) in SHOPS {
        orders.push((upstream, stage.order(upstream, "80.00").await?));
    }
    let (mut part_keys, mut rest_keys, mut replays) = (Vec::new(), Vec::new(), 0);
    for (upstream, order) in &orders {
        let part = key(&format!("demo-part-{upstream}"))?;
        let first = stage.refund(order, &part, Requested::Exactly(yuan_of("12.50")?)).await?;
        // Asked for again with its key, as a till does that lost the answer: no second refund.
        let calls = stage.sandbox.calls().total;
        let again = stage.refund(order, &part, Requested::Exactly(yuan_of("12.50")?)).await?;
        replays += u32::from(again.replayed && stage.sandbox.calls().total == calls);
        stage.say(format!(
            "{}\n  12.50 of 80.00: {} {} · its key again: {}",
            order_name(&first.order),
            first.refund.state,
            first.refund.state.chinese(),
            if again.replayed { "the same answer, no call" } else { "another refund" },
        ));
        part_keys.push((*upstream, part));
    }
    stage.settle(&part_keys).await?;
    for (upstream, order) in &orders {
        let rest = key(&format!("demo-rest-{upstream}"))?;
        stage.refund(order, &rest, Requested::All).await?;
        rest_keys.push((*upstream, rest));
    }
    stage.settle(&rest_keys).await?;
    let (mut refunded, mut money_out, mut sent) = (Money::ZERO, 0, 0);
    for (upstream, order) in &orders {
        let record = stage.ledger()?.order(&account(*upstream)?, &wanted(order)).await?;
        let rest = record.refunds.last().map_or(Money::ZERO, |refund| refund.amount);
        stage.say(format!(
            "{}\n  the rest, {rest}: {} · refunded 已退 {} · refundable 可退 {}",
            order_name(&record),
            record.refunds.last().map_or("", |refund| refund.state.chinese()),
            record.refunded(),
            record.refundable()
        ));
        refunded = refunded.saturating_add(record.refunded());
        let book = stage.book(order)?;
        money_out += book.money_out_fen;
        sent += book.refunds.len();
    }
    let holds = refunded == fen(money_out)? && refunded == yuan_of("240.00")? && sent == 6 && replays == 3;
    stage.promise(
        "A refund key asked for twice refunds once",
        holds,
        format!("6 refunds and {replays} repeats: {refunded}"),
        format!("{sent} refunds: {} out", fen(money_out)?),
    );
    Ok(())
}

/// A fen beyond what was paid.
pub(super) async fn one_fen_too_much(stage: &mut Stage) -> Result<(), Failure> {
    stage.act("3. One fen too much 多退一分: 0.01 of an order of which all was refunded");
    let order = stage.order(Upstream::Fubei, "30.00").await?;
    let whole = key("demo-whole")?;
    stage.refund(&order, &whole, Requested::All).await?;
    stage.settle(&[(Upstream::Fubei, whole)]).await?;
    let before = stage.sandbox.calls().total;
    let refused = stage.refund(&order, &key("demo-one-fen")?, Requested::Exactly(yuan_of("0.01")?)).await;
    let calls = stage.sandbox.calls().total - before;
    let (kind, text) = match &refused {
        Ok(_) => ("granted", "it was granted".to_owned()),
        Err(error) => (error.kind(), error.to_string()),
    };
    stage.say(format!("refused 拒绝: {kind}\n  {text}"));
    stage.say(format!("calls that the sandbox received meanwhile: {calls}"));
    let money_out = fen(stage.book(&order)?.money_out_fen)?;
    stage.promise(
        "A refund beyond what was paid is refused without a call",
        kind == "over_refundable" && calls == 0 && money_out == yuan_of("30.00")?,
        format!("refused: {kind}"),
        format!("{calls} calls, {money_out} of 30.00 out"),
    );
    Ok(())
}

/// A hundred at once, each asking for a tenth.
pub(super) async fn a_hundred_at_once(stage: &mut Stage) -> Result<(), Failure> {
    stage.act("4. A hundred at once 并发: each asks for 10.00 of one order of 100.00");
    let order = stage.order(Upstream::Fubei, "100.00").await?;
    let calls_before = stage.sandbox.calls().of(Operation::FubeiRefund);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..100 {
        let ledger = stage.ledger()?.clone();
        let request = request(&order, &key(&format!("demo-hundred-{number}"))?, Requested::Exactly(yuan_of("10.00")?))
            .map_err(Error::from)?;
        tasks.spawn(async move { ledger.refund(request).await });
    }
    let mut granted = Vec::new();
    let mut refused: BTreeMap<&'static str, u32> = BTreeMap::new();
    while let Some(joined) = tasks.join_next().await {
        match joined.map_err(|error| Failure::of("internal", &error))? {
            Ok(refunded) => granted.push((Upstream::Fubei, refunded.refund.key)),
            Err(Error::Rejected(rejection)) => *refused.entry(rejection.kind()).or_default() += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let took = began.elapsed();
    stage.settle(&granted).await?;
    let refusals: Vec<String> = refused.iter().map(|(kind, count)| format!("{count} refused ({kind})")).collect();
    let book = stage.book(&order)?;
    let calls = stage.sandbox.calls().of(Operation::FubeiRefund) - calls_before;
    stage.say(format!("{} granted, {} in {took:.2?}", granted.len(), refusals.join(", ")));
    stage.say(format!("refund calls that the sandbox received: {calls}; money out: {}", fen(book.money_out_fen)?));
    let record = stage.ledger()?.order(&account(Upstream::Fubei)?, &wanted(&order)).await?;
    stage.promise(
        "Many callers never get more than what was paid",
        granted.len() == 10
            && calls == 10
            && book.refunds.len() == 10
            && book.money_out_fen == 10_000
            && record.refunded() == yuan_of("100.00")?,
        format!("{} of 100 granted, {} refunded", granted.len(), record.refunded()),
        format!("{} refunds in {calls} calls, {} out", book.refunds.len(), fen(book.money_out_fen)?),
    );
    Ok(())
}

/// The money moves and the answer is lost.
pub(super) async fn a_lost_answer(stage: &mut Stage) -> Result<(), Failure> {
    stage.act("5. A lost answer 结果未知: the upstream refunds 20.00 and the line is cut before it says so");
    let order = stage.order(Upstream::Fubei, "50.00").await?;
    let lost = key("demo-lost")?;
    let calls_before = stage.sandbox.calls().of(Operation::FubeiRefund);
    stage.sandbox.set_fault(Fault::new(Operation::FubeiRefund, FaultKind::DropAfter)).map_err(of_sandbox)?;
    let first = stage.refund(&order, &lost, Requested::Exactly(yuan_of("20.00")?)).await?;
    let fired = stage.sandbox.pending_faults().is_empty();
    stage.say(format!(
        "{} {}: {} stay held 预留, {} refundable 可退",
        first.refund.state,
        first.refund.state.chinese(),
        first.order.held(),
        first.order.refundable()
    ));
    stage.refund(&order, &lost, Requested::Exactly(yuan_of("20.00")?)).await?;
    stage.sync_quietly().await?;
    stage.sync_quietly().await?;
    let calls = stage.sandbox.calls().of(Operation::FubeiRefund) - calls_before;
    let record = stage.ledger()?.order(&account(Upstream::Fubei)?, &wanted(&order)).await?;
    let state = record.refund(&lost).map_or(RefundState::Review, |refund| refund.state);
    let book = stage.book(&order)?;
    stage.say(format!(
        "asked for again, it is not sent again; a sync asks what became of it: {state} {}, {calls} call",
        state.chinese()
    ));
    let counted = record.refunded().saturating_add(record.held());
    stage.promise(
        "What may have happened is asked about, and never sent again",
        fired
            && state == RefundState::Succeeded
            && calls == 1
            && book.refunds.len() == 1
            && counted == fen(book.money_out_fen)?,
        format!("{state} {}, {counted} held or refunded", state.chinese()),
        format!("{calls} call, {} out", fen(book.money_out_fen)?),
    );
    Ok(())
}

/// No network; refunds are queued by a till that is killed; the network comes back.
pub(super) async fn network_away(stage: &mut Stage) -> Result<(), Failure> {
    stage.act("6. Offline 断网: no network, a till queues refunds and is killed, the network comes back");
    let mut orders = Vec::new();
    for (upstream, name) in SHOPS {
        for _ in 0..2 {
            let order = stage.order(upstream, "30.00").await?;
            orders.push((order.clone(), format!("{name}:{}", order.id)));
        }
    }
    stage.close().await?;
    stage.sandbox.network_down().await;
    let calls_before = stage.sandbox.calls().total;
    let names = orders.iter().map(|(_, name)| name.clone()).collect();
    let acknowledged = till::run_and_kill(stage, names).await?;
    let queued = acknowledged.iter().filter(|refund| refund.state == "queued").count();
    stage.say(format!("another process queued 待发送 {queued} refunds of {} each, then kill -9", till::AMOUNT));
    stage.open().await?;
    let query = RefundQuery { state: Some(RefundState::Queued), ..RefundQuery::default() };
    let found = stage.ledger()?.refunds(&query, &Page { limit: usize::MAX, after: None }).await?.refunds;
    let kept = acknowledged.iter().filter(|known| found.iter().any(|(_, refund)| refund.key == known.key)).count();
    let calls = stage.sandbox.calls().total - calls_before;
    stage.say(format!("ledger reopened after the crash: {kept} of {} are there, queued", acknowledged.len()));
    stage.promise(
        "What was acknowledged survives a kill, offline",
        kept == orders.len() && queued == orders.len() && calls == 0,
        format!("{kept} of {} queued after reopening", acknowledged.len()),
        format!("{calls} calls while the network was away"),
    );

    stage.sandbox.network_up().await.map_err(of_sandbox)?;
    let report = stage.ledger()?.sync(&SyncOptions::default(), &|_: &Progress| {}).await?;
    let sent: u64 = report.accounts.values().map(|account| account.sent).sum();
    stage.say(format!("network back, one sync: {sent} sent"));
    let mut keys = Vec::new();
    for (order, name) in &orders {
        let name: OrderName = name.parse().map_err(|error: String| Failure::new("internal", error))?;
        let record = stage.ledger()?.order(&name.account, &name.wanted).await?;
        keys.extend(record.refunds.iter().map(|refund| (order.upstream, refund.key.clone())));
    }
    stage.settle(&keys).await?;
    let (mut succeeded, mut once, mut money_out) = (0, 0, 0);
    for (order, _) in &orders {
        let record = stage.ledger()?.order(&account(order.upstream)?, &wanted(order)).await?;
        succeeded += record.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded).count();
        let book = stage.book(order)?;
        once += usize::from(book.refunds.len() == 1);
        money_out += book.money_out_fen;
    }
    stage.say(format!("{succeeded} succeeded {}", RefundState::Succeeded.chinese()));
    stage.promise(
        "The queue goes out once the network is back, each refund once",
        sent == 6 && succeeded == 6 && once == 6 && money_out == 6 * yuan_of(till::AMOUNT)?.fen(),
        format!("{sent} sent, {succeeded} succeeded"),
        format!("{once} orders with one refund, {} out", fen(money_out)?),
    );
    Ok(())
}

/// Everything recomputed, and both sides' sums.
pub(super) async fn close_the_books(stage: &mut Stage) -> Result<(), Failure> {
    stage.act("7. Verify 核对: every order recomputed from its history; both sides' sums");
    let report = stage.ledger()?.verify().await?;
    stage.say(format!(
        "{} orders, {} refunds, {} events recomputed: {} differences",
        report.orders,
        report.refunds,
        report.events,
        report.differences.len()
    ));
    let books = stage.sandbox.books();
    let (mut counted, mut excess, mut refunds, mut out) = (0_i64, 0, 0, 0_i64);
    for book in books.orders.iter().filter(|book| book.money_out_fen > 0 || !book.refunds.is_empty()) {
        let number = Wanted { kind: None, number: book.id.clone() };
        let Some(record) = stage.ledger()?.known_order(&account(book.upstream)?, &number).await? else { continue };
        if record.facts.status == OrderStatus::Paid {
            counted += record.refunded().saturating_add(record.held()).fen();
        }
        refunds += record.refunds.len();
        excess += usize::from(!record.excess().is_zero());
        out += Totals::of_book(book).refunded;
    }
    let overpaid = books.overpaid().len();
    stage.promise(
        "No order is refunded beyond what was paid",
        overpaid == 0 && excess == 0,
        format!("{excess} orders in excess"),
        format!("{overpaid} orders overpaid"),
    );
    stage.promise(
        "Both books agree to the fen, and history explains each",
        // A verification that looked at nothing finds nothing: it must have seen every order and every refund.
        counted == out
            && report.differences.is_empty()
            && usize::try_from(report.orders).is_ok_and(|orders| orders == books.orders.len())
            && usize::try_from(report.refunds).is_ok_and(|seen| seen >= refunds),
        format!(
            "{} refunded or held; {} orders recomputed, {} differences",
            fen(counted)?,
            report.orders,
            report.differences.len()
        ),
        format!("{} out", fen(out)?),
    );
    Ok(())
}
