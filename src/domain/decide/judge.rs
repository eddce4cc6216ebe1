//! A person's word on a refund that nothing proves.

use crate::domain::totals::Age;
use crate::domain::{Event, Outcome, Proof, RefundState, Rejection, Verdict};

use super::probe::{Weight, weigh};
use super::refund::{BY, well_named};
use super::{Context, Draft, Found, Probed, Refusal};

/// The most characters of a note.
const NOTE: usize = 500;

/// A person's verdict, with the evidence of the last question.
#[derive(Clone, Debug)]
pub struct Judge {
    /// What became of the refund, by their word.
    pub verdict: Verdict,
    /// Who says so.
    pub by: String,
    /// Why: what they saw, and where.
    pub note: String,
    /// The version of the record that they saw.
    pub version: u64,
    /// Whether the upstream can shut a door: then nothing is sent again through one that is open.
    pub fences: bool,
    /// What the upstream was asked once more, and found.
    pub probed: Probed,
}

/// Records the verdict, unless the upstream's own words settle the refund now: evidence wins, and the
/// caller sees from the record's state whether it agrees.
///
/// # Errors
/// [`Rejection::RecordMoved`] when the person saw another version; [`Rejection::NotResolvable`] in a
/// state that leaves nothing to decide; [`Rejection::VerdictContradicted`] when the upstream says that
/// the refund is under way.
pub fn judge(context: &Context, found: &Found, command: &Judge) -> Result<Vec<Event>, Refusal> {
    let key = &command.probed.key;
    well_named("name of who decides", &command.by, BY)?;
    well_named("note", &command.note, NOTE)?;
    let mut draft = Draft::new(context, found)?;
    let (record, refund) = (draft.record()?, draft.refund(key)?);
    let (state, target) = (refund.state, command.verdict.state());
    if state == target {
        return Ok(Vec::new()); // said before, or proven meanwhile
    }
    if record.version != command.version {
        let (seen, version) = (command.version, record.version);
        return Err(Rejection::RecordMoved { order: record.id.clone(), seen, version }.into());
    }
    let open = match command.verdict {
        Verdict::Reversed => state == RefundState::Succeeded,
        _ => refund.is_unsettled() && state != RefundState::Sending || state == RefundState::Review,
    };
    if !open {
        return Err(Rejection::NotResolvable { key: key.clone(), state, verdict: command.verdict }.into());
    }
    // A reversal is told by no total, and a success that the upstream still shows is no reversal.
    if command.verdict == Verdict::Reversed {
        contradicted(command, Outcome::Succeeded)?;
    } else {
        let sends_again = command.verdict == Verdict::Resend;
        match weigh(&mut draft, found, &command.probed, sends_again)? {
            Weight::Settles => return Ok(draft.events),
            Weight::Counted if command.verdict != Verdict::Succeeded => {
                return Err(contradicts(command, "the upstream's total of refunds counts it".to_owned()));
            }
            Weight::Counted | Weight::Nothing => contradicted(command, Outcome::Accepted)?,
        }
        if sends_again && command.fences {
            // Sent again through the same door, it would only meet what became of the first.
            let why = command.probed.finding.answer.message.as_deref().unwrap_or("nothing is known of it");
            let words = format!("its door cannot be shut ({why}); release it, and refund under another key");
            return Err(contradicts(command, words));
        }
        if draft.refund(key)?.state != RefundState::Review {
            let reason = format!("{} decides", command.by);
            draft.push(Event::RefundToReview { key: key.clone(), reason })?;
        }
    }
    let record = draft.record()?;
    let event = Event::Judged {
        key: key.clone(),
        verdict: command.verdict,
        by: command.by.clone(),
        note: command.note.clone(),
        due_at: context.now,
        external: record.external,
        unsettled: record.unsettled,
    };
    // A total that came with the verdict was asked for after the version that the person saw. One that was not told is
    // the one kept, which is older; and a reversal takes no facts in.
    let told = command.probed.fresh.as_ref().is_some_and(|seen| seen.facts.refunded.is_some());
    let age = if told && command.verdict != Verdict::Reversed { Age::Fresh } else { Age::Old };
    draft.push_recounted(event, &command.probed.rules, age)?;
    Ok(draft.events)
}

/// Refuses a verdict against what the upstream says of this very refund right now.
fn contradicted(command: &Judge, says: Outcome) -> Result<(), Refusal> {
    let finding = &command.probed.finding;
    // What is under way is not let go, not even where only a likeness says that it is.
    if finding.answer.outcome != says || (says != Outcome::Accepted && finding.proof != Proof::OwnNumber) {
        return Ok(());
    }
    if command.verdict == Verdict::Succeeded {
        return Ok(()); // the upstream is behind what the person saw; no money is let go by it
    }
    Err(contradicts(command, finding.answer.message.clone().unwrap_or_else(|| says.as_str().to_owned())))
}

fn contradicts(command: &Judge, words: String) -> Refusal {
    let key = command.probed.key.clone();
    Rejection::VerdictContradicted { key, verdict: command.verdict, words }.into()
}
