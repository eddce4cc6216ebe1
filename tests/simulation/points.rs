//! Crash points by enumeration: a refund's life is run once to count its steps towards disk and network, then once for
//! each step, dying before it, in its middle and after it. A step that is new is covered the day it is added.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tillbook::sandbox::{Fault, FaultKind, NewOrder, Operation, OrderHandle, Sandbox, Settlement, Upstream};
use tillbook::{AccountSettings, Error, Money, RefundKey, RefundRequest, RefundState, Requested, Sending, SyncOptions};
use tokio::time::sleep;

use crate::device::{Device, Maker, START_S, UPSTREAMS, account};
use crate::dice::Dice;
use crate::disk::Cut;
use crate::judge;
use crate::life::{Diary, Doom, Fate};
use crate::side_by_side::{alone, each};

/// What the upstream does with the refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Well,
    Faulty(FaultKind),
    /// It takes the refund, and finishes it days later.
    StuckThen(Settlement),
}

/// Long after the client has given up.
const LATE: Duration = Duration::from_secs(60);

fn behaviours(upstream: Upstream) -> Vec<Behaviour> {
    let refused = match upstream {
        Upstream::Fubei => 400,
        Upstream::TradeOrder => 12_063,
        Upstream::Hydrogen => 1,
    };
    let mut kinds = vec![
        FaultKind::DropBefore,
        FaultKind::DropAfter,
        FaultKind::Delay(LATE),
        FaultKind::DelayBefore(LATE),
        FaultKind::LandsLate(LATE),
        FaultKind::HttpBefore(500),
        FaultKind::HttpAfter(500),
        FaultKind::Garbage,
        FaultKind::Truncated,
        FaultKind::Redirect(302),
        FaultKind::CodeBefore(refused),
        FaultKind::CodeAfter(10_003),
        FaultKind::Stuck,
        FaultKind::Fails,
    ];
    if upstream != Upstream::Fubei {
        kinds.push(FaultKind::Unrecorded);
    }
    let stuck = [Settlement::Succeeded, Settlement::Failed].map(Behaviour::StuckThen);
    [Behaviour::Well].into_iter().chain(kinds.into_iter().map(Behaviour::Faulty)).chain(stuck).collect()
}

/// One life: what the upstream does, how the refund is asked for, and where each process dies.
#[derive(Clone, Copy, Debug)]
struct Cell {
    upstream: Upstream,
    behaviour: Behaviour,
    sending: Sending,
    doom: Option<Doom>,
    /// Where the process after it dies.
    again: Option<Doom>,
}

/// How a life ended.
struct End {
    /// Steps of the first process.
    steps: u64,
    deaths: u64,
    state: RefundState,
}

#[derive(Clone, Copy, Debug)]
enum Scene {
    Fetch,
    Ask,
    Sync,
    /// What lands late has landed.
    Wait,
    /// What was stuck ends.
    Release,
    /// Days go by, until a person would be asked.
    Days,
}

const SCENES: [Scene; 8] =
    [Scene::Fetch, Scene::Ask, Scene::Sync, Scene::Wait, Scene::Release, Scene::Sync, Scene::Days, Scene::Sync];

const KEY: &str = "k-1";

fn refund_of(upstream: Upstream) -> Operation {
    match upstream {
        Upstream::Fubei => Operation::FubeiRefund,
        Upstream::TradeOrder => Operation::TradeOrderRefund,
        Upstream::Hydrogen => Operation::FunctionRefund,
    }
}

impl Cell {
    async fn live(self) -> End {
        let sandbox = Arc::new(Sandbox::builder().now(START_S).unplugged().expect("an empty sandbox"));
        let (dice, diary) = (Dice::of(7), Diary::new());
        let settings = AccountSettings {
            history: Some(Duration::from_secs(86_400)),
            calls_per_minute: Some(60_000),
            refund_interval: Some(Duration::ZERO),
            ..AccountSettings::default()
        };
        let maker = Maker { sandbox: &sandbox, settings, dice: &dice, diary: &diary, gather: Duration::ZERO };
        let mut device = maker.device("till").await;
        let order = sandbox.add_order(self.upstream, NewOrder::paid(8_000)).expect("the sandbox takes it");
        let kind = match self.behaviour {
            Behaviour::Well => None,
            Behaviour::Faulty(kind) => Some(kind),
            Behaviour::StuckThen(_) => Some(FaultKind::Stuck),
        };
        if let Some(kind) = kind {
            sandbox.set_fault(Fault::new(refund_of(self.upstream), kind)).expect("fits");
        }
        let mut dooms = [self.doom, self.again].into_iter().flatten();
        let mut dying = dooms.next();
        let (mut deaths, mut steps, mut acknowledged) = (0, 0, false);
        let mut up = device.open(dying).await.expect("opens an empty disk");
        for scene in SCENES {
            loop {
                let done = up
                    && tokio::select! {
                        biased;
                        () = device.life.ended() => false,
                        answered = self.play(scene, &device, &sandbox, &order) => { acknowledged |= answered; true }
                    };
                if deaths == 0 {
                    steps = device.life.steps();
                }
                if done {
                    break;
                }
                deaths += 1;
                device.crash(match dying.expect("it was to die").fate {
                    Fate::Before => Cut::All,
                    Fate::Torn => Cut::Some,
                    Fate::After | Fate::GoOn => Cut::Nothing,
                });
                dying = dooms.next();
                up = device.open(dying).await.unwrap_or_else(|error| panic!("{error}\n{}", diary.end()));
            }
        }
        let state = self.judge(&device, &sandbox, &order, acknowledged).await;
        End { steps, deaths, state }
    }

    /// Plays a scene; `true` where a refund was acknowledged in it.
    async fn play(&self, scene: Scene, device: &Device, sandbox: &Sandbox, order: &OrderHandle) -> bool {
        let ledger = &device.ledger;
        let wanted = order.id.parse().expect("a number");
        match scene {
            Scene::Fetch => drop(ledger.fetch(&account(self.upstream), &wanted).await),
            Scene::Ask => {
                let amount = Requested::Exactly(Money::from_fen(3_000).expect("valid"));
                let mut request = RefundRequest::new(account(self.upstream), wanted, amount, key());
                (request.sending, request.memo) = (self.sending, Some(KEY.to_owned()));
                match ledger.refund(request).await {
                    Ok(_) => return true,
                    Err(Error::Upstream { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Scene::Sync => {
                let options = SyncOptions { accounts: Some(vec![account(self.upstream)]) };
                ledger.sync(&options, &|_| ()).await.expect("syncs");
            }
            Scene::Wait => sleep(2 * LATE).await,
            Scene::Days => sleep(Duration::from_secs(73 * 3_600)).await,
            Scene::Release => {
                let Behaviour::StuckThen(settlement) = self.behaviour else { return false };
                let books = sandbox.books();
                let book = judge::book_of(&books, self.upstream, &order.id);
                for row in judge::rows(book, KEY) {
                    let number = row.client_no.as_ref().unwrap_or(&row.server_no);
                    // Released already, where the scene is played again.
                    let _ = sandbox.release(self.upstream, number, settlement);
                }
            }
        }
        false
    }

    async fn judge(&self, device: &Device, sandbox: &Sandbox, order: &OrderHandle, acknowledged: bool) -> RefundState {
        let ledger = &device.ledger;
        let record =
            ledger.fetch(&account(self.upstream), &order.id.parse().expect("a number")).await.expect("fetched");
        let books = sandbox.books();
        let book = judge::book_of(&books, self.upstream, &order.id);
        assert!(acknowledged, "the last who asked was answered");
        judge::order_at_rest(book, &record);
        let refund = record.refund(&key()).expect("what was acknowledged is there");
        if self.upstream == Upstream::Fubei && judge::executed(book, KEY) == 1 {
            assert_eq!(refund.state, RefundState::Succeeded, "Fubei can prove it: {refund:?}");
        }
        assert_eq!(ledger.verify().await.expect("reads").differences, []);
        refund.state
    }
}

fn key() -> RefundKey {
    RefundKey::new(KEY).expect("a key")
}

#[test]
fn wherever_the_process_dies_and_whatever_the_disk_keeps_a_refund_ends_true_and_is_executed_at_most_once() {
    let (began, is_long) = (Instant::now(), std::env::var_os("TILLBOOK_LONG").is_some());
    // To look at some cells alone: words that a cell's name must have, as in "Hydrogen Stuck QueueOnly".
    let wanted = std::env::var("TILLBOOK_CELLS").unwrap_or_default();
    let is_wanted = |cell: &Cell| wanted.split_whitespace().all(|word| format!("{cell:?}").contains(word));
    let lives = UPSTREAMS.into_iter().flat_map(|upstream| {
        let ways = behaviours(upstream)
            .into_iter()
            .flat_map(|behaviour| [(behaviour, Sending::Now), (behaviour, Sending::QueueOnly)]);
        ways.map(move |(behaviour, sending)| Cell { upstream, behaviour, sending, doom: None, again: None })
    });
    let live = |cell: Cell| (cell, alone(cell.live()));
    let lives: Vec<Cell> = lives.collect();
    let counted = each(lives.into_iter(), live);
    let (mut failed, mut points) = (Vec::new(), Vec::new());
    for ended in counted {
        let (cell, end) = match ended {
            Ok(ended) => ended,
            Err(why) => {
                failed.push(why);
                continue;
            }
        };
        for step in 1..=end.steps {
            for fate in [Fate::Before, Fate::Torn, Fate::After] {
                let cell = Cell { doom: Some(Doom { step, fate }), ..cell };
                points.push(cell);
                if is_long {
                    // And once more in what the next process does first.
                    points.extend((1..=6).map(|step| Cell { again: Some(Doom { step, fate: Fate::Torn }), ..cell }));
                }
            }
        }
    }
    points.retain(is_wanted);
    let count = points.len();
    let ended = each(points.into_iter(), |cell| {
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(cell)));
        lived.unwrap_or_else(|panic| panic!("{cell:?}: {}", crate::side_by_side::words(&*panic)))
    });
    let (mut states, mut deaths) = (BTreeMap::new(), 0);
    for ended in ended {
        match ended {
            Ok((cell, end)) => {
                deaths += end.deaths;
                assert!(end.deaths > 0, "{cell:?}: nobody died");
                *states.entry(format!("{} {}", cell.upstream, end.state)).or_insert(0_u32) += 1;
            }
            Err(why) => failed.push(why),
        }
    }
    let words = format!(
        "crash points: {count}, with {deaths} deaths, {} failed, in {:?}; {states:?}\n",
        failed.len(),
        began.elapsed()
    );
    std::io::stderr().write_all(words.as_bytes()).expect("stderr is open");
    failed.truncate(10);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count > 0, "no point was counted");
}
