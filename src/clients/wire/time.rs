//! Moments in the four shapes the upstreams write.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{self, TimeZone};
use serde::de::{self, Deserialize, Deserializer};

use super::visit::{Scalar, scalar, serialize_as_text};

/// A moment as an upstream wrote it, with the text as received.
///
/// Reads unix seconds (number or text), ISO with an offset (`2019-08-23T11:12:21.000+0000`), ISO without one and
/// `yyyy-MM-dd HH:mm:ss` (both taken as Beijing time, +08:00). Whether a stated offset is true is the adapter's to judge:
/// trade_order writes `+0000` beside Beijing time.
///
/// # Errors
/// Milliseconds, a bare date and any other text are refused by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTime {
    instant: Timestamp,
    raw: String,
}

/// A text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: expected unix seconds, or `yyyy-MM-dd HH:mm:ss` with or without an offset")]
pub struct TimeError(pub String);

impl UpstreamTime {
    /// The moment.
    pub fn instant(&self) -> Timestamp {
        self.instant
    }

    /// The time as received.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The clock reading as written, with any stated offset left out; `None` for unix seconds.
    ///
    /// For the upstream whose offset is untrue.
    pub fn civil(&self) -> Option<DateTime> {
        if is_digits(&self.raw) {
            return None;
        }
        // The civil parser drops a numeric offset, but refuses `Z`.
        DateTime::from_str(self.raw.trim().trim_end_matches(['Z', 'z'])).ok()
    }
}

/// +08:00, all year: Beijing time has had no daylight saving since 1991.
fn beijing() -> TimeZone {
    TimeZone::fixed(tz::offset(8))
}

fn is_digits(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

impl From<Timestamp> for UpstreamTime {
    fn from(instant: Timestamp) -> Self {
        UpstreamTime { instant, raw: instant.as_second().to_string() }
    }
}

impl FromStr for UpstreamTime {
    type Err = TimeError;

    fn from_str(raw: &str) -> Result<Self, TimeError> {
        let error = || TimeError(raw.to_owned());
        let text = raw.trim();
        let instant = if is_digits(text) {
            // 13 digits would be milliseconds: out of jiff's range, so an error and not the year 49424.
            let seconds = text.parse().map_err(|_| error())?;
            Timestamp::from_second(seconds).map_err(|_| error())?
        } else if let Ok(instant) = Timestamp::from_str(text) {
            // First of the two: the civil parser takes an offset too, and drops it.
            instant
        } else if text.contains(':') {
            // The `:` keeps out bare dates, which would become midnight.
            let civil = DateTime::from_str(text).map_err(|_| error())?;
            beijing().to_timestamp(civil).map_err(|_| error())?
        } else {
            return Err(error());
        };
        Ok(UpstreamTime { instant, raw: raw.to_owned() })
    }
}

impl<'de> Deserialize<'de> for UpstreamTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match scalar(deserializer, "a time as unix seconds or text")? {
            Scalar::Number(text) | Scalar::Text(text) => text.parse().map_err(de::Error::custom),
            Scalar::Flag(flag) => Err(de::Error::custom(TimeError(flag.to_string()))),
        }
    }
}

impl fmt::Display for UpstreamTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

serialize_as_text!(UpstreamTime);
