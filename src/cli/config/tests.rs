use std::time::Duration;

use super::*;

const GOOD: &str = r#"
data = "books"
device = "till-3"
[accounts.shop-1]
gateway = "fubei"
base_url = "http://127.0.0.1:8100"
app_id = "20990101"
secret = { env = "FUBEI_SECRET" }
refund_interval = "0s"
refund_window = "90d"
probe_schedule = ["30s", "2m"]
calls_per_minute = 600
hold_above = "500.00"
provisional_for = "2d"
review_after = "72h"
resend_after_silence = "never"
keep_bodies = true
[accounts.shop-2]
gateway = "trade_order"
base_url = "http://127.0.0.1:8100"
token = { file = "keys/token" }
timeout = "2s"
resend_after_silence = "30d"
[accounts.shop-3]
gateway = "hydrogen"
base_url = "http://127.0.0.1:8100"
client_id = "c"
token = "very-secret"
function_secret = "more-secret"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("etc/tillbook.toml"), text).map_err(|failure| {
        assert_eq!((failure.kind(), failure.exit().code()), ("config", 2));
        failure.error_json()["message"].as_str().expect("a message").to_owned()
    })
}

#[test]
fn paths_are_relative_to_the_file_and_defaults_are_filled_in() {
    let config = parse(GOOD).expect("a configuration");
    assert_eq!(config.data, Place::Directory("etc/books".into()));
    assert_eq!(config.device.as_ref().map(DeviceName::as_str), Some("till-3"));
    let accounts: Vec<(&str, &str)> =
        config.accounts.iter().map(|(name, account)| (name.as_str(), account.upstream.name())).collect();
    assert_eq!(accounts, [("shop-1", "fubei"), ("shop-2", "trade_order"), ("shop-3", "hydrogen")]);
    let shop = |name| config.account(&AccountName::new(name).expect("a name")).expect("an account");
    assert_eq!(shop("shop-1").refund_interval, Some(Duration::ZERO));
    assert_eq!(shop("shop-1").refund_window, Some(Duration::from_secs(90 * 86_400)));
    assert!(matches!(&shop("shop-2").upstream, Upstream::TradeOrder { token: Secret::File(path) }
        if path == Path::new("etc/keys/token")));
    assert!(matches!(&shop("shop-3").upstream, Upstream::Hydrogen { refund_function, orders: OrdersBy::Function, .. }
        if refund_function == "tillbook"));
}

#[test]
fn no_secret_reaches_a_debug() {
    let text = format!("{:?}", parse(GOOD).expect("a configuration"));
    assert!(text.contains("FUBEI_SECRET"));
    assert!(!text.contains("very-secret") && !text.contains("more-secret"), "{text}");
}

#[test]
fn each_fault_names_file_line_and_key() {
    let fubei = "[accounts.shop-1]\ngateway = \"fubei\"\nbase_url = \"http://x\"\napp_id = \"1\"\nsecret = \"s\"\n";
    let with = |line: &str| format!("{fubei}{line}\n");
    for (text, want) in [
        ("dta = \"x\"\n".to_owned(), "1: unknown key `dta` at the top; the nearest known one is `data`"),
        (
            with("refund_windw = \"90d\""),
            "6: unknown key `refund_windw` in [accounts.shop-1]; the nearest known one is `refund_window`",
        ),
        (with("client_id = \"c\""), "6: unknown key `client_id` in [accounts.shop-1]: it is one of hydrogen accounts"),
        ("data = ledger\n".to_owned(), "1: not TOML: string values must be quoted, expected literal string"),
        ("{\"data\": \"x\"}\n".to_owned(), "1: not TOML: invalid key-value pair, expected key"),
        (
            "device = \"till 3\"\n".to_owned(),
            "1: `device` at the top: device name \"till 3\" may hold only 0-9 A-Z a-z _ -",
        ),
        (
            "[accounts.a]\nbase_url = \"x\"\n".to_owned(),
            "1: `gateway` in [accounts.a]: is missing: \"fubei\", \"hydrogen\" or \"trade_order\"",
        ),
        (
            "[accounts.a]\ngateway = \"fubie\"\n".to_owned(),
            "2: `gateway` in [accounts.a]: must be one of \"fubei\", \"hydrogen\", \"trade_order\"",
        ),
        ("[accounts.a]\ngateway = \"fubei\"\napp_id = \"1\"\n".to_owned(), "1: missing key `secret` in [accounts.a]"),
        ("[accounts.a]\ngateway = \"trade_order\"\n".to_owned(), "1: missing key `token` in [accounts.a]"),
        ("[accounts.a]\ngateway = \"hydrogen\"\n".to_owned(), "1: missing key `client_id` in [accounts.a]"),
        ("[accounts.\"a b\"]\n".to_owned(), "1: account name \"a b\" may hold only 0-9 A-Z a-z _ -"),
        (
            with("timeout = 5"),
            "6: `timeout` in [accounts.shop-1]: must be a duration in quotes: \"200ms\", \"2s\", \"5m\", \"1h\", \"90d\"",
        ),
        (
            with("refunds_per_order = 0"),
            "6: `refunds_per_order` in [accounts.shop-1]: must be a whole number from 1 to 10000",
        ),
        (
            with("probe_schedule = [\"30s\", \"2w\"]"),
            "6: `probe_schedule` in [accounts.shop-1]: must be a duration in quotes: \"200ms\", \"2s\", \"5m\", \"1h\", \"90d\"",
        ),
        (
            with("probe_schedule = [\"0s\"]"),
            "6: `probe_schedule` in [accounts.shop-1]: must have at least one duration, each above zero",
        ),
        (
            with("rate_per_second = 2"),
            "6: `rate_per_second` in [accounts.shop-1]: is now `calls_per_minute`, and counts calls a minute",
        ),
        (
            with("calls_per_minute = 0"),
            "6: `calls_per_minute` in [accounts.shop-1]: must be a whole number from 1 to 1000000",
        ),
        (
            with("hold_above = 500.00"),
            "6: `hold_above` in [accounts.shop-1]: must be an amount in yuan in quotes, with two decimals at most: \"500.00\"",
        ),
        (
            with("hold_above = \"500.001\""),
            "6: `hold_above` in [accounts.shop-1]: must be an amount in yuan in quotes, with two decimals at most: \"500.00\"",
        ),
        (
            with("resend_after_silence = \"0s\""),
            "6: `resend_after_silence` in [accounts.shop-1]: must be \"never\" or a duration above zero in quotes: \"90d\"",
        ),
        (
            with("review_after = 72"),
            "6: `review_after` in [accounts.shop-1]: must be a duration in quotes: \"200ms\", \"2s\", \"5m\", \"1h\", \"90d\"",
        ),
        (with("keep_bodies = 1"), "6: `keep_bodies` in [accounts.shop-1]: must be true or false"),
        (with("sole_refunder = \"no\""), "6: `sole_refunder` in [accounts.shop-1]: must be true or false"),
        (
            "[accounts.a]\ngateway = \"trade_order\"\ntoken = { evn = \"hush\" }\n".to_owned(),
            "3: `token` in [accounts.a]: must be a text in quotes, { env = \"VARIABLE\" } or { file = \"PATH\" }",
        ),
    ] {
        assert_eq!(parse(&text).map(|_| ()), Err(format!("etc/tillbook.toml:{want}")), "{text}");
    }
}

#[test]
fn a_line_that_is_not_toml_is_not_quoted() {
    let error = parse("a = 1\nsecret = hush hush\n").expect_err("not TOML");
    assert!(error.starts_with("etc/tillbook.toml:2: not TOML") && !error.contains("hush"), "{error}");
}

#[test]
fn an_unknown_account_is_refused_with_the_nearest_one() {
    let config = parse(GOOD).expect("a configuration");
    let failure = config.unknown_account(&AccountName::new("shop1").expect("a name"));
    assert_eq!(
        failure.to_string(),
        "error: unknown account shop1 (not in etc/tillbook.toml)\nhint: did you mean shop-1?"
    );
    assert_eq!(failure.exit().code(), 2);
}
