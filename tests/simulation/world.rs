//! The world of one seed: devices and their shops, the upstreams, the people; and the judgement in the end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, RefundState as Booked, Sandbox, Settlement, Upstream};
use tillbook::{AccountSettings, OrderRecord, Refund, RefundState, Ruling, SyncOptions, Verdict};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::device::{Maker, START_S, account};
use crate::dice::Dice;
use crate::gateways::UPSTREAMS;
use crate::judge;
use crate::life::Diary;
use crate::network::Weather;
use crate::shift::{Shift, Till};
use crate::side_by_side::words;

/// An order, and who refunds it.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    pub(crate) upstream: Upstream,
    pub(crate) id: String,
    pub(crate) paid_fen: i64,
    /// Devices that refund it. More than one: only the upstream's own cap is between them.
    tills: Vec<usize>,
}

/// What a run saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Refunds that were asked for and acknowledged.
    pub(crate) refunds: u64,
    /// Those that were executed.
    pub(crate) executed: u64,
    /// Processes that died, or were given up after a failure of their disk.
    pub(crate) crashes: u64,
    /// Deaths by power cut.
    pub(crate) cuts: u64,
    /// Failures of a disk beside crashes.
    pub(crate) troubles: u64,
    /// Requests and answers that were lost.
    pub(crate) lost: u64,
    /// What a person had to say about refunds that nothing proved.
    pub(crate) verdicts: u64,
    /// A hash of all that happened.
    pub(crate) diary: String,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.refunds += other.refunds;
        self.executed += other.executed;
        self.crashes += other.crashes;
        self.cuts += other.cuts;
        self.troubles += other.troubles;
        self.lost += other.lost;
        self.verdicts += other.verdicts;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { refunds, executed, crashes, cuts, troubles, lost, verdicts, diary: _ } = self;
        write!(
            f,
            "{refunds} refunds ({executed} executed), {verdicts} verdicts of people, {crashes} crashes ({cuts} power cuts), \
             {troubles} other failures of disks, {lost} messages lost"
        )
    }
}

/// What all in a world share.
pub(crate) struct World {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) dice: Dice,
    pub(crate) diary: Arc<Diary>,
    pub(crate) sales: Vec<Sale>,
    pub(crate) tally: Mutex<Tally>,
    /// When the faults stop.
    pub(crate) evening: Instant,
    /// Nobody but the ledgers refunds, each its own orders.
    alone: bool,
}

/// How long a refund may be in doubt before a person is asked.
const REVIEW_AFTER: Duration = Duration::from_secs(12 * 3_600);

/// How long after the faults have stopped everything must be settled, in rounds of so long.
const ROUNDS: u32 = 12;
const ROUND: Duration = Duration::from_secs(4 * 3_600);

impl World {
    /// Lives through a seed.
    ///
    /// # Panics
    /// Where a promise was broken, with what happened last.
    pub(crate) async fn live(seed: u64) -> Tally {
        fastrand::seed(seed); // the jitter of waits
        let (dice, diary) = (Dice::of(seed), Diary::new());
        let sandbox = Arc::new(Sandbox::builder().now(START_S).unplugged().expect("an empty sandbox"));
        let (alone, tills) = (dice.chance(1, 2), 1 + usize::try_from(dice.below(3)).expect("small"));
        let sales = open_shops(&sandbox, &dice, tills, alone);
        let evening = Instant::now() + Duration::from_secs(1_800 * (1 + dice.below(6)));
        let (tally, told) = (Mutex::default(), diary.clone());
        let world = Arc::new(World { sandbox, dice, diary, sales, tally, evening, alone });
        // A panic anywhere is told with what happened before it.
        let lived = tokio::spawn(world.clone().day(tills)).await;
        match lived {
            Ok(()) => {}
            Err(error) => {
                let words = error.try_into_panic().map(|panic| words(&*panic));
                panic!("{}\nwhat happened last:\n{}", words.unwrap_or_default(), told.end());
            }
        }
        let mut tally = world.tally.lock().expect("whole").clone();
        tally.diary = world.diary.hash();
        tally
    }

    async fn day(self: Arc<World>, tills: usize) {
        let settings = AccountSettings {
            history: Some(Duration::from_secs(86_400)),
            calls_per_minute: Some(600),
            refund_interval: Some(Duration::ZERO),
            review_after: Some(REVIEW_AFTER),
            sole_refunder: Some(self.alone),
            ..AccountSettings::default()
        };
        let gather = Duration::from_millis(self.dice.below(3));
        let maker = Maker {
            sandbox: &self.sandbox,
            upstreams: &UPSTREAMS,
            settings,
            dice: &self.dice,
            diary: &self.diary,
            gather,
        };
        let mut shifts = JoinSet::new();
        for number in 0..tills {
            let device = maker.device(&format!("till-{number}")).await;
            let sales = self.sales.iter().filter(|sale| sale.tills.contains(&number)).cloned().collect();
            shifts.spawn(Shift::new(self.clone(), Till::new(device, sales)).work());
        }
        shifts.spawn(self.clone().people());
        let mut tills = Vec::new();
        while let Some(ended) = shifts.join_next().await {
            tills.extend(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
        tills.sort_by(|one, other| one.device.name.cmp(&other.device.name));
        self.calm(&mut tills).await;
        self.rest(&tills).await;
        self.judge(&tills).await;
    }

    /// What others do meanwhile: refunds in the back office, and upstreams that go wrong.
    async fn people(self: Arc<World>) -> Option<Till> {
        while Instant::now() < self.evening {
            sleep(Duration::from_secs(self.dice.below(900))).await;
            if !self.alone && self.dice.chance(1, 3) {
                let sale = &self.sales[usize::try_from(self.dice.below(self.sales.len() as u64)).expect("small")];
                let fen = 1 + i64::try_from(self.dice.below(1_000)).expect("small");
                // Where there is not so much left, they are told so.
                let done = self.sandbox.refund_elsewhere(sale.upstream, &sale.id, fen).is_ok();
                self.diary.note("people", &format!("refund {fen} of {} elsewhere: {done}", sale.id));
            } else {
                let fault = Fault::new(self.dice.one_of(Operation::ALL), self.fault());
                if self.sandbox.set_fault(fault).is_ok() {
                    self.diary.note("upstream", &format!("{fault:?}"));
                }
            }
        }
        None
    }

    fn fault(&self) -> FaultKind {
        let long = Duration::from_secs(1 + self.dice.below(300));
        self.dice.one_of(&[
            FaultKind::DropBefore,
            FaultKind::DropAfter,
            FaultKind::Delay(long),
            FaultKind::DelayBefore(long),
            FaultKind::LandsLate(long),
            FaultKind::HttpBefore(503),
            FaultKind::HttpAfter(502),
            FaultKind::Garbage,
            FaultKind::Truncated,
            FaultKind::Redirect(302),
            FaultKind::CodeBefore(99_999),
            FaultKind::CodeAfter(10_003),
            FaultKind::Stuck,
            FaultKind::Fails,
            FaultKind::Unrecorded,
        ])
    }

    /// All faults stop; what was on its way arrives, what was stuck ends.
    async fn calm(&self, tills: &mut [Till]) {
        sleep_until(self.evening).await;
        self.sandbox.clear_faults();
        for till in tills.iter() {
            *till.device.network.weather() = Weather::FAIR;
            till.device.disk.trouble(None);
            till.device.disk.room(None);
            till.device.clock.set(0);
        }
        sleep(Duration::from_secs(600)).await;
        for order in self.sandbox.books().orders {
            for row in order.refunds.iter().filter(|row| row.state == Booked::Processing) {
                let settlement = match row.money_moved || self.dice.chance(1, 2) {
                    true => Settlement::Succeeded,
                    false => Settlement::Failed,
                };
                let number = row.client_no.as_ref().unwrap_or(&row.server_no);
                let released = self.sandbox.release(order.upstream, number, settlement);
                self.diary.note("upstream", &format!("ends {number} as {settlement:?}: {}", released.is_ok()));
            }
        }
        for till in tills {
            till.begin_again(self, None).await;
        }
    }

    /// Within bounded time every refund is settled: by itself, or by a person who sees the upstream's books.
    async fn rest(&self, tills: &[Till]) {
        for _ in 0..ROUNDS {
            let mut open = 0;
            for till in tills {
                till.device.ledger.sync(&SyncOptions::default(), &|_| ()).await.expect("nothing fails any more");
                for record in till.records().await {
                    for refund in record.refunds.iter().filter(|refund| !judge::is_settled(refund.state)) {
                        open += 1;
                        if refund.state == RefundState::Review {
                            // As it is after the verdict on the one before.
                            let now =
                                till.device.ledger.known_refund(&record.account, &refund.key).await.expect("reads");
                            self.decide(till, &now.order, &now.refund).await;
                        }
                    }
                }
            }
            if open == 0 {
                return;
            }
            sleep(ROUND).await;
        }
    }

    /// A person says what the books say. What was not executed is let go, or sent again where it had found room before
    /// and still finds it: else it would come back to the person for ever.
    async fn decide(&self, till: &Till, record: &OrderRecord, refund: &Refund) {
        let books = self.sandbox.books();
        let order = books
            .orders
            .iter()
            .find(|order| record.facts.native.as_ref().is_some_and(|native| native.number == order.id));
        let book = order.expect("the sandbox's own order");
        let fits = book.money_out_fen + refund.amount.fen() <= record.paid().fen();
        let verdicts: &[Verdict] = match judge::executed(book, refund.key.as_str()) {
            // What cannot be sent again, for its door stands open, is let go.
            0 if refund.attempts > 0 && fits && self.dice.chance(1, 2) => &[Verdict::Resend, Verdict::Release],
            0 => &[Verdict::Release],
            _ => &[Verdict::Succeeded],
        };
        for &verdict in verdicts {
            let (account, key, version) = (record.account.clone(), refund.key.clone(), record.version);
            let (by, note) = ("the owner".to_owned(), "seen in the books".to_owned());
            let ruled = till.device.ledger.resolve(Ruling { account, key, verdict, by, note, version }).await;
            let is_done = ruled.is_ok();
            // The upstream's own word may come first.
            let words = ruled.map_or_else(|error| error.to_string(), |ruled| ruled.refund.state.to_string());
            self.diary.note("people", &format!("{} {verdict}: {words}", refund.key));
            self.tally.lock().expect("whole").verdicts += 1;
            if is_done {
                break;
            }
        }
    }

    /// The upstreams' books against each ledger.
    async fn judge(&self, tills: &[Till]) {
        let books = self.sandbox.books();
        assert!(books.overpaid().is_empty(), "paid out more than was paid: {:?}", books.overpaid());
        for till in tills {
            let ledger = &till.device.ledger;
            self.tally.lock().expect("whole").lost += till.device.network.lost();
            till.all_acknowledged_is_there().await;
            for sale in &till.sales {
                let Some(_) = till.record(sale).await else { continue };
                let wanted = sale.id.parse().expect("a number");
                // After a clock was set back, the first facts only tell what the time is.
                ledger.fetch(&account(sale.upstream), &wanted).await.expect("fetched");
                sleep(Duration::from_secs(1)).await;
                let record = ledger.fetch(&account(sale.upstream), &wanted).await.expect("fetched");
                let book = judge::book_of(&books, sale.upstream, &sale.id);
                let judged = catch_unwind(AssertUnwindSafe(|| {
                    judge::order_at_rest(book, &record);
                    if self.alone {
                        judge::sole(&record);
                    }
                    for refund in &record.refunds {
                        assert!(judge::is_settled(refund.state), "refund {} is still {}", refund.key, refund.state);
                    }
                }));
                if let Err(panic) = judged {
                    let history = ledger.events_of(&record.id).await.expect("reads");
                    let lines = history.iter().map(|entry| format!("  {} {:?}\n", entry.at, entry.event));
                    panic!("{}\nits history:\n{}", words(&*panic), lines.collect::<String>());
                }
                let mut tally = self.tally.lock().expect("whole");
                let executed =
                    record.refunds.iter().map(|refund| judge::executed(book, refund.key.as_str())).sum::<usize>();
                tally.executed += executed as u64;
            }
            assert_eq!(ledger.verify().await.expect("reads").differences, []);
        }
    }
}

/// Orders at all upstreams, and who refunds them.
fn open_shops(sandbox: &Sandbox, dice: &Dice, tills: usize, alone: bool) -> Vec<Sale> {
    let mut sales = Vec::new();
    for upstream in UPSTREAMS {
        for _ in 0..=dice.below(2 + tills as u64) {
            let paid_fen = 100 + i64::try_from(dice.below(20_000)).expect("small");
            let order = sandbox.add_order(upstream, NewOrder::paid(paid_fen)).expect("the sandbox takes it");
            let till = usize::try_from(dice.below(tills as u64)).expect("small");
            let shared = !alone && dice.chance(1, 3);
            let owners = if shared { (0..tills).collect() } else { vec![till] };
            sales.push(Sale { upstream, id: order.id, paid_fen, tills: owners });
        }
    }
    sales
}

/// A device's process ended: how its disk was left.
pub(crate) fn note_crash(world: &World, cut: bool) {
    let mut tally = world.tally.lock().expect("whole");
    tally.crashes += 1;
    tally.cuts += u64::from(cut);
}
