//! A till with a ledger of its own: its disk, its clock and its network outlive its processes.

use std::sync::Arc;
use std::time::Duration;

use tillbook::clients::http::HttpSettings;
use tillbook::domain::{DeviceName, Timestamp};
use tillbook::gateway::Gateway;
use tillbook::sandbox::{Sandbox, Upstream};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::{AccountName, AccountSettings, Ledger};

use crate::crash::Crashing;
use crate::dice::Dice;
use crate::disk::{Cut, SimDisk};
use crate::gateways::gateway_over;
use crate::life::{Diary, Doom, Life};
use crate::network::{DeviceClock, Network};

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
    upstreams: Vec<Upstream>,
    settings: AccountSettings,
    diary: Arc<Diary>,
    /// How long commands wait for each other before they are written.
    gather: Duration,
}

/// What a device is made of.
pub(crate) struct Maker<'a> {
    pub(crate) sandbox: &'a Arc<Sandbox>,
    /// Where it has accounts.
    pub(crate) upstreams: &'a [Upstream],
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
        let (name, upstreams, gather) = (name.to_owned(), self.upstreams.to_vec(), self.gather);
        Device { name, disk, clock, network, life, ledger, sandbox, upstreams, settings, diary, gather }
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
        let storage = Crashing::over(Box::new(storage), self.life.dead.clone());
        let opening = Ledger::builder().device(options.device).clock(self.clock.clone()).storage(storage);
        let ledger = tokio::select! {
            biased;
            () = self.life.ended() => return Ok(false),
            opened = opening => opened.map_err(|error| error.to_string())?,
        };
        for &upstream in &self.upstreams {
            let gateway = self.gateway(upstream);
            ledger.connect(account(upstream), gateway, self.settings.clone()).expect("connects");
        }
        self.ledger = ledger;
        Ok(true)
    }

    /// What its death leaves on its disk.
    pub(crate) fn crash(&self, cut: Cut) {
        self.life.kill();
        self.life.note(&format!("what no sync covered: {cut:?}"));
        self.disk.crash(cut);
    }

    fn gateway(&self, upstream: Upstream) -> Arc<dyn Gateway> {
        let mut http = HttpSettings::new(self.sandbox.base_url());
        http.route = Some(self.network.used_by(&self.life, &self.clock));
        gateway_over(http, self.sandbox.credentials(), upstream)
    }
}

pub(crate) fn account(upstream: Upstream) -> AccountName {
    AccountName::new(upstream.name()).expect("a name")
}
