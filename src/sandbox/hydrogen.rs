//! 知晓云: the order list and one order by REST, and the job endpoint that runs the merchant's cloud function.
//!
//! Facts: seeds 000 and 001 and the official documents and SDKs. A token shows its own user's orders; the cloud
//! function ([`super::function`]) sees the whole app's.

use super::fault::{Operation, Upstream};
use super::function;
use super::hydrogen_rows::{IP_ADDRESS, Side, buyer, order_row};
use super::inside::Desk;
use super::json::{Fields, Json, Object, fen_exact};
use super::order::{Method, Order};
use super::server::{Answer, Course};
use super::settings::Credentials;

const LIST_PATHS: [&str; 2] = ["/hserve/v2.2/idp/pay/order", "/hserve/v2.0/idp/pay/order"];
const JOB_PATH: &str = "/hserve/v1/cloud-function/job";

/// A request to hydrogen, taken apart.
#[derive(Debug)]
pub(crate) struct HydrogenRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) client_id: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Option<Fields>,
}

impl HydrogenRequest {
    /// What is asked for.
    pub(crate) fn operation(&self) -> Operation {
        let path = self.path.trim_end_matches('/');
        match self.method.as_str() {
            "GET" if LIST_PATHS.contains(&path) => Operation::HydrogenOrderList,
            "GET" if self.transaction_no().is_some() => Operation::HydrogenOrderGet,
            "POST" if path == JOB_PATH => function::operation(self.body.as_ref()),
            _ => Operation::HydrogenOther,
        }
    }

    fn transaction_no(&self) -> Option<&str> {
        let path = self.path.trim_end_matches('/');
        let number = LIST_PATHS.iter().find_map(|list| path.strip_prefix(list)?.strip_prefix('/'))?;
        (!number.contains('/')).then_some(number)
    }

    fn is_authorized(&self, credentials: &Credentials) -> bool {
        let token = self.authorization.as_deref().and_then(|header| header.strip_prefix("Hydrogen-r1 "));
        self.client_id.as_ref() == Some(&credentials.hydrogen_client_id) && token == Some(&credentials.hydrogen_token)
    }
}

/// The error envelope: the HTTP status and a sentence.
pub(crate) fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &Object::new().with("status", "error").with("error_msg", message).into())
}

/// A business code: of a job's envelope, or of a REST read as its HTTP status.
pub(crate) fn code_answer(operation: Operation, code: i64) -> Answer {
    match operation {
        Operation::HydrogenOrderList | Operation::HydrogenOrderGet => error(u16::try_from(code).unwrap_or(400), "错误"),
        _ => function::job_failed(code),
    }
}

/// Does what is asked, once client id and token are right.
pub(crate) fn answer(desk: &mut Desk<'_>, request: &HydrogenRequest, operation: Operation, course: Course) -> Answer {
    if !request.is_authorized(desk.credentials) {
        return error(401, "未授权");
    }
    match operation {
        Operation::HydrogenOrderList => list(desk, request),
        Operation::HydrogenOrderGet => {
            let number = request.transaction_no().unwrap_or_default();
            let own = desk
                .books
                .order_by(Upstream::Hydrogen, "transaction_no", number)
                .map(|place| &desk.books.orders[place])
                .filter(|order| !order.by_another_user);
            match own {
                Some(order) => Answer::json(200, &order_row(desk, order, Side::Rest).into()),
                None => error(404, "not found"),
            }
        }
        _ if request.method == "POST" && request.path.trim_end_matches('/') == JOB_PATH => {
            function::job(desk, request.body.as_ref(), operation, course)
        }
        _ => error(404, "not found"),
    }
}

fn list(desk: &Desk<'_>, request: &HydrogenRequest) -> Answer {
    let given =
        |name: &str| request.query.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let filter = Filter::read(|name| given(name).map(str::to_owned));
    let Some(filter) = filter else {
        return error(400, "参数错误");
    };
    // v2.0 and other lists leave the count out unless asked.
    let counted = request.path.starts_with(LIST_PATHS[0]) || given("return_total_count") == Some("1");
    Answer::json(200, &filter.page(desk, Side::Rest, Counted::from(counted)))
}

/// Whether `meta` says how many rows there are in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Yes,
    No,
}

impl From<bool> for Counted {
    fn from(counted: bool) -> Self {
        if counted { Self::Yes } else { Self::No }
    }
}

/// The documented filters and the page of a list.
#[derive(Debug)]
pub(crate) struct Filter {
    limit: usize,
    offset: usize,
    paid_from_s: Option<i64>,
    paid_to_s: Option<i64>,
    words: Vec<(&'static str, String)>,
}

/// A longer page than this is cut; the documents name a greatest `limit` for tables only.
const MOST_LIMIT: usize = 1000;

impl Filter {
    /// Reads the filters; none when a number is not one.
    pub(crate) fn read(given: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let count = |name, default| given(name).map_or(Some(default), |text| text.parse::<usize>().ok());
        let second = |name| match given(name) {
            None => Some(None),
            Some(text) => text.parse::<i64>().ok().map(Some),
        };
        const WORDS: [&str; 18] = [
            "total_cost",
            "refund_amount",
            "merchandise_description",
            "merchandise_snapshot",
            "paid_at",
            "created_at",
            "updated_at",
            "created_by_id",
            "created_by_name",
            "ip_address",
            "status",
            "refund_status",
            "trade_no",
            "transaction_no",
            "gateway_type",
            "merchandise_record_id",
            "merchandise_schema_id",
            "id",
        ];
        Some(Self {
            limit: count("limit", 20)?.min(MOST_LIMIT),
            offset: count("offset", 0)?,
            paid_from_s: second("paid_at__gte")?,
            paid_to_s: second("paid_at__lte")?,
            words: WORDS.into_iter().filter_map(|name| Some((name, given(name)?))).collect(),
        })
    }

    fn admits(&self, desk: &Desk<'_>, order: &Order) -> bool {
        let paid_at_s = order.paid_at_s;
        self.paid_from_s.is_none_or(|from| paid_at_s.is_some_and(|at| at >= from))
            && self.paid_to_s.is_none_or(|to| paid_at_s.is_some_and(|at| at <= to))
            && self.words.iter().all(|(name, asked)| match *name {
                "status" => order.status == *asked,
                "refund_status" => refund_status(desk, order).unwrap_or_default() == asked,
                "gateway_type" => gateway_type(order) == asked,
                "trade_no" | "transaction_no" | "id" => order.number(name) == Some(asked),
                "merchandise_description" => order.subject == *asked,
                "paid_at" => paid_at_s.is_some_and(|at| at.to_string() == *asked),
                "created_at" => order.created_at_s.to_string() == *asked,
                "updated_at" => order.updated_at_s.to_string() == *asked,
                "total_cost" => fen_exact(asked) == Some(order.paid_fen),
                "refund_amount" => fen_exact(asked) == Some(order.refunded_fen),
                "ip_address" => asked == IP_ADDRESS,
                "created_by_id" => buyer(order).to_string() == *asked,
                // Every order of the sandbox has null or nothing there.
                _ => false,
            })
    }

    /// One page, newest first. `next` is set as long as the page has a row: on the last page too, as seed 001 shows.
    pub(crate) fn page(&self, desk: &Desk<'_>, side: Side, counted: Counted) -> Json {
        let mut rows: Vec<&Order> = desk
            .books
            .orders
            .iter()
            .filter(|order| order.upstream == Upstream::Hydrogen)
            .filter(|order| side == Side::Function || !order.by_another_user)
            .filter(|order| self.admits(desk, order))
            .collect();
        rows.sort_by_key(|order| std::cmp::Reverse((order.created_at_s, order.serial)));
        let shown: Vec<Json> =
            rows.iter().skip(self.offset).take(self.limit).map(|order| order_row(desk, order, side).into()).collect();
        let path = |offset: usize| format!("{}/?limit={}&offset={offset}", LIST_PATHS[0], self.limit);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let next = (!shown.is_empty()).then(|| path(self.offset + self.limit));
        let previous = (self.offset > 0).then(|| path(self.offset.saturating_sub(self.limit)));
        let meta = Object::new()
            .with("limit", number(self.limit))
            .with("next", next)
            .with("offset", number(self.offset))
            .with("previous", previous)
            .maybe("total_count", (counted == Counted::Yes).then(|| number(rows.len())));
        Object::new().with("meta", meta).with("objects", shown).into()
    }
}

/// The word that the books stand for: none while nothing was refunded.
pub(crate) fn refund_status(desk: &Desk<'_>, order: &Order) -> Option<&'static str> {
    let failed = || {
        let refunds = order.refunds.iter().map(|place| &desk.books.refunds[*place]);
        refunds.into_iter().any(|refund| refund.state == super::books::RefundState::Failed)
    };
    match order.refunded_fen {
        0 => failed().then_some("failed"),
        all if all == order.paid_fen => Some("complete"),
        _ => Some("partial"),
    }
}

pub(crate) fn gateway_type(order: &Order) -> &'static str {
    match (order.method, order.serial % 3) {
        (Method::Alipay, 0) => "alipay_app",
        (Method::Alipay, _) => "alipay",
        (_, 0) => "weixin_tenpay_js",
        _ => "weixin_tenpay",
    }
}
