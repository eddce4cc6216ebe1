//! The three adapters, with what a sandbox wants to be shown.

use std::sync::Arc;

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::http::HttpSettings;
use tillbook::clients::{fubei, hydrogen, trade_order};
use tillbook::gateway::Gateway;
use tillbook::sandbox::{Credentials, Operation, Upstream};

pub(crate) const UPSTREAMS: [Upstream; 3] = [Upstream::Fubei, Upstream::TradeOrder, Upstream::Hydrogen];

/// The adapter for that upstream, reached as `http` says.
pub(crate) fn gateway_over(http: HttpSettings, known: Credentials, upstream: Upstream) -> Arc<dyn Gateway> {
    let secret = |text: String| Arc::new(StaticSecret::new(text));
    match upstream {
        Upstream::Fubei => {
            let settings = fubei::FubeiSettings::new(http, known.fubei_app_id, secret(known.fubei_secret));
            Arc::new(fubei::FubeiGateway::new(settings).expect("usable settings"))
        }
        Upstream::TradeOrder => {
            let settings = trade_order::TradeOrderSettings::new(http, secret(known.trade_order_token));
            Arc::new(trade_order::TradeOrderGateway::new(settings).expect("usable settings"))
        }
        Upstream::Hydrogen => {
            let (token, function) = (secret(known.hydrogen_token), secret(known.function_secret));
            let settings = hydrogen::HydrogenSettings::new(http, known.hydrogen_client_id, token, function);
            Arc::new(hydrogen::HydrogenGateway::new(settings).expect("usable settings"))
        }
    }
}

/// The operation by which that upstream is asked to move money.
pub(crate) fn refund_of(upstream: Upstream) -> Operation {
    match upstream {
        Upstream::Fubei => Operation::FubeiRefund,
        Upstream::TradeOrder => Operation::TradeOrderRefund,
        Upstream::Hydrogen => Operation::FunctionRefund,
    }
}
