//! The run, and its children: the own binary again, told what to do by one argument, answering by lines.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::machine;
use crate::sample::{Disk, Said, Samples};
use crate::scale::Scale;
use crate::slow::Slow;
use crate::works::{Task, Work};

/// No child takes so long unless it hangs.
const TOO_LONG: Duration = Duration::from_secs(60 * 60);

/// The argument before a child's job.
pub const CHILD: &str = "--child";

/// What one child is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub task: Task,
    /// Each contender has a directory of its own in it.
    pub directory: PathBuf,
    pub disk: Disk,
    pub who: Vec<String>,
    pub scale: Scale,
}

impl Job {
    pub fn who(&self) -> impl Iterator<Item = &str> {
        self.who.iter().map(String::as_str)
    }

    /// The only contender of a job for one.
    pub fn sole(&self) -> &str {
        &self.who[0]
    }
}

/// What the user started: all works, one after the other.
pub struct Run {
    pub scale: Scale,
    /// All that is made lies in it, and goes with it.
    pub directory: PathBuf,
    pub who: Vec<String>,
    pub samples: Samples,
    slow: Option<Slow>,
    loaded: bool,
    since: Instant,
}

impl Run {
    pub fn new(scale: Scale, directory: PathBuf, who: Vec<String>) -> Run {
        let (mut samples, loaded, since) = (Samples::default(), false, Instant::now());
        let slow = Slow::build(&directory).map_err(|why| samples.take(Said::Note(why))).ok();
        Run { scale, directory, who, samples, slow, loaded, since }
    }

    /// Does the works; whatever one of them lacks, the others have their turn.
    pub fn works(&mut self, works: &[Work]) {
        for work in works {
            self.progress(&format!("{work:?}").to_lowercase());
            work.run(self);
        }
        self.progress("done");
    }

    /// Tells a person who waits.
    pub fn progress(&self, what: &str) {
        let seconds = self.since.elapsed().as_secs();
        eprintln!("[{:02}:{:02}] {what}", seconds / 60, seconds % 60);
    }

    /// Where the loaded orders are; loads them first, once.
    pub fn loaded(&mut self) -> PathBuf {
        let directory = self.directory.join("loaded");
        if !self.loaded {
            self.loaded = true;
            let who = self.who.clone();
            self.child(Task::Import, Disk::Fast, &directory, &who);
        }
        directory
    }

    /// One child; what it says is kept. Whether it ended as it should.
    pub fn child(&mut self, task: Task, disk: Disk, directory: &Path, who: &[String]) -> bool {
        self.children(task, disk, directory, &[who.to_vec()])
    }

    /// One child for each group of contenders, side by side.
    pub fn children(&mut self, task: Task, disk: Disk, directory: &Path, groups: &[Vec<String>]) -> bool {
        if groups.iter().all(Vec::is_empty) || (disk == Disk::Slow && self.slow.is_none()) {
            return false; // That there is no slow disk was said when it could not be made.
        }
        self.progress(&format!("  {task:?} on the {} disk: {}", disk.name(), groups.concat().join(", ")));
        std::fs::create_dir_all(directory).expect("the run's directory can be written to");
        if !machine::has_room(directory) {
            self.samples.take(Said::Note(format!("{task:?} was left out: the disk has less than 4 GiB free")));
            return false;
        }
        let children: Vec<_> = groups
            .iter()
            .map(|who| {
                let (task, directory, who, scale) =
                    (task.clone(), directory.to_owned(), who.clone(), self.scale.clone());
                self.start(&Job { task, directory, disk, who, scale })
            })
            .collect();
        let mut well = true;
        for (child, who) in children.into_iter().zip(groups) {
            let ended = child.and_then(|child| self.listen(child, task.dies()));
            if let Err(why) = ended {
                well = false;
                self.samples.take(Said::Note(format!("{task:?} of {} did not end well: {why}", who.join(", "))));
            }
        }
        well
    }

    fn start(&self, job: &Job) -> Result<Child, String> {
        let binary = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(binary);
        command.arg(CHILD).arg(serde_json::to_string(job).expect("plain values")).stdout(Stdio::piped());
        if let (Disk::Slow, Some(slow)) = (job.disk, &self.slow) {
            command.env("LD_PRELOAD", slow.library());
        }
        command.spawn().map_err(|error| error.to_string())
    }

    /// Takes what a child says until it ends, and ends it where it never does.
    fn listen(&mut self, mut child: Child, dies: bool) -> Result<(), String> {
        use std::os::unix::process::ExitStatusExt;
        let (lines, heard) = mpsc::channel();
        let stdout = child.stdout.take().expect("it is piped");
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let deadline = Instant::now() + TOO_LONG;
        let hangs = loop {
            match heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => match serde_json::from_str(&line) {
                    Ok(said) => self.samples.take(said),
                    Err(_) => eprintln!("{line}"),
                },
                Err(mpsc::RecvTimeoutError::Disconnected) => break false,
                Err(mpsc::RecvTimeoutError::Timeout) => break true,
            }
        };
        if hangs {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        let _ = listener.join();
        match status.signal() {
            _ if hangs => Err(format!("it was ended after {TOO_LONG:?}")),
            Some(9) if dies => Ok(()),
            _ if status.success() && !dies => Ok(()),
            _ => Err(status.to_string()),
        }
    }
}

/// In the child: does what it was told.
pub async fn act(job: &str) {
    let job: Job = serde_json::from_str(job).expect("a job is told by this very binary");
    job.task.clone().act(&job).await;
    // Who closes its files on a thread of its own is given the time to.
    tokio::task::block_in_place(|| machine::await_end_of_threads("peer-writer"));
}
