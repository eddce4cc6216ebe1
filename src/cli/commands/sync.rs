//! `sync`: refunds out, facts in, with a progress bar where a person watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use comfy_table::Cell;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use tillbook::{AccountName, Progress, SyncOptions, SyncReport};

use crate::cli::args::AccountsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::cli::table;

/// One full round over the accounts named, or all.
pub(crate) async fn run(session: &Session, args: &AccountsArgs) -> Result<Exit, Failure> {
    let names = session.accounts(&args.accounts)?;
    let bars = Arc::new(Bars::new(session.output));
    let options = SyncOptions { accounts: Some(names.clone()) };
    let report = session
        .at_desk(&names, async |desk| {
            let bars = bars.clone();
            let watcher = move |progress: &Progress| bars.show(progress);
            desk.sync(&options, &watcher).await
        })
        .await?;
    bars.clear();
    print(session.output, &report)
}

fn print(output: Output, report: &SyncReport) -> Result<Exit, Failure> {
    let troubled: Vec<String> = report
        .accounts
        .iter()
        .filter(|(_, account)| !account.problems.is_empty())
        .map(|(name, _)| name.to_string())
        .collect();
    let failure = (!report.is_clean()).then(|| {
        Failure::new("sync_incomplete", format!("not all could be synced: see {}", troubled.join(", ")))
            .fact("accounts", troubled)
            .hint("what went well is kept; run it again when the cause is mended")
    });
    let mut document = json!(report);
    if let Some(failure) = &failure {
        document["error"] = failure.error_json();
    }
    output.result(&document, || summary(report))?;
    if !output.is_json() {
        for (name, account) in &report.accounts {
            for problem in &account.problems {
                output.note(format!("{name}: {problem}"));
            }
            if account.more_problems > 0 {
                output.note(format!("{name}: and {} more", account.more_problems));
            }
        }
    }
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}

/// The counts by account.
pub(crate) fn summary(report: &SyncReport) -> String {
    let mut summary = table::plain([
        "ACCOUNT 账户",
        "NEW 新增",
        "CHANGED 变更",
        "SAME 未变",
        "SENT 已发送",
        "WAITING 等待",
        "REFUNDS 退款",
    ]);
    for (name, account) in &report.accounts {
        let states: Vec<String> = account.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        summary.add_row(vec![
            Cell::new(name),
            Cell::new(account.orders_new),
            Cell::new(account.orders_changed),
            Cell::new(account.orders_unchanged),
            Cell::new(account.sent),
            Cell::new(account.waiting),
            Cell::new(if states.is_empty() { "-".to_owned() } else { states.join(", ") }),
        ]);
    }
    table::text(&summary)
}

/// One progress bar per account, on stderr; none where nobody watches.
pub(crate) struct Bars {
    bars: Option<(MultiProgress, Mutex<BTreeMap<AccountName, ProgressBar>>)>,
}

impl Bars {
    /// Bars where stderr is a terminal.
    pub(crate) fn new(output: Output) -> Bars {
        Bars { bars: output.shows_progress().then(|| (MultiProgress::new(), Mutex::default())) }
    }

    /// Shows how far it is.
    pub(crate) fn show(&self, progress: &Progress) {
        let Some((all, by_account)) = &self.bars else { return };
        let mut by_account = by_account.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut bar = |account: &AccountName| {
            by_account.entry(account.clone()).or_insert_with(|| all.add(new_bar(account))).clone()
        };
        match progress {
            Progress::Page { account, orders, total } => {
                let bar = bar(account);
                bar.set_length(total.unwrap_or(*orders).max(*orders));
                bar.set_position(*orders);
            }
            Progress::Refund { account, key, state } => bar(account).set_message(format!("{key} {}", state.chinese())),
            _ => {}
        }
    }

    /// Takes the bars away before the result is printed.
    pub(crate) fn clear(&self) {
        let Some((all, by_account)) = &self.bars else { return };
        // Each is ended first: a bar that is dropped unfinished draws itself once more.
        for bar in by_account.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values() {
            bar.finish_and_clear();
        }
        // A terminal that is gone has nothing to clear.
        let _ = all.clear();
    }
}

fn new_bar(account: &AccountName) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:12} {bar:30.cyan} {pos}/{len} orders 订单 {msg}");
    let bar = ProgressBar::new(0).with_prefix(account.to_string());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
