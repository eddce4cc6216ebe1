//! What crosses the socket beside a running till, from both ends: the till is asked, and a client answered, with any
//! bytes.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tillbook::serve::Client;
use tillbook::{AccountName, Ledger, Money, RefundKey, RefundRequest, Requested, SyncOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;

use super::Memory;

/// What a line may cost.
pub(crate) const MEMORY: Memory = Memory { fixed_bytes: 1 << 20, bytes_each: 200 };

/// The socket's name in a ledger's directory.
const SOCKET: &str = "SOCKET";

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts")
    })
}

/// A till that answers as long as the process lives.
fn till() -> &'static Path {
    static TILL: OnceLock<TempDir> = OnceLock::new();
    let directory = TILL.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        runtime().block_on(async {
            let ledger = Ledger::builder().in_memory().await.expect("opens");
            let server = ledger.listen(directory.path()).await.expect("listens");
            tokio::spawn(server.answer(std::future::pending()));
        });
        directory
    });
    directory.path()
}

/// Asks the till with these bytes, and nothing after them.
pub(crate) fn request(bytes: &[u8]) {
    let till = till();
    let answer = runtime().block_on(async {
        let stream = UnixStream::connect(till.join(SOCKET)).await.expect("it listens");
        let mut stream = BufReader::new(stream);
        let mut greeting = String::new();
        stream.read_line(&mut greeting).await.expect("it greets");
        // One who has heard enough hangs up.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.take(1 << 20).read_to_end(&mut answer).await;
        answer
    });
    let whole = bytes.contains(&b'\n');
    let Some(answer) = answer.strip_suffix(b"\n") else {
        // A till that hangs up before it has read all may take its answer with it.
        assert!(answer.is_empty() && (!whole || bytes.len() > 32 << 10), "half an answer, or none");
        return;
    };
    let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    let kinds: Vec<&String> = answer.as_object().expect("an answer").keys().collect();
    // Nobody here has an account: all that can be done is nothing.
    assert!(kinds == ["failed"] || kinds == ["synced"], "{answer}");
}

/// Greets a client with these bytes, and answers others with them.
pub(crate) fn answer(bytes: &[u8]) {
    static TILL: OnceLock<(TempDir, UnixListener)> = OnceLock::new();
    let (directory, listener) = TILL.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let _entered = runtime().enter();
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("binds");
        (directory, listener)
    });
    runtime().block_on(async {
        for question in [Question::None, Question::Refund, Question::Order, Question::Sync] {
            let till = async {
                let (stream, _) = listener.accept().await.expect("somebody comes");
                let mut stream = BufReader::new(stream);
                if question != Question::None {
                    let greeting = b"{\"protocol\":1,\"device\":\"till-3\",\"process\":1}\n";
                    stream.write_all(greeting).await.expect("greeted");
                    let mut asked = String::new();
                    let _ = stream.read_line(&mut asked).await;
                }
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
            };
            tokio::join!(till, ask(directory.path(), question));
        }
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    None,
    Refund,
    Order,
    Sync,
}

async fn ask(directory: &Path, question: Question) {
    let Ok(Some(client)) = Client::connect(directory, Duration::from_secs(20)).await else {
        assert_eq!(question, Question::None, "a till that greets is met");
        return;
    };
    let account = AccountName::new("shop-1").expect("a name");
    let order = "order_sn=20170601".parse().expect("a number");
    let key = RefundKey::new("k-1").expect("a key");
    let failed = match question {
        Question::None => None,
        Question::Refund => {
            let amount = Requested::Exactly(Money::from_fen(1).expect("valid"));
            client.refund(RefundRequest::new(account, order, amount, key.clone())).await.map(drop).err()
        }
        Question::Order => client.fetch(&account, &order).await.map(drop).err(),
        Question::Sync => client.sync(&SyncOptions::default()).await.map(drop).err(),
    };
    if let Some(failed) = failed {
        assert!(!failed.to_string().is_empty());
    }
}
