//! The ledger and its peers under the same work. See README.md, "Speed".

mod contender;
mod engines;
mod grouped;
mod hold;
mod ledger;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use contender::{Mode, Someone};
use tillbook::storage::embedded::Profile;
use workload::Spread;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let orders: u64 = args.next().map_or(20_000, |n| n.parse().unwrap());
    let seconds: u64 = args.next().map_or(5, |n| n.parse().unwrap());
    let dir = tempfile::Builder::new().tempdir_in(".").unwrap();
    let t = Arc::new(ledger::Tillbook::open(&dir.path().join("tillbook"), Profile::Server, None).await);
    let someone: Someone = t.clone();
    let append = grouped::open::<engines::append::Append>(&dir.path().join("append"), 0, Mode::Direct);
    let appendg = grouped::open::<engines::append::Append>(&dir.path().join("appendg"), 0, Mode::Grouped);
    let since = std::time::Instant::now();
    for page in 0..orders / 100 {
        someone.import((page * 100..page * 100 + 100).collect()).await;
    }
    someone.settle().await;
    println!("import {} orders: {:?}", orders, since.elapsed());
    if let Ok(callers) = std::env::var("PROF") {
        for callers in callers.split(',').map(|n| n.parse().unwrap()) {
            for (name, c) in [("tillbook", &someone), ("append", if callers == 1 { &append } else { &appendg })].into_iter().take(if std::env::var("ONLY").is_ok() { 1 } else { 2 }) {
            let cpu = || { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap(), f[12].parse::<f64>().unwrap()) };
            let before = cpu();
            let held = hold::run(c, callers, if std::env::var("HOT").is_ok() { Spread::Hot } else { Spread::Random(orders) }, callers, Duration::from_secs(seconds)).await;
            let after = cpu();
            println!("   cpu per hold: user {:.1} us, sys {:.1} us", (after.0 - before.0) * 1e4 / held.holds as f64, (after.1 - before.1) * 1e4 / held.holds as f64);
            println!("{name} {callers}: {:.0}/s p50 {:?} p99 {:?} granted {}/{}", held.per_second(), held.quantile(0.5), held.quantile(0.99), held.granted, held.holds);
        }}
        t.close().await;
        return;
    }
    for round in 0..3 {
        for callers in [1, 8, 64, 256] {
            for (name, c) in [("tillbook", &someone), ("append", if callers == 1 { &append } else { &appendg })].into_iter().take(if std::env::var("ONLY").is_ok() { 1 } else { 2 }) {
                let held =
                    hold::run(c, callers, Spread::Random(orders), round * 1000 + callers, Duration::from_secs(seconds))
                        .await;
                println!(
                    "{name} callers {callers}: {:.0}/s p50 {:?} p99 {:?} granted {}/{}",
                    held.per_second(),
                    held.quantile(0.5),
                    held.quantile(0.99),
                    held.granted,
                    held.holds
                );
            }
        }
        let held = hold::run(&someone, 64, Spread::Hot, round * 1000 + 999, Duration::from_secs(seconds)).await;
        println!(
            "hot 64: {:.0}/s p50 {:?} p99 {:?} granted {}/{}",
            held.per_second(),
            held.quantile(0.5),
            held.quantile(0.99),
            held.granted,
            held.holds
        );
    }
    t.close().await;
}
