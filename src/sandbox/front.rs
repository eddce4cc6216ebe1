//! The two doors: the upstreams' port, which can be shut and opened again, and the control port, which stays open.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::line::{CuttableListener, Line, Lines};
use super::server::{Shared, upstream_call};
use super::{SandboxError, control};

/// The running sandbox, seen from within.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) shared: Shared,
    /// None where calls are carried in by hand.
    doors: Option<Doors>,
}

/// The two ports.
#[derive(Debug)]
struct Doors {
    upstreams: Door,
    control: Door,
}

/// One port of 127.0.0.1, and the task that serves it.
#[derive(Debug)]
pub(crate) struct Door {
    port: u16,
    lines: Arc<Lines>,
    state: Mutex<State>,
    /// Opening and shutting take turns.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum State {
    /// A task serves the port.
    Open(JoinHandle<()>),
    /// The port is held all the same: nobody listens, so connects are refused, and the system gives it to nobody else
    /// who asks for any. `None` where holding failed, which is told when the door is to open again.
    Shut(Option<TcpSocket>),
}

/// Where a house without doors is said to be; no name server knows it.
fn no_url() -> String {
    "http://sandbox.invalid".to_owned()
}

/// Connects that wait to be accepted.
const WAITING: u32 = 1024;

/// Listens on a port (0 = a free one), by the socket that holds it if there is one.
fn listen(port: u16, held: Option<TcpSocket>) -> Result<TcpListener, SandboxError> {
    let listener = held.map_or_else(|| hold(port), Ok).and_then(|socket| socket.listen(WAITING));
    listener.map_err(|source| SandboxError::Listen { port, source })
}

/// Takes a port (0 = a free one) without listening on it.
fn hold(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    #[cfg(unix)] // Elsewhere it would let two listen on one port.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

impl Door {
    /// Takes a port (0 = a free one) without serving it yet.
    pub(crate) fn take(port: u16) -> Result<(Self, TcpListener), SandboxError> {
        let listener = listen(port, None)?;
        let port = listener.local_addr().map_err(|source| SandboxError::Listen { port, source })?.port();
        let state = Mutex::new(State::Shut(None));
        Ok((Self { port, lines: Arc::default(), state, turn: tokio::sync::Mutex::default() }, listener))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn serve(&self, listener: TcpListener, router: Router) {
        let listener = CuttableListener { tcp: listener, lines: self.lines.clone() };
        let service = router.into_make_service_with_connect_info::<Line>();
        let task = tokio::spawn(async move {
            // It only ends when it is aborted: axum tries again when accepting fails.
            let _ = axum::serve(listener, service).await;
        });
        *self.state() = State::Open(task);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops listening, so that connects are refused, and cuts every connection but the spared one.
    pub(crate) async fn shut(&self, spared: Option<&Line>) {
        let _turn = self.turn.lock().await;
        let state = std::mem::replace(&mut *self.state(), State::Shut(None));
        let held = match state {
            State::Open(task) => {
                task.abort();
                // The listener is closed once the task is gone.
                let _ = task.await;
                hold(self.port).ok()
            }
            State::Shut(held) => held,
        };
        *self.state() = State::Shut(held);
        self.lines.cut_all(spared);
    }

    /// Listens on the same port again; nothing to do when it does already.
    pub(crate) async fn open(&self, router: Router) -> Result<(), SandboxError> {
        let _turn = self.turn.lock().await;
        let held = match &mut *self.state() {
            State::Open(_) => return Ok(()),
            State::Shut(held) => held.take(),
        };
        self.serve(listen(self.port, held)?, router);
        Ok(())
    }

    /// Shuts without waiting, for `Drop`.
    fn slam(&self) {
        if let State::Open(task) = &*self.state() {
            task.abort();
        }
        self.lines.cut_all(None);
    }
}

impl House {
    /// Serves both doors.
    pub(crate) fn open(
        shared: Shared,
        (upstreams, upstreams_listener): (Door, TcpListener),
        (control, control_listener): (Door, TcpListener),
    ) -> Arc<Self> {
        let house = Arc::new(Self { shared, doors: Some(Doors { upstreams, control }) });
        if let Some(doors) = &house.doors {
            doors.upstreams.serve(upstreams_listener, house.upstream_routes());
            doors.control.serve(control_listener, control::routes().with_state(house.clone()));
        }
        house
    }

    /// A house without doors.
    pub(crate) fn closed(shared: Shared) -> Arc<Self> {
        Arc::new(Self { shared, doors: None })
    }

    pub(crate) fn upstreams_url(&self) -> String {
        self.doors.as_ref().map_or_else(no_url, |doors| doors.upstreams.url())
    }

    pub(crate) fn control_url(&self) -> String {
        self.doors.as_ref().map_or_else(no_url, |doors| doors.control.url())
    }

    pub(crate) async fn network_down(&self, spared: Option<&Line>) {
        if let Some(doors) = &self.doors {
            doors.upstreams.shut(spared).await;
        }
    }

    fn upstream_routes(self: &Arc<Self>) -> Router {
        control::routes().fallback(upstream_call).with_state(self.clone())
    }

    pub(crate) async fn network_up(self: &Arc<Self>) -> Result<(), SandboxError> {
        if self.shared.is_stopped() {
            return Err(SandboxError::Stopped);
        }
        match &self.doors {
            Some(doors) => doors.upstreams.open(self.upstream_routes()).await,
            None => Ok(()),
        }
    }

    /// Ends everything: what was to happen late will not.
    pub(crate) fn close(&self) {
        self.shared.stop();
        if let Some(doors) = &self.doors {
            doors.upstreams.slam();
            doors.control.slam();
        }
    }
}
