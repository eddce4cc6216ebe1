//! What one till does all day: it refunds, looks, cancels and syncs, while its disk, its network and its clock go wrong
//! and its process dies; and each time it begins again it must still know what it acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tillbook::storage::StorageError;
use tillbook::{
    Error, Money, OrderRecord, RefundKey, RefundRequest, Refunded, Requested, RunOptions, Sending, SyncOptions,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::device::{Device, account};
use crate::disk::{Cut, Trouble};
use crate::judge;
use crate::life::{Doom, Fate, Of};
use crate::network::Weather;
use crate::world::{Sale, World, note_crash};

/// A device with what it must not forget.
pub(crate) struct Till {
    pub(crate) device: Device,
    pub(crate) sales: Vec<Sale>,
    /// Every refund asked for, in order.
    asked: Vec<RefundRequest>,
    /// The amounts of those that were acknowledged.
    acknowledged: BTreeMap<RefundKey, Money>,
}

/// Why a piece of work ended early.
enum Broken {
    /// The storage takes no more writes until it is opened again.
    Poisoned,
}

impl Till {
    pub(crate) fn new(device: Device, sales: Vec<Sale>) -> Till {
        Till { device, sales, asked: Vec::new(), acknowledged: BTreeMap::new() }
    }

    /// A new process after the last one was killed.
    pub(crate) async fn begin_again(&mut self, world: &World, doom: Option<Doom>) {
        let mut doom = doom;
        let mut refused = 0;
        loop {
            match self.device.open(doom.take()).await {
                Ok(true) => break,
                Ok(false) => self.crash(world, world.dice.one_of(&[Cut::Nothing, Cut::All, Cut::Some])),
                // A read failed, or there was no room for what must be written: the next one may have more luck.
                Err(why) => {
                    refused += 1;
                    assert!(refused < 3, "{} cannot open its ledger: {why}", self.device.name);
                    self.device.life.note(&why);
                    self.device.disk.room(None);
                    self.crash(world, Cut::Nothing);
                }
            }
        }
        self.all_acknowledged_is_there().await;
    }

    fn crash(&self, world: &World, cut: Cut) {
        self.device.crash(cut);
        note_crash(world, cut != Cut::Nothing);
    }

    pub(crate) async fn record(&self, sale: &Sale) -> Option<Arc<OrderRecord>> {
        let wanted = sale.id.parse().expect("a number");
        self.device.ledger.known_order(&account(sale.upstream), &wanted).await.expect("reads")
    }

    pub(crate) async fn records(&self) -> Vec<Arc<OrderRecord>> {
        let mut records = Vec::new();
        for sale in &self.sales {
            records.extend(self.record(sale).await);
        }
        records
    }

    /// # Panics
    /// Where a refund that was acknowledged is gone, or another one.
    pub(crate) async fn all_acknowledged_is_there(&self) {
        // Whoever dies while looking looks again in the next life.
        let look = async {
            for asked in &self.asked {
                let Some(amount) = self.acknowledged.get(&asked.key) else { continue };
                let known = self.device.ledger.known_refund(&asked.account, &asked.key).await;
                let known = known.unwrap_or_else(|error| panic!("{} was acknowledged and is gone: {error}", asked.key));
                assert_eq!(known.refund.amount, *amount, "{} was acknowledged with another amount", asked.key);
            }
        };
        tokio::select! {
            biased;
            () = self.device.life.ended() => {}
            () = look => {}
        }
    }
}

/// A till's day.
pub(crate) struct Shift {
    world: Arc<World>,
    till: Till,
}

impl Shift {
    pub(crate) fn new(world: Arc<World>, till: Till) -> Shift {
        Shift { world, till }
    }

    /// Works until the evening.
    pub(crate) async fn work(mut self) -> Option<Till> {
        let doom = self.doom();
        self.till.begin_again(&self.world, doom).await;
        while Instant::now() < self.world.evening {
            let life = self.till.device.life.clone();
            let ended = tokio::select! {
                biased;
                () = life.ended() => Some(self.cut()),
                done = self.act() => match done {
                    Ok(()) => None,
                    // The program ends and is started again; the machine goes on.
                    Err(Broken::Poisoned) => {
                        self.world.tally.lock().expect("whole").troubles += 1;
                        Some(Cut::Nothing)
                    }
                },
            };
            if let Some(cut) = ended {
                self.till.crash(&self.world, cut);
                sleep(Duration::from_secs(self.world.dice.below(120))).await;
                let doom = self.doom();
                self.till.begin_again(&self.world, doom).await;
            }
        }
        Some(self.till)
    }

    fn doom(&self) -> Option<Doom> {
        let dice = &self.world.dice;
        let step = 1 + dice.below(dice.one_of(&[10, 100, 600]));
        dice.chance(9, 10).then(|| Doom {
            of: Of::Steps,
            at: step,
            fate: dice.one_of(&[Fate::Before, Fate::Torn, Fate::After]),
        })
    }

    fn cut(&self) -> Cut {
        self.world.dice.one_of(&[Cut::Nothing, Cut::All, Cut::Some])
    }

    async fn act(&mut self) -> Result<(), Broken> {
        let dice = self.world.dice.clone();
        sleep(Duration::from_millis(dice.below(dice.one_of(&[10, 1_000, 120_000])))).await;
        match dice.below(100) {
            0..50 => self.refund().await,
            50..62 => {
                let options = SyncOptions::default();
                let synced = self.till.device.ledger.sync(&options, &|_| ()).await;
                self.heard("sync", synced.map(drop))
            }
            62..68 => {
                let minutes = Duration::from_secs(60 * dice.below(30));
                let ran = self.till.device.ledger.run(&RunOptions::default(), Arc::new(|_| ()), sleep(minutes)).await;
                self.heard("run", ran)
            }
            68..74 => self.look().await,
            74..80 => self.cancel().await,
            80..84 => {
                let by_s = i64::try_from(dice.below(2 * 86_400)).expect("small") - 86_400;
                self.till.device.life.note(&format!("the clock is set by {by_s} s"));
                self.till.device.clock.set(if dice.chance(1, 2) { 0 } else { by_s });
                Ok(())
            }
            84..94 => {
                *self.till.device.network.weather() = match dice.below(4) {
                    0 => Weather::FAIR,
                    1 => Weather { up: false, ..Weather::FAIR },
                    _ => Weather {
                        up: true,
                        lost: dice.below(20),
                        slow_ms: 1 + dice.below(40_000),
                        repeated: dice.below(30),
                    },
                };
                Ok(())
            }
            94..97 => {
                let trouble = dice.one_of(&[Trouble::Write, Trouble::Sync, Trouble::Read]);
                self.till.device.disk.trouble(Some(trouble));
                Ok(())
            }
            _ => {
                let room = dice.below(20_000);
                self.till.device.disk.room(dice.chance(1, 2).then_some(room));
                Ok(())
            }
        }
    }

    /// Up to four refunds at once, some of them again.
    async fn refund(&mut self) -> Result<(), Broken> {
        let dice = self.world.dice.clone();
        if self.till.sales.is_empty() {
            return Ok(());
        }
        let mut asking = JoinSet::new();
        for _ in 0..=dice.below(4) {
            let again = !self.till.asked.is_empty() && dice.chance(1, 5);
            let request = if again {
                let at = usize::try_from(dice.below(self.till.asked.len() as u64)).expect("small");
                self.till.asked[at].clone()
            } else {
                let request = self.new_request();
                self.till.asked.push(request.clone());
                request
            };
            let ledger = self.till.device.ledger.clone();
            asking.spawn(async move { (request.clone(), ledger.refund(request).await) });
        }
        let mut broken = Ok(());
        while let Some(answered) = asking.join_next().await {
            let (request, answer) = answered.expect("the ledger does not panic");
            if let Ok(refunded) = &answer {
                self.acknowledged(&request, refunded);
            }
            broken = broken.and(self.heard("refund", answer.map(drop)));
        }
        broken
    }

    fn new_request(&self) -> RefundRequest {
        let dice = &self.world.dice;
        let at = usize::try_from(dice.below(self.till.sales.len() as u64)).expect("small");
        let sale = &self.till.sales[at];
        let most = u64::try_from(sale.paid_fen).expect("positive") / dice.one_of(&[1, 2, 5]);
        let amount = Money::from_fen(1 + i64::try_from(dice.below(most)).expect("small")).expect("positive");
        let requested = if dice.chance(1, 10) { Requested::All } else { Requested::Exactly(amount) };
        let key = format!("{}-{}", self.till.device.name, self.till.asked.len());
        let memo = Some(key.clone());
        let key = RefundKey::new(key).expect("a key");
        let mut request =
            RefundRequest::new(account(sale.upstream), sale.id.parse().expect("a number"), requested, key);
        request.memo = memo;
        request.sending = if dice.chance(1, 3) { Sending::QueueOnly } else { Sending::Now };
        request
    }

    fn acknowledged(&mut self, request: &RefundRequest, refunded: &Refunded) {
        let amount = refunded.refund.amount;
        judge::granted(&refunded.order);
        self.till.device.life.note(&format!("{} is {}", request.key, refunded.refund.state));
        match self.till.acknowledged.insert(request.key.clone(), amount) {
            None => self.world.tally.lock().expect("whole").refunds += 1,
            Some(before) => assert_eq!(amount, before, "{} was answered with another amount", request.key),
        }
    }

    async fn look(&mut self) -> Result<(), Broken> {
        let Some(sale) = self.a_sale() else { return Ok(()) };
        let wanted = sale.id.parse().expect("a number");
        let seen = self.till.device.ledger.fetch(&account(sale.upstream), &wanted).await;
        self.heard("fetch", seen.map(|record| judge::granted(&record)))
    }

    async fn cancel(&mut self) -> Result<(), Broken> {
        let asked = &self.till.asked;
        if asked.is_empty() {
            return Ok(());
        }
        let at = usize::try_from(self.world.dice.below(asked.len() as u64)).expect("small");
        let (account, key) = (asked[at].account.clone(), asked[at].key.clone());
        let canceled = self.till.device.ledger.cancel(&account, &key, None).await;
        self.heard("cancel", canceled.map(drop))
    }

    fn a_sale(&self) -> Option<Sale> {
        let count = self.till.sales.len() as u64;
        (count > 0).then(|| self.till.sales[usize::try_from(self.world.dice.below(count)).expect("small")].clone())
    }

    /// What an answer means for the process. What the rules or the upstream refuse is all in a day's work.
    fn heard(&self, what: &str, answer: Result<(), Error>) -> Result<(), Broken> {
        let life = &self.till.device.life;
        let storage = match &answer {
            Ok(()) => return Ok(()),
            Err(Error::Storage(error) | Error::OutcomeNotWritten { source: error, .. }) => error,
            Err(error @ (Error::TaskLost(_) | Error::Quarantined(_))) => panic!("{what}: {error}"),
            Err(error) => {
                life.note(&format!("{what}: {error}"));
                return Ok(());
            }
        };
        life.note(&format!("{what}: {storage}"));
        match storage {
            StorageError::DiskFull { .. } => Ok(()),
            // A read that failed, or a write whose fate nobody knows.
            StorageError::Io { .. } | StorageError::Poisoned { .. } => Err(Broken::Poisoned),
            other => panic!("{what}: {other}"),
        }
    }
}
