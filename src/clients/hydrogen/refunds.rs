//! What hydrogen's answers about a refund mean: the classification table's rows for it.
//!
//! A refund has two fates to learn: what the function keeps under the refund key (its state), and what BaaS.refund said
//! (its status: `succeed`, not `success`). Only a word that is known proves something; all else is in doubt.

use crate::clients::call::Reply;
use crate::clients::classify;
use crate::clients::decode::SeenRefund;
use crate::clients::failure::Failure;
use crate::clients::fields::{Strange, money};
use crate::clients::wire::{Text, Yuan};
use crate::domain::{Answer, BlockReason, Finding, Outcome, Timestamp};
use crate::gateway::RefundCall;

use super::api::open::{RefundState, RefundStatus};
use super::api::types;
use super::doors::{door, outdated};
use super::function::{Job, Ran, Refusal, body_words, short};

/// The answer to an attempt.
pub(super) fn attempt<J>(result: Result<Reply<J>, Failure>, about: &RefundCall, ended_at: Timestamp) -> Answer
where
    J: Job<Data = types::FunctionRefundAnswer>,
{
    match Ran::of(result) {
        Ran::Returned(said, _) => checked(&said, about, ended_at),
        // The function may have failed after BaaS.refund ran.
        Ran::Broke { code, words } => Answer {
            code: Some(code),
            message: Some(format!(
                "the cloud function failed{}",
                words.map_or(String::new(), |words| format!(": {words}"))
            )),
            ..Answer::new(Outcome::InDoubt, ended_at)
        },
        Ran::Failed(failure) => failed(&failure, ended_at),
    }
}

/// No token, an app in arrears, no right, no such function: the job never started.
fn failed(failure: &Failure, ended_at: Timestamp) -> Answer {
    let mut answer = classify::refund_answer(failure, ended_at);
    if let Failure::Status { answer: raw } = failure {
        if matches!(raw.status, 401..=404) {
            (answer.outcome, answer.blocked) = (Outcome::Blocked, Some(BlockReason::Credentials));
        }
        if let (Some(message), Some(words)) = (&mut answer.message, body_words(&raw.body)) {
            message.push_str(&format!(": {words}"));
        }
    }
    answer
}

/// What the function said about the refund `about`: a kept refund of another amount or order is none of ours.
fn checked(said: &types::FunctionRefundAnswer, about: &RefundCall, ended_at: Timestamp) -> Answer {
    let mismatch = said.refund.as_ref().and_then(|refund| mismatch(refund, about));
    let answer = answer(said, ended_at);
    let error = said.error.as_ref().and_then(Text::non_empty).unwrap_or_default();
    match mismatch {
        Some(why) if matches!(answer.outcome, Outcome::Succeeded | Outcome::Declined) => {
            Answer { message: Some(why), ..Answer { outcome: Outcome::InDoubt, ..answer } }
        }
        // Nothing was executed, and it is not this refund's fault: it waits until the function is brought up to date.
        None if said.state.is_none() && about.refund.fences > 0 && Refusal::of(error) == Refusal::MalformedKey => {
            Answer {
                outcome: Outcome::Blocked,
                blocked: Some(BlockReason::Credentials),
                message: Some(outdated(&door(&about.refund))),
                ..answer
            }
        }
        _ => answer,
    }
}

/// Which question about a refund was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// What is kept at its door.
    Lookup,
    /// To shut its door.
    Void,
}

/// What a question about the refund `about` found, with what was read in a line for a person.
pub(super) fn found(
    asked: Asked,
    said: &types::FunctionRefundAnswer,
    about: &RefundCall,
    (asked_at, answered_at): (Timestamp, Timestamp),
) -> Finding {
    let door = door(&about.refund);
    let answer = checked(said, about, answered_at);
    let answer = match (said.state.as_ref(), asked) {
        (Some(RefundState::Void), Asked::Void) => Answer {
            outcome: Outcome::NotSent,
            message: Some(format!("the door {door} is shut: nothing was executed under it, and nothing will be")),
            ..answer
        },
        // Who shut it, and whether that is known to the ledger, only the answer to a void can say.
        (Some(RefundState::Void), Asked::Lookup) => Answer {
            outcome: Outcome::InDoubt,
            message: Some(format!("the door {door} was shut before the refund came: shutting it again settles it")),
            ..answer
        },
        _ => answer,
    };
    let evidence = vec![line(asked, &door, said)];
    Finding { evidence, ..Finding::new(answer, asked_at) }
}

/// `lookup till-3-0001: done, 100.50 yuan, refund_no RFN1, succeed`.
fn line(asked: Asked, door: &str, said: &types::FunctionRefundAnswer) -> String {
    let asked = match asked {
        Asked::Lookup => "lookup",
        Asked::Void => "void",
    };
    let refund = said.refund.as_ref();
    let words = [
        Some(said.state.as_ref().map_or("no state", RefundState::as_str).to_owned()),
        refund.and_then(|refund| refund.refund_amount).map(|amount| format!("{amount} yuan")),
        refund_no(refund).map(|number| format!("refund_no {number}")),
        refund.and_then(|refund| refund.status.as_ref()).map(|status| status.as_str().to_owned()),
        refund.and_then(|refund| refund.error_msg.as_ref()).and_then(Text::non_empty).map(short),
    ];
    format!("{asked} {door}: {}", words.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn mismatch(refund: &types::Refund, about: &RefundCall) -> Option<String> {
    let key = &about.refund.key;
    if let Some(amount) = refund.refund_amount.filter(|amount| amount.fen() != about.refund.amount.fen()) {
        return Some(format!("the function keeps {amount} under {key}, not {}", about.refund.amount));
    }
    let ours = about.references.iter().find(|number| number.kind == "id")?;
    let order = refund.order_id.as_ref().and_then(Text::non_empty).filter(|order| *order != ours.number)?;
    Some(format!("the function keeps a refund of order {order} under {key}, not of {}", ours.number))
}

/// What the function said, whatever refund it is about.
pub(super) fn answer(said: &types::FunctionRefundAnswer, ended_at: Timestamp) -> Answer {
    let refund = said.refund.as_ref();
    let error = said.error.as_ref().and_then(Text::non_empty);
    let Some(state) = said.state.as_ref() else { return refused(error, ended_at) };
    let status = refund.and_then(|refund| refund.status.as_ref());
    let (outcome, ours) = match (state, status) {
        (RefundState::Done, Some(RefundStatus::Succeed)) => (Outcome::Succeeded, None),
        (RefundState::Done | RefundState::Failed, Some(RefundStatus::Failed)) => (Outcome::Declined, None),
        (RefundState::Failed, None) => (Outcome::Declined, None),
        (RefundState::Done, status) => (Outcome::InDoubt, Some(undocumented(status))),
        (RefundState::Failed, status) => (Outcome::InDoubt, Some(undocumented(status))),
        // Nothing was executed under this number. But the ledger would have gone through the next door had it known
        // of this one: another copy of it may have done just that.
        (RefundState::Void, _) => {
            (Outcome::InDoubt, Some("the door for this number was shut before, which is not known here".to_owned()))
        }
        (RefundState::Started, _) => {
            (Outcome::InDoubt, Some("the function began the refund and does not know how it ended".to_owned()))
        }
        (RefundState::Conflict, _) => {
            (Outcome::InDoubt, Some("the refund key stands for another order or amount at the function".to_owned()))
        }
        (RefundState::Absent, _) => {
            (Outcome::InDoubt, Some("the function keeps nothing under this key, which proves nothing".to_owned()))
        }
        (RefundState::Other(word), _) => (Outcome::InDoubt, Some(format!("the function gives the state {word:?}"))),
    };
    let theirs = refund.and_then(|refund| refund.error_msg.as_ref()).and_then(Text::non_empty).or(error).map(short);
    let replayed = (said.replayed == Some(true) && outcome == Outcome::Succeeded)
        .then(|| "the function answers what it did before under this key".to_owned());
    Answer {
        upstream_refund_no: refund_no(refund),
        code: Some(status.map_or_else(|| state.as_str(), RefundStatus::as_str).to_owned()),
        message: match (ours, theirs) {
            (Some(ours), Some(theirs)) => Some(format!("{ours}: {theirs}")),
            (ours, theirs) => ours.or(theirs).or(replayed),
        },
        ..Answer::new(outcome, ended_at)
    }
}

/// The function refused the call before it did anything, or said nothing that is known.
fn refused(error: Option<&str>, ended_at: Timestamp) -> Answer {
    let Some(error) = error else {
        let message = "the function's answer has neither state nor error".to_owned();
        return Answer { message: Some(message), ..Answer::new(Outcome::InDoubt, ended_at) };
    };
    let (outcome, blocked, code) = match Refusal::of(error) {
        Refusal::Unauthorized => (Outcome::Blocked, Some(BlockReason::Credentials), Some("unauthorized")),
        Refusal::NotEnforced => (Outcome::Blocked, Some(BlockReason::Credentials), Some("not_enforced")),
        Refusal::Malformed | Refusal::MalformedKey => (Outcome::Declined, None, Some("malformed")),
        Refusal::Unknown => (Outcome::InDoubt, None, None),
    };
    Answer { blocked, code: code.map(str::to_owned), message: Some(short(error)), ..Answer::new(outcome, ended_at) }
}

fn undocumented(status: Option<&RefundStatus>) -> String {
    match status {
        Some(status) => format!("BaaS.refund gives the status {:?}", status.as_str()),
        None => "BaaS.refund gives no status".to_owned(),
    }
}

fn refund_no(refund: Option<&types::Refund>) -> Option<String> {
    refund.and_then(|refund| refund.refund_no.as_ref()).and_then(Text::non_empty).map(str::to_owned)
}

/// A refund as the function shows it.
pub(super) fn seen(refund: &types::Refund, outcome: Outcome) -> Result<SeenRefund, Strange> {
    let order = refund.order_id.as_ref().and_then(Text::non_empty);
    Ok(SeenRefund {
        key: None,
        upstream_refund_no: refund_no(Some(refund)),
        order: order.map(|id| ("id".to_owned(), id.to_owned())).into_iter().collect(),
        amount: money("refund_amount", refund.refund_amount.map(Yuan::fen))?,
        outcome,
        upstream_status: refund.status.as_ref().map(|word| word.as_str().to_owned()),
        at: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(body: Value) -> (Outcome, Option<BlockReason>, String, String) {
        let said: types::FunctionRefundAnswer = serde_json::from_value(body).expect("an answer");
        let answer = answer(&said, Timestamp::EPOCH);
        (answer.outcome, answer.blocked, answer.code.unwrap_or_default(), answer.message.unwrap_or_default())
    }

    fn refund(status: Value) -> Value {
        json!({"id": 1024, "refund_no": "RFN1", "refund_amount": "3.00", "order_id": 47963, "status": status, "error_msg": null})
    }

    #[test]
    fn every_state_and_status_has_its_row() {
        let credentials = Some(BlockReason::Credentials);
        let rows = [
            (json!({"state": "done", "refund": refund(json!("succeed"))}), Outcome::Succeeded, None, "succeed"),
            (json!({"state": "done", "refund": refund(json!("failed"))}), Outcome::Declined, None, "failed"),
            (json!({"state": "done", "refund": refund(json!("success"))}), Outcome::InDoubt, None, "success"),
            (json!({"state": "done", "refund": refund(json!(null))}), Outcome::InDoubt, None, "done"),
            (json!({"state": "done", "refund": null}), Outcome::InDoubt, None, "done"),
            (json!({"state": "failed", "refund": refund(json!("failed"))}), Outcome::Declined, None, "failed"),
            (json!({"state": "failed", "refund": null}), Outcome::Declined, None, "failed"),
            (json!({"state": "failed", "refund": refund(json!("succeed"))}), Outcome::InDoubt, None, "succeed"),
            (json!({"state": "started", "refund": null}), Outcome::InDoubt, None, "started"),
            (json!({"state": "void", "refund": null}), Outcome::InDoubt, None, "void"),
            (json!({"state": "conflict", "refund": null}), Outcome::InDoubt, None, "conflict"),
            (json!({"state": "absent", "refund": null}), Outcome::InDoubt, None, "absent"),
            (json!({"state": "paused", "refund": null}), Outcome::InDoubt, None, "paused"),
            (json!({"error": "unauthorized"}), Outcome::Blocked, credentials, "unauthorized"),
            (json!({"error": "not_enforced: no unique index"}), Outcome::Blocked, credentials, "not_enforced"),
            (json!({"error": "malformed: refund_amount is zero"}), Outcome::Declined, None, "malformed"),
            (json!({"error": "TypeError"}), Outcome::InDoubt, None, ""),
            (json!({}), Outcome::InDoubt, None, ""),
        ];
        for (body, outcome, blocked, code) in rows {
            let (got, reason, got_code, _) = told(body.clone());
            assert_eq!((got, reason, got_code.as_str()), (outcome, blocked, code), "{body}");
        }
    }

    #[test]
    fn the_upstreams_reason_is_told() {
        let mut failed = refund(json!("failed"));
        failed["error_msg"] = json!("订单已全额退款");
        assert_eq!(told(json!({"state": "done", "refund": failed})).3, "订单已全额退款");
        assert_eq!(told(json!({"error": "malformed: refund_amount is zero"})).3, "malformed: refund_amount is zero");
        let replayed = json!({"state": "done", "refund": refund(json!("succeed")), "replayed": true});
        assert_eq!(told(replayed).3, "the function answers what it did before under this key");
    }
}
