//! The business codes that the sandbox answers with, for tests that name them.
//!
//! trade_order's are those of its server source (RetEnum). Fubei's list is not public: all of Fubei's here but 200 and
//! 400 are **invented**, and so is every `sub_code`.

/// `result_code` for an `app_id` that is not known. **Invented**: the upstream's list of codes is not public.
pub const FUBEI_UNKNOWN_APP: i64 = 4901;
/// `result_code` for a signature that does not match. **Invented**: the upstream's list of codes is not public.
pub const FUBEI_WRONG_SIGN: i64 = 4902;
/// `result_code` for a method that is not known. **Invented**.
pub const FUBEI_UNKNOWN_METHOD: i64 = 4903;
/// `result_code` for an envelope or a `biz_content` that cannot be read. **Invented**.
pub const FUBEI_MALFORMED: i64 = 4904;

/// `sub_code` (with `result_code` 400) for an order that is not known. **Invented**, as all of these are.
pub const FUBEI_SUB_ORDER_NOT_EXIST: &str = "ORDER_NOT_EXIST";
/// `sub_code` for a refund that is not known.
pub const FUBEI_SUB_REFUND_NOT_EXIST: &str = "REFUND_NOT_EXIST";
/// `sub_code` for a refund of more than is left.
pub const FUBEI_SUB_NOT_ENOUGH: &str = "NOT_ENOUGH";
/// `sub_code` for an amount that is not positive or not exact to the fen.
pub const FUBEI_SUB_BAD_AMOUNT: &str = "BAD_AMOUNT";
/// `sub_code` for an order whose state allows no refund.
pub const FUBEI_SUB_BAD_STATE: &str = "TRADE_STATE_ERROR";
/// `sub_code` for an order paid more than 90 days ago.
pub const FUBEI_SUB_OVERDUE: &str = "TRADE_OVERDUE";
/// `sub_code` for the eleventh refund of an order.
pub const FUBEI_SUB_TOO_MANY: &str = "REFUND_TIMES_LIMIT";
/// `sub_code` for a `merchant_refund_sn` seen before.
pub const FUBEI_SUB_REPEATED: &str = "REFUND_SN_REPEATED";

/// The order is not known (交易订单不存在).
pub const TRADE_ORDER_UNKNOWN: i64 = 12025;
/// The order is refunded in full already (该订单已全额退款).
pub const TRADE_ORDER_ALL_REFUNDED: i64 = 12062;
/// More than is left (申请退款金额超过订单可退款金额).
pub const TRADE_ORDER_NOT_ENOUGH: i64 = 12063;
/// Neither paid nor partly refunded (退款订单仅支持支付成功和部分退款状态).
pub const TRADE_ORDER_BAD_STATUS: i64 = 12075;
/// Another refund of the order is in progress (当前订单存在一笔退款中订单).
pub const TRADE_ORDER_BUSY: i64 = 12077;
/// Operation failed (操作失败): may follow money that moved.
pub const TRADE_ORDER_FAILED: i64 = 10003;
/// Not logged in, or the token ran out.
pub const TRADE_ORDER_UNAUTHORIZED: i64 = 1001;
/// Anything thrown, a missing parameter included (系统异常).
pub const TRADE_ORDER_EXCEPTION: i64 = 99999;
