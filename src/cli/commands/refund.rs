//! `refund`: the command that this program exists for. All rules are the ledger's.

use serde_json::{Value, json};
use tillbook::{Error, RefundKey, RefundRequest, RefundState, Refunded, Rejection, Repeat, Requested, Sending};

use crate::cli::args::RefundArgs;
use crate::cli::exit::{Exit, Failure, kind_of_state};
use crate::cli::output::Output;
use crate::cli::session::{Session, settings};
use crate::cli::{json, table, upstreams};

/// Whether the refund was asked for, or only looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Real,
    DryRun,
}

/// Asks for the refund, or says what would happen.
pub(crate) async fn run(session: &Session, args: RefundArgs) -> Result<Exit, Failure> {
    session.account(&args.order.account)?;
    if args.dry_run { dry_run(session, args).await } else { send(session, args).await }
}

async fn send(session: &Session, args: RefundArgs) -> Result<Exit, Failure> {
    let account = [args.order.account.clone()];
    let refunded = session
        .at_desk(&account, async |desk| {
            let request = request(&args, || desk.make_key());
            let key = request.key.clone();
            if args.key.is_none() {
                // Before anything is sent: whoever loses this process can still ask what became of its refund.
                session.output.note(format!("refund key 退款单号: {key}"));
            }
            let refunded = desk.refund(request).await;
            refunded.map_err(|failure| if failure.kind() == "unanswered" { unanswered(failure, &key) } else { failure })
        })
        .await?;
    print(session.output, &refunded, Mode::Real)
}

/// The same checks on what is known here, beside whoever owns the ledger.
async fn dry_run(session: &Session, args: RefundArgs) -> Result<Exit, Failure> {
    let name = &args.order.account;
    let account = session.account(name)?;
    let gateway = upstreams::gateway(name, account)?;
    let hint = format!("a dry run asks nobody; fetch the order first: tillbook fetch {name}:{}", args.order.wanted);
    let unknown = || Rejection::UnknownOrder { account: name.clone(), wanted: args.order.wanted.to_string() };
    let would = session
        .reading_if_any(async |ledger| {
            ledger.connect(name.clone(), gateway, settings(account))?;
            Ok(ledger.dry_run(request(&args, || ledger.make_key())).await?)
        })
        .await;
    match would {
        Ok(Some(refunded)) => print(session.output, &refunded, Mode::DryRun),
        Ok(None) => Err(Failure::from(Error::from(unknown())).hint(hint)),
        Err(failure) if failure.kind() == "unknown_order" => Err(failure.hint(hint)),
        Err(failure) => Err(failure),
    }
}

/// The till ended under the refund: only the key can tell what became of it.
fn unanswered(failure: Failure, key: &RefundKey) -> Failure {
    failure
        .hint(format!("ask for the same refund again with --key {key}: it is answered, and never sent twice"))
        .fact("key", key.as_str())
}

fn request(args: &RefundArgs, make_key: impl FnOnce() -> RefundKey) -> RefundRequest {
    RefundRequest {
        account: args.order.account.clone(),
        order: args.order.wanted.clone(),
        requested: args.amount.map_or(Requested::All, Requested::Exactly),
        key: args.key.clone().unwrap_or_else(make_key),
        memo: args.memo.clone(),
        by: args.by.clone(),
        expect_refundable: args.expect_refundable,
        // A key chosen by the caller says that this refund is meant; a made one says nothing.
        repeat: if args.key.is_some() || args.again { Repeat::Allowed } else { Repeat::Refused },
        sending: if args.queue_only { Sending::QueueOnly } else { Sending::Now },
    }
}

/// Prints a refund that may just have gone out. The exit code is its state's.
pub(super) fn answer(output: Output, refunded: &Refunded) -> Result<Exit, Failure> {
    print(output, refunded, Mode::Real)
}

/// Prints the refund with its order. Where the exit code is not 0, the document says why under `error` too.
fn print(output: Output, refunded: &Refunded, mode: Mode) -> Result<Exit, Failure> {
    let Refunded { refund, order, replayed, waiting } = refunded;
    let failure = match mode {
        Mode::Real => unsettled(refunded),
        Mode::DryRun => None,
    };
    let mut document = json!({
        "refund": json::refund(refund),
        "order": json::order(order),
        "replayed": replayed,
        "waiting": waiting,
        "dry_run": mode == Mode::DryRun,
    });
    if mode == Mode::DryRun {
        // Nothing happened that a customer could be told of.
        document["refund"]["customer"] = Value::Null;
    }
    if let Some(failure) = &failure {
        document["error"] = failure.error_json();
    }
    output.result(&document, || match mode {
        Mode::Real => table::refunded_told(refund, order),
        Mode::DryRun => format!("would be held (nothing was written or sent):\n{}", table::refunded(refund, order)),
    })?;
    if *replayed {
        output.note("this refund had been asked for before; this is how it stands now");
    }
    if refund.awaits_approval && mode == Mode::Real {
        let (account, key) = (&order.account, &refund.key);
        output.note("it waits for a manager's approval 待批准, and its amount is held");
        output.note(format!("hint: tillbook approve {account}:{key} --by NAME"));
    } else if let Some(waiting) = waiting {
        output.note(format!("it waits: {waiting}"));
        output.note("hint: tillbook sync sends it");
    }
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}

/// The failure that a refund's state is, where it is one.
fn unsettled(refunded: &Refunded) -> Option<Failure> {
    let refund = &refunded.refund;
    let kind = kind_of_state(refund.state)?;
    let (account, key) = (&refunded.order.account, &refund.key);
    let words = refund.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let failure = match refund.state {
        RefundState::Declined => Failure::new(kind, format!("the upstream declined refund {key}{words}")),
        RefundState::Sending | RefundState::InDoubt => {
            Failure::new(kind, format!("nobody knows yet whether refund {key} was executed{words}"))
                .hint(format!("its amount stays held; never refund it again under another key. The evidence: tillbook resolve {account}:{key}"))
        }
        RefundState::Review => Failure::new(kind, format!("refund {key} waits for a person{words}"))
            .hint(format!("the evidence: tillbook resolve {account}:{key}")),
        state => Failure::new(kind, format!("refund {key} is {state} {}", state.chinese())),
    };
    Some(failure.fact("key", key.as_str()).fact("state", refund.state.as_str()).fact("code", refund.code.clone()))
}
