//! A second implementation of the rules: slow, obvious, plain numbers. It predicts each answer of the real one, and what
//! every order looks like after it, under random commands.
//!
//! Written from the design's words (who may be refunded what, what a total of refunds says, who may settle a refund),
//! not from the code; it shares nothing with `src/domain` but the types in which commands and answers are told. Where
//! the two differ, one of them is wrong. Start reading at `order`, then `totals`.

mod commands;
mod order;
mod real;
mod rules;
mod settle;
mod totals;

use std::io::Write as _;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use self::commands::{Command, command};
use self::order::{Model, Setting};
use self::real::Real;

/// How many histories are tried: `PROPTEST_CASES` of them, else 256, in the long mode 100,000.
fn config() -> Config {
    let mut config = Config { failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() && std::env::var_os("TILLBOOK_LONG").is_some() {
        config.cases = 100_000;
    }
    config
}

fn settings() -> impl Strategy<Value = Setting> {
    let limits = (
        prop::option::weighted(0.2, 2..5_u32),
        prop::option::weighted(0.2, Just(5_000_i64)),
        prop::option::weighted(0.5, 3..12_i64),
        prop::option::weighted(0.3, Just(600_i64)),
    );
    (any::<bool>(), prop::bool::weighted(0.7), any::<bool>(), prop::bool::weighted(0.3), limits).prop_map(
        |(
            one_in_flight,
            sole_refunder,
            totals_count_pending,
            spaced,
            (per_order, window, hold_above, resend_after),
        )| Setting {
            one_in_flight,
            sole_refunder,
            totals_count_pending,
            interval: if spaced { 60 } else { 0 },
            per_order,
            window,
            hold_above,
            resend_after,
        },
    )
}

/// Runs one history on both, and counts the commands that the model foresaw.
fn foresee(setting: &Setting, commands: &[Command], foreseen: &mut Foreseen) -> Result<(), TestCaseError> {
    let (mut model, real) = (Model::new(setting.clone()), Real::new(setting.clone()));
    for command in commands {
        let Some(asked) = command.resolve(&mut model) else { continue };
        let expected = model.answer(&asked);
        let told = real.answer(&asked);
        prop_assert_eq!(&told, &expected, "at {:?}: the real one's answer (left) was not foreseen", asked);
        let (order, foretold) = (real.picture(asked.order), model.picture(asked.order));
        prop_assert_eq!(order, foretold, "after {:?} (left: the real one)", asked);
        foreseen.count(&expected);
    }
    for order in 0..commands::ORDERS {
        prop_assert_eq!(real.picture(order), model.picture(order), "at the end: order {}", order);
    }
    Ok(())
}

/// How many answers were foreseen, of each kind: a test that never meets a kind does not test it.
#[derive(Default)]
struct Foreseen {
    wrote: u64,
    changed_nothing: u64,
    refused: u64,
    events: std::collections::BTreeMap<&'static str, u64>,
}

impl Foreseen {
    fn count(&mut self, answer: &order::Answer) {
        match answer {
            Ok(events) if events.is_empty() => self.changed_nothing += 1,
            Ok(events) => {
                self.wrote += 1;
                events.iter().for_each(|event| *self.events.entry(event).or_default() += 1);
            }
            Err(_) => self.refused += 1,
        }
    }

    fn all(&self) -> u64 {
        self.wrote + self.changed_nothing + self.refused
    }
}

#[test]
fn every_answer_and_every_balance_is_what_the_slow_model_foresees() {
    let (mut runner, began) = (TestRunner::new(config()), Instant::now());
    let foreseen = std::cell::RefCell::new(Foreseen::default());
    let histories = (settings(), prop::collection::vec(command(), 1..60));
    let outcome =
        runner.run(&histories, |(setting, commands)| foresee(&setting, &commands, &mut foreseen.borrow_mut()));
    if let Err(difference) = outcome {
        panic!("{difference}");
    }
    let foreseen = foreseen.into_inner();
    let (all, took) = (foreseen.all(), began.elapsed());
    let per_second = u128::from(all) * 1_000 / took.as_millis().max(1);
    let Foreseen { wrote, changed_nothing, refused, events, .. } = &foreseen;
    writeln!(
        std::io::stderr(),
        "{all} commands foreseen ({wrote} written, {changed_nothing} without change, {refused} refused), {per_second} a \
         second; events: {events:?}"
    )
    .expect("stderr is open");
    if runner.config().cases >= 200 {
        assert_eq!(events.keys().copied().collect::<Vec<_>>(), EVENTS, "a kind of event was never met");
    }
}

/// All that can be written of an order that its upstream knows.
const EVENTS: [&str; 10] = [
    "answered",
    "attempt_lost",
    "attempt_started",
    "facts_seen",
    "judged",
    "probed",
    "refund_approved",
    "refund_canceled",
    "refund_held",
    "refund_to_review",
];
