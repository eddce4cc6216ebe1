//! What hydrogen asks of every request: two headers, and a mac over what the cloud function is asked.
//!
//! The job endpoint takes any user's token, so the function cannot know who calls it but by the mac: the lower-case hex
//! HMAC-SHA256 of `op`, a line feed and `args` under the account's function secret. Source: cloud-function/tillbook.js.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;

use crate::clients::call::{Authorize, AuthorizeError, Operation, secret_header};
use crate::clients::credential::CredentialSource;

/// Where every job is posted to.
const JOB_PATH: &str = "/hserve/v1/cloud-function/job/";

/// The mac over `op` and `args`, the latter exactly as they are sent.
pub(super) fn mac(secret: &SecretString, op: &str, args: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes a key of any length");
    for part in [op, "\n", args] {
        mac.update(part.as_bytes());
    }
    hex::encode(mac.finalize().into_bytes())
}

/// Adds headers, and the mac to a job's body when that is already the text that will be sent.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) client_id: String,
    pub(super) token: Arc<dyn CredentialSource>,
    pub(super) function_secret: Arc<dyn CredentialSource>,
}

impl Authorize for Signer {
    fn authorize(&self, request: &mut Request, operation: &Operation) -> Result<(), AuthorizeError> {
        if operation.path == JOB_PATH {
            let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
            let signed = with_mac(body, &self.function_secret.secret()?)?;
            *request.body_mut() = Some(signed.into());
        }
        let client_id = HeaderValue::from_str(&self.client_id).map_err(|_| {
            AuthorizeError::Request("the client id holds a character that no header may have".to_owned())
        })?;
        let token = self.token.secret()?;
        let token = SecretString::from(format!("Hydrogen-r1 {}", token.expose_secret()));
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_static("x-hydrogen-client-id"), client_id);
        headers.insert(AUTHORIZATION, secret_header(&token)?);
        // On a GET too: seed 001 shows it so.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(())
    }
}

/// The job's `body` with its mac filled in. `args` is a text inside it and is not touched.
fn with_mac(body: &[u8], secret: &SecretString) -> Result<Vec<u8>, AuthorizeError> {
    let defect = |why: &str| AuthorizeError::Request(why.to_owned());
    let mut job: Value = serde_json::from_slice(body).map_err(|_| defect("the job is no JSON"))?;
    let text = |name: &str| job.pointer(name).and_then(Value::as_str).ok_or_else(|| defect("the job lacks op or args"));
    let mac = mac(secret, text("/data/op")?, text("/data/args")?);
    job["data"]["mac"] = Value::String(mac);
    serde_json::to_vec(&job).map_err(|_| defect("the job cannot be written"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Computed with Python's hmac module, and with Node's crypto as the function does.
    #[test]
    fn the_mac_is_hmac_sha256_over_op_line_feed_and_args() {
        let secret = SecretString::from("key");
        assert_eq!(mac(&secret, "health", "{}"), "e40317f3f5522a1a694d335fcccb299a80a82e7c27e69d99e3658dd2697916bf");
    }

    #[test]
    fn a_job_gets_its_mac_and_keeps_its_args_byte_for_byte() {
        let args = "{\"refund_key\":\"k-1\",  \"memo\":\"退款\\u0021\"}";
        let job = json!({"function_name": "tillbook", "sync": true, "data": {"op": "lookup", "args": args, "mac": ""}});
        let secret = SecretString::from("a long secret");
        let sent = with_mac(job.to_string().as_bytes(), &secret).map_err(|_| "refused").expect("a job");
        let sent: Value = serde_json::from_slice(&sent).expect("JSON");
        let mac = mac(&secret, "lookup", args);
        assert_eq!(
            sent,
            json!({"function_name": "tillbook", "sync": true, "data": {"op": "lookup", "args": args, "mac": mac}})
        );
    }

    #[test]
    fn a_body_that_is_no_job_is_not_sent() {
        for body in ["", "[]", "{}", r#"{"data":{"op":1,"args":"{}"}}"#] {
            assert!(with_mac(body.as_bytes(), &SecretString::from("key")).is_err(), "{body}");
        }
    }
}
