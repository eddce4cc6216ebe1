//! The cloud function `tillbook`, emulated: the one way by which callers reach `BaaS.refund`.
//!
//! A row per refund key is made (`started`) before `BaaS.refund` runs and filled after it; the same key answers what
//! is stored and refunds nothing; `void` makes a tombstone where nothing is. A key names a door: behind the shut door
//! `KEY` the same refund may go out through `KEY.1`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::bookkeeping::{Bookkeeping, Draft, FunctionRow, RowState};
use super::books::RefundState;
use super::fault::{Operation, Upstream};
use super::hydrogen::{Counted, Filter, error};
use super::hydrogen_rows::Side;
use super::inside::Desk;
use super::json::{Fields, Json, Object, fen_exact, two_places};
use super::server::{Answer, Course};
use super::settings::FunctionIndex;

/// Where refund ids begin.
const FIRST_REFUND_ID: u64 = 1024;

/// Which op a job asks for; a function that is not ours, or an op that it does not know, is another call.
pub(crate) fn operation(job: Option<&Fields>) -> Operation {
    let op = job.and_then(|job| job.object("data")).and_then(|data| data.text("op"));
    match op.as_deref() {
        Some("refund") => Operation::FunctionRefund,
        Some("lookup") => Operation::FunctionLookup,
        Some("void") => Operation::FunctionVoid,
        Some("list") => Operation::FunctionList,
        Some("get") => Operation::FunctionGet,
        Some("health") => Operation::FunctionHealth,
        _ => Operation::HydrogenOther,
    }
}

/// The job ran and the function failed.
pub(crate) fn job_failed(code: i64) -> Answer {
    let why = Object::new().with("message", "function failed");
    Answer::json(200, &Object::new().with("code", code).with("data", Json::Null).with("error", why).into())
}

fn ran(data: impl Into<Json>) -> Answer {
    let body = Object::new().with("code", 0_i64).with("data", data.into()).with("error", Object::new());
    Answer::json(200, &body.into())
}

fn said(error: &str) -> Answer {
    ran(Object::new().with("error", error))
}

/// Runs a job: finds the function, checks the mac before anything else, then the op.
pub(crate) fn job(desk: &mut Desk<'_>, job: Option<&Fields>, operation: Operation, course: Course) -> Answer {
    let Some(job) = job else {
        return error(400, "参数错误");
    };
    if job.text("function_name").as_deref() != Some(&desk.credentials.function_name) {
        return error(404, "云函数不存在");
    }
    let answer = run(desk, job, operation, course);
    match job.text("sync").as_deref() {
        // An asynchronous job tells nothing of what the function said.
        Some("false") => Answer::json(200, &Object::new().with("status", "ok").into()),
        _ => answer,
    }
}

fn run(desk: &mut Desk<'_>, job: &Fields, operation: Operation, course: Course) -> Answer {
    let data = job.object("data").unwrap_or_default();
    let text = |name| data.text(name).unwrap_or_default();
    let (op, args) = (text("op"), text("args"));
    if text("mac") != mac(&desk.credentials.function_secret, &op, &args) {
        return said("unauthorized");
    }
    if operation == Operation::HydrogenOther {
        return said("malformed: unknown op");
    }
    let Some(args) = Fields::read(&args) else {
        return said("malformed: args is not an object");
    };
    let answer = match operation {
        Operation::FunctionHealth => Ok(ran(health(desk))),
        Operation::FunctionRefund => refund(desk, &args, course),
        Operation::FunctionLookup => {
            key_of(&args).map(|key| ran(stored(desk.books, &key, Replayed::Yes).unwrap_or_else(|| state("absent"))))
        }
        Operation::FunctionVoid => void(desk, &args).map(ran),
        Operation::FunctionList => list(desk, &args),
        Operation::FunctionGet => order_of(&args).and_then(|(kind, value)| {
            let kind = if kind == "order_id" { "id" } else { kind };
            page(desk, |name| (name == kind).then(|| value.clone()))
        }),
        _ => Err("malformed: unknown op".to_owned()),
    };
    answer.unwrap_or_else(|refused| said(&refused))
}

/// The filters that the function hands on.
const FILTERS: [&str; 20] = [
    "id",
    "trade_no",
    "transaction_no",
    "status",
    "refund_status",
    "gateway_type",
    "merchandise_record_id",
    "merchandise_schema_id",
    "merchandise_description",
    "merchandise_snapshot",
    "paid_at",
    "paid_at__gte",
    "paid_at__lte",
    "created_at",
    "updated_at",
    "created_by_id",
    "created_by_name",
    "ip_address",
    "total_cost",
    "refund_amount",
];

fn list(desk: &Desk<'_>, args: &Fields) -> Result<Answer, String> {
    let filter = args.object("filter").unwrap_or_default();
    if let Some(unknown) = filter.names().find(|name| !FILTERS.contains(name)) {
        return Err(format!("malformed: unknown filter {unknown}"));
    }
    page(desk, |name| match name {
        "limit" | "offset" => args.text(name),
        _ => filter.text(name),
    })
}

fn page(desk: &Desk<'_>, given: impl Fn(&str) -> Option<String>) -> Result<Answer, String> {
    match Filter::read(given) {
        Some(filter) => Ok(ran(filter.page(desk, Side::Function, Counted::Yes))),
        None => Err("malformed: limit is not a count".to_owned()),
    }
}

const NOT_ENFORCED: &str = "not_enforced: column refund_key of table tillbook_refunds has no unique index";

fn health(desk: &Desk<'_>) -> Object {
    let enforced = desk.settings.function_index == FunctionIndex::Enforced;
    Object::new()
        .with("index_enforced", Json::Bool(enforced))
        .with("version", "2")
        .with("error", (!enforced).then_some(NOT_ENFORCED))
}

fn key_of(args: &Fields) -> Result<String, String> {
    let refused = || {
        "malformed: refund_key must be 1 to 32 of 0-9 A-Z a-z _ -, after them at most a dot and a count from 1"
            .to_owned()
    };
    args.filled("refund_key").filter(|door| is_door(door)).ok_or_else(refused)
}

/// The one order number that the arguments name.
fn order_of(args: &Fields) -> Result<(&'static str, String), String> {
    let known = ["order_id", "trade_no", "transaction_no"];
    let mut named = known.into_iter().filter_map(|kind| Some((kind, args.filled(kind)?)));
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        _ => Err("malformed: exactly one of order_id, trade_no, transaction_no is wanted".to_owned()),
    }
}

/// The amount, which must be a text: the real function refuses a number, for it would be a float there.
fn amount_of(args: &Fields) -> Result<i64, String> {
    let is_text = args.raw("refund_amount").is_some_and(|raw| raw.starts_with('"'));
    let fen = args.text("refund_amount").filter(|_| is_text).as_deref().and_then(fen_exact);
    fen.filter(|fen| *fen > 0).ok_or_else(|| "malformed: refund_amount must be a text in yuan".to_owned())
}

/// Lower-case hex HMAC-SHA256 of `op + "\n" + args`.
fn mac(secret: &str, op: &str, args: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{op}\n{args}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Replayed {
    Yes,
    No,
}

fn state(word: &str) -> Object {
    Object::new().with("state", word).with("refund", Json::Null).with("replayed", Json::Bool(false))
}

/// What the table holds under this key, in the shape of an answer.
fn stored(books: &Bookkeeping, key: &str, replayed: Replayed) -> Option<Object> {
    let row = books.rows.get(key)?;
    let word = match row.state {
        RowState::Started => "started",
        RowState::Done => "done",
        RowState::Failed => "failed",
        RowState::Void => "void",
    };
    let answer = Object::new()
        .with("state", word)
        .with("refund", row.refund.map(|place| refund_row(books, row, place)))
        .with("replayed", Json::Bool(replayed == Replayed::Yes));
    Some(answer)
}

/// What `BaaS.refund` answered: `refund_amount` is a text there, `status` succeed or failed.
fn refund_row(books: &Bookkeeping, row: &FunctionRow, place: usize) -> Object {
    let refund = &books.refunds[place];
    let (word, error) = match refund.state {
        RefundState::Failed => ("failed", Some(row.error.as_deref().unwrap_or("退款失败"))),
        RefundState::Succeeded | RefundState::Processing => ("succeed", None),
    };
    let order_id = books.orders[refund.order].number("id").unwrap_or_default().to_owned();
    Object::new()
        .with("id", i64::try_from(FIRST_REFUND_ID + refund.serial).expect("at most MOST_ROWS above it"))
        .with("refund_no", refund.server_no.as_str())
        .with("refund_amount", two_places(refund.amount_fen))
        .with("order_id", Json::Literal(order_id))
        .with("memo", row.memo.as_str())
        .with("status", word)
        .with("error_msg", error)
}

fn void(desk: &mut Desk<'_>, args: &Fields) -> Result<Object, String> {
    let key = key_of(args)?;
    if !opens(desk.books, &key) {
        return Ok(state("conflict"));
    }
    if let Some(answer) = stored(desk.books, &key, Replayed::Yes) {
        return Ok(answer);
    }
    prove_index(desk)?;
    let tombstone = FunctionRow {
        state: RowState::Void,
        kind: String::new(),
        value: String::new(),
        amount_fen: None,
        memo: String::new(),
        refund: None,
        error: None,
    };
    desk.books.rows.insert(key, tombstone);
    Ok(state("void"))
}

/// A row counts only under the unique index; without it nothing is written and nothing is sent.
fn prove_index(desk: &Desk<'_>) -> Result<(), String> {
    match desk.settings.function_index {
        FunctionIndex::Enforced => Ok(()),
        FunctionIndex::Missing => Err(NOT_ENFORCED.to_owned()),
    }
}

/// A refund key, and for the doors after the first a dot and how many were shut.
fn is_door(text: &str) -> bool {
    let (key, shut) = text.split_once('.').unwrap_or((text, "1"));
    let is_key = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let is_count = shut.bytes().all(|byte| byte.is_ascii_digit()) && !shut.starts_with('0');
    (1..=32).contains(&key.len()) && is_key(key) && (1..=10).contains(&shut.len()) && is_count
}

/// The refund key that a door belongs to.
fn key_of_door(door: &str) -> &str {
    door.split_once('.').map_or(door, |(key, _)| key)
}

/// Whether the door before this one is shut; the first has none before it.
fn opens(books: &Bookkeeping, door: &str) -> bool {
    let Some((key, shut)) = door.split_once('.') else { return true };
    let before = match shut.parse::<u64>() {
        Ok(1) => key.to_owned(),
        Ok(shut) => format!("{key}.{}", shut.saturating_sub(1)),
        Err(_) => return false,
    };
    books.rows.get(&before).is_some_and(|row| row.state == RowState::Void)
}

fn refund(desk: &mut Desk<'_>, args: &Fields, course: Course) -> Result<Answer, String> {
    let key = key_of(args)?;
    let (kind, value) = order_of(args)?;
    let amount_fen = amount_of(args)?;
    if !opens(desk.books, &key) {
        return Ok(ran(state("conflict")));
    }
    if let Some(row) = desk.books.rows.get(&key) {
        let same = row.kind == kind && row.value == value && row.amount_fen == Some(amount_fen);
        // A tombstone answers for its key whatever was asked.
        return match stored(desk.books, &key, Replayed::Yes) {
            Some(answer) if same || row.state == RowState::Void => Ok(ran(answer)),
            _ => Ok(ran(state("conflict"))),
        };
    }
    prove_index(desk)?;
    // The row comes first: whatever happens to the function after this, the key is taken.
    let row = FunctionRow {
        state: RowState::Started,
        kind: kind.to_owned(),
        value,
        amount_fen: Some(amount_fen),
        memo: args.text("memo").unwrap_or_default(),
        refund: None,
        error: None,
    };
    desk.books.rows.insert(key.clone(), row);
    if course == Course::Stuck {
        return Ok(job_failed(1));
    }
    run_refund(desk.books, desk.now_s, &key, course);
    if course == Course::Unrecorded {
        let row = desk.books.rows.get_mut(&key).expect("inserted above");
        (row.state, row.refund) = (RowState::Started, None);
        return Ok(job_failed(1));
    }
    Ok(ran(stored(desk.books, &key, Replayed::No).expect("inserted above")))
}

/// `BaaS.refund` for a row that stands at `started`, and the row filled with what it says. What it throws (an unknown
/// or unpaid order) leaves the row at `started`: the function cannot know that nothing moved.
fn run_refund(books: &mut Bookkeeping, now_s: i64, key: &str, course: Course) {
    let Some(row) = books.rows.get(key) else { return };
    let kind = if row.kind == "order_id" { "id" } else { row.kind.as_str() };
    let (order, amount_fen) = (books.order_by(Upstream::Hydrogen, kind, &row.value), row.amount_fen.unwrap_or(0));
    let client_no = Some(key_of_door(key).to_owned());
    let draft = Draft { client_no, amount_fen, memo: row.memo.clone(), elsewhere: false };
    let Some(order) = order.filter(|order| books.orders[*order].is_paid()) else { return };
    let left_fen = books.left_fen(order);
    let refused = match course {
        _ if left_fen <= 0 => Some("订单已全额退款"),
        _ if amount_fen > left_fen => Some("退款金额大于可退金额"),
        Course::Fails => Some("退款失败"),
        Course::Plain | Course::Stuck | Course::Unrecorded => None,
    };
    let Ok(refund) = books.take_refund(order, draft, now_s) else { return };
    match refused {
        Some(_) => books.fail(refund, now_s),
        None => books.succeed(refund, now_s),
    }
    let row = books.rows.get_mut(key).expect("looked up above");
    row.state = if refused.is_some() { RowState::Failed } else { RowState::Done };
    (row.refund, row.error) = (Some(refund), refused.map(str::to_owned));
}

/// Fills the row of this refund key that was left at `started`, whichever door it is: with the refund that ran
/// unrecorded, or by running it now. False when there is no such row, or when `BaaS.refund` throws.
pub(crate) fn release(books: &mut Bookkeeping, now_s: i64, key: &str, course: Course) -> bool {
    let started = |(door, row): &(&String, &FunctionRow)| key_of_door(door) == key && row.state == RowState::Started;
    let Some(door) = books.rows.iter().find(started).map(|(door, _)| door.clone()) else { return false };
    match books.refund_by(Upstream::Hydrogen, key) {
        Some(ran_already) => {
            let row = books.rows.get_mut(&door).expect("found above");
            (row.state, row.refund) = (RowState::Done, Some(ran_already));
        }
        None => run_refund(books, now_s, &door, course),
    }
    books.rows[&door].state != RowState::Started
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hmac module.
    #[test]
    fn the_mac_is_hex_hmac_sha256_of_op_newline_args() {
        assert_eq!(mac("key", "health", "{}"), "e40317f3f5522a1a694d335fcccb299a80a82e7c27e69d99e3658dd2697916bf");
    }

    #[test]
    fn keys_are_short_and_plain_and_count_their_doors() {
        for door in ["till-3_0Az", &"k".repeat(32), "k.1", "k.20", "k.4294967295"] {
            assert!(is_door(door), "{door}");
        }
        for text in ["", &"k".repeat(33), "a b", "键", "k.", ".1", "k.0", "k.01", "k.1.1", "k.x", "k.12345678901"] {
            assert!(!is_door(text), "{text}");
        }
    }
}
