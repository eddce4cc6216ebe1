//! A raw TCP server whose every answer, and every way of not answering, is scripted.
//!
//! No mock crate can close a socket half way through a body, so this speaks just enough HTTP/1.1 by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the server does with one connection.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Closes before reading anything.
    CloseBeforeRequest,
    /// Reads the whole request, then closes.
    CloseAfterRequest,
    /// Reads the whole request and says nothing until the client is gone.
    Silence,
    /// A complete answer.
    Answer(u16, String),
    /// An answer whose length promises more than comes.
    Truncated(u16, String),
    /// A redirect to this address.
    Redirect(String),
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Method and target: `POST /gateway`.
    pub(crate) line: String,
    /// Header names in lower case, with their values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The server: one scripted act per connection, in order; after the last one it closes what comes.
#[derive(Debug)]
pub(crate) struct WireServer {
    /// Its base URL, without a slash at the end.
    pub(crate) base_url: String,
    script: Arc<Mutex<VecDeque<Act>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    gone: Arc<Notify>,
}

impl WireServer {
    /// Starts on a free port with `script`.
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>) -> WireServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = WireServer {
            base_url,
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            requests: Arc::default(),
            gone: Arc::default(),
        };
        let (script, requests, gone) = (server.script.clone(), server.requests.clone(), server.gone.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let act = script.lock().expect("not poisoned").pop_front();
                let (requests, gone) = (requests.clone(), gone.clone());
                tokio::spawn(async move {
                    play(socket, act, &requests).await;
                    gone.notify_one();
                });
            }
        });
        server
    }

    /// The requests that were read completely, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// How many scripted acts have not been played: a test whose fault never fired proves nothing.
    pub(crate) fn unplayed(&self) -> usize {
        self.script.lock().expect("not poisoned").len()
    }

    /// A base URL at which nobody listens.
    pub(crate) async fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        format!("http://{}", listener.local_addr().expect("an address"))
    }
}

async fn play(mut socket: TcpStream, act: Option<Act>, requests: &Mutex<Vec<Request>>) {
    if let None | Some(Act::CloseBeforeRequest) = act {
        return;
    }
    let Some(request) = read(&mut socket).await else { return };
    requests.lock().expect("not poisoned").push(request);
    let answer = match act {
        None | Some(Act::CloseBeforeRequest | Act::CloseAfterRequest) => return,
        Some(Act::Silence) => {
            // Until the client gives up: it closes, and the read ends.
            let _ = tokio::time::timeout(Duration::from_secs(60), socket.read(&mut [0])).await;
            return;
        }
        Some(Act::Answer(status, body)) => whole(status, &body, body.len(), ""),
        Some(Act::Truncated(status, body)) => whole(status, &body, body.len() + 100, ""),
        Some(Act::Redirect(to)) => whole(302, "", 0, &format!("location: {to}\r\n")),
    };
    let _ = socket.write_all(answer.as_bytes()).await;
    let _ = socket.shutdown().await;
}

fn whole(status: u16, body: &str, length: usize, more: &str) -> String {
    format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         date: Thu, 01 Jun 2017 13:53:56 GMT\r\nconnection: close\r\n{more}\r\n{body}"
    )
}

async fn read(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut lines = head.lines();
            let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
            while bytes.len() < end + 4 + length {
                let read = socket.read(&mut buffer).await.ok()?;
                if read == 0 {
                    return None;
                }
                bytes.extend_from_slice(&buffer[..read]);
            }
            let body = String::from_utf8_lossy(&bytes[end + 4..end + 4 + length]).into_owned();
            return Some(Request { line, headers, body });
        }
        let read = socket.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}
