//! `demo`.
use std::path::Path;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
pub(crate) async fn run(_output: Output, _data: Option<&Path>) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
