//! Malformed input: a clear message, its exit code, and nothing written and nobody asked.

use std::fs;

use tillbook::sandbox::Upstream;

use crate::support::program::{Program, run_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_words_are_refused_by_name_before_anything_is_touched() {
    let program = Program::new().await;
    let (_, name) = program.order(Upstream::Fubei, "80.00");
    let long = "k".repeat(33);
    let table: &[(&[&str], &str, &str)] = &[
        (&["refund", &name, "--amount", "-5"], "malformed", "-5 is negative"),
        (&["refund", &name, "--amount", "0"], "malformed", "0 is no money"),
        (&["refund", &name, "--amount", "0.00"], "malformed", "0.00 is no money"),
        (&["refund", &name, "--amount", "12.505"], "malformed", "12.505 has more than two decimal places"),
        (&["refund", &name, "--amount", "1e2"], "malformed", "\"1e2\" is not an amount"),
        (&["refund", &name, "--amount", "1,000"], "malformed", "\"1,000\" is not an amount"),
        (&["refund", &name, "--amount", ""], "malformed", "\"\" is not an amount"),
        (&["refund", &name, "--amount", "99999999999999999999"], "malformed", "beyond 10,000,000,000,000.00 yuan"),
        (&["refund", &name, "--expect-refundable", "1.001"], "malformed", "1.001 has more than two decimal places"),
        (&["refund", &name, "--key", &long], "malformed", "is longer than 32 characters"),
        (&["refund", &name, "--key", "a b"], "malformed", "may hold only 0-9 A-Z a-z _ -"),
        (&["refund", &name, "--key", ""], "malformed", "refund key \"\" is empty"),
        (&["refund", "2017"], "malformed", "\"2017\" names no account"),
        (&["refund", "shop-1:"], "malformed", "order number \"\" is empty"),
        (&["refund", "shop 1:2017"], "malformed", "account name \"shop 1\" may hold only"),
        (&["refund", "shop-9:2017"], "unknown_account", "unknown account shop-9"),
        (&["show", "shop-9:2017"], "unknown_account", "unknown account shop-9"),
        (&["fetch", "shop-9:2017"], "unknown_account", "unknown account shop-9"),
        (&["cancel", "shop-9:k"], "unknown_account", "unknown account shop-9"),
        (&["orders", "--account", "shop-9"], "unknown_account", "unknown account shop-9"),
        (&["refunds", "--account", "shop-9"], "unknown_account", "unknown account shop-9"),
        (&["cancel", "shop-1"], "malformed", "\"shop-1\" names no account"),
        (&["sync", "--account", "shop-9"], "unknown_account", "unknown account shop-9"),
        (&["check", "--account", "shop-9"], "unknown_account", "unknown account shop-9"),
        (&["record", "shop-9", "--ref", "order_sn=1", "--paid", "1"], "unknown_account", "unknown account shop-9"),
        (&["record", "shop-1", "--ref", "2017", "--paid", "1"], "malformed", "\"2017\" has no kind"),
        (&["record", "shop-1", "--ref", "order_sn=1", "--paid", "-1"], "malformed", "-1 is negative"),
        (&["record", "shop-1", "--ref", "order_sn=1", "--paid", "0"], "malformed", "0 is no money"),
        (&["record", "shop-1", "--paid", "1"], "usage", "required arguments were not provided"),
        (&["orders", "--paid-from", "yesterday"], "malformed", "\"yesterday\" is not a time"),
        (&["orders", "--status", "piad"], "malformed", "did you mean paid?"),
        (&["orders", "--limit", "0"], "malformed", "0 is not in 1..=100000"),
        (&["refunds", "--state", "que"], "malformed", "known are queued, sending"),
        (&["--lock-wait", "5", "orders"], "malformed", "\"5\" is not a duration"),
        (&["refnd", &name], "usage", "unrecognized subcommand 'refnd'"),
    ];
    for (words, kind, message) in table {
        let refused = program.json(words).await;
        assert_eq!(refused.failure(), (2, (*kind).to_owned()), "{words:?}");
        let said = refused.json()["error"]["message"].as_str().expect("a message").to_owned();
        assert!(said.contains(message), "{words:?}: {said}");
        assert!(refused.stderr.contains(message), "{words:?}: {}", refused.stderr);
        // Without --json stdout holds data alone.
        let plain = program.run(words).await;
        assert_eq!((plain.code, plain.stdout.as_str()), (2, ""), "{words:?}");
    }
    assert!(program.ledger_files().is_empty(), "a ledger was made");
    assert_eq!(program.sandbox.calls().total, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_cannot_be_meant_is_refused_with_file_and_line() {
    let good = Program::new().await;
    let text = fs::read_to_string(good.path("tillbook.toml")).expect("read");
    let secret = good.sandbox.credentials().fubei_secret;
    let table = [
        ("{ \"data\": \"ledger\" }\n".to_owned(), "tillbook.toml:1: not TOML"),
        (format!("{text}secret = {secret} and more\n"), ": not TOML"),
        (text.replace("refund_interval", "refund_intervall"), "the nearest known one is `refund_interval`"),
        (text.replace("app_id", "token_x"), "unknown key `token_x` in [accounts.shop-1]"),
        (text.replace("gateway = \"fubei\"", "gateway = \"alipay\""), "`gateway` in [accounts.shop-1]: must be one of"),
        (text.replace("\"0s\"", "0"), "must be a duration in quotes"),
        (text.replace("base_url = \"http", "base_url = \"ftp"), "`base_url` is not an http or https URL with a host"),
    ];
    for (text, message) in table {
        fs::write(good.path("tillbook.toml"), &text).expect("written");
        for words in [["refund", "shop-1:2017"], ["sync", "--json"]] {
            let refused = good.run(&words).await;
            assert_eq!(refused.code, 2, "{text}\n{refused:?}");
            assert!(refused.stderr.contains(message), "{message}: {}", refused.stderr);
            assert!(!refused.stderr.contains(&secret) && !refused.stdout.contains(&secret), "a secret was printed");
        }
    }
    assert!(good.ledger_files().is_empty(), "a ledger was made");
    assert_eq!(good.sandbox.calls().total, 0);
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let named = run_in(dir.path(), &["--json", "--config", "shop.toml", "orders"], b"").await;
    assert_eq!(named.failure(), (2, "config".to_owned()));
    assert!(named.json()["error"]["message"].to_string().contains("cannot read the configuration shop.toml"));
    let unnamed = run_in(dir.path(), &["--json", "sync"], b"").await;
    assert_eq!(unnamed.failure(), (2, "config".to_owned()));
    let no_ledger = run_in(dir.path(), &["--json", "orders"], b"").await;
    assert_eq!(no_ledger.failure(), (1, "no_ledger".to_owned()));
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "something was written");
}
