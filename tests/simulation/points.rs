//! Crash points by enumeration: a refund's life is run once to count its steps towards disk and network, then once for
//! each step, dying before it, in its middle and after it. A step that is new is covered the day it is added.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tillbook::sandbox::{Fault, FaultKind, NewOrder, OrderHandle, Sandbox, Settlement, Upstream};
use tillbook::{AccountSettings, Error, Money, RefundKey, RefundRequest, RefundState, Requested, Sending, SyncOptions};
use tokio::time::sleep;

use crate::device::{Device, Maker, START_S, account};
use crate::dice::Dice;
use crate::disk::Cut;
use crate::gateways::{UPSTREAMS, refund_of};
use crate::judge;
use crate::life::{Diary, Doom, Failing, Fate, Of};
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
    /// Steps and reads of the first process.
    counted: (u64, u64),
    /// It went wrong where it was to.
    struck: bool,
    /// How many processes ended before their time.
    deaths: u64,
    state: RefundState,
}

/// The storage must be opened again.
struct Broken;

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
        let upstreams = [self.upstream];
        let maker = Maker {
            sandbox: &sandbox,
            upstreams: &upstreams,
            settings,
            dice: &dice,
            diary: &diary,
            gather: Duration::ZERO,
        };
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
        let (mut deaths, mut counted, mut struck, mut acknowledged) = (0, (0, 0), false, false);
        let mut up = open(&mut device, dying, &diary).await;
        for scene in SCENES {
            loop {
                let done = up
                    && tokio::select! {
                        biased;
                        () = device.life.ended() => false,
                        played = self.play(scene, &device, &sandbox, &order) => {
                            acknowledged |= matches!(played, Ok(true));
                            played.is_ok()
                        }
                    };
                if deaths == 0 {
                    (counted, struck) = (device.life.counted(), device.life.was_struck());
                }
                if done {
                    break;
                }
                deaths += 1;
                device.crash(match dying.expect("it was to go wrong").fate {
                    Fate::Before | Fate::Fails(_) => Cut::All,
                    Fate::Torn => Cut::Some,
                    Fate::After | Fate::GoOn => Cut::Nothing,
                });
                dying = dooms.next();
                up = open(&mut device, dying, &diary).await;
            }
        }
        device.life.spare(); // the life of the refund is over: nobody dies while looking at it
        let state = self.judge(&device, &sandbox, &order, acknowledged).await;
        End { counted, struck, deaths, state }
    }

    /// Plays a scene; `true` where a refund was acknowledged in it.
    async fn play(
        &self,
        scene: Scene,
        device: &Device,
        sandbox: &Sandbox,
        order: &OrderHandle,
    ) -> Result<bool, Broken> {
        let ledger = &device.ledger;
        let wanted = order.id.parse().expect("a number");
        match scene {
            Scene::Fetch => match ledger.fetch(&account(self.upstream), &wanted).await {
                Ok(_) => {}
                Err(Error::Storage(_)) => return Err(Broken),
                Err(error) => panic!("{error}"),
            },
            Scene::Ask => {
                let amount = Requested::Exactly(Money::from_fen(3_000).expect("valid"));
                let mut request = RefundRequest::new(account(self.upstream), wanted, amount, key());
                (request.sending, request.memo) = (self.sending, Some(KEY.to_owned()));
                return match ledger.refund(request).await {
                    Ok(_) => Ok(true),
                    Err(Error::Storage(_) | Error::OutcomeNotWritten { .. }) => Err(Broken),
                    // Unknown here, for the disk failed while it was fetched, and not to be asked for now.
                    Err(error) => panic!("{error}"),
                };
            }
            Scene::Sync => {
                let options = SyncOptions { accounts: Some(vec![account(self.upstream)]) };
                match ledger.sync(&options, &|_| ()).await {
                    Ok(_) => {}
                    Err(Error::Storage(_) | Error::OutcomeNotWritten { .. }) => return Err(Broken),
                    Err(error) => panic!("{error}"),
                }
            }
            Scene::Wait => sleep(2 * LATE).await,
            Scene::Days => sleep(Duration::from_secs(73 * 3_600)).await,
            Scene::Release => {
                let Behaviour::StuckThen(settlement) = self.behaviour else { return Ok(false) };
                let books = sandbox.books();
                let book = judge::book_of(&books, self.upstream, &order.id);
                for row in judge::rows(book, KEY) {
                    let number = row.client_no.as_ref().unwrap_or(&row.server_no);
                    // Released already, where the scene is played again.
                    let _ = sandbox.release(self.upstream, number, settlement);
                }
            }
        }
        Ok(false)
    }

    async fn judge(&self, device: &Device, sandbox: &Sandbox, order: &OrderHandle, acknowledged: bool) -> RefundState {
        let ledger = &device.ledger;
        let record =
            ledger.fetch(&account(self.upstream), &order.id.parse().expect("a number")).await.expect("fetched");
        let books = sandbox.books();
        let book = judge::book_of(&books, self.upstream, &order.id);
        assert!(acknowledged, "the last who asked was answered");
        judge::order_at_rest(book, &record);
        judge::sole(&record);
        let refund = record.refund(&key()).expect("what was acknowledged is there");
        if self.upstream == Upstream::Fubei && judge::executed(book, KEY) == 1 {
            assert_eq!(refund.state, RefundState::Succeeded, "Fubei can prove it: {refund:?}");
        }
        assert_eq!(ledger.verify().await.expect("reads").differences, []);
        refund.state
    }
}

/// Begins a process; `false`: it died. Where the disk fails it, whoever tries again finds the disk well.
async fn open(device: &mut Device, doom: Option<Doom>, diary: &Diary) -> bool {
    match device.open(doom).await {
        Ok(up) => up,
        Err(why) => {
            assert!(matches!(doom, Some(Doom { fate: Fate::Fails(_), .. })), "{why}\n{}", diary.end());
            false
        }
    }
}

fn key() -> RefundKey {
    RefundKey::new(KEY).expect("a key")
}

#[test]
fn wherever_the_process_dies_and_whatever_the_disk_keeps_a_refund_ends_true_and_is_executed_at_most_once() {
    let (began, is_long) = (Instant::now(), std::env::var_os("TILLBOOK_LONG").is_some());
    // To look at some lives alone: words that a life's name must have, as in "Hydrogen Stuck QueueOnly".
    let wanted = std::env::var("TILLBOOK_CELLS").unwrap_or_default();
    let is_wanted = |cell: &Cell| wanted.split_whitespace().all(|word| format!("{cell:?}").contains(word));
    let lives = UPSTREAMS.into_iter().flat_map(|upstream| {
        // Once it goes out, a queued refund is as one that went at once: with every behaviour in the long mode alone.
        let ways = behaviours(upstream).into_iter().flat_map(|behaviour| {
            let queued = is_long || behaviour == Behaviour::Well;
            [(behaviour, Sending::Now)].into_iter().chain(queued.then_some((behaviour, Sending::QueueOnly)))
        });
        ways.map(move |(behaviour, sending)| Cell { upstream, behaviour, sending, doom: None, again: None })
    });
    let live = |cell: Cell| (cell, alone(cell.live()));
    let lives: Vec<Cell> = lives.filter(is_wanted).collect();
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
        let (steps, reads) = end.counted;
        let dooms = |of, count, fates: &[Fate]| {
            let fates = fates.to_vec();
            (1..=count).flat_map(move |at| fates.clone().into_iter().map(move |fate| Doom { of, at, fate }))
        };
        let dying = [Fate::Before, Fate::Torn, Fate::After];
        points.extend(dooms(Of::Steps, steps, &dying).map(|doom| Cell { doom: Some(doom), ..cell }));
        if is_long {
            // And once more in what the next process does first.
            let again = |first: Doom| {
                let torn = (1..=6).map(|at| Doom { of: Of::Steps, at, fate: Fate::Torn });
                torn.map(move |second| Cell { doom: Some(first), again: Some(second), ..cell })
            };
            points.extend(dooms(Of::Steps, steps, &dying).flat_map(again));
        }
        // What a failing disk does to a life hangs on little of what the upstream does.
        if is_long || cell.behaviour == Behaviour::Well {
            let failing = [Failing::Io, Failing::Full, Failing::ReadOnly].map(Fate::Fails);
            points.extend(dooms(Of::Steps, steps, &failing).map(|doom| Cell { doom: Some(doom), ..cell }));
            let read = [Fate::Fails(Failing::Io)];
            points.extend(dooms(Of::Reads, reads, &read).map(|doom| Cell { doom: Some(doom), ..cell }));
        }
    }
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
                // A network does not fail as a disk does: such steps just go on.
                assert!(end.struck, "{cell:?}: nothing went wrong");
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
