//! Every spelling the upstreams use, and every one that must be refused by name.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{BadRow, Count, Fen, JsonOrText, JsonText, Rows, Text, UpstreamTime, Yuan, YuanText};

fn read<T: for<'a> Deserialize<'a>>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn yuan_is_exact_from_every_spelling() {
    let spellings = [
        ("\"398.00\"", 39_800),
        ("100.00", 10_000),
        ("80", 8_000),
        ("\"1.11\"", 111),
        ("0.01", 1),
        ("0.1", 10),
        ("1e2", 10_000),
        ("\" 5.00 \"", 500),
        ("\"80\"", 8_000),
        ("-0", 0),
        ("-12.34", -1_234),
        ("1.10", 110),
        ("\"1.100\"", 110),
        ("9999999999999.99", 999_999_999_999_999),
        ("\"99999999999999.99\"", 9_999_999_999_999_999),
        ("19.99", 1_999),
        ("8999999.29", 899_999_929),
        ("99999999999999.99", 9_999_999_999_999_999),
        ("80.0000000000000000", 8_000),
    ];
    for (json, fen) in spellings {
        assert_eq!(read(json), Ok(Yuan::from_fen(fen)), "{json}");
        assert_eq!(read(json), Ok(YuanText::from_fen(fen)), "{json}");
    }
}

#[test]
fn what_is_no_exact_amount_is_refused_by_name() {
    let refused = [
        ("0.005", "`0.005` has more than two decimals"),
        // A double would have made 80 and 0.01 of these.
        ("80.00000000000000001", "`80.00000000000000001` has more than two decimals"),
        ("0.010000000000000000001", "`0.010000000000000000001` has more than two decimals"),
        ("0.30000000000000004", "`0.30000000000000004` has more than two decimals"),
        ("\"1,000.00\"", "`1,000.00` is not an amount in yuan"),
        ("\"¥5\"", "`¥5` is not an amount in yuan"),
        ("\"0x10\"", "`0x10` is not an amount in yuan"),
        ("\"1_000\"", "`1_000` is not an amount in yuan"),
        ("\"NaN\"", "`NaN` is not an amount in yuan"),
        ("\"\"", "`` is not an amount in yuan"),
        ("\"1e21\"", "`1e21` is not an amount in yuan"),
        ("\"999999999999999999999\"", "`999999999999999999999` is too large for an amount"),
        ("true", "expected an amount in yuan as number or text, found `true`"),
    ];
    for (json, message) in refused {
        let error = read::<Yuan>(json).expect_err(json);
        assert!(error.starts_with(message), "{json}: {error}");
    }
    for json in ["1e21", "[]", "{}", "null"] {
        assert!(read::<Yuan>(json).is_err(), "{json}");
    }
}

#[test]
fn every_amount_with_two_decimals_survives_as_a_number() {
    // A stride that is coprime to 100 meets every pair of decimals.
    for fen in (0..500_000_000_i64).step_by(7_919) {
        let json = format!("{}.{:02}", fen / 100, fen % 100);
        assert_eq!(read(&json), Ok(Yuan::from_fen(fen)), "{json}");
    }
}

#[test]
fn amounts_are_written_as_the_upstreams_expect() {
    assert_eq!(serde_json::to_string(&Yuan::from_fen(1_050)).ok().as_deref(), Some("10.50"));
    assert_eq!(serde_json::to_string(&Yuan::from_fen(-5)).ok().as_deref(), Some("-0.05"));
    assert_eq!(serde_json::to_string(&YuanText::from_fen(39_800)).ok().as_deref(), Some("\"398.00\""));
    assert_eq!(serde_json::to_string(&Fen::from_fen(39_800)).ok().as_deref(), Some("39800"));
    assert_eq!(Yuan::from_fen(i64::MIN).to_string(), "-92233720368547758.08");
}

#[test]
fn fen_are_whole() {
    assert_eq!(read("80"), Ok(Fen::from_fen(80)));
    assert_eq!(read("\"80\""), Ok(Fen::from_fen(80)));
    assert_eq!(read("80.0"), Ok(Fen::from_fen(80)));
    for json in ["1.5", "\"1.5\""] {
        let error = read::<Fen>(json).expect_err(json);
        assert!(error.starts_with("`1.5` is not a whole number of fen"), "{error}");
    }
    assert_eq!(read("\"3\""), Ok(Count::new(3)));
    assert!(read::<Count>("\"three\"").is_err());
}

/// Every test here holds in both modes: `cargo test --features serde_json/arbitrary_precision`.
#[test]
fn an_amount_in_a_row_or_in_a_text_is_as_exact_as_any() {
    let rows = read::<Rows<BTreeMap<String, Yuan>>>(r#"[{"a":100.05},{"a":80.00000000000000001}]"#).expect("a list");
    assert_eq!(rows.rows, [BTreeMap::from([("a".to_owned(), Yuan::from_fen(10_005))])]);
    let why: Vec<&str> = rows.bad.iter().map(|row| row.why.as_str()).collect();
    assert_eq!(why, ["a: `80.00000000000000001` has more than two decimals"]);
    let inside = read::<JsonOrText<BTreeMap<String, Yuan>>>(r#""{\"a\":80.00000000000000001}""#);
    assert!(matches!(inside, Ok(JsonOrText::Text(_))), "{inside:?}");
}

#[test]
fn text_keeps_numbers_and_flags_as_text() {
    assert_eq!(read("\"25249\""), Ok(Text::from("25249")));
    assert_eq!(read("25249"), Ok(Text::from("25249")));
    assert_eq!(read("true"), Ok(Text::from("true")));
    assert_eq!(read("18446744073709551615"), Ok(Text::from("18446744073709551615")));
    assert_eq!(read::<Option<Text>>("null"), Ok(None));
    assert!(read::<Text>("[]").is_err());
    assert_eq!(Text::from(" ").non_empty(), None);
}

#[test]
fn a_time_is_read_from_all_four_shapes() {
    let same = [
        "1496325236",
        "\"1496325236\"",
        "\"2017-06-01T21:53:56\"",
        "\"2017-06-01 21:53:56\"",
        "\"2017-06-01T13:53:56.000+0000\"",
        "\"2017-06-01T13:53:56Z\"",
        "\"2017-06-01T21:53:56+08:00\"",
    ];
    for json in same {
        let time = read::<UpstreamTime>(json).expect(json);
        assert_eq!(time.instant().as_second(), 1_496_325_236, "{json}");
        assert_eq!(time.raw(), json.trim_matches('"'));
    }
    let micros = read::<UpstreamTime>("\"2019-08-20T17:05:24.657217\"").expect("naive with microseconds");
    assert_eq!(micros.instant().to_string(), "2019-08-20T09:05:24.657217Z");
}

#[test]
fn an_untrue_offset_can_be_left_out() {
    let time = UpstreamTime::from_str("2019-08-23T11:12:21.000+0000").expect("ISO with offset");
    assert_eq!(time.civil().map(|civil| civil.to_string()).as_deref(), Some("2019-08-23T11:12:21"));
    let zulu = UpstreamTime::from_str("2019-08-23T11:12:21Z").expect("ISO with Z");
    assert_eq!(zulu.civil(), time.civil());
    assert_eq!(UpstreamTime::from_str("1496325236").map(|time| time.civil()), Ok(None));
}

#[test]
fn what_is_no_time_is_refused_by_name() {
    for json in ["\"2017-06-01\"", "1496325236000", "\"yesterday\"", "\"\"", "true", "1.5", "-1"] {
        let error = read::<UpstreamTime>(json).expect_err(json);
        assert!(error.contains("is not a time"), "{json}: {error}");
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Goods {
    price: Fen,
}

#[test]
fn a_bad_row_does_not_lose_its_list() {
    let rows: Rows<Goods> = read(r#"[{"price":80},{"price":1.5},{"price":"90"},"none"]"#).expect("a list");
    assert_eq!(rows.rows, [Goods { price: Fen::from_fen(80) }, Goods { price: Fen::from_fen(90) }]);
    let reasons: Vec<(usize, &Value, &str)> =
        rows.bad.iter().map(|BadRow { index, raw, why }| (*index, raw, why.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (1, &json!({"price": 1.5}), "price: `1.5` is not a whole number of fen"),
            (3, &json!("none"), "invalid type: string \"none\", expected struct Goods"),
        ]
    );
}

#[test]
fn a_list_may_come_as_text_or_not_at_all() {
    let bodies = vec![crate::Body::new(r#"{"price":80}"#)];
    let expected = Rows { rows: vec![Goods { price: Fen::from_fen(80) }], bad: vec![], bodies };
    assert_eq!(read(r#""[{\"price\":80}]""#), Ok(expected));
    assert_eq!(read::<Rows<Goods>>("null"), Ok(Rows::default()));
    assert_eq!(read::<Rows<Goods>>("\"\""), Ok(Rows::default()));
    assert!(read::<Rows<Goods>>("\"none\"").is_err());
    assert!(read::<Rows<Goods>>("{}").is_err());
}

#[test]
fn json_may_come_as_itself_or_inside_a_text() {
    let goods = || Goods { price: Fen::from_fen(80) };
    assert_eq!(read(r#"{"price":80}"#), Ok(JsonOrText::Json(goods())));
    assert_eq!(read(r#""{\"price\":80}""#), Ok(JsonOrText::Json(goods())));
    assert_eq!(read::<JsonOrText<Goods>>(r#""<xml/>""#), Ok(JsonOrText::Text("<xml/>".to_owned())));
    assert_eq!(
        read::<JsonOrText<Goods>>(r#"{"price":"x"}"#),
        Ok(JsonOrText::Unread {
            raw: json!({"price": "x"}),
            why: "price: `x` is not a whole number of fen".to_owned()
        })
    );
}

#[test]
fn json_text_is_one_text() {
    #[derive(serde::Serialize)]
    struct Biz {
        refund_money: Yuan,
    }
    let text = serde_json::to_string(&JsonText(Biz { refund_money: Yuan::from_fen(1_050) }));
    assert_eq!(text.ok().as_deref(), Some(r#""{\"refund_money\":10.50}""#));
    assert_eq!(read::<JsonText<Goods>>(r#""{\"price\":1}""#), Ok(JsonText(Goods { price: Fen::from_fen(1) })));
    let error = read::<JsonText<Goods>>(r#""{\"price\":1.5}""#).expect_err("a fraction of a fen");
    assert!(error.starts_with("price: `1.5` is not a whole number of fen"), "{error}");
}
