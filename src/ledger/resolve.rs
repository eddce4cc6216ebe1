//! Refunds that are not settled: the upstream is asked what became of them, and where nothing proves it, a
//! person decides.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::decide::{self, Found, Judge, Probed, Seen, Settle};
use crate::domain::{
    AccountName, Answer, Body, Finding, OrderId, OrderRecord, Outcome, RefundKey, RefundState, Rejection, Verdict,
};
use crate::gateway::ReadErrorKind;

use super::account::Account;
use super::{Error, Inner, Ledger, Refunded, refund};

/// A person's word on a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// The account.
    pub account: AccountName,
    /// The refund.
    pub key: RefundKey,
    /// What became of it.
    pub verdict: Verdict,
    /// Who says so.
    pub by: String,
    /// What they saw, and where.
    pub note: String,
    /// The version of the order's record that they looked at.
    pub version: u64,
}

impl Ledger {
    /// Records a person's verdict on a refund that is in doubt, accepted or in review (or that has
    /// succeeded and was taken back). The upstream is asked once more first: where its words settle the
    /// refund, they win, and the answer shows it.
    ///
    /// # Durability
    /// On disk when it returns.
    ///
    /// # Replay
    /// A refund that stands as the verdict says answers as it stands.
    ///
    /// # Errors
    /// [`Rejection::RecordMoved`] where the record is no longer the one that was looked at;
    /// [`Rejection::VerdictContradicted`] where the upstream says otherwise (what it proved is kept);
    /// [`Rejection::NotResolvable`], [`Rejection::UnknownRefund`]; [`Error::Upstream`] when it cannot be
    /// asked now: then nothing was decided.
    pub async fn resolve(&self, ruling: Ruling) -> Result<Refunded, Error> {
        let inner = self.inner.clone();
        tokio::spawn(async move { inner.resolve(ruling).await }).await?
    }
}

impl Inner {
    /// Asks the upstream what became of a refund, and records what it proves.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        account: &Arc<Account>,
        order: &OrderId,
        key: &RefundKey,
        silent_for: Duration,
    ) -> Result<Arc<OrderRecord>, Error> {
        let _lane = self.enter(order).await?;
        let record = self.get(order).await?;
        let open =
            record.refund(key).is_some_and(|refund| refund.is_unsettled() && refund.state != RefundState::Sending);
        if !open {
            return Ok(record); // settled meanwhile
        }
        let context = self.context(&account.name, order);
        let fences = record
            .refund(key)
            .is_some_and(|refund| refund.state == RefundState::InDoubt && !decide::is_of_a_copy(&context, refund));
        let told = self.evidence(account, &record, key, fences, silent_for).await;
        self.take(account, &record, key, told).await
    }

    /// Records what a question brought, or that a person is to decide where none could be asked for too long.
    pub(super) async fn take(
        &self,
        account: &Account,
        record: &OrderRecord,
        key: &RefundKey,
        told: Result<Probed, Error>,
    ) -> Result<Arc<OrderRecord>, Error> {
        match told {
            Ok(probed) => self.weigh(account, &record.id, None, probed).await,
            Err(error @ Error::Upstream { .. }) => {
                self.review_unasked(account, record, key, &error).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a refund before a person that has been unsettled for too long, although the upstream cannot even be
    /// asked about it.
    async fn review_unasked(
        &self,
        account: &Account,
        record: &OrderRecord,
        key: &RefundKey,
        error: &Error,
    ) -> Result<(), Error> {
        let is_overdue = |refund| decide::is_overdue(refund, &account.rules, self.now());
        if record.refund(key).is_some_and(is_overdue) {
            let probed = self.unasked(account, record, key, &could_not(error))?;
            self.weigh(account, &record.id, None, probed).await?;
        }
        Ok(())
    }

    /// Lets the rules decide on what was found, in one durable write: on the record after the attempt's `answer`, where
    /// that one is still to be written.
    pub(super) async fn weigh(
        &self,
        account: &Account,
        order: &OrderId,
        answer: Option<Settle>,
        probed: Probed,
    ) -> Result<Arc<OrderRecord>, Error> {
        let context = self.context(&account.name, order);
        let (key, body) = (probed.key.clone(), body_of(&probed));
        let decide = Box::new(move |found: &Found| match &answer {
            Some(answer) => decide::answer_then_probed(&context, found, answer, &probed),
            None => decide::probed(&context, found, &probed),
        });
        let record = self.decide_on(&account.name, order, decide).await?.record;
        self.keep_body(account, order, body);
        if let Some(refund) = record.refund(&key) {
            tracing::info!(%key, %order, state = %refund.state, "asked what became of a refund");
        }
        Ok(record)
    }

    /// All that the upstream can tell about a refund now: by its number, by shutting the door on it if that is
    /// wanted and can be done, and by the order's totals.
    pub(super) async fn evidence(
        &self,
        account: &Account,
        record: &OrderRecord,
        key: &RefundKey,
        fences: bool,
        silent_for: Duration,
    ) -> Result<Probed, Error> {
        if record.provisional {
            return self.unasked(account, record, key, "nothing was sent: no upstream has confirmed the order");
        }
        let call = self.call(record, key)?;
        let failed = |error| Error::Upstream { account: account.name.clone(), error };
        let mut finding = account.gateway.probe(&call).await.map_err(failed)?;
        // Nothing is known of the refund, so that it may still arrive.
        let can_fence = account.gateway.capabilities().fence && call.refund.state != RefundState::Accepted;
        let fenced = fences && can_fence && finding.answer.outcome == Outcome::InDoubt;
        if fenced {
            let shut = account.gateway.fence(&call).await.map_err(failed)?;
            let before = std::mem::replace(&mut finding, shut);
            finding.evidence.splice(0..0, before.evidence);
            finding.asked_at = before.asked_at;
        }
        let fresh = if finding.answer.outcome == Outcome::InDoubt {
            self.facts_after(account, record).await.map_err(failed)?
        } else {
            None
        };
        let (attempt, from, rules) = (call.refund.attempts, call.refund.state, account.rules.clone());
        Ok(Probed { key: key.clone(), attempt, from, finding, fenced, fresh, silent_for, rules })
    }

    /// A question that was not asked: it proves nothing, and no silence is counted by it.
    fn unasked(&self, account: &Account, record: &OrderRecord, key: &RefundKey, why: &str) -> Result<Probed, Error> {
        let now = self.now();
        let answer = Answer { message: Some(why.to_owned()), ..Answer::new(Outcome::InDoubt, now) };
        let finding = Finding::new(answer, now);
        let refund = record.refund(key);
        let refund =
            refund.ok_or_else(|| Rejection::UnknownRefund { account: account.name.clone(), key: key.clone() })?;
        let (attempt, from, rules) = (refund.attempts, refund.state, account.rules.clone());
        let (fenced, fresh, silent_for) = (false, None, Duration::ZERO);
        Ok(Probed { key: key.clone(), attempt, from, finding, fenced, fresh, silent_for, rules })
    }

    /// Facts for the totals. `None` where the upstream does not know the order, or its answer cannot be read: that
    /// is no evidence, and no reason to forget what was found.
    async fn facts_after(
        &self,
        account: &Account,
        record: &OrderRecord,
    ) -> Result<Option<Seen>, crate::gateway::ReadError> {
        let numbers: Vec<_> = record.facts.all_references().collect();
        match account.gateway.fetch_order(&numbers).await {
            Ok(facts) => Ok(facts.map(|facts| Seen { facts: Arc::new(facts), rules: account.rules.clone() })),
            Err(error) if error.is_passing() || error.kind == ReadErrorKind::Credentials => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn resolve(self: Arc<Self>, ruling: Ruling) -> Result<Refunded, Error> {
        let account = self.account(&ruling.account)?;
        let order = self.order_of(&ruling.account, &ruling.key).await?;
        let _lane = self.enter(&order).await?;
        let record = self.get(&order).await?;
        let target = ruling.verdict.state();
        if record.refund(&ruling.key).is_some_and(|refund| refund.state == target) {
            return refund::refunded(record, &ruling.key, true, None);
        }
        if record.version != ruling.version {
            let (seen, version) = (ruling.version, record.version);
            return Err(Rejection::RecordMoved { order, seen, version }.into());
        }
        // What is not to be called executed is shut out first, where that can be done.
        let shuts = matches!(ruling.verdict, Verdict::Resend | Verdict::Release | Verdict::Declined);
        let probed = match self.evidence(&account, &record, &ruling.key, shuts, Duration::ZERO).await {
            // A question that the upstream will not answer tomorrow either must not leave a person without a word.
            Err(Error::Upstream { error, .. }) if !error.is_passing() => {
                self.unasked(&account, &record, &ruling.key, &could_not(&error))?
            }
            answer => answer?,
        };
        let (found_words, body) = (probed.finding.answer.message.clone(), body_of(&probed));
        let Ruling { key, verdict, by, note, version, .. } = ruling;
        let context = self.context(&account.name, &order);
        let fences = account.gateway.capabilities().fence && !record.provisional;
        let judge = Judge { verdict, by, note, version, fences, probed };
        let decide = Box::new(move |found: &Found| decide::judge(&context, found, &judge));
        let record = self.decide_on(&account.name, &order, decide).await?.record;
        self.keep_body(&account, &order, body);
        let state = record.refund(&key).map(|refund| refund.state);
        if state != Some(target) {
            let words = found_words.unwrap_or_else(|| "see the refund".to_owned());
            let proven = state.map_or(words.clone(), |state| format!("it is {state}: {words}"));
            return Err(Rejection::VerdictContradicted { key, verdict, words: proven }.into());
        }
        if target == RefundState::Queued {
            self.waits.notify_waiters();
        }
        refund::refunded(record, &key, false, None)
    }
}

/// The body of the facts that came along with a question.
fn body_of(probed: &Probed) -> Option<Body> {
    probed.fresh.as_ref().and_then(|seen| seen.facts.body.clone())
}

/// What is kept of a question that brought no answer.
fn could_not(error: &dyn std::fmt::Display) -> String {
    format!("it could not be asked about: {error}")
}
