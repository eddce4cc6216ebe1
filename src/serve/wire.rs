//! What crosses the socket: three lines of JSON. The till greets, the client asks once, the till answers once.
//!
//! The greeting comes first so that a client knows, before it has said anything, that somebody is there who will read
//! it: where none comes, nothing was asked, and it may open the ledger itself.

use std::io;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::domain::{AccountName, Body, DeviceName, OrderId, OrderRecord, RefundKey};
use crate::ledger::{RecordOrder, RefundRequest, Ruling, Wanted};
use crate::sync::{SyncOptions, SyncReport};

use super::Failed;

/// The version of these lines. Both ends must speak the same one: a field that one end does not know may be a guard.
pub(super) const PROTOCOL: u32 = 1;

/// How long a request may be, in bytes: the longest one that can be meant is a few thousand.
pub(super) const LONGEST_REQUEST: u64 = 64 * 1024;

/// How long an answer may be, in bytes: an order with all its refunds, or a sync's report, many times over.
pub(super) const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// What the till says to whoever connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// [`PROTOCOL`]; the rest is for those who speak it.
    pub(super) protocol: u32,
    /// The device whose ledger this is: refund keys made for it begin so.
    pub(super) device: DeviceName,
    /// The till's process id.
    pub(super) process: u32,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// [`PROTOCOL`], as the client speaks it.
    pub(super) protocol: u32,
    /// What it wants.
    pub(super) request: Request,
}

/// What a till does for another process: its ledger's commands, by their names there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    Refund(RefundRequest),
    Cancel { account: AccountName, key: RefundKey, by: Option<String> },
    Approve { account: AccountName, key: RefundKey, by: String },
    Resolve(Ruling),
    RecordOrder(RecordOrder),
    Fetch { account: AccountName, order: Wanted },
    Sync(SyncOptions),
    Body { account: AccountName, order: Wanted },
    Forget { account: AccountName, order: Wanted },
}

/// What the till answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// A refund with its order, as [`Refunded`](crate::ledger::Refunded).
    Refunded { key: RefundKey, order: Arc<OrderRecord>, replayed: bool, waiting: Option<String> },
    /// An order.
    Order(Arc<OrderRecord>),
    /// A round of synchronisation.
    Synced(SyncReport),
    /// What is kept of an upstream's answer about an order, if anything.
    Body(Option<CarriedBody>),
    /// What was erased.
    Forgotten { order: OrderId, bytes: Option<usize> },
    /// It could not be done.
    Failed(Failed),
}

/// A body on its way to another process of the same user. It crosses as text where it is text, which it nearly always
/// is; its `Debug` is the body's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Carried", into = "Carried")]
pub(super) struct CarriedBody(pub(super) Body);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Carried {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Carried> for CarriedBody {
    fn from(carried: Carried) -> CarriedBody {
        CarriedBody(match carried {
            Carried::Text(text) => Body::new(text),
            Carried::Bytes(bytes) => Body::new(bytes),
        })
    }
}

impl From<CarriedBody> for Carried {
    fn from(CarriedBody(body): CarriedBody) -> Carried {
        match std::str::from_utf8(body.expose()) {
            Ok(text) => Carried::Text(text.to_owned()),
            Err(_) => Carried::Bytes(body.expose().to_vec()),
        }
    }
}

/// Reads one line; `None` when the other end said no whole one.
///
/// # Errors
/// A line above `longest` bytes; what the socket says.
pub(super) async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), longest: u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = reader.take(longest).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        _ if read as u64 == longest => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line of more than {longest} bytes")))
        }
        _ => Ok(None),
    }
}

/// Writes one line.
pub(super) async fn write_line(writer: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    // JSON escapes line ends within texts: the one at the end is the only one.
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}

/// Reads a value from its line; the error names the field.
pub(super) fn read_value<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Requested;

    #[test]
    fn a_request_is_one_line_and_comes_back_whole() {
        let order: Wanted = "order_sn=20170601".parse().expect("a number");
        let key = RefundKey::new("k-1").expect("a key");
        let account = AccountName::new("shop-1").expect("a name");
        let refund = RefundRequest {
            memo: Some("凉了\n\"quoted\"".to_owned()),
            ..RefundRequest::new(account, order, Requested::All, key)
        };
        let asked = Asked { protocol: PROTOCOL, request: Request::Refund(refund) };
        let line = serde_json::to_vec(&asked).expect("serializable");
        assert!(!line.contains(&b'\n'));
        assert_eq!(read_value::<Asked>(&line), Ok(asked));
    }

    #[test]
    fn a_body_crosses_as_it_is_and_no_debug_shows_it() {
        for bytes in [b"{\"openid\":\"oX\"}".as_slice(), b"\xff\x00\n", b""] {
            let answer = Answer::Body(Some(CarriedBody(Body::new(bytes.to_vec()))));
            let line = serde_json::to_vec(&answer).expect("serializable");
            assert!(!line.contains(&b'\n'));
            assert_eq!(read_value::<Answer>(&line), Ok(answer.clone()));
            assert_eq!(format!("{answer:?}"), format!("Body(Some(CarriedBody(Body({} bytes))))", bytes.len()));
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_refused_by_name() {
        let line = br#"{"protocol":1,"request":{"cancel":{"account":"shop-1","key":"k","by":null,"force":true}}}"#;
        assert_eq!(
            read_value::<Asked>(line).expect_err("refused"),
            "request.cancel.force: unknown field `force`, expected one of `account`, `key`, `by` at line 1 column 81"
        );
        assert!(read_value::<Asked>(br#"{"protocol":1,"request":{"obey":{}}}"#).is_err());
        assert!(read_value::<Asked>(b"{} {}").is_err());
    }

    #[tokio::test]
    async fn a_line_is_whole_or_absent_or_too_long() {
        let read = async |text: &[u8]| read_line(&mut tokio::io::BufReader::new(text), 8).await.map_err(|e| e.kind());
        assert_eq!(read(b"1234567\nrest").await, Ok(Some(b"1234567".to_vec())));
        assert_eq!(read(b"half").await, Ok(None));
        assert_eq!(read(b"").await, Ok(None));
        assert_eq!(read(b"12345678\n").await, Err(io::ErrorKind::InvalidData));
    }
}
