//! Gateways over another one: what they change they write out, what they pass on they name.

/// The methods of `Gateway` that a field answers: `forward_gateway!(self.adapter: name, merchant)`.
macro_rules! forward_gateway {
    (self.$to:tt: $($method:ident),+) => {
        $(forward_gateway!(@$method $to);)+
    };
    (@name $to:tt) => { forward_gateway!(@told $to name -> tillbook::domain::GatewayName); };
    (@merchant $to:tt) => { forward_gateway!(@told $to merchant -> Option<String>); };
    (@capabilities $to:tt) => { forward_gateway!(@told $to capabilities -> tillbook::gateway::Capabilities); };
    (@fetch_order $to:tt) => {
        forward_gateway!(@asked $to
            fetch_order(wanted: &'a [tillbook::domain::Reference]) -> Option<tillbook::domain::Facts>);
    };
    (@list_orders $to:tt) => {
        forward_gateway!(@asked $to
            list_orders(wanted: &'a tillbook::gateway::OrderFilter, page: tillbook::gateway::PageAt)
                -> tillbook::gateway::OrderPage);
    };
    (@refund $to:tt) => {
        fn refund<'a>(
            &'a self,
            call: &'a tillbook::gateway::RefundCall,
        ) -> tillbook::BoxFuture<'a, tillbook::domain::Answer> {
            self.$to.refund(call)
        }
    };
    (@probe $to:tt) => {
        forward_gateway!(@asked $to probe(call: &'a tillbook::gateway::RefundCall) -> tillbook::domain::Finding);
    };
    (@fence $to:tt) => {
        forward_gateway!(@asked $to fence(call: &'a tillbook::gateway::RefundCall) -> tillbook::domain::Finding);
    };
    (@check $to:tt) => { forward_gateway!(@asked $to check() -> tillbook::gateway::Checked); };
    (@told $to:tt $method:ident -> $told:ty) => {
        fn $method(&self) -> $told {
            self.$to.$method()
        }
    };
    (@asked $to:tt $method:ident($($name:ident: $type:ty),*) -> $found:ty) => {
        fn $method<'a>(
            &'a self,
            $($name: $type),*
        ) -> tillbook::BoxFuture<'a, Result<$found, tillbook::gateway::ReadError>> {
            self.$to.$method($($name),*)
        }
    };
}

pub(crate) use forward_gateway;
