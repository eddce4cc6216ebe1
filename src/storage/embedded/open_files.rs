//! The segments that were read last, open. Which they are is not a matter of age: the oldest hold the facts of most
//! orders, the youngest their last refunds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::disk::SegmentFile;

/// How many files are kept open for reading: of the size they have unless asked otherwise, two gigabytes of history.
const OPEN: usize = 256;

/// Files, each with the turn of its last reading.
#[derive(Default)]
pub(super) struct OpenFiles {
    files: BTreeMap<u32, (u64, Arc<dyn SegmentFile>)>,
    turn: u64,
}

impl OpenFiles {
    pub(super) fn get(&mut self, segment: u32) -> Option<Arc<dyn SegmentFile>> {
        self.turn += 1;
        let (used, file) = self.files.get_mut(&segment)?;
        *used = self.turn;
        Some(Arc::clone(file))
    }

    /// Keeps one more, in the place of the one that was not read for longest.
    pub(super) fn insert(&mut self, segment: u32, file: Arc<dyn SegmentFile>) {
        if self.files.len() >= OPEN
            && let Some(idle) = self.files.iter().min_by_key(|(_, (used, _))| *used).map(|(segment, _)| *segment)
        {
            self.files.remove(&idle);
        }
        self.files.insert(segment, (self.turn, file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_was_not_read_for_longest_makes_room() {
        let file: Arc<dyn SegmentFile> = Arc::new(tempfile::tempfile().expect("a file"));
        let mut open = OpenFiles::default();
        let last = u32::try_from(OPEN).expect("few");
        for segment in 1..=last {
            assert!(open.get(segment).is_none());
            open.insert(segment, Arc::clone(&file));
        }
        assert!(open.get(1).is_some(), "read again");
        open.insert(last + 1, file);
        let gone: Vec<u32> = (1..=last + 1).filter(|segment| open.get(*segment).is_none()).collect();
        assert_eq!(gone, [2]);
    }
}
