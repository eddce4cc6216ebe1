//! What the hydrogen adapter calls and touches; see `required.rs`.

use super::required::Field::{Answer, Parameter, Request};
use super::required::Operation;
use super::required_table::Table;

/// The fields of an order, wherever in an answer it is.
macro_rules! order {
    ($at:literal $(, $more:expr)* $(,)?) => {
        &[
            Answer(concat!($at, "id"), "Text?"),
            Answer(concat!($at, "trade_no"), "Text?"),
            Answer(concat!($at, "transaction_no"), "Text?"),
            Answer(concat!($at, "status"), "OrderStatus?"),
            Answer(concat!($at, "refund_status"), "OrderRefundStatus?"),
            Answer(concat!($at, "refund_amount"), "Yuan?"),
            Answer(concat!($at, "total_cost"), "Yuan?"),
            Answer(concat!($at, "currency_type"), "Text?"),
            Answer(concat!($at, "gateway_type"), "GatewayType?"),
            Answer(concat!($at, "gateway_extra_info"), "any?"),
            Answer(concat!($at, "merchandise_snapshot"), "any?"),
            Answer(concat!($at, "merchandise_record_id"), "Text?"),
            Answer(concat!($at, "merchandise_schema_id"), "Text?"),
            Answer(concat!($at, "merchandise_description"), "Text?"),
            Answer(concat!($at, "created_at"), "UpstreamTime?"),
            Answer(concat!($at, "updated_at"), "UpstreamTime?"),
            Answer(concat!($at, "paid_at"), "UpstreamTime?"),
            $($more),*
        ]
    };
}

/// Nothing but what is given.
macro_rules! only {
    ($($more:expr),* $(,)?) => { &[$($more),*] };
}

/// The job around one op, and what it answers: `$fields` is the macro that lists what the function returns.
macro_rules! job {
    (
        $id:literal, $safety:literal, $call:literal, $job:literal, $args:literal, $answer:literal, $data:literal,
        $fields:ident $(at $at:literal)?, $($more:expr),* $(,)?
    ) => {
        Operation {
            spec: "hydrogen",
            id: $id,
            safety: $safety,
            gateway_method: None,
            fields: $fields!(
                $($at,)?
                Request("", $call),
                Request("function_name", "string"),
                Request("sync", "boolean"),
                Request("data", $job),
                Request("data.op", "FunctionOp"),
                Request("data.args", concat!("JsonText<", $args, ">")),
                Request("data.mac", "string"),
                Answer("", $answer),
                Answer("code", "Text?"),
                Answer("data", concat!($data, "?")),
                Answer("data.error", "Text?"),
                Answer("error", "any?"),
                $($more),*
            ),
        }
    };
}

/// What the function answers about a refund.
macro_rules! refund {
    ($($more:expr),* $(,)?) => {
        &[
            Answer("data.state", "RefundState?"),
            Answer("data.refund", "Refund?"),
            Answer("data.replayed", "boolean?"),
            Answer("data.refund.refund_no", "Text?"),
            Answer("data.refund.refund_amount", "Yuan?"),
            Answer("data.refund.order_id", "Text?"),
            Answer("data.refund.status", "RefundStatus?"),
            Answer("data.refund.error_msg", "Text?"),
            $($more),*
        ]
    };
}

pub(crate) const TABLE: Table = Table {
    operations: &[
        Operation {
            spec: "hydrogen",
            id: "list_orders",
            safety: "safe",
            gateway_method: None,
            fields: order!(
                "objects.",
                Parameter("limit", "integer(int64)?"),
                Parameter("offset", "integer(int64)?"),
                Parameter("where", "string?"),
                Parameter("return_total_count", "integer(int64)?"),
                Parameter("id", "integer(int64)?"),
                Parameter("trade_no", "string?"),
                Parameter("status", "OrderStatus?"),
                Parameter("refund_status", "OrderRefundStatus?"),
                Parameter("gateway_type", "GatewayType?"),
                Parameter("paid_at__gte", "integer(int64)?"),
                Parameter("paid_at__lte", "integer(int64)?"),
                Answer("", "OrderList"),
                Answer("meta", "PageMeta?"),
                Answer("meta.total_count", "Count?"),
                Answer("objects", "Rows<Order>?"),
            ),
        },
        Operation {
            spec: "hydrogen",
            id: "get_order",
            safety: "safe",
            gateway_method: None,
            fields: order!("", Parameter("transaction_no", "string"), Answer("", "Order")),
        },
        job!(
            "function_refund",
            "unsafe",
            "RefundCall",
            "RefundJob",
            "RefundArgs",
            "RefundJobAnswer",
            "FunctionRefundAnswer",
            refund,
            Request("data.args.refund_key", "string"),
            Request("data.args.order_id", "integer(int64)?"),
            Request("data.args.transaction_no", "string?"),
            Request("data.args.refund_amount", "YuanText"),
            Request("data.args.memo", "string?"),
        ),
        job!(
            "function_lookup",
            "safe",
            "LookupCall",
            "LookupJob",
            "LookupArgs",
            "LookupJobAnswer",
            "FunctionRefundAnswer",
            refund,
            Request("data.args.refund_key", "string"),
        ),
        job!(
            "function_void",
            "unsafe",
            "VoidCall",
            "VoidJob",
            "VoidArgs",
            "VoidJobAnswer",
            "FunctionRefundAnswer",
            refund,
            Request("data.args.refund_key", "string"),
        ),
        job!(
            "function_list",
            "safe",
            "ListCall",
            "ListJob",
            "ListArgs",
            "ListJobAnswer",
            "FunctionOrderList",
            order at "data.objects.",
            Request("data.args.filter", "OrderFilter?"),
            Request("data.args.limit", "integer(int64)?"),
            Request("data.args.offset", "integer(int64)?"),
            Request("data.args.filter.status", "OrderStatus?"),
            Request("data.args.filter.refund_status", "OrderRefundStatus?"),
            Request("data.args.filter.gateway_type", "GatewayType?"),
            Request("data.args.filter.paid_at__gte", "integer(int64)?"),
            Request("data.args.filter.paid_at__lte", "integer(int64)?"),
            Answer("data.meta", "PageMeta?"),
            Answer("data.meta.total_count", "Count?"),
            Answer("data.objects", "Rows<Order>?"),
        ),
        job!(
            "function_get",
            "safe",
            "GetCall",
            "GetJob",
            "GetArgs",
            "GetJobAnswer",
            "FunctionOrderList",
            order at "data.objects.",
            Request("data.args.order_id", "integer(int64)?"),
            Request("data.args.trade_no", "string?"),
            Request("data.args.transaction_no", "string?"),
            Answer("data.objects", "Rows<Order>?"),
        ),
        job!(
            "function_health",
            "safe",
            "HealthCall",
            "HealthJob",
            "HealthArgs",
            "HealthJobAnswer",
            "FunctionHealth",
            only,
            Answer("data.index_enforced", "boolean?"),
            Answer("data.version", "Text?"),
        ),
    ],
    variants: &[
        ("hydrogen", "OrderStatus", &["Pending", "Success", "Failed"]),
        ("hydrogen", "OrderRefundStatus", &["Complete", "Partial"]),
        ("hydrogen", "RefundStatus", &["Succeed", "Failed"]),
        ("hydrogen", "FunctionOp", &["Refund", "Lookup", "Void", "List", "Get", "Health"]),
        ("hydrogen", "RefundState", &["Absent", "Started", "Done", "Failed", "Void", "Conflict"]),
    ],
};
