//! The rows of the classification table that hold for every upstream, each on a real socket.
//!
//! Generic over the gateway: an adapter's tests call [`refund_rows`] and [`read_rows`] with a way to make one.

use std::time::Duration;

use tillbook::clients::http::HttpSettings;
use tillbook::domain::{Answer, Outcome, Reference};
use tillbook::gateway::{Gateway, ReadErrorKind, RefundCall};

use crate::wire_server::{Act, WireServer};

/// Settings whose timeouts are short enough for a test and long enough for a busy machine.
pub(crate) fn settings(base_url: &str) -> HttpSettings {
    HttpSettings {
        timeout: Duration::from_millis(1_500),
        connect_timeout: Duration::from_millis(1_000),
        ..HttpSettings::new(base_url)
    }
}

/// The transport faults, and what an unsafe call and a read make of each.
fn rows(elsewhere: &str) -> Vec<(&'static str, Option<Act>, Outcome, ReadErrorKind)> {
    let page = || "<html>bad gateway</html>".to_owned();
    let (doubt, unreachable) = (Outcome::InDoubt, ReadErrorKind::Unreachable);
    vec![
        ("nobody listens", None, Outcome::NotSent, unreachable),
        ("closed before the request", Some(Act::CloseBeforeRequest), doubt, unreachable),
        ("closed after the request", Some(Act::CloseAfterRequest), doubt, unreachable),
        ("no answer in time", Some(Act::Silence), doubt, unreachable),
        ("500", Some(Act::Answer(500, "{}".to_owned())), doubt, unreachable),
        ("502 with a page", Some(Act::Answer(502, page())), doubt, unreachable),
        ("302", Some(Act::Redirect(elsewhere.to_owned())), doubt, unreachable),
        ("408", Some(Act::Answer(408, "{}".to_owned())), doubt, ReadErrorKind::Busy),
        ("429", Some(Act::Answer(429, "{}".to_owned())), doubt, ReadErrorKind::Busy),
        ("204", Some(Act::Answer(204, String::new())), doubt, ReadErrorKind::Refused),
        ("200 with a page", Some(Act::Answer(200, page())), doubt, ReadErrorKind::Unreadable),
        ("200 with nothing", Some(Act::Answer(200, String::new())), doubt, ReadErrorKind::Unreadable),
        ("200 with half a body", Some(Act::Truncated(200, "{\"result_code\":200,".to_owned())), doubt, unreachable),
    ]
}

/// Every transport fault under a refund gives the table's outcome, after exactly one request.
pub(crate) async fn refund_rows<G: Gateway>(make: impl Fn(HttpSettings) -> G, call: &RefundCall) {
    let elsewhere = WireServer::start([]).await;
    for (name, act, outcome, _) in rows(&elsewhere.base_url) {
        let (server, base_url) = target(act).await;
        let Answer { outcome: seen, message, .. } = make(settings(&base_url)).refund(call).await;
        assert_eq!(seen, outcome, "{name}: {message:?}");
        played(name, server.as_ref());
        let message = message.unwrap_or_default();
        assert!(!message.contains("127.0.0.1") && !message.contains("html"), "{name}: {message}");
    }
    assert!(elsewhere.requests().is_empty(), "a redirect was followed");
}

/// Every transport fault under a read is a read error of the right kind.
pub(crate) async fn read_rows<G: Gateway>(make: impl Fn(HttpSettings) -> G, wanted: &[Reference]) {
    let elsewhere = WireServer::start([]).await;
    for (name, act, _, kind) in rows(&elsewhere.base_url) {
        let (server, base_url) = target(act).await;
        let error = make(settings(&base_url)).fetch_order(wanted).await.expect_err(name);
        assert_eq!(error.kind, kind, "{name}: {error}");
        played(name, server.as_ref());
        assert!(!error.to_string().contains("127.0.0.1"), "{name}: {error}");
    }
    assert!(elsewhere.requests().is_empty(), "a redirect was followed");
}

async fn target(act: Option<Act>) -> (Option<WireServer>, String) {
    match act {
        None => (None, WireServer::nobody().await),
        Some(act) => {
            let server = WireServer::start([act]).await;
            let base_url = server.base_url.clone();
            (Some(server), base_url)
        }
    }
}

fn played(name: &str, server: Option<&WireServer>) {
    if let Some(server) = server {
        assert_eq!(server.unplayed(), 0, "{name}: the fault never fired");
        assert!(server.requests().len() <= 1, "{name}: sent more than once");
    }
}
