//! The job endpoint and the function behind it: two envelopes, either of which may refuse.
//!
//! The job's `code` tells whether the function ran to its end; the function's own `error` tells that it refused the call
//! before it did anything (cloud-function/tillbook.js). Only the second is proof.

use serde_json::Value;

use crate::clients::call::{RawAnswer, Reply};
use crate::clients::classify;
use crate::clients::failure::Failure;
use crate::clients::wire::Text;
use crate::gateway::{ReadError, ReadErrorKind};

use super::api::types;

/// Runs one op of the cloud function. The mac is filled in where the request is authorized.
macro_rules! job {
    ($gateway:expr, $call:expr, $method:ident, $op:ident, $job:ident, $args:expr) => {{
        let (gateway, call): (&$crate::clients::hydrogen::gateway::HydrogenGateway, &$crate::clients::call::Call) =
            ($gateway, $call);
        let op = $crate::clients::hydrogen::api::open::FunctionOp::$op;
        let args = $crate::clients::wire::JsonText($args);
        let job = $crate::clients::hydrogen::api::types::$job::builder().op(op).args(args).mac("");
        let name = gateway.settings.refund_function.clone();
        let request = gateway.client.with_call(call);
        let result = request.$method().body_map(|body| body.function_name(name).sync(true).data(job)).send().await;
        call.conclude(result)
    }};
}
pub(super) use job;

/// A job's answer, whichever op it was.
pub(super) trait Job {
    /// What the function returned.
    type Data;

    /// The envelope's three fields.
    fn parts(self) -> (Option<Text>, Option<Value>, Option<Self::Data>);
}

macro_rules! jobs {
    ($($answer:ident => $data:ident),+) => { $(
        impl Job for types::$answer {
            type Data = types::$data;

            fn parts(self) -> (Option<Text>, Option<Value>, Option<types::$data>) {
                (self.code, self.error, self.data)
            }
        }
    )+ };
}
jobs!(
    RefundJobAnswer => FunctionRefundAnswer,
    LookupJobAnswer => FunctionRefundAnswer,
    VoidJobAnswer => FunctionRefundAnswer,
    ListJobAnswer => FunctionOrderList,
    GetJobAnswer => FunctionOrderList,
    HealthJobAnswer => FunctionHealth
);

/// What came of one job.
#[derive(Debug)]
pub(super) enum Ran<D> {
    /// The function ran to its end.
    Returned(D, RawAnswer),
    /// It did not, perhaps after it did its work; with the job's code and words.
    Broke { code: String, words: Option<String> },
    /// No job's answer.
    Failed(Failure),
}

impl<D> Ran<D> {
    /// Judges a call's end by the job's envelope.
    pub(super) fn of<J: Job<Data = D>>(result: Result<Reply<J>, Failure>) -> Ran<D> {
        let reply = match result {
            Ok(reply) => reply,
            Err(failure) => return Ran::Failed(failure),
        };
        let raw = reply.answer;
        let unread = |raw, why: &str| Ran::Failed(Failure::unread(Some(raw), why.to_owned()));
        let (code, error, data) = reply.value.parts();
        match (code.as_ref().and_then(Text::non_empty).map(str::trim), data) {
            (Some("0"), Some(data)) => Ran::Returned(data, raw),
            (Some("0"), None) => unread(raw, "data is missing"),
            (Some(code), _) => Ran::Broke { code: code.to_owned(), words: error.as_ref().and_then(words) },
            // An asynchronous job answers `{"status":"ok"}`: nothing is known of the function then.
            (None, _) => unread(raw, "code is missing"),
        }
    }

    /// What a read's function returned, or why there is nothing; `error` finds the function's refusal in it.
    pub(super) fn read(
        self,
        asked: &str,
        error: impl FnOnce(&D) -> Option<&Text>,
    ) -> Result<(D, RawAnswer), ReadError> {
        match self {
            Ran::Returned(data, raw) => match error(&data).and_then(Text::non_empty) {
                Some(refusal) => Err(Refusal::of(refusal).read_error(asked, refusal)),
                None => Ok((data, raw)),
            },
            Ran::Broke { code, words } => {
                let words = words.map_or_else(String::new, |words| format!(": {words}"));
                let message = format!("{asked}: the cloud function failed{words}");
                Err(ReadError::new(ReadErrorKind::Refused, message).with_code(code))
            }
            Ran::Failed(failure) => Err(read_error(asked, &failure)),
        }
    }
}

/// Why the function refused a call before it did anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Wrong mac: our secret or the function's is not the right one.
    Unauthorized,
    /// The table's unique index is not there: no refund is sent without it.
    NotEnforced,
    /// The arguments are not understood.
    Malformed,
    /// The key is not understood: by a function deployed before version 2, which knew no door but the first.
    MalformedKey,
    /// Words that tillbook.js does not use: they prove nothing.
    Unknown,
}

impl Refusal {
    pub(super) fn of(error: &str) -> Refusal {
        let begins = |word: &str| error == word || error.strip_prefix(word).is_some_and(|rest| rest.starts_with(':'));
        if error == "unauthorized" {
            Refusal::Unauthorized
        } else if begins("not_enforced") {
            Refusal::NotEnforced
        } else if error.starts_with("malformed: refund_key") {
            Refusal::MalformedKey
        } else if begins("malformed") {
            Refusal::Malformed
        } else {
            Refusal::Unknown
        }
    }

    fn read_error(self, asked: &str, error: &str) -> ReadError {
        let kind = match self {
            Refusal::Unauthorized | Refusal::NotEnforced => ReadErrorKind::Credentials,
            Refusal::Malformed | Refusal::MalformedKey | Refusal::Unknown => ReadErrorKind::Refused,
        };
        ReadError::new(kind, format!("{asked}: the cloud function refused: {}", short(error)))
    }
}

/// What a failed read means here: 402 (the app is in arrears) and a 404 of the job endpoint (no such function) are for a
/// person to mend, like refused credentials.
pub(super) fn read_error(asked: &str, failure: &Failure) -> ReadError {
    let mut error = classify::read_error(asked, failure);
    if let Failure::Status { answer } = failure {
        if matches!(answer.status, 402 | 404) {
            error.kind = ReadErrorKind::Credentials;
        }
        if let Some(words) = body_words(&answer.body) {
            error.message = format!("{}: {words}", error.message);
        }
    }
    error
}

/// The words of an error body: `error_msg`, or `message` where the SDK finds that instead.
pub(super) fn body_words(body: &[u8]) -> Option<String> {
    words(&serde_json::from_slice(body).ok()?)
}

fn words(error: &Value) -> Option<String> {
    let text = match error {
        Value::String(text) => Some(text.as_str()),
        _ => ["error_msg", "message"].iter().find_map(|name| error.get(*name)?.as_str()),
    };
    text.filter(|text| !text.trim().is_empty()).map(short)
}

/// An upstream's words, cut: a stack trace helps nobody at a till.
pub(super) fn short(text: &str) -> String {
    text.trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_the_functions_own_words_only() {
        for (error, refusal) in [
            ("unauthorized", Refusal::Unauthorized),
            ("unauthorized: not by us", Refusal::Unknown),
            ("not_enforced: column refund_key of table tillbook_refunds has no unique index", Refusal::NotEnforced),
            ("malformed: unknown op", Refusal::Malformed),
            ("malformed", Refusal::Malformed),
            ("malformed: refund_key must be 1 to 32 of 0-9 A-Z a-z _ -", Refusal::MalformedKey),
            ("malformedness", Refusal::Unknown),
            ("TypeError: x is undefined", Refusal::Unknown),
        ] {
            assert_eq!(Refusal::of(error), refusal, "{error}");
        }
    }

    #[test]
    fn an_error_body_speaks_under_either_key_and_is_cut() {
        assert_eq!(body_words(br#"{"message": "Invalid token"}"#), Some("Invalid token".to_owned()));
        assert_eq!(
            body_words("{\"status\":\"error\",\"error_msg\":\"参数错误\"}".as_bytes()),
            Some("参数错误".to_owned())
        );
        assert_eq!(body_words(b"<html>"), None);
        assert_eq!(words(&Value::String("x".repeat(500))).map(|text| text.len()), Some(200));
    }
}
