//! Short entries of the index, many to a value: sled's price is per key, and most entries come in the order of their
//! keys.
//!
//! A page holds the entries of one kind from its bound, which is its key in sled, up to the bound of the next page,
//! which it knows. The first page of a kind begins with the kind. So each key has one page that it is in or would be
//! in, and who reads page after page can tell that a page was cut in two meanwhile.

use std::cmp::Ordering;

use crate::storage::key::Key;

/// A page beyond so many bytes is cut. Less costs more keys, more costs more to write again for one entry.
const MOST: usize = 1024;

/// The entries of a page, in order.
pub(super) struct Page<'a> {
    /// Where the next page begins; `None`: this is the last one of its kind.
    end: Option<&'a [u8]>,
    /// All keys, one after the other.
    keys: Vec<u8>,
    /// How long each key is, and its value.
    entries: Vec<(usize, &'a [u8])>,
}

/// A key with its value.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// A key with what it leads to from now on; `None`: to nothing.
pub(super) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

impl<'a> Page<'a> {
    /// The only page of a kind that has no entries.
    pub(super) fn empty() -> Page<'a> {
        Page { end: None, keys: Vec::new(), entries: Vec::new() }
    }

    /// The page of that bound as it was written; `None`: it is none, or another one.
    pub(super) fn read(bound: &[u8], content: &'a [u8]) -> Option<Page<'a>> {
        let mut rest = content;
        let end = begun(bound, &mut rest)?;
        let mut page = Page { end, ..Page::empty() };
        let mut key = bound.to_vec();
        while !rest.is_empty() {
            let value = next(&mut rest, &mut key)?;
            page.keys.extend_from_slice(&key);
            page.entries.push((key.len(), value));
        }
        Some(page)
    }

    /// The value of a key in the page of that bound as it was written; `None`: it is none, or another one.
    pub(super) fn find(bound: &[u8], content: &'a [u8], wanted: &[u8]) -> Option<Option<&'a [u8]>> {
        let mut rest = content;
        begun(bound, &mut rest)?;
        let mut key = bound.to_vec();
        while !rest.is_empty() {
            let value = next(&mut rest, &mut key)?;
            match key.as_slice().cmp(wanted) {
                Ordering::Less => {}
                Ordering::Equal => return Some(Some(value)),
                Ordering::Greater => break,
            }
        }
        Some(None)
    }

    /// Where the next page begins; `None`: this is the last one of its kind.
    pub(super) fn end(&self) -> Option<&'a [u8]> {
        self.end
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().scan(0, |from, (length, value)| {
            let key = &self.keys[*from..*from + length];
            *from += length;
            Some((key, *value))
        })
    }

    /// The pages that take its place once changes are in it, which are sorted: each with its bound, the first one with
    /// this one's. None at all: no entries are left.
    pub(super) fn changed(&self, bound: &[u8], changes: &[Change<'_>]) -> Vec<(Key, Vec<u8>)> {
        let old: Vec<Entry<'_>> = self.entries().collect();
        let grown = Grown::of(&old, changes);
        let merged = merged(&old, changes);
        let pages = cut(&merged, grown);
        let ends = pages.iter().skip(1).map(|page| Some(page[0].0)).chain([self.end]);
        let contents = pages.iter().zip(ends).enumerate().map(|(number, (page, end))| {
            let bound = if number == 0 { bound } else { page[0].0 };
            (Key::from(bound), written(bound, page, end))
        });
        contents.collect()
    }
}

/// Where entries came into a page.
#[derive(Clone, Copy)]
enum Grown {
    AtItsStart,
    AtItsEnd,
    Within,
}

impl Grown {
    fn of(old: &[Entry<'_>], changes: &[Change<'_>]) -> Grown {
        let (first, last) = (changes.first().map(|(key, _)| *key), changes.last().map(|(key, _)| *key));
        if old.last().map(|(key, _)| *key) < first {
            Grown::AtItsEnd
        } else if last < old.first().map(|(key, _)| *key) {
            Grown::AtItsStart
        } else {
            Grown::Within
        }
    }
}

fn merged<'a>(old: &[Entry<'a>], changes: &[Change<'a>]) -> Vec<Entry<'a>> {
    let mut merged = Vec::with_capacity(old.len() + changes.len());
    let mut old = old.iter().copied().peekable();
    for &(key, value) in changes {
        while let Some(before) = old.next_if(|(before, _)| *before < key) {
            merged.push(before);
        }
        let _replaced = old.next_if(|(before, _)| *before == key);
        merged.extend(value.map(|value| (key, value)));
    }
    merged.extend(old);
    merged
}

/// Cuts entries into pages, none of which is empty. Where entries come in order, those behind them stay full: they
/// will not grow again.
fn cut<'a, 'b>(entries: &'b [Entry<'a>], grown: Grown) -> Vec<&'b [Entry<'a>]> {
    let size = |(key, value): &Entry<'_>| key.len() + value.len() + 4;
    let whole: usize = entries.iter().map(size).sum();
    let most = match grown {
        Grown::AtItsStart | Grown::AtItsEnd => MOST,
        Grown::Within => whole / whole.div_ceil(MOST).max(1) + 1,
    };
    let mut pages = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let mut bytes = 0;
        let mut fits = |entry: &Entry<'_>| {
            bytes += size(entry);
            bytes <= most
        };
        match grown {
            Grown::AtItsStart => {
                let count = rest.iter().rev().take_while(|entry| fits(entry)).count().max(1);
                let (before, page) = rest.split_at(rest.len() - count);
                pages.push(page);
                rest = before;
            }
            Grown::AtItsEnd | Grown::Within => {
                let count = rest.iter().take_while(|entry| fits(entry)).count().max(1);
                let (page, after) = rest.split_at(count);
                pages.push(page);
                rest = after;
            }
        }
    }
    if let Grown::AtItsStart = grown {
        pages.reverse();
    }
    pages
}

/// A page without entries, as it is written.
pub(super) fn without_entries(bound: &[u8], end: Option<&[u8]>) -> Vec<u8> {
    written(bound, &[], end)
}

/// Whether a key is in the page of that bound, or would be; `None`: it is none, or another one.
pub(super) fn reaches(bound: &[u8], content: &[u8], key: &[u8]) -> Option<bool> {
    let mut rest = content;
    let end = begun(bound, &mut rest)?;
    Some(bound <= key && bound.first() == key.first() && end.is_none_or(|end| key < end))
}

/// A page as it was written, with another end; `None`: it is none, or another one.
pub(super) fn with_end(bound: &[u8], content: &[u8], end: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut entries = content;
    begun(bound, &mut entries)?;
    let mut content = without_entries(bound, end);
    content.extend_from_slice(entries);
    Some(content)
}

/// A page as it is written: its bound and its end, then of each entry what its key shares with the one before (the
/// first with the bound), the rest of it, and the value.
fn written(bound: &[u8], entries: &[Entry<'_>], end: Option<&[u8]>) -> Vec<u8> {
    let mut content = Vec::with_capacity(MOST + 64);
    put_bytes(&mut content, bound);
    put_bytes(&mut content, end.unwrap_or_default());
    let mut before = bound;
    for (key, value) in entries {
        let shared = before.iter().zip(*key).take_while(|(before, byte)| before == byte).count();
        put_number(&mut content, shared);
        put_bytes(&mut content, &key[shared..]);
        put_bytes(&mut content, value);
        before = key;
    }
    content
}

/// Reads what stands before the entries of the page of that bound: its end.
fn begun<'a>(bound: &[u8], rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let is_it = take_bytes(rest)? == bound;
    let end = take_bytes(rest)?;
    is_it.then_some(Some(end).filter(|end| !end.is_empty()))
}

/// Turns the key before into the next one, and gives its value.
fn next<'a>(rest: &mut &'a [u8], key: &mut Vec<u8>) -> Option<&'a [u8]> {
    let shared = take_number(rest)?;
    if shared > key.len() {
        return None;
    }
    key.truncate(shared);
    key.extend_from_slice(take_bytes(rest)?);
    take_bytes(rest)
}

fn put_bytes(content: &mut Vec<u8>, bytes: &[u8]) {
    put_number(content, bytes.len());
    content.extend_from_slice(bytes);
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

/// Seven bits a byte, the low ones first; the eighth says that more follow.
fn put_number(content: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        content.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    content.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..28).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
