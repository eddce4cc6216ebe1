//! Words of the command line that are more than text: which order is meant, and when.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use tillbook::{AccountName, OrderStatus, Reference, RefundKey, Timestamp, Wanted};

use super::config::nearest;

/// `ACCOUNT:NUMBER` or `ACCOUNT:kind=number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderName {
    /// The account.
    pub(crate) account: AccountName,
    /// The number, with its kind if one was given.
    pub(crate) wanted: Wanted,
}

impl FromStr for OrderName {
    type Err = String;

    fn from_str(text: &str) -> Result<OrderName, String> {
        let (account, wanted) =
            split_account(text, "shop-1:2017060121535612345 or shop-1:order_sn=2017060121535612345")?;
        let wanted = wanted.parse().map_err(|error: tillbook::domain::NameError| error.to_string())?;
        Ok(OrderName { account, wanted })
    }
}

/// `ACCOUNT:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefundName {
    /// The account.
    pub(crate) account: AccountName,
    /// The refund's key.
    pub(crate) key: RefundKey,
}

impl FromStr for RefundName {
    type Err = String;

    fn from_str(text: &str) -> Result<RefundName, String> {
        let (account, key) = split_account(text, "shop-1:till-3-0190")?;
        Ok(RefundName { account, key: key.parse().map_err(|error: tillbook::domain::NameError| error.to_string())? })
    }
}

fn split_account<'t>(text: &'t str, example: &str) -> Result<(AccountName, &'t str), String> {
    let (account, rest) =
        text.split_once(':').ok_or_else(|| format!("{text:?} names no account: write for instance {example}"))?;
    let account = account.parse().map_err(|error: tillbook::domain::NameError| error.to_string())?;
    Ok((account, rest))
}

/// `kind=number`.
pub(crate) fn reference(text: &str) -> Result<Reference, String> {
    let (kind, number) =
        text.split_once('=').ok_or_else(|| format!("{text:?} has no kind: write for instance order_sn={text}"))?;
    Reference::new(kind, number).map_err(|error| error.to_string())
}

/// An instant: RFC 3339, or a date or a date and time on the wall clock in Beijing.
pub(crate) fn time_from(text: &str) -> Result<Timestamp, String> {
    time(text, Day::Start)
}

/// As [`time_from`]; a bare date means the end of that day.
pub(crate) fn time_to(text: &str) -> Result<Timestamp, String> {
    time(text, Day::End)
}

/// A day in Beijing.
pub(crate) fn day(text: &str) -> Result<Date, String> {
    let day = if text.len() == "2017-06-01".len() { text.parse().ok() } else { None };
    day.ok_or_else(|| format!("{text:?} is not a day such as 2017-06-01"))
}

/// Which end of a day a bare date means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Day {
    Start,
    End,
}

fn time(text: &str, day: Day) -> Result<Timestamp, String> {
    let refuse = || {
        format!(
            "{text:?} is not a time such as 2017-06-01, \"2017-06-01 21:53:56\" (both in Beijing) or 2017-06-01T13:53:56Z"
        )
    };
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.into());
    }
    let civil = if text.len() == "2017-06-01".len() {
        let date: Date = text.parse().map_err(|_| refuse())?;
        let date = if day == Day::End { date.tomorrow().map_err(|_| refuse())? } else { date };
        date.to_datetime(jiff::civil::Time::midnight())
    } else {
        text.parse::<DateTime>().map_err(|_| refuse())?
    };
    let instant = Offset::constant(8).to_timestamp(civil).map_err(|_| refuse())?;
    Ok(instant.into())
}

/// A status word. A word that no upstream of ours is known to use is taken as it is; one that is nearly a known one
/// is a slip.
pub(crate) fn status(text: &str) -> Result<OrderStatus, String> {
    const KNOWN: &[&str] = &["pending", "processing", "paid", "failed", "closed"];
    let status = OrderStatus::from(text);
    let near = nearest(text, KNOWN);
    match &status {
        OrderStatus::Other(_) if strsim::damerau_levenshtein(text, near) <= 2 => {
            Err(format!("did you mean {near}? Known are {}", KNOWN.join(", ")))
        }
        _ => Ok(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_in_beijing_from_its_start_to_its_end() {
        let text = |time: Result<Timestamp, String>| time.map(|time| time.to_string());
        assert_eq!(text(time_from("2017-06-01")), Ok("2017-05-31T16:00:00Z".to_owned()));
        assert_eq!(text(time_to("2017-06-01")), Ok("2017-06-01T16:00:00Z".to_owned()));
        assert_eq!(text(time_to("2017-06-01 21:53:56")), Ok("2017-06-01T13:53:56Z".to_owned()));
        assert_eq!(text(time_from("2017-06-01T21:53:56+08:00")), Ok("2017-06-01T13:53:56Z".to_owned()));
        assert!(time_from("yesterday").is_err_and(|error| error.starts_with("\"yesterday\" is not a time")));
    }

    #[test]
    fn an_order_is_named_by_account_and_number() {
        assert!("2017".parse::<OrderName>().is_err_and(|error| error.starts_with("\"2017\" names no account")));
        assert!("a b:2017".parse::<OrderName>().is_err_and(|error| error.starts_with("account name \"a b\"")));
        assert_eq!(
            "shop-1:order_sn=20".parse::<OrderName>().map(|name| name.wanted.kind),
            Ok(Some("order_sn".to_owned()))
        );
    }

    #[test]
    fn a_status_that_is_nearly_a_known_one_is_a_slip() {
        assert_eq!(status("paid"), Ok(OrderStatus::Paid));
        assert_eq!(status("REVOKED_ERROR"), Ok(OrderStatus::Other("REVOKED_ERROR".to_owned())));
        assert!(status("piad").is_err_and(|error| error.starts_with("did you mean paid?")));
    }
}
