//! What must be true of a ledger after a cut, by what the till had said until then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tillbook::storage::Storage;
use tillbook::storage::embedded::Embedded;
use tillbook::{RefundKey, RefundState};

use super::load::{ACKNOWLEDGED, ASKED, SENT, options};
use crate::storage::fixture::{account, facts, hold, order, see};

/// What the till said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    line: String,
    asked: BTreeSet<String>,
    sent: BTreeSet<String>,
    /// With the state in which each was.
    acknowledged: BTreeMap<String, String>,
}

impl Said {
    pub(super) fn hear(&mut self, text: &str) {
        self.line.push_str(text);
        while let Some((line, rest)) = self.line.split_once('\n') {
            if let Some(key) = line.strip_prefix(ASKED) {
                self.asked.insert(key.to_owned());
            } else if let Some(key) = line.strip_prefix(SENT) {
                self.sent.insert(key.to_owned());
            } else if let Some((key, state)) = line.strip_prefix(ACKNOWLEDGED).and_then(|line| line.split_once(' ')) {
                self.acknowledged.insert(key.to_owned(), state.to_owned());
            }
            self.line = rest.to_owned();
        }
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }
}

/// Opens the ledger that a cut left, as its next owner, and says what is wrong with it.
pub(super) async fn judge(directory: &Path, said: &Said) -> Vec<String> {
    let ledger = match Embedded::open(directory, &options()) {
        Ok(ledger) => ledger,
        Err(error) => return vec![format!("it does not open: {error}")],
    };
    let mut wrong = Vec::new();
    if let Some(quarantine) = ledger.quarantine() {
        wrong.push(format!("it is in quarantine: {}", quarantine.why));
    }
    for (key, state) in &said.acknowledged {
        match state_of(&ledger, key).await {
            Some(here) if here.as_str() == state => {}
            here => wrong.push(format!("{key} was acknowledged as {state} and is {here:?}")),
        }
    }
    for key in &said.sent {
        match state_of(&ledger, key).await {
            None | Some(RefundState::Queued) => wrong.push(format!("{key} was sent and is not known to have been")),
            Some(_) => {}
        }
    }
    for (_, refund) in ledger.refunds_after(None, None, usize::MAX).await.expect("readable") {
        if !said.asked.contains(refund.key.as_str()) {
            wrong.push(format!("{} was never asked for", refund.key));
        }
    }
    wrong.extend(ledger.check().await.expect("readable").differences.into_iter().map(|differs| differs.what));
    // And it goes on.
    for write in [see(facts(1)), hold(&order(1), "after-the-cut", 1)] {
        if let Err(error) = ledger.transact(write).await {
            wrong.push(format!("it takes no more writes: {error}"));
        }
    }
    ledger.close().await.expect("closes");
    wrong
}

async fn state_of(ledger: &Embedded, key: &str) -> Option<RefundState> {
    let key = RefundKey::new(key).expect("a key");
    let order = ledger.find_refund(&account(), &key).await.expect("readable")?;
    let record = ledger.get(&order).await.expect("readable")?;
    Some(record.refund(&key)?.state)
}
