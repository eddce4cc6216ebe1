//! The kinds of entries that lie in pages: which page a key is in, and what becomes of pages when entries change.
//!
//! Only the index's thread changes pages; whoever reads meanwhile finds each page whole, before or after a change. A
//! page that is cut in two, or that goes, changes together with its neighbour.

use std::borrow::Cow;

use sled::IVec;

use super::page::{self, Page};
use super::tree::{GARBLED, READS, Tree, Whole};
use crate::storage::key::{Change, Key};
use crate::storage::value::Value;
use crate::storage::view::Chunk;

impl Tree {
    pub(super) fn get_in_page(&self, key: &[u8]) -> Result<Option<Value>, String> {
        let Some((bound, content)) = self.page_of(key)? else { return Ok(None) };
        let found = Page::find(&bound, content.bytes(), key).ok_or(GARBLED)?;
        Ok(found.map(Value::from))
    }

    pub(super) fn range_in_pages(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, String> {
        let mut chunk = Chunk::default();
        let mut from = Cow::Borrowed(from);
        while let Some((bound, content)) = self.page_of(&from)? {
            let page = Page::read(&bound, content.bytes()).ok_or(GARBLED)?;
            for (key, value) in page.entries().skip_while(|(key, _)| **key < *from) {
                if key >= to {
                    return Ok(chunk);
                }
                if chunk.entries.len() == limit {
                    chunk.next = Some(Key::from(key));
                    return Ok(chunk);
                }
                chunk.entries.push((Key::from(key), Value::from(value)));
            }
            match page.end().filter(|end| *end < to) {
                Some(end) => from = Cow::Owned(end.to_vec()),
                None => break,
            }
        }
        Ok(chunk)
    }

    pub(super) fn apply_in_pages(&self, mut changes: Vec<&Change>) -> Result<(), String> {
        changes.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let values: Vec<Option<Cow<'_, [u8]>>> =
            changes.iter().map(|(_, value)| value.as_ref().map(Value::bytes)).collect();
        let changes: Vec<page::Change<'_>> =
            changes.iter().zip(&values).map(|((key, _), value)| (&**key, value.as_deref())).collect();
        let mut rest = changes.as_slice();
        while let Some((first, _)) = rest.first() {
            let kind = &first[..1];
            let found = self.page_of(first)?;
            let (bound, page) = match &found {
                Some((bound, content)) => (&**bound, Page::read(bound, content.bytes()).ok_or(GARBLED)?),
                None => (kind, Page::empty()),
            };
            let is_in = |key: &[u8]| key.starts_with(kind) && page.end().is_none_or(|end| key < end);
            let (of_page, further) = rest.split_at(rest.partition_point(|(key, _)| is_in(key)));
            rest = further;
            let pages = page.changed(bound, of_page);
            if !pages.is_empty() {
                let pages: Vec<_> = pages.iter().map(|(bound, content)| (&**bound, content.as_slice())).collect();
                self.put_pages(&pages, None)?;
            } else if bound == kind {
                // The first page of a kind stays: what comes before all others needs a place.
                self.put_pages(&[(bound, &page::without_entries(bound, page.end()))], None)?;
            } else {
                self.join_to_the_one_before(bound, page.end())?;
            }
        }
        Ok(())
    }

    /// The page that a key is in or would be in, with its bound; `None`: there is none of the kind yet.
    fn page_of(&self, key: &[u8]) -> Result<Option<(IVec, Whole)>, String> {
        if let Some((bound, content)) = self.fresh.page_of(key) {
            return Ok(Some((bound, Whole::Fresh(content))));
        }
        for _ in 0..READS {
            let found = self.last_up_to(key)?;
            let Some((bound, first)) = found.filter(|(bound, _)| bound.first() == key.first()) else {
                return Ok(None);
            };
            // A page that goes while it is read leaves its place to the one before it.
            if let Some(content) = self.whole(&bound, first)? {
                return Ok(Some((bound, content)));
            }
        }
        Err(GARBLED.to_owned())
    }

    /// Removes a page that has no entries: the page before it now ends where this one did.
    fn join_to_the_one_before(&self, bound: &[u8], end: Option<&[u8]>) -> Result<(), String> {
        let (before, first) = self.last_before(bound)?.ok_or(GARBLED)?;
        let content = self.whole(&before, first)?.ok_or(GARBLED)?;
        let longer = page::with_end(&before, content.bytes(), end).ok_or(GARBLED)?;
        self.put_pages(&[(&before, &longer)], Some(bound))
    }

    /// Puts pages and removes one, all at once.
    fn put_pages(&self, pages: &[(&[u8], &[u8])], gone: Option<&[u8]>) -> Result<(), String> {
        self.put_at_once(pages, gone)?;
        self.fresh.written(pages, gone);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::test_runner::Config;

    use super::*;
    use crate::storage::key::{self, Builder};

    /// Keys of two kinds that lie in pages and of one between them that does not.
    const KINDS: [u8; 3] = [key::REFUND, key::RECORD, key::SEQUENCE];

    fn tree(directory: &tempfile::TempDir) -> Tree {
        Tree::open(directory.path().join("index-1"), 1, 1 << 20).expect("sled opens it")
    }

    /// Where each key of a batch goes: after all others, before all others, anywhere.
    #[derive(Clone, Copy, Debug)]
    enum Where {
        Ahead,
        Behind,
        Anywhere,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put { kind: usize, place: Where, count: u16, length: usize },
        Remove { kind: usize, every: usize, from: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = prop_oneof![Just(Where::Ahead), Just(Where::Behind), Just(Where::Anywhere)];
        let length = prop_oneof![8 => 0_usize..60, 1 => Just(9_000)];
        let put = (0_usize..3, place, 1_u16..120, length);
        let put = put.prop_map(|(kind, place, count, length)| Step::Put { kind, place, count, length });
        let remove = (0_usize..3, 1_usize..4, 0_usize..200);
        prop_oneof![3 => put, 1 => remove.prop_map(|(kind, every, from)| Step::Remove { kind, every, from })]
    }

    /// The changes of a step, with keys that follow from how many there were.
    fn changes(step: &Step, seen: &mut u32, expected: &BTreeMap<Key, Vec<u8>>) -> Vec<Change> {
        match *step {
            Step::Put { kind, place, count, length } => (0..count)
                .map(|_| {
                    *seen += 1;
                    let number = match place {
                        Where::Ahead => (1 << 40) + u64::from(*seen),
                        Where::Behind => (1 << 40) - u64::from(*seen),
                        Where::Anywhere => u64::from(seen.wrapping_mul(2_654_435_761)) << 9,
                    };
                    let length = if seen.is_multiple_of(50) { length } else { length % 100 };
                    let value = vec![u8::try_from(*seen % 251).unwrap_or(0); length];
                    (Builder::new(KINDS[kind]).number(number).text("shop-1").key(), Some(Value::from(value)))
                })
                .collect(),
            Step::Remove { kind, every, from } => {
                let of_kind = expected.keys().filter(|key| key[0] == KINDS[kind]);
                of_kind.skip(from).step_by(every).map(|key| (key.clone(), None)).collect()
            }
        }
    }

    fn in_ranges(tree: &Tree, kind: u8, limit: usize) -> Vec<(Key, Vec<u8>)> {
        let (mut from, mut found) = (Key::from([kind]), Vec::new());
        loop {
            let chunk = tree.range(&from, &key::end_of(&[kind]), limit).expect("read");
            assert!(chunk.entries.len() <= limit);
            found.extend(chunk.entries.into_iter().map(|(key, value)| (key, value.bytes().into_owned())));
            match chunk.next {
                Some(next) => from = next,
                None => return found,
            }
        }
    }

    proptest! {
        #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

        #[test]
        fn entries_in_pages_are_those_that_a_map_would_hold(steps in vec(step(), 1..24), limit in 1_usize..90) {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let tree = tree(&directory);
            let mut expected: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
            let mut seen = 0;
            for (frame, step) in (1..).zip(&steps) {
                let changes = changes(step, &mut seen, &expected);
                tree.apply(&changes, frame).expect("applied");
                for (key, value) in changes {
                    match value {
                        Some(value) => expected.insert(key, value.bytes().into_owned()),
                        None => expected.remove(&key),
                    };
                }
            }
            for kind in KINDS {
                let of_kind = expected.iter().filter(|(key, _)| key[0] == kind);
                let want: Vec<_> = of_kind.map(|(key, value)| (key.clone(), value.clone())).collect();
                prop_assert_eq!(in_ranges(&tree, kind, limit), want);
            }
            for (key, value) in &expected {
                let found = tree.get(key).expect("read").map(|found| found.bytes().into_owned());
                prop_assert_eq!(found.as_ref(), Some(value));
                prop_assert!(tree.get(&key::after(key)).expect("read").is_none());
            }
        }
    }

    #[test]
    fn entries_that_come_in_order_fill_their_pages_and_those_that_all_go_leave_one_page() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let tree = tree(&directory);
        let key = |number| Builder::new(key::STATE).number(number).key();
        let change = |number, there: bool| (key(number), there.then(|| Value::from([0; 40])));
        for frame in 0..50 {
            let changes: Vec<Change> = (0..20).map(|number| change(frame * 20 + number, true)).collect();
            tree.apply(&changes, frame).expect("applied");
        }
        // 53 bytes each, so 19 a page.
        assert_eq!(tree.keys_from(key::STATE), 53);
        let all: Vec<Change> = (0..1_000).map(|number| change(number, false)).collect();
        for (frame, some) in (50..).zip(all.chunks(7)) {
            tree.apply(some, frame).expect("applied");
        }
        assert_eq!(tree.keys_from(key::STATE), 1);
        tree.apply(&[change(500, true)], 300).expect("applied");
        assert_eq!(in_ranges(&tree, key::STATE, 10), [(key(500), vec![0; 40])]);
    }

    #[test]
    fn what_is_no_page_is_garbled_and_never_taken_for_one() {
        let entries: Vec<Vec<u8>> = (0..5).map(|number| vec![b'k', b'e', number]).collect();
        let changes: Vec<page::Change<'_>> = entries.iter().map(|key| (&**key, Some(&key[..]))).collect();
        let [(_, content)] = &Page::empty().changed(b"k", &changes)[..] else { panic!("one page") };
        let read = |content: &[u8]| Page::read(b"k", content).map(|page| page.entries().count());
        assert_eq!(read(content), Some(5));
        // Cut where an entry ends it is a shorter page: the checksum beside it finds that out.
        let shorter: Vec<usize> = (0..content.len()).filter_map(|end| read(&content[..end])).collect();
        assert_eq!(shorter, [0, 1, 2, 3, 4]);
        assert!(read(&[1, b'k', 0x80, 0x80, 0x80, 0x80, 0x80]).is_none());
        assert!(Page::find(b"k", &[1, b'k', 0, 9, 1, 1, 1], b"k").is_none());
        // In the place of another one it is not that one.
        assert!(Page::read(b"kea", content).is_none() && page::with_end(b"kea", content, None).is_none());
    }
}
