//! A contender made of an engine: a mutex around it, or one thread that gathers what waits.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use crate::contender::{BoxFuture, Contender, Engine, Mode, Reads, Someone};
use crate::workload::{self, Hold};

/// Commands that share one transaction: as many as the ledger's.
const GROUP: usize = 256;

/// Opens an engine in a directory, to be used in that mode.
pub fn open<E: Engine>(directory: &Path, cache_bytes: u64, mode: Mode) -> Someone {
    let engine = E::open(directory, cache_bytes);
    let reads = Arc::new(engine.reads());
    match mode {
        Mode::Direct => Arc::new(Direct { engine: Arc::new(Mutex::new(engine)), reads }),
        Mode::Grouped => {
            let (commands, waiting) = mpsc::channel(1024);
            let thread = std::thread::Builder::new().name("peer-writer".to_owned());
            thread.spawn(move || write(engine, waiting)).expect("a thread");
            Arc::new(Grouped { commands, reads })
        }
    }
}

struct Direct<E: Engine> {
    engine: Arc<Mutex<E>>,
    reads: Arc<E::Reads>,
}

impl<E: Engine> Direct<E> {
    /// Blocking work where it is: a caller alone pays for no hop between threads.
    fn with<T>(&self, work: impl FnOnce(&mut E) -> T) -> T {
        tokio::task::block_in_place(|| work(&mut self.engine.lock().expect("no call panicked")))
    }
}

impl<E: Engine> Contender for Direct<E> {
    fn import(&self, page: Vec<u64>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let page: Vec<_> = page.into_iter().map(workload::order).collect();
            self.with(|engine| engine.import(&page));
        })
    }

    fn hold(&self, hold: Hold) -> BoxFuture<'_, bool> {
        Box::pin(async move { self.with(|engine| engine.hold(std::slice::from_ref(&hold))) == [true] })
    }

    fn lookup<'a>(&'a self, number: &'a str) -> BoxFuture<'a, Option<i64>> {
        Box::pin(async move { self.reads.lookup(number) })
    }

    fn day(&self, from_us: i64, to_us: i64) -> BoxFuture<'_, u64> {
        Box::pin(async move { self.reads.day(from_us, to_us) })
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.with(Engine::settle) })
    }
}

enum Command {
    Import(Vec<u64>, oneshot::Sender<()>),
    Hold(Hold, oneshot::Sender<bool>),
    Settle(oneshot::Sender<()>),
}

struct Grouped<R> {
    commands: mpsc::Sender<Command>,
    reads: Arc<R>,
}

impl<R: Reads> Grouped<R> {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> T {
        let (answer, answered) = oneshot::channel();
        assert!(self.commands.send(command(answer)).await.is_ok(), "the writer is there");
        answered.await.expect("the writer did not panic")
    }
}

/// Takes what waits and does it together: no timer, for while one sync runs the next group gathers.
fn write<E: Engine>(mut engine: E, mut waiting: mpsc::Receiver<Command>) {
    let mut next = waiting.blocking_recv();
    while let Some(command) = next.take() {
        match command {
            Command::Import(page, answer) => {
                let page: Vec<_> = page.into_iter().map(workload::order).collect();
                engine.import(&page);
                let _ = answer.send(());
            }
            Command::Settle(answer) => {
                engine.settle();
                let _ = answer.send(());
            }
            Command::Hold(hold, answer) => {
                let (mut holds, mut answers) = (vec![hold], vec![answer]);
                while holds.len() < GROUP {
                    match waiting.try_recv() {
                        Ok(Command::Hold(hold, answer)) => {
                            holds.push(hold);
                            answers.push(answer);
                        }
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                for (answer, granted) in answers.into_iter().zip(engine.hold(&holds)) {
                    let _ = answer.send(granted);
                }
            }
        }
        next = next.or_else(|| waiting.blocking_recv());
    }
}

impl<R: Reads> Contender for Grouped<R> {
    fn import(&self, page: Vec<u64>) -> BoxFuture<'_, ()> {
        Box::pin(self.ask(|answer| Command::Import(page, answer)))
    }

    fn hold(&self, hold: Hold) -> BoxFuture<'_, bool> {
        Box::pin(self.ask(|answer| Command::Hold(hold, answer)))
    }

    fn lookup<'a>(&'a self, number: &'a str) -> BoxFuture<'a, Option<i64>> {
        Box::pin(async move { self.reads.lookup(number) })
    }

    fn day(&self, from_us: i64, to_us: i64) -> BoxFuture<'_, u64> {
        Box::pin(async move { self.reads.day(from_us, to_us) })
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.ask(Command::Settle))
    }
}
