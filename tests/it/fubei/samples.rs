//! Every sample body, field by field, and every spelling the documents and their examples disagree about.

use super::*;

#[test]
fn every_order_sample_decodes_field_by_field() {
    let read = |body: &str| decode("order.query", body.as_bytes(), at(1));
    assert_eq!(read(SUCCESS), one_order(sample_facts()));
    let unpaid =
        |status, word: &str| Facts { status, upstream_status: word.to_owned(), paid: Money::ZERO, ..sample_facts() };
    let closed = include_str!("../../fixtures/fubei/order_query-closed.json");
    let expected = Facts { paid_at: None, ..unpaid(OrderStatus::Closed, "CLOSED") };
    assert_eq!(read(closed), one_order(expected));
    let revoked = include_str!("../../fixtures/fubei/order_query-revoked.json");
    assert_eq!(read(revoked), one_order(unpaid(OrderStatus::Closed, "REVOKED")));
    let revoking = include_str!("../../fixtures/fubei/order_query-revoking.json");
    assert_eq!(read(revoking), one_order(unpaid(OrderStatus::Processing, "REVOKING")));
    let paying = include_str!("../../fixtures/fubei/order_query-userpaying.json");
    let mut expected = Facts { paid_at: None, ..unpaid(OrderStatus::Pending, "USERPAYING") };
    for (name, text) in [("fee", "0.00"), ("net_money", "0.00"), ("buyer_pay_amount", "0.00")] {
        expected.details.insert(name.to_owned(), Value::from(text));
    }
    assert_eq!(read(paying), one_order(expected));
    let failed = include_str!("../../fixtures/fubei/order_query-fail_400.json");
    let answer =
        Answer { code: some("400"), message: some("失败 (ERROR_CODE)"), ..Answer::new(Outcome::InDoubt, at(1)) };
    let refused = DecodeError::Refused { answer: Box::new(answer) };
    assert_eq!(read(failed), Err(refused));
}

#[test]
fn an_unknown_word_is_kept_and_never_paid() {
    for word in ["PAID", "paid", "REVOKED_ERROR", "7"] {
        let body = SUCCESS.replace("\"SUCCESS\"", &format!("{word:?}"));
        let Ok(Decoded::Orders { orders, .. }) = decode("order.query", body.as_bytes(), at(1)) else {
            panic!("{word}")
        };
        let seen = (orders[0].status.clone(), orders[0].upstream_status.as_str(), orders[0].paid);
        assert_eq!(seen, (OrderStatus::Other("other".to_owned()), word, Money::ZERO));
    }
}

#[test]
fn documented_types_and_shown_types_are_both_read() {
    let shown: Value = serde_json::from_str(SUCCESS).expect("JSON");
    let mut documented = shown.clone();
    let data = documented["data"].as_object_mut().expect("an object");
    for (name, value) in [
        ("store_id", json!(25249)),
        ("cashier_id", json!(0)),
        ("total_fee", json!("80.00")),
        ("fee", json!(1.0)),
        ("net_money", json!("79")),
        ("discount_money", json!(20.0)),
        ("pay_time", json!("1496325236")),
        ("type", json!("1")),
        ("order_sn", json!("20170601215348178414")),
        ("attach", json!(null)),
        ("user_id", json!(77)),
    ] {
        data.insert(name.to_owned(), value);
    }
    documented["result_code"] = json!("200");
    assert_eq!(decode("order.query", documented.to_string().as_bytes(), at(1)), one_order(sample_facts()));
}

#[test]
fn what_cannot_be_read_is_named() {
    let changed = |field: &str, value: Value| {
        let mut body: Value = serde_json::from_str(SUCCESS).expect("JSON");
        body["data"][field] = value;
        decode("order.query", body.to_string().as_bytes(), at(1)).expect_err("strange").to_string()
    };
    assert!(changed("total_fee", json!("80.005")).starts_with("data.total_fee: `80.005` has more than two decimals"));
    assert_eq!(changed("total_fee", json!(-1)), "data.total_fee: -1.00 is negative");
    assert_eq!(changed("total_fee", json!(null)), "data.total_fee is missing");
    assert_eq!(changed("trade_state", json!(null)), "data.trade_state is missing");
    assert_eq!(changed("order_sn", json!("")), "data.order_sn is missing");
    assert!(changed("pay_time", json!("soon")).starts_with("data.pay_time: `soon` is not a time"));
    let other = decode("order.pay", b"{}", at(1)).expect_err("no such operation").to_string();
    let known = "order.query, order.refund, refund.query, refund.statistics, order.bill";
    assert_eq!(other, format!("`order.pay` cannot be decoded; one of {known}"));
}

#[test]
fn every_refund_sample_decodes_field_by_field() {
    let order = |order_sn: &str, merchant: &str, trade_no: &str| {
        [("order_sn", order_sn), ("merchant_order_sn", merchant), ("trade_no", trade_no)]
            .map(|(kind, number)| (kind.to_owned(), number.to_owned()))
            .to_vec()
    };
    let accepted = SeenRefund {
        key: some("R20170602000001"),
        upstream_refund_no: some("20170602100603639901"),
        order: order("20170601215348178414", "201706011496325244549", "2017060121534801983049958160"),
        amount: None,
        outcome: Outcome::Accepted,
        upstream_status: None,
        at: None,
    };
    let answer = |outcome, number: Option<&str>, code: &str, message: &str| Answer {
        upstream_refund_no: number.map(str::to_owned),
        code: some(code),
        message: some(message),
        ..Answer::new(outcome, at(1))
    };
    let number = Some("20170602100603639901");
    let read = |operation, body: &str| decode(operation, body.as_bytes(), at(1));
    let refunds = |answer, refunds| Ok(Decoded::Refunds { answer, refunds, bad_rows: vec![] });
    assert_eq!(
        read("order.refund", ACCEPTED),
        refunds(answer(Outcome::Accepted, number, "200", "成功"), vec![accepted.clone()])
    );
    assert_eq!(
        read("order.refund", REFUSED),
        refunds(answer(Outcome::InDoubt, None, "400", "可退金额不足 (NOT_ENOUGH)"), vec![])
    );
    let done = SeenRefund {
        amount: Some(fen(1_050)),
        outcome: Outcome::Succeeded,
        upstream_status: some("REFUND_SUCCESS"),
        at: Some(at(1_496_369_163)),
        ..accepted
    };
    assert_eq!(
        read("refund.query", REFUND_DONE),
        refunds(answer(Outcome::Succeeded, number, "200", "退款查询成功"), vec![done])
    );
    let row = |outcome, word| SeenRefund {
        key: some("201705031493777175502openapi"),
        upstream_refund_no: some("20170503100603639901"),
        order: order("20170503100339519319", "201705031493777030425openapi", "2017050310033901346103748870"),
        amount: Some(fen(1_000)),
        outcome,
        upstream_status: some(word),
        at: Some(at(1_493_777_163)),
    };
    for (body, outcome, word) in [
        (include_str!("../../fixtures/fubei/refund_query-failer.json"), Outcome::Declined, "REFUND_FAILER"),
        (include_str!("../../fixtures/fubei/refund_query-processing.json"), Outcome::Accepted, "REFUND_PROCESSING"),
    ] {
        let expected = answer(outcome, Some("20170503100603639901"), "200", "退款查询成功");
        assert_eq!(read("refund.query", body), refunds(expected, vec![row(outcome, word)]));
    }
}

#[test]
fn statistics_tell_what_was_refunded() {
    let Ok(Decoded::Orders { orders, .. }) = decode("refund.statistics", STATISTICS.as_bytes(), at(1)) else {
        panic!("an order")
    };
    let [facts] = orders.as_slice() else { panic!("one order") };
    assert_eq!((facts.refunded, facts.refund_count), (Some(fen(1_050)), Some(1)));
    assert_eq!(
        facts.details,
        BTreeMap::from([("can_refund".to_owned(), json!("69.50")), ("total_fee".to_owned(), json!("80.00")),])
    );
    let more = STATISTICS.replace("69.5", "80.01");
    let error = decode("refund.statistics", more.as_bytes(), at(1)).expect_err("strange").to_string();
    assert_eq!(error, "data.can_refund: 80.01 is more than total_fee 80.00");
}

#[test]
fn a_bad_row_does_not_lose_the_bill() {
    let body = include_str!("../../fixtures/fubei/order_bill-response.json");
    let Ok(Decoded::Orders { orders, bad_rows }) = decode("order.bill", body.as_bytes(), at(1)) else {
        panic!("orders")
    };
    let [row] = orders.as_slice() else { panic!("one good row") };
    assert_eq!(
        (row.total, row.paid, &row.status),
        (Some(fen(10_000)), Money::ZERO, &OrderStatus::Other("other".into()))
    );
    assert_eq!((row.created_at, row.paid_at), (Some(at(1_496_325_228)), Some(at(1_496_325_236))));
    let why = "total_fee: `80.505` has more than two decimals".to_owned();
    assert_eq!(bad_rows, [BadRow { path: "data.list[1]".to_owned(), why }]);
}
