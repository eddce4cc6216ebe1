//! Figures: each turn of a contender leaves samples, told by what was measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The disk under the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disk {
    /// As it is.
    Fast,
    /// Slower by 2 ms per sync.
    Slow,
}

impl Disk {
    pub fn name(self) -> &'static str {
        match self {
            Disk::Fast => "fast",
            Disk::Slow => "slow",
        }
    }
}

/// What a figure is of. `what` ends with its unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Of {
    pub work: String,
    pub disk: Disk,
    pub what: String,
    pub who: String,
}

/// One figure of one turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    #[serde(flatten)]
    pub of: Of,
    pub value: f64,
}

/// What a child says, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Sample(Sample),
    /// Something that did not work, or that a reader of the figures has to know.
    Note(String),
}

/// Says a line to the process that started this one.
pub fn say(said: &Said) {
    println!("{}", serde_json::to_string(said).expect("plain values"));
}

/// Says a note.
pub fn note(text: impl Into<String>) {
    say(&Said::Note(text.into()));
}

/// One contender's turn at one work on one disk.
pub struct Turn<'a> {
    pub work: &'a str,
    pub disk: Disk,
    pub who: &'a str,
}

impl Turn<'_> {
    /// Says a figure.
    pub fn tell(&self, what: &str, value: f64) {
        let (work, disk, who) = (self.work.to_owned(), self.disk, self.who.to_owned());
        say(&Said::Sample(Sample { of: Of { work, disk, what: what.to_owned(), who }, value }));
    }
}

/// All figures of a run: of each turn, in the order of the turns.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    turns: BTreeMap<Of, Vec<f64>>,
    pub notes: Vec<String>,
}

/// A median, the smallest and the largest of the turns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// `None` of nothing.
    pub fn of(turns: &[f64]) -> Option<Summary> {
        let mut sorted = turns.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Summary { median, min, max })
    }
}

impl Samples {
    pub fn take(&mut self, said: Said) {
        match said {
            Said::Sample(sample) => self.turns.entry(sample.of).or_default().push(sample.value),
            Said::Note(note) => {
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }

    /// The turns of one figure; none if it was not measured.
    pub fn turns(&self, work: &str, disk: Disk, what: &str, who: &str) -> &[f64] {
        let (work, what, who) = (work.to_owned(), what.to_owned(), who.to_owned());
        self.turns.get(&Of { work, disk, what, who }).map_or(&[], Vec::as_slice)
    }

    pub fn spread(&self, work: &str, disk: Disk, what: &str, who: &str) -> Option<Summary> {
        Summary::of(self.turns(work, disk, what, who))
    }

    /// All figures.
    pub fn all(&self) -> impl Iterator<Item = (&Of, &[f64])> {
        self.turns.iter().map(|(of, turns)| (of, turns.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(Summary::of(&[4.0, 1.0, 3.0, 2.0]), Some(Summary { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Summary::of(&[3.0, 1.0, 2.0]), Some(Summary { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Summary::of(&[]), None);
    }
}
