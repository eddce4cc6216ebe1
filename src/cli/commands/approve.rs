//! `approve`: lets a refund go out that was held for a person's word.

use crate::cli::args::ApproveArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::parse::RefundName;
use crate::cli::session::Session;

use super::refund;

/// Approves it and sends it at once, if it can be sent; answers like `refund`. A second time answers as it stands.
pub(crate) async fn run(session: &Session, args: ApproveArgs) -> Result<Exit, Failure> {
    let RefundName { account, key } = args.refund.name()?;
    session.account(&account)?;
    let accounts = [account.clone()];
    let approved = session.at_desk(&accounts, async |desk| desk.approve(&account, &key, args.by).await).await?;
    refund::answer(session.output, &approved)
}
