//! Runs of a simulation side by side, each on a thread and a stopped clock of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// Runs `run` in a runtime whose time goes by only when nothing else is left to do.
pub(crate) fn alone<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(run)
}

/// Runs `run` for each of `these`, as many at once as the machine has cores. A panic is the word of one run.
pub(crate) fn each<A: Send, B: Send>(
    these: impl Iterator<Item = A> + Send,
    run: impl Fn(A) -> B + Sync,
) -> Vec<Result<B, String>> {
    let (these, done) = (Mutex::new(these), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = these.lock().expect("nothing panics while it asks for the next").next();
                    let Some(next) = next else { return };
                    let ended = catch_unwind(AssertUnwindSafe(|| run(next))).map_err(|panic| words(&*panic));
                    done.lock().expect("nothing panics while it notes an end").push(ended);
                }
            });
        }
    });
    done.into_inner().expect("all threads are done")
}

pub(crate) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
