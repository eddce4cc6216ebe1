//! The adapter: hydrogen as the ledger sees it.

use std::sync::Arc;

use crate::clients::call::{Call, RawAnswer, Wire};
use crate::clients::classify;
use crate::clients::credential::CredentialSource;
use crate::clients::failure::Failure;
use crate::clients::http::{self, HttpError, HttpSettings};
use crate::clients::reread;
use crate::clients::wire::Text;
use crate::domain::{Answer, Body, Facts, Finding, GatewayName, Reference, Timestamp};
use crate::gateway::{
    BoxFuture, Capabilities, Checked, Gateway, OrderFilter, OrderPage, PageAt, ReadError, ReadErrorKind, RefundCall,
};

use super::api::types;
use super::api::{Client, OPERATIONS};
use super::authorize::Signer;
use super::function::{Ran, job};
use super::{doors, list, orders};

/// Where orders are read from. Refunds always go through the cloud function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrdersFrom {
    /// The cloud function: the whole app's orders.
    #[default]
    Function,
    /// The REST list: only the orders of the token's own user.
    User,
}

/// How to reach hydrogen for one app.
#[derive(Clone, Debug)]
pub struct HydrogenSettings {
    /// Where and how.
    pub http: HttpSettings,
    /// The app's client id, which is the merchant's id here.
    pub client_id: String,
    /// The access token of any user of the app, without the word before it.
    pub token: Arc<dyn CredentialSource>,
    /// The name of the cloud function that the merchant deployed (cloud-function/tillbook.js).
    pub refund_function: String,
    /// The secret that function holds, under which every job is signed.
    pub function_secret: Arc<dyn CredentialSource>,
    /// Where orders are read from.
    pub orders: OrdersFrom,
}

impl HydrogenSettings {
    /// Settings for the function `tillbook`, orders read through it.
    pub fn new(
        http: HttpSettings,
        client_id: impl Into<String>,
        token: Arc<dyn CredentialSource>,
        function_secret: Arc<dyn CredentialSource>,
    ) -> Self {
        HydrogenSettings {
            http,
            client_id: client_id.into(),
            token,
            refund_function: "tillbook".to_owned(),
            function_secret,
            orders: OrdersFrom::default(),
        }
    }
}

/// hydrogen for one app.
#[derive(Clone, Debug)]
pub struct HydrogenGateway {
    pub(super) client: Client,
    pub(super) settings: HydrogenSettings,
}

/// The numbers by which hydrogen can be asked, best first.
const FETCH_BY: &[&str] = &[orders::NATIVE, "trade_no", "id"];

/// The free plan allows 50 requests a minute for the whole application (hydrogen's documentation,
/// support/technical-notes.md), which its own customers use too.
const CALLS_PER_MINUTE: u32 = 20;

impl HydrogenGateway {
    /// An adapter for `settings`; nothing is connected to.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: HydrogenSettings) -> Result<Self, HttpError> {
        Ok(HydrogenGateway { client: client(&settings)?, settings })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.settings.http.now()
    }

    pub(super) fn secrets(&self) -> [&Arc<dyn CredentialSource>; 2] {
        [&self.settings.token, &self.settings.function_secret]
    }

    async fn fetch(&self, wanted: &[Reference]) -> Result<Option<Facts>, ReadError> {
        let rank = |number: &Reference| FETCH_BY.iter().position(|kind| *kind == number.kind);
        let mut numbers: Vec<&Reference> = wanted.iter().filter(|number| rank(number).is_some()).collect();
        numbers.sort_by_key(|number| rank(number));
        if numbers.is_empty() {
            let message = format!("hydrogen asks by {} only", FETCH_BY.join(", "));
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
        let asked_at = self.now();
        // An order id is a whole number: another text cannot be one, and upstream it would be an error.
        let id = match order_id(number) {
            None if number.kind == "id" => return Ok(None),
            id => id,
        };
        let (rows, asked) = match (self.settings.orders, number.kind.as_str()) {
            (OrdersFrom::Function, _) => {
                let args = types::GetArgs::builder().order_id(id);
                let args = match number.kind.as_str() {
                    "id" => args,
                    "trade_no" => args.trade_no(number.number.clone()),
                    _ => args.transaction_no(number.number.clone()),
                };
                let args: types::GetArgs = args.try_into().map_err(|error| not_built("get", error))?;
                let call = Call::read();
                let seen = Ran::of(job!(self, &call, function_get, Get, GetJob, args));
                (seen.read("get", |list| list.error.as_ref())?.0.objects, "get")
            }
            (OrdersFrom::User, orders::NATIVE) => match self.rest_get(&number.number).await? {
                Some((order, body)) => {
                    let found = list::one_of_one(order, number, &self.settings.client_id, asked_at)?;
                    return Ok(found.map(|facts| Facts { body: Some(body), ..facts }));
                }
                None => return Ok(None),
            },
            (OrdersFrom::User, _) => {
                let call = Call::read();
                let client = self.client.with_call(&call);
                let request = client.list_orders().limit(20).offset(0).where_("{}");
                let request = match id {
                    Some(id) => request.id(id),
                    None => request.trade_no(number.number.clone()),
                };
                let reply = call.conclude(request.send().await);
                (
                    reply.map_err(|failure| super::function::read_error("order.list", &failure))?.value.objects,
                    "order.list",
                )
            }
        };
        list::one_of(present(rows, asked)?, number, asked, &self.settings.client_id, asked_at)
    }

    async fn rest_get(&self, transaction_no: &str) -> Result<Option<(types::Order, Body)>, ReadError> {
        let call = Call::read();
        let client = self.client.with_call(&call);
        match call.conclude(client.get_order().transaction_no(transaction_no).send().await) {
            Ok(reply) => Ok(Some((reply.value, Body::new(reply.answer.body)))),
            Err(Failure::Status { answer }) if answer.status == 404 => Ok(None),
            Err(failure) => Err(super::function::read_error("order.get", &failure)),
        }
    }

    async fn list_once(&self, wanted: &OrderFilter, page: PageAt) -> Result<OrderPage, ReadError> {
        let asked_at = self.now();
        let filter = list::Filter::of(wanted);
        let (meta, rows) = match self.settings.orders {
            OrdersFrom::Function => {
                let args = types::ListArgs::builder()
                    .filter(filter.for_function()?)
                    .limit(i64::from(page.limit))
                    .offset(offset(page)?);
                let args: types::ListArgs = args.try_into().map_err(|error| not_built("list", error))?;
                let call = Call::read();
                let seen = Ran::of(job!(self, &call, function_list, List, ListJob, args));
                let (list, _) = seen.read("list", |list| list.error.as_ref())?;
                (list.meta, list.objects)
            }
            OrdersFrom::User => {
                let list = self.rest_list(&filter, page).await?.0;
                (list.meta, list.objects)
            }
        };
        let rows = present(rows, "list")?;
        let total = meta.and_then(|meta| meta.total_count);
        Ok(list::page_of(rows, total, page, &self.settings.client_id, asked_at))
    }

    async fn rest_list(&self, filter: &list::Filter, page: PageAt) -> Result<(types::OrderList, RawAnswer), ReadError> {
        let call = Call::read();
        let client = self.client.with_call(&call);
        let request = client.list_orders().limit(i64::from(page.limit)).offset(offset(page)?).where_("{}");
        let reply = call.conclude(filter.for_rest(request.return_total_count(1)).send().await);
        let reply = reply.map_err(|failure| super::function::read_error("order.list", &failure))?;
        Ok((reply.value, reply.answer))
    }

    async fn check_once(&self) -> Result<Checked, ReadError> {
        let call = Call::read();
        // Read from JSON: a spec that gives it fields changes the type, not the text.
        let args = serde_json::from_str("{}").map_err(|error| not_built("health", error))?;
        let seen = Ran::of(job!(self, &call, function_health, Health, HealthJob, args));
        let (health, raw) = seen.read("health", |health| match health.index_enforced {
            None => health.error.as_ref(),
            Some(_) => None,
        })?;
        let mut checked = Checked {
            proven: vec!["token and function secret accepted".to_owned()],
            warnings: Vec::new(),
            upstream_time: raw.date.map(Timestamp::from),
        };
        match health.index_enforced {
            Some(true) => checked.proven.push("the refund table's unique index is enforced".to_owned()),
            Some(false) => {
                let why = health.error.map_or_else(String::new, |error| format!(": {error}"));
                checked.warnings.push(format!("no refund will be sent, the refund table is not as it must be{why}"));
            }
            None => checked.warnings.push("the function does not say whether its index is enforced".to_owned()),
        }
        checked.warnings.extend(doors::version_warning(health.version.as_ref().and_then(Text::non_empty)));
        checked.warnings.extend(reread::clock_warning(&raw));
        if self.settings.orders == OrdersFrom::User {
            let filter = list::Filter::of(&OrderFilter::default());
            self.rest_list(&filter, PageAt { offset: 0, limit: 1 }).await?;
            checked.proven.push("the token's user may list orders".to_owned());
        }
        Ok(checked)
    }
}

/// The generated client for `settings`: it adds headers and macs, and it refuses what moves money.
///
/// # Errors
/// What is wrong with the settings.
pub fn client(settings: &HydrogenSettings) -> Result<Client, HttpError> {
    let signer = Arc::new(Signer {
        client_id: settings.client_id.clone(),
        token: settings.token.clone(),
        function_secret: settings.function_secret.clone(),
    });
    let wire = Wire::new(OPERATIONS, signer, &settings.http);
    Ok(Client::new_with_client(&http::base(&settings.http), http::client(&settings.http)?, wire))
}

impl Gateway for HydrogenGateway {
    fn name(&self) -> GatewayName {
        orders::gateway_name()
    }

    fn merchant(&self) -> Option<String> {
        Some(self.settings.client_id.clone())
    }

    /// The function keeps the refund key and shuts doors; hydrogen itself documents no window and no count.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            refunds: true,
            lists_orders: true,
            lists_by_time: false,
            lists_every_order: self.settings.orders == OrdersFrom::Function,
            client_refund_number: true,
            totals_count_pending: false,
            lists_refunds: false,
            fence: true,
            fetch_by: FETCH_BY,
            refund_window: None,
            refunds_per_order: None,
            calls_per_minute: Some(CALLS_PER_MINUTE),
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
            reread::read(&self.secrets(), || self.look_up(call, asked_at)).await
        })
    }

    fn fence<'a>(&'a self, call: &'a RefundCall) -> BoxFuture<'a, Result<Finding, ReadError>> {
        Box::pin(async move {
            let asked_at = self.now();
            reread::read(&self.secrets(), || self.shut(call, asked_at)).await
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<Checked, ReadError>> {
        Box::pin(async move { reread::read(&self.secrets(), || self.check_once()).await })
    }
}

/// The number as an order id, if it is one.
pub(super) fn order_id(number: &Reference) -> Option<i64> {
    let is_plain = number.kind == "id" && number.number.bytes().all(|b| b.is_ascii_digit());
    number.number.parse().ok().filter(|id| is_plain && *id > 0)
}

/// A list that is not there is no empty list.
fn present<T>(rows: Option<T>, asked: &str) -> Result<T, ReadError> {
    rows.ok_or_else(|| ReadError::new(ReadErrorKind::Unreadable, format!("{asked}: objects is missing")))
}

fn offset(page: PageAt) -> Result<i64, ReadError> {
    i64::try_from(page.offset).map_err(|_| ReadError::new(ReadErrorKind::Unsupported, "no list is that long"))
}

pub(super) fn not_built(asked: &str, error: impl std::fmt::Display) -> ReadError {
    classify::read_error(asked, &Failure::NotBuilt { why: error.to_string() })
}
