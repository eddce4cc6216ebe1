//! Every record, balance and chain made anew, from the events alone.
//!
//! What cannot be read is reported, and the rest goes on: a lost stretch is known by the gap in the sequences
//! around it, and the orders that lost something by the gaps in their versions. Where these add up, every other
//! order is proven whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::report::{COMPARE, CheckReport, Difference, JournalHead, Noted, RESTORE, hex};
use crate::domain::{ChainHash, Entry, OrderId, OrderRecord};
use crate::storage::bearers::Bearers;
use crate::storage::kept::Kept;
use crate::storage::key::{Change, Key};
use crate::storage::lines::{Line, lines};
use crate::storage::place::{Damage, History, Link, Piece, Place, Walked};
use crate::storage::state::State;
use crate::storage::{Head, StorageError, index, key};

/// What the records are recomputed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To compare an index with them: what it must hold is kept.
    Index,
    /// For themselves.
    Events,
}

/// What the events alone say.
pub(super) struct Recomputed<'a> {
    purpose: Purpose,
    noted: Option<&'a Noted>,
    pub(super) orders: HashMap<OrderId, Order>,
    cursors: BTreeMap<String, String>,
    bearers: HashMap<Key, Bearers>,
    /// Each key's hash with its value's: what an index must hold, no more and no less.
    pub(super) entries: HashMap<[u8; 16], [u8; 8]>,
    /// Orders that had events since this was last emptied.
    pub(super) touched: BTreeSet<OrderId>,
    frame: u64,
    head: Option<(u64, Link)>,
    sequence: u64,
    events: u64,
    good_through: Option<u64>,
    /// Damage after which no event was read yet.
    damage: Vec<Damage>,
    /// After which events others are lost, and how many, where that is known.
    gaps: Vec<(u64, Option<u64>)>,
    /// How many of the lost events are known to be of which order.
    assigned: u64,
    notes: Vec<String>,
    differences: Vec<Difference>,
}

/// An order as far as its events can be read.
pub(super) struct Order {
    /// Folded from them all; `None` once one is lost or does not follow.
    pub(super) kept: Option<Kept>,
    version: u64,
    /// The sequence of the last one.
    last: u64,
}

impl<'a> Recomputed<'a> {
    pub(super) fn new(purpose: Purpose, noted: Option<&'a Noted>) -> Recomputed<'a> {
        Recomputed {
            purpose,
            noted,
            orders: HashMap::new(),
            cursors: BTreeMap::new(),
            bearers: HashMap::new(),
            entries: HashMap::new(),
            touched: BTreeSet::new(),
            frame: 0,
            head: None,
            sequence: 0,
            events: 0,
            good_through: None,
            damage: Vec::new(),
            gaps: Vec::new(),
            assigned: 0,
            notes: Vec::new(),
            differences: Vec::new(),
        }
    }

    /// Takes in the events of all frames up to `through`.
    pub(super) fn advance(&mut self, history: &dyn History, through: u64) -> Result<(), StorageError> {
        let after = self.frame;
        history.survey(after, through, &mut |piece| {
            match piece {
                Piece::Frame(walked) => self.frame(history, &walked),
                Piece::Damage(damage) => self.damaged(damage),
                Piece::Torn(position) => self.notes.push(format!(
                    "{position}: the journal ends in the middle of a write. Nobody was told that it succeeded; the \
                     next open cuts it off"
                )),
            }
            Ok(())
        })?;
        self.frame = self.frame.max(through);
        Ok(())
    }

    /// Whether all that was recorded could be read, and follows from itself.
    pub(super) fn is_whole(&self) -> bool {
        self.good_through.is_none()
    }

    /// Says something that is no difference.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn trouble(&mut self) {
        self.good_through.get_or_insert(self.sequence);
    }

    fn damaged(&mut self, damage: Damage) {
        self.trouble();
        self.damage.push(damage);
    }

    fn frame(&mut self, history: &dyn History, walked: &Walked<'_>) {
        let before = self.sequence;
        for (from, line) in lines(walked.payload) {
            let place = walked.place.part(from, line);
            match Line::read(line) {
                Ok(Line::Cursor(cursor)) => {
                    self.keep([index::cursor_change(&cursor.name, &cursor.value)]);
                    self.cursors.insert(cursor.name, cursor.value);
                }
                Ok(Line::Entry(entry)) => self.entry(history, &entry, line, place),
                Err(error) => {
                    let why = format!("an event that this version cannot read ({error})");
                    self.damaged(Damage { position: history.describe(place), why });
                }
            }
        }
        if self.sequence > before {
            self.keep([index::sequence_change(self.sequence, walked.place)]);
        }
        if let Some(link) = walked.link {
            self.head = Some((walked.number, link));
            self.compare_frame(history, walked, link);
        }
    }

    fn entry(&mut self, history: &dyn History, entry: &Entry, line: &[u8], place: Place) {
        let position = || Some(history.describe(place));
        if entry.sequence <= self.sequence {
            self.trouble();
            let what = format!("event {} stands after event {}", entry.sequence, self.sequence);
            return self.difference(Some(entry), position(), what, Some("it was passed over".to_owned()), RESTORE);
        }
        self.events += 1;
        let lost = entry.sequence - self.sequence - 1;
        if lost > 0 && self.damage.is_empty() {
            let why = format!("event {} follows event {}", entry.sequence, self.sequence);
            self.damaged(Damage { position: history.describe(place), why });
        }
        self.after_damage(Some(lost));
        self.sequence = entry.sequence;
        let Order { kept, version, last: _ } =
            self.orders.remove(&entry.order).unwrap_or(Order { kept: None, version: 0, last: 0 });
        let is_whole = kept.is_some() || version == 0;
        let kept = match entry.version.checked_sub(version.saturating_add(1)) {
            Some(0) if is_whole => self.fold(kept.as_ref(), entry, line, history, place),
            Some(0) => None,
            lost => {
                self.trouble();
                self.assigned = self.assigned.saturating_add(lost.unwrap_or(0));
                let what = match lost {
                    Some(1) => format!("version {} of the order is lost", entry.version - 1),
                    Some(_) => format!("versions {} to {} of the order are lost", version + 1, entry.version - 1),
                    None => format!("version {} of the order stands after version {version}", entry.version),
                };
                let money = "what was paid, refunded and held cannot be told from what is left of it".to_owned();
                self.difference(Some(entry), position(), what, Some(money), RESTORE);
                None
            }
        };
        if let Some(kept) = &kept {
            self.keep([index::record_change(kept)]);
            self.compare_order(&kept.record, entry, position());
        }
        let version = entry.version.max(version);
        self.touched.insert(entry.order.clone());
        self.orders.insert(entry.order.clone(), Order { kept, version, last: entry.sequence });
    }

    /// The order with one event more; `None` where it does not follow.
    fn fold(
        &mut self,
        old: Option<&Kept>,
        entry: &Entry,
        line: &[u8],
        history: &dyn History,
        place: Place,
    ) -> Option<Kept> {
        let before = old.map(|old| &*old.record);
        let head = before.map_or(ChainHash::START, |record| record.head).next(line);
        match OrderRecord::apply(before.cloned(), entry, head).map(Arc::new) {
            Ok(record) => {
                if self.purpose == Purpose::Index {
                    self.keep(index::changes(before, &record));
                    self.rename(before, &record);
                }
                Some(Kept::after(old, record, &entry.event, place))
            }
            Err(broken) => {
                self.trouble();
                let money = before.map_or_else(String::new, |record| format!("; before it: {}", amounts(record)));
                let money = format!("the order's amounts cannot be told from here on{money}");
                let position = Some(history.describe(place));
                self.difference(Some(entry), position, broken.to_string(), Some(money), RESTORE);
                None
            }
        }
    }

    fn rename(&mut self, old: Option<&OrderRecord>, new: &OrderRecord) {
        for (reference, gained) in index::renamed(old, new) {
            let bearers = self.bearers.entry(key::reference(&new.account, &reference.number)).or_default();
            let changes = bearers.rename(new, &reference, gained);
            self.keep(changes);
        }
    }

    fn keep(&mut self, changes: impl IntoIterator<Item = Change>) {
        if self.purpose == Purpose::Events {
            return;
        }
        for (key, value) in changes {
            match value {
                Some(value) => self.entries.insert(hash(&key), hash(&value.bytes())),
                None => self.entries.remove(&hash(&key)),
            };
        }
    }

    /// Reports the damage before the next event, or before the end of what is there.
    fn after_damage(&mut self, lost: Option<u64>) {
        let last = self.sequence;
        let Some(at_last) = self.damage.len().checked_sub(1) else { return };
        if lost != Some(0) {
            self.gaps.push((last, lost));
        }
        for (at, Damage { position, why }) in std::mem::take(&mut self.damage).into_iter().enumerate() {
            let told = match lost {
                _ if at < at_last => "see below for what is lost".to_owned(),
                Some(0) => "no event is lost by it".to_owned(),
                Some(1) => format!("event {} is lost", last + 1),
                Some(lost) => format!("events {} to {} are lost", last + 1, last + lost),
                None => format!("whatever was recorded after event {last} is lost"),
            };
            let money = "a refund or an order among the lost events is not known here, and could be made again";
            let money = (lost != Some(0)).then(|| money.to_owned());
            self.difference(None, Some(position), format!("{why}; {told}"), money, RESTORE);
        }
    }

    fn difference(
        &mut self,
        entry: Option<&Entry>,
        position: Option<String>,
        what: String,
        money: Option<String>,
        advice: &'static str,
    ) {
        let (order, sequence) = entry.map(|entry| (entry.order.clone(), entry.sequence)).unzip();
        self.differences.push(Difference { order, sequence, position, what, money, advice });
    }

    fn compare_order(&mut self, record: &OrderRecord, entry: &Entry, position: Option<String>) {
        let noted = self.noted.and_then(|noted| noted.heads.get(&record.id));
        if noted.is_some_and(|noted| noted.version == record.version && noted.hash != record.head) {
            let what = format!("the order's history up to version {} is not the one that was noted", record.version);
            let money = format!("its amounts rest on events that were changed afterwards; now: {}", amounts(record));
            self.difference(Some(entry), position, what, Some(money), COMPARE);
        }
    }

    fn compare_frame(&mut self, history: &dyn History, walked: &Walked<'_>, link: Link) {
        let noted = self.noted.and_then(|noted| noted.journal.as_ref());
        let Some(noted) = noted.filter(|noted| noted.ledger == hex(&link.ledger)) else { return };
        if noted.frame == walked.number && noted.hash != hex(&link.hash) {
            let what = format!("the journal up to frame {} is not the one that was noted", noted.frame);
            let money = "orders or cursors were changed afterwards; see below for the orders".to_owned();
            self.difference(None, Some(history.describe(walked.place)), what, Some(money), COMPARE);
        }
    }

    /// What was noted and is not there at all.
    fn compare_ends(&mut self) {
        let Some(noted) = self.noted else { return };
        if let (Some(was), Some((frame, link))) = (&noted.journal, self.head) {
            if was.ledger != hex(&link.ledger) {
                self.note("the heads were noted of another journal: the orders were compared, the journals were not");
            } else if was.frame > frame {
                let what = format!("the journal ends with frame {frame}, and frame {} was noted", was.frame);
                let money = "what was recorded last is gone; see below for the orders".to_owned();
                self.difference(None, None, what, Some(money), COMPARE);
            }
        }
        for (order, head) in &noted.heads {
            let version = self.orders.get(order).map_or(0, |order| order.version);
            if version >= head.version {
                continue;
            }
            let (what, money) = match version {
                0 => ("the order was noted, and no event of it is there".to_owned(), "its refunds are not known here"),
                _ => (
                    format!("the order was noted at version {}, and its history ends with {version}", head.version),
                    "refunds of the missing versions are not known here, and could be made again",
                ),
            };
            let (money, order) = (Some(money.to_owned()), Some(order.clone()));
            let missing = Difference { order, sequence: None, position: None, what, money, advice: COMPARE };
            self.differences.push(missing);
        }
    }

    /// Every key of an order that an index must hold.
    pub(super) fn keys_of(&self, order: &OrderId) -> Vec<Key> {
        let Some(Order { kept: Some(kept), .. }) = self.orders.get(order) else { return Vec::new() };
        index::keys(&kept.record)
    }

    /// Orders that may have lost events which no gap in their versions shows.
    fn doubtful(&self) -> Vec<OrderId> {
        let lost = self.gaps.iter().try_fold(0, |sum: u64, (_, lost)| sum.checked_add((*lost)?));
        let Some((last_gap, _)) = self.gaps.last().filter(|_| lost != Some(self.assigned)) else { return Vec::new() };
        let before = |(order, known): (&OrderId, &Order)| {
            (known.kept.is_some() && known.last <= *last_gap).then(|| order.clone())
        };
        let mut orders: Vec<OrderId> = self.orders.iter().filter_map(before).collect();
        orders.sort();
        orders
    }

    pub(super) fn report(mut self, more: Vec<Difference>) -> CheckReport {
        self.after_damage(None);
        self.compare_ends();
        self.differences.extend(more);
        let records = || self.orders.values().filter_map(|order| order.kept.as_ref().map(|kept| &*kept.record));
        let head = |record: &OrderRecord| (record.id.clone(), Head { version: record.version, hash: record.head });
        let heads: BTreeMap<OrderId, Head> = records().map(head).collect();
        let refunds = records().map(|record| record.refunds.len() as u64).sum();
        let (is_whole, doubtful) = (self.is_whole(), self.doubtful());
        let state = State { sequence: self.sequence, heads, cursors: self.cursors };
        CheckReport {
            orders: self.orders.len() as u64,
            refunds,
            events: self.events,
            good_through: self.good_through.unwrap_or(self.sequence),
            journal: self.head.map(|(frame, link)| JournalHead::of(frame, link)),
            state: is_whole.then(|| state.hash()),
            heads: state.heads,
            doubtful,
            notes: self.notes,
            differences: self.differences,
        }
    }
}

/// What a record's amounts are, in words.
pub(super) fn amounts(record: &OrderRecord) -> String {
    format!("paid {}, refunded {}, held {}", record.paid(), record.refunded(), record.held())
}

pub(super) fn hash<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut short = [0; N];
    short.copy_from_slice(&blake3::hash(bytes).as_bytes()[..N]);
    short
}
