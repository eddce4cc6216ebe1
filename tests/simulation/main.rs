//! Simulations: the real ledger, its real adapters and the sandbox's upstreams in one task after the other, on stopped
//! time, over disks that lose power and networks that lose requests. One seed, or one step, decides everything.
//!
//! `points` takes every step of a refund's life in turn and lets the process die there; `seeded` throws dice.

#[allow(dead_code, reason = "the half of it that counts commits is for others")]
#[path = "../it/support/crash.rs"]
mod crash;
mod device;
mod dice;
mod disk;
#[path = "../it/support/forward_storage.rs"]
mod forward_storage;
#[path = "../it/support/gateways.rs"]
mod gateways;
mod judge;
mod life;
mod network;
mod points;
mod seeded;
mod shift;
mod side_by_side;
mod world;
