//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

/// Reads `200ms`, `2s`, `5m`, `1h`, `90d`; a bare `0` too.
///
/// # Errors
/// Anything else, named with the shape that is wanted.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is not a duration such as \"200ms\", \"2s\", \"5m\", \"1h\" or \"90d\"");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(unit_at);
    let count: u64 = count.parse().map_err(|_| refuse())?;
    let milliseconds = match unit {
        "ms" => Some(count),
        "s" => count.checked_mul(1_000),
        "m" => count.checked_mul(60_000),
        "h" => count.checked_mul(3_600_000),
        "d" => count.checked_mul(86_400_000),
        "" if count == 0 => Some(0),
        _ => None,
    };
    // A hundred years: beyond that somebody mixed up units, and adding it to a date could overflow.
    match milliseconds {
        Some(milliseconds) if milliseconds <= 36_525 * 86_400_000 => Ok(Duration::from_millis(milliseconds)),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_and_a_unit_make_a_duration() {
        for (written, milliseconds) in
            [("200ms", 200), ("2s", 2_000), ("5m", 300_000), ("1h", 3_600_000), ("90d", 7_776_000_000), ("0s", 0)]
        {
            let duration = parse(written).expect("a duration");
            assert_eq!(duration, Duration::from_millis(milliseconds));
        }
        assert_eq!(parse("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_refused_by_name() {
        for text in ["", "5", "s", "1.5s", "-1s", "1 s", "1w", "99999999999999999999s", "40000d"] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(&format!("{text:?} is not a duration")), "{error}");
        }
    }
}
