//! The file key store: what it refuses, what survives a restart, rotation under readers and after crashes.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::testing::{Replayable, account};

fn store(root: &Path) -> FileKeyStore {
    // Another seed at every opening, as the real source would give.
    let seed = std::fs::read_dir(root).map_or(0, |entries| entries.count() as u64);
    FileKeyStore::open(root, Replayable::new(seed)).unwrap()
}

fn epochs(root: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(root.join("kek"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_repeated_sign_up_and_a_missing_account_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let keys = store(root.path());
    keys.create(account(1)).await.unwrap();
    assert!(matches!(keys.create(account(1)).await, Err(KeyStoreError::AlreadyExists)));
    assert!(matches!(keys.load(account(2)).await, Err(KeyStoreError::Missing)));
    assert!(matches!(keys.shred(account(2), KeyClass::Profile).await, Err(KeyStoreError::Missing)));
}

#[tokio::test]
async fn a_tombstone_survives_a_restart_and_refuses_new_keys() {
    let root = tempfile::tempdir().unwrap();
    let keys = store(root.path());
    keys.create(account(1)).await.unwrap();
    let before = keys.load(account(1)).await.unwrap();
    keys.shred(account(1), KeyClass::Profile).await.unwrap();
    keys.shred(account(1), KeyClass::Profile).await.unwrap();

    let restarted = store(root.path());
    let after = restarted.load(account(1)).await.unwrap();
    assert_eq!(after, AccountKeys { profile: AccountKey::Shredded, billing: before.billing });
    assert!(matches!(restarted.create(account(1)).await, Err(KeyStoreError::Shredded)));
}

#[tokio::test]
async fn e5_a_crash_while_overwriting_leaves_that_key_shredded_and_the_other_alive() {
    let root = tempfile::tempdir().unwrap();
    let keys = store(root.path());
    keys.create(account(1)).await.unwrap();
    let before = keys.load(account(1)).await.unwrap();
    let path = keys.0.path(account(1));
    let contents = std::fs::read(&path).unwrap();
    let wrapped = AccountKeyFile::decode(&contents).unwrap().bury(KeyClass::Profile).unwrap();
    let (offset, bytes) = overwriting(&contents, &wrapped).unwrap();
    durable_file::overwrite(&path, offset, &bytes[..7]).unwrap();

    let restarted = store(root.path());
    let torn = restarted.load(account(1)).await.unwrap();
    assert_eq!(torn, AccountKeys { profile: AccountKey::Shredded, billing: before.billing });
    restarted.shred(account(1), KeyClass::Profile).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#""profile":"shredded""#) && !text.contains(&wrapped[7..]));
}

#[tokio::test]
async fn keys_and_folders_are_for_their_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let keys = store(&root.path().join("keys"));
    keys.create(account(1)).await.unwrap();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(root.path().join("keys")), 0o700);
    assert_eq!(mode(root.path().join("keys/kek")), 0o700);
    assert_eq!(mode(root.path().join("keys/kek/1")), 0o600);
    assert_eq!(mode(keys.0.path(account(1))), 0o600);
}

#[tokio::test]
async fn a_lost_kek_is_an_error_and_never_replaced_by_a_new_one() {
    let root = tempfile::tempdir().unwrap();
    store(root.path()).create(account(1)).await.unwrap();
    std::fs::remove_file(root.path().join("kek/1")).unwrap();
    assert!(matches!(FileKeyStore::open(root.path(), Replayable::new(9)), Err(KeyStoreError::NoKek)));
}

#[tokio::test]
async fn a_key_file_put_in_another_accounts_place_does_not_open() {
    let root = tempfile::tempdir().unwrap();
    let keys = store(root.path());
    keys.create(account(1)).await.unwrap();
    keys.create(account(2)).await.unwrap();
    std::fs::copy(keys.0.path(account(1)), keys.0.path(account(2))).unwrap();
    assert!(matches!(keys.load(account(2)).await, Err(KeyStoreError::Corrupt)));
}

#[tokio::test]
async fn e7_rotation_changes_the_wrapping_but_no_key_and_keeps_tombstones() {
    let root = tempfile::tempdir().unwrap();
    let keys = store(root.path());
    for number in 1..=20 {
        keys.create(account(number)).await.unwrap();
    }
    keys.shred(account(7), KeyClass::Profile).await.unwrap();
    let mut before = Vec::new();
    for number in 1..=20 {
        before.push(keys.load(account(number)).await.unwrap());
    }
    assert_eq!(keys.rotate_kek().await.unwrap(), KekRotation { epoch: 2, rewrapped: 20 });
    assert_eq!(epochs(root.path()), ["2"]);
    let restarted = store(root.path());
    for (number, keys) in (1..=20).zip(before) {
        assert_eq!(restarted.load(account(number)).await.unwrap(), keys);
    }
}

#[test]
fn e7_a_reader_overtaken_by_a_rotation_reads_again() {
    let root = tempfile::tempdir().unwrap();
    let rotating = store(root.path());
    rotating.0.create(account(1)).unwrap();
    let expected = rotating.0.load(account(1)).unwrap();
    let reading = store(root.path());
    rotating.0.rotate().unwrap();
    let mut overtaken = Some(rotating.0.read(account(1)).unwrap());
    rotating.0.rotate().unwrap();
    // Its first read is of epoch 2, which the reader never saw and which is gone; the next is of epoch 3.
    let read = || overtaken.take().map_or_else(|| reading.0.read(account(1)), Ok);
    assert_eq!(reading.0.unwrap_latest(account(1), read).unwrap(), expected);
}

/// Ends the other threads' loops also when this one fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn e7_rotation_while_other_handles_read_sign_up_and_shred() {
    let root = tempfile::tempdir().unwrap();
    let rotating = store(root.path());
    let reading = store(root.path());
    let signing_up = FileKeyStore::open(root.path(), Replayable::new(77)).unwrap();
    for number in 0..30 {
        rotating.0.create(account(number)).unwrap();
    }
    let expected: Vec<_> = (0..30).map(|number| rotating.0.load(account(number)).unwrap()).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let _done = Done(&done);
            for _ in 0..5 {
                rotating.0.rotate().unwrap();
            }
        });
        threads.spawn(|| {
            let mut number = 100;
            while !done.load(Ordering::Acquire) {
                signing_up.0.create(account(number)).unwrap();
                signing_up.0.shred(account(number), KeyClass::Profile).unwrap();
                number += 1;
            }
        });
        while !done.load(Ordering::Acquire) {
            for (number, keys) in (0..30).zip(&expected) {
                assert_eq!(&reading.0.load(account(number)).unwrap(), keys);
            }
        }
    });
    assert_eq!(epochs(root.path()), ["6"]);
    for account in rotating.0.accounts().unwrap() {
        reading.0.load(account).unwrap();
    }
}

#[test]
fn e7_a_rotation_cut_short_at_any_step_is_finished_by_the_next() {
    // Steps: the new epoch exists; some accounts moved; all moved; the old KEK is marked but its bytes remain.
    for step in 0..4 {
        let root = tempfile::tempdir().unwrap();
        let crashed = store(root.path());
        for number in 0..6 {
            crashed.0.create(account(number)).unwrap();
        }
        let expected: Vec<_> = (0..6).map(|number| crashed.0.load(account(number)).unwrap()).collect();
        assert_eq!(crashed.0.begin_rotation().unwrap(), 2);
        let moved = [0, 3, 6, 6][step];
        for number in 0..moved {
            assert!(crashed.0.rewrap(account(number), 2).unwrap());
        }
        std::fs::write(crashed.0.path(account(4)).with_extension("tmp"), b"half a fi").unwrap();
        if step == 3 {
            std::fs::rename(root.path().join("kek/1"), root.path().join("kek/1.destroyed")).unwrap();
        }

        let restarted = store(root.path());
        assert!(!root.path().join("kek/1.destroyed").exists(), "a restart finishes the destruction");
        let rotation = restarted.0.rotate().unwrap();
        // With the old KEK already gone the rotation had ended, and this is the next one.
        let after = if step == 3 {
            KekRotation { epoch: 3, rewrapped: 6 }
        } else {
            KekRotation { epoch: 2, rewrapped: 6 - moved as u64 }
        };
        assert_eq!(rotation, after, "step {step}");
        assert_eq!(epochs(root.path()), [after.epoch.to_string()], "step {step}");
        for (number, keys) in (0..6).zip(expected) {
            assert_eq!(restarted.0.load(account(number)).unwrap(), keys, "step {step}");
        }
    }
}
