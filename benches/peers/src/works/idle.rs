//! A till at night: what is written while nobody asks for anything.

use crate::child::Job;
use crate::contender::Mode;
use crate::machine::written_bytes;
use crate::sample::Turn;
use crate::stage::{Cache, Opened};
use crate::workload::{self, HOLD_FEN, Hold};

pub const WORK: &str = "an idle hour";
pub const WRITTEN: &str = "KiB written";

/// Some work first, so that there is something to put in order at leisure; then none.
pub async fn act(job: &Job) {
    let opened = Opened::open(&job.directory, job.sole(), Cache::Kiosk, Mode::Grouped).await;
    for n in 0..100 {
        let (number, key) = (workload::number(n), format!("till3-evening-{n:012}"));
        opened.someone.hold(Hold { number, key, amount_fen: HOLD_FEN, at_us: workload::day_us(365) }).await;
    }
    opened.someone.settle().await;
    // What the evening left is put in order once, and must not count for each minute of the night.
    tokio::time::sleep(job.scale.idle / 4).await;
    let before = written_bytes();
    // The wait that is the work itself.
    tokio::time::sleep(job.scale.idle).await;
    let hours = job.scale.idle.as_secs_f64() / 3_600.0;
    let written = (written_bytes() - before) as f64 / 1_024.0;
    Turn { work: WORK, disk: job.disk, who: job.sole() }.tell(WRITTEN, written / hours);
    opened.close().await;
}
