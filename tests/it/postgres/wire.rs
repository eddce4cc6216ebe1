//! The way from a ledger to its server, which breaks around a commit when it is told to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Where it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// The commit never arrives.
    BeforeCommit,
    /// The commit happens, its answer never comes.
    AfterCommit,
}

/// A message `COMMIT` to the server, and its answer; both end with a zero.
const COMMIT: &[u8] = b"COMMIT\0";
/// What stands before the text of a message: what it is, and how long.
const HEAD: usize = 5;

pub(super) struct Wire {
    port: u16,
    breaks: Arc<Breaks>,
    carrier: JoinHandle<()>,
}

#[derive(Default)]
struct Breaks {
    next: Mutex<Option<Break>>,
    /// How often it broke.
    broken: Mutex<u32>,
}

impl Breaks {
    fn take(&self) -> Option<Break> {
        let taken = self.next.lock().expect("not poisoned").take();
        *self.broken.lock().expect("not poisoned") += u32::from(taken.is_some());
        taken
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl Wire {
    /// A way to the server behind that socket.
    pub(super) async fn to(socket: PathBuf) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let breaks = Arc::new(Breaks::default());
        let carrier = tokio::spawn({
            let breaks = Arc::clone(&breaks);
            async move {
                while let Ok((near, _)) = listener.accept().await {
                    let Ok(far) = UnixStream::connect(&socket).await else { continue };
                    tokio::spawn(carry(near, far, Arc::clone(&breaks)));
                }
            }
        });
        Wire { port, breaks, carrier }
    }

    /// The next commit on any connection meets this.
    pub(super) fn break_at(&self, place: Break) {
        *self.breaks.next.lock().expect("not poisoned") = Some(place);
    }

    pub(super) fn broken(&self) -> u32 {
        *self.breaks.broken.lock().expect("not poisoned")
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://tillbook@127.0.0.1:{}/{database}", self.port)
    }
}

/// Carries one connection until it ends or breaks; both sides hear of it then.
async fn carry(near: tokio::net::TcpStream, far: UnixStream, breaks: Arc<Breaks>) {
    let (mut from_ledger, mut to_ledger) = near.into_split();
    let (mut from_server, mut to_server) = far.into_split();
    let unanswered = Notify::new();
    let out = out(&mut from_ledger, &mut to_server, &breaks, &unanswered);
    let back = back(&mut from_server, &mut to_ledger, &unanswered);
    tokio::select! {
        () = out => {}
        () = back => {}
    }
}

async fn out(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    breaks: &Breaks,
    unanswered: &Notify,
) {
    let mut bytes = vec![0; 64 * 1024];
    // A message may come in two pieces.
    let mut tail: Vec<u8> = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        tail.extend_from_slice(&bytes[..length]);
        let commit = tail.windows(COMMIT.len()).position(|window| window == COMMIT);
        let found = commit.and_then(|at| breaks.take().map(|place| (at, place)));
        match found {
            Some((at, Break::BeforeCommit)) => {
                let _ = to.write_all(&tail[..at.saturating_sub(HEAD)]).await;
                return;
            }
            Some((_, Break::AfterCommit)) => unanswered.notify_one(),
            None => {}
        }
        // All but what may be the beginning of a commit.
        let kept = if commit.is_some() { 0 } else { beginning_of_commit(&tail) };
        let whole: Vec<u8> = tail.drain(..tail.len() - kept).collect();
        if to.write_all(&whole).await.is_err() {
            return;
        }
    }
    let _ = to.write_all(&tail).await;
}

/// How many bytes at the end may be the beginning of a message to commit.
fn beginning_of_commit(bytes: &[u8]) -> usize {
    (1..HEAD + COMMIT.len())
        .rev()
        .find(|kept| {
            let Some(from) = bytes.len().checked_sub(*kept) else { return false };
            let end = &bytes[from..];
            end[0] == b'Q' && end.get(HEAD..).is_none_or(|text| COMMIT.starts_with(text))
        })
        .unwrap_or(0)
}

async fn back(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), unanswered: &Notify) {
    let mut bytes = vec![0; 64 * 1024];
    let mut swallows = false;
    loop {
        let length = tokio::select! {
            biased;
            () = unanswered.notified(), if !swallows => {
                swallows = true;
                continue;
            }
            read = from.read(&mut bytes) => match read {
                Ok(length @ 1..) => length,
                _ => return,
            },
        };
        if swallows && bytes[..length].windows(COMMIT.len()).any(|window| window == COMMIT) {
            return;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
