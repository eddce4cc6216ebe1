//! Connections that can be cut: at once, or in the middle of an answer's body.
//!
//! An HTTP handler has no way to close the socket under it, so each accepted socket is wrapped: the handler keeps
//! a [`Line`], and what it asks of the line happens at the next read or write.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// One client connection, seen from the handler's side.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Mutex<LineState>>);

#[derive(Debug)]
struct LineState {
    cut: Cut,
    waiting: Vec<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Open,
    /// Lets the answer's head through (`matched` of the four bytes `\r\n\r\n` seen so far), then `left` body bytes.
    InBody {
        matched: usize,
        left: usize,
    },
    Dead,
}

/// Whether an answer's head went out before the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun(pub(crate) bool);

const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

impl Cut {
    /// What becomes of the cut once these bytes are out, and how many of them may go out.
    fn admit(self, bytes: &[u8]) -> (Self, usize) {
        let Self::InBody { mut matched, mut left } = self else {
            return (self, if self == Self::Dead { 0 } else { bytes.len() });
        };
        for (nth, byte) in bytes.iter().enumerate() {
            if matched < END_OF_HEAD.len() {
                matched = match END_OF_HEAD[matched] == *byte {
                    true => matched + 1,
                    false => usize::from(*byte == END_OF_HEAD[0]),
                };
            } else if left == 0 {
                return (Self::Dead, nth);
            } else {
                left -= 1;
            }
        }
        (Self::InBody { matched, left }, bytes.len())
    }
}

impl Line {
    /// A line without a socket under it.
    pub(crate) fn loose() -> Line {
        Line(Arc::new(Mutex::new(LineState { cut: Cut::Open, waiting: Vec::new() })))
    }

    /// Whether it was cut, and if so whether an answer had begun.
    pub(crate) fn is_cut(&self) -> Option<Begun> {
        match self.state().cut {
            Cut::Open => None,
            Cut::InBody { .. } => Some(Begun(true)),
            Cut::Dead => Some(Begun(false)),
        }
    }

    fn state(&self) -> MutexGuard<'_, LineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection now: no byte more goes out.
    pub(crate) fn cut(&self) {
        let waiting = {
            let mut state = self.state();
            state.cut = Cut::Dead;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Closes the connection once the next answer's head and `left` bytes of its body are out.
    pub(crate) fn cut_in_body(&self, left: usize) {
        let mut state = self.state();
        if state.cut != Cut::Dead {
            state.cut = Cut::InBody { matched: 0, left };
        }
    }

    fn is(&self, other: &Line) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The open connections of one listener, so that all of them can be cut.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Vec<Weak<Mutex<LineState>>>>);

impl Lines {
    fn open(&self) -> Line {
        let line = Line::loose();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line.0));
        line
    }

    /// Cuts every connection but `spared` (the one that asked for it and still waits for its answer).
    pub(crate) fn cut_all(&self, spared: Option<&Line>) {
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for line in lines.iter().filter_map(Weak::upgrade).map(Line) {
            if !spared.is_some_and(|spared| spared.is(&line)) {
                line.cut();
            }
        }
    }
}

/// A listener whose connections can be cut.
pub(crate) struct CuttableListener {
    pub(crate) tcp: TcpListener,
    pub(crate) lines: Arc<Lines>,
}

impl axum::serve::Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // axum's own accept waits and tries again when the process is out of sockets.
        let (tcp, address) = axum::serve::Listener::accept(&mut self.tcp).await;
        // Answers are small; waiting to fill a packet would only add delay. A refusal to set it harms nothing.
        let _ = tcp.set_nodelay(true);
        (CuttableStream { tcp, line: self.lines.open() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, CuttableListener>> for Line {
    fn connect_info(stream: axum::serve::IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().line.clone()
    }
}

/// A socket that obeys its [`Line`].
pub(crate) struct CuttableStream {
    tcp: TcpStream,
    line: Line,
}

fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut by the sandbox")
}

impl CuttableStream {
    /// Remembers who waits, so that a cut wakes them; refuses when the line is cut already.
    fn attend(&self, context: &Context<'_>) -> io::Result<Cut> {
        let mut state = self.line.state();
        if state.cut == Cut::Dead {
            return Err(cut_error());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            // Reader and writer are one task, so an older waker is a stale one.
            state.waiting.clear();
            state.waiting.push(context.waker().clone());
        }
        Ok(state.cut)
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.attend(context) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(_) => Pin::new(&mut self.tcp).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let cut = match self.attend(context) {
            Err(error) => return Poll::Ready(Err(error)),
            Ok(cut) => cut,
        };
        let (after, admitted) = cut.admit(bytes);
        if admitted == 0 && !bytes.is_empty() {
            self.line.state().cut = after;
            return Poll::Ready(Err(cut_error()));
        }
        let written = match Pin::new(&mut self.tcp).poll_write(context, &bytes[..admitted]) {
            Poll::Ready(Ok(written)) => written,
            other => return other,
        };
        if cut != Cut::Open {
            let mut state = self.line.state();
            // The socket may take less than it was given: only what went out counts.
            if state.cut == cut {
                state.cut = cut.admit(&bytes[..written]).0;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_in_the_body_lets_the_head_through_however_it_is_split() {
        let answer = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nabcdef";
        let head = answer.len() - 6;
        for split in 1..answer.len() {
            let (cut, first) = Cut::InBody { matched: 0, left: 3 }.admit(&answer[..split]);
            let (_, second) = cut.admit(&answer[split..]);
            assert_eq!(first.min(split) + second, head + 3, "split at {split}");
        }
    }

    #[test]
    fn an_open_line_admits_all_and_a_dead_one_nothing() {
        assert_eq!(Cut::Open.admit(b"abc"), (Cut::Open, 3));
        assert_eq!(Cut::Dead.admit(b"abc"), (Cut::Dead, 0));
    }
}
