//! What several tests share.

pub(crate) mod desk;
pub(crate) mod kill;
pub(crate) mod lister;
pub(crate) mod outside;
pub(crate) mod program;
pub(crate) mod shop;
#[cfg(unix)]
pub(crate) mod till;
