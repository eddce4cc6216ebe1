//! All that touches the operating system beyond plain files: room on disk, positioned reads and
//! writes, what a directory holds, boots, machines, which file is which.
//!
//! Linux does all of it. Elsewhere: room is taken by writing zeros; Windows has no sync of a
//! directory (NTFS journals its entries) and tells no boot, so there and on macOS the index is rebuilt
//! after every unclean stop. Only Unix tells a file from its copy.

use std::fs::File;
use std::io;
use std::path::Path;

/// Reads at a position; fewer bytes than asked only at the end of the file.
pub(super) fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut total = 0;
    while !buffer.is_empty() {
        match read_some(file, buffer, offset) {
            Ok(0) => break,
            Ok(read) => {
                total += read;
                offset += read as u64;
                buffer = &mut buffer[read..];
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(total)
}

#[cfg(unix)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Has the system fetch what is read next. A hint: where it cannot be given, the read waits as it would have.
#[cfg(target_os = "linux")]
pub(super) fn announce(file: &File, offset: u64, length: u64) {
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(length), rustix::fs::Advice::WillNeed);
}

/// Has the system fetch what is read next: on Linux alone.
#[cfg(not(target_os = "linux"))]
pub(super) fn announce(_: &File, _: u64, _: u64) {}

/// Writes all bytes at a position.
#[cfg(unix)]
pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Writes all bytes at a position.
#[cfg(windows)]
pub(super) fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Makes a file at least `length` bytes long, zeros where it was shorter, with its blocks taken:
/// writing there later does not run out of space (on file systems that write in place).
pub(super) fn allocate(file: &File, length: u64) -> io::Result<()> {
    let from = file.metadata()?.len();
    if from >= length {
        return Ok(());
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), from, length - from) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {}
        Err(e) => {
            // What was taken before the disk was full is given back.
            let _ = file.set_len(from);
            return Err(e.into());
        }
    }
    let zeros = vec![0; 256 * 1024];
    let mut at = from;
    while at < length {
        let part = usize::try_from(length - at).map_or(zeros.len(), |left| left.min(zeros.len()));
        if let Err(e) = write_at(file, &zeros[..part], at) {
            let _ = file.set_len(from);
            return Err(e);
        }
        at += part as u64;
    }
    Ok(())
}

/// Makes the entries of a directory durable: files made or removed in it.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return File::open(directory)?.sync_all();
    #[cfg(not(unix))]
    {
        let _ = directory;
        Ok(())
    }
}

/// What changes with every boot of the machine, where the system tells: a process that dies within one
/// boot loses nothing it has written.
pub(super) fn boot() -> Option<String> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let boot = boot.trim();
        (!boot.is_empty()).then(|| boot.to_owned())
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    None
}

/// What tells a file from its copy, where the system has such a thing.
pub(super) fn identity(file: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(file).ok()?;
        Some(format!("{}:{}", metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// What tells an open file from every copy of it: its inode, and when it was made. Kept by a move within one
/// file system. `None` where the system does not tell.
pub(super) fn birth(file: &File) -> io::Result<(Option<u64>, Option<jiff::Timestamp>)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata()?;
        let born = metadata.created().ok().and_then(|born| jiff::Timestamp::try_from(born).ok());
        Ok((Some(metadata.ino()), born))
    }
    #[cfg(not(unix))]
    {
        // Windows hands a file's time of birth on to one that takes its name soon after.
        let _ = file;
        Ok((None, None))
    }
}

/// A hash of the machine's id, where it has one. The id itself is not to be shown around.
pub(super) fn machine() -> Option<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    // Images that were never started say "uninitialized", or nothing.
    let id = id.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| {
        blake3::Hash::from(blake3::derive_key("tillbook 2025 instance of a machine", id.as_bytes()))
            .to_hex()
            .to_string()
    })
}

/// Whether a write failed for want of space, or of the user's share of it.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes a directory that nobody else can look into, where the system has users.
pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_announced_is_read_as_it_is_and_what_is_not_there_may_be_announced() {
        let file = tempfile::tempfile().expect("a file");
        write_at(&file, b"one two", 0).expect("written");
        for (offset, length) in [(4, 3), (4, 0), (1 << 40, 3)] {
            announce(&file, offset, length);
        }
        let mut word = [0; 3];
        assert_eq!((read_at(&file, &mut word, 4).expect("read"), &word), (3, b"two"));
    }
}
