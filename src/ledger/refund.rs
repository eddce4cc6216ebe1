//! The refund command, from the caller's words to the answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::decide::{self, Found, Holder, RefundCommand, Refusal, Repeat, Seen};
use crate::domain::{
    AccountName, Event, Facts, Money, OrderId, OrderRecord, Refund, RefundKey, RefundState, Rejection, Requested,
};
use crate::gateway::{ReadError, ReadErrorKind};
use crate::storage::{Claims, Committed, TransactError, Transaction};

use super::account::Account;
use super::key::make_key;
use super::{Error, Inner, Ledger, Wanted};

/// When a refund is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sending {
    /// At once if it can be; else it is queued.
    Now,
    /// Only by the next sync: the caller knows that there is no network.
    QueueOnly,
}

/// A refund as a caller asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// The account of the order.
    pub account: AccountName,
    /// Any number of the order.
    pub order: Wanted,
    /// How much.
    pub requested: Requested,
    /// The refund's permanent name; [`Ledger::make_key`] makes one.
    pub key: RefundKey,
    /// A note for the upstream.
    pub memo: Option<String>,
    /// Who asks.
    pub by: Option<String>,
    /// The refundable amount the caller saw, if it must still be that.
    pub expect_refundable: Option<Money>,
    /// What a refund that looks like an earlier one means.
    pub repeat: Repeat,
    /// When to send it.
    pub sending: Sending,
}

impl RefundRequest {
    /// A refund to be sent at once, its key chosen on purpose, without memo, name or guard.
    #[must_use]
    pub fn new(account: AccountName, order: Wanted, requested: Requested, key: RefundKey) -> RefundRequest {
        RefundRequest {
            account,
            order,
            requested,
            key,
            memo: None,
            by: None,
            expect_refundable: None,
            repeat: Repeat::Allowed,
            sending: Sending::Now,
        }
    }
}

/// A refund with its order, as they are on disk.
#[derive(Clone, Debug)]
pub struct Refunded {
    /// The refund.
    pub refund: Refund,
    /// Its order after it.
    pub order: Arc<OrderRecord>,
    /// Whether the same refund had been asked for before: this is its present state.
    pub replayed: bool,
    /// Why it waits, where it is queued.
    pub waiting: Option<String>,
}

impl Ledger {
    /// Refunds an order, wholly or in part.
    ///
    /// The amount is set aside before anything is sent: where refunded + held + amount would exceed
    /// paid, nothing is written and nothing is sent. The refund then runs in a task of the ledger:
    /// dropping this future does not stop it.
    ///
    /// # Durability
    /// When it returns `Ok`, the refund and its state are on disk.
    ///
    /// # Replay
    /// The same key with the same order and requested amount answers with that refund as it stands
    /// now, before any rule and any call. With another order or amount it is
    /// [`Rejection::ReplayDiffers`].
    ///
    /// # Errors
    /// A [`Rejection`] says which rule refused it; nothing was held or sent (what the upstream said of
    /// the order meanwhile is kept), and neither was it for [`Error::UnknownAccount`] or [`Error::Upstream`] (the order was unknown here and could not
    /// be asked for). After [`Error::OutcomeNotWritten`] it was sent and stays held. After any other
    /// error ask again with the same key.
    ///
    /// An upstream that refuses, or an answer that never came, is no error: see the refund's state.
    pub async fn refund(&self, request: RefundRequest) -> Result<Refunded, Error> {
        let inner = self.inner.clone();
        tokio::spawn(async move { inner.refund(request).await }).await?
    }

    /// What a refund would do: the same checks on what is known here. Writes nothing, asks nobody.
    ///
    /// # Errors
    /// As [`Ledger::refund`]; an order that is not known here is [`Rejection::UnknownOrder`].
    pub async fn dry_run(&self, request: RefundRequest) -> Result<Refunded, Error> {
        let account = self.inner.account(&request.account)?;
        if let Some(replay) = self.inner.replay(&request).await? {
            return Ok(replay);
        }
        let Some(order) = self.inner.find(&request.account, &request.order).await? else {
            let (account, wanted) = (request.account, request.order.to_string());
            return Err(Rejection::UnknownOrder { account, wanted }.into());
        };
        let record = self.inner.get(&order).await?;
        let held = self.inner.would_hold(&account, &record, &request).await?;
        let refund = held.refund(&request.key).cloned();
        let refund = refund.ok_or_else(|| Error::TaskLost("a granted hold has no refund".to_owned()))?;
        Ok(Refunded { refund, order: Arc::new(held), replayed: false, waiting: None })
    }

    /// A new refund key: the device's name (its first 12 characters), the time and a random part.
    #[must_use]
    pub fn make_key(&self) -> RefundKey {
        make_key(&self.inner.device)
    }

    /// Withdraws a refund that was not sent, or is proven not executed.
    ///
    /// # Replay
    /// A canceled refund answers as it stands.
    ///
    /// # Errors
    /// [`Rejection::UnknownRefund`], [`Rejection::NotCancelable`].
    pub async fn cancel(&self, account: &AccountName, key: &RefundKey, by: Option<String>) -> Result<Refunded, Error> {
        let order = self.inner.order_of(account, key).await?;
        let (context, wanted) = (self.inner.context(account, &order), key.clone());
        let decide = Box::new(move |found: &Found| decide::cancel(&context, found, &wanted, by.clone()));
        let committed = self.inner.decide_on(account, &order, decide).await?;
        refunded(committed.record, key, false, None)
    }
}

/// The answer about one refund of a record.
pub(crate) fn refunded(
    order: Arc<OrderRecord>,
    key: &RefundKey,
    replayed: bool,
    waiting: Option<String>,
) -> Result<Refunded, Error> {
    let Some(refund) = order.refund(key).cloned() else {
        return Err(Error::TaskLost(format!("order {} has no refund {key} after it was written", order.id)));
    };
    let waiting = waiting.filter(|_| refund.state == RefundState::Queued);
    Ok(Refunded { refund, order, replayed, waiting })
}

impl Inner {
    pub(super) async fn refund(self: Arc<Self>, request: RefundRequest) -> Result<Refunded, Error> {
        let account = self.account(&request.account)?;
        decide::well_formed(request.requested, request.memo.as_deref(), request.by.as_deref())?;
        if let Some(replay) = self.replay(&request).await? {
            return Ok(replay);
        }
        if !account.gateway.capabilities().refunds {
            let error = ReadError::new(ReadErrorKind::Unsupported, "this gateway cannot refund");
            return Err(Error::Upstream { account: request.account, error });
        }
        let mut order = self.order_to_refund(&account, &request).await?;
        loop {
            let answer = match request.sending {
                // Nobody is asked or sent anything: the write alone decides, and has no turn to wait for.
                Sending::QueueOnly => self.queue(&account, &order, &request).await,
                Sending::Now => {
                    let lane = self.enter(&order).await?;
                    // Asked again: the same refund may have stood in the lane before this one.
                    if let Some(replay) = self.replay(&request).await? {
                        return Ok(replay);
                    }
                    self.clone().refund_in_lane(&account, &order, &request, lane).await
                }
            };
            match answer {
                // The order was confirmed under its offline name meanwhile.
                Err(Error::Moved(other)) if other != order => order = other,
                answer => return answer,
            }
        }
    }

    /// The refund of that key, if the account has one and it is the same.
    async fn replay(&self, request: &RefundRequest) -> Result<Option<Refunded>, Error> {
        let Some(holder) = self.storage.find_refund(&request.account, &request.key).await? else { return Ok(None) };
        let differs = |field, recorded: String, asked: String| {
            Error::from(Rejection::ReplayDiffers { key: request.key.clone(), field, recorded, asked })
        };
        // A number that names several orders by now still names this one.
        let (kind, number) = (request.order.kind.as_deref(), &request.order.number);
        let named = self.storage.find(&request.account, kind, number).await?;
        if named.iter().all(|(order, _)| *order != holder) {
            return Err(differs("order", holder.to_string(), request.order.to_string()));
        }
        let record = self.get(&holder).await?;
        let replay = refunded(record, &request.key, true, None)?;
        if replay.refund.requested != request.requested {
            let (recorded, asked) = (replay.refund.requested.to_string(), request.requested.to_string());
            return Err(differs("amount", recorded, asked));
        }
        Ok(Some(replay))
    }

    /// The order that the request names: known here, or asked for once.
    async fn order_to_refund(&self, account: &Arc<Account>, request: &RefundRequest) -> Result<OrderId, Error> {
        if let Some(order) = self.find(&account.name, &request.order).await? {
            return Ok(order);
        }
        let unknown = || Rejection::UnknownOrder { account: account.name.clone(), wanted: request.order.to_string() };
        if request.sending == Sending::QueueOnly {
            return Err(unknown().into());
        }
        let numbers = super::import::askable(&*account.gateway, &request.order);
        let answered = account.gateway.fetch_order(&numbers).await;
        let facts = answered.map_err(|error| Error::Upstream { account: account.name.clone(), error })?;
        Ok(self.import_one(account, facts.ok_or_else(unknown)?).await?.id.clone())
    }

    async fn refund_in_lane(
        self: Arc<Self>,
        account: &Arc<Account>,
        order: &OrderId,
        request: &RefundRequest,
        _lane: super::lane::LaneGuard,
    ) -> Result<Refunded, Error> {
        let record = self.get(order).await?;
        // What is refused on what is known here is refused without a call. A status may have changed
        // for the better upstream (the customer has paid by now), so that one is asked for first.
        match self.would_hold(account, &record, request).await {
            Err(Error::Rejected(Rejection::NotRefundable { .. } | Rejection::StaleFacts { .. })) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        let (fresh, waiting) = self.fresh(account, &record).await;
        let lease = self.lease();
        let committed = match self.hold(account, order, request, fresh.clone()).await {
            Err(Error::Rejected(rejection)) => {
                self.remember(account, fresh).await;
                return Err(rejection.into());
            }
            answer => answer?,
        };
        let started = committed
            .entries
            .iter()
            .any(|entry| matches!(&entry.event, Event::AttemptStarted { key, .. } if *key == request.key));
        if !started {
            return self.waiting(committed, &request.key, waiting.unwrap_or_else(why_it_waits));
        }
        let (record, answer) = self.send(account, committed.record, &request.key, lease).await?;
        refunded(record, &request.key, false, Some(super::attempt::waiting(&answer)))
    }

    /// The hold alone: the next sync sends it.
    async fn queue(&self, account: &Account, order: &OrderId, request: &RefundRequest) -> Result<Refunded, Error> {
        let committed = self.hold(account, order, request, None).await?;
        self.waiting(committed, &request.key, "it was asked to wait for the next sync".to_owned())
    }

    /// The answer about a refund that is held and not being sent.
    fn waiting(&self, committed: Committed, key: &RefundKey, why: String) -> Result<Refunded, Error> {
        self.waits.notify_waiters();
        let awaits = committed.record.refund(key).is_some_and(|refund| refund.awaits_approval);
        let why = match awaits {
            true => "it is above what goes out without approval, and nobody has approved it".to_owned(),
            false => why,
        };
        refunded(committed.record, key, committed.entries.is_empty(), Some(why))
    }

    /// The record after the hold, decided on what is known here, without writing.
    async fn would_hold(
        &self,
        account: &Account,
        record: &Arc<OrderRecord>,
        request: &RefundRequest,
    ) -> Result<OrderRecord, Error> {
        let context = self.context(&account.name, &record.id);
        let mut holders = Vec::new();
        for reference in record.facts.all_references() {
            for (other, _) in self.storage.find(&account.name, Some(&reference.kind), &reference.number).await? {
                if other != record.id {
                    let provisional = self.get(&other).await?.provisional;
                    holders.push((reference.clone(), Holder { order: other, provisional }));
                }
            }
        }
        let found = Found { record: Some(record.clone()), holders, key_holder: None };
        let events = decide::refund(&context, &found, &command(account, request, None))?;
        Ok(decide::after(&context, &found, events)?)
    }

    /// Keeps facts that refused a refund: an offline refund must not be granted on what is known to be
    /// no longer so. The refusal stands, whatever becomes of this.
    async fn remember(&self, account: &Account, fresh: Option<Seen>) {
        let Some(seen) = fresh else { return };
        if let Err(error) = self.import_one(account, Facts::clone(&seen.facts)).await {
            tracing::info!(%error, "facts that refused a refund could not be kept");
        }
    }

    /// Facts asked for just now, or why the refund has to wait.
    pub(super) async fn fresh(&self, account: &Account, record: &OrderRecord) -> (Option<Seen>, Option<String>) {
        let numbers: Vec<_> = record.facts.all_references().collect();
        match account.gateway.fetch_order(&numbers).await {
            Ok(Some(facts)) => {
                let seen = Seen { facts: Arc::new(facts), rules: account.rules.clone() };
                (Some(seen), None)
            }
            Ok(None) => (None, Some("the upstream does not know the order".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        }
    }

    /// The hold: one durable write, with the attempt's start where fresh facts came along.
    async fn hold(
        &self,
        account: &Account,
        order: &OrderId,
        request: &RefundRequest,
        fresh: Option<Seen>,
    ) -> Result<Committed, Error> {
        let context = self.context(&account.name, order);
        let references = fresh.iter().flat_map(|seen| seen.facts.all_references()).collect();
        let body = fresh.as_ref().and_then(|seen| seen.facts.body.clone());
        let command = command(account, request, fresh);
        let transaction = Transaction {
            order: order.clone(),
            account: account.name.clone(),
            claims: Claims { references, refund_key: Some(request.key.clone()) },
            now: context.now,
            decide: Box::new(move |found| decide::refund(&context, found, &command)),
        };
        match self.storage.transact(transaction).await {
            Err(TransactError::Refused(Refusal::Elsewhere(other))) => Err(Error::Moved(other)),
            answer => {
                let committed = answer?;
                self.keep_body(account, order, body);
                Ok(committed)
            }
        }
    }
}

pub(super) fn why_it_waits() -> String {
    "another refund of the order comes first, or the least time between refunds has not passed".to_owned()
}

fn command(account: &Account, request: &RefundRequest, fresh: Option<Seen>) -> RefundCommand {
    RefundCommand {
        key: request.key.clone(),
        requested: request.requested,
        memo: request.memo.clone(),
        by: request.by.clone(),
        expect_refundable: request.expect_refundable,
        repeat: request.repeat,
        fresh,
        rules: account.rules.clone(),
    }
}
