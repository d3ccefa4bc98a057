//! `atelier keys rotate`.

use std::error::Error;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use atelier_commands::ports::Clock;
use atelier_vault::{AccountKeyStore, FileKeyStore};
use clap::Subcommand;

use crate::config::Config;
use crate::system::{SystemClock, SystemRandom};

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a new key-encrypting key, wrap every account's keys with it, and destroy the older ones, while nodes go on (E7).
    /// No event is rewritten. After a crash the next call finishes. The keys as they were are copied first.
    Rotate {
        /// The folder to copy the keys to first, which must not be there yet; beside the keys folder when not given. It opens what
        /// it opened, accounts deleted since among it: keep it where backups are, and no longer than it takes to back up the new keys.
        #[arg(long, conflicts_with = "no_backup")]
        backup: Option<PathBuf>,
        /// Copy nothing: a backup of the keys as they are now is somewhere else already.
        #[arg(long)]
        no_backup: bool,
    },
}

/// Runs one of the actions, beside running nodes.
///
/// # Errors
/// When there are no keys, or they cannot be used, or not be copied; then nothing was changed.
pub async fn run(config: &Config, action: &Action) -> Result<ExitCode, Box<dyn Error>> {
    let folder = config.data.join("keys");
    if !folder.is_dir() {
        return Err(format!("there are no keys in {}; --data names another folder", folder.display()).into());
    }
    match action {
        Action::Rotate { backup, no_backup } => {
            let store = FileKeyStore::open(&folder, Arc::new(SystemRandom))
                .map_err(|error| format!("the keys folder {} cannot be used: {error}", folder.display()))?;
            let mut out = io::stdout();
            if !no_backup {
                let moment = SystemClock.now().format("%Y%m%dT%H%M%S%6fZ");
                let to = backup.clone().unwrap_or_else(|| config.data.join(format!("keys-before-{moment}")));
                let from = folder.clone();
                let copied = to.clone();
                tokio::task::spawn_blocking(move || copy_whole(&from, &copied)).await?.map_err(|error| {
                    format!("the keys cannot be copied to {}, nothing was changed: {error}", to.display())
                })?;
                writeln!(out, "the keys as they were are in {}", to.display())?;
                writeln!(
                    out,
                    "It opens accounts that are deleted from now on: move it to your backups, and delete it when the new keys are there."
                )?;
            }
            let rotated = store.rotate_kek().await?;
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

/// Copies the keys folder under a name that is free, whole or not at all: beside its place, then renamed.
fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already"));
    }
    let draft = to.with_extension("draft");
    // What a death left of an earlier one.
    if draft.exists() {
        std::fs::remove_dir_all(&draft)?;
    }
    copy(from, &draft)?;
    std::fs::rename(&draft, to)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Copies a folder with what is in it, for its owner only, onto the disk. A file that goes while it is copied was a draft.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
            continue;
        }
        let mut source = match File::open(entry.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let mut copied = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
        io::copy(&mut source, &mut copied)?;
        copied.sync_all()?;
    }
    File::open(to)?.sync_all()
}
