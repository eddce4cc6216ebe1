//! Locks whose guarded values stay whole when a thread panics beside them, and where they come from.
//!
//! Nothing under these locks is changed in steps that a panic could tear: single inserts, single
//! assignments. So a poisoned lock is taken as it is instead of taking the till down.
//!
//! Built with `--cfg shuttle`, for the tests in `schedules` modules alone, every lock, flag and thread
//! of the storage is one whose turns a test decides; in every other build they are std's.

#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread::{Builder, JoinHandle},
};
use std::sync::PoisonError;
use std::time::Duration;
#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread::{Builder, JoinHandle},
};

pub(crate) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn reading<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn writing<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Waits so for a while at most. Where a test decides the turns, no time passes, and nobody waits.
pub(crate) fn awaited_for<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
    if cfg!(shuttle) {
        return guard;
    }
    changed.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
}

/// Waits, with the lock given back meanwhile, until somebody says that it changed.
pub(crate) fn awaited<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
