//! The till of the demo: a process of its own that queues refunds, acknowledges each on stdout, and is killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use tillbook::{RefundKey, RefundRequest, Requested};

use super::stage::{Stage, yuan_of};
use crate::cli::args::TillArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;

/// What the till refunds of each order.
pub(super) const AMOUNT: &str = "5.00";

/// The child: asks for one refund per order with a network that is away, prints each key once it is acknowledged, and
/// holds the ledger until it is killed (or its parent is gone).
pub(crate) async fn run(session: &Session, args: &TillArgs) -> Result<Exit, Failure> {
    let ledger = session.open(&session.accounts(&[])?).await?;
    for order in &args.orders {
        let (account, wanted) = (order.account.clone(), order.wanted.clone());
        let requested = Requested::Exactly(yuan_of(AMOUNT)?);
        let request = RefundRequest::new(account, wanted, requested, ledger.make_key());
        let refunded = ledger.refund(request).await?;
        session.output.text(&format!("{} {}", refunded.refund.key, refunded.refund.state))?;
    }
    let mut until_the_parent_is_gone = Vec::new();
    // Nothing is ever sent: this read ends when the pipe does.
    let _ = std::io::stdin().lock().read_to_end(&mut until_the_parent_is_gone);
    Ok(Exit::Done)
}

/// A refund as the till acknowledged it.
pub(super) struct Acknowledged {
    pub(super) key: RefundKey,
    pub(super) state: String,
}

/// The parent: runs the till over `orders`, reads its acknowledgements, and kills it while it owns the ledger.
pub(super) async fn run_and_kill(stage: &Stage, orders: Vec<String>) -> Result<Vec<Acknowledged>, Failure> {
    let config = stage.directory.path.join("tillbook.toml");
    let program = std::env::current_exe().map_err(|error| failed("find this program", &error))?;
    let work = move || {
        let mut till = Command::new(program)
            .arg("--config")
            .arg(config)
            .arg("demo-till")
            .args(&orders)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed("start the till", &error))?;
        let acknowledged = read(&mut till, orders.len());
        // kill -9: no destructor runs, nothing is flushed, the ledger is not closed.
        let killed = till.kill().and_then(|()| till.wait());
        killed.map_err(|error| failed("kill the till", &error))?;
        acknowledged
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::of("internal", &error))?
}

fn read(till: &mut Child, count: usize) -> Result<Vec<Acknowledged>, Failure> {
    let stdout = till.stdout.take().ok_or_else(|| Failure::new("internal", "the till has no stdout"))?;
    let mut acknowledged = Vec::new();
    for line in BufReader::new(stdout).lines().take(count) {
        let line = line.map_err(|error| failed("read from the till", &error))?;
        let (key, state) = line.split_once(' ').unwrap_or((&line, ""));
        let key = RefundKey::new(key).map_err(|error| Failure::of("internal", &error))?;
        acknowledged.push(Acknowledged { key, state: state.to_owned() });
    }
    match acknowledged.len() == count {
        true => Ok(acknowledged),
        false => Err(Failure::new("internal", "the till ended before it had acknowledged its refunds")),
    }
}

fn failed(doing: &str, error: &std::io::Error) -> Failure {
    Failure::new("io", format!("cannot {doing}: {error}"))
}
