//! `check`: one safe call per account.

use serde_json::{Value, json};
use tillbook::gateway::Checked;
use tillbook::{AccountName, Ledger};

use crate::cli::args::AccountsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::{Session, settings};
use crate::cli::upstreams;

/// Asks each account once. Nothing is written: no ledger is opened.
pub(crate) async fn run(session: &Session, args: &AccountsArgs) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    let mut failed: Vec<String> = Vec::new();
    for name in session.accounts(&args.accounts)? {
        let found = one(session, &name).await;
        if found.is_err() {
            failed.push(name.to_string());
        }
        rows.push((name, found));
    }
    let failure = (!failed.is_empty()).then(|| {
        Failure::new(
            "check_failed",
            format!("{} of {} accounts failed: {}", failed.len(), rows.len(), failed.join(", ")),
        )
        .fact("accounts", failed)
    });
    let mut document = json!({ "accounts": rows.iter().map(|row| row_json(session, row)).collect::<Vec<_>>() });
    if let Some(failure) = &failure {
        document["error"] = failure.error_json();
    }
    session.output.result(&document, || rows.iter().map(row_text).collect::<Vec<_>>().join("\n"))?;
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}

async fn one(session: &Session, name: &AccountName) -> Result<Checked, Failure> {
    let account = session.account(name)?;
    let gateway = upstreams::gateway(name, account)?;
    let ledger = Ledger::builder().in_memory().await?;
    ledger.connect(name.clone(), gateway, settings(account))?;
    let checked = ledger.check_account(name).await;
    ledger.close().await?;
    Ok(checked?)
}

type Row = (AccountName, Result<Checked, Failure>);

fn row_json(session: &Session, (name, found): &Row) -> Value {
    let gateway = session.account(name).map_or("", |account| account.upstream.name());
    match found {
        Ok(checked) => json!({
            "account": name.as_str(),
            "gateway": gateway,
            "ok": true,
            "proven": checked.proven,
            "warnings": checked.warnings,
            "upstream_time": checked.upstream_time.map(|time| time.to_string()),
        }),
        Err(failure) => {
            json!({"account": name.as_str(), "gateway": gateway, "ok": false, "error": failure.error_json()})
        }
    }
}

fn row_text((name, found): &Row) -> String {
    match found {
        Ok(checked) => {
            let warnings = checked.warnings.iter().map(|warning| format!("\n  warning: {warning}"));
            format!("{name}: ok 正常: {}{}", checked.proven.join(", "), warnings.collect::<String>())
        }
        Err(failure) => format!("{name}: failed 异常\n  {}", failure.to_string().replace('\n', "\n  ")),
    }
}
