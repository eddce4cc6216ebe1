//! A till with a ledger of its own: its disk, its clock and its network outlive its processes.

use std::sync::Arc;
use std::time::Duration;

use tillbook::clients::credential::StaticSecret;
use tillbook::clients::http::HttpSettings;
use tillbook::clients::{fubei, hydrogen, trade_order};
use tillbook::domain::{DeviceName, Timestamp};
use tillbook::gateway::Gateway;
use tillbook::sandbox::{Sandbox, Upstream};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::{AccountName, AccountSettings, Ledger};

use crate::crash::Crashing;
use crate::dice::Dice;
use crate::disk::{Cut, SimDisk};
use crate::life::{Diary, Doom, Life};
use crate::network::{DeviceClock, Network};

pub(crate) const UPSTREAMS: [Upstream; 3] = [Upstream::Fubei, Upstream::TradeOrder, Upstream::Hydrogen];

/// When simulations begin, in unix seconds: a morning in Beijing.
pub(crate) const START_S: i64 = 1_768_442_400;

pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) disk: SimDisk,
    pub(crate) clock: Arc<DeviceClock>,
    pub(crate) network: Arc<Network>,
    pub(crate) life: Arc<Life>,
    pub(crate) ledger: Ledger,
    sandbox: Arc<Sandbox>,
    settings: AccountSettings,
    diary: Arc<Diary>,
    /// How long commands wait for each other before they are written.
    gather: Duration,
}

/// What a device is made of.
pub(crate) struct Maker<'a> {
    pub(crate) sandbox: &'a Arc<Sandbox>,
    pub(crate) settings: AccountSettings,
    pub(crate) dice: &'a Dice,
    pub(crate) diary: &'a Arc<Diary>,
    pub(crate) gather: Duration,
}

impl Maker<'_> {
    /// A device with an empty disk, which nobody has switched on yet.
    pub(crate) async fn device(&self, name: &str) -> Device {
        let disk = SimDisk::new(self.dice.clone());
        let clock = DeviceClock::new(Timestamp::from_unix_seconds(START_S).expect("in range"));
        let network = Network::new(self.sandbox.clone(), self.dice.clone());
        let life = Life::begin(name.to_owned(), None, self.diary);
        life.kill();
        let ledger = Ledger::builder().in_memory().await.expect("stands in for the one on the disk");
        let (sandbox, settings, diary) = (self.sandbox.clone(), self.settings.clone(), self.diary.clone());
        let (name, gather) = (name.to_owned(), self.gather);
        Device { name, disk, clock, network, life, ledger, sandbox, settings, diary, gather }
    }
}

impl Device {
    /// A new process. `false`: it died while it opened its ledger.
    ///
    /// # Errors
    /// Why the ledger cannot be opened, the process being alive.
    pub(crate) async fn open(&mut self, doom: Option<Doom>) -> Result<bool, String> {
        self.life = Life::begin(self.name.clone(), doom, &self.diary);
        self.life.note("begins");
        let mut options = EmbeddedOptions::new(DeviceName::new(self.name.as_str()).expect("a name"));
        options.segment_bytes = 16 << 10;
        let opened = Embedded::simulated(self.disk.seen_by(&self.life), &options, self.gather);
        let (storage, writer) = match opened {
            Ok(opened) => opened,
            Err(_) if !self.life.alive() => return Ok(false),
            Err(error) => return Err(error.to_string()),
        };
        tokio::spawn(writer);
        let storage = Crashing::over(storage, self.life.dead.clone());
        let opening = Ledger::builder().device(options.device).clock(self.clock.clone()).storage(storage);
        let ledger = tokio::select! {
            biased;
            () = self.life.ended() => return Ok(false),
            opened = opening => opened.map_err(|error| error.to_string())?,
        };
        for upstream in UPSTREAMS {
            let gateway = self.gateway(upstream);
            ledger.connect(account(upstream), gateway, self.settings.clone()).expect("connects");
        }
        self.ledger = ledger;
        Ok(true)
    }

    /// What its death leaves on its disk.
    pub(crate) fn crash(&self, cut: Cut) {
        self.life.kill();
        self.disk.crash(cut);
    }

    fn gateway(&self, upstream: Upstream) -> Arc<dyn Gateway> {
        let known = self.sandbox.credentials();
        let secret = |text: String| Arc::new(StaticSecret::new(text));
        let mut http = HttpSettings::new(self.sandbox.base_url());
        http.route = Some(self.network.used_by(&self.life, &self.clock));
        match upstream {
            Upstream::Fubei => {
                let settings = fubei::FubeiSettings::new(http, known.fubei_app_id, secret(known.fubei_secret));
                Arc::new(fubei::FubeiGateway::new(settings).expect("usable settings"))
            }
            Upstream::TradeOrder => {
                let settings = trade_order::TradeOrderSettings::new(http, secret(known.trade_order_token));
                Arc::new(trade_order::TradeOrderGateway::new(settings).expect("usable settings"))
            }
            Upstream::Hydrogen => {
                let (token, function) = (secret(known.hydrogen_token), secret(known.function_secret));
                let settings = hydrogen::HydrogenSettings::new(http, known.hydrogen_client_id, token, function);
                Arc::new(hydrogen::HydrogenGateway::new(settings).expect("usable settings"))
            }
        }
    }
}

pub(crate) fn account(upstream: Upstream) -> AccountName {
    AccountName::new(upstream.name()).expect("a name")
}
