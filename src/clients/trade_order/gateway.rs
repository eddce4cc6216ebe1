//! The adapter: trade_order as the ledger sees it.

use std::sync::Arc;

use reqwest::Request;
use reqwest::header::AUTHORIZATION;

use crate::clients::call::{Authorize, AuthorizeError, Call, Operation, Permit, Wire, secret_header};
use crate::clients::credential::CredentialSource;
use crate::clients::failure::Failure;
use crate::clients::http::{self, HttpError, HttpSettings};
use crate::clients::reread;
use crate::clients::wire::YuanText;
use crate::domain::{Answer, BlockReason, Body, Facts, Finding, GatewayName, Outcome, Reference, Timestamp};
use crate::gateway::{
    BoxFuture, Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind, RefundCall,
    RefundPage, RefundSpan,
};

use super::api::types;
use super::api::{Client, OPERATIONS};
use super::envelope::Seen;
use super::{list, orders, refunds};

/// How to reach a merchant's installation.
#[derive(Clone, Debug)]
pub struct TradeOrderSettings {
    /// Where and how.
    pub http: HttpSettings,
    /// The JWT, sent by itself: without the word `Bearer`.
    pub token: Arc<dyn CredentialSource>,
}

impl TradeOrderSettings {
    /// Settings for `token`.
    pub fn new(http: HttpSettings, token: Arc<dyn CredentialSource>) -> Self {
        TradeOrderSettings { http, token }
    }
}

/// trade_order for one merchant.
#[derive(Clone, Debug)]
pub struct TradeOrderGateway {
    pub(super) client: Client,
    settings: TradeOrderSettings,
}

/// The numbers by which trade_order can be asked, best first.
const FETCH_BY: &[&str] = &[orders::NATIVE, "payOrderId"];

#[derive(Debug)]
struct Token(Arc<dyn CredentialSource>);

impl Authorize for Token {
    fn authorize(&self, request: &mut Request, _: &Operation) -> Result<(), AuthorizeError> {
        let token = secret_header(&self.0.secret()?)?;
        request.headers_mut().insert(AUTHORIZATION, token);
        Ok(())
    }
}

impl TradeOrderGateway {
    /// An adapter for `settings`; nothing is connected to.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: TradeOrderSettings) -> Result<Self, HttpError> {
        Ok(TradeOrderGateway { client: client(&settings)?, settings })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.settings.http.now()
    }

    fn secrets(&self) -> [&Arc<dyn CredentialSource>; 1] {
        [&self.settings.token]
    }

    async fn fetch(&self, wanted: &[Reference]) -> Result<Option<Facts>, ReadError> {
        let rank = |number: &Reference| FETCH_BY.iter().position(|kind| *kind == number.kind);
        let mut numbers: Vec<&Reference> = wanted.iter().filter(|number| rank(number).is_some()).collect();
        numbers.sort_by_key(|number| rank(number));
        if numbers.is_empty() {
            let message = format!("trade_order asks by {} only", FETCH_BY.join(", "));
            return Err(ReadError::new(ReadErrorKind::Unsupported, message));
        }
        for number in numbers {
            if let Some(facts) = reread::read(&self.secrets(), || self.fetch_once(number)).await? {
                return Ok(Some(facts));
            }
        }
        Ok(None)
    }

    /// The order that bears `number`; `Ok(None)`: there is none.
    async fn fetch_once(&self, number: &Reference) -> Result<Option<Facts>, ReadError> {
        let (asked_at, call) = (self.now(), Call::read());
        let client = self.client.with_call(&call);
        if number.kind == orders::NATIVE {
            let result = client.get_trade_order().trade_order_id(number.number.clone()).send().await;
            return match Seen::of(call.conclude(result), |answer: types::TradeOrderAnswer| answer.data) {
                Seen::Refused(refusal) if refusal.names_absence() => Ok(None),
                seen => match seen.read("trade_order.get")? {
                    (Some(order), answer) => {
                        let upstream_time = answer.date.map(Timestamp::from);
                        let found = list::one(order, number, asked_at)?;
                        let body = Some(Body::new(answer.body));
                        Ok(found.map(|facts| Facts { upstream_time, body, ..facts }))
                    }
                    (None, _) => Ok(None),
                },
            };
        }
        let request = client.list_trade_orders().page(1).limit(20).pay_order_id(number.number.clone());
        let seen = Seen::of(call.conclude(request.send().await), |answer: types::TradeOrderPage| answer.data);
        let rows = seen.read("trade_order.list")?.0.unwrap_or_default();
        list::one_of(rows, number, asked_at)
    }

    async fn list_once(&self, wanted: &OrderFilter, page: PageAt) -> Result<OrderPage, ReadError> {
        let (asked_at, call, pages) = (self.now(), Call::read(), list::Pages::of(page));
        let client = self.client.with_call(&call);
        let number = i64::try_from(pages.number)
            .map_err(|_| ReadError::new(ReadErrorKind::Unsupported, "no list is that long"))?;
        let request = client.list_trade_orders().page(number).limit(i64::from(page.limit.max(1)));
        let result = list::filtered(request, wanted).send().await;
        let seen = Seen::of(call.conclude(result), |answer: types::TradeOrderPage| Some((answer.data, answer.count)));
        let (rows, count) = seen.read("trade_order.list")?.0.unwrap_or_default();
        Ok(list::page_of(rows.unwrap_or_default(), count, pages, asked_at))
    }

    /// Sends, once.
    async fn send(&self, about: &RefundCall) -> Answer {
        let call = Call::permitted(Permit::to_refund(about));
        let seen = match form(about) {
            Ok(form) => {
                let result = self.client.with_call(&call).member_pay_refund().body(form).send().await;
                Seen::of(call.conclude(result), |answer: types::RefundAnswer| answer.data)
            }
            Err(why) => Seen::Failed(Failure::NotBuilt { why }),
        };
        let answer = refunds::attempt(seen, self.now());
        if answer.outcome == Outcome::Blocked && answer.blocked == Some(BlockReason::Credentials) {
            // For the next attempt: this one is over.
            reread::renew(&self.secrets());
        }
        answer
    }

    /// Asks the gateway's list by the number that the refund was answered with, or else for what is like it.
    async fn ask(&self, about: &RefundCall, asked_at: Timestamp) -> Result<Finding, ReadError> {
        let Some(number) = about.refund.upstream_refund_no.as_deref() else {
            return self.find_alike(about, asked_at).await;
        };
        let call = Call::read();
        let client = self.client.with_call(&call);
        let result = client.list_refund_orders().page(1).limit(20).mch_refund_no(number).send().await;
        let seen = Seen::of(call.conclude(result), |answer: types::RefundOrderPage| answer.data);
        let rows = seen.read("refund_order.list")?.0.unwrap_or_default();
        Ok(refunds::of_number(&rows, number, about, asked_at, self.now()))
    }

    /// A list of one order: whoever may read it holds a good token.
    async fn check_once(&self) -> Result<Checked, ReadError> {
        let call = Call::read();
        let client = self.client.with_call(&call);
        let result = client.list_trade_orders().page(1).limit(1).send().await;
        let seen = Seen::of(call.conclude(result), |answer: types::TradeOrderPage| answer.data);
        let raw = seen.read("trade_order.list")?.1;
        Ok(Checked {
            proven: vec!["token accepted".to_owned()],
            warnings: reread::clock_warning(&raw).into_iter().collect(),
            upstream_time: raw.date.map(Timestamp::from),
        })
    }
}

/// The generated client for `settings`: it adds the token, and it refuses what moves money.
///
/// # Errors
/// What is wrong with the settings.
pub fn client(settings: &TradeOrderSettings) -> Result<Client, HttpError> {
    let wire = Wire::new(OPERATIONS, Arc::new(Token(settings.token.clone())), &settings.http);
    Ok(Client::new_with_client(&http::base(&settings.http), http::client(&settings.http)?, wire))
}

impl Gateway for TradeOrderGateway {
    fn name(&self) -> GatewayName {
        orders::gateway_name()
    }

    /// Only facts tell: `mchId`.
    fn merchant(&self) -> Option<String> {
        None
    }

    /// No client refund number, so one refund of an order at a time; no window and no count in the server's source.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            refunds: true,
            lists_orders: true,
            lists_by_time: true,
            lists_every_order: true,
            client_refund_number: false,
            totals_count_pending: false,
            lists_refunds: true,
            fence: false,
            fetch_by: FETCH_BY,
            refund_window: None,
            refunds_per_order: None,
            calls_per_minute: None,
        }
    }

    fn fetch_order<'a>(&'a self, wanted: &'a [Reference]) -> BoxFuture<'a, Result<Option<Facts>, ReadError>> {
        Box::pin(self.fetch(wanted))
    }

    fn list_orders<'a>(&'a self, wanted: &'a OrderFilter, page: PageAt) -> BoxFuture<'a, Result<OrderPage, ReadError>> {
        Box::pin(async move { reread::read(&self.secrets(), || self.list_once(wanted, page)).await })
    }

    fn refund<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Answer> {
        Box::pin(self.send(call))
    }

    fn probe<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            let asked_at = self.now();
            reread::read(&self.secrets(), || self.ask(call, asked_at)).await
        })
    }

    /// Newest first, so rows shift to later pages while refunds arrive: the same one may come twice. Refunds of cash and
    /// member cards never appear.
    fn list_refunds<'a>(&'a self, span: RefundSpan, page: PageAt) -> BoxFuture<'a, Result<RefundPage, ReadError>> {
        Box::pin(async move { reread::read(&self.secrets(), || self.list_refunds_once(span, page)).await })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(async move { reread::read(&self.secrets(), || self.check_once()).await })
    }
}

/// The refund as the server takes it: yuan, though every amount it answers is fen.
fn form(about: &RefundCall) -> Result<types::RefundForm, String> {
    if about.native.kind != orders::NATIVE {
        return Err(format!("the order has no {}", orders::NATIVE));
    }
    types::RefundForm::builder()
        .trade_order_id(about.native.number.clone())
        .refund_amount(YuanText::from_fen(about.refund.amount.fen()))
        .refund_desc(about.refund.memo.clone().filter(|memo| !memo.is_empty()))
        .try_into()
        .map_err(|error: super::api::types::error::ConversionError| error.to_string())
}
