//! The development mailbox: every mail is one file of a folder, to be read in a browser instead of being sent.

mod message;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use atelier_commands::ports::{GatewayError, Mail, Mailer};
use atelier_domain::AccountId;
use chrono::{DateTime, NaiveDateTime, Utc};

use crate::letter::{MAX_BODY_BYTES, safe_name};

pub use message::MailText;

/// The most mails kept; the oldest make room.
pub const MAX_MAILS: usize = 1_000;

/// How a file's name says when: UTC, to the millisecond.
const STAMP: &str = "%Y%m%dT%H%M%S%3fZ";

/// Twice the largest bodies, which base64 and headers never reach.
const MAX_FILE_BYTES: u64 = 4 * MAX_BODY_BYTES as u64;

/// One line of the mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct MailSummary {
    /// The file's name; what [`Mailbox::read`] takes. It holds no address.
    pub file: String,
    /// The recipient's address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// When the message was decided.
    pub date: DateTime<Utc>,
}

/// A folder of mails: a [`Mailer`] that sends nothing.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: Arc<PathBuf>,
    /// One writer at a time, so that looking for a repeat and writing are one step.
    writing: Arc<Mutex<()>>,
}

impl Mailbox {
    /// Mails in a folder, made if missing, readable by its owner only: mails hold addresses and links that sign in.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path) -> Result<Self, GatewayError> {
        make_private(folder).and_then(|()| sweep(folder)).map_err(|error| {
            GatewayError::Unavailable(format!("the mailbox {} cannot be used: {error}", folder.display()))
        })?;
        Ok(Self { folder: Arc::new(folder.to_path_buf()), writing: Arc::default() })
    }

    /// The newest mails first, at most `limit` and never more than [`MAX_MAILS`].
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn list(&self, limit: usize) -> Result<Vec<MailSummary>, GatewayError> {
        let folder = Arc::clone(&self.folder);
        off_thread(move || {
            let mut names = names_in(&folder)?;
            names.reverse();
            names.truncate(limit.min(MAX_MAILS));
            Ok(names.into_iter().filter_map(|file| summary(&folder, file)).collect())
        })
        .await
    }

    /// One mail, by a name that [`Mailbox::list`] gave; `None` for any other name.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub async fn read(&self, file: &str) -> Result<Option<MailText>, GatewayError> {
        if stamp_of(file).is_none() {
            return Ok(None);
        }
        let path = self.folder.join(file);
        off_thread(move || Ok(contents(&path)?.and_then(|bytes| message::decode(&bytes)))).await
    }
}

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, mail: Mail) -> Result<(), GatewayError> {
        let bytes = message::encode(&mail)?;
        let id = safe_name(&mail.message_id);
        let name = format!("{}-{id}.eml", mail.date.format(STAMP));
        if stamp_of(&name).is_none() {
            return Err(GatewayError::Refused("the mail's date is out of range".to_owned()));
        }
        let (folder, writing) = (Arc::clone(&self.folder), Arc::clone(&self.writing));
        off_thread(move || {
            let _one = writing.lock().unwrap_or_else(PoisonError::into_inner);
            let names = names_in(&folder)?;
            if names.iter().any(|known| id_of(known) == Some(&id)) {
                return Ok(());
            }
            write_whole(&folder, &name, &bytes)?;
            for oldest in names.iter().take((names.len() + 1).saturating_sub(MAX_MAILS)) {
                remove(&folder.join(oldest))?;
            }
            Ok(())
        })
        .await
    }

    async fn forget(&self, account: AccountId, address: Option<&str>) -> Result<(), GatewayError> {
        let (folder, writing) = (Arc::clone(&self.folder), Arc::clone(&self.writing));
        let (account, address) = (account.to_string(), address.map(str::to_owned));
        off_thread(move || {
            let _one = writing.lock().unwrap_or_else(PoisonError::into_inner);
            for name in names_in(&folder)? {
                let path = folder.join(name);
                let Some(mail) = contents(&path)?.and_then(|bytes| message::decode(&bytes)) else { continue };
                if mail.account.as_ref() == Some(&account) || address.as_ref() == Some(&mail.to) {
                    remove(&path)?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// The stamp and the id of a name that [`Mailbox`] can have given a file.
fn parts_of(file: &str) -> Option<(&str, &str)> {
    let (stamp, id) = file.strip_suffix(".eml")?.split_once('-')?;
    (stamp.len() == 19 && !id.is_empty() && safe_name(id) == id).then_some((stamp, id))
}

fn id_of(file: &str) -> Option<&str> {
    parts_of(file).map(|(_, id)| id)
}

fn stamp_of(file: &str) -> Option<DateTime<Utc>> {
    let (stamp, _) = parts_of(file)?;
    let date = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?.and_utc();
    (date.format(STAMP).to_string() == stamp).then_some(date)
}

/// The mails' names, oldest first.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && stamp_of(&name).is_some()
            && entry.file_type()?.is_file()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn summary(folder: &Path, file: String) -> Option<MailSummary> {
    // A mail that went away or was spoilt meanwhile is left out.
    let mail = message::decode(&contents(&folder.join(&file)).ok()??)?;
    let date = stamp_of(&file)?;
    Some(MailSummary { file, to: mail.to, subject: mail.subject, date })
}

/// The bytes of a plain file of bearable size; no link is followed.
fn contents(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() <= MAX_FILE_BYTES => fs::read(path).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Either the whole file is there under its name, durably, or nothing is.
fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    // Two processes on one folder each stage under their own name.
    let staged = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let mut file = fs::File::create(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&staged, folder.join(name))?;
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    // What stands above it keeps its usual mode: others may have to pass through.
    folder.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}

/// Removes what a killed writer left staged; whoever still writes there is refused and tries again.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp")) {
            remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Says what kind of failure it was; the folder is the operator's own setting.
fn failed(error: &io::Error) -> GatewayError {
    GatewayError::Unavailable(format!("the mailbox folder failed: {}", error.kind()))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, GatewayError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failed(&error)),
        Err(_) => Err(GatewayError::Unavailable("the mailbox was stopped".to_owned())),
    }
}

#[cfg(test)]
mod tests;
