//! The way from a device to the upstreams: it loses, delays, repeats and reorders requests, and loses their answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use tillbook::clients::failure::Failure;
use tillbook::clients::route::Route;
use tillbook::domain::Timestamp;
use tillbook::gateway::BoxFuture;
use tillbook::sandbox::{Carried, Sandbox};
use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::life::{Fate, Life};

/// A device's wall clock, which anybody may set.
pub(crate) struct DeviceClock {
    start: Timestamp,
    began: Instant,
    set_s: Mutex<i64>,
}

impl DeviceClock {
    pub(crate) fn new(start: Timestamp) -> Arc<DeviceClock> {
        Arc::new(DeviceClock { start, began: Instant::now(), set_s: Mutex::default() })
    }

    /// Sets it forward, or back, against the true time.
    pub(crate) fn set(&self, seconds: i64) {
        *self.set_s.lock().expect("whole") = seconds;
    }
}

impl tillbook::Clock for DeviceClock {
    fn now(&self) -> Timestamp {
        let (true_time, set_s) = (self.start.saturating_add(self.began.elapsed()), *self.set_s.lock().expect("whole"));
        let by = Duration::from_secs(set_s.unsigned_abs());
        if set_s < 0 { true_time.saturating_sub(by) } else { true_time.saturating_add(by) }
    }

    fn running(&self) -> Duration {
        self.began.elapsed()
    }
}

/// How a network is at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) up: bool,
    /// Of a hundred requests so many are lost, and of a hundred answers as many.
    pub(crate) lost: u64,
    /// Each way takes up to so long.
    pub(crate) slow_ms: u64,
    /// Of a hundred requests so many arrive twice.
    pub(crate) repeated: u64,
}

impl Weather {
    pub(crate) const FAIR: Weather = Weather { up: true, lost: 0, slow_ms: 0, repeated: 0 };
}

/// The network of one device; it outlives processes.
pub(crate) struct Network {
    sandbox: Arc<Sandbox>,
    weather: Mutex<Weather>,
    dice: Dice,
    lost: AtomicU64,
}

impl Network {
    pub(crate) fn new(sandbox: Arc<Sandbox>, dice: Dice) -> Arc<Network> {
        Arc::new(Network { sandbox, weather: Mutex::new(Weather::FAIR), dice, lost: AtomicU64::new(0) })
    }

    pub(crate) fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().expect("nothing panics under the weather")
    }

    /// The network as one process uses it.
    pub(crate) fn used_by(self: &Arc<Network>, life: &Arc<Life>, clock: &Arc<DeviceClock>) -> Arc<dyn Route> {
        Arc::new(Line { network: self.clone(), life: life.clone(), clock: clock.clone() })
    }

    /// How many requests and answers it has lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether the weather takes this one.
    fn loses(&self, weather: Weather) -> bool {
        let loses = self.dice.chance(weather.lost, 100);
        self.lost.fetch_add(u64::from(loses), Ordering::Relaxed);
        loses
    }

    /// Up to so long as the weather has it.
    fn moment(&self, slow_ms: u64) -> Duration {
        Duration::from_millis(if slow_ms == 0 { 0 } else { self.dice.below(slow_ms) })
    }

    /// Brings a request to the upstream after a while, whatever becomes of who sent it.
    fn bring(&self, request: Request<Bytes>, after: Duration) -> tokio::task::JoinHandle<Carried> {
        let sandbox = self.sandbox.clone();
        tokio::spawn(async move {
            sleep(after).await;
            sandbox.carry(request).await
        })
    }
}

struct Line {
    network: Arc<Network>,
    life: Arc<Life>,
    clock: Arc<DeviceClock>,
}

/// trade_order takes no number of the caller's: there, what arrives twice is paid twice, and no caller can help it.
fn may_arrive_twice(request: &Request<Bytes>) -> bool {
    request.method() == Method::GET || !request.uri().path().starts_with("/api/")
}

fn copy_of(request: &Request<Bytes>) -> Request<Bytes> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

impl Line {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let Line { network, life, .. } = self;
        let weather = *network.weather();
        let words = format!("send {} {}", request.method(), request.uri().path());
        match life.step(&words) {
            Fate::GoOn | Fate::Fails(_) => {}
            Fate::Before => return std::future::pending().await,
            Fate::After => {
                network.bring(request, Duration::ZERO);
                return std::future::pending().await;
            }
            // On its way when the process dies: it arrives while the next one may be up already.
            Fate::Torn => {
                network.bring(request, Duration::from_secs(3));
                return std::future::pending().await;
            }
        }
        if !weather.up {
            life.note("no network");
            return Err(Failure::NotConnected { why: "the simulated network is down".to_owned() });
        }
        if network.loses(weather) {
            life.note("request lost");
            return std::future::pending().await;
        }
        if may_arrive_twice(&request) && network.dice.chance(weather.repeated, 100) {
            life.note("arrives twice");
            // Fubei refuses by words alone, and its books say afterwards that nothing was done: a copy that comes after
            // that is beyond all proof, so there the copy comes first.
            let after = if request.uri().path() == "/gateway" { 0 } else { 60_000 };
            network.bring(copy_of(&request), network.moment(after));
        }
        let carried = network.bring(request, network.moment(weather.slow_ms)).await;
        sleep(network.moment(weather.slow_ms)).await;
        if network.loses(weather) {
            life.note("answer lost");
            return std::future::pending().await;
        }
        if matches!(life.step("answer"), Fate::Before | Fate::Torn | Fate::After) {
            return std::future::pending().await;
        }
        match carried.expect("the sandbox does not panic") {
            Carried::Answered(response) => {
                life.note(&format!("answered {}", response.status()));
                Ok(response)
            }
            Carried::Cut => Err(Failure::Lost { why: "cut".to_owned() }),
            Carried::CutInBody(status) => Err(Failure::BrokenOff { status, why: "cut".to_owned() }),
        }
    }
}

impl Route for Line {
    fn carry(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Failure>> {
        Box::pin(self.send(request))
    }

    fn now(&self) -> Timestamp {
        tillbook::Clock::now(&*self.clock)
    }
}
