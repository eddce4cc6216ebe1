//! A caller with no knowledge of the sandbox's inside: it signs, hashes and sends by itself.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use sha2::Sha256;
use tillbook::sandbox::{Credentials, Sandbox};

/// What came back whole: the status and the body's text.
pub(crate) type Reply = Result<(u16, String), reqwest::Error>;

pub(crate) struct Caller {
    http: reqwest::Client,
    pub(crate) base_url: String,
    pub(crate) credentials: Credentials,
}

/// A client that repeats nothing, follows nothing and keeps no connection.
fn client(timeout: Duration) -> reqwest::Client {
    // Nothing here speaks TLS, but the client refuses to be built without a provider for it.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .timeout(timeout)
        .build()
        .expect("a plain client")
}

impl Caller {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let http = client(Duration::from_secs(20));
        Self { http, base_url: sandbox.base_url(), credentials: sandbox.credentials() }
    }

    /// The same caller, with another patience.
    pub(crate) fn patient_for(self, timeout: Duration) -> Self {
        Self { http: client(timeout), ..self }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, response.text().await?))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.http.get(format!("{}{path}", self.base_url))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.http.post(format!("{}{path}", self.base_url)).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.http.delete(format!("{}{path}", self.base_url))).await
    }

    /// A signed call of Fubei's gateway.
    pub(crate) async fn fubei(&self, method: &str, biz: &Value) -> Reply {
        let biz = biz.to_string();
        let app_id = &self.credentials.fubei_app_id;
        let secret = &self.credentials.fubei_secret;
        let text = format!(
            "app_id={app_id}&biz_content={biz}&format=json&method={method}&nonce=n1&sign_method=md5&version=1.0{secret}"
        );
        let envelope = json!({
            "app_id": app_id, "method": method, "format": "json", "sign_method": "md5", "nonce": "n1",
            "version": "1.0", "biz_content": biz, "sign": hex::encode_upper(Md5::digest(text)),
        });
        self.post("/gateway", &envelope).await
    }

    pub(crate) async fn fubei_refund(&self, order_sn: &str, key: &str, yuan: &str) -> Reply {
        let biz = json!({ "order_sn": order_sn, "merchant_refund_sn": key, "refund_money": yuan });
        self.fubei("openapi.payment.order.refund", &biz).await
    }

    /// A call of the trade_order API with form parameters.
    pub(crate) async fn trade_order(&self, path: &str, form: &str) -> Reply {
        let request = self
            .http
            .post(format!("{}{path}", self.base_url))
            .header("authorization", &self.credentials.trade_order_token)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        self.send(request).await
    }

    pub(crate) async fn trade_order_refund(&self, order: &str, yuan: &str) -> Reply {
        let form = format!("tradeOrderId={order}&refundAmount={yuan}&refundDesc=memo");
        self.trade_order("/api/memberPay/refund", &form).await
    }

    /// A call of the trade_order API with its parameters in the query.
    pub(crate) async fn trade_order_get(&self, path_and_query: &str) -> Reply {
        let request = self
            .http
            .get(format!("{}{path_and_query}", self.base_url))
            .header("authorization", &self.credentials.trade_order_token);
        self.send(request).await
    }

    fn hydrogen(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request
            .header("x-hydrogen-client-id", &self.credentials.hydrogen_client_id)
            .header("authorization", format!("Hydrogen-r1 {}", self.credentials.hydrogen_token))
    }

    pub(crate) async fn hydrogen_get(&self, path_and_query: &str) -> Reply {
        self.send(self.hydrogen(self.http.get(format!("{}{path_and_query}", self.base_url)))).await
    }

    /// A job of the cloud function, with its mac.
    pub(crate) async fn function(&self, op: &str, args: &Value) -> Reply {
        let args = args.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.credentials.function_secret.as_bytes()).expect("any key");
        mac.update(format!("{op}\n{args}").as_bytes());
        let data = json!({ "op": op, "args": args, "mac": hex::encode(mac.finalize().into_bytes()) });
        let job = json!({ "function_name": self.credentials.function_name, "data": data, "sync": true });
        let path = "/hserve/v1/cloud-function/job/";
        self.send(self.hydrogen(self.http.post(format!("{}{path}", self.base_url)).json(&job))).await
    }

    pub(crate) async fn function_refund(&self, transaction_no: &str, key: &str, yuan: &str) -> Reply {
        let args = json!({
            "refund_key": key, "transaction_no": transaction_no, "refund_amount": yuan, "memo": "memo",
        });
        self.function("refund", &args).await
    }
}

/// The body of a 200.
pub(crate) fn body(reply: Reply) -> String {
    match reply.expect("an answer") {
        (200, body) => body,
        other => panic!("not a 200: {other:?}"),
    }
}

/// The body of a 200, as JSON; for answers in which no amount is looked at.
pub(crate) fn json_body(reply: Reply) -> Value {
    serde_json::from_str(&body(reply)).expect("JSON")
}

/// Runs all of them at once and gathers what each ends with, in order.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *output = Some(done),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().map(|(_, output)| output.expect("every future is done")).collect()
}
