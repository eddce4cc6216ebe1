//! The sandbox's own paths under `/sandbox`, by which another process reads the books and writes the script.
//!
//! Bodies and answers are JSON; amounts are fen; a refusal is 400 with `{"error": ".."}`. The same paths are served
//! on the control port, which stays up while the network is down.
//!
//! | call | body |
//! | --- | --- |
//! | `GET /sandbox/books` | |
//! | `GET /sandbox/faults` | lists those that never fired |
//! | `POST /sandbox/faults` | `{"operation":"fubei.refund","kind":"lands_late","ms":500,"nth":2}` |
//! | `DELETE /sandbox/faults` | |
//! | `POST /sandbox/orders` | `{"upstream":"fubei","order":{"paid_fen":8000}}` |
//! | `POST /sandbox/seed` | `{"count":100}` |
//! | `POST /sandbox/refund-elsewhere` | `{"upstream":"fubei","order":"2017..","amount_fen":500}` |
//! | `POST /sandbox/order-status` | `{"upstream":"fubei","order":"2017..","status":"REVOKED"}` |
//! | `POST /sandbox/release` | `{"upstream":"fubei","refund":"K1","outcome":"succeeded"}` |
//! | `POST /sandbox/reverse-refund` | `{"upstream":"fubei","refund":"K1"}`: it had succeeded, and failed after all |
//! | `POST /sandbox/credentials` | `{"fubei_secret":"another"}`: those named are replaced |
//! | `POST /sandbox/network` | `{"up":false}`, with `"for_ms":500` it comes back by itself |

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultKind, Occurrence, Operation, Upstream};
use super::front::House;
use super::line::Line;
use super::order::NewOrder;
use super::{SandboxError, Settlement};

type Outcome = Result<Response, SandboxError>;

impl IntoResponse for SandboxError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.to_string() });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, SandboxError> {
    serde_json::from_slice(body).map_err(|error| SandboxError::Invalid(error.to_string()))
}

fn done() -> Response {
    Json(serde_json::json!({ "ok": true })).into_response()
}

pub(crate) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/sandbox/books", get(books))
        .route("/sandbox/faults", get(pending_faults).post(set_fault).delete(clear_faults))
        .route("/sandbox/orders", post(add_order))
        .route("/sandbox/seed", post(seed))
        .route("/sandbox/refund-elsewhere", post(refund_elsewhere))
        .route("/sandbox/order-status", post(order_status))
        .route("/sandbox/release", post(release))
        .route("/sandbox/reverse-refund", post(reverse_refund))
        .route("/sandbox/credentials", post(credentials))
        .route("/sandbox/network", post(network))
}

async fn books(State(house): State<Arc<House>>) -> Response {
    Json(house.shared.lock().books.books()).into_response()
}

async fn pending_faults(State(house): State<Arc<House>>) -> Response {
    let faults: Vec<FaultText> = house.shared.lock().faults.never_fired().into_iter().map(FaultText::from).collect();
    Json(faults).into_response()
}

async fn set_fault(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let fault = read::<FaultText>(&body)?.fault()?;
    house.shared.change(|inside| inside.set_fault(fault))?;
    Ok(done())
}

async fn clear_faults(State(house): State<Arc<House>>) -> Response {
    house.shared.lock().faults.clear();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    upstream: Upstream,
    order: NewOrder,
}

async fn add_order(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let OrderBody { upstream, order } = read(&body)?;
    Ok(Json(house.shared.change(|inside| inside.add_order(upstream, order))?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedBody {
    count: u32,
}

async fn seed(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let SeedBody { count } = read(&body)?;
    Ok(Json(house.shared.change(|inside| inside.seed_orders(count))?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    upstream: Upstream,
    order: String,
    amount_fen: i64,
}

async fn refund_elsewhere(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let RefundBody { upstream, order, amount_fen } = read(&body)?;
    let server_no = house.shared.change(|inside| inside.refund_elsewhere(upstream, &order, amount_fen))?;
    Ok(Json(serde_json::json!({ "server_no": server_no })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusBody {
    upstream: Upstream,
    order: String,
    status: String,
}

async fn order_status(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let StatusBody { upstream, order, status } = read(&body)?;
    house.shared.change(|inside| inside.set_order_status(upstream, &order, &status))?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    upstream: Upstream,
    refund: String,
    outcome: Settlement,
}

async fn release(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let ReleaseBody { upstream, refund, outcome } = read(&body)?;
    house.shared.change(|inside| inside.release(upstream, &refund, outcome))?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReverseBody {
    upstream: Upstream,
    refund: String,
}

async fn reverse_refund(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let ReverseBody { upstream, refund } = read(&body)?;
    house.shared.change(|inside| inside.reverse_refund(upstream, &refund))?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsBody {
    fubei_app_id: Option<String>,
    fubei_secret: Option<String>,
    trade_order_token: Option<String>,
    hydrogen_client_id: Option<String>,
    hydrogen_token: Option<String>,
    function_name: Option<String>,
    function_secret: Option<String>,
}

async fn credentials(State(house): State<Arc<House>>, body: Bytes) -> Outcome {
    let new: CredentialsBody = read(&body)?;
    let mut inside = house.shared.lock();
    let known = &mut inside.credentials;
    for (place, value) in [
        (&mut known.fubei_app_id, new.fubei_app_id),
        (&mut known.fubei_secret, new.fubei_secret),
        (&mut known.trade_order_token, new.trade_order_token),
        (&mut known.hydrogen_client_id, new.hydrogen_client_id),
        (&mut known.hydrogen_token, new.hydrogen_token),
        (&mut known.function_name, new.function_name),
        (&mut known.function_secret, new.function_secret),
    ] {
        if let Some(value) = value {
            *place = value;
        }
    }
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkBody {
    up: bool,
    for_ms: Option<u64>,
}

async fn network(State(house): State<Arc<House>>, ConnectInfo(line): ConnectInfo<Line>, body: Bytes) -> Outcome {
    let NetworkBody { up, for_ms } = read(&body)?;
    if up {
        house.network_up().await?;
    } else {
        // The asker may have come through the very door that is shut: its answer still gets out.
        house.network_down(Some(&line)).await;
        if let Some(ms) = for_ms {
            let later = house.clone();
            tokio::spawn(async move {
                if later.shared.wait(Duration::from_millis(ms)).await
                    && let Err(error) = later.network_up().await
                {
                    tracing::warn!(%error, "the sandbox's network did not come back");
                }
            });
        }
    }
    let mut response = done();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// A fault as JSON: its parameters beside its kind's name.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultText {
    operation: Operation,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    every: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
}

impl FaultText {
    fn fault(&self) -> Result<Fault, SandboxError> {
        let lacks = |what: &str| SandboxError::Invalid(format!("a fault of kind {} needs {what:?}", self.kind));
        let time = || self.ms.map(Duration::from_millis).ok_or_else(|| lacks("ms"));
        let status = || self.status.ok_or_else(|| lacks("status"));
        let code = || self.code.ok_or_else(|| lacks("code"));
        let kind = match self.kind.as_str() {
            "drop_before" => FaultKind::DropBefore,
            "drop_after" => FaultKind::DropAfter,
            "delay" => FaultKind::Delay(time()?),
            "delay_before" => FaultKind::DelayBefore(time()?),
            "lands_late" => FaultKind::LandsLate(time()?),
            "http_before" => FaultKind::HttpBefore(status()?),
            "http_after" => FaultKind::HttpAfter(status()?),
            "garbage" => FaultKind::Garbage,
            "truncated" => FaultKind::Truncated,
            "redirect" => FaultKind::Redirect(status()?),
            "code_before" => FaultKind::CodeBefore(code()?),
            "code_after" => FaultKind::CodeAfter(code()?),
            "stuck" => FaultKind::Stuck,
            "fails" => FaultKind::Fails,
            "unrecorded" => FaultKind::Unrecorded,
            unknown => {
                return Err(SandboxError::Invalid(format!("no fault is called {unknown:?}")));
            }
        };
        let occurrence = match (self.every, self.nth) {
            (true, None) => Occurrence::Every,
            (false, nth) => Occurrence::Nth(nth.unwrap_or(1)),
            (true, Some(_)) => {
                return Err(SandboxError::Invalid("every and nth exclude each other".to_owned()));
            }
        };
        Ok(Fault { operation: self.operation, occurrence, kind })
    }
}

impl From<Fault> for FaultText {
    fn from(fault: Fault) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (kind, ms, status, code) = match fault.kind {
            FaultKind::DropBefore => ("drop_before", None, None, None),
            FaultKind::DropAfter => ("drop_after", None, None, None),
            FaultKind::Delay(time) => ("delay", Some(ms(time)), None, None),
            FaultKind::DelayBefore(time) => ("delay_before", Some(ms(time)), None, None),
            FaultKind::LandsLate(time) => ("lands_late", Some(ms(time)), None, None),
            FaultKind::HttpBefore(status) => ("http_before", None, Some(status), None),
            FaultKind::HttpAfter(status) => ("http_after", None, Some(status), None),
            FaultKind::Garbage => ("garbage", None, None, None),
            FaultKind::Truncated => ("truncated", None, None, None),
            FaultKind::Redirect(status) => ("redirect", None, Some(status), None),
            FaultKind::CodeBefore(code) => ("code_before", None, None, Some(code)),
            FaultKind::CodeAfter(code) => ("code_after", None, None, Some(code)),
            FaultKind::Stuck => ("stuck", None, None, None),
            FaultKind::Fails => ("fails", None, None, None),
            FaultKind::Unrecorded => ("unrecorded", None, None, None),
        };
        let (nth, every) = match fault.occurrence {
            Occurrence::Nth(nth) => (Some(nth), false),
            Occurrence::Every => (None, true),
        };
        Self { operation: fault.operation, kind: kind.to_owned(), nth, every, ms, status, code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_has_a_text_that_is_read_back() {
        let time = Duration::from_millis(5);
        for kind in [
            FaultKind::DropBefore,
            FaultKind::DropAfter,
            FaultKind::Delay(time),
            FaultKind::DelayBefore(time),
            FaultKind::LandsLate(time),
            FaultKind::HttpBefore(500),
            FaultKind::HttpAfter(429),
            FaultKind::Garbage,
            FaultKind::Truncated,
            FaultKind::Redirect(302),
            FaultKind::CodeBefore(1001),
            FaultKind::CodeAfter(10003),
            FaultKind::Stuck,
            FaultKind::Fails,
            FaultKind::Unrecorded,
        ] {
            for fault in
                [Fault::new(Operation::TradeOrderRefund, kind).nth(3), Fault::new(Operation::FubeiRefund, kind).every()]
            {
                let text = serde_json::to_string(&FaultText::from(fault)).expect("serializable");
                let back: FaultText = serde_json::from_str(&text).expect("readable");
                assert_eq!(back.fault().ok(), Some(fault), "{text}");
            }
        }
    }

    #[test]
    fn a_fault_without_its_parameter_names_it() {
        let text: FaultText = serde_json::from_str(r#"{"operation":"fubei.refund","kind":"delay"}"#).expect("readable");
        let error = text.fault().expect_err("no ms").to_string();
        assert_eq!(error, "not possible: a fault of kind delay needs \"ms\"");
    }
}
