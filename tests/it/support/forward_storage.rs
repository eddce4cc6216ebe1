//! Storages over another one: what they change they write out, what they pass on they name.

/// The methods of `Storage` that a field answers, `forward_storage!(self.kept: get, find)`, or a macro that is handed
/// `self` and the call, `forward_storage!(alive!: get, find)`.
macro_rules! forward_storage {
    (self.$to:tt: $($method:ident),+) => {
        $(forward_storage!(@$method [to $to]);)+
    };
    ($by:ident!: $($method:ident),+) => {
        $(forward_storage!(@$method [by $by]);)+
    };
    (@transact_many $how:tt) => {
        forward_storage!(@fn $how transact_many(transactions: Vec<tillbook::storage::Transaction>)
            -> Vec<Result<tillbook::storage::Committed, tillbook::domain::decide::Refusal>>);
    };
    (@get $how:tt) => {
        forward_storage!(@fn $how get(order: &'a tillbook::domain::OrderId)
            -> Option<std::sync::Arc<tillbook::domain::OrderRecord>>);
    };
    (@find $how:tt) => {
        forward_storage!(@fn $how
            find(account: &'a tillbook::domain::AccountName, kind: Option<&'a str>, number: &'a str)
                -> Vec<(tillbook::domain::OrderId, String)>);
    };
    (@find_refund $how:tt) => {
        forward_storage!(@fn $how
            find_refund(account: &'a tillbook::domain::AccountName, key: &'a tillbook::domain::RefundKey)
                -> Option<tillbook::domain::OrderId>);
    };
    (@scan $how:tt) => {
        forward_storage!(@fn $how scan(query: &'a tillbook::storage::OrderQuery, page: &'a tillbook::storage::Page)
            -> tillbook::storage::ScanPage);
    };
    (@refunds_in $how:tt) => {
        forward_storage!(@fn $how refunds_in(
            state: tillbook::domain::RefundState,
            not_after: Option<tillbook::domain::Timestamp>,
            limit: usize
        ) -> Vec<tillbook::storage::DueRefund>);
    };
    (@refunds_after $how:tt) => {
        forward_storage!(@fn $how
            refunds_after(state: Option<tillbook::domain::RefundState>, after: Option<&'a str>, limit: usize)
                -> Vec<(String, tillbook::storage::DueRefund)>);
    };
    (@lost_attempts $how:tt) => {
        forward_storage!(@fn $how lost_attempts(limit: usize) -> Vec<tillbook::storage::LostAttempt>);
    };
    (@events $how:tt) => {
        forward_storage!(@fn $how events(after: u64, limit: usize) -> Vec<std::sync::Arc<tillbook::domain::Entry>>);
    };
    (@lines $how:tt) => { forward_storage!(@fn $how lines(after: u64, limit: usize) -> Vec<String>); };
    (@events_of $how:tt) => {
        forward_storage!(@fn $how events_of(order: &'a tillbook::domain::OrderId)
            -> Vec<std::sync::Arc<tillbook::domain::Entry>>);
    };
    (@cursor $how:tt) => { forward_storage!(@fn $how cursor(name: &'a str) -> Option<String>); };
    (@cursors $how:tt) => { forward_storage!(@fn $how cursors() -> Vec<(String, String)>); };
    (@put_cursor $how:tt) => { forward_storage!(@fn $how put_cursor(name: &'a str, value: String) -> ()); };
    (@state_hash $how:tt) => { forward_storage!(@fn $how state_hash() -> tillbook::storage::StateHash); };
    (@check $how:tt) => { forward_storage!(@fn $how check() -> tillbook::storage::CheckReport); };
    (@close $how:tt) => { forward_storage!(@fn $how close() -> ()); };
    (@newest $how:tt) => {
        fn newest(&self) -> tokio::sync::watch::Receiver<u64> {
            forward_storage!(@call $how self newest())
        }
    };
    (@fn $how:tt $method:ident($($name:ident: $type:ty),*) -> $answer:ty) => {
        fn $method<'a>(
            &'a self,
            $($name: $type),*
        ) -> tillbook::BoxFuture<'a, Result<$answer, tillbook::storage::StorageError>> {
            forward_storage!(@call $how self $method($($name),*))
        }
    };
    (@call [to $to:tt] $self:ident $($call:tt)+) => { $self.$to.$($call)+ };
    (@call [by $by:ident] $self:ident $($call:tt)+) => { $by!($self, $($call)+) };
}

pub(crate) use forward_storage;
