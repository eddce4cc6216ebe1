//! A refund at the cloud function: sent through its door, looked up there, and shut out.
//!
//! The function keeps one row for each door and sends nothing twice through one. The first door of a refund is its key.
//! Once a void has shut that, the same refund may be sent again through `KEY.1`, after another void through `KEY.2`: a
//! request that was lost on its way meets a shut door whenever it lands. How many doors are shut is the refund's
//! [`fences`](crate::domain::Refund::fences).
//!
//! A function deployed before version 2 knew the first door only. The count is part of the key because such a function
//! refuses a dot as malformed before it does anything; an argument beside the key it would have ignored, and taken the
//! second door for the first. So nothing can be sent through a later door by mistake, and before a door is shut the
//! function is asked about the next one, lest a refund be shut out and have no way left.

use crate::clients::call::{Call, Permit};
use crate::clients::failure::Failure;
use crate::clients::reread;
use crate::clients::wire::{Text, YuanText};
use crate::domain::{Answer, BlockReason, Finding, Outcome, Refund, Timestamp};
use crate::gateway::{ReadError, RefundCall};

use super::api::types;
use super::function::{Ran, Refusal, job};
use super::gateway::{HydrogenGateway, not_built, order_id};
use super::orders;
use super::refunds::{self, Asked};

/// The version of cloud-function/tillbook.js that knows more than one door.
const VERSION: u32 = 2;

/// The door through which the refund's next sending goes, and its last one went.
pub(super) fn door(refund: &Refund) -> String {
    numbered(refund, u64::from(refund.fences))
}

fn numbered(refund: &Refund, shut: u64) -> String {
    match shut {
        0 => refund.key.to_string(),
        shut => format!("{}.{shut}", refund.key),
    }
}

/// Why an older function refuses `door`, and what to do.
pub(super) fn outdated(door: &str) -> String {
    format!(
        "the deployed cloud function is older than version {VERSION} and does not know the door {door}; nothing was \
         done: deploy cloud-function/tillbook.js again"
    )
}

/// A word for a person whose function is an older one, by what `health` says.
pub(super) fn version_warning(version: Option<&str>) -> Option<String> {
    let known = version.and_then(|version| version.trim().parse::<u32>().ok());
    known.is_none_or(|known| known < VERSION).then(|| {
        format!(
            "the deployed cloud function is version {}, not {VERSION}: it refunds, but a refund in doubt cannot be shut \
             out and sent again; deploy cloud-function/tillbook.js again",
            version.unwrap_or("unknown")
        )
    })
}

impl HydrogenGateway {
    /// Sends, once.
    pub(super) async fn send(&self, about: &RefundCall) -> Answer {
        let call = Call::permitted(Permit::to_refund(about));
        let result = match refund_args(about) {
            Ok(args) => job!(self, &call, function_refund, Refund, RefundJob, args),
            Err(why) => Err(Failure::NotBuilt { why }),
        };
        let answer = refunds::attempt(result, about, self.now());
        if answer.outcome == Outcome::Blocked && answer.blocked == Some(BlockReason::Credentials) {
            // For the next attempt: this one is over.
            reread::renew(&self.secrets());
        }
        answer
    }

    /// What is kept at the refund's door.
    pub(super) async fn look_up(&self, about: &RefundCall, asked_at: Timestamp) -> Result<Finding, ReadError> {
        let door = door(&about.refund);
        match self.look_behind(&door).await? {
            Some(said) => Ok(refunds::found(Asked::Lookup, &said, about, (asked_at, self.now()))),
            None => Ok(too_old(&door, (asked_at, self.now()))),
        }
    }

    /// Shuts the refund's door, if the function knows one behind it.
    pub(super) async fn shut(&self, about: &RefundCall, asked_at: Timestamp) -> Result<Finding, ReadError> {
        let next = numbered(&about.refund, u64::from(about.refund.fences) + 1);
        if self.look_behind(&next).await?.is_none() {
            return Ok(too_old(&next, (asked_at, self.now())));
        }
        let args = types::VoidArgs::builder().refund_key(door(&about.refund));
        let args: types::VoidArgs = args.try_into().map_err(|error| not_built("void", error))?;
        let call = Call::permitted(Permit::to_fence());
        let seen = Ran::of(job!(self, &call, function_void, Void, VoidJob, args));
        let (said, _) = seen.read("void", refusal_in)?;
        Ok(refunds::found(Asked::Void, &said, about, (asked_at, self.now())))
    }

    /// What is kept at `door`; `None` from an older function, for any but the first.
    async fn look_behind(&self, door: &str) -> Result<Option<types::FunctionRefundAnswer>, ReadError> {
        let args = types::LookupArgs::builder().refund_key(door);
        let args: types::LookupArgs = args.try_into().map_err(|error| not_built("lookup", error))?;
        let call = Call::read();
        let seen = Ran::of(job!(self, &call, function_lookup, Lookup, LookupJob, args));
        if let Ran::Returned(said, _) = &seen
            && refusal_in(said).is_some_and(|error| Refusal::of(error.as_str()) == Refusal::MalformedKey)
            && door.contains('.')
        {
            return Ok(None);
        }
        Ok(Some(seen.read("lookup", refusal_in)?.0))
    }
}

/// What an older function tells about a door that it does not know: nothing. No error, for its other answers are good,
/// and the refund must not be kept from the person who may have to decide.
fn too_old(door: &str, (asked_at, answered_at): (Timestamp, Timestamp)) -> Finding {
    let why = outdated(door);
    let answer = Answer { message: Some(why.clone()), ..Answer::new(Outcome::InDoubt, answered_at) };
    Finding { evidence: vec![why], ..Finding::new(answer, asked_at) }
}

/// The function's refusal, which stands alone: beside a state an `error` is a word about the refund.
fn refusal_in(said: &types::FunctionRefundAnswer) -> Option<&Text> {
    if said.state.is_none() { said.error.as_ref() } else { None }
}

/// The refund as the function takes it: by order id where that is a number, for the two documents swap the other two.
fn refund_args(about: &RefundCall) -> Result<types::RefundArgs, String> {
    let id = about.references.iter().find_map(order_id);
    let by_number = (id.is_none()).then(|| about.native.number.clone());
    if by_number.is_some() && about.native.kind != orders::NATIVE {
        return Err(format!("the order has neither an id nor a {}", orders::NATIVE));
    }
    types::RefundArgs::builder()
        .refund_key(door(&about.refund))
        .order_id(id)
        .transaction_no(by_number)
        .refund_amount(YuanText::from_fen(about.refund.amount.fen()))
        .memo(about.refund.memo.clone().filter(|memo| !memo.is_empty()))
        .try_into()
        .map_err(|error: super::api::types::error::ConversionError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_does_not_say_a_version_from_two_on_is_too_old() {
        for version in [Some("2"), Some(" 3 "), Some("10")] {
            assert_eq!(version_warning(version), None, "{version:?}");
        }
        for (version, shown) in [(None, "unknown"), (Some("1"), "1"), (Some("two"), "two"), (Some("1.9"), "1.9")] {
            let warning = version_warning(version).unwrap_or_default();
            assert!(
                warning.starts_with(&format!("the deployed cloud function is version {shown}, not 2")),
                "{warning}"
            );
        }
    }
}
