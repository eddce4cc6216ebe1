//! The journal over a disk in memory that tells each step: which room is taken, when, and what a restart writes again.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::disk::{Access, Disk, SegmentFile};
use super::frame::{FRAME_HEADER, FrameHeader, Kind, SEGMENT_HEADER};
use super::journal::Journal;
use super::segments::{End, Segments};
use crate::storage::StorageError;
use crate::storage::group::Room;
use crate::storage::place::{History, Place};

const SEGMENT: u64 = 16 * 1024;
/// What a write leaves free, always and for each refund that is being sent.
const SET_ASIDE: u64 = 4 * 1024;
const PER_ATTEMPT: u64 = 8 * 1024;
const HEADERS: u64 = (SEGMENT_HEADER + FRAME_HEADER) as u64;

#[derive(Default)]
struct Told {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    steps: Mutex<Vec<String>>,
    full: AtomicBool,
    broken: AtomicBool,
}

#[derive(Clone, Default)]
struct Memory(Arc<Told>);

struct InMemory {
    told: Arc<Told>,
    name: String,
}

impl Memory {
    fn segments(&self) -> Arc<Segments> {
        Arc::new(Segments::new(Arc::new(self.clone()), Path::new("journal")))
    }

    fn journal(&self) -> Journal {
        let journal = Journal::create(self.segments(), SEGMENT).expect("created");
        self.steps();
        journal
    }

    /// The steps since this was asked last.
    fn steps(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.steps.lock().expect("not poisoned"))
    }

    fn sizes(&self) -> Vec<u64> {
        self.0.files.lock().expect("not poisoned").values().map(|bytes| bytes.len() as u64).collect()
    }

    fn file(&self, segment: u32) -> Vec<u8> {
        self.0.files.lock().expect("not poisoned")[&Segments::name(segment)].clone()
    }

    fn change(&self, segment: u32, at: u64, bytes: &[u8]) {
        let mut files = self.0.files.lock().expect("not poisoned");
        let file = files.get_mut(&Segments::name(segment)).expect("there");
        file[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }

    /// Reads it as the next owner would: all payloads, and where it ends.
    fn read(&self) -> (Vec<Vec<u8>>, End) {
        let mut payloads = Vec::new();
        let end = self.segments().frames(1, &mut |frame| {
            payloads.push(frame.payload.to_vec());
            Ok(())
        });
        (payloads, end.expect("read"))
    }

    fn resume(&self, leave: bool) -> Journal {
        let (_, end) = self.read();
        Journal::resume(self.segments(), end, SEGMENT, leave).expect("resumed")
    }
}

impl Disk for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.files.lock().expect("not poisoned").keys().cloned().collect())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn SegmentFile>> {
        let mut files = self.0.files.lock().expect("not poisoned");
        if access == Access::Create {
            files.entry(name.to_owned()).or_default();
        }
        if !files.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(InMemory { told: Arc::clone(&self.0), name: name.to_owned() }))
    }

    fn sync_list(&self) -> io::Result<()> {
        self.0.steps.lock().expect("not poisoned").push("sync the list".to_owned());
        Ok(())
    }
}

impl InMemory {
    fn with<T>(&self, what: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        what(self.told.files.lock().expect("not poisoned").get_mut(&self.name).expect("there"))
    }

    fn step(&self, what: &str) {
        let number = self.name.trim_start_matches('0').trim_end_matches(".tbj");
        self.told.steps.lock().expect("not poisoned").push(format!("{number} {what}"));
    }
}

impl SegmentFile for InMemory {
    fn length(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.with(|bytes| {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            read
        }))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.step(&format!("write {} at {offset}", bytes.len()));
        self.with(|file| {
            let end = offset as usize + bytes.len();
            file.resize(file.len().max(end), 0);
            file[offset as usize..end].copy_from_slice(bytes);
        });
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        if self.told.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.step(&format!("allocate {length}"));
        self.with(|file| file.resize(file.len().max(length as usize), 0));
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.step(&format!("truncate {length}"));
        self.with(|file| file.truncate(length as usize));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.told.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk does not answer"));
        }
        self.step("sync");
        Ok(())
    }
}

fn append(journal: &mut Journal, payload: u64, room: Room, sending: u64) -> Result<u64, StorageError> {
    journal.append(Kind::Commit, &vec![b'x'; payload as usize], room, sending).map(|(number, _)| number)
}

#[test]
fn a_write_leaves_room_for_all_outcomes_here_or_in_a_blank_segment_and_takes_no_more() {
    for sending in [0, 1] {
        let reserve = SET_ASIDE + PER_ATTEMPT * sending;
        let fits = SEGMENT - HEADERS - reserve;
        for (payload, room, sizes) in [
            (fits, Room::Free, vec![SEGMENT]),
            (fits + 1, Room::Free, vec![SEGMENT, SEGMENT]),
            (fits + 1, Room::Reserved, vec![SEGMENT]),
        ] {
            let disk = Memory::default();
            append(&mut disk.journal(), payload, room, sending).expect("appended");
            assert_eq!(disk.sizes(), sizes, "{payload} bytes, {sending} being sent, {room:?}");
        }
    }
    // More refunds under way than a segment has room for: the blank one is made larger, and only then anew.
    let disk = Memory::default();
    let mut journal = disk.journal();
    for (sending, size) in [(3, 28_672), (3, 28_672), (2, 28_672), (4, 36_864)] {
        append(&mut journal, 1, Room::Free, sending).expect("appended");
        assert_eq!(disk.sizes(), [SEGMENT, SEGMENT_HEADER as u64 + size], "{sending} being sent");
    }
}

#[test]
fn a_frame_that_fits_to_the_last_byte_stays_and_the_next_begins_a_segment() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    append(&mut journal, 100, Room::Reserved, 0).expect("appended");
    let first = HEADERS + 100;
    append(&mut journal, SEGMENT - first - FRAME_HEADER as u64, Room::Reserved, 0).expect("appended");
    assert_eq!((journal.path().ends_with("00000001.tbj"), disk.sizes()), (true, vec![SEGMENT]));
    disk.steps();
    append(&mut journal, 7, Room::Reserved, 0).expect("appended");
    assert_eq!((journal.path().ends_with("00000002.tbj"), disk.sizes()), (true, vec![SEGMENT, SEGMENT]));
    let begun = ["2 allocate 16384", "2 sync", "sync the list", "2 write 80 at 0", "2 sync", "1 truncate 16384"];
    assert_eq!(disk.steps(), [&begun[..], &["2 write 71 at 80", "2 sync"]].concat());
    append(&mut journal, 8, Room::Reserved, 0).expect("appended");
    let (payloads, end) = disk.read();
    let lengths: Vec<usize> = payloads.iter().map(Vec::len).collect();
    assert_eq!(lengths, [100, (SEGMENT - first) as usize - FRAME_HEADER, 7, 8]);
    assert_eq!((end.segment, end.offset, end.chain.number), (2, 80 + 71 + 72, 4));
}

#[test]
fn a_segment_that_is_left_gives_back_what_it_does_not_need_and_one_too_small_is_made_larger() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    append(&mut journal, 36, Room::Reserved, 0).expect("appended");
    let huge = 3 * SEGMENT;
    append(&mut journal, huge, Room::Reserved, 0).expect("appended");
    assert_eq!(disk.sizes(), [HEADERS + 36, SEGMENT_HEADER as u64 + FRAME_HEADER as u64 + huge]);
    assert_eq!(disk.read().1.chain.number, 2);
}

#[test]
fn what_nothing_proves_to_be_synced_is_written_again_and_a_torn_end_is_blanked() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    for payload in [10, 20, 30] {
        append(&mut journal, payload, Room::Reserved, 0).expect("appended");
    }
    drop(journal);
    let third = HEADERS + 10 + FRAME_HEADER as u64 + 20;
    let end = third + FRAME_HEADER as u64 + 30;
    disk.change(1, end + 5, b"torn");
    disk.steps();
    let journal = disk.resume(false);
    // The third frame says that the second was synced; of the third nothing is known.
    let length = end - third;
    let want = [format!("1 write {length} at {third}"), format!("1 write 9 at {end}"), "1 sync".to_owned()];
    assert_eq!((disk.steps(), journal.number()), (want.to_vec(), 3));
    assert!(disk.file(1)[end as usize..].iter().all(|byte| *byte == 0));
    assert_eq!(disk.read().1.torn, None);
}

#[test]
fn a_journal_without_a_proven_frame_is_written_again_from_its_header() {
    let disk = Memory::default();
    append(&mut disk.journal(), 10, Room::Reserved, 0).expect("appended");
    disk.steps();
    disk.resume(false);
    assert_eq!(disk.steps(), [format!("1 write {} at 0", HEADERS + 10), "1 sync".to_owned()]);
}

#[test]
fn after_an_unclean_stop_the_journal_goes_on_in_a_new_segment_where_one_can_be_had() {
    // Nothing was written to the old one: it is as good as new.
    let disk = Memory::default();
    drop(disk.journal());
    let mut journal = disk.resume(true);
    append(&mut journal, 1, Room::Reserved, 0).expect("appended");
    assert_eq!(disk.sizes(), [SEGMENT]);

    let begun = |full: bool, payload: u64| {
        let disk = Memory::default();
        append(&mut disk.journal(), 1, Room::Reserved, 0).expect("appended");
        let mut journal = disk.resume(true);
        disk.0.full.store(full, Ordering::Relaxed);
        let appended = append(&mut journal, payload, Room::Reserved, 0).map_err(|error| error.to_string());
        (appended, disk.read().1.segment, disk.read().1.chain.number)
    };
    assert_eq!(begun(false, 1), (Ok(2), 2, 2));
    let rest = SEGMENT - (HEADERS + 1) - FRAME_HEADER as u64;
    assert_eq!(begun(true, rest), (Ok(2), 1, 2), "on a full disk the old one, synced again, serves as well");
    let (refused, segment, number) = begun(true, rest + 1);
    assert_eq!((refused.is_err(), segment, number), (true, 1, 1));
}

#[test]
fn only_the_first_write_after_an_unclean_stop_begins_a_segment_for_that() {
    let disk = Memory::default();
    append(&mut disk.journal(), 1, Room::Reserved, 0).expect("appended");
    let mut journal = disk.resume(true);
    for _ in 0..3 {
        append(&mut journal, 1, Room::Reserved, 0).expect("appended");
    }
    assert_eq!((disk.sizes().len(), disk.read().1.segment), (2, 2));
}

#[test]
fn a_blank_segment_that_was_set_aside_is_made_sure_of_at_open_and_used() {
    let disk = Memory::default();
    append(&mut disk.journal(), SEGMENT - HEADERS - SET_ASIDE + 1, Room::Free, 0).expect("appended");
    assert_eq!(disk.sizes(), [SEGMENT, SEGMENT]);
    disk.steps();
    let mut journal = disk.resume(false);
    assert_eq!(disk.steps()[1..], ["1 sync", "2 sync", "sync the list"]);
    append(&mut journal, SET_ASIDE, Room::Reserved, 0).expect("appended");
    let used = ["2 write 80 at 0", "2 sync", "1 truncate 12289", "2 write 4160 at 80", "2 sync"];
    assert_eq!(disk.steps(), used);
}

#[test]
fn a_full_disk_refuses_one_write_and_any_other_fault_all_that_follow() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    disk.0.full.store(true, Ordering::Relaxed);
    let refused = append(&mut journal, SEGMENT, Room::Free, 0).expect_err("refused");
    assert!(matches!(refused, StorageError::DiskFull { .. }), "{refused}");
    assert_eq!(append(&mut journal, 1, Room::Reserved, 0).expect("what fits is taken"), 1);
    disk.0.full.store(false, Ordering::Relaxed);
    assert_eq!(append(&mut journal, SEGMENT, Room::Free, 0).expect("there is room again"), 2);

    disk.0.broken.store(true, Ordering::Relaxed);
    let failed = append(&mut journal, 1, Room::Reserved, 0).expect_err("failed");
    assert!(matches!(failed, StorageError::Io { doing: "sync", .. }), "{failed}");
    disk.0.broken.store(false, Ordering::Relaxed);
    let poisoned = append(&mut journal, 1, Room::Reserved, 0).expect_err("nobody knows what is on disk");
    let StorageError::Poisoned { why } = poisoned else { panic!("not poisoned: {poisoned}") };
    assert_eq!(why, "sync journal/00000003.tbj: the disk does not answer");
}

#[test]
fn a_payload_is_read_back_from_its_place_and_what_changed_there_is_damage() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    journal.append(Kind::Commit, b"first", Room::Free, 0).expect("appended");
    let (number, place) = journal.append(Kind::Commit, b"second", Room::Free, 0).expect("appended");
    let offset = HEADERS + 5 + FRAME_HEADER as u64;
    assert_eq!((number, place), (2, Place { segment: 1, offset, length: 6, crc: crc32c::crc32c(b"second") }));
    let segments = disk.segments();
    assert_eq!(segments.read(place).expect("read"), b"second");
    let want = format!("journal/00000001.tbj byte {offset}");
    assert_eq!(segments.describe(place), want);
    disk.change(1, offset, b"S");
    let damaged = segments.read(place).expect_err("refused");
    let StorageError::Damaged { position, why, .. } = damaged else { panic!("not damage: {damaged}") };
    assert_eq!((position, why.as_str()), (offset, "it no longer holds what was written there"));
    // A place past the end of the file holds nothing, also where nothing was what was written.
    let nowhere = Place { offset: SEGMENT - 3, length: 6, crc: crc32c::crc32c(&[0; 6]), ..place };
    assert!(matches!(segments.read(nowhere), Err(StorageError::Damaged { .. })));
}

#[test]
fn a_frame_is_found_in_the_last_segment_that_begins_at_or_before_it() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    // Frames 1 and 2 in the first segment, 3 and 4 in the second, 5 in the third.
    for _ in 0..5 {
        append(&mut journal, SEGMENT / 2 - 200, Room::Reserved, 0).expect("appended");
    }
    let segments = disk.segments();
    let found: Vec<u32> = (0..=6).map(|frame| segments.segment_of(frame, 3).expect("found")).collect();
    assert_eq!(found, [1, 1, 1, 2, 2, 3, 3]);
    assert_eq!(segments.segment_of(5, 2).expect("found"), 2, "none above the last that is asked about");
}

#[test]
fn segments_that_do_not_follow_each_other_are_damage_with_their_reason() {
    let written = |sizes: &[u64]| {
        let disk = Memory::default();
        let mut journal = disk.journal();
        for size in sizes {
            append(&mut journal, *size, Room::Reserved, 0).expect("appended");
        }
        disk
    };
    let damage = |disk: &Memory| match disk.segments().frames(1, &mut |_| Ok(())) {
        Err(StorageError::Damaged { path, position, why }) => (path.display().to_string(), position, why),
        other => panic!("not damage: {other:?}"),
    };
    let sizes = [SEGMENT - HEADERS, 7];
    let (ours, other) = (written(&sizes), written(&sizes));
    ours.change(2, 0, &other.file(2));
    assert_eq!(damage(&ours), ("journal/00000002.tbj".to_owned(), 16, "it belongs to another ledger".to_owned()));

    let twice = written(&[10, 20]);
    let first = twice.file(1)[SEGMENT_HEADER..HEADERS as usize + 10].to_vec();
    twice.change(1, HEADERS + 10, &first);
    let why = "frame 1 does not follow frame 1".to_owned();
    assert_eq!(damage(&twice), ("journal/00000001.tbj".to_owned(), HEADERS + 10, why));
}

#[test]
fn a_frame_follows_the_one_before_it_by_its_segment_its_number_and_its_hash() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    append(&mut journal, 10, Room::Reserved, 0).expect("appended");
    let (_, end) = disk.read();
    let right = FrameHeader { segment: 1, kind: Kind::Commit, number: 2, synced_through: 1, previous: end.chain.hash };
    let read = |frame: FrameHeader| {
        disk.change(1, end.offset, &frame.encode(b"second"));
        disk.segments().frames(1, &mut |_| Ok(())).map(|end| end.chain.number).map_err(|error| error.to_string())
    };
    assert_eq!(read(right), Ok(2));
    for wrong in [
        FrameHeader { segment: 2, ..right },
        FrameHeader { number: 3, ..right },
        FrameHeader { previous: [7; 32], ..right },
    ] {
        let refused = read(wrong).expect_err("refused");
        let why = format!("frame {} does not follow frame 1", wrong.number);
        assert!(refused.contains(&why) && refused.contains(&format!("byte {}", end.offset)), "{refused}");
    }
}

#[test]
fn a_frame_larger_than_any_segment_so_far_is_taken() {
    let disk = Memory::default();
    let mut journal = disk.journal();
    append(&mut journal, 14 << 20, Room::Reserved, 0).expect("appended");
    assert_eq!(disk.read().0[0].len(), 14 << 20);
}

#[test]
fn a_write_that_a_full_disk_refused_leaves_the_new_segment_to_the_next() {
    let disk = Memory::default();
    append(&mut disk.journal(), 1, Room::Reserved, 0).expect("appended");
    let mut journal = disk.resume(true);
    disk.0.full.store(true, Ordering::Relaxed);
    append(&mut journal, SEGMENT, Room::Reserved, 0).expect_err("refused");
    disk.0.full.store(false, Ordering::Relaxed);
    append(&mut journal, 1, Room::Reserved, 0).expect("appended");
    assert_eq!(disk.read().1.segment, 2);
}
