//! `reconcile`: a day as the ledger has it and as the upstream has it.

use comfy_table::Cell;
use serde_json::{Map, Value, json};
use tillbook::sync::{Difference, Side, Subject, Tally};
use tillbook::{AccountName, Ledger, OrderStatus, Reconciliation, RefundState};

use crate::cli::args::ReconcileArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fold::{self, Folds};
use crate::cli::session::{Session, settings};
use crate::cli::{csv, json as documents, table, upstreams};

/// Compares one day; beside a running till, which keeps its lock, without keeping anything.
pub(crate) async fn run(session: &Session, args: &ReconcileArgs) -> Result<Exit, Failure> {
    let ledger = open(session, &args.account).await?;
    let found = ledger.reconcile(&args.account, args.day).await;
    let closed = ledger.close().await;
    let found = found?;
    closed?;
    print(session, &found, args.csv)
}

async fn open(session: &Session, name: &AccountName) -> Result<Ledger, Failure> {
    match session.open(std::slice::from_ref(name)).await {
        Err(failure) if failure.kind() == "locked" => {}
        opened => return opened,
    }
    let account = session.account(name)?;
    let gateway = upstreams::gateway(name, account)?;
    let ledger = session.builder().open_read_only(session.place().path()).await?;
    ledger.connect(name.clone(), gateway, settings(account))?;
    Ok(ledger)
}

fn print(session: &Session, found: &Reconciliation, as_csv: bool) -> Result<Exit, Failure> {
    let output = session.output;
    let failure = failure(found);
    if output.is_json() {
        let mut document = document(found);
        document.extend(failure.as_ref().map(|failure| ("error".to_owned(), failure.error_json())));
        output.document(&Value::Object(document))?;
    } else {
        if as_csv {
            output.bytes(csv::rows(rows(found)).as_bytes())?;
            output.note(totals(found));
        } else {
            output.text(&tables(found))?;
        }
        found.problems.iter().for_each(|problem| output.note(format!("{}: {problem}", found.account)));
        if found.more_problems > 0 {
            output.note(format!("{}: and {} more", found.account, found.more_problems));
        }
        if found.kept.is_none() {
            output.note("another process owns the ledger: it was only read, and nothing was kept of what was found");
        }
    }
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}

fn failure(found: &Reconciliation) -> Option<Failure> {
    let name = format!("{} on {}", found.account, found.day);
    let incomplete = if found.is_complete() { "" } else { "; not all could be compared" };
    match found.differences.len() {
        0 if found.is_complete() => None,
        0 => {
            let failure = Failure::new("reconcile_incomplete", format!("{name}: not all could be compared"));
            Some(failure.hint("mend the cause and run it again"))
        }
        1 => Some(Failure::new("differences", format!("{name}: 1 difference{incomplete}"))),
        count => Some(Failure::new("differences", format!("{name}: {count} differences{incomplete}"))),
    }
}

fn document(found: &Reconciliation) -> Map<String, Value> {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    put("account", found.account.as_str().into());
    put("day", found.day.to_string().into());
    put("complete", found.is_complete().into());
    put("matched", json!({ "orders": tally(found.matched_orders), "refunds": tally(found.matched_refunds) }));
    let totals = found.totals().into_iter().map(|((subject, kind), total)| {
        let mut row = Map::new();
        row.insert("subject".to_owned(), subject.as_str().into());
        row.insert("kind".to_owned(), kind.as_str().into());
        row.insert("count".to_owned(), total.count.into());
        documents::put_money(&mut row, "here", Some(total.here));
        documents::put_money(&mut row, "there", Some(total.there));
        Value::Object(row)
    });
    put("totals", totals.collect());
    put("differences", found.differences.iter().map(difference).collect());
    put("problems", json!(found.problems));
    put("more_problems", found.more_problems.into());
    let kept = found.kept.map(|kept| {
        json!({
            "orders_new": kept.orders_new,
            "orders_changed": kept.orders_changed,
            "refunds_settled": kept.refunds_settled,
        })
    });
    put("kept", kept.into());
    document
}

fn tally(tally: Tally) -> Value {
    let mut row = Map::new();
    row.insert("count".to_owned(), tally.count.into());
    documents::put_money(&mut row, "sum", Some(tally.sum));
    Value::Object(row)
}

fn difference(found: &Difference) -> Value {
    json!({
        "subject": found.subject.as_str(),
        "kind": found.kind.as_str(),
        "order": found.order.as_ref().map(ToString::to_string),
        "id": found.id.as_ref().map(|id| id.as_str()),
        "refund_key": found.refund_key.as_ref().map(|key| key.as_str()),
        "upstream_refund_no": found.upstream_refund_no,
        "here": found.here.as_ref().map(side),
        "there": found.there.as_ref().map(side),
    })
}

fn side(side: &Side) -> Value {
    let mut row = Map::new();
    documents::put_money(&mut row, "amount", Some(side.amount));
    row.insert("status".to_owned(), side.status.clone().into());
    row.insert("at".to_owned(), side.at.map(|at| at.to_string()).into());
    Value::Object(row)
}

/// The differences, a line each; times on the wall clock in Beijing.
fn rows(found: &Reconciliation) -> Vec<[String; 14]> {
    let header = [
        "account",
        "day",
        "subject",
        "kind",
        "order",
        "id",
        "refund_key",
        "upstream_refund_no",
        "here_amount",
        "here_status",
        "here_at",
        "there_amount",
        "there_status",
        "there_at",
    ];
    let side = |side: &Option<Side>| match side {
        Some(side) => {
            let at = side.at.map_or_else(String::new, |at| at.beijing());
            [side.amount.to_string(), side.status.clone(), at]
        }
        None => Default::default(),
    };
    let text = |text: Option<String>| text.unwrap_or_default();
    let row = |difference: &Difference| {
        let ([here, here_status, here_at], [there, there_status, there_at]) =
            (side(&difference.here), side(&difference.there));
        [
            found.account.to_string(),
            found.day.to_string(),
            difference.subject.as_str().to_owned(),
            difference.kind.as_str().to_owned(),
            text(difference.order.as_ref().map(ToString::to_string)),
            text(difference.id.as_ref().map(ToString::to_string)),
            text(difference.refund_key.as_ref().map(ToString::to_string)),
            text(difference.upstream_refund_no.clone()),
            here,
            here_status,
            here_at,
            there,
            there_status,
            there_at,
        ]
    };
    std::iter::once(header.map(str::to_owned)).chain(found.differences.iter().map(row)).collect()
}

fn tables(found: &Reconciliation) -> String {
    if found.differences.is_empty() {
        return totals(found);
    }
    let header = [
        "ORDER 订单",
        "REFUND 退款单号",
        "DIFFERENCE 差异",
        "HERE 本地",
        "STATUS 状态",
        "THERE 平台",
        "STATUS 状态",
        "AT 时间",
    ];
    let amount = |side: &Option<Side>| side.as_ref().map_or_else(|| Cell::new("-"), |side| table::amount(side.amount));
    let status = |side: &Option<Side>| Cell::new(side.as_ref().map_or_else(|| "-".to_owned(), status));
    let row = |difference: &Difference| {
        let Difference { order, refund_key, upstream_refund_no, here, there, .. } = difference;
        let refund = refund_key.as_ref().map(ToString::to_string).or_else(|| upstream_refund_no.clone());
        let at = [here, there].into_iter().flatten().find_map(|side| side.at);
        [
            Cell::new(order.as_ref().map_or_else(|| "-".to_owned(), |order| order.number.clone())),
            Cell::new(refund.unwrap_or_else(|| match difference.subject {
                Subject::RefundTotal => "total 合计".to_owned(),
                Subject::Order | Subject::Refund => "-".to_owned(),
            })),
            Cell::new(format!("{} {}", difference.kind.as_str(), difference.kind.chinese())),
            amount(here),
            status(here),
            amount(there),
            status(there),
            Cell::new(table::beijing(at)),
        ]
    };
    let list = fold::list(header, found.differences.iter().map(row).collect(), Folds { above: 2, below: 1 });
    format!("{list}\n\n{}", totals(found))
}

/// A state with its Chinese word; an upstream's own word has none.
fn status(side: &Side) -> String {
    let word = side.status.as_str();
    let of_refund = RefundState::ALL.into_iter().find(|state| state.as_str() == word).map(RefundState::chinese);
    let of_order = OrderStatus::from(word);
    let chinese = match (of_refund, &of_order, word) {
        (Some(chinese), ..) => chinese,
        (None, _, "in_total") => "仅见合计",
        (None, _, "refunded") => "已退",
        (None, OrderStatus::Other(_), _) => return word.to_owned(),
        (None, status, _) => table::status_chinese(status),
    };
    format!("{word} {chinese}")
}

/// Counts and sums of each kind, those that match first.
fn totals(found: &Reconciliation) -> String {
    let mut sums = table::plain(["RESULT 结果", "WHAT 对象", "COUNT 笔数", "HERE 本地", "THERE 平台"]);
    let count = |count: u64| Cell::new(count).set_alignment(comfy_table::CellAlignment::Right);
    for (subject, tally) in [(Subject::Order, found.matched_orders), (Subject::Refund, found.matched_refunds)] {
        sums.add_row(vec![
            Cell::new("matched 一致"),
            Cell::new(format!("{} {}", subject.as_str(), subject.chinese())),
            count(tally.count),
            table::amount(tally.sum),
            table::amount(tally.sum),
        ]);
    }
    for ((subject, kind), total) in found.totals() {
        sums.add_row(vec![
            Cell::new(format!("{} {}", kind.as_str(), kind.chinese())),
            Cell::new(format!("{} {}", subject.as_str(), subject.chinese())),
            count(total.count),
            table::amount(total.here),
            table::amount(total.there),
        ]);
    }
    table::text(&sums)
}
