//! A till in twenty lines: `FUBEI_URL=.. FUBEI_APP=.. FUBEI_SECRET=.. cargo run --example embed -- ORDER_NUMBER`
#![allow(clippy::print_stdout, reason = "an example shows what it did")]

use std::{env, error::Error, sync::Arc};

use tillbook::clients::fubei::{FubeiGateway, FubeiSettings};
use tillbook::clients::{credential::VariableSecret, http::HttpSettings};
use tillbook::{AccountName, AccountSettings, Ledger, RefundRequest, Requested};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (http, secret) = (HttpSettings::new(env::var("FUBEI_URL")?), VariableSecret::new("FUBEI_SECRET"));
    let fubei = FubeiGateway::new(FubeiSettings::new(http, env::var("FUBEI_APP")?, Arc::new(secret)))?;
    let ledger = Ledger::builder().device("till-3".parse()?).open("ledger").await?;
    let shop = AccountName::new("shop-1")?;
    ledger.connect(shop.clone(), Arc::new(fubei), AccountSettings::default())?;

    // Known here, or asked for once: paid, refunded, and what may still be refunded, also offline from now on.
    let number = env::args().nth(1).ok_or("which order?")?.parse()?;
    let order = ledger.order(&shop, &number).await?;
    println!("paid {}, refunded {}, refundable {}", order.paid(), order.refunded(), order.refundable());

    // The key is this refund's name for ever: the same call again, after a crash too, never refunds twice.
    let part = Requested::Exactly("12.50".parse()?);
    let request = RefundRequest::new(shop, number, part, "till-3-receipt-0001".parse()?);
    let done = ledger.refund(request).await?;
    println!("{} {}, refundable {}", done.refund.key, done.refund.state, done.order.refundable());
    Ok(ledger.close().await?)
}
