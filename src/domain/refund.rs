//! One refund: its states, and the one function that says which may follow which.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DeviceName, Finding, Money, RefundKey, Timestamp};

/// Where a refund stands. Exhaustive on purpose: a new state must break its users' builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// 待发送: held here, not sent (or proven not executed).
    Queued,
    /// 发送中: an attempt is under way.
    Sending,
    /// 已受理: the upstream took it; the money has not been seen to move.
    Accepted,
    /// 结果未知: it may or may not have been executed.
    InDoubt,
    /// 退款成功: the money moved.
    Succeeded,
    /// 已拒绝: the upstream refused it; no money moved.
    Declined,
    /// 待核实: only a person can settle it.
    Review,
    /// 已取消: withdrawn before anything was executed.
    Canceled,
    /// 已冲回: it had succeeded and the upstream took it back.
    Reversed,
}

impl RefundState {
    /// All states.
    pub const ALL: [RefundState; 9] = {
        use RefundState::{Accepted, Canceled, Declined, InDoubt, Queued, Reversed, Review, Sending, Succeeded};
        [Queued, Sending, Accepted, InDoubt, Succeeded, Declined, Review, Canceled, Reversed]
    };

    /// The word that is stored, printed and parsed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RefundState::Queued => "queued",
            RefundState::Sending => "sending",
            RefundState::Accepted => "accepted",
            RefundState::InDoubt => "in_doubt",
            RefundState::Succeeded => "succeeded",
            RefundState::Declined => "declined",
            RefundState::Review => "review",
            RefundState::Canceled => "canceled",
            RefundState::Reversed => "reversed",
        }
    }

    /// The word that Chinese staff read.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            RefundState::Queued => "待发送",
            RefundState::Sending => "发送中",
            RefundState::Accepted => "已受理",
            RefundState::InDoubt => "结果未知",
            RefundState::Succeeded => "退款成功",
            RefundState::Declined => "已拒绝",
            RefundState::Review => "待核实",
            RefundState::Canceled => "已取消",
            RefundState::Reversed => "已冲回",
        }
    }

    /// Whether the refund's amount is set aside: all that is neither settled nor withdrawn.
    #[must_use]
    pub fn holds(self) -> bool {
        match self {
            RefundState::Queued
            | RefundState::Sending
            | RefundState::Accepted
            | RefundState::InDoubt
            | RefundState::Review => true,
            RefundState::Succeeded | RefundState::Declined | RefundState::Canceled | RefundState::Reversed => false,
        }
    }

    /// Whether nothing more will happen unless new evidence turns up.
    #[must_use]
    pub fn is_final(self) -> bool {
        !self.holds()
    }

    /// Whether a refund in this state may go to `next`: the one transition table, for live code
    /// and for replay alike.
    ///
    /// `Succeeded` to `Reversed` needs the refund's own number or a person, never a total;
    /// `Review` leaves only by later proof or a person's verdict. Who may ask for which move is
    /// the business of `decide`; what may never be written is decided here.
    #[must_use]
    pub fn may_become(self, next: RefundState) -> bool {
        use RefundState::{Accepted, Canceled, Declined, InDoubt, Queued, Reversed, Review, Sending, Succeeded};
        match (self, next) {
            (Queued, Sending | Canceled | Review) => true,
            (Queued, Queued | Accepted | InDoubt | Succeeded | Declined | Reversed) => false,
            // Back to Queued only for NotSent and Blocked: nothing was executed.
            (Sending, Succeeded | Declined | Accepted | InDoubt | Queued) => true,
            // Busy for a day (trade_order 12077) goes to a person.
            (Sending, Review) => true,
            (Sending, Sending | Canceled | Reversed) => false,
            (Accepted, Succeeded | Declined | InDoubt | Review) => true,
            (Accepted, Queued | Sending | Accepted | Canceled | Reversed) => false,
            (InDoubt, Succeeded | Declined | Accepted | Queued | Review) => true,
            (InDoubt, Sending | InDoubt | Canceled | Reversed) => false,
            (Review, Succeeded | Declined | Accepted | Queued | Canceled) => true,
            (Review, Sending | InDoubt | Review | Reversed) => false,
            // The upstream names this refund's own number.
            (Declined | Canceled, Succeeded) => true,
            (Declined | Canceled, Queued | Sending | Accepted | InDoubt | Declined | Review | Canceled | Reversed) => {
                false
            }
            (Succeeded, Reversed) => true,
            (Succeeded, Queued | Sending | Accepted | InDoubt | Succeeded | Declined | Review | Canceled) => false,
            (Reversed, _) => false,
        }
    }
}

impl fmt::Display for RefundState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much a caller asked to refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requested {
    /// All that is refundable, fixed to a number before it is recorded.
    All,
    /// This much.
    Exactly(Money),
}

impl fmt::Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Requested::All => f.write_str("all"),
            Requested::Exactly(amount) => amount.fmt(f),
        }
    }
}

/// What the upstream's totals said before an attempt: what later totals are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The upstream's total of refunds, if it gives one.
    pub refunded: Option<Money>,
    /// Its count of refunds, if it gives one.
    pub count: Option<u32>,
    /// When the read that told them began.
    pub asked_at: Timestamp,
}

/// One refund as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its permanent name.
    pub key: RefundKey,
    /// What was asked for; a replay must ask for the same.
    pub requested: Requested,
    /// What is refunded: a number, also where all was asked for.
    pub amount: Money,
    /// Where it stands.
    pub state: RefundState,
    /// How many attempts have begun.
    pub attempts: u32,
    /// A note for the upstream and the people reading along.
    pub memo: Option<String>,
    /// Who asked for it.
    pub by: Option<String>,
    /// On which device.
    pub device: DeviceName,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When the present state began.
    pub state_at: Timestamp,
    /// Not to be sent before this, while queued.
    pub due_at: Timestamp,
    /// When the last attempt began; `None` also after one that was proven not executed.
    pub sent_at: Option<Timestamp>,
    /// The upstream's totals before the last attempt.
    pub baseline: Option<Baseline>,
    /// The upstream's number of this refund.
    pub upstream_refund_no: Option<String>,
    /// The upstream's last code about it.
    pub code: Option<String>,
    /// The last words about it: the upstream's, or ours on why it waits.
    pub message: Option<String>,
    /// Whether a person must approve it before it goes out (the account's `hold_above`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub awaits_approval: bool,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// How many of its attempts were shut out by a fence, each proven not executed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fences: u32,
    /// How often the upstream was asked what became of its last attempt, as far as the answers were kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub probes: u32,
    /// What the last of these questions found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_finding: Option<Finding>,
}

impl Refund {
    /// A refund as it is when its amount is set aside, due at once.
    #[must_use]
    pub fn queued(key: RefundKey, requested: Requested, amount: Money, device: DeviceName, at: Timestamp) -> Refund {
        Refund {
            key,
            requested,
            amount,
            state: RefundState::Queued,
            attempts: 0,
            memo: None,
            by: None,
            device,
            requested_at: at,
            state_at: at,
            due_at: at,
            sent_at: None,
            baseline: None,
            upstream_refund_no: None,
            code: None,
            message: None,
            awaits_approval: false,
            approved_by: None,
            fences: 0,
            probes: 0,
            last_finding: None,
        }
    }

    /// Whether the upstream may or may not have executed it: sending, accepted, in doubt, or in review
    /// after an attempt that is not proven unexecuted. Such refunds are asked about until they are settled.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        match self.state {
            RefundState::Sending | RefundState::Accepted | RefundState::InDoubt => true,
            RefundState::Review => self.sent_at.is_some(),
            RefundState::Queued
            | RefundState::Succeeded
            | RefundState::Declined
            | RefundState::Canceled
            | RefundState::Reversed => false,
        }
    }
}

// serde hands these a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::{Money, Refund, RefundKey, RefundState, Requested, Timestamp};
    use crate::domain::DeviceName;

    /// DESIGN's table, retyped: what may follow each state.
    #[test]
    fn the_transition_table_is_the_documented_one() {
        let documented: [(&str, &str); 9] = [
            ("queued", "sending review canceled"),
            ("sending", "queued accepted in_doubt succeeded declined review"),
            ("accepted", "in_doubt succeeded declined review"),
            ("in_doubt", "queued accepted succeeded declined review"),
            ("succeeded", "reversed"),
            ("declined", "succeeded"),
            ("review", "queued accepted succeeded declined canceled"),
            ("canceled", "succeeded"),
            ("reversed", ""),
        ];
        for (state, (name, nexts)) in RefundState::ALL.into_iter().zip(documented) {
            assert_eq!(state.as_str(), name);
            let may: Vec<&str> =
                RefundState::ALL.into_iter().filter(|next| state.may_become(*next)).map(RefundState::as_str).collect();
            assert_eq!(may.join(" "), nexts, "after {name}");
        }
    }

    #[test]
    fn a_state_either_holds_or_is_final() {
        for state in RefundState::ALL {
            assert_ne!(state.holds(), state.is_final(), "{state}");
        }
    }

    #[test]
    fn each_state_has_a_word_of_its_own_in_either_language_and_is_stored_under_it() {
        for (at, state) in RefundState::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(state).expect("written"), state.as_str());
            assert_eq!(state.to_string(), state.as_str());
            let before = &RefundState::ALL[..at];
            assert!(!state.chinese().is_empty() && before.iter().all(|other| other.chinese() != state.chinese()));
        }
        let asked = [Requested::All, Requested::Exactly(Money::MAX)].map(|asked| asked.to_string());
        assert_eq!(asked, ["all", "10000000000000.00"]);
    }

    /// What an older version never wrote is absent as long as it says nothing, so that old records keep their bytes.
    #[test]
    fn a_refund_is_stored_without_what_does_not_apply_to_it_and_with_what_does() {
        let (key, device) = (RefundKey::new("k"), DeviceName::new("till"));
        let (key, device) = (key.expect("valid"), device.expect("valid"));
        let plain = Refund::queued(key, Requested::All, Money::ZERO, device, Timestamp::EPOCH);
        let full = Refund { awaits_approval: true, fences: 1, probes: 2, ..plain.clone() };
        let stored = |refund: &Refund| {
            let json = serde_json::to_value(refund).expect("written");
            let back: Refund = serde_json::from_value(json.clone()).expect("read");
            assert_eq!(back, *refund);
            ["awaits_approval", "fences", "probes"].map(|name| json.get(name).map(ToString::to_string))
        };
        assert_eq!(stored(&plain), [None, None, None]);
        assert_eq!(stored(&full), ["true", "1", "2"].map(|text| Some(text.to_owned())));
    }
}
