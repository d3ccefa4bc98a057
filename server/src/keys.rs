//! `atelier keys rotate`.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use atelier_vault::{AccountKeyStore, FileKeyStore};
use clap::Subcommand;

use crate::config::Config;
use crate::system::SystemRandom;

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a new key-encrypting key, wrap every account's keys with it, and destroy the older ones, while nodes go on (E7).
    /// No event is rewritten. After a crash the next call finishes.
    Rotate,
}

/// Runs one of the actions, beside running nodes.
///
/// # Errors
/// When there are no keys, or they cannot be used.
pub async fn run(config: &Config, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let folder = config.data.join("keys");
    if !folder.is_dir() {
        return Err(format!("there are no keys in {}; --data names another folder", folder.display()).into());
    }
    match action {
        Action::Rotate => {
            let rotated = FileKeyStore::open(&folder, Arc::new(SystemRandom))?.rotate_kek().await?;
            let mut out = std::io::stdout();
            writeln!(
                out,
                "key {} is in use, the keys of {} accounts are wrapped with it",
                rotated.epoch, rotated.rewrapped
            )?;
            writeln!(out, "Backups of the keys folder from before are of no use any more: make a new one.")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
