//! Exit codes and error kinds: what scripts rely on, in one table.
//!
//! Every failure of every command is one [`Failure`]: it is printed once at the edge, as text on stderr or as
//! `{"error":{..}}` on stdout. A kind is never renamed; a new one is a line in [`KINDS`].

use std::fmt;
use std::process::ExitCode;

use serde_json::{Map, Value};
use tillbook::RefundState;
use tillbook::serve::Failed;

/// What the process answers its caller with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, accepted, or safely queued.
    Done,
    /// Anything that has no code of its own.
    Failed,
    /// Malformed input, or an account that the configuration does not name.
    Malformed,
    /// Refused by the ledger's rules; nothing was sent.
    Refused,
    /// Declined by the upstream; no money moved.
    Declined,
    /// In doubt or in review: held until there is evidence.
    InDoubt,
    /// `verify` or `reconcile` found differences, or could not compare all.
    Differences,
}

impl Exit {
    /// The code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Malformed => 2,
            Exit::Refused => 3,
            Exit::Declined => 4,
            Exit::InDoubt => 5,
            Exit::Differences => 6,
        }
    }
}

/// The kind of error that a refund's state is for the one who asked for it, at once or by a replay; `None` where it is
/// done, accepted or safely queued.
pub(crate) fn kind_of_state(state: RefundState) -> Option<&'static str> {
    match state {
        RefundState::Queued | RefundState::Accepted | RefundState::Succeeded => None,
        RefundState::Declined => Some("declined"),
        // An attempt under way has no outcome yet: not queued any more and not accepted either.
        RefundState::Sending | RefundState::InDoubt => Some("in_doubt"),
        RefundState::Review => Some("review"),
        // The replay of a refund that was withdrawn or taken back: the customer has no money from it.
        RefundState::Canceled | RefundState::Reversed => Some("withdrawn"),
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// One kind of error: its word, its exit code, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The word in `{"error":{"kind":..}}`.
    pub(crate) word: &'static str,
    /// The exit code that goes with it.
    pub(crate) exit: Exit,
    /// What it means, for the documentation.
    pub(crate) meaning: &'static str,
}

macro_rules! kinds {
    ($($word:literal $exit:ident $meaning:literal;)*) => {
        /// Every error kind there is.
        pub(crate) const KINDS: &[Kind] = &[$(Kind { word: $word, exit: Exit::$exit, meaning: $meaning },)*];
    };
}

kinds! {
    "usage"                Malformed   "the command line cannot be read";
    "malformed"            Malformed   "an amount, key, number or time that is none";
    "config"               Malformed   "the configuration file cannot be read, or says something that is not known";
    "unknown_account"      Malformed   "the configuration names no such account";
    "unreadable_body"      Malformed   "`decode` cannot read the body; the message names the field";
    "unknown_operation"    Malformed   "`decode` knows no such gateway or operation";
    "invalid_spec"         Malformed   "a spec has faults; each with file, line and column";
    "replay_differs"       Refused     "the refund key names another refund";
    "unknown_order"        Refused     "no order of that number, here or upstream";
    "ambiguous_reference"  Refused     "the number names several orders; ask with `kind=number`";
    "contested_reference"  Refused     "two orders claim one number";
    "other_account"        Refused     "the order belongs to another account";
    "already_recorded"     Refused     "the order recorded offline is already known";
    "stale_facts"          Refused     "known only from before the ledger was adopted; fetch the order first";
    "not_refundable"       Refused     "the order is not paid";
    "foreign_currency"     Refused     "the order is not in CNY";
    "refundable_changed"   Refused     "another amount is refundable than `--expect-refundable` says";
    "over_refundable"      Refused     "more than what may still be refunded";
    "window_closed"        Refused     "too long after the payment";
    "too_many_refunds"     Refused     "the order has had all the refunds that the upstream allows";
    "looks_repeated"       Refused     "a refund like this one was asked for a moment ago; see `--again`";
    "unknown_refund"       Refused     "no refund of that key";
    "not_cancelable"       Refused     "the refund may have been executed and cannot be withdrawn";
    "nothing_to_approve"   Refused     "the refund waits for no approval";
    "record_moved"         Refused     "the order has changed since the version that was judged";
    "not_resolvable"       Refused     "the refund's state leaves nothing to decide";
    "verdict_contradicted" Refused     "the upstream says otherwise than the verdict";
    "declined"             Declined    "the upstream declined the refund; no money moved";
    "in_doubt"             InDoubt     "the refund may or may not have been executed; its amount stays held";
    "review"               InDoubt     "only a person can settle the refund";
    "withdrawn"            Failed      "the refund of this key was canceled or reversed";
    "differences"          Differences "`verify` or `reconcile` found differences";
    "reconcile_incomplete" Differences "what was compared matches, and not all could be; the report says what";
    "sync_incomplete"      Failed      "some account could not be synced; the report names it";
    "check_failed"         Failed      "some account failed its check; the report names it";
    "promise_broken"       Failed      "a promise of the demo does not hold";
    "upstream"             Failed      "the upstream could not be asked, or not be understood; see `reason`";
    "same_merchant"        Failed      "two accounts are one merchant; one order's refunds belong to one account";
    "outcome_not_written"  Failed      "the refund was sent and its outcome could not be written; it stays held";
    "moved"                Failed      "the order got another id meanwhile; ask again";
    "task_lost"            Failed      "a task of the ledger ended early; what it had written is safe";
    "quarantined"          Failed      "the ledger was copied or restored; see `tillbook adopt`";
    "locked"               Failed      "another process owns the ledger; the message names it";
    "busy"                 Failed      "the process that owns the ledger could not answer; nothing was done";
    "unanswered"           Failed      "the process that owns the ledger ended before it answered; ask again";
    "other_version"        Failed      "the process that owns the ledger is another version of tillbook";
    "disk_full"            Failed      "no space left; nothing was written";
    "poisoned"             Failed      "an earlier write failed; open the ledger again";
    "damaged"              Failed      "the journal is damaged in its middle; file and position are named";
    "unreadable_journal"   Failed      "the journal holds what this version cannot read; the place is named";
    "broken_history"       Failed      "an event does not follow from those before it";
    "newer_format"         Failed      "the ledger was written by a newer version";
    "no_ledger"            Failed      "there is no ledger in that directory";
    "not_empty"            Failed      "a backup or an import wants a new or an empty directory";
    "unfinished"           Failed      "a backup or an import into that directory was cut off; it is no ledger";
    "bad_export"           Failed      "the export was truncated or altered, or is none; the line is named";
    "unsupported"          Failed      "this kind of storage does not do that";
    "no_body"              Failed      "no answer about the order is kept; see `keep_bodies`";
    "read_only"            Failed      "the ledger is open for reading only";
    "sealed"               Failed      "the ledger was moved: it can be read, and takes nothing any more";
    "server"               Failed      "the server that keeps the ledger cannot be reached or does not answer as it must";
    "closed"               Failed      "the ledger is closed";
    "io"                   Failed      "a file or stream cannot be read or written";
    "interrupted"          Failed      "interrupted by the user";
    "internal"             Failed      "a defect of tillbook";
}

/// A failure as it is printed, once.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
    facts: Map<String, Value>,
    /// Set when the command printed its document with the error in it, so that JSON stays one document.
    printed: Printed,
}

/// Whether the failure is already in what was printed on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Printed {
    Not,
    InDocument,
}

impl Failure {
    /// A failure of that kind. An unknown word becomes `internal`; a test keeps that from happening.
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Failure {
        let kind = KINDS.iter().find(|known| known.word == kind).copied().unwrap_or(Kind {
            word: "internal",
            exit: Exit::Failed,
            meaning: "",
        });
        Failure { kind, message: message.into(), hint: None, facts: Map::new(), printed: Printed::Not }
    }

    /// A failure whose message is the whole chain of `error`, each link once.
    pub(crate) fn of(kind: &str, error: &dyn std::error::Error) -> Failure {
        Failed::of(kind, error).into()
    }

    /// What the user can do about it, on a line of its own.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// A fact for scripts.
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Failure {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Says that stdout already carries [`Failure::error_json`].
    pub(crate) fn in_document(mut self) -> Failure {
        self.printed = Printed::InDocument;
        self
    }

    /// Whether stdout already carries it.
    pub(crate) fn is_in_document(&self) -> bool {
        self.printed == Printed::InDocument
    }

    /// The kind's word.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind.word
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.kind.exit
    }

    /// What goes under `error`: kind, message, hint, facts.
    pub(crate) fn error_json(&self) -> Value {
        let mut error = Map::new();
        error.insert("kind".to_owned(), self.kind.word.into());
        error.insert("message".to_owned(), self.message.clone().into());
        if let Some(hint) = &self.hint {
            error.insert("hint".to_owned(), hint.clone().into());
        }
        for (name, value) in &self.facts {
            error.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Value::Object(error)
    }
}

/// As it stands on stderr: the message, and the hint on its own line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_listed_once() {
        for (place, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..place].iter().all(|other| other.word != kind.word), "{} is listed twice", kind.word);
            assert!(!kind.meaning.is_empty(), "{} means nothing", kind.word);
        }
    }

    #[test]
    fn an_error_prints_message_and_hint_on_two_lines() {
        let failure = Failure::new("locked", "ledger is in use by process 7").hint("wait for it").fact("pid", 7);
        assert_eq!(failure.to_string(), "error: ledger is in use by process 7\nhint: wait for it");
        assert_eq!(
            failure.error_json(),
            serde_json::json!({"kind": "locked", "message": "ledger is in use by process 7", "hint": "wait for it", "pid": 7})
        );
        assert_eq!(failure.exit(), Exit::Failed);
    }

    #[test]
    fn each_state_of_a_refund_has_its_exit_code() {
        let exit = |state| kind_of_state(state).map_or(Exit::Done, |kind| Failure::new(kind, "").exit());
        let codes: Vec<(&str, u8)> =
            RefundState::ALL.into_iter().map(|state| (state.as_str(), exit(state).code())).collect();
        assert_eq!(
            codes,
            [
                ("queued", 0),
                ("sending", 5),
                ("accepted", 0),
                ("in_doubt", 5),
                ("succeeded", 0),
                ("declined", 4),
                ("review", 5),
                ("canceled", 1),
                ("reversed", 1),
            ]
        );
    }
}
