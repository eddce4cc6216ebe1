//! What a person must know before a verdict on a refund: how it was sent, what each question about it found, what the
//! upstream says of the order, and the words for each verdict.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};
use tillbook::domain::{Entry, Event, Finding, Proof, Verdict};
use tillbook::{OrderRecord, Refund, RefundState, Timestamp};

use super::args;
use super::table::{self, beijing};
use super::{json as shapes, parse::RefundName};

/// All there is about one refund.
pub(crate) struct Evidence {
    /// The refund's name, as it is typed.
    pub(crate) name: RefundName,
    pub(crate) refund: Refund,
    pub(crate) order: Arc<OrderRecord>,
    /// The order's events, oldest first.
    pub(crate) events: Vec<Arc<Entry>>,
    /// What a command line begins with: the program and the options that lead to this ledger.
    pub(crate) program: String,
}

/// One thing that happened to the refund, in words, with what was read.
struct Step {
    at: Timestamp,
    what: String,
    evidence: Vec<String>,
}

impl Evidence {
    /// The verdicts that are open, each with the words to type.
    fn verdicts(&self) -> Vec<(Verdict, String)> {
        use RefundState::{Accepted, InDoubt, Review, Succeeded};
        let open: &[Verdict] = match self.refund.state {
            Accepted | InDoubt | Review => &[Verdict::Succeeded, Verdict::Declined, Verdict::Resend, Verdict::Release],
            Succeeded => &[Verdict::Reversed],
            _ => &[],
        };
        let RefundName { account, key } = &self.name;
        let line = |verdict: Verdict| {
            let (program, words, version) = (&self.program, args::words(verdict), self.order.version);
            format!("{program} resolve {account}:{key} {words} --by NAME --note TEXT --seen {version}")
        };
        open.iter().map(|verdict| (*verdict, line(*verdict))).collect()
    }

    /// What happened to this refund, oldest first.
    fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.events.iter().filter_map(|entry| {
            let (key, what, evidence) = step(&entry.event)?;
            (*key == self.refund.key).then_some(Step { at: entry.at, what, evidence })
        })
    }

    /// The findings of the questions that proved nothing.
    fn findings(&self) -> impl Iterator<Item = (Timestamp, &Finding)> {
        self.events.iter().filter_map(|entry| match &entry.event {
            Event::Probed { key, finding } if *key == self.refund.key => Some((entry.at, finding.as_ref())),
            _ => None,
        })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = table::refunded(&self.refund, &self.order);
        let mut line = |words: String| write!(text, "\n{words}").expect("a text takes any text");
        line(format!(
            "{} {} since {}",
            self.refund.state,
            self.refund.state.chinese(),
            beijing(Some(self.refund.state_at))
        ));
        match self.refund.baseline {
            Some(baseline) => line(format!(
                "before it was sent the upstream had refunded {} in {} refunds (asked at {})",
                or_unknown(baseline.refunded),
                or_unknown(baseline.count),
                beijing(Some(baseline.asked_at))
            )),
            None => line("no totals are known from before it was sent".to_owned()),
        }
        let facts = &self.order.facts;
        line(format!(
            "the upstream says now: order {} ({}), paid {}, refunded {} in {} refunds (asked at {})",
            facts.status,
            facts.upstream_status,
            facts.paid,
            or_unknown(facts.refunded),
            or_unknown(facts.refund_count),
            beijing(Some(facts.asked_at))
        ));
        line("\nwhat happened 经过".to_owned());
        for step in self.steps() {
            line(format!("  {}  {}", beijing(Some(step.at)), step.what));
            step.evidence.iter().for_each(|read| line(format!("      {read}")));
        }
        let verdicts = self.verdicts();
        if verdicts.is_empty() {
            line("\nno verdict is open 无需裁定".to_owned());
        } else {
            line("\nverdicts 裁定".to_owned());
            for (verdict, command) in verdicts {
                line(format!("  {}\n      {command}", meaning(verdict)));
            }
        }
        text
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Value {
        let refund = &self.refund;
        let baseline = refund.baseline.map(|baseline| {
            let mut fields = serde_json::Map::new();
            shapes::put_money(&mut fields, "refunded", baseline.refunded);
            fields.insert("count".to_owned(), baseline.count.into());
            fields.insert("asked_at".to_owned(), baseline.asked_at.to_string().into());
            fields
        });
        let probes = self.findings().map(|(at, finding)| {
            json!({
                "at": at.to_string(),
                "asked_at": finding.asked_at.to_string(),
                "outcome": finding.answer.outcome.as_str(),
                "proof": finding.proof,
                "code": finding.answer.code,
                "message": finding.answer.message,
                "upstream_refund_no": finding.answer.upstream_refund_no,
                "evidence": finding.evidence,
            })
        });
        let steps = self.steps().map(|step| json!({"at": step.at.to_string(), "what": step.what}));
        let verdicts = self.verdicts();
        let verdicts = verdicts.iter().map(|(verdict, command)| json!({"verdict": verdict, "command": command}));
        json!({
            "refund": shapes::refund(refund),
            "order": shapes::order(&self.order),
            "version": self.order.version,
            "baseline": baseline,
            "probes": probes.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "verdicts": verdicts.collect::<Vec<_>>(),
        })
    }
}

/// An event of a refund in words, with its key and what was read.
fn step(event: &Event) -> Option<(&tillbook::RefundKey, String, Vec<String>)> {
    let by = |by: &Option<String>| by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let said = |words: &Option<String>, code: &Option<String>| {
        let words = words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
        let code = code.as_ref().map(|code| format!(" (code {code})")).unwrap_or_default();
        format!("{words}{code}")
    };
    let (key, what) = match event {
        Event::OrderRecorded { .. } | Event::FactsSeen { .. } => return None,
        Event::RefundHeld { key, amount, by: who, needs_approval, .. } => {
            let waits = if *needs_approval { ", to be approved" } else { "" };
            (key, format!("{amount} held{}{waits}", by(who)))
        }
        Event::AttemptStarted { key, attempt, .. } => (key, format!("attempt {attempt} begins")),
        Event::Answered { key, state, answer, .. } => {
            (key, format!("{state} {}{}", state.chinese(), said(&answer.message, &answer.code)))
        }
        Event::Probed { key, finding } => {
            let answer = &finding.answer;
            let by_likeness = if finding.proof == Proof::Likeness { " by likeness" } else { "" };
            let what =
                format!("asked: {}{by_likeness}{}", answer.outcome.as_str(), said(&answer.message, &answer.code));
            return Some((key, what, finding.evidence.clone()));
        }
        Event::Judged { key, verdict, by, note, .. } => (key, format!("{by} decides {verdict}: {note}")),
        Event::RefundApproved { key, by, .. } => (key, format!("{by} approves it")),
        Event::AttemptLost { key } => (key, "the process ended while it was being sent".to_owned()),
        Event::RefundToReview { key, reason } => (key, format!("to review 待核实: {reason}")),
        Event::RefundCanceled { key, by: who } => (key, format!("canceled{}", by(who))),
    };
    Some((key, what, Vec::new()))
}

/// What a verdict says, in the words of the person who gives it.
fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "the customer has the money 已退到账",
        Verdict::Declined => "the upstream refused it for good, no money moved 上游已拒绝",
        Verdict::Resend => "it was not executed: send it again under the same key 未执行，重发",
        Verdict::Release => "it was not executed and never will be: free its amount (paid in cash, say) 未执行，释放",
        Verdict::Reversed => "it had succeeded, and the upstream took it back 已退后被撤回",
    }
}

fn or_unknown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "an unknown number".to_owned(), |value| value.to_string())
}
