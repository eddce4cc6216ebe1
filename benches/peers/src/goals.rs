//! What the ledger was meant to reach: the table of goals, in its order.

use crate::sample::{Disk, Samples, Summary};
use crate::scale::Scale;
use crate::stage::{FLOOR, LEDGER};
use crate::works::{day, disk, hold, import, lookup, loopback, memory, open, readers};

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Limit {
    pub fn holds(self, value: f64) -> bool {
        match self {
            Limit::AtLeast(limit) => value >= limit,
            Limit::AtMost(limit) => value <= limit,
        }
    }
}

/// A figure of one contender.
#[derive(Clone, Debug)]
pub struct Cell {
    pub work: String,
    pub what: &'static str,
    pub who: &'static str,
}

/// What is held against the limits.
#[derive(Clone, Debug)]
pub enum Measured {
    /// The ledger's figure, in its own unit.
    Figure(Cell),
    /// The first over the second.
    Ratio(Cell, Cell),
    /// The ledger's share of a refund over a part of the bare call plus two syncs.
    Share(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Goal {
    pub name: String,
    pub disk: Disk,
    pub measured: Measured,
    pub must: Option<Limit>,
    pub aim: Option<Limit>,
}

/// How a goal came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The aim too.
    Aim,
    /// What must be, not the aim.
    Must,
    Missed,
    /// There is only an aim, and it was missed.
    NotAim,
    NotMeasured,
}

impl Outcome {
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Aim => "met, aim too",
            Outcome::Must => "met",
            Outcome::Missed => "**missed**",
            Outcome::NotAim => "aim missed",
            Outcome::NotMeasured => "not measured",
        }
    }
}

impl Goal {
    /// The figure: the ratio of medians, or the median; with the smallest and the largest of the turns.
    pub fn value(&self, samples: &Samples) -> Option<Summary> {
        let turns = |cell: &Cell| samples.turns(&cell.work, self.disk, cell.what, cell.who);
        match &self.measured {
            Measured::Figure(cell) => Summary::of(turns(cell)),
            Measured::Ratio(one, other) => ratio(turns(one), turns(other)),
            Measured::Share(part) => {
                let turns = |what| samples.turns(loopback::WORK, self.disk, what, LEDGER);
                let allowed: Vec<f64> = turns(loopback::BARE)
                    .iter()
                    .zip(turns(loopback::SYNC))
                    .map(|(bare, sync)| bare * part + 2.0 * sync)
                    .collect();
                ratio(turns(loopback::SHARE), &allowed)
            }
        }
    }

    pub fn outcome(&self, samples: &Samples) -> Outcome {
        let Some(Summary { median, .. }) = self.value(samples) else { return Outcome::NotMeasured };
        match (self.must, self.aim) {
            (_, Some(aim)) if aim.holds(median) => Outcome::Aim,
            (Some(must), _) if must.holds(median) => Outcome::Must,
            (Some(_), _) => Outcome::Missed,
            (None, _) => Outcome::NotAim,
        }
    }
}

/// Ratio of the medians; the spread is that of the ratios within each round.
fn ratio(one: &[f64], other: &[f64]) -> Option<Summary> {
    let median = Summary::of(one)?.median / Summary::of(other)?.median;
    let rounds: Vec<f64> = one.iter().zip(other).map(|(one, other)| one / other).collect();
    let Summary { min, max, .. } = Summary::of(&rounds)?;
    Some(Summary { median, min: min.min(median), max: max.max(median) })
}

/// Writes the table down line by line.
struct Table(Vec<Goal>);

impl Table {
    fn goal(&mut self, name: &str, disk: Disk, measured: Measured, must: Option<Limit>, aim: Option<Limit>) {
        self.0.push(Goal { name: name.to_owned(), disk, measured, must, aim });
    }

    /// The ledger's figure over another contender's.
    fn over(&mut self, work: &str, what: &'static str, disk: Disk, peer: &'static str, limits: Limits) {
        let cell = |who| Cell { work: work.to_owned(), what, who };
        let name = format!("{work}: {what} / {peer}'s");
        self.goal(&name, disk, Measured::Ratio(cell(LEDGER), cell(peer)), limits.0, limits.1);
    }

    /// The ledger's own figure.
    fn own(&mut self, work: &str, what: &'static str, disk: Disk, limits: Limits) {
        let cell = Cell { work: work.to_owned(), what, who: LEDGER };
        self.goal(&format!("{work}: {what}"), disk, Measured::Figure(cell), limits.0, limits.1);
    }
}

/// What must be, and what is aimed at.
type Limits = (Option<Limit>, Option<Limit>);

fn at_least(must: impl Into<Option<f64>>, aim: impl Into<Option<f64>>) -> Limits {
    (must.into().map(Limit::AtLeast), aim.into().map(Limit::AtLeast))
}

fn at_most(must: impl Into<Option<f64>>, aim: impl Into<Option<f64>>) -> Limits {
    (must.into().map(Limit::AtMost), aim.into().map(Limit::AtMost))
}

/// All goals, for the sizes of a run.
pub fn goals(scale: &Scale) -> Vec<Goal> {
    use Disk::{Fast, Slow};
    let mut table = Table(Vec::new());
    let sixty_four = hold::work(64);
    for disk in [Fast, Slow] {
        table.over(&hold::work(1), hold::P50, disk, FLOOR, at_most(1.5, 1.2));
    }
    table.over(&sixty_four, hold::RATE, Fast, "sqlite", at_least(1.0, None));
    table.over(&sixty_four, hold::RATE, Fast, "sled", at_least(1.5, None));
    table.over(&sixty_four, hold::RATE, Fast, "fjall", at_least(None, 1.2));
    table.over(&sixty_four, hold::RATE, Slow, "sqlite", at_least(1.0, None));
    table.over(&sixty_four, hold::RATE, Slow, "fjall", at_least(None, 1.0));
    for disk in [Fast, Slow] {
        let cell = |work: &str| Cell { work: work.to_owned(), what: hold::RATE, who: LEDGER };
        let hot = Measured::Ratio(cell(hold::HOT), cell(&sixty_four));
        let (must, aim) = at_least(0.8, 1.0);
        table.goal("hold, 64 callers: hot set / random orders", disk, hot, must, aim);
    }
    for disk in [Fast, Slow] {
        table.over(&sixty_four, hold::P99, disk, "sqlite", at_most(1.0, None));
        table.over(&sixty_four, hold::P99, disk, "fjall", at_most(None, 1.0));
    }
    table.own(readers::WORK, readers::P99, Fast, at_most(500.0, 100.0));
    table.own(readers::WORK, readers::P99, Slow, at_most(5_000.0, 1_000.0));
    for disk in [Fast, Slow] {
        table.over(import::WORK, import::RATE, disk, "sqlite", at_least(0.9, 1.2));
    }
    table.over(lookup::WARM, lookup::P50, Fast, "sqlite", at_most(2.0, 1.0));
    table.over(day::WORK, day::P50, Fast, "sqlite", at_most(2.0, 1.0));
    let (smallest, largest) = (open::work(scale.sizes[0]), open::work(scale.largest()));
    table.own(&largest, open::COLD, Fast, at_most(2.0, 0.5));
    let cell = |what| Cell { work: largest.clone(), what, who: LEDGER };
    let more_refunds = Measured::Ratio(cell(open::MANY_REFUNDS), cell(open::COLD));
    table.goal(
        &format!("{largest}: with 20 times the refunds / without"),
        Fast,
        more_refunds,
        at_most(1.5, None).0,
        None,
    );
    table.own(&smallest, open::REBUILT, Fast, at_most(2.0, 1.0));
    table.own(&largest, open::REBUILT, Fast, at_most(60.0, 20.0));
    let [few, many] = scale.loads;
    for (orders, limits) in [(few, at_most(64.0, 32.0)), (many, at_most(256.0, 96.0))] {
        table.own(&memory::work(orders), memory::PEAK, Fast, limits);
        table.own(&memory::work(orders), memory::PEAK_RUSH, Fast, limits);
    }
    for what in [disk::PER_ORDER_COMPACTED, disk::PER_REFUND_COMPACTED] {
        table.over(&disk::work(scale.year), what, Fast, "sqlite", at_most(None, 2.0));
    }
    for disk in [Fast, Slow] {
        for (part, (must, aim)) in [(0.2, at_most(1.0, None)), (0.1, at_most(None, 1.0))] {
            let name = format!("{}: the ledger's share / (bare call x {part} + two fdatasyncs)", loopback::WORK);
            table.goal(&name, disk, Measured::Share(part), must, aim);
        }
    }
    table.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_rounds() {
        let spread = Summary { median: 2.0, min: 1.0, max: 4.0 };
        assert_eq!(ratio(&[2.0, 4.0, 4.0], &[2.0, 2.0, 1.0]), Some(spread));
        assert_eq!(ratio(&[], &[1.0]), None);
    }

    #[test]
    fn every_limit_of_a_goal_can_be_missed() {
        for goal in goals(&Scale::quick()) {
            assert!(goal.must.is_some() || goal.aim.is_some(), "{}", goal.name);
            for limit in [goal.must, goal.aim].into_iter().flatten() {
                assert!(!(limit.holds(0.0) && limit.holds(f64::INFINITY)), "{}", goal.name);
            }
        }
    }
}
