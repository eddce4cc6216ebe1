//! What the sandbox expects of its callers (credentials), and how it behaves where the upstreams are undocumented.

use std::fmt;
use std::time::Duration;

/// The secrets that callers must know; all of them fakes, and still kept out of `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// fubei `app_id`.
    pub fubei_app_id: String,
    /// fubei's secret, behind the MD5 signature.
    pub fubei_secret: String,
    /// trade_order: the whole `Authorization` header, without `Bearer`.
    pub trade_order_token: String,
    /// hydrogen: `X-Hydrogen-Client-ID`.
    pub hydrogen_client_id: String,
    /// hydrogen: what stands behind `Authorization: Hydrogen-r1`.
    pub hydrogen_token: String,
    /// hydrogen: the name under which the cloud function is deployed.
    pub function_name: String,
    /// hydrogen: the key of the cloud function's mac.
    pub function_secret: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            fubei_app_id: "20990101000000000001".to_owned(),
            fubei_secret: "sandbox-fubei-secret-0123456789ab".to_owned(),
            trade_order_token: "sandbox.trade-order.token".to_owned(),
            hydrogen_client_id: "sandbox-client-id".to_owned(),
            hydrogen_token: "sandbox-hydrogen-token".to_owned(),
            function_name: "tillbook".to_owned(),
            function_secret: "sandbox-function-secret-0123456789".to_owned(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("fubei_app_id", &self.fubei_app_id)
            .field("hydrogen_client_id", &self.hydrogen_client_id)
            .field("function_name", &self.function_name)
            .finish_non_exhaustive()
    }
}

/// What Fubei does when it sees a `merchant_refund_sn` again; its documents do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepeatedRefundNo {
    /// 400 with [`FUBEI_SUB_REPEATED`](super::FUBEI_SUB_REPEATED).
    #[default]
    Refuse,
    /// The first refund's answer again; no money moves.
    Replay,
    /// A second refund: the trap that a caller who resends on trust falls into.
    PayAgain,
}

/// How the sandbox behaves where documents leave it open or installations differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What a repeated `merchant_refund_sn` does.
    pub repeated_refund_no: RepeatedRefundNo,
    /// How long trade_order's own gateway takes for a refund; a second refund of the order meets 12077 meanwhile.
    pub trade_order_gateway_time: Duration,
    /// How long trade_order waits between counting the refunds in progress and writing its own row; nothing by default.
    /// With a gap two refunds of one order at once both pass the count, as they can on the real server.
    pub trade_order_check_gap: Duration,
    /// Whether hydrogen's REST rows bear `refund_amount` once something was refunded; seed 001's rows do not.
    pub hydrogen_rest_refund_amount: RestRefundAmount,
    /// Whether the cloud function's table has its unique index; `health` tells, and without it nothing is refunded.
    pub function_index: FunctionIndex,
}

/// Whether hydrogen's REST rows bear `refund_amount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestRefundAmount {
    /// As in seed 001.
    #[default]
    Absent,
    /// As in the cloud function's rows.
    Shown,
}

/// Whether the unique index on `refund_key` was created when the function was deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FunctionIndex {
    /// Two rows with one key are impossible.
    #[default]
    Enforced,
    /// The merchant forgot it.
    Missing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            repeated_refund_no: RepeatedRefundNo::default(),
            trade_order_gateway_time: Duration::from_millis(5),
            trade_order_check_gap: Duration::ZERO,
            hydrogen_rest_refund_amount: RestRefundAmount::default(),
            function_index: FunctionIndex::default(),
        }
    }
}
