//! What the acts play on: a sandbox, a ledger, what is said, and the promises with both sides' figures.

use std::fs;
use std::path::{Path, PathBuf};

use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde_json::json;
use tillbook::sandbox::{NewOrder, OrderBook, OrderHandle, Sandbox, SandboxError, Upstream};
use tillbook::{
    AccountName, Ledger, Money, Page, RefundKey, RefundRequest, RefundState, Refunded, Requested, SyncOptions, Wanted,
};

use crate::cli::args::Global;
use crate::cli::commands::sync::Bars;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Format, Output};
use crate::cli::session::Session;
use crate::cli::table;

/// Each upstream's orders at the start.
const ORDERS_PER_UPSTREAM: u32 = 120;

/// How often a refund is asked about before the demo gives up on it; the sandbox needs milliseconds.
const ROUNDS: usize = 100;

/// The upstreams with their accounts, as the sandbox's own configuration names them.
pub(super) const SHOPS: [(Upstream, &str); 3] =
    [(Upstream::Fubei, "shop-1"), (Upstream::TradeOrder, "shop-2"), (Upstream::Hydrogen, "shop-3")];

/// A promise, what the ledger says to it, and what the sandbox's books say.
#[derive(Debug)]
struct Promise {
    what: &'static str,
    ledger: String,
    sandbox: String,
    holds: bool,
}

/// The stage.
pub(super) struct Stage {
    pub(super) output: Output,
    pub(super) sandbox: Sandbox,
    pub(super) directory: Directory,
    session: Session,
    ledger: Option<Ledger>,
    promises: Vec<Promise>,
}

impl Stage {
    /// Starts the sandbox and opens a fresh ledger.
    pub(super) async fn set(output: Output, data: Option<&Path>) -> Result<Stage, Failure> {
        let directory = Directory::fresh(data)?;
        let sandbox = Sandbox::builder().seed(ORDERS_PER_UPSTREAM).start().await.map_err(of_sandbox)?;
        let config = directory.path.join("tillbook.toml");
        // The accounts of any sandbox, with two settings more.
        let settings = "refund_interval = \"0s\"\nhistory = \"150d\"\nbase_url = ";
        let text = sandbox.config_toml("ledger").replace("base_url = ", settings);
        fs::write(&config, text).map_err(|error| io("write", &config, &error))?;
        let format = if output.is_json() { Format::Json } else { Format::Text };
        let session = Session::start(Global::of_config(config, format))?;
        let mut stage = Stage { output, sandbox, directory, session, ledger: None, promises: Vec::new() };
        stage.say("tillbook demo: each figure below is read from the ledger or the sandbox as it is printed");
        stage.act("The stage 舞台");
        stage.say(format!("sandbox 沙盒    three upstreams at {}, whose money really moves", stage.sandbox.base_url()));
        stage.say(format!("ledger 账本     {}", stage.session.place()));
        if stage.directory.temporary {
            stage.say("                temporary: gone when this ends; --data DIR keeps it");
        }
        stage.say("accounts 账户   shop-1 fubei 付呗 · shop-2 trade_order · shop-3 hydrogen 知晓云");
        stage.say("settings 设置   refund_interval = \"0s\": the demo does not wait the 60 s that WeChat asks for");
        stage.say("                between two refunds of one order; a shop leaves that setting out");
        stage.open().await?;
        Ok(stage)
    }

    /// Opens the ledger, or reopens it.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        self.ledger = Some(self.session.open(&self.session.accounts(&[])?).await?);
        Ok(())
    }

    /// Lets go of the ledger.
    pub(super) async fn close(&mut self) -> Result<(), Failure> {
        match self.ledger.take() {
            Some(ledger) => Ok(ledger.close().await?),
            None => Ok(()),
        }
    }

    /// The ledger.
    pub(super) fn ledger(&self) -> Result<&Ledger, Failure> {
        self.ledger.as_ref().ok_or_else(|| Failure::new("internal", "the demo's ledger is not open"))
    }

    /// Tells the story: on stdout for people, on stderr beside JSON.
    pub(super) fn say(&self, text: impl AsRef<str>) {
        if self.output.is_json() {
            self.output.note(text);
        } else {
            // A reader that has gone away misses the story; the promises are still checked.
            let _ = self.output.text(text.as_ref());
        }
    }

    /// Begins an act.
    pub(super) fn act(&self, title: &str) {
        self.say(format!("\n── {title}"));
    }

    /// Notes a promise with both sides' figures.
    pub(super) fn promise(&mut self, what: &'static str, holds: bool, ledger: String, sandbox: String) {
        self.promises.push(Promise { what, ledger, sandbox, holds });
    }

    /// Puts one more paid order into an upstream's books and has the ledger fetch it.
    pub(super) async fn order(&self, upstream: Upstream, yuan: &str) -> Result<OrderHandle, Failure> {
        let order = self.sandbox.add_order(upstream, NewOrder::paid(yuan_of(yuan)?.fen())).map_err(of_sandbox)?;
        self.ledger()?.order(&account(upstream)?, &wanted(&order)).await?;
        Ok(order)
    }

    /// Asks for a refund.
    pub(super) async fn refund(
        &self,
        order: &OrderHandle,
        key: &RefundKey,
        requested: Requested,
    ) -> Result<Refunded, tillbook::Error> {
        self.ledger_or_closed()?.refund(request(order, key, requested)?).await
    }

    fn ledger_or_closed(&self) -> Result<&Ledger, tillbook::Error> {
        self.ledger.as_ref().ok_or_else(|| tillbook::storage::StorageError::Closed.into())
    }

    /// Syncs until all of these refunds are settled: trade_order and Fubei accept first and tell the end when asked.
    pub(super) async fn settle(&self, keys: &[(Upstream, RefundKey)]) -> Result<(), Failure> {
        for _ in 0..ROUNDS {
            let mut open = 0;
            let all = Page { limit: usize::MAX, after: None };
            for (record, refund) in self.ledger()?.refunds(&Default::default(), &all).await?.refunds {
                let ours = keys.iter().any(|(upstream, key)| {
                    *key == refund.key && account(*upstream).is_ok_and(|account| account == record.account)
                });
                open += usize::from(ours && matches!(refund.state, RefundState::Queued | RefundState::Accepted));
            }
            if open == 0 {
                return Ok(());
            }
            self.sync_quietly().await?;
        }
        Err(Failure::new("internal", "the sandbox did not settle a refund"))
    }

    /// A round of sync without bars.
    pub(super) async fn sync_quietly(&self) -> Result<(), Failure> {
        self.ledger()?.sync(&SyncOptions::default(), &|_: &tillbook::Progress| {}).await?;
        Ok(())
    }

    /// Progress bars where a person watches.
    pub(super) fn bars(&self) -> Bars {
        Bars::new(self.output)
    }

    /// What the sandbox's books say about an order.
    pub(super) fn book(&self, order: &OrderHandle) -> Result<OrderBook, Failure> {
        let book = self.sandbox.books().order(order.upstream, &order.id).cloned();
        book.ok_or_else(|| Failure::new("internal", format!("the sandbox lost order {}", order.id)))
    }

    /// Prints the promises with the sandbox's figures beside the ledger's.
    pub(super) async fn end(mut self) -> Result<Exit, Failure> {
        self.close().await?;
        let broken: Vec<&str> =
            self.promises.iter().filter(|promise| !promise.holds).map(|promise| promise.what).collect();
        let failure = (!broken.is_empty()).then(|| {
            let text = format!("{} of {} promises do not hold", broken.len(), self.promises.len());
            Failure::new("promise_broken", text).fact("broken", broken)
        });
        if self.output.is_json() {
            let rows: Vec<_> = self
                .promises
                .iter()
                .map(|promise| {
                    json!({"promise": promise.what, "ledger": promise.ledger, "sandbox": promise.sandbox, "holds": promise.holds})
                })
                .collect();
            let mut document = json!({ "promises": rows, "ledger": self.session.place().to_string() });
            if let Some(failure) = &failure {
                document["error"] = failure.error_json();
            }
            self.output.document(&document)?;
        } else {
            self.say(format!(
                "\n── Promises 承诺: the ledger's word beside the sandbox's own books\n\n{}",
                self.table()
            ));
            if !self.directory.temporary {
                let config = self.directory.path.join("tillbook.toml");
                self.say(format!("\nlook around: tillbook --config {} orders", config.display()));
            }
        }
        match failure {
            None => Ok(Exit::Done),
            Some(failure) => {
                // What broke is worth a look: the directory stays.
                self.directory.temporary = false;
                Err(failure.in_document())
            }
        }
    }

    fn table(&self) -> String {
        let mut promises = Table::new();
        promises.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        // Wide enough to read, narrow enough for a terminal of 80 to 100 columns.
        let columns = promises.width().unwrap_or(96).clamp(60, 100);
        promises.set_width(columns);
        promises.set_header(["PROMISE 承诺", "LEDGER 账本", "SANDBOX'S BOOKS 沙盒账", "HOLDS 成立"]);
        for promise in &self.promises {
            let verdict = if promise.holds { "yes 是" } else { "NO 否" };
            promises.add_row(vec![
                Cell::new(promise.what),
                Cell::new(&promise.ledger),
                Cell::new(&promise.sandbox),
                Cell::new(verdict),
            ]);
        }
        table::text(&promises)
    }
}

/// The account of an upstream.
pub(super) fn account(upstream: Upstream) -> Result<AccountName, Failure> {
    let name = SHOPS.iter().find(|(shop, _)| *shop == upstream).map_or("none", |(_, name)| name);
    AccountName::new(name).map_err(|error| Failure::of("internal", &error))
}

/// How an order is asked for: by its native number.
pub(super) fn wanted(order: &OrderHandle) -> Wanted {
    Wanted { kind: None, number: order.id.clone() }
}

/// A refund key of the demo.
pub(super) fn key(text: &str) -> Result<RefundKey, Failure> {
    RefundKey::new(text).map_err(|error| Failure::of("internal", &error))
}

/// An amount of the demo.
pub(super) fn yuan_of(text: &str) -> Result<Money, Failure> {
    text.parse().map_err(|error: tillbook::MoneyError| Failure::of("internal", &error))
}

/// Fen of the sandbox's books as an amount.
pub(super) fn fen(fen: i64) -> Result<Money, Failure> {
    Money::from_fen(fen).map_err(|error| Failure::of("internal", &error))
}

/// A refund of the demo, sent at once.
pub(super) fn request(
    order: &OrderHandle,
    key: &RefundKey,
    requested: Requested,
) -> Result<RefundRequest, tillbook::domain::NameError> {
    let name = SHOPS.iter().find(|(shop, _)| *shop == order.upstream).map_or("none", |(_, name)| name);
    let mut request = RefundRequest::new(AccountName::new(name)?, wanted(order), requested, key.clone());
    request.by = Some("cashier-7".to_owned());
    Ok(request)
}

/// A failure of the sandbox itself.
pub(super) fn of_sandbox(error: SandboxError) -> Failure {
    Failure::of("io", &error)
}

/// The directory of the demo; a temporary one is removed at the end.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    temporary: bool,
}

impl Directory {
    fn fresh(data: Option<&Path>) -> Result<Directory, Failure> {
        let (path, temporary) = match data {
            Some(path) => (path.to_owned(), false),
            None => (std::env::temp_dir().join(format!("tillbook-demo-{}", uuid::Uuid::new_v4().simple())), true),
        };
        fs::create_dir_all(&path).map_err(|error| io("make", &path, &error))?;
        let mut entries = fs::read_dir(&path).map_err(|error| io("read", &path, &error))?;
        if entries.next().is_some() {
            let failure = Failure::new("malformed", format!("{} is not empty", path.display()));
            return Err(failure.hint("the demo wants a fresh directory"));
        }
        Ok(Directory { path, temporary })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed from a temporary directory, the system removes in time.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn io(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("io", format!("cannot {doing} {}: {error}", path.display()))
}
