//! Readers that read nothing: what they cost, and that they are closed.

use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Delivers, link, made};
use crate::harness::TestStudio;
use crate::harness::process::{Home, until};
use serde_json::json;

/// How many there are.
const READERS: u64 = 150;
/// What one of them may cost, KiB.
const EACH: u64 = 64;

/// A connection on which a file was asked for.
async fn reader(url: &str) -> TcpStream {
    let address = url.split('/').nth(2).expect("an address");
    let path = &url[url.find(address).expect("it is there") + address.len()..];
    let mut socket = TcpStream::connect(address).await.expect("the node listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the request is sent");
    socket
}

/// What a process has in memory, KiB.
fn resident(pid: u32) -> u64 {
    let output =
        Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output().expect("ps is on every machine");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

/// What a process has in memory once that has stopped changing, KiB.
async fn settled(pid: u32) -> u64 {
    let (mut last, mut same) = (0, 0);
    until("memory that does not change", async || {
        let now = resident(pid);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (same > 20).then_some(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_150_readers_that_read_nothing_cost_64_kib_each_at_most() {
    let home = Home::open().await;
    let mut served = home.serve(&["--demo"]);
    let visitor = served.ready().await;
    let environment: std::collections::BTreeMap<_, _> = home.demo_env().into_iter().collect();
    let body = json!({ "prompt": "a wall", "model": "z-image-turbo", "width": 64, "height": 64 });
    let job = visitor.post("/v1/generate", &environment["ATELIER_API_KEY"], &body).await.json();
    let link = link(&job);
    // As large as a video.
    let id = uuid::Uuid::parse_str(job["request_id"].as_str().expect("an id").trim_start_matches("gen_")).expect("hex");
    let accounts = std::fs::read_dir(home.data().join("media")).expect("the media folder");
    let file = accounts
        .map(|account| account.expect("a folder").path().join(id.to_string()).join("1/0.png"))
        .find(|file| file.exists());
    let size = 16 * 1024 * 1024;
    std::fs::write(file.expect("the output"), vec![7; size]).expect("our own folder");
    // What is made once is made before: threads, connections to the database, code.
    for _ in 0..2 {
        let whole = futures::future::join_all((0..16).map(async |_| {
            let mut socket = reader(&link).await;
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await.expect("an answer").min(answer.len())
        }));
        assert!(whole.await.into_iter().all(|length| length > size), "everybody who reads gets it all");
    }
    let before = settled(served.pid()).await;
    let readers = futures::future::join_all((0..READERS).map(|_| reader(&link))).await;
    for socket in &readers {
        // Looks, and takes nothing.
        assert_eq!(socket.peek(&mut [0; 12]).await.expect("an answer begins"), 12);
    }
    let after = settled(served.pid()).await;
    let each = after.saturating_sub(before) / READERS;
    assert!(each <= EACH, "{each} KiB a reader: from {before} to {after}");
    // They are really at work: none has it all, and one that reads on gets all the rest.
    let mut rest = Vec::new();
    let mut readers = readers;
    readers.pop().expect("one of them").read_to_end(&mut rest).await.expect("the rest arrives");
    assert!(rest.len() > size);
    served.still_runs();
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_client_that_does_not_read_is_closed_and_one_that_reads_is_served() {
    let bytes = vec![7_u8; 16 * 1024 * 1024];
    let studio = TestStudio::drawing(Delivers::one("video/mp4", &bytes), Duration::from_millis(300)).await;
    let ada = studio.newcomer("ada").await;
    let (_, key) = studio.api_key(&ada).await;
    let link = link(&made(&studio, &key, 0).await);
    let closed = async || {
        let metrics = studio.get("/metrics", None).await.text;
        let count = metrics.lines().find_map(|line| line.strip_prefix("atelier_http_write_timeouts_total "));
        count.map_or(0, |count| count.parse::<u64>().expect("a number"))
    };
    let before = closed().await;
    let mut asleep = reader(&link).await;
    until("the end of its patience", async || (closed().await > before).then_some(())).await;
    let mut rest = Vec::new();
    // What the system had taken for it arrives, and then the connection is over.
    asleep.read_to_end(&mut rest).await.ok();
    assert!(rest.starts_with(b"HTTP/1.1 200") && rest.len() < bytes.len(), "{}", rest.len());
    assert_eq!(studio.download(&link).await.2, bytes);
    studio.stop().await;
}
