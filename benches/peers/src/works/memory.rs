//! What memory a kiosk needs: while it lives through days of orders with a few refunds, and in a rush after them.

use std::sync::Arc;

use crate::child::Job;
use crate::contender::Mode;
use crate::hold;
use crate::machine::{peak_bytes, resident_bytes};
use crate::sample::Turn;
use crate::stage::{Cache, Opened};
use crate::workload::{A_DAY, HOLD_FEN, Hold, Spread, day_us, number};
use crate::works::import;

pub const PEAK: &str = "peak while loading, MiB";
pub const PEAK_RUSH: &str = "peak in a rush of holds, MiB";
const LOAD_QUARTER: &str = "in memory at a quarter of the load, MiB";
const LOAD_END: &str = "in memory at the end of the load, MiB";
const RUSH_QUARTER: &str = "in memory at a quarter of the rush, MiB";
const RUSH_END: &str = "in memory at the end of the rush with all debts paid, MiB";

/// Of a hundred orders, so many are refunded.
const REFUNDS_PER_HUNDRED: u64 = 3;

/// The work's name at so many orders.
pub fn work(orders: u64) -> String {
    format!("memory of a kiosk, {orders} orders")
}

/// Days of 2,000 orders, imported in pages of 100, each page followed by refunds of earlier orders, one at a time.
pub async fn year(job: &Job, orders: u64) {
    let opened = Opened::open(&job.directory, job.sole(), Cache::Kiosk, Mode::Grouped).await;
    let (work, someone) = (work(orders), Arc::clone(&opened.someone));
    let turn = Turn { work: &work, disk: job.disk, who: job.sole() };
    let mut dice = fastrand::Rng::with_seed(1);
    let mut quarter = None;
    for first in (0..orders).step_by(100) {
        import::pages(&someone, first, first + 100, 100).await;
        for refund in first..first + REFUNDS_PER_HUNDRED {
            let hold = Hold {
                number: number(dice.u64(0..first + 100)),
                key: format!("till3-year-{refund:012}"),
                amount_fen: HOLD_FEN,
                at_us: day_us(first / A_DAY + 1),
            };
            someone.hold(hold).await;
        }
        if first >= orders / 4 && quarter.is_none() {
            quarter = Some(resident_bytes());
        }
    }
    someone.settle().await;
    turn.tell(PEAK, mib(peak_bytes()));
    turn.tell(LOAD_QUARTER, mib(quarter.expect("a load has a quarter")));
    turn.tell(LOAD_END, mib(resident_bytes()));
    opened.close().await;
}

/// Holds by 64 callers on a kiosk that was just started.
pub async fn rush(job: &Job, orders: u64) {
    let opened = Opened::open(&job.directory, job.sole(), Cache::Kiosk, Mode::Grouped).await;
    let (work, someone, time) = (work(orders), Arc::clone(&opened.someone), job.scale.hot);
    let turn = Turn { work: &work, disk: job.disk, who: job.sole() };
    let rush = tokio::spawn(async move { hold::run(&someone, 64, Spread::Random(orders), 1, time).await });
    tokio::time::sleep(time / 4).await;
    turn.tell(RUSH_QUARTER, mib(resident_bytes()));
    rush.await.expect("no caller panics");
    turn.tell(PEAK_RUSH, mib(peak_bytes()));
    turn.tell(RUSH_END, mib(resident_bytes()));
    opened.close().await;
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
