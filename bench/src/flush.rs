//! How fast the disk makes writes durable, and the library that makes it slower for one server.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Fallible;

/// A block of the write-ahead log and a little: what a small commit writes.
const BLOCK: [u8; 4096] = [7; 4096];
/// As long as a segment of the write-ahead log, and like it written over, never extended.
const BLOCKS: u64 = 4096;

/// Small writes made durable one after another for a second, in this folder; how many.
pub fn per_second(folder: &Path) -> Fallible<f64> {
    let path = folder.join("flush-probe");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    for _ in 0..BLOCKS {
        file.write_all(&BLOCK)?;
    }
    file.sync_all()?;
    let (started, mut count) = (Instant::now(), 0_u32);
    while started.elapsed() < Duration::from_secs(1) {
        file.seek(SeekFrom::Start(u64::from(count) % BLOCKS * BLOCK.len() as u64))?;
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Builds the slow disk from `flush_delay.c` with the system's C compiler.
pub fn build_delay() -> Fallible<PathBuf> {
    if !cfg!(target_os = "linux") {
        return Err("LD_PRELOAD is Linux's".into());
    }
    let library = crate::report::folder()?.join("flush_delay.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/flush_delay.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .output()?;
    if built.status.success() {
        Ok(library)
    } else {
        Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr)).into())
    }
}
