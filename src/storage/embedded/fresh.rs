//! The pages that were written last, kept at hand.
//!
//! Most numbers, refund keys and times come in order: who looks for a new one, or adds it, asks for the page that was
//! written a moment ago. sled finds a page by walking down a tree of copies, which an import does six times an order.
//!
//! Only what the index's thread wrote is put here, after it is in sled, so nothing older than sled's can stay; until
//! then whoever reads finds the page as it was, and the changes in the overlay above.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use sled::IVec;

use super::page;
use crate::storage::lock::{RwLock, reading, writing};

/// How many pages: more than the places where entries grow in order, few enough to be nothing beside sled's own cache.
/// So few in tests that they meet pages of both sorts.
const MOST: usize = if cfg!(test) { 8 } else { 256 };

#[derive(Default)]
pub(super) struct Fresh {
    /// By their bounds.
    pages: RwLock<BTreeMap<IVec, Arc<[u8]>>>,
}

impl Fresh {
    /// The page that a key is in or would be in, with its bound, if it is at hand.
    pub(super) fn page_of(&self, key: &[u8]) -> Option<(IVec, Arc<[u8]>)> {
        let pages = reading(&self.pages);
        let (bound, content) = pages.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        let reaches = page::reaches(bound, content, key)?;
        reaches.then(|| (bound.clone(), Arc::clone(content)))
    }

    /// Takes pages in that were written at once, and forgets the one that went with it.
    pub(super) fn written(&self, written: &[(&[u8], &[u8])], gone: Option<&[u8]>) {
        let mut pages = writing(&self.pages);
        if pages.len() + written.len() > MOST {
            pages.clear();
        }
        pages.extend(written.iter().map(|(bound, content)| (IVec::from(*bound), Arc::from(*content))));
        gone.map(|gone| pages.remove(gone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::embedded::page::Page;

    #[test]
    fn a_page_is_found_by_the_keys_between_its_bound_and_its_end_until_it_goes_or_many_others_come() {
        let page = |bound: &[u8], end: Option<&[u8]>| page::without_entries(bound, end);
        let bound_of = |fresh: &Fresh, key: &[u8]| fresh.page_of(key).map(|(bound, _)| bound.to_vec());
        let fresh = Fresh::default();
        let (first, last) = (page(b"kb", Some(b"kd")), page(b"kf", None));
        fresh.written(&[(b"kb", &first), (b"kf", &last)], None);
        assert_eq!(bound_of(&fresh, b"ka"), None);
        assert_eq!(bound_of(&fresh, b"kb").as_deref(), Some(&b"kb"[..]));
        assert_eq!(bound_of(&fresh, b"kc").as_deref(), Some(&b"kb"[..]));
        // What lies between is in a page that is not at hand, and another kind's entries are in none of these.
        assert_eq!(bound_of(&fresh, b"kd"), None);
        assert_eq!(bound_of(&fresh, b"kz").as_deref(), Some(&b"kf"[..]));
        assert_eq!(bound_of(&fresh, b"l"), None);

        // A page that goes leaves its place to the one before it, which is longer from then on.
        let longer = page(b"kb", None);
        fresh.written(&[(b"kb", &longer)], Some(b"kf"));
        let (bound, content) = fresh.page_of(b"kz").expect("at hand");
        assert_eq!((&*bound, Page::read(b"kb", &content).expect("a page").end()), (&b"kb"[..], None));

        for number in 0..MOST {
            let bound = [&b"m"[..], &number.to_be_bytes()].concat();
            fresh.written(&[(&bound, &page(&bound, None))], None);
            assert_eq!(bound_of(&fresh, &bound), Some(bound));
        }
        assert_eq!(bound_of(&fresh, b"kb"), None);
        assert!(reading(&fresh.pages).len() <= MOST);
    }
}
