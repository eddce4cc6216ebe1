//! Being told to end: Ctrl-C by a person, SIGTERM by a supervisor or a machine that shuts down.

use super::exit::Failure;

/// The signals, caught from here on.
#[derive(Debug)]
pub(crate) struct End {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl End {
    /// Catches the signals: from now on they end nothing by themselves.
    pub(crate) fn listen() -> Result<End, Failure> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |error| Failure::new("io", format!("cannot wait for signals: {error}"));
            let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
            Ok(End { interrupt, terminate: signal(SignalKind::terminate()).map_err(failed)? })
        }
        #[cfg(not(unix))]
        Ok(End {})
    }

    /// Waits for one of them.
    pub(crate) async fn asked(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
