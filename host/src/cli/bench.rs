//! `anomd bench`: what the store and the sandbox cost on this machine, as ratios within one
//! run where there is something to compare with.

use clap::Args;

use super::{CliError, Global};

#[derive(Args)]
pub(super) struct BenchArgs {}

pub(super) async fn bench(_global: &Global, _args: BenchArgs) -> Result<(), CliError> {
    Err(CliError::Usage("nothing is measured yet".to_owned()))
}
