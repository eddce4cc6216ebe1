//! One seed decides everything: several devices, clocks that jump, networks that lose and repeat, upstreams that answer
//! nonsense after doing it, people who refund elsewhere, processes that die and disks that lose power.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::side_by_side::{alone, each};
use crate::world::{Tally, World};

/// Runs a seed to its end.
///
/// # Panics
/// With how to run it again, where a promise was broken.
fn run(seed: u64) -> Tally {
    let again = format!("TILLBOOK_SEED={seed} cargo test --all-features --test simulation -- one_seed");
    let lived = std::panic::catch_unwind(|| alone(World::live(seed)));
    lived.unwrap_or_else(|panic| panic!("seed {seed}: {}\nto repeat it: {again}", crate::side_by_side::words(&*panic)))
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
}

fn say(words: &str) {
    writeln!(std::io::stderr(), "{words}").expect("stderr is open");
}

#[test]
fn one_seed_decides_everything_also_in_its_second_run() {
    let seed = variable("TILLBOOK_SEED").unwrap_or(1);
    let (first, second) = (run(seed), run(seed));
    assert_eq!(first, second);
}

#[test]
fn whatever_the_dice_say_no_promise_is_broken() {
    // So long, from this seed on; nights are long, so that a night may begin anywhere.
    let seconds = variable("TILLBOOK_SIMULATE_S").unwrap_or(20);
    let first = variable("TILLBOOK_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20);
    let (began, failed) = (Instant::now(), AtomicBool::new(false));
    let goes_on = |_: &u64| began.elapsed() < Duration::from_secs(seconds) && !failed.load(Ordering::Relaxed);
    say(&format!("simulation: from TILLBOOK_SEED={first} for {seconds} s"));
    let ended = each((first..).take_while(goes_on), |seed| {
        let lived = std::panic::catch_unwind(|| run(seed));
        failed.fetch_or(lived.is_err(), Ordering::Relaxed);
        lived.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (mut sum, mut runs) = (Tally::default(), 0_u64);
    for tally in ended {
        sum.add(&tally.unwrap_or_else(|why| panic!("{why}")));
        runs += 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u128;
    let rate = |count: u64| u128::from(count) * 60_000 / (began.elapsed().as_millis() * cores).max(1);
    say(&format!(
        "simulation: {runs} runs, {sum}, 0 violations; {} refunds and {} crashes a CPU-minute",
        rate(sum.refunds),
        rate(sum.crashes)
    ));
    assert!(sum.crashes > 0 && sum.executed > 0 && sum.lost > 0, "nothing went wrong: nothing was tested");
}
