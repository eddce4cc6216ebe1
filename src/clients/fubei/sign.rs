//! Fubei's signature: MD5 over the envelope's fields.
//!
//! All fields but `sign`, sorted by name, joined as `k=v` with `&`, values as sent, the secret behind without a
//! separator; 32 upper-case hex digits. Source: SignUtil of github.com/fubei-open/java-sdk at bf17df1; the official SDKs
//! disagree only about empty values, so none is ever sent empty.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use reqwest::Request;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::clients::call::{Authorize, AuthorizeError, Operation};
use crate::clients::credential::CredentialSource;

use std::sync::Arc;

/// The upper-case signature over `fields` (`sign` among them is left out).
pub(crate) fn sign(fields: &BTreeMap<&str, &str>, secret: &SecretString) -> String {
    let mut digest = Md5::new();
    let signed = fields.iter().filter(|(name, _)| **name != "sign");
    for (index, (name, value)) in signed.enumerate() {
        if index > 0 {
            digest.update(b"&");
        }
        digest.update(name.as_bytes());
        digest.update(b"=");
        digest.update(value.as_bytes());
    }
    digest.update(secret.expose_secret().as_bytes());
    hex::encode_upper(digest.finalize())
}

/// Fills in what every envelope has and signs it, when the body is already the text that will be sent.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) app_id: String,
    pub(super) secret: Arc<dyn CredentialSource>,
}

impl Authorize for Signer {
    fn authorize(&self, request: &mut Request, operation: &Operation) -> Result<(), AuthorizeError> {
        let secret = self.secret.secret()?;
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let signed = envelope(body, &self.app_id, operation.gateway_method, &nonce, &secret)?;
        *request.body_mut() = Some(signed.into());
        Ok(())
    }
}

/// The signed envelope around the `biz_content` of `body`. That text is not touched: the signature is over it as sent.
fn envelope(
    body: &[u8],
    app_id: &str,
    method: Option<&str>,
    nonce: &str,
    secret: &SecretString,
) -> Result<Vec<u8>, AuthorizeError> {
    let defect = |why: &str| AuthorizeError::Request(why.to_owned());
    let fields: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| defect("the envelope is no JSON object"))?;
    let method = method.ok_or_else(|| defect("the operation names no method of the gateway"))?;
    let mut texts: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in &fields {
        match value {
            Value::String(text) => texts.insert(name, text),
            _ => return Err(AuthorizeError::Request(format!("the envelope's `{name}` is no text"))),
        };
    }
    texts.extend([
        ("app_id", app_id),
        ("method", method),
        ("format", "json"),
        ("sign_method", "md5"),
        ("nonce", nonce),
        ("version", "1.0"),
    ]);
    texts.remove("sign");
    if let Some((name, _)) = texts.iter().find(|(_, value)| value.is_empty()) {
        return Err(AuthorizeError::Request(format!("the envelope's `{name}` is empty")));
    }
    let signature = sign(&texts, secret);
    texts.insert("sign", &signature);
    serde_json::to_vec(&texts).map_err(|_| defect("the envelope cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs and secret are printed in the official Java SDK's own test; the expected value is computed by its algorithm.
    #[test]
    fn the_sdks_own_inputs_give_the_computed_signature() {
        let vector = include_str!("../../../tests/fixtures/fubei/sign_vector-order_close.json");
        let vector: Value = serde_json::from_str(vector).expect("JSON");
        let texts = |object: &Value| -> BTreeMap<String, String> {
            let fields = object.as_object().expect("an object").iter();
            fields.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())).collect()
        };
        let request = texts(&vector["request"]);
        let fields: BTreeMap<&str, &str> = request.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let secret = SecretString::from(vector["secret"].as_str().expect("a text"));
        assert_eq!(sign(&fields, &secret), vector["expected_sign"].as_str().expect("a text"));
        assert_eq!(sign(&fields, &secret), request["sign"]);
    }

    #[test]
    fn an_envelope_without_version_verifies() {
        let vector = include_str!("../../../tests/fixtures/fubei/sign_vector-order_query_no_version.json");
        let vector: Value = serde_json::from_str(vector).expect("JSON");
        let params = vector["params"].as_object().expect("an object");
        let fields = params.iter().map(|(k, v)| (k.as_str(), v.as_str().expect("a text"))).collect();
        let secret = SecretString::from(vector["secret"].as_str().expect("a text"));
        assert_eq!(sign(&fields, &secret), vector["expected_sign"].as_str().expect("a text"));
    }

    #[test]
    fn a_signed_refund_equals_the_sample_in_all_but_its_nonce_and_version() {
        let sample = include_str!("../../../tests/fixtures/fubei/refund-request_partial.json");
        let sample: BTreeMap<String, String> = serde_json::from_str(sample).expect("texts");
        let secret = SecretString::from("test-secret-0123456789abcdef");
        let body = serde_json::json!({"biz_content": sample["biz_content"], "sign": ""}).to_string();
        let method = Some("openapi.payment.order.refund");
        let sent = envelope(body.as_bytes(), &sample["app_id"], method, &sample["nonce"], &secret).expect("signed");
        let sent: BTreeMap<String, String> = serde_json::from_slice(&sent).expect("texts");
        assert_eq!(sent, sample);
    }

    #[test]
    fn an_empty_field_is_never_signed() {
        let secret = SecretString::from("s");
        let refused = envelope(br#"{"biz_content":"{}"}"#, "", Some("m"), "n", &secret);
        let Err(AuthorizeError::Request(why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why, "the envelope's `app_id` is empty");
    }
}
