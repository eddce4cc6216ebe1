//! One call to an upstream: what may be called, who authorizes it, what was sent and what came back.
//!
//! Every generated client runs its calls through [`Wire`], by one implementation of progenitor's hooks
//! ([`hooks!`](crate::clients::call)): `pre` refuses what may not be called and signs, `exec` sends and keeps the raw
//! answer. Nothing here repeats a call, and nothing here logs a body.
//!
//! An adapter makes a [`Call`], runs the generated method on a client that carries it, and lets
//! `Call::conclude` turn the result into a [`Reply`] or a [`Failure`].

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use progenitor_client::{Error, ResponseValue};
use reqwest::header::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;

use super::credential::CredentialError;
use super::failure::{Failure, transport_text};
use super::http::HttpSettings;
use super::route::Route;
use crate::gateway::{Lease, RefundCall};

/// One operation of an upstream, as its spec declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its `operationId`, which is also the generated method's name.
    pub id: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{name}` for each path parameter.
    pub path: &'static str,
    /// Whether money may move.
    pub safety: Safety,
    /// The `method` inside a gateway's envelope, where the upstream has one address for all.
    pub gateway_method: Option<&'static str>,
}

/// What an operation can do (`x-call-safety` in the spec).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// It reads.
    Safe,
    /// Money may move: only the ledger may call it.
    Unsafe,
}

/// Leave to call operations that move money. Only the ledger's own path can make one.
#[derive(Debug)]
pub(crate) struct Permit {
    /// How long it holds, where that is bounded.
    lease: Option<Lease>,
}

impl Permit {
    /// For the adapters' `refund`, which the ledger calls after the hold is durable. Nothing else may use it.
    pub(crate) fn to_refund(call: &RefundCall) -> Self {
        Permit { lease: call.lease.clone() }
    }

    /// For the adapters' `fence`. Nothing else may use it.
    #[cfg(feature = "hydrogen")]
    pub(crate) fn to_fence() -> Self {
        Permit { lease: None }
    }
}

/// Adds what an upstream asks of every request: headers, or a signature over the body.
pub(crate) trait Authorize: fmt::Debug + Send + Sync {
    /// Changes `request` in place.
    ///
    /// # Errors
    /// Why it cannot be sent. Nothing has been sent then.
    fn authorize(&self, request: &mut reqwest::Request, operation: &Operation) -> Result<(), AuthorizeError>;
}

/// Why a request was not authorized; in words that hold no secret.
#[derive(Debug)]
pub(crate) enum AuthorizeError {
    /// The account's secret cannot be had.
    Credentials(CredentialError),
    /// The request is none that can be signed.
    Request(String),
}

impl From<CredentialError> for AuthorizeError {
    fn from(error: CredentialError) -> Self {
        AuthorizeError::Credentials(error)
    }
}

/// `text` as a header value that no log shows.
#[cfg(any(feature = "hydrogen", feature = "trade_order"))]
pub(crate) fn secret_header(text: &secrecy::SecretString) -> Result<reqwest::header::HeaderValue, AuthorizeError> {
    use secrecy::ExposeSecret;

    let mut value = reqwest::header::HeaderValue::from_str(text.expose_secret())
        .map_err(|_| AuthorizeError::Request("the secret holds a character that no header may have".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What every generated client carries: its operations, its authorization, and the call in progress.
#[derive(Clone)]
pub struct Wire {
    operations: &'static [Operation],
    authorize: Arc<dyn Authorize>,
    settings: Arc<HttpSettings>,
    call: Call,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("operations", &self.operations.len()).finish_non_exhaustive()
    }
}

impl Wire {
    /// A wire for reading; [`Wire::with_call`] gives one call its own state.
    pub(crate) fn new(
        operations: &'static [Operation],
        authorize: Arc<dyn Authorize>,
        settings: &HttpSettings,
    ) -> Self {
        Wire { operations, authorize, settings: Arc::new(settings.clone()), call: Call::read() }
    }

    /// This wire, recording into `call`.
    pub(crate) fn with_call(&self, call: &Call) -> Self {
        Wire { call: call.clone(), ..self.clone() }
    }

    /// The `pre` hook: the one place where an unsafe operation is refused, then headers and signature.
    pub(crate) fn before(&self, request: &mut reqwest::Request, operation_id: &str) -> Result<(), String> {
        let refuse = |why: Failure| {
            let text = why.to_string();
            self.call.record(|state| state.refusal = Some(why));
            Err(text)
        };
        let Some(operation) = self.operations.iter().find(|operation| operation.id == operation_id) else {
            return refuse(Failure::NotBuilt { why: format!("operation `{operation_id}` is not in the spec") });
        };
        if operation.safety == Safety::Unsafe && !self.call.permitted {
            return refuse(Failure::NotPermitted { operation: operation.id });
        }
        self.call.record(|state| state.operation = operation.id);
        // progenitor adds it to every call; no upstream knows it.
        request.headers_mut().remove(HeaderName::from_static("api-version"));
        match self.authorize.authorize(request, operation) {
            Ok(()) => Ok(()),
            Err(AuthorizeError::Credentials(error)) => refuse(Failure::NoCredentials { why: error.to_string() }),
            Err(AuthorizeError::Request(why)) => refuse(Failure::NotBuilt { why }),
        }
    }

    /// The `exec` hook: sends once, reads the body up to the limit and keeps status, date and bytes.
    pub(crate) fn send(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
    ) -> impl Future<Output = reqwest::Result<reqwest::Response>> + Send + use<> {
        let client = client.clone();
        let call = self.call.clone();
        let settings = self.settings.clone();
        async move {
            let now = || settings.now().to_jiff();
            let refuse = |failure: Failure| {
                call.record(|state| state.refusal = Some(failure));
                // Only a sign that it failed: what `conclude` tells is what was recorded.
                client.get("").build().expect_err("no address")
            };
            if call.lease.as_ref().is_some_and(|lease| !lease.may_send()) {
                return Err(refuse(Failure::TooLate));
            }
            call.record(|state| state.sent_at = Some(now()));
            let mut response = match &settings.route {
                None => client.execute(request).await?,
                Some(route) => match by_route(&**route, request, settings.timeout).await {
                    Ok(response) => response,
                    Err(failure) => return Err(refuse(failure)),
                },
            };
            let status = response.status();
            let headers = response.headers().clone();
            let mut answer = RawAnswer {
                status: status.as_u16(),
                date: date_of(&headers),
                sent_at: now(),
                received_at: now(),
                body: Bytes::new(),
            };
            // Kept before the body is read: a body that breaks off must not hide that an answer began.
            call.record(|state| {
                answer.sent_at = state.sent_at.unwrap_or(answer.sent_at);
                state.answer = Some(answer.clone());
            });
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > settings.body_limit_bytes {
                    call.record(|state| state.oversized = true);
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            let body = Bytes::from(body);
            answer.body = body.clone();
            answer.received_at = now();
            call.record(|state| {
                state.complete = !state.oversized;
                state.answer = Some(answer);
            });
            let mut buffered = http::Response::new(body);
            *buffered.status_mut() = status;
            *buffered.headers_mut() = headers;
            Ok(reqwest::Response::from(buffered))
        }
    }
}

/// Sends by another way than a socket, within the total time.
async fn by_route(
    route: &dyn Route,
    request: reqwest::Request,
    timeout: Duration,
) -> Result<reqwest::Response, Failure> {
    let not_built = |why: String| Failure::NotBuilt { why };
    let body = request.body().map_or(Some(&[][..]), |body| body.as_bytes()).map(Bytes::copy_from_slice);
    let body = body.ok_or_else(|| not_built("a body that is no text".to_owned()))?;
    let request: http::Request<reqwest::Body> = request.try_into().map_err(|e| not_built(transport_text(e)))?;
    let carried = tokio::time::timeout(timeout, route.carry(request.map(|_| body))).await;
    carried.unwrap_or(Err(Failure::TimedOut)).map(reqwest::Response::from)
}

/// An answer as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The answer's own `Date`, if it has a readable one: the upstream's clock.
    pub date: Option<Timestamp>,
    /// When the request began, by this machine's clock.
    pub sent_at: Timestamp,
    /// When the body was complete, by this machine's clock.
    pub received_at: Timestamp,
    /// The body; what had come of it if the answer broke off is not kept.
    pub body: Bytes,
}

/// Without the body: it carries the payer's data.
impl fmt::Debug for RawAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawAnswer")
            .field("status", &self.status)
            .field("date", &self.date)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A decoded answer with the raw one it was read from.
#[derive(Clone, Debug)]
pub struct Reply<T> {
    /// The answer, decoded.
    pub value: T,
    /// The answer as it came.
    pub answer: RawAnswer,
}

/// The state of one call, shared between the adapter and the client that runs it.
#[derive(Clone, Debug)]
pub struct Call {
    permitted: bool,
    lease: Option<Lease>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    operation: &'static str,
    refusal: Option<Failure>,
    sent_at: Option<Timestamp>,
    answer: Option<RawAnswer>,
    complete: bool,
    oversized: bool,
}

impl Call {
    /// A call of an operation that reads.
    pub(crate) fn read() -> Self {
        Call { permitted: false, lease: None, state: Arc::default() }
    }

    /// A call of an operation that may move money.
    pub(crate) fn permitted(permit: Permit) -> Self {
        Call { permitted: true, lease: permit.lease, state: Arc::default() }
    }

    fn record(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What the generated method's result means: the one total match over every way a call can end.
    ///
    /// Uses what was recorded on the way, because progenitor's error variants drop the status and its `is_retryable`
    /// calls a timeout after sending retryable.
    pub(crate) fn conclude<T: DeserializeOwned>(
        &self,
        result: Result<ResponseValue<T>, Error<()>>,
    ) -> Result<Reply<T>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = state.refusal.take() {
            return Err(refusal);
        }
        let answer = state.answer.take();
        // Names and sizes only: bodies carry the payer's data, and requests are signed.
        match &answer {
            Some(answer) => {
                let ms = answer.received_at.as_millisecond() - answer.sent_at.as_millisecond();
                let bytes = answer.body.len();
                tracing::debug!(operation = state.operation, status = answer.status, bytes, ms, "answered");
            }
            None => tracing::debug!(operation = state.operation, "no answer"),
        }
        if state.oversized {
            return Err(Failure::unread(answer, "the answer is larger than the limit".to_owned()));
        }
        match (result, answer) {
            (Ok(value), Some(answer)) => Ok(Reply { value: value.into_inner(), answer }),
            (Ok(_), None) => Err(Failure::unread(None, "an answer came past the recorder".to_owned())),
            // An answer had begun, so the request did arrive; what the flags of the error say does not matter.
            (Err(Error::CommunicationError(error) | Error::ResponseBodyError(error)), Some(answer)) => {
                Err(Failure::BrokenOff { status: answer.status, why: transport_text(error) })
            }
            (Err(Error::CommunicationError(error)), None) => Err(Failure::of_transport(error)),
            (Err(Error::InvalidResponsePayload(body, error)), answer) => {
                Err(Failure::unread(answer, field_of::<T>(&body).unwrap_or_else(|| error.to_string())))
            }
            (Err(Error::UnexpectedResponse(_)), Some(answer)) => Err(Failure::Status { answer }),
            (Err(Error::InvalidRequest(why)), None) if state.sent_at.is_none() => Err(Failure::NotBuilt { why }),
            (Err(Error::Custom(why)), None) if state.sent_at.is_none() => Err(Failure::NotBuilt { why }),
            (
                Err(
                    Error::UnexpectedResponse(_)
                    | Error::InvalidRequest(_)
                    | Error::Custom(_)
                    | Error::InvalidUpgrade(_)
                    | Error::ErrorResponse(_)
                    | Error::ResponseBodyError(_),
                ),
                answer,
            ) => Err(Failure::unread(answer, "the client gave an error that no spec of ours leads to".to_owned())),
        }
    }
}

/// Which field could not be read, and why: progenitor's own error has no path.
fn field_of<T: DeserializeOwned>(body: &[u8]) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize::<_, T>(&mut reader).err().map(|error| error.to_string())
}

fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(reqwest::header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// Implements progenitor's hooks for the generated client in scope: every call goes through [`Wire`].
///
/// Also gives the client `with_call`, which an adapter uses for each call.
#[cfg(any(feature = "fubei", feature = "hydrogen", feature = "trade_order"))]
macro_rules! hooks {
    ($client:ty) => {
        impl progenitor_client::ClientHooks<$crate::clients::call::Wire> for $client {
            async fn pre<E>(
                &self,
                request: &mut reqwest::Request,
                info: &progenitor_client::OperationInfo,
            ) -> Result<(), progenitor_client::Error<E>> {
                self.inner.before(request, info.operation_id).map_err(progenitor_client::Error::Custom)
            }

            async fn exec(
                &self,
                request: reqwest::Request,
                _: &progenitor_client::OperationInfo,
            ) -> reqwest::Result<reqwest::Response> {
                self.inner.send(&self.client, request).await
            }
        }

        impl $client {
            /// This client, recording into `call`.
            pub(crate) fn with_call(&self, call: &$crate::clients::call::Call) -> Self {
                let mut client = self.clone();
                client.inner = self.inner.with_call(call);
                client
            }
        }
    };
}
#[cfg(any(feature = "fubei", feature = "hydrogen", feature = "trade_order"))]
pub(crate) use hooks;
