//! `run`: the till. It sends, asks and fetches on and on, and answers other shells, until it is told to end.

use std::sync::Arc;

use serde_json::{Value, json};
use tillbook::serve::{Client, Server};
use tillbook::sync::RunOptions;
use tillbook::{AccountName, Ledger, Progress};
use tokio::sync::watch;

use crate::cli::args::AccountsArgs;
use crate::cli::end::End;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::place::Place;
use crate::cli::session::Session;

/// Owns the ledger until Ctrl-C or SIGTERM; ends well when what was under way is on record.
pub(crate) async fn run(session: &Session, args: &AccountsArgs) -> Result<Exit, Failure> {
    own(session, args).await.map_err(|failure| in_one_line(session.output, failure))?;
    Lines(session.output).say(&json!({"event": "ended"}), || "ended 已结束".to_owned());
    Ok(Exit::Done)
}

async fn own(session: &Session, args: &AccountsArgs) -> Result<(), Failure> {
    let driven = session.accounts(&args.accounts)?;
    // All are connected, whichever are driven: a second shell may refund in any of them.
    let connected = session.accounts(&[])?;
    let end = End::listen()?;
    if let Place::Directory(directory) = session.place()
        && let Some(other) = Client::connect(&directory, session.global.lock_wait).await?
    {
        return Err(runs_already(session, &other));
    }
    let ledger = session.open(&connected).await?;
    let done = drive(session, &ledger, driven, end).await;
    let closed = ledger.close().await;
    done?;
    Ok(closed?)
}

async fn drive(session: &Session, ledger: &Ledger, driven: Vec<AccountName>, mut end: End) -> Result<(), Failure> {
    let lines = Lines(session.output);
    let server = match session.place() {
        Place::Directory(directory) => match ledger.listen(directory).await {
            Ok(server) => Some(server),
            // A till that cannot be asked from beside is still a till.
            Err(error) => {
                session.output.note(format!("other shells cannot be answered: {}", Failure::from(error)));
                None
            }
        },
        // Other shells ask the server themselves.
        Place::Server(_) => None,
    };
    match &server {
        Some(server) => lines.serving(server, &driven),
        None => lines.say(&json!({"event": "running", "accounts": driven}), || "running 运行中".to_owned()),
    }
    let (tell, told) = watch::channel(Told::Nothing);
    let ending = async {
        tokio::select! {
            () = end.asked() => session.output.note("ending: waiting for what is under way"),
            () = is_told(told.clone()) => {}
        }
        tell.send_replace(Told::ToEnd);
    };
    let running = async {
        let options = RunOptions { accounts: Some(driven), ..RunOptions::default() };
        let ran = ledger
            .run(&options, Arc::new(move |progress: &Progress| lines.progress(progress)), is_told(told.clone()))
            .await;
        tell.send_replace(Told::ToEnd);
        ran
    };
    let answering = async {
        if let Some(server) = server {
            server.answer(is_told(told.clone())).await;
        }
    };
    let ((), ran, ()) = tokio::join!(ending, running, answering);
    Ok(ran?)
}

/// What the parts of a till were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    ToEnd,
}

async fn is_told(mut told: watch::Receiver<Told>) {
    // An error is a teller that is gone: the end too.
    let _ = told.wait_for(|told| *told == Told::ToEnd).await;
}

fn runs_already(session: &Session, other: &Client) -> Failure {
    let (path, process) = (session.place().to_string(), other.process());
    Failure::new("locked", format!("{path} is run by process {process} already"))
        .hint("commands in other shells go through it; end it before another one runs")
        .fact("path", path)
        .fact("holder", format!("process {process}"))
}

/// One line per thing that happened: text, or one JSON value each.
#[derive(Clone, Copy)]
struct Lines(Output);

impl Lines {
    fn say(self, line: &Value, text: impl FnOnce() -> String) {
        let line = if self.0.is_json() { line.to_string() } else { text() };
        if let Err(failure) = self.0.text(&line) {
            self.0.note(failure.to_string()); // what is printed does not matter to the money
        }
    }

    fn serving(self, server: &Server, driven: &[AccountName]) {
        let (socket, process) = (server.path().display().to_string(), std::process::id());
        let line = json!({"event": "running", "process": process, "socket": socket, "accounts": driven});
        self.say(&line, || format!("running 运行中: process {process} answers other shells at {socket}"));
    }

    fn progress(self, progress: &Progress) {
        match progress {
            Progress::Refund { account, key, state } => {
                let line = json!({"event": "refund", "account": account, "key": key, "state": state});
                self.say(&line, || format!("{account} refund {key}: {state} {}", state.chinese()));
            }
            Progress::Page { account, orders, total } => {
                let line = json!({"event": "page", "account": account, "orders": orders, "total": total});
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                self.say(&line, || format!("{account} orders 订单: {orders}{of}"));
            }
            Progress::Paused { account, why, wait } => {
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let line = json!({"event": "paused", "account": account, "why": why, "wait_ms": wait_ms});
                self.say(&line, || format!("{account} left alone for {} s: {why}", wait.as_secs()));
            }
            Progress::Resumed { account } => {
                let line = json!({"event": "resumed", "account": account});
                self.say(&line, || format!("{account} answers again"));
            }
            Progress::Problem { account, what } => {
                let line = json!({"event": "problem", "account": account, "what": what});
                self.say(&line, || format!("{account}: {what}"));
            }
            _ => {}
        }
    }
}

/// In JSON, every line is a document: the failure too.
fn in_one_line(output: Output, failure: Failure) -> Failure {
    if !output.is_json() {
        return failure;
    }
    Lines(output).say(&json!({"event": "failed", "error": failure.error_json()}), String::new);
    failure.in_document()
}
