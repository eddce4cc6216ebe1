//! Attempts: the claim is on disk before the first byte leaves, the outcome after the last.

use std::sync::Arc;

use crate::domain::decide::{self, Found, Refusal, Settle};
use crate::domain::{
    AccountName, Answer, Event, OrderId, OrderRecord, Outcome, Reference, RefundKey, RefundState, Timestamp,
};
use crate::future::spawn;
use crate::gateway::{Lease, RefundCall};
use crate::storage::{Claims, Committed, LostAttempt, TransactError, Transaction};

use super::account::Account;
use super::{Error, Inner};

/// What became of a queued refund that was to be sent.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    /// It was sent; this is its record now, and what the attempt told.
    Yes(Arc<OrderRecord>, Answer),
    /// It was not, and is as the record says: it waits, or went to review.
    No(Arc<OrderRecord>, Option<String>),
    /// The account cannot be asked now.
    Paused(crate::gateway::ReadError),
}

impl Inner {
    /// Sends a queued refund if fresh facts leave room for it and nothing makes it wait. To be run in
    /// a task of its own: what was sent must be recorded although nobody waits for it any more.
    pub(crate) async fn push(
        self: Arc<Self>,
        account: Arc<Account>,
        order: OrderId,
        key: RefundKey,
    ) -> Result<Sent, Error> {
        let _lane = self.enter(&order).await?;
        let record = self.get(&order).await?;
        if record.refund(&key).is_none_or(|refund| refund.state != RefundState::Queued) {
            return Ok(Sent::No(record, None)); // somebody else was faster
        }
        let numbers: Vec<_> = record.facts.all_references().collect();
        let facts = match account.gateway.fetch_order(&numbers).await {
            Err(error) => return Ok(Sent::Paused(error)),
            Ok(None) => {
                let (context, rules) = (self.context(&account.name, &order), account.rules.clone());
                let decide = Box::new(move |found: &Found| decide::unknown_upstream(&context, found, &rules));
                let record = self.decide_on(&account.name, &order, decide).await?.record;
                return Ok(Sent::No(record, Some("the upstream does not know the order".to_owned())));
            }
            Ok(Some(facts)) => facts,
        };
        let context = self.context(&account.name, &order);
        let references = facts.all_references().collect();
        let body = facts.body.clone();
        let fresh = decide::Seen { facts: Arc::new(facts), rules: account.rules.clone() };
        let command = decide::Attempt { key: key.clone(), fresh };
        let lease = self.lease();
        let committed = self
            .storage
            .transact(Transaction {
                order: order.clone(),
                account: account.name.clone(),
                claims: Claims { references, refund_key: None },
                now: context.now,
                decide: Box::new(move |found| decide::attempt(&context, found, &command)),
            })
            .await;
        let committed = match committed {
            Err(TransactError::Refused(Refusal::Overtaken { .. })) => {
                return Ok(Sent::No(self.get(&order).await?, None));
            }
            answer => answer?,
        };
        self.keep_body(&account, &order, body);
        if !has_claim(&committed, &key) {
            return Ok(Sent::No(committed.record, None));
        }
        let (record, answer) = self.send(&account, committed.record, &key, lease).await?;
        Ok(Sent::Yes(record, answer))
    }

    /// The time that an attempt has whose start is written from here on, where others would take it over.
    pub(super) fn lease(&self) -> Option<Lease> {
        let clock = self.clock.clone();
        self.storage.lease().map(|length| Lease::begin(length, Arc::new(move || clock.running())))
    }

    /// Sends a refund whose attempt was just started by us, and records what came of it.
    pub(super) async fn send(
        self: &Arc<Self>,
        account: &Arc<Account>,
        record: Arc<OrderRecord>,
        key: &RefundKey,
        lease: Option<Lease>,
    ) -> Result<(Arc<OrderRecord>, Answer), Error> {
        let call = RefundCall { lease, ..self.call(&record, key)? };
        let attempt = call.refund.attempts;
        // A task of its own, so that a panic in a gateway is an outcome and not the end of the till.
        // From here on the money may move: the attempt is on disk, whatever happens is recorded.
        let answer = {
            let (account, call) = (account.clone(), call.clone());
            let now = self.now();
            spawn(async move { in_time(&call, account.gateway.refund(&call), now).await }).await
        };
        let answer = answer.unwrap_or_else(|error| {
            tracing::error!(%key, "the gateway ended early while sending");
            Answer {
                message: Some(format!("the gateway ended early: {error}")),
                ..Answer::new(Outcome::InDoubt, self.now())
            }
        });
        tracing::info!(%key, order = %record.id, outcome = answer.outcome.as_str(), code = answer.code.as_deref(), "refund sent");
        let settle = Settle { key: key.clone(), attempt, answer: answer.clone(), rules: account.rules.clone() };
        let recorded = match answer.outcome {
            Outcome::Accepted => self.settle_accepted(account, &record, settle, call.lease.as_ref()).await,
            _ => self.settle(account, &record.id, settle).await,
        };
        let record = match recorded {
            Ok(record) => record,
            Err(Error::Storage(source)) => {
                return Err(Error::OutcomeNotWritten { key: key.clone(), answer: Box::new(answer), source });
            }
            Err(error) => return Err(error),
        };
        if matches!(answer.outcome, Outcome::Accepted | Outcome::InDoubt) {
            self.waits.notify_waiters(); // the schedule of questions begins now
        }
        Ok((record, answer))
    }

    /// Records what an attempt told, in a durable write of its own.
    pub(super) async fn settle(
        &self,
        account: &Account,
        order: &OrderId,
        settle: Settle,
    ) -> Result<Arc<OrderRecord>, Error> {
        let context = self.context(&account.name, order);
        let decide = Box::new(move |found: &Found| decide::answer(&context, found, &settle));
        Ok(self.decide_on(&account.name, order, decide).await?.record)
    }

    /// One durable decision on an order. Where somebody else was faster, theirs is on disk, and the record
    /// says so.
    pub(super) async fn decide_on(
        &self,
        account: &AccountName,
        order: &OrderId,
        decide: crate::storage::Decide,
    ) -> Result<Committed, Error> {
        let (account, now) = (account.clone(), self.now());
        let transaction = Transaction { order: order.clone(), account, claims: Claims::default(), now, decide };
        match self.storage.transact(transaction).await {
            Err(TransactError::Refused(Refusal::Overtaken { .. })) => {
                Ok(Committed { record: self.get(order).await?, entries: Vec::new() })
            }
            answer => Ok(answer?),
        }
    }

    pub(crate) fn call(&self, record: &OrderRecord, key: &RefundKey) -> Result<RefundCall, Error> {
        let refund = record.refund(key).cloned();
        let (Some(refund), Some(native)) = (refund, record.facts.native.clone()) else {
            return Err(Error::TaskLost(format!("order {} cannot be asked about: it is provisional", record.id)));
        };
        let references: Vec<Reference> = record.facts.all_references().collect();
        let others = record.refunds.iter().filter(|other| other.key != *key);
        let others = others.filter_map(|other| other.upstream_refund_no.clone()).collect();
        let (baseline, paid) = (refund.baseline, record.paid());
        Ok(RefundCall { baseline, refund, references, native, paid, others, lease: None })
    }

    /// Where others share the storage: what they left when they ended is asked about by whoever is there.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) async fn take_over(&self) -> Result<(), Error> {
        if self.storage.lease().is_none() {
            return Ok(());
        }
        let lost = self.recover().await?;
        if lost > 0 {
            tracing::warn!(lost, "attempts whose lease is over are in doubt: their sender ended, or stood still");
            self.waits.notify_waiters();
        }
        Ok(())
    }

    /// Reads every attempt whose sender is gone as what it is: in doubt. Tells how many they were.
    pub(crate) async fn recover(&self) -> Result<u64, Error> {
        let mut all = 0;
        loop {
            let lost = self.storage.lost_attempts(256).await?;
            if lost.is_empty() {
                return Ok(all);
            }
            for LostAttempt { refund, attempt } in lost {
                let context = self.context(&refund.account, &refund.order);
                let key = refund.key;
                let recorded = self
                    .storage
                    .transact(Transaction {
                        order: refund.order,
                        account: refund.account,
                        claims: Claims::default(),
                        now: context.now,
                        decide: Box::new(move |found| decide::lost(&context, found, &key, attempt)),
                    })
                    .await;
                match recorded {
                    Ok(_) => all += 1,
                    // Its sender, or another who found it lost.
                    Err(TransactError::Refused(Refusal::Overtaken { .. })) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

/// What a gateway answers while the attempt is ours; past that nobody may record it.
async fn in_time(call: &RefundCall, answer: impl Future<Output = Answer>, asked_at: Timestamp) -> Answer {
    let Some(lease) = &call.lease else { return answer.await };
    if !lease.may_send() {
        return Answer {
            message: Some("the attempt began too long ago, nothing was sent".to_owned()),
            ..Answer::new(Outcome::NotSent, asked_at)
        };
    }
    tokio::time::timeout(lease.left(), answer).await.unwrap_or_else(|_| Answer {
        message: Some("no answer before the attempt's lease ended".to_owned()),
        ..Answer::new(Outcome::InDoubt, asked_at)
    })
}

fn has_claim(committed: &Committed, key: &RefundKey) -> bool {
    committed
        .entries
        .iter()
        .any(|entry| matches!(&entry.event, Event::AttemptStarted { key: started, .. } if started == key))
}

/// Why a refund that an attempt left queued waits.
pub(super) fn waiting(answer: &Answer) -> String {
    let what =
        if answer.outcome == Outcome::NotSent { "it could not be sent" } else { "the upstream would not take it" };
    match &answer.message {
        Some(message) => format!("{what}: {message}"),
        None => what.to_owned(),
    }
}
