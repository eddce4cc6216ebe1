//! The rules on a refund: a grant, a refusal, and the record after it.

use divan::{Bencher, black_box};
use tillbook::Requested;
use tillbook::domain::decide;
use tillbook::domain::{ChainHash, Entry};
use tillbook::storage::conformance::shop;

use crate::order::{self, REFUNDS};

#[divan::bench(args = REFUNDS)]
fn grant(bencher: Bencher<'_, '_>, refunds: usize) {
    let (context, found, command) = (order::context(), order::found(refunds), order::command("till-3-0001"));
    bencher.bench_local(|| decide::refund(black_box(&context), black_box(&found), black_box(&command)));
}

#[divan::bench(args = REFUNDS)]
fn refuse(bencher: Bencher<'_, '_>, refunds: usize) {
    let (context, found) = (order::context(), order::found(refunds));
    let command = shop::refund_command("till-3-0001", Requested::Exactly(shop::fen(8_001)));
    assert!(decide::refund(&context, &found, &command).is_err());
    bencher.bench_local(|| decide::refund(black_box(&context), black_box(&found), black_box(&command)));
}

#[divan::bench(args = REFUNDS)]
fn fold_a_hold_into_the_record(bencher: Bencher<'_, '_>, refunds: usize) {
    let record = order::record(refunds);
    let entry = Entry { version: record.version + 1, ..order::refund_held() };
    bencher
        .with_inputs(|| record.clone())
        .bench_local_values(|record| tillbook::OrderRecord::apply(Some(record), black_box(&entry), ChainHash::START));
}
