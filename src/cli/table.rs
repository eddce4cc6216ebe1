//! Tables and summaries for people, with the Chinese words beside ours and all columns aligned.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use tillbook::{Money, OrderRecord, OrderStatus, Refund, RefundState, RefundStatus, RefundTotal, Timestamp};

use super::fold::{self, Folds};
use super::words;

/// An order's status in Chinese; an upstream's own word has no other.
pub(crate) fn status_chinese(status: &OrderStatus) -> &str {
    match status {
        OrderStatus::Pending => "待支付",
        OrderStatus::Processing => "处理中",
        OrderStatus::Paid => "已支付",
        OrderStatus::Failed => "失败",
        OrderStatus::Closed => "已关闭",
        OrderStatus::Other(word) => word,
    }
}

/// A refund status in Chinese.
pub(crate) fn refund_status_chinese(status: RefundStatus) -> &'static str {
    match status {
        RefundStatus::None => "未退款",
        RefundStatus::Partial => "部分退款",
        RefundStatus::Complete => "全额退款",
    }
}

/// A table of our look: no frame, so that it can be cut and searched; wrapped only where a person watches.
pub(crate) fn plain<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

/// The table as text, without blanks at line ends and without the margin before the first column.
pub(crate) fn text(table: &Table) -> String {
    let lines: Vec<String> =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n")
}

/// An amount in its column.
pub(crate) fn amount(amount: Money) -> Cell {
    Cell::new(amount).set_alignment(CellAlignment::Right)
}

/// The name by which `show` and `refund` take an order: its own number, or the first it bears.
pub(crate) fn order_name(record: &OrderRecord) -> String {
    let number = match &record.facts.native {
        Some(native) => native.number.clone(),
        None => record
            .facts
            .all_references()
            .next()
            .map_or_else(|| record.id.to_string(), |first| format!("{}={}", first.kind, first.number)),
    };
    format!("{}:{number}", record.account)
}

/// Many orders.
pub(crate) fn orders(records: &[Arc<OrderRecord>]) -> String {
    let header =
        ["ORDER 订单", "STATUS 状态", "PAID 实付", "REFUNDED 已退", "HELD 预留", "REFUNDABLE 可退", "PAID AT 时间"];
    let row = |record: &Arc<OrderRecord>| {
        let provisional = if record.provisional { " (offline 离线)" } else { "" };
        [
            Cell::new(order_name(record)),
            Cell::new(format!("{} {}{provisional}", record.facts.status, status_chinese(&record.facts.status))),
            amount(record.paid()),
            amount(record.refunded()),
            amount(record.held()),
            amount(record.refundable()),
            Cell::new(beijing(record.facts.paid_at.or(record.facts.created_at))),
        ]
    };
    fold::list(header, records.iter().map(row).collect(), Folds { above: 1, below: 0 })
}

/// One order with all that is known about it.
pub(crate) fn order(record: &OrderRecord) -> String {
    order_named(record, order_name(record))
}

/// The same under another name: a body that is decoded does not know whose order it is.
pub(crate) fn order_named(record: &OrderRecord, name: String) -> String {
    let facts = &record.facts;
    let mut rows = vec![
        ("order 订单", name),
        ("id", record.id.to_string()),
        ("gateway", facts.gateway.to_string()),
        (
            "status 状态",
            format!(
                "{} {} (upstream: {})",
                facts.status,
                status_chinese(&facts.status),
                or_dash(&facts.upstream_status)
            ),
        ),
        ("payment 支付方式", facts.payment_method.as_ref().map_or_else(|| "-".to_owned(), |method| method.to_string())),
        ("total 总价", facts.total.map_or_else(|| "-".to_owned(), |total| total.to_string())),
        ("paid 实付", record.paid().to_string()),
        ("refunded 已退", refunded_text(record)),
        ("held 预留", record.held().to_string()),
        ("refundable 可退", refundable(record)),
    ];
    if !record.excess().is_zero() {
        rows.push(("excess 超额", format!("{}: refunded and held exceed what was paid", record.excess())));
    }
    if facts.currency != "CNY" {
        rows.push(("currency 货币", format!("{}: never refundable here", facts.currency)));
    }
    rows.push((
        "refund status 退款状态",
        format!("{} {}", record.refund_status(), refund_status_chinese(record.refund_status())),
    ));
    rows.push(("paid at 支付时间", beijing(facts.paid_at)));
    if record.provisional {
        rows.push(("offline 离线", "recorded here, not yet confirmed by the upstream".to_owned()));
    }
    rows.extend(
        facts.all_references().map(|reference| ("reference", format!("{}={}", reference.kind, reference.number))),
    );
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in rows {
        table.add_row([name, &value]);
    }
    let mut all = text(&table);
    if !record.refunds.is_empty() {
        all.push_str("\n\n");
        all.push_str(&refunds_of(record));
    }
    all
}

/// What may still be refunded, and what is kept back because the upstream's total moved while a refund was in doubt.
fn refundable(record: &OrderRecord) -> String {
    if record.unsettled.is_zero() {
        record.refundable().to_string()
    } else {
        format!("{} (beside {} that the upstream refunded unexplained 待查明)", record.refundable(), record.unsettled)
    }
}

fn refunded_text(record: &OrderRecord) -> String {
    if record.external.is_zero() {
        record.refunded().to_string()
    } else {
        format!("{} (of which {} elsewhere 外部)", record.refunded(), record.external)
    }
}

fn refunds_of(record: &OrderRecord) -> String {
    let header =
        ["REFUND KEY 退款单号", "AMOUNT 金额", "STATE 状态", "BY 操作员", "SINCE 时间", "UPSTREAM NO.", "NOTE"];
    let rows = record.refunds.iter().map(|refund| refund_cells(refund, refund.state_at)).collect();
    let list = fold::list(header, rows, Folds { above: 1, below: 2 });
    format!("{list}\n\n{}", told(&record.refunds))
}

/// What to tell the customer, once for all refunds of which the same is to be told.
fn told(refunds: &[std::sync::Arc<Refund>]) -> String {
    let mut lines = Vec::new();
    for (place, refund) in refunds.iter().enumerate() {
        let told = words::customer(refund);
        if refunds[..place].iter().any(|before| words::customer(before) == told) {
            continue;
        }
        let keys: Vec<&str> = refunds[place..]
            .iter()
            .filter(|other| words::customer(other) == told)
            .map(|other| other.key.as_str())
            .collect();
        lines.push(format!("{TELL} ({})\n{}", keys.join(", "), sentences(told)));
    }
    lines.join("\n")
}

/// What stands over the sentences.
const TELL: &str = "tell the customer 告诉顾客";

fn sentences(told: words::Told) -> String {
    format!("  {}\n  {}", told.zh, told.en)
}

/// Refunds of many orders.
pub(crate) fn refunds(rows: &[(Arc<OrderRecord>, Refund)]) -> String {
    let header = [
        "ORDER 订单",
        "REFUND KEY 退款单号",
        "AMOUNT 金额",
        "STATE 状态",
        "BY 操作员",
        "ASKED 申请时间",
        "UPSTREAM NO.",
        "NOTE",
    ];
    // The time by which such a list is cut, not the one since when a refund is as it is.
    let row = |(record, refund): &(Arc<OrderRecord>, Refund)| {
        let [key, amount, state, by, asked, number, note] = refund_cells(refund, refund.requested_at);
        [Cell::new(order_name(record)), key, amount, state, by, asked, number, note]
    };
    fold::list(header, rows.iter().map(row).collect(), Folds { above: 2, below: 2 })
}

/// What refunds add up to, state by state.
pub(crate) fn refund_totals(totals: &BTreeMap<RefundState, RefundTotal>) -> String {
    let mut table = plain(["TOTAL 合计", "COUNT 笔数", "AMOUNT 金额"]);
    for (state, total) in totals {
        let count = Cell::new(total.count).set_alignment(CellAlignment::Right);
        table.add_row([Cell::new(format!("{state} {}", state.chinese())), count, amount(total.amount)]);
    }
    text(&table)
}

fn refund_cells(refund: &Refund, at: Timestamp) -> [Cell; 7] {
    let words = [&refund.code, &refund.message, &refund.memo];
    let waits = refund.awaits_approval.then_some("awaits approval 待批准");
    let note: Vec<&str> = waits.into_iter().chain(words.into_iter().filter_map(|word| word.as_deref())).collect();
    [
        Cell::new(&refund.key),
        amount(refund.amount),
        Cell::new(format!("{} {}", refund.state, refund.state.chinese())),
        Cell::new(refund.by.as_deref().unwrap_or("-")),
        Cell::new(beijing(Some(at))),
        Cell::new(refund.upstream_refund_no.as_deref().unwrap_or("-")),
        Cell::new(note.join(" · ")),
    ]
}

/// What became of one refund, and what the order has left.
pub(crate) fn refunded(refund: &Refund, record: &OrderRecord) -> String {
    let mut lines = vec![format!(
        "refund {} of {}: {} {}, {}",
        refund.key,
        order_name(record),
        refund.state,
        refund.state.chinese(),
        refund.amount
    )];
    if let Some(number) = &refund.upstream_refund_no {
        lines.push(format!("upstream number {number}"));
    }
    if let Some(message) = &refund.message {
        let code = refund.code.as_ref().map(|code| format!(" (code {code})")).unwrap_or_default();
        lines.push(format!("{message}{code}"));
    }
    lines.push(format!(
        "paid 实付 {} · refunded 已退 {} · held 预留 {} · refundable 可退 {}",
        record.paid(),
        record.refunded(),
        record.held(),
        record.refundable()
    ));
    lines.join("\n")
}

/// The same with what to tell the customer now: where the refund is real.
pub(crate) fn refunded_told(refund: &Refund, record: &OrderRecord) -> String {
    format!("{}\n{TELL}\n{}", refunded(refund, record), sentences(words::customer(refund)))
}

/// The wall clock in Beijing, or a dash.
pub(crate) fn beijing(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), Timestamp::beijing)
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
