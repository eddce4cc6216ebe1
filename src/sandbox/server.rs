//! One call's way: read, counted, struck by a fault or not, done, answered.
//!
//! Everything a call does happens in a task of its own: an upstream finishes what it began when the caller has hung
//! up, and so does the sandbox.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Form, FromRequest, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use tokio::sync::watch;

use super::fault::{FaultKind, Operation, Upstream};
use super::front::House;
use super::hydrogen::HydrogenRequest;
use super::inside::Inside;
use super::json::{Fields, Json};
use super::line::Line;
use super::trade_order::{Parameters, Step};
use super::{fubei, hydrogen, trade_order};

/// Larger requests than this are none of ours.
const MOST_BODY_BYTES: usize = 1 << 20;

/// What goes back: a status and a body that is JSON unless something broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Json) -> Self {
        Self { status, content_type: "application/json;charset=utf-8", body: body.text() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain;charset=utf-8", body: body.to_owned() }
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = header::HeaderValue::from_static(self.content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}

/// How a refund goes once its checks are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    Plain,
    Stuck,
    Fails,
    Unrecorded,
}

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Shared {
    inside: Mutex<Inside>,
    stopped: watch::Sender<bool>,
    /// Ticks after every change, for those who wait for one.
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(inside: Inside) -> Self {
        Self { inside: Mutex::new(inside), stopped: watch::Sender::new(false), changes: watch::Sender::new(0) }
    }

    /// The books stay readable after a panic: a test that failed wants to see them.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is inside, and wakes those who wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inside) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changes.send_modify(|ticks| *ticks = ticks.wrapping_add(1));
        changed
    }

    /// Waits until a condition holds; false when the sandbox was stopped before it did.
    pub(crate) async fn until(&self, mut holds: impl FnMut(&Inside) -> bool) -> bool {
        let (mut changes, mut stopped) = (self.changes.subscribe(), self.stopped.subscribe());
        loop {
            changes.mark_unchanged();
            if holds(&self.lock()) {
                return true;
            }
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return false,
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Waits; false when the sandbox was stopped meanwhile, after which nothing more may happen.
    pub(crate) async fn wait(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            biased;
            () = tokio::time::sleep(time) => !self.is_stopped(),
            _ = stopped.wait_for(|stopped| *stopped) => false,
        }
    }
}

/// One call, read.
struct Call {
    operation: Operation,
    path_and_query: String,
    wire: Wire,
}

enum Wire {
    Fubei(Option<Fields>),
    TradeOrder { authorization: Option<String>, parameters: Parameters },
    Hydrogen(HydrogenRequest),
}

impl Call {
    /// Reads a call; none when the path belongs to no upstream.
    async fn read(parts: Parts, body: Bytes) -> Option<Self> {
        let path = parts.uri.path().to_owned();
        let path_and_query = parts.uri.path_and_query().map_or("/", |both| both.as_str()).to_owned();
        let text = || std::str::from_utf8(&body).ok();
        let (operation, wire) = if path == "/gateway" {
            let envelope = text().and_then(Fields::read);
            let operation = fubei::operation(envelope.as_ref());
            (operation, Wire::Fubei(envelope))
        } else if path.starts_with("/api/") {
            let mut pairs = query_pairs(&parts.uri);
            let authorization = header_text(&parts.headers, "authorization");
            // A JSON body is not read: parameters come by query or form alone.
            pairs.extend(form_pairs(parts, body).await);
            (trade_order::operation(&path), Wire::TradeOrder { authorization, parameters: Parameters::read(pairs) })
        } else if path.starts_with("/hserve/") {
            let request = HydrogenRequest {
                method: parts.method.to_string(),
                query: query_pairs(&parts.uri),
                client_id: header_text(&parts.headers, "x-hydrogen-client-id"),
                authorization: header_text(&parts.headers, "authorization"),
                body: text().and_then(Fields::read),
                path,
            };
            (request.operation(), Wire::Hydrogen(request))
        } else {
            return None;
        };
        Some(Self { operation, path_and_query, wire })
    }

    async fn carry_out(&self, shared: &Shared, course: Course) -> Answer {
        let (step, gap, gateway_time) = shared.change(|inside| {
            let gap = inside.settings.trade_order_check_gap;
            let gateway_time = inside.settings.trade_order_gateway_time;
            let mut desk = inside.desk();
            let step = match &self.wire {
                Wire::Fubei(envelope) => {
                    let envelope = envelope.as_ref();
                    Step::Answered(fubei::answer(&mut desk, envelope, self.operation, course))
                }
                Wire::TradeOrder { authorization, parameters } => {
                    let token = authorization.as_deref();
                    let step = trade_order::begin(&mut desk, token, parameters, self.operation);
                    match step {
                        // Without a gap nothing comes between the check and the row.
                        Step::Checked(checked) if gap.is_zero() => {
                            checked.write_row(&mut desk).map_or_else(Step::Answered, Step::Written)
                        }
                        step => step,
                    }
                }
                Wire::Hydrogen(request) => Step::Answered(hydrogen::answer(&mut desk, request, self.operation, course)),
            };
            (step, gap, gateway_time)
        });
        let on_its_way = match step {
            Step::Answered(answer) => return answer,
            Step::Written(on_its_way) => on_its_way,
            Step::Checked(checked) => {
                shared.wait(gap).await;
                match shared.change(|inside| checked.write_row(&mut inside.desk())) {
                    Ok(on_its_way) => on_its_way,
                    Err(answer) => return answer,
                }
            }
        };
        shared.wait(gateway_time).await;
        shared.change(|inside| on_its_way.finish(&mut inside.desk(), course))
    }

    fn coded(&self, code: i64) -> Answer {
        match self.operation.upstream() {
            Upstream::Fubei => fubei::code_answer(code),
            Upstream::TradeOrder => trade_order::code_answer(code),
            Upstream::Hydrogen => hydrogen::code_answer(self.operation, code),
        }
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn query_pairs(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map_or_else(|_| Vec::new(), |Query(pairs)| pairs)
}

async fn form_pairs(parts: Parts, body: Bytes) -> Vec<(String, String)> {
    // On a GET the extractor would read the query a second time.
    if parts.method == axum::http::Method::GET {
        return Vec::new();
    }
    let form = Form::from_request(Request::from_parts(parts, Body::from(body)), &()).await;
    form.map_or_else(|_| Vec::new(), |Form(pairs)| pairs)
}

/// The handler of every path that is not the sandbox's own.
pub(crate) async fn upstream_call(
    State(house): State<Arc<House>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    call_on(house, line, request).await
}

/// One call that came over a line.
pub(crate) async fn call_on(house: Arc<House>, line: Line, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MOST_BODY_BYTES).await else {
        return Answer::text(413, "request body too large").into_response();
    };
    let Some(call) = Call::read(parts, body).await else {
        return Answer::text(404, "no upstream has this path").into_response();
    };
    match tokio::spawn(meet_fault(house, line, call)).await {
        Ok(response) => response,
        Err(_) => Answer::text(500, "the sandbox itself failed").into_response(),
    }
}

/// What the handler returns on a line that is cut: it never gets out.
fn nothing() -> Response {
    Answer::text(500, "").into_response()
}

async fn meet_fault(house: Arc<House>, line: Line, call: Call) -> Response {
    let shared = &house.shared;
    let fault = shared.change(|inside| {
        inside.books.calls.count(call.operation);
        inside.faults.strike(call.operation)
    });
    let Some(fault) = fault else {
        return call.carry_out(shared, Course::Plain).await.into_response();
    };
    tracing::debug!(operation = call.operation.name(), ?fault, "the sandbox's fault strikes");
    match fault {
        FaultKind::DropBefore => {
            line.cut();
            nothing()
        }
        FaultKind::DropAfter => {
            call.carry_out(shared, Course::Plain).await;
            line.cut();
            nothing()
        }
        FaultKind::Delay(time) => {
            let answer = call.carry_out(shared, Course::Plain).await;
            shared.wait(time).await;
            answer.into_response()
        }
        FaultKind::DelayBefore(time) => match shared.wait(time).await {
            true => call.carry_out(shared, Course::Plain).await.into_response(),
            false => nothing(),
        },
        FaultKind::LandsLate(time) => {
            line.cut();
            let late = house.clone();
            tokio::spawn(async move {
                if late.shared.wait(time).await {
                    call.carry_out(&late.shared, Course::Plain).await;
                }
            });
            nothing()
        }
        FaultKind::HttpBefore(status) => Answer::text(status, "the sandbox's fault").into_response(),
        FaultKind::HttpAfter(status) => {
            call.carry_out(shared, Course::Plain).await;
            Answer::text(status, "the sandbox's fault").into_response()
        }
        FaultKind::Garbage => {
            call.carry_out(shared, Course::Plain).await;
            let body = "<html><body>\u{fffd}\u{1} gateway page</body></html>".to_owned();
            Answer { status: 200, content_type: "text/html", body }.into_response()
        }
        FaultKind::Truncated => {
            let answer = call.carry_out(shared, Course::Plain).await;
            line.cut_in_body(answer.body.len() / 2);
            answer.into_response()
        }
        FaultKind::Redirect(status) => {
            let mut response = Answer::text(status, "").into_response();
            if let Ok(location) = header::HeaderValue::from_str(&call.path_and_query) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        FaultKind::CodeBefore(code) => call.coded(code).into_response(),
        FaultKind::CodeAfter(code) => {
            call.carry_out(shared, Course::Plain).await;
            call.coded(code).into_response()
        }
        FaultKind::Stuck => call.carry_out(shared, Course::Stuck).await.into_response(),
        FaultKind::Fails => call.carry_out(shared, Course::Fails).await.into_response(),
        FaultKind::Unrecorded => call.carry_out(shared, Course::Unrecorded).await.into_response(),
    }
}
