//! Random commands on a few orders, with few names, so that they meet each other often.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fact::Stop;
use super::random::{Random, Seed};
use super::shop::{at, facts, fen, key, order, refund_at, refund_command, rules, seen, transaction};
use crate::domain::decide::{self, Attempt, Context, Found, Judge, Probed, RefundCommand, Refusal, Settle};
use crate::domain::{
    Answer, Event, Facts, Finding, Money, OrderId, OrderStatus, Outcome, Proof, Refund, RefundState, Requested, Verdict,
};
use crate::storage::{Claims, Committed, Storage, TransactError, Transaction};

const ORDERS: u64 = 8;
const KEYS: u64 = 24;

/// One step: a command, or many in one write, or a cursor.
#[derive(Clone, Debug)]
pub(super) enum Step {
    One(Command),
    Many(Vec<Command>),
    Cursor { name: String, value: String },
}

/// A command on an order at a second.
#[derive(Clone, Debug)]
pub(super) struct Command {
    order: i64,
    second: i64,
    does: Does,
}

#[derive(Clone, Debug)]
enum Does {
    /// The upstream is asked and says so.
    See(Box<Facts>),
    /// A device records an order of that name with that receipt.
    Record(String),
    Refund {
        key: String,
        requested: Requested,
        expected: Option<i64>,
        fresh: Option<Box<Facts>>,
    },
    Begin {
        key: String,
        fresh: Box<Facts>,
    },
    Settle {
        key: String,
        outcome: Outcome,
    },
    Lose {
        key: String,
    },
    Probe {
        key: String,
        outcome: Outcome,
        fenced: bool,
        fresh: Box<Facts>,
    },
    Judge {
        key: String,
        verdict: Verdict,
    },
    Cancel {
        key: String,
    },
    Approve {
        key: String,
    },
}

/// A shop in which random things happen.
pub(super) struct Shop {
    random: Random,
    second: i64,
}

impl Shop {
    pub(super) fn new(seed: Seed) -> Shop {
        Shop { random: Random::new(seed), second: 0 }
    }

    pub(super) fn next_step(&mut self) -> Step {
        match self.random.below(20) {
            0 => {
                let (name, letter) = (self.random.pick(&["orders", "bills", "o"]), self.random.pick(&["a", "b"]));
                let value = letter.repeat(usize::try_from(self.random.below(9_000)).unwrap_or(0));
                Step::Cursor { name: name.to_owned(), value }
            }
            1 => Step::Many((0..self.random.below(12)).map(|_| self.command()).collect()),
            _ => Step::One(self.command()),
        }
    }

    fn command(&mut self) -> Command {
        self.second += self.random.pick(&[0, 1, 1, 5, 4_000]);
        let number = self.random.below(KEYS);
        // A key is mostly asked for on one order, and sometimes on another.
        let order = if self.random.below(12) == 0 { self.random.below(ORDERS) } else { number % ORDERS };
        let (order, key) = (i64::try_from(order).unwrap_or(0), format!("k-{number}"));
        let does = match self.random.below(24) {
            0..5 => Does::See(self.facts(order)),
            5 => Does::Record(format!("offline-{number}")),
            6..12 => Does::Refund {
                key,
                requested: self.requested(),
                expected: (self.random.below(8) == 0).then_some(8000),
                fresh: (self.random.below(2) == 0).then(|| self.facts(order)),
            },
            12..15 => Does::Begin { key, fresh: self.facts(order) },
            15..18 => Does::Settle { key, outcome: self.outcome() },
            18 => Does::Lose { key },
            19 | 20 => {
                let (outcome, fenced) = (self.outcome(), self.random.below(2) == 0);
                Does::Probe { key, outcome, fenced, fresh: self.facts(order) }
            }
            21 => {
                use Verdict::{Declined, Release, Resend, Reversed, Succeeded};
                Does::Judge { key, verdict: self.random.pick(&[Succeeded, Declined, Resend, Release, Reversed]) }
            }
            22 => Does::Cancel { key },
            _ => Does::Approve { key },
        };
        Command { order, second: self.second, does }
    }

    fn facts(&mut self, order: i64) -> Box<Facts> {
        let mut facts = facts(order);
        facts.asked_at = at(self.second - self.random.pick(&[0, 0, 0, 1, 10]));
        facts.status = self.random.pick(&["paid", "paid", "paid", "paid", "closed"]).into();
        facts.paid = if facts.status == OrderStatus::Paid { fen(8000) } else { Money::ZERO };
        facts.refunded = self.random.pick(&[None, Some(0), Some(0), Some(100), Some(700)]).map(fen);
        facts.refund_count = None;
        if self.random.below(10) == 0 {
            facts.paid_at = Some(at(order + 3)); // its place among the pages moves
        }
        if self.random.below(10) == 0 {
            facts.references.insert("merchant_order_sn".to_owned(), format!("m-{}", self.random.below(ORDERS)));
        }
        if self.random.below(20) == 0 {
            let length = usize::try_from(self.random.below(20_000)).unwrap_or(0);
            facts.details = BTreeMap::from([("note".to_owned(), "n".repeat(length).into())]);
        }
        Box::new(facts)
    }

    fn requested(&mut self) -> Requested {
        match self.random.below(10) {
            0 => Requested::All,
            _ => Requested::Exactly(fen(self.random.pick(&[100, 100, 700, 2_000, 8_000, 8_001]))),
        }
    }

    fn outcome(&mut self) -> Outcome {
        use Outcome::{Accepted, Blocked, Declined, InDoubt, NotSent, Succeeded};
        self.random.pick(&[NotSent, Blocked, Declined, Accepted, Succeeded, Succeeded, InDoubt, InDoubt])
    }
}

impl Step {
    /// How many commands it has.
    pub(super) fn commands(&self) -> usize {
        match self {
            Step::One(_) | Step::Cursor { .. } => 1,
            Step::Many(commands) => commands.len(),
        }
    }

    /// What a storage answers, in words.
    pub(super) async fn run(&self, storage: &dyn Storage) -> Result<String, Stop> {
        match self {
            Step::One(command) => match storage.transact(command.transaction()).await {
                Ok(committed) => Ok(written(&committed)),
                Err(TransactError::Refused(refusal)) => Ok(format!("refused: {refusal:?}")),
                Err(TransactError::Storage(error)) => Err(error.into()),
            },
            Step::Many(commands) => {
                let page = commands.iter().map(Command::transaction).collect();
                let answers = storage.transact_many(page).await?;
                let words = answers.iter().map(|answer| match answer {
                    Ok(committed) => written(committed),
                    Err(refusal) => format!("refused: {refusal:?}"),
                });
                Ok(words.collect::<Vec<_>>().join("\n"))
            }
            Step::Cursor { name, value } => {
                storage.put_cursor(name, value.clone()).await?;
                Ok(format!("{:?}", storage.cursor(name).await?))
            }
        }
    }
}

fn written(committed: &Committed) -> String {
    format!("{:?} {:?}", committed.record, committed.entries)
}

impl Command {
    fn transaction(&self) -> Transaction {
        let (order, now) = (self.order(), at(self.second));
        match self.does.clone() {
            Does::Refund { key, requested, expected, fresh } => {
                let command = refund_command(&key, requested);
                let fresh = fresh.map(|facts| seen(*facts));
                let expect_refundable = expected.map(fen);
                let hold_above = Some(fen(5_000));
                let rules = crate::domain::Rules { hold_above, ..rules() };
                refund_at(&order, now, RefundCommand { expect_refundable, fresh, rules, ..command })
            }
            does => transaction(&order, now, self.claims(), move |context, found| does.decide(context, found)),
        }
    }

    fn order(&self) -> OrderId {
        match &self.does {
            Does::Record(name) => OrderId::new(name).expect("plain names name orders"),
            _ => order(self.order),
        }
    }

    fn claims(&self) -> Claims {
        let references = match &self.does {
            Does::See(facts) | Does::Begin { fresh: facts, .. } => facts.all_references().collect(),
            Does::Record(_) => recorded(self.order).all_references().collect(),
            _ => Vec::new(),
        };
        Claims { references, refund_key: None }
    }
}

/// What a device says of an order: it bears the merchant's number of one that the upstream knows, or will.
fn recorded(order: i64) -> Facts {
    let mut facts = Facts { native: None, ..facts(order) };
    facts.references.retain(|kind, _| kind == "merchant_order_sn");
    facts
}

impl Does {
    /// The rule on the record that was found: what an answer or a verdict is about stands there.
    fn decide(&self, context: &Context, found: &Found) -> Result<Vec<Event>, Refusal> {
        let now = context.now;
        match self {
            Does::See(facts) => decide::facts(context, found, &seen(Facts::clone(facts))),
            Does::Record(name) => {
                let number = name.trim_start_matches("offline-").parse::<i64>().unwrap_or(0);
                let facts = recorded(number % i64::try_from(ORDERS).unwrap_or(1));
                decide::record_offline(context, found, &decide::RecordOffline { facts, by: None })
            }
            Does::Refund { .. } => Ok(Vec::new()), // made by the shop itself
            Does::Begin { key: name, fresh } => {
                let command = Attempt { key: key(name), fresh: seen(Facts::clone(fresh)) };
                decide::attempt(context, found, &command)
            }
            Does::Settle { key: name, outcome } => {
                let attempt = refund(found, name).map_or(1, |refund| refund.attempts);
                let answer = Answer::new(*outcome, now);
                decide::answer(context, found, &Settle { key: key(name), attempt, answer, rules: rules() })
            }
            Does::Lose { key: name } => decide::lost(context, found, &key(name), None),
            Does::Probe { key: name, outcome, fenced, fresh } => {
                let fresh = Some(seen(Facts::clone(fresh)));
                let probed = Probed { fenced: *fenced, fresh, ..question(context, found, name, *outcome) };
                decide::probed(context, found, &probed)
            }
            Does::Judge { key: name, verdict } => {
                let version = found.record.as_ref().map_or(0, |record| record.version);
                let (by, note) = ("wang".to_owned(), "seen in the console".to_owned());
                let probed = question(context, found, name, Outcome::InDoubt);
                decide::judge(context, found, &Judge { verdict: *verdict, by, note, version, fences: false, probed })
            }
            Does::Cancel { key: name } => decide::cancel(context, found, &key(name), None),
            Does::Approve { key: name } => decide::approve(context, found, &key(name), "wang"),
        }
    }
}

fn refund<'a>(found: &'a Found, name: &str) -> Option<&'a Refund> {
    found.record.as_ref()?.refund(&key(name))
}

fn question(context: &Context, found: &Found, name: &str, outcome: Outcome) -> Probed {
    let refund = refund(found, name);
    let finding = Finding { proof: Proof::OwnNumber, ..Finding::new(Answer::new(outcome, context.now), context.now) };
    Probed {
        key: key(name),
        attempt: refund.map_or(1, |refund| refund.attempts),
        from: refund.map_or(RefundState::InDoubt, |refund| refund.state),
        finding,
        fenced: false,
        fresh: None,
        silent_for: Duration::ZERO,
        rules: rules(),
    }
}
