//! The adapter: Fubei as the ledger sees it.

use std::sync::Arc;
use std::time::Duration;

use crate::clients::call::{Call, Permit, Wire};
use crate::clients::classify;
use crate::clients::credential::CredentialSource;
use crate::clients::failure::Failure;
use crate::clients::fields::Strange;
use crate::clients::http::{self, HttpError, HttpSettings};
use crate::clients::wire::Yuan;
use crate::domain::{Answer, BlockReason, Body, Facts, Finding, GatewayName, Outcome, Reference, Timestamp};
use crate::gateway::{
    BoxFuture, Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind, RefundCall,
};

use super::api::types;
use super::api::{Client, OPERATIONS};
use super::envelope::{Refusal, Seen, envelope};
use super::refunds::{Books, Row};
use super::sign::Signer;
use super::{orders, refunds};

/// How to reach Fubei for one merchant.
#[derive(Clone, Debug)]
pub struct FubeiSettings {
    /// Where and how; the gateway is `<base_url>/gateway`.
    pub http: HttpSettings,
    /// 应用号.
    pub app_id: String,
    /// 应用密钥, with which every call is signed.
    pub secret: Arc<dyn CredentialSource>,
    /// Codes (`result_code` or `sub_code`) of order.refund that are known to mean "refused, nothing executed".
    pub declined_codes: Vec<String>,
    /// Codes that are known to mean "wrong signature or app_id"; words that say so are known without.
    pub credential_codes: Vec<String>,
}

impl FubeiSettings {
    /// Settings with no codes of the user's own.
    pub fn new(http: HttpSettings, app_id: impl Into<String>, secret: Arc<dyn CredentialSource>) -> Self {
        FubeiSettings { http, app_id: app_id.into(), secret, declined_codes: Vec::new(), credential_codes: Vec::new() }
    }
}

/// Fubei for one merchant.
#[derive(Clone, Debug)]
pub struct FubeiGateway {
    pub(super) client: Client,
    pub(super) settings: FubeiSettings,
}

/// The numbers by which Fubei can be asked, best first: its own never means two orders.
const FETCH_BY: &[&str] = &["order_sn", "trade_no", "merchant_order_sn"];

/// Parameters that name one order.
macro_rules! numbered {
    ($biz:ident, $number:expr) => {{
        let (biz, number): (_, &Reference) = (types::$biz::builder(), $number);
        match number.kind.as_str() {
            "order_sn" => biz.order_sn(Some(number.number.clone())),
            "trade_no" => biz.trade_no(Some(number.number.clone())),
            "merchant_order_sn" => biz.merchant_order_sn(Some(number.number.clone())),
            // Without a number: callers have checked the kind, and the gateway would refuse.
            _ => biz,
        }
    }};
}

impl FubeiGateway {
    /// An adapter for `settings`; nothing is connected to.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: FubeiSettings) -> Result<Self, HttpError> {
        Ok(FubeiGateway { client: client(&settings)?, settings })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.settings.http.now()
    }

    async fn order_query(&self, number: &Reference) -> (Seen<types::Order>, Timestamp) {
        let call = Call::read();
        let asked_at = self.now();
        let seen = match numbered!(OrderQueryBiz, number).try_into() {
            Ok(biz) => {
                let biz: types::OrderQueryBiz = biz;
                let request = self.client.with_call(&call);
                let result = request.order_query().body_map(|body| envelope!(body, biz)).send().await;
                Seen::of(call.conclude(result), |answer: types::OrderQueryAnswer| answer.data)
            }
            Err(error) => not_built(error),
        };
        (seen, asked_at)
    }

    async fn statistics(&self, number: &Reference) -> Seen<types::RefundStatistics> {
        let call = Call::read();
        let biz: types::RefundStatisticsBiz = match numbered!(RefundStatisticsBiz, number).try_into() {
            Ok(biz) => biz,
            Err(error) => return not_built(error),
        };
        let request = self.client.with_call(&call);
        let result = request.refund_statistics().body_map(|body| envelope!(body, biz)).send().await;
        Seen::of(call.conclude(result), |answer: types::RefundStatisticsAnswer| answer.data)
    }

    async fn refund_query(&self, about: &RefundCall) -> Seen<types::Refund> {
        let call = Call::read();
        let biz = numbered!(RefundQueryBiz, &about.native).merchant_refund_sn(Some(about.refund.key.to_string()));
        let biz: types::RefundQueryBiz = match biz.try_into() {
            Ok(biz) => biz,
            Err(error) => return not_built(error),
        };
        let request = self.client.with_call(&call);
        let result = request.refund_query().body_map(|body| envelope!(body, biz)).send().await;
        Seen::of(call.conclude(result), |answer: types::RefundQueryAnswer| answer.data)
    }

    async fn order_refund(&self, about: &RefundCall) -> Seen<types::AcceptedRefund> {
        let call = Call::permitted(Permit::to_refund(about));
        let biz = numbered!(OrderRefundBiz, &about.native)
            .merchant_refund_sn(about.refund.key.to_string())
            .refund_money(Yuan::from_fen(about.refund.amount.fen()));
        let biz: types::OrderRefundBiz = match biz.try_into() {
            Ok(biz) => biz,
            Err(error) => return not_built(error),
        };
        let request = self.client.with_call(&call);
        let result = request.order_refund().body_map(|body| envelope!(body, biz)).send().await;
        Seen::of(call.conclude(result), |answer: types::OrderRefundAnswer| answer.data)
    }

    /// Reads the secret again after a refusal of it; `true` if it is another one now.
    pub(super) fn renew_after(&self, error: &ReadError) -> bool {
        error.kind == ReadErrorKind::Credentials && self.renew()
    }

    fn renew(&self) -> bool {
        match self.settings.secret.renew() {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!(%error, "the secret was refused and cannot be read again");
                false
            }
        }
    }

    fn blocks(&self, refusal: &Refusal) -> bool {
        refusal.is_of_the_envelope() || refusal.is_one_of(&self.settings.credential_codes)
    }

    /// One order with its statistics; `Ok(None)`: there is no such order.
    async fn fetch_once(&self, number: &Reference) -> Result<Option<Facts>, ReadError> {
        let codes = &self.settings.credential_codes;
        let (seen, asked_at) = self.order_query(number).await;
        if let Seen::Refused(refusal) = &seen
            && refusal.names_absence()
        {
            return Ok(None);
        }
        let (order, answer) = seen.read("order.query", codes)?;
        let bears = |text: Option<&crate::clients::wire::Text>| text.is_some_and(|text| text.as_str() == number.number);
        let named = match number.kind.as_str() {
            "order_sn" => bears(order.order_sn.as_ref()),
            "trade_no" => bears(order.trade_no.as_ref()),
            "merchant_order_sn" => bears(order.merchant_order_sn.as_ref()),
            _ => false,
        };
        if !named {
            let message = format!("order.query: asked for {number}, the answer bears another number");
            return Err(ReadError::new(ReadErrorKind::Unreadable, message));
        }
        let statistics = match self.statistics(number).await {
            Seen::Refused(refusal) if !self.blocks(&refusal) && !refusal.names_haste() => {
                // Then nothing is known of its refunds, which is not "none".
                tracing::debug!(code = refusal.code, "refund.statistics refused");
                None
            }
            seen => Some(seen.read("refund.statistics", codes)?.0),
        };
        let upstream_time = answer.date.map(Timestamp::from);
        orders::facts(order, statistics, &self.settings.app_id, asked_at)
            .map(|facts| Some(Facts { upstream_time, body: Some(Body::new(answer.body)), ..facts }))
            .map_err(|Strange(why)| ReadError::new(ReadErrorKind::Unreadable, format!("order.query: {why}")))
    }

    async fn fetch(&self, wanted: &[Reference]) -> Result<Option<Facts>, ReadError> {
        let rank = |number: &Reference| FETCH_BY.iter().position(|kind| *kind == number.kind);
        let mut numbers: Vec<&Reference> = wanted.iter().filter(|number| rank(number).is_some()).collect();
        numbers.sort_by_key(|number| rank(number));
        let mut refused = None;
        let mut asked = false;
        for number in numbers {
            asked = true;
            let mut found = self.fetch_once(number).await;
            if found.as_ref().is_err_and(|error| self.renew_after(error)) {
                found = self.fetch_once(number).await;
            }
            match found {
                Ok(Some(facts)) => return Ok(Some(facts)),
                Ok(None) => {}
                // A refusal in unknown words may mean "no such order": the next number may do better.
                Err(error) if error.kind == ReadErrorKind::Refused => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) => Err(error),
            None if asked => Ok(None),
            None => {
                let message = format!("fubei asks by {} only", FETCH_BY.join(", "));
                Err(ReadError::new(ReadErrorKind::Unsupported, message))
            }
        }
    }

    /// Sends, and on a refusal asks at once what the books say.
    async fn send(&self, about: &RefundCall) -> Answer {
        if !FETCH_BY.contains(&about.native.kind.as_str()) {
            let failure = built(format!("fubei knows no number of the kind {}", about.native.kind));
            return classify::refund_answer(&failure, self.now());
        }
        match self.order_refund(about).await {
            Seen::Done { code, message, data, .. } => {
                refunds::accepted(data.as_ref(), code, message, Some(&about.refund.key), self.now())
            }
            Seen::Failed(failure) => classify::refund_answer(&failure, self.now()),
            Seen::Refused(refusal) => self.judge_refusal(about, &refusal).await,
        }
    }

    async fn judge_refusal(&self, about: &RefundCall, refusal: &Refusal) -> Answer {
        let answer = |outcome, blocked| Answer {
            blocked,
            code: Some(refusal.code.clone()),
            message: Some(refusal.words()),
            ..Answer::new(outcome, self.now())
        };
        if refusal.is_one_of(&self.settings.declined_codes) {
            return answer(Outcome::Declined, None);
        }
        if self.blocks(refusal) {
            self.renew();
            return answer(Outcome::Blocked, Some(BlockReason::Credentials));
        }
        let query = self.refund_query(about).await;
        let statistics = self.statistics(&about.native).await;
        // Words of a signature with a platform's code: it was the envelope after all if both reads fare the same.
        let same = |other: Option<&Refusal>| other.is_some_and(|other| other == refusal);
        if refusal.names_credentials() && same(query.refusal()) && same(statistics.refusal()) {
            self.renew();
            return answer(Outcome::Blocked, Some(BlockReason::Credentials));
        }
        let row = refunds::row(&query, about);
        let books = refunds::books(statistics, &about.native, about.baseline.as_ref());
        refunds::after_refusal(&refusal.code, &refusal.words(), row, &books, self.now())
    }

    /// Asks by our own number, and without a clear answer for the books.
    async fn ask(&self, about: &RefundCall, asked_at: Timestamp) -> Result<Finding, ReadError> {
        let query = self.refund_query(about).await;
        let row = match query {
            Seen::Failed(failure) => return Err(classify::read_error("refund.query", &failure)),
            Seen::Refused(refusal) if self.blocks(&refusal) || refusal.names_haste() => {
                return Err(refusal.read_error("refund.query", &self.settings.credential_codes));
            }
            query => refunds::row(&query, about),
        };
        if matches!(row, Row::Ours { .. }) {
            return Ok(refunds::found(row, None, asked_at, self.now()));
        }
        // No proof either way, after any time: the books are added for the person who will decide.
        let statistics = self.statistics(&about.native).await;
        let books: Books = refunds::books(statistics, &about.native, about.baseline.as_ref());
        Ok(refunds::found(row, Some(&books), asked_at, self.now()))
    }

    /// A bill of one second: any judgement but one of the signature proves it accepted.
    async fn check_once(&self) -> Result<Checked, ReadError> {
        let to = self.now();
        let from = to.saturating_sub(Duration::from_secs(1));
        let (mut warnings, mut upstream_time) = (Vec::new(), None);
        match self.bill_page(from, to, 1, 1).await {
            Ok((_, answer)) => {
                upstream_time = answer.date.map(Timestamp::from);
                let skew = answer.date.map(|theirs| answer.received_at.duration_since(theirs).as_secs());
                if let Some(seconds) = skew.filter(|seconds| seconds.abs() > 30) {
                    let direction = if seconds > 0 { "ahead of" } else { "behind" };
                    warnings.push(format!("this clock is {} s {direction} the upstream's", seconds.abs()));
                }
            }
            Err(error) if error.kind == ReadErrorKind::Refused => {
                warnings.push(format!("the gateway answered, but not with a bill: {error}"));
            }
            Err(error) => return Err(error),
        }
        Ok(Checked { proven: vec!["signature and app_id accepted".to_owned()], warnings, upstream_time })
    }
}

/// The generated client for `settings`: it signs, and it refuses what moves money.
///
/// # Errors
/// What is wrong with the settings.
pub fn client(settings: &FubeiSettings) -> Result<Client, HttpError> {
    let signer = Arc::new(Signer { app_id: settings.app_id.clone(), secret: settings.secret.clone() });
    let wire = Wire::new(OPERATIONS, signer, &settings.http);
    Ok(Client::new_with_client(&http::base(&settings.http), http::client(&settings.http)?, wire))
}

impl Gateway for FubeiGateway {
    fn name(&self) -> GatewayName {
        orders::gateway_name()
    }

    fn merchant(&self) -> Option<String> {
        Some(self.settings.app_id.clone())
    }

    /// 90 days and 10 refunds: MerchantOrderApi of github.com/fubei-open/java-sdk at bf17df1.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            refunds: true,
            lists_orders: true,
            lists_by_time: true,
            lists_every_order: false,
            client_refund_number: true,
            totals_count_pending: true,
            lists_refunds: false,
            fence: false,
            fetch_by: FETCH_BY,
            refund_window: Some(Duration::from_secs(90 * 24 * 60 * 60)),
            refunds_per_order: Some(10),
            calls_per_minute: None,
        }
    }

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(self.fetch(wanted))
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(self.mentioned(wanted, page))
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(self.send(call))
    }

    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            let asked_at = self.now();
            match self.ask(call, asked_at).await {
                Err(error) if self.renew_after(&error) => self.ask(call, asked_at).await,
                asked => asked,
            }
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(async move {
            match self.check_once().await {
                Err(error) if self.renew_after(&error) => self.check_once().await,
                checked => checked,
            }
        })
    }
}

pub(super) fn built(error: impl std::fmt::Display) -> Failure {
    Failure::NotBuilt { why: error.to_string() }
}

fn not_built<D>(error: impl std::fmt::Display) -> Seen<D> {
    Seen::Failed(built(error))
}
