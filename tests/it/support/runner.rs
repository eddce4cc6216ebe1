//! `Ledger::run` in the background, and what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tillbook::sync::RunOptions;
use tillbook::{Error, Ledger, Progress, RefundKey, RefundState};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What was said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// The last state of each refund that was dealt with.
    pub(crate) refunds: BTreeMap<RefundKey, RefundState>,
    pub(crate) paused: u64,
    pub(crate) resumed: u64,
    pub(crate) problems: Vec<String>,
}

impl Said {
    /// How many refunds were last said to be in that state.
    pub(crate) fn count(&self, state: RefundState) -> usize {
        self.refunds.values().filter(|said| **said == state).count()
    }
}

/// A ledger that runs until it is told to stop.
pub(crate) struct Runner {
    said: Arc<watch::Sender<Said>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Error>>,
}

impl Runner {
    pub(crate) fn start(ledger: &Ledger) -> Runner {
        let said = Arc::new(watch::Sender::new(Said::default()));
        let (stop, stopped) = oneshot::channel();
        let (ledger, heard) = (ledger.clone(), said.clone());
        let watcher = move |progress: &Progress| {
            heard.send_modify(|said| match progress {
                Progress::Refund { key, state, .. } => drop(said.refunds.insert(key.clone(), *state)),
                Progress::Paused { .. } => said.paused += 1,
                Progress::Resumed { .. } => said.resumed += 1,
                Progress::Problem { what, .. } => said.problems.push(what.clone()),
                _ => {}
            });
        };
        let running = tokio::spawn(async move {
            let stopped = async move { stopped.await.expect("told to stop") };
            ledger.run(&RunOptions::default(), Arc::new(watcher), stopped).await
        });
        Runner { said, stop, running }
    }

    pub(crate) fn said(&self) -> Said {
        self.said.borrow().clone()
    }

    /// Waits until it has said so.
    pub(crate) async fn until(&self, holds: impl FnMut(&Said) -> bool) {
        let mut said = self.said.subscribe();
        let heard = timeout(Duration::from_secs(300), said.wait_for(holds)).await.map(drop);
        assert!(heard.is_ok(), "not said in five minutes: {:?}", self.said());
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send(()).expect("it runs");
        let ended = timeout(Duration::from_secs(10), self.running).await.expect("it stops when it is told to");
        ended.expect("no panic").expect("no storage error");
    }
}
