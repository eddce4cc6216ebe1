//! What the disk alone takes: the bytes of one hold written behind each other, each write synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tillbook::storage::embedded::disk::{Access, Directory, Disk, SegmentFile};

use super::Turn;
use super::figures::Slice;
use super::place::failed;
use crate::cli::exit::Failure;

/// Where the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Into room that was set aside before, as the journal does it: the least that a disk can do.
    SetAside,
    /// To the end of a file that grows: its new length has to be noted too.
    Growing,
}

/// A file of the disk.
pub(super) struct Floor {
    file: Arc<dyn SegmentFile>,
    path: PathBuf,
    frame_bytes: usize,
    end: u64,
}

impl Floor {
    /// Makes it in a directory, for at most so many writes of that many bytes.
    pub(super) fn make(directory: &Path, room: Room, frame_bytes: usize, most: u64) -> Result<Floor, Failure> {
        let name = match room {
            Room::SetAside => "floor",
            Room::Growing => "append",
        };
        let path = directory.join(name);
        let made = || -> io::Result<Arc<dyn SegmentFile>> {
            let disk = Directory::new(directory);
            let file = disk.open(name, Access::Create)?;
            if room == Room::SetAside {
                file.allocate(most * frame_bytes as u64)?;
            }
            file.sync()?;
            disk.sync_list()?;
            Ok(file)
        };
        let file = made().map_err(|error| failed("make", &path, &error))?;
        Ok(Floor { file, path, frame_bytes, end: 0 })
    }

    /// Writes and syncs for a turn, one after the other.
    pub(super) async fn write(&mut self, turn: Turn) -> Result<Slice, Failure> {
        let (file, path, from) = (Arc::clone(&self.file), self.path.clone(), self.end);
        // Nothing that a disk could shorten by packing it.
        let bytes: Vec<u8> = (0..self.frame_bytes).map(|at| (at * 167 % 251) as u8).collect();
        let length = bytes.len() as u64;
        let work = move || {
            let since = Instant::now();
            let mut waits = Vec::new();
            while turn.may_begin(waits.len() as u64, waits.len()) {
                let asked = Instant::now();
                let written = file.write_at(&bytes, from + waits.len() as u64 * length).and_then(|()| file.sync());
                written.map_err(|error| failed("write to", &path, &error))?;
                waits.push(asked.elapsed());
            }
            Ok::<Slice, Failure>(Slice { waits, elapsed: since.elapsed() })
        };
        let slice = tokio::task::spawn_blocking(work).await.map_err(|error| Failure::of("internal", &error))??;
        self.end += slice.waits.len() as u64 * length;
        Ok(slice)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn both_files_have_the_same_bytes_and_only_one_has_room_beside_them() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut files = Vec::new();
        for (room, name) in [(Room::SetAside, "floor"), (Room::Growing, "append")] {
            let mut floor = Floor::make(directory.path(), room, 100, 6).expect("made");
            for _ in 0..2 {
                let turn = Turn { until: Instant::now() + Duration::from_secs(3_600), most: 2 };
                let slice = floor.write(turn).await.expect("written");
                assert_eq!(slice.waits.len(), 2);
                assert!(slice.elapsed >= slice.waits.iter().sum());
            }
            files.push(fs::read(directory.path().join(name)).expect("readable"));
        }
        assert_eq!(files[1].len(), 400);
        assert_eq!(files[0], [files[1].clone(), vec![0; 200]].concat());
    }
}
