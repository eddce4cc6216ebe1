//! The fault matrix with its ledgers on a server: a schema each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tillbook::BoxFuture;
use tillbook::storage::postgres::{Postgres, PostgresOptions};

use super::server::{Server, server};
use crate::matrix::{Grounds, Reach, go_through};
use crate::support::crash::Mortal;
use crate::support::life::{Ground, device};

impl Mortal for Postgres {
    fn abandon(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { Postgres::abandon(self) })
    }
}

/// Schemas of one database.
struct Schemas {
    server: Arc<Server>,
    made: AtomicU32,
}

struct Schema {
    server: Arc<Server>,
    name: String,
    url: String,
}

impl Grounds for Schemas {
    fn ground(&self) -> BoxFuture<'_, Arc<dyn Ground>> {
        Box::pin(async {
            let name = format!("cell_{}", self.made.fetch_add(1, Ordering::Relaxed));
            self.server.run("postgres", &format!("CREATE SCHEMA {name}")).await;
            let url = format!("{}?options=-c%20search_path%3D{name}", self.server.url("postgres"));
            Arc::new(Schema { server: Arc::clone(&self.server), name, url }) as Arc<dyn Ground>
        })
    }
}

impl Ground for Schema {
    fn open(&self) -> BoxFuture<'_, Box<dyn Mortal>> {
        Box::pin(async {
            let options = PostgresOptions { connections: 4, ..PostgresOptions::new(device()) };
            let storage = Postgres::open(&self.url, &options).await.expect("opens");
            // Who begins again after a death does so when the leases of the dead are over.
            let over = format!("UPDATE {}.attempts SET lease_until = now() - interval '1 second'", self.name);
            self.server.run("postgres", &format!("{over} WHERE ended IS NULL")).await;
            Box::new(storage) as Box<dyn Mortal>
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_a_refund_ends_true_and_is_executed_at_most_once_on_a_server_too() {
    let name = "whatever_goes_wrong_a_refund_ends_true_and_is_executed_at_most_once_on_a_server_too";
    let Some(server) = server(name) else { return };
    let reach = if std::env::var_os("TILLBOOK_LONG").is_some() { Reach::All } else { Reach::Sample };
    let grounds = Arc::new(Schemas { server: Arc::new(server), made: AtomicU32::new(0) });
    go_through("matrix on a server", grounds, reach).await;
}
