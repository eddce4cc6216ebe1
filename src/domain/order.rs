//! What an upstream says about an order (its facts), in the ledger's words.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Body, GatewayName, Money, Reference, Timestamp};

/// Makes an open enum: the known words, and `Other` that keeps any word not known.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word this version does not know, kept as it came.
            Other(String),
        }

        impl $name {
            /// The word that is stored, printed and parsed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $word,)+
                    $name::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> $name {
                match word {
                    $($word => $name::$variant,)+
                    other => $name::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> $name {
                $name::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Where an order stands, one word for all upstreams. Only `Paid` orders are refundable; an
    /// unknown word is never treated as paid.
    OrderStatus {
        /// 待支付: made, not paid.
        Pending = "pending",
        /// 处理中: the payment (or its undoing) is under way.
        Processing = "processing",
        /// 已支付: paid; refunds do not change it.
        Paid = "paid",
        /// 失败: the payment failed.
        Failed = "failed",
        /// 已关闭: closed or revoked.
        Closed = "closed",
    }
}

words! {
    /// How the customer paid, one word for all upstreams.
    PaymentMethod {
        /// 微信.
        Wechat = "wechat",
        /// 支付宝.
        Alipay = "alipay",
        /// 银联, 云闪付.
        Unionpay = "unionpay",
        /// QQ 钱包.
        Qq = "qq",
        /// 现金.
        Cash = "cash",
        /// 会员储值.
        Member = "member",
        /// 货到付款.
        CashOnDelivery = "cash_on_delivery",
    }
}

/// Where a [`Facts::paid_at`] comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaidAtSource {
    /// The upstream gave a paid time, or there is none.
    #[default]
    Upstream,
    /// The upstream gave none although the order is paid: the created time stands in.
    Created,
    /// A device recorded the order while offline.
    Device,
}

/// What is said about one order at one time, by an upstream or by the device that recorded it.
///
/// Facts hold no payer data: no open id, phone, address or bar code of a customer. The body beside them may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The kind of upstream.
    pub gateway: GatewayName,
    /// The merchant's id at that upstream: Fubei `app_id`, hydrogen client id, trade_order `mchId`.
    pub merchant: String,
    /// The upstream's own permanent number: Fubei `order_sn`, trade_order `tradeOrderId`,
    /// hydrogen `transaction_no`. `None` only for an order recorded offline.
    pub native: Option<Reference>,
    /// All numbers of the order by kind, the native one included.
    pub references: BTreeMap<String, String>,
    /// Where the order stands.
    pub status: OrderStatus,
    /// The upstream's own word or number for it.
    pub upstream_status: String,
    /// How it was paid, if the upstream says.
    pub payment_method: Option<PaymentMethod>,
    /// The currency's ISO code. Anything but CNY is shown and never refundable.
    pub currency: String,
    /// The price before discounts, if the upstream says.
    pub total: Option<Money>,
    /// 实付: the cap of all refunds; zero unless the status is paid.
    pub paid: Money,
    /// The upstream's own total of refunds. `None` is *unknown*, which is not zero.
    pub refunded: Option<Money>,
    /// How many refunds the upstream counts, if it does (Fubei `refund_num`).
    pub refund_count: Option<u32>,
    /// The upstream's own word for the refund status.
    pub upstream_refund_status: Option<String>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// Where `paid_at` comes from.
    #[serde(default)]
    pub paid_at_source: PaidAtSource,
    /// When it was made upstream.
    pub created_at: Option<Timestamp>,
    /// When it last changed upstream.
    pub updated_at: Option<Timestamp>,
    /// The upstream's other fields under their own names; amounts as decimal text, never floats.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, serde_json::Value>,
    /// When the request that brought these facts began (our clock). Facts prove nothing about
    /// what was applied after this instant.
    pub asked_at: Timestamp,
    /// The upstream's clock when it answered, where its answer bore a `Date`: what its own time limits
    /// are counted on. Not kept.
    #[serde(skip)]
    pub upstream_time: Option<Timestamp>,
    /// The answer, or the list's row, that these facts were read from. Never part of an event or a record: it is kept
    /// beside the index where the account asks for it (`keep_bodies`), and else forgotten.
    #[serde(skip)]
    pub body: Option<Body>,
}

impl Facts {
    /// All numbers of the order, in order of their kinds.
    pub fn all_references(&self) -> impl Iterator<Item = Reference> + '_ {
        self.references.iter().map(|(kind, number)| Reference { kind: kind.clone(), number: number.clone() })
    }

    /// Whether the order bears that number by its kind.
    pub(crate) fn bear(&self, reference: &Reference) -> bool {
        self.references.get(&reference.kind) == Some(&reference.number)
    }

    /// Whether the two say the same, whenever they were asked for.
    #[must_use]
    pub fn same_content(&self, other: &Facts) -> bool {
        // Cheaper than listing the fields, and a new field cannot be forgotten.
        let mut moved = other.clone();
        (moved.asked_at, moved.upstream_time) = (self.asked_at, self.upstream_time);
        moved.body.clone_from(&self.body);
        *self == moved
    }
}

/// The refund status that amounts imply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// 未退款: nothing refunded.
    None,
    /// 部分退款: less than what was paid.
    Partial,
    /// 全额退款: all that was paid.
    Complete,
}

impl RefundStatus {
    /// The word that is printed and parsed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RefundStatus::None => "none",
            RefundStatus::Partial => "partial",
            RefundStatus::Complete => "complete",
        }
    }
}

impl fmt::Display for RefundStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{OrderStatus, PaidAtSource, RefundStatus};

    #[test]
    fn a_refund_status_is_printed_as_the_word_it_is_stored_under() {
        for status in [RefundStatus::None, RefundStatus::Partial, RefundStatus::Complete] {
            let stored = serde_json::to_value(status).expect("written");
            assert_eq!(
                (stored.as_str(), format!("{status:>8}").trim_start()),
                (Some(status.as_str()), status.as_str())
            );
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_kept_as_it_came() {
        let status = OrderStatus::from("SETTLING");
        assert_eq!(status, OrderStatus::Other("SETTLING".to_owned()));
        assert_eq!((status.as_str(), status.to_string()), ("SETTLING", "SETTLING".to_owned()));
        assert_eq!(PaidAtSource::default(), PaidAtSource::Upstream);
    }
}
