//! The rows of the classification table that hold for every upstream.
//!
//! An adapter judges what its upstream says in its own words first; whatever is left comes here. Nothing left this
//! machine: `NotSent`. Anything else: `InDoubt`.

use crate::domain::{Answer, BlockReason, Outcome, Timestamp};
use crate::gateway::{ReadError, ReadErrorKind};

use super::failure::Failure;

/// What a refund's call means that gave no usable answer.
pub(crate) fn refund_answer(failure: &Failure, ended_at: Timestamp) -> Answer {
    let (outcome, blocked) = match failure {
        // Nothing was sent either way; told apart because a person must mend this one.
        Failure::NoCredentials { .. } => (Outcome::Blocked, Some(BlockReason::Credentials)),
        failure if failure.may_have_arrived() => (Outcome::InDoubt, None),
        _ => (Outcome::NotSent, None),
    };
    Answer { blocked, code: code_of(failure), message: Some(failure.to_string()), ..Answer::new(outcome, ended_at) }
}

/// What a failed read means; `asked` says what was asked, in a few words.
pub(crate) fn read_error(asked: &str, failure: &Failure) -> ReadError {
    let kind = match failure {
        Failure::NoCredentials { .. } => ReadErrorKind::Credentials,
        Failure::NotPermitted { .. } | Failure::NotBuilt { .. } | Failure::TooLate => ReadErrorKind::Unsupported,
        Failure::NotConnected { .. } | Failure::TimedOut | Failure::Lost { .. } | Failure::BrokenOff { .. } => {
            ReadErrorKind::Unreachable
        }
        Failure::Status { answer } => match answer.status {
            401 | 403 => ReadErrorKind::Credentials,
            408 | 429 => ReadErrorKind::Busy,
            // A redirect is what a captive portal or a misplaced proxy answers: the upstream was not reached.
            300..=399 | 500..=599 => ReadErrorKind::Unreachable,
            _ => ReadErrorKind::Refused,
        },
        Failure::Unread { .. } => ReadErrorKind::Unreadable,
    };
    let error = ReadError::new(kind, format!("{asked}: {failure}"));
    match code_of(failure) {
        Some(code) => error.with_code(code),
        None => error,
    }
}

fn code_of(failure: &Failure) -> Option<String> {
    match failure {
        Failure::BrokenOff { status, .. } => Some(status.to_string()),
        Failure::Status { answer } => Some(answer.status.to_string()),
        Failure::Unread { answer, .. } => answer.as_ref().map(|answer| answer.status.to_string()),
        Failure::NotPermitted { .. }
        | Failure::NotBuilt { .. }
        | Failure::NoCredentials { .. }
        | Failure::TooLate
        | Failure::NotConnected { .. }
        | Failure::TimedOut
        | Failure::Lost { .. } => None,
    }
}
