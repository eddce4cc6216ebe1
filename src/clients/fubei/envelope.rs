//! Fubei's envelope: HTTP status tells nothing about the business, `result_code` does.

use serde::Deserialize;

use crate::clients::call::{RawAnswer, Reply};
use crate::clients::classify;
use crate::clients::failure::Failure;
use crate::clients::wire::Text;
use crate::gateway::{ReadError, ReadErrorKind};

/// An envelope's fields for one call: the signer fills in all but `biz_content`.
macro_rules! envelope {
    ($envelope:expr, $biz:expr) => {
        $envelope
            .app_id("")
            .method("")
            .format("json")
            .sign_method("md5")
            .nonce("")
            .sign("")
            .version(Some("1.0".to_owned()))
            .biz_content($crate::clients::wire::JsonText($biz))
    };
}
pub(super) use envelope;

/// What an envelope says, apart from its data.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    result_code: Option<Text>,
    result_message: Option<Text>,
    sub_code: Option<Text>,
}

/// A refusal in the gateway's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `result_code`, any but 200.
    pub(super) code: String,
    /// `result_message`.
    pub(super) message: String,
    /// `sub_code`, which the payment platform behind the gateway sets.
    pub(super) sub_code: Option<String>,
}

/// What came of one call.
#[derive(Debug)]
pub(super) enum Seen<D> {
    /// `result_code` 200, with the data if there is any.
    Done { code: String, message: Option<String>, data: Option<D>, raw: RawAnswer },
    /// Any other `result_code`.
    Refused(Refusal),
    /// No envelope.
    Failed(Failure),
}

impl Envelope {
    pub(super) fn read(body: &[u8]) -> Option<Envelope> {
        serde_json::from_slice(body).ok()
    }

    /// `Ok` with code and message for 200; `None` when there is no code at all.
    pub(super) fn verdict(self) -> Option<Result<(String, Option<String>), Refusal>> {
        let code = self.result_code?.as_str().trim().to_owned();
        if code.is_empty() {
            return None;
        }
        let text = |text: Option<Text>| text.and_then(|text| text.non_empty().map(str::to_owned));
        if code == "200" {
            return Some(Ok((code, text(self.result_message))));
        }
        let message = text(self.result_message).unwrap_or_default();
        Some(Err(Refusal { code, message, sub_code: text(self.sub_code) }))
    }
}

impl Refusal {
    /// The words for a person: message and sub code.
    pub(super) fn words(&self) -> String {
        match (&self.sub_code, self.message.is_empty()) {
            (Some(sub_code), true) => sub_code.clone(),
            (Some(sub_code), false) => format!("{} ({sub_code})", self.message),
            (None, _) => self.message.clone(),
        }
    }

    /// Whether `codes` lists the code or the sub code.
    pub(super) fn is_one_of(&self, codes: &[String]) -> bool {
        codes.iter().any(|code| *code == self.code || Some(code) == self.sub_code.as_ref())
    }

    /// Whether the words name the signature or the application: the envelope itself was refused. The codes for it are
    /// not public.
    pub(super) fn names_credentials(&self) -> bool {
        self.contains(&["签名", "验签", "sign", "app_id", "appid", "应用不存在", "应用号"])
    }

    /// [`names_credentials`](Refusal::names_credentials), and by the gateway itself: 400 or a sub code mean the payment
    /// platform behind it, which may speak of a signature between the two of them.
    pub(super) fn is_of_the_envelope(&self) -> bool {
        self.names_credentials() && self.code != "400" && self.sub_code.is_none()
    }

    /// Whether the words say that there is no such order or refund.
    pub(super) fn names_absence(&self) -> bool {
        self.contains(&[
            "不存在",
            "未找到",
            "找不到",
            "查不到",
            "无此",
            "not exist",
            "not_exist",
            "not found",
            "not_found",
            "notfound",
        ]) && !self.names_credentials()
    }

    /// Whether the words ask to come back later: such an answer says nothing about the order.
    pub(super) fn names_haste(&self) -> bool {
        self.contains(&["频繁", "繁忙", "超时", "稍后", "系统异常", "系统错误", "busy", "timeout", "system", "limit"])
    }

    fn contains(&self, words: &[&str]) -> bool {
        let text = format!("{} {}", self.message, self.sub_code.as_deref().unwrap_or_default()).to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// This refusal of a read.
    pub(super) fn read_error(&self, asked: &str, credential_codes: &[String]) -> ReadError {
        let kind = if self.names_credentials() || self.is_one_of(credential_codes) {
            ReadErrorKind::Credentials
        } else if self.names_haste() {
            ReadErrorKind::Busy
        } else {
            ReadErrorKind::Refused
        };
        ReadError::new(kind, format!("{asked}: {}", self.words())).with_code(self.code.clone())
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
            (Some(Ok((code, message))), Ok(value)) => Seen::Done { code, message, data: data(value), raw },
            (Some(Ok(_)) | None, Err(why)) => unread(raw, why),
            (None, Ok(_)) => unread(raw, "result_code is missing".to_owned()),
        }
    }

    /// The refusal, if it is one.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Seen::Refused(refusal) => Some(refusal),
            Seen::Done { .. } | Seen::Failed(_) => None,
        }
    }

    /// The data with the raw answer, or why the read brought none.
    pub(super) fn read(self, asked: &str, credential_codes: &[String]) -> Result<(D, RawAnswer), ReadError> {
        match self {
            Seen::Done { data: Some(data), raw, .. } => Ok((data, raw)),
            Seen::Done { data: None, .. } => {
                Err(ReadError::new(ReadErrorKind::Unreadable, format!("{asked}: data is missing")).with_code("200"))
            }
            Seen::Refused(refusal) => Err(refusal.read_error(asked, credential_codes)),
            Seen::Failed(failure) => Err(classify::read_error(asked, &failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, message: &str, sub_code: Option<&str>) -> Refusal {
        Refusal { code: code.to_owned(), message: message.to_owned(), sub_code: sub_code.map(str::to_owned) }
    }

    #[test]
    fn the_code_decides_as_number_and_as_text() {
        let verdict = |body: &str| Envelope::read(body.as_bytes()).and_then(Envelope::verdict);
        assert_eq!(verdict(r#"{"result_code":200}"#), Some(Ok(("200".to_owned(), None))));
        assert_eq!(
            verdict(r#"{"result_code":"200","result_message":"成功","data":7}"#),
            Some(Ok(("200".to_owned(), Some("成功".to_owned()))))
        );
        assert_eq!(
            verdict(r#"{"result_code":60303,"result_message":"失败","sub_code":"X","data":"none"}"#),
            Some(Err(refusal("60303", "失败", Some("X"))))
        );
        assert_eq!(verdict(r#"{"result_message":"成功"}"#), None);
        assert_eq!(verdict("<html>"), None);
    }

    #[test]
    fn only_the_gateway_itself_refuses_an_envelope() {
        assert!(refusal("4902", "签名错误", None).is_of_the_envelope());
        assert!(refusal("4901", "应用不存在", None).is_of_the_envelope());
        assert!(!refusal("400", "签名错误", None).is_of_the_envelope());
        assert!(!refusal("4902", "微信返回签名校验失败", Some("SIGNERROR")).is_of_the_envelope());
        assert!(!refusal("400", "可退金额不足", Some("NOT_ENOUGH")).names_credentials());
    }

    #[test]
    fn absence_is_a_matter_of_words() {
        assert!(refusal("400", "退款不存在", Some("REFUND_NOT_EXIST")).names_absence());
        assert!(!refusal("4901", "应用不存在", None).names_absence());
        assert!(!refusal("400", "失败", Some("ERROR_CODE")).names_absence());
    }
}
