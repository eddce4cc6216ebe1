//! The program over a ledger on a server: the same commands, and its password in none of their words.

use std::fs;

use serde_json::json;
use tillbook::sandbox::Upstream;
use tillbook::storage::Storage;
use tillbook::storage::postgres::Postgres;

use super::options;
use super::server::{Server, server};
use crate::support::program::{Program, Ran};

const PASSWORD: &str = "s3cret-of-the-till";

/// A configuration whose ledger lies on the server.
async fn program(server: &Server) -> Program {
    let url = server.database("ledger").await.replace("tillbook@", &format!("tillbook:{PASSWORD}@"));
    let program = Program::new().await;
    program.configure(|text| text.replace("data = \"ledger\"", &format!("data = \"{url}\"")));
    program
}

/// What it said, which must not hold the password.
async fn said(program: &Program, words: &[&str]) -> Ran {
    let ran = program.run(words).await;
    assert!(!format!("{ran:?}").contains(PASSWORD), "{words:?} prints the password: {ran:?}");
    ran
}

async fn done(program: &Program, words: &[&str]) -> serde_json::Value {
    let words: Vec<&str> = ["--json"].iter().chain(words).copied().collect();
    said(program, &words).await.done()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_works_on_a_server_or_says_what_to_do_instead() {
    let Some(server) = server("every_command_works_on_a_server_or_says_what_to_do_instead") else { return };
    let program = program(&server).await;
    let none = said(&program, &["--json", "orders"]).await;
    assert!(none.code == 0 || none.failure().1 == "no_ledger", "{none:?}");
    let (order, name) = program.order(Upstream::Fubei, "80.00");
    let refunded = done(&program, &["refund", &name, "--amount", "30.00", "--key", "a", "--by", "wang"]).await;
    assert_eq!(refunded["refund"]["state"], "succeeded", "{refunded}");
    let again = done(&program, &["refund", &name, "--amount", "30.00", "--key", "a", "--by", "wang"]).await;
    assert_eq!(again["replayed"], json!(true), "{again}");
    let over = said(&program, &["--json", "refund", &name, "--amount", "50.01"]).await;
    assert_eq!(over.failure().1, "over_refundable");
    assert_eq!(program.sandbox.books().money_out_fen(Upstream::Fubei, &order.id), Some(3_000));
    for words in [&["sync"][..], &["orders"], &["refunds"], &["show", &name], &["events"], &["check"]] {
        let ran = said(&program, words).await;
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
    }
    assert_eq!(done(&program, &["adopt", "--by", "wang"]).await["adopted"], json!(false), "nobody copies a server");
    assert!(said(&program, &["orders"]).await.stdout.contains(&order.id));
    let verified = done(&program, &["verify"]).await;
    assert_eq!((&verified["refunds"], &verified["differences"]), (&json!(1), &json!([])));
    let exported = done(&program, &["export", "--output", "all.jsonl"]).await;
    assert_eq!(exported["state"], verified["state"]);
    assert!(fs::read_to_string(program.path("all.jsonl")).expect("read").contains("refund_held"));
    let table = said(&program, &["export", "--format", "csv", "--table", "refunds"]).await;
    assert!(table.stdout.contains("30.00"), "{table:?}");
    // What is of files only says what to do instead.
    let there = format!("postgres://till:{PASSWORD}@127.0.0.1:1/ledger");
    let import = ["import", "all.jsonl", "--into", &there];
    let of_a_directory = ["--data", "books", "backup", &there];
    for words in [&["backup", "copy"][..], &["compact"], &import, &of_a_directory] {
        let ran = said(&program, &[&["--json"], words].concat()).await;
        assert!(ran.code != 0 && !ran.json()["error"]["hint"].is_null(), "{words:?}: {ran:?}");
    }
    assert!(!program.path("copy").exists() && !program.path("postgres:").exists());
    // By its address alone, and where nobody answers.
    let address = format!("{}?password={PASSWORD}", server.url("ledger"));
    assert_eq!(said(&program, &["--data", &address, "verify"]).await.code, 0);
    for words in [&["orders"][..], &["verify"], &["refund", &name, "--amount", "1.00"], &["export"]] {
        let ran = said(&program, &[&["--data", &there], words].concat()).await;
        assert!(ran.code != 0 && !ran.stderr.is_empty(), "{words:?}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_were_noted_show_a_history_that_was_written_anew() {
    let Some(server) = server("heads_that_were_noted_show_a_history_that_was_written_anew") else { return };
    let program = program(&server).await;
    let (order, name) = program.order(Upstream::Fubei, "80.00");
    done(&program, &["refund", &name, "--amount", "30.00", "--key", "a"]).await;
    let noted = said(&program, &["--json", "verify", "--heads"]).await;
    fs::write(program.path("noted.json"), &noted.stdout).expect("written");
    // What was added since is no difference.
    done(&program, &["refund", &name, "--amount", "20.00", "--key", "b"]).await;
    assert_eq!(done(&program, &["verify", "--against", "noted.json"]).await["differences"], json!([]));
    // A history that is true to itself and not the one that was noted: here the note is another one's.
    let mut other: serde_json::Value = serde_json::from_str(&noted.stdout).expect("JSON");
    let hash = other["heads"][0]["hash"].as_str().expect("a hash").chars().rev().collect::<String>();
    other["heads"][0]["hash"] = json!(hash);
    fs::write(program.path("other.json"), other.to_string()).expect("written");
    let differs = said(&program, &["--json", "verify", "--against", "other.json"]).await;
    assert_eq!(differs.failure(), (6, "differences".to_owned()));
    let what = differs.json()["differences"][0]["what"].as_str().expect("words").to_owned();
    assert!(what.contains("is not the one that was noted") && differs.stdout.contains(&order.id), "{differs:?}");
    // And one in which what was noted never happened.
    let empty = server.database("empty").await;
    Postgres::open(&empty, &options()).await.expect("opens").close().await.expect("closes");
    let gone = said(&program, &["--json", "--data", &empty, "verify", "--against", "noted.json"]).await;
    assert_eq!(gone.failure(), (6, "differences".to_owned()));
    assert!(gone.stdout.contains("its history ends with 0"), "{gone:?}");
}
