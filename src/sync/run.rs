//! Until told to stop: refunds out as soon as they can go, unsettled ones asked about on their schedule,
//! orders in.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::{AccountName, OrderId, RefundState};
use crate::gateway::ReadError;
use crate::ledger::{Account, Error, Ledger};
use crate::storage::StorageError;

use super::rhythm::{Pause, Questions, Rests};
use super::{AccountReport, Progress, Reach, Watcher, pull, push, resolve};

/// What to run, and how often.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Only these accounts; all that are connected, if none is named.
    pub accounts: Option<Vec<AccountName>>,
    /// How long from the end of one listing of orders to the next.
    pub pull_every: Duration,
}

impl Default for RunOptions {
    fn default() -> RunOptions {
        RunOptions { accounts: None, pull_every: Duration::from_secs(300) }
    }
}

/// How many problems are remembered as told.
const SAID: usize = 100;

/// The longest that a turn waits for the next: a bound on what a missed wake-up can cost.
const LONGEST: Duration = Duration::from_secs(60);

impl Ledger {
    /// Sends what is queued as soon as it can go, asks about unsettled refunds on the accounts' schedules
    /// and lists orders now and then, until `stop` is ready. Accounts run side by side.
    ///
    /// An account that cannot be reached, or refuses, is left alone for waits that grow, with jitter, and
    /// tried again by one cheap safe call ([`Ledger::check_account`]), not by its queue.
    ///
    /// When `stop` is ready nothing more is begun; what is being sent is recorded all the same, and
    /// [`Ledger::close`] waits for it.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`] before anything is done; storage errors, which end it.
    pub async fn run(
        &self,
        options: &RunOptions,
        watcher: Arc<Watcher>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let names = options.accounts.clone().unwrap_or_else(|| self.accounts());
        let mut running: JoinSet<Result<(), Error>> = JoinSet::new();
        let accounts: Vec<Arc<Account>> =
            names.iter().map(|name| self.inner.account(name)).collect::<Result<_, Error>>()?;
        for account in accounts {
            let turns = Turns::new(self.clone(), account, options.pull_every, watcher.clone());
            running.spawn(turns.run());
        }
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()), // dropping the set ends the turns
                ended = running.join_next() => match ended {
                    Some(ended) => ended??,
                    None => return Ok(()), // no account to run
                }
            }
        }
    }
}

/// One account's turns.
struct Turns {
    ledger: Ledger,
    account: Arc<Account>,
    watcher: Arc<Watcher>,
    pull_every: Duration,
    pull_at: Duration,
    /// The listing under way, if there is one: it may take long, and no refund waits behind it.
    pulling: JoinSet<Result<AccountReport, Error>>,
    /// The account cannot be asked.
    pause: Pause,
    /// The account takes no refunds, whatever else it answers.
    refused: Pause,
    rests: Rests<OrderId>,
    questions: Questions,
    /// What was last said of what went wrong, so that it is not said again each minute.
    said: Vec<String>,
}

impl Turns {
    fn new(ledger: Ledger, account: Arc<Account>, pull_every: Duration, watcher: Arc<Watcher>) -> Turns {
        let pull_at = ledger.inner.running();
        let (pause, refused) = (Pause::default(), Pause::default());
        let (rests, questions) = (Rests::default(), Questions::default());
        let (pulling, said) = (JoinSet::new(), Vec::new());
        Turns { ledger, account, watcher, pull_every, pull_at, pulling, pause, refused, rests, questions, said }
    }

    async fn run(mut self) -> Result<(), Error> {
        loop {
            let ledger = self.ledger.clone();
            let queued = ledger.inner.waits.notified();
            tokio::pin!(queued);
            // Registered before looking, so that a refund queued in between is not missed.
            queued.as_mut().enable();
            let wait = match self.turn().await {
                Err(error) => self.outlast(error)?,
                wait => wait?,
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                () = queued => {}
                Some(pulled) = self.pulling.join_next() => {
                    match pulled? {
                        Err(error) => {
                            self.outlast(error)?;
                        }
                        Ok(report) => self.say(&report),
                    }
                    self.pull_at = self.now() + self.pull_every;
                }
            }
        }
    }

    /// A full disk or a server that is away ends no till: nothing is written or sent meanwhile, and then it goes on. Any
    /// other storage error does.
    fn outlast(&mut self, error: Error) -> Result<Duration, Error> {
        match error {
            Error::Storage(passing @ (StorageError::DiskFull { .. } | StorageError::Remote { .. })) => {
                Ok(self.pause_for(&passing.to_string()))
            }
            error => Err(error),
        }
    }

    /// Does what is due, and answers how long nothing will be.
    async fn turn(&mut self) -> Result<Duration, Error> {
        self.ledger.inner.take_over().await?;
        if let Some(left) = self.pause.left(self.now()) {
            return Ok(left);
        }
        if self.pause.is_on() || (self.refused.is_on() && self.refused.left(self.now()).is_none()) {
            if let Err(error) = self.account.gateway.check().await {
                return Ok(self.pause_for(&error.to_string()));
            }
            if self.pause.is_on() {
                (self.watcher)(&Progress::Resumed { account: self.account.name.clone() });
            }
            self.pause.try_again();
            self.refused.try_again();
        }
        let mut report = AccountReport::default();
        let halted = self.round(&mut report).await?;
        self.say(&report);
        Ok(match halted {
            Some(error) => self.pause_for(&error.to_string()),
            None => {
                self.pause.end();
                self.until_next().await?
            }
        })
    }

    /// One round of what is due; answers why the account is to be left alone, if it is.
    async fn round(&mut self, report: &mut AccountReport) -> Result<Option<ReadError>, Error> {
        let (ledger, account, watcher) = (&self.ledger, &self.account, &*self.watcher);
        // Refunds first: customers wait for them, and nobody waits for a list.
        if self.refused.left(ledger.inner.running()).is_none() {
            match push::push(ledger, account, Some(&mut self.rests), report, watcher).await? {
                Some(halt) if halt.reach == Reach::No => return Ok(Some(halt.error)),
                // It takes no refunds, and may well be asked all else.
                Some(_) => {
                    self.refused.begin(ledger.inner.running());
                }
                None => self.refused.end(),
            }
        }
        let halted = resolve::resolve(ledger, account, Some(&mut self.questions), report, watcher).await?;
        if halted.is_some() {
            return Ok(halted);
        }
        if self.pull_at <= ledger.inner.running() && self.pulling.is_empty() {
            let (ledger, account, watcher) = (ledger.clone(), account.clone(), self.watcher.clone());
            self.pulling.spawn(async move {
                let mut report = AccountReport::default();
                pull::pull(&ledger, &account, &mut report, &*watcher).await.map(|()| report)
            });
        }
        Ok(None)
    }

    fn pause_for(&mut self, why: &str) -> Duration {
        let wait = self.pause.begin(self.now());
        let (account, why) = (self.account.name.clone(), why.to_owned());
        tracing::info!(%account, %why, ?wait, "paused");
        (self.watcher)(&Progress::Paused { account, why, wait });
        wait
    }

    /// Tells each problem, and not again what was told a moment ago.
    fn say(&mut self, report: &AccountReport) {
        for what in &report.problems {
            if !self.said.contains(what) {
                (self.watcher)(&Progress::Problem { account: self.account.name.clone(), what: what.clone() });
                self.said.push(what.clone());
            }
        }
        let old = self.said.len().saturating_sub(SAID);
        self.said.drain(..old);
    }

    /// How long until something is due.
    async fn until_next(&self) -> Result<Duration, Error> {
        let now = self.now();
        let pull_at = self.pulling.is_empty().then_some(self.pull_at);
        let queued = match self.refused.left(now) {
            Some(left) => Some(now + left),
            None => self.next_queued().await?,
        };
        let next = [pull_at, self.questions.next(), self.rests.next(now), queued];
        let next = next.into_iter().flatten().min().unwrap_or(now + LONGEST);
        // Never busy: what is due and did not go rests, or pauses the account.
        Ok(next.saturating_sub(now).clamp(Duration::from_millis(50), LONGEST))
    }

    /// When a queued refund's own time comes, for orders that do not rest.
    async fn next_queued(&self) -> Result<Option<Duration>, Error> {
        let inner = &self.ledger.inner;
        let (now, wall) = (self.now(), inner.now());
        let queued = inner.storage.refunds_in(RefundState::Queued, None, usize::MAX).await?;
        let mut next: Option<Duration> = None;
        for due in queued.into_iter().filter(|due| due.account == self.account.name) {
            if self.rests.is_resting(&due.order, now) {
                continue;
            }
            let Some(record) = inner.storage.get(&due.order).await? else { continue };
            let Some(refund) = record.refund(&due.key).filter(|refund| !refund.awaits_approval) else { continue };
            // A least interval that has not passed shows here as a due time; what else waits is looked at
            // again before long.
            let wait = refund.due_at.since(wall).max(Duration::from_secs(1)).min(LONGEST);
            next = Some(next.map_or(now + wait, |next| next.min(now + wait)));
        }
        Ok(next)
    }

    fn now(&self) -> Duration {
        self.ledger.inner.running()
    }
}
