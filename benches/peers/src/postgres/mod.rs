//! Holds on a PostgreSQL server, from two processes at once: the ledger beside the single statement that a careful user
//! would write for the same rows. `cargo run --release --features postgres -- postgres`; no part of the whole run.
//!
//! The server is one of the run's own, with nothing about durability changed. All contenders begin with the very same
//! rows, in databases of that server, have their turns one after the other in the same rounds, and may use as many
//! connections. Start reading at [`run`]; `statements.rs` has the peers, `process.rs` what each of the two does.

mod arena;
mod process;
mod report;
mod server;
mod statements;

use std::path::PathBuf;
use std::time::Duration;

use crate::workload::Spread;
use arena::Arena;
pub use process::{CHILD, act};
use process::{Process, Took, Turn};
use report::Measured;

/// The contenders: the ledger, one statement a hold, and one statement a group of holds.
pub const EVERYBODY: [&str; 3] = ["tillbook", "statement", "grouped"];

/// From how many processes the callers come.
const PROCESSES: u64 = 2;

/// Holds a second that the hot set is made large enough for.
const HOT_RATE: u64 = 30_000;

#[derive(clap::Args)]
pub struct Arguments {
    /// A smoke run: everything runs, no figure means anything
    #[arg(long)]
    quick: bool,
    /// Callers of each of the two processes
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,256")]
    callers: Vec<u64>,
    /// The contenders; all unless named
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = EVERYBODY)]
    who: Vec<String>,
    /// Orders that the holds are spread over
    #[arg(long, default_value_t = 200_000)]
    orders: u64,
    /// Seconds of one turn
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Turns of each contender
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Connections for reads of each process's ledger, which takes one more to write; the peers have as many for all
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Where the answers are written
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
}

/// One kind of turn.
#[derive(Clone, Debug)]
struct Kind {
    name: String,
    callers: u64,
    is_hot: bool,
}

impl Arguments {
    fn kinds(&self) -> Vec<Kind> {
        let of = |callers: u64| Kind { name: format!("2 x {callers} callers"), callers, is_hot: false };
        let hot = Kind { name: "2 x 64 callers, 64 hot orders".to_owned(), callers: 64, is_hot: true };
        self.callers.iter().map(|callers| of(*callers)).chain([hot]).collect()
    }

    /// Orders beside the others that one turn on the hot set needs.
    fn hot_orders_of_turn(&self) -> u64 {
        (self.time().as_secs().max(1) * HOT_RATE / 50).div_ceil(64) * 64
    }

    fn time(&self) -> Duration {
        if self.quick { Duration::from_millis(500) } else { Duration::from_secs(self.seconds) }
    }
}

/// Measures, and writes what came of it. Whatever fails ends it: a figure of a run with a failure in it is worth nothing.
pub fn run(arguments: &Arguments) {
    let (orders, rounds) = if arguments.quick { (4_000, 2) } else { (arguments.orders, arguments.rounds) };
    let who: Vec<String> = match &*arguments.who {
        [] => EVERYBODY.map(str::to_owned).to_vec(),
        named => named.to_vec(),
    };
    let hot = arguments.hot_orders_of_turn();
    eprintln!("{} orders are loaded", orders + rounds * hot);
    let arena = Arena::make(&who, orders + rounds * hot);
    let mut processes: Vec<_> =
        (0..PROCESSES).map(|number| Process::start(number, &arena, &who, arguments.connections)).collect();
    let kinds = arguments.kinds();
    let mut measured = Measured::default();
    for round in 0..rounds {
        for (number, kind) in (1_u64..).zip(&kinds) {
            // Each one's turn comes first in some round.
            let mut turns = who.clone();
            turns.rotate_left(usize::try_from(round).expect("few rounds") % who.len());
            for who in turns {
                let first = orders + round * hot;
                let spread = if kind.is_hot { Spread::Hot { first, among: PROCESSES } } else { Spread::Random(orders) };
                let (callers, time) = (kind.callers, arguments.time());
                // No two turns, and no two processes, share a refund key.
                let seed = (round * 100 + number) * PROCESSES;
                let turn = Turn { who: who.clone(), callers, spread, seed, time };
                let (before, since) = (arena.spent(), std::time::Instant::now());
                let took = both(&mut processes, &turn);
                measured.take(&kind.name, &who, &took, &before, &arena.spent());
                let rate: f64 = took.iter().map(Took::per_second).sum();
                eprintln!("round {round}, {}: {who} {rate:.0}/s, {:.1?}", kind.name, since.elapsed());
            }
        }
    }
    processes.into_iter().for_each(Process::end);
    measured.notes = who.iter().map(|who| arena.audit(who)).collect();
    report::write(&measured, arguments, &arena.version(), &kinds, &who).expect("the answers can be written");
}

/// One turn of both processes, begun at once.
fn both(processes: &mut [Process], turn: &Turn) -> Vec<Took> {
    for (number, process) in (0..).zip(&mut *processes) {
        process.tell(&Turn { seed: turn.seed + number, ..turn.clone() });
    }
    processes.iter_mut().map(Process::hear).collect()
}
