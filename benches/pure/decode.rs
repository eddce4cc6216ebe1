//! Each upstream's bodies, by the samples that the tests replay.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use tillbook::Timestamp;
use tillbook::clients::decode::decode;

/// A sample body with who answers so, and to what.
struct Sample {
    gateway: &'static str,
    operation: &'static str,
    body: &'static str,
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.gateway, self.operation)
    }
}

macro_rules! samples {
    ($($gateway:literal $operation:literal $file:literal;)*) => {
        const SAMPLES: &[Sample] = &[$(Sample {
            gateway: $gateway,
            operation: $operation,
            body: include_str!(concat!("../../tests/fixtures/", $gateway, "/", $file)),
        },)*];
    };
}

samples! {
    "fubei" "order.query" "order_query-success.json";
    "fubei" "order.refund" "refund-response_accepted.json";
    "fubei" "refund.query" "refund_query-success.json";
    "fubei" "refund.statistics" "refund_statistics-response.json";
    "fubei" "order.bill" "order_bill-response.json";
    "trade_order" "order.get" "trade_order_get-success.json";
    "trade_order" "order.list" "trade_order_list-empty.json";
    "trade_order" "refund" "refund-response_success.json";
    "trade_order" "refund.list" "refund_order_list-by_mch_refund_no.json";
    "hydrogen" "order.list" "order_list-refund_partial.json";
    "hydrogen" "refund" "refund-response_succeed.json";
}

#[divan::bench(args = SAMPLES)]
fn body(bencher: Bencher<'_, '_>, sample: &Sample) {
    let Sample { gateway, operation, body } = sample;
    let read = |body: &str| decode(gateway, operation, body.as_bytes(), Timestamp::EPOCH);
    assert!(read(body).is_ok(), "{sample}");
    bencher.counter(BytesCount::new(body.len())).bench_local(|| read(black_box(body)));
}
