//! What `doctor` finds on the machine: folders, disks, descriptors.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Access, access};

use super::{Finding, Verdict};
use crate::config::Config;
use crate::connections::{ConnectionLimits, descriptor_limit};
use crate::disk::Room;
use crate::embedded_postgres::EmbeddedPostgres;

/// Descriptors below which a node serves few connections, and below which it may not serve at all.
const FEW_DESCRIPTORS: u64 = 4_096;
const TOO_FEW_DESCRIPTORS: u64 = 512;

/// Whether the data folder can be used. Nothing is written.
pub(super) fn folder(config: &Config) -> Finding {
    let said = config.data.display();
    if !config.data.exists() {
        return Finding::of(
            "data folder",
            Ok::<_, String>(format!("{said} is not there yet; the first start makes it")),
        );
    }
    let usable = access(&config.data, Access::WRITE_OK | Access::EXEC_OK);
    Finding::of(
        "data folder",
        usable.map(|()| said.to_string()).map_err(|error| format!("{said} cannot be written: {error}")),
    )
}

/// The room on every disk that a node writes to, each disk once.
pub(super) fn disks(config: &Config) -> Vec<Finding> {
    let mut folders = vec![config.data.clone(), config.data.join("media")];
    if config.database_url.is_none() {
        folders.extend(EmbeddedPostgres::base(&config.data.join("postgres")));
    }
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for folder in folders {
        let room = match Room::at(&folder) {
            Ok(room) => room,
            Err(error) => {
                findings.push(Finding::of("disk", Err::<String, _>(format!("{}: {error}", folder.display()))));
                continue;
            }
        };
        // The same disk says the same.
        if !seen.contains(&(room.free, room.total, room.files)) {
            seen.push((room.free, room.total, room.files));
            findings.push(judged(&room, config.disk_reserve()));
        }
    }
    findings
}

fn judged(room: &Room, reserve: u64) -> Finding {
    let mebibytes = |bytes: u64| bytes >> 20;
    let said =
        format!("{} MiB of {} MiB are free at {}", mebibytes(room.free), mebibytes(room.total), room.folder.display());
    let (verdict, said) = if room.is_out_of_files() {
        let files = room.files.unwrap_or_default();
        (Verdict::Wrong, format!("{said}, but only {files} more files can be made: it is full"))
    } else if room.is_full(reserve) {
        (Verdict::Wrong, format!("{said}, which is less than the {} MiB that must be: it is full", mebibytes(reserve)))
    } else if room.is_nearly_full() {
        (Verdict::Wrong, format!("{said}: it is nearly full"))
    } else {
        (Verdict::Well, said)
    };
    Finding { what: "disk", verdict, said }
}

/// Whether there are descriptors enough.
pub(super) fn descriptors(config: &Config) -> Finding {
    let Some(limit) = descriptor_limit() else {
        return Finding::of("descriptors", Ok::<_, String>("not limited".into()));
    };
    let most = ConnectionLimits::of_machine(config.pool, None).most;
    let said = format!("{limit}: room for {most} connections of clients");
    if limit < TOO_FEW_DESCRIPTORS {
        Finding::of("descriptors", Err::<String, _>(format!("{said}; raise it (ulimit -n)")))
    } else if limit < FEW_DESCRIPTORS {
        Finding::warning("descriptors", format!("{said}; raise it for more (ulimit -n)"))
    } else {
        Finding::of("descriptors", Ok::<_, String>(said))
    }
}

/// Whether a folder is closed to others.
pub(super) fn is_private(folder: &Path) -> Result<(), String> {
    let said = folder.display();
    match std::fs::metadata(folder) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => Ok(()),
        Ok(_) => Err(format!("{said} can be read by others; make it 0700")),
        Err(error) => Err(format!("{said}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_disk_that_is_full_or_nearly_so_is_wrong_and_names_its_folder() {
        let reserve = 64 << 20;
        let room = |free| Room { folder: PathBuf::from("/data/media"), free, total: 200 << 30, files: None };
        assert_eq!(judged(&room(100 << 30), reserve).verdict, Verdict::Well);
        assert_eq!(judged(&room(100 << 30), 150 << 30).verdict, Verdict::Wrong, "of the node's own reserve");
        let files = Room { files: Some(3), ..room(100 << 30) };
        for (room, word) in
            [(room(1 << 30), "nearly full"), (room(1 << 20), "it is full"), (files, "only 3 more files can be made")]
        {
            let finding = judged(&room, reserve);
            assert_eq!(finding.verdict, Verdict::Wrong);
            assert!(finding.said.contains(word) && finding.said.contains("/data/media"), "{}", finding.said);
        }
    }
}
