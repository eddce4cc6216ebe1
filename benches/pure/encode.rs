//! Lines of the journal and records of the index, to bytes and back; and the chain over the lines.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tillbook::OrderRecord;
use tillbook::domain::{ChainHash, Entry};

use crate::order::{self, REFUNDS};

fn line(entry: &Entry) -> Vec<u8> {
    serde_json::to_vec(entry).expect("an entry is JSON")
}

fn write<T: Serialize>(bencher: Bencher<'_, '_>, value: &T) {
    let bytes = serde_json::to_vec(value).expect("it is JSON").len();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| serde_json::to_vec(black_box(value)));
}

fn read<T: Serialize + DeserializeOwned>(bencher: Bencher<'_, '_>, value: &T) {
    let bytes = serde_json::to_vec(value).expect("it is JSON");
    serde_json::from_slice::<T>(&bytes).expect("what was written is read");
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| serde_json::from_slice::<T>(black_box(&bytes)));
}

#[divan::bench]
fn write_a_hold(bencher: Bencher<'_, '_>) {
    write(bencher, &order::refund_held());
}

#[divan::bench]
fn read_a_hold(bencher: Bencher<'_, '_>) {
    read(bencher, &order::refund_held());
}

#[divan::bench]
fn write_facts(bencher: Bencher<'_, '_>) {
    write(bencher, &order::facts_seen());
}

#[divan::bench]
fn read_facts(bencher: Bencher<'_, '_>) {
    read(bencher, &order::facts_seen());
}

#[divan::bench(args = REFUNDS)]
fn write_a_record(bencher: Bencher<'_, '_>, refunds: usize) {
    write(bencher, &order::record(refunds));
}

#[divan::bench(args = REFUNDS)]
fn read_a_record(bencher: Bencher<'_, '_>, refunds: usize) {
    read::<OrderRecord>(bencher, &order::record(refunds));
}

#[divan::bench]
fn chain_a_hold(bencher: Bencher<'_, '_>) {
    let line = line(&order::refund_held());
    bencher.counter(BytesCount::new(line.len())).bench_local(|| ChainHash::START.next(black_box(&line)));
}

#[divan::bench]
fn chain_facts(bencher: Bencher<'_, '_>) {
    let line = line(&order::facts_seen());
    bencher.counter(BytesCount::new(line.len())).bench_local(|| ChainHash::START.next(black_box(&line)));
}
