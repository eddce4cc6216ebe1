//! The grammar of what people decide about refunds: withdraw, approve, judge.

use clap::Args;
use tillbook::domain::Verdict;

use crate::cli::exit::Failure;
use crate::cli::parse::RefundName;

/// Which refund is meant.
#[derive(Debug, Args)]
pub(crate) struct RefundArg {
    /// ACCOUNT:KEY, or ACCOUNT and KEY
    #[arg(value_name = "REFUND", num_args = 1..=2, required = true)]
    names: Vec<String>,
}

impl RefundArg {
    /// The refund.
    pub(crate) fn name(&self) -> Result<RefundName, Failure> {
        // Neither an account's name nor a key has a colon, so that both ways to write it are one.
        self.names.join(":").parse().map_err(|error: String| Failure::new("malformed", error))
    }
}

/// `cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) refund: RefundArg,
    /// Who withdraws it
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

/// `approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    pub(crate) refund: RefundArg,
    /// Who approves it
    #[arg(long, value_name = "NAME")]
    pub(crate) by: String,
}

/// `resolve`.
#[derive(Debug, Args)]
#[command(after_help = "Without a verdict it prints the evidence, and the command line of each verdict.")]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    pub(crate) refund: RefundArg,
    #[command(flatten)]
    word: WordArgs,
    /// Who decides
    #[arg(long, value_name = "NAME", requires = "word")]
    by: Option<String>,
    /// Why: what was seen, and where
    #[arg(long, value_name = "TEXT", requires = "word")]
    note: Option<String>,
    /// The order's version that the evidence was read at; refused if anything happened since
    #[arg(long, value_name = "VERSION", requires = "word")]
    seen: Option<u64>,
}

/// The verdict's word.
#[derive(Debug, Args)]
#[group(id = "word", multiple = true, requires_all = ["by", "note", "seen"])]
struct WordArgs {
    /// The customer has the money
    #[arg(long, group = "end")]
    succeeded: bool,
    /// The upstream refused it for good; no money moved
    #[arg(long, group = "end")]
    declined: bool,
    /// It was not executed: say with --resend or --release what is to become of it
    #[arg(long, group = "end", requires = "then")]
    not_executed: bool,
    /// It had succeeded, and the upstream took it back
    #[arg(long, group = "end")]
    reversed: bool,
    /// Send it again under the same key, after fresh facts
    #[arg(long, group = "then", requires = "not_executed")]
    resend: bool,
    /// Never send it; its amount is refundable again (it was paid out in cash, say)
    #[arg(long, group = "then", requires = "not_executed")]
    release: bool,
}

/// A verdict as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) verdict: Verdict,
    pub(crate) by: String,
    pub(crate) note: String,
    pub(crate) seen: u64,
}

impl ResolveArgs {
    /// The verdict, if one is given.
    pub(crate) fn given(&self) -> Option<Given> {
        let word = &self.word;
        let verdict = match (word.succeeded, word.declined, word.not_executed, word.reversed) {
            (true, ..) => Verdict::Succeeded,
            (_, true, ..) => Verdict::Declined,
            (_, _, true, _) if word.resend => Verdict::Resend,
            (_, _, true, _) => Verdict::Release,
            (.., true) => Verdict::Reversed,
            _ => return None,
        };
        // The grammar asks for all three with a verdict.
        Some(Given { verdict, by: self.by.clone()?, note: self.note.clone()?, seen: self.seen? })
    }
}

/// The words by which a verdict is given.
pub(crate) fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Succeeded => "--succeeded",
        Verdict::Declined => "--declined",
        Verdict::Resend => "--not-executed --resend",
        Verdict::Release => "--not-executed --release",
        Verdict::Reversed => "--reversed",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        resolve: ResolveArgs,
    }

    fn parsed(words: &str) -> Result<Option<Verdict>, clap::error::ErrorKind> {
        let words = ["tillbook", "shop-1:k"].into_iter().chain(words.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.kind())?;
        Ok(line.resolve.given().map(|given| given.verdict))
    }

    #[test]
    fn each_verdict_is_given_by_its_own_words_and_no_two_at_once() {
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
        assert_eq!(parsed(""), Ok(None));
        let all = [Verdict::Succeeded, Verdict::Declined, Verdict::Resend, Verdict::Release, Verdict::Reversed];
        for verdict in all {
            assert_eq!(parsed(&format!("{} --by li --note seen --seen 3", words(verdict))), Ok(Some(verdict)));
        }
        for (line, error) in [
            ("--not-executed --by li --note x --seen 3", MissingRequiredArgument),
            ("--not-executed --resend --release --by li --note x --seen 3", ArgumentConflict),
            ("--resend --by li --note x --seen 3", MissingRequiredArgument),
            ("--succeeded --declined --by li --note x --seen 3", ArgumentConflict),
            ("--succeeded --release --by li --note x --seen 3", MissingRequiredArgument),
            ("--succeeded --note x --seen 3", MissingRequiredArgument),
            ("--succeeded --by li --seen 3", MissingRequiredArgument),
            ("--succeeded --by li --note x", MissingRequiredArgument),
            ("--by li --note x --seen 3", MissingRequiredArgument),
        ] {
            assert_eq!(parsed(line), Err(error), "{line}");
        }
    }
}
