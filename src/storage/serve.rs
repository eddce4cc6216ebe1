//! The read half of [`Storage`](super::Storage), written once for all that read through a
//! [`Reader`](super::reader::Reader).

use super::StorageError;
use super::group::words_of;

/// Runs what may read much from disk beside the async runtime, where there is one.
pub(crate) async fn off_runtime<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return read() };
    match runtime.spawn_blocking(read).await {
        Ok(answer) => answer,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => Err(StorageError::Poisoned { why: format!("a read panicked: {}", words_of(&*panic)) }),
            Err(_) => Err(StorageError::Closed),
        },
    }
}

/// The methods of `Storage` that only read, answered by `self.reader()`.
macro_rules! serve_reads {
    () => {
        fn get<'a>(
            &'a self,
            order: &'a $crate::domain::OrderId,
        ) -> $crate::BoxFuture<
            'a,
            Result<Option<std::sync::Arc<$crate::domain::OrderRecord>>, $crate::storage::StorageError>,
        > {
            use $crate::storage::records::Records as _;
            Box::pin(async move { self.reader().open()?.record(order) })
        }

        fn find<'a>(
            &'a self,
            account: &'a $crate::domain::AccountName,
            kind: Option<&'a str>,
            number: &'a str,
        ) -> $crate::BoxFuture<'a, Result<Vec<($crate::domain::OrderId, String)>, $crate::storage::StorageError>> {
            Box::pin(async move { self.reader().open()?.find(account, kind, number) })
        }

        fn find_refund<'a>(
            &'a self,
            account: &'a $crate::domain::AccountName,
            key: &'a $crate::domain::RefundKey,
        ) -> $crate::BoxFuture<'a, Result<Option<$crate::domain::OrderId>, $crate::storage::StorageError>> {
            Box::pin(async move { $crate::storage::reader::order_of_refund(self.reader().open()?, account, key) })
        }

        fn scan<'a>(
            &'a self,
            query: &'a $crate::storage::OrderQuery,
            page: &'a $crate::storage::Page,
        ) -> $crate::BoxFuture<'a, Result<$crate::storage::ScanPage, $crate::storage::StorageError>> {
            let (query, page) = (query.clone(), page.clone());
            Box::pin(self.reader().beside(move |reader| reader.scan(&query, &page)))
        }

        fn refunds_in<'a>(
            &'a self,
            state: $crate::domain::RefundState,
            not_after: Option<$crate::domain::Timestamp>,
            limit: usize,
        ) -> $crate::BoxFuture<'a, Result<Vec<$crate::storage::DueRefund>, $crate::storage::StorageError>> {
            Box::pin(self.reader().beside(move |reader| reader.refunds_in(state, not_after, limit)))
        }

        fn refunds_after<'a>(
            &'a self,
            state: Option<$crate::domain::RefundState>,
            after: Option<&'a str>,
            limit: usize,
        ) -> $crate::BoxFuture<'a, Result<Vec<(String, $crate::storage::DueRefund)>, $crate::storage::StorageError>> {
            let after = after.map(str::to_owned);
            Box::pin(self.reader().beside(move |reader| reader.refunds_after(state, after.as_deref(), limit)))
        }

        fn events(
            &self,
            after: u64,
            limit: usize,
        ) -> $crate::BoxFuture<'_, Result<Vec<std::sync::Arc<$crate::domain::Entry>>, $crate::storage::StorageError>> {
            Box::pin(self.reader().beside(move |reader| reader.events(after, limit)))
        }

        fn lines(
            &self,
            after: u64,
            limit: usize,
        ) -> $crate::BoxFuture<'_, Result<Vec<String>, $crate::storage::StorageError>> {
            Box::pin(self.reader().beside(move |reader| reader.lines(after, limit)))
        }

        fn newest(&self) -> tokio::sync::watch::Receiver<u64> {
            self.reader().newest()
        }

        fn events_of<'a>(
            &'a self,
            order: &'a $crate::domain::OrderId,
        ) -> $crate::BoxFuture<'a, Result<Vec<std::sync::Arc<$crate::domain::Entry>>, $crate::storage::StorageError>> {
            let order = order.clone();
            Box::pin(self.reader().beside(move |reader| reader.events_of(&order)))
        }

        fn cursor<'a>(
            &'a self,
            name: &'a str,
        ) -> $crate::BoxFuture<'a, Result<Option<String>, $crate::storage::StorageError>> {
            Box::pin(async move { $crate::storage::records::cursor(self.reader().open()?, name) })
        }

        fn cursors(&self) -> $crate::BoxFuture<'_, Result<Vec<(String, String)>, $crate::storage::StorageError>> {
            Box::pin(self.reader().beside(|reader| reader.cursors()))
        }

        fn state_hash(
            &self,
        ) -> $crate::BoxFuture<'_, Result<$crate::storage::StateHash, $crate::storage::StorageError>> {
            Box::pin(self.reader().beside(|reader| reader.state_hash()))
        }
    };
}

pub(crate) use serve_reads;
