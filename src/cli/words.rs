//! What to tell the customer about a refund: one sentence for each place it can stand in, in Chinese and in English.
//!
//! Short enough to be read out, and true: no sentence says that money moved unless it is proven, and none names a day.
//! Of the three upstreams none documents when a refund arrives. Only a channel beneath them does: WeChat Pay, in its
//! documents for merchants (pay.weixin.qq.com), gives about five minutes for a balance and one to three working days
//! for a bank card, and no upstream promises to pass that on. So the wallet or bank is named as the one that knows.

use tillbook::{Refund, RefundState};

/// A sentence to read out, twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// In Chinese.
    pub(crate) zh: &'static str,
    /// In English.
    pub(crate) en: &'static str,
}

/// What the customer of that refund is told now.
pub(crate) fn customer(refund: &Refund) -> Told {
    let (zh, en) = match refund.state {
        RefundState::Queued if refund.awaits_approval => (
            "退款已登记，金额已预留，等店长批准后才会提交。钱还没有退出。",
            "Your refund waits for a manager's approval. No money has moved yet.",
        ),
        RefundState::Queued => (
            "退款已登记，金额已预留，稍后提交给支付平台。钱还没有退出。",
            "Your refund is on record here and goes out later. No money has moved yet.",
        ),
        RefundState::Sending => {
            ("退款正在提交给支付平台，请稍等结果。", "Your refund is on its way to the platform. One moment, please.")
        }
        RefundState::Accepted => (
            "支付平台已受理退款，还没有确认到账。到账时间以支付平台或银行为准。",
            "The platform accepted it. Your wallet or bank knows when it arrives.",
        ),
        RefundState::InDoubt => (
            "支付平台还没有答复结果，我们正在核实。请不要重复退款，这笔金额为您留着。",
            "No answer yet. We are checking. Please do not ask for this refund twice.",
        ),
        RefundState::Review => (
            "这笔退款要由店长人工核实。请留下联系方式，我们会告诉您结果。",
            "A manager has to look into this refund. Please leave a number for the answer.",
        ),
        RefundState::Succeeded => (
            "退款成功，按原支付方式退回。到账时间以支付平台或银行为准。",
            "Refunded, back the way you paid. Your wallet or bank knows when it arrives.",
        ),
        RefundState::Declined => {
            ("支付平台拒绝了这笔退款，没有退出任何款项。", "The platform declined this refund. No money was returned.")
        }
        // Also after a person let it go (`--release`): what was paid in cash instead is not known here.
        RefundState::Canceled => (
            "这笔退款已取消，不再通过支付平台退回。",
            "This refund was withdrawn. Nothing goes through the platform for it.",
        ),
        RefundState::Reversed => (
            "这笔退款曾经成功，后来被支付平台撤回。请由店长为您处理。",
            "The platform took this refund back. A manager will help you.",
        ),
    };
    Told { zh, en }
}

#[cfg(test)]
mod tests {
    use tillbook::{DeviceName, Money, RefundKey, Requested, Timestamp};

    use super::*;

    fn refund() -> Refund {
        let key = RefundKey::new("till-1-a").expect("valid");
        let device = DeviceName::new("till-1").expect("valid");
        Refund::queued(key, Requested::All, Money::ZERO, device, Timestamp::EPOCH)
    }

    /// Everything that a refund can be, once.
    fn situations() -> Vec<Refund> {
        let mut all: Vec<Refund> = RefundState::ALL.map(|state| Refund { state, ..refund() }).to_vec();
        all.push(Refund { awaits_approval: true, ..refund() });
        all
    }

    #[test]
    fn each_situation_has_sentences_of_its_own() {
        let all: Vec<Told> = situations().iter().map(customer).collect();
        for (place, told) in all.iter().enumerate() {
            assert!(all[..place].iter().all(|other| other.zh != told.zh && other.en != told.en), "{told:?} twice");
        }
    }

    #[test]
    fn only_a_refund_that_succeeded_is_said_to_have_gone_through() {
        for refund in situations() {
            let told = customer(&refund);
            let says = told.zh.contains("退款成功") || told.en.contains("Refunded");
            assert_eq!(says, refund.state == RefundState::Succeeded, "{told:?}");
        }
    }

    #[test]
    fn each_sentence_fits_one_line_of_a_narrow_terminal() {
        for refund in situations() {
            let told = customer(&refund);
            // A Chinese sign is two columns wide; two more stand before the line.
            let columns = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>() + 2;
            assert!(columns(told.zh) <= 80 && columns(told.en) <= 80, "{told:?}");
        }
    }

    #[test]
    fn the_page_for_cashiers_has_every_sentence() {
        let page = include_str!("../../docs/cashier.md");
        for refund in situations() {
            let told = customer(&refund);
            assert!(page.contains(told.zh) && page.contains(told.en), "{told:?}");
        }
    }

    #[test]
    fn no_sentence_promises_a_time() {
        for refund in situations() {
            let told = customer(&refund);
            let figure = |text: &str| text.chars().any(|c| c.is_ascii_digit() || "一二三四五六七八九十天".contains(c));
            assert!(!figure(told.zh) && !figure(told.en), "{told:?}");
        }
    }

    #[test]
    fn what_waits_for_approval_says_so_only_while_it_is_queued() {
        let waits = Refund { awaits_approval: true, ..refund() };
        assert_ne!(customer(&waits), customer(&refund()));
        let canceled = Refund { state: RefundState::Canceled, ..refund() };
        assert_eq!(customer(&Refund { state: RefundState::Canceled, ..waits }), customer(&canceled));
    }
}
