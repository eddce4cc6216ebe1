//! The answers as text: goals first, then every figure, then what did not work; and all raw figures as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::child::Run;
use crate::goals::{Goal, Limit, Outcome, goals};
use crate::sample::{Disk, Samples, Summary};
use crate::stage::EVERYBODY;

/// Writes `results.md` and `results.json`, and shows the first.
pub fn write(run: &Run, quick: bool, out: &Path) -> std::io::Result<()> {
    let text = text(run, quick);
    println!("{text}");
    std::fs::write(out.join("results.md"), text)?;
    std::fs::write(out.join("results.json"), json(run))
}

fn text(run: &Run, quick: bool) -> String {
    let mut text = String::from("# The ledger beside its peers\n\n");
    let (orders, rounds, seconds) = (run.scale.orders, run.scale.rounds, run.scale.sustained.as_secs_f64());
    if quick {
        text.push_str("**A smoke run: no figure here means anything.**\n\n");
    }
    let _ = writeln!(
        text,
        "One run, {orders} orders, {rounds} rounds in which the contenders take turns; sustained turns of {seconds} s. \
         {}. A figure is the median of the rounds, then the smallest and the largest; a ratio is one of medians, with \
         the spread of the rounds' own ratios. The slow disk waits 2 ms before each sync.\n",
        machine()
    );
    goals_table(run, &mut text);
    figures(&run.samples, &mut text);
    if !run.samples.notes.is_empty() {
        text.push_str("## To know\n\n");
        for note in &run.samples.notes {
            let _ = writeln!(text, "* {}", note.replace('\n', " "));
        }
    }
    text
}

/// Cores and kernel: what a reader needs to place the figures.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    format!("{cores} cores ({}), Linux {}", cpu.trim_start_matches([' ', '\t', ':']), kernel.trim())
}

fn goals_table(run: &Run, text: &mut String) {
    let goals = goals(&run.scale);
    text.push_str("## Goals\n\n| goal | disk | measured | must | aim | |\n| --- | --- | --- | --- | --- | --- |\n");
    for goal in &goals {
        let value = goal.value(&run.samples).map_or_else(|| "-".to_owned(), |value| spread(&value));
        let (must, aim, outcome) = (limit(goal.must), limit(goal.aim), goal.outcome(&run.samples).words());
        let _ = writeln!(text, "| {} | {} | {value} | {must} | {aim} | {outcome} |", goal.name, goal.disk.name());
    }
    let count = |outcome| goals.iter().filter(|goal: &&Goal| goal.outcome(&run.samples) == outcome).count();
    let _ = writeln!(
        text,
        "\n{} of {} reach their aim, {} more are met, {} are missed, {} have an aim alone and miss it, {} were not \
         measured.\n",
        count(Outcome::Aim),
        goals.len(),
        count(Outcome::Must),
        count(Outcome::Missed),
        count(Outcome::NotAim),
        count(Outcome::NotMeasured),
    );
}

fn limit(limit: Option<Limit>) -> String {
    match limit {
        Some(Limit::AtLeast(limit)) => format!(">= {limit}"),
        Some(Limit::AtMost(limit)) => format!("<= {limit}"),
        None => String::new(),
    }
}

/// A table for each work and disk: a line for each figure, a column for each contender.
fn figures(samples: &Samples, text: &mut String) {
    let mut works: BTreeMap<(&str, Disk), BTreeSet<&str>> = BTreeMap::new();
    let mut everyone: BTreeMap<(&str, Disk), Vec<&str>> = BTreeMap::new();
    for (of, _) in samples.all() {
        works.entry((&of.work, of.disk)).or_default().insert(&of.what);
        let who = everyone.entry((&of.work, of.disk)).or_default();
        if !who.contains(&of.who.as_str()) {
            who.push(&of.who);
        }
    }
    text.push_str("## Figures\n\n");
    for ((work, disk), whats) in works {
        let mut who = everyone.remove(&(work, disk)).unwrap_or_default();
        who.sort_by_key(|name| EVERYBODY.iter().position(|known| known == name).unwrap_or(usize::MAX));
        let _ = writeln!(text, "### {work}, {} disk\n", disk.name());
        let _ = writeln!(text, "| | {} |\n| --- |{}", who.join(" | "), " ---: |".repeat(who.len()));
        for what in whats {
            let cells = who.iter().map(|who| {
                samples.spread(work, disk, what, who).map_or_else(|| "-".to_owned(), |figure| spread(&figure))
            });
            let _ = writeln!(text, "| {what} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        text.push('\n');
    }
}

/// The median and, where there were several rounds, the spread.
pub fn spread(figure: &Summary) -> String {
    let Summary { median, min, max } = *figure;
    if min == max { short(median) } else { format!("{} ({}..{})", short(median), short(min), short(max)) }
}

/// Three digits that count, and no more.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

fn json(run: &Run) -> String {
    let figures: Vec<_> = run
        .samples
        .all()
        .map(|(of, rounds)| {
            let (work, disk, what, who) = (&of.work, of.disk, &of.what, &of.who);
            serde_json::json!({ "work": work, "disk": disk, "what": what, "who": who, "rounds": rounds })
        })
        .collect();
    let goals: Vec<_> = goals(&run.scale)
        .iter()
        .map(|goal| {
            let (value, outcome) = (goal.value(&run.samples), goal.outcome(&run.samples).words().replace('*', ""));
            let (must, aim) = (limit(goal.must), limit(goal.aim));
            serde_json::json!({ "goal": goal.name, "disk": goal.disk, "value": value, "must": must, "aim": aim, "outcome": outcome })
        })
        .collect();
    let all = serde_json::json!({
        "machine": machine(), "scale": run.scale, "goals": goals, "figures": figures, "notes": run.samples.notes,
    });
    serde_json::to_string_pretty(&all).expect("plain values") + "\n"
}
