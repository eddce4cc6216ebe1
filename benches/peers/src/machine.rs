//! What the operating system tells of a process and of files, and what it can be asked to forget.
//!
//! Linux alone: figures of another system would need other sources.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of this process in memory now.
pub fn resident_bytes() -> u64 {
    status_kib("VmRSS:") << 10
}

/// The most bytes of this process that were ever in memory at once.
pub fn peak_bytes() -> u64 {
    status_kib("VmHWM:") << 10
}

fn status_kib(field: &str) -> u64 {
    number_after("/proc/self/status", field)
}

/// Bytes that this process made the disk write, counted where a page of a file becomes dirty.
pub fn written_bytes() -> u64 {
    number_after("/proc/self/io", "write_bytes:")
}

fn number_after(path: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line =
        text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_else(|| panic!("{path} has no {field}"));
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// CPU time of this process, all threads.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).expect("below a second");
    Duration::new(u64::try_from(time.tv_sec).expect("not before the start"), nanoseconds)
}

/// Bytes of all blocks that the files below a directory take on the disk.
pub fn allocated_bytes(directory: &Path) -> u64 {
    let mut bytes = 0;
    each_file(directory, &mut |file| bytes += file.metadata().map_or(0, |file| file.blocks() * 512));
    bytes
}

/// Whether the disk under a directory has room for another turn of the fastest contender.
pub fn has_room(directory: &Path) -> bool {
    const TURN_BYTES: u64 = 4 << 30;
    rustix::fs::statvfs(directory).is_ok_and(|disk| disk.f_bavail * disk.f_frsize >= TURN_BYTES)
}

/// Has the system write out what it holds back for the disk under a directory.
pub fn quiet_disk(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = rustix::fs::syncfs(&directory);
    }
}

/// Writes all files below a directory out and drops their pages from the cache: what is read next comes from the disk.
pub fn forget_pages(directory: &Path) {
    each_file(directory, &mut |path| {
        if let Ok(file) = File::open(path) {
            file.sync_all().expect("synced");
            let advice = rustix::fs::Advice::DontNeed;
            rustix::fs::fadvise(&file, 0, None, advice).expect("a file takes advice");
        }
    });
}

fn each_file(directory: &Path, act: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { each_file(&path, act) } else { act(&path) }
    }
}

/// Waits until no thread of this process has the name, for a while.
pub fn await_end_of_threads(name: &str) {
    let since = Instant::now();
    while has_thread(name) && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn has_thread(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads
        .into_iter()
        .any(|thread| std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name))
}

/// Ends this process at once, as a kernel does it.
pub fn kill_self() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
