//! Questions that many callers ask at once, answered by one statement.
//!
//! A hold asks whether its refund is known and which order bears its number, each a round trip of some hundred
//! microseconds on both sides however little is asked. Callers who ask while others are being answered share the next
//! statement. It begins after they asked, so it sees all that was acknowledged before.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::super::StorageError;
use crate::BoxFuture;

/// Statements of one kind that are under way at once.
const UNDER_WAY: usize = 2;

/// Questions in one statement at most.
const MOST: usize = 256;

type Asked<Q, A> = (Q, oneshot::Sender<Result<A, StorageError>>);

/// Questions of one kind.
#[derive(Debug)]
pub(super) struct Together<Q, A> {
    asks: mpsc::UnboundedSender<Asked<Q, A>>,
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// `answer` gives as many answers as it is asked questions, in their order.
    pub(super) fn new(
        answer: impl Fn(Vec<Q>) -> BoxFuture<'static, Result<Vec<A>, StorageError>> + Send + 'static,
    ) -> Together<Q, A> {
        let (asks, mut asked) = mpsc::unbounded_channel::<Asked<Q, A>>();
        tokio::spawn(async move {
            let free = Arc::new(Semaphore::new(UNDER_WAY));
            loop {
                // First the turn, then the questions: what comes while all turns are taken shares the next.
                let turn = Arc::clone(&free).acquire_owned().await.expect("nobody closes it");
                let Some(first) = asked.recv().await else { return };
                let (mut questions, mut callers) = (vec![first.0], vec![first.1]);
                while questions.len() < MOST
                    && let Ok((question, caller)) = asked.try_recv()
                {
                    questions.push(question);
                    callers.push(caller);
                }
                let answers = answer(questions);
                tokio::spawn(async move {
                    match answers.await {
                        Ok(answers) => {
                            callers.into_iter().zip(answers).for_each(|(c, answer)| drop(c.send(Ok(answer))))
                        }
                        Err(error) => callers.into_iter().for_each(|caller| drop(caller.send(Err(same(&error))))),
                    }
                    drop(turn);
                });
            }
        });
        Together { asks }
    }

    /// # Errors
    /// That of the statement, for all who share it.
    pub(super) async fn ask(&self, question: Q) -> Result<A, StorageError> {
        let (caller, answered) = oneshot::channel();
        self.asks.send((question, caller)).map_err(|_| StorageError::Closed)?;
        answered.await.map_err(|_| StorageError::Closed)?
    }
}

/// The error of a shared statement, once more.
fn same(error: &StorageError) -> StorageError {
    match error {
        StorageError::Closed => StorageError::Closed,
        StorageError::Remote { doing, why } => StorageError::Remote { doing, why: why.clone() },
        StorageError::Row { row, why } => StorageError::Row { row: row.clone(), why: why.clone() },
        other => StorageError::Remote { doing: "read from", why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_while_others_are_answered_shares_the_next_statement_and_gets_an_answer_of_their_own() {
        let (sizes, mut seen) = mpsc::unbounded_channel();
        let together = Arc::new(Together::new(move |questions: Vec<u64>| {
            let _ = sizes.send(questions.len());
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(questions.into_iter().map(|question| question * 2).collect())
            })
        }));
        let callers: Vec<_> = (0..100_u64)
            .map(|question| {
                let together = Arc::clone(&together);
                tokio::spawn(async move { (question, together.ask(question).await) })
            })
            .collect();
        for caller in callers {
            let (question, answer) = caller.await.expect("no panic");
            assert_eq!(answer.expect("answered"), question * 2);
        }
        let mut statements = Vec::new();
        while let Ok(size) = seen.try_recv() {
            statements.push(size);
        }
        assert_eq!(statements.iter().sum::<usize>(), 100);
        assert!(statements.len() < 50, "{statements:?}");
    }

    #[tokio::test]
    async fn an_error_is_told_to_all_who_share_the_statement() {
        let together: Together<u64, u64> = Together::new(|_| {
            Box::pin(async { Err(StorageError::Remote { doing: "read from", why: "gone".to_owned() }) })
        });
        let (one, other) = tokio::join!(together.ask(1), together.ask(2));
        for answer in [one, other] {
            assert_eq!(answer.expect_err("gone").to_string(), "could not read from the server: gone");
        }
    }
}
