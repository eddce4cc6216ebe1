//! What an upstream accepted is asked about at once, and its answer waits for that, but never for long: whatever becomes
//! of the question, the answer is on disk soon.

use std::sync::Arc;
use std::time::Duration;

use tillbook::domain::Event;
use tillbook::gateway::ReadErrorKind;
use tillbook::{Error, Ledger, Reference, RefundState, Refunded};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::lease::{LEASE, Shared, Sleepy};
use crate::ledger::{account, key, request, state, sync, yuan};
use crate::ledger_races::until;
use crate::support::desk::{Desk, Does};
use crate::support::shop::at_once;

/// A refund that was accepted, and whose question waits at the desk.
struct Asked {
    desk: Desk,
    shared: Arc<Shared>,
    ledger: Ledger,
    order: Reference,
    refunding: JoinHandle<Result<Refunded, Error>>,
}

impl Asked {
    /// On a machine that slept so long before it sent.
    async fn after(sleeps: Duration) -> Asked {
        let (desk, shared) = (Desk::new(), Shared::new());
        let order = desk.order("1", "80.00");
        let ledger = shared.open().await;
        let sleepy = Sleepy::over(Arc::new(desk.clone()), &shared.clock);
        *sleepy.sleeps.lock().expect("nothing panics with it in hand") = sleeps;
        ledger.connect(account(), Arc::new(sleepy), at_once()).expect("connects");
        sync(&ledger).await;
        desk.script([Does::Accept]);
        desk.questions.forget_permits(1_000_000);
        shared.commits();
        let refunding = tokio::spawn({
            let (ledger, request) = (ledger.clone(), request(&order, "a", "30"));
            async move { ledger.refund(request).await }
        });
        until("the refund is executed", async || desk.executed(&key("a")) == 1).await;
        Asked { desk, shared, ledger, order, refunding }
    }

    async fn state(&self) -> RefundState {
        state(&self.ledger, &self.order, "a").await
    }

    /// The states that its answers told, one after the other.
    async fn answers(&self) -> Vec<RefundState> {
        let events = self.ledger.events(0, 100).await.expect("reads");
        let states = events.iter().filter_map(|entry| match &entry.event {
            Event::Answered { state, .. } => Some(*state),
            _ => None,
        });
        states.collect()
    }

    async fn end(&mut self) -> RefundState {
        let refunded = (&mut self.refunding).await.expect("no panic").expect("recorded");
        assert_eq!((self.desk.refund_calls(), self.desk.money_out("1")), (1, yuan("30")));
        refunded.refund.state
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_tells_soon_is_written_together_with_its_answer() {
    let mut asked = Asked::after(Duration::ZERO).await;
    sleep(Duration::from_millis(249)).await;
    // For others it is on its way, and held.
    assert_eq!((asked.state().await, asked.shared.commits()), (RefundState::Sending, 1));
    asked.desk.questions.add_permits(1);
    assert_eq!((asked.end().await, asked.shared.commits()), (RefundState::Succeeded, 1));
    assert_eq!(asked.answers().await, [RefundState::Accepted, RefundState::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_question_keeps_the_answer_unwritten_for_a_quarter_of_a_second_and_is_not_asked_twice() {
    let mut asked = Asked::after(Duration::ZERO).await;
    sleep(Duration::from_millis(251)).await;
    until("the answer is on disk", async || asked.state().await == RefundState::Accepted).await;
    assert!(!asked.refunding.is_finished());
    // The one question is answered, and a second one would wait for ever.
    asked.desk.questions.add_permits(1);
    assert_eq!((asked.end().await, asked.shared.commits()), (RefundState::Succeeded, 3));
    assert_eq!(asked.answers().await, [RefundState::Accepted, RefundState::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_nearly_over_is_not_spent_on_waiting() {
    let mut asked = Asked::after(LEASE - Duration::from_millis(200)).await;
    let began = Instant::now();
    sleep(Duration::from_millis(100)).await;
    until("the answer is on disk", async || asked.state().await == RefundState::Accepted).await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    asked.desk.questions.add_permits(1);
    assert_eq!(asked.end().await, RefundState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_takes_neither_the_answer_nor_the_question_along() {
    let asked = Asked::after(Duration::ZERO).await;
    asked.refunding.abort();
    until("the caller is gone", async || asked.refunding.is_finished()).await;
    asked.desk.questions.add_permits(1);
    until("the end is on disk", async || asked.state().await == RefundState::Succeeded).await;
    assert_eq!(asked.answers().await, [RefundState::Accepted, RefundState::Succeeded]);
}

/// How a question can go wrong, and what is done to the desk or the disk for that while it waits.
type Wrong = (&'static str, fn(&Asked));

const WRONG: [Wrong; 3] = [
    ("fails", |asked| asked.desk.down(Some(ReadErrorKind::Unreachable))),
    ("panics", |asked| asked.desk.questions.close()),
    ("finds no room on disk for both", |asked| asked.shared.is_full_at(1)),
];

#[tokio::test(start_paused = true)]
async fn an_answer_whose_question_goes_wrong_is_written_by_itself_at_once() {
    for (how, goes_wrong) in WRONG {
        let mut asked = Asked::after(Duration::ZERO).await;
        let began = Instant::now();
        goes_wrong(&asked);
        asked.desk.questions.add_permits(1);
        assert_eq!(asked.end().await, RefundState::Accepted, "a question that {how}");
        assert!(began.elapsed() < Duration::from_millis(1), "a question that {how}");
        assert_eq!(asked.answers().await, [RefundState::Accepted], "a question that {how}");
        assert_eq!(asked.state().await, RefundState::Accepted, "a question that {how}");
    }
}
