//! How connections are made, and what every one of them is told first.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::StorageError;
use super::trouble::{Trouble, remote};
use crate::tls;

/// A paused process must not keep the ledger from the others for longer than they wait for it.
///
/// A statement is planned once a connection. On tables that are new, and so are small, the server would plan to read
/// them whole, and go on so while they grow (seen: 30,000 refunds later it did little else than read them all). Every
/// statement has an index, so it is told to use it; and as it then thinks that the few rows without one cost a fortune,
/// it is told not to compile for them.
const SESSION: &str = "-c synchronous_commit=on -c lock_timeout=10s -c idle_in_transaction_session_timeout=5s \
    -c statement_timeout=30s -c default_transaction_isolation=read\\ committed \
    -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off";

/// Where the server is, and how to get there. Its password is in no `Debug` and no error.
pub(super) struct Connector {
    config: Config,
    /// `None`: nobody shakes hands.
    tls: Option<MakeRustlsConnect>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("to", &self.place()).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads `postgres://user:password@host:port/database`. Without a password there, `PGPASSWORD` is taken.
    ///
    /// # Errors
    /// What is wrong with it, without its words.
    pub(super) fn new(url: &str, wait: Duration) -> Result<Connector, StorageError> {
        let mut config: Config = url.parse().map_err(|e| remote("read the address of", &e))?;
        config.application_name("tillbook").connect_timeout(wait).keepalives(true);
        let asked = config.get_options().map(|asked| format!("{asked} ")).unwrap_or_default();
        config.options(format!("{asked}{SESSION}"));
        // A server that is gone without a word is found out while an answer is waited for.
        config.tcp_user_timeout(Duration::from_secs(15));
        if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
            config.password(password);
        }
        // Left to itself, the protocol would go on in the clear with a server that offers no TLS.
        if config.get_ssl_mode() == SslMode::Prefer {
            let leaves = config.get_hosts().iter().any(is_elsewhere);
            config.ssl_mode(if leaves { SslMode::Require } else { SslMode::Disable });
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => {
                let failed = |e: rustls::Error| StorageError::Remote { doing: "set TLS up for", why: e.to_string() };
                Some(MakeRustlsConnect::new(tls::trusting_the_machine().map_err(failed)?))
            }
        };
        Ok(Connector { config, tls })
    }

    /// For a pool, which makes its connections itself.
    pub(super) fn manager(&self, config: ManagerConfig) -> Manager {
        match &self.tls {
            Some(tls) => Manager::from_config(self.config.clone(), tls.clone(), config),
            None => Manager::from_config(self.config.clone(), NoTls, config),
        }
    }

    /// The server and the database, for people.
    pub(super) fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(host) => host.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<String> = hosts.collect();
        format!("{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or("postgres"))
    }

    pub(super) async fn connect(&self) -> Result<(Client, JoinHandle<()>), Trouble> {
        let failed = |error: tokio_postgres::Error| Trouble::before_commit("connect to", &error);
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await.map_err(failed)?;
                Ok((client, tokio::spawn(carry(connection))))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                Ok((client, tokio::spawn(carry(connection))))
            }
        }
    }
}

/// What a connection does until it ends.
async fn carry(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::info!(%error, "a connection to the server ended");
    }
}

/// Whether what is sent there leaves this machine.
fn is_elsewhere(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => {
            let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => false,
    }
}
