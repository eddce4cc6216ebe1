//! trade_order's envelope: HTTP 200 whatever happened, `code` decides.

use serde::Deserialize;

use crate::clients::call::{RawAnswer, Reply};
use crate::clients::classify;
use crate::clients::failure::Failure;
use crate::clients::wire::Text;
use crate::gateway::{ReadError, ReadErrorKind};

/// What an envelope says, apart from its data.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    code: Option<Text>,
    msg: Option<Text>,
}

/// A `code` other than 0, with the server's words: some codes are used twice, so the words are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) msg: String,
}

/// What came of one call.
#[derive(Debug)]
pub(super) enum Seen<D> {
    /// `code` 0; `data` may be null, which is how an unknown order and an empty page look.
    Done(Option<D>, RawAnswer),
    /// Any other `code`.
    Refused(Refusal),
    /// No envelope.
    Failed(Failure),
}

impl Envelope {
    pub(super) fn read(body: &[u8]) -> Option<Envelope> {
        serde_json::from_slice(body).ok()
    }

    /// `Ok` for code 0; `None` when there is no code at all.
    pub(super) fn verdict(self) -> Option<Result<(), Refusal>> {
        let code = self.code.as_ref().and_then(Text::non_empty)?.trim().to_owned();
        if code == "0" {
            return Some(Ok(()));
        }
        let msg = self.msg.as_ref().and_then(Text::non_empty).unwrap_or_default();
        Some(Err(Refusal { code, msg: msg.chars().take(200).collect() }))
    }
}

impl Refusal {
    /// Not logged in, or the token ran out.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.code == "1001"
    }

    /// No such record (10004), no such order (12025).
    pub(super) fn names_absence(&self) -> bool {
        matches!(self.code.as_str(), "10004" | "12025")
    }

    /// The refusal of a read.
    pub(super) fn read_error(&self, asked: &str) -> ReadError {
        let kind = if self.is_unauthorized() { ReadErrorKind::Credentials } else { ReadErrorKind::Refused };
        ReadError::new(kind, format!("{asked}: {}", self.msg)).with_code(self.code.clone())
    }
}

impl<D> Seen<D> {
    /// Judges a call's end by its envelope; `data` takes the data out of the typed answer.
    pub(super) fn of<T>(result: Result<Reply<T>, Failure>, data: impl FnOnce(T) -> Option<D>) -> Seen<D> {
        let (raw, value) = match result {
            Ok(reply) => (reply.answer, Ok(reply.value)),
            // A refusal may carry data of any shape: its envelope alone is enough to know it.
            Err(Failure::Unread { answer: Some(raw), why }) => (raw, Err(why)),
            Err(failure) => return Seen::Failed(failure),
        };
        let unread = |raw, why| Seen::Failed(Failure::unread(Some(raw), why));
        match (Envelope::read(&raw.body).and_then(Envelope::verdict), value) {
            (Some(Err(refusal)), _) => Seen::Refused(refusal),
            (Some(Ok(())), Ok(value)) => Seen::Done(data(value), raw),
            (Some(Ok(())) | None, Err(why)) => unread(raw, why),
            (None, Ok(_)) => unread(raw, "code is missing".to_owned()),
        }
    }

    /// The data with the raw answer, or why the read brought none.
    pub(super) fn read(self, asked: &str) -> Result<(Option<D>, RawAnswer), ReadError> {
        match self {
            Seen::Done(data, raw) => Ok((data, raw)),
            Seen::Refused(refusal) => Err(refusal.read_error(asked)),
            Seen::Failed(failure) => Err(classify::read_error(asked, &failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_as_number_and_as_text() {
        let verdict = |body: &str| Envelope::read(body.as_bytes()).and_then(Envelope::verdict);
        let refusal = |code: &str, msg: &str| Some(Err(Refusal { code: code.to_owned(), msg: msg.to_owned() }));
        assert_eq!(verdict(r#"{"code":0,"msg":"success","data":null}"#), Some(Ok(())));
        assert_eq!(verdict(r#"{"code":"0"}"#), Some(Ok(())));
        assert_eq!(verdict(r#"{"code":1001,"msg":"Unauthorized"}"#), refusal("1001", "Unauthorized"));
        assert_eq!(verdict(r#"{"code":"10003","data":[]}"#), refusal("10003", ""));
        assert_eq!(verdict(r#"{"msg":"success"}"#), None);
        assert_eq!(verdict(r#"{"code":null}"#), None);
        assert_eq!(verdict("<html>"), None);
    }
}
