//! One process of a device, from its start to its death: its steps are counted, and it dies at one of them.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    GoOn,
    /// The disk fails it half done; the process lives.
    Fails(Failing),
    /// The process dies before it.
    Before,
    /// It dies in its middle.
    Torn,
    /// It dies as soon as it is done.
    After,
}

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    Io,
    Full,
    /// The file system was turned read-only, as Linux does with a broken one.
    ReadOnly,
}

/// What is counted of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// What changes the disk, and what goes over the network.
    Steps,
    /// Reads of the disk.
    Reads,
}

/// Where it goes wrong with a process, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doom {
    pub(crate) of: Of,
    pub(crate) at: u64,
    pub(crate) fate: Fate,
}

pub(crate) struct Life {
    course: Mutex<Course>,
    pub(crate) dead: watch::Sender<bool>,
    /// What was done, for whoever wants to know why it went wrong.
    diary: Arc<Diary>,
    name: String,
}

struct Course {
    steps: u64,
    reads: u64,
    doom: Option<Doom>,
    /// The doom has come.
    struck: bool,
}

impl Course {
    fn next(&mut self, of: Of) -> Fate {
        let count = match of {
            Of::Steps => &mut self.steps,
            Of::Reads => &mut self.reads,
        };
        *count += 1;
        let due = self.doom.filter(|doom| doom.of == of && doom.at == *count);
        self.struck |= due.is_some();
        due.map_or(Fate::GoOn, |doom| doom.fate)
    }
}

impl Life {
    pub(crate) fn begin(name: String, doom: Option<Doom>, diary: &Arc<Diary>) -> Arc<Life> {
        let (course, dead) =
            (Mutex::new(Course { steps: 0, reads: 0, doom, struck: false }), watch::Sender::new(false));
        Arc::new(Life { course, dead, diary: diary.clone(), name })
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().expect("nothing panics with the course in hand")
    }

    /// One more step towards the disk or the network. A dead process takes none.
    pub(crate) fn step(&self, what: &str) -> Fate {
        if !self.alive() {
            return Fate::Before;
        }
        let fate = self.course().next(Of::Steps);
        match fate {
            Fate::GoOn => self.note(what),
            Fate::Fails(how) => self.note(&format!("fails ({how:?}): {what}")),
            Fate::Before | Fate::Torn | Fate::After => {
                self.note(&format!("dies {fate:?} {what}"));
                self.dead.send_replace(true);
            }
        }
        fate
    }

    /// One more read of the disk; whether it fails.
    pub(crate) fn read(&self) -> bool {
        let fails = self.course().next(Of::Reads) != Fate::GoOn;
        if fails {
            self.note("a read fails");
        }
        fails
    }

    pub(crate) fn alive(&self) -> bool {
        !*self.dead.borrow()
    }

    /// Dies here and now, between two steps.
    pub(crate) fn kill(&self) {
        self.note("is killed");
        self.dead.send_replace(true);
    }

    /// Nothing goes wrong with it from here on.
    pub(crate) fn spare(&self) {
        self.course().doom = None;
    }

    /// How many steps and reads there were.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let course = self.course();
        (course.steps, course.reads)
    }

    /// Whether it went wrong where it was to.
    pub(crate) fn was_struck(&self) -> bool {
        self.course().struck
    }

    /// Waits for its death.
    pub(crate) async fn ended(&self) {
        self.dead.subscribe().wait_for(|dead| *dead).await.expect("the sender is here");
    }

    pub(crate) fn note(&self, what: &str) {
        self.diary.note(&self.name, what);
    }
}

/// Everything that happened in a run, in order: its hash tells two runs apart, its end tells what went wrong.
pub(crate) struct Diary(Mutex<Pages>);

struct Pages {
    hasher: blake3::Hasher,
    last: std::collections::VecDeque<String>,
    count: u64,
}

/// How much of a diary is kept to be read.
const LAST: usize = 120;

impl Diary {
    pub(crate) fn new() -> Arc<Diary> {
        let (hasher, last) = (blake3::Hasher::new(), std::collections::VecDeque::new());
        Arc::new(Diary(Mutex::new(Pages { hasher, last, count: 0 })))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("nothing panics with the diary in hand")
    }

    pub(crate) fn note(&self, who: &str, what: &str) {
        let line = format!("{who}: {what}");
        let mut pages = self.pages();
        pages.hasher.update(line.as_bytes());
        pages.count += 1;
        if pages.last.len() == LAST {
            pages.last.pop_front();
        }
        pages.last.push_back(line);
    }

    /// A hash over all of it.
    pub(crate) fn hash(&self) -> String {
        self.pages().hasher.finalize().to_hex().to_string()
    }

    /// The last lines.
    pub(crate) fn end(&self) -> String {
        self.pages().last.iter().map(|line| format!("  {line}\n")).collect()
    }
}
