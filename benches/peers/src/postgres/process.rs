//! One of the two processes that hold: the own binary again, which opens every contender and takes its turns by lines.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tillbook::Ledger;
use tillbook::storage::postgres::{Postgres, PostgresOptions};

use super::arena::Arena;
use super::statements::{Grouped, Statement};
use crate::hold::{self, HoldOne};
use crate::workload::Spread;
use crate::{ledger, machine};

/// The argument before a process's job.
pub const CHILD: &str = "--postgres-child";

/// What a process is told at its start.
#[derive(Serialize, Deserialize)]
struct Job {
    number: u64,
    /// Contenders, each with its database's address.
    who: Vec<(String, String)>,
    connections: usize,
}

/// What a process is told to do next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Turn {
    pub who: String,
    pub callers: u64,
    pub spread: Spread,
    pub seed: u64,
    pub time: Duration,
}

/// What a turn took one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Took {
    pub holds: u64,
    pub granted: u64,
    pub time: Duration,
    /// CPU time of the process.
    pub cpu: Duration,
    /// Nanoseconds from call to answer, each with how often it was met.
    pub waits: Vec<(u64, u64)>,
}

impl Took {
    pub fn per_second(&self) -> f64 {
        self.holds as f64 / self.time.as_secs_f64()
    }
}

/// A process, for the one that started it.
pub struct Process {
    child: Child,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(number: u64, arena: &Arena, who: &[String], connections: usize) -> Process {
        let who = who.iter().map(|name| (name.clone(), arena.url(name))).collect();
        let job = serde_json::to_string(&Job { number, who, connections }).expect("plain values");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(CHILD).arg(job).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process starts");
        let told = child.stdin.take().expect("it is piped");
        let mut says = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut ready = String::new();
        says.read_line(&mut ready).expect("it says that all are open");
        assert_eq!(ready, "ready\n", "process {number} did not start");
        Process { child, told, says }
    }

    pub fn tell(&mut self, turn: &Turn) {
        let line = serde_json::to_string(turn).expect("plain values");
        writeln!(self.told, "{line}").expect("it listens");
    }

    pub fn hear(&mut self) -> Took {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).expect("a turn that nothing failed in")
    }

    pub fn end(self) {
        let Process { mut child, told, .. } = self;
        drop(told);
        assert!(child.wait().expect("it ends").success());
    }
}

/// In the process: does what it is told until nobody tells it anything more.
pub fn act() {
    let job: Job =
        serde_json::from_str(&std::env::args().nth(2).expect("a job")).expect("a job is told by this binary");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut who = HashMap::new();
    for (name, url) in &job.who {
        who.insert(name.clone(), runtime.block_on(open(name, url, &job)));
    }
    println!("ready");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let turn: Turn = serde_json::from_str(&line).expect("a turn is told by this binary");
        let before = machine::cpu_time();
        let held = runtime.block_on(hold::by(&who[&turn.who], turn.callers, turn.spread, turn.seed, turn.time));
        let cpu = machine::cpu_time().saturating_sub(before);
        let waits = held.latency.iter_recorded().map(|met| (met.value_iterated_to(), met.count_at_value())).collect();
        let took = Took { holds: held.holds, granted: held.granted, time: held.took, cpu, waits };
        println!("{}", serde_json::to_string(&took).expect("plain values"));
    }
}

async fn open(name: &str, url: &str, job: &Job) -> HoldOne {
    match name {
        "tillbook" => {
            let mut options = PostgresOptions::new(format!("till-{}", job.number).parse().expect("a name"));
            options.connections = job.connections;
            let storage = Arc::new(Postgres::open(url, &options).await.expect("opens"));
            let builder = Ledger::builder().device(options.device);
            let ledger = Arc::new(builder.storage(storage).await.expect("opens"));
            let account = ledger::connect(&ledger);
            Arc::new(move |hold| {
                let (ledger, account) = (Arc::clone(&ledger), account.clone());
                Box::pin(async move { ledger::hold(&ledger, &account, hold).await })
            })
        }
        "statement" => {
            let statement = Arc::new(Statement::open(url, job.connections + 1));
            Arc::new(move |hold| {
                let statement = Arc::clone(&statement);
                Box::pin(async move { statement.hold(hold).await })
            })
        }
        "grouped" => {
            let grouped = Arc::new(Grouped::open(url).await);
            Arc::new(move |hold| {
                let grouped = Arc::clone(&grouped);
                Box::pin(async move { grouped.hold(hold).await })
            })
        }
        other => panic!("{other} is none of the contenders"),
    }
}
